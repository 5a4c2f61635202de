"""Publishing: exactly what is wanted, and nothing that did not change."""

import subprocess
import sys

import pytest

from switchgear.replica import entries
from switchgear.replica.entries import STORED_MS, HolderEntry, KeyEntry, Pending, SecretHash, Snapshot, StoredThing
from switchgear.replica.publisher import Publisher
from switchgear.replica.reader import PIN_S, ReplicaReader
from switchgear.routing.states import Health
from switchgear.testing.patience import PATIENCE_S

READ_SLOWLY = """
import sys, lmdb
from switchgear.replica import entries
env = lmdb.open(sys.argv[1], readonly=True, lock=False, map_size=4 * 1024**3)
with env.begin() as txn:
    txn.get(entries.EPOCH)
    print("began", flush=True)
    sys.stdin.readline()
    found = [entries.decode_key(raw) for key, raw in txn.cursor() if key.startswith(entries.KEY_PREFIX)]
print(len(found), sum(entry.revoked for entry in found))
"""


def key(name, version=1, **more):
    return KeyEntry(name, name, version, [SecretHash(b"m" * 32, 1)], **more)


def test_replacing_keys_keeps_what_is_gone_until_that_is_accepted(tmp_path):
    publisher = Publisher(tmp_path)
    publisher.put_key(key("a"), [b"m" * 32])
    publisher.put_key(key("b"))
    wanted = [(key("b"), ()), (key("c"), [b"2" * 32])]
    kept = publisher.replace_keys(wanted)
    assert ([entry.id for entry in kept.missing], kept.older) == (["a"], [])
    assert len(live_keys(publisher)) == 3 and hashes(publisher) == {b"m" * 32: b"a", b"2" * 32: b"c"}
    assert publisher.replace_keys(wanted, {"a"}, accept=True).missing == [], "one that is doubted stays in any case"
    assert live_keys(publisher) == {"a", "b", "c"}
    assert publisher.replace_keys(wanted, accept=True).missing == []
    assert live_keys(publisher) == {"b", "c"} and hashes(publisher) == {b"2" * 32: b"c"}
    publisher.put_key(key("c", revoked=True))
    assert [entry.id for entry in publisher.revoked_keys()] == ["c"]
    assert len(live_keys(publisher)) == 1
    publisher.close()


def test_S5_a_revoked_key_that_is_gone_stays_also_when_that_is_accepted(tmp_path):
    publisher = Publisher(tmp_path)
    publisher.put_key(key("a", revoked=True), [b"m" * 32])
    for accept in (False, True):
        assert publisher.replace_keys([(key("b"), ())], accept=accept).missing == [], (
            "nothing is doubted: it is revoked"
        )
    assert publisher.entry_of("a").revoked
    assert publisher.replace_keys([(key("a"), ()), (key("b"), ())], accept=True).older == [key("a", revoked=True)]
    assert publisher.entry_of("a").revoked
    publisher.close()


def live_keys(publisher):
    """Ids of the published keys that are not revoked."""
    with publisher._env.begin() as txn:
        raw = [bytes(value) for name, value in txn.cursor() if bytes(name).startswith(entries.KEY_PREFIX)]
    return {entry.id for entry in map(entries.decode_key, raw) if not entry.revoked}


def hashes(publisher):
    """By which keyed hashes keys are found."""
    with publisher._env.begin() as txn:
        found = {bytes(name): bytes(value) for name, value in txn.cursor()}
    return {name[1:]: value for name, value in found.items() if name.startswith(entries.HASH_PREFIX)}


@pytest.mark.parametrize(
    ("published", "wanted", "stays"),
    [
        (key("a", version=3), key("a", version=2), True),
        (key("a", version=3, revoked=True), key("a", version=3), True),
        (key("a", version=3, revoked=True), key("a", version=4), False),
        (key("a", version=3), key("a", version=3, revoked=True), False),
        (key("a", version=3), key("a", version=3, team="t"), False),
    ],
)
def test_a_key_that_is_published_newer_stays_until_the_older_is_accepted(tmp_path, published, wanted, stays):
    publisher = Publisher(tmp_path)
    publisher.put_key(published)
    kept = publisher.replace_keys([(wanted, ())])
    assert kept.older == ([published] if stays else [])
    assert publisher.entry_of("a") == (published if stays else wanted)
    lets_in = stays and published.revoked and not wanted.revoked
    assert publisher.replace_keys([(wanted, ())], accept=True).older == ([published] if lets_in else [])
    assert publisher.entry_of("a") == (published if lets_in else wanted) and publisher.entry_of("b") is None
    publisher.close()


def test_snapshots_carry_an_epoch(tmp_path):
    publisher = Publisher(tmp_path)
    assert publisher.epoch() == 0 and publisher.current() is None
    publisher.put_snapshot(Snapshot(store_id="s", epoch=7, freezes={"all": None}))
    assert publisher.epoch() == 7
    assert publisher.current().freezes == {"all": None}
    assert publisher.check_readers() == 0
    publisher.close()


def test_S2_revocations_leave_the_size_stable(tmp_path):
    clock = iter(range(10**6))
    publisher = Publisher(tmp_path, lambda: next(clock) / 100)
    for number in range(200):
        publisher.put_key(key(f"k{number % 50:03d}", revoked=bool(number % 2)))
    size = (tmp_path / "data.mdb").stat().st_size
    for number in range(1000):
        publisher.put_key(key(f"k{number % 50:03d}", revoked=bool(number % 2)))
    assert (tmp_path / "data.mdb").stat().st_size <= size + 256 * 1024
    publisher.close()


