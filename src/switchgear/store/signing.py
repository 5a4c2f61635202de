"""Rows whose MACs do not hold: which they are, and giving them one. Level 2 (docs/invariants.md S5).

Rows are signed at two moments only: all of them by the migration that brought MACs, and those that an operator accepts who was
shown them. Whatever else signed what it found would make the MACs mean nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Table, bindparam, select, update

from switchgear.store import holders, objects, tables
from switchgear.store.macs import macs_of

ROWS = 1_000
"""Rows that are written in one statement."""


class Unsigned(msgspec.Struct, frozen=True):
    """A row that this gateway's control did not write."""

    table: Table
    where: tuple[tuple[Column[Any], Any], ...]
    """Which row, by its primary key."""
    kind: str
    name: str
    mac: bytes
    """The MAC that it would carry."""
    is_sound: bool
    """Its values have the types of their columns. Else it is never signed: SQLite takes any value in any column, and whoever reads
    what was signed relies on its types."""


def unsigned(connection: Connection) -> Iterator[Unsigned]:
    """Return all rows whose MACs do not hold."""
    yield from _keys(connection)
    yield from _holders(connection)
    yield from _objects(connection)
    yield from _freezes(connection)
    yield from _tokens(connection)


def others(connection: Connection) -> Iterator[Unsigned]:
    """Return those that edges are not told of: tokens, versions of the configuration, findings and more."""
    yield from (row for row in _objects(connection) if row.kind not in objects.PUBLISHED)
    yield from _tokens(connection)


def _keys(connection: Connection) -> Iterator[Unsigned]:
    macs = macs_of(connection)
    for row, secrets in objects.key_rows(connection):
        mac = macs.of("keys", *objects.key_values(row, secrets))
        if mac != row.mac:
            is_sound = _is_sound(tables.keys, row) and all(_is_sound(tables.key_secrets, secret) for secret in secrets)
            yield Unsigned(tables.keys, ((tables.keys.c.id, row.id),), "key", objects.text_of(row.name), mac, is_sound)


def _holders(connection: Connection) -> Iterator[Unsigned]:
    macs, columns = macs_of(connection), tables.holders.c
    for row in connection.execute(select(tables.holders)):
        mac = macs.of("holders", *holders.holder_values(row))
        if mac != row.mac:
            where = ((columns.kind, row.kind), (columns.id, row.id))
            kind, name = objects.text_of(row.kind), objects.text_of(row.name)
            yield Unsigned(tables.holders, where, kind, name, mac, _is_sound(tables.holders, row))


def _objects(connection: Connection) -> Iterator[Unsigned]:
    macs, columns = macs_of(connection), tables.objects.c
    for row in connection.execute(select(tables.objects)):
        mac = macs.of("objects", *objects.object_values(row))
        if mac != row.mac:
            where = ((columns.kind, row.kind), (columns.name, row.name))
            kind, name = objects.text_of(row.kind), objects.text_of(row.name)
            yield Unsigned(tables.objects, where, kind, name, mac, _is_sound(tables.objects, row))


def _freezes(connection: Connection) -> Iterator[Unsigned]:
    macs = macs_of(connection)
    for row in connection.execute(select(tables.freezes)):
        mac = macs.of("freezes", *objects.freeze_values(row))
        if mac != row.mac:
            where, name = ((tables.freezes.c.subject, row.subject),), objects.text_of(row.subject)
            yield Unsigned(tables.freezes, where, objects.FREEZE, name, mac, _is_sound(tables.freezes, row))


def _tokens(connection: Connection) -> Iterator[Unsigned]:
    macs = macs_of(connection)
    for row in connection.execute(select(tables.tokens)):
        mac = macs.of("tokens", *objects.token_values(row))
        if mac != row.mac:
            where, name = ((tables.tokens.c.hash, row.hash),), objects.text_of(row.name)
            yield Unsigned(tables.tokens, where, "token", name, mac, _is_sound(tables.tokens, row))


def _is_sound(table: Table, row: Any) -> bool:
    """Tell whether the values of a row, as far as it has them, are of their columns' types; its MAC is none of them."""
    for column in table.columns:
        if column.name == "mac" and table is not tables.key_secrets:
            continue
        value = getattr(row, column.name, None)
        kind = column.type.python_type
        if value is None:
            if not column.nullable and hasattr(row, column.name):
                return False
        elif type(value) is not kind:
            return False
    return True


def digest(rows: Iterable[Unsigned]) -> str:
    """Return what stands for exactly these rows with their content, in hexadecimal."""
    return hashlib.sha256(b"".join(sorted(row.mac for row in rows if row.is_sound))).hexdigest()


def sign(connection: Connection, rows: Iterable[Unsigned] | None = None) -> list[Unsigned]:
    """Give MACs to these rows, or to every row that has none, where their values have their types; returns which have one now."""
    rows = [row for row in (unsigned(connection) if rows is None else rows) if row.is_sound]
    for table in {row.table for row in rows}:
        mine = [row for row in rows if row.table is table]
        names = [column for column, _ in mine[0].where]
        statement = update(table).where(*(column == bindparam(f"of_{column.name}") for column in names))
        statement = statement.values(mac=bindparam("new_mac"))
        for at in range(0, len(mine), ROWS):
            values = [
                {**{f"of_{column.name}": value for column, value in row.where}, "new_mac": row.mac}
                for row in mine[at : at + ROWS]
            ]
            connection.execute(statement, values)
    left = {row.mac for row in unsigned(connection)} if rows else set()  # a key that is no UTF-8 finds no row
    return [row for row in rows if row.mac not in left]
