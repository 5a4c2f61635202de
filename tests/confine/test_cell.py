"""A closed cell, tried from inside by a process of its own. Needs a kernel with Landlock; elsewhere it says so."""

import json
import os
import subprocess
import sys

import pytest

from switchgear.confine import cell, landlock
from switchgear.testing.patience import PATIENCE_S

TRY = """
import json, os, socket, sys, threading
from switchgear.confine import cell
inside, outside, port, person = json.loads(sys.argv[1])
listening = socket.socket(fileno=int(sys.argv[2])) if sys.argv[2] != "-" else None
held = cell.lock(
    cell.Cell(reads=(inside + "/read",), keeps=(inside + "/keep",), serves=(inside + "/serve",), goes_out=sys.argv[3] != "-",
              ports=json.loads(sys.argv[3]) if sys.argv[3][0] == "[" else ()),
    cell.ProcessUser(*person) if person else None,
)
def attempt(function):
    try:
        function()
    except OSError as exc:
        return exc.errno
    return 0
def bind(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
def tcp():
    socket.create_connection(("127.0.0.1", port), 1).close()
threads = []
thread = threading.Thread(target=lambda: threads.append(attempt(lambda: open(outside + "/secret"))))
thread.start()
thread.join()
print(json.dumps({
    "held": [held.uid, held.landlock, held.seccomp, list(held.missing)],
    "read": attempt(lambda: open(inside + "/read/file")),
    "write what may be read": attempt(lambda: open(inside + "/read/file", "a")),
    "keep": attempt(lambda: open(inside + "/keep/new", "w")),
    "serve": attempt(lambda: bind(inside + "/serve/s")),
    "serve elsewhere": attempt(lambda: bind(inside + "/keep/s")),
    "outside": attempt(lambda: open(outside + "/secret")),
    "outside, by a thread": threads[0],
    "link to the outside": attempt(lambda: open(inside + "/keep/link")),
    "list": attempt(lambda: os.listdir(outside)),
    "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
    "fork": attempt(os.fork),
    "signal": attempt(lambda: os.kill(os.getppid(), 0)),
    "tcp": attempt(tcp),
    "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "raw": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "truncate": attempt(lambda: os.truncate(outside + "/secret", 0)),
    "be root": attempt(lambda: os.setuid(0)),
}))
"""
needs_landlock = pytest.mark.skipif(bool(cell.probe()), reason=f"this kernel does not confine: {cell.probe()}")


def inmate(tmp_path, out="-", person=None):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside / "read", inside / "keep", inside / "serve", outside):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    (inside / "read" / "file").write_text("x")
    (outside / "secret").write_text("x")
    (inside / "keep" / "link").symlink_to(outside / "secret")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        out = json.dumps([port + number for number in out]) if isinstance(out, list) else out
        told = json.dumps([str(inside), str(outside), port, person])
        done = subprocess.run(
            [sys.executable, "-c", TRY, told, "-", out], capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    assert done.returncode == 0, done.stderr
    assert (outside / "secret").read_text() == "x"
    return json.loads(done.stdout)


@needs_landlock
def test_P1_inside_works_and_outside_does_not(tmp_path):
    found = inmate(tmp_path)
    assert found.pop("held") == [os.geteuid(), landlock.abi(), True, []]
    works = {name for name, code in found.items() if code == 0}
    assert works == {"read", "keep", "serve"}, found


@needs_landlock
def test_P1_a_process_that_may_connect_outward_can_do_nothing_else(tmp_path):
    found = inmate(tmp_path, "out")
    assert found.pop("held")[3] == []
    works = {name for name, code in found.items() if code == 0}
    assert works == {"read", "keep", "serve", "tcp", "udp"}, found


@needs_landlock
@pytest.mark.parametrize(("beside", "works"), [([0, 1], True), ([1, 2], False)])
def test_P1_a_process_with_allowed_ports_reaches_no_other_port(tmp_path, beside, works):
    found = inmate(tmp_path, beside)
    assert found.pop("held")[3] == []
    assert {name for name, code in found.items() if code == 0} == {"read", "keep", "serve", "udp"} | (
        {"tcp"} if works else set()
    )


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_P2_root_becomes_somebody_else_for_good(tmp_path):
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        if folder.stat().st_uid == 0 and "pytest" in str(folder):
            folder.chmod(0o755)
    found = inmate(tmp_path, "-", [59_999, 59_999, []])
    assert found.pop("held")[0] == 59_999
    assert {name for name, code in found.items() if code == 0} == {"read", "keep", "serve"}, found


def test_P1_a_process_with_threads_is_not_confined_halfway():
    code = (
        "import threading\nfrom switchgear.confine import cell\nthreading.Thread(target=threading.Event().wait, daemon=True)"
        ".start()\ntry: cell.lock(cell.Cell())\nexcept RuntimeError as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert "before it starts threads" in done.stdout


def test_P1_an_old_kernel_is_named_with_the_consequence(monkeypatch):
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert "5.13" in cell.probe()[0]
    monkeypatch.setattr(landlock, "abi", lambda: 3)
    assert "6.7" in cell.probe()[0]
