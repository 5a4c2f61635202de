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
from switchgear.wire import records

_SEGMENT = re.compile(r"([0-9]{8})\.seg")
_ID = re.compile(rb"[0-9a-f]{32}\n?")
FILE_BYTES_MAX = 512 * 1024 * 1024
"""No segment is larger: who reads one whole does not read what a compromised process made of a sparse file."""

NUMBER_LAST = 90_000_000
"""No honest spool comes so far (a segment a second for three years); names have room for ten million more."""
NAMES_MAX = 200_000
"""Files of one folder that are looked through: a backlog of 8 GiB has 512, and each look at so many takes 0.2 s."""
BEGINNING_BYTES = 4_096
_ODD = frozenset({errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EPERM})


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments present, ascending. Raises RecordError for a folder that was filled with files."""
    return sorted(segments(folder))


def segments(folder: Path) -> dict[int, int]:
    """Return the inodes of the segments present, by number. Raises RecordError for a folder that was filled with files."""
    found = {}
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= NAMES_MAX:
                raise RecordError(f"{folder.name} holds more than {NAMES_MAX:,} files")
            match = _SEGMENT.fullmatch(entry.name)
            if match:
                found[int(match.group(1))] = entry.inode()
    return found


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


def beginning(path: Path, seed: int) -> records.Segment | None:
    """Return the first record of a segment; None where nothing was written yet. Raises RecordError for what does not begin as one
    does, OSError. A segment appears under its name with its first record in it, but a power cut may take that."""
    fd = open_to_read(path)
    try:
        data = os.pread(fd, BEGINNING_BYTES, 0)
    finally:
        os.close(fd)
    found = records.parse(seed, 0, data, 0)
    if found is None and not any(data):
        return None
    record = records.decode_payload(found[0], found[2]) if found is not None else None
    if not isinstance(record, records.Segment):
        raise RecordError(f"{path.name} does not begin as a segment does")
    return record


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
    """Return the spool's id, made at first use, and anew where a compromised process left none that can be read: what it wrote
    under the old one is read by nobody then, and the double entry tells of it."""
    try:
        return read_id(folder)
    except FileNotFoundError:
        pass
    except (RecordError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno not in _ODD:
            raise
        set_aside(folder / "id", entropy)
        (folder / "id.new").unlink(missing_ok=True)
    spool_id = entropy(16).hex()
    write_durably(folder / "id", spool_id.encode() + b"\n")
    return spool_id


def set_aside(path: Path, entropy: Entropy) -> None:
    """Move what is not what its name says to a name that nobody reads. Raises OSError."""
    path.rename(path.with_name(f"{path.name}.{entropy(4).hex()}.bad"))


def try_lock(folder: Path, entropy: Entropy) -> int | None:
    """Take the writer's lock. Returns the descriptor to keep open, or None when another process lives."""
    try:
        fd = _open_lock(folder)
    except OSError as exc:
        if exc.errno not in _ODD:
            raise
        set_aside(folder / "lock", entropy)  # nobody holds a lock that is a folder or a link: a predecessor left it
        fd = _open_lock(folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def prepare(folder: Path, entropy: Entropy) -> None:
    """Make a folder usable whatever a compromised predecessor left in it. Call with the writer's lock. Raises OSError."""
    try:
        segment_numbers(folder)
    except RecordError:
        empty(folder, entropy)  # a flood of files: nobody could read its way through
    following = folder / "next"
    if following.is_symlink() or (following.exists() and not following.is_file()):
        set_aside(following, entropy)


def empty(folder: Path, entropy: Entropy) -> None:
    """Remove all but the lock; the id too, so that whoever read there begins anew. Raises OSError."""
    for name in os.listdir(folder):
        if name == "lock":
            continue
        try:
            (folder / name).unlink()
        except (IsADirectoryError, PermissionError):
            set_aside(folder / name, entropy)


def _open_lock(folder: Path) -> int:
    return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o660)
