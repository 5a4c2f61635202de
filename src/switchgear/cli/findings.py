"""`switchgear findings …`. Level 7."""

import click

from switchgear.cli import names
from switchgear.cli.base import Choice, Column, Group, Output, examples, expiry, near, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError
from switchgear.detect.finding import SEVERITIES


@click.group(cls=Group)
def findings() -> None:
    """Findings that `discover --record` stored: open, accepted, fixed."""


_COLUMNS = (
    Column("ID", "id", "id"),
    Column("SEVERITY", "severity"),
    Column("STATE", "state", drop=1),
    Column("VERDICT", "verdict", drop=3),
    Column("WHAT", "title"),
    Column("WHERE", "where", "path", drop=2),
    Column("SEEN", "seen", "date", wide=True),
    Column("REASON", "reason", wide=True),
)


@findings.command("list", epilog=examples("switchgear findings list --state open"))
@click.option("--state", type=Choice(("open", "accepted", "fixed"), "state"), help="Only these.")
@with_client
def list_(client: Client, out: Output, state: str | None) -> None:
    """List stored findings, worst first."""
    answer = client.call("GET", "/findings")
    found = [f for f in answer["findings"] if state is None or f["state"] == state]
    found.sort(key=lambda f: (-SEVERITIES.index(f["finding"]["severity"]), f["finding"]["where"]))
    rows = [{**f["finding"], "state": f["state"], "reason": f["reason"], "seen": f["last_seen_ms"]} for f in found]
    empty = "no findings match" if state else "nothing stored: switchgear discover . --record"
    out.rows({"findings": found}, rows, _COLUMNS, empty)


def _identity(client: Client, start: str) -> str:
    """Return the id of the one finding that begins so. Raises UserError."""
    ids: list[str] = [found["finding"]["id"] for found in client.call("GET", "/findings")["findings"]]
    found = [one for one in ids if one == start] or [one for one in ids if one.startswith(start)]
    if len(found) != 1:
        what = f"{len(found)} findings begin with" if found else "there is no finding"
        meant = f"say which: {', '.join(found[:10])}" if found else "list them: switchgear findings list"
        raise UserError(f"{what} {start!r}{'' if found else near(start, ids)}", meant, 2)
    return found[0]


@findings.command(epilog=examples("switchgear findings accept 3f2a… --reason 'test rig, closed network' --until 90d"))
@click.argument("identity", metavar="ID", shell_complete=names.findings)
@click.option("--reason", required=True, help="Why it may stay.")
@click.option("--until", metavar="90d|DATE", help="When it is open again; default: never.")
@with_client
def accept(client: Client, out: Output, identity: str, reason: str, until: str | None) -> None:
    """Accept a finding, with a reason and an end."""
    body = {"state": "accepted", "reason": reason, "until": expiry(until, out.zone)}
    answer = client.call("PATCH", f"/findings/{segment(_identity(client, identity))}", body)
    out.one(answer, f"accepted {answer['finding']['id']}: {answer['finding']['title']}")


@findings.command(epilog=examples("switchgear findings reopen 3f2a…"))
@click.argument("identity", metavar="ID", shell_complete=names.findings)
@with_client
def reopen(client: Client, out: Output, identity: str) -> None:
    """Take an acceptance back."""
    answer = client.call("PATCH", f"/findings/{segment(_identity(client, identity))}", {"state": "open"})
    out.one(answer, f"open again: {answer['finding']['title']}")
