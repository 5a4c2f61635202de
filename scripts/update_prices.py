"""Write the shipped price snapshot from the genai-prices package (MIT): one JSON file per provider, decimals as text.

    .venv/bin/python scripts/update_prices.py            # needs the test requirements

Run it after raising genai-prices in requirements/test.in; the diff of src/switchgear/pricing/data is the review.
"""

import datetime
import importlib.metadata
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

OUT = Path(__file__).parent.parent / "src/switchgear/pricing/data"

METERS = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_in",
    "output_audio_mtok": "audio_out",
    "output_image_mtok": "image",
    "input_image_mtok": "image_in",
    "cache_audio_read_mtok": "audio_cached",
    "cache_image_read_mtok": "image_cached",
    "input_video_mtok": "video_in",
    "output_video_mtok": "video_out",
    "output_citation_mtok": "citation",
}
UNITS = {
    "web_searches_kcount": ("web_searches", 1_000),
    "storage_searches_kcount": ("file_searches", 1_000),
    "requests_kcount": ("requests", 1_000),
    "audio_hours": ("seconds", 3_600),
    "input_audio_hours": ("seconds", 3_600),
    "input_mchars": ("characters", 1_000_000),
    "input_document_kpages": ("pages", 1_000),
    "input_annotated_document_kpages": ("annotated_pages", 1_000),
    "input_text_messages_kcount": ("messages", 1_000),
}
"""Unit of genai-prices → ours, and for how many of ours its price is."""

ADDED: dict[tuple[str, str], dict[str, str]] = {
    ("openai", "gpt-4o-audio-preview"): {"audio_in": "40", "audio_out": "80"},
    ("openai", "gpt-4o-mini-audio-preview"): {"audio_in": "10", "audio_out": "20"},
}
"""USD per million tokens that genai-prices does not have. OpenAI, "Pricing", audio tokens of the models of 2024-12-17 and later."""

FREE = {"input": "0", "output": "0"}
"""A model that is listed without any price is free."""


def amount(value: Decimal) -> str:
    """USD per million tokens to nine places: some entries carry the dirt of a binary float."""
    return format(round(value, 9).normalize(), "f")


def meters(price: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in vars(price).items():
        if value is None or key in UNITS:
            continue
        if key not in METERS:
            raise SystemExit(f"unit {key!r} is not known: extend this script and pricing/price.py")
        if isinstance(value, types.TieredPrices):
            out[METERS[key]] = {"base": amount(value.base), "tiers": [[t.start, amount(t.price)] for t in value.tiers]}
        else:
            out[METERS[key]] = amount(value)
    return out


def units(price: Any) -> dict[str, str]:
    """USD for a million of what is not tokens, to nine places."""
    out: dict[str, str] = {}
    for key, (name, per) in UNITS.items():
        value = getattr(price, key, None)
        if value is not None:
            out[name] = amount(value * 1_000_000 / per)
    return out


def row(price: Any, more: dict[str, str]) -> dict[str, Any]:
    """The prices of one time or variant."""
    counted = units(price)
    return {"meters": {**more, **meters(price)}, **({"units": counted} if counted else {})}


def standard(price: Any, more: dict[str, str]) -> dict[str, Any]:
    """A standard price without any figure is free."""
    found = row(price, more)
    return found if found["meters"] or "units" in found else {"meters": FREE}


def tier_of(conditions: dict[str, str]) -> str:
    """What a variant is called: a service tier, a mode and a batch by their value, others with their kind."""
    ((kind, value),) = conditions.items()
    return value if kind in {"service_tier", "speed", "processing"} else f"{kind}:{value}"


def when(constraint: Any) -> dict[str, str]:
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    if isinstance(constraint, types.TimeOfDateConstraint):
        return {"daily_from": constraint.start_time.isoformat(), "daily_to": constraint.end_time.isoformat()}
    return {}


def clause_of(clause: Any) -> Any:
    match clause:
        case types.ClauseOr():
            return {"or": [clause_of(c) for c in clause.or_]}
        case types.ClauseAnd():
            return {"and": [clause_of(c) for c in clause.and_]}
        case types.ClauseEquals():
            return {"equals": clause.equals}
        case types.ClauseStartsWith():
            return {"starts_with": clause.starts_with}
        case types.ClauseEndsWith():
            return {"ends_with": clause.ends_with}
        case types.ClauseContains():
            return {"contains": clause.contains}
        case types.ClauseRegex():
            return {"regex": clause.regex}
    raise SystemExit(f"clause {clause!r} is not supported: extend this script and pricing/catalog.py")


def model(provider: str, info: Any) -> dict[str, Any]:
    more = ADDED.get((provider, info.id), {})
    prices = (
        [{**when(p.constraint), **standard(p.prices, more)} for p in info.prices]
        if isinstance(info.prices, list)
        else [standard(info.prices, more)]
    )
    variants = [{"tier": tier_of(v.when), **when(v.constraint), **row(v.prices, {})} for v in info.price_variants or ()]
    out: dict[str, Any] = {"id": info.id, "match": clause_of(info.match), "prices": prices}
    if info.context_window:
        out["context_window"] = info.context_window
    if variants:
        out["variants"] = variants
    return out


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.json"):
        old.unlink()
    count = 0
    for provider in providers:
        models = [model(provider.id, info) for info in provider.models]
        count += len(models)
        body = {"id": provider.id, "fallback": provider.fallback_model_providers or [], "models": models}
        (OUT / f"{provider.id}.json").write_text(json.dumps(body, separators=(",", ":")) + "\n")
    index = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "source": f"genai-prices {importlib.metadata.version('genai-prices')}",
        "licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        "providers": sorted(p.id for p in providers),
    }
    (OUT / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(providers)} providers, {count} models")


if __name__ == "__main__":
    main()
