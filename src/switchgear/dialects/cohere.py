"""Cohere's v2 chat to and from the canonical values. Level 1, sans-I/O.

Cohere API reference, "Chat" and "Streaming" (as of 2026-11). Usage: `billed_units` is what is charged; `tokens`, which
includes Cohere's own prompt, is used where it stands alone.
"""

import re
from typing import Any

import msgspec

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, media, openai, reasoning, references
from switchgear.dialects.answer_metadata import AnswerMetadata, cap, plain_reader, usage_reader
from switchgear.dialects.canonical import (
    Answer,
    Finish,
    JsonFormat,
    Media,
    Message,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
)
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    BodyRules,
    ClientPath,
    ClientTools,
    Dialect,
    Embedder,
    ErrorShape,
    Example,
    Examples,
    Operation,
    Translator,
)
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors, texts_of, unknown, vector_of
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import Rules
from switchgear.dialects.json_node import Node, encode, foreign_tools
from switchgear.dialects.streams import EventEncoder, SseDecoder, sse_event
from switchgear.dialects.taps import SseTap, TapRules, TapState
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks

_KNOWN = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "max_tokens",
        "temperature",
        "p",
        "k",
        "stop_sequences",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "thinking",
        "stream",
        "logprobs",
        "strict_tools",
    }
)
_FINISHES: dict[str, Finish] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "stop",
    "TIMEOUT": "length",
}
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "COMPLETE",
    "refusal": "COMPLETE",
    "pause": "COMPLETE",
}


# Requests


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN]
    for message in body.each("messages"):
        yield from _decode_message(message, request)
    tools = yield from foreign_tools.steps(body.each("tools"), lambda tool: tool.has("function"), request.dropped)
    for tool in tools:
        yield
        function = tool.object("function")
        schema = function.raw("parameters") if function.has("parameters") else canonical.Tool("").schema
        strict = body.flag("strict_tools")
        request.tools.append(canonical.Tool(function.need("name"), function.text("description"), schema, strict))
    choice = body.text("tool_choice")
    if choice is not None:
        modes: dict[str, canonical.ChoiceMode] = {"REQUIRED": "required", "NONE": "none"}
        if choice not in modes:
            raise body.fail(f"{choice[:32]!r} is not one of REQUIRED, NONE", "tool_choice")
        request.choice = canonical.ToolChoice(modes[choice])
    form = body.object("response_format")
    if form.text("type") == "json_object":
        request.format = JsonFormat(form.raw("json_schema" if form.has("json_schema") else "schema"))
    if body.has("thinking"):
        thinking = body.object("thinking")
        off = thinking.text("type") == "disabled"
        request.reasoning = canonical.Reasoning(budget=0 if off else thinking.integer("token_budget"))
    request.max_tokens, request.seed = body.integer("max_tokens"), body.integer("seed")
    request.temperature, request.top_p, request.top_k = body.number("temperature"), body.number("p"), body.integer("k")
    request.frequency_penalty = body.number("frequency_penalty")
    request.presence_penalty = body.number("presence_penalty")
    request.stop = [str(item.value) for item in body.items("stop_sequences")]
    if body.flag("logprobs"):
        request.logprobs = 0
    return request


def _decode_message(message: Node, request: Request) -> Steps[None]:
    yield
    role = message.need("role")
    parts = yield from _decode_content(message, request.dropped)
    if role == "system":
        canonical.instruct(request, [part for part in parts if isinstance(part, Text)])
        return
    if role == "assistant":
        if message.has("tool_plan"):
            parts.insert(0, Thinking(message.need("tool_plan")))
        for call in message.each("tool_calls"):
            yield
            function = call.object("function")
            parts.append(canonical.ToolCall(call.need("id"), function.need("name"), function.text("arguments") or "{}"))
    elif role == "tool":
        content = [part for part in parts if isinstance(part, Text | Media)]
        parts = [canonical.ToolResult(message.need("tool_call_id"), content)]
    elif role != "user":
        raise message.fail(f"{role[:32]!r} is not one of system, user, assistant, tool", "role")
    mine: Any = "assistant" if role == "assistant" else "user"
    if request.messages and request.messages[-1].role == mine:
        request.messages[-1].parts.extend(parts)
    else:
        request.messages.append(Message(mine, parts))


