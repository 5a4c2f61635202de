"""`switchgear log …` and `switchgear usage`. Level 7."""

import contextlib
import json
import time
from typing import Any
from urllib.parse import quote

import click

from switchgear.cli.base import Group, Output, duration_ms, now_ms, time_ms, usd, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError

_COLUMNS = {
    "TIME": "time",
    "ID": "id",
    "KEY": "key",
    "MODEL": "model",
    "PROVIDER": "provider",
    "STATUS": "status",
    "OUTCOME": "outcome",
    "IN": "in",
    "OUT": "out",
    "COST": "cost",
    "MS": "latency_ms",
    "TEAM": "team",
    "CLIENT": "client",
    "ATTEMPTS": "tries",
}
_WIDE = ("team", "client", "tries")
FOLLOW_S = 0.5


@click.group(cls=Group)
def log() -> None:
    """The request log: one record per request, with its cost."""


def _row(record: dict[str, Any]) -> dict[str, Any]:
    tokens = record["tokens"] or {}
    reported = [tokens.get(n) or 0 for n in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in")]
    out = [tokens.get(n) or 0 for n in ("output", "reasoning", "audio_out", "image")]
    cost = usd(record["cost_nanousd"])
    return {
        "time": record["time"][5:19].replace("T", " "),
        "id": record["id"],
        "key": (record["key"] or {}).get("name"),
        "model": record["model"],
        "provider": record["provider"],
        "status": record["status"],
        "outcome": record["outcome"],
        "in": sum(reported) if record["tokens"] else None,
        "out": sum(out) if record["tokens"] else None,
        "cost": ("~" if record["cost_estimated"] and cost else "") + cost if cost else "unpriced",
        "latency_ms": record["latency_ms"],
        "team": (record["team"] or {}).get("name"),
        "client": (record["client"] or {}).get("tool"),
        "tries": len(record["attempts"]),
    }


@log.command("list", epilog="Example: switchgear log list --key ci-bot --since 1h --outcome upstream_error")
@click.option("--key", help="Key's name or id.")
@click.option("--team", help="Team.")
@click.option("--user", help="User.")
@click.option("--end-user", "end_user", help="End user as the client claims.")
@click.option("--model", help="Model as asked for.")
@click.option("--provider", help="Provider.")
@click.option("--status", type=int, help="HTTP status.")
@click.option(
    "--outcome", help="ok, denied, client_error, upstream_error, timeout, client_gone, interrupted, not_sent."
)
@click.option("--client", "tool", help="Calling tool.")
@click.option("--since", help="Since a time, or that long ago (24h, 7d).")
@click.option("--until", help="Until a time.")
@click.option("--min-cost", help="At least this cost in USD.")
@click.option("--slow", help="At least this long, e.g. 5s.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most records.")
@click.option("--cursor", help="Go on after a listing: its `next`.")
@with_client
def list_(
    client: Client, out: Output, tool: str | None, since: str | None, until: str | None, slow: str | None, **query: Any
) -> None:
    """List requests, newest first."""
    now = now_ms()
    answer = client.call(
        "GET",
        "/log",
        **query,
        client=tool,
        since_ms=time_ms(since, now) if since else None,
        until_ms=time_ms(until, now) if until else None,
        slow_ms=duration_ms(slow) if slow else None,
    )
    rows = [_row(record) for record in answer["records"]]
    out.rows(answer, rows, _COLUMNS, _WIDE, "no requests yet (they appear within a second)")
    if out.for_people and answer["next"]:
        click.echo(f"more: --cursor {answer['next']}")


@log.command(epilog="Example: switchgear log show 01a2088ac0702d259910dbac00000001")
@click.argument("request_id")
@click.option("--curl", is_flag=True, help="Print a curl command of the same kind.")
@with_client
def show(client: Client, out: Output, request_id: str, curl: bool) -> None:
    """Show one record with its cost lines and attempts."""
    record = client.call("GET", f"/log/{segment(request_id)}")
    if curl:
        click.echo(_curl(client, record))
    elif not out.for_people:
        out.json(record)
    else:
        _show(record)


def _show(record: dict[str, Any]) -> None:
    row = _row(record)
    click.echo(f"{record['id']}   {record['time']}   {record['outcome']} ({record['status']})")
    click.echo(
        f"  key {row['key']}   team {row['team'] or '-'}   client {row['client'] or '-'}   from {record['client_ip'] or '-'}"
    )
    click.echo(
        f"  {record['operation']} {record['model']} → {record['deployment'] or '-'} {record['upstream_model'] or ''}"
        f"{'   streamed' if record['stream'] else ''}"
    )
    if record["error"]:
        click.echo(f"  error {record['error']['code']}: {record['error']['message']}")
    for line in record["cost_lines"]:
        if line["unit"] == "basis_points":
            click.echo(f"  {line['meter']:<15} {line['quantity'] / 100:>9g}% = {usd(line['cost_nanousd'])} USD")
            continue
        per = "/Mtok" if line["unit"] == "tokens" else ""
        click.echo(
            f"  {line['meter']:<15} {line['quantity']:>10} {line['unit']} × {line['unit_price']:>9} USD{per:<5} = "
            f"{usd(line['cost_nanousd'])} USD"
        )
    total = usd(record["cost_nanousd"])
    click.echo(
        f"  cost {total + ' USD' if total is not None else 'unknown: the model has no price'}"
        + (f" (estimated: {record['estimate_reason']})" if record["cost_estimated"] else "")
    )
    for a in record["attempts"]:
        timing = a["timings"] or {}
        click.echo(
            f"  attempt {a['id'].rsplit('-', 1)[1]}: {a['deployment']} {a['upstream_model']}  status {a['status']}"
            f"{'  ' + a['error'] if a['error'] else ''}  {timing.get('start_ms', '-')}–{timing.get('end_ms', '-')} ms"
        )


# What a call of a dialect looks like, for `log show --curl`; the prompt was not stored.
_BODIES: dict[str, Any] = {
    "responses": {"model": "{model}", "input": "…"},
    "anthropic": {"model": "{model}", "max_tokens": 1024, "messages": [{"role": "user", "content": "…"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "…"}]}]},
    "bedrock": {"messages": [{"role": "user", "content": [{"text": "…"}]}]},
}
_CHAT_BODY = {"model": "{model}", "messages": [{"role": "user", "content": "…"}]}


