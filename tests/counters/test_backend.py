"""The contract of counters: one test for every backend."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switchgear.counters import column
from switchgear.counters.backend import HOLDS_MAX, Full, Taken
from switchgear.counters.layout import Geometry
from switchgear.counters.memory import MemoryCounters
from switchgear.counters.shared import SharedCounters
from switchgear.policies.buckets import Bucket, Hold, Kind

MINUTE_US = 60_000_000
START_US = 5_000_000_000


class Time:
    """Microseconds since the boot, moved by hand."""

    def __init__(self):
        self.us = START_US

    def __call__(self):
        return self.us


SMALL = Geometry(windows=64, slots=64, balances=64, holds=512)
NAMES = ("edge-0", "edge-1", "control")


def columns(folder, geometry=SMALL):
    return column.prepare(folder, NAMES, geometry, b"s" * 16, b"b" * 16, os.urandom)


def memory(time, _folder):
    return MemoryCounters(time)


def shared(time, folder, own="edge-0", control=None):
    columns(folder)
    return SharedCounters(folder, own, NAMES, time, lambda _: None, control)


class Alternating:
    """Two edges over one folder, by turns: to whoever asks they are one counter."""

    def __init__(self, time, folder):
        self.edges = [shared(time, folder, name) for name in NAMES[:2]]
        self.owners = {}
        self.turn = 0

    def take(self, holds, attempt, done):
        self.turn += 1
        edge = self.edges[self.turn % 2]
        answer = edge.take(holds, attempt, lambda later: done(self.note(later, edge)))
        return self.note(answer, edge)

    def note(self, answer, edge):
        if isinstance(answer, Taken):
            self.owners[answer.ticket] = edge
        return answer

    def peek(self, holds):
        return self.edges[self.turn % 2].peek(holds)

    def settle(self, ticket, actual):
        self.owners[ticket].settle(ticket, actual)

    def settle_partly(self, ticket, actual, until_us):
        self.owners[ticket].settle_partly(ticket, actual, until_us)

    def release(self, ticket):
        self.owners[ticket].release(ticket)

    def read(self, buckets):
        self.turn += 1
        return self.edges[self.turn % 2].read(buckets)

    def flush(self):
        for edge in self.edges:
            edge.flush()

    def close(self):
        for edge in self.edges:
            edge.close()


BACKENDS = {"memory": memory, "shared": shared, "two edges": Alternating}


def window(limit, key="requests", window_us=MINUTE_US, **more):
    return Bucket(key=key, kind=Kind.WINDOW, limit=limit, window_us=window_us, **more)


def slots(limit, key="parallel"):
    return Bucket(key=key, kind=Kind.SLOTS, limit=limit)


def balance(limit, key="budget:2026-11", **more):
    return Bucket(key=key, kind=Kind.BALANCE, limit=limit, **more)


@pytest.fixture
def time():
    return Time()


@pytest.fixture(params=BACKENDS)
def counters(request, time, tmp_path):
    made = BACKENDS[request.param](time, tmp_path)
    yield made
    if made.__class__ is not MemoryCounters:
        made.close()


def take(counters, *holds):
    """Take, and do what the loop would where the answer comes later."""
    answers = []
    answer = counters.take([Hold(bucket, amount) for bucket, amount in holds], "0" * 32 + "-1", answers.append)
    if answer is None:
        counters.flush()
        (answer,) = answers
    return answer


def taken(counters, *holds):
    answer = take(counters, *holds)
    assert isinstance(answer, Taken), answer
    return answer.ticket


def full(counters, *holds):
    answer = take(counters, *holds)
    assert isinstance(answer, Full), answer
    return answer


def settle(counters, ticket, *actual):
    counters.settle(ticket, actual)
    counters.flush()


def release(counters, ticket):
    counters.release(ticket)
    counters.flush()


def reading(counters, bucket):
    (found,) = counters.read([bucket])
    return found


def test_N3_a_window_admits_its_limit_and_no_more(counters):
    for _ in range(5):
        taken(counters, (window(5), 1))
    assert full(counters, (window(5), 1)).lacking == (0,)


def test_N3_half_a_window_later_nothing_has_come_back(counters, time):
    taken(counters, (window(5), 5))
    time.us += MINUTE_US // 2
    full(counters, (window(5), 1))


def test_an_amount_fits_after_the_time_that_was_told_and_not_before(counters, time):
    taken(counters, (window(5), 2))
    time.us += 10_000_000
    taken(counters, (window(5), 3))
    time.us += 1_000_000
    told = full(counters, (window(5), 2)).readings[0].fits_us
    assert START_US + MINUTE_US < told <= START_US + MINUTE_US * 64 // 63 + 1_000_000
    time.us = told - 1
    full(counters, (window(5), 2))
    time.us = told
    taken(counters, (window(5), 2))


def test_the_time_that_is_told_waits_for_as_much_as_is_asked(counters, time):
    taken(counters, (window(5), 2))
    time.us += 10_000_000
    taken(counters, (window(5), 3))
    few, many = (full(counters, (window(5), amount)).readings[0].fits_us for amount in (1, 4))
    assert many >= few + 9_000_000
    time.us = many
    taken(counters, (window(5), 4))


def test_no_time_is_told_for_what_is_over_the_limit_by_itself(counters):
    answer = full(counters, (window(5), 6))
    assert answer.readings[0].fits_us is None


def test_nothing_is_taken_where_one_of_the_holds_does_not_fit(counters):
    taken(counters, (slots(1), 1))
    answer = full(counters, (window(5), 1), (slots(1), 1), (balance(10), 4))
    assert answer.lacking == (1,)
    assert reading(counters, window(5)).used == 0
    assert reading(counters, balance(10)).used == 0


def test_all_holds_that_lack_are_named(counters):
    taken(counters, (window(1), 1), (slots(9), 1), (balance(10), 8))
    answer = full(counters, (window(1), 1), (slots(9), 1), (balance(10), 4))
    assert answer.lacking == (0, 2)
    assert [r.used for r in answer.readings] == [1, 1, 8]
    assert answer.readings[2].remaining == 2


def test_two_holds_of_one_bucket_are_counted_together(counters):
    full(counters, (balance(10), 6), (balance(10), 6))
    taken(counters, (balance(10), 4), (balance(10), 6))


def test_a_slot_is_free_after_its_settlement(counters):
    ticket = taken(counters, (slots(1), 1))
    full(counters, (slots(1), 1))
    settle(counters, ticket, 1)
    taken(counters, (slots(1), 1))


def test_a_settlement_replaces_what_was_held(counters):
    ticket = taken(counters, (balance(100), 60), (window(100, "tokens"), 60))
    assert (reading(counters, balance(100)).held, reading(counters, balance(100)).settled) == (60, 0)
    settle(counters, ticket, 5, 7)
    assert (reading(counters, balance(100)).held, reading(counters, balance(100)).settled) == (0, 5)
    assert (reading(counters, window(100, "tokens")).held, reading(counters, window(100, "tokens")).settled) == (0, 7)


def test_a_settlement_above_the_hold_is_booked_whole_and_blocks(counters):
    settle(counters, taken(counters, (balance(100), 60)), 130)
    assert reading(counters, balance(100)).remaining == 0
    full(counters, (balance(100), 1))


def test_a_settlement_counts_in_the_window_of_its_admission(counters, time):
    ticket = taken(counters, (window(100), 50))
    time.us += 40_000_000
    settle(counters, ticket, 90)
    time.us += 22_000_000
    assert reading(counters, window(100)).used == 0


def test_a_settlement_after_its_window_changes_nothing(counters, time):
    ticket = taken(counters, (window(100), 50))
    time.us += 2 * MINUTE_US
    taken(counters, (window(100), 30))
    settle(counters, ticket, 100)
    assert reading(counters, window(100)).used == 30


def read(counters, bucket):
    counters.flush()
    return counters.read([bucket])[0]


def test_what_is_known_is_booked_and_the_rest_stays_uncertain_until_its_time(counters, time):
    money, many = balance(100), slots(1)
    taken = take(counters, (money, 60), (many, 1))
    counters.settle_partly(taken.ticket, [20, 0], time.us + MINUTE_US)

    found = read(counters, money)
    assert (found.settled, found.held, found.uncertain) == (20, 40, 40)
    assert read(counters, many).held == 0
    assert isinstance(take(counters, (money, 41)), Full)

    time.us += MINUTE_US
    found = read(counters, money)
    assert (found.settled, found.held, found.uncertain) == (20, 0, 0)


@pytest.mark.parametrize("how", ["settle", "release"])
def test_what_is_uncertain_ends_once_when_it_is_known(counters, time, how):
    money = balance(100)
    taken = take(counters, (money, 60))
    counters.settle_partly(taken.ticket, [20], time.us + MINUTE_US)
    counters.flush()
    counters.settle(taken.ticket, [15]) if how == "settle" else counters.release(taken.ticket)

    found = read(counters, money)
    assert (found.settled, found.held, found.uncertain) == (35 if how == "settle" else 20, 0, 0)
    time.us += MINUTE_US
    assert read(counters, money) == found
    with pytest.raises(KeyError):
        counters.release(taken.ticket)


def test_a_hold_that_is_used_whole_leaves_nothing_uncertain(counters, time):
    money = balance(100)
    taken = take(counters, (money, 60))
    counters.settle_partly(taken.ticket, [70], time.us + MINUTE_US)

    found = read(counters, money)
    assert (found.settled, found.held, found.uncertain) == (70, 0, 0)


def test_a_rolling_budget_counts_what_is_uncertain_until_its_time_and_what_is_known_until_it_leaves(counters, time):
    rolling = window(100, is_budget=True)
    taken = take(counters, (rolling, 60), (window(100, "rate"), 60))
    counters.settle_partly(taken.ticket, [20, 5], time.us + MINUTE_US // 2)

    found = read(counters, rolling)
    assert (found.settled, found.held) == (20, 40)
    assert read(counters, window(100, "rate")).used == 5
    assert isinstance(take(counters, (rolling, 41)), Full)
    time.us += MINUTE_US // 2
    found = read(counters, rolling)
    assert (found.settled, found.held) == (20, 0)
    time.us += MINUTE_US
    assert read(counters, rolling).used == 0


def test_what_is_uncertain_of_a_rolling_budget_ends_when_it_is_released(counters, time):
    rolling = window(100, is_budget=True)
    taken = take(counters, (rolling, 60))
    counters.settle_partly(taken.ticket, [20], time.us + MINUTE_US // 2)
    counters.flush()
    counters.release(taken.ticket)
    found = read(counters, rolling)
    assert (found.settled, found.held) == (20, 0)


def test_what_is_uncertain_longer_than_its_window_leaves_with_it(counters, time):
    rolling = window(100, is_budget=True)
    taken = take(counters, (rolling, 60))
    counters.settle_partly(taken.ticket, [20], time.us + 3 * MINUTE_US)
    time.us += 2 * MINUTE_US
    assert read(counters, rolling).used == 0
    time.us += 2 * MINUTE_US
    assert read(counters, rolling).used == 0
    assert isinstance(take(counters, (rolling, 100)), Taken)


def test_a_release_gives_everything_back(counters):
    release(counters, taken(counters, (window(1), 1), (slots(1), 1), (balance(10), 10)))
    taken(counters, (window(1), 1), (slots(1), 1), (balance(10), 10))


def test_a_ticket_is_closed_once(counters):
    ticket = taken(counters, (balance(10), 10))
    settle(counters, ticket, 4)
    with pytest.raises(KeyError):
        counters.release(ticket)
    with pytest.raises(KeyError):
        counters.settle(ticket, [4])
    assert reading(counters, balance(10)).used == 4


def test_a_soft_bucket_counts_and_refuses_nothing(counters):
    soft = balance(10, is_hard=False)
    taken(counters, (soft, 30))
    assert reading(counters, soft).used == 30


def test_a_changed_limit_keeps_what_was_counted(counters):
    taken(counters, (balance(100), 60))
    assert full(counters, (balance(50), 1)).readings[0].remaining == 0
    taken(counters, (balance(61), 1))


def test_what_is_used_is_told_with_the_ticket(counters):
    taken(counters, (window(9), 2), (balance(9), 5))
    assert take(counters, (window(9), 2), (balance(9), 4)).used == (4, 9)


def test_small_requests_one_by_one_spend_a_budget_whole(counters):
    """Of at most 1 % of the budget each, whatever they hold and cost: at least 99 % is spent before one is refused."""
    cost, spent = 0, 0
    while isinstance(answer := take(counters, (balance(10_000), 100)), Taken):
        cost = 37 + cost * 7 % 64
        spent += cost
        settle(counters, answer.ticket, cost)
    assert 9_900 <= spent <= 10_000
    assert answer.readings[0].settled == spent


def test_a_look_ahead_sees_what_is_full_and_takes_nothing(counters, time):
    holds = [Hold(window(5), 1), Hold(slots(2), 1), Hold(balance(10), 1)]
    assert counters.peek(holds) is None
    ticket = taken(counters, (window(5), 4), (slots(2), 2), (balance(10), 9))
    assert counters.peek(holds).lacking == (1,)
    settle(counters, ticket, 5, 0, 10)
    full_ones = counters.peek(holds)
    assert full_ones.lacking == (0, 2)
    assert full_ones.readings[0].fits_us is not None
    assert full_ones.readings[2].settled == 10
    time.us = full_ones.readings[0].fits_us
    assert counters.peek(holds[:2]) is None
    assert counters.peek([Hold(balance(10, is_hard=False), 5)]) is None
    assert reading(counters, window(5)).used == 0


def test_another_period_of_a_budget_begins_at_nothing(counters):
    old = taken(counters, (balance(10, "b:1"), 10))
    taken(counters, (balance(10, "b:2"), 10))
    settle(counters, old, 3)
    assert reading(counters, balance(10, "b:1")).settled == 3
    assert reading(counters, balance(10, "b:2")).settled == 0


def test_too_many_holds_and_negative_amounts_are_refused(counters):
    with pytest.raises(ValueError, match="more than"):
        counters.take([Hold(balance(9), 0)] * (HOLDS_MAX + 1), "", print)
    with pytest.raises(ValueError, match="no amount"):
        counters.take([Hold(balance(9), -1)], "", print)


@pytest.mark.parametrize("window_us", [1_000_000, MINUTE_US, 86_400_000_000])
def test_N3_a_request_at_a_time_never_passes_the_limit_in_any_window(counters, time, window_us):
    bucket, admitted = window(20, window_us=window_us), []
    for step in range(600):
        time.us += window_us * (step * 7919 % 101) // 2_000
        if isinstance(take(counters, (bucket, 1)), Taken):
            admitted.append(time.us)
    for end in admitted:
        assert sum(1 for at in admitted if end - window_us < at <= end) <= 20
    span = admitted[-1] - admitted[0]
    assert len(admitted) >= 20 * 0.95 * span / window_us, "and hardly less than it"


LIMITS = {"w": 10, "s": 3, "b": 50}


class Model(RuleBasedStateMachine):
    """Any interleaving against a model of ten lines: a list of what was admitted."""

    backend = "memory"

    @initialize()
    def begin(self):
        self.time = Time()
        self.counters = self.make()
        self.admitted = []
        """[time, {bucket: amount}, ticket or None]."""
        self.spent = 0

    def make(self):
        self.folder = tempfile.TemporaryDirectory()
        return BACKENDS[self.backend](self.time, Path(self.folder.name))

    def teardown(self):
        if hasattr(self, "counters") and self.backend != "memory":
            self.counters.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def buckets(self):
        return {"w": window(10), "s": slots(3), "b": balance(50)}

    def counted(self, name, window_us=MINUTE_US):
        if name == "w":
            return sum(a["w"] for at, a, _ in self.admitted if self.time.us - window_us < at)
        return sum(a[name] for _, a, ticket in self.admitted if ticket) + (self.spent if name == "b" else 0)

    @rule(us=st.integers(0, 20_000_000))
    def pass_time(self, us):
        self.time.us += us

    @rule(w=st.integers(0, 6), s=st.integers(0, 1), b=st.integers(0, 30))
    def ask(self, w, s, b):
        asked = {"w": w, "s": s, "b": b}
        answer = take(self.counters, *((self.buckets()[n], asked[n]) for n in asked))
        exact = {n: self.counted(n) + asked[n] <= LIMITS[n] for n in asked}
        sure = exact | {"w": self.counted("w", MINUTE_US * 66 // 63) + w <= 10}
        assert isinstance(answer, Taken) <= all(exact.values()), "over a limit"
        assert isinstance(answer, Taken) >= all(sure.values()), "refused below it"
        if isinstance(answer, Taken):
            self.admitted.append([self.time.us, asked, answer.ticket])

    @precondition(lambda self: any(ticket for *_, ticket in self.admitted))
    @rule(data=st.data(), share=st.floats(0, 1), is_sent=st.booleans())
    def end(self, data, share, is_sent):
        entry = data.draw(st.sampled_from([e for e in self.admitted if e[2]]))
        if is_sent:
            used = {n: int(amount * share) for n, amount in entry[1].items()}
            settle(self.counters, entry[2], *used.values())
        else:
            used = dict.fromkeys("wsb", 0)
            release(self.counters, entry[2])
        self.spent += used["b"]
        entry[1:] = [used, None]

    @invariant()
    def sums(self):
        if not hasattr(self, "counters"):
            return
        found = dict(zip("wsb", self.counters.read(list(self.buckets().values())), strict=True))
        assert found["s"].used == self.counted("s")
        assert (found["b"].held, found["b"].settled) == (self.counted("b") - self.spent, self.spent)
        assert min(found["w"].held, found["w"].settled) >= 0
        assert found["w"].used >= self.counted("w")


class SharedModel(Model):
    backend = "shared"


class TwoEdgesModel(Model):
    backend = "two edges"


TestMemory, TestShared, TestTwoEdges = (model.TestCase for model in (Model, SharedModel, TwoEdgesModel))
TestMemory.settings = TestShared.settings = TestTwoEdges.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
