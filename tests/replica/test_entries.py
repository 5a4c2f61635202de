"""What control writes is what an edge reads, also across versions."""

import msgspec
import pytest

from switchgear.replica import entries
from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot, Spend, Stored


@pytest.mark.parametrize(
    ("value", "decode"),
    [
        (Spend(20_000, 5, {"m": (3, 7)}, 11), entries.decode_spend),
        (Stored("team:t", "up/c", "m", 9), entries.decode_stored),
        (
            Snapshot(store_id="s", epoch=3, freezes={"all": None}, discounts_bp={"up": 100}),
            entries.decode_snapshot,
        ),
    ],
)
def test_what_is_encoded_comes_back(value, decode):
    assert decode(entries.encode(value)) == value


def test_a_key_of_an_older_version_without_the_last_fields_is_read():
    entry = KeyEntry("id", "name", 1, [SecretHash(b"m", 1)])
    fields = msgspec.msgpack.decode(entries.encode(entry))
    assert entries.decode_key(msgspec.msgpack.encode(fields[:4])) == entry


@pytest.mark.parametrize("damage", [b"", b"\x93\x01", b"\xc1", b"\x80"])
def test_a_damaged_entry_is_an_error_and_never_a_key(damage):
    with pytest.raises(msgspec.DecodeError):
        entries.decode_key(damage)


def test_a_long_name_of_a_stored_thing_fits_a_key_of_lmdb():
    assert len(entries.stored_key("é" * 4_000)) <= 511
    assert entries.stored_key("a") != entries.stored_key("b")


def test_a_team_shares_what_it_made_and_a_key_without_one_shares_with_nobody():
    assert entries.scope_of("k1", "research") == entries.scope_of("k2", "research")
    assert entries.scope_of("k1", None) != entries.scope_of("k2", None)
    assert entries.scope_of("k1", "") == entries.scope_of("k1", None)
    assert entries.scope_of("team", None) != entries.scope_of("x", "team")


def test_prefixes_of_the_replica_do_not_overlap():
    prefixes = [entries.KEY_PREFIX, entries.HASH_PREFIX, entries.SPEND_PREFIX, entries.STORED_PREFIX]
    assert len(set(prefixes)) == len(prefixes)
    assert not any(entries.EPOCH.startswith(prefix) or entries.SNAPSHOT.startswith(prefix) for prefix in prefixes)
