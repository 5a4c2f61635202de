"""Anthropic messages to and from the hub. Level 1, sans-I/O.

Anthropic API reference, "Messages", "Streaming", "Extended thinking", "Structured outputs" (as of 2026-11). Usage:
`input_tokens` excludes what was read from or written to the cache; `message_delta` repeats running totals, the last one
counts.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects import hub, kept_things, media, reasoning, references
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    WEATHER,
    BodyRules,
    ClientPath,
    ClientTools,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    ModelList,
    Operation,
    Translator,
)
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import BOUNDS, COMBINATORS, IMAGES, Rules
from switchgear.dialects.hub import Answer, Finish, JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.reading import Ears, Listener, Reading, State, cap, plain_reader
from switchgear.dialects.shape import Node, encode, foreign_tools, object_of, text_of_object
from switchgear.dialects.streams import SseDecoder, sse_event
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks

MAKER = "anthropic"
MAKERS = frozenset({"anthropic", "bedrock"})
"""Signatures of Claude's thinking are valid on every platform that serves it ("Extended thinking", as of 2026-11)."""
MAX_TOKENS_DEFAULT = 8_192
"""What a request gets that names no limit: the field is required, and every current model allows it."""
THINKING_MIN = 1_024
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
    }
)
# Models that refuse a thinking budget and take `thinking: adaptive` with an effort (Anthropic, "Adaptive thinking").
_ADAPTIVE = re.compile(r"claude-(opus-4-[7-9]|(opus|sonnet|haiku)-[5-9]|fable|mythos)")
_FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
}


# Requests


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN]
    system = body.get("system")
    if isinstance(system, str):
        request.system.append(Text(system))
    else:
        for block in body.each("system"):
            yield
            request.system.append(Text(block.need("text"), _cache(block)))
    for message in body.each("messages"):
        yield from _decode_message(message, request)
    tools = yield from foreign_tools.steps(body.each("tools"), _is_function, request.dropped)
    for tool in tools:
        yield
        request.tools.append(_decode_tool(tool))
    request.choice = _decode_choice(body)
    request.reasoning, request.format = _decode_thinking(body), _decode_format(body)
    request.max_tokens = body.integer("max_tokens")
    request.temperature, request.top_p = body.number("temperature"), body.number("top_p")
    request.top_k = body.integer("top_k")
    request.stop = [str(item.value) for item in body.items("stop_sequences")]
    return request


def _is_function(tool: Node) -> bool:
    return tool.text("type") in {None, "custom"}


def _cache(block: Node) -> str | None:
    marker = block.child("cache_control")
    return None if marker is None else marker.text("ttl") or "5m"


def _decode_message(message: Node, request: Request) -> Steps[None]:
    yield
    role = message.need("role")
    parts = yield from _decode_blocks(message, "content", request)
    if role == "system":
        hub.instruct(request, [part for part in parts if isinstance(part, Text)])
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
        part = _decode_block(block, request.dropped)
        if part is not None:
            parts.append(part)
    return hub.attach_signatures(parts)


def _decode_block(block: Node, dropped: list[str]) -> Part | None:
    """Read one block; None (and a note) for what only Anthropic's own servers understand."""
    kind = block.need("type")
    cache = _cache(block)
    if kind == "text":
        return Text(block.need("text"), cache)
    if kind in {"image", "document"}:
        return _decode_source(block, "image" if kind == "image" else "file", cache)
    if kind == "tool_use":
        return hub.ToolCall(block.need("id"), block.need("name"), text_of_object(block.get("input")))
    if kind == "tool_result":
        return _decode_result(block, cache, dropped)
    if kind == "thinking":
        signature, maker = hub.unpack_signature(block.text("signature"), MAKER)
        return Thinking(block.text("thinking") or "", signature, None, maker)
    if kind == "redacted_thinking":
        return Thinking("", None, block.text("data"), MAKER)
    dropped.append(f"{block.path} ({kind[:48]})")
    return None


