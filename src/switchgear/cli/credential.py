"""`switchgear credential …`. Level 7. The secret is sealed here, with the vault's public key: control never holds it."""

import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from switchgear.app.serve import read_public_key, seal_one
from switchgear.cli.base import Group, Output, confirm, date_of, now_ms, with_client
from switchgear.cli.client import Client, segment
from switchgear.cli.provider import build
from switchgear.config import schema
from switchgear.config.compile import NAME, ProviderSpec
from switchgear.core.errors import SealError, UserError
from switchgear.core.secret import Secret
from switchgear.providers.catalogue import PROVIDERS
from switchgear.vault import seal


@click.group(cls=Group)
def credential() -> None:
    """Provider credentials: they go into the vault and never come out."""


def _secret(from_stdin: bool, from_env: str | None, from_file: Path | None) -> Secret:
    if sum((from_stdin, from_env is not None, from_file is not None)) > 1:
        raise UserError("give one of --from-stdin, --from-env and --from-file", "", 2)
    if from_env is not None:
        value = os.environ.get(from_env)
        if not value:
            raise UserError(f"the environment variable {from_env!r} is not set here", f"export {from_env} first", 2)
        return Secret(value.strip().encode())
    if from_file is not None:
        try:
            return Secret(from_file.read_bytes().strip())
        except OSError as exc:
            raise UserError(f"the file {from_file} cannot be read: {exc.strerror}", "", 2) from None
    if from_stdin or not sys.stdin.isatty():
        return Secret(sys.stdin.buffer.read(seal.SECRET_BYTES_MAX + 2).strip())
    return Secret(click.prompt("Secret", hide_input=True).strip().encode())


def _provider(client: Client, name: str) -> tuple[ProviderSpec, bool]:
    """Return a provider's spec and whether it is configured already."""
    for found in client.call("GET", "/providers")["providers"]:
        if found["name"] == name:
            return msgspec.convert(found["spec"], ProviderSpec), True
    if name in PROVIDERS:
        return build(name, schema.Provider()), False
    raise UserError(f"there is no provider {name!r}", f"add it first: switchgear provider add {name} --base-url …")


@credential.command(epilog="Example: pass show openai | switchgear credential add openai --from-stdin")
@click.argument("provider")
@click.option("--name", default="default", show_default=True, help="The credential's name.")
@click.option("--from-stdin", is_flag=True, help="Read the secret from standard input.")
@click.option("--from-env", metavar="VAR", help="Read it from an environment variable of this command.")
@click.option("--from-file", type=click.Path(path_type=Path), help="Read it from a file.")
@with_client
def add(
    client: Client,
    out: Output,
    provider: str,
    name: str,
    from_stdin: bool,
    from_env: str | None,
    from_file: Path | None,
) -> None:
    """Add or replace a provider's credential. Its models are then callable as PROVIDER/MODEL."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a name: use a-z, 0-9, '.', '_' and '-'", "", 2)
    spec, is_configured = _provider(client, provider)
    secret = _secret(from_stdin, from_env, from_file)
    try:
        seal.auth_line(secret, spec.place(name))
        seal.authorizer_of(secret, spec.place(name))
        put = seal_one(spec, name, secret, read_public_key(client.layout), now_ms())
    except SealError as exc:
        raise UserError(str(exc), "an empty or wrong input?", 2) from None
    body = msgspec.json.encode({"put": put, "provider": None if is_configured else spec})
    answer = client.call("PUT", "/credentials", body)
    out.one(
        answer,
        f"sealed {answer['id']} (…{answer['last4']}) for {answer['base_url']}\n"
        f"  test it: switchgear credential test {answer['id']}",
    )


@credential.command("list")
@with_client
def list_(client: Client, out: Output) -> None:
    """List credentials: never a secret, only its last four characters."""
    answer = client.call("GET", "/credentials")
    rows = [
        {
            **c,
            "secret": f"…{c['last4']}" if c["last4"] else "-",
            "changed": date_of(c["changed_ms"]),
            "state": _state(c),
        }
        for c in answer["credentials"]
    ]
    columns = {
        "ID": "id",
        "SECRET": "secret",
        "STATE": "state",
        "BASE URL": "base_url",
        "CHANGED": "changed",
        "VERSION": "version",
        "FINGERPRINT": "fingerprint",
    }
    out.rows(
        answer,
        rows,
        columns,
        ("version", "fingerprint"),
        "no credentials yet: switchgear credential add openai --from-stdin",
    )


def _state(credential: dict[str, Any]) -> str:
    if not credential["opens"]:
        return "cannot be opened"
    refused = credential.get("refused")
    return f"refused ({refused['status']})" if refused else str(credential["state"])


def _path(name: str) -> str:
    provider, slash, rest = name.partition("/")
    return f"/credentials/{segment(provider)}/{segment(rest if slash else 'default')}"


@credential.command(epilog="Example: switchgear credential test openai/default")
@click.argument("name")
@with_client
def test(client: Client, out: Output, name: str) -> int:
    """Make one cheap authenticated call (GET /models) with a credential."""
    answer = client.call("POST", f"{_path(name)}/test")
    out.one(answer, f"{'✔' if answer['ok'] else '✗'} {name}: {answer['message']}")
    return 0 if answer["ok"] else 1


@credential.command()
@click.argument("name")
@with_client
def disable(client: Client, out: Output, name: str) -> None:
    """Stop using a credential; `enable` takes it back."""
    answer = client.call("POST", f"{_path(name)}/disable")
    out.one(answer, f"disabled {answer['id']}")


@credential.command()
@click.argument("name")
@with_client
def enable(client: Client, out: Output, name: str) -> None:
    """Use a disabled credential again."""
    answer = client.call("POST", f"{_path(name)}/enable")
    out.one(answer, f"enabled {answer['id']}")


@credential.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a credential for good."""
    confirm(f"Remove {name}? The secret cannot be brought back.", yes)
    answer = client.call("DELETE", _path(name))
    out.one(answer, f"removed {answer['id']}")
