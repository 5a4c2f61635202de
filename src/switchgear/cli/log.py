"""`switchgear log …`. Level 7."""

import contextlib
import json
import shlex
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from switchgear.cli import names
from switchgear.cli.base import (
    Choice,
    Column,
    Group,
    Output,
    duration_ms,
    examples,
    now_ms,
    period,
    say,
    usd,
    with_client,
)
from switchgear.cli.client import Client, segment
from switchgear.cli.export import cursor, export
from switchgear.cli.output import cut, tidy
from switchgear.core.errors import UserError

OUTCOMES = ("ok", "denied", "client_error", "upstream_error", "timeout", "client_gone", "interrupted", "not_sent")
COLUMNS = (
    Column("TIME", "time", "time"),
    Column("ID", "id", "id"),
    Column("KEY", "key", drop=4),
    Column("MODEL", "model"),
    Column("PROVIDER", "provider", drop=6),
    Column("STATUS", "status", "number", drop=1),
    Column("OUTCOME", "outcome", drop=5),
    Column("IN", "in", "number", drop=8),
    Column("OUT", "out", "number", drop=7),
    Column("COST", "cost_nanousd", "usd", drop=2),
    Column("MS", "latency_ms", "number", drop=9),
    Column("TEAM", "team", wide=True),
    Column("USER", "user", wide=True),
    Column("CLIENT", "client", wide=True),
    Column("COUNT", "count", "number", drop=10),
    Column("ATTEMPTS", "attempts", "number", wide=True),
    Column("ESTIMATED", "estimated", wide=True),
    Column("ERROR", "error", wide=True),
)
INPUTS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
    "audio_cached",
    "image_cached",
    "video_in",
)
OUTPUTS = ("output", "reasoning", "audio_out", "image", "video_out", "citation")
FOLLOW_S = 0.5


@click.group(cls=Group)
def log() -> None:
    """The request log: one record per request, with its cost."""


