"""`python -I -m switchgear.app ROLE FD`: how the supervisor starts its children. Level 6.

The order matters: import, read what only the first user may read, become another user, close the cell, and only then touch
anything that came from outside (docs/invariants.md P1, P2).
"""

import functools
import gc
import importlib
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from switchgear.app import cells, child, ownership
from switchgear.app.boot import Boot, from_fd
from switchgear.app.layout import Layout
from switchgear.app.report import begin
from switchgear.confine import cell, privileges
from switchgear.core.errors import SpoolFullError, UserError
from switchgear.core.guard import place_of

ROLES = frozenset({"edge", "vault", "control", "courier", "demo"})

IMPORTED_LATE = ("encodings.idna", "lmdb._envid", "stringprep", "traceback", "linecache")
"""What libraries import when they first need it: too late, where the cell is closed to them."""


def confine(boot: Boot) -> None:
    """Become who this child is, and lock it in. Raises UserError when confinement is demanded and does not hold."""
    # Nobody outside the gateway's own groups reads a file; what the vault writes, control reads and never changes.
    os.umask(0o077 if boot.user is None else 0o027 if boot.role == "vault" else 0o007)
    os.chdir(boot.data)
    is_closed = boot.user is not None and not ownership.is_reachable(Path(boot.data))
    if is_closed:
        boot.data = "/" if boot.role == "control" else "."
    root = (
        str(Path.cwd()) if is_closed and boot.role == "control" else ""
    )  # SQLite takes no path that it cannot resolve
    own = cells.cell_of(boot.role, boot.number, Layout(Path(boot.data)), root, boot.identity_fd, boot.ports)
    boot.held = cell.lock(own, boot.user)
    if boot.must_confine and boot.held.missing:
        raise UserError(
            f"{boot.role}: {boot.held.missing[0]}",
            "listen on loopback only, or use a kernel that confines: switchgear doctor",
            2,
        )


def _on_end(boot: Boot, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends this process: one line that says it, and where."""
    text = f"{kind.__name__} in {place_of(error)}"
    child.tell_failure(boot, text)
    child.report(f"ends: {text}\n" + "".join(traceback.format_exception(kind, error, trace)), "error")


def main() -> int:
    """Run one child."""
    role, fd = sys.argv[1], int(sys.argv[2])
    if role not in ROLES:
        return 2
    boot = from_fd(fd, Boot)
    begin(f"{role}-{boot.number}" if role == "edge" else role, boot.log)
    privileges.no_core()
    sys.excepthook = functools.partial(_on_end, boot)
    gc.disable()  # nothing dies while modules are imported: looking for it is a sixth of a start. `Child.ready` goes on
    module = importlib.import_module(f"switchgear.app.{role}")
    for late in IMPORTED_LATE:
        importlib.import_module(late)
    try:
        prepared = module.prepare(boot)
        confine(boot)
        child.run(module.main, boot, prepared)
    except UserError as exc:
        child.tell_failure(boot, str(exc))
        child.report(str(exc), "error", hint=exc.hint or None)
        return exc.exit_code
    except SpoolFullError:
        said = f"the disk of {boot.data} is full: there is no room for a spool"
        child.tell_failure(boot, said)
        child.report(said, "error", hint="free space there")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
