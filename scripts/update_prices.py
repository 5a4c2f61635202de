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
}


def amount(value: Decimal) -> str:
    """USD per million tokens to nine places: some entries carry the dirt of a binary float."""
    return format(round(value, 9).normalize(), "f")


def meters(price: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in vars(price).items():
        name = METERS.get(key)
        if name is None or value is None:
            continue
        if isinstance(value, types.TieredPrices):
            out[name] = {"base": amount(value.base), "tiers": [[t.start, amount(t.price)] for t in value.tiers]}
        else:
            out[name] = amount(value)
    return out


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


def model(info: Any) -> dict[str, Any] | None:
    standard = info.prices if isinstance(info.prices, list) else None
    prices = (
        [{**when(p.constraint), "meters": meters(p.prices)} for p in standard]
        if standard is not None
        else [{"meters": meters(info.prices)}]
    )
    if not any(p["meters"] for p in prices):
        return None
    variants = [
        {"tier": v.when["service_tier"], **when(v.constraint), "meters": meters(v.prices)}
        for v in info.price_variants or ()
        if set(v.when) == {"service_tier"} and meters(v.prices)
    ]
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
        models = [m for m in map(model, provider.models) if m]
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
