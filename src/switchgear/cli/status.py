"""`switchgear status` and `switchgear version`. Level 7."""

import json
import os
import shlex
from typing import Any

import click

from switchgear import __version__
from switchgear.cli.base import Output, examples, format_options, note, say, with_client
from switchgear.cli.client import Client, is_running
from switchgear.cli.output import tidy
from switchgear.core.errors import DeniedError, UserError

PATIENCE_S = 4.0
"""Then the supervisor's own file is shown: who asks for the state wants to know just that."""


def offline(client: Client, reason: str = "control does not answer") -> dict[str, Any]:
    """Say what can be known without control."""
    layout = client.layout
    stopped: dict[str, Any] = {
        "version": __version__,
        "state": "stopped",
        "data_url": None,
        "console_url": None,
        "pids": {"supervisor": None, "vault": [], "control": None, "edge": []},
        "problems": [],
    }
    if not is_running(layout):
        return stopped
    try:
        found: dict[str, Any] = json.loads(layout.status.read_bytes())
    except (OSError, ValueError):
        return {**stopped, "state": "starting"}
    return {
        **found,
        "problems": [*found.get("problems", []), reason],
        "state": "starting" if found.get("state") == "starting" else "degraded",
    }


@click.command(epilog=examples("switchgear status", "switchgear status --json | jq -r .state"))
@with_client
def status(client: Client, out: Output) -> int:
    """Show the state of the gateway: ready, degraded, draining, starting or stopped. Exit 1 unless ready or draining."""
    try:
        answer = client.call("GET", "/status", give_up_s=PATIENCE_S)
    except UserError as exc:
        if client.server is not None or isinstance(exc, DeniedError):
            raise
        answer = offline(client, str(exc))
    if out.for_people:
        _show(client, out, tidy(answer))
    else:
        out.one(answer)
    if answer["state"] == "stopped" and out.for_people:
        if not os.path.lexists(client.layout.data):
            note(f"  there is no folder {client.layout.data}; another one: --data DIR")
        note(f"  start it: switchgear serve --data {shlex.quote(str(client.layout.data))}")
    return 0 if answer["state"] in {"ready", "draining"} else 1


def _show(client: Client, out: Output, answer: dict[str, Any]) -> None:
    where = f"server {client.server}" if client.server is not None else f"data {client.layout.data}"
    say(f"{answer['state']}   version {answer['version']}   {where}")
    if answer.get("data_url"):
        say(f"  API      {answer['data_url']}/v1\n  Console  {answer['console_url']}")
        say("  Pids     " + "  ".join(f"{role} {_pids(pids)}" for role, pids in answer["pids"].items()))
    failing = {name: sums for name, sums in (answer.get("providers") or {}).items() if sums["errors"]}
    for name, sums in failing.items():
        say(f"  Errors   {name}: {sums['errors']} of {sums['attempts']} attempts failed since control began")
    for name, found in (answer.get("failing") or {}).items():
        good = out.time(found["last_success_ms"]) if found["last_success_ms"] is not None else "never"
        say(
            f"  Failing  {name}: {found['failures_in_row']} attempts in a row, last {found['last_failure']}; "
            f"last good answer {good}"
        )
    for name, found in (answer.get("breakers") or {}).items():
        since, tried = out.time(found["since_ms"]), out.time(found["tried_ms"])
        say(f"  Breaker  {name}: open since {since} ({found['reason']}), asked last {tried}")
    for subject, until in (answer.get("freezes") or {}).items():
        say(f"  Frozen   {subject}" + (f" until {out.time(until)}" if until else ""))
    for problem in answer.get("problems", []):
        say(f"  Problem  {problem}")


def _pids(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or "-")


@click.command(epilog=examples("switchgear version", "switchgear version -o json"))
@format_options()
def version(out: Output) -> None:
    """Show the version of this program and of its price data."""
    from switchgear.app.layout import price_snapshot  # noqa: PLC0415

    prices = price_snapshot()
    out.one({"version": __version__, "prices": prices}, f"switchgear {__version__}, prices of {prices}")
