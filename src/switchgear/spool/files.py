"""Names and locks of a spool's folder. Level 2.

A folder is open to its writer and, by its group, to control; modes are for that (app/ownership). It holds `id` (the spool's
random id), `lock` (held exclusively by the writer for its life: the lock, never a pid, says who lives), `NNNNNNNN.seg` and,
prepared ahead, `next`.
"""

import errno
import fcntl
import os
import re
import stat
from pathlib import Path

from switchgear.core.errors import RecordError
from switchgear.core.ids import Entropy

_SEGMENT = re.compile(r"([0-9]{8})\.seg")
_ID = re.compile(rb"[0-9a-f]{32}\n?")
FILE_BYTES_MAX = 512 * 1024 * 1024
"""No segment is larger: who reads one whole does not read what a compromised process made of a sparse file."""


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments present, ascending."""
    found = (_SEGMENT.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match.group(1)) for match in found if match)


def open_to_read(path: Path) -> int:
    """Open a file that another process made. Links, pipes and devices are refused (RecordError): reading a pipe would never
    end, and a link may lead to the database, whose locks vanish when another descriptor of it is closed. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno in {errno.ELOOP, errno.ENXIO}:
            raise RecordError(f"{path.name} is no regular file") from None
        raise
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_size > FILE_BYTES_MAX:
        os.close(fd)
        raise RecordError(f"{path.name} is {'too large' if stat.S_ISREG(info.st_mode) else 'no regular file'}")
    return fd


def read_whole(path: Path) -> bytes:
    """Return what a segment holds, at most FILE_BYTES_MAX. Raises RecordError, OSError."""
    fd = open_to_read(path)
    with os.fdopen(fd, "rb") as file:
        return file.read(FILE_BYTES_MAX)


def read_id(folder: Path) -> str:
    """Return a spool's id. Raises FileNotFoundError where there is none yet, RecordError for what is none."""
    fd = open_to_read(folder / "id")
    try:
        found = os.read(fd, 64)
    finally:
        os.close(fd)
    if not _ID.fullmatch(found):
        raise RecordError(f"the id of spool {folder.name} is none")
    return found.strip().decode("ascii")


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
    try:
        return read_id(folder)
    except FileNotFoundError:
        spool_id = entropy(16).hex()
        write_durably(folder / "id", spool_id.encode() + b"\n")
        return spool_id


def try_lock(folder: Path) -> int | None:
    """Take the writer's lock. Returns the descriptor to keep open, or None when another process lives."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
