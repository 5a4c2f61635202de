"""What a process holds in its own column: taken over after a death, ended once, uncertain until its time."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.counters.test_backend import (
    MINUTE_US,
    NAMES,
    Time,
    balance,
    columns,
    full,
    reading,
    release,
    settle,
    shared,
    slots,
    taken,
    window,
)

from switchgear.counters.backend import Taken
from switchgear.counters.shared import SharedCounters
from switchgear.policies.buckets import Hold

START_AT_US = Time().us
ATTEMPT = "0" * 32 + "-1"


def test_a_dead_edges_holds_count_until_they_are_ended_and_are_ended_once(time, tmp_path):
    one, other = (shared(time, tmp_path, name) for name in NAMES[:2])
    taken(one, (slots(2), 1), (balance(10), 8), (window(5), 2))
    one.close()
    full(other, (balance(10), 3))
    successor = shared(time, tmp_path, "edge-0")
    (orphan,) = successor.orphans.pop(ATTEMPT)
    assert successor.orphans == {}
    release(successor, orphan)
    with pytest.raises(KeyError):
        successor.release(orphan)
    taken(other, (slots(2), 2), (balance(10), 10), (window(5), 5))
    successor.close()
    last = shared(time, tmp_path, "edge-0")
    assert last.orphans == {}
    last.close()
    other.close()


def test_a_sent_orphan_frees_its_slot_and_stays_uncertain_until_it_is_settled(time, tmp_path):
    shared(time, tmp_path, "edge-0").close()
    one = shared(time, tmp_path, "edge-0")
    taken(one, (slots(2), 1), (balance(10), 8), (window(50), 20))
    one.close()
    one = shared(time, tmp_path, "edge-0")
    one.suspend(one.orphans[ATTEMPT][0], time.us + MINUTE_US)
    assert not one.is_settled
    one.flush()
    assert one.is_settled
    assert reading(one, slots(2)).used == 0
    assert (reading(one, balance(10)).held, reading(one, balance(10)).uncertain) == (8, 8)
    assert reading(one, window(50)).used == 20
    one.close()
    one = shared(time, tmp_path, "edge-0")
    assert (reading(one, balance(10)).held, reading(one, balance(10)).uncertain) == (8, 8), "also after another death"
    settle(one, one.orphans[ATTEMPT][0], 1, 3, 20)
    found = reading(one, balance(10))
    assert (found.settled, found.held, found.uncertain) == (3, 0, 0)
    one.close()


def test_what_is_uncertain_of_a_rolling_budget_ends_at_its_time_also_after_a_death(time, tmp_path):
    rolling = window(100, is_budget=True)
    shared(time, tmp_path, "edge-0").close()
    one = shared(time, tmp_path, "edge-0")
    one.settle_partly(taken(one, (balance(100), 60), (rolling, 60)), [20, 20], time.us + MINUTE_US // 2)
    one.flush()
    one.close()
    one = shared(time, tmp_path, "edge-0")
    for bucket in (balance(100), rolling):
        assert (reading(one, bucket).settled, reading(one, bucket).held) == (20, 40)
    time.us += MINUTE_US // 2
    one.flush()
    for bucket in (balance(100), rolling):
        assert (reading(one, bucket).settled, reading(one, bucket).held) == (20, 0)
    one.close()


def test_an_uncertain_hold_ends_at_its_time(time, tmp_path):
    woken = []
    columns(tmp_path)
    one = shared(time, tmp_path, "edge-0")
    taken(one, (balance(10), 8))
    one.close()
    one = SharedCounters(tmp_path, "edge-0", NAMES, time, woken.append)
    one.suspend(one.orphans[ATTEMPT][0], time.us + MINUTE_US)
    one.flush()
    assert woken == [0, 60.0]
    time.us += MINUTE_US - 1
    one.flush()
    assert reading(one, balance(10)).held == 8
    time.us += 1
    one.flush()
    assert (reading(one, balance(10)).held, reading(one, balance(10)).uncertain) == (0, 0)
    one.close()


def test_what_left_the_own_window_makes_room(edges, time):
    taken(edges[0], (window(5), 3))
    time.us += MINUTE_US // 2
    taken(edges[0], (window(5), 2))
    time.us += MINUTE_US * 33 // 63
    taken(edges[0], (window(5), 3))
    full(edges[0], (window(5), 1))


class Deaths(RuleBasedStateMachine):
    """Two edges that die and come back at any moment, against a model: a list of requests."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.time = Time()
        self.edges = [shared(self.time, Path(self.folder.name), name) for name in NAMES[:2]]
        self.requests = {}
        """By attempt: (edge, ticket, amount, what it is: open, orphan or uncertain, until)."""
        self.settled = 0
        self.count = 0

    def teardown(self):
        for edge in getattr(self, "edges", ()):
            edge.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def of(self, *states):
        return sorted(attempt for attempt, request in self.requests.items() if request[3] in states)

    @rule(number=st.integers(0, 1), amount=st.integers(1, 40))
    def ask(self, number, amount):
        self.count += 1
        attempt, answers = f"{self.count:032x}-1", []
        edge = self.edges[number]
        answer = edge.take([Hold(balance(100), amount), Hold(slots(4), 1)], attempt, answers.append)
        edge.flush()
        answer = answer or answers[0]
        held = sum(request[2] for request in self.requests.values())
        in_use = len(self.of("open", "orphan"))
        assert isinstance(answer, Taken) == (self.settled + held + amount <= 100 and in_use < 4)
        if isinstance(answer, Taken):
            self.requests[attempt] = (number, answer.ticket, amount, "open", None)

    @rule(number=st.integers(0, 1))
    def die(self, number):
        self.edges[number].close()
        edge = self.edges[number] = shared(self.time, Path(self.folder.name), NAMES[number])
        mine = {attempt: request for attempt, request in self.requests.items() if request[0] == number}
        assert set(edge.orphans) == set(mine)
        for attempt, (_, _, amount, state, until_us) in mine.items():
            (ticket,) = edge.orphans[attempt]
            left = "orphan" if state == "open" else state
            self.requests[attempt] = (number, ticket, amount, left, until_us)

    @precondition(lambda self: self.of("open", "orphan", "uncertain"))
    @rule(data=st.data(), share=st.floats(0, 1))
    def end(self, data, share):
        attempt = data.draw(st.sampled_from(self.of("open", "orphan", "uncertain")))
        number, ticket, amount, _, _ = self.requests.pop(attempt)
        self.settled += int(amount * share)
        settle(self.edges[number], ticket, int(amount * share), 1)

    @precondition(lambda self: self.of("open", "orphan"))
    @rule(data=st.data())
    def end_unsent(self, data):
        attempt = data.draw(st.sampled_from(self.of("open", "orphan")))
        number, ticket, *_ = self.requests.pop(attempt)
        release(self.edges[number], ticket)

    @precondition(lambda self: self.of("orphan"))
    @rule(data=st.data())
    def suspend(self, data):
        attempt = data.draw(st.sampled_from(self.of("orphan")))
        number, ticket, amount, _, _ = self.requests[attempt]
        until_us = self.time.us + 30_000_000
        self.edges[number].suspend(ticket, until_us)
        self.edges[number].flush()
        self.requests[attempt] = (number, ticket, amount, "uncertain", until_us)

    @precondition(lambda self: self.of("open", "orphan"))
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle_partly(self, data, share):
        attempt = data.draw(st.sampled_from(self.of("open", "orphan")))
        number, ticket, amount, _, _ = self.requests.pop(attempt)
        used, until_us = int(amount * share), self.time.us + 30_000_000
        self.edges[number].settle_partly(ticket, [used, 0], until_us)
        self.edges[number].flush()
        self.settled += used
        if used < amount:
            self.requests[attempt] = (number, ticket, amount - used, "uncertain", until_us)

    @rule(us=st.integers(0, 40_000_000))
    def pass_time(self, us):
        self.time.us += us
        for edge in self.edges:
            edge.flush()
        for attempt in self.of("uncertain"):
            if self.requests[attempt][4] <= self.time.us:
                del self.requests[attempt]

    @rule(amount=st.integers(-5, 10))
    def correct(self, amount):
        self.edges[0].correct(balance(100), amount)
        self.edges[0].flush()
        self.settled += amount

    @invariant()
    def sums(self):
        if not hasattr(self, "edges"):
            return
        money, parallel = self.edges[1].read([balance(100), slots(4)])
        assert money.settled == self.settled
        assert money.held == sum(request[2] for request in self.requests.values())
        assert money.uncertain == sum(self.requests[attempt][2] for attempt in self.of("uncertain"))
        assert parallel.held == len(self.of("open", "orphan"))


TestDeaths = Deaths.TestCase


TestDeaths.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
