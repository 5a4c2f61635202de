"""Bedrock's Converse to and from the hub. Level 1, sans-I/O.

Amazon Bedrock API reference, "Converse" and "ConverseStream" (as of 2026-11). Usage: `inputTokens` excludes what was
read from or written to the cache. Streams are binary (`wire.eventstream`).
"""

import base64
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE, ProtocolError
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import anthropic, chat, hub, media, reasoning, references
from switchgear.dialects import request as hub_request
from switchgear.dialects.anthropic import MAKERS, MAX_TOKENS_DEFAULT, THINKING_MIN, closed_schema, safe_id
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    BodyRules,
    ClientPath,
    ClientTools,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    Operation,
    Translator,
)
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import COMBINATORS, IMAGES, Rules
from switchgear.dialects.hub import Answer, Finish, JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.reading import BinaryListener, Reading, State, Tap, cap, plain_reader, usage_reader
from switchgear.dialects.shape import (
    TRANSLATION_ERRORS,
    InvalidBodyError,
    Node,
    decode_event,
    encode,
    foreign_tools,
    object_of,
    text_of_object,
)
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks
from switchgear.wire import eventstream

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
_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
}
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
}
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
_FORMAT_NAMES = {mime: name for name, mime in _FORMATS.items()}
_BAD_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]")


# Requests


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
        parts = yield from _decode_blocks(message.each("content"), request.dropped)
        if role == "assistant":  # what a tool of Bedrock's own answered stands beside its call
            served = {part.call_id for part in parts if isinstance(part, hub.ToolResult)}
            request.dropped += [f"toolUse {call_id[:64]}" for call_id in served]
            parts = _without_served(parts, served)
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
    """Claude's own fields have a place in the hub; the rest is noted."""
    for key in fields.names():
        if key == "thinking":
            thinking = fields.object("thinking")
            off = thinking.text("type") == "disabled"
            request.reasoning = hub.Reasoning(budget=0 if off else thinking.integer("budget_tokens"))
        elif key == "top_k":
            request.top_k = fields.integer("top_k")
        else:
            request.dropped.append(f"additionalModelRequestFields.{key}")


def _decode_blocks(blocks: Iterable[Node], dropped: list[str]) -> Steps[list[Part]]:
    parts: list[Part] = []
    for block in blocks:
        yield
        if block.has("cachePoint"):
            if parts and isinstance(parts[-1], Text | Media | hub.ToolResult):
                parts[-1].cache = _ttl(block)
            continue
        part = _decode_block(block, dropped)
        if part is not None:
            parts.append(part)
    return hub.attach_signatures(parts)


