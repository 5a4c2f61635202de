"""Control gives the balances of budgets, and ends what a dead edge held: an edge and control over one folder of counters."""

import asyncio
import os
from types import SimpleNamespace

import msgspec
import pytest
from sqlalchemy import update

from switchgear.control import budget_changes
from switchgear.control.budget_changes import RESET, Change
from switchgear.control.budgets import Corrected
from switchgear.control.holds import KIND, Holds, believed, snapshot_has_budgets
from switchgear.control.prices import PriceBook
from switchgear.core.budget_rule import parse
from switchgear.counters import column
from switchgear.counters.backend import Full, Taken, Unknown
from switchgear.counters.layout import Geometry
from switchgear.counters.shared import SharedCounters
from switchgear.ledger.balances import End, Ended
from switchgear.ledger.batch import Batch
from switchgear.policies import budgets
from switchgear.policies.buckets import Bucket, Hold, Kind
from switchgear.policies.budgets import Place, Raise
from switchgear.policies.periods import Period
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import ModelEntry, ProviderEntry, RouteTable
from switchgear.store import balance_rows, objects, tables
from switchgear.store.balance_rows import Added, BalanceRow
from switchgear.wire.records import Held

NAME, PERIOD = "one/5:key:k//day", 20_000
SMALL = Geometry(windows=64, slots=64, balances=64, holds=64)
NAMES = ("edge-0", "control")
MONEY = Bucket(key=budgets.key_of(NAME, PERIOD), kind=Kind.BALANCE, limit=1_000, is_budget=True)


class Node:
    """One edge's counters, and control's part of them."""

    def __init__(self, desk, folder):
        self.desk, self.clock = desk, desk.clock
        column.prepare(folder, NAMES, SMALL, bytes(16), bytes(16), os.urandom)
        self.folder = folder
        self.edge = self.counters("edge-0")
        self.open = []
        self.holds = Holds(desk.control, PriceBook(), lambda: self.counters("control"))
        self.holds.limit_of = lambda connection, name: 1_000
        self.ingester = self.holds.ingester = SimpleNamespace(read_until_s=1e18, held=lambda: self.open)

    def counters(self, own):
        return SharedCounters(self.folder, own, NAMES, self.clock.boot_us, lambda seconds: None, "control")

    def turns(self, count=3):
        async def body():
            for _ in range(count):
                await self.holds.turn()

        asyncio.run(body())
        self.clock.advance(0.001)

    def take(self, amount, attempt="a-1"):
        self.edge.flush()
        return self.edge.take([Hold(MONEY, amount)], attempt, lambda answer: None)

    def reading(self):
        self.edge.flush()
        (found,) = self.edge.read([MONEY])
        return found.settled, found.held, found.uncertain

    def held(self, amount):
        return Held(NAME, PERIOD, amount, "nanousd", self.clock.wall_ms() + 86_400_000)

    def book(self, how, amount, used, attempt="a-1", held_us=None, lasts_ms=60_000, is_uncertain=None):
        """What the ledger books of one attempt, and both sides do with it."""
        batch = Batch()
        at_us = self.clock.boot_us() if held_us is None else held_us
        until_ms = self.clock.wall_ms() + lasts_ms
        is_uncertain = how is Ended.INTERRUPTED if is_uncertain is None else is_uncertain
        batch.booked.ends.append(End(attempt, how, [self.held(amount)], [used], at_us, until_ms, is_uncertain))
        self.desk.store.write(lambda connection: self.holds.write(connection, batch)).result()
        self.holds.on_batch(batch)

    def stored(self, settled):
        row = Added(settled=settled, unit="nanousd", ends_ms=self.clock.wall_ms() + 86_400_000)
        self.desk.store.write(lambda c: balance_rows.add(c, [((NAME, PERIOD), row)])).result()

    def close(self):
        self.edge.close()
        self.holds.close()


@pytest.fixture
def node(desk, tmp_path):
    made = Node(desk, tmp_path / "counters")
    yield made
    made.close()


def test_N2_budgets_wait_until_an_edge_asked_and_control_gave_what_the_store_says(node):
    node.stored(700)
    node.turns()
    assert isinstance(node.take(1), Unknown), "nobody has a budget as far as is known: nothing was given"
    node.turns()
    assert node.reading() == (700, 0, 0)
    assert isinstance(node.take(301), Full)
    assert isinstance(node.take(300), Taken)


def test_N2_control_gives_nothing_before_every_spool_is_read(node):
    node.ingester.read_until_s = -1.0
    node.take(1)
    node.turns(10)
    assert isinstance(node.take(1), Unknown)
    node.ingester.read_until_s = 1e18
    node.turns()
    assert isinstance(node.take(1), Taken)


def test_N2_open_requests_hold_what_their_records_say_and_are_settled_by_control(node):
    node.stored(100)
    node.open.append(("a-1", [node.held(400)], node.clock.wall_ms()))
    node.take(1)
    node.turns()
    assert node.reading() == (100, 400, 400)
    node.book(Ended.SETTLED, 400, 250, held_us=0)
    assert node.reading() == (350, 0, 0)


