"""The price of one model and the cost of one request, in exact integers. Level 1.

A rate is nano-USD per million tokens, so a cost is Σ tokens × rate, divided by a million and rounded once, half to even.
Long-context tiers move the whole request to the tier (providers reprice everything, not the marginal tokens).
"""

import hashlib
from typing import Any, Literal, get_args

import msgspec

from switchgear.core.money import NANO_PER_USD, format_usd, round_half_even
from switchgear.core.usage import TokenUsage

MTOK = 1_000_000
BASIS_POINTS = 10_000
DISCOUNT = "discount"

Meter = Literal[
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image",
    "image_in",
    "audio_cached",
    "image_cached",
    "video_in",
    "video_out",
    "citation",
]
# In the order of TokenUsage's fields: one bucket, one meter.
METERS: tuple[Meter, ...] = get_args(Meter)
# A bucket without a rate of its own is billed by its parent's meter.
PARENT: dict[Meter, Meter] = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_in": "input",
    "reasoning": "output",
    "audio_out": "output",
    "image": "output",
    "image_in": "input",
    "audio_cached": "cache_read",
    "image_cached": "cache_read",
    "video_in": "input",
    "video_out": "output",
    "citation": "output",
}


Unit = Literal[
    "images",
    "seconds",
    "characters",
    "searches",
    "web_searches",
    "file_searches",
    "containers",
    "maps_searches",
    "pages",
    "annotated_pages",
    "messages",
    "requests",
]
UNITS: tuple[Unit, ...] = get_args(Unit)
"""What pictures, sound, speech, rankings and the tools that a provider runs are counted in, beside tokens or instead of them.
`requests` is one for every answer, where a request has a price of its own."""
REQUESTS: Unit = "requests"


EXPLICIT = frozenset({"override", "deployment", "free"})
"""Sources of prices that an operator gave (`Price.source`); others are the snapshot's."""


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """Nano-USD per million tokens: a base, and for prompts over `start` tokens another. Tiers ascend."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, input_total: int) -> int:
        """Return the rate for a request with that many input tokens."""
        rate = self.base
        for start, tier in self.tiers:
            if input_total > start:
                rate = tier
        return rate


class Price(msgspec.Struct, frozen=True):
    """A resolved price: the rates that hold now, overrides by service tier, the discount."""

    model: str
    source: str
    """Where the numbers come from: "override", "deployment", or the snapshot's date."""
    rates: dict[Meter, Rate]
    tiers: dict[str, dict[Meter, Rate]] = {}
    discount_bp: int = 0
    """Discount in basis points of the list price."""
    units: dict[Unit, int] = {}
    """Nano-USD per million of what is not tokens. A unit without a rate costs nothing where tokens are charged."""
    apart: tuple[Meter, ...] = ()
    """Meters that are never billed by their parent's: without a rate of their own the cost is unknown."""
    unit_tiers: dict[str, dict[Unit, int]] = {}
    """Units' prices by service tier."""
    least: dict[Unit, int] = {}
    """The least that is charged of a unit where there is any."""

    @property
    def id(self) -> str:
        """A name for exactly these numbers; records carry it, so that a cost can be computed again."""
        numbers = msgspec.to_builtins(self)
        for name in ("units", "apart", "unit_tiers", "least"):  # what prices did not have once: they keep their names
            if not numbers[name]:
                del numbers[name]
        return hashlib.blake2b(msgspec.json.encode(numbers, order="sorted"), digest_size=8).hexdigest()

    def _rate(self, meter: Meter, tier: str | None) -> Rate | None:
        overrides = self.tiers.get(tier, {}) if tier else {}
        at: Meter | None = meter
        while at is not None:
            rate = overrides.get(at) or self.rates.get(at)
            if rate is not None:
                return rate
            at = None if at in self.apart else PARENT.get(at)
        return None

    def _unit(self, unit: Unit, tier: str | None) -> int | None:
        rate = self.unit_tiers.get(tier, {}).get(unit) if tier and self.unit_tiers else None
        return self.units.get(unit) if rate is None else rate


class CostLine(msgspec.Struct, frozen=True):
    """One meter of a cost. `unit_price` is nano-USD per million of the unit. The lines add up to the cost: the largest takes
    what rounding leaves over, and a discount is a line of its own, in basis points."""

    meter: str
    quantity: int
    unit: str
    unit_price: int
    cost_nanousd: int


class Cost(msgspec.Struct, frozen=True):
    """What a request costs."""

    list_nanousd: int
    nanousd: int
    lines: tuple[CostLine, ...]


def cost(
    price: Price, usage: TokenUsage | None, tier: str | None = None, units: dict[str, int] | None = None
) -> Cost | None:
    """Return the cost of a usage, or None when some tokens have no rate; without tokens, when some units have none.

    `tier` is the service tier that the provider reported in its response ("default", "flex", "priority").
    """
    total = 0
    lines: list[CostLine] = []
    if price.units and not price.rates:
        usage = None  # charged by the unit alone: tokens that are reported as well cost nothing more
    if price.units or units:
        counts: dict[str, Any] = {**(units or {}), REQUESTS: 1}
    else:
        counts = {}
    for unit in UNITS if counts else ():
        count = counts.get(unit, 0)
        rate = price._unit(unit, tier)
        if count and rate is not None:
            count = max(count, price.least.get(unit, 0))
            total += count * rate
            lines.append(CostLine(unit, count, unit, rate, round_half_even(count * rate, MTOK)))
        elif count and usage is None and unit != REQUESTS:
            return None
    if usage is None:
        if not lines:
            return None
        usage = TokenUsage()
    input_total = usage.input_total
    for meter, quantity in zip(METERS, msgspec.structs.astuple(usage), strict=True):
        if not quantity:
            continue
        found = price._rate(meter, tier)
        if found is None:
            return None
        rate = found.at(input_total)
        total += quantity * rate
        lines.append(CostLine(meter, quantity, "tokens", rate, round_half_even(quantity * rate, MTOK)))
    listed = round_half_even(total, MTOK)
    net = round_half_even(total * (BASIS_POINTS - price.discount_bp), MTOK * BASIS_POINTS)
    left = listed - sum(line.cost_nanousd for line in lines)
    if left:
        at = max(range(len(lines)), key=lambda at: lines[at].cost_nanousd)
        lines[at] = msgspec.structs.replace(lines[at], cost_nanousd=lines[at].cost_nanousd + left)
    if price.discount_bp:
        lines.append(CostLine(DISCOUNT, price.discount_bp, "basis_points", 0, net - listed))
    return Cost(listed, net, tuple(lines))


