"""OpenAI responses to and from the hub. Level 1, sans-I/O.

OpenAI API reference, "Responses" and its streaming events (as of 2026-11). The translation is stateless: what refers to
something that a provider stored (`previous_response_id`, `conversation`, item references, file ids) is refused for
providers of another dialect, with the field's name. Codex's freeform tools (`custom`) become functions with one `input`.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects import chat, hub, kept_things, media, openai, reasoning, references
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
from switchgear.dialects.fitting import COMBINATORS, Rules
from switchgear.dialects.hub import Answer, Finish, JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.model_lists import Card
from switchgear.dialects.reading import Ears, Listener, Reading, State, cap, cost_of, plain_reader, usage_reader
from switchgear.dialects.shape import TRANSLATION_ERRORS, Node, decode, encode, foreign_tools
from switchgear.dialects.streams import SseDecoder, sse_event
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks

MAKER = "openai"
_KNOWN = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "stream",
        "stream_options",
        "user",
        "store",
        "include",
        "metadata",
    }
)
_STATEFUL = ("previous_response_id", "conversation", "background", "prompt")
_CUSTOM_SCHEMA = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)
_FINISH_STATUS: dict[Finish, tuple[str, str | None]] = {
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
}


# Requests


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    for key in _STATEFUL:
        if body.get(key):
            raise body.fail("this model's provider keeps no state; send the whole conversation in `input`", key)
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN and key not in _STATEFUL]
    if body.has("instructions"):
        request.system.append(Text(body.need("instructions")))
    value = body.get("input")
    if isinstance(value, str):
        request.messages.append(Message("user", [Text(value)]))
    else:
        for item in body.each("input"):
            yield from _decode_item(item, request)
    for message in request.messages:
        yield
        message.parts = hub.attach_signatures(message.parts)
    flat = yield from _flattened(body)
    tools = yield from foreign_tools.steps(flat, _is_function, request.dropped)
    for tool in tools:
        yield
        request.tools.append(_decode_tool(tool))
    request.choice = _decode_choice(body)
    request.format = _decode_format(body)
    thinking = body.object("reasoning")
    if body.has("reasoning"):
        shown = thinking.has("summary") or None
        request.reasoning = hub.Reasoning(reasoning.read_effort(thinking.text("effort")), None, shown)
    request.max_tokens = body.integer("max_output_tokens")
    request.temperature, request.top_p = body.number("temperature"), body.number("top_p")
    request.logprobs = body.integer("top_logprobs")
    request.user = body.text("user")
    return request


def _is_function(tool: Node) -> bool:
    return tool.text("type") in {None, "function", "custom"}


@Stepwise
def client_tools(body: Node) -> Steps[ClientTools]:
    """Return what must be known of a client's tools to give calls back to it."""
    customs, spaces = set[str](), dict[str, tuple[str, str]]()
    for tool in body.each("tools"):
        yield
        kind = tool.text("type")
        if kind == "custom":
            customs.add(tool.need("name"))
        elif kind == "namespace":
            for inner in tool.each("tools"):
                yield
                name = flat_name(tool.need("name"), inner.need("name"))
                spaces[name] = (tool.need("name"), inner.need("name"))
                if inner.text("type") == "custom":
                    customs.add(name)
    return ClientTools(frozenset(customs), spaces)


def flat_name(space: str | None, name: str) -> str:
    """Return the one name of a tool within a namespace."""
    if not space:
        return name
    return f"{space}{name}" if space.endswith("__") else f"{space}__{name}"


def _flattened(body: Node) -> Steps[list[Node]]:
    """Return the tools with those of namespaces in their place, under their flat names."""
    flat: list[Node] = []
    for tool in body.each("tools"):
        yield
        if tool.text("type") != "namespace":
            flat.append(tool)
            continue
        for inner in tool.each("tools"):
            yield
            named = {**inner.value, "name": flat_name(tool.need("name"), inner.need("name"))}
            flat.append(Node(named, inner.path))
    return flat


def _append(request: Request, role: Any, parts: list[Part]) -> None:
    if request.messages and request.messages[-1].role == role:
        request.messages[-1].parts.extend(parts)
    elif parts:
        request.messages.append(Message(role, parts))


