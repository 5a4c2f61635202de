"""`switchgear key …`. Level 7."""

import hashlib
import os
import re
from typing import Any

import click

from switchgear.cli import key_fields, names, output, times
from switchgear.cli.base import (
    Column,
    Group,
    Output,
    confirm,
    duration_ms,
    examples,
    format_options,
    name_argument,
    near,
    note,
    now_ms,
    with_client,
)
from switchgear.cli.client import Client, segment
from switchgear.core import virtual_key
from switchgear.core.errors import UserError


@click.group(cls=Group)
def key() -> None:
    """Virtual keys: what applications hold instead of provider credentials."""


def without_effect(models: list[str], served: list[str]) -> list[tuple[str, str]]:
    """Return which of a key's models match nothing that is served, each with what may have been meant.

    `served` are names, and patterns (`openai/*`) for providers that serve whatever they are asked for.
    """
    found = []
    for model in models:
        asked = re.compile(".*".join(map(re.escape, model.split("*"))), re.S)
        fixed = model.partition("*")[0]
        if not any(
            asked.fullmatch(name)
            or (name.endswith("*") and (fixed.startswith(name[:-1]) or ("*" in model and name[:-1].startswith(fixed))))
            for name in served
        ):
            found.append((model, near(model, served)))
    return found


def _warn_of_models(client: Client, models: list[str] | None) -> None:
    """Say which models lead nowhere. A token that may not list models gets no warning, and its key."""
    try:
        answer = client.call("GET", "/models") if models else {"models": [], "implicit": []}
    except UserError:
        return
    served = [model["name"] for model in answer["models"]] + answer["implicit"]
    for model, meant in without_effect(models or [], served):
        note(f"warning: nothing is served as {model!r} now{meant or _of_catalogue(client, model)}")


def _of_catalogue(client: Client, model: str) -> str:
    """Say what may be meant of providers that could be added; of one that is written right, how."""
    provider, slash, rest = model.partition("/")
    try:
        known = client.call("GET", "/providers")["catalogue"] if slash else []
    except UserError:
        return ""
    if provider in known:
        return f": switchgear credential add {provider}"
    return near(provider, known).replace("'?", f"/{rest}'?")


@key.command(
    epilog=examples(
        "switchgear key create my-app",
        "switchgear key create agent --rpm 60 --tpm 200000 --parallel 4 --limit '2000 requests/day'",
        "switchgear key create ci-bot --team research --models 'openai/*,fast' --budget 5/day --expires 90d",
    )
)
@name_argument()
@key_fields.options
@with_client
def create(client: Client, out: Output, name: str, **fields: Any) -> None:
    """Make a key. It is shown this once: only a keyed hash is stored."""
    key_fields.refuse_empty(fields)
    body = {"name": name, **key_fields.given(fields, out.zone)}
    answer = client.call("POST", "/keys", body)
    _warn_of_models(client, body.get("models"))
    out.one(answer, answer["key"])
    if out.for_people:
        note(f"  {answer['name']} (id {answer['id']}). Copy it now: it is not stored and not shown again.")


COLUMNS = (
    Column("NAME", "name", "id"),
    Column("ID", "id", "id", drop=2),
    *key_fields.columns(is_last=False),
    Column("STATE", "state"),
    Column("SOURCE", "source", wide=True),
    Column("CREATED", "created_ms", "time", wide=True),
    *key_fields.columns(is_last=True),
)


def state_of(found: dict[str, Any]) -> str:
    """Name a key's state."""
    if found["revoked_ms"] is not None:
        return "revoked"
    if found["expires_ms"] is not None and found["expires_ms"] <= now_ms():
        return "expired"
    return "frozen" if found.get("frozen") else "active"


@key.command("list", epilog=examples("switchgear key list", "switchgear key list --all -o wide"))
@click.option("--all", "everything", is_flag=True, help="Revoked keys too.")
@with_client
def list_(client: Client, out: Output, everything: bool) -> None:
    """List keys."""
    answer = client.call("GET", "/keys")
    if not everything:
        answer["keys"] = [found for found in answer["keys"] if found["revoked_ms"] is None]
    rows = [
        {
            **found,
            "state": state_of(found),
            "models": key_fields.models_shown(found["models"]),
            "budget": key_fields.budgets_shown(found["budget"]),
        }
        for found in answer["keys"]
    ]
    out.rows(answer, rows, COLUMNS, "no keys yet: switchgear key create NAME")


