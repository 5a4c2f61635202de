"""docs/invariants.md L3: on a full disk somebody can still be stopped."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from switchgear.store import ballast
from switchgear.store.ballast import FILE_BYTES, FILES, Ballast

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "ab", 0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
        try:
            while True:
                file.write(b"x")
        except OSError:
            pass


@needs_root
def test_L3_ballast_is_given_up_until_the_work_is_done_and_taken_again_later(small):
    kept = Ballast(small)
    assert kept.prepare()
    fill(small)

    def work():
        (small / "row").write_bytes(bytes(FILE_BYTES + 1))  # more than one file's room
        return "done"

    with pytest.raises(OSError, match="No space"):
        work()
    assert kept.spend(work) == "done"
    assert not kept.prepare(), "the disk is still full"
    (small / "filler").unlink()
    assert kept.prepare()
    assert len(list(small.glob("ballast-*"))) == FILES


@needs_root
def test_L3_when_the_ballast_is_gone_the_error_is_told(small):
    kept = Ballast(small)
    kept.prepare()
    fill(small)
    with pytest.raises(OSError, match="No space"):
        kept.spend(lambda: (small / "row").write_bytes(bytes(100 << 20)))
    assert list(small.glob("ballast-*")) == []


def test_other_errors_spend_nothing(tmp_path):
    kept = Ballast(tmp_path)
    assert kept.prepare()
    calls = []

    def fails():
        calls.append(1)
        raise OSError(errno.EIO, "the disk is broken")

    with pytest.raises(OSError, match="broken"):
        kept.spend(fails)
    assert len(calls) == 1 and len(list(tmp_path.glob("ballast-*"))) == FILES


def test_a_disk_with_little_room_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(ballast, "FREE_BYTES_MIN", 1 << 60)
    assert not Ballast(tmp_path).prepare()
    assert list(tmp_path.iterdir()) == []