def _decode_result(block: Node, cache: str | None, dropped: list[str]) -> hub.ToolResult:
    content: list[Text | Media] = []
    value = block.get("content")
    if isinstance(value, str):
        content.append(Text(value))
    else:
        for item in block.items("content"):
            part = _decode_block(item, dropped)
            if isinstance(part, Text | Media):
                content.append(part)
    return hub.ToolResult(block.need("tool_use_id"), content, None, bool(block.flag("is_error")), cache)


def _decode_source(block: Node, kind: str, cache: str | None) -> Part:
    source = block.object("source")
    name = block.text("title")
    form = source.need("type")
    if form == "base64":
        return Media(kind, source.need("media_type"), source.need("data"), None, name, None, cache)  # type: ignore[arg-type]
    if form == "url":
        return media.from_url(kind, source.need("url"), name, cache=cache)
    if form == "text":
        return Text(source.need("data"), cache)
    if form == "content":
        value = source.get("content")
        if isinstance(value, str):
            return Text(value, cache)
        return Text("".join(item.text("text") or "" for item in source.items("content")), cache)
    raise source.fail(f"a source of type {form[:32]!r} cannot be carried to this model's provider", "type")


def _decode_tool(tool: Node) -> hub.Tool:
    schema = tool.raw("input_schema") if tool.has("input_schema") else hub.Tool("").schema
    return hub.Tool(tool.need("name"), tool.text("description"), schema, tool.flag("strict"), _cache(tool))


def _decode_choice(body: Node) -> hub.ToolChoice | None:
    if not body.has("tool_choice"):
        return None
    node = body.object("tool_choice")
    kind = node.need("type")
    off = node.flag("disable_parallel_tool_use")
    parallel = None if off is None else not off
    if kind == "tool":
        return hub.ToolChoice("named", [node.need("name")], parallel)
    modes: dict[str, hub.ChoiceMode] = {"auto": "auto", "any": "required", "none": "none"}
    if kind not in modes:
        raise node.fail(f"{kind[:32]!r} is not one of auto, any, tool, none", "type")
    return hub.ToolChoice(modes[kind], [], parallel)


def _decode_thinking(body: Node) -> hub.Reasoning | None:
    effort = reasoning.read_effort(body.object("output_config").text("effort"))
    if not body.has("thinking"):
        return hub.Reasoning(effort) if effort is not None else None
    node = body.object("thinking")
    kind = node.need("type")
    shown = None if not node.has("display") else node.text("display") != "omitted"
    if kind == "disabled":
        return hub.Reasoning(budget=0)
    return hub.Reasoning(effort, node.integer("budget_tokens"), shown)


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
    body["max_tokens"] = request.max_tokens or MAX_TOKENS_DEFAULT
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = []
        for tool in request.tools:
            yield
            body["tools"].append(_encode_tool(tool))
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
            body[key] = min(value, 1.0) if key == "temperature" else value
    if "thinking" in body:  # Anthropic refuses these together with thinking
        for key in ("temperature", "top_k"):
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
        elif isinstance(part, hub.ToolCall):
            call = {"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": object_of(part.arguments)}
            blocks.append(call)
        elif isinstance(part, hub.ToolResult):
            content = [
                _encode_media(i) if isinstance(i, Media) else {"type": "text", "text": i.text} for i in part.content
            ]
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": safe_id(part.call_id), "content": content}
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


_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")


def safe_id(call_id: str) -> str:
    """Return a tool call's id in the alphabet that Anthropic allows: the same id always gives the same result."""
    return _UNSAFE.sub("_", call_id)[:64] or "call"


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


