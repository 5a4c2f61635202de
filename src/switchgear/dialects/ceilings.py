"""Brings a request down to its ceilings, in its client's own dialect, before anything is translated. Level 1, pure.

One table says where each dialect names an output limit's neighbours: effort, thinking tokens, service tier. The output limits are
those of its operations (`BodyRules.limits`), tools that a provider runs are `provider_tools`'. What a request does not ask stays
its model's own default, but for the output: a request without a limit gets one (`edge.translate`).

Sources (read 2026-11-28): OpenAI API reference, "Create chat completion" (`reasoning_effort`, `service_tier`) and "Create a model
response" (`reasoning.effort`); OpenRouter, "Reasoning tokens" (`reasoning.effort`, `reasoning.max_tokens`); Alibaba Cloud Model
Studio (`thinking_budget`); Anthropic, "Extended thinking" (`thinking.budget_tokens`, at least 1,024 and below `max_tokens`),
"Effort" (`output_config.effort`), "Service tiers"; Gemini API, `ThinkingConfig`, `GenerateContentRequest.serviceTier`; Amazon
Bedrock, `Converse` (`additionalModelRequestFields`, `serviceTier.type`); Cohere, "Reasoning" (`thinking.token_budget`).
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, structs

from switchgear.core.ceilings import EFFORTS, Ceilings
from switchgear.core.errors import UNREADABLE
from switchgear.dialects import provider_tools
from switchgear.dialects.json_node import encode
from switchgear.dialects.references import spellings
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request

BOUNDED = frozenset({"chat", "completions", "invoke", "compact"})
"""Operations whose answers are written by a model that may think and use tools."""
_BUDGETS = {"none": 0, "minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576}
"""Thinking tokens of an effort, where a request says tokens and the ceiling an effort (`reasoning`)."""
BUDGET_MIN = 1_024
"""Of Claude: below it, it does not think at all."""


class Members(msgspec.Struct, frozen=True):
    """Paths of members of a dialect's bodies."""

    efforts: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    thinks: tuple[str, ...] = ()
    """Objects that switch thinking on with a budget of at least BUDGET_MIN: they go where the ceiling is below that."""


_CLAUDE = ("thinking", "reasoning_config")
_MORE = "additionalModelRequestFields"


def _all(*paths: str) -> tuple[str, ...]:
    return tuple(one for path in paths for one in spellings(path))


TABLE: dict[str, Members] = {
    "openai": Members(
        efforts=("reasoning_effort", "reasoning.effort"),
        budgets=("thinking.budget_tokens", "reasoning.max_tokens", "thinking_budget"),
        tiers=("service_tier",),
    ),
    "responses": Members(efforts=("reasoning.effort",), budgets=("reasoning.max_tokens",), tiers=("service_tier",)),
    "anthropic": Members(
        efforts=("output_config.effort",),
        budgets=("thinking.budget_tokens",),
        tiers=("service_tier",),
        thinks=("thinking",),
    ),
    "gemini": Members(
        efforts=_all("generationConfig.thinkingConfig.thinkingLevel"),
        budgets=_all("generationConfig.thinkingConfig.thinkingBudget"),
        tiers=_all("serviceTier"),
    ),
    "bedrock": Members(
        efforts=("output_config.effort", f"{_MORE}.output_config.effort", f"{_MORE}.reasoning_effort"),
        budgets=tuple(f"{start}{one}.budget_tokens" for start in ("", f"{_MORE}.") for one in _CLAUDE),
        tiers=("serviceTier.type",),
        thinks=tuple(f"{start}{one}" for start in ("", f"{_MORE}.") for one in _CLAUDE),
    ),
    "cohere": Members(budgets=("thinking.token_budget",)),
}


class Over(msgspec.Struct, frozen=True):
    """A member that asks more than it may."""

    path: str
    asked: str
    most: str


class Bounded(msgspec.Struct, frozen=True):
    """A request as it may be sent."""

    request: Request
    over: tuple[Over, ...] = ()
    """What was over, and was brought down or left out."""


def bound(request: Request, ceilings: Ceilings) -> Bounded:
    """Return the request with everything brought down to its ceilings. The same object where nothing was over."""
    if request.operation not in BOUNDED or request.form is not None:
        return Bounded(request)
    work = _Work(dict(request.fields))
    members = TABLE.get(request.dialect, Members())
    effort, budget = ceilings.effort, ceilings.thinking_tokens
    if effort is not None:
        work.lower(members.efforts, lambda value: _effort(value, effort))
        budget = _BUDGETS.get(effort, budget) if budget is None else budget
    if ceilings.output_tokens is not None:
        work.lower(_limits_of(request), lambda value: _number(value, ceilings.output_tokens or 1))
    if budget is not None:
        if budget < BUDGET_MIN:
            work.leave_out_budgets(members.thinks, budget)
        work.lower(members.budgets, lambda value: _number(value, budget))
    if ceilings.output_tokens is not None and members.thinks:
        work.leave_out_budgets(members.thinks, ceilings.output_tokens - 1)
    if ceilings.service_tiers is not None:
        tiers = ceilings.service_tiers
        work.lower(members.tiers, lambda value: value if value in tiers else None, "|".join(tiers) or "none")
    if ceilings.provider_tools is not None:
        work.without_tools(request.dialect, ceilings.provider_tools)
    asked = request.output_tokens_max
    limits = [asked, *work.numbers(_limits_of(request))] if ceilings.output_tokens is not None else [asked]
    limit = min((one for one in limits if one is not None), default=None)
    if not work.over and limit == asked:
        return Bounded(request)
    return Bounded(structs.replace(request, fields=work.fields, output_tokens_max=limit), tuple(work.over))


