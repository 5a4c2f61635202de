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
from switchgear.pricing.price import METERS, MTOK, Meter, Price, Rate, Unit

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
            return re.search(self.regex, model, re.IGNORECASE) is not None
        return self.contains is not None and self.contains in model


class _Row(msgspec.Struct, frozen=True):
    meters: dict[str, Any]
    units: dict[Unit, str] = {}
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


_decode_clauses = msgspec.json.Decoder(_Provider).decode


def _decode_provider(data: bytes) -> _Provider:
    """Names are compared in small letters on both sides: makers and their resellers do not agree on the case."""
    provider = _decode_clauses(data)
    models = [msgspec.structs.replace(model, match=_lower(model.match)) for model in provider.models]
    return msgspec.structs.replace(provider, models=models)


def _lower(clause: _Clause) -> _Clause:
    def small(text: str | None) -> str | None:
        return text.lower() if text is not None else None

    return _Clause(
        or_=[_lower(one) for one in clause.or_] if clause.or_ is not None else None,
        and_=[_lower(one) for one in clause.and_] if clause.and_ is not None else None,
        equals=small(clause.equals),
        starts_with=small(clause.starts_with),
        ends_with=small(clause.ends_with),
        contains=small(clause.contains),
        regex=clause.regex,
    )


class ModelInfo(msgspec.Struct, frozen=True):
    """What the snapshot knows of a model besides its price."""

    id: str
    context_window: int | None


REGIONAL = "@regional"
"""Behind the name of a provider's list: its prices where a region is promised ("google@regional")."""


class Surcharge(msgspec.Struct, frozen=True):
    """What a provider charges more where it promises a region."""

    hosts: str
    """A pattern of the hosts that promise one."""
    models: str
    """A pattern of the models that cost more there, in small letters."""
    factor: tuple[int, int] = (11, 10)


_NO_HOST = r"(?!)"
"""Where the address does not say it, and the configuration must."""
SURCHARGES = {
    "google": Surcharge(
        r"[a-z0-9-]+-aiplatform\.googleapis\.com|aiplatform\.[a-z]+\.rep\.googleapis\.com",
        r"claude-((opus|sonnet|haiku)-4-[5-9]|[a-z]+-[5-9])|gemini-(3\.[5-9]|[4-9])",
    ),
    "openai": Surcharge(r"[a-z]{2}\.api\.openai\.com", r"gpt-(5\.[4-9]|[6-9])|gpt-realtime-[2-9]"),
    "x-ai": Surcharge(r"us\.api\.x\.ai", r"grok-"),
    "azure": Surcharge(_NO_HOST, r"gpt-(4o|4\.[1-9]|[5-9])|o[134]\b"),
}
"""Ten per cent more each, read 2026-11-27. Vertex: Claude from 4.5 on at regions and multi-regions (platform.claude.com, "Claude
on Vertex AI", "Global vs regional endpoints"), Gemini from 3.5 on (Google Cloud, "Generative AI pricing", as in litellm#37543,
promptfoo#10389 and truefoundry/models#2180). OpenAI: "data residency endpoints … models released on or after March 5, 2026"
(developers.openai.com, "Data residency"; litellm#31136 for the models). xAI: docs.x.ai, "Regional Endpoints". Azure: deployments of
a data zone or a region cost 1.1 times the global ones (Azure OpenAI, "Pricing", as in litellm#38370 and #37823 for each tier and
for cached input, read 2026-11-28). Bedrock's list names regional and global profiles apart."""


def list_of(pricing_id: str | None, host: str) -> str | None:
    """Return the name of the list that holds at a host: the provider's, or that with its surcharge for regions."""
    surcharge = SURCHARGES.get(pricing_id or "")
    return f"{pricing_id}{REGIONAL}" if surcharge is not None and re.fullmatch(surcharge.hosts, host) else pricing_id


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
        return self._resolve(info, at_ms, discount, pricing_id or "")

    def models(self, pricing_id: str) -> list[ModelInfo]:
        """List the models that the snapshot prices for a provider."""
        provider = self._provider(pricing_id)
        return [ModelInfo(model.id, model.context_window) for model in provider.models] if provider else []

    def info(self, pricing_id: str, model: str) -> ModelInfo | None:
        """Return what the snapshot knows of an upstream model, by any of its names."""
        found = self._matching(pricing_id, model)
        return ModelInfo(found.id, found.context_window) if found is not None else None

    def _provider(self, pricing_id: str) -> _Provider | None:
        pricing_id = pricing_id.removesuffix(REGIONAL)
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

    def _resolve(self, info: _Model, at_ms: int, discount_bp: int, pricing_id: str) -> Price:
        is_regional, pricing_id = pricing_id.endswith(REGIONAL), pricing_id.removesuffix(REGIONAL)
        at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
        row = next((row for row in reversed(info.prices) if row.holds(at)), info.prices[0])
        rates = _rates(row.meters)
        for meter, nano in _METERS.get(pricing_id, {}).get(info.id, {}).items():
            rates.setdefault(meter, Rate(nano))
        tiers: dict[str, dict[Meter, Rate]] = {}
        unit_tiers: dict[str, dict[Unit, int]] = {}
        for variant in info.variants:
            if variant.tier is None or not variant.holds(at):
                continue
            for meter, rate in _rates(variant.meters).items():
                tiers.setdefault(variant.tier, {}).setdefault(meter, rate)
            for unit, text in variant.units.items():
                unit_tiers.setdefault(variant.tier, {}).setdefault(unit, nano_per_mtok(text, UNIT_USD_MAX))
        for tier, factor in _TIERS.get(pricing_id, {}).items():
            below = tier.rpartition("+")[0]
            if tier not in tiers and (not below or below in tiers):
                known = {**rates, **tiers.get(below, {})}
                tiers[tier] = _all_scaled(known, factor)
        surcharge = SURCHARGES.get(pricing_id) if is_regional else None
        if surcharge is not None and re.match(surcharge.models, info.id):
            rates = _all_scaled(rates, surcharge.factor)
            tiers = {tier: _all_scaled(found, surcharge.factor) for tier, found in tiers.items()}
        units = {unit: nano_per_mtok(text, UNIT_USD_MAX) for unit, text in row.units.items()}
        for unit, nano in _TOOLS.get(pricing_id, {}).items():
            units.setdefault(unit, nano)
        if pricing_id == "google" and (searched := units.get("web_searches")) in _MAPS:
            units.setdefault("maps_searches", _MAPS[searched])
        apart = _APART if pricing_id in _AUDIO_APART else ()
        least = _LEAST.get(pricing_id, {}) if "seconds" in units else {}
        return Price(info.id, self.snapshot, rates, tiers, discount_bp, units, apart, unit_tiers, least)


