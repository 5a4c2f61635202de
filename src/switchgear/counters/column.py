"""A column's file: made, checked, mapped, recovered. Level 2.

Only its owner writes to it (by its user and Landlock), under a lock of the file that it holds for its life: the lock says who
lives, never a pid. Files are allocated when they are made, since a hole on a full disk would be a SIGBUS.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from switchgear.core.errors import RecordError
from switchgear.core.ids import Entropy
from switchgear.counters import layout
from switchgear.counters.layout import HOLD_WORDS, WORD, Geometry, Identity
from switchgear.policies.buckets import Kind

SUFFIX = ".column"
LOCK = "lock"
SCANNED_ROWS = 1_024
"""Rows that are looked at together: empty stretches are passed quickly."""


def path_of(folder: Path, name: str) -> Path:
    """Return where a column is."""
    return folder / f"{name}{SUFFIX}"


def prepare(
    folder: Path, names: Sequence[str], geometry: Geometry, store: bytes, boot: bytes, entropy: Entropy
) -> list[str]:
    """Make the columns that are missing, damaged, of another geometry, store, boot or version, and remove others of that kind;
    returns the names of those that were made.

    `names` has those of `present` as well: a column whose process is no longer started may still count. Before their owners
    start: nobody may have them mapped. Where one was made again, balances are unknown until control gives them (the caller
    zeroes EPOCH with `forget_balances`). Raises OSError where the disk is full.
    """
    geometry.check()
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.close(os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    salt, made = None, []
    for name in names:
        try:
            identity = read_identity(path_of(folder, name))
        except (RecordError, OSError):
            made.append(name)
            continue
        wanted = Identity(geometry=geometry, store=store, boot=boot, salt=salt or identity.salt)
        if identity != wanted:
            made.append(name)
        salt = salt or (identity.salt if identity == wanted else None)
    identity = Identity(geometry=geometry, store=store, boot=boot, salt=salt or entropy(16))
    for name in made:
        _make(path_of(folder, name), identity)
    for name in set(_names(folder)) - set(names):
        if not _is(path_of(folder, name), identity):
            path_of(folder, name).unlink()
    return made


def present(folder: Path, geometry: Geometry, store: bytes, boot: bytes) -> list[str]:
    """Return the columns that count for this store and boot, also those whose processes are no longer started."""
    found = []
    for name in _names(folder):
        try:
            identity = read_identity(path_of(folder, name))
        except (RecordError, OSError):
            continue
        if (identity.geometry, identity.store, identity.boot) == (geometry, store, boot):
            found.append(name)
    return sorted(found)


def _names(folder: Path) -> list[str]:
    try:
        return [name.removesuffix(SUFFIX) for name in os.listdir(folder) if name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []


def _is(path: Path, identity: Identity) -> bool:
    try:
        return read_identity(path) == identity
    except (RecordError, OSError):
        return False


def _make(path: Path, identity: Identity) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, identity.geometry.file_bytes)
        os.pwrite(fd, identity.encode(), 0)
    finally:
        os.close(fd)
    temporary.rename(path)


def read_identity(path: Path) -> Identity:
    """Return what a column says it is. Raises RecordError for what is none, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return Identity.decode(os.pread(fd, 256, 0), os.fstat(fd).st_size)
    except RecordError as exc:
        raise RecordError(f"{path.name}: {exc}") from None
    finally:
        os.close(fd)


