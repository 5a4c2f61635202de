"""`switchgear model …`. Level 7."""

import shlex
import sys
from typing import Any

import click

from switchgear.cli import names
from switchgear.cli.base import Choice, Column, Group, Output, confirm, examples, name_argument, near, say, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError

STRATEGIES = ["ordered", "weighted", "least_busy", "lowest_latency", "lowest_cost", "sticky"]
"""As routing/strategies has them, which a test compares: loading that would make every command slower."""


@click.group(cls=Group)
def model() -> None:
    """Models: names that clients ask for, and where they are served."""


@model.command("list", epilog=examples("switchgear model list"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List configured models; every provider with a credential is also callable as provider/model."""
    answer = client.call("GET", "/models")
    columns = (
        Column("NAME", "name", "id"),
        Column("ALIAS", "alias"),
        Column("DEPLOYMENTS", "deployments", "list"),
        Column("HEALTH", "told_health", drop=3),
        Column("FROZEN", "frozen", "list", wide=True),
        Column("FALLBACK", "fallback", "list", drop=2),
        Column("SOURCE", "source", drop=1),
    )
    rows = [model | {"told_health": _health(model)} for model in answer["models"]]
    out.rows(answer, rows, columns, "no configured models")
    if out.for_people and answer["implicit"]:
        say(f"callable as they are: {', '.join(answer['implicit'])}")


def _health(model: dict[str, Any]) -> str | None:
    """Sum up whether a model is frozen, else how its deployments do; None before any was asked."""
    if model.get("frozen"):
        return "frozen"
    deployments: dict[str, str] = model["health"]
    failing = sum(health == "failing" for health in deployments.values())
    if failing:
        return "failing" if failing == len(deployments) else f"failing {failing} of {len(deployments)}"
    return "ok" if "ok" in deployments.values() else None


@model.command(epilog=examples("switchgear model health"))
@with_client
def health(client: Client, out: Output) -> None:
    """Show what was counted of each deployment (provider/model@credential) that was asked in the last 90 days."""
    answer = client.call("GET", "/deployments")
    columns = (
        Column("DEPLOYMENT", "deployment", "id"),
        Column("HEALTH", "health"),
        Column("BREAKER", "breaker", drop=8),
        Column("ATTEMPTS", "attempts", "number"),
        Column("FAILED", "failures", "number"),
        Column("IN A ROW", "failures_in_row", "number", drop=5),
        Column("LAST FAILURE", "last_failure", drop=3),
        Column("FAILED AT", "last_failure_ms", "time", drop=7),
        Column("GOOD AT", "last_success_ms", "time", drop=6),
        Column("P50 MS", "latency_p50_ms", "number", drop=2),
        Column("P95 MS", "latency_p95_ms", "number", drop=4),
        Column("FIRST TOKEN P50", "first_token_p50_ms", "number", wide=True),
        Column("SINCE", "since_ms", "time", wide=True),
    )
    out.rows(answer, answer["deployments"], columns, "no deployment was asked yet")


@model.command(
    epilog=examples(
        "switchgear model add fast openai/gpt-4o-mini groq/llama-3.3-70b-versatile",
        "switchgear model add spread openai/gpt-4o-mini groq/llama-3.3-70b-versatile --strategy weighted"
        " --weight openai/gpt-4o-mini=3 --rpm 600",
        "switchgear model add trial openai/gpt-4o-mini groq/llama-3.3-70b-versatile --tier 1"
        " --canary groq/llama-3.3-70b-versatile=5%",
    )
)
@click.option("--name", "name_option", hidden=True)
@click.argument("name")
@click.argument("targets", nargs=-1, metavar="PROVIDER/MODEL…", shell_complete=names.models)
@click.option("--team", shell_complete=names.teams, help="The team that alone sees and uses it; default: everybody.")
@click.option("--strategy", type=Choice(STRATEGIES, "strategy"), default="ordered", help="How targets are chosen.")
@click.option("--weight", multiple=True, metavar="[TARGET=]N", help="Its share, where the strategy goes by weight.")
@click.option("--tier", multiple=True, metavar="[TARGET=]N", help="Lower tiers are tried first; default: one each.")
@click.option("--label", multiple=True, metavar="[TARGET=]K=V", help="What is said of it, e.g. region=eu. Repeatable.")
@click.option(
    "--when",
    multiple=True,
    metavar="[TARGET=]K=V",
    help="Which requests it is for: tags, keys, teams, needs, without (with commas), tokens_min, tokens_max. Repeatable.",
)
@click.option(
    "--canary", multiple=True, metavar="[TARGET=]5%", help="The share of sessions that try it, and no others."
)
@click.option("--rpm", type=int, metavar="N", help="Requests per minute of the model, by all keys.")
@click.option("--tpm", type=int, metavar="N", help="Tokens per minute.")
@click.option("--parallel", type=int, metavar="N", help="Requests at once.")
@click.option(
    "--limit", "limits", multiple=True, metavar="RULE", help="Another limit, e.g. '5000 requests/day'. Repeatable."
)
@with_client
def add(
    client: Client,
    out: Output,
    name: str,
    name_option: str | None,
    targets: tuple[str, ...],
    strategy: str,
    team: str | None,
    **said: Any,
) -> None:
    """Add a model name. Targets are tried in order, or as the strategy says: the next one when one fails.

    What is said of targets holds for all of them, or for one: --weight openai/gpt-4o-mini=3.
    """
    if name_option is not None:
        name, targets = name_option, (name, *targets)
    if not targets:
        raise UserError("where is it served?", f"switchgear model add {shlex.quote(name)} PROVIDER/MODEL…", 2)
    import msgspec  # noqa: PLC0415

    from switchgear.cli import target_options  # noqa: PLC0415 - only here
    from switchgear.routing.table import ModelEntry  # noqa: PLC0415 - only here

    limits = target_options.limits(*(said.pop(option) for option in ("rpm", "tpm", "parallel", "limits")))
    deployments = target_options.deployments(targets, strategy == "ordered", said)
    entry = ModelEntry(name=name, deployments=tuple(deployments), strategy=strategy, limits=limits, team=team)
    client.call("POST", "/models", msgspec.json.encode(entry))
    out.one({"name": name, "deployments": list(targets)}, f"added {name} → {', then '.join(targets)}")


@model.command(epilog=examples("switchgear model remove fast --yes"))
@name_argument(names.models)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a model name."""
    confirm(f"Remove the model {name}?", yes)
    client.call("DELETE", f"/models/{segment(name)}")
    out.one({"name": name}, f"removed {name}")


@model.command(epilog=examples("switchgear model explain fast --key ci-bot"))
@name_argument(names.models)
@click.option("--key", shell_complete=names.keys, help="As this key would see it.")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="A tag of the request. Repeatable.")
@click.option("--session", help="Its session, or its client's user: for the strategy `sticky`.")
@click.option("--input-tokens", type=int, help="How long it is, about.")
@click.option("--output-tokens", type=int, help="How long its answer may become.")
@click.option("--needs", help="What it has: images, tools, json_schema, context, with commas between them.")
@with_client
def explain(client: Client, out: Output, name: str, key: str | None, needs: str | None, **said: Any) -> int:
    """Show where a request for a model would go, in which order, and why not elsewhere. Exit 1 when it goes nowhere."""
    import msgspec  # noqa: PLC0415

    given = {field: list(value) if field == "tags" else value for field, value in said.items() if value}
    if needs:
        given["needs"] = [word.strip() for word in needs.split(",")]
    if given:
        sample = {"model": name, **({"key": key} if key is not None else {}), **given}
        answer = client.call("POST", "/explain", msgspec.json.encode(sample))
    else:
        answer = client.call("GET", "/models/explain", model=name, key=key)
    if out.for_people:
        for step in answer["steps"]:
            say(f"  {step}")
        asked = sorted(answer["candidates"], key=lambda one: (one.get("place") is None, one.get("place") or 0))
        for candidate in asked:
            place = candidate.get("place")
            say(f"  {f'{place}.' if place is not None else '– '} {_candidate(candidate)}")
        frozen = answer.get("frozen") or []
        known = [] if answer["callable"] or frozen else [one["name"] for one in client.call("GET", "/models")["models"]]
        meant = near(name, known) if name not in known else ""
        if frozen:
            kind, _, stopped = frozen[0].partition(":")
            undo = f"switchgear unfreeze {kind}" + (f" {shlex.quote(stopped)}" if stopped else "")
            say(f"not callable: frozen is {', '.join(frozen)}   (undo: {undo})")
        else:
            say("callable" if answer["callable"] else f"not callable{meant}")
    elif out.kind == "csv":
        out.rows(answer, answer["candidates"], _CANDIDATE)
    else:
        out.json(answer)
    return 0 if answer["callable"] else 1


_CANDIDATE = (
    Column("CREDENTIAL", "credential", "id"),
    Column("MODEL", "upstream_model"),
    Column("PRICED", "priced"),
    Column("FROZEN", "frozen", "list"),
)


def _candidate(found: dict[str, Any]) -> str:
    notes = [] if found["priced"] else ["no known price"]
    notes += [f"frozen: {subject}" for subject in found["frozen"]]
    if found.get("left_out"):
        notes.append(f"not asked: {found['left_out']}")
    elif found.get("breaker", "closed") != "closed":
        notes.append(f"its breaker is open ({found['breaker']}): asked to see whether it is back")
    return f"{found['credential']} → {found['upstream_model']}" + (f"   ({'; '.join(notes)})" if notes else "")


@model.command(
    epilog=examples(
        "switchgear model test demo/echo",
        "switchgear model test fast",
        "switchgear model test openai/gpt-4o-mini --key sk-sg-…",
    )
)
@name_argument(names.models)
@click.option(
    "--key", envvar="SWITCHGEAR_KEY", help="A virtual key to ask with; default: one for this test, revoked after it."
)
@click.option("--url", help="The gateway's data plane as this machine reaches it; default: what the gateway says.")
@click.option(
    "--kind", type=Choice(("chat", "embeddings"), "kind"), default="chat", show_default=True, help="What it does."
)
@with_client
def test(client: Client, out: Output, name: str, key: str | None, url: str | None, kind: str) -> int:
    """Send a tiny real request through the gateway, and one to each deployment. Exit 1 when one fails.

    It is booked as any other, and may cost a fraction of a cent.
    """
    from switchgear.cli import trial  # noqa: PLC0415 - the other commands send no request

    rows = trial.run(client, name, key, url, kind)
    out.rows({"tests": rows}, rows, trial.COLUMNS)
    if out.for_people:
        for row in rows:
            if row["error"]:
                say(f"  ✗ {row['target']}: {row['error']}")
    failed = [row for row in rows if not row["ok"]]
    if failed:
        sys.stdout.flush()
    return 1 if failed else 0