def test_S2_a_snapshot_stays_while_an_edge_reads_it(tmp_path):
    """Edges take no lock: the pages of a snapshot are kept for PIN_S, whatever is written meanwhile."""
    now = [0.0]
    publisher = Publisher(tmp_path, lambda: now[0])
    for number in range(300):
        publisher.put_key(key(f"k{number:03d}"))
    found = subprocess.Popen(
        [sys.executable, "-c", READ_SLOWLY, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert found.stdout.readline() == "began\n"
    for number in range(3000):
        now[0] += PIN_S / 4000
        publisher.put_key(key(f"k{number % 300:03d}", revoked=True))
    out, _ = found.communicate("go\n", timeout=PATIENCE_S)
    assert out == "300 0\n", "the reader saw its own snapshot, whole"
    publisher.close()


def test_stored_responses_are_forgotten_in_time(tmp_path):
    from switchgear.replica.entries import StoredThing
    from switchgear.replica.publisher import Publisher

    publisher = Publisher(tmp_path / "replica")
    publisher.put_stored({f"resp_{n}": StoredThing("team:a", "p/c", "m", n) for n in range(10)})
    assert publisher.drop_stored(5) == 5
    assert publisher.drop_stored(5) == 0
    publisher.close()


@pytest.mark.parametrize("second_ms", [STORED_MS + 20, 2 * STORED_MS + 11])
def test_the_first_owner_of_a_stored_thing_stays_its_owner(tmp_path, second_ms):
    publisher = Publisher(tmp_path)
    ours, theirs = StoredThing("team:a", "p/c", "m", STORED_MS + 10), StoredThing("team:b", "p/d", "m", second_ms)
    publisher.put_stored({"f": ours})
    publisher.put_stored({"f": theirs})
    publisher.close()
    reader = ReplicaReader(tmp_path)
    assert reader.stored("f") == (ours if second_ms == STORED_MS + 20 else theirs)
    reader.close()


def test_things_beyond_the_bound_are_left_out_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("switchgear.replica.publisher.STORED_MAX", 5)
    publisher = Publisher(tmp_path)
    things = {f"f{n}": StoredThing("team:a", "p/c", "m", 1) for n in range(8)}
    assert publisher.put_stored(things) == 3
    assert publisher.put_stored({"f0": StoredThing("team:a", "p/c", "m", 2)}) == 0
    publisher.close()


def test_expired_entries_are_searched_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("switchgear.replica.publisher.STORED_LOOKS", 4)
    publisher = Publisher(tmp_path)
    publisher.put_key(key("s"))  # behind the things, in the order of keys
    publisher.put_stored({f"f{n}": StoredThing("team:a", "p/c", "m", n % 2) for n in range(10)})
    assert [publisher.drop_stored(1) for _ in range(6)] == [2, 2, 1, 0, 0, 0]
    publisher.close()


def test_pending_answers_are_exactly_those_that_are_wanted(tmp_path):
    publisher = Publisher(tmp_path)
    one = Pending("r1", "team:us", b"", "m", "up", "main", "up/main", "m", 1)
    publisher.put_stored({"resp_1": StoredThing("team:us", "up/main", "m", 1 << 50)})
    publisher.replace_pending({"resp_1": entries.encode(one), "resp_2": entries.encode(one)})
    publisher.close()
    reader = ReplicaReader(tmp_path)
    assert reader.pending() == {"resp_1": one, "resp_2": one}
    reader.close()
    publisher = Publisher(tmp_path)
    publisher.replace_pending({"resp_2": entries.encode(one)})
    publisher.close()
    reader = ReplicaReader(tmp_path)
    assert reader.pending() == {"resp_2": one} and reader.stored("resp_1") is not None
    reader.close()


def team(name, version=1, **more):
    return HolderEntry(kind="team", id=name, name=name, version=version, **more)


def generation(publisher):
    with publisher._env.begin() as txn:
        return txn.get(entries.GENERATION)


def test_replacing_teams_keeps_what_is_gone_or_newer_until_that_is_accepted(tmp_path):
    publisher = Publisher(tmp_path)
    for one in (team("a"), team("b", 3), team("gone", removed=True), team("doubted")):
        publisher.put_holder(one)
    wanted = [team("b", 2), team("c")]
    kept = publisher.replace_holders(wanted, {("team", "doubted")})
    assert ([one.id for one in kept.older], [one.id for one in kept.missing]) == (["b"], ["a"])
    assert publisher.holder_of("team", "b").version == 3 and publisher.holder_of("team", "c") is not None
    before = generation(publisher)
    publisher.replace_holders(wanted, {("team", "doubted")})
    assert generation(publisher) == before, "nothing changed: edges keep what they know"
    kept = publisher.replace_holders(wanted, {("team", "doubted")}, accept=True)
    assert (kept.older, kept.missing) == ([], []) and generation(publisher) > before
    assert publisher.holder_of("team", "a") is None and publisher.holder_of("team", "b").version == 2
    assert publisher.holder_of("team", "gone").removed and publisher.holder_of("team", "doubted") is not None
    publisher.close()


def test_an_empty_organisation_is_published_as_one(tmp_path):
    publisher = Publisher(tmp_path)
    assert generation(publisher) is None
    publisher.replace_holders([])
    assert generation(publisher) is not None
    publisher.close()


def test_replacing_keys_leaves_what_is_published_of_breakers(tmp_path):
    publisher = Publisher(tmp_path)
    publisher.put_health(Health())
    publisher.replace_keys([(key("a"), [b"m" * 32])])
    with publisher._env.begin() as txn:
        assert txn.get(entries.HEALTH) == entries.encode(Health())
