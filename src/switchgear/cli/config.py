"""`switchgear config …`. Level 7."""

import json
import os
import types
import typing
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from switchgear.cli import vault_key
from switchgear.cli.base import (
    Column,
    Group,
    Output,
    confirm,
    counted,
    examples,
    format_options,
    note,
    now_ms,
    say,
    with_client,
)
from switchgear.cli.client import Client
from switchgear.config import document, schema
from switchgear.config.compile import Compiled, ProviderSpec
from switchgear.config.names import Known
from switchgear.config_files.load import Checked, check_config
from switchgear.core.errors import ConfigError, ConfigProblem, UserError
from switchgear.core.secret import Secret
from switchgear.providers.endpoint import KEYLESS
from switchgear.vault.sealing import seal_all, seal_one

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=Group)
def config() -> None:
    """The configuration file: check it, apply it, compare it, take it back."""


@config.command(
    epilog=examples(
        "switchgear config check switchgear.yaml", "switchgear config check --no-secrets -o json switchgear.yaml"
    )
)
@FILE
@click.option("--no-secrets", is_flag=True, help="For CI: variables, secrets and certificates need not be there.")
@format_options()
def check(out: Output, file: Path, no_secrets: bool) -> int:
    """Check a file; every problem at once, with its line. Needs no gateway. Exit 2: problems; warnings change nothing."""
    checked = check_config(file, dict(os.environ), without_secrets=no_secrets, now_ms=now_ms())
    if not out.for_people:
        report = _report(file, checked)
        out.rows(report, report["problems"], [Column(name.upper(), name) for name in _PROBLEM])
        return 2 if checked.problems else 0
    _warn(checked)
    if checked.problems:
        raise ConfigError(checked.problems)
    say(f"{file}: good ({_counts(checked.loaded.compiled)}{_warned(checked)})")
    return 0


def _counts(compiled: Compiled) -> str:
    parts = ((compiled.providers, "provider"), (compiled.models, "model"), (compiled.keys, "key"))
    return ", ".join(counted(len(entries), noun) for entries, noun in parts)


def _warned(checked: Checked) -> str:
    count = len(checked.loaded.warnings)
    return f"; {count} warning{'s' if count != 1 else ''}" if count else ""


def _warn(checked: Checked) -> None:
    for warning in checked.loaded.warnings:
        note(str(warning))


_PROBLEM = ("file", "line", "path", "severity", "message")


def _report(file: Path, checked: Checked) -> dict[str, Any]:
    def row(problem: ConfigProblem) -> dict[str, Any]:
        severity = "warning" if problem.is_warning else "error"
        return {
            "file": problem.file,
            "line": problem.line,
            "path": problem.path,
            "severity": severity,
            "message": problem.message,
        }

    found = [*checked.problems, *checked.loaded.warnings]
    return {"file": str(file), "ok": not checked.problems, "problems": [row(problem) for problem in found]}


class _Running(typing.NamedTuple):
    compiled: Compiled
    known: Known


def _running(client: Client) -> _Running:
    """Return the file configuration in force, and what else the gateway has."""
    compiled = msgspec.convert(client.call("GET", "/config")["compiled"], Compiled)
    return _Running(
        compiled,
        Known(
            providers=frozenset(
                p["name"] for p in client.call("GET", "/providers")["providers"] if p["source"] != "file"
            ),
            models=frozenset(m["name"] for m in client.call("GET", "/models")["models"] if m["source"] != "file"),
            credentials=frozenset(c["id"] for c in client.call("GET", "/credentials")["credentials"] if c["opens"]),
        ),
    )


def _load(file: Path, running: _Running) -> Checked:
    """Read a file for a running gateway. Raises ConfigError."""
    checked = check_config(file, dict(os.environ), known=running.known, running=running.compiled, now_ms=now_ms())
    _warn(checked)
    if checked.problems:
        raise ConfigError(checked.problems)
    for (provider, name), reference in checked.loaded.kept.items():
        variable = reference.partition(":")[2]
        note(f"{provider}/{name}: {variable} is not set here; the secret that is sealed already stays")
    return checked


def _changes(old: Compiled, new: Compiled) -> list[document.Change]:
    return document.changes(document.of(old), document.of(new))


def _clash(checked: Checked, known: Known) -> None:
    """Raise UserError for a name that the store has, too."""
    compiled = checked.loaded.compiled
    for kind, names, theirs in (
        ("provider", {p.name for p in compiled.providers}, known.providers),
        ("model", {m.name for m in compiled.models}, known.models),
    ):
        for name in sorted(names & theirs):
            raise UserError(
                f"the {kind} {name!r} is in the file and in the store", f"remove one: switchgear {kind} remove {name}"
            )


@config.command("apply", epilog=examples("switchgear config apply --dry-run switchgear.yaml"))
@FILE
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--drop-keys", is_flag=True, help="Allow that over half of the keys are revoked.")
@vault_key.option
@with_client
def apply_(client: Client, out: Output, file: Path, dry_run: bool, drop_keys: bool, vault_key: str | None) -> None:
    """Replace the running file configuration: all of it or nothing. Secrets are sealed here."""
    from switchgear.cli.vault_key import of as key_of  # noqa: PLC0415

    running = _running(client)
    checked = _load(file, running)
    loaded = checked.loaded
    changes = _changes(running.compiled, loaded.compiled)
    if dry_run:
        _clash(checked, running.known)
        _show(out, {"file": str(file), "digest": loaded.compiled.digest, "dry_run": True}, changes, "would change")
        return
    puts, refused = seal_all(loaded.compiled.providers, loaded.secrets, key_of(client, vault_key), now_ms())
    if refused:
        raise UserError(refused[0], "nothing was changed", 1)
    body = {"compiled": loaded.compiled, "puts": puts, "drop_keys": drop_keys}
    answer = client.call("PUT", "/config", msgspec.json.encode(body))
    found = {"file": str(file), "digest": loaded.compiled.digest, "restart": answer.get("restart", [])}
    if not out.for_people:
        _write(out, found, changes)
        return
    say(f"applied {file}: {document.summary(changes)} changed")
    if answer.get("undone_at_start"):
        note(f"warning: {answer['undone_at_start']}")
    elif found["restart"]:
        say(f"  from the next start on: {', '.join(found['restart'])}")


