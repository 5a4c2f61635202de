"""The bytes of a column."""

import pytest

from switchgear.core.errors import RecordError
from switchgear.counters import layout
from switchgear.counters.layout import Geometry, Identity
from switchgear.policies.buckets import Kind

GEOMETRY = Geometry(windows=32, slots=32, balances=64, holds=3)
IDENTITY = Identity(geometry=GEOMETRY, store=b"s" * 16, boot=b"b" * 16, salt=b"x" * 16)


def test_an_identity_is_read_as_it_was_written():
    assert Identity.decode(IDENTITY.encode() + bytes(99), GEOMETRY.file_bytes) == IDENTITY


def test_an_identity_of_any_damage_is_refused():
    data = IDENTITY.encode()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x40
        with pytest.raises(RecordError):
            Identity.decode(bytes(broken), GEOMETRY.file_bytes)


@pytest.mark.parametrize("count", range(len(IDENTITY.encode())))
def test_a_cut_identity_is_refused(count):
    with pytest.raises(RecordError):
        Identity.decode(IDENTITY.encode()[:count], GEOMETRY.file_bytes)


def test_a_column_that_is_too_short_or_long_is_refused():
    for missing in (-8, 1, 4_096):
        with pytest.raises(RecordError, match="bytes, not"):
            Identity.decode(IDENTITY.encode(), GEOMETRY.file_bytes - missing)


def test_tables_follow_each_other_without_overlap():
    ends = [layout.HEADER_WORDS + 3 * layout.HOLD_WORDS]
    for kind in Kind:
        assert GEOMETRY.table_at(kind) == ends[-1]
        ends.append(ends[-1] + GEOMETRY.rows(kind) * layout.ROW_WORDS[kind])
    assert ends[-1] * layout.WORD == GEOMETRY.file_bytes
    assert layout.ROW_WORDS[Kind.WINDOW] == layout.COUNTS_AT + 64 * 4 // layout.WORD


def test_a_hold_fills_its_words():
    assert layout.WORD + layout.HOLD.size <= layout.HOLD_WORDS * layout.WORD
    assert layout.HOLD.size == layout.H_UNTIL * layout.WORD


def test_the_usual_column_is_not_larger_than_is_stated():
    """Decision 062: 37 MB on the disk for each column; in memory what is used of it."""
    assert 36_000_000 < Geometry().file_bytes < 37_000_000


@pytest.mark.parametrize("changed", [{"windows": 0}, {"slots": 16}, {"balances": -16}, {"holds": 0}])
def test_a_geometry_that_is_none_is_refused(changed):
    with pytest.raises(ValueError, match="multiples"):
        Geometry(**{"windows": 32, "slots": 32, "balances": 32, "holds": 1} | changed).check()
