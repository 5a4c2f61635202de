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
from switchgear.counters.shared import SharedCounters

GEOMETRY = Geometry(windows=32_768, slots=16_384, balances=65_536, holds=32_768)
"""19 MB for each edge and for control: 32,768 limits that count at the same time, as many holds of one edge's open requests, and
65,536 balances of budgets."""
TRIES, TRY_AGAIN_S = 20, 0.01
STORE = bytes(16)
"""Limits are of no store, and control gives the balances of budgets at each of its starts."""
CONTROL = "control"


def names(workers: int) -> list[str]:
    """Return the columns' names: those of the edges, and control's."""
    return [*(f"edge-{number}" for number in range(workers)), CONTROL]


def prepare(layout: Layout, workers: int, geometry: Geometry = GEOMETRY) -> list[str]:
    """Make the files that are missing, damaged or of another boot, and remove those of edges that there are no more. Returns what
    was made. While no edge runs. Raises UserError where the disk is full."""
    wanted = names(workers)
    try:
        for path in layout.counters.glob(f"*{column.SUFFIX}*"):
            if path.name.removesuffix(column.SUFFIX) not in wanted:
                path.unlink()
        made = column.prepare(layout.counters, wanted, geometry, STORE, boot.boot_id(), os.urandom)
        if made and CONTROL not in made:  # what one column counted is gone: all balances are given again
            column.forget_balances(layout.counters, CONTROL)
        return made
    except OSError as exc:
        raise UserError(
            f"the counters of limits cannot be made in {layout.counters}: {exc.strerror}",
            f"{geometry.file_bytes * len(wanted) // 1_000_000} MB are needed there",
            2,
        ) from None


def give(layout: Layout, who: ProcessUsers, workers: int) -> None:
    """Give each edge its own file, and let the others read it; as root, while nothing else runs."""
    for number in range(workers):
        _give(column.path_of(layout.counters, f"edge-{number}"), who.edge(number).uid, who.gates)
    _give(column.path_of(layout.counters, CONTROL), who.control.uid, who.gates)
    _give(layout.counters / column.LOCK, 0, who.gates)


def _give(path: Path, uid: int, gid: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, uid, gid)
        os.fchmod(fd, 0o640)
    finally:
        os.close(fd)


def open_control(layout: Layout) -> SharedCounters:
    """Take control's column over. Raises RecordError or OSError for a file that is none, BlockingIOError while its last owner does
    not end."""
    others = [name.removesuffix(column.SUFFIX) for name in os.listdir(layout.counters) if name.endswith(column.SUFFIX)]
    return SharedCounters(layout.counters, CONTROL, others, boot.now_us, lambda seconds: None, CONTROL)


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
