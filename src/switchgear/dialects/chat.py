"""OpenAI chat completions to and from the hub. Level 1, sans-I/O.

OpenAI API reference, "Chat" (as of 2026-11). Beyond it, what compatible providers add and clients understand:
`reasoning_content` (DeepSeek, vLLM) or `reasoning` (OpenRouter, Groq) for thinking, `reasoning_details` (OpenRouter) for
signed thinking, `extra_content.google.thought_signature` (Gemini's compatible endpoint) on tool calls, content as a list
of `thinking` and `text` parts (Mistral), `prompt_cache_hit_tokens` (DeepSeek).
"""

import array
import base64
import contextlib
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE, ProtocolError
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects import hub, media, openai, reasoning, references
from switchgear.dialects.cursor import adapt
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    WEATHER,
    BodyRules,
    ClientPath,
    ClientTools,
    Dialect,
    Embedder,
    ErrorShape,
    Example,
    Examples,
    ModelList,
    Operation,
    Translator,
)
from switchgear.dialects.embeddings import Vectors, Wanted, texts_of, unknown, vector_of
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import COMBINATORS, Rules
from switchgear.dialects.hub import Answer, Finish, JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.request import CONSUMED
from switchgear.dialects.shape import Node, check_event, encode, foreign_tools
from switchgear.providers.quirks import Quirks
from switchgear.wire import sse

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "user",
        "n",
        "modalities",
        "functions",
        "function_call",
        "metadata",
    }
)
_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "model_length": "length",
    "error": "stop",
}
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
}