PROVIDER = "provider"
"""The line that leads from the list price to what the provider says that it charges."""


def together(first: Cost | None, *others: Cost | None) -> Cost | None:
    """Return the cost of an answer that several models had a part in; None when one is unknown."""
    if first is None:
        return None
    listed, net, lines = first.list_nanousd, first.nanousd, first.lines
    for other in others:
        if other is None:
            return None
        listed, net, lines = listed + other.list_nanousd, net + other.nanousd, lines + other.lines
    return Cost(listed, net, lines)


FAR = 10
FAR_NANOUSD = NANO_PER_USD // 4
"""Fees of tools that an answer does not count stand in what its provider states: a search costs 0.005 to 0.035 USD."""


def is_believed(computed_nanousd: int | None, stated_nanousd: int) -> bool:
    """Tell whether a cost that a provider states is booked: not one that is far from what its list comes to. Where there is no
    list price it is all that is known."""
    if computed_nanousd is None:
        return True
    return computed_nanousd <= stated_nanousd * FAR and stated_nanousd <= computed_nanousd * FAR + FAR_NANOUSD


def as_charged(computed: Cost | None, nanousd: int) -> Cost:
    """Return a cost that the provider itself states; what the list says stands beside it."""
    if computed is None:
        return Cost(nanousd, nanousd, (CostLine(PROVIDER, 1, PROVIDER, 0, nanousd),))
    left = nanousd - computed.nanousd
    lines = computed.lines if not left else (*computed.lines, CostLine(PROVIDER, 1, PROVIDER, 0, left))
    return Cost(computed.list_nanousd, nanousd, lines)


def per_mtok(price: Price) -> dict[str, str]:
    """Return the list price as decimals in USD per million tokens, by `input_per_mtok` and the like."""
    found = {}
    for meter, rate in price.rates.items():
        text = format_usd(rate.base).rstrip("0")
        found[f"{meter}_per_mtok"] = text.removesuffix(".") or "0"
    for unit, nano in price.units.items():
        name, factor = UNIT_PRICES[unit]
        text = format_usd(nano * factor // MTOK).rstrip("0")
        found[name] = text.removesuffix(".") or "0"
    return found


UNIT_PRICES: dict[Unit, tuple[str, int]] = {
    "images": ("per_image", 1),
    "seconds": ("per_second", 1),
    "characters": ("per_million_characters", MTOK),
    "searches": ("per_search", 1),
    "web_searches": ("per_web_search", 1),
    "file_searches": ("per_file_search", 1),
    "containers": ("per_container", 1),
    "maps_searches": ("per_maps_search", 1),
    "pages": ("per_page", 1),
    "annotated_pages": ("per_annotated_page", 1),
    "messages": ("per_message", 1),
    "requests": ("per_request", 1),
}
"""Unit → how its price is called, and for how many it is."""


_ALL = tuple(range(len(METERS)))
_INPUT, _OUTPUT = METERS.index("input"), METERS.index("output")


class Pricer:
    """The cost of a plain request, fast: rates are looked up once per price. One per resolution.

    Gives the same figure as `cost` for every usage (a property test says so).
    """

    __slots__ = ("_default", "price", "price_id")

    def __init__(self, price: Price) -> None:
        self.price = price
        self.price_id = price.id
        rates = [price._rate(meter, None) for meter in METERS]
        flat = price.discount_bp == 0 and all(rate is None or not rate.tiers for rate in rates)
        flat = flat and REQUESTS not in price.units
        self._default = [rate.base if rate else None for rate in rates] if flat else None

    def expect(self, input_tokens: int, output_tokens: int) -> int | None:
        """Return what a request may come to: its input, and as much output as it allows; None without these rates."""
        rates = self._default
        if rates is None or rates[0] is None or (output_tokens and rates[4] is None):
            return self.nanousd(TokenUsage(input=input_tokens, output=output_tokens), None)
        return round_half_even(rates[0] * input_tokens + (rates[4] or 0) * output_tokens, MTOK)

    def nanousd(self, usage: TokenUsage | None, tier: str | None, units: dict[str, int] | None = None) -> int | None:
        """Return the cost in nano-USD, or None when it is unknown (see `cost`)."""
        rates = self._default
        if (
            rates is None
            or usage is None
            or units
            or (tier is not None and (tier in self.price.tiers or tier in self.price.unit_tiers))
        ):
            computed = cost(self.price, usage, tier, units)
            return None if computed is None else computed.nanousd
        counts = msgspec.structs.astuple(usage)
        if usage.input is not None and usage.output is not None and counts.count(None) == len(counts) - 2:
            meters: tuple[int, ...] = (_INPUT, _OUTPUT)  # most answers have no other
        else:
            meters = _ALL
        total = 0
        for at in meters:
            if counts[at]:
                rate = rates[at]
                if rate is None:
                    return None
                total += rate * counts[at]
        return round_half_even(total, MTOK)