class Column:
    """One column, mapped."""

    def __init__(self, path: Path, identity: Identity | None = None, is_own: bool = False) -> None:
        """Map a column, to write where it is the own one. `identity`: what it must be.

        Raises RecordError where it is something else, BlockingIOError where another process owns it, OSError.
        """
        self.path = path
        self.fd = os.open(path, (os.O_RDWR if is_own else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if is_own:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._info = os.fstat(self.fd)
            try:
                self.identity = Identity.decode(os.pread(self.fd, 256, 0), self._info.st_size)
            except RecordError as exc:
                raise RecordError(f"{path.name}: {exc}") from None
            if identity is not None and identity != self.identity:
                raise RecordError(f"{path.name}: it is of another boot, store or size")
            access = mmap.ACCESS_WRITE if is_own else mmap.ACCESS_READ
            self.map = mmap.mmap(self.fd, self._info.st_size, access=access)
        except BaseException:
            os.close(self.fd)
            raise
        self.view = memoryview(self.map)
        self.words = self.view.cast("q")
        self.counts = self.view.cast("I")
        self.geometry = self.identity.geometry
        self.tables_at: dict[int, int] = {kind: self.geometry.table_at(kind) for kind in Kind}
        """The word at which each table begins."""

    def close(self) -> None:
        """Let go: the owner's lock ends with it."""
        for view in (self.words, self.counts, self.view):
            view.release()
        self.map.close()
        os.close(self.fd)

    def is_whole(self) -> bool:
        """Tell whether the file under the path is still this one and as it was: not replaced, cut, or another's header."""
        try:
            info = os.stat(self.path, follow_symlinks=False)
            is_same = (info.st_ino, info.st_dev, info.st_size) == (
                self._info.st_ino,
                self._info.st_dev,
                self._info.st_size,
            )
            return is_same and Identity.decode(os.pread(self.fd, 256, 0), info.st_size) == self.identity
        except (OSError, RecordError):
            return False

    def recover(self) -> list[int]:
        """Finish what a killed owner left half done, and return the numbers of the holds that are open. Under the lock.

        A settlement that was begun is finished: AFTER says what its count becomes, so doing it twice is the same. Sums of what is
        held are made again of the holds themselves, and totals of windows of their counts.
        """
        words, geometry = self.words, self.geometry
        held: dict[tuple[int, int], list[int]] = {}
        open_holds = []
        states = words[layout.HEADER_WORDS : geometry.table_at(layout.WINDOW) : HOLD_WORDS].tolist()
        for number, state in enumerate(states):
            if state < 0:
                self._finish(number)
            elif state > 0:
                open_holds.append(number)
                at = layout.HEADER_WORDS + number * HOLD_WORDS
                place, row = words[at + layout.H_PLACE], words[at + layout.H_ROW]
                kind = place & 7
                if words[self.row_at(kind, row) + layout.CLAIM] == words[at + layout.H_CLAIM]:
                    sums = held.setdefault((kind, row), [0, 0])
                    sums[0] += words[at + layout.H_AMOUNT] if place & layout.IN_SUM else 0
                    sums[1] += words[at + layout.H_AMOUNT] if place & layout.UNCERTAIN else 0
        for kind in Kind:
            self._sum_up(kind, held)
        words[layout.HOLDING] = 0
        return open_holds

    def row_at(self, kind: int, row: int) -> int:
        """Return the word at which a row begins."""
        return self.tables_at[kind] + row * layout.ROW_WORDS[kind]

    def _finish(self, number: int) -> None:
        words = self.words
        at = layout.HEADER_WORDS + number * HOLD_WORDS
        kind = words[at + layout.H_PLACE] & 7
        row_at = self.row_at(kind, words[at + layout.H_ROW])
        if words[row_at + layout.CLAIM] == words[at + layout.H_CLAIM]:
            if kind == layout.BALANCE:
                words[row_at + layout.B_SETTLED] = words[at + layout.H_AFTER]
            elif kind == layout.WINDOW and words[at + layout.H_NUMBER] > words[row_at + layout.W_LAST] - 64:
                counts_at = 2 * (row_at + layout.COUNTS_AT)
                self.counts[counts_at + words[at + layout.H_NUMBER] % 64] = words[at + layout.H_AFTER]
        words[at + layout.H_STATE] = 0

    def _sum_up(self, kind: int, held: dict[tuple[int, int], list[int]]) -> None:
        words, width, rows = self.words, layout.ROW_WORDS[kind], self.geometry.rows(kind)
        for (of, row), sums in held.items():
            if of == kind:
                self._sum_up_row(kind, self.row_at(kind, row), *sums)
        seen = layout.TAG if kind == layout.WINDOW else layout.HELD_AT[kind]
        for first in range(0, rows, SCANNED_ROWS):
            begin, end = self.row_at(kind, first), self.row_at(kind, min(rows, first + SCANNED_ROWS))
            values = words[begin + seen : end : width].tolist()
            if any(values):
                for row in [row for row, value in enumerate(values, first) if value and (kind, row) not in held]:
                    self._sum_up_row(kind, self.row_at(kind, row), 0, 0)

    def _sum_up_row(self, kind: int, at: int, total: int, uncertain: int) -> None:
        words = self.words
        words[at + layout.HELD_AT[kind]] = total
        if kind == layout.BALANCE:
            words[at + layout.B_UNCERTAIN] = uncertain
        elif kind == layout.WINDOW:
            counts_at = 2 * (at + layout.COUNTS_AT)
            words[at + layout.W_TOTAL] = sum(self.counts[counts_at : counts_at + 64])


def holders(locks: str, inode: int) -> set[int]:
    """Return the processes that have a lock (flock) on a file, by the text of /proc/locks. Devices are not compared: some file
    systems name another one there. https://man7.org/linux/man-pages/man5/proc_locks.5.html (read 2026-11-27)."""
    rows = [line.split() for line in locks.splitlines()]
    return {
        int(row[4])
        for row in rows
        if len(row) == 8
        and row[1] == "FLOCK"
        and row[5].rpartition(":")[2] == str(inode)  # who waits has one more word
    }


def forget_balances(folder: Path, control: str) -> None:
    """Say that balances are unknown until control gave them. While no process of the gateway runs."""
    column = Column(path_of(folder, control), is_own=True)
    column.words[layout.EPOCH] = 0
    column.close()


def stuck(folder: Path, names: Sequence[str], now_us: int, after_us: int = 1_000_000) -> list[str]:
    """Return the columns whose processes have held the lock for longer than a second: they are stopped or hang, and whoever
    started them ends them (the lock goes with them)."""
    found = []
    for name in names:
        try:
            fd = os.open(path_of(folder, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            since = int.from_bytes(os.pread(fd, WORD, layout.HOLDING * WORD), "little")
        finally:
            os.close(fd)
        if since and now_us - since > after_us:
            found.append(name)
    return found
