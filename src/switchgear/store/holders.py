"""Rows of teams, users, projects and profiles. Level 2. Functions of a connection.

They are as rows of keys are (store/objects): each carries control's MAC, none is ever deleted, and one that is removed says so. A
name is one holder's of its kind at a time; an id is never used again.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, insert, select, update

from switchgear.core import key_policy, organisation
from switchgear.core.errors import UNREADABLE, ConflictError
from switchgear.core.organisation import HolderPolicy
from switchgear.store import objects, tables
from switchgear.store.macs import macs_of

STORE, FILE = "store", "file"


class HolderRow(HolderPolicy, frozen=True, kw_only=True):
    """A team, user, project or profile at rest."""

    kind: str
    id: str
    name: str
    version: int = 1
    source: str = STORE
    """`store`, or `file` for what a configuration file declares."""
    removed_ms: int | None = None
    created_ms: int = 0
    updated_ms: int = 0
    is_damaged: bool = False
    """Its policy cannot be read: its keys may do nothing."""
    is_forged: bool = False
    """It is not as this gateway's control wrote it: nothing of it may be believed, published, or signed."""


def _columns(connection: Connection, row: HolderRow) -> dict[str, Any]:
    values = {
        "kind": row.kind,
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "source": row.source,
        "policy": organisation.encode(organisation.policy_of(row)),
        "removed_ms": row.removed_ms,
        "created_ms": row.created_ms,
        "updated_ms": row.updated_ms,
    }
    return {**values, "mac": macs_of(connection).of("holders", *values.values())}


def holder_values(row: Any) -> tuple[Any, ...]:
    """Return what the MAC of a row of `holders` is over."""
    return (
        *(row.kind, row.id, row.name, row.version, row.source, row.policy),
        *(row.removed_ms, row.created_ms, row.updated_ms),
    )


def _row(connection: Connection, row: Any) -> HolderRow:
    name, kind, identity = objects.text_of(row.name), objects.text_of(row.kind), objects.text_of(row.id)
    if not macs_of(connection).holds(row.mac, "holders", *holder_values(row)):
        nobody = organisation.fields_of(organisation.NOBODY)
        return HolderRow(kind=kind, id=identity, name=name, version=0, is_forged=True, **nobody)
    try:
        policy, is_damaged = organisation.decode(row.policy), False
    except (*UNREADABLE, TypeError):
        policy, is_damaged = organisation.NOBODY, True
    return HolderRow(
        kind=kind,
        id=identity,
        name=name,
        version=row.version,
        source=row.source,
        removed_ms=row.removed_ms,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        is_damaged=is_damaged,
        **organisation.fields_of(policy),
    )


def _read(connection: Connection, query: Select[Any]) -> list[HolderRow]:
    return [_row(connection, row) for row in connection.execute(query)]


def holders(connection: Connection, kind: str | None = None, source: str | None = None) -> list[HolderRow]:
    """Return all holders, or those of a kind or source, by name; removed ones, too."""
    columns = tables.holders.c
    query = select(tables.holders).order_by(columns.kind, columns.name, columns.id)
    query = query if kind is None else query.where(columns.kind == kind)
    return _read(connection, query if source is None else query.where(columns.source == source))


def naming(connection: Connection, kind: str, identity: str) -> Iterator[tuple[HolderRow, str]]:
    """Return the holders that name another one, each with the field that does; the policies of all are looked through, and few are
    read. Removed ones name nobody."""
    columns = tables.holders.c
    fields = [
        (one.name, field) for one in organisation.KINDS.values() for field, of in one.references.items() if of == kind
    ]
    query = select(columns.kind, columns.id, columns.policy).where(columns.removed_ms.is_(None))
    query = query.where(columns.kind.in_({name for name, _ in fields})).order_by(columns.kind, columns.name)
    for row in _mentioning(connection, query, identity):
        found = holder_of(connection, row.kind, row.id)
        if found is None or found.is_forged:
            continue
        for name, field in fields:
            if found.kind == name and getattr(found, field) == identity:
                yield found, field


