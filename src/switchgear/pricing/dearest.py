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


def dearest(price: Price, input_max: int, tier: str | None, has_media: bool, writes_cache: bool) -> Dearest | None:
    """Return the dearest rates in reach of a request with at most so many tokens of input; None where tokens have no price.

    `tier`: the service tier that it asks for. `has_media`: pictures, sound or films may be in it. `writes_cache`: it asks that a
    part of it be kept.
    """
    read = (*_READ, *(_READ_MEDIA if has_media else ()), *(_CACHE_WRITES if writes_cache else ()))
    input_rate = _most(price, read, input_max, tier)
    output_rate = _most(price, _WRITTEN, input_max, tier)
    if price.units and not price.rates:
        return Dearest(0, 0)  # charged by the unit alone
    if input_rate is None or output_rate is None:
        return None
    return Dearest(_net(price, input_rate), _net(price, output_rate))


def _most(price: Price, meters: Collection[Meter], input_max: int, tier: str | None) -> int | None:
    found: int | None = None
    for name in {None, tier}:
        for meter in meters:
            rate = price._rate(meter, name)
            if rate is not None:
                steps = (rate.base, *(above for start, above in rate.tiers if input_max > start))
                found = max(steps) if found is None else max(found, *steps)
    return found


def _net(price: Price, rate: int) -> int:
    return -(-rate * (BASIS_POINTS - price.discount_bp) // BASIS_POINTS)


def fixed(price: Price, units: dict[Unit, int], tier: str | None) -> int:
    """Return what so many units cost at most in nano-USD: those that a request asks for, and itself where requests have a
    price."""
    total = 0
    for unit in UNITS:
        count = 1 if unit == REQUESTS else units.get(unit, 0)
        if count:
            rates = [rate for name in {None, tier} if (rate := price._unit(unit, name)) is not None]
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
