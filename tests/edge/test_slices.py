"""Long work beside everybody else's: a few milliseconds a turn, in rotation."""

from collections.abc import Callable

from switchgear.core.steps import Steps
from switchgear.edge.slices import TURN_S, Job, Slicer
from switchgear.testing.faults import LoudGuard


class Turns:
    """A clock and a loop: each step costs a millisecond, and each turn runs when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.due: list[Callable[[], None]] = []
        self.log: list[str] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ms(self) -> int:
        return 0

    def soon(self, call: Callable[[], None]) -> None:
        self.due.append(call)

    def turn(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()

    def work(self, name: str, steps: int, fails: bool = False) -> Steps[str]:
        for _ in range(steps):
            self.now_s += 0.001
            self.log.append(name)
            yield
        if fails:
            raise ValueError(name)
        return name


def job(turns: Turns, name: str, steps: int, ends: list[object], **more: object) -> Job[str]:
    wanted = more.get("wanted", lambda: True)
    return Job(turns.work(name, steps, bool(more.get("fails"))), ends.append, ends.append, wanted)


def test_a_turn_takes_its_share_and_no_more():
    turns, ends = Turns(), []
    slicer = Slicer(turns, turns.soon, LoudGuard())
    slicer.add(job(turns, "a", 50, ends))
    assert turns.log == []
    while turns.due:
        before = turns.now_s
        turns.turn()
        assert turns.now_s - before <= TURN_S + 0.0011
    assert ends == ["a"]


def test_jobs_take_turns_so_that_a_short_one_does_not_wait_for_a_long_one():
    turns, ends = Turns(), []
    slicer = Slicer(turns, turns.soon, LoudGuard())
    slicer.add(job(turns, "long", 1_000, ends))
    slicer.add(job(turns, "short", 8, ends))
    for _ in range(6):
        turns.turn()
    assert ends == ["short"]
    assert len(slicer) == 1


def test_work_that_nobody_waits_for_stops():
    turns, ends, wanted = Turns(), [], [True]
    slicer = Slicer(turns, turns.soon, LoudGuard())
    slicer.add(job(turns, "a", 1_000, ends, wanted=lambda: wanted[0]))
    turns.turn()
    wanted[0] = False
    turns.turn()
    assert not turns.due
    assert not ends
    assert len(slicer) == 0


def test_an_exception_ends_its_own_job_only():
    turns, ends = Turns(), []
    slicer = Slicer(turns, turns.soon, LoudGuard())
    slicer.add(job(turns, "bad", 1, ends, fails=True))
    slicer.add(job(turns, "good", 20, ends))
    while turns.due:
        turns.turn()
    assert isinstance(ends[0], ValueError)
    assert ends[1:] == ["good"]


def test_a_job_begun_by_another_job_runs_after_it():
    turns, ends = Turns(), []
    slicer = Slicer(turns, turns.soon, LoudGuard())
    first = Job(turns.work("a", 3), lambda _: slicer.add(job(turns, "b", 3, ends)), ends.append, lambda: True)
    slicer.add(first)
    while turns.due:
        turns.turn()
    assert ends == ["b"]
