"""Rows of the ledger: requests, usage sums, spool positions, prices. Level 2. Functions of a connection."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, case, delete, func, select

from switchgear.core.ids import credential_id, parts_of_deployment
from switchgear.store import rollups, tables
from switchgear.store.backend import backend_of
from switchgear.store.sums import SUMS, Sums
from switchgear.store.tables import DIMENSIONS, requests, usage

REASONS_MAX = 100
"""What is wrong with one segment: a compromised edge makes as many findings as it likes."""
REASON_CHARS_MAX = 512
REQUEST_COLUMNS = tuple(column.name for column in requests.columns)


class SpoolRow(msgspec.Struct, frozen=True):
    """How far a spool was ingested."""

    segment: int
    position: int
    sequence: int
    records: int


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests to list; None means any."""

    key: str | None = None
    team: str | None = None
    user: str | None = None
    project: str | None = None
    model: str | None = None
    provider: str | None = None
    status: int | None = None
    outcome: str | None = None
    since_id: str | None = None
    until_id: str | None = None
    min_cost_nanousd: int | None = None
    min_latency_ms: int | None = None


def add_requests(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Insert settled requests, as tuples in the order of REQUEST_COLUMNS.

    A duplicate id violates the primary key: exactly once or not at all.
    """
    if rows:
        backend_of(connection).insert_many(connection, requests, rows)


def add_tried(connection: Connection, rows: list[tuple[str, str]]) -> None:
    """Remember (provider, request id) of attempts at other providers than a request's last."""
    if rows:
        statement = backend_of(connection).upsert(tables.tried).on_conflict_do_nothing()
        connection.execute(statement, [{"provider": provider, "request_id": name} for provider, name in rows])


def known_ids(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return which of some ids are in the ledger already."""
    found: set[str] = set()
    wanted = list(ids)
    for at in range(0, len(wanted), 500):
        query = select(requests.c.id).where(requests.c.id.in_(wanted[at : at + 500]))
        found.update(connection.execute(query).scalars())
    return found


def rows_of(connection: Connection, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the rows of some requests, by id; at most a few hundred at a time."""
    query = select(requests.c.id, requests.c.record).where(requests.c.id.in_(list(ids)))
    return {found.id: bytes(found.record) for found in connection.execute(query)}


def add_usage(connection: Connection, sums: dict[tuple[Any, ...], Sums]) -> None:
    """Add to the usage sums; keys are DIMENSIONS in order."""
    if not sums:
        return
    rows = [
        dict(zip((*DIMENSIONS, *SUMS), (*dimensions, *msgspec.structs.astuple(values)), strict=True))
        for dimensions, values in sums.items()
    ]
    statement = backend_of(connection).upsert(usage)
    statement = statement.on_conflict_do_update(
        index_elements=[usage.c[name] for name in DIMENSIONS],
        set_={name: usage.c[name] + statement.excluded[name] for name in SUMS},
    )
    connection.execute(statement, rows)
    rollups.add_late(connection, sums)


def spool_row(connection: Connection, spool_id: str) -> SpoolRow | None:
    """Return how far a spool was ingested, None for a new one."""
    row = connection.execute(select(tables.spools).where(tables.spools.c.spool_id == spool_id)).one_or_none()
    return SpoolRow(row.segment, row.position, row.sequence, row.records) if row is not None else None


def spool_rows(connection: Connection) -> dict[str, SpoolRow]:
    """Return how far all edges' spools were ingested. (The journal's row has a position and no numbers.)"""
    found = connection.execute(select(tables.spools).where(tables.spools.c.sequence > 0))
    return {row.spool_id: SpoolRow(row.segment, row.position, row.sequence, row.records) for row in found}


def every_record(connection: Connection, since_id: str, until_id: str) -> Iterable[bytes]:
    """Read the records of a time, a few at a time."""
    query = select(requests.c.record).where(requests.c.id >= since_id, requests.c.id < until_id)
    for row in connection.execute(query.execution_options(yield_per=1_000)):
        yield bytes(row.record)


def every_sum(connection: Connection, since_hour: int, until_hour: int) -> Iterable[tuple[tuple[Any, ...], Sums]]:
    """Read the sums of a time; DIMENSIONS in order."""
    query = select(usage).where(usage.c.hour >= since_hour, usage.c.hour < until_hour)
    for row in connection.execute(query.execution_options(yield_per=1_000)):
        found = row._mapping
        yield tuple(found[name] for name in DIMENSIONS), Sums(*(int(found[name]) for name in SUMS))


def put_spool_row(connection: Connection, spool_id: str, row: SpoolRow) -> None:
    """Remember how far a spool was ingested."""
    statement = backend_of(connection).upsert(tables.spools)
    values = {"segment": row.segment, "position": row.position, "sequence": row.sequence, "records": row.records}
    statement = statement.on_conflict_do_update(index_elements=[tables.spools.c.spool_id], set_=values)
    connection.execute(statement, [{"spool_id": spool_id, **values}])


def put_quarantine(connection: Connection, spool_id: str, segment: int, reason: str, now_ms: int) -> None:
    """Record what is wrong with a segment; each reason once, REASONS_MAX of one segment."""
    table = tables.quarantine
    is_segment = (table.c.spool_id == spool_id) & (table.c.segment == segment)
    count = connection.execute(select(func.count()).select_from(table).where(is_segment)).scalar_one()
    if count >= REASONS_MAX:
        return
    row = {"spool_id": spool_id, "segment": segment, "reason": reason.replace("\n", " ")[:REASON_CHARS_MAX]}
    statement = backend_of(connection).upsert(table).on_conflict_do_nothing()
    connection.execute(statement, [{**row, "is_open": True, "time_ms": now_ms}])


def quarantined(connection: Connection) -> list[tuple[str, int, str]]:
    """List what is wrong with segments: (spool, segment, reason)."""
    table = tables.quarantine
    query = select(table.c.spool_id, table.c.segment, table.c.reason).where(table.c.is_open)
    query = query.order_by(table.c.time_ms, table.c.spool_id, table.c.segment, table.c.reason)
    return [(row.spool_id, row.segment, row.reason) for row in connection.execute(query)]


def put_price(connection: Connection, price_id: str, body: bytes, now_ms: int) -> None:
    """Keep a price for later checks, once."""
    statement = backend_of(connection).upsert(tables.prices).on_conflict_do_nothing()
    connection.execute(statement, [{"id": price_id, "body": body, "created_ms": now_ms}])


def price(connection: Connection, price_id: str) -> bytes | None:
    """Return a price that was kept."""
    return connection.execute(select(tables.prices.c.body).where(tables.prices.c.id == price_id)).scalar_one_or_none()


def list_requests(
    connection: Connection, wanted: LogFilter, limit: int, before: str | None = None, after: str | None = None
) -> list[bytes]:
    """Return records, newest first below `before`; with `after`, oldest first above it."""
    return [row for _, row in list_rows(connection, wanted, limit, before, after)]


def list_rows(
    connection: Connection, wanted: LogFilter, limit: int, before: str | None = None, after: str | None = None
) -> list[tuple[str, bytes]]:
    """Return ids and records as `list_requests` does."""
    query = select(requests.c.id, requests.c.record)
    equal: tuple[tuple[ColumnElement[Any], object], ...] = (
        (requests.c.team, wanted.team),
        (requests.c.user_name, wanted.user),
        (requests.c.project, wanted.project),
        (requests.c.model, wanted.model),
        (requests.c.status, wanted.status),
        (requests.c.outcome, wanted.outcome),
    )
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    if wanted.provider is not None:
        before_last = select(tables.tried.c.request_id).where(tables.tried.c.provider == wanted.provider)
        query = query.where((requests.c.provider == wanted.provider) | requests.c.id.in_(before_last))
    if wanted.key is not None:
        query = query.where((requests.c.key_name == wanted.key) | (requests.c.key_id == wanted.key))
    if wanted.since_id is not None:
        query = query.where(requests.c.id >= wanted.since_id)
    if wanted.until_id is not None:
        query = query.where(requests.c.id < wanted.until_id)
    if wanted.min_cost_nanousd is not None:
        query = query.where(requests.c.cost_nanousd >= wanted.min_cost_nanousd)
    if wanted.min_latency_ms is not None:
        query = query.where(requests.c.latency_ms >= wanted.min_latency_ms)
    if before is not None:
        query = query.where(requests.c.id < before)
    if after is not None:
        query = query.where(requests.c.id > after).order_by(requests.c.id)
    else:
        query = query.order_by(requests.c.id.desc())
    return [(found.id, bytes(found.record)) for found in connection.execute(query.limit(limit))]


def get_request(connection: Connection, request_id: str) -> bytes | None:
    """Return one record."""
    return connection.execute(select(requests.c.record).where(requests.c.id == request_id)).scalar_one_or_none()


def ids_from(connection: Connection, start: str, limit: int) -> list[str]:
    """Return ids of records that begin with some hex digits, the oldest first."""
    query = select(requests.c.id).where(requests.c.id >= start, requests.c.id < start + "g")
    return list(connection.execute(query.order_by(requests.c.id).limit(limit)).scalars())


def values_of(connection: Connection, name: str, limit: int) -> list[str]:
    """Return what the sums know of a dimension of GROUPS: the teams, the models, …"""
    until = rollups.rolled_until(connection)
    parts = rollups.plan(0, FOR_EVER, until, _columns(name), False, False)
    column = _group(rollups.source(parts, {}), name)
    query = select(column).where(column != "").distinct().order_by(column).limit(limit)
    return [str(value) for value in connection.execute(query).scalars()]


FOR_EVER = 1 << 30
"""An hour that no clock shows."""
_COLUMNS = {
    "key": "key_name",
    "team": "team",
    "user": "user_name",
    "project": "project",
    "model": "model",
    "upstream_model": "upstream_model",
    "provider": "provider",
    "credential": "credential_id",
}
_PLACE = ("provider", "upstream_model", "credential_id")
"""What a deployment is made of."""
GROUPS = (*_COLUMNS, "deployment", "day", "hour")
"""What usage can be grouped by."""


OF_PLACES = frozenset({"provider", "deployment", "credential", "upstream_model"})
"""Groups that say where an attempt went."""
OF_ATTEMPTS = {"requests": "attempts", "errors": "failed_attempts"}
"""What is counted by attempt where it is grouped by place."""


def _columns(name: str) -> tuple[str, ...]:
    """Return the columns that a group is made of."""
    if name == "deployment":
        return _PLACE
    return (_COLUMNS[name],) if name in _COLUMNS else ()


def _group(source: Any, name: str) -> Any:
    if name != "deployment":
        return source.c[_COLUMNS.get(name, name)]
    provider, upstream_model, place = (source.c[column] for column in _PLACE)
    credential = func.substr(place, func.length(provider) + 2)
    return case((place == "", ""), else_=provider + "/" + upstream_model + "@" + credential)


def _condition(name: str, value: str) -> dict[str, str]:
    """Return what columns must say where a group has a value."""
    if name != "deployment":
        return {_COLUMNS[name]: value}
    parts = parts_of_deployment(value)
    if parts is None:
        return {"credential_id": value}
    provider, upstream_model, credential = parts
    return dict(zip(_PLACE, (provider, upstream_model, credential_id(provider, credential)), strict=True))


def sum_usage(
    connection: Connection,
    by: list[str],
    since_hour: int,
    until_hour: int,
    where: dict[str, str] | None = None,
    zone_hours: int = 0,
) -> list[dict[str, Any]]:
    """Return sums grouped by some of GROUPS for hours since the epoch in [since, until). Where a place of attempts is grouped
    by or asked for, `requests` and `errors` count attempts: a request that failed at one provider and went on to another is
    an error of the first. Days are those of a zone so many hours east of UTC, counted from 1970-01-01 there."""
    wanted: dict[str, str] = {}
    for name, value in (where or {}).items():
        wanted |= _condition(name, value)
    grouped = [column for name in by for column in _columns(name)]
    parts = rollups.plan(
        since_hour,
        until_hour,
        rollups.rolled_until(connection),
        {*grouped, *wanted},
        "day" in by,
        "hour" in by or ("day" in by and zone_hours != 0),
    )
    found = rollups.source(parts or [rollups.Part(None, 0, 0)], wanted)
    groups = [(found.c.hour + zone_hours) // 24 if name == "day" else _group(found, name) for name in by]
    counted = OF_ATTEMPTS if not OF_PLACES.isdisjoint((*by, *(where or ()))) else {}
    sums = [func.sum(found.c[counted.get(name, name)]).label(name) for name in SUMS]
    query = select(*(group.label(f"group_{name}") for name, group in zip(by, groups, strict=True)), *sums)
    if counted:
        query = query.where(found.c.attempts > 0)
    if groups:
        query = query.group_by(*groups).order_by(func.sum(found.c.cost_nanousd).desc())
    return [dict(row._mapping) for row in connection.execute(query)]


def spend_by_model(
    connection: Connection, key_ids: Iterable[str] | None, since_hour: int, until_hour: int
) -> dict[str, dict[str, tuple[int, int]]]:
    """Return key id → model → (requests, cost in nano-USD) for hours in [since, until); of all keys when None."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    columns = (usage.c.key_id, usage.c.model, func.sum(usage.c.requests), func.sum(usage.c.cost_nanousd))
    query = select(*columns).where(usage.c.hour >= since_hour, usage.c.hour < until_hour)
    query = query.group_by(usage.c.key_id, usage.c.model)
    wanted = None if key_ids is None else sorted(key_ids)
    groups = [None] if wanted is None else [wanted[at : at + 500] for at in range(0, len(wanted), 500)]
    for group in groups:
        part = query if group is None else query.where(usage.c.key_id.in_(group))
        for key_id, model, requests_, cost in connection.execute(part):
            found.setdefault(key_id, {})[model] = (int(requests_), int(cost))
    return found


def spent_by_key(connection: Connection, key_ids: Iterable[str], until_hour: int) -> dict[str, int]:
    """Return what some keys spent before an hour, in nano-USD."""
    parts = rollups.plan(0, until_hour, rollups.rolled_until(connection), {"key_id"}, False, False)
    source = rollups.source(parts or [rollups.Part(None, 0, 0)], {})
    query = select(source.c.key_id, func.sum(source.c.cost_nanousd)).group_by(source.c.key_id)
    wanted = sorted(key_ids)
    found: dict[str, int] = {}
    for at in range(0, len(wanted), 500):
        part = query.where(source.c.key_id.in_(wanted[at : at + 500]))
        found |= {key_id: int(cost) for key_id, cost in connection.execute(part)}
    return found


def keys_in_use(connection: Connection, since_hour: int, until_hour: int) -> set[str]:
    """Return the ids of the keys that were used in some hours."""
    parts = rollups.plan(since_hour, until_hour, rollups.rolled_until(connection), {"key_id"}, False, False)
    source = rollups.source(parts or [rollups.Part(None, 0, 0)], {})
    return set(connection.execute(select(source.c.key_id).distinct()).scalars())


def drop_before(connection: Connection, request_id: str, limit: int) -> int:
    """Delete up to `limit` records older than an id; returns how many."""
    oldest = select(requests.c.id).where(requests.c.id < request_id).order_by(requests.c.id).limit(limit)
    count = connection.execute(delete(requests).where(requests.c.id.in_(oldest.scalar_subquery()))).rowcount
    connection.execute(delete(tables.tried).where(tables.tried.c.request_id < request_id))
    return count


def newest_ms(connection: Connection) -> int:
    """Return the time of the newest record, in milliseconds; 0 without any. Retention counts from there, so that a clock that
    jumps ahead does not empty the ledger of an idle gateway."""
    newest = connection.execute(select(func.max(requests.c.id))).scalar_one()
    return int(newest[:12], 16) if newest else 0


def count_requests(connection: Connection) -> int:
    """Return how many records there are."""
    return int(connection.execute(select(func.count()).select_from(requests)).scalar_one())
