"""The configurations that were in force: numbered, with who and when, the last VERSIONS_MAX kept. Level 5.

A version is everything that a configuration says: what the file declares and what the store holds besides (providers, models,
prices). Never a secret, and no key of the store: those have a history of their own.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from switchgear.config import document
from switchgear.config.compile import Compiled, FileHolder, FileKey, KeyedHash, ProviderSpec
from switchgear.core import key_policy, organisation
from switchgear.core.key_policy import KeyPolicy
from switchgear.pricing.price import Price
from switchgear.providers import endpoint
from switchgear.routing.table import ModelEntry
from switchgear.store import objects
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow
from switchgear.vault.verbs import Metadata

KIND = "version"
VERSIONS_MAX = 50
STORED = ("provider", "model", "price")
"""Kinds of the store's objects that belong to a configuration."""
START, APPLY, ROLLBACK = "start", "config.apply", "rollback to "
"""Actions that put a file's part into force."""
DEMO = "demo"
"""The provider of `serve --demo`: it comes from the command line, not from a configuration."""


class ConfigurationState(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration."""

    compiled: Compiled
    stored: dict[str, dict[str, msgspec.Raw]]
    """Objects of the store by kind and name."""

    @property
    def digest(self) -> str:
        """Changes when something in it does."""
        plain = msgspec.structs.replace(self.compiled, source="", digest="", texts={})
        body = msgspec.json.encode([plain, self.stored], order="sorted")
        return hashlib.sha256(body).hexdigest()

    def decoded(self) -> tuple[dict[str, ProviderSpec], dict[str, ModelEntry], dict[str, Price]]:
        """Return the store's part: providers, models, prices by name."""
        kinds: dict[str, Any] = {"provider": ProviderSpec, "model": ModelEntry, "price": Price}
        found = (
            {name: msgspec.json.decode(raw, type=kinds[kind]) for name, raw in self.stored.get(kind, {}).items()}
            for kind in STORED
        )
        return tuple(found)  # type: ignore[return-value]

    def whole(self) -> Compiled:
        """Return file and store as one configuration."""
        providers, models, prices = self.decoded()
        compiled = without_demo(self.compiled)
        return msgspec.structs.replace(
            compiled,
            providers=(*compiled.providers, *providers.values()),
            models=(*compiled.models, *models.values()),
            price_overrides={**compiled.price_overrides, **prices},
        )


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration of the history."""

    number: int
    time_ms: int
    actor: str
    action: str
    summary: str
    state: ConfigurationState
    seen_ms: int = 0
    """When it was applied last, if that changed nothing but where it came from."""


def without_demo(compiled: Compiled) -> Compiled:
    """Return a configuration without what `serve --demo` added."""
    return msgspec.structs.replace(
        compiled,
        providers=tuple(p for p in compiled.providers if p.name != DEMO),
        price_overrides={n: p for n, p in compiled.price_overrides.items() if not n.startswith(f"{DEMO}/")},
    )


def with_demo_of(compiled: Compiled, running: Compiled) -> Compiled:
    """Return a configuration with the demo provider of the one that runs, if that has one."""
    demo = tuple(p for p in running.providers if p.name == DEMO)
    if not demo or any(p.name == DEMO for p in compiled.providers):
        return compiled
    prices = {n: p for n, p in running.price_overrides.items() if n.startswith(f"{DEMO}/")}
    return msgspec.structs.replace(
        compiled, providers=(*compiled.providers, *demo), price_overrides={**prices, **compiled.price_overrides}
    )


def current(connection: Connection, compiled: Compiled) -> ConfigurationState:
    """Return what is in force: a file configuration, and what the store holds now."""
    stored = {
        kind: {name: msgspec.Raw(raw) for name, raw in objects.objects(connection, kind).items()} for kind in STORED
    }
    return ConfigurationState(compiled=compiled, stored=stored)


def all_of(connection: Connection) -> list[Version]:
    """Return the history, oldest first. A version that an older program wrote and this one cannot read is left out."""
    found = []
    for raw in objects.objects(connection, KIND).values():
        try:
            found.append(msgspec.json.decode(raw, type=Version))
        except msgspec.DecodeError:
            continue
    return found


def latest(connection: Connection) -> Version | None:
    """Return the last version; None without one that can be read."""
    for name in reversed(objects.object_names(connection, KIND)):
        try:
            return msgspec.json.decode(objects.find_object(connection, KIND, name) or b"", type=Version)
        except msgspec.DecodeError:
            continue
    return None


def applied_last(connection: Connection) -> Version | None:
    """Return the version that somebody applied or brought back, unless a start with another configuration came behind it."""
    decided = [v for v in all_of(connection) if v.action in {START, APPLY} or v.action.startswith(ROLLBACK)]
    last = decided[-1] if decided else None
    return last if last is not None and last.action != START else None


def remember(connection: Connection, state: ConfigurationState, actor: str, action: str, now_ms: int) -> None:
    """Add a version, unless nothing changed since the last; forget the oldest."""
    last = latest(connection)
    state = msgspec.structs.replace(state, compiled=without_demo(state.compiled))
    if last is not None and last.state.digest == state.digest:
        if (last.state.compiled.source, last.state.compiled.digest) != (state.compiled.source, state.compiled.digest):
            how = action if action == APPLY else last.action
            same = msgspec.structs.replace(last, state=state, seen_ms=now_ms, action=how)
            objects.set_object(connection, KIND, f"{last.number:010}", msgspec.json.encode(same), now_ms)
        return
    old = document.of(last.state.whole()) if last is not None else {}
    names = objects.object_names(connection, KIND)
    version = Version(
        number=int(names[-1]) + 1 if names else 1,
        time_ms=now_ms,
        actor=actor,
        action=action,
        summary=document.summary(document.changes(old, document.of(state.whole()))),
        state=state,
    )
    objects.set_object(connection, KIND, f"{version.number:010}", msgspec.json.encode(version), now_ms)
    for name in objects.object_names(connection, KIND)[:-VERSIONS_MAX]:
        objects.remove_object(connection, KIND, name, now_ms)


def restore(connection: Connection, state: ConfigurationState, now_ms: int) -> None:
    """Make the store's objects those of a version."""
    for kind in STORED:
        wanted = state.stored.get(kind, {})
        have = objects.objects(connection, kind)
        for name in have.keys() - wanted.keys():
            objects.remove_object(connection, kind, name, now_ms)
        for name, raw in wanted.items():
            if have.get(name) != bytes(raw):
                objects.set_object(connection, kind, name, bytes(raw), now_ms)


def export(
    state: ConfigurationState,
    keys: list[KeyRow],
    credentials: list[Metadata],
    references: bool = False,
    holders: Sequence[HolderRow] = (),
) -> tuple[document.Document, list[str]]:
    """Return everything in force as one configuration file, and notes about what such a file cannot say.

    Credentials are `sealed: true`, so that the file is good wherever it is read; with `references` they say where the file took
    them from.
    """
    notes: list[str] = []
    whole = state.whole()
    held: dict[str, list[str]] = {}
    for credential in credentials:
        if credential.state != "removed":
            held.setdefault(credential.provider, []).append(credential.name)
        if credential.state == "disabled":
            notes.append(f"the credential {credential.id} is disabled; a file cannot say so")
    providers = []
    for spec in whole.providers:
        more = [name for name in sorted(held.get(spec.name, ())) if name not in spec.credentials and name != "none"]
        if not references:
            came = (
                f"{spec.name}/{name} came from {{{r.replace(':', ': ', 1)}}}" for name, r in spec.references.items()
            )
            notes += came
        from_where = spec.references if references else {}
        providers.append(msgspec.structs.replace(spec, credentials=(*spec.credentials, *more), references=from_where))
    file_keys = {key.name for key in whole.keys}
    names = {(row.kind, row.id): row.name for row in holders}
    stored_keys = [_as_file_key(row, names) for row in keys if row.revoked_ms is None and row.name not in file_keys]
    if stored_keys:
        notes.append(f"{len(stored_keys)} keys are by keyed hash: they hold where the file DATA/pepper is the same")
    live = tuple(_as_file_holder(row, names) for row in holders if row.removed_ms is None and not row.is_forged)
    whole = msgspec.structs.replace(whole, providers=tuple(providers), keys=(*whole.keys, *stored_keys))
    whole = msgspec.structs.replace(
        whole,
        holders=live or whole.holders,
        providers=tuple(_with_team_name(spec, names) for spec in whole.providers),
        models=tuple(_with_team_name(entry, names) for entry in whole.models),
    )
    return document.sound(document.of(whole, notes), notes), notes


Owned = TypeVar("Owned", ProviderSpec, ModelEntry)
Names = Mapping[tuple[str, str], str]
"""Of teams, users, projects and profiles, by kind and id."""


def _named(row: KeyPolicy, names: Names, references: Mapping[str, str]) -> dict[str, str | None]:
    said = {field: (kind, getattr(row, field)) for field, kind in references.items()}
    return {field: names.get((kind, identity), identity) for field, (kind, identity) in said.items() if identity}


def _with_team_name(one: Owned, names: Names) -> Owned:
    return one if one.team is None else msgspec.structs.replace(one, team=names.get(("team", one.team), one.team))


def _as_file_holder(row: HolderRow, names: Names) -> FileHolder:
    fields = organisation.fields_of(row) | _named(row, names, organisation.KINDS[row.kind].references)
    return FileHolder(kind=row.kind, name=row.name, **fields)


def _as_file_key(row: KeyRow, names: Names) -> FileKey:
    keyed = tuple(KeyedHash(pepper_id=s.pepper_id, mac=s.mac.hex(), until_ms=s.not_after_ms) for s in row.secrets)
    fields = key_policy.fields_of(row) | _named(row, names, organisation.KEY_REFERENCES)
    return FileKey(name=row.name, keyed=keyed, **fields)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing a version back comes to."""

    state: ConfigurationState
    changes: list[document.Change]
    stays: list[str]
    """What is not taken back, in words."""


def undone_at_start(source: str, starts_with: str | None, restart: Sequence[str] = ()) -> str | None:
    """Say what of a configuration from `source` the next start undoes or does not take; None where there is no such thing.
    `starts_with` is the file that the gateway was started with, empty for none, None where that is not known; `restart` are the
    settings that processes take at their start. Without a file a start goes on with what was applied last."""
    if not source or starts_with in {None, source}:
        return None
    serve = f"--config {shlex.quote(source)}"
    if starts_with:
        return f"the next start without {serve} undoes this: this gateway was started with {starts_with}"
    if restart:
        return f"{', '.join(restart)} hold from a start with {serve} on: this gateway was started without a file"
    return None


def plan_rollback(
    state: ConfigurationState, target: ConfigurationState, credentials: list[Metadata], starts_with: str | None = None
) -> Plan:
    """Work out a rollback. A provider whose credential was sealed for another place since stays as it is now. `starts_with`: as in
    `undone_at_start`."""
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
    if undone := undone_at_start(compiled.source, starts_with):
        stays.append(undone)
    elif source and starts_with in {None, source} and document.of(state.compiled) != document.of(compiled):
        stays.append(f"the file {source}: put its old content back, too, or the next start applies it again")
    stays.append("keys that `key create` made, and freezes")
    return Plan(state=found, changes=document.changes(old, new), stays=stays)