def _curl(client: Client, record: dict[str, Any]) -> str:
    status = client.call("GET", "/status")
    body = json.dumps(_BODIES.get(record["dialect"], _CHAT_BODY), ensure_ascii=False)
    path = record["path"].replace("{model}", quote(record["model"] or "", safe=""))
    body = body.replace("{model}", json.dumps(record["model"] or "", ensure_ascii=False)[1:-1])
    return (
        f'curl -s {status["data_url"]}/v1{path} -H "Authorization: Bearer $SWITCHGEAR_KEY" '
        f"-H 'content-type: application/json' -d '{body}'"
    )


@log.command()
@click.option("--key", help="Key's name or id.")
@click.option("--model", help="Model.")
@click.option("--last", type=click.IntRange(0, 1000), default=10, show_default=True, help="Records to begin with.")
@with_client
def tail(client: Client, out: Output, key: str | None, model: str | None, last: int) -> None:
    """Follow the log. Ctrl-C ends."""
    newest = f"{now_ms():012x}"
    if last:
        records = client.call("GET", "/log", limit=last, key=key, model=model)["records"]
        newest = records[0]["id"] if records else newest
        _follow(out, list(reversed(records)))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            records = client.call("GET", "/log", limit=500, key=key, model=model, after=newest)["records"]
            _follow(out, records)
            newest = records[-1]["id"] if records else newest
            time.sleep(FOLLOW_S)


def _follow(out: Output, records: list[dict[str, Any]]) -> None:
    for record in records:
        if out.for_people:
            row = _row(record)
            click.echo(
                f"{row['time']}  {row['id']}  {row['key'] or '-':<16} {row['model'] or '-':<28} {row['status']} "
                f"{row['outcome']:<14} {row['in'] if row['in'] is not None else '-':>7} in "
                f"{row['out'] if row['out'] is not None else '-':>7} out  {row['cost']:>12}  {row['latency_ms'] or 0} ms"
            )
        else:
            click.echo(json.dumps(record, ensure_ascii=False))


