"""Marks that say how far a prompt is cached, made to fit what providers take. Level 1, pure.

Anthropic, "Prompt caching" (error texts "A maximum of 4 blocks with cache_control may be provided", "a ttl='1h' cache_control
block must not come after a ttl='5m' cache_control block"; ai-gateway#1712, llmgateway#910; read 2026-11-27). Bedrock counts alike.
"""

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical
from switchgear.dialects.canonical import Request

Marked = canonical.Tool | canonical.Text | canonical.Media | canonical.ToolCall | canonical.ToolResult
_CAN_BE_MARKED = (canonical.Text, canonical.Media, canonical.ToolCall, canonical.ToolResult)


@Stepwise
def fit_marks(request: Request, count_max: int, marks_all: bool) -> Steps[None]:
    """Leave so many marks, in the order that is demanded. The end of what is the same in every conversation (tools and
    instructions) keeps its mark, the others are the last ones. Where the whole prompt is to be cached and the provider cannot be
    told so, its end is marked."""
    if request.cache is not None and not marks_all:
        end = _last(request) if count_max else None
        if end is None:
            request.dropped.append("cache_control")
        else:
            end.cache = end.cache or request.cache
        request.cache = None
    if not count_max:
        return
    fixed: list[Marked] = [tool for tool in request.tools if tool.cache is not None]
    fixed += [text for text in request.system if text.cache is not None]
    moving: list[Marked] = []
    for message in request.messages:
        yield
        moving += [part for part in message.parts if isinstance(part, _CAN_BE_MARKED) and part.cache is not None]
    count_max -= request.cache is not None
    if len(fixed) + len(moving) > count_max:
        kept = fixed[-1:] if moving else fixed[-count_max:]
        kept = [*kept, *moving[len(moving) - (count_max - len(kept)) :]] if moving else kept
        chosen = {id(one) for one in kept}
        for one in (*fixed, *moving):
            if id(one) not in chosen:
                one.cache = None
        fixed, moving = kept, []
    is_short = False
    for one in (*fixed, *moving):
        if is_short and one.cache != "5m":
            one.cache = "5m"
        is_short = is_short or one.cache == "5m"


def _last(request: Request) -> Marked | None:
    """Return the last part of the prompt that can be marked."""
    for message in reversed(request.messages):
        for part in reversed(message.parts):
            if isinstance(part, _CAN_BE_MARKED):
                return part
    return None
