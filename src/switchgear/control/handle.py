"""What every service of control works with: store, ballast, replica, the vault's link, clock and report. Level 5.

Order matters (docs/invariants.md S2, C3): creating writes the store first and publishes then; revoking and freezing write the
replica first and return after its commit; a credential is in the vault before a route to it is published.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from switchgear.core.clock import Clock
from switchgear.core.errors import RefusedError, UserError
from switchgear.core.ids import Entropy
from switchgear.net.link import LinkClient
from switchgear.replica.publisher import Publisher
from switchgear.store import objects
from switchgear.store.ballast import Ballast
from switchgear.store.database import Store
from switchgear.wire.verbs import A, B, Verb

T = TypeVar("T")
VAULT_PATIENCE_S = (2.0, 5.0, 25.0)


class VaultRefusedError(UserError):
    """The vault will not do it; it said why."""


class Control:
    """The handles."""

    def __init__(
        self,
        *,
        store: Store,
        ballast: Ballast,
        publisher: Publisher,
        link: LinkClient,
        peppers: dict[int, bytes],
        clock: Clock,
        entropy: Entropy,
        report: Callable[[str], None],
    ) -> None:
        self.store = store
        self.ballast = ballast
        self.publisher = publisher
        self.link = link
        self.peppers = peppers
        self.clock = clock
        self.entropy = entropy
        self.report = report

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a write transaction of the store."""
        return await asyncio.wrap_future(self.store.write(function))

    async def write_urgently(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a write transaction, on a full disk too."""
        return await asyncio.wrap_future(self.store.write_with_room(function))

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a read transaction of the store."""
        return await asyncio.wrap_future(self.store.read(function))

    async def read_urgently(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a read transaction that waits for no other reader."""
        return await asyncio.wrap_future(self.store.read_urgently(function))

    async def audit(self, actor: str, action: str, subject: str, detail: object = None) -> None:
        """Write a line of the audit log."""
        now = self.clock.wall_ms()
        await self.write(lambda connection: objects.write_audit(connection, now, actor, action, subject, detail))

    async def ask_vault(self, verb: Verb[B, A], body: B) -> A:
        """Ask the vault. Raises UserError when it refuses or is away."""
        for patience_s in VAULT_PATIENCE_S:
            try:
                return await self.link.ask(verb, body, patience_s)
            except RefusedError as exc:
                raise VaultRefusedError(str(exc)) from None
            except (ConnectionError, TimeoutError) as exc:
                reason = str(exc) or f"no answer within {patience_s:g} s"
                self.report(f"the vault did not do {verb.name!r}: {reason}; asking again")
        raise UserError("the vault does not answer", "see `switchgear status`; try again")