def _limits_of(request: Request) -> tuple[str, ...]:
    asked = BY_NAME[request.dialect].operations.get(request.operation)
    rules = asked.rules if asked is not None else None
    return _all(*rules.limits) if rules is not None else ()


def _number(value: Any, most: int) -> Any:
    """A number that is over, or means "as many as you like" (-1), becomes the most; what is none is its provider's to refuse."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return most if is_number and (value > most or value < 0) else value


def _effort(value: Any, most: str) -> Any:
    """An effort that is over, or that nobody knows, becomes the most."""
    if not isinstance(value, str):
        return value
    word = value.lower()
    is_over = word not in EFFORTS or EFFORTS.index(word) > EFFORTS.index(most)
    return (most.upper() if value.isupper() else most) if is_over else value


class _Work:
    """A body while it is brought down."""

    def __init__(self, fields: dict[str, Raw]) -> None:
        self.fields = fields
        self.over: list[Over] = []

    def lower(self, paths: Iterable[str], judge: Callable[[Any], Any], most: str | None = None) -> None:
        """Put what `judge` makes of each value in its place; None leaves it out."""
        for path in dict.fromkeys(paths):
            raw = provider_tools.member(self.fields, path)
            if raw is None or len(memoryview(raw)) > 64:
                continue
            value = _decoded(raw)
            lowered = judge(value)
            if value is not None and lowered != value:
                self.over.append(Over(path, str(value)[:64], most or str(lowered)))
                _put(self.fields, path, lowered)

    def numbers(self, paths: Iterable[str]) -> list[int]:
        """Return the whole numbers that stand at some paths, however they are spelt."""
        raws = (provider_tools.member(self.fields, path) for path in paths)
        values = [_decoded(raw) for raw in raws if raw is not None and len(memoryview(raw)) <= 64]
        return [value for value in values if isinstance(value, int) and not isinstance(value, bool)]

    def leave_out_budgets(self, paths: Iterable[str], most: int) -> None:
        """Leave out whole objects that ask for more thinking than there may be, where a smaller one cannot be asked."""
        for path in paths:
            raw = provider_tools.member(self.fields, f"{path}.budget_tokens")
            asked = _decoded(raw) if raw is not None and len(memoryview(raw)) <= 64 else None
            if not isinstance(asked, int) or asked <= most:
                continue
            if most >= BUDGET_MIN:  # what it thinks must be less than what it writes
                self.over.append(Over(f"{path}.budget_tokens", str(asked), str(most)))
                _put(self.fields, f"{path}.budget_tokens", most)
            else:
                self.over.append(Over(path, str(asked), str(most)))
                _put(self.fields, path, None)

    def without_tools(self, dialect: str, allowed: tuple[str, ...]) -> None:
        """Leave out tools that the provider would run and may not."""
        for found in list(provider_tools.find(dialect, self.fields, allowed)):
            self.over += [Over(found.path, name, "|".join(allowed) or "none") for name in found.names]
            _put(self.fields, found.path, found.left or None)
            if found.left == []:  # a choice among none is refused
                self.fields.pop("tool_choice", None)
                self.fields.pop("toolConfig", None)
                self.fields.pop("tool_config", None)


def _decoded(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def _put(fields: dict[str, Raw], path: str, value: Any) -> None:
    """Set what stands at a path that is there; None leaves it out."""
    outer, dot, inner = path.partition(".")
    if not dot:
        if value is None:
            fields.pop(outer, None)
        else:
            fields[outer] = value if isinstance(value, Raw) else Raw(encode(value))
        return
    try:
        within = _decode_object(fields[outer])
    except (KeyError, *UNREADABLE):
        return
    _put(within, inner, value)
    fields[outer] = Raw(encode(within))


def told(over: Iterable[Over]) -> list[str]:
    """Return what a record says was lowered, by the names of the members."""
    return list(dict.fromkeys(one.path for one in over))


def refusal(over: Iterable[Over]) -> tuple[str, str]:
    """Return (what the client is told, the member that it is about) of the first that is over."""
    first = next(iter(over))
    return (
        f"{first.path}: {first.asked} is over what this key or model may ask ({first.most}); ask for less",
        first.path,
    )