# Requests


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError for what is wrong or cannot be carried to another dialect."""
    _refuse_uncarried(body)
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN and key not in CONSUMED]
    for message in body.each("messages"):
        yield from _decode_message(message, request)
    tools = yield from foreign_tools.steps(body.each("tools"), _is_function, request.dropped)
    for tool in tools:
        yield
        request.tools.append(_decode_tool(tool))
    request.choice = _decode_choice(body)
    request.format = _decode_format(body)
    request.reasoning = _decode_reasoning(body)
    request.max_tokens = body.integer("max_completion_tokens") or body.integer("max_tokens")
    request.temperature, request.top_p, request.top_k = (
        body.number("temperature"),
        body.number("top_p"),
        body.integer("top_k"),
    )
    stop = body.get("stop")
    request.stop = [stop] if isinstance(stop, str) else [_text(item) for item in body.items("stop")]
    request.seed = body.integer("seed")
    request.frequency_penalty, request.presence_penalty = (
        body.number("frequency_penalty"),
        body.number("presence_penalty"),
    )
    if body.flag("logprobs"):
        request.logprobs = body.integer("top_logprobs") or 0
    request.user = body.text("user")
    return request


def _is_function(tool: Node) -> bool:
    return tool.text("type") in {None, "function"}


def _refuse_uncarried(body: Node) -> None:
    if (body.integer("n") or 1) > 1:
        raise body.fail("only one choice can be asked of this model's provider", "n")
    if "audio" in (body.get("modalities") or []):
        raise body.fail("audio output cannot be carried to this model's provider", "modalities")
    for key in ("functions", "function_call"):
        if body.has(key):
            raise body.fail("use `tools` and `tool_choice` instead", key)


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise node.fail("must be a string")
    return node.value


def _decode_message(message: Node, request: Request) -> Steps[None]:
    yield
    role = message.need("role")
    if role in {"system", "developer"}:
        parts = yield from _decode_content(message, "content")
        hub.instruct(request, [part for part in parts if isinstance(part, Text)])
    elif role == "user":
        parts = yield from _decode_content(message, "content")
        _append(request, "user", list(parts))
    elif role == "assistant":
        said = yield from _decode_assistant(message)
        _append(request, "assistant", said)
    elif role == "tool":
        content = yield from _decode_content(message, "content")
        marks = [cache_of(message), *(part.cache for part in content)]
        for part in content:
            part.cache = None  # a result is cached as a whole
        cache = next((mark for mark in reversed(marks) if mark is not None), None)
        result = hub.ToolResult(message.need("tool_call_id"), content, message.text("name"), cache=cache)
        _append(request, "user", [result])
    else:
        raise message.fail(f"{role[:32]!r} is not one of system, developer, user, assistant, tool", "role")


def _append(request: Request, role: Any, parts: list[Part]) -> None:
    """Add parts as a turn; turns of the same role become one, as most dialects demand."""
    if request.messages and request.messages[-1].role == role:
        request.messages[-1].parts.extend(parts)
    else:
        request.messages.append(Message(role, parts))


def _decode_assistant(message: Node) -> Steps[list[Part]]:
    parts: list[Part] = []
    details = message.items("reasoning_details")
    for detail in details:
        signature, data = detail.text("signature"), detail.text("data")
        maker = (detail.text("format") or "").partition("-")[0] or None
        parts.append(Thinking(detail.text("text") or "", signature, data, maker, detail.text("id")))
    if not details:
        shown = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(shown, str) and shown:
            parts.append(Thinking(shown))
    if message.has("content"):
        content = yield from _decode_content(message, "content", thinking=True)
        parts.extend(content)
    if message.has("refusal"):
        parts.append(Refusal(message.need("refusal")))
    for call in message.each("tool_calls"):
        yield
        function = call.object("function")
        parts.append(
            hub.ToolCall(call.need("id"), function.need("name"), function.text("arguments") or "{}", _sign(call))
        )
    return parts


def _sign(call: Node) -> str | None:
    extra = call.object("extra_content").object("google")
    return extra.text("thought_signature")


def _decode_content(message: Node, key: str, thinking: bool = False) -> Steps[list[Text | Media]]:
    content = message.get(key)
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Any] = []
    for item in message.each(key):
        yield
        kind = item.need("type")
        cache = cache_of(item)
        if kind in {"text", "input_text", "output_text"}:
            parts.append(Text(item.need("text"), cache))
        elif kind == "image_url":
            image = item.get("image_url")
            node = Node({"url": image}, item.path) if isinstance(image, str) else item.object("image_url")
            parts.append(media.from_url("image", node.need("url"), detail=node.text("detail"), cache=cache))
        elif kind == "input_audio":
            sound = item.object("input_audio")
            parts.append(Media("audio", media.audio_mime(sound.text("format") or "wav"), sound.need("data")))
        elif kind == "file":
            parts.append(_decode_file(item.object("file"), cache))
        elif kind == "document_url":  # Mistral
            parts.append(media.from_url("file", item.need("document_url"), item.text("document_name")))
        elif kind == "video_url":
            parts.append(media.from_url("video", item.object("video_url").need("url")))
        elif kind == "refusal":
            parts.append(Refusal(item.need("refusal")))
        elif kind == "thinking" and thinking:
            parts.append(Thinking("".join(piece.text("text") or "" for piece in item.items("thinking"))))
        else:
            raise item.fail(f"parts of type {kind[:32]!r} cannot be carried to this model's provider", "type")
    return parts


def _decode_file(file: Node, cache: str | None) -> Media:
    name = file.text("filename")
    if file.has("file_data"):
        found = media.from_url("file", file.need("file_data"), name, cache=cache)
        if found.data is None:  # bare base64, as some clients send it
            return Media(
                "file", media.mime_of_name(name or "") or "application/pdf", file.need("file_data"), None, name
            )
        return found
    if file.has("file_id"):
        raise file.fail("a stored file cannot be carried to this model's provider; send `file_data`", "file_id")
    raise file.fail("missing required parameter", "file_data")


def cache_of(item: Node) -> str | None:
    """Read a cache marker in Anthropic's spelling, which compatible providers share."""
    marker = item.child("cache_control")
    return None if marker is None else marker.text("ttl") or "5m"


def _decode_tool(tool: Node) -> hub.Tool:
    function = tool.object("function") if tool.has("function") else tool  # flat definitions: Cursor sends them
    schema = function.raw("parameters") if function.has("parameters") else hub.Tool("").schema
    return hub.Tool(
        function.need("name"),
        function.text("description"),
        schema,
        function.flag("strict"),
        cache_of(tool) or cache_of(function),
    )


