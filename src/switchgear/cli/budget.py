"""`switchgear budget …`. Level 7."""

from typing import Any

import click

from switchgear.cli import names
from switchgear.cli.base import Column, Group, Output, confirm, examples, say, usd, with_client
from switchgear.cli.client import Client, segment
from switchgear.cli.output import money
from switchgear.cli.times import full, zone_of

_WORDS = {"requests": "requests", "input": "input tokens", "output": "output tokens", "total": "tokens"}

COLUMNS = (
    Column("OF", "subject", "id"),
    Column("VALUE", "value", "id", drop=1),
    Column("BUDGET", "budget", "id"),
    Column("NAME", "label", "id", drop=2),
    Column("SPENT", "settled", "number"),
    Column("HELD", "held", "number", drop=5),
    Column("LEFT", "remaining", "number"),
    Column("%", "percent", "number", drop=3),
    Column("STATE", "state", "id"),
    Column("RESETS", "resets", "id", drop=4),
    Column("COUNTS", "models", "list", drop=6),
)
"""Amounts are whole or not there: one that is cut reads as another."""
_OPTIONAL = frozenset({"value", "models"})
"""Columns that are shown where a budget has one."""
_AMOUNTS = ("limit", "raised", "settled", "held", "uncertain", "remaining")


@click.group(cls=Group)
def budget() -> None:
    """Budgets: what keys, teams, models and providers may spend, and what is left."""


def _subject(function: Any) -> Any:
    return click.argument("subject", metavar="SUBJECT", shell_complete=names.budgets)(function)


def _which(function: Any) -> Any:
    function = click.option("--value", metavar="VALUE", help="Of `per DIMENSION`: whose balance.")(function)
    about = "Which, of several: its name, or e.g. month or tokens/day."
    return click.option("--budget", "label", metavar="NAME", help=about, shell_complete=names.labels)(function)


@budget.command("list", epilog=examples("switchgear budget list", "switchgear budget list -o csv"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List budgets with what is spent of them."""
    answer = client.call("GET", "/budgets")
    _rows(out, answer, "no budgets yet: switchgear key update NAME --budget 50/month")


def _rows(out: Output, answer: dict[str, Any], empty: str) -> None:
    if out.for_people:
        rows = [_row(state, out) for state in answer["budgets"]]
        shown = [column for column in COLUMNS if column.key not in _OPTIONAL or any(row[column.key] for row in rows)]
        out.rows(answer, rows, shown, empty)
        return
    kinds = {"starts_ms": "time", "resets_ms": "time"}
    columns = [Column(name.upper(), name, kinds.get(name, "text")) for name in (answer["budgets"] or [{}])[0]]
    out.rows(answer, [_for_programs(state) for state in answer["budgets"]], columns, empty)


def _for_programs(state: dict[str, Any]) -> dict[str, Any]:
    """Return a budget as CSV has it: money in USD, tokens and requests in their words."""
    if state["unit"] != "nanousd":
        return {**state, "unit": _WORDS[state["unit"]]}
    return {**state, **{name: money(state[name]) for name in _AMOUNTS}, "unit": "usd"}


def _row(state: dict[str, Any], out: Output) -> dict[str, Any]:
    """Return a budget as people read it: amounts with their unit, the time of its reset in its own zone."""
    amounts = {name: amount(state[name], state["unit"]) for name in ("settled", "held", "remaining")}
    zone = out.zone if out.zone is not None or state["timezone"] is None else zone_of(state["timezone"])
    raised = f" + {amount(state['raised'], state['unit'])}" if state["raised"] else ""
    return {
        **state,
        **amounts,
        "budget": state["budget"] + raised,
        "state": f"{state['state']}, goes on" if state["state"] != "ok" and not state["hard"] else state["state"],
        "resets": full(state["resets_ms"], zone),
    }


def amount(value: int | None, unit: str) -> str | None:
    """Write an amount with its unit."""
    if value is None:
        return None
    return f"{usd(value)} USD" if unit == "nanousd" else f"{value} {_WORDS[unit]}"


@budget.command(epilog=examples("switchgear budget show key:ci-bot", "switchgear budget show team:research"))
@_subject
@with_client
def show(client: Client, out: Output, subject: str) -> None:
    """Show the budgets of one key (key:NAME), team, user, project, model, provider, credential, or the organisation."""
    answer = client.call("GET", f"/budgets/{segment(subject)}")
    if not out.for_people:
        _rows(out, answer, "")
        return
    for state in answer["budgets"]:
        row = _row(state, out)
        whose = f" of {state['per']} {state['value']}" if state["value"] is not None else ""
        say(f"{state['subject']}: {row['budget']}{whose}, {row['state']}")
        shown = {
            "name": state["label"],
            "spent": f"{row['settled']} ({state['percent']} %)",
            "held": row["held"],
            "of that uncertain": amount(state["uncertain"], state["unit"]) if state["uncertain"] else None,
            "left": row["remaining"],
            "raised by": amount(state["raised"], state["unit"]) if state["raised"] else None,
            "resets": row["resets"],
            "then": f"requests go to {state['on_spent']}" if state["on_spent"] else None,
            "told at": ", ".join(f"{percent} %" for percent in state["soft"]) or None,
            "counts": ", ".join(state["models"]) if state["models"] else None,
        }
        for name, text in shown.items():
            if text is not None:
                say(f"  {name.ljust(17)} {text}")
    for change in answer["changes"]:
        what = amount(change["amount"], change["unit"])
        say(f"{out.time(change['time_ms'])}  {change['kind']} {what} by {change['actor']}: {change['reason']}")


@budget.command(
    "raise",
    epilog=examples(
        "switchgear budget raise key:ci-bot 5 --reason 'load test'",
        "switchgear budget raise team:research 100 --budget month --reason 'ticket 4711'",
    ),
)
@_subject
@click.argument("much", metavar="AMOUNT")
@click.option("--reason", required=True, help="Why: it is recorded.")
@_which
@with_client
def raise_(
    client: Client, out: Output, subject: str, much: str, reason: str, label: str | None, value: str | None
) -> None:
    """Raise a limit for the running period; it holds for the next request.

    AMOUNT is in the budget's unit: USD, tokens or requests.
    """
    body = {"amount": much, "reason": reason, "budget": label, "value": value}
    _changed(out, client.call("POST", f"/budgets/{segment(subject)}/raise", body), "raised")


@budget.command(epilog=examples("switchgear budget reset key:ci-bot --reason 'test traffic' --yes"))
@_subject
@click.option("--reason", required=True, help="Why: it is recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_which
@with_client
def reset(
    client: Client, out: Output, subject: str, reason: str, yes: bool, label: str | None, value: str | None
) -> None:
    """Bring what is spent in the running period to zero. The ledger keeps its records; this is a correction beside it."""
    confirm(f"Bring what {subject} spent to zero?", yes)
    body = {"reason": reason, "budget": label, "value": value}
    _changed(out, client.call("POST", f"/budgets/{segment(subject)}/reset", body), "reset")


def _changed(out: Output, answer: dict[str, Any], what: str) -> None:
    if not out.for_people:
        _rows(out, answer, "")
        return
    for state in answer["budgets"]:
        row = _row(state, out)
        until = f", until {row['resets']}" if row["resets"] else ""
        say(f"{what}: {state['subject']} {row['budget']}: {row['settled']} spent, {row['remaining']} left{until}")
    if not answer["budgets"]:
        say(f"{what}; nothing was spent yet of this balance, which is listed once something is")
