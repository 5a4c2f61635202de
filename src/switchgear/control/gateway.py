"""What administrators can do, as methods: the one place that changes keys, routes, credentials and freezes. Level 5.

Order matters (docs/invariants.md S2, C3): creating writes the store first and publishes then; revoking and freezing write the
replica first and return after its commit; a credential is in the vault before a route to it is published.
"""

import asyncio
import contextlib
import functools
import hashlib
import shlex
from collections.abc import Callable, Coroutine, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from switchgear.config import document
from switchgear.config.compile import Compiled, FileKey, Process, ProviderSpec
from switchgear.control import refusals, versions
from switchgear.control.prices import PriceBook
from switchgear.control.refusals import Refusals
from switchgear.core import virtual_key
from switchgear.core.clock import Clock
from switchgear.core.errors import ConflictError, RefusedError, StaleError, UserError
from switchgear.core.guard import guarded, place_of
from switchgear.core.ids import Entropy, KeyId, random_base62, request_id_floor
from switchgear.core.nearest import meant
from switchgear.ledger import build, verify
from switchgear.ledger.record import Record
from switchgear.net.link import VaultLink
from switchgear.policies import access
from switchgear.pricing.catalog import Catalog, Load
from switchgear.pricing.price import Price
from switchgear.providers import endpoint
from switchgear.providers.catalogue import PROVIDERS
from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot
from switchgear.replica.publisher import Publisher
from switchgear.routing import table
from switchgear.routing.table import ModelEntry, ProviderEntry, RouteTable
from switchgear.store import ledger_rows, objects
from switchgear.store.ballast import Ballast
from switchgear.store.database import Store, StoreGoneError
from switchgear.store.objects import KeyRow, KeySecretRow
from switchgear.vault import verbs
from switchgear.vault.verbs import CredentialName, Metadata, Put
from switchgear.wire.verbs import A, B, Verb

T = TypeVar("T")
OPENING = "opening"
"""Kind of the objects that say what a key spent before it came here, by its id."""
IMPORTED = "import"
"""Source of keys that another gateway made."""
LINK_MS = 15 * 60_000
ID_PREFIX_MIN = 4
"""So many characters of an id may stand for it, where they are one's only."""
OVERLAP_MS = 3_600_000
DEBTS_S = 2.0
STOP_WRITE_S = 1.0
"""Whoever stops somebody waits no longer for the store: what stops stands in the replica already."""
REMEMBER_S = 1.0
KEYS_FEW = 10
"""Below so many keys, losing half of them is nothing special."""
VAULT_PATIENCE_S = (2.0, 5.0, 25.0)


class VaultRefusedError(UserError):
    """The vault will not do it; it said why."""


