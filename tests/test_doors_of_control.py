"""Exceptions thrown at every door of control: the ledger is whole afterwards, and whoever administers is heard (decision 020).

The list of doors is generated: one that is new and that nothing here passes fails.
"""

import asyncio
import os
import types

import pytest
from tests import doors
from tests.control.test_ingester import Link, ids, request, rid, writer

from switchgear.control import jobs as job_module
from switchgear.control.deployments import Deployments
from switchgear.control.double_entry import DoubleEntry
from switchgear.control.housekeeping import Housekeeper
from switchgear.control.ingester import Ingester
from switchgear.control.jobs import Job, Jobs
from switchgear.control.observers import Claims
from switchgear.control.prices import PriceBook
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store

ELSEWHERE = {
    "Bounded.connection_made": "tests/control/test_connections.py",
    "Bounded.connection_lost": "tests/control/test_connections.py",
    "Bounded.on_response_complete": "tests/control/test_connections.py",
    "History._remember_soon": "one version of the history",
    "Bounded._look": "tests/control/test_connections.py",
    "_Running._run": "tests/control/test_jobs.py",
}
FOUND = doors.guarded_functions("control", "ledger")


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def test_the_search_for_doors_finds_all_listed_doors():
    assert len(FOUND) > 8 and {name for _, name in FOUND} >= set(ELSEWHERE)


CASES = [(target, when) for target in FOUND for when in ("before", "after") if target[1] not in ELSEWHERE]


@pytest.mark.parametrize(("target", "when"), CASES, ids=lambda value: value if isinstance(value, str) else value[1])
def test_a_fault_at_any_door_costs_nothing_that_is_booked(target, when, store, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(job_module, "PAUSE_S", 0.0)
    monkeypatch.setattr("tests.control.test_ingester.SEGMENT_BYTES", 4 * 1024 * 1024)
    (tmp_path / "spool" / "vault").mkdir(parents=True)
    told, thrown = [], []
    first, second = writer(tmp_path, "edge-0", clock), writer(tmp_path, "edge-1", clock)
    journal = writer(tmp_path, "vault", clock)
    gateway = types.SimpleNamespace(
        clock=clock, report=told.append, compiled=types.SimpleNamespace(journal_hours=1, ledger_days=None),
        write=lambda f: asyncio.wrap_future(store.write(f)), read=lambda f: asyncio.wrap_future(store.read(f)),
        ballast=types.SimpleNamespace(prepare=lambda: True),
        publisher=types.SimpleNamespace(check_readers=lambda: 0, drop_stored=lambda now: 0),
    )  # fmt: skip
    claims = Claims()
    ingester = Ingester(
        store, tmp_path / "spool", Link(), PriceBook(), clock, os.urandom, told.append, observers=(claims,)
    )

    def throw(*_):
        if not thrown:
            thrown.append(1)
            raise ZeroDivisionError("thrown by a test")

    async def scenario():
        jobs = Jobs(told.append, clock)
        request(first, 1)
        request(second, 2)
        await ingester.turn()  # so that a restart reads a segment again, too
        ingester._spools.clear()
        rig = doors.Rig(target, **{when: throw})
        try:
            books = DoubleEntry(store, journal.folder, ingester, claims, clock, told.append)
            keeper = Housekeeper(gateway, gateway, ingester, Deployments(lambda: None), journal.folder)
            jobs.start(
                [
                    Job("ledger", 0.0, ingester.work),
                    Job("double entry", 0.0, books.work),
                    Job("housekeeping", 0.0, keeper.turn),
                ]
            )
            async with asyncio.timeout(60):
                number = 3
                while number < 8 or (not thrown and number < 40):
                    request(first, number)
                    request(second, number + 1)
                    number += 2
                    await asyncio.sleep(0.02)
                while len({rid(n) for n in range(1, number)} - ids(store)) > lost or not thrown:
                    await asyncio.sleep(0.02)
        finally:
            rig.undo()
            await jobs.stop()

    # A record that cannot be taken is the one thing that ends: it is told, and nothing else is missing.
    lost = int(target[1] == "SpoolIngester._advance" and when == "before")
    asyncio.run(scenario())
    assert thrown and (told or ingester.problems), "nothing is silent"
