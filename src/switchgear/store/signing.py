"""Rows whose MACs do not hold: which they are, and giving them one. Level 2 (docs/invariants.md S5).

Rows are signed at two moments only: all of them by the migration that brought MACs, and those that an operator accepts who was
shown them. Whatever else signed what it found would make the MACs mean nothing.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Table, bindparam, select, update

from switchgear.store import objects, tables
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


def unsigned(connection: Connection) -> Iterator[Unsigned]:
    """Return all rows whose MACs do not hold."""
    yield from _keys(connection)
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
            yield Unsigned(tables.keys, ((tables.keys.c.id, row.id),), "key", objects.text_of(row.name), mac)


def _objects(connection: Connection) -> Iterator[Unsigned]:
    macs, columns = macs_of(connection), tables.objects.c
    for row in connection.execute(select(tables.objects)):
        mac = macs.of("objects", *objects.object_values(row))
        if mac != row.mac:
            where = ((columns.kind, row.kind), (columns.name, row.name))
            yield Unsigned(tables.objects, where, objects.text_of(row.kind), objects.text_of(row.name), mac)


def _freezes(connection: Connection) -> Iterator[Unsigned]:
    macs = macs_of(connection)
    for row in connection.execute(select(tables.freezes)):
        mac = macs.of("freezes", *objects.freeze_values(row))
        if mac != row.mac:
            where = ((tables.freezes.c.subject, row.subject),)
            yield Unsigned(tables.freezes, where, objects.FREEZE, objects.text_of(row.subject), mac)


def _tokens(connection: Connection) -> Iterator[Unsigned]:
    macs = macs_of(connection)
    for row in connection.execute(select(tables.tokens)):
        mac = macs.of("tokens", *objects.token_values(row))
        if mac != row.mac:
            yield Unsigned(tables.tokens, ((tables.tokens.c.hash, row.hash),), "token", objects.text_of(row.name), mac)


def sign(connection: Connection) -> int:
    """Give every row that has none a MAC; returns how many."""
    rows = list(unsigned(connection))
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
    return len(rows)
