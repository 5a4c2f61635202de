"""Once a minute: retention, journals, ballast; and what a full disk or a missing database does not stop."""

import asyncio
import os
from types import SimpleNamespace

import lmdb
import pytest

from switchgear.control import housekeeping
from switchgear.control.deployments import KEPT_MS, Deployments
from switchgear.control.housekeeping import Housekeeper
from switchgear.ledger import journal
from switchgear.replica.publisher import Publisher
from switchgear.spool import files
from switchgear.spool.writer import SpoolWriter
from switchgear.store import deployment_rows, ledger_rows, outbox
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.ballast import FILES, Ballast
from switchgear.store.database import Store
from switchgear.testing.clock import FakeClock
from switchgear.wire import records
from switchgear.wire.records import Kind

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000


class House:
    def __init__(self, folder):
        self.store = Store(SqliteBackend(folder / "store" / "store.sqlite"), True, os.urandom, bytes(32))
        self.publisher = Publisher(folder / "replica")
        self.now_ms, self.monotonic_s, self.reports = NOW_MS, 100.0, []
        self.ingester = SimpleNamespace(read_until_s=99.0)
        self.publication = SimpleNamespace(compiled=SimpleNamespace(ledger_days=30, journal_hours=24))
        self.control = SimpleNamespace(
            clock=SimpleNamespace(wall_ms=lambda: self.now_ms, monotonic_s=lambda: self.monotonic_s),
            publisher=self.publisher,
            ballast=Ballast(folder / "store"),
            read=lambda f: asyncio.wrap_future(self.store.read(f)),
            write=lambda f: asyncio.wrap_future(self.store.write(f)),
            report=self.reports.append,
        )
        self.deployments = Deployments(lambda: None)
        self.keeper = Housekeeper(self.control, self.publication, self.ingester, self.deployments, folder / "journal")

    def book(self, *days_ago, numbered=False):
        rows = []
        for number, days in enumerate(days_ago):
            values = {
                "id": f"{self.now_ms - int(days * DAY_MS):012x}{number:020x}",
                "status": 200,
                "outcome": "ok",
                "record": b"{}",
            }
            rows.append(tuple(values.get(name) for name in ledger_rows.REQUEST_COLUMNS))
        self.store.write(lambda c: ledger_rows.add_requests(c, rows)).result()
        if numbered:
            self.store.write(lambda c: outbox.number(c, [row[0] for row in rows])).result()

    def turn(self):
        asyncio.run(self.keeper.turn())
        return self.store.read(ledger_rows.count_requests).result()


@pytest.fixture
def house(tmp_path):
    (tmp_path / "store").mkdir()
    made = House(tmp_path)
    yield made
    made.publisher.close()
    made.store.close()


def test_records_beyond_their_retention_go_in_batches(house, monkeypatch):
    monkeypatch.setattr(housekeeping, "RETENTION_BATCH", 3)
    house.book(0, 1, 29.9, *[30.1 + n for n in range(7)])
    assert house.turn() == 3
    house.publication.compiled.ledger_days = None
    house.now_ms += 1000 * DAY_MS
    assert house.turn() == 3, "without a retention everything stays"


def test_records_wait_for_an_export_up_to_the_bound_and_its_loss_is_counted(house, monkeypatch):
    monkeypatch.setattr(housekeeping, "RETENTION_BATCH", 2)
    house.book(39, 38, 36, 31, 29, 0, numbered=True)
    house.store.write(lambda c: outbox.add_cursor(c, "slow", 0, 1)).result()
    assert house.turn() == 4, "what is 30 to 37 days old waits"
    [cursor] = house.store.read(outbox.all_cursors).result()
    assert cursor.lost == 2
    house.store.write(lambda c: outbox.move(c, "slow", 0, outbox.head(c), 1)).result()
    assert house.turn() == 2


def test_deployments_that_nobody_uses_go_and_a_clock_that_jumps_ahead_takes_none(house):
    put = {"a/m@c": (b'{"outcomes":{"ok":1}}', NOW_MS)}
    house.store.write(lambda c: deployment_rows.put(c, put)).result()
    house.book(0)
    house.now_ms += KEPT_MS + DAY_MS
    house.turn()
    assert house.store.read(deployment_rows.all_rows).result().keys() == put.keys()
    house.book(0)
    house.turn()
    assert house.store.read(deployment_rows.all_rows).result() == {}


def test_N2_a_clock_that_jumps_ahead_does_not_empty_the_ledger(house):
    house.book(0, 1, 20)
    house.now_ms += 3650 * DAY_MS
    assert house.turn() == 3


def test_C8_journals_stay_while_the_ledger_is_behind(house, tmp_path):
    spool = SpoolWriter(tmp_path / "journal", FakeClock(), os.urandom, "v", segment_bytes=16 * 1024)
    for number in range(2_000):
        spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd(f"{number:032d}", number)))
        spool.commit()
        spool.maintain()
    for number in files.segment_numbers(tmp_path / "journal"):
        os.utime(tmp_path / "journal" / files.segment_name(number), (1, 1))
    many = len(files.segment_numbers(tmp_path / "journal"))
    house.ingester.read_until_s = house.monotonic_s - housekeeping.BEHIND_S
    house.turn()
    assert len(files.segment_numbers(tmp_path / "journal")) == many
    house.ingester.read_until_s = house.monotonic_s
    house.turn()
    assert len(files.segment_numbers(tmp_path / "journal")) == journal.NEWEST
    spool.close()


def test_L3_a_housekeeping_step_that_fails_leaves_the_other_steps_done(house, tmp_path):
    """The replica cannot be written, the database is gone: ballast is taken all the same, and nothing is raised."""
    house.book(0, 100)

    def full(now_ms):
        raise lmdb.Error("No space left on device")

    house.control.publisher = SimpleNamespace(check_readers=lambda: 0, drop_stored=full)
    store = tmp_path / "store" / "store.sqlite"
    store.rename(tmp_path / "elsewhere")
    asyncio.run(house.keeper.turn())
    assert len(house.reports) == 1 and "No space" in house.reports[0]
    assert len(list((tmp_path / "store").glob("ballast-*"))) == FILES
    (tmp_path / "elsewhere").rename(store)
    assert house.turn() == 1
