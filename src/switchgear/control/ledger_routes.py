"""Routes of the ledger: usage, records, verification. Level 5."""

import datetime
import functools
from collections.abc import Callable
from typing import Any, get_args

from sqlalchemy import Connection

from switchgear.control import answers
from switchgear.control.api import DAY_MS, HOUR_MS, SPAN, Call, P, Route
from switchgear.control.ledger import Ledger
from switchgear.core.errors import UserError
from switchgear.core.ids import request_id_floor
from switchgear.core.money import format_usd, parse_usd
from switchgear.core.nearest import meant
from switchgear.ledger import record, verify
from switchgear.ledger.record import Record
from switchgear.pricing import what_if
from switchgear.pricing.price import Price
from switchgear.routing.table import resolve
from switchgear.store import holders, ledger_rows, objects
from switchgear.store.ledger_rows import LogFilter
from switchgear.store.sums import SUMS

PAGE = 1_000
SCANNED_MAX = 200_000
"""Rows that one call looks through; `next` goes on."""
TIME_MS_MAX = 253_402_300_799_000
"""The last second of the year 9999."""


async def get_usage(call: Call) -> Any:
    """Sums by some dimensions over a time."""
    by = [name for name in call.query.get("by", "").split(",") if name]
    for name in by:
        if name not in ledger_rows.GROUPS:
            raise UserError(f"usage cannot be grouped by {name!r}", f"known are {', '.join(ledger_rows.GROUPS)}", 2)
    now = call.control.clock.wall_ms()
    since = call.number("since_ms", now - 30 * DAY_MS, 0, 1 << 50)
    until = call.number("until_ms", now + HOUR_MS, 0, 1 << 50)
    where = {
        name: call.query[name] for name in ledger_rows.GROUPS if name in call.query and name not in {"day", "hour"}
    }
    hours = since // HOUR_MS, -(-until // HOUR_MS)
    zone = call.zone_hours()
    rows = await call.control.read(lambda c: ledger_rows.sum_usage(c, by, *hours, where, zone))
    total = (await call.control.read(lambda c: ledger_rows.sum_usage(c, [], *hours, where)))[0]
    if not total["requests"]:
        await _check_known(call, {name: where[name] for name in _NAMED if name in where})
    # Sums are of whole hours: what was asked for is said as it was counted.
    counted = {"since": record_time(hours[0] * HOUR_MS), "until": record_time(min(hours[1] * HOUR_MS, TIME_MS_MAX))}
    answer: dict[str, Any] = {
        "rows": [_usage(row, by) for row in rows] if by else [],
        "total": _usage(total, []),
        **counted,
    }
    if "what_if" in call.query:
        price = _price_of(call, call.query["what_if"])
        for one in [*answer["rows"], answer["total"]]:
            one["what_if_nanousd"] = _at(price, one)
    return answer


def _price_of(call: Call, name: str) -> Price:
    """Return the price of a model that is asked for, or of `provider/model`. Raises UserError."""
    snapshot = call.services.publication.snapshot
    route = resolve(snapshot.table, name) if snapshot is not None else None
    price = None
    if route is not None:
        first = route.deployments[0]
        price = first.price or call.services.models.find_price(f"{first.provider.name}/{first.upstream_model}")
    price = price or call.services.models.find_price(name)
    if price is None:
        known = snapshot.table.models if snapshot is not None else ()
        raise UserError(
            f"{name[:128]!r} has no known price{meant(name, known)}",
            "name a model of `switchgear model list`, or PROVIDER/MODEL; look: switchgear price list",
            2,
        )
    return price


def _at(price: Price, sums: dict[str, Any]) -> int | None:
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    return what_if.cost_nanousd(price, *(sums[name] for name in names))