def test_what_an_edge_took_since_is_settled_by_itself(node):
    node.take(1)
    node.turns()
    taken = node.take(400)
    node.book(Ended.SETTLED, 400, 250)
    assert node.reading() == (0, 400, 0)
    node.edge.settle(taken.ticket, [250])
    assert node.reading() == (250, 0, 0)


def test_N2_what_was_taken_before_the_balances_were_forgotten_and_is_not_known_is_booked(node):
    node.take(1)
    node.turns()
    node.book(Ended.SETTLED, 400, 250, held_us=1)
    assert node.reading() == (250, 0, 0)


def test_L6_a_dead_edges_attempt_is_booked_and_the_rest_is_uncertain_until_its_time(node):
    node.take(1)
    node.turns()
    taken = node.take(400)
    node.book(Ended.INTERRUPTED, 400, 150)
    # Both hold it for a moment: too much, never too little.
    assert node.reading() == (150, 650, 250)
    assert node.desk.publisher._env.begin().get(b"da-1") is not None
    node.edge.release(taken.ticket)
    assert node.reading() == (150, 250, 250)
    node.clock.advance(61)
    node.turns()
    assert node.reading() == (150, 0, 0)


def test_what_a_dead_edge_had_not_sent_is_given_back_by_its_successor_alone(node):
    node.take(1)
    node.turns()
    node.take(400)
    node.book(Ended.NOT_SENT, 400, 0)
    assert node.reading() == (0, 400, 0)
    assert node.desk.publisher._env.begin().get(b"da-1") is not None


def test_L6_what_is_uncertain_outlives_a_restart(node):
    node.take(1)
    node.turns()
    node.book(Ended.INTERRUPTED, 400, 150)
    node.stored(150)
    node.holds.close()
    again = node.holds = Holds(node.desk.control, PriceBook(), lambda: node.counters("control"))
    again.ingester = node.ingester
    node.take(1)
    node.turns()
    node.clock.advance(1)
    node.turns()
    assert node.reading() == (150, 250, 250)
    node.clock.advance(60)
    node.turns()
    asyncio.run(again.forget())
    assert node.reading() == (150, 0, 0)
    assert node.desk.store.read(lambda c: objects.objects(c, KIND)).result() == {}


def test_N4_what_a_living_edge_does_not_know_stays_held_over_a_restart_of_control(node):
    """A time-out: booked as seen, and its provider may charge as much as was held. The vault dies, then control, again and again."""
    node.take(1)
    node.turns()
    taken = node.take(900)
    node.edge.settle_partly(taken.ticket, [10], node.clock.boot_us() + 60_000_000)
    node.book(Ended.SETTLED, 900, 10, is_uncertain=True)
    assert node.reading() == (10, 890, 890)
    node.stored(10)
    node.holds.close()
    again = node.holds = Holds(node.desk.control, PriceBook(), lambda: node.counters("control"))
    again.ingester = node.ingester
    node.turns(10)
    node.clock.advance(1)
    node.turns()
    assert node.reading() == (10, 890, 890)
    assert isinstance(node.take(900), Full)
    node.clock.advance(60)
    node.turns()
    assert node.reading() == (10, 0, 0)


def test_an_attempt_that_nobody_recorded_is_given_back(node):
    node.take(1)
    node.turns()
    node.take(400)
    node.edge.flush()
    node.edge.close()
    node.edge = node.counters("edge-0")
    for attempt, tickets in node.edge.orphans.items():
        assert [node.edge.adopt(ticket, node.clock.boot_us() + 10**9) for ticket in tickets] == [True], attempt
    node.edge.note_waiting(1)
    assert node.reading() == (0, 400, 400)
    node.turns()
    assert node.desk.publisher._env.begin().get(b"da-1") is not None


def test_a_correction_of_the_ledger_ends_what_was_uncertain(node):
    node.take(1)
    node.turns()
    node.book(Ended.INTERRUPTED, 400, 150)
    node.book(Ended.CORRECTED, 400, 30)
    assert node.reading() == (180, 0, 0)


def test_what_a_person_corrects_holds_at_once(node):
    node.stored(900)
    node.take(1)
    node.turns()
    change = Corrected(budget=NAME, period=PERIOD, delta=-900, ends_ms=None, width_ms=0)
    asyncio.run(node.holds.corrected([change]))
    assert node.reading() == (0, 0, 0)
    assert node.holds.read([MONEY])[0].remaining == 1_000


def test_S5_what_somebody_takes_off_a_balance_in_the_database_opens_no_budget(node):
    node.stored(700)
    change = update(tables.balances).values(corrected=-(10**18))
    node.desk.store.write(lambda c: c.execute(change)).result()
    node.take(1)
    node.turns()
    assert node.reading() == (700, 0, 0)
    assert "not as this gateway wrote them" in node.desk.reports[-1]