def _mentioning(connection: Connection, query: Select[Any], identity: str) -> list[Any]:
    """Return the rows whose policy has an id in it, whatever for."""
    mark = msgspec.json.encode(identity)
    return [row for row in connection.execute(query) if isinstance(row.policy, bytes) and mark in row.policy]


def holder_named(connection: Connection, kind: str, name: str) -> HolderRow | None:
    """Return the holder that has a name now."""
    columns = tables.holders.c
    query = select(tables.holders).where(columns.kind == kind, columns.name == name, columns.removed_ms.is_(None))
    return next(iter(_read(connection, query)), None)


def holder_of(connection: Connection, kind: str, identity: str) -> HolderRow | None:
    """Return the holder of an id, removed or not."""
    columns = tables.holders.c
    query = select(tables.holders).where(columns.kind == kind, columns.id == identity)
    return next(iter(_read(connection, query)), None)


def names_of(connection: Connection, kind: str) -> dict[str, str]:
    """Return id → name of a kind's holders that are not removed, as far as this gateway wrote them."""
    return {row.id: row.name for row in holders(connection, kind) if row.removed_ms is None and not row.is_forged}


def add_holder(connection: Connection, row: HolderRow) -> None:
    """Insert a holder. Raises ConflictError for a name that another one has."""
    _check_name(connection, row)
    connection.execute(insert(tables.holders), [_columns(connection, row)])


def replace_holder(connection: Connection, row: HolderRow, seen_version: int | None) -> None:
    """Replace a holder. Raises ConflictError when it changed since `seen_version` (None: whatever stands there), and for a name
    that another one has."""
    if row.removed_ms is None:
        _check_name(connection, row)
    columns = tables.holders.c
    statement = update(tables.holders).where(columns.kind == row.kind, columns.id == row.id)
    if seen_version is not None:
        statement = statement.where(columns.version == seen_version)
    if connection.execute(statement.values(**_columns(connection, row))).rowcount != 1:
        raise ConflictError(
            f"the {row.kind} {row.name!r} changed in the meantime", "look at it again and repeat the change"
        )


def _check_name(connection: Connection, row: HolderRow) -> None:
    other = holder_named(connection, row.kind, row.name)
    if other is not None and other.id != row.id:
        raise ConflictError(f"a {row.kind} named {row.name!r} exists already", "choose another name")


def new_id(connection: Connection, kind: str, name: str, chance: str) -> str:
    """Return an id for a new holder: its name, as far as none had it; else with `chance`, a few random letters, behind it."""
    is_free = holder_of(connection, kind, name) is None
    return name if is_free else f"{name[: organisation.ID_MAX - len(chance) - 1]}-{chance}"


def keys_of(connection: Connection, kind: str, identity: str) -> Iterator[objects.KeyRow]:
    """Return the keys in force that name a holder; the policies of all keys are looked through, and few are read."""
    columns = tables.keys.c
    query = select(columns.id, columns.policy).where(columns.revoked_ms.is_(None)).order_by(columns.name)
    for mentioning in _mentioning(connection, query, identity):
        for row in objects.keys(connection, mentioning.id):
            if row.id == mentioning.id and not row.is_forged and getattr(row, kind) == identity:
                yield row


def adopt(connection: Connection) -> None:
    """Make the teams, users and projects that stored keys name, as bare holders: their names were labels before there were any.
    Of a configuration file's keys the file says it. Their version is 0, so that none takes the place of what was published."""
    known = {(row.kind, row.id) for row in holders(connection)}
    for key in objects.keys(connection):
        if key.is_forged or key.source == FILE or key.revoked_ms is not None:
            continue
        for kind in key_policy.LABELS:
            name = getattr(key, kind)
            if name is not None and (kind, name) not in known:
                known.add((kind, name))
                row = HolderRow(kind=kind, id=name, name=name, version=0)
                row = msgspec.structs.replace(row, created_ms=key.created_ms, updated_ms=key.created_ms)
                add_holder(connection, row)
