"""Freezes: stops a subject at once, and says what a name that nobody knows may have meant. Level 5.

A typing mistake in an incident must not look like success: what does not exist is refused with the nearest name, unless the
caller insists (a key's team, say, that will exist tomorrow).
"""

import asyncio
from collections.abc import Collection
from difflib import get_close_matches

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.control.handle import Control
from switchgear.control.publication import Publication
from switchgear.control.stops import Stops
from switchgear.core import key_policy, pattern
from switchgear.core.errors import UserError
from switchgear.core.ids import deployment_id, parts_of_deployment
from switchgear.replica.entries import Snapshot
from switchgear.routing import table
from switchgear.routing.frozen import frozen_models
from switchgear.routing.table import DeploymentEntry
from switchgear.store import holders, objects
from switchgear.store.database import StoreGoneError

KINDS = ("key", "user", "team", "project", "model", "credential", "provider", "deployment")
COMPARED_MAX = 2_000
"""Names that a misspelt one is compared with: comparing is slow."""
STORE_PATIENCE_S = 1.0


def parse(subject: str) -> tuple[str, str]:
    """Return (kind, name) of `all`, `key:NAME`, …; a credential without a name is its provider's default. Raises UserError."""
    kind, _, name = subject.partition(":")
    if subject != "all" and (kind not in KINDS or not name):
        raise UserError(f"{subject[:128]!r} cannot be frozen", f"use all, or one of {', '.join(KINDS)} with a name", 2)
    if kind == "credential" and "/" not in name:
        name += "/default"
    if kind == "deployment" and parts_of_deployment(name) is None:
        raise UserError(
            f"{name[:128]!r} is no deployment", "name it PROVIDER/MODEL@CREDENTIAL, e.g. openai/gpt-4o@main", 2
        )
    return kind, name


def _known(connection: Connection, kind: str) -> set[str]:
    """Return the names of all keys, revoked ones too, or of all teams, users or projects."""
    if kind == "key":
        return {name for _, name in objects.key_list(connection)}
    return set(holders.names_of(connection, kind).values())


def _subject_of(connection: Connection, kind: str, name: str) -> str | None:
    """Return the subject of the key, team, user or project of a name (or id); None where there is none, and where the name is not
    as this gateway wrote it: it may have been given to somebody else."""
    if kind == "key":
        keys = objects.keys(connection, name)
        return f"key:{keys[0].name}" if keys else None
    row = holders.holder_named(connection, kind, name)
    if row is None or row.is_forged:
        row = holders.holder_of(connection, kind, name)
    return f"{kind}:{row.id}" if row is not None and not row.is_forged else None


class Freezes:
    """What is stopped, by subject."""

    def __init__(self, control: Control, stops: Stops, publication: Publication) -> None:
        self._control = control
        self._stops = stops
        self._publication = publication

    async def resolve(self, subject: str, force: bool) -> str:
        """Return the subject as it is frozen: a key by its name, a team, user or project by its id. Raises UserError for one that
        nobody knows, unless forced."""
        kind, name = parse(subject)
        if kind == "all":
            return subject
        known: Collection[str]
        if kind == "key" or kind in key_policy.LABELS:
            try:
                async with asyncio.timeout(STORE_PATIENCE_S):
                    found = await self._control.read(lambda connection: _subject_of(connection, kind, name))
                    if found is not None:
                        return found
                    if kind != "key":  # what edges go by; a row of the store may be somebody else's work
                        entry = await asyncio.to_thread(self._control.publisher.find_holder, kind, name)
                        if entry is not None:
                            return entry.subject
                    known = await self._control.read(lambda connection: _known(connection, kind))
            except (StoreGoneError, DatabaseError, TimeoutError):
                # The database cannot be asked, and stopping is not to wait for it: the replica knows names, too.
                entry = await asyncio.to_thread(self._control.publisher.find_holder, kind, name)
                return entry.subject if entry is not None else f"{kind}:{name}"
        elif kind == "credential":
            known = {credential.id for credential in self._publication.credentials if credential.state != "removed"}
        elif kind == "provider":
            known = set(await self._publication.all_providers())
        elif kind == "deployment":
            known = _deployments(self._publication, name)
        else:
            known = _models(self._publication, name)
        if kind == "model" and not force and name in known and (alike := _alike(self._publication, name)):
            raise UserError(
                f"no model {name[:128]!r} is known, and {alike!r} is: nothing was frozen",
                f"--force freezes {name[:128]}",
                2,
            )
        if name not in known and not force:
            raise UserError(f"there is no {kind} {name[:128]!r}: nothing was frozen", _hint(kind, name, known), 2)
        return f"{kind}:{name}"

    def also_stops(self, subject: str) -> list[str]:
        """Return what else can be asked for and stands still with a model: its aliases' target, its deployments, and configured
        models that have no other deployment."""
        kind, _, name = subject.partition(":")
        snapshot = self._publication.snapshot
        if kind != "model" or snapshot is None:
            return []
        stopped = frozen_models(snapshot.table, [name])
        found = stopped.names | stopped.places
        for other in snapshot.table.models:
            route = table.resolve(snapshot.table, other)
            if "*" not in other and route is not None:
                is_stopped = stopped.stops_name(table.trace(snapshot.table, other)[0])
                if is_stopped or all(map(stopped.stops_deployment, route.deployments)):
                    found |= {other}
        return sorted(found - {name})

    async def subject_of(self, subject: str) -> str:
        """Return under what a subject that people name would be frozen, also when it is gone."""
        kind, name = parse(subject)
        if kind == "all":
            return kind
        found = None
        if kind == "key" or kind in key_policy.LABELS:
            found = await self._control.read(lambda connection: _subject_of(connection, kind, name))
        return found if found is not None else f"{kind}:{name}"

    async def freeze(self, subject: str, until_ms: int | None, actor: str) -> None:
        """Stop a subject; holds for the next request when this returns."""
        self._stops.frozen[subject] = until_ms
        is_published = await self._publication.publish_freezes()
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> None:
            objects.put_freeze(connection, subject, until_ms, actor, now)
            objects.write_audit(connection, now, actor, "freeze", subject, {"until_ms": until_ms})

        writing = self._control.write_urgently(work)
        await (self._stops.write_soon(writing) if is_published else writing)

    async def unfreeze(self, subject: str, actor: str) -> None:
        """Let a subject go on. Raises UserError for one that is not frozen."""
        snapshot = self._publication.snapshot
        is_published = snapshot is not None and subject in snapshot.freezes
        now = self._control.clock.wall_ms()
        if not await self._control.write(lambda c: objects.remove_freeze(c, subject, actor, now, known=is_published)):
            near = get_close_matches(subject, sorted(snapshot.freezes) if snapshot is not None else [], n=1, cutoff=0.5)
            meant = f"did you mean {near[0].replace(':', ' ', 1)!r}?" if near else "list what is: switchgear status"
            raise UserError(f"{subject[:128]!r} is not frozen", meant, 2)
        self._stops.frozen.pop(subject, None)
        await self._publication.publish()
        await self._control.audit(actor, "unfreeze", subject)