_APART: tuple[Meter, ...] = ("audio_in", "audio_out")
_AUDIO_APART = frozenset({"openai", "azure"})
"""Where sound never costs what text costs (OpenAI, "Pricing", audio tokens)."""
_KILO = NANO_PER_USD // 1_000 * MTOK
"""Nano-USD per million, for each USD per thousand."""
_TOOLS: dict[str, dict[Unit, int]] = {
    "openai": {"containers": 30 * _KILO},
    "azure": {"containers": 30 * _KILO},
    "x-ai": {"web_searches": 5 * _KILO, "containers": 5 * _KILO, "file_searches": 5 * _KILO // 2},
}
"""What tools cost that a provider runs, where the snapshot does not know it: a session of a container of the code interpreter or
the shell, for each GB of its memory (OpenAI and Azure OpenAI, "Pricing": 1 GB 0.03, 4 GB 0.12, 16 GB 0.48, 64 GB 1.92 USD for
20 minutes, as in simonw/llm#1592, read 2026-11-27; where sessions are charged by the minute, 20 are booked); calls of xAI's tools
(docs.x.ai/developers/pricing, read 2026-11-27)."""
_METERS: dict[str, dict[str, dict[Meter, int]]] = {"cohere": {"embed-v4.0": {"image_in": 470_000_000}}}
"""What the snapshot has no rate of: nano-USD per million tokens of the pictures that Cohere embeds ("Embed 4", 0.47 USD; Cohere,
"Pricing", as repeated by developer.puter.com in June 2026, read 2026-11-27)."""
_MAPS = {35 * _KILO: 25 * _KILO, 14 * _KILO: 14 * _KILO}
"""Grounding with Google Maps, by what a search of the web costs: 25 USD for a thousand prompts of Gemini 2, 14 for a thousand
queries since Gemini 3 (Google, "Gemini API pricing", through the release notes of TokenMeter 0.14, read 2026-11-27)."""
_LEAST: dict[str, dict[Unit, int]] = {"groq": {"seconds": 10}}
"""The least that is charged of a unit (Groq, "Speech to Text": a minimum of 10 seconds a request)."""
_TIERS: dict[str, dict[str, tuple[int, int]]] = {
    "aws": {"flex": (1, 2), "priority": (7, 4)},
    "google": {"flex": (1, 2), "priority": (9, 5)},
    "anthropic": {"us": (11, 10), "fast+us": (11, 10)},
}
"""Service tiers that a provider prices for all its models alike, in parts of the standard price, where the snapshot has no
figures of the tier: Amazon Bedrock, "Pricing" (flex 50 % less, priority 75 % more); Google, "Gemini API pricing" (flex 50 %
less, as a batch; priority 80 % more, as the snapshot has it for the models that it knows it of, within the 75 to 100 % of
ai.google.dev/gemini-api/docs/optimization, read 2026-11-27); Anthropic, "Pricing" (inference in the United States alone 10 % more,
also than its fast mode); 2026-11. A `+` names a tier that a further one is put on."""


def _scaled(rate: Rate, factor: tuple[int, int]) -> Rate:
    above, below = factor
    return Rate(rate.base * above // below, tuple((start, nano * above // below) for start, nano in rate.tiers))


def _all_scaled(rates: dict[Meter, Rate], factor: tuple[int, int]) -> dict[Meter, Rate]:
    return {meter: _scaled(rate, factor) for meter, rate in rates.items()}


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
UNIT_USD_MAX = 1_000_000_000
"""For a million of what is not tokens."""


def nano_per_mtok(text: str, usd_max: int = USD_MAX) -> int:
    """Turn USD per million tokens, a decimal, into nano-USD per million tokens. Raises ValueError when inexact."""
    usd = Decimal(text[:40])
    if not usd.is_finite() or not 0 <= usd <= usd_max:
        raise ValueError(f"{text[:40]!r} is not a price between 0 and {usd_max} USD")
    nano = usd * NANO_PER_USD
    if nano != nano.to_integral_value():
        raise ValueError(f"{text[:40]!r} is not a price of at most 9 decimal places")
    return int(nano)


FREE = Price("free", "free", dict.fromkeys(METERS, Rate(0)))
