"""`switchgear model …`. Level 7."""

import click
import msgspec

from switchgear.cli.base import Group, Output, confirm, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError
from switchgear.routing.table import DeploymentEntry, ModelEntry


@click.group(cls=Group)
def model() -> None:
    """Models: names that clients ask for, and where they are served."""


@model.command("list")
@with_client
def list_(client: Client, out: Output) -> None:
    """List configured models; every provider with a credential is also callable as provider/model."""
    answer = client.call("GET", "/models")
    columns = {
        "NAME": "name",
        "ALIAS": "alias",
        "DEPLOYMENTS": "deployments",
        "FALLBACK": "fallback",
        "SOURCE": "source",
    }
    out.rows(answer, answer["models"], columns, (), "no configured models")
    if out.for_people and answer["implicit"]:
        click.echo(f"callable as they are: {', '.join(answer['implicit'])}")


@model.command(epilog="Example: switchgear model add fast openai/gpt-4o-mini groq/llama-3.3-70b-versatile")
@click.argument("name")
@click.argument("targets", nargs=-1, required=True, metavar="PROVIDER/MODEL…")
@click.option("--strategy", type=click.Choice(["ordered"]), default="ordered", help="How targets are chosen.")
@with_client
def add(client: Client, out: Output, name: str, targets: tuple[str, ...], strategy: str) -> None:
    """Add a model name. Targets are tried in order: the next one when one fails."""
    deployments = []
    for tier, target in enumerate(targets, 1):
        provider, slash, upstream = target.partition("/")
        if not slash or not upstream:
            raise UserError(f"{target!r} must be PROVIDER/MODEL", "", 2)
        deployments.append(DeploymentEntry(provider=provider, model=upstream, tier=tier))
    entry = ModelEntry(name=name, deployments=tuple(deployments))
    client.call("POST", "/models", msgspec.json.encode(entry))
    out.one({"name": name, "deployments": list(targets)}, f"added {name} → {', then '.join(targets)}")


@model.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a model name."""
    confirm(f"Remove the model {name}?", yes)
    client.call("DELETE", f"/models/{segment(name)}")
    out.one({"name": name}, f"removed {name}")


@model.command(epilog="Example: switchgear model explain fast --key ci-bot")
@click.argument("name")
@click.option("--key", help="As this key would see it.")
@with_client
def explain(client: Client, out: Output, name: str, key: str | None) -> int:
    """Show where a request for a model would go, and why."""
    answer = client.call("GET", "/models/explain", model=name, key=key)
    if out.for_people:
        for step in answer["steps"]:
            click.echo(f"  {step}")
        for number, c in enumerate(answer["candidates"], 1):
            notes = [] if c["priced"] else ["no known price"]
            notes += [f"frozen: {subject}" for subject in c["frozen"]]
            click.echo(
                f"  {number}. {c['credential']} → {c['upstream_model']}" + (f"   ({'; '.join(notes)})" if notes else "")
            )
        click.echo("callable" if answer["callable"] else "not callable")
    else:
        out.json(answer)
    return 0 if answer["callable"] else 1
