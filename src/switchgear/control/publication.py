"""What edges are told: the snapshot of routes, prices and freezes, and the keys. Level 5.

Holds the configuration in force and what was published of it; the one place that writes the replica's snapshot and keys.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.config.compile import Compiled, ProviderSpec, check_model_name, check_spec
from switchgear.control import budget_changes, carried
from switchgear.control.handle import Control
from switchgear.control.prices import PriceBook
from switchgear.control.seen import ENDED, Doubt, Judged, Seen, judge, sentences
from switchgear.control.stops import Stops
from switchgear.core import key_policy, organisation
from switchgear.core.errors import UserError
from switchgear.pricing.catalog import Catalog, Load
from switchgear.pricing.price import Price
from switchgear.providers.catalogue import PROVIDERS
from switchgear.replica.entries import HolderEntry, KeyEntry, SecretHash, Snapshot
from switchgear.routing.table import ModelEntry, ProviderEntry, RouteTable
from switchgear.store import holders, ledger_rows, objects, signing
from switchgear.store.database import StoreGoneError
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow
from switchgear.vault import verbs
from switchgear.vault.verbs import Metadata

T = TypeVar("T")
LOOK_S = 10.0
"""How often objects and freezes of the store are looked at. Other rows are once a day and when somebody asks, keys also whenever
they are published: there may be a million."""
READ_AGAIN = 1_000
"""Rows that are looked at a second time, where they seem older than what was published."""
IMPORTED = "import"
"""Source of keys that another gateway made."""


class Publication:
    """The configuration in force, and the replica's state."""

    def __init__(
        self,
        control: Control,
        stops: Stops,
        seen: Seen,
        prices: PriceBook,
        load_prices: Load,
        price_snapshot: str,
    ) -> None:
        self._control = control
        self._stops = stops
        self._prices = prices
        self._load_prices = load_prices
        self.price_snapshot = price_snapshot
        self.compiled = Compiled()
        self.snapshot: Snapshot | None = None
        self.catalog = Catalog(load_prices, price_snapshot)
        self.credentials: list[Metadata] = []
        self.has_holders_budgets = False
        """Whether a key or somebody that keys belong to has, or had, a budget."""
        self.damaged: set[str] = set()
        """Objects of the store that cannot be read."""
        self.seen = seen
        self._doubts: dict[str, list[Doubt]] = {"objects": [], "holders": [], "keys": [], "others": []}
        self._publishing = asyncio.Lock()
        self._putting = asyncio.Lock()
        """Held for the moment in which a snapshot is made of what is known and put into the replica."""

    async def all_providers(self) -> dict[str, ProviderSpec]:
        """Return all configured providers: of the file and of the store."""
        return self._providers((await self._judge()).bodies("provider"))

    @property
    def doubts(self) -> list[Doubt]:
        """Rows of the store that were not believed when they were read last."""
        return sorted(doubt for doubts in self._doubts.values() for doubt in doubts)

    async def look(self) -> list[Doubt]:
        """Look at every row, publish what is good, and return what is not believed."""
        await self._look_at_few()
        await self._look_at_others()
        if self._is_of_store:
            await self.publish_keys()
        return self.doubts

    async def look_at_few(self) -> None:
        """Look whether objects and freezes are as they were written, and remember them: a turn of the job."""
        with contextlib.suppress(StoreGoneError, DatabaseError):  # the ingester's to report
            await self._look_at_few()

    async def _look_at_few(self) -> None:
        async with self._publishing:
            judged = await self._judge()
            if self._is_of_store:
                await self._keep(judged)

    @property
    def _is_of_store(self) -> bool:
        """True when what is published is this store's, or nothing is: else nothing of it is taken (S1)."""
        return self.snapshot is None or self.snapshot.store_id == self._control.store.id

    async def _judge(self) -> Judged:
        marks = self.seen.marks  # before the rows: one that is written meanwhile is newer, not older
        judged = judge(await self._control.read(objects.published), marks)
        self._doubt("objects", judged.doubts)
        return judged

    async def _look_at_others(self) -> None:
        rows = await self._control.read(lambda c: list(signing.others(c)))
        tokens = await self._control.read(lambda c: objects.token_hashes(c, "api"))
        back = {name for name, token_hash, _ in tokens if self.seen.has_ended(token_hash)}
        forged = {(row.kind, row.name) for row in rows}
        doubts = [Doubt(kind, name, "forged") for kind, name in sorted(forged)]
        self._doubt("others", doubts + [Doubt(ENDED, name, "older") for name in back if (ENDED, name) not in forged])

    def _doubt(self, of: str, doubts: list[Doubt]) -> None:
        for sentence in sentences(set(doubts) - set(self._doubts[of])):
            self._control.report(sentence)
        self._doubts[of] = doubts

    async def accept(self, sign: Callable[[Connection], T] | None = None) -> T | None:
        """Take the store as it is, as far as its MACs hold: what is older there is published as it is, what is gone no more. What
        was published of rows that somebody else wrote stays, and what was revoked or frozen stays so in any case. `sign` may sign
        rows before, in the same transaction; returns what it returns, and nothing was accepted when it raises."""
        control = self._control
        async with self._publishing:
            revoked = await asyncio.to_thread(control.publisher.revoked_keys) if self._is_of_store else []
            frozen = self.snapshot.freezes if self.snapshot is not None and self._is_of_store else {}
            marks, now_ms = self.seen.marks, control.clock.wall_ms()

            def work(connection: Connection) -> tuple[T | None, list[str]]:
                stops = carried.find(connection, revoked, frozen, marks)
                signed = sign(connection) if sign is not None else None
                return signed, carried.write(connection, stops, now_ms)

            signed, told = await control.write(work)
            self._stops.tell(told)
            rows = await control.read(objects.published)
            self.seen.marks = {
                kind: {
                    name: mark for name, mark in marks.items() if name in rows[kind] and not rows[kind][name].is_signed
                }
                for kind, marks in self.seen.marks.items()
                if kind in rows
            }
        await self.publish()
        await self.publish_keys(accept=True)
        await self.publish_keys()  # a key that was made meanwhile
        return signed

    def _providers(self, stored: dict[str, bytes]) -> dict[str, ProviderSpec]:
        specs = {spec.name: spec for spec in self.compiled.providers}
        for name, raw in stored.items():
            spec = self._decoded("provider", name, raw, ProviderSpec)
            if spec is not None:
                specs[name] = spec
        return {name: spec for name, spec in specs.items() if self._is_good("provider", name, check_spec(spec))}

    def _is_good(self, kind: str, name: str, wrong: str | None) -> bool:
        """Tell whether what an older version took may be used by this one: else it is named in `status`, and the others go on."""
        start = f"the {kind} {name!r} is left out: "
        told = {what for what in self.damaged if what.startswith(start)}
        if wrong is None:
            self.damaged -= told
            return True
        if start + wrong not in told:
            self._control.report(start + wrong)
            self.damaged = (self.damaged - told) | {start + wrong}
        return False

    def _decoded(self, kind: str, name: str, raw: bytes, wanted: type[T]) -> T | None:
        """Decode an object of the store; None for one that is damaged: it is named in `status`, and the others go on."""
        what = f"the {kind} {name!r} in the store is damaged and left out"
        try:
            found = msgspec.json.decode(raw, type=wanted)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            if what not in self.damaged:
                self._control.report(what)
                self.damaged.add(what)
            return None
        self.damaged.discard(what)
        return found

    def _forget_what_is_gone(self, judged: Judged) -> None:
        """What was damaged or refused and was removed since is no trouble any more."""
        if self.damaged:
            kinds = ("provider", "model", "price", "budget")
            there = tuple(f"the {kind} {name!r} " for kind in kinds for name in judged.bodies(kind))
            self.damaged = {
                what
                for what in self.damaged
                if what.startswith(("the key ", *(f"the {kind} " for kind in organisation.KINDS), *there))
            }

    def find_price(self, provider: str, model: str) -> Price | None:
        """Return the price of `provider/model` as the edges would."""
        entry = self.snapshot.table.providers.get(provider) if self.snapshot is not None else None
        row = PROVIDERS.get(provider)
        pricing_id = entry.pricing_id if entry is not None else row.pricing_id if row is not None else None
        return self.catalog.find(provider, pricing_id, model, self._control.clock.wall_ms())

    async def publish(self) -> None:
        """Build a snapshot from everything and publish it."""
        control = self._control
        async with self._publishing:
            self.credentials = await control.ask_vault(verbs.LIST, None)
            judged = await self._judge()
            stored_models = judged.bodies("model")
            overrides = {
                name: price
                for name, raw in judged.bodies("price").items()
                if (price := self._decoded("price", name, raw, Price)) is not None
            }
            freezes = {name: msgspec.json.decode(raw) for name, raw in judged.bodies(objects.FREEZE).items()}
            self._forget_what_is_gone(judged)
            team_ids = await self._team_ids()
            entries = self._provider_entries(self._providers(judged.bodies("provider")), team_ids)
            models = {m.name: _with_team_id(m, team_ids) for m in self.compiled.models}
            models |= {
                name: entry
                for name, raw in stored_models.items()
                if (entry := self._decoded("model", name, raw, ModelEntry)) is not None
                and self._is_good("model", name, check_model_name(entry.name))
            }
            snapshot = Snapshot(
                store_id=control.store.id,
                epoch=control.publisher.epoch() + 1,
                table=RouteTable(providers=entries, models=models, implicit=self.compiled.implicit),
                freezes=freezes,
                price_snapshot=self.price_snapshot,
                price_overrides={**self.compiled.price_overrides, **overrides},
                discounts_bp=self.compiled.discounts_bp,
                unpriced=self.compiled.unpriced,
                overrun=self.compiled.overrun,
                compat=self.compiled.compat,
                limits=self.compiled.limits,
                budgets=self.compiled.budgets,
                timezone=self.compiled.timezone,
                model_sets=self.compiled.model_sets,
                raises=budget_changes.raises_of(
                    [
                        changes
                        for name, raw in judged.bodies(budget_changes.KIND).items()
                        if (changes := self._decoded("budget", name, raw, budget_changes.Changes)) is not None
                    ],
                    control.clock.wall_ms(),
                ),
                cache_epoch=await self._cache_epoch(),
            )
            self.catalog = Catalog(
                self._load_prices, self.price_snapshot, snapshot.price_overrides, snapshot.discounts_bp
            )
            explicit = self._prices.publish(snapshot, self.catalog)
            await control.write(lambda c: _keep_prices(c, explicit, control.clock.wall_ms()))
            await self._keep(judged)
            async with self._putting:
                snapshot = msgspec.structs.replace(
                    snapshot,
                    epoch=control.publisher.epoch() + 1,
                    freezes={**snapshot.freezes, **self._stops.frozen},
                    cache_epoch=await self._cache_epoch(),
                )
                await asyncio.to_thread(control.publisher.put_snapshot, snapshot)
                self.snapshot = snapshot

    async def _team_ids(self) -> dict[str, str]:
        """Return name → id of the teams that the file's models and providers name; of all others nobody asks."""
        owners = {one.team for one in self.compiled.providers if one.team is not None}
        owners |= {one.team for one in self.compiled.models if one.team is not None}

        def look(connection: Connection) -> dict[str, str]:
            rows = (holders.holder_named(connection, "team", name) for name in owners)
            return {row.name: row.id for row in rows if row is not None and not row.is_forged}

        return await self._control.read(look) if owners else {}

    async def _keep(self, judged: Judged) -> None:
        try:
            await asyncio.to_thread(self.seen.keep, judged.marks)
        except OSError as exc:  # a full disk: this process knows it
            self._control.report(f"what was seen of the store could not be kept: {exc.strerror}")

    def _provider_entries(
        self, specs: dict[str, ProviderSpec], team_ids: Mapping[str, str]
    ) -> dict[str, ProviderEntry]:
        in_file = {spec.name for spec in self.compiled.providers}
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
                limits=spec.limits,
                budgets=spec.budgets,
                credential_budgets=spec.credential_budgets,
                labels=spec.labels,
                team=_team_id(spec.team, team_ids) if name in in_file else spec.team,
            )
        return entries

    async def publish_freezes(self) -> bool:
        """Put what was frozen into the snapshot that edges have, at once and on a full disk too; False without a snapshot."""
        if self.snapshot is None:
            return False
        control = self._control
        async with self._putting:
            frozen = msgspec.structs.replace(
                self.snapshot,
                epoch=control.publisher.epoch() + 1,
                freezes={**self.snapshot.freezes, **self._stops.frozen},
            )
            await asyncio.to_thread(control.ballast.spend, lambda: control.publisher.put_snapshot(frozen))
            self.snapshot = frozen
        return True

    async def _cache_epoch(self) -> int:
        """Return when kept answers were purged last: as it was published, also by a process before this one."""
        known = self.snapshot or await asyncio.to_thread(self._control.publisher.current)
        return known.cache_epoch if known is not None else 0

    async def purge_cache(self) -> int:
        """Have every edge forget the answers that it keeps, from its next request on. Returns the new epoch."""
        control = self._control
        if self.snapshot is None:
            raise UserError("nothing was published yet, so nothing is kept", "ask again when the gateway is ready", 1)
        async with self._putting:
            epoch = max(self.snapshot.cache_epoch + 1, control.clock.wall_ms())
            purged = msgspec.structs.replace(self.snapshot, epoch=control.publisher.epoch() + 1, cache_epoch=epoch)
            await asyncio.to_thread(control.publisher.put_snapshot, purged)
            self.snapshot = purged
        return epoch

    async def publish_keys(self, *, accept: bool = False) -> None:
        """Make the replica's keys, and what they belong to, those of the store. A published one whose row is not believed stays as
        it is (S5), unless the operator accepts the store as it is."""
        control = self._control
        await self._publish_holders(accept=accept)
        rows = await control.read(objects.keys)
        self.damaged -= {what for what in self.damaged if what.startswith("the key ")}
        self.damaged |= {
            f"the key {row.name!r} in the store is damaged: nobody can use it"
            for row in rows
            if row.is_damaged and not row.is_forged
        }
        forged = {row.id: row.name for row in rows if row.is_forged}
        rows = [row for row in rows if not row.is_forged]
        self.has_holders_budgets |= any(row.budget for row in rows)
        # Two keys may have had one hash, when a file renamed one: the one that holds is written last, and found.
        rows.sort(key=lambda row: row.revoked_ms is None)
        known = set(self._stops.revoked)
        entries = [(self._published(row), _imported(row)) for row in rows]
        kept = await asyncio.to_thread(control.publisher.replace_keys, entries, forged, accept=accept)
        doubts = [Doubt("key", name, "forged") for name in forged.values()]
        doubts += [Doubt("key", entry.name, "older") for entry in await self._behind(kept.older)]
        doubts += [Doubt("key", entry.name, "missing") for entry in await self._behind(kept.missing)]
        self._doubt("keys", doubts)
        late = self._stops.revoked - known
        for row in rows if late else ():
            if row.id in late:  # revoked while this was written
                await asyncio.to_thread(control.publisher.put_key, self._published(row), _imported(row))

    async def _publish_holders(self, *, accept: bool) -> None:
        """Make the replica's teams, users, projects and profiles those of the store, as keys."""
        control = self._control
        rows = await control.read(holders.holders)
        kinds = tuple(f"the {kind} " for kind in organisation.KINDS)
        self.damaged -= {what for what in self.damaged if what.startswith(kinds)}
        self.damaged |= {
            f"the {row.kind} {row.name!r} in the store is damaged: its keys may do nothing"
            for row in rows
            if row.is_damaged and not row.is_forged
        }
        forged = {(row.kind, row.id): row.name for row in rows if row.is_forged}
        self.has_holders_budgets |= any(row.budget and not row.is_forged for row in rows)
        entries = [_holder_entry(row) for row in rows if not row.is_forged]
        kept = await asyncio.to_thread(control.publisher.replace_holders, entries, forged, accept=accept)
        doubts = [Doubt(kind, name, "forged") for (kind, _), name in forged.items()]
        for why, published in (("older", kept.older), ("missing", kept.missing)):
            for entry in published:
                row = await control.read(lambda c, e=entry: holders.holder_of(c, e.kind, e.id))  # type: ignore[misc]
                if row is None or row.version < entry.version:  # else it was changed while all were read
                    doubts.append(Doubt(entry.kind, entry.name, why))  # type: ignore[arg-type]
        self._doubt("holders", doubts)

    async def publish_holder(self, row: HolderRow) -> None:
        """Tell edges of one team, user, project or profile, on a full disk too."""
        self.has_holders_budgets |= bool(row.budget)
        put = functools.partial(self._control.publisher.put_holder, _holder_entry(row))
        await asyncio.to_thread(self._control.ballast.spend, put)

    async def _behind(self, published: list[KeyEntry]) -> list[KeyEntry]:
        """Return those whose rows are behind still: not what was changed while all were read, nor what the store hears of later."""
        found = []
        for number, entry in enumerate(published):
            if entry.id in self._stops.revoked:
                continue
            rows = await self._control.read(lambda c, e=entry: objects.keys(c, e.id)) if number < READ_AGAIN else []  # type: ignore[misc]
            if not any(row.id == entry.id and row.version >= entry.version and not row.is_forged for row in rows):
                found.append(entry)
        return found

    async def publish_key(self, row: KeyRow) -> None:
        """Tell edges of one key, on a full disk too."""
        self.has_holders_budgets |= bool(row.budget)
        put = functools.partial(self._control.publisher.put_key, self._published(row), _imported(row))
        await asyncio.to_thread(self._control.ballast.spend, put)

    def _published(self, row: KeyRow) -> KeyEntry:
        entry = key_entry(row)
        if row.id in self._stops.revoked and not entry.revoked:  # the row was read before it was revoked
            entry = msgspec.structs.replace(entry, revoked=True, version=entry.version + 1)
        return entry


