"""`switchgear credential …`. Level 7. The secret is sealed here, with the vault's public key: control never holds it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from switchgear.cli import names, place, secret_input, vault_key
from switchgear.cli.base import Column, Group, Output, cleaned, confirm, examples, near, now_ms, say, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import SealError, UserError

if TYPE_CHECKING:
    from switchgear.config.compile import ProviderSpec


@click.group(cls=Group)
def credential() -> None:
    """Provider credentials: they go into the vault and never come out."""


def _provider(client: Client, name: str) -> "tuple[ProviderSpec, bool]":
    """Return a provider's spec and whether it is configured already."""
    import msgspec  # noqa: PLC0415

    from switchgear.cli.provider import build  # noqa: PLC0415
    from switchgear.config import schema  # noqa: PLC0415
    from switchgear.config.compile import ProviderSpec  # noqa: PLC0415
    from switchgear.providers.catalogue import PROVIDERS  # noqa: PLC0415

    configured = client.exact("GET", "/providers")["providers"]
    for found in configured:
        if found["name"] == name:
            spec = msgspec.convert(found["spec"], ProviderSpec)
            if spec.name != name:
                raise UserError(f"the gateway describes another provider than {name!r}", "nothing was sealed")
            return spec, True
    if name in PROVIDERS:
        return build(name, schema.Provider()), False
    meant = near(name, [*PROVIDERS, *(found["name"] for found in configured)])
    raise UserError(
        f"there is no provider {name!r}{meant}", f"one of your own: switchgear provider add {name} --base-url …", 2
    )


def _check(value: bytes, spec: "ProviderSpec", force: bool) -> None:
    """Refuse nonsense; ask about what is odd. Raises UserError."""
    secret_input.refuse_nonsense(value)
    host = urlsplit(spec.endpoint.url).hostname or ""
    odd = secret_input.doubts(value, (spec.name, spec.pricing_id or "", host))
    if not odd or force:
        return
    text = f"{odd[0]}, and {spec.name} is at {host}"
    if not sys.stdin.isatty():
        raise UserError(text, "was it meant for another provider? --force seals it all the same", 2)
    confirm(f"{text[0].upper()}{text[1:]}. Seal it all the same?", False)


@credential.command(
    epilog=examples(
        "switchgear credential add openai                    # asks for the secret, shows nothing",
        "pass show openai | switchgear credential add openai --from-stdin",
        "switchgear credential add azure-eu --name prod --from-env AZURE_KEY --endpoint https://acme-eu.openai.azure.com/openai/v1",
        "switchgear credential add openai --server https://gateway.internal:4101 --from-file key.txt",
    )
)
@click.argument("provider", shell_complete=names.addable)
@click.option("--name", default="default", show_default=True, help="The credential's name.")
@click.option("--from-stdin", is_flag=True, help="Read the secret from standard input; on a terminal a hidden prompt.")
@click.option("--from-env", metavar="VAR", help="Read it from an environment variable of this command.")
@click.option("--from-file", type=click.Path(path_type=Path), help="Read it from a file.")
@click.option(
    "--yes",
    is_flag=True,
    help="Do not ask: replace a credential of that name, seal for the address of a provider of your own.",
)
@click.option("--force", is_flag=True, help="Seal it although it does not look like a key of that provider.")
@place.option
@vault_key.option
@with_client
def add(
    client: Client,
    out: Output,
    provider: str,
    name: str,
    from_stdin: bool,
    from_env: str | None,
    from_file: Path | None,
    yes: bool,
    force: bool,
    endpoint: str | None,
    vault_key: str | None,
) -> None:
    """Add or replace a provider's credential. Its models are then callable as PROVIDER/MODEL.

    A name of the catalogue is sealed for the address that this program knows; any other address is shown first.

    Without --from-… on a terminal it asks for the secret, which is not shown; Enter ends it.
    """
    import msgspec  # noqa: PLC0415

    from switchgear.cli.vault_key import of as key_of  # noqa: PLC0415
    from switchgear.config.compile import NAME  # noqa: PLC0415
    from switchgear.core.secret import Secret  # noqa: PLC0415
    from switchgear.vault import seal  # noqa: PLC0415
    from switchgear.vault.sealing import seal_one  # noqa: PLC0415 - cryptography takes 40 ms

    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a name: use a-z, 0-9, '.', '_' and '-'", "", 2)
    spec, is_configured = _provider(client, provider)
    place.check(spec, name, endpoint, yes)
    held = _find(client, f"{provider}/{name}") if is_configured else None
    public = key_of(client, vault_key)
    is_asked_for = secret_input.is_asked_for(from_env, from_file)
    value = b"" if is_asked_for else secret_input.read(from_stdin, from_env, from_file)
    if not is_asked_for:
        _check(value, spec, force)  # what is wrong with it is said first
    if held is not None:
        confirm(f"{held['id']} (…{held['last4']}) exists. Replace it?", yes)
    if is_asked_for:
        value = secret_input.read(from_stdin, from_env, from_file)
        _check(value, spec, force)
    secret = Secret(value)
    try:
        seal.auth_line(secret, spec.place(name))
        seal.authorizer_of(secret, spec.place(name))
        put = seal_one(spec, name, secret, public, now_ms())
    except SealError as exc:
        raise UserError(str(exc), "an empty or wrong input?", 2) from None
    answer = client.call(
        "PUT", "/credentials", msgspec.json.encode({"put": put, "provider": None if is_configured else spec})
    )
    where = cleaned(put.context.endpoint.url)
    then = f"test it: switchgear credential test {answer['id']}"
    if answer["state"] == "disabled":
        then = f"it is the same secret, which is disabled; use it again: switchgear credential enable {answer['id']}"
    out.one(
        {**answer, "base_url": put.context.endpoint.url, "replaced": held is not None},
        f"{'replaced' if held is not None else 'sealed'} {answer['id']} (…{answer['last4']}) for {where}\n  {then}",
    )


