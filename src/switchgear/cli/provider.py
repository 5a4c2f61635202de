"""`switchgear provider …`. Level 7."""

from pathlib import Path

import click
import msgspec

from switchgear.cli import names, vault_key
from switchgear.cli.base import (
    Choice,
    Column,
    Group,
    Output,
    confirm,
    examples,
    name_argument,
    near,
    now_ms,
    with_client,
)
from switchgear.cli.client import Client, segment
from switchgear.config import schema
from switchgear.config.compile import NAME, ProviderSpec, build_provider
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.providers.catalogue import GENERIC, PROVIDERS
from switchgear.providers.endpoint import AUTH_SCHEMES, KEYLESS
from switchgear.vault.sealing import seal_one


@click.group(cls=Group)
def provider() -> None:
    """Providers: the places where models are served."""


def build(name: str, spec: schema.Provider) -> ProviderSpec:
    """Build a provider from options. Raises UserError."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a name: use a-z, 0-9, '.', '_' and '-'", "", 2)
    try:
        return build_provider(name, spec, _read)
    except ValueError as exc:
        raise UserError(str(exc), "see switchgear provider add --help", 2) from None


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE of an option that may stand again. Raises UserError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text!r} must be NAME=VALUE", "", 2)
        if name in found:
            raise UserError(f"{option} {name!r} stands twice", "", 2)
        found[name] = value
    return found


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


@provider.command(
    epilog=examples(
        "switchgear provider add local --dialect openai --base-url http://127.0.0.1:8000/v1 --allow-private --auth none",
        "switchgear provider add azure-eu --kind azure --resource acme-eu",
    )
)
@name_argument()
@click.option("--kind", help=f"Catalogue row to start from: {', '.join(PROVIDERS)}.")
@click.option("--dialect", type=Choice(list(GENERIC), "dialect"), help="Wire format.")
@click.option("--base-url", help="Base URL, e.g. https://api.example.com/v1.")
@click.option("--auth", help=f"How the secret is presented: {', '.join(sorted(AUTH_SCHEMES))}, or header:NAME.")
@click.option("--resource", help="Azure: the resource's name.")
@click.option("--region", help="The cloud's region.")
@click.option("--project", help="Vertex AI: the project's id.")
@click.option("--location", help="Vertex AI: the location.")
@click.option("--account", help="The account, where it stands in the URL.")
@click.option("--api-version", help="Azure: the API's version, for the older paths.")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="What the way to authenticate needs besides."
)
@click.option("--proxy", metavar="URL", help="HTTP proxy that connects there, e.g. http://proxy.internal:3128.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header field that every request to it carries."
)
@click.option("--allow-private", is_flag=True, help="Allow private addresses and plain http.")
@click.option("--team", shell_complete=names.teams, help="The team that alone sees and uses it; default: everybody.")
@click.option("--own", is_flag=True, help="A server of your own: pass `traceparent` on to it.")
@click.option("--ca-file", help="PEM file of a private certificate authority.")
@click.option("--pricing", help="Provider whose list prices apply.")
@with_client
def add(
    client: Client,
    out: Output,
    name: str,
    kind: str | None,
    dialect: str | None,
    base_url: str | None,
    auth: str | None,
    allow_private: bool,
    own: bool,
    team: str | None,
    ca_file: str | None,
    pricing: str | None,
    parameters: tuple[str, ...],
    proxy: str | None,
    headers: tuple[str, ...],
    **variables: str | None,
) -> None:
    """Add a provider. One without a secret is callable at once; others need `credential add`."""
    spec = build(
        name,
        schema.Provider(
            kind=kind,
            dialect=dialect,
            base_url=base_url,
            auth=auth,
            ca_file=ca_file,
            pricing=pricing,
            allow_private=True if allow_private else None,
            own=own,
            team=team,
            auth_parameters=_pairs("--set", parameters),
            proxy=proxy,
            headers=_pairs("--header", headers),
            resource=variables["resource"],
            region=variables["region"],
            project=variables["project"],
            location=variables["location"],
            account=variables["account"],
            api_version=variables["api_version"],
        ),
    )
    client.call("POST", "/providers", msgspec.json.encode(spec))
    if spec.endpoint.auth in KEYLESS:
        put = seal_one(spec, "none", Secret(b""), vault_key.of(client), now_ms())
        client.call("PUT", "/credentials", msgspec.json.encode({"put": put}))
    out.one({"name": name, "base_url": spec.endpoint.url}, f"added {name} ({spec.endpoint.url})")


@provider.command("list", epilog=examples("switchgear provider list"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List configured providers."""
    answer = client.call("GET", "/providers")
    columns = (
        Column("NAME", "name", "id"),
        Column("DIALECTS", "dialects", "list", drop=3),
        Column("BASE URL", "base_url"),
        Column("AUTH", "auth", drop=4),
        Column("CREDENTIALS", "credentials", "list"),
        Column("PRICES", "pricing", drop=5),
        Column("SOURCE", "source", drop=2),
        Column("PRIVATE", "allow_private", wide=True),
    )
    empty = f"no providers yet: switchgear credential add NAME (known: {', '.join(answer['catalogue'][:8])}, …)"
    out.rows(answer, answer["providers"], columns, empty)


@provider.command(epilog=examples("switchgear provider show openai"))
@name_argument(names.providers)
@with_client
def show(client: Client, out: Output, name: str) -> None:
    """Show one provider."""
    rows = client.call("GET", "/providers")["providers"]
    for found in rows:
        if found["name"] == name:
            del found["spec"]
            out.one(found)
            return
    meant = near(name, [found["name"] for found in rows])
    raise UserError(f"there is no provider {name!r}{meant}", "list them: switchgear provider list", 2)


@provider.command(epilog=examples("switchgear provider remove local --yes"))
@name_argument(names.providers)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a provider and its credentials."""
    confirm(f"Remove {name} and its credentials?", yes)
    client.call("DELETE", f"/providers/{segment(name)}")
    out.one({"name": name}, f"removed {name}")
