"""Anthropic messages: requests to and from the canonical values. Level 1, sans-I/O.

Anthropic API reference, "Messages", "Streaming", "Extended thinking", "Structured outputs" (as of 2026-11). Usage:
`input_tokens` excludes what was read from or written to the cache; `message_delta` repeats running totals, the last one
counts.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning, web_search
from switchgear.dialects.anthropic.billing_line import without_line
from switchgear.dialects.canonical import JsonFormat, Media, Message, Part, Request, Text, Thinking
from switchgear.dialects.json_node import Node, arguments_of, foreign_tools, object_of
from switchgear.providers.quirks import Quirks

MAKER = "anthropic"


MAKERS = frozenset({"anthropic", "bedrock"})
"""Signatures of Claude's thinking are valid on every platform that serves it ("Extended thinking", as of 2026-11)."""


MAX_TOKENS_DEFAULT = 8_192
"""What a request gets that names no limit: the field is required, and every current model allows it."""


THINKING_MIN = 1_024


TOP_P_MIN = 0.95
"""The least that is taken together with thinking ("Extended thinking", read 2026-11-27)."""


_KNOWN = frozenset(
    {
        "model",
        "messages",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "metadata",
        "stream",
        "anthropic_version",
        "cache_control",
    }
)


# Models that refuse a thinking budget and take `thinking: adaptive` with an effort (Anthropic, "Adaptive thinking").
ADAPTIVE = re.compile(r"claude-(opus-4-[7-9]|(opus|sonnet|haiku)-[5-9]|fable|mythos)")


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    if (
        body.get("thread") is not None
    ):  # the history stays with who answered first; here would be its last message alone
        raise body.fail("a thread is kept by Anthropic only; send all messages, without `thread`", "thread")
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN]
    system = body.get("system")
    if isinstance(system, str):
        request.system.append(Text(without_line(system)))
    else:
        for block in body.each("system"):
            yield
            request.system.append(Text(without_line(block.need("text")), _cache(block)))
    for message in body.each("messages"):
        yield from _decode_message(message, request)
    tools = yield from foreign_tools.steps(body.each("tools"), _is_carried, request.dropped)
    for tool in tools:
        yield
        if web_search.is_search(tool):
            request.search = web_search.read(tool, None)
        else:
            request.tools.append(_decode_tool(tool))
    request.choice = _decode_choice(body)
    request.reasoning, request.format = _decode_thinking(body), _decode_format(body)
    request.max_tokens = body.integer("max_tokens")
    request.temperature, request.top_p = body.number("temperature"), body.number("top_p")
    request.top_k = body.integer("top_k")
    request.stop = [str(item.value) for item in body.items("stop_sequences")]
    request.cache = _cache(body)
    return request


def _is_function(tool: Node) -> bool:
    return tool.text("type") in {None, "custom"}


def _is_carried(tool: Node) -> bool:
    return _is_function(tool) or web_search.is_search(tool)


def _cache(block: Node) -> str | None:
    marker = block.child("cache_control")
    return None if marker is None else marker.text("ttl") or "5m"


def _decode_message(message: Node, request: Request) -> Steps[None]:
    yield
    role = message.need("role")
    parts = yield from _decode_blocks(message, "content", request)
    if role == "system":
        canonical.instruct(request, [part for part in parts if isinstance(part, Text)])
    elif role not in {"user", "assistant"}:
        raise message.fail(f"{role[:32]!r} is not one of user, assistant", "role")
    elif request.messages and request.messages[-1].role == role:
        request.messages[-1].parts.extend(parts)
    else:
        request.messages.append(Message(role, parts))  # type: ignore[arg-type]


def _decode_blocks(holder: Node, key: str, request: Request) -> Steps[list[Part]]:
    content = holder.get(key)
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Part] = []
    for block in holder.each(key):
        yield
        part = decode_block(block, request.dropped)
        if part is not None:
            parts.append(part)
    return canonical.attach_signatures(parts)


def decode_block(block: Node, dropped: list[str]) -> Part | None:
    """Read one block; None (and a note) for what only Anthropic's own servers understand."""
    kind = block.need("type")
    cache = _cache(block)
    if kind == "text":
        return Text(block.need("text") + web_search.links(cited(block)), cache)
    if kind in {"image", "document"}:
        return media.from_source(block, "image" if kind == "image" else "file", cache)
    if kind == "tool_use":
        return canonical.ToolCall(block.need("id"), block.need("name"), arguments_of(block.get("input")), None, cache)
    if kind == "tool_result":
        return _decode_result(block, cache, dropped)
    if kind == "thinking":
        signature, maker = canonical.unpack_signature(block.text("signature"), MAKER)
        return Thinking(block.text("thinking") or "", signature, None, maker)
    if kind == "redacted_thinking":
        return Thinking("", None, block.text("data"), MAKER)
    if kind == "search_result":
        found = [block.text("title"), block.text("source"), *(item.text("text") for item in block.items("content"))]
        return Text("\n".join(text for text in found if text), cache)
    if kind == "tool_reference":  # what Claude Code's search for tools answers; the tool itself is among the request's
        return Text(f"The tool {block.need('tool_name')} can be called now.", cache)
    dropped.append(f"{block.path} ({kind[:48]})")
    return None