def _decode_choice(body: Node) -> hub.ToolChoice | None:
    value, parallel = body.get("tool_choice"), body.flag("parallel_tool_calls")
    if value is None:
        return hub.ToolChoice(parallel=parallel) if parallel is not None else None
    if isinstance(value, str):
        modes: dict[str, hub.ChoiceMode] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
        if value not in modes:
            raise body.fail(f"{value[:32]!r} is not one of auto, none, required", "tool_choice")
        return hub.ToolChoice(modes[value], parallel=parallel)
    node = body.object("tool_choice")
    if node.text("type") == "allowed_tools":
        allowed = node.object("allowed_tools") if node.has("allowed_tools") else node
        mode: hub.ChoiceMode = "required" if allowed.text("mode") == "required" else "auto"
        names = [
            (tool.object("function") if tool.has("function") else tool).need("name") for tool in allowed.items("tools")
        ]
        return hub.ToolChoice(mode, names, parallel)
    named = node.object("function") if node.has("function") else node
    return hub.ToolChoice("named", [named.need("name")], parallel)


def _decode_format(body: Node) -> JsonFormat | None:
    if not body.has("response_format"):
        return None
    node = body.object("response_format")
    kind = node.need("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return JsonFormat()
    if kind != "json_schema":
        raise node.fail(f"{kind[:32]!r} is not one of text, json_object, json_schema", "type")
    schema = node.object("json_schema")
    return JsonFormat(
        schema.raw("schema"), schema.text("name") or "answer", schema.flag("strict"), schema.text("description")
    )


def _decode_reasoning(body: Node) -> hub.Reasoning | None:
    if body.has("reasoning_effort"):
        return hub.Reasoning(reasoning.read_effort(body.text("reasoning_effort")))
    if body.has("reasoning"):  # OpenRouter
        node = body.object("reasoning")
        return hub.Reasoning(reasoning.read_effort(node.text("effort")), node.integer("max_tokens"))
    if body.has("thinking"):  # DeepSeek, Z.ai, and clients that speak Anthropic's
        node = body.object("thinking")
        if node.text("type") == "disabled":
            return hub.Reasoning(budget=0)
        return hub.Reasoning(budget=node.integer("budget_tokens"))
    return None


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider. What the dialect cannot say is added to `request.dropped`."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": "\n\n".join(text.text for text in request.system)})
    for message in request.messages:
        encoded = yield from _encode_message(message, request, quirks)
        messages.extend(encoded)
    body: dict[str, Any] = {"model": model, "messages": messages}
    if request.stream:
        body["stream"] = True
        if quirks.stream_usage:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = []
        for tool in request.tools:
            yield
            body["tools"].append(_encode_tool(tool))
    _encode_choice(request, body)
    if request.format is not None:
        body["response_format"] = _encode_format(request.format)
    if request.max_tokens is not None:
        body[quirks.max_tokens] = request.max_tokens
    if request.reasoning is not None:
        effort = reasoning.effort_of(request.reasoning)
        if effort is not None and quirks.reasoning_effort:
            body["reasoning_effort"] = effort
        else:
            request.dropped.append("reasoning")
    for key in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "user"):
        value = getattr(request, key)
        if value is not None:
            body[key] = value
    if request.top_k is not None:
        if quirks.top_k:
            body["top_k"] = request.top_k
        else:
            request.dropped.append("top_k")
    if request.stop:
        body["stop"] = request.stop
    if request.logprobs is not None:
        body["logprobs"] = True
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    for key in quirks.drop:
        if body.pop(key, None) is not None:
            request.dropped.append(key)
    return body


def _encode_message(message: Message, request: Request, quirks: Quirks) -> Steps[list[dict[str, Any]]]:
    yield
    if message.role == "assistant":
        return [_encode_assistant(message.parts, request, quirks)]
    out: list[dict[str, Any]] = []
    user: list[dict[str, Any]] = []

    def close() -> None:
        if user:
            plain = len(user) == 1 and user[0]["type"] == "text"
            out.append({"role": "user", "content": user[0]["text"] if plain else list(user)})
            user.clear()

    for part in message.parts:
        yield
        if isinstance(part, hub.ToolResult):
            text = hub.text_of(part.content)
            out.append({"role": "tool", "tool_call_id": part.call_id, "content": text})
            # A tool's message holds text only: its pictures follow in a message of the user.
            user.extend(_encode_part(item) for item in part.content if isinstance(item, Media))
        elif isinstance(part, Text) and part.is_instruction:
            close()
            out.append({"role": "system", "content": part.text})
        elif isinstance(part, Text | Media):
            user.append(_encode_part(part))
    close()
    return out


