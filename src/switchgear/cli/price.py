"""`switchgear price …`. Level 7."""

from typing import Any

import click
import msgspec

from switchgear.cli.base import Group, Output, with_client
from switchgear.cli.client import Client
from switchgear.config import schema
from switchgear.config.compile import build_price
from switchgear.core.errors import UserError
from switchgear.pricing.catalog import FREE


@click.group(cls=Group)
def price() -> None:
    """Prices: shipped list prices, and what is put over them."""


def _row(found: dict[str, Any]) -> dict[str, Any]:
    rates = found["rates"]
    return {
        **found,
        **{meter: rates[meter]["usd_per_mtok"] + ("*" if rates[meter]["tiers"] else "") for meter in rates},
    }


_COLUMNS = {
    "MODEL": "model",
    "INPUT": "input",
    "CACHE READ": "cache_read",
    "CACHE WRITE": "cache_write_5m",
    "OUTPUT": "output",
    "SOURCE": "source",
    "DISCOUNT %": "discount_percent",
    "REASONING": "reasoning",
    "AUDIO IN": "audio_in",
}


@price.command("list", epilog="Example: switchgear price list --provider openai")
@click.option("--provider", help="All models that the snapshot prices for a provider.")
@with_client
def list_(client: Client, out: Output, provider: str | None) -> None:
    """List prices in USD per million tokens: overrides, and a provider's list prices."""
    answer = client.call("GET", "/prices", provider=provider)
    out.rows(
        answer,
        [_row(found) for found in answer["prices"]],
        _COLUMNS,
        ("discount_percent", "reasoning", "audio_in"),
        "no overrides; list prices: switchgear price list --provider openai",
    )


@price.command(epilog="Example: switchgear price show openai/gpt-4o-mini")
@click.argument("model")
@with_client
def show(client: Client, out: Output, model: str) -> None:
    """Show the price that a request for PROVIDER/MODEL is charged."""
    answer = client.call("GET", "/prices/show", model=model)
    if not out.for_people:
        out.json(answer)
        return
    click.echo(f"{answer['model']}   matches {answer['matched']}   source {answer['source']}")
    for meter, rate in answer["rates"].items():
        tiers = "".join(f"; over {t['above_input_tokens']} input tokens {t['usd_per_mtok']}" for t in rate["tiers"])
        click.echo(f"  {meter:<15} {rate['usd_per_mtok']:>10} USD per million tokens{tiers}")
    for name, text in answer["units"].items():
        click.echo(f"  {name.removeprefix('per_'):<15} {text:>10} USD {name.replace('_', ' ')}")


@price.command("set", epilog="Example: switchgear price set local/qwen3 --input 0.10 --output 0.30   ·   … --free")
@click.argument("model")
@click.option("--input", "input_", help="USD per million input tokens.")
@click.option("--output", "output_price", help="USD per million output tokens.")
@click.option("--cache-read", help="USD per million cached input tokens.")
@click.option("--per-image", help="USD for a picture.")
@click.option("--per-second", help="USD for a second of sound.")
@click.option("--per-million-characters", help="USD for a million characters of speech.")
@click.option("--per-search", help="USD for a ranking.")
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
    """Put a price over the shipped one."""
    if "/" not in model:
        raise UserError(f"{model!r} must be PROVIDER/MODEL", "", 2)
    if free == bool(input_ or output_price or cache_read or any(units.values())):
        raise UserError("give prices, or --free", "see switchgear price set --help", 2)
    try:
        spec = schema.PriceSpec(
            input_per_mtok=input_, output_per_mtok=output_price, cache_read_per_mtok=cache_read, **units
        )
        made = FREE if free else build_price(model.partition("/")[2], spec, "override")
    except ValueError as exc:
        raise UserError(str(exc), "", 2) from None
    answer = client.call("PUT", "/prices", msgspec.json.encode({"name": model, "price": made}))
    out.one(answer, f"{model} is priced; new requests are charged so")