def _decode_content(message: Node, dropped: list[str]) -> Steps[list[Part]]:
    content = message.get("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    parts: list[Part] = []
    for item in message.each("content"):
        yield
        kind = item.need("type")
        if kind == "text":
            parts.append(Text(item.need("text")))
        elif kind == "thinking":
            parts.append(Thinking(item.text("thinking") or ""))
        elif kind == "image_url":
            image = item.object("image_url")
            parts.append(media.from_url("image", image.need("url"), detail=image.text("detail")))
        elif kind == "document":
            data = item.object("document").get("data")
            parts.append(Text(data if isinstance(data, str) else encode(data).decode()))
        else:
            dropped.append(f"{item.path} ({kind[:48]})")
    return parts


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": "\n\n".join(text.text for text in request.system)})
    for message in request.messages:
        encoded = yield from _encode_message(message)
        messages.extend(encoded)
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": request.stream}
    tools = request.tools
    choice = request.choice
    if choice is not None and choice.names:
        names = set(choice.names)
        tools = [tool for tool in tools if tool.name in names]  # a forced tool is the only one
    if tools:
        body["tools"] = []
        for tool in tools:
            yield
            body["tools"].append(_encode_tool(tool))
        if choice is not None and choice.mode != "auto":
            body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
        if choice is not None and choice.parallel is not None:
            request.dropped.append("parallel_tool_calls")
    if request.format is not None:
        form: dict[str, Any] = {"type": "json_object"}
        if request.format.has_schema:
            form["json_schema"] = request.format.schema
        body["response_format"] = form
    if request.reasoning is not None:
        budget = reasoning.budget_of(request.reasoning)
        thinking: dict[str, Any] = {"type": "disabled" if budget == 0 else "enabled"}
        if budget:
            thinking["token_budget"] = budget
        body["thinking"] = thinking
    for key, name in _NAMES.items():
        value = getattr(request, key)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.logprobs is not None:
        body["logprobs"] = True
    if request.user is not None:
        request.dropped.append("user")
    return body


_NAMES = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


def _encode_message(message: Message) -> Steps[list[dict[str, Any]]]:
    yield
    if message.role == "assistant":
        turn = _encode_assistant(message.parts)
        return [turn] if len(turn) > 1 else []  # "all elements in messages must have content or tool calls"
    out: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for part in message.parts:
        yield
        if isinstance(part, canonical.ToolResult):
            out.append({"role": "tool", "tool_call_id": part.call_id, "content": canonical.text_of(part.content)})
            content.extend(_encode_part(item) for item in part.content if isinstance(item, Media))
        elif isinstance(part, Text | Media):
            content.append(_encode_part(part))
    if content:
        plain = len(content) == 1 and content[0]["type"] == "text"
        out.append({"role": "user", "content": content[0]["text"] if plain else content})
    return out


def _encode_part(part: Text | Media) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if part.kind != "image":
        raise media.refusal(part)
    return {"type": "image_url", "image_url": {"url": media.to_url(part)}}


def _encode_assistant(parts: list[Part]) -> dict[str, Any]:
    out: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, Any]] = []
    calls = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Thinking) and part.text:
            content.append({"type": "thinking", "thinking": part.text})
        elif isinstance(part, canonical.ToolCall):
            function = {"name": part.name, "arguments": part.arguments}
            calls.append({"id": part.id, "type": "function", "function": function})
        elif isinstance(part, Media):
            content.append({"type": "text", "text": f"![image]({media.to_url(part)})"})
    if content:
        out["content"] = content
    if calls:
        out["tool_calls"] = calls
    return out


