"""The replica: what control publishes, edges see with the next look-up."""

import subprocess
import sys

import lmdb
import pytest

from switchgear.replica.entries import HolderEntry, KeyEntry, SecretHash, Snapshot, Spend
from switchgear.replica.publisher import Publisher
from switchgear.replica.reader import ReplicaReader


def publish(folder, *actions):
    publisher = Publisher(folder)
    for action in actions:
        action(publisher)
    publisher.close()


def key(name="a", **more):
    return KeyEntry(name, name, 1, [SecretHash(b"m" * 32, 1)], **more)


def test_S2_each_look_up_sees_the_latest_commit(tmp_path):
    publish(tmp_path, lambda p: p.put_key(key()), lambda p: p.put_snapshot(Snapshot(store_id="s", epoch=1)))
    reader = ReplicaReader(tmp_path)
    snapshot, entry = reader.look_up("a")
    assert (snapshot.epoch, entry.name) == (1, "a")
    assert reader.look_up("a")[1] is entry
    reader.close()
    publish(tmp_path, lambda p: p.put_key(key(revoked=True)), lambda p: p.put_snapshot(Snapshot(store_id="s", epoch=2)))
    reader = ReplicaReader(tmp_path)
    snapshot, entry = reader.look_up("a")
    assert (snapshot.epoch, entry.revoked) == (2, True)
    assert reader.look_up("b")[1] is None
    reader.close()


def test_imported_keys_are_found_by_hash(tmp_path):
    publish(tmp_path, lambda p: p.put_key(key(), [b"h" * 32]))
    reader = ReplicaReader(tmp_path)
    assert reader.look_up_hash(b"h" * 32).id == "a"
    assert reader.look_up_hash(b"x" * 32) is None
    assert reader.snapshot() is None
    reader.close()


def test_S2_a_reader_of_the_replica_cannot_write(tmp_path):
    publish(tmp_path, lambda p: p.put_key(key()))
    reader = ReplicaReader(tmp_path)
    with pytest.raises(lmdb.Error):
        reader._env.begin(write=True)
    reader.close()


def test_without_a_replica_it_says_so(tmp_path):
    with pytest.raises(lmdb.Error):
        ReplicaReader(tmp_path / "nope")


def test_a_keys_spend_survives_new_keys_and_snapshots(tmp_path):
    spend = Spend(20_000, 1_728_000_000_000, {"fake/echo": (3, 2250)})
    publish(
        tmp_path,
        lambda p: p.put_spends({"a": spend}),
        lambda p: p.put_snapshot(Snapshot(store_id="s", epoch=1)),
        lambda p: p.replace_keys([(key(), ())]),
    )
    reader = ReplicaReader(tmp_path)
    assert reader.spend("a") == spend
    assert reader.spend("b") is None
    reader.close()


LOOK = """
import sys
from switchgear.replica.reader import ReplicaReader
reader = ReplicaReader(sys.argv[1])
before = None
for line in sys.stdin:
    snapshot, key = reader.look_up("a")
    print(snapshot is before, snapshot.epoch, key.team, [one.rpm for one in key.held_by], flush=True)
    before = snapshot
"""


def test_S2_a_change_of_a_team_is_seen_by_the_next_look_up_and_the_snapshot_is_a_new_value(tmp_path):
    """Whatever an edge keeps for a snapshot is not used again then."""
    publisher = Publisher(tmp_path)
    team = HolderEntry(kind="team", id="t", name="ours", version=1)
    publisher.put_key(key(team="t"))
    publisher.put_snapshot(Snapshot(store_id="s", epoch=1))
    edge = subprocess.Popen(
        [sys.executable, "-c", LOOK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def look():
        edge.stdin.write("\n")
        edge.stdin.flush()
        return edge.stdout.readline().strip()

    try:
        assert look() == "False 1 t [None]", "before teams were published a team is a name"
        publisher.put_holder(team)
        assert look() == "False 1 ours [None]"
        assert look() == "True 1 ours [None]"
        publisher.put_holder(HolderEntry(kind="team", id="t", name="theirs", version=2, rpm=5))
        assert look() == "False 1 theirs [5]"
    finally:
        edge.stdin.close()
        edge.wait()
        edge.stdout.close()
        publisher.close()


def test_a_team_that_is_not_there_once_teams_were_published_holds_its_keys_back(tmp_path):
    other = HolderEntry(kind="team", id="other", name="other", version=1)
    publish(
        tmp_path,
        lambda p: p.put_key(key(team="t")),
        lambda p: p.put_snapshot(Snapshot(store_id="s", epoch=1)),
        lambda p: p.put_holder(other),
    )
    reader = ReplicaReader(tmp_path)
    found = reader.look_up("a")[1]
    assert found.held_by[0].removed and found.models == []
    reader.close()
