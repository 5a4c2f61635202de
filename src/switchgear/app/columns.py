"""The files in which the edges count what is limited: made before they start, and given to them. Level 6 (decision 062).

Each edge writes its own and reads the others'. They hold nothing but counts of the present boot, and need no backup.
"""

import fcntl
import os
import time
from pathlib import Path

from switchgear.app.layout import Layout
from switchgear.app.ownership import ProcessUsers
from switchgear.core.errors import UserError
from switchgear.counters import boot, column
from switchgear.counters.layout import Geometry

GEOMETRY = Geometry(windows=32_768, slots=16_384, balances=4_096, holds=32_768)
"""15 MB for each edge: 32,768 limits that count at the same time, and as many holds of one edge's open requests."""
TRIES, TRY_AGAIN_S = 20, 0.01
STORE = bytes(16)
"""Limits are of no store: nothing of them is in the ledger."""


def names(workers: int) -> list[str]:
    """Return the columns' names: those of the edges."""
    return [f"edge-{number}" for number in range(workers)]


def prepare(layout: Layout, workers: int, geometry: Geometry = GEOMETRY) -> list[str]:
    """Make the files that are missing, damaged or of another boot, and remove those of edges that there are no more. Returns what
    was made. While no edge runs. Raises UserError where the disk is full."""
    wanted = names(workers)
    try:
        for path in layout.counters.glob(f"*{column.SUFFIX}*"):
            if path.name.removesuffix(column.SUFFIX) not in wanted:
                path.unlink()
        return column.prepare(layout.counters, wanted, geometry, STORE, boot.boot_id(), os.urandom)
    except OSError as exc:
        raise UserError(
            f"the counters of limits cannot be made in {layout.counters}: {exc.strerror}",
            f"{geometry.file_bytes * workers // 1_000_000} MB are needed there",
            2,
        ) from None


def give(layout: Layout, who: ProcessUsers, workers: int) -> None:
    """Give each edge its own file, and let the others read it; as root, while nothing else runs."""
    for number in range(workers):
        _give(column.path_of(layout.counters, f"edge-{number}"), who.edge(number).uid, who.gates)
    _give(layout.counters / column.LOCK, 0, who.gates)


def _give(path: Path, uid: int, gid: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, uid, gid)
        os.fchmod(fd, 0o640)
    finally:
        os.close(fd)


def keepers(layout: Layout) -> set[int]:
    """Return the processes that have the counters' lock and do not let go of it for 0.2 s; whoever uses it has it for a few
    milliseconds. This does not depend on what an edge writes into its column."""
    try:
        fd = os.open(layout.counters / column.LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return set()
    try:
        for _ in range(TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(TRY_AGAIN_S)
            else:
                return set()
        return column.holders(Path("/proc/locks").read_text(), os.fstat(fd).st_ino)
    except OSError:
        return set()
    finally:
        os.close(fd)


def stuck(layout: Layout, workers: int) -> list[str]:
    """Return the edges that have held the counters' lock for over a second."""
    return column.stuck(layout.counters, names(workers), boot.now_us())
