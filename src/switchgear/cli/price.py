"""`switchgear price …`. Level 7."""

import shlex
from typing import Any

import click

from switchgear.cli import names
from switchgear.cli.base import Column, Group, Output, examples, near, note, say, with_client
from switchgear.cli.client import Client
from switchgear.core.errors import UserError


@click.group(cls=Group)
def price() -> None:
    """Prices: shipped list prices, and what is put over them."""


def _row(found: dict[str, Any]) -> dict[str, Any]:
    rates = found["rates"]
    return {
        **found,
        **{meter: rates[meter]["usd_per_mtok"] + ("*" if rates[meter]["tiers"] else "") for meter in rates},
    }


COLUMNS = (
    Column("MODEL", "model", "id"),
    Column("INPUT", "input", "number"),
    Column("CACHE READ", "cache_read", "number", drop=3),
    Column("CACHE WRITE", "cache_write_5m", "number", drop=4),
    Column("OUTPUT", "output", "number"),
    Column("SOURCE", "source", drop=2),
    Column("DISCOUNT %", "discount_percent", "number", wide=True),
    Column("REASONING", "reasoning", "number", wide=True),
    Column("AUDIO IN", "audio_in", "number", wide=True),
)


@price.command("list", epilog=examples("switchgear price list", "switchgear price list --provider openai"))
@click.option("--provider", shell_complete=names.addable, help="All models that the snapshot prices for a provider.")
@with_client
def list_(client: Client, out: Output, provider: str | None) -> None:
    """List prices in USD per million tokens: overrides, and a provider's list prices. * has tiers by length."""
    if provider is not None:
        known = _providers(client)
        if provider not in known:
            raise UserError(
                f"there is no provider {provider!r}{near(provider, known)}", "see switchgear provider list", 2
            )
    answer = client.call("GET", "/prices", provider=provider)
    empty = (
        f"no prices of {provider}" if provider else "no overrides; list prices: switchgear price list --provider openai"
    )
    out.rows(answer, [_row(found) for found in answer["prices"]], COLUMNS, empty)


def _providers(client: Client) -> set[str]:
    answer = client.call("GET", "/providers")
    return {found["name"] for found in answer["providers"]} | set(answer["catalogue"])


def targets_of(client: Client, model: str) -> list[str]:
    """Return where a model is served, as provider/model: a configured name's deployments, or itself. Raises UserError."""
    configured = {found["name"] for found in client.call("GET", "/models")["models"]}
    if model in configured:
        explained = client.call("GET", "/models/explain", model=model)
        found = list(dict.fromkeys(f"{c['provider']}/{c['upstream_model']}" for c in explained["candidates"]))
        if not found:
            raise UserError(f"{model!r} is served nowhere now", f"see switchgear model explain {shlex.quote(model)}", 2)
        return found
    known = _providers(client)
    provider, slash, rest = model.partition("/")
    if not slash or not rest:
        raise UserError(
            f"{model!r} is neither a configured model nor PROVIDER/MODEL{near(model, configured)}",
            "e.g. openai/gpt-4o-mini; configured ones: switchgear model list",
            2,
        )
    if provider not in known:
        raise UserError(
            f"there is no provider {provider!r}{near(provider, known)}", "add it first: switchgear provider add", 2
        )
    return [model]


@price.command(epilog=examples("switchgear price show openai/gpt-4o-mini", "switchgear price show fast"))
@click.argument("model", shell_complete=names.models)
@with_client
def show(client: Client, out: Output, model: str) -> None:
    """Show the price that a request for a model is charged: PROVIDER/MODEL, or a configured name with all its deployments."""
    answers = [client.call("GET", "/prices/show", model=target) for target in targets_of(client, model)]
    if out.kind == "csv":
        out.rows(answers, [_row(found) for found in answers], COLUMNS)
    elif not out.for_people:
        out.json(answers[0] if len(answers) == 1 else {"model": model, "prices": answers})
    else:
        for answer in answers:
            _show(model, answer)


