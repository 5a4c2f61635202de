"""The life of teams, users, projects and profiles: made, changed, renamed, removed; and whom keys name. Level 5.

People write names, rows hold ids. A name that does not exist is an error with the nearest one, never something new. A change holds
for the next request of every key below when this returns.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.publication import Publication, key_entry
from switchgear.core import key_policy, organisation
from switchgear.core.errors import StaleError, UserError
from switchgear.core.ids import random_base62
from switchgear.core.key_policy import KeyPolicy
from switchgear.core.nearest import meant
from switchgear.core.organisation import HolderPolicy, Kind
from switchgear.core.text import counted
from switchgear.replica import holding
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.store import holders, objects
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow

P = TypeVar("P", bound=msgspec.Struct)
KEYS_NAMED = 10
"""So many keys are named of those that keep something from being removed."""
CHANCE_CHARS = 6


def find(connection: Connection, kind: str, name: str, *, is_meant_to_be: bool = False) -> HolderRow:
    """Return a holder by its name, or by its id. Raises UserError with the nearest name; `is_meant_to_be`: without the advice to
    make it, which helps nobody who wants to look at it or to remove it."""
    row = holders.holder_named(connection, kind, name)
    if row is None:
        row = holders.holder_of(connection, kind, name)
        if row is None or row.removed_ms is not None:
            known = holders.names_of(connection, kind).values()
            near, hint = meant(name, known), f"list them: switchgear {kind} list"
            if not near and not is_meant_to_be:
                hint = f"make it: switchgear {kind} create {name[:64]}; {hint}"
            raise UserError(f"there is no {kind} {name[:128]!r}{near}", hint, 2)
    if row.is_forged:
        raise UserError(
            f"the {kind} {name[:128]!r} in the store was not written by this gateway", "switchgear store check"
        )
    return row


def with_ids(connection: Connection, policy: P, references: Mapping[str, str]) -> P:
    """Return a policy with the ids of whom it names. Raises UserError for a name that does not exist."""
    named = {field: name for field in references if (name := getattr(policy, field)) is not None}
    return msgspec.structs.replace(
        policy, **{field: find(connection, references[field], name).id for field, name in named.items()}
    )


def with_names(connection: Connection, policy: KeyPolicy, references: Mapping[str, str]) -> dict[str, str]:
    """Return the present names of whom a policy names, by field; of what is gone its id."""
    found = {}
    for field, kind in references.items():
        identity = getattr(policy, field, None)
        if identity is not None:
            row = holders.holder_of(connection, kind, identity)
            found[field] = row.name if row is not None and not row.is_forged else identity
    return found


def key_with_ids(
    connection: Connection, row: KeyRow, fields: Mapping[str, str] = organisation.KEY_REFERENCES
) -> KeyRow:
    """Return a key with the ids of whom it names in `fields`; the others are ids already. Raises UserError for a name that does not
    exist, and for a project that belongs to another team."""
    row = with_ids(connection, row, fields)
    if row.project is not None and row.team is not None:
        project = holders.holder_of(connection, "project", row.project)
        if project is not None and project.team is not None and project.team != row.team:
            teams = holders.names_of(connection, "team")
            its = teams.get(project.team, project.team)
            raise UserError(
                f"the project {project.name!r} belongs to the team {its!r}",
                "name that team, or no team at all; a key leaves its project with --project ''",
                2,
            )
    return row


class Holders:
    """All teams, users, projects and profiles."""

    def __init__(self, control: Control, publication: Publication) -> None:
        self._control = control
        self._publication = publication

    async def create(self, kind: Kind, name: str, policy: HolderPolicy, actor: str) -> HolderRow:
        """Make one. `policy` has names."""
        _check_name(kind, name)
        now = self._control.clock.wall_ms()
        chance = random_base62(self._control.entropy, CHANCE_CHARS)

        def work(connection: Connection) -> HolderRow:
            said = with_ids(connection, policy, kind.references)
            row = HolderRow(
                kind=kind.name,
                id=holders.new_id(connection, kind.name, name, chance),
                name=name,
                created_ms=now,
                updated_ms=now,
                **organisation.fields_of(said),
            )
            holders.add_holder(connection, row)
            _check_parents(connection, row, is_new=True)
            objects.write_audit(connection, now, actor, f"{kind.name}.create", name, {"id": row.id})
            return row

        row = await self._control.write(work)
        await self._publication.publish_holder(row)
        return row

    async def find(self, kind: Kind, name: str) -> HolderRow:
        """Return one by its name or id. Raises UserError with the nearest name."""
        return await self._control.read(lambda c: find(c, kind.name, name, is_meant_to_be=True))

    async def change(
        self,
        kind: Kind,
        name: str,
        changes: dict[str, Any],
        new_name: str | None,
        actor: str,
        version: int | None = None,
    ) -> HolderRow:
        """Change one; `changes` has names. `version` is the one that the caller saw."""
        if new_name is not None:
            _check_name(kind, new_name)
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> HolderRow:
            old = find(connection, kind.name, name, is_meant_to_be=True)
            _check_changeable(old)
            self._check_believed(old)
            if version is not None and version != old.version:
                raise StaleError(
                    f"the {kind.name} {name!r} changed in the meantime", "look at it again and repeat the change"
                )
            changed = {field: of for field, of in kind.references.items() if field in changes}
            row = msgspec.structs.replace(old, **changes, name=new_name or old.name)
            row = with_ids(connection, row, changed)
            row = msgspec.structs.replace(row, version=old.version + 1, updated_ms=now)
            holders.replace_holder(connection, row, old.version)
            if row.parent != old.parent:
                _check_parents(connection, row)
            if kind.name == "project" and row.team != old.team:
                _check_team_of_keys(connection, row)
            detail = {"changed": sorted(changes), "name": row.name} if new_name else sorted(changes)
            objects.write_audit(connection, now, actor, f"{kind.name}.update", old.name, detail)
            return row

        row = await self._control.write(work)
        await self._publication.publish_holder(row)
        return row

    async def remove(
        self, kind: Kind, name: str, move_to: str | None, actor: str
    ) -> tuple[HolderRow, list[KeyRow], list[HolderRow]]:
        """Remove one that nothing belongs to; with `move_to` its keys, and what else names it, belong to that one from now on. What
        was booked stays where it was. Returns it, the keys that were moved, and what else was."""
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> tuple[HolderRow, list[KeyRow], list[HolderRow]]:
            old = find(connection, kind.name, name, is_meant_to_be=True)
            _check_changeable(old)
            target = find(connection, kind.name, move_to) if move_to is not None else None
            if target is not None and target.id == old.id:
                raise UserError(f"the {kind.name} {name!r} cannot be moved to itself", "name another one", 2)
            keys = list(holders.keys_of(connection, kind.name, old.id))
            below = list(holders.naming(connection, kind.name, old.id))
            owned = _owned(self._publication.snapshot, old) if kind.name == "team" else []
            if owned:
                raise UserError(
                    f"the team {old.name!r} is not removed: {_some(owned)} {'belongs' if len(owned) == 1 else 'belong'} to it",
                    "remove these first",
                    2,
                )
            fixed = [row.name for row in keys if row.source == holders.FILE]
            fixed += [row.name for row, _ in below if row.source == holders.FILE]
            if (keys or below) and (target is None or fixed):
                raise _held(kind, old, keys, [row for row, _ in below], fixed if target else [])
            moved, changed = [], []
            if target is not None:
                for one, field in below:  # before the keys: those of a project go with it
                    other = msgspec.structs.replace(one, **{field: target.id}, version=one.version + 1, updated_ms=now)
                    holders.replace_holder(connection, other, one.version)
                    _check_parents(connection, other)
                    changed.append(other)
                for key in keys:
                    row = msgspec.structs.replace(
                        key, **{kind.name: target.id}, version=key.version + 1, updated_ms=now
                    )
                    row = key_with_ids(connection, row, {})
                    objects.replace_key(connection, row, key.version)
                    moved.append(row)
            gone = msgspec.structs.replace(old, version=old.version + 1, removed_ms=now, updated_ms=now)
            holders.replace_holder(connection, gone, old.version)
            detail = {"moved_to": target.name, "keys": len(moved)} if target is not None else None
            objects.write_audit(connection, now, actor, f"{kind.name}.remove", old.name, detail)
            return gone, moved, changed

        gone, moved, changed = await self._control.write(work)
        for row in moved:
            await self._publication.publish_key(row)
        for other in changed:
            await self._publication.publish_holder(other)
        await self._publication.publish_holder(gone)
        return gone, moved, changed

    def _check_believed(self, row: HolderRow) -> None:
        """Raise UserError for a row that is older than what was published: writing it again would sign it."""
        published = self._control.publisher.holder_of(row.kind, row.id)
        if published is not None and published.version > row.version:
            raise UserError(
                f"the {row.kind} {row.name!r} in the store is older than what was published: it is not changed",
                "look: switchgear store check",
            )

    def held(self, row: KeyRow) -> KeyEntry:
        """Return a key as edges see it, with what it belongs to."""
        publisher = self._control.publisher
        return holding.held(
            key_entry(row), lambda kind, identity: publisher.holder_of(kind, identity) or holding.gone(kind, identity)
        )

    async def held_later(self, row: KeyRow) -> KeyEntry:
        """Return a key as edges see it, without stopping the loop for it."""
        return await asyncio.to_thread(self.held, row)


def _check_name(kind: Kind, name: str) -> None:
    for _, message in key_policy.check_label("name", name):
        raise UserError(f"name: {message}", "", 2)
    if name != name.strip():
        raise UserError(f"{name!r} is no name of a {kind.name}: it has a blank at an end", "", 2)


def _check_changeable(row: HolderRow) -> None:
    if row.source == holders.FILE:
        raise UserError(f"the {row.kind} {row.name!r} is declared in the configuration file", "change it there", 2)


def _check_parents(connection: Connection, row: HolderRow, *, is_new: bool = False) -> None:
    """Raise UserError for a team that is a part of itself, and for teams too deep in one another. What is new has none below it."""
    if row.kind != "team" or row.parent is None:
        return
    known: dict[str, HolderRow | None] = {row.id: row}

    def parent(identity: str) -> str | None:
        if identity not in known:
            known[identity] = holders.holder_of(connection, "team", identity)
        one = known[identity]
        return one.parent if one is not None else None

    def deep(way: list[str]) -> UserError:
        names = " → ".join(one.name for identity in way if (one := known.get(identity)) is not None)
        if way[-1] == way[0]:
            return UserError(f"the team {row.name!r} would be a part of itself: {names}", "choose another parent", 2)
        text = f"teams can be {organisation.DEPTH_MAX} deep in one another, and this is deeper: {names}"
        return UserError(text, "choose another parent", 2)

    way = organisation.round_trip(row.id, parent)
    if way is not None:
        raise deep(way)
    if is_new:
        return
    below = [row.id]
    while below:
        for one, field in holders.naming(connection, "team", below.pop()):
            if field != "parent":
                continue
            known[one.id] = one
            way = organisation.round_trip(one.id, parent)
            if way is not None:
                raise deep(way)
            below.append(one.id)


def _check_team_of_keys(connection: Connection, project: HolderRow) -> None:
    """Raise UserError when keys of a project belong to another team than the project."""
    others = [
        key.name for key in holders.keys_of(connection, "project", project.id) if key.team not in {None, project.team}
    ]
    if others and project.team is not None:
        raise UserError(
            f"{counted(len(others), 'key')} of the project {project.name!r} of another team: {', '.join(others[:KEYS_NAMED])}",
            "take them out of it first, and put them back after: switchgear key update KEY --team TEAM --project ''",
            2,
        )


def _held(kind: Kind, row: HolderRow, keys: list[KeyRow], below: list[HolderRow], fixed: list[str]) -> UserError:
    if fixed:
        return UserError(
            f"the configuration file says that {', '.join(fixed[:KEYS_NAMED])} belong to the {kind.name} {row.name!r}",
            "change it there first",
            2,
        )
    parts = [f"{counted(len(keys), 'key')} ({_some([key.name for key in keys])})"] if keys else []
    for name, one in organisation.KINDS.items():
        mine = [other.name for other in below if other.kind == name]
        if mine:
            parts.append(f"{counted(len(mine), one.name)} ({_some(mine)})")
    verb = "belongs" if len(keys) + len(below) == 1 else "belong"
    return UserError(
        f"the {kind.name} {row.name!r} is not removed: {' and '.join(parts)} {verb} to it",
        f"switchgear {kind.name} remove {row.name} --move-to OTHER",
        2,
    )


def _owned(snapshot: Snapshot | None, team: HolderRow) -> list[str]:
    """Return the models and providers of a team, in words."""
    if snapshot is None:
        return []
    named = (("model", snapshot.table.models), ("provider", snapshot.table.providers))
    return [f"the {what} {name!r}" for what, ones in named for name, one in ones.items() if one.team == team.id]


def _some(names: list[str]) -> str:
    return ", ".join(names[:KEYS_NAMED]) + (", …" if len(names) > KEYS_NAMED else "")
