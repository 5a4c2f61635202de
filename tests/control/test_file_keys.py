import hashlib

import pytest
from sqlalchemy import update

from switchgear.config.compile import Compiled, FileKey
from switchgear.control import file_keys
from switchgear.control.file_keys import KEYS_FEW
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects, tables
from switchgear.store.objects import KeyRow

PEPPERS = {1: b"p" * 32}
NOW_MS = 1_000_000


def declares(*names, **more):
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    return Compiled(keys=tuple(FileKey(name=name, sha256=digests[name], **more) for name in names))


def sync(desk, compiled, keep=False):
    return desk.store.write(lambda c: file_keys.sync(c, compiled, PEPPERS, NOW_MS, keep)).result()


def check(desk, compiled, drop=False):
    desk.read(file_keys.check, compiled, PEPPERS, NOW_MS, drop)


def live(desk):
    return {row.name: row.version for row in desk.read(objects.keys) if row.revoked_ms is None}


def test_keys_of_the_file_come_change_and_go_and_what_goes_is_revoked(desk):
    sync(desk, declares("a", "b"))
    assert live(desk) == {"a": 1, "b": 1}
    sync(desk, declares("a", "b"))
    assert live(desk) == {"a": 1, "b": 1}, "what is the same is not a new version"
    sync(desk, declares("a", team="red"))
    assert live(desk) == {"a": 2}
    assert {row.name for row in desk.read(objects.keys)} == {"a", "b"}, "its history stays"
    sync(desk, declares("a", "b", team="red"))
    assert live(desk)["b"] == 3, "a key that comes back holds again"


def test_a_name_of_a_stored_key_is_a_conflict(desk):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="a"), "ann"))
    with pytest.raises(ConflictError, match="in the file and in the store"):
        sync(desk, declares("a"))


def test_the_secret_of_a_stored_key_is_a_conflict(desk):
    digest = hashlib.sha256(b"a").digest()
    desk.run(lambda: desk.services.keys.take_over(KeyRow(id="", name="theirs"), digest, 0, "ann"))
    with pytest.raises(ConflictError, match="the key 'a' of the file is the key 'theirs' of the store"):
        check(desk, declares("a"))


def test_a_file_that_would_revoke_over_half_of_all_keys_is_refused_unless_meant(desk):
    names = [f"k{n}" for n in range(KEYS_FEW)]
    sync(desk, declares(*names))
    few = declares(*names[: KEYS_FEW // 2 - 1])
    with pytest.raises(UserError, match="6 keys would be revoked, over half of all: k4, k5, k6, k7, k8, …"):
        check(desk, few)
    check(desk, few, drop=True)
    assert sorted(sync(desk, few, keep=True)) == names[KEYS_FEW // 2 - 1 :]
    assert len(live(desk)) == KEYS_FEW, "at a start they stay as they are"
    assert sync(desk, few) == [] and len(live(desk)) == KEYS_FEW // 2 - 1


def test_half_of_a_few_keys_may_go(desk):
    names = [f"k{n}" for n in range(KEYS_FEW - 1)]
    sync(desk, declares(*names))
    check(desk, declares())


def forge(desk, key, **values):
    change = update(tables.keys).where(tables.keys.c.name == key).values(**values)
    desk.store.write(lambda c: c.execute(change)).result()


def test_S5_a_row_of_the_file_that_somebody_else_changed_is_written_again(desk):
    sync(desk, declares("a", "b"))
    forge(desk, "a", policy=b"{}", source="store", version=7)
    file_keys_of = declares("a", "b")
    versions = {row.id: 3 for row in desk.read(objects.keys)}
    desk.store.write(
        lambda c: file_keys.sync(c, file_keys_of, PEPPERS, NOW_MS, published=lambda key_id: versions[key_id])
    ).result()
    assert live(desk) == {"a": 4, "b": 4}, "newer than what was published"
    assert not any(row.is_forged for row in desk.read(objects.keys))


def test_S5_a_name_that_somebody_else_took_stops_no_other_key(desk):
    sync(desk, declares("a", "b"))
    forge(desk, "a", name="x")
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="c"), "ann"))
    forge(desk, "c", name="d")
    check(desk, declares("a", "b", "d"))
    sync(desk, declares("a", "b", "d"))
    rows = {row.name: row.is_forged for row in desk.read(objects.keys)}
    assert rows == {"a": False, "b": False, "d": True}
