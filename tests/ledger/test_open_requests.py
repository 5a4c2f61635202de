"""Open reservations: bounded, decoded once, cleaned."""

import msgspec
import pytest

from switchgear.core.errors import RecordError
from switchgear.ledger import open_requests
from switchgear.ledger.open_requests import OpenRequests
from switchgear.wire import records

CALLEE = msgspec.Raw(
    records.encode_payload(records.Callee("chat", "/chat", "openai", "fast", "a", "a/c", "c", "m", None))
)


def rid(number):
    return f"{1_790_000_000_000:012x}{number:020x}"


def reserve(number, name="bot", stream=False, callee=CALLEE):
    caller = msgspec.Raw(records.encode_payload(records.Caller("k", name, 1, None, None, None)))
    made = records.Reserve(rid(number), 1, caller, callee, stream, 25, None, None, 100)
    return made, records.encode_payload(made)


def test_a_reservation_is_open_until_it_is_popped():
    opened = OpenRequests()
    opened.open(*reserve(1))
    opened.open(*reserve(2, stream=True))
    assert rid(1) in opened and len(opened) == 2 and opened.streams == 1
    assert opened.pop(rid(1)).caller.key_name == "bot"
    assert opened.pop(rid(1)) is None and opened.get(rid(1)) is None
    assert set(opened.among([rid(1), rid(2), rid(3)])) == {rid(2)}


def test_a_reservation_that_comes_again_changes_nothing():
    opened = OpenRequests()
    opened.open(*reserve(1))
    first = opened.get(rid(1))
    opened.open(*reserve(1))
    assert opened.get(rid(1)) is first


def test_requests_of_one_key_and_place_share_what_was_decoded():
    opened = OpenRequests()
    opened.open(*reserve(1))
    opened.open(*reserve(2))
    assert opened.get(rid(1)).caller is opened.get(rid(2)).caller
    assert opened.get(rid(1)).callee is opened.get(rid(2)).callee


def test_texts_come_in_without_control_characters_also_in_what_is_stored():
    opened = OpenRequests()
    opened.open(*reserve(1, name="b\x1bot"))
    assert "\x1b" not in opened.get(rid(1)).caller.key_name
    assert b"\x1b" not in opened.get(rid(1)).raw


@pytest.mark.parametrize("bad", ["", "F" * 32, "0" * 31])
def test_an_id_that_is_none_is_refused(bad):
    made, payload = reserve(1)
    with pytest.raises(RecordError):
        OpenRequests().open(msgspec.structs.replace(made, id=bad), payload)


def test_a_place_that_does_not_decode_is_refused():
    with pytest.raises(RecordError):
        OpenRequests().open(*reserve(1, callee=msgspec.Raw(b"\x93\x01\x02\x03")))


def test_bytes_beyond_the_bound_are_refused_until_requests_close(monkeypatch):
    opened = OpenRequests()
    made, payload = reserve(1)
    monkeypatch.setattr(open_requests, "OPEN_BYTES_MAX", 2 * len(payload))
    opened.open(made, payload)
    opened.open(*reserve(2))
    with pytest.raises(RecordError):
        opened.open(*reserve(3))
    opened.pop(rid(1))
    opened.open(*reserve(3))
    assert len(opened) == 2
