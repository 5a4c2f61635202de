"""What one request may ask at most: as a key, a team, a profile or a model says it, and the tightest of several. Level 0.

    ceilings: {output_tokens: 4096, effort: medium, thinking_tokens: 2048, service_tier: default|flex, provider_tools: off,
               cost: 0.50, over: refuse}

Programs hold a `Ceilings`. What is over one is brought down to it (`clamp`), or refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from switchgear.core.money import format_usd, parse_usd
from switchgear.core.text import shown

Written = Mapping[str, str | int]
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TOKENS_MAX = 10_000_000
ITEMS_MAX = 16
ITEM_MAX = 64
OFF = "off"
CLAMP, REFUSE = "clamp", "refuse"
_NUMBERS = ("output_tokens", "thinking_tokens")
_LISTS = ("service_tier", "provider_tools")
NAMES = ("output_tokens", "effort", "thinking_tokens", "service_tier", "provider_tools", "cost", "over")


class Ceilings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None: no ceiling."""

    output_tokens: int | None = None
    effort: str | None = None
    """The highest of EFFORTS that may be asked."""
    thinking_tokens: int | None = None
    service_tiers: tuple[str, ...] | None = None
    """Those that may be asked for."""
    provider_tools: tuple[str, ...] | None = None
    """Beginnings of the names of tools that a provider may run; none: it runs none."""
    cost_nanousd: int | None = None
    """What a request may cost at worst."""
    refuses: bool = False
    """What is over is refused, not brought down."""


def check(written: Written | None) -> Iterator[tuple[str, str]]:
    """Return (name, message) of everything that is wrong with written ceilings."""
    for name, value in (written or {}).items():
        text = str(value)
        if name not in NAMES:
            from switchgear.core.nearest import meant  # noqa: PLC0415 - it compares with difflib, which each command would import

            yield name, f"{shown(name)} is no ceiling{meant(name, NAMES)}; known are {', '.join(NAMES)}"
        elif name in _NUMBERS and not 0 <= _number(text) <= TOKENS_MAX:
            yield name, f"{shown(text)} must be a whole number, at most {TOKENS_MAX}"
        elif name == "output_tokens" and _number(text) == 0:
            yield name, "0 lets no request answer: it must be at least 1"
        elif name == "effort" and text not in EFFORTS:
            yield name, f"{shown(text)} must be one of {', '.join(EFFORTS)}"
        elif name in _LISTS and (wrong := _wrong_list(text)):
            yield name, wrong
        elif name == "cost" and _cost(text) is None:
            yield name, f"{shown(text)} must be USD above 0, such as '0.50'"
        elif name == "over" and text not in {CLAMP, REFUSE}:
            yield name, f"{shown(text)} must be {CLAMP} or {REFUSE}"


def _wrong_list(text: str) -> str | None:
    items = text.split("|")
    if len(items) > ITEMS_MAX or not all(0 < len(item) <= ITEM_MAX and item.isprintable() for item in items):
        return f"{shown(text)} must be names with | between them, such as 'default|flex', or {OFF}"
    return None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _cost(text: str) -> int | None:
    try:
        amount = parse_usd(text)
    except ValueError:
        return None
    return amount if amount > 0 else None


def parse(written: Written | None) -> Ceilings | None:
    """Return written ceilings as programs hold them; look at `check` first: what is none is left out. None: there is none."""
    if not written:
        return None
    texts = {name: str(value) for name, value in written.items()}
    values: dict[str, Any] = {}
    for name in _NUMBERS:
        if name in texts and _number(texts[name]) >= 0:
            values[name] = _number(texts[name])
    if texts.get("effort") in EFFORTS:
        values["effort"] = texts["effort"]
    for name, field in (("service_tier", "service_tiers"), ("provider_tools", "provider_tools")):
        if name in texts:
            values[field] = () if texts[name] == OFF else tuple(texts[name].split("|"))
    if "cost" in texts:
        values["cost_nanousd"] = _cost(texts["cost"])
    return Ceilings(**values, refuses=texts.get("over") == REFUSE)


def write(ceilings: Ceilings) -> dict[str, str | int]:
    """Return ceilings as a file says them."""
    found: dict[str, str | int] = {
        name: value for name in (*_NUMBERS, "effort") if (value := getattr(ceilings, name)) is not None
    }
    for name, items in (("service_tier", ceilings.service_tiers), ("provider_tools", ceilings.provider_tools)):
        if items is not None:
            found[name] = "|".join(items) or OFF
    if ceilings.cost_nanousd is not None:
        found["cost"] = format_usd(ceilings.cost_nanousd)
    if ceilings.refuses:
        found["over"] = REFUSE
    return found


def tightest(several: Iterable[Ceilings | None]) -> Ceilings | None:
    """Return what holds where several say something: each number's lowest, what all lists allow, and refusal where one refuses."""
    known = [one for one in several if one is not None]
    if len(known) < 2:
        return known[0] if known else None
    return Ceilings(
        output_tokens=_least(one.output_tokens for one in known),
        effort=min((one.effort for one in known if one.effort is not None), key=EFFORTS.index, default=None),
        thinking_tokens=_least(one.thinking_tokens for one in known),
        service_tiers=_common([one.service_tiers for one in known if one.service_tiers is not None]),
        provider_tools=_common([one.provider_tools for one in known if one.provider_tools is not None]),
        cost_nanousd=_least(one.cost_nanousd for one in known),
        refuses=any(one.refuses for one in known),
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _common(lists: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    if not lists:
        return None
    first, *others = lists
    for other in others:
        # of two beginnings the longer one allows what both do
        pairs = ((one, two) for one in first for two in other)
        first = tuple(
            dict.fromkeys(
                max(pair, key=len) for pair in pairs if pair[0].startswith(pair[1]) or pair[1].startswith(pair[0])
            )
        )
    return first
