"""`switchgear store`: does the database hold what this gateway wrote, and taking it as it is. Level 7."""

from typing import Any

import click

from switchgear.cli.base import Column, Group, Output, confirm, examples, say, with_client
from switchgear.cli.client import Client

_COLUMNS = (Column("WHAT", "kind"), Column("NAME", "name"), Column("WHY", "told"))
_WHY = {
    "forged": "not written by this gateway",
    "older": "older than what was published",
    "missing": "gone",
}


@click.group(cls=Group)
def store() -> None:
    """The database: does it hold what this gateway wrote?"""


def _show(out: Output, answer: Any, empty: str) -> None:
    rows = [{**doubt, "told": _WHY[doubt["why"]]} for doubt in answer["doubts"]]
    out.rows(answer, rows, _COLUMNS, empty)


@store.command(epilog=examples("switchgear store check"))
@with_client
def check(client: Client, out: Output) -> int:
    """Look at every row that the gateway acts on. Exit 3 when one is not believed: what was published of it stays."""
    answer = client.call("GET", "/store")
    _show(out, answer, "every row is as this gateway wrote it, and none is older than what was published")
    return 3 if answer["doubts"] else 0


@store.command(epilog=examples("switchgear store accept --yes", "switchgear store accept --unsigned --yes"))
@click.option("--unsigned", is_flag=True, help="Also rows that this gateway did not write: look at each of them first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def accept(client: Client, out: Output, unsigned: bool, yes: bool) -> int:
    """Take the database as it is, after a backup was restored.

    What is older there than what was published holds then: keys and models as they were. What is gone from it is published no
    more: keys that were made since. What was revoked or frozen since stays so, but admin tokens that were revoked since hold
    again: revoke them once more. Of rows that this gateway did not write, what was published stays, without --unsigned. With it
    exactly the rows that were shown are signed.
    """
    checked = client.call("GET", "/store")
    before = checked["doubts"]
    if before and out.for_people:
        _show(out, {"doubts": before}, "")
    confirm(f"Take the database as it is ({len(before)} rows differ from what was published)?", yes)
    answer = client.call("POST", "/store/accept", {"unsigned": unsigned, "shown": checked["unsigned"]})
    if not out.for_people:
        out.one(answer)
    else:
        for row in answer["rows"]:
            say(f"signed: {row['kind']} {row['name']!r}")
        say(f"the database is taken as it is; {answer['signed']} rows were signed")
        _show(out, answer, "every row is believed")
    return 3 if answer["doubts"] else 0
