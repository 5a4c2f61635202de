"""Rules: what a kernel of any version can take away. What they do is tried in tests/confine/test_cell.py."""

import itertools

from switchgear.confine import landlock


def test_later_versions_take_away_more():
    rights = landlock.FS_RIGHTS_BY_ABI
    assert all(before & after == before for before, after in itertools.pairwise(rights))
    assert rights[0] == 0 and rights[1] & landlock.REFER == 0 and rights[3] & landlock.TRUNCATE


def test_reading_is_not_writing_and_serving_is_not_keeping():
    assert landlock.READ & (landlock.WRITE_FILE | landlock.MAKE_REG | landlock.REMOVE_FILE | landlock.EXECUTE) == 0
    assert landlock.KEEP & (landlock.MAKE_SOCK | landlock.EXECUTE | landlock.MAKE_DIR) == 0
    assert landlock.SERVE & (landlock.READ_FILE | landlock.WRITE_FILE | landlock.MAKE_REG) == 0


def test_without_landlock_the_version_is_zero(monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(landlock.kernel, "syscall", refuse)
    assert landlock.abi() == 0
    assert landlock.restrict([], may_connect=False) == 0