def _encode_part(part: Text | Media) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if part.kind == "image":
        url: dict[str, Any] = {"url": media.to_url(part)}
        if part.detail is not None:
            url["detail"] = part.detail
        return {"type": "image_url", "image_url": url}
    if part.kind == "audio" and part.data is not None:
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": media.audio_format(part.mime)}}
    if part.kind == "file" and part.data is not None:
        return {"type": "file", "file": {"filename": part.name or "file.pdf", "file_data": media.to_url(part)}}
    if part.kind == "video":
        return {"type": "video_url", "video_url": {"url": media.to_url(part)}}
    raise media.refusal(part)


def _encode_assistant(parts: list[Part], request: Request, quirks: Quirks) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [_encode_call(part) for part in parts if isinstance(part, hub.ToolCall)]
    thoughts = "".join(part.text for part in parts if isinstance(part, Thinking))
    if thoughts and quirks.reasoning_content:
        out["reasoning_content"] = thoughts
    elif any(isinstance(part, Thinking) for part in parts):
        request.dropped.append("messages.thinking")
    out["content"] = "".join(texts) if texts else None
    if refusals:
        out["refusal"] = "".join(refusals)
    if calls:
        out["tool_calls"] = calls
    elif not texts and not refusals:
        out["content"] = ""
    return out


def _encode_call(call: hub.ToolCall) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature is not None:
        out["extra_content"] = {"google": {"thought_signature": call.signature}}
    return out


def _encode_tool(tool: hub.Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _encode_choice(request: Request, body: dict[str, Any]) -> None:
    choice = request.choice
    if choice is None or not request.tools:
        return
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.names[0]}}
        return
    if choice.names:
        names = set(choice.names)
        body["tools"] = [_encode_tool(tool) for tool in request.tools if tool.name in names]
    body["tool_choice"] = choice.mode


def _encode_format(form: JsonFormat) -> dict[str, Any]:
    if not form.has_schema:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    if form.description is not None:
        schema["description"] = form.description
    return {"type": "json_schema", "json_schema": schema}


# Answers


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. Raises InvalidBodyError when it is none."""
    choices = body.items("choices")
    if not choices:
        raise body.fail("an answer without choices", "choices")
    message = choices[0].object("message")
    parts = yield from _decode_assistant(message)
    answer = Answer(id=openai.id_of(body.get("id")), model=body.text("model"), parts=parts)
    for image in message.items("images"):  # OpenRouter
        answer.parts.append(media.from_url("image", image.object("image_url").need("url")))
    answer.finish = _FINISHES.get(choices[0].text("finish_reason") or "stop", "stop")
    logprobs = choices[0].child("logprobs")
    if logprobs is not None and logprobs.has("content"):
        answer.logprobs = logprobs.raw("content")
    answer.usage = openai.usage_of_raw(body.raw("usage"))
    answer.service_tier = body.text("service_tier")
    if message.has("audio"):
        answer.dropped.append("audio")
    if message.has("annotations"):
        answer.dropped.append("annotations")
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client. `created` is in seconds since the epoch."""
    yield
    message = _encode_assistant(answer.parts, Request(model=""), Quirks())
    message.setdefault("refusal", None)
    message.update(_encode_thinking(answer.parts))
    images = [part for part in answer.parts if isinstance(part, Media) and part.kind == "image"]
    if images:
        message["images"] = [{"type": "image_url", "image_url": {"url": media.to_url(image)}} for image in images]
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": _FINISH_NAMES[answer.finish],
        "logprobs": {"content": answer.logprobs, "refusal": None} if bytes(answer.logprobs) != b"null" else None,
    }
    out: dict[str, Any] = {
        "id": answer.id or "chatcmpl-unknown",
        "object": "chat.completion",
        "created": created,
        "model": answer.model or model,
        "choices": [choice],
    }
    if answer.usage is not None:
        out["usage"] = encode_usage(answer.usage)
    tier = openai.tier_name(answer.service_tier)
    if tier is not None:
        out["service_tier"] = tier
    return out


def _encode_thinking(parts: list[Part]) -> dict[str, Any]:
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    if not thoughts:
        return {}
    out: dict[str, Any] = {"reasoning_content": "".join(part.text for part in thoughts)}
    if any(part.signature or part.redacted for part in thoughts):
        out["reasoning_details"] = [_detail(part) for part in thoughts]
    return out