def _show(asked: str, answer: dict[str, Any]) -> None:
    of = f"{asked} → " if asked != answer["model"] else ""
    say(f"{of}{answer['model']}   matches {answer['matched']}   source {answer['source']}")
    for meter, rate in answer["rates"].items():
        tiers = "".join(f"; over {t['above_input_tokens']} input tokens {t['usd_per_mtok']}" for t in rate["tiers"])
        say(f"  {meter:<15} {rate['usd_per_mtok']:>10} USD per million tokens{tiers}")
    for name, text in answer["units"].items():
        say(f"  {name.removeprefix('per_'):<15} {text:>10} USD {name.replace('_', ' ')}")
    if not answer["rates"] and not answer["units"]:
        say("  free")


@price.command(
    "set",
    epilog=examples(
        "switchgear price set local/qwen3 --input 0.10 --output 0.30",
        "switchgear price set openai/gpt-4o-mini --input 0.15 --output 0.60",
        "switchgear price set local/qwen3 --free",
    ),
)
@click.argument("model", shell_complete=names.models)
@click.option("--input", "input_", metavar="USD", help="USD per million input tokens.")
@click.option("--output", "output_price", metavar="USD", help="USD per million output tokens.")
@click.option("--cache-read", metavar="USD", help="USD per million cached input tokens.")
@click.option("--per-image", metavar="USD", help="USD for a picture.")
@click.option("--per-second", metavar="USD", help="USD for a second of sound.")
@click.option("--per-million-characters", metavar="USD", help="USD for a million characters of speech.")
@click.option("--per-search", metavar="USD", help="USD for a ranking.")
@click.option("--free", is_flag=True, help="It costs nothing.")
@with_client
def set_(
    client: Client,
    out: Output,
    model: str,
    input_: str | None,
    output_price: str | None,
    cache_read: str | None,
    free: bool,
    **units: str | None,
) -> None:
    """Put a price over the shipped one, for PROVIDER/MODEL or a configured name that leads to one."""
    import msgspec  # noqa: PLC0415

    from switchgear.config import schema  # noqa: PLC0415
    from switchgear.config.compile import build_price  # noqa: PLC0415
    from switchgear.pricing.catalog import FREE  # noqa: PLC0415 - only here

    given = {"--input": input_, "--output": output_price, "--cache-read": cache_read}
    given |= {f"--{name.replace('_', '-')}": text for name, text in units.items()}
    if free == any(text is not None for text in given.values()):
        raise UserError(
            "give prices, or --free alone" if free else "no price was given",
            "e.g. --input 0.10 --output 0.30: USD per million tokens",
            2,
        )
    targets = targets_of(client, model)
    if len(targets) > 1:
        raise UserError(
            f"{model!r} is served in {len(targets)} places, each with a price of its own",
            f"set one: switchgear price set {shlex.quote(targets[0])} …   ({', '.join(targets)})",
            2,
        )
    target = targets[0]
    try:
        spec = schema.PriceSpec(
            input_per_mtok=input_, output_per_mtok=output_price, cache_read_per_mtok=cache_read, **units
        )
        made = FREE if free else build_price(target.partition("/")[2], spec, "override")
    except ValueError as exc:
        raise UserError(str(exc), "write decimals in USD, e.g. 0.15", 2) from None
    answer = client.call("PUT", "/prices", msgspec.json.encode({"name": target, "price": made}))
    by = f" (what {model} leads to)" if model != target else ""
    said = ", ".join(f"{name.removeprefix('--')} {text}" for name, text in given.items() if text is not None)
    out.one(answer, f"{target}{by} costs {said + ' USD' if said else 'nothing'}; new requests are charged so")
    lacking = [name for name in ("--input", "--output") if given[name] is None]
    if len(lacking) == 1:
        kind = lacking[0].removeprefix("--")
        note(
            f"warning: without a price of {kind} tokens the cost of requests that have any stays unknown\n"
            f"  repeat it with {lacking[0]} USD (0 where it costs nothing): a new price replaces the whole one"
        )
