"""`switchgear token …`. Level 7."""

import click

from switchgear.cli.base import Group, Output, confirm, date_of, expiry, with_client
from switchgear.cli.client import Client, segment


@click.group(cls=Group)
def token() -> None:
    """Tokens for automation: Prometheus, scripts, CI. They reach the admin API, never a model."""


@token.command(epilog="Example: switchgear token create prometheus --role viewer --expires 365d")
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help="owner, admin, billing-reader, auditor or viewer.")
@click.option("--expires", metavar="90d|DATE", help="When it stops to hold.")
@with_client
def create(client: Client, out: Output, name: str, role: str, expires: str | None) -> None:
    """Make a token; it is shown this once."""
    answer = client.call("POST", "/tokens", {"name": name, "role": role, "expires": expiry(expires)})
    out.one(answer, f"{answer['token']}\n\nIt is shown this once. Send it as `Authorization: Bearer …`.")


@token.command("list")
@with_client
def list_(client: Client, out: Output) -> None:
    """List tokens, never their values."""
    answer = client.call("GET", "/tokens")
    rows = [
        {**row, "expires": date_of(row["expires_ms"]), "created": date_of(row["created_ms"])}
        for row in answer["tokens"]
    ]
    columns = {"NAME": "name", "ROLE": "role", "EXPIRES": "expires", "CREATED": "created"}
    out.rows(answer, rows, columns, empty="no tokens; make one: switchgear token create NAME --role viewer")


@token.command(epilog="Example: switchgear token revoke prometheus --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def revoke(client: Client, out: Output, name: str, yes: bool) -> None:
    """Revoke a token; it holds for the next request."""
    confirm(f"revoke the token {name}?", yes)
    answer = client.call("DELETE", f"/tokens/{segment(name)}")
    out.one(answer, f"revoked: {name}")
