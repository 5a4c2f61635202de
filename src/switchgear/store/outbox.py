"""The outbox: every record of the ledger gets a number when it comes in, and consumers remember how far they are. Level 2.

Ids sort by admission, and a long stream settles after thousands that came later: an id is no place to go on from. The numbers are
drawn in the transaction that books the records, from one row that this transaction holds until its commit: they have no gap, and
whoever saw a number can read all before it. A record never changes: each has one number.

Delivery is at least once: a consumer hands a batch on, then moves its cursor. Only one of two who work under one name can move it.
Functions of a connection.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from switchgear.core.errors import ConflictError, UserError
from switchgear.store import tables
from switchgear.store.backend import backend_of
from switchgear.store.tables import cursors, meta, requests, settled

HEAD = "settled_seq"
"""Name of the row of `meta` that has the last number."""
CURSORS_MAX = 32
"""Each may hold records back from their retention."""
CHUNK = 500


class Settled(msgspec.Struct, frozen=True):
    """A record and its number."""

    seq: int
    request_id: str
    row: bytes


class Page(msgspec.Struct, frozen=True):
    """What stands behind a number."""

    rows: list[Settled]
    next_seq: int
    """Where to go on: the page ends there, also where its last records are deleted."""
    head_seq: int
    """The last number of all."""


class Cursor(msgspec.Struct, frozen=True):
    """How far a consumer is."""

    name: str
    seq: int
    """Everything up to this number was handed on."""
    lost: int
    """Records that retention deleted before they were handed on."""
    created_ms: int
    moved_ms: int
    owner: str | None = None
    """Who made it, as the audit log calls them. None: nobody knows, of one that an older program made."""


def number(connection: Connection, ids: Sequence[str]) -> None:
    """Give records the next numbers, in the transaction that writes them."""
    if not ids:
        return
    first = head(connection, hold=True) + 1
    rows = [(seq, request_id) for seq, request_id in enumerate(ids, first)]
    backend_of(connection).insert_many(connection, settled, rows)
    last = str(first + len(ids) - 1)
    connection.execute(update(meta).where(meta.c.name == HEAD).values(value=last))


def head(connection: Connection, hold: bool = False) -> int:
    """Return the last number. `hold`: nobody else draws one until this transaction ends."""
    query = select(meta.c.value).where(meta.c.name == HEAD)
    return int(connection.execute(query.with_for_update() if hold else query).scalar_one())


def after(connection: Connection, seq: int, limit: int) -> Page:
    """Read up to `limit` records behind a number, in the order of their numbers."""
    last = head(connection)
    query = select(settled.c.seq, settled.c.request_id, requests.c.record)
    query = query.select_from(settled.outerjoin(requests, settled.c.request_id == requests.c.id))
    found = connection.execute(query.where(settled.c.seq > seq).order_by(settled.c.seq).limit(limit)).all()
    rows = [Settled(row.seq, row.request_id, bytes(row.record)) for row in found if row.record is not None]
    following = found[-1].seq if found else max(seq, last)
    return Page(rows, min(following, last) if found else last, last)


def all_cursors(connection: Connection) -> list[Cursor]:
    """List the consumers by name."""
    return [_cursor(row) for row in connection.execute(select(cursors).order_by(cursors.c.name))]


def cursor(connection: Connection, name: str) -> Cursor:
    """Return a consumer's place. Raises UserError."""
    row = connection.execute(select(cursors).where(cursors.c.name == name)).one_or_none()
    if row is None:
        raise UserError(f"there is no cursor {name!r}", "", 2)
    return _cursor(row)


def add_cursor(connection: Connection, name: str, seq: int, now_ms: int, owner: str | None = None) -> Cursor:
    """Begin a consumer behind a number. Raises ConflictError when there is one of this name, UserError when there are too many."""
    known = {one.name for one in all_cursors(connection)}
    if name in known:
        raise ConflictError(f"there is a cursor {name!r} already", "")
    if len(known) >= CURSORS_MAX:
        raise UserError(f"there are {CURSORS_MAX} cursors already", "remove one that nobody reads with", 2)
    last = head(connection)
    if not 0 <= seq <= last:
        raise UserError(f"number {seq} was not given yet: the last one is {last}", "", 2)
    made = Cursor(name, seq, 0, now_ms, now_ms, owner)
    connection.execute(insert(cursors), [msgspec.structs.asdict(made)])
    return made


def move(connection: Connection, name: str, seen: int, seq: int, now_ms: int, owner: str | None = None) -> Cursor:
    """Move a cursor from where its consumer saw it; `owner`: whose it is from now on, None: whose it was. Moving it once more to
    where it is changes nothing: the answer to the first time may have been lost. Raises ConflictError when somebody else moved it,
    UserError when there is none or no such place ahead.
    """
    known = cursor(connection, name)
    if known.seq == seq:
        return known
    if known.seq != seen:
        raise ConflictError(f"the cursor {name!r} is at {known.seq}, not at {seen}", "somebody else reads with it")
    last = head(connection)
    if not seen < seq <= last:
        raise UserError(f"a cursor moves ahead, up to {last}: not from {seen} to {seq}", "", 2)
    condition = (cursors.c.name == name) & (cursors.c.seq == seen)
    values = {"seq": seq, "moved_ms": now_ms, "owner": owner or known.owner}
    if connection.execute(update(cursors).where(condition).values(**values)).rowcount != 1:
        raise ConflictError(f"the cursor {name!r} was moved meanwhile", "somebody else reads with it")
    return msgspec.structs.replace(known, **values)


def drop_cursor(connection: Connection, name: str) -> None:
    """Forget a consumer. Raises UserError."""
    cursor(connection, name)
    connection.execute(delete(cursors).where(cursors.c.name == name))


def drop_old(connection: Connection, floor: str, hard_floor: str, limit: int) -> int:
    """Delete records with an id below `floor` that every consumer handed on, and those below `hard_floor` in any case: each
    consumer's loss is counted. Looks at the `limit` lowest numbers; returns how many it deleted: 0 when there is no more."""
    query = select(settled.c.seq, settled.c.request_id).order_by(settled.c.seq).limit(limit)
    readers = all_cursors(connection)
    read = min((one.seq for one in readers), default=None)
    dropped = [
        (seq, request_id)
        for seq, request_id in connection.execute(query)
        if request_id < hard_floor or (request_id < floor and (read is None or seq <= read))
    ]
    for one in readers:
        lost = sum(seq > one.seq for seq, _ in dropped)
        if lost:
            values = {"lost": cursors.c.lost + lost}
            connection.execute(update(cursors).where(cursors.c.name == one.name).values(values))
    for at in range(0, len(dropped), CHUNK):
        numbers, ids = zip(*dropped[at : at + CHUNK], strict=True)
        connection.execute(delete(settled).where(settled.c.seq.in_(numbers)))
        connection.execute(delete(requests).where(requests.c.id.in_(ids)))
        connection.execute(delete(tables.tried).where(tables.tried.c.request_id.in_(ids)))
    return len(dropped)


def _cursor(row: object) -> Cursor:
    return Cursor(*(getattr(row, name) for name in Cursor.__struct_fields__))
