"""What each process may touch. Level 6: one table, read by every child (docs/invariants.md P1)."""

import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from switchgear.app.layout import Layout
from switchgear.confine.cell import Cell
from switchgear.counters import column

DNS_PORT = 53
"""Names are asked for over UDP, and over TCP where an answer is long."""


def libraries() -> tuple[str, ...]:
    """Return where this program and its libraries lie. They hold no secret."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {str(Path(__file__).parent.parent), str(Path(sys.base_prefix) / "lib"), str(Path(sys.prefix) / "lib")}
    return tuple(sorted({str(Path(path).resolve()) for path in {*found, *site.getsitepackages()} if path}))


def cell_of(
    role: str, number: int, layout: Layout, root: str = "", identity_fd: int = -1, ports: Iterable[int] = ()
) -> Cell:
    """Return a role's cell; paths are below `root`, if there is one. Files that hold secrets (pepper, KEK, TLS key) are
    read before it closes, and are not in it; the vault goes on reading the platform's tokens in the folder `identity_fd`, and the
    courier reaches `ports` only."""
    reads = libraries()
    if role == "edge":
        own = str(column.path_of(layout.counters, f"edge-{number}"))
        return Cell(
            reads=(*reads, str(layout.replica), str(layout.counters)),
            keeps=(str(layout.edge_spool(number)),),
            writes=(own,),
        )
    if role == "vault":
        return Cell(
            reads=reads,
            reads_opened=(identity_fd,) if identity_fd >= 0 else (),
            keeps=(str(layout.vault), str(layout.journal)),
            serves=(str(layout.vault_run),),
            goes_out=True,
        )
    if role == "courier":
        return Cell(reads=reads, serves=(str(layout.courier_run),), goes_out=True, ports=(DNS_PORT, *ports))
    if role == "control":
        return Cell(
            reads=(*reads, str(layout.run), str(layout.counters)),
            writes=(str(column.path_of(layout.counters, "control")),),
            keeps=(str(layout.store.parent), str(layout.replica), str(layout.spool), str(layout.control_run)),
            serves=(str(layout.control_run),),
            root=root,
        )
    return Cell(reads=reads)