def _encode_tool(tool: hub.Tool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": tool.name, "input_schema": tool.schema}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.strict:
        out["strict"] = True
    return _marked(out, tool.cache)


def _encode_choice(request: Request, body: dict[str, Any]) -> None:
    choice = request.choice
    if choice is None or not request.tools:
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
    if _ADAPTIVE.search(model):
        body["thinking"] = {"type": "adaptive"}
        effort = reasoning.effort_of(wanted)
        if effort is not None:
            body["output_config"] = {"effort": "low" if effort in {"none", "minimal"} else effort}
        return
    tokens = max(budget or THINKING_MIN, THINKING_MIN)
    body["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    if body["max_tokens"] <= tokens:
        body["max_tokens"] = tokens + (request.max_tokens or MAX_TOKENS_DEFAULT)


# Answers


class _Creation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class Usage(msgspec.Struct):
    """A usage object, as it stands in answers and stream events."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Creation | None = None
    output_tokens: int | None = None
    service_tier: str | None = None
    server_tool_use: _ServerTools | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: "list[_Iteration] | None" = None

    @property
    def tier(self) -> str | None:
        """What the price goes by: the service tier; before it the fast mode, and inference in the United States alone, which
        cost more ("Fast mode", "Data residency", as of 2026-11)."""
        if self.speed == "fast":
            return self.speed
        return self.inference_geo if self.inference_geo == "us" else self.service_tier

    def beside(self, model: str | None) -> Beside:
        """Return what stands beside the tokens: searches, and tokens of a model that was asked for advice. Those of the
        answer's own rounds are in the totals ("Advisor tool", "Web search tool", as of 2026-11)."""
        searches = self.server_tool_use.web_search_requests if self.server_tool_use is not None else None
        others = [
            Other(one.model[:128], tokens)
            for one in self.iterations or ()
            if one.type == "advisor_message" and one.model is not None and (tokens := one.tokens()) is not None
        ]
        return Beside({"web_searches": searches} if searches else None, others or None, model)

    def merge(self, later: "Usage") -> "Usage":
        """Return these figures with those of a later event over them."""
        values = {
            field: getattr(self, field) if getattr(later, field) is None else getattr(later, field)
            for field in self.__struct_fields__
        }
        return Usage(**values)

    def tokens(self) -> TokenUsage | None:
        """Return the buckets, or None when there is nothing, or nothing sensible. A compaction's tokens are not in the
        totals ("Compaction", as of 2026-11)."""
        found = self._tokens()
        for one in self.iterations or ():
            if one.type == "compaction" and found is not None:
                found = _add(found, one.tokens())
        return found

    def _tokens(self) -> TokenUsage | None:
        if self.input_tokens is None and self.output_tokens is None:
            return None
        written, long = self.cache_creation_input_tokens, None
        if self.cache_creation is not None and self.cache_creation.ephemeral_1h_input_tokens:
            long = self.cache_creation.ephemeral_1h_input_tokens
            total = written if written is not None else long + (self.cache_creation.ephemeral_5m_input_tokens or 0)
            written = max(0, total - long)
        usage = TokenUsage(
            input=self.input_tokens,
            cache_read=self.cache_read_input_tokens,
            cache_write_5m=written,
            cache_write_1h=long,
            output=self.output_tokens,
        )
        return usage if usage.is_sane() else None


class _Iteration(Usage):
    type: str | None = None
    model: str | None = None


def _add(one: TokenUsage, more: TokenUsage | None) -> TokenUsage:
    if more is None:
        return one
    pairs = zip(one.__struct_fields__, msgspec.structs.astuple(one), msgspec.structs.astuple(more), strict=True)
    return TokenUsage(**{name: None if a is None and b is None else (a or 0) + (b or 0) for name, a, b in pairs})


_decode_usage = msgspec.json.Decoder(Usage | None, strict=False).decode


def usage_of_raw(raw: Raw) -> Usage | None:
    """Read a usage object; None where there is none that decodes."""
    try:
        found: Usage | None = _decode_usage(raw)
    except UNREADABLE:
        return None
    return found


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer."""
    answer = Answer(id=body.text("id"), model=body.text("model"))
    if body.text("type") == "error" or not body.has("content"):
        raise body.fail("an answer without content", "content")
    for block in body.each("content"):
        yield
        part = _decode_block(block, answer.dropped)
        if part is not None:
            answer.parts.append(part)
    answer.finish = _FINISHES.get(body.text("stop_reason") or "end_turn", "stop")
    answer.stop_sequence = body.text("stop_sequence")
    usage = usage_of_raw(body.raw("usage"))
    if usage is not None:
        answer.usage, answer.service_tier = usage.tokens(), usage.tier
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    content = []
    for part in hub.detach_signatures(answer.parts):
        yield
        content.append(_answer_block(part))
    return {
        "id": answer.id or "msg_unknown",
        "type": "message",
        "role": "assistant",
        "model": answer.model or model,
        "content": content,
        "stop_reason": _FINISH_NAMES[answer.finish],
        "stop_sequence": answer.stop_sequence,
        "usage": encode_usage(answer.usage, answer.service_tier),
    }


def _answer_block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"type": "text", "text": part.text}
    if isinstance(part, hub.ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": object_of(part.arguments)}
    if isinstance(part, Thinking):
        if part.redacted is not None and part.maker == MAKER:
            return {"type": "redacted_thinking", "data": part.redacted}
        signature = hub.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return {"type": "thinking", "thinking": part.text, "signature": signature}
    if isinstance(part, Media):
        return {"type": "text", "text": f"![image]({media.to_url(part)})"}
    raise AssertionError("no model answers with a tool's result")


def encode_usage(usage: TokenUsage | None, tier: str | None = None) -> dict[str, Any]:
    """Build a usage object; what is not known is 0, because clients add these figures up."""
    known = usage or TokenUsage()
    out: dict[str, Any] = {
        "input_tokens": (known.input or 0) + (known.audio_in or 0) + (known.image_in or 0) + (known.video_in or 0),
        "cache_creation_input_tokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
        "cache_read_input_tokens": known.cached_total,
        "output_tokens": known.output_total,
    }
    if tier in {"standard", "priority", "batch"}:
        out["service_tier"] = tier
    return out


# Streams


class StreamDecoder(SseDecoder):
    """A provider's stream to events."""

    def __init__(self) -> None:
        super().__init__()
        self._usage = Usage()
        self._finish: Finish | None = None
        self._stop_sequence: str | None = None
        self._model: str | None = None
        self._skipped = False

    def take(self, event: Node) -> None:
        """Take one event."""
        kind = event.text("type")
        sequence = self.sequence
        if kind == "content_block_delta":
            self._delta(event.object("delta"))
        elif kind == "content_block_start":
            self._start(event.object("content_block"))
        elif kind == "content_block_stop":
            sequence.close()
            self._skipped = False
        elif kind == "message_start":
            message = event.object("message")
            self._usage = usage_of_raw(message.raw("usage")) or Usage()
            self._model = message.text("model")
            sequence.events.append(hub.Begin(message.text("id"), self._model, self._usage.tokens()))
        elif kind == "message_delta":
            delta = event.object("delta")
            self._finish = _FINISHES.get(delta.text("stop_reason") or "", "stop")
            self._stop_sequence = delta.text("stop_sequence")
            usage = usage_of_raw(event.raw("usage"))
            if usage is not None:
                self._usage = self._usage.merge(usage)
        elif kind == "message_stop":
            sequence.close()
            self.is_ended = True
            sequence.events.append(
                hub.End(
                    self._finish or "stop",
                    self._usage.tokens(),
                    self._stop_sequence,
                    self._usage.tier,
                    self._usage.beside(self._model),
                )
            )
        elif kind == "error":
            error = event.object("error")
            self.fail(error.text("message") or "the provider reported an error", error.text("type") or "api_error")

    def _start(self, block: Node) -> None:
        kind = block.need("type")
        sequence = self.sequence
        if kind == "text":
            sequence.begin("text")
            sequence.more(block.text("text") or "")
        elif kind == "tool_use":
            sequence.begin("tool", block.need("id"), block.need("name"))
            if block.get("input"):
                sequence.more(text_of_object(block.get("input")))
        elif kind == "thinking":
            sequence.begin("thinking")
            sequence.more(block.text("thinking") or "")
        elif kind == "redacted_thinking":
            sequence.begin("thinking")
            sequence.sign(None, block.text("data"), MAKER)
        else:
            self._skipped = True  # a block of a tool that Anthropic runs itself

    def _delta(self, delta: Node) -> None:
        if self._skipped:
            return
        kind = delta.text("type")
        if kind == "text_delta":
            self.sequence.more(delta.text("text") or "")
        elif kind == "input_json_delta":
            self.sequence.more(delta.text("partial_json") or "")
        elif kind == "thinking_delta":
            self.sequence.more(delta.text("thinking") or "")
        elif kind == "signature_delta":
            self.sequence.sign(delta.text("signature"), None, MAKER)


class StreamEncoder:
    """Events to a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
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
            return self._sign(event)
        if isinstance(event, hub.Begin):
            message = encode_answer(Answer(id=event.id, model=event.model, usage=event.usage), self._model, 0)
            message["stop_reason"] = None
            return _event("message_start", {"message": message})
        if isinstance(event, hub.Picture):
            text = f"![image]({media.to_url(event.media)})"
            return self._open("text", {"type": "text", "text": ""}) + self._delta(text) + self._stop()
        if isinstance(event, hub.End):
            delta = {"stop_reason": _FINISH_NAMES[event.finish], "stop_sequence": event.stop_sequence}
            usage = encode_usage(event.usage)
            return _event("message_delta", {"delta": delta, "usage": usage}) + _event("message_stop", {})
        return b""

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        self._index += 1
        self._kind = kind
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _stop(self) -> bytes:
        return _event("content_block_stop", {"index": self._index})

    def _begin(self, event: hub.PartBegin) -> bytes:
        if event.kind == "tool":
            before = b""
            if event.signature is not None:
                signature = hub.pack_signature(event.signature, "gemini", MAKER)
                before = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                before += self._raw_delta({"type": "signature_delta", "signature": signature}) + self._stop()
            return before + self._open("tool", {"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
        if event.kind == "thinking":
            return self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        return self._open("text", {"type": "text", "text": ""})

    def _delta(self, text: str) -> bytes:
        if self._kind == "text":
            return self._raw_delta({"type": "text_delta", "text": text})
        if self._kind == "thinking":
            return self._raw_delta({"type": "thinking_delta", "thinking": text})
        return self._raw_delta({"type": "input_json_delta", "partial_json": text})

    def _sign(self, event: hub.Signature) -> bytes:
        signature = hub.pack_signature(event.signature or event.redacted, event.maker, MAKER)
        return self._raw_delta({"type": "signature_delta", "signature": signature})

    def _raw_delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return sse_event(kind, encode({"type": kind, **fields}))


# Listening to a stream that passes


def read_answer(body: Node) -> Reading:
    """Read what a plain answer says about itself."""
    usage = usage_of_raw(body.raw("usage")) or Usage()
    reading = Reading(
        usage.tokens(),
        cap(body.text("stop_reason")),
        cap(body.text("id")),
        cap(usage.tier),
        kept=kept_things.kept_by_message(body.value),
    )
    reading.take_beside(usage.beside(body.text("model")))
    return reading


def _listen(event: Node, state: State) -> None:
    kind = event.text("type")
    reading = state.reading
    if kind == "message_start":
        message = event.object("message")
        state.memory = usage_of_raw(message.raw("usage")) or Usage()
        reading.response_id = cap(message.text("id"))
        reading.model = cap(message.text("model"))
    elif kind == "message_delta":
        known = state.memory if isinstance(state.memory, Usage) else Usage()
        state.memory = known.merge(usage_of_raw(event.raw("usage")) or Usage())
        reading.finish_reason = cap(event.object("delta").text("stop_reason"))
    elif kind == "message_stop":
        state.is_done = True
    elif kind == "error":
        state.error = True
    if kept := kept_things.kept_by_message(event.value):
        reading.kept = [*reading.kept, *kept][: kept_things.KEPT_MAX]
    if isinstance(state.memory, Usage):
        reading.usage, reading.service_tier = state.memory.tokens(), cap(state.memory.tier)
        reading.take_beside(state.memory.beside(reading.model))


EARS = Ears(
    (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"', b'"file_id"'),
    _listen,
    needles("text", "thinking", "partial_json"),
)


# Stored things

REFERENCES = {
    "container": "container",
    "container.id": "container",
    "container.skills.skill_id": "skill",
    "messages.content+.source.file_id": "file",
    "messages.content+.file_id": "file",
    "messages.content+.source.content+.source.file_id": "file",
    "system.source.file_id": "file",
    "previous_message_id": "message",
    "diagnostics.previous_message_id": "message",
    "thread.previous_message_id": "message",
}


# The row


def _error_body(fault: Fault) -> dict[str, Any]:
    error = {"type": fault.anthropic_type, "message": fault.message}
    return {"type": "error", "error": error, "request_id": fault.request_id}


def _model_card(card: Card) -> dict[str, Any]:
    return {
        "type": "model",
        "id": card.name,
        "display_name": card.name,
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": card.context_window,
        "max_tokens": card.max_output_tokens,
    } | described(card)


def _model_page(items: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return {"data": items, "has_more": False, **ends}


_MESSAGES = [{"role": "user", "content": "hello"}]
_HELLO = {"model": "{model}", "max_tokens": 1024, "messages": _MESSAGES}

ROW = Dialect(
    name="anthropic",
    errors=ErrorShape(
        _error_body,
        lambda fault, body, number: b"event: error\ndata: %b\n\n" % body,
        too_long=("prompt is too long", "prompt is too long: {tokens} tokens > {limit} maximum"),
        overloaded_status=529,
    ),
    ping=lambda number: b'event: ping\ndata: {"type": "ping"}\n\n',
    answer_id_prefix="msg_",
    operations={
        "chat": Operation(
            "/messages",
            BodyRules(("messages",), ("max_tokens",), limit="max_tokens", left_out=("anthropic_version",)),
            members=("content",),
        ),
        "count_tokens": Operation(
            "/messages/count_tokens",
            BodyRules(("messages",), left_out=("anthropic_version",)),
            members=("input_tokens",),
        ),
    },
    references=references.watched(REFERENCES),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: Listener(EARS),
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(
        blank_is_white=True,
        user_turn=True,
        name_chars_max=128,
        top_words=COMBINATORS,
        output_words=BOUNDS,
        images=IMAGES,
        text_files=True,
        makers=MAKERS,
    ),
    client_paths=(
        ClientPath(path="/messages", operation="chat", name="messages"),
        ClientPath(path="/messages/count_tokens", operation="count_tokens", name="count_tokens"),
        ClientPath(path="/models/{model}:rawPredict", operation="chat", name="messages", stream=False),
        ClientPath(path="/models/{model}:streamRawPredict", operation="chat", name="messages", stream=True),
    ),
    known_path=re.compile(rb"/messages"),
    known_header=b"anthropic-version",
    key_header="x-api-key",
    models=ModelList(_model_card, _model_page),
    forwarded_prefixes=(b"anthropic-", b"x-goog-"),
    headers=((b"anthropic-version", b"2023-06-01"),),  # the version that is written here
    id_header=b"request-id",
    count=lambda count: {"input_tokens": count},
    stream_usage_at=("usage",),
    early_usage=b'"message_start"',  # it tells the input, long before the end
    examples=Examples(
        models=Example("/v1/models?limit=1000", None, '"has_more"'),
        plain=Example("/v1/messages", _HELLO, '"content"'),
        stream=Example("/v1/messages?beta=true", {**_HELLO, "stream": True}, "message_stop"),
        tool_call=Example(
            "/v1/messages", {**_HELLO, "tools": [{"name": "weather", "input_schema": WEATHER}]}, '"weather"'
        ),
        token_count=Example("/v1/messages/count_tokens", {"model": "{model}", "messages": _MESSAGES}, "input_tokens"),
    ),
)