@key.command(epilog=examples("switchgear key show ci-bot"))
@name_argument(names.keys)
@with_client
def show(client: Client, out: Output, name: str) -> None:
    """Show one key, by name, by id, or by the beginning of its id."""
    answer = client.call("GET", f"/keys/{segment(name)}")
    out.one(answer, people=_people(answer, out) if out.for_people else None)


def _people(found: dict[str, Any], out: Output) -> dict[str, Any]:
    """Return a key as people read it: times with a zone, money in USD, no field of the store."""
    shown: dict[str, Any] = {name: found[name] for name in ("name", "id")}
    shown["state"] = state_of(found)
    if found.get("frozen"):
        shown["frozen"] = ", ".join(found["frozen"])
    shown |= key_fields.for_people(found, out.zone)
    if found.get("held_by"):
        shown["belongs to"] = ", ".join(f"{one['kind']} {one['name']}" for one in found["held_by"])
    if any(one["of"] != "key" for one in found.get("binding", ())):
        shown["bound by"] = "; ".join(
            f"{one['field']} {one['rule']} ({one['of']} {one['name']})" for one in found["binding"]
        )
    shown["created"] = times.full(found["created_ms"], out.zone)
    if found["revoked_ms"] is not None:
        shown["revoked"] = times.full(found["revoked_ms"], out.zone)
    before = found.get("spent_before_nanousd") or 0
    imported = f" ({output.usd(before)} before it came here)" if before else ""
    shown["spent"] = f"{output.usd(found.get('spent_nanousd') or 0)} USD{imported}"
    shown |= {"secrets": found["secrets"], "source": found["source"], "version": found["version"]}
    return shown


@key.command("log", epilog=examples("switchgear key log ci-bot", "switchgear key log ci-bot --last 100 -o csv"))
@name_argument(names.keys)
@click.option("--last", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@with_client
def log_(client: Client, out: Output, name: str, last: int) -> None:
    """List the last requests of a key, newest first."""
    from switchgear.cli.log import records_of_key  # noqa: PLC0415 - the other commands need no records

    records_of_key(client, out, name, last)


@key.command(epilog=examples("switchgear key update ci-bot --models 'openai/*,fast' --expires 30d"))
@name_argument(names.keys)
@click.option("--rename", hidden=True)
@key_fields.options
@with_client
def update(client: Client, out: Output, name: str, rename: str | None, **fields: Any) -> None:
    """Change a key; what is not named stays. An empty value ("") clears."""
    if rename is not None:
        hint = f"records bear its name; make another one: switchgear key create {rename}"
        raise UserError("a key keeps its name", hint, 2)
    body = {field: key_fields.cleared(value) for field, value in key_fields.given(fields, out.zone).items()}
    if not body:
        raise UserError("nothing to change was named", "see switchgear key update --help", 2)
    answer = client.call("PATCH", f"/keys/{segment(name)}", body)
    _warn_of_models(client, body.get("models"))
    out.one(answer, f"changed {answer['name']} (version {answer['version']})")


@key.command(epilog=examples("switchgear key rotate ci-bot --overlap 24h"))
@name_argument(names.keys)
@click.option("--overlap", default="1h", show_default=True, help="How long the old secret still holds; 0s ends it now.")
@click.option("--force", is_flag=True, help="Rotate again although the last overlap runs.")
@with_client
def rotate(client: Client, out: Output, name: str, overlap: str, force: bool) -> None:
    """Give a key a new secret; id, name and limits stay."""
    answer = client.call("POST", f"/keys/{segment(name)}/rotate", {"overlap_ms": duration_ms(overlap), "force": force})
    out.one(answer, answer["key"])
    if out.for_people:
        note(f"  {answer['name']}: the old secret holds for {overlap} more. Copy the new one now.")


@key.command(epilog=examples("switchgear key revoke ci-bot --yes"))
@name_argument(names.keys)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def revoke(client: Client, out: Output, name: str, yes: bool) -> None:
    """Revoke a key: holds for the next request."""
    confirm(f"Revoke {name}? It cannot be undone.", yes)
    answer = client.call("POST", f"/keys/{segment(name)}/revoke")
    out.one(answer, f"revoked {answer['name']}")


@key.command(epilog=examples("switchgear key generate --offline"))
@click.option("--offline", is_flag=True, required=True, help="Needs no gateway.")
@format_options()
def generate(out: Output, offline: bool) -> None:
    """Make a key and its hash for a configuration file (`keys: NAME: {sha256: …}`)."""
    _, token = virtual_key.mint(os.urandom)
    digest = hashlib.sha256(token.encode()).hexdigest()
    out.one({"key": token, "sha256": digest})
