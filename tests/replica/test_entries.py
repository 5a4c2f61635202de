"""Entries of the replica: those of older programs are read as they were meant; what limits a key is never overlooked."""

import json
from pathlib import Path

import msgspec
import pytest

from switchgear.core.key_policy import KeyPolicy, policy_of
from switchgear.replica import entries
from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot, Spend, StoredThing
from switchgear.replica.publisher import Publisher

OLD = Path(__file__).parent / "old"
"""What replicas of older programs held, by the schema of their stores: hex of keys and values."""


@pytest.mark.parametrize("schema", sorted(path.stem for path in OLD.glob("*.json")))
def test_an_entry_of_an_older_program_is_read_as_it_was_meant(schema):
    raw = {
        bytes.fromhex(key): bytes.fromhex(value)
        for key, value in json.loads((OLD / f"{schema}.json").read_text()).items()
    }
    keys = {entry.name: entry for entry in map(entries.decode_key, raw.values())}
    rules = None if schema == "0001" else ["openai POST /audio/*"]
    assert keys["bound"] == KeyEntry(
        *("BBBBBBBBBBBB", "bound", 3),
        [SecretHash(b"\2" * 32, 1), SecretHash(b"\3" * 32, 1, 1_800_000_000_000)],
        team="research",
        user="ann@example.com",
        project="p1",
        models=["openai/*", "fast"],
        cidrs=["10.0.0.0/8"],
        tags=["cost_center=4711"],
        passthrough=rules,
        expires_ms=1_893_456_000_000,
    )
    assert policy_of(keys["plain"]) == KeyPolicy()
    assert keys["gone"].revoked and keys["gone"].models == []


def test_control_writes_old_entries_anew_at_its_start(tmp_path):
    publisher = Publisher(tmp_path)
    raw = {bytes.fromhex(k): bytes.fromhex(v) for k, v in json.loads((OLD / "0004.json").read_text()).items()}
    with publisher._env.begin(write=True) as txn:
        for key, value in raw.items():
            txn.put(key, value)
    assert [entry.name for entry in publisher.revoked_keys()] == ["gone"]
    current = [entries.decode_key(value) for value in raw.values()]
    publisher.replace_keys([(entry, ()) for entry in current])
    with publisher._env.begin() as txn:
        written = {bytes(key): bytes(value) for key, value in txn.cursor()}
    publisher.close()
    assert written.keys() == raw.keys()
    assert all(isinstance(msgspec.msgpack.decode(value), dict) for value in written.values())


def test_a_limit_of_a_newer_program_is_not_overlooked():
    raw = msgspec.msgpack.encode({"id": "k", "name": "k", "version": 1, "secrets": [], "budget_of_tomorrow": 1})
    with pytest.raises(msgspec.ValidationError, match="budget_of_tomorrow"):
        entries.decode_key(raw)


def test_an_entry_leaves_out_what_has_its_default():
    entry = KeyEntry("k", "k", 1, [SecretHash(b"m" * 32, 1)], models=["a"])
    raw = entries.encode(entry)
    assert msgspec.msgpack.decode(raw).keys() == {"id", "name", "version", "secrets", "models"}
    assert entries.decode_key(raw) == entry


@pytest.mark.parametrize(
    ("value", "decode"),
    [
        (Spend(20_000, 5, {"m": (3, 7)}, 11), entries.decode_spend),
        (StoredThing("team:t", "up/c", "m", 9), entries.decode_stored),
        (
            Snapshot(store_id="s", epoch=3, freezes={"all": None}, discounts_bp={"up": 100}),
            entries.decode_snapshot,
        ),
    ],
)
def test_an_encoded_entry_decodes_to_itself(value, decode):
    assert decode(entries.encode(value)) == value


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
