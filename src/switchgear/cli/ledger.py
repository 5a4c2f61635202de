"""`switchgear usage` and `switchgear ledger`. Level 7."""

from typing import Any

import click

from switchgear.cli import names
from switchgear.cli.base import Column, Group, Output, counted, examples, note, now_ms, period, say, usd, with_client
from switchgear.cli.client import Client
from switchgear.cli.times import full, minutes_east, month_ms
from switchgear.core.errors import UserError

HOUR_MS = 3_600_000
BY = (
    "key", "team", "user", "project", "model", "upstream_model", "provider", "credential", "deployment", "day", "hour",
)  # fmt: skip
"""What sums are made by."""
_TIMES = frozenset({"day", "hour"})
"""Groups that are shown whole: cut they are all the same."""
_SUMS = (
    Column("REQUESTS", "requests", "number"),
    Column("ERRORS", "errors", "number", drop=2),
    Column("IN", "input_tokens", "number", drop=3),
    Column("OUT", "output_tokens", "number", drop=3),
    Column("COST USD", "cost_usd", "usd"),
    Column("UNPRICED", "unpriced_requests", "number", drop=1),
    Column("ESTIMATED", "estimated_requests", "number", wide=True),
)


def _by(text: str) -> list[str]:
    """Complete the last of several names."""
    before, comma, last = text.rpartition(",")
    return [f"{before}{comma}{name}" for name in BY if name.startswith(last)]


@click.command(
    epilog=examples(
        "switchgear usage --by team,model --since 7d",
        "switchgear usage --month 2026-10 -o csv",
        "switchgear usage --since 2026-11-01 --tz Europe/Berlin",
        "switchgear usage --by team --what-if openai/gpt-4o-mini",
    )
)
@click.option(
    "--by",
    shell_complete=lambda _ctx, _parameter, text: _by(text),
    default="model",
    show_default=True,
    help="key, team, user, project, model, upstream_model, provider, credential, deployment, day (UTC, or of --tz), "
    "hour (UTC); several: a,b.",
)
@click.option(
    "--since", metavar="7d|TIME", help="Since a time, or that long ago; default 30d. Sums are of whole hours."
)
@click.option("--until", metavar="7d|TIME", help="Until a time.")
@click.option("--month", metavar="YYYY-MM", help="One calendar month, of --tz.")
@click.option(
    "--what-if",
    "what_if",
    metavar="MODEL",
    shell_complete=names.models,
    help="Also what it would cost at this model's price.",
)
@click.option("--key", shell_complete=names.keys, help="Only this key.")
@click.option("--team", help="Only this team.")
@click.option("--user", help="Only this user.")
@click.option("--project", help="Only this project.")
@click.option("--model", shell_complete=names.models, help="Only this model.")
@click.option("--provider", shell_complete=names.providers, help="Only this provider.")
@with_client
def usage(
    client: Client,
    out: Output,
    by: str,
    since: str | None,
    until: str | None,
    month: str | None,
    what_if: str | None,
    **where: Any,
) -> None:
    """Sum requests, tokens and cost."""
    now = now_ms()
    groups = [name.strip() for name in by.split(",") if name.strip()]
    if not groups:
        raise UserError("--by is empty: by what is it summed?", "e.g. --by key, --by team,model", 2)
    if month is not None and (since is not None or until is not None):
        raise UserError("--month is a time of its own: give it, or --since and --until", "", 2)
    since_ms, until_ms = period(since, until, now, out.zone)
    if month is not None:
        since_ms, until_ms = month_ms(month, out.zone)
    # Days are UTC's unless a zone is named: the sums of UTC's days are there, others are added up from hours.
    zone_min = minutes_east(out.zone, now) if out.zone is not None and "day" in by.split(",") else None
    where["what_if"] = what_if
    answer = client.call("GET", "/usage", by=by, zone_min=zone_min, since_ms=since_ms, until_ms=until_ms, **where)
    del where["what_if"]
    rows = [{**row, **{n: row["group"][n] for n in groups}, "cost_usd": row["cost_nanousd"]} for row in answer["rows"]]
    if out.for_people:
        rows = [{**row, "cost_usd": _told(row)} for row in rows]
    columns = [*(Column(n.upper(), n, "id" if n in _TIMES else "text") for n in groups), *_SUMS]
    if what_if is not None:
        columns.append(Column(f"AT {what_if.upper()}", "what_if_nanousd", "usd"))
    is_filtered = any(value is not None for value in where.values())
    out.rows(answer, rows, columns, "no usage matches" if is_filtered else "no usage in that time")
    if out.for_people and rows:
        total = answer["total"]
        say(
            f"total: {counted(total['requests'], 'request')}, {total['input_tokens']} in, {total['output_tokens']} out, "
            + (f"{_told(total)} USD" if total["cost_nanousd"] or not total["unpriced_requests"] else "cost not known")
            + (f", {total['unpriced_requests']} unpriced" if total["unpriced_requests"] else "")
        )
    if out.for_people and rows and what_if is not None:
        other = answer["total"]["what_if_nanousd"]
        cost = f"{usd(other)} USD" if other is not None else "not known"
        say(f"at {what_if}: {cost}. The same tokens at its list price: another model uses other numbers of them")
    if out.for_people and since_ms is not None and since_ms % HOUR_MS:
        note(f"sums are of whole hours: counted from {full(since_ms - since_ms % HOUR_MS, out.zone)}")


def _told(sums: dict[str, Any]) -> str:
    """Write what requests cost: unknown is not nothing, and what is known of some is the least of all."""
    if not sums["unpriced_requests"]:
        return str(usd(sums["cost_nanousd"]))
    return f"≥ {usd(sums['cost_nanousd'])}" if sums["cost_nanousd"] else "unpriced"


@click.group(cls=Group)
def ledger() -> None:
    """The ledger itself: does it add up, is it whole?"""


@ledger.command(epilog=examples("switchgear ledger verify --since 7d"))
@click.option("--since", metavar="7d|TIME", help="From when; default 31 days.")
@with_client
def verify(client: Client, out: Output, since: str | None) -> int:
    """Add up every record again and compare with the sums; look for holes. Exit 3 when something does not hold."""
    answer = client.call("GET", "/ledger/verify", since_ms=period(since, None, now_ms(), out.zone)[0])
    differences, gaps = answer["differences"], answer["gaps"]
    if out.for_people:
        say(
            f"{answer['requests']} records added up, {answer['completeness_percent']} % of what spools numbered is here"
        )
        for found in differences:
            say(f"  the sum is {found['sums']}, its records add up to {found['records']}: {found['where']}")
        for gap in gaps:
            say(f"  spool {gap['spool_id']}: {gap['missing']} of {gap['sequence']} records are missing")
        say("everything adds up" if not differences and not gaps else "it does not add up")
    else:
        out.one(answer)
    return 3 if differences or gaps else 0