def test_a_correction_that_is_signed_counts(node):
    node.stored(700)
    row = Added(corrected=-600, unit="nanousd", ends_ms=None)
    reset = Change(kind=RESET, period=PERIOD, until_ms=None, amount=-600, time_ms=1, actor="ann", reason="test")
    raw = budget_changes.encode(budget_changes.with_one(None, NAME, reset))

    def write(connection):
        balance_rows.add(connection, [((NAME, PERIOD), row)])
        objects.set_object(connection, budget_changes.KIND, budget_changes.object_name(NAME), raw, 1)

    node.desk.store.write(write).result()
    node.take(1)
    node.turns()
    assert node.reading() == (100, 0, 0)


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"settled": -1}, 0),
        ({"settled": -(10**18), "corrected": 5}, 5),
        ({"settled": "a lot"}, None),
        ({"period": 1.5}, None),
        ({"settled": 10**30}, None),
        ({"settled": 7, "corrected": -5}, 2),
        ({"settled": 7, "corrected": -6}, 2),
        ({"settled": 7, "corrected": -5, "width_ms": 10}, 7),
    ],
)
def test_S5_a_stored_balance_counts_as_far_as_it_can_be_true(fields, amount):
    row = {"budget": NAME, "period": 1, "settled": 0, "corrected": 0, "unit": "nanousd", "ends_ms": None, "width_ms": 0}
    found = believed(BalanceRow(**row | fields), {(NAME, 1): -5})
    assert (None if found is None else found.amount) == amount


def test_N4_values_that_find_no_room_share_what_their_key_has_and_stop_nobody_else(node):
    """A key with a budget for each end user, and more of them than counters hold: they are what clients invent."""
    each = budgets.of_rule("key:k", parse("5/day per end_user"))
    row = Added(settled=5, unit="nanousd", ends_ms=node.clock.wall_ms() + 86_400_000)
    rows = [((budgets.name_of(each, f"user{number}"), PERIOD), row) for number in range(200)]
    node.desk.store.write(lambda c: balance_rows.add(c, rows)).result()
    node.stored(700)
    node.take(1)
    node.turns()
    assert node.reading() == (700, 0, 0)
    assert "have no room" in node.desk.reports[-1]
    place = Place(period=Period(PERIOD, 0, 86_400_000), now_ms=0, boot_us=node.clock.boot_us())
    for number in range(200):
        node.edge.flush()
        bucket = msgspec.structs.replace(budgets.bucket_of(each, place, f"user{number}", "k"), limit=5)
        assert isinstance(node.edge.take([Hold(bucket, 1)], "b-1", lambda answer: None), Full)


ROLLS = "one/5:key:k//rolling-3600"
WIDTH_MS = 3_600_000 // 63
ROLLING = Bucket(
    key=budgets.key_of(ROLLS, None), kind=Kind.WINDOW, limit=1_000, window_us=3_600_000_000, is_budget=True
)


def rolling_held(node, amount):
    period = node.clock.wall_ms() // WIDTH_MS
    return Held(ROLLS, period, amount, "nanousd", node.clock.wall_ms() + 3_600_000, WIDTH_MS)


def test_N4_a_reset_of_a_rolling_budget_begins_its_window_anew_with_what_open_requests_hold(node):
    node.take(1)
    node.turns()
    node.edge.flush()
    taken = node.edge.take([Hold(ROLLING, 900)], "b-1", lambda answer: None)
    node.edge.settle(taken.ticket, [900])
    node.edge.flush()
    assert node.edge.read([ROLLING])[0].used == 900
    node.open.append(("c-1", [rolling_held(node, 70)], node.clock.wall_ms()))
    raises = {ROLLS: Raise(0, 0, None, 123)}
    node.holds.raises = lambda: raises
    held = rolling_held(node, 0)
    change = Corrected(budget=ROLLS, period=held.period, delta=-900, ends_ms=None, width_ms=WIDTH_MS)
    asyncio.run(node.holds.corrected([change]))
    bucket = budgets.begun(raises, ROLLS, ROLLING)
    assert node.edge.read([bucket])[0].used == 70
    assert isinstance(node.edge.take([Hold(bucket, 931)], "d-1", lambda answer: None), Full)


def test_N2_rolling_budgets_count_what_open_requests_hold_after_a_boot(node):
    node.open.append(("c-1", [rolling_held(node, 70)], node.clock.wall_ms()))
    node.take(1)
    node.turns()
    assert node.edge.read([ROLLING])[0].used == 70


@pytest.mark.parametrize(
    ("snapshot", "has"),
    [
        (Snapshot(store_id="s", epoch=1), False),
        (Snapshot(store_id="s", epoch=1, budgets=(parse("1/day"),)), True),
        (
            Snapshot(
                store_id="s", epoch=1, table=RouteTable(models={"m": ModelEntry(name="m", budgets=(parse("1/day"),))})
            ),
            True,
        ),
        (
            Snapshot(
                store_id="s",
                epoch=1,
                table=RouteTable(
                    providers={
                        "p": ProviderEntry(
                            name="p", dialects=(), credentials=(), credential_budgets={"c": (parse("1/day"),)}
                        )
                    }
                ),
            ),
            True,
        ),
    ],
)
def test_a_configuration_shows_whether_it_has_budgets(snapshot, has):
    assert snapshot_has_budgets(snapshot) is has
