"""The shipped price snapshot and what the configuration puts over it. Level 1.

Data is handed in: `load(provider)` returns the bytes of that provider's file, or None. Files are read when a provider is
first priced, so an edge holds only what it uses. Order of precedence: a price on the deployment or model, an override
in `pricing.overrides`, the snapshot.
"""

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from switchgear.core.money import NANO_PER_USD
from switchgear.pricing.price import METERS, Meter, Price, Rate

Load = Callable[[str], bytes | None]


class _Clause(msgspec.Struct, frozen=True):
    or_: "list[_Clause] | None" = msgspec.field(default=None, name="or")
    and_: "list[_Clause] | None" = msgspec.field(default=None, name="and")
    equals: str | None = None
    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    regex: str | None = None

    def matches(self, model: str) -> bool:
        if self.or_ is not None:
            return any(clause.matches(model) for clause in self.or_)
        if self.and_ is not None:
            return all(clause.matches(model) for clause in self.and_)
        if self.equals is not None:
            return model == self.equals
        if self.starts_with is not None:
            return model.startswith(self.starts_with)
        if self.ends_with is not None:
            return model.endswith(self.ends_with)
        if self.regex is not None:
            return re.search(self.regex, model) is not None
        return self.contains is not None and self.contains in model


class _Row(msgspec.Struct, frozen=True):
    meters: dict[str, Any]
    from_: str | None = msgspec.field(default=None, name="from")
    daily_from: str | None = None
    daily_to: str | None = None
    tier: str | None = None

    def holds(self, at: datetime.datetime) -> bool:
        if self.from_ is not None and at.date().isoformat() < self.from_:
            return False
        if self.daily_from is not None and self.daily_to is not None:
            start, end = (datetime.time.fromisoformat(text) for text in (self.daily_from, self.daily_to))
            now = at.timetz().replace(tzinfo=start.tzinfo)
            return start <= now < end if start <= end else now >= start or now < end
        return True


class _Model(msgspec.Struct, frozen=True):
    id: str
    match: _Clause
    prices: list[_Row]
    variants: list[_Row] = []
    context_window: int | None = None


class _Provider(msgspec.Struct, frozen=True):
    id: str
    fallback: list[str]
    models: list[_Model]


_decode_provider = msgspec.json.Decoder(_Provider).decode


class ModelInfo(msgspec.Struct, frozen=True):
    """What the snapshot knows of a model besides its price."""

    id: str
    context_window: int | None


MATCHED_MAX = 10_000


class Catalog:
    """Finds prices. `overrides` maps "provider/model" to a price; `discounts_bp` maps a provider to basis points."""

    def __init__(
        self,
        load: Load,
        snapshot: str,
        overrides: dict[str, Price] | None = None,
        discounts_bp: dict[str, int] | None = None,
    ) -> None:
        self._load = load
        self._providers: dict[str, _Provider | None] = {}
        self._matched: dict[tuple[str, str], _Model | None] = {}
        self.snapshot = snapshot
        self._overrides = overrides or {}
        self._discounts = discounts_bp or {}

    def find(self, provider: str, pricing_id: str | None, model: str, at_ms: int) -> Price | None:
        """Return the price of an upstream model at a time, or None where it is unknown.

        `provider` is the configured name (overrides and discounts go by it), `pricing_id` the snapshot's name for it.
        """
        discount = self._discounts.get(provider, 0)
        override = self._overrides.get(f"{provider}/{model}")
        if override is not None:
            return msgspec.structs.replace(override, discount_bp=discount)
        info = self._matching(pricing_id, model) if pricing_id else None
        if info is None:
            return None
        return self._resolve(info, at_ms, discount)

    def models(self, pricing_id: str) -> list[ModelInfo]:
        """List the models that the snapshot prices for a provider."""
        provider = self._provider(pricing_id)
        return [ModelInfo(model.id, model.context_window) for model in provider.models] if provider else []

    def info(self, pricing_id: str, model: str) -> ModelInfo | None:
        """Return what the snapshot knows of an upstream model, by any of its names."""
        found = self._matching(pricing_id, model)
        return ModelInfo(found.id, found.context_window) if found is not None else None

    def _provider(self, pricing_id: str) -> _Provider | None:
        if pricing_id not in self._providers:
            data = self._load(pricing_id)
            self._providers[pricing_id] = _decode_provider(data) if data is not None else None
        return self._providers[pricing_id]

    def is_of(self, snapshot: str, overrides: dict[str, Price], discounts_bp: dict[str, int]) -> bool:
        """Tell whether it gives the prices of these."""
        return (self.snapshot, self._overrides, self._discounts) == (snapshot, overrides, discounts_bp)

    def _matching(self, pricing_id: str, model: str) -> _Model | None:
        """Find a model by its patterns, once per name: they are tried one after the other."""
        name = (pricing_id, model)
        if name not in self._matched:
            if len(self._matched) >= MATCHED_MAX:
                self._matched.clear()  # names are the clients' invention
            self._matched[name] = self._match(pricing_id, model)
        return self._matched[name]

    def _match(self, pricing_id: str, model: str) -> _Model | None:
        provider = self._provider(pricing_id)
        if provider is None:
            return None
        wanted = model.lower()
        for candidate in provider.models:
            if candidate.match.matches(wanted):
                return candidate
        for fallback in provider.fallback:
            found = self._match(fallback, model)
            if found is not None:
                return found
        return None

    def _resolve(self, info: _Model, at_ms: int, discount_bp: int) -> Price:
        at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
        row = next((row for row in reversed(info.prices) if row.holds(at)), info.prices[0])
        tiers: dict[str, dict[Meter, Rate]] = {}
        for variant in info.variants:
            if variant.tier is not None and variant.holds(at):
                for meter, rate in _rates(variant.meters).items():
                    tiers.setdefault(variant.tier, {}).setdefault(meter, rate)
        return Price(info.id, self.snapshot, _rates(row.meters), tiers, discount_bp)


def _rates(meters: dict[str, Any]) -> dict[Meter, Rate]:
    out: dict[Meter, Rate] = {}
    for meter in METERS:
        value = meters.get(meter)
        if isinstance(value, dict):
            tiers = tuple((int(start), nano_per_mtok(price)) for start, price in value["tiers"])
            out[meter] = Rate(nano_per_mtok(value["base"]), tiers)
        elif value is not None:
            out[meter] = Rate(nano_per_mtok(value))
    return out


USD_MAX = 1_000_000


def nano_per_mtok(text: str) -> int:
    """Turn USD per million tokens, a decimal, into nano-USD per million tokens. Raises ValueError when inexact."""
    usd = Decimal(text[:40])
    if not usd.is_finite() or not 0 <= usd <= USD_MAX:
        raise ValueError(f"{text[:40]!r} is not a price between 0 and {USD_MAX} USD")
    nano = usd * NANO_PER_USD
    if nano != nano.to_integral_value():
        raise ValueError(f"{text[:40]!r} is not a price of at most 9 decimal places")
    return int(nano)


FREE = Price("free", "free", dict.fromkeys(METERS, Rate(0)))