def _credentials(client: Client) -> list[dict[str, Any]]:
    """Return what is known of the credentials that are there."""
    found: list[dict[str, Any]] = client.call("GET", "/credentials")["credentials"]
    return [one for one in found if one["state"] != "removed"]


def _find(client: Client, identity: str) -> dict[str, Any] | None:
    return next((one for one in _credentials(client) if one["id"] == identity), None)


def matching(held: list[dict[str, Any]], name: str) -> list[str]:
    """Return the ids that PROVIDER/NAME or PROVIDER means. Raises UserError when there is none."""
    ids = [one["id"] for one in held]
    found = [identity for identity in ids if identity == name] or [one["id"] for one in held if one["provider"] == name]
    if not found:
        raise UserError(f"there is no credential {name!r}{near(name, ids)}", "list them: switchgear credential list", 2)
    return found


def _one(client: Client, name: str) -> str:
    """Return the id of the one credential that a name means. Raises UserError."""
    found = matching(_credentials(client), name)
    if len(found) > 1:
        raise UserError(f"{name!r} has {len(found)} credentials", f"say which: {', '.join(found)}", 2)
    return found[0]


def _path(identity: str) -> str:
    provider, _, name = identity.partition("/")
    return f"/credentials/{segment(provider)}/{segment(name)}"


@credential.command("list", epilog=examples("switchgear credential list"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List credentials: never a secret, only its last four characters."""
    answer = client.call("GET", "/credentials")
    rows = [
        {
            **one,
            "last4": f"…{one['last4']}" if one["last4"] else None,
            "state": _state(one),
        }
        for one in answer["credentials"]
    ]
    columns = (
        Column("ID", "id", "id"),
        Column("SECRET", "last4"),
        Column("STATE", "state"),
        Column("BASE URL", "base_url", drop=1),
        Column("CHANGED", "changed_ms", "time", drop=2),
        Column("VERSION", "version", wide=True),
        Column("FINGERPRINT", "fingerprint", "id", wide=True),
    )
    out.rows(answer, rows, columns, "no credentials yet: switchgear credential add openai")


def _state(credential: dict[str, Any]) -> str:
    if not credential["opens"]:
        return "cannot be opened"
    refused = credential.get("refused")
    return f"refused ({refused['status']})" if refused else str(credential["state"])


@credential.command(epilog=examples("switchgear credential test openai", "switchgear credential test azure-eu/prod"))
@click.argument("name", metavar="PROVIDER[/NAME]", shell_complete=names.credentials)
@with_client
def test(client: Client, out: Output, name: str) -> int:
    """Make one cheap authenticated call (GET /models) with a credential; with each of a provider. Exit 1 when one fails."""
    held = {one["id"]: one for one in _credentials(client)}
    rows = []
    for identity in matching(list(held.values()), name):
        if held[identity]["state"] == "disabled":
            answer = {"ok": False, "message": f"it is disabled: switchgear credential enable {identity}"}
        elif not held[identity]["opens"]:
            answer = {
                "ok": False,
                "message": "the KEK does not open it: add it again, or restore the KEK it was sealed for",
            }
        else:
            answer = client.call("POST", f"{_path(identity)}/test")
        rows.append({"id": identity, **answer})
    if out.for_people:
        for row in rows:
            say(f"{'✔' if row['ok'] else '✗'} {row['id']}: {row['message']}")
    elif len(rows) == 1:
        out.one(rows[0])
    else:
        out.rows({"tests": rows}, rows, (Column("ID", "id", "id"), Column("OK", "ok"), Column("MESSAGE", "message")))
    return 0 if all(row["ok"] for row in rows) else 1


@credential.command(epilog=examples("switchgear credential disable openai"))
@click.argument("name", metavar="PROVIDER[/NAME]", shell_complete=names.credentials)
@with_client
def disable(client: Client, out: Output, name: str) -> None:
    """Stop using a credential; `enable` takes it back."""
    answer = client.call("POST", f"{_path(_one(client, name))}/disable")
    out.one(answer, f"disabled {answer['id']}   (undo: switchgear credential enable {answer['id']})")


@credential.command(epilog=examples("switchgear credential enable openai"))
@click.argument("name", metavar="PROVIDER[/NAME]", shell_complete=names.credentials)
@with_client
def enable(client: Client, out: Output, name: str) -> None:
    """Use a disabled credential again."""
    answer = client.call("POST", f"{_path(_one(client, name))}/enable")
    out.one(answer, f"enabled {answer['id']}")


@credential.command(epilog=examples("switchgear credential remove openai/default --yes"))
@click.argument("name", metavar="PROVIDER[/NAME]", shell_complete=names.credentials)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a credential for good."""
    identity = _one(client, name)
    confirm(f"Remove {identity}? The secret cannot be brought back.", yes)
    answer = client.call("DELETE", _path(identity))
    out.one(answer, f"removed {answer['id']}")


@credential.command("vault-key", epilog=examples("switchgear credential vault-key"))
@with_client
def vault_key_(client: Client, out: Output) -> None:
    """Show the fingerprint of the vault's public key: what `credential add --server` must see elsewhere."""
    from switchgear.vault import public_key  # noqa: PLC0415 - cryptography takes 40 ms

    public = public_key.read(client.layout.public_key) if client.server is None else vault_key.asked(client)
    found = public_key.fingerprint(public)
    out.one({"fingerprint": found, "kek_id": public.kek_id}, found)
