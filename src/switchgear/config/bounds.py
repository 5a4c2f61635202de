"""Between what every number of a configuration must lie. Level 1. A number without a row here fails a test."""

from collections.abc import Iterator
from typing import Any

import msgspec

from switchgear.config import schema
from switchgear.core import limit_rule, organisation
from switchgear.core.budget_rule import BudgetSpec

LIMITS: dict[str, tuple[float, float]] = dict.fromkeys(limit_rule.SHORT_NAMES, (1, limit_rule.AMOUNT_MAX))
"""Of the limits that have names of their own."""
BOUNDS: dict[type[msgspec.Struct], dict[str, tuple[float, float]]] = {
    schema.Config: {"version": (1, 1), "workers": (1, 64)},
    schema.Limits: {
        "body_bytes_max": (1_024, 67_108_864),
        "head_bytes_max": (1_024, 1_048_576),
        "headers_max": (8, 1_000),
        "url_bytes_max": (256, 65_536),
        "head_s": (0.1, 3_600),
        "body_grace_s": (0, 3_600),
        "body_rate_min": (0, 1_000_000_000),
        "keep_alive_s": (1, 86_400),
        "write_stall_s": (1, 3_600),
        "connections_max": (1, 1_000_000),
        "connections_per_address_max": (1, 1_000_000),
        "wait_s": (0, 600),
    },
    schema.Ceilings: {
        "requests_per_s": (0, 1_000_000),
        "concurrency": (0, 1_000_000),
        "bytes_per_hour": (0, 1 << 60),
    },
    schema.Deployment: {"tier": (0, 1_000), "weight": (0.000_001, 1_000_000), **LIMITS},
    schema.Provider: LIMITS,
    schema.Model: LIMITS,
    schema.Organisation: LIMITS,
    schema.Key: LIMITS,
    **{kind.written: LIMITS for kind in organisation.KINDS.values()},
    BudgetSpec: {"day": (1, 31), "hour": (0, 23)},
    schema.When: {"tokens_min": (0, 100_000_000), "tokens_max": (0, 100_000_000)},
    schema.Breaker: {"failures": (1, 1_000), "requests_min": (1, 100_000), "probe_s": (1, 3_600)},
    schema.Hedge: {"after_s": (0.01, 3_600)},
    schema.ModelDefaults: {"max_tokens": (1, 10_000_000)},
    schema.Retry: {"max": (0, 3), "backoff_s": (0, 5)},
    schema.Timeouts: dict.fromkeys(
        ("connect_s", "first_byte_s", "first_event_s", "idle_s", "total_s"), (0.001, 86_400)
    ),
    schema.Retention: {"ledger_days": (1, 36_500), "journal_hours": (1, 8_760)},
}


def check(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Return (path, message) of every number out of its bounds."""
    if isinstance(value, msgspec.Struct):
        bounds = BOUNDS.get(type(value), {})
        for name in value.__struct_fields__:
            inner, at = getattr(value, name), f"{path}.{name}" if path else name
            if name in bounds and inner is not None:
                low, high = bounds[name]
                if not low <= inner <= high:  # so written, it refuses what is not a number, too
                    yield (
                        at,
                        f"{inner:g} must lie between {low:g} and {high:.12g}"
                        if low != high
                        else (f"{inner:g} is not known; this program reads {low:g}"),
                    )
            yield from check(inner, at)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from check(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from check(inner, f"{path}[{number}]")