def _decode_item(item: Node, request: Request) -> Steps[None]:
    yield
    kind = item.text("type") or "message"
    if kind == "message":
        role = item.need("role")
        parts = yield from _decode_content(item, "content", request)
        if role in {"system", "developer"}:
            hub.instruct(request, [part for part in parts if isinstance(part, Text)])
        elif role in {"user", "assistant"}:
            _append(request, role, parts)
        else:
            raise item.fail(f"{role[:32]!r} is not one of system, developer, user, assistant", "role")
    elif kind == "function_call":
        _append(
            request,
            "assistant",
            [hub.ToolCall(item.need("call_id"), _called(item), item.text("arguments") or "{}")],
        )
    elif kind == "custom_tool_call":
        arguments = encode({"input": item.text("input") or ""}).decode()
        _append(request, "assistant", [hub.ToolCall(item.need("call_id"), _called(item), arguments)])
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        parts = yield from _decode_content(item, "output", request)
        content = [part for part in parts if isinstance(part, Text | Media)]
        _append(request, "user", [hub.ToolResult(item.need("call_id"), content)])
    elif kind == "reasoning":
        text = "\n\n".join(piece.text("text") or "" for piece in item.items("summary") or item.items("content"))
        signature, maker = hub.unpack_signature(item.text("encrypted_content"), MAKER)
        _append(request, "assistant", [Thinking(text, signature, None, maker, item.text("id"))])
    elif kind == "item_reference":
        raise item.fail("a stored item cannot be carried to this model's provider", "id")
    else:
        request.dropped.append(f"{item.path} ({kind[:48]})")


def _called(item: Node) -> str:
    return flat_name(item.text("namespace"), item.need("name"))


def _decode_content(holder: Node, key: str, request: Request) -> Steps[list[Part]]:
    value = holder.get(key)
    if isinstance(value, str):
        return [Text(value)]
    parts: list[Part] = []
    for item in holder.each(key):
        yield
        kind = item.need("type")
        if kind in {"input_text", "output_text", "text", "summary_text"}:
            parts.append(Text(item.need("text")))
        elif kind == "refusal":
            parts.append(Refusal(item.need("refusal")))
        elif kind == "input_image" and item.has("image_url"):
            parts.append(media.from_url("image", item.need("image_url"), detail=item.text("detail")))
        elif kind == "input_file" and item.has("file_data"):
            parts.append(media.from_url("file", item.need("file_data"), item.text("filename")))
        elif kind == "input_file" and item.has("file_url"):
            parts.append(media.from_url("file", item.need("file_url"), item.text("filename")))
        elif kind == "input_audio":
            sound = item.object("input_audio")
            parts.append(Media("audio", media.audio_mime(sound.text("format") or "wav"), sound.need("data")))
        else:
            raise item.fail(f"{kind[:32]!r} cannot be carried to this model's provider (a stored file?)", "type")
    return parts


def _decode_tool(tool: Node) -> hub.Tool:
    if tool.text("type") == "custom":
        description = f"{tool.text('description') or ''}\nGive the whole text as `input`.".strip()
        return hub.Tool(tool.need("name"), description, _CUSTOM_SCHEMA)
    schema = tool.raw("parameters") if tool.has("parameters") else hub.Tool("").schema
    return hub.Tool(tool.need("name"), tool.text("description"), schema, tool.flag("strict"))


def _decode_choice(body: Node) -> hub.ToolChoice | None:
    value, parallel = body.get("tool_choice"), body.flag("parallel_tool_calls")
    if value is None:
        return hub.ToolChoice(parallel=parallel) if parallel is not None else None
    if isinstance(value, str):
        if value not in {"auto", "none", "required"}:
            raise body.fail(f"{value[:32]!r} is not one of auto, none, required", "tool_choice")
        return hub.ToolChoice(value, parallel=parallel)  # type: ignore[arg-type]
    node = body.object("tool_choice")
    if node.text("type") == "allowed_tools":
        mode: hub.ChoiceMode = "required" if node.text("mode") == "required" else "auto"
        return hub.ToolChoice(mode, [tool.need("name") for tool in node.items("tools")], parallel)
    return hub.ToolChoice("named", [node.need("name")], parallel)


