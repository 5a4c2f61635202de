"""What the supervisor decides: when a child starts again, and what a fault of its own ends."""

import os
import signal
from types import SimpleNamespace

import pytest

from switchgear.app.children import Child
from switchgear.app.state import SupervisorState
from switchgear.app.supervisor import BACKOFF_S, Supervisor


@pytest.fixture
def supervisor(tmp_path):
    state = SupervisorState(
        data=str(tmp_path),
        workers=1,
        data_fds=[],
        console_fds=[],
        data_url="",
        console_url="",
        lock_fd=-1,
        banner=False,
    )
    made = Supervisor(state)
    yield made
    made._selector.close()


def end(supervisor, child, now, served, code=-signal.SIGKILL):
    read, write = os.pipe()
    os.close(read)
    child.process, child.lifeline_fd, child.is_ready = SimpleNamespace(returncode=code), write, served
    supervisor._on_exit(child, now)
    return child.start_at_s - now


def test_a_child_that_served_starts_again_at_once_however_often_it_is_killed(supervisor, capfd):
    child = Child("control")
    assert [end(supervisor, child, 10.0 + n, True) for n in range(20)] == [0.0] * 20
    assert "control ended (signal SIGKILL); starting it again" in capfd.readouterr().err


def test_starts_that_come_to_nothing_pause_longer_and_longer_until_one_serves(supervisor):
    supervisor._welcomed = True
    child = Child("edge", 1)
    pauses = [end(supervisor, child, 10.0, False, 1) for _ in range(8)]
    assert pauses == pytest.approx([*BACKOFF_S[1:], BACKOFF_S[-1], BACKOFF_S[-1], BACKOFF_S[-1]])
    assert end(supervisor, child, 10.0, True) == 0.0
    assert end(supervisor, child, 10.0, False) == pytest.approx(BACKOFF_S[1])


def test_wrong_use_at_the_first_start_is_final(supervisor):
    child = Child("vault")
    end(supervisor, child, 10.0, False, 2)
    assert child.final_code == 2


def test_three_first_starts_that_come_to_nothing_are_final_and_say_why(supervisor, capfd):
    child = Child("control")
    for _ in range(3):
        assert child.final_code is None
        child.reason = "the disk is gone"
        end(supervisor, child, 10.0, False, 7)
    assert child.final_code == 7 and "control cannot start: the disk is gone" in capfd.readouterr().err


def test_a_child_that_cannot_even_be_made_is_tried_again_and_leaks_nothing(supervisor, monkeypatch):
    def no_process(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("subprocess.Popen", no_process)
    supervisor._welcomed = True
    before = len(os.listdir("/proc/self/fd"))
    for child in supervisor._children:
        child.start_at_s = 0.0
    for _ in range(5):
        assert supervisor._turn() is None
        for child in supervisor._children:
            child.start_at_s = 0.0
    assert len(os.listdir("/proc/self/fd")) == before
    assert all("Cannot allocate memory" in child.reason for child in supervisor._children)


@pytest.mark.parametrize("name", ["_start", "_on_exit", "_write_status", "_give_up_the_hung", "_welcome"])
def test_a_fault_of_the_supervisors_own_is_one_childs_affair(supervisor, monkeypatch, name, capfd):
    """Whatever it does for one child, or tells, raises; it goes on with the others and says what it was."""
    started = []

    def start(child):
        started.append(child.name)
        child.process = SimpleNamespace(poll=lambda: None, pid=1, kill=lambda: None)
        child.is_ready = True

    def fault(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Supervisor, "_start", lambda self, child: start(child))
    if name == "_start":
        monkeypatch.setattr(
            Supervisor, "_start", lambda self, child: fault() if child.role == "vault" else start(child)
        )
    elif name == "_on_exit":
        supervisor._children[0].process = SimpleNamespace(poll=lambda: 1, returncode=1, pid=1)
        monkeypatch.setattr(Supervisor, name, fault)
    else:
        monkeypatch.setattr(Supervisor, name, fault)
    if name == "_welcome":
        supervisor._state.banner = True
    assert supervisor._turn() is None
    assert {"control", "edge-0"} <= set(started)
    said = capfd.readouterr().err + "".join(child.reason for child in supervisor._children)
    assert "ZeroDivisionError" in said


def test_a_reload_that_fails_ends_nothing(supervisor, monkeypatch, capfd):
    def fault(self):
        raise OSError(11, "no process")

    monkeypatch.setattr(Supervisor, "_on_reload", fault)
    assert supervisor._on_signal(signal.SIGHUP) is False
    assert "the reload failed" in capfd.readouterr().err
