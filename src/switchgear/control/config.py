"""The configuration: loaded at the start, applied, brought back. Level 5."""

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection

from switchgear.config import document
from switchgear.config.compile import Compiled, Process
from switchgear.control import budget_names, declared, file_holders, file_keys, holders, versions
from switchgear.control.handle import Control, VaultRefusedError
from switchgear.control.history import History
from switchgear.control.publication import Publication
from switchgear.control.stops import Stops
from switchgear.core.ids import random_base62
from switchgear.store import objects
from switchgear.vault import verbs
from switchgear.vault.verbs import Put


class Config:
    """What replaces the configuration in force: all of it or nothing."""

    def __init__(self, control: Control, stops: Stops, publication: Publication, history: History) -> None:
        self._control = control
        self._stops = stops
        self._publication = publication
        self._history = history
        self.trouble: str | None = None
        """Why the configuration is not in force yet: the store or the vault is away."""
        self.refused_puts: list[str] = []
        """Credentials of the configuration that the vault does not take, and why."""
        self.unset: Mapping[str, str] = {}
        """Credentials whose secret was not there at the start, by id, each with a sentence."""
        self.problems: list[str] = []
        """What is wrong with the configuration in force, for `status`."""
        self._started = Process()
        self._applying = asyncio.Lock()

    async def load(
        self,
        compiled: Compiled,
        puts: list[Put],
        started_ms: int = 0,
        refused: Sequence[str] = (),
        unset: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Begin with a configuration: hand its credentials to the vault, then publish. A credential that the vault does not take is
        a problem of its own and keeps nobody else's from serving; `refused` says what could not even be sealed, `unset`
        which secrets were not there, by credential.

        `started_ms` is when the supervisor read it: one that was applied since wins, for a control that is started again. A gateway
        that is started without a file goes on with what was applied last: a start takes no model and no key away that nobody
        took away.
        """
        control = self._control
        await control.ask_vault(verbs.BIND_STORE, control.store.id)
        await self._stops.reconcile()
        self._started = compiled.process
        last = await control.read(versions.latest)
        if started_ms and last is not None and max(last.time_ms, last.seen_ms) > started_ms:
            latest = versions.with_demo_of(last.state.compiled, compiled)
            puts = [] if latest != compiled else puts
            compiled = latest
        elif not compiled.source:
            applied = await control.read(versions.applied_last)
            if applied is not None:
                compiled = versions.with_demo_of(applied.state.compiled, compiled)
                if compiled.source:
                    control.report(f"started without a file: what was applied last is in force, from {compiled.source}")
        self.refused_puts, self.unset = list(refused), unset
        for said in refused:
            control.report(said)
        for put in puts:
            try:
                await control.ask_vault(verbs.PUT, put)
            except VaultRefusedError as exc:
                name = f"{put.context.provider}/{put.context.credential}"
                self.refused_puts.append(f"the vault does not take credential {name}: {exc}")
                control.report(self.refused_puts[-1])
        await self.apply(compiled, [], "supervisor", at_start=True)

    @property
    def without_secret(self) -> list[str]:
        """Return what to say of credentials whose secret was not there at the start and that the vault does not hold since."""
        held = {credential.id for credential in self._publication.credentials if credential.state != "removed"}
        return [said for name, said in self.unset.items() if name not in held]

    def needs_restart(self, compiled: Compiled | None = None) -> list[str]:
        """Return the paths of settings that hold from the next start on: processes took theirs when they started."""
        process = (compiled or self._publication.compiled).process
        old, new = (document.of(Compiled(process=p)) for p in (self._started, process))
        return [change.path for change in document.changes(old, new)]

    async def apply(
        self, compiled: Compiled, puts: list[Put], actor: str, *, drop_keys: bool = False, at_start: bool = False
    ) -> None:
        """Replace the file configuration: all of it or nothing.

        What would revoke over half of the keys is refused without `drop_keys`; at a start the keys stay as they are.
        """
        control = self._control
        async with self._applying:
            if not at_start:
                await self._history.remember_now()  # what changed just before is a version of its own
            compiled = versions.with_demo_of(compiled, self._publication.compiled)
            state = await control.read(lambda c: versions.current(c, compiled))
            declared.check_apart(state)
            peppers = control.peppers
            await control.read(
                lambda c: file_keys.check(c, compiled, peppers, control.clock.wall_ms(), drop_keys or at_start)
            )
            if not at_start:
                await control.read(lambda c: self._check_kept(c, compiled))
            for put in puts:
                await control.ask_vault(verbs.PUT, put)
            now = control.clock.wall_ms()

            def work(connection: Connection) -> tuple[list[str], list[str]]:
                keep = at_start and not drop_keys
                self._sync_holders(connection, compiled, now)
                kept = file_keys.sync(connection, compiled, peppers, now, keep, control.publisher.version_of)
                if not at_start:
                    detail = {"digest": compiled.digest}
                    objects.write_audit(connection, now, actor, "config.apply", compiled.source or "-", detail)
                versions.remember(connection, state, actor, versions.START if at_start else versions.APPLY, now)
                return kept, [] if kept else file_holders.drop(connection, compiled, now)

            kept, held = await control.write(work)
            self.problems = [_kept(kept, compiled)] if kept else []
            self.problems += (
                [f"{', '.join(held)}: not in the configuration any more, and keys belong to it"] if held else []
            )
            await self._put_in_force(compiled)

    def _check_kept(self, connection: Connection, compiled: Compiled) -> None:
        """Raise UserError for what leaves the file while the store needs it."""
        file_holders.check(connection, compiled)
        old, new = (declared.names(one, "model") for one in (self._publication.compiled, compiled))
        budget_names.refuse_loss(connection, old, {*new, *objects.objects(connection, "model")})

    def _sync_holders(self, connection: Connection, compiled: Compiled, now_ms: int) -> None:
        publisher = self._control.publisher

        def published(kind: str, identity: str) -> int:
            entry = publisher.holder_of(kind, identity)
            return entry.version if entry is not None else 0

        chance = random_base62(self._control.entropy, holders.CHANCE_CHARS)
        file_holders.sync(connection, compiled, now_ms, chance, published)

    async def _put_in_force(self, compiled: Compiled) -> None:
        self._publication.compiled = compiled
        await self._publication.publish()
        await self._publication.publish_keys()

    async def plan_rollback(self, target: versions.ConfigurationState, starts_with: str | None = None) -> versions.Plan:
        """Return what bringing a version back would change, and what stays as it is."""
        compiled = versions.without_demo(self._publication.compiled)
        state = await self._control.read(lambda c: versions.current(c, compiled))
        return versions.plan_rollback(state, target, self._publication.credentials, starts_with)

    async def roll_back(self, plan: versions.Plan, number: int, actor: str, *, drop_keys: bool = False) -> None:
        """Bring a version back. Secrets stay sealed, keys of the store and freezes as they are."""
        control = self._control
        await self._history.remember_now()
        async with self._applying:
            compiled = versions.with_demo_of(plan.state.compiled, self._publication.compiled)
            state = msgspec.structs.replace(plan.state, compiled=compiled)
            declared.check_apart(state)
            now = control.clock.wall_ms()

            def work(connection: Connection) -> None:
                file_keys.check(connection, compiled, control.peppers, now, drop_keys)
                versions.restore(connection, state, now)
                self._check_kept(connection, compiled)
                self._sync_holders(connection, compiled, now)
                file_keys.sync(connection, compiled, control.peppers, now, published=control.publisher.version_of)
                file_holders.drop(connection, compiled, now)
                objects.write_audit(connection, now, actor, "config.rollback", str(number), None)
                versions.remember(connection, state, actor, f"{versions.ROLLBACK}{number}", now)

            await control.write(work)
            await self._put_in_force(compiled)


def _kept(names: list[str], compiled: Compiled) -> str:
    return (
        f"{len(names)} keys are not in {compiled.source or 'the configuration'} any more and still hold, because they are over "
        f"half of all: if that is meant: switchgear config apply {shlex.quote(compiled.source or 'FILE')} --drop-keys"
    )
