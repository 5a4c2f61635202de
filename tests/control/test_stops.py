import asyncio

import pytest
from sqlalchemy.exc import DatabaseError

from switchgear.control import stops
from switchgear.core.errors import UserError
from switchgear.store import objects
from switchgear.store.database import StoreGoneError


@pytest.mark.parametrize("why", [StoreGoneError("gone"), DatabaseError("x", None, Exception("full"))])
def test_a_stop_that_the_store_does_not_take_is_owed_to_it(desk, why):
    async def failing():
        raise why

    desk.run(lambda: desk.services.stops.write_soon(failing()))
    assert desk.services.stops.owes
    assert desk.reports[0].startswith("stopped, and to be written to the store when it is back")


def test_nobody_waits_for_a_store_that_is_busy(desk, monkeypatch):
    monkeypatch.setattr(stops, "WRITE_S", 0.01)

    async def scenario():
        is_free = asyncio.Event()
        await desk.services.stops.write_soon(is_free.wait())
        is_free.set()

    desk.run(scenario)
    assert desk.services.stops.owes and desk.reports == ["stopped; the store is busy and will be told"]


def test_a_freeze_that_only_the_replica_has_reaches_the_store(desk):
    desk.run(desk.services.publication.publish)
    desk.services.stops.frozen["team:red"] = None
    desk.run(desk.services.publication.publish_freezes, desk.services.stops.reconcile)
    assert desk.read(objects.freezes) == {"team:red": None}


def test_a_replica_of_another_store_is_refused(desk):
    desk.run(desk.services.publication.publish)
    desk.store.id = "another"
    with pytest.raises(UserError, match="the replica belongs to store"):
        desk.run(desk.services.stops.reconcile)


def test_debts_are_paid_when_the_store_is_back(desk, monkeypatch):
    stops = desk.services.stops
    stops.frozen["all"] = None
    stops.owes = True
    write = desk.control.write

    async def away(function):
        raise StoreGoneError("gone")

    monkeypatch.setattr(desk.control, "write", away)
    desk.run(stops.pay_debts)
    assert stops.owes, "the store is still away"
    monkeypatch.setattr(desk.control, "write", write)
    desk.run(stops.pay_debts)
    assert not stops.owes and desk.read(objects.freezes) == {"all": None}


def test_without_debts_the_store_is_not_asked(desk):
    desk.services.stops.frozen["all"] = None
    desk.run(desk.services.stops.pay_debts)
    assert desk.read(objects.freezes) == {}