_CHANGE = tuple(Column(name.upper(), name) for name in ("path", "change", "old", "new"))


def _write(out: Output, found: dict[str, Any], changes: list[document.Change]) -> None:
    rows = [_row(change) for change in changes]
    out.rows({**found, "changes": rows}, rows, _CHANGE)


def _row(change: document.Change) -> dict[str, Any]:
    return {"path": change.path, "change": change.kind, "old": change.old, "new": change.new}


def _show(out: Output, found: dict[str, Any], changes: list[document.Change], title: str) -> None:
    if not out.for_people:
        _write(out, found, changes)
        return
    say("\n".join([f"{title}: {document.summary(changes)}", *map(str, changes)]) if changes else "no difference")


@config.command(
    epilog=examples("switchgear config export > switchgear.yaml", "switchgear config check switchgear.yaml")
)
@click.option(
    "--references", is_flag=True, help="Say {env: NAME} or {file: PATH} where the file did, not `sealed: true`."
)
@with_client
def export(client: Client, out: Output, references: bool) -> None:
    """Print everything that is in force as a configuration file: what the file declares and what the store holds.

    Secrets stay in the vault: credentials are `sealed: true`. Keys of the store are hashes that hold where DATA/pepper is the
    same.
    """
    out.no_csv("it is a document")
    answer = client.call("GET", "/config/export", references="true" if references else None)
    if not out.for_people:
        out.json(answer["document"])
        return
    for line in answer["notes"]:
        say(f"# {line}")
    click.echo(
        yaml.dump(answer["document"], Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120), nl=False
    )


@config.command("diff", epilog=examples("switchgear config diff switchgear.yaml"))
@FILE
@with_client
def diff_(client: Client, out: Output, file: Path) -> int:
    """Show what applying a file would change, key by key. Exit 0: nothing, 1: something."""
    running = _running(client)
    changes = _changes(running.compiled, _load(file, running).loaded.compiled)
    _show(out, {"file": str(file)}, changes, f"{file} differs from what is in force")
    return 1 if changes else 0


@config.command(epilog=examples("switchgear config history"))
@with_client
def history(client: Client, out: Output) -> None:
    """List the configurations that were in force: who changed what and when. The last 50 are kept."""
    answer = client.call("GET", "/config/history")
    columns = [
        Column("NO", "number", "number"),
        Column("TIME", "time", "time"),
        Column("BY", "actor"),
        Column("CHANGED", "summary"),
        Column("ACTION", "action", drop=1),
        Column("SOURCE", "source", "path", drop=2),
    ]
    out.rows(answer, answer["versions"], columns, "no configuration was applied yet")


@config.command(epilog=examples("switchgear config rollback previous", "switchgear config rollback 12"))
@click.argument("version", metavar="NUMBER|previous")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--drop-keys", is_flag=True, help="Allow that over half of the keys are revoked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@vault_key.option
@with_client
def rollback(
    client: Client, out: Output, version: str, dry_run: bool, drop_keys: bool, yes: bool, vault_key: str | None
) -> None:
    """Bring a configuration of the history back into force. Secrets stay sealed as they are; what cannot be taken back is said."""
    if version != "previous" and not (version.isascii() and version.isdigit()):
        raise UserError(f"{version!r} is neither a number nor `previous`", "list them: switchgear config history", 2)
    plan = client.call("POST", "/config/rollback", {"version": version, "dry_run": True, "drop_keys": drop_keys})
    if out.for_people:
        title = f"version {plan['number']} of {plan['time']} ({plan['summary']})"
        say("\n".join([title, *(f"  {line}" for line in plan["changes"] or ["no difference"])]))
        for line in plan["stays"]:
            say(f"  stays: {line}")
    if not dry_run:
        confirm("Bring it back?", yes)
        answer = client.call(
            "POST", "/config/rollback", {"version": str(plan["number"]), "dry_run": False, "drop_keys": drop_keys}
        )
        _open_keyless(client, vault_key)
        plan = {**plan, **answer}
        if out.for_people:
            say(f"version {plan['number']} is in force")
    if not out.for_people:
        out.rows(plan, [{"change": line} for line in plan["changes"]], [Column("CHANGE", "change")])


def _open_keyless(client: Client, vault_key: str | None) -> None:
    """Give providers without a secret what the vault needs to serve them, where a rollback brought them back."""
    from switchgear.cli.vault_key import of as key_of  # noqa: PLC0415

    held = {c["id"] for c in client.call("GET", "/credentials")["credentials"]}
    for found in client.call("GET", "/providers")["providers"]:
        spec = msgspec.convert(found["spec"], ProviderSpec)
        for name in spec.credentials:
            if spec.place(name).auth in KEYLESS and f"{spec.name}/{name}" not in held:
                put = seal_one(spec, name, Secret(b""), key_of(client, vault_key), now_ms())
                client.call("PUT", "/credentials", msgspec.json.encode({"put": put}))


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