def _encode_tool(tool: canonical.Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


# Answers


class _Counts(msgspec.Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None
    image_tokens: float | None = None
    """Beside `input_tokens`, with a price of their own (`billed_units`, official SDK; read 2026-11-27)."""


class _Usage(msgspec.Struct):
    billed_units: _Counts | None = None
    tokens: _Counts | None = None
    cached_tokens: float | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    counts = found.billed_units or found.tokens
    if counts is None or (counts.input_tokens is None and counts.output_tokens is None and not counts.image_tokens):
        return None
    if not all(abs(number or 0) < 1e12 for number in (counts.input_tokens, counts.output_tokens, counts.image_tokens)):
        return None
    shown = int(counts.image_tokens) if counts.image_tokens else None
    return TokenUsage(input=int(counts.input_tokens or 0), output=int(counts.output_tokens or 0), image_in=shown)


usage_of_raw = usage_reader(_Usage, _tokens)


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer."""
    if not body.has("message") or not isinstance(body.get("message"), dict):
        raise body.fail("an answer without message", "message")
    message = body.object("message")
    answer = Answer(id=body.text("id"))
    if message.has("tool_plan"):
        answer.parts.append(Thinking(message.need("tool_plan")))
    content = yield from _decode_content(message, answer.dropped)
    answer.parts += content
    for call in message.each("tool_calls"):
        yield
        function = call.object("function")
        answer.parts.append(
            canonical.ToolCall(call.need("id"), function.need("name"), function.text("arguments") or "{}")
        )
    answer.finish = _FINISHES.get(body.text("finish_reason") or "COMPLETE", "stop")
    answer.usage = usage_of_raw(body.raw("usage"))
    if message.has("citations"):
        answer.dropped.append("citations")
    return answer


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    yield
    return {
        "id": answer.id or "unknown",
        "finish_reason": _FINISH_NAMES[answer.finish],
        "message": _encode_assistant(answer.parts),
        "usage": encode_usage(answer.usage),
    }


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build a usage object."""
    known = usage or TokenUsage()
    counts = {"input_tokens": known.input_total, "output_tokens": known.output_total}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": known.cached_total}


# Streams


class StreamDecoder(SseDecoder):
    """A provider's stream to events."""

    def take(self, event: Node) -> None:
        """Take one event."""
        kind = event.text("type")
        sequence = self.sequence
        if kind == "message-end":
            delta = event.object("delta")
            sequence.close()
            self.is_ended = True
            if delta.text("finish_reason") == "ERROR":
                sequence.events.append(
                    canonical.Failed(delta.text("error") or "the provider reported an error", "error")
                )
                return
            finish = _FINISHES.get(delta.text("finish_reason") or "", "stop")
            sequence.events.append(canonical.End(finish, usage_of_raw(delta.raw("usage"))))
            return
        if kind == "message-start":
            sequence.events.append(canonical.Begin(event.text("id"), None))
            return
        message = event.object("delta").object("message")
        if kind in {"content-start", "content-delta"}:
            content = message.object("content")
            for key in ("thinking", "text"):
                if content.has(key):
                    sequence.text("thinking" if key == "thinking" else "text", content.need(key))
        elif kind in {"content-end", "tool-call-end"}:
            sequence.close()
        elif kind == "tool-plan-delta":
            sequence.text("thinking", message.text("tool_plan") or "")
        elif kind == "tool-call-start":
            call = message.object("tool_calls")
            function = call.object("function")
            sequence.begin("tool", call.need("id"), function.need("name"))
            sequence.more(function.text("arguments") or "")
        elif kind == "tool-call-delta":
            sequence.more(message.object("tool_calls").object("function").text("arguments") or "")


class StreamEncoder(EventEncoder):
    """Events to a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._open: canonical.PartBegin | None = None

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        is_tool = self._open is not None and self._open.kind == "tool"
        self._open = None
        return _event("tool-call-end" if is_tool else "content-end", event.index, None)

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        body = {"id": event.id or "unknown", "type": "message-start", "delta": {"message": message}}
        return sse_event("message-start", encode(body))

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        text = f"![image]({media.to_url(event.media)})"
        begin = canonical.PartBegin(event.index, "text")
        out = self.begin_part(begin) + self.delta(canonical.Delta(event.index, text))
        return out + self.encode(canonical.PartEnd(event.index))

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        delta = {"finish_reason": _FINISH_NAMES[event.finish], "usage": encode_usage(event.usage)}
        return sse_event("message-end", encode({"type": "message-end", "delta": delta}))

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        self._open = event
        if event.kind == "tool":
            function = {"name": event.name, "arguments": ""}
            call = {"id": event.id, "type": "function", "function": function}
            return _event("tool-call-start", event.index, {"tool_calls": call})
        kind = "thinking" if event.kind == "thinking" else "text"
        return _event("content-start", event.index, {"content": {"type": kind, kind: ""}})

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        kind = self._open.kind if self._open is not None else "text"
        if kind == "tool":
            return _event("tool-call-delta", event.index, {"tool_calls": {"function": {"arguments": event.text}}})
        return _event(
            "content-delta", event.index, {"content": {"thinking" if kind == "thinking" else "text": event.text}}
        )


def _event(kind: str, index: int, message: dict[str, Any] | None) -> bytes:
    body: dict[str, Any] = {"type": kind, "index": index}
    if message is not None:
        body["delta"] = {"message": message}
    return sse_event(kind, encode(body))


# Listening to a stream that passes


def read_answer(body: Node) -> AnswerMetadata:
    """Read what a plain answer says about itself; embeddings and rankings say it under `meta`."""
    usage = usage_of_raw(body.raw("usage")) or usage_of_raw(body.raw("meta"))
    billed = body.object("meta").object("billed_units")
    counts = {"searches": billed.number("search_units"), "images": billed.number("images")}
    units = {name: int(count) for name, count in counts.items() if count is not None and 0 <= count < 1e7}
    return AnswerMetadata(usage, cap(body.text("finish_reason")), cap(body.text("id")), None, units or None)


def _read_event(event: Node, state: TapState) -> None:
    kind = event.text("type")
    if kind == "message-start":
        state.metadata.response_id = cap(event.text("id"))
    elif kind == "message-end":
        delta = event.object("delta")
        state.metadata.usage = usage_of_raw(delta.raw("usage"))
        state.metadata.finish_reason = cap(delta.text("finish_reason"))
        state.is_done = True
        state.error = delta.text("finish_reason") == "ERROR"


TAP_RULES = TapRules(
    (b'"message-start"', b'"message-end"'), _read_event, needles("text", "thinking", "arguments", "tool_plan")
)


# Embeddings


def _from_cohere(body: Node) -> EmbeddingsRequest:
    if body.has("images") or body.has("inputs"):
        raise body.fail(
            "only `texts` can be carried to this model's provider", "images" if body.has("images") else "inputs"
        )
    kinds = [str(item.value) for item in body.items("embedding_types")]
    if kinds and kinds != ["float"]:
        raise body.fail("only float can be asked of this model's provider", "embedding_types")
    known = {"model", "texts", "input_type", "embedding_types", "output_dimension"}
    return EmbeddingsRequest(
        texts=texts_of(body, "texts"),
        dimensions=body.integer("output_dimension"),
        task=body.text("input_type"),
        dropped=unknown(body, known),
    )


def _to_cohere(wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "texts": wanted.texts, "embedding_types": ["float"]}
    body["input_type"] = wanted.task or "search_document"
    return body | ({"output_dimension": wanted.dimensions} if wanted.dimensions is not None else {})


@Stepwise
def _read_cohere(body: Node) -> Steps[Vectors]:
    holder = body.object("embeddings")
    rows = holder.get("float")
    if not isinstance(rows, list):
        raise body.fail("an answer without vectors", "embeddings")
    vectors = []
    for row in rows:
        yield
        vectors.append(vector_of(row, holder))
    return Vectors(vectors, usage_of_raw(body.raw("meta")))


def _show_cohere(vectors: Vectors, wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    usage = vectors.usage or TokenUsage()
    return {
        "id": "unknown",
        "texts": wanted.texts,
        "embeddings": {"float": vectors.vectors},
        "response_type": "embeddings_by_type",
        "meta": {"billed_units": {"input_tokens": usage.input_total}},
    }


EMBEDDER = Embedder(
    {"embeddings": _from_cohere},
    operation="embeddings",
    write_request=_to_cohere,
    read_answer=_read_cohere,
    write_answer=_show_cohere,
    texts_max=96,  # "Maximum number of texts per call is 96" (docs.cohere.com, v2 Embed; read 2026-11-27)
)


# The row


def _error_event(fault: Fault, body: bytes, sequence_number: int) -> bytes:
    delta = {"finish_reason": "ERROR", "error": fault.message}
    return b"event: message-end\ndata: %b\n\n" % encode({"type": "message-end", "delta": delta})


_HELLO = {"model": "{model}", "messages": [{"role": "user", "content": "hello"}]}

ROW = Dialect(
    name="cohere",
    errors=ErrorShape(lambda fault: {"message": fault.message}, _error_event, spent_status=402),
    operations={
        "chat": Operation("/chat", BodyRules(("messages",), ("max_tokens",), limit="max_tokens"), members=("message",)),
        "embeddings": Operation("/embed", BodyRules(("texts", "images", "inputs")), members=("embeddings",)),
        "rerank": Operation("/rerank", BodyRules(("query",)), members=("results",)),
    },
    references=references.watched({}),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: SseTap(TAP_RULES),
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
        empty_result="(no output)",
        text_files=True,
        arguments_are_text=True,
        stop_max=5,
        temperature_max=1.0,
        # the official SDK, `ClientV2.chat` (cohere 7.3); Bedrock says it of `p` (llumiverse#23); read 2026-11-27
        bounds={"top_p": (0.01, 0.99), "top_k": (0, 500), "frequency_penalty": (0, 1), "presence_penalty": (0, 1)},
    ),
    embedder=EMBEDDER,
    client_paths=(
        ClientPath(path="/v2/chat", operation="chat", name="chat"),
        ClientPath(path="/v2/embed", operation="embeddings", name="embeddings"),
        ClientPath(path="/v2/rerank", operation="rerank", name="rerank"),
    ),
    known_path=re.compile(rb"/v2/"),
    models=openai.ROW.models,
    stream_usage_at=("delta", "usage"),
    examples=Examples(
        plain=Example("/v2/chat", _HELLO, '"message"'),
        stream=Example("/v2/chat", {**_HELLO, "stream": True}, "message-end"),
    ),
)