class Gateway:
    """Control's state: the configuration in force, and the handles to store, replica and vault."""

    def __init__(
        self,
        *,
        store: Store,
        ballast: Ballast,
        publisher: Publisher,
        link: VaultLink,
        prices: PriceBook,
        load_prices: Load,
        price_snapshot: str,
        peppers: dict[int, bytes],
        clock: Clock,
        entropy: Entropy,
        report: Callable[[str], None],
    ) -> None:
        self.store = store
        self.ballast = ballast
        self.publisher = publisher
        self.link = link
        self.prices = prices
        self.load_prices = load_prices
        self.price_snapshot = price_snapshot
        self.peppers = peppers
        self.clock = clock
        self.entropy = entropy
        self.report = report
        self.compiled = Compiled()
        self.snapshot: Snapshot | None = None
        self.catalog = Catalog(load_prices, price_snapshot)
        self.credentials: list[Metadata] = []
        self.refusals = Refusals()
        self.damaged: set[str] = set()
        """Objects of the store that cannot be read."""
        self.trouble: str | None = None
        """Why the configuration is not in force yet: the store or the vault is away."""
        self.refused_puts: list[str] = []
        """Credentials of the configuration that the vault does not take, and why."""
        self._revoked: set[str] = set()
        """Ids of keys that were revoked here: whoever publishes what it read of the store before does not let them in again."""
        self._frozen: dict[str, int | None] = {}
        """Subjects that were frozen here, for the same reason."""
        self._putting = asyncio.Lock()
        """Held for the moment in which a snapshot is made of what is known and put into the replica."""
        self._owes = False
        """True when something was stopped in the replica and could not be written to the store."""
        self.problems: list[str] = []
        """What is wrong with the configuration in force, for `status`."""
        self._started = Process()
        self._publishing = asyncio.Lock()
        self._applying = asyncio.Lock()
        self._unremembered: tuple[str, str] | None = None
        self._remembering: asyncio.Task[None] | None = None

    # plumbing

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a write transaction of the store."""
        return await asyncio.wrap_future(self.store.write(function))

    async def write_urgently(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a write transaction, on a full disk too."""
        work = functools.partial(self.store.write_here, function)
        return await asyncio.wrap_future(self.store.submit(lambda: self.ballast.spend(work)))

    async def read_urgently(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a read transaction that waits for no other reader."""
        return await asyncio.wrap_future(self.store.read_urgently(function))

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a read transaction of the store."""
        return await asyncio.wrap_future(self.store.read(function))

    def records(self, connection: Connection, rows: list[bytes]) -> list[Record]:
        """Build the records of stored rows."""
        return [record for row in rows if (record := self.record(connection, row)) is not None]

    def record(self, connection: Connection, row: bytes) -> Record | None:
        """Build the record of a stored row; None for one that is damaged, which keeps nobody from seeing the others."""
        find = functools.partial(self.prices.look_up, connection, keep=False)
        try:
            return build.from_row(row, find)
        except (msgspec.DecodeError, ValueError, OverflowError) as exc:
            self.report(f"a row of the ledger is damaged and left out: {type(exc).__name__}")
            return None

    async def verify_ledger(self, since_hour: int, until_hour: int) -> verify.Verdict:
        """Add up every record of some hours again, as of one moment, and compare with the sums."""

        def work(connection: Connection) -> verify.Verdict:
            find = functools.partial(self.prices.look_up, connection, keep=False)
            adder = verify.Adder()
            floors = [request_id_floor(hour * 3_600_000) for hour in (since_hour, until_hour)]
            for row in ledger_rows.every_record(connection, *floors):
                try:
                    adder.add(build.from_row(row, find))
                except (msgspec.DecodeError, ValueError, OverflowError):
                    adder.unreadable += 1
            differences = adder.compare(ledger_rows.every_sum(connection, since_hour, until_hour))
            spools = ledger_rows.spool_rows(connection)
            return verify.Verdict(
                adder.requests,
                differences,
                verify.gaps(spools),
                verify.completeness(spools),
                adder.unreadable,
                [reason for _, _, reason in ledger_rows.quarantined(connection)][: verify.DIFFERENCES_MAX],
            )

        return await self.read(work)

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

    async def _audit(self, actor: str, action: str, subject: str, detail: object = None) -> None:
        now = self.clock.wall_ms()
        await self.write(lambda connection: objects.write_audit(connection, now, actor, action, subject, detail))

    # configuration and publication

    async def load(self, compiled: Compiled, puts: list[Put], started_ms: int = 0) -> None:
        """Begin with a configuration: hand its credentials to the vault, then publish. A credential that the vault does not take is
        a problem of its own and keeps nobody else's from serving.

        `started_ms` is when the supervisor read it: one that was applied since wins, for a control that is started again.
        """
        await self.ask_vault(verbs.BIND_STORE, self.store.id)
        await self._reconcile()
        self._started = compiled.process
        last = await self.read(versions.latest)
        if started_ms and last is not None and max(last.time_ms, last.seen_ms) > started_ms:
            latest = versions.with_demo_of(last.state.compiled, compiled)
            puts = [] if latest != compiled else puts
            compiled = latest
        self.refused_puts = []
        for put in puts:
            try:
                await self.ask_vault(verbs.PUT, put)
            except VaultRefusedError as exc:
                name = f"{put.context.provider}/{put.context.credential}"
                self.refused_puts.append(f"the vault does not take credential {name}: {exc}")
                self.report(self.refused_puts[-1])
        await self.apply(compiled, [], "supervisor", at_start=True)

    async def pay_debts(self) -> None:
        """Write to the store what was stopped while it was away, as soon as it is back; until cancelled."""
        while True:
            await asyncio.sleep(DEBTS_S)
            if self._owes:
                with contextlib.suppress(StoreGoneError, DatabaseError):
                    await self._reconcile()
                    self._owes = False

    def needs_restart(self, compiled: Compiled | None = None) -> list[str]:
        """Return the paths of settings that hold from the next start on: processes took theirs when they started."""
        process = (compiled or self.compiled).process
        old, new = (document.of(Compiled(process=p)) for p in (self._started, process))
        return [change.path for change in document.changes(old, new)]

    async def _reconcile(self) -> None:
        """Finish what a crash interrupted between replica and store: a published revocation or freeze wins."""
        published = await asyncio.to_thread(self.publisher.current)
        if published is not None and published.store_id != self.store.id:
            raise UserError(
                f"the replica belongs to store {published.store_id}, not {self.store.id}",
                "put the right database back, or remove the replica folder",
                2,
            )
        revoked = {e.id: e for e in await asyncio.to_thread(self.publisher.revoked_keys)}
        now = self.clock.wall_ms()

        def work(connection: Connection) -> None:
            for row in objects.keys(connection):
                entry = revoked.get(row.id)
                is_revoked = row.id in self._revoked or (entry is not None and entry.version > row.version)
                if is_revoked and row.revoked_ms is None:
                    version = max(row.version + 1, entry.version if entry is not None else 0)
                    gone = msgspec.structs.replace(row, version=version, revoked_ms=now, updated_ms=now)
                    objects.replace_key(connection, gone, row.version)
            stored = objects.freezes(connection)
            wanted = {**(published.freezes if published is not None else {}), **self._frozen}
            for subject, until in wanted.items():
                if subject not in stored:
                    objects.put_freeze(connection, subject, until, "recovery", now)

        await self.write(work)

    async def apply(
        self, compiled: Compiled, puts: list[Put], actor: str, *, drop_keys: bool = False, at_start: bool = False
    ) -> None:
        """Replace the file configuration: all of it or nothing.

        What would revoke over half of the keys is refused without `drop_keys`; at a start the keys stay as they are.
        """
        async with self._applying:
            if not at_start:
                await self.remember_now()  # what changed just before is a version of its own
            compiled = versions.with_demo_of(compiled, self.compiled)
            state = await self.read(lambda c: versions.current(c, compiled))
            self._check_names(state)
            await self.read(lambda c: self._check_keys(c, compiled, drop_keys or at_start))
            for put in puts:
                await self.ask_vault(verbs.PUT, put)
            now = self.clock.wall_ms()

            def work(connection: Connection) -> list[str]:
                kept = self._sync_file_keys(connection, compiled, keep=at_start and not drop_keys)
                if not at_start:
                    detail = {"digest": compiled.digest}
                    objects.write_audit(connection, now, actor, "config.apply", compiled.source or "-", detail)
                versions.remember(connection, state, actor, "start" if at_start else "config.apply", now)
                return kept

            kept = await self.write(work)
            self.compiled = compiled
            self.problems = [_kept(kept, compiled)] if kept else []
            await self.publish()
            await self.publish_keys()

    def _check_names(self, state: versions.State) -> None:
        """Raise ConflictError for a name that stands in the file and in the store."""
        compiled = state.compiled
        for kind, names in (
            ("provider", {p.name for p in compiled.providers}),
            ("model", {m.name for m in compiled.models}),
        ):
            for name in sorted(names & state.stored[kind].keys()):
                raise ConflictError(
                    f"the {kind} {name!r} is in the file and in the store",
                    f"remove one: switchgear {kind} remove {name}",
                )

    async def plan_rollback(self, target: versions.State) -> "Plan":
        """Return what bringing a version back would change, and what stays as it is."""
        state = await self.read(lambda c: versions.current(c, versions.without_demo(self.compiled)))
        return plan_rollback(state, target, self.credentials)

    async def roll_back(self, plan: "Plan", number: int, actor: str, *, drop_keys: bool = False) -> None:
        """Bring a version back. Secrets stay sealed, keys of the store and freezes as they are."""
        await self.remember_now()
        async with self._applying:
            state = msgspec.structs.replace(
                plan.state, compiled=versions.with_demo_of(plan.state.compiled, self.compiled)
            )
            self._check_names(state)
            now = self.clock.wall_ms()

            def work(connection: Connection) -> None:
                self._check_keys(connection, state.compiled, drop_keys)
                versions.restore(connection, state, now)
                self._sync_file_keys(connection, state.compiled)
                objects.write_audit(connection, now, actor, "config.rollback", str(number), None)
                versions.remember(connection, state, actor, f"rollback to {number}", now)

            await self.write(work)
            self.compiled = state.compiled
            await self.publish()
            await self.publish_keys()

    def _remember(self, actor: str, action: str) -> None:
        """Add a version to the history soon, after a change of the store's part: many changes in a row are one version."""
        is_first = self._unremembered is None
        self._unremembered = (actor, action)
        if is_first:
            self._remembering = asyncio.create_task(self._remember_soon())

    def _not_remembered(self, exc: Exception) -> None:
        known = isinstance(exc, UserError | StoreGoneError | SQLAlchemyError)
        why = str(exc) if known else f"{type(exc).__name__} in {place_of(exc)}"
        self.report(f"the configuration's history lacks a version: {why}")

    @guarded(_not_remembered)
    async def _remember_soon(self) -> None:
        await asyncio.sleep(REMEMBER_S)
        await self.remember_now()

    async def remember_now(self) -> None:
        """Write the version that is due."""
        due, self._unremembered = self._unremembered, None
        if due is not None:
            now = self.clock.wall_ms()
            await self.write(lambda c: versions.remember(c, versions.current(c, self.compiled), *due, now))

    def _check_keys(self, connection: Connection, compiled: Compiled, drop: bool) -> None:
        """Refuse keys that are other keys of the store, and, unless `drop`, what would revoke over half of all (S1)."""
        macs = {mac: spec.name for spec in compiled.keys for mac in self._macs(spec)}
        rows = {row.name: row for row in objects.keys(connection)}
        for mac, name in objects.key_names(connection, macs).items():
            if name != macs[mac] and rows[name].source != "file":
                raise ConflictError(
                    f"the key {macs[mac]!r} of the file is the key {name!r} of the store", "declare it in one place"
                )
        going = self._going(list(rows.values()), compiled)
        if going and not drop:
            raise UserError(
                f"{len(going)} keys would be revoked, over half of all: {', '.join(going[:5])}"
                + (", …" if len(going) > 5 else ""),
                "is a file missing? if it is meant: switchgear config apply FILE --drop-keys",
                2,
            )

    def _going(self, rows: list[KeyRow], compiled: Compiled) -> list[str]:
        """Return the keys that a configuration would revoke, if they are over half of those that live, and not a few."""
        now = self.clock.wall_ms()
        live = [r for r in rows if r.revoked_ms is None and (r.expires_ms is None or r.expires_ms > now)]
        wanted = {spec.name for spec in compiled.keys}
        going = [row.name for row in live if row.source == "file" and row.name not in wanted]
        return going if len(live) >= KEYS_FEW and len(going) * 2 > len(live) else []

    def _macs(self, spec: FileKey) -> list[bytes]:
        pepper = self.peppers[max(self.peppers)]
        plain = [virtual_key.keyed_hash(pepper, bytes.fromhex(spec.sha256))] if spec.sha256 else []
        return plain + [bytes.fromhex(keyed.mac) for keyed in spec.keyed]

    def _sync_file_keys(self, connection: Connection, compiled: Compiled, keep: bool = False) -> list[str]:
        """Make the store's file keys those of the file; what left the file is revoked, its history stays.

        With `keep`, over half of all keys are not revoked but left as they are; returns their names.
        """
        now = self.clock.wall_ms()
        pepper_id = max(self.peppers)
        existing = {key.name: key for key in objects.keys(connection)}
        kept = self._going(list(existing.values()), compiled) if keep else []
        for spec in compiled.keys:
            secrets = [KeySecretRow(mac=mac, pepper_id=pepper_id) for mac in self._macs(spec)[: bool(spec.sha256)]]
            secrets += [
                KeySecretRow(mac=bytes.fromhex(k.mac), pepper_id=k.pepper_id, not_after_ms=k.until_ms)
                for k in spec.keyed
            ]
            old = existing.get(spec.name)
            if old is not None and old.source != "file":
                raise ConflictError(f"the key {spec.name!r} is in the file and in the store", "rename one of them")
            identity = KeyId("f" + hashlib.sha256(spec.name.encode()).hexdigest()[:11])
            row = KeyRow(
                id=identity,
                name=spec.name,
                version=old.version + 1 if old else 1,
                source="file",
                team=spec.team,
                user=spec.user,
                project=spec.project,
                models=spec.models,
                cidrs=spec.cidrs,
                tags=spec.tags,
                passthrough=spec.passthrough,
                expires_ms=spec.expires_ms,
                created_ms=old.created_ms if old else now,
                updated_ms=now,
                secrets=tuple(secrets),
            )
            if old is None:
                objects.add_key(connection, row)
            elif _content(old) != _content(row):
                objects.replace_key(connection, row, old.version)
        wanted = {spec.name for spec in compiled.keys} | set(kept)
        for key in existing.values():
            if key.source == "file" and key.name not in wanted and key.revoked_ms is None:
                gone = msgspec.structs.replace(key, version=key.version + 1, revoked_ms=now, updated_ms=now)
                objects.replace_key(connection, gone, key.version)
        return kept

    def providers(self, stored: dict[str, bytes]) -> dict[str, ProviderSpec]:
        """Return all configured providers: of the file and of the store."""
        found = {spec.name: spec for spec in self.compiled.providers}
        for name, raw in stored.items():
            spec = self._decoded("provider", name, raw, ProviderSpec)
            if spec is not None:
                found[name] = spec
        return found

    def _decoded(self, kind: str, name: str, raw: bytes, wanted: type[T]) -> T | None:
        """Decode an object of the store; None for one that is damaged: it is named in `status`, and the others go on."""
        what = f"the {kind} {name!r} in the store is damaged and left out"
        try:
            found = msgspec.json.decode(raw, type=wanted)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            if what not in self.damaged:
                self.report(what)
                self.damaged.add(what)
            return None
        self.damaged.discard(what)
        return found

    async def publish(self) -> None:
        """Build a snapshot from everything and publish it."""
        async with self._publishing:
            self.credentials = await self.ask_vault(verbs.LIST, None)
            stored = await self.read(lambda c: objects.objects(c, "provider"))
            stored_models = await self.read(lambda c: objects.objects(c, "model"))
            overrides = {
                name: price
                for name, raw in (await self.read(lambda c: objects.objects(c, "price"))).items()
                if (price := self._decoded("price", name, raw, Price)) is not None
            }
            freezes = await self.read(objects.freezes)
            entries = self._provider_entries(self.providers(stored))
            models = {m.name: m for m in self.compiled.models}
            models |= {
                name: entry
                for name, raw in stored_models.items()
                if (entry := self._decoded("model", name, raw, ModelEntry)) is not None
            }
            snapshot = Snapshot(
                store_id=self.store.id,
                epoch=self.publisher.epoch() + 1,
                table=RouteTable(providers=entries, models=models, implicit=self.compiled.implicit),
                freezes=freezes,
                price_snapshot=self.price_snapshot,
                price_overrides={**self.compiled.price_overrides, **overrides},
                discounts_bp=self.compiled.discounts_bp,
                unpriced=self.compiled.unpriced,
                compat=self.compiled.compat,
            )
            self.catalog = Catalog(
                self.load_prices, self.price_snapshot, snapshot.price_overrides, snapshot.discounts_bp
            )
            explicit = self.prices.publish(snapshot, self.catalog)
            await self.write(lambda c: _keep_prices(c, explicit, self.clock.wall_ms()))
            async with self._putting:
                snapshot = msgspec.structs.replace(
                    snapshot, epoch=self.publisher.epoch() + 1, freezes={**snapshot.freezes, **self._frozen}
                )
                await asyncio.to_thread(self.publisher.put_snapshot, snapshot)
                self.snapshot = snapshot

    def _provider_entries(self, specs: dict[str, ProviderSpec]) -> dict[str, ProviderEntry]:
        usable = {c.id for c in self.credentials if c.state == "active" and c.opens}
        by_provider: dict[str, list[str]] = {}
        for credential in self.credentials:
            if credential.id in usable:
                by_provider.setdefault(credential.provider, []).append(credential.name)
        entries = {}
        for name, spec in specs.items():
            have = by_provider.get(name, [])
            ordered = [c for c in spec.credentials if c in have] + sorted(set(have) - set(spec.credentials))
            entries[name] = ProviderEntry(
                name=name,
                dialects=spec.dialects,
                credentials=tuple(ordered),
                pricing_id=spec.pricing_id,
                quirks=spec.quirks,
                own=spec.own,
            )
        return entries

    async def publish_keys(self) -> None:
        """Make the replica's keys those of the store. Refuses to lose over half of them (S1)."""
        rows = await self.read(objects.keys)
        self.damaged -= {what for what in self.damaged if what.startswith("the key ")}
        self.damaged |= {
            f"the key {row.name!r} in the store is damaged: nobody can use it" for row in rows if row.is_damaged
        }
        now = self.clock.wall_ms()
        before = await asyncio.to_thread(self.publisher.live_keys, now)
        lost = before - {row.id for row in rows}  # a revoked key is a row still: gone is only what no row tells of
        if len(before) >= KEYS_FEW and len(lost) * 2 > len(before):
            raise UserError(
                f"the store knows nothing of {len(lost)} of the {len(before)} keys that hold: refusing to drop them",
                "check the database; restore a backup",
            )
        # Two keys may have had one hash, when a file renamed one: the one that holds is written last, and found.
        rows.sort(key=lambda row: row.revoked_ms is None)
        known = set(self._revoked)
        entries = [(self._published(row), _imported(row)) for row in rows]
        await asyncio.to_thread(self.publisher.replace_keys, entries)
        late = self._revoked - known
        for row in rows if late else ():
            if row.id in late:  # revoked while this was written
                await asyncio.to_thread(self.publisher.put_key, self._published(row), _imported(row))

    def _published(self, row: KeyRow) -> KeyEntry:
        entry = _entry(row)
        if row.id in self._revoked and not entry.revoked:  # the row was read before it was revoked
            entry = msgspec.structs.replace(entry, revoked=True, version=entry.version + 1)
        return entry

    async def _publish_key(self, row: KeyRow) -> None:
        put = functools.partial(self.publisher.put_key, self._published(row), _imported(row))
        await asyncio.to_thread(self.ballast.spend, put)

    # keys

    async def create_key(self, row: KeyRow, actor: str) -> tuple[KeyRow, str]:
        """Make a key. Returns it and its token, which is not stored."""
        now = self.clock.wall_ms()
        key_id, token = virtual_key.mint(self.entropy)
        row = msgspec.structs.replace(
            row, id=key_id, created_ms=now, updated_ms=now, secrets=(self._secret(token, None),)
        )

        def work(connection: Connection) -> None:
            objects.add_key(connection, row)
            objects.write_audit(connection, now, actor, "key.create", row.name, {"id": row.id})

        await self.write(work)
        await self._publish_key(row)
        return row, token

    async def import_key(self, row: KeyRow, digest: bytes, spent_nanousd: int, actor: str) -> KeyRow:
        """Take over a key that clients hold already, by the SHA-256 of it. Raises ConflictError when it is known."""
        now = self.clock.wall_ms()
        pepper_id = max(self.peppers)
        mac = virtual_key.keyed_hash(self.peppers[pepper_id], digest)
        identity = KeyId(random_base62(self.entropy, 12))
        secret = KeySecretRow(mac=mac, pepper_id=pepper_id)
        row = msgspec.structs.replace(
            row, id=identity, created_ms=now, updated_ms=now, source=IMPORTED, secrets=(secret,)
        )

        def work(connection: Connection) -> None:
            for other in objects.key_names(connection, [mac]).values():
                raise ConflictError(f"the key {row.name!r} is known here already, as {other!r}")
            objects.add_key(connection, row)
            if spent_nanousd:
                objects.set_object(connection, OPENING, row.id, msgspec.json.encode(spent_nanousd), now)
            detail = {"id": row.id, "spent_nanousd": spent_nanousd}
            objects.write_audit(connection, now, actor, "key.import", row.name, detail)

        await self.write(work)
        await self._publish_key(row)
        return row

    async def spent(self, row: KeyRow) -> tuple[int, int]:
        """Return what a key spent (before it came here, here), in nano-USD."""

        def work(connection: Connection) -> tuple[int, int]:
            before = objects.objects(connection, OPENING).get(row.id)
            until = self.clock.wall_ms() // 3_600_000 + 1
            total = ledger_rows.spent_by_key(connection, {row.id}, until).get(row.id, 0)
            return (msgspec.json.decode(before, type=int) if before else 0), total

        return await self.read(work)

    def _secret(self, token: str, not_after_ms: int | None) -> KeySecretRow:
        pepper_id = max(self.peppers)
        mac = virtual_key.keyed_hash(self.peppers[pepper_id], virtual_key.digest(token))
        return KeySecretRow(mac=mac, pepper_id=pepper_id, not_after_ms=not_after_ms)

    async def find_key(self, name: str) -> KeyRow:
        """Return a key by name, by id, or by the beginning of its id. Raises UserError."""
        found = await self.read_urgently(lambda c: objects.keys(c, name))
        if found:
            return found[0]
        rows = await self.read(objects.key_list)
        begin = [f"{key_name} ({identity})" for identity, key_name in rows if identity.startswith(name)]
        if len(name) >= ID_PREFIX_MIN and len(begin) == 1:
            identity = next(identity for identity, _ in rows if identity.startswith(name))
            return (await self.read(lambda c: objects.keys(c, identity)))[0]
        if len(name) >= ID_PREFIX_MIN and begin:
            raise UserError(
                f"{len(begin)} keys have ids that begin with {name!r}", f"say which: {', '.join(begin[:10])}", 2
            )
        raise UserError(
            f"there is no key {name!r}{meant(name, [key_name for _, key_name in rows])}",
            "list them: switchgear key list",
        )

    async def change_key(self, name: str, changes: dict[str, Any], actor: str, version: int | None = None) -> KeyRow:
        """Change a key's fields. `version` is the one the caller saw, to notice a clash."""
        old = await self.find_key(name)
        self._own(old)
        if version is not None and version != old.version:
            raise StaleError(f"the key {name!r} changed in the meantime", "look at it again and repeat the change")
        row = msgspec.structs.replace(old, **changes, version=old.version + 1, updated_ms=self.clock.wall_ms())
        await self._store_key(row, old, actor, "key.update", sorted(changes))
        await self._publish_key(row)
        return row

    async def _store_key(self, row: KeyRow, old: KeyRow, actor: str, action: str, detail: object) -> None:
        def work(connection: Connection) -> None:
            objects.replace_key(connection, row, old.version)
            objects.write_audit(connection, self.clock.wall_ms(), actor, action, row.name, detail)

        await self.write_urgently(work)  # a rotation must go through

    def _own(self, row: KeyRow) -> None:
        if row.source == "file":
            raise UserError(f"the key {row.name!r} is declared in the configuration file", "change it there")
        if row.revoked_ms is not None:
            raise UserError(f"the key {row.name!r} is revoked", "make a new one: switchgear key create NAME")

    async def rotate_key(self, name: str, overlap_ms: int, force: bool, actor: str) -> tuple[KeyRow, str]:
        """Give a key a new secret; the old one holds until the overlap ends."""
        old = await self.find_key(name)
        self._own(old)
        now = self.clock.wall_ms()
        live = [s for s in old.secrets if s.not_after_ms is None or s.not_after_ms > now]
        if len(live) > 1 and not force:
            raise ConflictError(
                f"the key {name!r} was rotated already and its previous secret still holds",
                "wait for the overlap to end, or use --force to end it now",
            )
        _, token = virtual_key.mint(self.entropy, KeyId(old.id))
        until = now + overlap_ms
        kept = (
            tuple(msgspec.structs.replace(s, not_after_ms=until) for s in live if s.not_after_ms is None)
            if overlap_ms > 0
            else ()
        )
        row = msgspec.structs.replace(
            old, version=old.version + 1, updated_ms=now, secrets=(self._secret(token, None), *kept)
        )
        await self._store_key(row, old, actor, "key.rotate", {"overlap_ms": overlap_ms})
        await self._publish_key(row)
        return row, token

    async def revoke_key(self, name: str, actor: str) -> KeyRow:
        """Revoke a key: holds for the next request on every edge when this returns."""
        try:
            old = await self.find_key(name)
        except (StoreGoneError, DatabaseError):
            return await self._revoke_published(name)
        if old.revoked_ms is not None:
            return old
        if old.source == "file":
            raise UserError(
                f"the key {name!r} is declared in the configuration file",
                f"remove it there; to stop it at once: switchgear freeze key {name}",
            )
        now = self.clock.wall_ms()
        row = msgspec.structs.replace(old, version=old.version + 1, revoked_ms=now, updated_ms=now)
        self._revoked.add(row.id)
        await self._publish_key(row)

        def work(connection: Connection) -> None:
            # Whatever became of the row since it was read: it ends revoked, and whoever revokes it hears no conflict.
            now_there = next((found for found in objects.keys(connection, row.id) if found.id == row.id), old)
            if now_there.revoked_ms is None:
                gone = msgspec.structs.replace(now_there, version=now_there.version + 1, revoked_ms=now, updated_ms=now)
                objects.replace_key(connection, gone, now_there.version)
                objects.write_audit(connection, now, actor, "key.revoke", gone.name, None)

        await self._write_soon(self.write_urgently(work))
        return row

    async def _revoke_published(self, name: str) -> KeyRow:
        """Revoke a key as the edges know it, while the store is away; it is told later."""
        entry = await asyncio.to_thread(self.publisher.find_key, name)
        if entry is None:
            raise UserError(f"there is no key {name!r}", "list them: switchgear key list")
        if not entry.revoked:
            entry = msgspec.structs.replace(entry, revoked=True, version=entry.version + 1)
            await asyncio.to_thread(self.ballast.spend, functools.partial(self.publisher.put_key, entry))
            self._owes = True
        self._revoked.add(entry.id)
        now = self.clock.wall_ms()
        return KeyRow(
            id=entry.id, name=entry.name, version=entry.version, team=entry.team, revoked_ms=now, updated_ms=now
        )

    async def _write_soon(self, writing: Coroutine[Any, Any, None]) -> None:
        """Write what stops somebody. It holds already: where the store cannot be written, or its writer is busy (a spool of a
        compromised edge, a slow disk), nobody waits for it, and it is written when that is over."""
        try:
            await asyncio.wait_for(asyncio.shield(self._owing(writing)), STOP_WRITE_S)
        except TimeoutError:
            self._owes = True
            self.report("stopped; the store is busy and will be told")

    async def _owing(self, writing: Coroutine[Any, Any, None]) -> None:
        try:
            await writing
        except (StoreGoneError, DatabaseError) as exc:
            self._owes = True
            self.report(f"stopped, and to be written to the store when it is back: {exc}")

    # freezes

    async def freeze(self, subject: str, until_ms: int | None, actor: str) -> None:
        """Stop a subject; holds for the next request when this returns."""
        self._frozen[subject] = until_ms
        snapshot = self.snapshot
        if snapshot is not None:
            async with self._putting:
                frozen = msgspec.structs.replace(
                    self.snapshot or snapshot,
                    epoch=self.publisher.epoch() + 1,
                    freezes={**(self.snapshot or snapshot).freezes, **self._frozen},
                )
                await asyncio.to_thread(self.ballast.spend, lambda: self.publisher.put_snapshot(frozen))
                self.snapshot = frozen
        now = self.clock.wall_ms()

        def work(connection: Connection) -> None:
            objects.put_freeze(connection, subject, until_ms, actor, now)
            objects.write_audit(connection, now, actor, "freeze", subject, {"until_ms": until_ms})

        if snapshot is None:
            await self.write_urgently(work)
        else:
            await self._write_soon(self.write_urgently(work))

    async def unfreeze(self, subject: str, actor: str) -> None:
        """Let a subject go on."""
        if not await self.write(lambda c: objects.remove_freeze(c, subject)):
            frozen = sorted(self.snapshot.freezes) if self.snapshot is not None else []
            near = get_close_matches(subject, frozen, n=1, cutoff=0.5)
            meant = f"did you mean {near[0].replace(':', ' ', 1)!r}?" if near else "list what is: switchgear status"
            raise UserError(f"{subject[:128]!r} is not frozen", meant)
        self._frozen.pop(subject, None)
        await self.publish()
        await self._audit(actor, "unfreeze", subject)

    # providers, credentials, models, prices

    async def all_providers(self) -> dict[str, ProviderSpec]:
        """Return all configured providers."""
        return self.providers(await self.read(lambda c: objects.objects(c, "provider")))

    async def add_provider(self, spec: ProviderSpec, actor: str) -> None:
        """Add a provider to the store."""
        if any(p.name == spec.name for p in self.compiled.providers):
            raise ConflictError(f"the provider {spec.name!r} is declared in the configuration file", "change it there")
        now = self.clock.wall_ms()
        await self.write(lambda c: objects.put_object(c, "provider", spec.name, msgspec.json.encode(spec), now))
        await self._audit(actor, "provider.add", spec.name, {"base_url": spec.endpoint.url})
        self._remember(actor, "provider.add")
        await self.publish()

    async def remove_provider(self, name: str, actor: str) -> None:
        """Remove a provider of the store; its credentials are removed from the vault. Raises UserError for one of the file."""
        _of_store("provider", name, (spec.name for spec in self.compiled.providers))
        await self.write(lambda c: objects.remove_object(c, "provider", name))
        await self.publish()
        for credential in self.credentials:
            if credential.provider == name:
                await self.ask_vault(verbs.REMOVE, CredentialName(credential.id))
        await self._audit(actor, "provider.remove", name)
        self._remember(actor, "provider.remove")
        await self.publish()

    async def put_credential(self, put: Put, spec: ProviderSpec | None, actor: str) -> Metadata:
        """Hand a sealed credential to the vault, then publish routes to it."""
        name = put.context.provider
        providers = await self.all_providers()
        if name not in providers:
            if spec is None:
                raise UserError(f"there is no provider {name!r}", f"add it first: switchgear provider add {name} …")
            await self.add_provider(spec, actor)
            providers = await self.all_providers()
        if providers[name].place(put.context.credential) != put.context.endpoint:
            raise UserError(
                f"the credential was sealed for {put.context.endpoint.url}, not {providers[name].endpoint.url}",
                "seal it again: repeat `credential add`",
            )
        metadata = await self.ask_vault(verbs.PUT, put)
        await self._audit(actor, "credential.put", metadata.id, {"version": metadata.version})
        await self.publish()
        return metadata

    async def credential_works(self, credential: str) -> None:
        """A credential was accepted: forget that its provider refused it."""
        now = self.clock.wall_ms()
        changes = self.refusals.changes({credential: (200, now)})
        if changes:
            await self.write(lambda connection: refusals.write(connection, changes, now))
            self.refusals.apply(changes)

    async def change_credential(self, verb: Verb[CredentialName, Metadata], credential: str, actor: str) -> Metadata:
        """Disable, enable or remove a credential. Unpublished first, then changed in the vault. Raises UserError for the removal
        of one that the file declares: the next start would bring it back."""
        provider, _, name = credential.partition("/")
        declared = next((spec for spec in self.compiled.providers if spec.name == provider), None)
        if verb is verbs.REMOVE and declared is not None and name in declared.credentials:
            raise UserError(
                f"the credential {credential!r} is declared in the configuration file",
                f"remove it there; to stop it at once: switchgear credential disable {credential}",
            )
        metadata = await self.ask_vault(verb, CredentialName(credential))
        await self._audit(actor, f"credential.{verb.name}", credential)
        await self.publish()
        return metadata

    async def add_model(self, entry: ModelEntry, actor: str) -> None:
        """Add a model to the store."""
        if any(m.name == entry.name for m in self.compiled.models):
            raise ConflictError(f"the model {entry.name!r} is declared in the configuration file", "change it there")
        providers = await self.all_providers()
        for deployment in entry.deployments:
            if deployment.provider not in providers:
                raise UserError(f"there is no provider {deployment.provider!r}", "list them: switchgear provider list")
        now = self.clock.wall_ms()
        await self.write(lambda c: objects.put_object(c, "model", entry.name, msgspec.json.encode(entry), now))
        await self._audit(actor, "model.add", entry.name)
        self._remember(actor, "model.add")
        await self.publish()

    async def remove_model(self, name: str, actor: str) -> None:
        """Remove a model of the store. Raises UserError for one of the file."""
        _of_store("model", name, (entry.name for entry in self.compiled.models))
        await self.write(lambda c: objects.remove_object(c, "model", name))
        await self._audit(actor, "model.remove", name)
        self._remember(actor, "model.remove")
        await self.publish()

    async def set_price(self, name: str, price: Price, actor: str) -> None:
        """Put a price over the shipped one."""
        now = self.clock.wall_ms()
        await self.write(lambda c: objects.set_object(c, "price", name, msgspec.json.encode(price), now))
        await self._audit(actor, "price.set", name)
        self._remember(actor, "price.set")
        await self.publish()

    def find_price(self, name: str) -> Price | None:
        """Return the price of `provider/model` as the edges would."""
        provider, _, model = name.partition("/")
        entry = self.snapshot.table.providers.get(provider) if self.snapshot is not None else None
        pricing_id = entry.pricing_id if entry is not None else _catalogue_pricing(provider)
        return self.catalog.find(provider, pricing_id, model, self.clock.wall_ms())

    async def explain(self, model: str, key: str | None) -> dict[str, Any]:
        """Tell where a request for a model would go, and why."""
        snapshot = self.snapshot
        if snapshot is None:
            raise UserError("nothing was published yet", "see `switchgear status`")
        steps: list[str] = []
        allowed = True
        if key is not None:
            row = await self.find_key(key)
            allowed = access.may_call(model, row.models)
            steps.append(
                f"key {row.name}: models {', '.join(row.models) if row.models else 'all'} → "
                f"{'allowed' if allowed else 'not allowed'}"
            )
        entry = snapshot.table.models.get(model)
        if entry is not None:
            steps.append(f"{model!r} is a configured model" + (f", an alias of {entry.alias!r}" if entry.alias else ""))
        route = table.resolve(snapshot.table, model)
        if route is None:
            steps.append(f"no model, pattern or provider/model answers to {model!r}")
        candidates = []
        for candidate in route.candidates if route is not None else ():
            price = candidate.price or self.catalog.find(
                candidate.provider.name, candidate.provider.pricing_id, candidate.upstream_model, self.clock.wall_ms()
            )
            frozen = [
                s
                for s in ("all", f"provider:{candidate.provider.name}", f"credential:{candidate.deployment}")
                if s in snapshot.freezes
            ]
            candidates.append(
                {
                    "provider": candidate.provider.name,
                    "credential": candidate.provider.name + "/" + candidate.credential,
                    "upstream_model": candidate.upstream_model,
                    "priced": price is not None,
                    "frozen": frozen,
                }
            )
        return {"model": model, "callable": bool(allowed and candidates), "steps": steps, "candidates": candidates}

    # admin links

    async def admin_link(self) -> str:
        """Make a one-time token for the console, 15 minutes."""
        token = self.entropy(32).hex()
        now = self.clock.wall_ms()
        digest = hashlib.sha256(token.encode()).digest()
        await self.write(lambda c: objects.put_token(c, digest, objects.SESSION, "link", "owner", now + LINK_MS, now))
        return token

    async def use_link(self, token: str) -> str | None:
        """Trade a one-time token for a session token of 12 hours; None when it is not valid."""
        now = self.clock.wall_ms()
        digest = hashlib.sha256(token.encode()).digest()
        session = "sgat-" + self.entropy(32).hex()

        def work(connection: Connection) -> bool:
            if objects.token_role(connection, digest, "link", now) is None or not objects.use_once(connection, digest):
                return False
            session_hash = hashlib.sha256(session.encode()).digest()
            objects.put_token(connection, session_hash, objects.SESSION, "api", "owner", now + 12 * 3_600_000, now)
            objects.write_audit(connection, now, "setup link", "session.begin", "console", None)
            return True

        return session if await self.write(work) else None

    async def create_token(self, name: str, role: str, expires_ms: int | None, actor: str) -> str:
        """Make a token for automation. Raises ConflictError when the name is taken."""
        now = self.clock.wall_ms()
        token = "sgat-" + self.entropy(32).hex()

        def work(connection: Connection) -> None:
            if any(row.name == name for row in objects.tokens(connection)):
                raise ConflictError(f"a token named {name!r} exists already", f"switchgear token revoke {name}")
            digest = hashlib.sha256(token.encode()).digest()
            objects.put_token(connection, digest, name, "api", role, expires_ms, now)
            objects.write_audit(connection, now, actor, "token.create", name, {"role": role, "expires_ms": expires_ms})

        await self.write(work)
        return token

    async def revoke_token(self, name: str, actor: str) -> None:
        """Revoke a token for automation. Raises UserError when there is none of that name."""
        now = self.clock.wall_ms()

        def work(connection: Connection) -> None:
            if name == objects.SESSION or not objects.remove_token(connection, name):
                raise UserError(f"there is no token {name[:64]!r}", "list them: switchgear token list")
            objects.write_audit(connection, now, actor, "token.revoke", name, None)

        await self.write(work)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing a version back comes to."""

    state: versions.State
    changes: list[document.Change]
    stays: list[str]
    """What is not taken back, in words."""


def plan_rollback(state: versions.State, target: versions.State, credentials: list[Metadata]) -> Plan:
    """Work out a rollback. A provider whose credential was sealed for another place since stays as it is now."""
    stays: list[str] = []
    held = [c for c in credentials if c.state != "removed"]
    now = {spec.name: spec for spec in state.whole().providers}
    keep: set[str] = set()
    for spec in target.whole().providers:
        mine = [c for c in held if c.provider == spec.name]
        moved = [c for c in mine if (c.base_url, c.auth) != (spec.place(c.name).url, spec.place(c.name).auth)]
        if moved and spec.name in now:
            keep.add(spec.name)
            stays.append(f"the provider {spec.name}: its credential is sealed for {moved[0].base_url}")
        elif moved:
            stays.append(f"{moved[0].id} is sealed for {moved[0].base_url}: switchgear credential add {spec.name}")
        elif not mine and spec.endpoint.auth not in endpoint.KEYLESS:
            stays.append(f"{spec.name} has no credential any more: switchgear credential add {spec.name}")
    compiled = target.compiled
    if keep:
        mine_now = {spec.name: spec for spec in state.compiled.providers}
        file_part = [mine_now.get(s.name, s) if s.name in keep else s for s in compiled.providers]
        compiled = msgspec.structs.replace(compiled, providers=tuple(file_part))
        stored = {
            name: state.stored["provider"].get(name, raw) if name in keep else raw
            for name, raw in target.stored.get("provider", {}).items()
        }
        target = msgspec.structs.replace(target, stored={**target.stored, "provider": stored})
    found = msgspec.structs.replace(target, compiled=compiled)
    old, new = (document.of(part.whole()) for part in (state, found))
    source = state.compiled.source
    if source and document.of(state.compiled) != document.of(compiled):
        stays.append(f"the file {source}: put its old content back, too, or the next start applies it again")
    stays.append("keys that `key create` made, and freezes")
    return Plan(state=found, changes=document.changes(old, new), stays=stays)


def _of_store(kind: str, name: str, declared: Iterable[str]) -> None:
    if name in declared:
        raise UserError(f"the {kind} {name!r} is declared in the configuration file", "remove it there")


def _kept(names: list[str], compiled: Compiled) -> str:
    return (
        f"{len(names)} keys are not in {compiled.source or 'the configuration'} any more and still hold, because they are over "
        f"half of all: if that is meant: switchgear config apply {shlex.quote(compiled.source or 'FILE')} --drop-keys"
    )


def _keep_prices(connection: Connection, prices: dict[str, Price], now_ms: int) -> None:
    for price_id, price in prices.items():
        ledger_rows.put_price(connection, price_id, msgspec.json.encode(price), now_ms)


def _catalogue_pricing(provider: str) -> str | None:
    row = PROVIDERS.get(provider)
    return row.pricing_id if row is not None else None


def _content(row: KeyRow) -> KeyRow:
    return msgspec.structs.replace(row, version=0, created_ms=0, updated_ms=0, revoked_ms=row.revoked_ms)


def _entry(row: KeyRow) -> KeyEntry:
    secrets = [SecretHash(s.mac, s.pepper_id, s.not_after_ms) for s in row.secrets]
    return KeyEntry(
        row.id,
        row.name,
        row.version,
        secrets,
        row.team,
        row.user,
        row.project,
        row.models,
        row.cidrs,
        row.expires_ms,
        row.revoked_ms is not None,
        row.tags,
        row.passthrough,
    )


def _imported(row: KeyRow) -> tuple[bytes, ...]:
    # Keys that others made have no id in them: they are found by their hashes, also while a rotation's overlap lasts.
    return tuple(secret.mac for secret in row.secrets) if row.source in {"file", IMPORTED} else ()
