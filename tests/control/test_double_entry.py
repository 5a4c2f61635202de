"""The job that compares the books, against a real store: what is found is told once and kept."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from switchgear.control.double_entry import DoubleEntry
from switchgear.control.observers import Claims
from switchgear.ledger.absorb import Batch
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.wire import records
from switchgear.wire.records import Kind


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom)
    yield made
    made.close()


def test_C8_what_no_edge_recorded_is_told_once_and_kept(store, tmp_path, clock):
    folder = tmp_path / "vault"
    journal = SpoolWriter(folder, clock, os.urandom, "run", segment_bytes=64 * 1024)
    told = []
    absorber = SimpleNamespace(read_until_s=0.0, open_tries=lambda _: 0)
    claims, batch = Claims(), Batch()
    batch.attempts = {f"{1:032x}-1": None}
    claims.on_batch(batch)
    books = DoubleEntry(store, folder, absorber, claims, clock, told.append)

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
        absorber.read_until_s = clock.monotonic_s() + 1
        await books.turn()
        assert len(told) == 1 and "no edge recorded" in told[0] and books.unspooled == 1
        await books.turn()
        assert len(told) == 1
        dispatch(2)
        await books.turn()
        assert books.repeated == 1 and len(books.problems) == 2

    asyncio.run(scenario())
    kept = store.read(ledger_rows.quarantined).result()
    assert len(kept) == 1 and "no edge recorded" in kept[0][2]
    restarted = DoubleEntry(store, folder, absorber, claims, clock, told.append)
    asyncio.run(restarted.turn())
    assert len(told) == 2, "after a restart nothing is told again"
    journal.close()


def test_without_a_journal_there_is_nothing_to_compare(store, tmp_path, clock):
    books = DoubleEntry(store, tmp_path / "none", SimpleNamespace(), Claims(), clock, print)
    asyncio.run(books.turn())
    assert books.checked == 0
