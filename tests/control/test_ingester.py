"""One spool's trouble stays its own: the others are ingested, and control neither waits nor ends."""

import asyncio
import os

import msgspec
import pytest

from switchgear.control.ingester import Ingester
from switchgear.control.prices import PriceBook
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.wire import records
from switchgear.wire.records import Kind

SEGMENT_BYTES = 64 * 1024
WHO = msgspec.Raw(records.encode_payload(records.Caller("k", "bot", 1, None, None, None)))
PLACE = msgspec.Raw(records.encode_payload(records.Callee("chat", "/", "openai", "m", "a", "a/c", "c", "e", None)))


class Link:
    """A vault that fences."""

    async def ask(self, verb, body, timeout_s):
        return None


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


@pytest.fixture
def made(store, tmp_path, clock):
    told = []
    (tmp_path / "spool" / "vault").mkdir(parents=True)
    one = Ingester(store, tmp_path / "spool", Link(), PriceBook(), clock, os.urandom, told.append)
    one.told = told
    return one


def rid(number):
    return f"{1_790_000_000_000 + number:012x}{number:020x}"


def request(spool, number):
    spool.reserve(
        rid(number), records.encode_payload(records.Reserve(rid(number), 5, WHO, PLACE, False, 5, None, None, 9))
    )
    spool.settle(
        rid(number),
        records.encode_payload(records.Settle(rid(number), 200, "ok", [], None, 0, None, None, None, None, 1, 1, None)),
    )
    spool.commit()


def writer(tmp_path, name, clock):
    return SpoolWriter(tmp_path / "spool" / name, clock, os.urandom, "run", segment_bytes=SEGMENT_BYTES)


def ids(store):
    return {
        bytes(row) and key
        for key, row in store.read(lambda c: ledger_rows.rows_of(c, map(rid, range(50)))).result().items()
    }


def spoil_id(data):
    def spoil(folder):
        (folder / "id").write_bytes(data)

    return spoil


