"""What a limit says: so much of something in a window, for each value of a dimension where it has one. Level 0.

People write `rpm: 60`, `tpm: 100000` and `parallel: 8`, as they know it from providers and other gateways, and whatever else as a
text: `5000 requests/day`, `20000 output tokens/hour`, `100 requests/day per end_user`. Everything becomes a LimitRule.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec

from switchgear.core.text import shown

AMOUNT_MAX = 10**12
"""Far above what any provider sells."""
RULES_MAX = 8
"""Of one subject, with those that have a name of their own: a request may hold 64 in all (counters.backend)."""
WINDOWS = ("second", "minute", "hour", "day")
PARALLEL = "parallel"
UNITS = {
    "requests": "requests",
    "tokens": "total",
    "input tokens": "input",
    "output tokens": "output",
    "parallel requests": PARALLEL,
}
"""What people write → what is counted (`policies.limits.Unit`)."""
DIMENSIONS = ("end_user", "user", "model", "client")
TAG = "tag:"
_TAG = re.compile(r"tag:[^\s:/]{1,64}")
EXAMPLE = "such as '5000 requests/day', '20000 output tokens/hour' or '4 parallel requests'"
_WINDOWS = {"s": "second", "sec": "second", "min": "minute", "m": "minute", "h": "hour", "hr": "hour", "d": "day"}
_UNITS = {"request": "requests", "req": "requests", "token": "tokens", "parallel": "parallel requests"}
_RULE = re.compile(r"\s*(-?[0-9][0-9_]*)\s+([A-Za-z][A-Za-z _]*?)((?:\s*/\s*|\s+per\s+)\S.*)?\s*")
_PARTS = re.compile(r"\s*/\s*|\s+per\s+")
_SHORT = (("rpm", "requests", "minute"), ("tpm", "total", "minute"), ("parallel", PARALLEL, ""))
"""Limits with a name of their own."""
SHORT_NAMES = tuple(name for name, _, _ in _SHORT)
NAMES = (*SHORT_NAMES, "limits")
"""Of the fields that say limits."""


class LimitRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One limit."""

    unit: Annotated[str, msgspec.Meta(pattern="^(requests|input|output|total|parallel)$")]
    """`requests`, `input`, `output`, `total` or `parallel`."""
    amount: Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
    window: Annotated[str, msgspec.Meta(pattern="^(second|minute|hour|day|)$")] = ""
    """`second`, `minute`, `hour` or `day`; empty for parallel requests."""
    per: str | None = None
    """A dimension: each of its values has a limit of its own. None: all share one."""


def parse(text: str) -> LimitRule | str:
    """Read a written rule; returns what is wrong with it, a sentence, where it is none."""
    found = _RULE.fullmatch(text)
    if found is None:
        return f"{shown(text)} is no limit: write one {EXAMPLE}"
    amount, unit_text = int(found[1].replace("_", "")), " ".join(found[2].lower().split())
    unit = UNITS.get(_UNITS.get(unit_text, unit_text))
    if unit is None:
        return f"{shown(unit_text)} cannot be limited{_meant(unit_text, UNITS)}; known are {', '.join(UNITS)}"
    parts = [part.strip() for part in _PARTS.split(found[3] or "")[1:]]
    window = _window(parts[0]) if parts else None
    if window is not None:
        del parts[0]
    if unit == PARALLEL and window is not None:
        return f"parallel requests are counted at once, not per {window}: write '{amount} parallel requests'"
    if unit != PARALLEL and window is None:
        said = f"{shown(parts[0])} is no window" if parts else "it has no window"
        return f"{said}: write '{amount} {unit_text}/minute'; known are {', '.join(WINDOWS)}"
    per = parts[0] if parts else None
    if len(parts) > 1 or (per is not None and not is_dimension(per)):
        known = ", ".join((*DIMENSIONS, f"{TAG}NAME"))
        wrong = " per ".join(parts)
        return f"{shown(wrong)} is no dimension{_meant(wrong, DIMENSIONS)}; known are {known}"
    return wrong_amount(amount) or LimitRule(unit, amount, window or "", per)


def is_dimension(text: str) -> bool:
    """Tell whether each value of it can have a limit of its own."""
    return text in DIMENSIONS or _TAG.fullmatch(text) is not None


def _meant(text: str, known: Iterable[str]) -> str:
    from switchgear.core.nearest import meant  # noqa: PLC0415 - it compares with difflib, which each command would import

    return meant(text, known)


def _window(text: str) -> str | None:
    name = _WINDOWS.get(text.lower(), text.lower().removesuffix("s"))
    return name if name in WINDOWS else None


def wrong_amount(amount: int) -> str | None:
    """Return what is wrong with an amount; None where nothing is."""
    if amount <= 0:
        return f"{amount} is no limit: it must be at least 1; `switchgear freeze` stops everything"
    if amount > AMOUNT_MAX:
        return f"{amount} is no limit that anything reaches: at most {AMOUNT_MAX}"
    return None


def write(rule: LimitRule) -> str:
    """Return a rule as `parse` reads it."""
    unit = next(text for text, name in UNITS.items() if name == rule.unit)
    window = f"/{rule.window}" if rule.window else ""
    return f"{rule.amount} {unit}{window}" + (f" per {rule.per}" if rule.per else "")


def rules_of(holder: Any) -> tuple[LimitRule, ...]:
    """Return the rules of whatever has `rpm`, `tpm`, `parallel` and `limits`; texts that are none are left out: look at `check`."""
    short = (
        LimitRule(unit, amount, window)
        for name, unit, window in _SHORT
        if (amount := getattr(holder, name)) is not None
    )
    written = (rule for text in holder.limits or () if isinstance(rule := parse(text), LimitRule))
    return (*short, *written)


def check(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (path, message) of everything that is wrong with written limits, by name; of some of them or of all."""
    seen: dict[tuple[str, str, str | None], str] = {}
    for name, unit, window in _SHORT:
        amount = values.get(name)
        if amount is not None:
            seen[unit, window, None] = name
            wrong = wrong_amount(amount)
            if wrong is not None:
                yield name, wrong
    texts = values.get("limits") or ()
    if len(seen) + len(texts) > RULES_MAX:
        yield "limits", f"at most {RULES_MAX} limits"
    for number, text in enumerate(texts):
        path, rule = f"limits[{number}]", parse(text)
        if isinstance(rule, str):
            yield path, rule
            continue
        name = seen.setdefault((rule.unit, rule.window, rule.per), path)
        if name != path:
            yield path, f"{shown(text)} limits the same as `{name}`: say it once"


def texts_of(rules: Iterable[LimitRule]) -> list[str]:
    """Return rules as a file says them."""
    return [write(rule) for rule in rules]