_WEB = "web_search_result_location"


def cited(block: Node) -> list[Any]:
    """Return what a text names as its sources in the web."""
    found = [item.value for item in block.items("citations")] if block.get("citations") else []
    return [one for one in found if isinstance(one, dict) and one.get("type") == _WEB]


def _decode_result(block: Node, cache: str | None, dropped: list[str]) -> canonical.ToolResult:
    content: list[Text | Media] = []
    value = block.get("content")
    if isinstance(value, str):
        content.append(Text(value))
    else:
        for item in block.items("content"):
            part = decode_block(item, dropped)
            if isinstance(part, Text | Media):
                content.append(part)
    return canonical.ToolResult(block.need("tool_use_id"), content, None, bool(block.flag("is_error")), cache)


def _decode_tool(tool: Node) -> canonical.Tool:
    schema = tool.raw("input_schema") if tool.has("input_schema") else canonical.Tool("").schema
    return canonical.Tool(tool.need("name"), tool.text("description"), schema, tool.flag("strict"), _cache(tool))


def _decode_choice(body: Node) -> canonical.ToolChoice | None:
    if not body.has("tool_choice"):
        return None
    node = body.object("tool_choice")
    kind = node.need("type")
    off = node.flag("disable_parallel_tool_use")
    parallel = None if off is None else not off
    if kind == "tool":
        return canonical.ToolChoice("named", [node.need("name")], parallel)
    modes: dict[str, canonical.ChoiceMode] = {"auto": "auto", "any": "required", "none": "none"}
    if kind not in modes:
        raise node.fail(f"{kind[:32]!r} is not one of auto, any, tool, none", "type")
    return canonical.ToolChoice(modes[kind], [], parallel)


def _decode_thinking(body: Node) -> canonical.Reasoning | None:
    effort = reasoning.read_effort(body.object("output_config").text("effort"))
    if not body.has("thinking"):
        return canonical.Reasoning(effort) if effort is not None else None
    node = body.object("thinking")
    kind = node.need("type")
    shown = None if not node.has("display") else node.text("display") != "omitted"
    if kind == "disabled":
        return canonical.Reasoning(budget=0)
    return canonical.Reasoning(effort, node.integer("budget_tokens"), shown)