def _models(publication: Publication, name: str) -> set[str]:
    """Return the models that can be asked for by name: configured ones, and those of a provider whose models are known. Of a
    provider whose models nobody lists, any may exist."""
    snapshot = publication.snapshot
    if snapshot is None:
        return set()
    known = set(snapshot.table.models) | set(snapshot.price_overrides)
    for provider in snapshot.table.providers.values() if snapshot.table.implicit else ():
        listed = publication.catalog.models(provider.pricing_id) if provider.pricing_id is not None else []
        known.update(f"{provider.name}/{info.id}" for info in listed)
    if name not in known and _is_reached(publication, snapshot, name):
        known.add(name)
    return known


def _deployments(publication: Publication, name: str) -> set[str]:
    """Return the deployments of configured models, and of the models that can be asked for as `provider/model` at the provider
    of this name; with patterns, those that this name fits."""
    snapshot, parts = publication.snapshot, parts_of_deployment(name)
    if snapshot is None or parts is None:
        return set()
    provider, upstream_model, _ = parts
    start = provider + "/"
    callable_here = _models(publication, start + upstream_model) if snapshot.table.implicit else set()
    if _alike(publication, start + upstream_model):
        callable_here.discard(start + upstream_model)
    entries = [
        DeploymentEntry(provider=provider, model=model.removeprefix(start))
        for model in callable_here
        if model.startswith(start)
    ]
    for configured in snapshot.table.models.values():
        entries += configured.deployments
    known: set[str] = set()
    for entry in entries:
        place = snapshot.table.providers.get(entry.provider)
        is_asked = entry.provider == provider and pattern.matches(entry.model, upstream_model)
        called = upstream_model if is_asked else entry.model
        for credential in place.credentials if place is not None and "*" not in called else ():
            if entry.credential in {None, credential}:
                known.add(deployment_id(entry.provider, called, credential))
    return known


def _alike(publication: Publication, name: str) -> str | None:
    """Return the model that is probably meant by a name which nothing lists: of a provider that lists none, any may exist."""
    snapshot = publication.snapshot
    if snapshot is None or not _is_reached(publication, snapshot, name) or name in snapshot.table.models:
        return None
    deployments = (d for entry in snapshot.table.models.values() for d in entry.deployments)
    named = {*snapshot.price_overrides, *(f"{d.provider}/{d.model}" for d in deployments)}
    start = name.partition("/")[0] + "/"
    rest = {other.removeprefix(start) for other in named if other.startswith(start)}
    near = get_close_matches(name.removeprefix(start), sorted(rest)[:COMPARED_MAX], n=1, cutoff=0.75)
    return start + near[0] if near and start + near[0] != name else None


def _is_reached(publication: Publication, snapshot: Snapshot, name: str) -> bool:
    names, entry, _ = table.trace(snapshot.table, name)
    if entry is None:
        return False
    provider = snapshot.table.providers.get(name.partition("/")[0])
    is_implicit = len(names) == 1 and name not in snapshot.table.models
    return not (is_implicit and provider and provider.pricing_id and publication.catalog.models(provider.pricing_id))


def _hint(kind: str, name: str, known: Collection[str]) -> str:
    alike = sorted(known, key=lambda other: (other[:1].lower() != name[:1].lower(), other))[:COMPARED_MAX]
    near = get_close_matches(name, alike, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}--force freezes it in advance"
