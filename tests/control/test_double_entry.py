"""The job that compares the books, against a real store: what is found is told once and kept."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from switchgear.control.double_entry import EVENTS_MAX, FREE_MIN, SHOWN_S, DoubleEntry
from switchgear.control.observers import Claims
from switchgear.ledger.batch import Batch
from switchgear.ledger.reconcile import UNSETTLED_SOON_S
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.wire import records
from switchgear.wire.records import Kind


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def test_C8_an_attempt_that_no_edge_recorded_is_reported_once_and_kept(store, tmp_path, clock):
    folder = tmp_path / "vault"
    journal = SpoolWriter(folder, clock, os.urandom, "run", segment_bytes=64 * 1024)
    told = []
    ingester = SimpleNamespace(read_until_s=0.0, open_tries=lambda _: 0)
    claims, batch = Claims(), Batch()
    batch.attempts = {f"{1:032x}-1": None}
    claims.on_batch(batch)
    books = DoubleEntry(store, folder, ingester, claims, clock, told.append)

    def dispatch(number):
        record = records.Dispatch(f"{number:032x}-1", "fake/main", 1, "run")
        journal.append(Kind.DISPATCH, records.encode_payload(record))
        journal.commit()

    async def scenario():
        dispatch(1)
        await books.turn()
        dispatch(2)
        await books.turn()
        assert told == [] and books.checked == 1, "spools were not read since"
        ingester.read_until_s = clock.monotonic_s() + 1
        await books.turn()
        assert len(told) == 1 and "no edge recorded" in told[0] and books.unspooled == 1
        await books.turn()
        assert len(told) == 1
        dispatch(2)
        await books.turn()
        assert books.repeated == 1 and len(books.problems) == 2

    asyncio.run(scenario())
    kept = store.read(ledger_rows.quarantined).result()
    assert ["no edge recorded" in kept[0][2], "sent to a provider twice" in kept[1][2], len(kept)] == [True, True, 2]
    restarted = DoubleEntry(store, folder, ingester, claims, clock, told.append)
    asyncio.run(restarted.turn())
    assert len(told) == 2, "after a restart nothing is told again"
    journal.close()


class Journal:
    """A vault's journal, an ingester that is told what to say, and the books that compare them."""

    def __init__(self, store, folder, clock):
        self._journal = SpoolWriter(folder, clock, os.urandom, "run", segment_bytes=64 * 1024)
        self.recorded = {}
        self.opened = set()
        self.ingester = SimpleNamespace(
            read_until_s=0.0,
            open_tries=lambda request: int(request in self.opened),
        )
        self.clock = clock
        claims = SimpleNamespace(take=lambda: self.recorded)
        self.books = DoubleEntry(store, folder, self.ingester, claims, clock, lambda text: None)

    def dispatch(self, *numbers):
        for number in numbers:
            record = records.Dispatch(f"{number:032x}-1", "fake/main", 1, "run")
            self._journal.append(Kind.DISPATCH, records.encode_payload(record))
        self._journal.commit()

    def done(self, *numbers):
        for number in numbers:
            record = records.AttemptEnd(f"{number:032x}-1", 200, None, 100, 100, 1)
            self._journal.append(Kind.ATTEMPT_END, records.encode_payload(record))
        self._journal.commit()

    def turn(self, seconds=1.0):
        self.clock.advance(seconds)
        self.ingester.read_until_s = self.clock.monotonic_s() + 1
        asyncio.run(self.books.turn())
        return self.books.problems

    def close(self):
        self._journal.close()


@pytest.fixture
def journal(store, tmp_path, clock):
    journal = Journal(store, tmp_path / "vault", clock)
    yield journal
    journal.close()


def test_C8_an_attempt_that_is_recorded_late_is_no_problem_any_more(journal):
    asyncio.run(journal.books.turn())  # begins with an empty journal
    journal.dispatch(1, 2)
    journal.turn()
    [problem] = journal.turn()
    assert problem.startswith("2 attempts reached a provider and no edge recorded them")
    journal.recorded = {f"{1:032x}-1": None}
    [problem] = journal.turn()
    assert problem.startswith("1 attempts") and f"{2:032x}-1" in problem
    journal.recorded = {f"{2:032x}-1": None}
    assert journal.turn() == []
    assert journal.books.unspooled == 2, "what was told stays counted"


def test_C8_an_event_is_a_problem_for_a_day(journal):
    asyncio.run(journal.books.turn())
    journal.dispatch(1, 1)
    assert any("twice" in problem for problem in journal.turn())
    journal.recorded = {f"{1:032x}-1": None}
    assert [problem for problem in journal.turn(SHOWN_S) if "twice" in problem] == []


def test_C8_answers_that_are_not_settled_are_a_problem_until_they_are(journal):
    asyncio.run(journal.books.turn())
    numbers = range(1, FREE_MIN + 1)
    journal.opened = {f"{number:032x}" for number in numbers}
    journal.dispatch(*numbers)
    journal.turn()
    journal.done(*numbers)
    journal.turn()
    [problem] = journal.turn(UNSETTLED_SOON_S + 5)
    assert problem.startswith(f"{FREE_MIN} answers of providers ended and are not settled")
    journal.recorded = {f"{number:032x}-1": None for number in numbers}
    assert journal.turn() == []


def test_no_more_events_are_kept_than_status_shows(journal):
    asyncio.run(journal.books.turn())
    for number in range(1, 3 * EVENTS_MAX):
        journal.dispatch(number)
        journal.turn()
    assert len(journal.turn()) <= EVENTS_MAX


def test_without_a_journal_there_is_nothing_to_compare(store, tmp_path, clock):
    books = DoubleEntry(store, tmp_path / "none", SimpleNamespace(), Claims(), clock, print)
    asyncio.run(books.turn())
    assert books.checked == 0
