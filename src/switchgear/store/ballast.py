"""Disk space that is kept for the moment when there is none. Level 2 (docs/invariants.md L3).

On a full disk an operator must still be able to stop somebody: a revocation or a freeze gives up a file of ballast and is tried
again in the same breath, before anybody else can take the room. (Settlements need none: spools are allocated in advance.)
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb
from sqlalchemy.exc import DatabaseError

T = TypeVar("T")

FILES = 4
FILE_BYTES = 2 * 1024 * 1024
"""One revocation writes some pages of the replica and of SQLite's log: tens of KiB."""
FULL_BYTES = 1024 * 1024
"""A disk with less room than this is full, whatever the error said."""
FREE_BYTES_MIN = 8 * FILES * FILE_BYTES
"""The least free space of a disk that ballast is taken from: on a nearly full disk others need the room more."""


class Ballast:
    """Some allocated files in a folder that only their owner writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def prepare(self) -> bool:
        """Allocate what is missing, when the disk has room again; returns whether all of it is there."""
        with self._lock:
            missing = [path for path in self._paths() if not path.exists()]
            for path in missing:
                if _free(self._folder) < FREE_BYTES_MIN:
                    return False
                try:
                    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                    try:
                        os.posix_fallocate(fd, 0, FILE_BYTES)
                    finally:
                        os.close(fd)
                except OSError:
                    with contextlib.suppress(OSError):
                        path.unlink()
                    return False
            return True

    def spend(self, function: Callable[[], T]) -> T:
        """Do something that must not fail for want of disk space. Raises what it raises once the ballast is gone, or when the
        disk is not full."""
        while True:
            try:
                return function()
            except (OSError, DatabaseError, lmdb.Error):
                if _free(self._folder) >= FULL_BYTES or not self._drop():
                    raise

    def _drop(self) -> bool:
        with self._lock:
            for path in self._paths():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    return True
        return False

    def _paths(self) -> list[Path]:
        return [self._folder / f"ballast-{number}" for number in range(FILES)]


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