@click.command(
    epilog="Example: switchgear usage --by team,model --since 7d   ·   switchgear usage --month 2026-10 -o csv"
)
@click.option(
    "--by",
    default="model",
    show_default=True,
    help="key, team, user, project, model, upstream_model, provider, credential, deployment, day, hour; several with commas.",
)
@click.option("--since", help="Since a time, or that long ago; default 30d.")
@click.option("--until", help="Until a time.")
@click.option("--month", metavar="YYYY-MM", help="One calendar month (UTC).")
@click.option("--key", help="Only this key.")
@click.option("--team", help="Only this team.")
@click.option("--model", help="Only this model.")
@with_client
def usage(
    client: Client, out: Output, by: str, since: str | None, until: str | None, month: str | None, **where: Any
) -> None:
    """Sum requests, tokens and cost."""
    now = now_ms()
    since_ms, until_ms = (time_ms(since, now) if since else None), (time_ms(until, now) if until else None)
    if month is not None:
        since_ms, until_ms = _month(month)
    answer = client.call("GET", "/usage", by=by, since_ms=since_ms, until_ms=until_ms, **where)
    names = [name for name in by.split(",") if name]
    rows = [{**row, **{n: row["group"][n] for n in names}, "cost": usd(row["cost_nanousd"])} for row in answer["rows"]]
    columns = {
        **{n.upper(): n for n in names},
        "REQUESTS": "requests",
        "ERRORS": "errors",
        "IN": "input_tokens",
        "OUT": "output_tokens",
        "COST USD": "cost",
        "UNPRICED": "unpriced_requests",
        "ESTIMATED": "estimated_requests",
    }
    if out.kind == "csv":
        columns["COST USD"] = "cost_usd"
    out.rows(answer, rows, columns, ("estimated_requests",), "no usage in that time")
    if out.for_people and rows:
        total = answer["total"]
        click.echo(
            f"total: {total['requests']} requests, {total['input_tokens']} in, {total['output_tokens']} out, "
            f"{usd(total['cost_nanousd'])} USD"
            + (f", {total['unpriced_requests']} unpriced" if total["unpriced_requests"] else "")
        )


@click.group(cls=Group)
def ledger() -> None:
    """The ledger itself: does it add up, is it whole?"""


@ledger.command(epilog="Example: switchgear ledger verify --since 7d")
@click.option("--since", help="From when: 7d, 2026-10-01, … (31 days).")
@with_client
def verify(client: Client, out: Output, since: str | None) -> int:
    """Add up every record again and compare with the sums; look for holes. Exit 3 when something does not hold."""
    answer = client.call("GET", "/ledger/verify", since_ms=time_ms(since, now_ms()) if since else None)
    differences, gaps = answer["differences"], answer["gaps"]
    if out.for_people:
        click.echo(
            f"{answer['requests']} records added up, {answer['completeness_percent']} % of what spools numbered is here"
        )
        for found in differences:
            click.echo(f"  the sum is {found['sums']}, its records add up to {found['records']}: {found['where']}")
        for gap in gaps:
            click.echo(f"  spool {gap['spool_id']}: {gap['missing']} of {gap['sequence']} records are missing")
        click.echo("everything adds up" if not differences and not gaps else "it does not add up")
    else:
        out.json(answer)
    return 3 if differences or gaps else 0


def _month(text: str) -> tuple[int, int]:
    year, dash, number = text.partition("-")
    if not (dash and (year + number).isascii() and year.isdigit() and number.isdigit() and 1 <= int(number) <= 12):
        raise UserError(f"{text!r} is not a month", "write YYYY-MM, e.g. 2026-10", 2)
    following = (int(year) + 1, 1) if int(number) == 12 else (int(year), int(number) + 1)
    return time_ms(f"{text}-01", 0), time_ms(f"{following[0]}-{following[1]:02d}-01", 0)