def _decode_block(block: Node, dropped: list[str]) -> Part | None:
    if block.has("text"):
        return Text(block.need("text"))
    for key in ("image", "document", "video"):
        if block.has(key):
            return _decode_media(block.object(key), key)
    if block.has("toolUse"):
        call = block.object("toolUse")
        return hub.ToolCall(call.need("toolUseId"), call.need("name"), text_of_object(call.get("input")))
    if block.has("toolResult"):
        result = block.object("toolResult")
        content: list[Text | Media] = []
        for item in result.items("content"):
            found = Text(encode(item.get("json")).decode()) if item.has("json") else _decode_block(item, dropped)
            if isinstance(found, Text | Media):
                content.append(found)
        return hub.ToolResult(result.need("toolUseId"), content, None, result.text("status") == "error")
    if block.has("reasoningContent"):
        thought = block.object("reasoningContent")
        text = thought.object("reasoningText")
        signature, maker = hub.unpack_signature(text.text("signature"), MAKER)
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
        parameters = schema.raw("json") if schema.has("json") else hub.Tool("").schema
        request.tools.append(hub.Tool(spec.need("name"), spec.text("description"), parameters, spec.flag("strict")))
    if request.tools and is_cached:
        request.tools[-1].cache = "5m"
    choice = config.object("toolChoice")
    if choice.has("tool"):
        request.choice = hub.ToolChoice("named", [choice.object("tool").need("name")])
    elif choice.has("any"):
        request.choice = hub.ToolChoice("required")
    elif choice.has("auto"):
        request.choice = hub.ToolChoice("auto")


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider. The model stands in the path."""
    messages = []
    for message in request.messages:
        content = yield from _encode_blocks(message.parts, request)
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
        body["toolConfig"] = _encode_tools(request)
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
            budget = max(budget, THINKING_MIN)
            more["thinking"] = {"type": "enabled", "budget_tokens": budget}
            if (request.max_tokens or 0) <= budget:
                config["maxTokens"] = budget + (request.max_tokens or MAX_TOKENS_DEFAULT)
            for key in ("temperature", "topP"):
                config.pop(key, None)
        elif budget:
            request.dropped.append("reasoning")
    elif wanted is not None:
        request.dropped.append("reasoning")
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


def _encode_blocks(parts: list[Part], request: Request) -> Steps[list[dict[str, Any]]]:
    blocks: list[dict[str, Any]] = []
    yield
    for part in sorted(parts, key=lambda part: not isinstance(part, hub.ToolResult)):
        yield
        if isinstance(part, Text | Refusal):
            if part.text.strip():  # Bedrock refuses blank text
                blocks.append({"text": part.text})
        elif isinstance(part, Media):
            blocks.append(_encode_media(part, len(blocks)))
        elif isinstance(part, hub.ToolCall):
            arguments = object_of(part.arguments)
            blocks.append({"toolUse": {"toolUseId": safe_id(part.id), "name": part.name, "input": arguments}})
        elif isinstance(part, hub.ToolResult):
            content = [
                _encode_media(i, n) if isinstance(i, Media) else {"text": i.text} for n, i in enumerate(part.content)
            ]
            result = {"toolUseId": safe_id(part.call_id), "content": content or [{"text": ""}]}
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


def _encode_media(part: Media, number: int) -> dict[str, Any]:
    if part.data is None or part.kind == "audio":
        raise media.refusal(part)
    mime = part.mime or ("image/png" if part.kind == "image" else "application/pdf")
    form = _FORMAT_NAMES.get(mime)
    if form is None:
        raise InvalidBodyError(f"files of type {mime[:64]!r} cannot be carried to this model's provider", "messages")
    block: dict[str, Any] = {"format": form, "source": {"bytes": part.data}}
    if part.kind == "file":
        block["name"] = _BAD_NAME.sub(" ", part.name or "")[:64].strip() or f"document {number + 1}"
        return {"document": block}
    return {"image" if part.kind == "image" else "video": block}


def _encode_tools(request: Request) -> dict[str, Any]:
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
    if choice.mode == "named":
        out["toolChoice"] = {"tool": {"name": choice.names[0]}}
    elif choice.mode == "required":
        out["toolChoice"] = {"any": {}}
    elif choice.mode == "none":
        request.dropped.append("tool_choice")  # Converse cannot say it, and needs the tools for calls in the history
    if choice.parallel is not None:
        request.dropped.append("parallel_tool_calls")
    return out


# Answers


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str | None = None
    input_tokens: int | None = None


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    if found.input_tokens is None and found.output_tokens is None:
        return None
    written = found.cache_write_input_tokens
    long = sum(one.input_tokens or 0 for one in found.cache_details or () if one.ttl == "1h") or None
    return TokenUsage(
        input=found.input_tokens,
        cache_read=found.cache_read_input_tokens,
        cache_write_5m=max(0, (written or 0) - long) if long else written,
        cache_write_1h=long,
        output=found.output_tokens,
    )


usage_of_raw = usage_reader(_Usage, _tokens)


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer."""
    if not body.has("output"):
        raise body.fail("an answer without output", "output")
    answer = Answer()
    parts = yield from _decode_blocks(body.object("output").object("message").each("content"), answer.dropped)
    # Tools that Bedrock ran itself leave their results in the answer: they are no calls for the client.
    served = {part.call_id for part in parts if isinstance(part, hub.ToolResult)}
    answer.dropped += [f"toolUse {call_id}" for call_id in served]
    answer.parts = _without_served(parts, served)
    answer.finish = _FINISHES.get(body.text("stopReason") or "end_turn", "stop")
    answer.usage = usage_of_raw(body.raw("usage"))
    return answer


