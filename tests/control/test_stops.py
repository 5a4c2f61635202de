import asyncio

import msgspec
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DatabaseError

from switchgear.control import stops
from switchgear.core.errors import UserError
from switchgear.store import objects, tables
from switchgear.store.database import StoreGoneError
from switchgear.store.objects import KeyRow


@pytest.mark.parametrize("why", [StoreGoneError("gone"), DatabaseError("x", None, Exception("full"))])
def test_a_stop_that_the_store_refuses_stays_owed(desk, why):
    async def failing():
        raise why

    desk.run(lambda: desk.services.stops.write_soon(failing()))
    assert desk.services.stops.owes
    assert desk.reports[0].startswith("stopped, and to be written to the store when it is back")


def test_a_stop_does_not_wait_for_a_busy_store(desk, monkeypatch):
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


def test_S5_a_freeze_whose_row_somebody_deleted_is_written_again_at_the_next_start_and_told(desk):
    services = desk.services
    desk.run(services.publication.publish, lambda: services.freezes.freeze("all", None, "ann"))
    services.stops.frozen.clear()  # a restart
    desk.store.write(lambda c: c.execute(tables.freezes.delete())).result()
    desk.run(services.stops.reconcile)
    assert desk.read(objects.freezes) == {"all": None}
    assert desk.reports == ["stopped here, and now in the store, too: the freeze of 'all'"]


def test_S5_nothing_of_a_forged_key_is_signed_when_a_revocation_is_written_again(desk):
    desk.run(lambda: desk.services.keys.create(KeyRow(id="", name="app"), "ann"))
    entry = desk.publisher.find_key("app")
    desk.publisher.put_key(msgspec.structs.replace(entry, revoked=True, version=9))
    desk.store.write(lambda c: c.execute(update(tables.keys).values(policy=b'{"team":"blue"}'))).result()
    desk.run(desk.services.stops.reconcile, desk.services.publication.look)
    assert desk.read(objects.keys)[0].is_forged and desk.publisher.find_key("app").revoked