def _detail(part: Thinking) -> dict[str, Any]:
    maker = f"{part.maker or 'unknown'}-v1"
    if part.redacted is not None:
        return {"type": "reasoning.encrypted", "data": part.redacted, "format": maker, "id": part.id, "text": part.text}
    return {"type": "reasoning.text", "text": part.text, "signature": part.signature, "format": maker, "id": part.id}


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Build a usage object: totals include cached, audio and reasoning tokens."""
    prompt: dict[str, int] = {"cached_tokens": usage.cached_total, "audio_tokens": usage.audio_in or 0}
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.input_total + usage.output_total,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning or 0,
            "audio_tokens": usage.audio_out or 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


# Streams


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: Any = None


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_details: list[dict[str, Any]] | None = None
    tool_calls: list[_Call] | None = None
    images: list[dict[str, Any]] | None = None


class _Logprobs(msgspec.Struct):
    content: Raw = Raw(b"null")


class _StreamChoice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw(b"null")


class _StreamChunk(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    choices: list[_StreamChoice] | None = None
    usage: Raw = Raw(b"null")
    x_groq: Any = None
    service_tier: str | None = None
    error: Any = None


class _StreamedCall:
    """A call whose pieces arrive."""

    __slots__ = ("arguments", "id", "index", "is_begun", "name", "signature")

    def __init__(self, call_id: str, index: int, name: str, signature: str | None) -> None:
        self.id, self.index, self.name, self.signature = call_id, index, name, signature
        self.arguments: list[str] = []
        self.is_begun = False

    def is_complete(self) -> bool:
        """True when the arguments are one JSON value; asked once for each call that follows."""
        try:
            msgspec.json.decode("".join(self.arguments), type=Raw)
        except UNREADABLE:
            return False
        return True


CALLS_MIXED_MAX = 128
"""Among so many of the last calls a piece's call is looked for; no model calls more tools at once."""
_decode_chunk = msgspec.json.Decoder(_StreamChunk, strict=False).decode
_DONE = b"[DONE]"