def _without_served(parts: list[Part], served: set[str]) -> list[Part]:
    return [
        part
        for part in parts
        if not isinstance(part, hub.ToolResult) and not (isinstance(part, hub.ToolCall) and part.id in served)
    ]


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    content = []
    for part in hub.detach_signatures(answer.parts):
        yield
        content.append(_answer_block(part))
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _FINISH_NAMES[answer.finish],
        "usage": encode_usage(answer.usage),
        "metrics": {"latencyMs": 0},
    }


def _answer_block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, hub.ToolCall):
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": object_of(part.arguments)}}
    if isinstance(part, Thinking):
        if part.redacted is not None and part.maker == MAKER:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        text = {"text": part.text}
        signature = hub.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return {"reasoningContent": {"reasoningText": text | ({"signature": signature} if signature else {})}}
    if isinstance(part, Media) and part.kind == "image" and part.data is not None and part.mime in _FORMAT_NAMES:
        return _encode_media(part, 0)
    return {"text": f"![image]({media.to_url(part)})" if isinstance(part, Media) else ""}


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build a usage object."""
    known = usage or TokenUsage()
    uncached = (known.input or 0) + (known.audio_in or 0) + (known.image_in or 0) + (known.video_in or 0)
    return {
        "inputTokens": uncached,
        "outputTokens": known.output_total,
        "totalTokens": known.input_total + known.output_total,
        "cacheReadInputTokens": known.cached_total,
        "cacheWriteInputTokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
    }


# Streams


class StreamDecoder:
    """A provider's stream to events."""

    def __init__(self) -> None:
        self._messages = eventstream.Decoder()
        self._sequence = hub.Sequence()
        self._finish: Finish | None = None
        self._is_ended = False

    def feed(self, data: bytes) -> list[hub.Event]:
        """Return the events that these bytes complete. Raises ProtocolError."""
        for message in self._messages.feed(data):
            if not self._is_ended:
                self._message(message)
        return self._sequence.take()

    def finish(self) -> list[hub.Event]:
        """The stream ended."""
        if not self._is_ended and self._finish is not None:
            self._end(None)
        return self._sequence.take()

    def _message(self, message: eventstream.Message) -> None:
        try:
            body = Node(decode_event(message.payload) if message.payload else {})
            kind = message.headers.get(":exception-type")
            if kind is not None or message.headers.get(":message-type") == "error":
                text = body.text("message") or message.headers.get(":error-message") or "the provider reported an error"
                self._sequence.events.append(hub.Failed(text, kind or "error"))
                self._is_ended = True
            else:
                self._event(message.headers.get(":event-type", ""), body)
        except (*UNREADABLE, InvalidBodyError) as exc:
            raise ProtocolError(f"the provider sent an event that is not of its dialect: {exc}") from exc

    def _event(self, kind: str, body: Node) -> None:
        sequence = self._sequence
        if kind == "contentBlockDelta":
            self._delta(body.object("delta"))
        elif kind == "contentBlockStart":
            start = body.object("start").object("toolUse")
            if start.has("toolUseId"):
                sequence.begin("tool", start.need("toolUseId"), start.need("name"))
        elif kind == "contentBlockStop":
            sequence.close()
        elif kind == "messageStart":
            sequence.events.append(hub.Begin(None, None))
        elif kind == "messageStop":
            self._finish = _FINISHES.get(body.text("stopReason") or "", "stop")
        elif kind == "metadata":
            self._end(usage_of_raw(body.raw("usage")), _tier(body))

    def _delta(self, delta: Node) -> None:
        sequence = self._sequence
        if delta.has("text"):
            sequence.text("text", delta.need("text"))
        elif delta.has("toolUse"):
            sequence.more(delta.object("toolUse").text("input") or "")
        elif delta.has("reasoningContent"):
            thought = delta.object("reasoningContent")
            if thought.has("text"):
                sequence.text("thinking", thought.need("text"))
            elif thought.has("signature") or thought.has("redactedContent"):
                sequence.sign(thought.text("signature"), thought.text("redactedContent"), MAKER)

    def _end(self, usage: TokenUsage | None, tier: str | None = None) -> None:
        self._is_ended = True
        self._sequence.close()
        if self._finish is not None:
            self._sequence.events.append(hub.End(self._finish, usage, None, tier))


