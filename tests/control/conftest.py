"""Control's services over a real store, a real replica and a real box of credentials, without a process or a socket."""

import asyncio
import os

import msgspec
import pytest
from sqlalchemy import select

from switchgear.control.courier import Courier
from switchgear.control.handle import Control
from switchgear.control.services import Paths, Services, Shipped
from switchgear.core.errors import RefusedError, SealError
from switchgear.core.secret import Secret
from switchgear.detect.advisories import AdvisoryFile
from switchgear.providers.endpoint import Endpoint
from switchgear.replica.publisher import Publisher
from switchgear.store import holders, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.ballast import Ballast
from switchgear.store.database import Store
from switchgear.store.holders import HolderRow
from switchgear.testing.faults import LoudGuard
from switchgear.vault import perform, seal
from switchgear.vault.box import Box
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import Put

KEYS = KeyPair(Secret(bytes(range(32))))
TEAMS = ("red", "blue", "green", "x")
NO_ADVISORIES = AdvisoryFile("switchgear-advisories/1", 1, "2026-11-26", "2027-11-26", [])
PLACE = Endpoint(scheme="https", host="api.openai.com", port=443, path_prefix="/v1")


def sealed(provider="openai", version=1, secret=b"sk-0123456789abcdef", place=PLACE):
    """A credential as callers send it."""
    context = SealContext(provider=provider, credential="default", version=version, endpoint=place)
    return Put(context, seal.seal(Secret(secret), context, KEYS.public))


class BoxLink:
    """The vault's link, answered at once by what the vault does for each verb."""

    def __init__(self, folder, clock):
        folder.mkdir()
        self.box = Box(folder, KEYS, LoudGuard())
        self.clock = clock
        self.asked = []
        self.failures = []
        """What the next calls raise."""

    async def ask(self, verb, body, timeout_s=30.0):
        self.asked.append(verb.name)
        if self.failures:
            raise self.failures.pop(0)
        answers = []
        try:
            perform.RUNS[verb.name].work(self, body, answers.append)
        except SealError as exc:
            raise RefusedError(str(exc)) from None
        return msgspec.convert(answers[0], verb.answer, from_attributes=True)


class Desk:
    """Services, and what they work on."""

    def __init__(self, folder, clock):
        self.folder = folder
        self.clock = clock
        self.reports = []
        self.store = Store(SqliteBackend(folder / "store.sqlite"), True, os.urandom, bytes(32))
        self.publisher = Publisher(folder / "replica")
        self.link = BoxLink(folder / "vault", clock)
        self.control = Control(
            store=self.store,
            ballast=Ballast(folder),
            publisher=self.publisher,
            link=self.link,
            peppers={1: b"p" * 32},
            clock=clock,
            entropy=os.urandom,
            report=self.reports.append,
        )
        paths = Paths(
            data=folder,
            spools=folder / "spools",
            journal=folder / "spools" / "vault",
            status=folder / "status.json",
            seen=folder / "seen",
        )
        shipped = Shipped(
            load_prices=lambda pricing_id: None, price_snapshot="2026-01-01", advisories=NO_ADVISORIES, packages=[]
        )
        self.services = Services(self.control, Courier(None), paths, shipped, lambda: 0, self.reports.append)

    def read(self, function, *arguments):
        """Ask the store."""
        return self.store.read(lambda connection: function(connection, *arguments)).result()

    def audit(self):
        """Return the audit log, oldest first."""
        return self.read(lambda connection: connection.execute(select(tables.audit)).all())

    def run(self, *steps):
        """Run coroutine functions one after the other in one loop; returns what the last returned."""

        async def scenario():
            answer = None
            for step in steps:
                answer = await step()
            return answer

        return asyncio.run(scenario())


@pytest.fixture
def desk(tmp_path, clock):
    """Services over a new store that has some teams."""
    desk = Desk(tmp_path, clock)
    for name in TEAMS:
        desk.store.write(
            lambda c, name=name: holders.add_holder(c, HolderRow(kind="team", id=name, name=name))
        ).result()
    yield desk
    desk.publisher.close()
    desk.store.close()
