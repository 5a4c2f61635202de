"""The bench of stops works, and its own instrument sees a callback that takes long."""

import time

import pytest

from switchgear.bench import stops
from switchgear.bench.stops import Bench, MeasuredLoop, Stops, cases

GENEROUS_S = 0.25
"""Five times the goal at 1 MB, in CPU time of the thread: caches are shared with whatever else runs."""
SOME = (
    "openai → openai: escaped quotes",
    "openai → anthropic: messages",
    "openai → anthropic: tools",
    "gemini → openai: calls and results in turns",
    "anthropic → anthropic: blocks",
    "openai ← gemini: answer of parts",
)


@pytest.fixture
def bench(tmp_path):
    MeasuredLoop.stops = Stops()
    loop = MeasuredLoop()
    yield Bench(loop, tmp_path / "spool")
    loop.close()


@pytest.mark.parametrize("name", SOME)
def test_a_large_body_keeps_nobody_waiting(bench, name):
    [case] = [case for case in cases() if case.name == name]
    bench.vault.answer, bench.vault.kind = case.answer(stops.MB), case.kind
    found = [bench.loop.run_until_complete(bench.ask(case.path, case.body(stops.MB))) for _ in range(3)]
    assert {status for status, *_ in found} <= {200, 400, 502}
    assert min(longest_s for _, longest_s, _, _ in found) < GENEROUS_S


def test_a_callback_that_takes_long_is_seen(bench):
    bench.stops.reset()
    until = time.thread_time() + 0.03

    def hold() -> None:
        while time.thread_time() < until:
            pass

    bench.loop.call_soon(hold)
    bench.loop.call_soon(bench.loop.stop)
    bench.loop.run_forever()
    assert bench.stops.longest_s >= 0.02


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in cases()]
    assert len(names) == len(set(names))
    assert set(SOME) <= set(names)
