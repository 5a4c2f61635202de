"""`switchgear config …`. Level 7."""

import difflib
import json
import os
import types
import typing
from pathlib import Path
from typing import Any

import click
import msgspec

from switchgear.app.serve import load_config, seal_secrets
from switchgear.cli import vault_key
from switchgear.cli.base import Group, Output, examples, now_ms, say, with_client
from switchgear.cli.client import Client
from switchgear.config import schema
from switchgear.config.compile import Compiled

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=Group)
def config() -> None:
    """The configuration file: check it, apply it, compare it."""


@config.command(epilog=examples("switchgear config check switchgear.yaml"))
@FILE
def check(file: Path) -> None:
    """Check a file; every problem at once, with its line. Needs no gateway."""
    compiled = load_config(file, dict(os.environ)).compiled
    say(f"{file}: good ({len(compiled.providers)} providers, {len(compiled.models)} models, {len(compiled.keys)} keys)")


@config.command("apply", epilog=examples("switchgear config apply switchgear.yaml"))
@FILE
@vault_key.option
@with_client
def apply_(client: Client, out: Output, file: Path, vault_key: str | None) -> None:
    """Replace the running file configuration: all of it or nothing. Secrets are sealed here."""
    from switchgear.cli.vault_key import of as key_of  # noqa: PLC0415

    known = frozenset(p["name"] for p in client.call("GET", "/providers")["providers"])
    loaded = load_config(file, dict(os.environ), known)
    puts = seal_secrets(loaded, key_of(client, vault_key), now_ms())
    client.call("PUT", "/config", msgspec.json.encode({"compiled": loaded.compiled, "puts": puts}))
    out.one({"file": str(file), "digest": loaded.compiled.digest}, f"applied {file}")


def _running(client: Client) -> Compiled:
    return msgspec.convert(client.call("GET", "/config")["compiled"], Compiled)


@config.command(epilog=examples("switchgear config export"))
@with_client
def export(client: Client, out: Output) -> None:
    """Print the configuration in force as JSON, without secrets."""
    out.no_csv("it is a document")
    out.json(json.loads(msgspec.json.encode(_running(client))))


@config.command("diff", epilog=examples("switchgear config diff switchgear.yaml"))
@FILE
@with_client
def diff_(client: Client, out: Output, file: Path) -> int:
    """Show what applying a file would change. Exit 0: nothing."""

    def lines(compiled: Compiled) -> list[str]:
        plain = msgspec.to_builtins(msgspec.structs.replace(compiled, source="", digest=""))
        return json.dumps(plain, indent=1, sort_keys=True).splitlines()

    known = frozenset(p["name"] for p in client.call("GET", "/providers")["providers"])
    changes = list(
        difflib.unified_diff(
            lines(_running(client)),
            lines(load_config(file, dict(os.environ), known).compiled),
            "running",
            str(file),
            lineterm="",
            n=2,
        )
    )
    if out.for_people:
        say("\n".join(changes) if changes else "no difference")
    else:
        out.json({"changes": changes})
    return 1 if changes else 0


@config.command("schema", epilog=examples("switchgear config schema"))
def schema_() -> None:
    """Print the JSON Schema of the configuration file."""
    click.echo(json.dumps(_schema(schema.Config), indent=1))


def _schema(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return {"anyOf": [_schema(option) for option in arguments if option is not types.NoneType]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        fields = msgspec.structs.fields(kind)
        made: dict[str, Any] = {
            "type": "object",
            "description": kind.__doc__,
            "additionalProperties": False,
            "properties": {f.name: _schema(hints[f.name]) for f in fields},
        }
        required = [f.name for f in fields if f.required]
        return {**made, "required": required} if required else made
    if kind in {int, float, bool}:
        return {"type": {int: "integer", float: "number", bool: "boolean"}[kind]}
    reference = {
        "type": "object",
        "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
        "maxProperties": 1,
    }
    return {"anyOf": [{"type": ["string", "number"]}, reference]} if kind is str else reference
