"""The most that a request may cost by a price, before it is sent. Level 1, pure.

Every meter and tier that is in reach counts with the dearest of them: a bound that is proven beats one that is close
(docs/invariants.md N4).
"""

from collections.abc import Collection

import msgspec

from switchgear.pricing.price import BASIS_POINTS, REQUESTS, UNITS, Meter, Price, Unit

_CACHE_WRITES: tuple[Meter, ...] = ("cache_write_5m", "cache_write_1h")
_READ: tuple[Meter, ...] = ("input", "cache_read")
_READ_MEDIA: tuple[Meter, ...] = ("audio_in", "image_in", "video_in", "audio_cached", "image_cached")
_WRITTEN: tuple[Meter, ...] = ("output", "reasoning", "audio_out", "image", "video_out", "citation")


class Dearest(msgspec.Struct, frozen=True):
    """Nano-USD per million tokens, discount taken off."""

    input_per_mtok: int
    output_per_mtok: int


Tiers = Collection[str | None]
"""Names of service tiers; None: the price without one."""
_MODES = frozenset({"fast", "us"})
"""Parts of tiers' names that are no service tier: Anthropic's fast mode and its surcharge for one country."""


def tiers(price: Price, named: str | None, is_left_open: bool, modes: Collection[str]) -> Tiers:
    """Return the tiers of a price that a request may be billed by: the one it names, and every one where the provider chooses
    (`is_left_open`); with those modes (`fast`, `us`) that are in its reach."""
    found: set[str | None] = {None}
    for name in (*price.tiers, *price.unit_tiers):
        parts = set(name.split("+"))
        service = parts - _MODES
        if (parts & _MODES) <= set(modes) and (not service or is_left_open or service == {named}):
            found.add(name)
    return found


def dearest(price: Price, input_max: int, within: Tiers, has_media: bool, writes_cache: bool) -> Dearest | None:
    """Return the dearest rates in reach of a request with at most so many tokens of input; None where tokens have no price.

    `within`: the tiers that it may be billed by (`tiers`). `has_media`: pictures, sound or films may be in it. `writes_cache`: it
    asks that a part of it be kept.
    """
    read = (*_READ, *(_READ_MEDIA if has_media else ()), *(_CACHE_WRITES if writes_cache else ()))
    input_rate = _most(price, read, input_max, within)
    output_rate = _most(price, _WRITTEN, input_max, within)
    if price.units and not price.rates:
        return Dearest(0, 0)  # charged by the unit alone
    if input_rate is None or output_rate is None:
        return None
    return Dearest(_net(price, input_rate), _net(price, output_rate))


def _most(price: Price, meters: Collection[Meter], input_max: int, within: Tiers) -> int | None:
    found: int | None = None
    for name in within:
        for meter in meters:
            rate = price._rate(meter, name)
            if rate is not None:
                steps = (rate.base, *(above for start, above in rate.tiers if input_max > start))
                found = max(steps) if found is None else max(found, *steps)
    return found


def _net(price: Price, rate: int) -> int:
    return -(-rate * (BASIS_POINTS - price.discount_bp) // BASIS_POINTS)


def fixed(price: Price, units: dict[Unit, int], within: Tiers) -> int:
    """Return what so many units cost at most in nano-USD: those that a request asks for, and itself where requests have a
    price."""
    total = 0
    for unit in UNITS:
        count = 1 if unit == REQUESTS else units.get(unit, 0)
        if count:
            rates = [rate for name in within if (rate := price._unit(unit, name)) is not None]
            total += max(count, price.least.get(unit, 0)) * max(rates, default=0)
    return -(-total * (BASIS_POINTS - price.discount_bp) // (BASIS_POINTS * 1_000_000))


def is_free(price: Price) -> bool:
    """Tell whether nothing costs anything by a price."""
    every = [price.rates, *price.tiers.values()]
    rates = [rate for table in every for rate in table.values()]
    units = [price.units, *price.unit_tiers.values()]
    return all(not rate.base and not any(above for _, above in rate.tiers) for rate in rates) and not any(
        any(table.values()) for table in units
    )
