"""Budgets of LiteLLM's keys, teams and users as budgets of ours. Level 2, pure.

Facts: LiteLLM, "Budgets, Rate Limits", and its duration_parser.get_next_standardized_reset_time: `1d` ends at midnight, `7d` on
Monday, `30d` and `1mo` on the first, `1h` on the hour, in `litellm_settings.timezone` (read 2026-11-28). Without a duration a
budget is for ever. Other durations begin at boundaries of their own there, and become rolling ones here.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from switchgear.core import budget_rule
from switchgear.core.budget_rule import BudgetSpec, Written
from switchgear.importers.litellm_parts import Status, listed, mapping, shown

_PERIODS = {
    "1h": "hour", "60m": "hour", "1d": "day", "24h": "day", "7d": "week", "1w": "week", "30d": "month", "1mo": "month",
}  # fmt: skip
Say = Callable[[Status, str, str], None]
FIELDS = ("max_budget", "soft_budget", "budget_duration", "model_max_budget", "budget_limits")


def take(rest: dict[str, Any], path: str, say: Say) -> list[Written]:
    """Take budgets out of what restricts a key, a team or a user; returns them as a file says them. What is none is listed."""
    fields = {name: rest.pop(name, None) for name in FIELDS}
    soft = _usd(fields["soft_budget"], f"{path}.soft_budget", say)
    found: list[Written] = []
    if fields["max_budget"] is not None:
        found += _whole(fields["max_budget"], fields["budget_duration"], soft, f"{path}.max_budget", say)
    elif soft is not None:
        limit = _limit(soft, fields["budget_duration"], f"{path}.budget_duration", say)
        if limit is not None:
            found.append(BudgetSpec(limit=limit, soft="100%", hard=False))
    for number, raw in enumerate(listed(fields["budget_limits"])):
        entry, at = mapping(raw), f"{path}.budget_limits[{number}]"
        found += _whole(entry.get("max_budget"), entry.get("budget_duration"), None, at, say)
    for model, raw in mapping(fields["model_max_budget"]).items():
        found += _of_model(model, raw, f"{path}.model_max_budget.{model}", say)
    kept: list[Written] = []
    for written in found:
        wrong = next(budget_rule.check({"budget": [*kept, written]}), None)
        if wrong is None:
            kept.append(written)
        else:
            say("unsupported", path, f"a budget of {shown(written)}: {wrong[1]}")
    if kept:
        say("imported", path, f"budget: {'; '.join(map(budget_rule.described, kept))}")
    return kept


def _whole(value: Any, duration: Any, soft: Decimal | None, path: str, say: Say) -> list[Written]:
    amount = _usd(value, path, say)
    limit = _limit(amount, duration, path, say) if amount is not None else None
    if amount is None or limit is None:
        return []
    percent = round(soft * 100 / amount) if soft is not None else 0
    return [BudgetSpec(limit=limit, soft=f"{percent}%") if 1 <= percent <= 1_000 else limit]


def _of_model(model: str, raw: Any, path: str, say: Say) -> list[Written]:
    """Read one entry: an amount, or a mapping with `budget_limit` and `time_period`, also called `max_budget` and
    `budget_duration`."""
    entry = mapping(raw) if isinstance(raw, dict) else {"budget_limit": raw}
    amount = _usd(entry.get("budget_limit", entry.get("max_budget")), path, say)
    duration = entry.get("time_period", entry.get("budget_duration"))
    limit = _limit(amount, duration, path, say) if amount is not None else None
    return [BudgetSpec(limit=limit, name=model.replace("/", "-")[:64], models=[model])] if limit is not None else []


def _usd(value: Any, path: str, say: Say) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        say("unsupported", path, f"not an amount: {shown(value)}")
        return None
    if amount <= 0:
        say("unsupported", path, f"a budget of {amount} lets nothing through: switchgear freeze does that here")
        return None
    return round(amount, 9).normalize()


def _limit(amount: Decimal, duration: Any, path: str, say: Say) -> str | None:
    much = f"{amount:f}"
    if duration in (None, ""):
        return f"{much} total"
    period = _PERIODS.get(str(duration))
    if period is not None:
        return f"{much}/{period}"
    limit = f"{much}/{duration} rolling"
    wrong = budget_rule.parse(limit)
    if isinstance(wrong, str):
        say("unsupported", path, f"not a duration of a budget: {shown(duration)}")
        return None
    say(
        "changed", path, f"{duration}: a window that moves with the time, where LiteLLM's begins anew at its boundaries"
    )
    return limit