log.add_command(export)
log.add_command(cursor)


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a list shows of a record."""
    tokens = record["tokens"] or {}
    reported = [tokens.get(n) or 0 for n in INPUTS]
    out = [tokens.get(n) or 0 for n in OUTPUTS]
    error = record["error"]
    return {
        "time": record["time"],
        "id": record["id"],
        "key": (record["key"] or {}).get("name"),
        "model": record["model"],
        "provider": record["provider"],
        "status": record["status"],
        "outcome": record["outcome"],
        "in": sum(reported) if record["tokens"] else None,
        "out": sum(out) if record["tokens"] else None,
        "cost_nanousd": record["cost_nanousd"],
        "latency_ms": record["latency_ms"],
        "team": (record["team"] or {}).get("name"),
        "user": (record["user"] or {}).get("name"),
        "client": (record["client"] or {}).get("tool"),
        "count": count if (count := record.get("count", 1)) > 1 else None,
        "attempts": len(record["attempts"]),
        "estimated": bool(record["cost_estimated"]),
        "error": f"{error['code']}: {error['message']}" if error else None,
    }


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--slow", metavar="5s", help="At least this long."),
        click.option("--min-cost", metavar="USD", help="At least this cost in USD."),
        click.option("--client", "tool", help="Calling tool."),
        click.option("--outcome", type=Choice(OUTCOMES, "outcome"), help=f"{', '.join(OUTCOMES)}."),
        click.option("--status", type=click.IntRange(100, 599), help="HTTP status."),
        click.option("--provider", shell_complete=names.providers, help="Provider."),
        click.option("--model", shell_complete=names.models, help="Model as asked for."),
        click.option("--end-user", "end_user", help="End user as the client claims."),
        click.option("--project", help="Project."),
        click.option("--user", help="User."),
        click.option("--team", help="Team."),
        click.option("--key", shell_complete=names.keys, help="Key's name or id."),
    ):
        function = option(function)
    return function


def _query(tool: str | None, slow: str | None, **rest: Any) -> dict[str, Any]:
    query = {**rest, "client": tool, "slow_ms": duration_ms(slow) if slow else None}
    return {name: value for name, value in query.items() if value is not None}


@log.command(
    "list",
    epilog=examples(
        "switchgear log list",
        "switchgear log list --key ci-bot --since 1h --outcome upstream_error",
        "switchgear log list --watch",
    ),
)
@_filters
@click.option("--since", metavar="24h|TIME", help="Since a time, or that long ago.")
@click.option("--until", metavar="24h|TIME", help="Until a time.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most records.")
@click.option("--cursor", help="Go on after a listing: its `next`.")
@click.option("--watch", is_flag=True, help="Go on and show what comes, as `log tail` does.")
@with_client
def list_(
    client: Client,
    out: Output,
    since: str | None,
    until: str | None,
    limit: int,
    cursor: str | None,
    watch: bool,
    **given: Any,
) -> None:
    """List requests, newest first."""
    query = _query(**given)
    if watch:
        _watch(client, out, query, min(limit, 10))
        return
    since_ms, until_ms = period(since, until, now_ms(), out.zone)
    answer = client.call("GET", "/log", **query, since_ms=since_ms, until_ms=until_ms, limit=limit, cursor=cursor)
    is_filtered = bool(query or since or until or cursor)
    empty = "no requests match" if is_filtered else "no requests yet (they appear within a second)"
    rows = [row_of(record) for record in answer["records"]]
    out.rows(answer, rows, COLUMNS, empty)
    if out.for_people and answer["next"]:
        say(f"more: --cursor {answer['next']}")


def records_of_key(client: Client, out: Output, name: str, last: int) -> None:
    """List the last requests of a key: `key log`."""
    found = client.call("GET", f"/keys/{segment(name)}")
    answer = client.call("GET", "/log", key=found["id"], limit=last)
    columns = [column for column in COLUMNS if column.key != "key"]
    out.rows(answer, [row_of(record) for record in answer["records"]], columns, f"{found['name']} made no requests yet")


@log.command(
    epilog=examples("switchgear log show 01a2088ac070", "switchgear log show 01a2088ac0702d259910dbac00000001 --curl")
)
@click.argument("request_id", shell_complete=names.requests)
@click.option("--curl", is_flag=True, help="Print a curl command of the same kind.")
@with_client
def show(client: Client, out: Output, request_id: str, curl: bool) -> None:
    """Show one record with its cost lines and attempts. The beginning of an id is enough."""
    if not request_id.strip():
        raise UserError("which record? The id is empty", "switchgear log list shows them", 2)
    record = client.call("GET", f"/log/{segment(request_id)}")
    if curl:
        text = curl_of(record, client.call("GET", "/status")["data_url"])
        out.one({"curl": text}, text)
    elif out.for_people:
        _show(out, tidy(record))
    else:
        out.one(record)


def _show(out: Output, record: dict[str, Any]) -> None:
    row = row_of(record)
    say(f"{record['id']}   {out.time(record['time'])}   {record['outcome']} ({record['status'] or 'no status'})")
    who = {
        "key": row["key"],
        "team": row["team"],
        "user": row["user"],
        "client": row["client"],
        "from": record["client_ip"],
    }
    say("  " + "   ".join(f"{name} {value or '-'}" for name, value in who.items()))
    say(
        f"  {record['operation']} {record['model'] or '-'} → {record['deployment'] or '-'}"
        f"{'   streamed' if record['stream'] else ''}"
    )
    if record.get("corrects"):
        say(f"  corrects {record['corrects']}: what is to be added to it")
    if record["error"]:
        say(f"  error {record['error']['code']}: {record['error']['message']}")
    for line in record["cost_lines"]:
        if line["unit"] == "basis_points":
            say(f"  {line['meter']:<15} {line['quantity'] / 100:>9g}% = {usd(line['cost_nanousd'])} USD")
            continue
        per = "/Mtok" if line["unit"] == "tokens" else ""
        say(
            f"  {line['meter']:<15} {line['quantity']:>10} {line['unit']} × {line['unit_price']:>9} USD{per:<5} = "
            f"{usd(line['cost_nanousd'])} USD"
        )
    total, listed = record["cost_nanousd"], sum(line["cost_nanousd"] or 0 for line in record["cost_lines"])
    if total is not None and record["cost_lines"] and listed != total:
        what = "discount" if total < listed else "rounding and other attempts"
        say(f"  {what:<15} {usd(total - listed):>49} USD")
    say(
        f"  cost {usd(total) + ' USD' if total is not None else 'unknown: the model has no price'}"  # type: ignore[operator]
        + (f" (estimated: {record['estimate_reason']})" if record["cost_estimated"] else "")
    )
    for attempt in record["attempts"]:
        say("  " + _attempt(attempt))


def _attempt(attempt: dict[str, Any]) -> str:
    timing = attempt["timings"] or {}
    spent = [timing[name] for name in ("start_ms", "end_ms") if timing.get(name) is not None]
    parts = [
        f"attempt {attempt['id'].rsplit('-', 1)[-1]}: {attempt['deployment']}",
        f"status {attempt['status']}" if attempt["status"] else "no answer",
        attempt["error"] or "",
        f"{'–'.join(map(str, spent))} ms" if spent else "",
    ]
    return "  ".join(part for part in parts if part)


def curl_of(record: dict[str, Any], data_url: str) -> str:
    """Write a call of the same kind for a shell. Path and model are a client's words: each part is quoted as POSIX sh asks."""
    from switchgear.dialects.registry import BY_NAME, DEFAULT  # noqa: PLC0415 - for --curl only

    model = record["model"] or ""
    example = BY_NAME.get(record["dialect"], DEFAULT).examples.plain
    body = json.dumps(example.body).replace('"hello"', '"…"')  # the prompt was not stored
    body = body.replace("{model}", json.dumps(model)[1:-1])
    path = quote((record["path"] or "").replace("{model}", quote(model, safe="")), safe="/:%?=&-._~")
    parts = ("curl", "-s", f"{data_url}/v1{path}")
    return (
        f'{shlex.join(parts)} -H "Authorization: Bearer $SWITCHGEAR_KEY" '
        f"{shlex.join(('-H', 'content-type: application/json', '-d', body))}"
    )


