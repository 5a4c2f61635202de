"""The counters' files: made once, made again where they are not what they must be, given to their edges."""

import os
import stat
import subprocess
import sys

import pytest

from switchgear.app import columns, ownership
from switchgear.app.layout import Layout
from switchgear.core.errors import UserError
from switchgear.counters import column
from switchgear.counters.layout import Geometry

SMALL = Geometry(windows=32, slots=32, balances=32, holds=16)


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path)
    made.make(2)
    return made


def files(layout):
    return sorted(path.name for path in layout.counters.iterdir())


def test_a_column_for_each_edge_is_made_once(layout):
    assert columns.prepare(layout, 2, SMALL) == ["edge-0", "edge-1", "control"]
    assert files(layout) == ["control.column", "edge-0.column", "edge-1.column", "lock"]
    assert columns.prepare(layout, 2, SMALL) == [], "counts outlive a restart"


@pytest.mark.parametrize("damage", [b"", b"x", b"SGCOUNT1" + bytes(500)])
def test_N2_a_damaged_column_is_made_again(layout, damage):
    columns.prepare(layout, 2, SMALL)
    column.path_of(layout.counters, "edge-1").write_bytes(damage)
    assert columns.prepare(layout, 2, SMALL) == ["edge-1"]
    assert column.read_identity(column.path_of(layout.counters, "edge-1")) == column.read_identity(
        column.path_of(layout.counters, "edge-0")
    )


def test_columns_of_edges_that_there_are_no_more_are_removed(layout):
    columns.prepare(layout, 2, SMALL)
    columns.prepare(layout, 1, SMALL)
    assert files(layout) == ["control.column", "edge-0.column", "lock"]


def test_a_folder_that_cannot_be_written_is_told(layout):
    os.rmdir(layout.counters)
    layout.counters.write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        columns.prepare(layout, 2, SMALL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_N1_each_edge_owns_its_column_and_the_others_may_read_it(layout):
    who = ownership.ProcessUsers(59_100)
    columns.prepare(layout, 2, SMALL)
    columns.give(layout, who, 2)
    for number in range(2):
        info = column.path_of(layout.counters, f"edge-{number}").stat()
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (who.edge(number).uid, who.gates, 0o640)
    assert column.path_of(layout.counters, "control").stat().st_uid == who.control.uid
    assert (layout.counters / "lock").stat().st_uid == 0


def test_nobody_is_stuck_while_nobody_holds_the_lock(layout):
    columns.prepare(layout, 2, SMALL)
    assert columns.stuck(layout, 2) == []


def test_the_size_is_what_the_changelog_says():
    assert 18_000_000 < columns.GEOMETRY.file_bytes < 20_000_000


def test_who_keeps_the_lock_is_found_whatever_its_column_says(layout):
    columns.prepare(layout, 2, SMALL)
    assert columns.keepers(layout) == set()
    code = "import fcntl,sys; f=open(sys.argv[1]); fcntl.flock(f,fcntl.LOCK_EX); print(1,flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(layout.counters / column.LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        assert columns.stuck(layout, 2) == []
        assert columns.keepers(layout) == {holder.pid}
        holder.stdin.close()
    assert columns.keepers(layout) == set()
