"""Names and locks of a spool's folder. Level 2.

A folder is open to its writer and, by its group, to control; modes are for that (app/ownership). It holds `id` (the spool's
random id), `lock` (held exclusively by the writer for its life: the lock, never a pid, says who lives), `NNNNNNNN.seg` and,
prepared ahead, `next`.
"""

import fcntl
import os
import re
from pathlib import Path

from switchgear.core.ids import Entropy

_SEGMENT = re.compile(r"([0-9]{8})\.seg")


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments present, ascending."""
    found = (_SEGMENT.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match.group(1)) for match in found if match)


def sync_folder(folder: Path) -> None:
    """Make renames and unlinks in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace a file as one step: a crash leaves the old content or the new one."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_folder(path.parent)


def read_or_create_id(folder: Path, entropy: Entropy) -> str:
    """Return the spool's id, made at first use."""
    path = folder / "id"
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        spool_id = entropy(16).hex()
        write_durably(path, spool_id.encode() + b"\n")
        return spool_id


def try_lock(folder: Path) -> int | None:
    """Take the writer's lock. Returns the descriptor to keep open, or None when another process lives."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