def pipe_for(name):
    def spoil(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def link_for(name):
    def spoil(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(folder.parent.parent / "store.sqlite")

    return spoil


def folder_for(name):
    def spoil(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


SPOILS = {
    "id-not-ascii": spoil_id(b"\xff" * 32),
    "id-huge": spoil_id(b"a" * 3_000_000),
    "id-empty": spoil_id(b""),
    **{f"{name}-pipe": pipe_for(name) for name in ("id", "lock", "00000001.seg")},
    **{f"{name}-link": link_for(name) for name in ("id", "lock", "00000001.seg")},
    **{f"{name}-folder": folder_for(name) for name in ("id", "lock", "00000001.seg")},
}


@pytest.mark.parametrize("name", SPOILS)
@pytest.mark.parametrize("restarted", [False, True])
def test_L5_a_spoilt_spool_stands_alone(made, store, tmp_path, clock, name, restarted):
    bad, good = writer(tmp_path, "edge-0", clock), writer(tmp_path, "edge-1", clock)
    if not restarted:
        asyncio.run(made.turn())
    SPOILS[name](bad.folder)
    request(good, 1)
    for number in range(2, 6):
        asyncio.run(made.turn())
        clock.advance(3.0)  # past the time after which control adopts
        request(good, number)
    asyncio.run(made.turn())
    assert {rid(n) for n in range(1, 6)} <= ids(store)
    assert (tmp_path / "store.sqlite").read_bytes()[:15] == b"SQLite format 3", "no link of an edge leads to the store"


def test_L5_two_spools_with_one_id_are_told_and_the_first_goes_on(made, store, tmp_path, clock):
    first, second = writer(tmp_path, "edge-0", clock), writer(tmp_path, "edge-1", clock)
    request(first, 1)
    asyncio.run(made.turn())
    (second.folder / "id").write_bytes((first.folder / "id").read_bytes())
    made._spools.pop("edge-1")
    request(first, 2)
    asyncio.run(made.turn())
    assert rid(2) in ids(store) and any("edge-1" in problem for problem in made.problems)


def test_L5_a_record_that_the_store_does_not_take_is_found_and_set_aside(made, store, tmp_path, clock):
    """Whatever the reason: a door of its own, since nobody knows which value it will be."""
    spool = writer(tmp_path, "edge-0", clock)
    for number in range(1, 6):
        request(spool, number)
    real = ledger_rows.add_requests

    def add(connection, rows):
        if any(row[0] == rid(3) for row in rows):
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        real(connection, rows)

    ledger_rows.add_requests = add
    try:
        asyncio.run(made.turn())
        asyncio.run(made.turn())
    finally:
        ledger_rows.add_requests = real
    request(spool, 6)
    asyncio.run(made.turn())
    assert ids(store) == {rid(n) for n in (1, 2, 4, 5, 6)}
    assert any("set aside" in problem for problem in made.problems)


def test_L5_findings_of_one_spool_fill_neither_the_log_nor_status(made, store, tmp_path, clock):
    spool = writer(tmp_path, "edge-0", clock)
    for number in range(300):
        spool.append(
            Kind.SETTLE,
            records.encode_payload([f"{number:032x}", 200, "ok", [], None, 0, None, None, None, None, 1, 1, None]),
        )
    spool.commit()
    asyncio.run(made.turn())
    assert len(made.told) <= 20 and len(made.problems) <= 21 and "280 more findings" in made.problems[-1]


def test_an_ingesters_turn_that_raises_leaves_later_turns_working(made, store, tmp_path, clock):
    spool = writer(tmp_path, "edge-0", clock)
    request(spool, 1)

    async def scenario():
        made._turn, real = lambda: 1 // 0, made._turn
        await made._guarded_turn()
        assert "ZeroDivisionError" in made.problem
        made._turn = real
        await made._guarded_turn()

    asyncio.run(scenario())
    assert made.problem is None and ids(store) == {rid(1)}


def test_L5_a_successor_with_another_id_is_read_and_told(made, store, tmp_path, clock):
    first = writer(tmp_path, "edge-0", clock)
    request(first, 1)
    asyncio.run(made.turn())
    os.close(first._lock)  # it dies, and left no id that can be read
    (first.folder / "id").write_bytes(b"\xff")
    asyncio.run(made.turn())
    second = writer(tmp_path, "edge-0", clock)
    assert second.spool_id != first.spool_id
    request(second, 2)
    asyncio.run(made.turn())
    assert {rid(1), rid(2)} <= ids(store)


class Watcher:
    """Fails for its first batches."""

    def __init__(self, failures=0):
        self.failures, self.seen = failures, []

    def on_batch(self, batch):
        if self.failures:
            self.failures -= 1
            raise KeyError("thrown by a test")
        self.seen += [row[0] for row in batch.rows]

    def write(self, connection, batch):
        self.on_batch(batch)


def test_an_observer_that_fails_is_told_and_counted_and_costs_nothing(store, made, tmp_path, clock):
    failing, other = Watcher(2), Watcher()
    made._observers = (failing, other)
    spool = writer(tmp_path, "edge-0", clock)
    for number in (1, 2, 3):
        request(spool, number)
        asyncio.run(made.turn())
    assert ids(store) == {rid(1), rid(2), rid(3)}
    assert (failing.seen, other.seen) == ([rid(3)], [rid(1), rid(2), rid(3)])
    assert len(made.told) == 1 and "Watcher was not told" in made.told[0] and "KeyError" in made.told[0]
    assert made.problems == ["Watcher was not told 2 times of what the ledger took"]


def test_a_participant_that_fails_leaves_the_batch_for_another_time(store, made, tmp_path, clock):
    failing, watching = Watcher(1), Watcher()
    made._participants, made._observers = (failing,), (watching,)
    request(writer(tmp_path, "edge-0", clock), 1)
    failing.on_batch = lambda batch: failing.seen.append(len(batch.rows))

    def full(connection, batch):
        raise OSError(28, "No space left on device")

    write, failing.write = failing.write, full
    asyncio.run(made.turn())
    assert ids(store) == set() and watching.seen == [] and "No space" in made.failures["edge-0"]
    failing.write = write
    asyncio.run(made.turn())
    assert ids(store) == {rid(1)} and watching.seen == [rid(1)] and failing.seen == [1]