@log.command(epilog=examples("switchgear log tail", "switchgear log tail --team research --outcome upstream_error"))
@_filters
@click.option("--last", type=click.IntRange(0, 1000), default=10, show_default=True, help="Records to begin with.")
@with_client
def tail(client: Client, out: Output, last: int, **given: Any) -> None:
    """Follow the log: a line per request, with the error's words. Ctrl-C ends."""
    _watch(client, out, _query(**given), last)


def _watch(client: Client, out: Output, query: dict[str, Any], last: int) -> None:
    newest = f"{now_ms():012x}"
    with contextlib.suppress(KeyboardInterrupt):
        if last:
            records = client.call("GET", "/log", limit=last, **query)["records"]
            newest = records[0]["id"] if records else newest
            _follow(out, list(reversed(records)))
        while True:
            records = client.call("GET", "/log", limit=500, after=newest, **query)["records"]
            _follow(out, records)
            newest = records[-1]["id"] if records else newest
            time.sleep(FOLLOW_S)


def _follow(out: Output, records: list[dict[str, Any]]) -> None:
    for record in records:
        out.line(record if out.kind == "json" else _csv_row(out, record), line_of(out, record))


def _csv_row(out: Output, record: dict[str, Any]) -> dict[str, Any]:
    row = row_of(record)
    return {column.key: row[column.key] for column in COLUMNS}


def line_of(out: Output, record: dict[str, Any]) -> str:
    """Write a record as one line for people."""
    from switchgear.cli.times import short  # noqa: PLC0415

    row = tidy(row_of(record))
    cost = usd(row["cost_nanousd"])
    who = "/".join(part for part in (row["team"], row["key"]) if part) or "-"
    tokens = f"{row['in']}→{row['out']} tok" if row["in"] is not None else "- tok"
    parts = [
        short(row["time"], out.zone) or "-",
        row["id"],
        f"{row['status'] or '-'} {row['outcome']}",
        who,
        row["model"] or "-",
        f"→ {row['provider']}" if row["provider"] else "",
        tokens,
        ("~" if row["estimated"] else "") + f"{cost} USD" if cost else "unpriced",
        f"{row['latency_ms'] or 0} ms",
        cut(row["error"], 160) if row["error"] else "",
    ]
    return "  ".join(part for part in parts if part)