def _decode_format(body: Node) -> JsonFormat | None:
    node = body.object("text").child("format")
    if node is None or node.need("type") == "text":
        return None
    if node.need("type") == "json_object":
        return JsonFormat()
    return JsonFormat(node.raw("schema"), node.text("name") or "answer", node.flag("strict"), node.text("description"))


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider. Nothing is stored there: the client's dialect knows no stored responses."""
    items: list[dict[str, Any]] = []
    for message in request.messages:
        encoded = yield from _encode_message(message, request)
        items.extend(encoded)
    body: dict[str, Any] = {"model": model, "input": items, "store": False}
    if request.system:
        body["instructions"] = "\n\n".join(text.text for text in request.system)
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = []
        for tool in request.tools:
            yield
            body["tools"].append(_encode_tool(tool))
    _encode_choice(request, body)
    if request.format is not None:
        body["text"] = {"format": _encode_format(request.format)}
    if request.reasoning is not None:
        thinking: dict[str, Any] = {}
        effort = reasoning.effort_of(request.reasoning)
        if effort is not None:
            thinking["effort"] = effort
        if request.reasoning.shown is not False:
            thinking["summary"] = "auto"
        body["reasoning"] = thinking
        body["include"] = ["reasoning.encrypted_content"]
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(request.max_tokens, 16)  # fewer are refused
    for key in ("temperature", "top_p", "user"):
        value = getattr(request, key)
        if value is not None:
            body[key] = value
    if request.logprobs is not None:
        body["top_logprobs"] = request.logprobs
        body["include"] = [*body.get("include", []), "message.output_text.logprobs"]
    for key in ("top_k", "seed", "frequency_penalty", "presence_penalty"):
        if getattr(request, key) is not None:
            request.dropped.append(key)
    if request.stop:
        request.dropped.append("stop")
    return body


def _encode_message(message: Message, request: Request) -> Steps[list[dict[str, Any]]]:
    items: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []

    def close() -> None:
        if content and message.role == "assistant":  # parts of an answer come with ids, a plain text without
            text = "".join(part["text"] for part in content)
            items.append({"type": "message", "role": "assistant", "content": text})
        elif content:
            items.append({"type": "message", "role": message.role, "content": list(content)})
        content.clear()

    yield
    for part in message.parts:
        yield
        if isinstance(part, Text) and part.is_instruction:
            close()
            items.append({"type": "message", "role": "developer", "content": part.text})
        elif isinstance(part, Text | Refusal):
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, Media) and message.role == "assistant":
            request.dropped.append(f"messages.{part.kind}")
        elif isinstance(part, Media):
            content.append(_encode_media(part))
        elif isinstance(part, hub.ToolCall):
            close()
            items.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments})
        elif isinstance(part, hub.ToolResult):
            close()
            plain = all(isinstance(item, Text) for item in part.content)
            output: Any = hub.text_of(part.content) if plain else [_encode_output(item) for item in part.content]
            items.append({"type": "function_call_output", "call_id": part.call_id, "output": output})
        elif part.maker == MAKER and part.signature is not None:
            close()
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item = {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}
            items.append(item | ({"id": part.id} if part.id is not None else {}))
        else:
            request.dropped.append("messages.thinking")
    close()
    return items


def _encode_output(item: Text | Media) -> dict[str, Any]:
    return {"type": "input_text", "text": item.text} if isinstance(item, Text) else _encode_media(item)


def _encode_media(part: Media) -> dict[str, Any]:
    if part.kind == "image":
        return {"type": "input_image", "image_url": media.to_url(part), "detail": part.detail or "auto"}
    if part.kind == "file":
        if part.url is not None:
            return {"type": "input_file", "file_url": part.url}
        return {"type": "input_file", "filename": part.name or "file.pdf", "file_data": media.to_url(part)}
    if part.kind == "audio" and part.data is not None:
        sound = {"data": part.data, "format": media.audio_format(part.mime)}
        return {"type": "input_audio", "input_audio": sound}
    raise media.refusal(part)


def _encode_tool(tool: hub.Tool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.schema,
        "strict": bool(tool.strict),
    }
    return out | ({"description": tool.description} if tool.description is not None else {})


def _encode_choice(request: Request, body: dict[str, Any]) -> None:
    choice = request.choice
    if choice is None or not request.tools:
        return
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "name": choice.names[0]}
        return
    if choice.names:
        names = set(choice.names)
        body["tools"] = [_encode_tool(tool) for tool in request.tools if tool.name in names]
    body["tool_choice"] = choice.mode


