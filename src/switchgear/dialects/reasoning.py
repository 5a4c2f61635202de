"""How much a model should think: efforts and token budgets turned into each other. Level 1.

The figures are the gateway's own middle between providers that take a budget and those that take an effort
(Anthropic: at least 1,024 tokens; Gemini 2.5: up to 24,576 or 32,768; as of 2026-11).
"""

from switchgear.dialects.canonical import Effort, Reasoning, Request, Thinking, ToolCall

_BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
}
EFFORTS = frozenset(_BUDGETS)


def budget_of(reasoning: Reasoning, default: int | None = None) -> int | None:
    """Return the tokens to think with: the client's, else those of its effort, else `default`."""
    if reasoning.budget is not None:
        return reasoning.budget
    return _BUDGETS[reasoning.effort] if reasoning.effort is not None else default


def effort_of(reasoning: Reasoning) -> Effort | None:
    """Return the effort: the client's, else one of those that every model with efforts knows, by its budget; None when it
    said neither."""
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is None or reasoning.budget < 0:
        return None
    if reasoning.budget == 0:
        return "none"
    return "low" if reasoning.budget < 6_000 else "medium" if reasoning.budget < 14_000 else "high"


_ORDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh")
KNOWN_EVERYWHERE: tuple[Effort, ...] = ("low", "medium", "high")


def nearest(effort: Effort, taken: tuple[Effort, ...] | None) -> Effort | None:
    """Return the effort of those that a model takes that is nearest to a client's, the lower one first; `taken` None are those
    that every model with efforts knows. None: nothing is to be said, as of no thinking to a model that is not known."""
    if effort in (taken or KNOWN_EVERYWHERE):
        return effort
    if effort == "none" and taken is None:
        return None
    ranks = [_ORDER.index(one) for one in taken or KNOWN_EVERYWHERE]
    rank = _ORDER.index(effort)
    return _ORDER[min(ranks, key=lambda one: (abs(one - rank), one))]


def is_refused(request: Request, makers: frozenset[str]) -> bool:
    """Tell whether Claude would refuse to think here: a forced tool forbids it, and a turn that called tools and is being
    answered must begin with its signed thinking ("Extended thinking", as of 2026-11). `makers` are those whose
    signatures are valid there."""
    if request.choice is not None and request.choice.mode in {"required", "named"}:
        return True
    last = next((message for message in reversed(request.messages) if message.role == "assistant"), None)
    if last is None or request.messages[-1].role != "user":
        return False
    if not any(isinstance(part, ToolCall) for part in last.parts):
        return False
    return not any(isinstance(part, Thinking) and part.maker in makers for part in last.parts)


def read_effort(text: str | None) -> Effort | None:
    """Read a client's word for an effort; None for one that is not known."""
    return text if text in EFFORTS else ("xhigh" if text == "max" else None)