async def verify_ledger(call: Call) -> Any:
    """Add everything up again."""
    now = call.control.clock.wall_ms()
    since = call.number("since_ms", now - 31 * DAY_MS, 0, 1 << 50)
    until = call.number("until_ms", now + HOUR_MS, 0, 1 << 50)
    return await call.services.ledger.verify(since // HOUR_MS, -(-until // HOUR_MS))


def _usage(row: dict[str, Any], by: list[str]) -> dict[str, Any]:
    group: dict[str, Any] = {}
    for name in by:
        value = row[f"group_{name}"]
        if name == "day":
            value = record_time(int(value) * DAY_MS)[:10]
        elif name == "hour":
            value = record_time(int(value) * HOUR_MS)
        group[name] = value or None
    sums = {name: int(row[name] or 0) for name in SUMS}
    return {"group": group, **sums, "cost_usd": format_usd(sums["cost_nanousd"])}


def record_time(ms: int) -> str:
    """RFC 3339 of milliseconds."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def list_log(call: Call) -> Any:
    """Records, newest first; `cursor` goes on, `after` follows."""
    query = call.query
    limit = call.number("limit", 50, 1, 1000)
    try:
        cost = parse_usd(query["min_cost"]) if "min_cost" in query else None
    except ValueError as exc:
        raise UserError(f"min_cost: {exc}", "write USD, e.g. 0.01", 2) from None
    wanted = LogFilter(
        key=query.get("key"),
        team=query.get("team"),
        user=query.get("user"),
        project=query.get("project"),
        model=query.get("model"),
        provider=query.get("provider"),
        status=call.number("status", 0, 100, 599) if "status" in query else None,
        outcome=query.get("outcome"),
        since_id=request_id_floor(call.number("since_ms", 0, 0, 1 << 47)) if "since_ms" in query else None,
        until_id=request_id_floor(call.number("until_ms", 0, 0, 1 << 47)) if "until_ms" in query else None,
        min_cost_nanousd=cost,
        min_latency_ms=call.number("slow_ms", 0, 0, 1 << 31) if "slow_ms" in query else None,
    )
    for name in ("cursor", "after"):
        if name in query and not (len(query[name]) == ID_CHARS and set(query[name]) <= _HEX):
            raise UserError(
                f"{name} {query[name][:64]!r} is no request's id", "give a listing's `next`, as it stands", 2
            )
    picks = {name: query[name] for name in _PICKS if name in query}
    search = functools.partial(
        _search, call.services.ledger, wanted, limit, picks, query.get("cursor"), query.get("after")
    )
    records, following = await call.control.read(search)
    if not records and following is None:
        await _check_known(call, {name: query[name] for name in _NAMED if name in query})
    return {"records": records, "next": following}


_PICKS: dict[str, Callable[[Record], str | None]] = {
    "end_user": lambda found: found.end_user.id if found.end_user is not None else None,
    "client": lambda found: found.client.tool if found.client is not None else None,
}
"""What a row has no column for: looked for in the records themselves."""


def _search(
    ledger: Ledger,
    wanted: LogFilter,
    limit: int,
    picks: dict[str, str],
    before: str | None,
    after: str | None,
    connection: Connection,
) -> tuple[list[dict[str, object]], str | None]:
    """Return records and where to go on. Filters come before the limit; after SCANNED_MAX rows it returns what it has."""
    needles = [value.encode() for value in picks.values()]
    found: list[dict[str, object]] = []
    scanned = 0
    while True:
        size = PAGE if picks else limit
        rows = ledger_rows.list_rows(connection, wanted, size, before, after)
        scanned += len(rows)
        for row_id, row in rows:
            before, after = (None, row_id) if after is not None else (row_id, None)
            # Texts stand in spooled rows as they are: what is not among the bytes is not in the record.
            if row[:1] != b"{" and any(needle not in row for needle in needles):
                continue
            one = ledger.record(connection, row)
            if one is not None and all(_PICKS[name](one) == value for name, value in picks.items()):
                found.append(record.full(one))
                if len(found) == limit:
                    return found, row_id
        if len(rows) < size:
            return found, None
        if scanned >= SCANNED_MAX or not picks:
            return found, rows[-1][0]


async def get_log(call: Call) -> Any:
    """One record."""
    wanted = await _whole_id(call, call.path["id"])
    found = await call.control.read(
        lambda c: call.services.ledger.records(
            c, [row] if (row := ledger_rows.get_request(c, wanted)) is not None else []
        )
    )
    if not found and len(wanted) < ID_PREFIX_MIN:
        raise UserError(
            f"{wanted!r} is too short for the beginning of an id", f"give {ID_PREFIX_MIN} characters or more", 2
        )
    if not found:
        raise UserError(
            f"there is no record {call.path['id']!r}",
            "records appear within a second; requests without a valid key are counted, not recorded: switchgear status --json",
            2,
        )
    return record.full(found[0])


ID_CHARS = 32
ID_PREFIX_MIN = 6
_HEX = frozenset("0123456789abcdef")
_NAMED = ("key", "team", "user", "project", "provider", "outcome")
"""Dimensions whose names operators choose. A model may be whatever a client asks for."""


async def _whole_id(call: Call, start: str) -> str:
    """Return the id of the one record that begins so; what is no beginning of an id stays as it is. Raises UserError."""
    if not ID_PREFIX_MIN <= len(start) < ID_CHARS or not set(start) <= _HEX:
        return start
    found = await call.control.read(lambda c: ledger_rows.ids_from(c, start, 11))
    if len(found) > 1:
        some = ", ".join(found[:10]) + (", …" if len(found) > 10 else "")
        raise UserError(f"more than one record begins with {start!r}", f"say which: {some}", 2)
    return found[0] if found else start


async def _check_known(call: Call, where: dict[str, str]) -> None:
    """Nothing was found: say so when it is because a name is one that nobody knows. Raises UserError."""
    for name, value in where.items():
        if name == "outcome":
            known = list(get_args(record.Outcome))
        else:
            known = await call.control.read(lambda c, name=name: ledger_rows.values_of(c, name, VALUES_MAX))  # type: ignore[misc]
            known += await _configured(call, name)
        if value not in known and len(known) < VALUES_MAX:
            raise UserError(f"no {name.replace('_', ' ')} {value[:128]!r} is known{meant(value, known)}", "", 2)


async def _configured(call: Call, name: str) -> list[str]:
    """Return names that exist before anything was booked to them."""
    snapshot = call.services.publication.snapshot
    if name == "key":
        return [text for row in await call.control.read(objects.key_list) for text in row]
    if name in {"team", "user", "project"}:
        return list((await call.control.read(lambda c: holders.names_of(c, name))).values())
    if name == "provider" and snapshot is not None:
        return list(snapshot.table.providers)
    return []


VALUES_MAX = 50_000
_LOG_QUERY = (
    *("limit", "cursor", "after", "key", "team", "user", "project", "model", "provider", "status", "outcome"),
    *("min_cost", "slow_ms", "end_user", "client", *SPAN),
)
_WHERE = tuple(name for name in ledger_rows.GROUPS if name not in {"day", "hour"})
ROUTES: tuple[Route, ...] = (
    Route(
        "GET", f"{P}/usage", "usage:read", get_usage, answers.Usage, query=("by", "zone_min", "what_if", *SPAN, *_WHERE)
    ),
    Route("GET", f"{P}/ledger/verify", "usage:read", verify_ledger, verify.Verdict, query=SPAN),
    Route("GET", f"{P}/log", "log:read", list_log, answers.Log, query=_LOG_QUERY),
    Route("GET", f"{P}/log/{{id}}", "log:read", get_log, record.Record),
)