def _encode_format(form: JsonFormat) -> dict[str, Any]:
    if not form.has_schema:
        return {"type": "json_object"}
    out: dict[str, Any] = {"type": "json_schema", "name": form.name, "schema": form.schema}
    if form.strict is not None:
        out["strict"] = form.strict
    return out | ({"description": form.description} if form.description is not None else {})


# Answers


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    """Same meaning as chat's, other names."""
    read, written = found.input_tokens_details or _InputDetails(), found.output_tokens_details or _OutputDetails()
    return openai.usage_of(
        prompt=found.input_tokens,
        completion=found.output_tokens,
        cached=read.cached_tokens,
        cache_write=read.cache_write_tokens,
        reasoning=written.reasoning_tokens,
    )


usage_of_raw = usage_reader(_Usage, _tokens)


class _ImageDetails(msgspec.Struct):
    image_tokens: int | None = None


class _ImageTool(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _ImageDetails | None = None


class _WebTool(msgspec.Struct):
    num_requests: int | None = None


class _ToolUsage(msgspec.Struct):
    image_gen: _ImageTool | None = None
    web_search: _WebTool | None = None


_decode_tools = msgspec.json.Decoder(_ToolUsage | None, strict=False).decode
IMAGE_MODEL = "gpt-image-1"
"""What draws where the tool names no other model (OpenAI API reference, `image_generation`, as of 2026-11)."""
_CALLS = {"web_search_call": "web_searches", "file_search_call": "file_searches"}


def beside_of(body: Node) -> Beside:
    """Return what a response says of its bill beside its tokens; nothing where it does not decode."""
    try:
        return _beside(body)
    except TRANSLATION_ERRORS:
        return Beside()


def _beside(body: Node) -> Beside:
    """Return what stands beside a response's tokens: calls of tools that OpenAI runs, containers, and the tokens of the model
    that draws. Opening a page is no search ("Pricing", built-in tools, as of 2026-11)."""
    units: dict[str, int] = {}
    containers: set[str] = set()
    model, others = None, None
    for item in body.items("output") if isinstance(body.get("output"), list) else ():
        kind = item.text("type") or ""
        if kind in _CALLS and (kind != "web_search_call" or item.object("action").text("type") in {None, "search"}):
            units[_CALLS[kind]] = units.get(_CALLS[kind], 0) + 1
        elif kind == "code_interpreter_call":
            containers.add(item.text("container_id") or "")
    try:
        said = _decode_tools(body.raw("tool_usage")) or _ToolUsage()
    except UNREADABLE:
        said = _ToolUsage()
    if said.web_search is not None and said.web_search.num_requests is not None:
        units["web_searches"] = said.web_search.num_requests
    if containers:
        units["containers"] = len(containers)
    drawn = said.image_gen
    if drawn is not None and (drawn.input_tokens or drawn.output_tokens):
        for tool in body.items("tools"):
            model = tool.text("model") if tool.text("type") == "image_generation" else model
        seen = drawn.input_tokens_details.image_tokens if drawn.input_tokens_details is not None else None
        usage = openai.usage_of(
            prompt=drawn.input_tokens, completion=drawn.output_tokens, image_in=seen, all_image=True
        )
        others = [Other((model or IMAGE_MODEL)[:128], usage)] if usage is not None else None
    units = {name: count for name, count in units.items() if count}
    return Beside(units or None, others, body.text("model"), cost_of(body.raw("usage")))


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. Raises InvalidBodyError for a failed response too."""
    if body.text("status") == "failed" or body.get("error"):
        raise body.fail(body.object("error").text("message") or "the response failed", "error")
    if not isinstance(body.get("output"), list):
        raise body.fail("an answer without output", "output")
    answer = Answer(id=body.text("id"), model=body.text("model"), service_tier=body.text("service_tier"))
    for item in body.each("output"):
        yield
        kind = item.text("type")
        if kind == "message":
            for piece in item.each("content"):
                yield
                if piece.text("type") == "output_text":
                    answer.parts.append(Text(piece.text("text") or ""))
                    if piece.get("logprobs"):
                        answer.logprobs = piece.raw("logprobs")
                elif piece.text("type") == "refusal":
                    answer.parts.append(Refusal(piece.text("refusal") or ""))
        elif kind == "function_call":
            answer.parts.append(hub.ToolCall(item.need("call_id"), item.need("name"), item.text("arguments") or "{}"))
        elif kind == "reasoning":
            text = "\n\n".join(piece.text("text") or "" for piece in item.items("summary") or item.items("content"))
            signature = item.text("encrypted_content")
            if text or signature:
                answer.parts.append(Thinking(text, signature, None, MAKER, item.text("id")))
        else:
            answer.dropped.append(f"output.{(kind or 'unknown')[:48]}")
    reason = body.object("incomplete_details").text("reason")
    answer.finish = _finish(answer.parts, reason)
    answer.usage = usage_of_raw(body.raw("usage"))
    return answer


def _finish(parts: list[Part], reason: str | None) -> Finish:
    if reason == "max_output_tokens":
        return "length"
    if reason is not None:
        return "content_filter"
    if any(isinstance(part, hub.ToolCall) for part in parts):
        return "tool_calls"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "stop"


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    root = (answer.id or "unknown").removeprefix("resp_")
    output = []
    for number, part in enumerate(hub.detach_signatures(answer.parts)):
        yield
        output.append(item_of(part, f"{root}_{number}", tools))
    status, reason = _FINISH_STATUS.get(answer.finish, ("completed", None))
    return envelope(f"resp_{root}", answer.model or model, created) | {
        "status": status,
        "incomplete_details": {"reason": reason} if reason is not None else None,
        "output": output,
        "usage": encode_usage(answer.usage),
        "service_tier": openai.tier_name(answer.service_tier),
    }


def envelope(response_id: str, model: str, created: int) -> dict[str, Any]:
    """Build the part of a response that every event of its life repeats."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def item_of(part: Part, name: str, tools: ClientTools, status: str = "completed") -> dict[str, Any]:
    """Build an output item; `name` makes its id."""
    if isinstance(part, hub.ToolCall):
        space, plain = tools.spaces.get(part.name, ("", part.name))
        named = {"name": plain, "namespace": space} if space else {"name": plain}
        if part.name in tools.customs:
            given = decode(part.arguments) if part.arguments.strip().startswith("{") else {}
            text = given.get("input") if isinstance(given, dict) else None
            return {
                "type": "custom_tool_call",
                "id": f"ctc_{name}",
                "call_id": part.id,
                **named,
                "input": text if isinstance(text, str) else part.arguments,
                "status": status,
            }
        call = {"type": "function_call", "id": f"fc_{name}", "call_id": part.id}
        return call | named | {"arguments": part.arguments, "status": status}
    if isinstance(part, Thinking):
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: dict[str, Any] = {"type": "reasoning", "id": part.id or f"rs_{name}", "summary": summary}
        if part.signature or part.redacted:
            item["encrypted_content"] = hub.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return item
    if isinstance(part, Refusal):
        content: list[dict[str, Any]] = [{"type": "refusal", "refusal": part.text}]
    elif isinstance(part, Media):
        content = [
            {"type": "output_text", "text": f"![image]({media.to_url(part)})", "annotations": [], "logprobs": []}
        ]
    else:
        text = part.text if isinstance(part, Text) else ""
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": f"msg_{name}", "status": status, "role": "assistant", "content": content}


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build a usage object."""
    known = usage or TokenUsage()
    return {
        "input_tokens": known.input_total,
        "input_tokens_details": {
            "cached_tokens": known.cached_total,
            "cache_write_tokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
        },
        "output_tokens": known.output_total,
        "output_tokens_details": {"reasoning_tokens": known.reasoning or 0},
        "total_tokens": known.input_total + known.output_total,
    }


# Streams


class StreamDecoder(SseDecoder):
    """A provider's stream to events."""

    def __init__(self) -> None:
        super().__init__()
        self._streamed = False
        self._parts: list[Part] = []

    def take(self, event: Node) -> None:
        """Take one event."""
        kind = event.text("type") or ""
        sequence = self.sequence
        if kind == "response.output_text.delta":
            sequence.text("text", event.text("delta") or "")
            if event.get("logprobs"):
                sequence.probe(event.raw("logprobs"))
        elif kind == "response.function_call_arguments.delta":
            sequence.more(event.text("delta") or "")
            self._streamed = True
        elif kind in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            sequence.text("thinking", event.text("delta") or "")
        elif kind == "response.reasoning_summary_part.added":
            if sequence.is_open and (event.integer("summary_index") or 0) > 0:
                sequence.text("thinking", "\n\n")
        elif kind == "response.refusal.delta":
            sequence.text("refusal", event.text("delta") or "")
        elif kind == "response.created":
            response = event.object("response")
            sequence.events.append(hub.Begin(response.text("id"), response.text("model")))
        elif kind == "response.output_item.added":
            self._added(event.object("item"))
        elif kind == "response.output_item.done":
            self._done(event.object("item"))
        elif kind in {"response.completed", "response.incomplete"}:
            self._complete(event.object("response"))
        elif kind == "response.failed":
            error = event.object("response").object("error")
            self.fail(error.text("message") or "the response failed", error.text("code") or "server_error")
        elif kind == "error":
            error = event.object("error") if event.has("error") else event
            self.fail(error.text("message") or "the provider reported an error", error.text("code") or "error")

    def _added(self, item: Node) -> None:
        if item.text("type") == "function_call":
            self.sequence.begin("tool", item.need("call_id"), item.need("name"))
            self._streamed = False

    def _done(self, item: Node) -> None:
        kind = item.text("type")
        if kind == "function_call" and not self._streamed:
            self.sequence.more(item.text("arguments") or "")
        elif kind == "reasoning" and item.has("encrypted_content"):
            self.sequence.sign(item.text("encrypted_content"), None, MAKER)
        if kind in {"function_call", "reasoning", "message"}:
            self.sequence.close()
        if kind == "function_call":
            self._parts.append(hub.ToolCall("", "", ""))

    def _complete(self, response: Node) -> None:
        self.sequence.close()
        self.is_ended = True
        reason = response.object("incomplete_details").text("reason")
        usage = usage_of_raw(response.raw("usage"))
        self.sequence.events.append(
            hub.End(_finish(self._parts, reason), usage, None, response.text("service_tier"), beside_of(response))
        )


class StreamEncoder:
    """Events to a client's stream. Items are repeated whole when they end, and all of them at the end."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._envelope = envelope("resp_unknown", model, created)
        self._root = "unknown"
        self._tools = tools
        self.number = -1
        """The last sequence number: a keep-alive repeats it."""
        self._items: list[dict[str, Any]] = []
        self._open: Part | None = None
        self._pieces: list[str] = []

    def encode(self, event: hub.Event) -> bytes:
        """Return the bytes that say this event."""
        if isinstance(event, hub.Delta):
            return self._delta(event.text, event.logprobs)
        if isinstance(event, hub.PartBegin):
            return self._begin(event)
        if isinstance(event, hub.Signature):
            if isinstance(self._open, Thinking):
                self._open.signature, self._open.maker = event.signature or event.redacted, event.maker
            return b""
        if isinstance(event, hub.PartEnd):
            return self._end_part()
        if isinstance(event, hub.Picture):
            item = item_of(event.media, self._name(), self._tools)
            return self._whole(item)
        if isinstance(event, hub.Begin):
            self._root = (event.id or "unknown").removeprefix("resp_")
            self._envelope["id"] = f"resp_{self._root}"
            self._envelope["model"] = event.model or self._envelope["model"]
            return self._event("response.created", {"response": self._envelope}) + self._event(
                "response.in_progress", {"response": self._envelope}
            )
        if isinstance(event, hub.End):
            status, reason = _FINISH_STATUS.get(event.finish, ("completed", None))
            response = self._envelope | {
                "status": status,
                "incomplete_details": {"reason": reason} if reason is not None else None,
                "output": self._items,
                "usage": encode_usage(event.usage),
            }
            return self._event(f"response.{status}", {"response": response})
        return b""

    def _name(self) -> str:
        return f"{self._root}_{len(self._items)}"

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        self.number += 1
        return sse_event(kind, encode({"type": kind, "sequence_number": self.number, **fields}))

    def _place(self) -> dict[str, Any]:
        prefix = "rs" if isinstance(self._open, Thinking) else "fc" if isinstance(self._open, hub.ToolCall) else "msg"
        if isinstance(self._open, hub.ToolCall) and self._open.name in self._tools.customs:
            prefix = "ctc"
        return {"item_id": f"{prefix}_{self._name()}", "output_index": len(self._items)}

    def _whole(self, item: dict[str, Any]) -> bytes:
        out = self._event("response.output_item.added", {"output_index": len(self._items), "item": item})
        out += self._event("response.output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        return out

    def _begin(self, event: hub.PartBegin) -> bytes:
        out = b""
        if event.kind == "tool":
            if event.signature is not None:
                thought = Thinking("", event.signature, None, "gemini")
                out += self._whole(item_of(thought, self._name(), self._tools))
            self._open = hub.ToolCall(event.id or "", event.name or "", "")
        elif event.kind == "thinking":
            self._open = Thinking("")
        else:
            self._open = Refusal("") if event.kind == "refusal" else Text("")
        item = item_of(self._open, self._name(), self._tools, "in_progress")
        if "content" in item:
            item["content"] = []
        out += self._event("response.output_item.added", {"output_index": len(self._items), "item": item})
        if isinstance(self._open, Thinking):
            part = {"type": "summary_text", "text": ""}
            out += self._event(
                "response.reasoning_summary_part.added", self._place() | {"summary_index": 0, "part": part}
            )
        elif isinstance(self._open, Text | Refusal):
            part = item_of(self._open, "", self._tools)["content"][0]
            out += self._event("response.content_part.added", self._place() | {"content_index": 0, "part": part})
        return out

    def _delta(self, text: str, logprobs: Raw) -> bytes:
        self._pieces.append(text)
        place = self._place()
        if isinstance(self._open, Text):
            probed = logprobs if bytes(logprobs) != b"null" else []
            return self._event(
                "response.output_text.delta", place | {"content_index": 0, "delta": text, "logprobs": probed}
            )
        if isinstance(self._open, Refusal):
            return self._event("response.refusal.delta", place | {"content_index": 0, "delta": text})
        if isinstance(self._open, Thinking):
            return self._event("response.reasoning_summary_text.delta", place | {"summary_index": 0, "delta": text})
        if isinstance(self._open, hub.ToolCall) and self._open.name in self._tools.customs:
            return b""  # its input is known when its JSON is whole
        return self._event("response.function_call_arguments.delta", place | {"delta": text})

    def _end_part(self) -> bytes:
        text = "".join(self._pieces)
        self._pieces.clear()
        part, place = self._open, self._place()
        out = b""
        if isinstance(part, hub.ToolCall):
            part.arguments = text or "{}"
            item = item_of(part, self._name(), self._tools)
            if item["type"] == "custom_tool_call":
                out = self._event("response.custom_tool_call_input.delta", place | {"delta": item["input"]})
                out += self._event("response.custom_tool_call_input.done", place | {"input": item["input"]})
            else:
                done = place | {"name": item["name"], "arguments": part.arguments}
                out = self._event("response.function_call_arguments.done", done)
        elif isinstance(part, Thinking):
            part.text = text
            item = item_of(part, self._name(), self._tools)
            out = self._event("response.reasoning_summary_text.done", place | {"summary_index": 0, "text": text})
            piece = {"type": "summary_text", "text": text}
            out += self._event("response.reasoning_summary_part.done", place | {"summary_index": 0, "part": piece})
        elif isinstance(part, Text | Refusal):
            part.text = text
            item = item_of(part, self._name(), self._tools)
            if isinstance(part, Text):
                done = place | {"content_index": 0, "text": text, "logprobs": []}
                out = self._event("response.output_text.done", done)
            else:
                out = self._event("response.refusal.done", place | {"content_index": 0, "refusal": text})
            piece = item["content"][0]
            out += self._event("response.content_part.done", place | {"content_index": 0, "part": piece})
        else:
            return b""
        out += self._event("response.output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        self._open = None
        return out


# Listening to a stream that passes


def read_answer(body: Node) -> Reading:
    """Read what a plain answer, or the last event of a stream, says about itself."""
    reason = body.object("incomplete_details").text("reason")
    reading = Reading(
        usage_of_raw(body.raw("usage")),
        cap(reason or body.text("status")),
        cap(body.text("id")),
        cap(body.text("service_tier")),
        kept=kept_things.kept_by_response(body.value),
    )
    reading.take_beside(beside_of(body))
    return reading


def _listen(event: Node, state: State) -> None:
    kind = event.text("type")
    if kind == "response.created":
        state.reading.response_id = cap(event.object("response").text("id"))
    elif kind in {"response.completed", "response.incomplete", "response.failed"}:
        state.reading = read_answer(event.object("response"))
        state.is_done = True
        state.error = kind == "response.failed"
    elif kind == "error":
        state.error = True


EARS = Ears(
    (b'"response.created"', b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"type":"error"'),
    _listen,
    needles("delta"),
)


# Stored things

REFERENCES: dict[str, str] = {
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    "prompt.id": "prompt",
    "prompt.variables.*.file_id": "file",
    "input.content.file_id": "file",
    "input.output.file_id": "file",
    "input.file_id": "file",
    "input.container_id": "container",
    "input.environment.container_id": "container",
    "input.approval_request_id": "item",
} | {
    f"{holder}.{path}": kind
    for holder in (
        "tools",
        "tools.tools+",
        "input.tools",
        "input.tools.tools+",
    )  # also in a namespace, and tools that were found
    for path, kind in references.TOOLS.items()
}


# The row


def _error_event(fault: Fault, body: bytes, sequence_number: int) -> bytes:
    error = {"code": fault.openai_code or fault.openai_type, "message": fault.message}
    response = {"id": "resp_" + fault.request_id, "object": "response", "created_at": 0, "status": "failed"}
    response |= {"error": error, "incomplete_details": None, "output": [], "model": "", "usage": None}
    event = {"type": "response.failed", "sequence_number": sequence_number, "response": response}
    return b"event: response.failed\ndata: %b\n\n" % encode(event)


def _model_card(card: Card) -> dict[str, Any]:
    """Codex's catalogue (openai/codex, `codex-rs/protocol`, as of 2026-11)."""
    return {
        "slug": card.name,
        "display_name": card.name,
        "context_window": card.context_window,
        "supported_reasoning_levels": [
            {"effort": effort, "description": effort} for effort in ("low", "medium", "high")
        ],
        "default_reasoning_level": "medium",
        "shell_type": "default",
        "visibility": "list",
        "supported_in_api": True,
        "priority": 0,
    }


_HELLO = {"model": "{model}", "input": "hello"}
_WEATHER_TOOL = {"type": "function", "name": "weather", "parameters": WEATHER}

ROW = Dialect(
    name="responses",
    errors=ErrorShape(
        chat.error_body,
        _error_event,
        too_long=(
            "exceeds the context window",
            "Your input exceeds the context window of this model: {tokens} tokens > {limit}. Please adjust your input.",
        ),
    ),
    ping=lambda number: b'data: {"type":"keepalive","sequence_number":%d}\n\n' % number,
    numbers_events=True,
    answer_id_prefix="resp_",
    operations={
        "chat": Operation(
            "/responses",
            BodyRules(
                ("input", "previous_response_id", "prompt", "conversation"),
                ("max_output_tokens",),
                user="user",
                limit="max_output_tokens",
            ),
            members=("output",),
        ),
        "compact": Operation("/responses/compact", BodyRules(("model",)), members=("output",)),
        "count_tokens": Operation(
            "/responses/input_tokens",
            BodyRules(("input", "previous_response_id", "conversation")),
            members=("input_tokens",),
        ),
        "stored": Operation("/responses/{id}"),
        "stored_cancel": Operation("/responses/{id}/cancel"),
        "stored_items": Operation("/responses/{id}/input_items"),
    },
    references=references.watched(REFERENCES, items_in="input"),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: Listener(EARS),
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
        client_tools,
    ),
    fit=Rules(instructions=True, top_words=COMBINATORS | {"enum", "not"}),
    client_paths=(
        ClientPath(path="/responses", operation="chat", name="responses"),
        ClientPath(path="/responses/compact", operation="compact", name="compact"),
        ClientPath(path="/responses/input_tokens", operation="count_tokens", name="count_tokens"),
        ClientPath(path="/responses/{id}", operation="stored", name="response", method="GET"),
        ClientPath(path="/responses/{id}/input_items", operation="stored_items", name="response", method="GET"),
        ClientPath(path="/responses/{id}/cancel", operation="stored_cancel", name="response"),
    ),
    known_path=re.compile(rb"/responses"),
    models=ModelList(_model_card, lambda items: {"models": items}, query=b"client_version"),
    count=lambda count: {"object": "response.input_tokens", "input_tokens": count},
    stream_usage_at=("response", "usage"),
    examples=Examples(
        models=Example("/v1/models", None, '"data"'),
        plain=Example("/v1/responses", _HELLO, '"output"'),
        stream=Example("/v1/responses", {**_HELLO, "stream": True}, "response.completed"),
        tool_call=Example("/v1/responses", {**_HELLO, "tools": [_WEATHER_TOOL]}, '"weather"'),
        token_count=Example("/v1/responses/input_tokens", _HELLO, "input_tokens"),
    ),
)