def _decode_format(body: Node) -> JsonFormat | None:
    node = body.object("output_config").child("format") or body.child("output_format")
    if node is None:
        return None
    return JsonFormat(node.raw("schema"), node.text("name") or "answer", True)


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider."""
    body: dict[str, Any] = {"model": model}
    if request.system:
        body["system"] = [_marked({"type": "text", "text": text.text}, text.cache) for text in request.system]
    body["messages"] = []
    for message in request.messages:
        blocks = yield from _encode_blocks(message.parts, request)
        if blocks:
            body["messages"].append({"role": message.role, "content": blocks})
    body["max_tokens"] = request.max_tokens or min(MAX_TOKENS_DEFAULT, request.output_max or MAX_TOKENS_DEFAULT)
    if request.cache is not None:
        _marked(body, request.cache)
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = []
        for tool in request.tools:
            yield
            body["tools"].append(_encode_tool(tool))
    if request.search is not None:
        body.setdefault("tools", []).append(_encode_search(request.search))
    _encode_choice(request, body)
    _encode_thinking(request, model, body)
    if request.format is not None:
        if request.format.has_schema:
            schema = closed_schema(request.format.schema)
            body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
        else:
            request.dropped.append("response_format")
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    for key in ("temperature", "top_p", "top_k"):
        value = getattr(request, key)
        if value is not None:
            body[key] = value
    if "thinking" in body:  # Anthropic refuses these together with thinking
        refused = ["temperature", "top_k"] + (["top_p"] if body.get("top_p", 1) < TOP_P_MIN else [])
        for key in refused:
            if body.pop(key, None) is not None:
                request.dropped.append(key)
    for key in ("seed", "frequency_penalty", "presence_penalty", "logprobs"):
        if getattr(request, key) is not None:
            request.dropped.append(key)
    return body


def closed_schema(schema: Raw) -> Any:
    """Decode a schema and forbid additional properties wherever it describes an object and does not say: Anthropic demands
    it. Raises InvalidBodyError for one that is too large to be rewritten."""
    return close_objects(Node({"schema": msgspec.json.decode(schema)}).schema("schema"))


def close_objects(schema: Any) -> Any:
    """Forbid additional properties in a decoded schema."""
    if isinstance(schema, dict):
        closed = {key: close_objects(value) for key, value in schema.items()}
        if closed.get("type") == "object":
            closed.setdefault("additionalProperties", False)
        return closed
    return [close_objects(item) for item in schema] if isinstance(schema, list) else schema


def _marked(block: dict[str, Any], cache: str | None) -> dict[str, Any]:
    if cache is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": cache} if cache != "5m" else {"type": "ephemeral"}
    return block


def _encode_blocks(parts: list[Part], request: Request) -> Steps[list[dict[str, Any]]]:
    blocks: list[dict[str, Any]] = []
    yield
    for part in parts:
        yield
        if isinstance(part, Text):
            if part.text:  # Anthropic refuses empty text
                blocks.append(_marked({"type": "text", "text": part.text}, part.cache))
        elif isinstance(part, Media):
            blocks.append(_encode_media(part))
        elif isinstance(part, canonical.ToolCall):
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": object_of(part.arguments)}
            blocks.append(_marked(call, part.cache))
        elif isinstance(part, canonical.ToolResult):
            content = [
                _encode_media(i) if isinstance(i, Media) else {"type": "text", "text": i.text} for i in part.content
            ]
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id, "content": content}
            if part.is_error:
                result["is_error"] = True
            blocks.append(_marked(result, part.cache))
        elif isinstance(part, Thinking):
            if part.maker in MAKERS and part.redacted is not None:
                blocks.append({"type": "redacted_thinking", "data": part.redacted})
            elif part.maker in MAKERS and part.signature is not None:
                blocks.append({"type": "thinking", "thinking": part.text, "signature": part.signature})
            else:
                request.dropped.append("messages.thinking")
        else:
            blocks.append({"type": "text", "text": part.text})
    # Results of tools come first in a turn of the user.
    blocks.sort(key=lambda block: block["type"] != "tool_result")
    return blocks


def _encode_media(part: Media) -> dict[str, Any]:
    if part.kind in {"audio", "video"}:
        raise media.refusal(part)
    kind = "image" if part.kind == "image" else "document"
    if part.url is not None:
        source: dict[str, Any] = {"type": "url", "url": part.url}
    elif part.mime == "text/plain":
        return {"type": "text", "text": media.text_of_base64(part.data or "")}
    else:
        source = {"type": "base64", "media_type": part.mime or "application/pdf", "data": part.data}
    block: dict[str, Any] = {"type": kind, "source": source}
    if part.name is not None and kind == "document":
        block["title"] = part.name
    return _marked(block, part.cache)


def _encode_tool(tool: canonical.Tool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": tool.name, "input_schema": tool.schema}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.strict:
        out["strict"] = True
    return _marked(out, tool.cache)


def _encode_search(search: canonical.WebSearch) -> dict[str, Any]:
    out = web_search.write(search, "web_search_20250305") | {"name": web_search.NAME}
    if search.uses_max is not None:
        out["max_uses"] = search.uses_max
    if search.allowed:  # one of the two lists is taken
        out["allowed_domains"] = search.allowed
    elif search.blocked:
        out["blocked_domains"] = search.blocked
    return out


def _encode_choice(request: Request, body: dict[str, Any]) -> None:
    choice = request.choice
    if choice is None or not body.get("tools"):
        return
    out: dict[str, Any] = {"type": {"auto": "auto", "none": "none", "required": "any", "named": "tool"}[choice.mode]}
    if choice.mode == "named":
        out["name"] = choice.names[0]
    elif choice.names:
        names = set(choice.names)
        body["tools"] = [_encode_tool(tool) for tool in request.tools if tool.name in names]
    if choice.parallel is not None and choice.mode != "none":
        out["disable_parallel_tool_use"] = not choice.parallel
    body["tool_choice"] = out


def _encode_thinking(request: Request, model: str, body: dict[str, Any]) -> None:
    wanted = request.reasoning
    if wanted is None:
        return
    budget = reasoning.budget_of(wanted, 8_192)
    if budget == 0 or (wanted.effort == "none" and wanted.budget is None):
        return  # off is the default, and some models refuse to be told
    if reasoning.is_refused(request, MAKERS):
        request.dropped.append("reasoning")
        return
    if ADAPTIVE.search(model):
        body["thinking"] = {"type": "adaptive"}
        effort = reasoning.effort_of(wanted)
        if effort is not None:
            body["output_config"] = {"effort": "low" if effort in {"none", "minimal"} else effort}
        return
    tokens, limit = thinking_limits(budget, request)
    body["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    body["max_tokens"] = limit or body["max_tokens"]


def thinking_limits(budget: int | None, request: Request) -> tuple[int, int | None]:
    """Return the tokens to think with, and the limit of the answer where it has to be raised: thinking counts for it. Both stay
    within what the model writes."""
    tokens, limit = max(budget or THINKING_MIN, THINKING_MIN), request.max_tokens or MAX_TOKENS_DEFAULT
    if limit > tokens:
        return tokens, None
    limit += tokens
    if request.output_max is not None and limit > request.output_max:
        limit = request.output_max
        tokens = max(THINKING_MIN, min(tokens, limit - THINKING_MIN))
    return tokens, limit