class StreamDecoder:
    """Bytes of a provider's stream to events. Feed it, then `finish` it."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._sequence = hub.Sequence()
        self._begun = False
        self._ended = False
        self._finish: Finish | None = None
        self._usage: TokenUsage | None = None
        self._tier: str | None = None
        self._beside: Beside | None = None
        self._calls: list[_StreamedCall] = []
        self._open_call: _StreamedCall | None = None

    def feed(self, data: bytes) -> list[hub.Event]:
        """Return the events that these bytes complete. Raises ProtocolError for an event that is too large or no JSON."""
        for event in self._splitter.feed(data):
            text = sse.event_data(event)
            if text is not None:
                self._take(text)
        return self._sequence.take()

    def finish(self) -> list[hub.Event]:
        """The stream ended: some providers leave out [DONE]; without a finish reason it broke off."""
        tail = sse.event_data(self._splitter.tail)
        if tail is not None and not self._ended:
            with contextlib.suppress(ProtocolError):  # half an event: the stream broke off
                self._take(tail)
        if not self._ended and self._finish is not None:
            self._end()
        return self._sequence.take()

    def _take(self, text: bytes) -> None:
        if self._ended:
            return
        if text.strip() == _DONE:
            self._end()
            return
        try:
            check_event(text)
            chunk = _decode_chunk(text)
        except (ValueError, RecursionError) as exc:
            raise ProtocolError(f"the provider sent an event that is not one of its dialect: {exc}") from exc
        sequence = self._sequence
        if chunk.error is not None:
            sequence.events.append(_failed(chunk.error))
            self._ended = True
            return
        if not self._begun:
            self._begun = True
            sequence.events.append(hub.Begin(openai.id_of(chunk.id), chunk.model))
        usage = openai.usage_of_raw(chunk.usage)
        if usage is None and isinstance(chunk.x_groq, dict):
            usage = openai.usage_of_raw(Raw(encode(chunk.x_groq.get("usage"))))
        if usage is not None:
            self._usage = usage
            self._beside = openai.beside_of_raw(chunk.usage, chunk.model)
        self._tier = chunk.service_tier or self._tier
        for choice in (chunk.choices or [])[:1]:
            if choice.delta is not None:
                self._delta(choice.delta)
            if bytes(choice.logprobs) != b"null":
                with contextlib.suppress(msgspec.DecodeError):  # some providers have another shape
                    sequence.probe(msgspec.json.decode(choice.logprobs, type=_Logprobs).content)
            if choice.finish_reason is not None:
                self._finish = _FINISHES.get(choice.finish_reason, "stop")

    def _delta(self, delta: _Delta) -> None:
        sequence = self._sequence
        thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else None)
        if thought:
            sequence.text("thinking", thought)
        for detail in delta.reasoning_details or []:
            if detail.get("signature") or detail.get("data"):
                maker = str(detail.get("format") or "").partition("-")[0]
                sequence.sign(detail.get("signature"), detail.get("data"), maker)
        if isinstance(delta.content, str):
            if delta.content:
                sequence.text("text", delta.content)
        elif isinstance(delta.content, list):
            self._content(delta.content)
        if delta.refusal:
            sequence.text("refusal", delta.refusal)
        for call in delta.tool_calls or []:
            self._tool(call)
        for image in delta.images or []:
            url = (image.get("image_url") or {}).get("url")
            if isinstance(url, str):
                sequence.picture(media.from_url("image", url))

    def _content(self, items: list[Any]) -> None:
        for item in items:
            if not isinstance(item, dict):
                continue
            if item.get("type") == "thinking":
                for piece in item.get("thinking") or []:
                    self._sequence.text("thinking", str(piece.get("text") or ""))
            elif isinstance(item.get("text"), str):
                self._sequence.text("text", item["text"])

    def _tool(self, call: _Call) -> None:
        """Add a piece to its call, which is named by its id or, without one, its index: some servers say index 0 for every
        call, others let the pieces of several calls alternate. Parts do not overlap: a later call waits until the one
        before it is complete."""
        function = call.function or _Function()
        piece = self._call_of(call, function)
        piece.arguments.append(function.arguments or "")
        if piece is self._open_call:
            self._sequence.more(function.arguments or "")
        elif piece.is_begun:
            if function.arguments:
                raise ProtocolError("the provider adds to a tool call that was complete")
        elif self._open_call is None or not self._sequence.is_open or self._open_call.is_complete():
            self._begin_call(piece)

    def _call_of(self, call: _Call, function: _Function) -> "_StreamedCall":
        recent = self._calls[-CALLS_MIXED_MAX:]
        known = None
        if call.index is not None:
            known = next((each for each in reversed(recent) if each.index == call.index), None)
        elif call.id:
            known = next((each for each in reversed(recent) if each.id == call.id), None)
        elif recent and not function.name:
            known = recent[-1]
        if known is not None and call.id and call.id != known.id:
            known = None  # some servers say index 0 for every call
        if known is not None:
            return known
        signature = None
        if isinstance(call.extra_content, dict):
            signature = (call.extra_content.get("google") or {}).get("thought_signature")
        index = call.index if call.index is not None else len(self._calls)
        made = _StreamedCall(call.id or f"call_{len(self._calls)}", index, function.name or "", signature)
        self._calls.append(made)
        return made

    def _begin_call(self, call: "_StreamedCall") -> None:
        self._sequence.begin("tool", call.id, call.name, call.signature)
        self._sequence.more("".join(call.arguments))
        call.is_begun, self._open_call = True, call

    def _close_calls(self) -> None:
        for call in self._calls:
            if not call.is_begun:
                self._begin_call(call)

    def _end(self) -> None:
        self._ended = True
        if not self._begun:
            return  # nothing but [DONE] is no answer
        self._close_calls()
        self._sequence.close()
        # [DONE] is a proper end; one provider (Snowflake) gives no finish reason before it.
        self._sequence.events.append(hub.End(self._finish or "stop", self._usage, None, self._tier, self._beside))


def _failed(error: Any) -> hub.Failed:
    if isinstance(error, dict):
        return hub.Failed(
            str(error.get("message") or "the provider reported an error"), str(error.get("type") or "error")
        )
    return hub.Failed(str(error))


class StreamEncoder:
    """Events to the bytes of a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
        self._created = created
        self._show_usage = show_usage
        self._id = "chatcmpl-unknown"
        self._calls = -1
        self._kinds: dict[int, str] = {}

    def encode(self, event: hub.Event) -> bytes:
        """Return the bytes that say this event; empty when the dialect says nothing for it."""
        if isinstance(event, hub.Delta):
            return self._delta(event)
        if isinstance(event, hub.PartBegin):
            self._kinds[event.index] = event.kind
            if event.kind != "tool":
                return b""
            self._calls += 1
            call: dict[str, Any] = {
                "index": self._calls,
                "id": event.id,
                "type": "function",
                "function": {"name": event.name, "arguments": ""},
            }
            if event.signature is not None:
                call["extra_content"] = {"google": {"thought_signature": event.signature}}
            return self._chunk({"tool_calls": [call]})
        if isinstance(event, hub.Signature):
            thought = Thinking("", event.signature, event.redacted, event.maker)
            return self._chunk({"reasoning_details": [_detail(thought)]})
        if isinstance(event, hub.Begin):
            self._id = event.id or self._id
            self._model = event.model or self._model
            return self._chunk({"role": "assistant", "content": ""})
        if isinstance(event, hub.Picture):
            url = media.to_url(event.media)
            return self._chunk({"images": [{"type": "image_url", "image_url": {"url": url}}]})
        if isinstance(event, hub.End):
            return self._end(event)
        return b""

    def _delta(self, event: hub.Delta) -> bytes:
        kind = self._kinds.get(event.index, "text")
        if kind == "text":
            return self._chunk({"content": event.text}, None, event.logprobs)
        if kind == "thinking":
            return self._chunk({"reasoning_content": event.text})
        if kind == "refusal":
            return self._chunk({"refusal": event.text})
        return self._chunk({"tool_calls": [{"index": self._calls, "function": {"arguments": event.text}}]})

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, logprobs: Raw = hub.NO_LOGPROBS) -> bytes:
        probed = {"content": logprobs, "refusal": None} if bytes(logprobs) != b"null" else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": probed}
        return b"data: %b\n\n" % encode({**self._head(), "choices": [choice]})

    def _end(self, event: hub.End) -> bytes:
        out = self._chunk({}, _FINISH_NAMES[event.finish])
        if self._show_usage and event.usage is not None:
            out += b"data: %b\n\n" % encode({**self._head(), "choices": [], "usage": encode_usage(event.usage)})
        return out + b"data: [DONE]\n\n"


