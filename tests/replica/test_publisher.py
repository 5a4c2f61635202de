"""Publishing: exactly what is wanted, and nothing that did not change."""

from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot
from switchgear.replica.publisher import Publisher


def key(name, **more):
    return KeyEntry(name, name, 1, [SecretHash(b"m" * 32, 1)], **more)


def test_replacing_keys_drops_what_is_gone(tmp_path):
    publisher = Publisher(tmp_path)
    publisher.put_key(key("a"), b"1" * 32)
    publisher.put_key(key("b"))
    publisher.replace_keys([(key("b"), None), (key("c"), b"2" * 32)])
    assert publisher.key_count() == 2
    publisher.put_key(key("c", revoked=True))
    assert [entry.id for entry in publisher.revoked_keys()] == ["c"]
    publisher.remove_key("c")
    assert publisher.key_count() == 1
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
    publisher = Publisher(tmp_path)
    for number in range(200):
        publisher.put_key(key(f"k{number % 50:03d}", revoked=bool(number % 2)))
    size = (tmp_path / "data.mdb").stat().st_size
    for number in range(1000):
        publisher.put_key(key(f"k{number % 50:03d}", revoked=bool(number % 2)))
    assert (tmp_path / "data.mdb").stat().st_size <= size + 256 * 1024
    publisher.close()


def test_stored_responses_are_forgotten_in_time(tmp_path):
    from switchgear.replica.entries import Stored
    from switchgear.replica.publisher import Publisher

    publisher = Publisher(tmp_path / "replica")
    publisher.put_stored({f"resp_{n}": Stored("team:a", "p/c", "m", n) for n in range(10)})
    assert publisher.drop_stored(5) == 5
    assert publisher.drop_stored(5) == 0
    publisher.close()
