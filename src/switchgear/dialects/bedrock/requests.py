"""Bedrock's Converse: requests to and from the canonical values. Level 1, sans-I/O.

Amazon Bedrock API reference, "Converse" and "ConverseStream" (as of 2026-11). Usage: `inputTokens` excludes what was
read from or written to the cache. Streams are binary (`wire.eventstream`).
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Raw

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning
from switchgear.dialects.anthropic.requests import ADAPTIVE, MAKERS, MAX_TOKENS_DEFAULT, closed_schema, thinking_limits
from switchgear.dialects.canonical import JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.json_node import (
    InvalidBodyError,
    Node,
    encode,
    foreign_tools,
    object_of,
    text_of_object,
)
from switchgear.providers.quirks import Quirks

MAKER = "bedrock"


_KNOWN = frozenset(
    {
        "modelId",
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "additionalModelRequestFields",
        "outputConfig",
        "requestMetadata",
    }
)


_THINKS_BY_BUDGET = r"claude-(opus-4-2|sonnet-4-2|opus-4-1|(opus|sonnet|haiku)-4-5)"
_BETAS = {
    "context-1m-2025-08-07": re.compile(r"claude-(sonnet-4-2|sonnet-4-5|(opus|sonnet)-4-6)"),
    "fine-grained-tool-streaming-2025-05-14": re.compile(_THINKS_BY_BUDGET),
    "interleaved-thinking-2025-05-14": re.compile(_THINKS_BY_BUDGET),
    "output-128k-2025-02-19": re.compile("claude-3-7-sonnet"),
    "token-efficient-tools-2025-02-19": re.compile(f"claude-3-7-sonnet|{_THINKS_BY_BUDGET}"),
}
"""Values of `anthropic-beta` that Bedrock takes as `anthropic_beta` → the models that take them (Bedrock user guide, "Anthropic
Claude Messages API", the tables of beta features; litellm#19875 lists them, read 2026-11-28). One that a model does not know costs
the whole request: "invalid beta flag" (continue#11969; Opus 4.7 refuses nearly all, claude-code#49370, #49648). What
else is in the tables (context editing, compaction, search for tools, computer use) has no place in a translated body."""
BETA_CHARS_MAX = 64


_FORMATS = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


FORMAT_NAMES = {mime: name for name, mime in _FORMATS.items()}


_SPACES = re.compile(r"\s\s+")


NAME_CHARS_MAX = 64


BESIDE_DOCUMENT = "(see the document)"
"""A document must stand beside a text (Amazon Bedrock API reference, ContentBlock; read 2026-11-27)."""


# Models without a prompt cache, and those that take `auto` alone, or no tool by name (Amazon Bedrock user guide, "Prompt
# caching", and API reference, ToolChoice: any for Claude, Nova and Mistral, tool for Claude and Nova; read 2026-11-27).
_WITHOUT_CACHE = re.compile(r"(meta|mistral|ai21|cohere|deepseek|qwen|openai|writer|titan|minimax|moonshot)[.-]")


_CHOOSES_ALONE = re.compile(r"(meta|ai21|cohere|deepseek|qwen|openai|writer|titan)[.-]")


_BAD_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]")


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN]
    for block in body.each("system"):
        yield
        if block.has("cachePoint"):
            if request.system:
                request.system[-1].cache = _ttl(block)
        else:
            request.system.append(Text(block.need("text")))
    for message in body.each("messages"):
        yield
        role = message.need("role")
        if role not in {"user", "assistant"}:
            raise message.fail(f"{role[:32]!r} is not one of user, assistant", "role")
        parts = yield from decode_blocks(message.each("content"), request.dropped)
        if role == "assistant":  # what a tool of Bedrock's own answered stands beside its call
            served = {part.call_id for part in parts if isinstance(part, canonical.ToolResult)}
            request.dropped += [f"toolUse {call_id[:64]}" for call_id in served]
            parts = without_served(parts, served)
        if request.messages and request.messages[-1].role == role:
            request.messages[-1].parts.extend(parts)
        else:
            request.messages.append(Message(role, parts))  # type: ignore[arg-type]
    yield from _decode_tools(body.object("toolConfig"), request)
    config = body.object("inferenceConfig")
    request.max_tokens, request.temperature = config.integer("maxTokens"), config.number("temperature")
    request.top_p = config.number("topP")
    request.stop = [str(item.value) for item in config.items("stopSequences")]
    _decode_additional(body.object("additionalModelRequestFields"), request)
    text = body.object("outputConfig").object("textFormat")
    if text.has("structure"):
        schema = text.object("structure").object("jsonSchema")
        request.format = JsonFormat(
            Raw((schema.text("schema") or "null").encode()), schema.text("name") or "answer", True
        )
    return request


def _ttl(block: Node) -> str:
    return block.object("cachePoint").text("ttl") or "5m"


def _decode_additional(fields: Node, request: Request) -> None:
    """Claude's own fields have a place in the canonical values; the rest is noted."""
    for key in fields.names():
        if key == "thinking":
            thinking = fields.object("thinking")
            off = thinking.text("type") == "disabled"
            request.reasoning = canonical.Reasoning(budget=0 if off else thinking.integer("budget_tokens"))
        elif key == "top_k":
            request.top_k = fields.integer("top_k")
        else:
            request.dropped.append(f"additionalModelRequestFields.{key}")


def decode_blocks(blocks: Iterable[Node], dropped: list[str]) -> Steps[list[Part]]:
    """Read the blocks of a turn; what cannot be carried is added to `dropped`."""
    parts: list[Part] = []
    for block in blocks:
        yield
        if block.has("cachePoint"):
            if parts and isinstance(parts[-1], Text | Media | canonical.ToolResult | canonical.ToolCall):
                parts[-1].cache = _ttl(block)
            continue
        part = _decode_block(block, dropped)
        if part is not None:
            parts.append(part)
    return canonical.attach_signatures(parts)


def _decode_block(block: Node, dropped: list[str]) -> Part | None:
    if block.has("text"):
        return Text(block.need("text"))
    for key in ("image", "document", "video"):
        if block.has(key):
            return _decode_media(block.object(key), key)
    if block.has("toolUse"):
        call = block.object("toolUse")
        return canonical.ToolCall(call.need("toolUseId"), call.need("name"), text_of_object(call.get("input")))
    if block.has("toolResult"):
        result = block.object("toolResult")
        content: list[Text | Media] = []
        for item in result.items("content"):
            found = Text(encode(item.get("json")).decode()) if item.has("json") else _decode_block(item, dropped)
            if isinstance(found, Text | Media):
                content.append(found)
        return canonical.ToolResult(result.need("toolUseId"), content, None, result.text("status") == "error")
    if block.has("reasoningContent"):
        thought = block.object("reasoningContent")
        text = thought.object("reasoningText")
        signature, maker = canonical.unpack_signature(text.text("signature"), MAKER)
        return Thinking(text.text("text") or "", signature, thought.text("redactedContent"), maker or MAKER)
    dropped.append(f"{block.path} ({', '.join(block.names())[:64]})")
    return None


def _decode_media(block: Node, key: str) -> Part:
    source = block.object("source")
    kind = "file" if key == "document" else key
    name = block.text("name")
    if source.has("text"):
        return Text(source.need("text"))
    if not source.has("bytes"):
        raise source.fail("what is stored in S3 cannot be carried to this model's provider; send `bytes`")
    mime = _FORMATS.get(block.text("format") or "", "application/octet-stream")
    return Media(kind, mime, source.need("bytes"), None, name)  # type: ignore[arg-type]


def _decode_tools(config: Node, request: Request) -> Steps[None]:
    specs: list[Node] = []
    is_cached = False
    for tool in config.each("tools"):
        yield
        if tool.has("cachePoint"):
            is_cached = True
        else:
            specs.append(tool)
    tools = yield from foreign_tools.steps(specs, lambda tool: tool.has("toolSpec"), request.dropped)
    for tool in tools:
        yield
        spec = tool.object("toolSpec")
        schema = spec.object("inputSchema")
        parameters = schema.raw("json") if schema.has("json") else canonical.Tool("").schema
        request.tools.append(
            canonical.Tool(spec.need("name"), spec.text("description"), parameters, spec.flag("strict"))
        )
    if request.tools and is_cached:
        request.tools[-1].cache = "5m"
    choice = config.object("toolChoice")
    if choice.has("tool"):
        request.choice = canonical.ToolChoice("named", [choice.object("tool").need("name")])
    elif choice.has("any"):
        request.choice = canonical.ToolChoice("required")
    elif choice.has("auto"):
        request.choice = canonical.ToolChoice("auto")


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider. The model stands in the path."""
    messages = []
    names: set[str] = set()
    if _WITHOUT_CACHE.search(model):
        yield from _unmark(request)
    for message in request.messages:
        content = yield from _encode_blocks(message.parts, request, names)
        if any("document" in block for block in content) and not any("text" in block for block in content):
            content.append({"text": BESIDE_DOCUMENT})
        if content:
            messages.append({"role": message.role, "content": content})
    body: dict[str, Any] = {"messages": messages}
    if request.system:
        body["system"] = []
        for text in request.system:
            body["system"].append({"text": text.text})
            if text.cache is not None:
                body["system"].append(_cache_point(text.cache))
    config: dict[str, Any] = {}
    for key, name in (("max_tokens", "maxTokens"), ("temperature", "temperature"), ("top_p", "topP")):
        value = getattr(request, key)
        if value is not None:
            config[name] = value
    if request.stop:
        config["stopSequences"] = request.stop
    if request.tools:
        body["toolConfig"] = _encode_tools(request, model)
    _encode_more(request, model, body, config)
    if config:
        body["inferenceConfig"] = config
    for key in ("seed", "frequency_penalty", "presence_penalty", "logprobs", "user"):
        if getattr(request, key) is not None:
            request.dropped.append(key)
    return body


def _encode_more(request: Request, model: str, body: dict[str, Any], config: dict[str, Any]) -> None:
    """What only some models of Bedrock know goes into `additionalModelRequestFields`."""
    is_claude = "anthropic" in model or "claude" in model
    more: dict[str, Any] = {}
    if request.top_k is not None:
        if is_claude:
            more["top_k"] = request.top_k
        else:
            request.dropped.append("top_k")
    wanted = request.reasoning
    if wanted is not None and is_claude:
        budget = reasoning.budget_of(wanted, 8_192)
        if budget and not reasoning.is_refused(request, MAKERS):
            if ADAPTIVE.search(model):  # the only form that these models take
                more["thinking"] = {"type": "adaptive"}
                effort = reasoning.effort_of(wanted)
                if effort is not None:
                    more["output_config"] = {"effort": "low" if effort in {"none", "minimal"} else effort}
            else:
                tokens, limit = thinking_limits(budget, request)
                more["thinking"] = {"type": "enabled", "budget_tokens": tokens}
                config["maxTokens"] = limit or request.max_tokens or MAX_TOKENS_DEFAULT
            for key in ("temperature", "topP"):
                config.pop(key, None)
        elif budget:
            request.dropped.append("reasoning")
    elif wanted is not None:
        request.dropped.append("reasoning")
    betas = [beta for beta in request.betas if beta in _BETAS and _BETAS[beta].search(model)]
    if betas:
        more["anthropic_beta"] = betas
    request.dropped += [f"anthropic-beta.{beta[:BETA_CHARS_MAX]}" for beta in request.betas if beta not in betas]
    if more:
        body["additionalModelRequestFields"] = more
    if request.format is None:
        return
    if request.format.has_schema:
        schema = encode(closed_schema(request.format.schema)).decode()
        structure = {"jsonSchema": {"schema": schema, "name": request.format.name}}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    else:
        request.dropped.append("response_format")


def _cache_point(ttl: str) -> dict[str, Any]:
    return {"cachePoint": {"type": "default"} | ({"ttl": ttl} if ttl != "5m" else {})}


def _encode_blocks(parts: list[Part], request: Request, names: set[str]) -> Steps[list[dict[str, Any]]]:
    blocks: list[dict[str, Any]] = []
    yield
    for part in sorted(parts, key=lambda part: not isinstance(part, canonical.ToolResult)):
        yield
        if isinstance(part, Text | Refusal):
            if part.text.strip():  # Bedrock refuses blank text
                blocks.append({"text": part.text})
        elif isinstance(part, Media):
            blocks.append(encode_media(part, names))
        elif isinstance(part, canonical.ToolCall):
            arguments = object_of(part.arguments)
            blocks.append({"toolUse": {"toolUseId": part.id, "name": part.name, "input": arguments}})
        elif isinstance(part, canonical.ToolResult):
            content = [encode_media(i, names) if isinstance(i, Media) else {"text": i.text} for i in part.content]
            result = {"toolUseId": part.call_id, "content": content or [{"text": ""}]}
            blocks.append({"toolResult": result | ({"status": "error"} if part.is_error else {})})
        elif part.maker in MAKERS and part.redacted is not None:
            blocks.append({"reasoningContent": {"redactedContent": part.redacted}})
        elif part.maker in MAKERS and part.signature is not None:
            text = {"text": part.text, "signature": part.signature}
            blocks.append({"reasoningContent": {"reasoningText": text}})
        else:
            request.dropped.append("messages.thinking")
        cache = getattr(part, "cache", None)
        if cache is not None and blocks:
            blocks.append(_cache_point(cache))
    return blocks


def _unmark(request: Request) -> Steps[None]:
    """Take away the marks of the cache, for models that have none."""
    for tool in request.tools:
        tool.cache = None
    for text in request.system:
        text.cache = None
    for message in request.messages:
        yield
        for part in message.parts:
            if isinstance(part, Text | Media | canonical.ToolCall | canonical.ToolResult):
                part.cache = None


def _document_name(name: str, names: set[str]) -> str:
    """Return a name that no other document of the request has, of the characters that are taken, without two spaces in a row
    (Amazon Bedrock API reference, DocumentBlock; read 2026-11-27)."""
    plain = _SPACES.sub(" ", _BAD_NAME.sub(" ", name))[:NAME_CHARS_MAX].strip() or "document"
    unique, number = plain, 1
    while unique in names:
        number += 1
        unique = f"{plain[:NAME_CHARS_MAX]} {number}"
    names.add(unique)
    return unique


def encode_media(part: Media, names: set[str]) -> dict[str, Any]:
    """Build a block. Raises InvalidBodyError for what Bedrock has no place for. `names` are those of the documents before it."""
    if part.data is None or part.kind == "audio":
        raise media.refusal(part)
    mime = part.mime or ("image/png" if part.kind == "image" else "application/pdf")
    form = FORMAT_NAMES.get(mime)
    if form is None:
        raise InvalidBodyError(f"files of type {mime[:64]!r} cannot be carried to this model's provider", "messages")
    block: dict[str, Any] = {"format": form, "source": {"bytes": part.data}}
    if part.kind == "file":
        block["name"] = _document_name(part.name or "", names)
        return {"document": block}
    return {"image" if part.kind == "image" else "video": block}


def _encode_tools(request: Request, model: str) -> dict[str, Any]:
    choice = request.choice
    tools = request.tools
    if choice is not None and choice.names and choice.mode != "named":
        names = set(choice.names)
        tools = [tool for tool in tools if tool.name in names]
    out: dict[str, Any] = {"tools": []}
    for tool in tools:
        spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.schema}}
        if tool.description:
            spec["description"] = tool.description
        out["tools"].append({"toolSpec": spec})
        if tool.cache is not None:
            out["tools"].append(_cache_point(tool.cache))
    if choice is None:
        return out
    if choice.mode in {"named", "required"} and _CHOOSES_ALONE.search(model):
        request.dropped.append("tool_choice")
    elif choice.mode == "named":
        out["toolChoice"] = {"tool": {"name": choice.names[0]}}
    elif choice.mode == "required":
        out["toolChoice"] = {"any": {}}
    elif choice.mode == "none":
        request.dropped.append("tool_choice")  # Converse cannot say it, and needs the tools for calls in the history
    if choice.parallel is not None:
        request.dropped.append("parallel_tool_calls")
    return out


def without_served(parts: list[Part], served: set[str]) -> list[Part]:
    """Leave out results, and the calls that they answer (`served`): Bedrock ran these tools itself."""
    return [
        part
        for part in parts
        if not isinstance(part, canonical.ToolResult)
        and not (isinstance(part, canonical.ToolCall) and part.id in served)
    ]
