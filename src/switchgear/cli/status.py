"""`switchgear status` and `switchgear version`. Level 7."""

import json
from typing import Any

import click

from switchgear import __version__
from switchgear.app.supervisor import take_lock
from switchgear.cli.base import Output, date_of, with_client
from switchgear.cli.client import Client
from switchgear.core.errors import UserError


def offline(client: Client) -> dict[str, Any]:
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
    if not layout.lock.exists():
        return stopped
    fd = take_lock(layout.lock)
    if fd is not None:
        import os  # noqa: PLC0415

        os.close(fd)
        return stopped
    try:
        found: dict[str, Any] = json.loads(layout.status.read_bytes())
    except (OSError, ValueError):
        return {**stopped, "state": "starting"}
    return {
        **found,
        "problems": [*found.get("problems", []), "control does not answer"],
        "state": "starting" if found.get("state") == "starting" else "degraded",
    }


@click.command(epilog="Example: switchgear status --json | jq -r .state")
@with_client
def status(client: Client, out: Output) -> int:
    """Show the state of the gateway: ready, degraded, draining, starting or stopped."""
    try:
        answer = client.call("GET", "/status")
    except UserError:
        if client._server is not None:
            raise
        answer = offline(client)
    if out.for_people:
        click.echo(f"{answer['state']}   version {answer['version']}   data {client.layout.data}")
        if answer.get("data_url"):
            click.echo(f"  API      {answer['data_url']}/v1\n  Console  {answer['console_url']}")
            pids = answer["pids"]
            click.echo("  Pids     " + "  ".join(f"{role} {_pids(pids[role])}" for role in pids))
        failing = {name: sums for name, sums in (answer.get("providers") or {}).items() if sums["errors"]}
        for name, sums in failing.items():
            click.echo(f"  Errors   {name}: {sums['errors']} of {sums['attempts']} attempts failed since control began")
        for subject, until in (answer.get("freezes") or {}).items():
            click.echo(f"  Frozen   {subject}" + (f" until {date_of(until)} UTC" if until else ""))
        for problem in answer.get("problems", []):
            click.echo(f"  Problem  {problem}")
    else:
        out.json(answer)
    return 0 if answer["state"] in {"ready", "draining"} else 1


def _pids(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def version(as_json: bool) -> None:
    """Show the version of this program and of its price data."""
    from switchgear.app.layout import price_snapshot  # noqa: PLC0415

    if as_json:
        click.echo(json.dumps({"version": __version__, "prices": price_snapshot()}))
    else:
        click.echo(f"switchgear {__version__}, prices of {price_snapshot()}")
