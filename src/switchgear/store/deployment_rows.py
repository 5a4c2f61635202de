"""Rows of deployments' counts: a name, an encoded state, when it was last used. Level 2. Functions of a connection."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select

from switchgear.store.backend import backend_of
from switchgear.store.tables import deployments

CHUNK = 500


def all_rows(connection: Connection) -> dict[str, bytes]:
    """Return every state by name."""
    query = select(deployments.c.name, deployments.c.state)
    return {row.name: bytes(row.state) for row in connection.execute(query)}


def some_rows(connection: Connection, names: Iterable[str]) -> dict[str, bytes]:
    """Return the states of some names, as far as they are there."""
    wanted, found = list(names), {}
    query = select(deployments.c.name, deployments.c.state)
    for at in range(0, len(wanted), CHUNK):
        for row in connection.execute(query.where(deployments.c.name.in_(wanted[at : at + CHUNK]))):
            found[row.name] = bytes(row.state)
    return found


def put(connection: Connection, rows: Mapping[str, tuple[bytes, int]]) -> None:
    """Write states: name → (state, when it was last used in ms)."""
    if not rows:
        return
    statement = backend_of(connection).upsert(deployments)
    values = {name: statement.excluded[name] for name in ("state", "last_ms")}
    statement = statement.on_conflict_do_update(index_elements=[deployments.c.name], set_=values)
    connection.execute(statement, [{"name": n, "state": state, "last_ms": ms} for n, (state, ms) in rows.items()])


def drop_before(connection: Connection, last_ms: int) -> list[str]:
    """Delete what was not used since a time; returns the names."""
    names = list(connection.execute(select(deployments.c.name).where(deployments.c.last_ms < last_ms)).scalars())
    connection.execute(delete(deployments).where(deployments.c.last_ms < last_ms))
    return names