# Embeddings


def _from_openai(body: Node) -> Wanted:
    known = {"model", "input", "dimensions", "encoding_format", "user"}
    base64_wanted = body.text("encoding_format") == "base64"
    return Wanted(
        texts=texts_of(body, "input"),
        dimensions=body.integer("dimensions"),
        as_base64=base64_wanted,
        dropped=unknown(body, known),
    )


def _to_openai(wanted: Wanted, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": wanted.texts, "encoding_format": "float"}
    if wanted.task is not None:
        wanted.dropped.append("input_type")
    return body | ({"dimensions": wanted.dimensions} if wanted.dimensions is not None else {})


@Stepwise
def _read_openai(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("data"):
        yield
        vectors.append(vector_of(row.get("embedding"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "data")
    return Vectors(vectors, openai.usage_of_raw(body.raw("usage")))


def _show_openai(vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    def shown(vector: list[float]) -> Any:
        return base64.b64encode(array.array("f", vector).tobytes()).decode() if wanted.as_base64 else vector

    usage = vectors.usage or TokenUsage()
    rows = [{"object": "embedding", "index": n, "embedding": shown(v)} for n, v in enumerate(vectors.vectors)]
    counts = {"prompt_tokens": usage.input_total, "total_tokens": usage.input_total}
    return {"object": "list", "data": rows, "model": model, "usage": counts}


EMBEDDER = Embedder(
    {"embeddings": _from_openai},
    operation="embeddings",
    write_request=_to_openai,
    read_answer=_read_openai,
    write_answer=_show_openai,
)


# Stored things

REFERENCES = {
    "messages.content.file.file_id": "file",
    "messages.content.file_id": "file",
    "messages.content.image_file.file_id": "file",
    "messages.audio.id": "audio",
    "audio.voice.id": "voice",
    "voice.id": "voice",
    "image.file_id": "file",
    "images.file_id": "file",
    "mask.file_id": "file",
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    # what gateways and servers behind this dialect take beyond OpenAI's own
    "attachments.file_id": "file",
    "messages.attachments.file_id": "file",
    "vector_store_ids": "vector_store",
    "tool_resources.code_interpreter.file_ids": "file",
    "tool_resources.file_search.vector_store_ids": "vector_store",
} | {f"tools.{path}": kind for path, kind in references.TOOLS.items()}


# The row


def error_body(fault: Fault) -> dict[str, Any]:
    """Build an error; responses say it alike."""
    body = {"message": fault.message, "type": fault.openai_type, "param": fault.param, "code": fault.openai_code}
    return {"error": body}


def model_card(card: Card) -> dict[str, Any]:
    """Build one model's object (OpenAI API reference, "Models", as of 2026-11)."""
    return {"id": card.name, "object": "model", "created": 0, "owned_by": card.provider} | described(card)


def _path(path: str, operation: str, *, in_deployments: bool = False) -> ClientPath:
    return ClientPath(path=path, operation=operation, name=operation, in_deployments=in_deployments)


_HELLO = {"model": "{model}", "messages": [{"role": "user", "content": "hello"}]}
_WEATHER_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}

ROW = Dialect(
    name="openai",
    errors=ErrorShape(
        error_body,
        lambda fault, body, number: b"data: %b\n\n" % body,
        too_long=(
            "maximum context length",
            "This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens.",
        ),
    ),
    ping=lambda number: b": ping\n\n",
    answer_id_prefix="chatcmpl-",
    operations={
        "chat": Operation(
            "/chat/completions",
            BodyRules(
                ("messages", "input"),
                ("max_completion_tokens", "max_tokens"),
                user="user",
                limit="max_tokens",
                limit_differs=True,
                metadata_is_stored=True,
                adapt=adapt,
            ),
            members=("choices",),
        ),
        "completions": Operation(
            "/completions", BodyRules(("prompt",), ("max_tokens",), user="user", limit="max_tokens"), ("choices",)
        ),
        "embeddings": Operation("/embeddings", BodyRules(("input",), user="user"), ("data", "embeddings")),
        "images": Operation(
            "/images/generations", BodyRules(("prompt",), user="user"), ("data",), read_answer=openai.read_media_answer
        ),
        "image_edits": Operation("/images/edits", None, ("data",), read_answer=openai.read_media_answer),
        "image_variations": Operation("/images/variations", None, ("data",), read_answer=openai.read_media_answer),
        "transcriptions": Operation("/audio/transcriptions", None, (), read_answer=openai.read_media_answer),
        "translations": Operation("/audio/translations", None, (), read_answer=openai.read_media_answer),
        "speech": Operation("/audio/speech", BodyRules(("input",)), (), read_answer=openai.read_media_answer),
        "moderations": Operation(
            "/moderations", BodyRules(("input",)), ("results",), read_answer=openai.read_media_answer
        ),
        "rerank": Operation(
            "/rerank", BodyRules(("query",)), ("results", "data"), read_answer=openai.read_media_answer
        ),
    },
    references=references.watched(REFERENCES),
    usage_is_asked_for=True,
    read_answer=openai.read_answer,
    open_tap=openai.StreamMeter.of,
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(instructions=True, top_words=COMBINATORS | {"enum", "not"}, google_signatures=False),
    embedder=EMBEDDER,
    client_paths=(
        _path("/chat/completions", "chat", in_deployments=True),
        _path("/completions", "completions", in_deployments=True),
        _path("/embeddings", "embeddings", in_deployments=True),
        _path("/images/generations", "images", in_deployments=True),
        _path("/images/edits", "image_edits", in_deployments=True),
        _path("/images/variations", "image_variations"),
        _path("/audio/speech", "speech", in_deployments=True),
        _path("/audio/transcriptions", "transcriptions", in_deployments=True),
        _path("/audio/translations", "translations", in_deployments=True),
        _path("/moderations", "moderations"),
        _path("/rerank", "rerank"),
    ),
    models=ModelList(model_card, lambda items: {"object": "list", "data": items}),
    stream_usage_at=("usage",),
    examples=Examples(
        models=Example("/v1/models", None, '"data"'),
        plain=Example("/v1/chat/completions", _HELLO, '"choices"'),
        stream=Example("/v1/chat/completions", {**_HELLO, "stream": True}, "[DONE]"),
        tool_call=Example("/v1/chat/completions", {**_HELLO, "tools": [_WEATHER_TOOL]}, '"weather"'),
    ),
)
