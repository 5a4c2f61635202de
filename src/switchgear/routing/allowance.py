"""What a provider says is left of its own rate limits, read from an answer's headers. Level 1, pure.

OpenAI and those that follow it: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, where reset is a time such as `6m0s` or
`12ms` until the limit "resets to its initial state" (its guide "Rate limits"; read 2026-11-27). Anthropic:
`anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, where reset is an RFC 3339 time "when
the limit
will be fully replenished" (API reference, "Rate limits"; from memory). Both fill up steadily, so what is left now is reckoned in
between.
A header that cannot be read says nothing.
"""

import re
from collections.abc import Mapping

import msgspec

from switchgear.core.iso_time import parse_time

UNSAID_S = 60.0
"""How long a limit takes to fill up where the provider does not say: limits are per minute (Azure sends no reset)."""
RESET_S_MAX = 86_400.0
_PARTS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h|d))+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_NUMBER = re.compile(rb"\d{1,12}(?:\.\d{1,6})?")
_KINDS = ("requests", "tokens")
_ANTHROPIC_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
NAMES: dict[bytes, tuple[str, str]] = {
    **{
        f"x-ratelimit-{what}-{kind}".encode(): (kind, what)
        for kind in _KINDS
        for what in ("limit", "remaining", "reset")
    },
    **{
        f"anthropic-ratelimit-{kind}-{what}".encode(): (kind, what)
        for kind in _ANTHROPIC_KINDS
        for what in ("limit", "remaining", "reset")
    },
}
"""Header → (what is limited, what it says of it)."""


class Allowance(msgspec.Struct, frozen=True):
    """One limit, as its provider told it at `seen_s`."""

    limit: float
    remaining: float
    full_s: float
    """When it is full again."""
    seen_s: float

    def left(self, now_s: float) -> float:
        """Return what is left now, when nobody used it since."""
        if now_s >= self.full_s:
            return self.limit
        missing = self.limit - self.remaining
        return self.remaining + missing * (now_s - self.seen_s) / (self.full_s - self.seen_s)


class Headroom(msgspec.Struct, eq=False):
    """What a provider told one client is left, and what that client sent since."""

    allowances: dict[str, Allowance] = {}
    used: dict[str, float] = {}
    """By limit: what was sent since, and was answered or is under way."""
    told_number: int = 0
    """How often it was told."""
    limited_s: float = float("-inf")
    """When a request was sent last although there was no room."""

    def told(self, allowances: Mapping[str, Allowance]) -> None:
        """It was told anew: what is sent from now on counts. Nothing: all is forgotten."""
        self.allowances = {**self.allowances, **allowances} if allowances else {}
        self.used = {}
        self.told_number += 1

    def has_room(self, now_s: float, tokens: int) -> bool:
        """Tell whether a request of about so many input tokens fits."""
        if self.is_full(now_s):
            self.told({})
        for kind, allowance in self.allowances.items():
            if now_s >= allowance.full_s:
                continue
            is_one = kind in {"requests", "output-tokens"}
            needed = 1.0 if is_one else float(max(min(tokens, int(allowance.limit)), 1))
            if allowance.left(now_s) - self.used.get(kind, 0.0) < needed:
                return False
        return True

    def is_full(self, now_s: float) -> bool:
        """Tell whether nothing limits any more."""
        return all(now_s >= one.full_s for one in self.allowances.values())

    def may_try(self, now_s: float, pause_s: float) -> bool:
        """Tell whether a request may be sent although there is no room: what is known may be wrong by now."""
        seen_s = max((one.seen_s for one in self.allowances.values()), default=now_s)
        return now_s - max(self.limited_s, seen_s) >= pause_s

    def use(self, tokens: int, sign: int) -> None:
        """A request is sent (1), or was not counted by its provider (-1)."""
        for kind, allowance in self.allowances.items():
            if kind != "output-tokens":
                used = 1.0 if kind == "requests" else min(float(tokens), allowance.limit)
                self.used[kind] = self.used.get(kind, 0.0) + sign * used


def read(headers: list[tuple[bytes, bytes]], now_s: float, wall_ms: int) -> dict[str, Allowance]:
    """Return what the headers of an answer say is left, by `requests`, `tokens`, `input-tokens`, `output-tokens`. `now_s` is of the
    caller's own clock, `wall_ms` of the one that dates are of."""
    said: dict[str, dict[str, bytes]] = {}
    for name, value in headers:
        known = NAMES.get(name)
        if known is not None:
            said.setdefault(known[0], {})[known[1]] = value
    found = {}
    for kind, values in said.items():
        remaining, limit = _number(values.get("remaining")), _number(values.get("limit"))
        if remaining is None:
            continue
        reset_s = _reset_s(values["reset"], wall_ms) if "reset" in values else UNSAID_S
        if reset_s is None or reset_s <= 0:
            continue
        limit = max(remaining, 1.0) if limit is None else max(limit, remaining)
        if limit < 1.0:
            continue  # it is none: nothing would ever fit
        found[kind] = Allowance(limit, remaining, now_s + reset_s, now_s)
    return found


def _number(value: bytes | None) -> float | None:
    return float(value) if value is not None and _NUMBER.fullmatch(value) else None


def _reset_s(value: bytes, wall_ms: int) -> float | None:
    """Read how long until a limit is full: `6m0s`, seconds, or a date."""
    text = value.decode("latin-1").strip()
    if _WHOLE.fullmatch(text):
        return min(sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text)), RESET_S_MAX)
    if _NUMBER.fullmatch(value):
        return min(float(text), RESET_S_MAX)
    at_ms = parse_time(text) if len(text) <= 40 else None
    return None if at_ms is None else min((at_ms - wall_ms) / 1_000, RESET_S_MAX)
