"""What a key has spent, as its holder is told. Level 4. The ledger publishes it with a delay; nothing is decided by it."""

from typing import Any

from switchgear.replica.entries import Spend

DAY_MS = 86_400_000


def today(spend: Spend | None, now_ms: int) -> dict[str, Any]:
    """Return the requests and cost of the current UTC day, by model."""
    day = now_ms // DAY_MS
    models = spend.models if spend is not None and spend.day == day else {}
    return {
        "since_ms": day * DAY_MS,
        "as_of_ms": spend.as_of_ms if spend is not None and models else None,
        "requests": sum(count for count, _ in models.values()),
        "cost_nanousd": sum(cost for _, cost in models.values()),
        "models": {name: {"requests": count, "cost_nanousd": cost} for name, (count, cost) in sorted(models.items())},
    }


def before_today(spend: Spend | None, now_ms: int) -> int:
    """Return the nano-USD that were spent before the current UTC day."""
    if spend is None:
        return 0
    is_today = now_ms // DAY_MS == spend.day
    return spend.before_nanousd + (0 if is_today else _last_day(spend))


def in_all(spend: Spend | None) -> int:
    """Return all the nano-USD that were spent."""
    return 0 if spend is None else spend.before_nanousd + _last_day(spend)


def _last_day(spend: Spend) -> int:
    return sum(cost for _, cost in spend.models.values())