def _team_id(name: str | None, team_ids: Mapping[str, str]) -> str | None:
    """Return the id of a team that a file names; of one that does not exist what no team has: then nobody sees what is its."""
    return None if name is None else team_ids.get(name, f"\0{name}")


def _with_team_id(entry: ModelEntry, team_ids: Mapping[str, str]) -> ModelEntry:
    if entry.team is None:
        return entry
    return msgspec.structs.replace(entry, team=_team_id(entry.team, team_ids))


def _keep_prices(connection: Connection, prices: dict[str, Price], now_ms: int) -> None:
    for price_id, price in prices.items():
        ledger_rows.put_price(connection, price_id, msgspec.json.encode(price), now_ms)


def _holder_entry(row: HolderRow) -> HolderEntry:
    return HolderEntry(
        kind=row.kind,
        id=row.id,
        name=row.name,
        version=row.version,
        removed=row.removed_ms is not None,
        **organisation.fields_of(row),
    )


def key_entry(row: KeyRow) -> KeyEntry:
    """Return a key as the store has it, as edges need it."""
    secrets = [SecretHash(s.mac, s.pepper_id, s.not_after_ms) for s in row.secrets]
    return KeyEntry(row.id, row.name, row.version, secrets, row.revoked_ms is not None, **key_policy.fields_of(row))


def _imported(row: KeyRow) -> tuple[bytes, ...]:
    # Keys that others made have no id in them: they are found by their hashes, also while a rotation's overlap lasts.
    return tuple(secret.mac for secret in row.secrets) if row.source in {"file", IMPORTED} else ()
