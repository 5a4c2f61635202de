"""How long answers are kept for further requests: what a model, a key and a request say, and what follows of it. Level 0.

A model and a key say `cache: {ttl: 10m}`, or `{ttl: off}`, which no key and no request overrules. A request says it in the header
`x-switchgear-cache`. Where several name a time, the shortest holds; where nobody does, nothing is kept.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from switchgear.core.text import shown

OFF = "off"
FORBIDDEN = 0
"""Seconds that stand for `off`."""
TTL_MAX_S = 86_400
DEFAULT_TTL_S = 300
"""Of a request that asks for the cache and names no time."""
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
EXAMPLE = "such as 30s, 10m, 1h or off"


class Wish(msgspec.Struct, frozen=True):
    """What a request asks of the cache."""

    ttl_s: int | None = DEFAULT_TTL_S
    """How long its answer may be kept, and how old one may be that it gets; None: it names no time."""
    reads: bool = True
    """It takes an answer that is kept."""
    stores: bool = True
    """Its own answer may be kept."""


def parse_ttl(text: str) -> int | None:
    """Return the seconds that a text means, FORBIDDEN for `off`; None where it is none."""
    if text == OFF:
        return FORBIDDEN
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found is not None else 0
    return seconds if 0 < seconds <= TTL_MAX_S else None


def write(seconds: int) -> str:
    """Return a time as `parse_ttl` reads it."""
    return f"{seconds}s" if seconds else OFF


def check(rule: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """Return (path below the rule, message) of everything that is wrong with a written rule."""
    if rule is None:
        return
    for name, text in rule.items():
        if name != "ttl":
            yield name, f"{shown(name)} is nothing that a cache has: say `ttl`"
        elif parse_ttl(text) is None:
            yield name, f"{shown(text)} must be a time {EXAMPLE}, at most 24h"
    if "ttl" not in rule:
        yield "", f"needs `ttl`, {EXAMPLE}"


def seconds_of(rule: Mapping[str, str] | None) -> int | None:
    """Return the time of a written rule in seconds, FORBIDDEN for `off`; None where there is none. One that cannot be read
    forbids."""
    if rule is None:
        return None
    seconds = parse_ttl(rule.get("ttl", ""))
    return FORBIDDEN if seconds is None else seconds


def tightest(*times: int | None) -> int | None:
    """Return the time that holds where several are said; None where none is."""
    return min((one for one in times if one is not None), default=None)


_NOTHING = Wish(None, reads=False, stores=False)


def wish(text: str) -> Wish:
    """Read the header of a request: `on`, `off`, `ttl=10m`, `no-store` (take, do not keep), `refresh` (keep, do not take),
    several with commas between them. What is not understood switches the cache off: nobody gets an answer that is kept by
    mistake."""
    ttl_s: int | None = DEFAULT_TTL_S if text else None
    reads = stores = True
    for word in (part.strip().lower() for part in text.split(",")):
        name, equals, value = word.partition("=")
        if name == "ttl" and equals:
            seconds = parse_ttl(value)
            if not seconds:
                return _NOTHING
            ttl_s = seconds
        elif word == "no-store":
            stores, ttl_s = False, None
        elif word == "refresh":
            reads, ttl_s = False, None
        elif word != "on":
            return _NOTHING
    return Wish(ttl_s, reads, stores)