class StreamEncoder:
    """Events to a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._index = -1
        self._kind = ""

    def encode(self, event: hub.Event) -> bytes:
        """Return the bytes that say this event."""
        if isinstance(event, hub.Delta):
            return self._delta(event.text)
        if isinstance(event, hub.PartBegin):
            return self._begin(event)
        if isinstance(event, hub.PartEnd):
            return self._stop()
        if isinstance(event, hub.Signature):
            signature = hub.pack_signature(event.signature or event.redacted, event.maker, MAKER)
            return self._block_delta({"reasoningContent": {"signature": signature}})
        if isinstance(event, hub.Begin):
            return eventstream.event("messageStart", encode({"role": "assistant"}))
        if isinstance(event, hub.Picture):
            self._kind = "text"
            self._index += 1
            return self._delta(f"![image]({media.to_url(event.media)})") + self._stop()
        if isinstance(event, hub.End):
            stop = eventstream.event("messageStop", encode({"stopReason": _FINISH_NAMES[event.finish]}))
            metadata = {"usage": encode_usage(event.usage), "metrics": {"latencyMs": 0}}
            return stop + eventstream.event("metadata", encode(metadata))
        return b""

    def _stop(self) -> bytes:
        return eventstream.event("contentBlockStop", encode({"contentBlockIndex": self._index}))

    def _begin(self, event: hub.PartBegin) -> bytes:
        before = b""
        self._index += 1
        self._kind = event.kind
        if event.kind != "tool":
            return b""
        if event.signature is not None:
            packed = hub.pack_signature(event.signature, "gemini", MAKER)
            before = self._block_delta({"reasoningContent": {"signature": packed}}) + self._stop()
            self._index += 1
        start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
        body = encode({"contentBlockIndex": self._index, "start": start})
        return before + eventstream.event("contentBlockStart", body)

    def _delta(self, text: str) -> bytes:
        if self._kind == "tool":
            return self._block_delta({"toolUse": {"input": text}})
        if self._kind == "thinking":
            return self._block_delta({"reasoningContent": {"text": text}})
        return self._block_delta({"text": text})

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        body = encode({"contentBlockIndex": self._index, "delta": delta})
        return eventstream.event("contentBlockDelta", body)


# InvokeModel: the body is the model's own dialect, and passes as it is

_COUNTS = {
    b"x-amzn-bedrock-input-token-count": "input",
    b"x-amzn-bedrock-output-token-count": "output",
    b"x-amzn-bedrock-cache-read-input-token-count": "cache_read",
    b"x-amzn-bedrock-cache-write-input-token-count": "cache_write_5m",
}
_METRICS = {
    "inputTokenCount": "input",
    "outputTokenCount": "output",
    "cacheReadInputTokenCount": "cache_read",
    "cacheWriteInputTokenCount": "cache_write_5m",
}


def usage_of_headers(headers: list[tuple[bytes, bytes]]) -> TokenUsage | None:
    """Read Bedrock's own counts from a response's headers (seen in recorded exchanges); None where there are none."""
    found = {
        _COUNTS[name]: int(value)
        for name, value in headers
        if name in _COUNTS and value.isdigit() and len(value) < 10  # more is no count
    }
    return TokenUsage(**found) if found else None


def listen_invoke(kind: str, event: Node, state: State) -> None:
    """Read one message of an invoked model's stream: its last chunk carries Bedrock's counts."""
    if kind != "chunk":
        return
    try:
        state.memory = base64.b64decode(event.text("bytes") or "")
        value = decode_event(state.memory)
    except ValueError:
        return
    chunk = Node(value if isinstance(value, dict) else {})
    metrics = chunk.object("amazon-bedrock-invocationMetrics")
    counts = {name: metrics.integer(key) for key, name in _METRICS.items() if metrics.has(key)}
    if counts:
        usage = TokenUsage(**counts)
        state.reading.usage = usage if usage.is_sane() else None
        state.is_done = True
    reason = chunk.object("delta").text("stop_reason") if isinstance(chunk.get("delta"), dict) else None
    state.reading.finish_reason = cap(reason) or state.reading.finish_reason


# Listening to a stream that passes


def read_answer(body: Node) -> Reading:
    """Read what a plain answer says about itself."""
    return Reading(usage_of_raw(body.raw("usage")), cap(body.text("stopReason")), service_tier=_tier(body))


def _tier(body: Node) -> str | None:
    """The service tier that served the request (Amazon Bedrock API reference, "ServiceTier")."""
    try:
        return cap(body.object("serviceTier").text("type"))
    except TRANSLATION_ERRORS:
        return None


def listen(kind: str, event: Node, state: State) -> None:
    """Read one message of a stream."""
    if kind == "messageStop":
        state.reading.finish_reason = cap(event.text("stopReason"))
    elif kind == "metadata":
        state.reading.usage = usage_of_raw(event.raw("usage"))
        state.reading.service_tier = _tier(event)
        state.is_done = True


TEXTS = needles("text", "input", "thinking", "partial_json", "completion", "generation", "outputText")
"""Invoked models have their own."""


def _open_tap(request: hub_request.Request) -> Tap:
    return BinaryListener(listen_invoke if request.operation == "invoke" else listen, TEXTS)


# The row

_ERROR_TYPES = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    502: "ModelErrorException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def _error_headers(fault: Fault) -> bytes:
    default = "ValidationException" if fault.status < 500 else "InternalServerException"
    return b"x-amzn-errortype: %b\r\n" % _ERROR_TYPES.get(fault.status, default).encode()


def _error_event(fault: Fault, body: bytes, sequence_number: int) -> bytes:
    kind = "modelStreamErrorException" if fault.status >= 500 else "validationException"
    return eventstream.exception(kind, body)


def _path(verb: str, operation: str, name: str, stream: bool = False) -> ClientPath:
    return ClientPath(path=f"/model/{{model}}/{verb}", operation=operation, name=name, stream=stream)


_HELLO = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}

ROW = Dialect(
    name="bedrock",
    errors=ErrorShape(
        lambda fault: {"message": fault.message},
        _error_event,
        _error_headers,
        too_long=(
            "Input is too long for requested model",
            "Input is too long for requested model: {tokens} tokens > {limit}",
        ),
    ),
    stream_type=b"application/vnd.amazon.eventstream",
    is_binary=True,
    ping=lambda number: b"",
    operations={
        "chat": Operation(
            "/model/{model}/converse",
            BodyRules(
                ("messages",), ("inferenceConfig.maxTokens",), has_model=False, limit="inferenceConfig.maxTokens"
            ),
            ("output",),
            "/model/{model}/converse-stream",
        ),
        "invoke": Operation(
            "/model/{model}/invoke",
            BodyRules((), ("max_tokens", "max_gen_len", "textGenerationConfig.maxTokenCount"), has_model=False),
            stream_path="/model/{model}/invoke-with-response-stream",
            read_headers=usage_of_headers,
        ),
        "count_tokens": Operation(
            "/model/{model}/count-tokens", BodyRules(("input",), has_model=False), ("inputTokens",)
        ),
    },
    # bodies of `invoke` are the model's own, and Converse hands on what it does not know
    references=references.watched(
        anthropic.REFERENCES
        | {f"additionalModelRequestFields.{path}": kind for path, kind in anthropic.REFERENCES.items()}
    ),
    read_answer=plain_reader(read_answer),
    open_tap=_open_tap,
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(
        user_turn=True,
        user_first=True,
        past_tools=True,
        top_words=COMBINATORS,
        images=IMAGES,
        makers=MAKERS,
        empty_result="(no output)",
    ),
    client_paths=(
        _path("converse", "chat", "converse"),
        _path("converse-stream", "chat", "converse", stream=True),
        _path("invoke", "invoke", "invoke"),
        _path("invoke-with-response-stream", "invoke", "invoke", stream=True),
        _path("count-tokens", "count_tokens", "count_tokens"),
    ),
    known_path=re.compile(rb"/model/"),
    models=chat.ROW.models,
    id_header=b"x-amzn-requestid",
    count=lambda count: {"inputTokens": count},
    examples=Examples(
        plain=Example("/model/{model}/converse", _HELLO, '"output"'),
        stream=Example("/model/{model}/converse-stream", _HELLO, "messageStop"),
    ),
)
