"""`switchgear key …`. Level 7."""

import hashlib
import os
from typing import Any

import click

from switchgear.cli.base import Group, Output, confirm, date_of, duration_ms, expiry, now_ms, with_client
from switchgear.cli.client import Client, segment
from switchgear.core import virtual_key
from switchgear.core.errors import UserError


@click.group(cls=Group)
def key() -> None:
    """Virtual keys: what applications hold instead of provider credentials."""


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [item.strip() for item in text.split(",") if item.strip()]


def _fields(function: Any) -> Any:
    for option in (
        click.option("--tag", "tags", multiple=True, metavar="K=V", help="Tag on every record of the key; repeatable."),
        click.option(
            "--passthrough",
            multiple=True,
            metavar="RULE",
            help="Raw path of a provider that it may use, e.g. 'openai POST /audio/*'; repeatable.",
        ),
        click.option("--cidr", "cidrs", multiple=True, metavar="NET", help="Network it may be used from; repeatable."),
        click.option("--expires", metavar="90d|DATE", help="When it stops to hold."),
        click.option("--models", metavar="A,B", help="Models and patterns it may call; default: all."),
        click.option("--project", help="Project that its use is booked to."),
        click.option("--user", help="User that its use is booked to."),
        click.option("--team", help="Team that its use is booked to."),
    ):
        function = option(function)
    return function


def _name(name: str | None, option: str | None) -> str:
    if name and option and name != option:
        raise UserError(f"two names were given: {name!r} and {option!r}", "", 2)
    if not (name or option):
        raise UserError("a name is needed", "e.g. switchgear key create ci-bot", 2)
    return name or option or ""


@key.command(epilog="Example: switchgear key create ci-bot --team research --models 'openai/*' --expires 90d")
@click.argument("name", required=False)
@click.option("--name", "name_option", hidden=True)
@_fields
@with_client
def create(
    client: Client,
    out: Output,
    name: str | None,
    name_option: str | None,
    models: str | None,
    expires: str | None,
    cidrs: tuple[str, ...],
    tags: tuple[str, ...],
    passthrough: tuple[str, ...],
    **who: str | None,
) -> None:
    """Make a key. It is shown this once: only a keyed hash is stored."""
    body = {
        "name": _name(name, name_option),
        "models": _list(models),
        "expires": expiry(expires),
        **who,
        "cidrs": list(cidrs) or None,
        "tags": list(tags) or None,
        "passthrough": list(passthrough) or None,
    }
    answer = client.call("POST", "/keys", body)
    out.one(
        answer,
        f"{answer['key']}\n  {answer['name']} (id {answer['id']}). Copy it now: it is not stored and not shown again.",
    )


_COLUMNS = {
    "NAME": "name",
    "ID": "id",
    "TEAM": "team",
    "USER": "user",
    "PROJECT": "project",
    "MODELS": "models",
    "EXPIRES": "expires",
    "STATE": "state",
    "SOURCE": "source",
    "CREATED": "created",
    "CIDRS": "cidrs",
    "TAGS": "tags",
    "PASSTHROUGH": "passthrough",
}
_WIDE = ("user", "project", "source", "created", "cidrs", "tags", "passthrough")


def _row(found: dict[str, Any]) -> dict[str, Any]:
    state = "active"
    if found["revoked_ms"] is not None:
        state = "revoked"
    elif found["expires_ms"] is not None and found["expires_ms"] <= now_ms():
        state = "expired"
    return {
        **found,
        "expires": date_of(found["expires_ms"]),
        "created": date_of(found["created_ms"]),
        "state": state,
        "models": found["models"] or ["all"],
    }


@key.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked keys too.")
@with_client
def list_(client: Client, out: Output, everything: bool) -> None:
    """List keys."""
    answer = client.call("GET", "/keys")
    if not everything:
        answer["keys"] = [found for found in answer["keys"] if found["revoked_ms"] is None]
    out.rows(
        answer, [_row(found) for found in answer["keys"]], _COLUMNS, _WIDE, "no keys yet: switchgear key create NAME"
    )


@key.command()
@click.argument("name")
@with_client
def show(client: Client, out: Output, name: str) -> None:
    """Show one key, by name or id."""
    answer = client.call("GET", f"/keys/{segment(name)}")
    out.one(_row(answer) if out.for_people else answer)


@key.command(epilog="Example: switchgear key update ci-bot --models 'openai/*,fast' --expires 30d")
@click.argument("name")
@_fields
@with_client
def update(
    client: Client,
    out: Output,
    name: str,
    models: str | None,
    expires: str | None,
    cidrs: tuple[str, ...],
    tags: tuple[str, ...],
    passthrough: tuple[str, ...],
    **who: str | None,
) -> None:
    """Change a key; what is not named stays. An empty value ("") clears."""
    body: dict[str, Any] = {field: value or None for field, value in who.items() if value is not None}
    if models is not None:
        body["models"] = _list(models) or None
    if expires is not None:
        body["expires"] = expiry(expires) or None
    if cidrs:
        body["cidrs"] = [cidr for cidr in cidrs if cidr] or None
    if tags:
        body["tags"] = [tag for tag in tags if tag] or None
    if passthrough:
        body["passthrough"] = [rule for rule in passthrough if rule] or None
    if not body:
        raise UserError("nothing to change was named", "see switchgear key update --help", 2)
    answer = client.call("PATCH", f"/keys/{segment(name)}", body)
    out.one(answer, f"changed {answer['name']} (version {answer['version']})")


@key.command(epilog="Example: switchgear key rotate ci-bot --overlap 24h")
@click.argument("name")
@click.option("--overlap", default="1h", show_default=True, help="How long the old secret still holds; 0s ends it now.")
@click.option("--force", is_flag=True, help="Rotate again although the last overlap runs.")
@with_client
def rotate(client: Client, out: Output, name: str, overlap: str, force: bool) -> None:
    """Give a key a new secret; id, name and limits stay."""
    answer = client.call("POST", f"/keys/{segment(name)}/rotate", {"overlap_ms": duration_ms(overlap), "force": force})
    out.one(
        answer, f"{answer['key']}\n  {answer['name']}: the old secret holds for {overlap} more. Copy the new one now."
    )


@key.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def revoke(client: Client, out: Output, name: str, yes: bool) -> None:
    """Revoke a key: holds for the next request."""
    confirm(f"Revoke {name}? It cannot be undone.", yes)
    answer = client.call("POST", f"/keys/{segment(name)}/revoke")
    out.one(answer, f"revoked {answer['name']}")


@key.command(epilog="Example: switchgear key generate --offline")
@click.option("--offline", is_flag=True, required=True, help="Needs no gateway.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def generate(offline: bool, as_json: bool) -> None:
    """Make a key and its hash for a configuration file (`keys: NAME: {sha256: …}`)."""
    _, token = virtual_key.mint(os.urandom)
    digest = hashlib.sha256(token.encode()).hexdigest()
    Output("json" if as_json else "table").one({"key": token, "sha256": digest})
