"""Sums of days and of blocks of days, made of the sums of hours. Level 2. Functions of a connection.

Two thousand keys that use twenty models for three months have ten million sums of hours; nobody waits until those are added up.
A day that is over is added up once, in the background: by who (keys, teams), by what (models, providers), and by both;
of what is by both, eight days and sixty-four days are added up again. What is told late about such a day (a spool that
waited) is added to its sums in the transaction that adds it to the hour's.

`plan` says which of them answer a question: pure, and whichever it takes, the answer is the same.
"""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, literal, select

from switchgear.store import tables
from switchgear.store.backend import backend_of
from switchgear.store.sums import SUMS, Sums
from switchgear.store.tables import DIMENSIONS, rollups, usage

HOURS = 24
BLOCK = 8
WHO = frozenset({"key_id", "key_name", "team", "user_name", "project"})
WHAT = frozenset({"model", "upstream_model", "provider", "credential_id"})
LEVELS: dict[str, tuple[frozenset[str], int]] = {
    # Name: its dimensions, and its hours.
    "who": (WHO, HOURS),
    "what": (WHAT, HOURS),
    "day": (WHO | WHAT, HOURS),
    "days8": (WHO | WHAT, HOURS * BLOCK),
    "days64": (WHO | WHAT, HOURS * BLOCK * BLOCK),
}
_FINER = {"who": "day", "what": "day", "days8": "day", "days64": "days8"}
"""From which level one is made; `day` is made from the hours."""
_WATERMARK = "rolled_until"
"""Name in `meta`: the hour before which everything is rolled up."""


class Part(msgspec.Struct, frozen=True):
    """Hours [since, until) as one level has them; None: the sums of hours."""

    level: str | None
    since: int
    until: int


def plan(
    since: int, until: int, rolled_until: int, dimensions: Collection[str], by_day: bool, by_hour: bool
) -> list[Part]:
    """Say where the sums of the hours [since, until) are read, each hour exactly once. `rolled_until`: hours before it are rolled
    up; `dimensions`: columns that are grouped by or asked for."""
    begin, end = -(-since // HOURS) * HOURS, min(until, rolled_until) // HOURS * HOURS
    if by_hour or begin >= end:
        return [Part(None, since, until)] if since < until else []
    parts = [Part(None, since, begin), Part(None, end, until)]
    level = next((name for name in ("what", "who") if LEVELS[name][0] >= set(dimensions)), None)
    if level is not None or by_day:
        parts.append(Part(level or "day", begin, end))
    else:
        parts += _blocks(begin, end)
    return [part for part in parts if part.since < part.until]


def _blocks(begin: int, end: int) -> list[Part]:
    parts: list[Part] = []
    at = begin
    while at < end:
        fits = (n for n in ("days64", "days8", "day") if at % LEVELS[n][1] == 0 and at + LEVELS[n][1] <= end)
        name = next(fits)
        size = LEVELS[name][1]
        if parts and parts[-1].level == name:
            parts[-1] = Part(name, parts[-1].since, at + size)
        else:
            parts.append(Part(name, at, at + size))
        at += size
    return parts


def source(parts: Iterable[Part], where: dict[str, str]) -> Any:
    """Return what `plan` says as one selectable with the columns of `usage`; a level's `hour` is where its time begins."""
    queries = []
    for part in parts:
        table: Table = usage if part.level is None else rollups
        hour = table.c.hour if part.level is None else table.c.start
        columns = [hour.label("hour"), *(table.c[name] for name in (*DIMENSIONS[1:], *SUMS))]
        query = select(*columns).where(hour >= part.since, hour < part.until)
        if part.level is not None:
            query = query.where(table.c.level == part.level)
        for name, value in where.items():
            query = query.where(table.c[name] == value)
        queries.append(query)
    return queries[0].union_all(*queries[1:]).subquery("usage")


def rolled_until(connection: Connection) -> int:
    """Return the hour before which everything is rolled up; 0 before the first day was."""
    found = connection.execute(select(tables.meta.c.value).where(tables.meta.c.name == _WATERMARK)).scalar_one_or_none()
    return int(found) if found is not None else 0


def roll_day(connection: Connection, over_until: int) -> bool:
    """Add up the next day that ended before hour `over_until`, with the blocks that end with it; False when there is none."""
    begin = rolled_until(connection)
    if begin == 0:
        first = connection.execute(select(func.min(usage.c.hour))).scalar_one_or_none()
        if first is None:
            return False
        begin = (
            int(first) // (HOURS * BLOCK * BLOCK) * (HOURS * BLOCK * BLOCK)
        )  # blocks are whole from the beginning on
    end = begin + HOURS
    if end > over_until:
        return False
    if begin % HOURS == 0:
        newer = connection.execute(select(func.min(usage.c.hour)).where(usage.c.hour >= begin)).scalar_one_or_none()
        if newer is None:
            return False
    for name, (_, size) in LEVELS.items():
        if end % size == 0:
            connection.execute(delete(rollups).where(rollups.c.level == name, rollups.c.start == end - size))
    for name in ("day", "who", "what", "days8", "days64"):
        dimensions, size = LEVELS[name]
        if end % size == 0:
            _roll(connection, name, end - size, end, dimensions)
    connection.execute(delete(tables.meta).where(tables.meta.c.name == _WATERMARK))
    connection.execute(insert(tables.meta), [{"name": _WATERMARK, "value": str(end)}])
    return True


def _roll(connection: Connection, level: str, begin: int, end: int, dimensions: frozenset[str]) -> None:
    finer = _FINER.get(level)
    table: Table = usage if finer is None else rollups
    hour = usage.c.hour if finer is None else rollups.c.start
    kept = [table.c[name] for name in DIMENSIONS[1:] if name in dimensions]
    columns = [table.c[name] if name in dimensions else literal("").label(name) for name in DIMENSIONS[1:]]
    sums = [func.sum(table.c[name]).label(name) for name in SUMS]
    query = select(literal(level).label("level"), literal(begin).label("start"), *columns, *sums)
    query = query.where(hour >= begin, hour < end).group_by(*kept)
    if finer is not None:
        query = query.where(rollups.c.level == finer)
    connection.execute(insert(rollups).from_select(["level", "start", *DIMENSIONS[1:], *SUMS], query))


def add_late(connection: Connection, sums: dict[tuple[Any, ...], Sums]) -> None:
    """Add to the sums of days and blocks what is told of hours that were rolled up already."""
    if not sums:
        return
    rolled = rolled_until(connection)
    late: dict[tuple[Any, ...], Sums] = {}
    for (hour, *rest), values in sums.items():
        if hour >= rolled:
            continue
        for name, (dimensions, size) in LEVELS.items():
            start = hour // size * size
            if start + size > rolled:
                continue
            kept = [value if column in dimensions else "" for column, value in zip(DIMENSIONS[1:], rest, strict=True)]
            late.setdefault((name, start, *kept), Sums()).add(values)
    if not late:
        return
    names = ("level", "start", *DIMENSIONS[1:])
    upsert = backend_of(connection).upsert(rollups)
    statement = upsert.on_conflict_do_update(
        index_elements=[rollups.c[name] for name in names],
        set_={name: rollups.c[name] + upsert.excluded[name] for name in SUMS},
    )
    rows = [
        dict(zip((*names, *SUMS), (*key, *msgspec.structs.astuple(values)), strict=True))
        for key, values in late.items()
    ]
    connection.execute(statement, rows)
