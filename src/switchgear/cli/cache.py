"""`switchgear cache`: answers that are kept for the same request. Level 7."""

import click

from switchgear.cli.base import Group, Output, examples, with_client
from switchgear.cli.client import Client


@click.group(cls=Group)
def cache() -> None:
    """Answers that are kept for the same request."""


@cache.command(epilog=examples("switchgear cache purge"))
@with_client
def purge(client: Client, out: Output) -> None:
    """Forget them all, in every edge: holds from the next request on."""
    out.one(client.call("POST", "/cache/purge"), "purged: no answer that was kept until now is given again")
