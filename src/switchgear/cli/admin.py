"""`switchgear admin …`. Level 7."""

import click

from switchgear.cli.base import Group, Output, examples, with_client
from switchgear.cli.client import Client


@click.group(cls=Group)
def admin() -> None:
    """Administrators of the console."""


@admin.command(epilog=examples("switchgear admin link"))
@with_client
def link(client: Client, out: Output) -> None:
    """Make a one-time link that signs in to the console; it holds 15 minutes."""
    token = client.call("POST", "/admin/link")["token"]
    url = f"{client.server or client.call('GET', '/status')['console_url']}/setup#{token}"
    out.one({"url": url}, url)
