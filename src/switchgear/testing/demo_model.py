"""What the fake provider's model says, as a function of what it is asked, in any dialect. Level 5. Pure.

It repeats the last text; it calls the tools that it is given (all of them, or the forced one), once; it describes pictures
and files by type and size; it thinks aloud when asked to; it fills a JSON schema. Counts are words.
"""

from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical
from switchgear.dialects.canonical import Answer, Media, Part, Request, Text, Thinking

THOUGHT = "Let me think about it."
SIGNATURE = "c2lnbmVkLWJ5LWRlbW8="


def answer(request: Request, maker: str, number: str = "demo") -> Answer:
    """Return the answer. `maker` is the provider's dialect: it signs thinking. `number` makes ids."""
    last = request.messages[-1].parts if request.messages else []
    parts: list[Part] = []
    if request.reasoning is not None and request.reasoning.budget != 0 and request.reasoning.effort != "none":
        parts.append(Thinking(THOUGHT, SIGNATURE, None, maker))
    results = [part for part in last if isinstance(part, canonical.ToolResult)]
    calls = _calls(request, number) if not results else []
    text = ""
    if request.format is not None:
        text = msgspec.json.encode(_instance(request.format.schema)).decode()
    elif results:
        text = "tool said: " + ", ".join(canonical.text_of(result.content) for result in results)
    elif not calls:
        text = " ".join(_describe(part) for part in last if isinstance(part, Text | Media))
    if text:
        parts.append(Text(text))
    parts += calls
    heard = " ".join(
        _describe(part) for message in request.messages for part in message.parts if isinstance(part, Text | Media)
    )
    usage = TokenUsage(
        input=len(heard.split()) + sum(len(text.text.split()) for text in request.system),
        output=len(text.split()) + 5 * len(calls),
        reasoning=len(THOUGHT.split()) if any(isinstance(part, Thinking) for part in parts) else None,
    )
    finish: canonical.Finish = "tool_calls" if calls else "stop"
    if request.max_tokens is not None and request.max_tokens < len(text.split()):
        text = " ".join(text.split()[: request.max_tokens])
        parts = [Text(text) if isinstance(part, Text) else part for part in parts]
        usage = msgspec.structs.replace(usage, output=request.max_tokens)
        finish = "length"
    return Answer(id=f"demo-{number}", model=request.model, parts=parts, finish=finish, usage=usage)


def _calls(request: Request, number: str) -> list[canonical.ToolCall]:
    choice = request.choice or canonical.ToolChoice()
    if choice.mode == "none":
        return []
    tools = [tool for tool in request.tools if not choice.names or tool.name in choice.names]
    if choice.parallel is False:
        tools = tools[:1]
    return [
        canonical.ToolCall(f"call_{number}_{n}", tool.name, msgspec.json.encode(_instance(tool.schema)).decode())
        for n, tool in enumerate(tools)
    ]


def _describe(part: Text | Media) -> str:
    if isinstance(part, Text):
        return part.text
    size = len(part.data) * 3 // 4 if part.data is not None else 0
    return f"[{part.kind} {part.mime or '?'} {size} bytes]"


_VALUES: dict[str, Any] = {"string": "Paris", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def _instance(schema: Raw) -> Any:
    """Return a small value of a JSON schema."""
    return _value(msgspec.json.decode(schema))


def _value(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return {"answer": "Paris"}
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "array":
        return [_value(schema.get("items") or {"type": "string"})]
    if kind == "object" or "properties" in schema:
        return {name: _value(inner) for name, inner in (schema.get("properties") or {}).items()}
    return _VALUES.get(str(kind), "Paris")
