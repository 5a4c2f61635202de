"""What was stopped stays so when an operator takes the store as it is: published revocations and freezes. Level 5 (S5).

An older database knows nothing of what was revoked or frozen since; whoever wrote into it may have taken it away. So what edges
were told of it is found before anything is signed, and written into the store with the acceptance.
"""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection

from switchgear.control.seen import Marks, judge
from switchgear.replica.entries import KeyEntry
from switchgear.store import objects


class Carried(msgspec.Struct, frozen=True):
    """Stops that the store knows nothing of."""

    versions: dict[str, int]
    """Of revoked keys by id, as they were published."""
    freezes: dict[str, int | None]
    """Subjects, and until when in Unix milliseconds."""


def find(
    connection: Connection, revoked: Iterable[KeyEntry], frozen: Mapping[str, int | None], marks: Marks
) -> Carried:
    """Return what is published as stopped and is not so in the store; a row of this gateway's that is newer holds."""
    published = {entry.id: entry.version for entry in revoked}
    versions = {
        row.id: published[row.id]
        for row in objects.keys(connection)
        if row.id in published and (row.is_forged or (row.revoked_ms is None and row.version <= published[row.id]))
    }
    rows = objects.published(connection)
    judged = judge(rows, marks)
    doubted = {doubt.name for doubt in judged.doubts if doubt.kind == objects.FREEZE}
    bodies = judged.bodies(objects.FREEZE)
    freezes = {name: until for name, until in frozen.items() if name not in rows[objects.FREEZE]}
    freezes |= {name: msgspec.json.decode(body) for name, body in bodies.items() if name in doubted}
    return Carried(versions, freezes)


def write(connection: Connection, carried: Carried, now_ms: int) -> list[str]:
    """Write it into rows that are believed by now, or are gone; returns what was written, in words."""
    told = []
    for row in objects.keys(connection) if carried.versions else ():
        if row.id in carried.versions and not row.is_forged and row.revoked_ms is None:
            version = max(row.version + 1, carried.versions[row.id])
            gone = msgspec.structs.replace(row, version=version, revoked_ms=now_ms, updated_ms=now_ms)
            objects.replace_key(connection, gone, row.version)
            told.append(f"the key {row.name!r}")
    rows = objects.published(connection)[objects.FREEZE] if carried.freezes else {}
    for subject, until_ms in carried.freezes.items():
        standing = rows.get(subject)
        if standing is None or standing.is_signed:
            objects.put_freeze(connection, subject, until_ms, "recovery", now_ms)
            told.append(f"the freeze of {subject!r}")
    return told
