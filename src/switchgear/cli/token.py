"""`switchgear token …`. Level 7."""

import click

from switchgear.cli import names
from switchgear.cli.base import (
    Choice,
    Column,
    Group,
    Output,
    confirm,
    examples,
    expiry,
    name_argument,
    note,
    with_client,
)
from switchgear.cli.client import Client, segment

ROLES = ("owner", "admin", "billing-reader", "auditor", "exporter", "viewer")


@click.group(cls=Group)
def token() -> None:
    """Tokens for automation: Prometheus, scripts, CI. They reach the admin API, never a model."""


@token.command(epilog=examples("switchgear token create prometheus --role viewer --expires 365d"))
@name_argument()
@click.option(
    "--role", type=Choice(ROLES, "role"), required=True, metavar="ROLE", help=f"{', '.join(ROLES[:-1])} or {ROLES[-1]}."
)
@click.option("--expires", metavar="90d|DATE", help="When it stops to hold.")
@with_client
def create(client: Client, out: Output, name: str, role: str, expires: str | None) -> None:
    """Make a token; it is shown this once."""
    answer = client.call("POST", "/tokens", {"name": name, "role": role, "expires": expiry(expires, out.zone)})
    out.one(answer, answer["token"])
    if out.for_people:
        note("  It is shown this once. Send it as `Authorization: Bearer …`.")


@token.command("list", epilog=examples("switchgear token list"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List tokens, never their values."""
    answer = client.call("GET", "/tokens")
    columns = (
        Column("NAME", "name", "id"),
        Column("ROLE", "role"),
        Column("EXPIRES", "expires_ms", "time"),
        Column("CREATED", "created_ms", "time", drop=1),
    )
    out.rows(answer, answer["tokens"], columns, "no tokens; make one: switchgear token create NAME --role viewer")


@token.command(epilog=examples("switchgear token revoke prometheus --yes"))
@name_argument(names.tokens)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def revoke(client: Client, out: Output, name: str, yes: bool) -> None:
    """Revoke a token; it holds for the next request."""
    confirm(f"Revoke the token {name}? It cannot be undone.", yes)
    answer = client.call("DELETE", f"/tokens/{segment(name)}")
    out.one(answer, f"revoked: {name}")
