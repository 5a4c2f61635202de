"""Stopping a key is never lost to what others change at the same time."""

import asyncio
import os

import msgspec
import pytest

from switchgear.control.gateway import Gateway
from switchgear.control.prices import PriceBook
from switchgear.core.errors import ConflictError, UserError
from switchgear.replica.publisher import Publisher
from switchgear.store import objects
from switchgear.store.ballast import Ballast
from switchgear.store.database import Store
from switchgear.store.objects import KeyRow


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", True, os.urandom)
    yield made
    made.close()


@pytest.fixture
def publisher(tmp_path):
    made = Publisher(tmp_path / "replica")
    yield made
    made.close()


@pytest.fixture
def gateway(store, publisher, tmp_path, clock):
    return Gateway(
        store=store,
        ballast=Ballast(tmp_path),
        publisher=publisher,
        link=None,
        prices=PriceBook(),
        load_prices=dict,
        price_snapshot="2026-01-01",
        peppers={1: b"p" * 32},
        clock=clock,
        entropy=os.urandom,
        report=print,
    )


class Meanwhile:
    """Does something at the moment when a key was published and is not stored yet."""

    def __init__(self, gateway, do):
        self._publish, self._do = gateway._publish_key, do
        gateway._publish_key = self

    async def __call__(self, row):
        await self._publish(row)
        do, self._do = self._do, None
        if do is not None:
            await do()


def stored(store, name):
    [row] = store.read(lambda c: objects.keys(c, name)).result()
    return row


@pytest.mark.parametrize("other", ["a recovery", "an update", "a rotation", "another revocation"])
def test_a_revocation_wins_over_what_happens_to_the_key_meanwhile(gateway, store, publisher, other):
    async def recover():
        await gateway._reconcile()

    async def update():
        await gateway.change_key("app", {"team": "red"}, "bob")

    async def rotate():
        await gateway.rotate_key("app", 0, False, "bob")

    async def revoke():
        await gateway.revoke_key("app", "bob")

    does = {"a recovery": recover, "an update": update, "a rotation": rotate, "another revocation": revoke}

    async def scenario():
        await gateway.create_key(KeyRow(id="", name="app"), "ann")
        Meanwhile(gateway, does[other])
        return await gateway.revoke_key("app", "ann")

    row = asyncio.run(scenario())
    assert row.revoked_ms is not None
    kept = stored(store, "app")
    assert kept.revoked_ms is not None
    assert (kept.team == "red") is (other == "an update"), "what was changed before stays"
    assert publisher.find_key("app").revoked
    assert publisher.live_keys(0) == set()


def test_an_update_that_read_the_key_before_it_was_revoked_does_not_bring_it_back(gateway, store, publisher):
    async def scenario():
        row, _ = await gateway.create_key(KeyRow(id="", name="app"), "ann")
        await gateway.revoke_key("app", "ann")
        with pytest.raises((ConflictError, UserError)):
            await gateway._store_key(msgspec.structs.replace(row, version=2, team="red"), row, "bob", "key.update", [])
        await gateway._publish_key(msgspec.structs.replace(row, version=2, team="red"))

    asyncio.run(scenario())
    assert stored(store, "app").revoked_ms is not None
    assert publisher.find_key("app").revoked
