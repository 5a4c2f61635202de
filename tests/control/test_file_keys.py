import hashlib

import pytest

from switchgear.config.compile import Compiled, FileKey
from switchgear.control import file_keys
from switchgear.control.publication import KEYS_FEW
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects
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
