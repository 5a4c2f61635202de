"""Cells: the table of what each process may touch."""

from pathlib import Path

from switchgear.app import cells
from switchgear.app.layout import Layout

LAYOUT = Layout(Path("/D"))
ROLES = ("edge", "vault", "control", "demo")


def touches(role):
    cell = cells.cell_of(role, 0, LAYOUT)
    return {path for path in (*cell.reads, *cell.keeps, *cell.writes, *cell.serves) if path.startswith("/D")}


def test_P1_only_the_vault_reaches_its_box_and_goes_out():
    for role in ROLES:
        cell = cells.cell_of(role, 0, LAYOUT)
        assert cell.goes_out == (role == "vault")
        assert (str(LAYOUT.vault) in touches(role)) == (role == "vault")


def test_P1_an_edge_keeps_its_own_spool_and_column_and_reads_replica_and_counters():
    cell = cells.cell_of("edge", 1, LAYOUT)
    assert cell.keeps == ("/D/spool/edge-1",) and cell.serves == ()
    assert cell.writes == ("/D/counters/edge-1.column",)
    assert cells.cell_of("control", 0, LAYOUT).writes == ("/D/counters/control.column",)
    assert touches("edge") == {"/D/spool/edge-0", "/D/replica", "/D/counters", "/D/counters/edge-0.column"}


def test_C6_no_closed_cell_contains_the_pepper_or_the_kek():
    for role in ROLES:
        for path in (LAYOUT.pepper, LAYOUT.data, Path("/etc/switchgear/kek")):
            assert not any(path == Path(name) or Path(name) in path.parents for name in touches(role)), (role, path)


def test_P1_the_demo_provider_touches_nothing():
    assert touches("demo") == set()
