"""OpenAI chat completions: requests to and from the canonical values. Level 1, sans-I/O.

OpenAI API reference, "Chat" (as of 2026-11). Beyond it, what compatible providers add and clients understand:
`reasoning_content` (DeepSeek, vLLM) or `reasoning` (OpenRouter, Groq) for thinking, `reasoning_details` (OpenRouter) for
signed thinking, `extra_content.google.thought_signature` (Gemini's compatible endpoint) on tool calls, content as a list
of `thinking` and `text` parts (Mistral), `prompt_cache_hit_tokens` (DeepSeek).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning
from switchgear.dialects.canonical import JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.json_node import Node, arguments_of, foreign_tools
from switchgear.dialects.request import CONSUMED
from switchgear.providers.quirks import Quirks

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
        "cache_control",
    }
)


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError for what is wrong or cannot be carried to another dialect."""
    _refuse_uncarried(body)
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN and key not in CONSUMED and key not in SHARED]
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
    request.cache = cache_of(body)
    request.shared = {key: body.raw(key) for key in SHARED if body.has(key)}
    return request


SHARED = frozenset({"service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity"})
"""What both of OpenAI's dialects say alike (verbosity within `text` in Responses)."""


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
        _mark(parts, message)
        canonical.instruct(request, [part for part in parts if isinstance(part, Text)])
    elif role == "user":
        parts = yield from _decode_content(message, "content")
        _mark(parts, message)
        _append(request, "user", list(parts))
    elif role == "assistant":
        said = yield from decode_assistant(message)
        _mark(said, message)
        _append(request, "assistant", said)
    elif role == "tool":
        content = yield from _decode_content(message, "content")
        marks = [cache_of(message), *(part.cache for part in content)]
        for part in content:
            part.cache = None  # a result is cached as a whole
        cache = next((mark for mark in reversed(marks) if mark is not None), None)
        result = canonical.ToolResult(message.text("tool_call_id") or "", content, message.text("name"), cache=cache)
        _append(request, "user", [result])
    else:
        raise message.fail(f"{role[:32]!r} is not one of system, developer, user, assistant, tool", "role")


def _mark(parts: Sequence[Part], message: Node) -> None:
    """Mark the last part with the marker of its message, which stands beside a plain text (LiteLLM and OpenRouter)."""
    cache = cache_of(message)
    last = parts[-1] if parts and cache is not None else None
    if isinstance(last, Text | Media | canonical.ToolCall):
        last.cache = last.cache or cache


def _append(request: Request, role: Any, parts: list[Part]) -> None:
    """Add parts as a turn; turns of the same role become one, as most dialects demand."""
    if request.messages and request.messages[-1].role == role:
        request.messages[-1].parts.extend(parts)
    else:
        request.messages.append(Message(role, parts))


def decode_assistant(message: Node) -> Steps[list[Part]]:
    """Read a turn of the assistant, which is also what an answer holds."""
    parts: list[Part] = []
    details = message.items("reasoning_details")
    for detail in details:
        signature, data = detail.text("signature"), detail.text("data")
        parts.append(
            Thinking(detail.text("text") or "", signature, data, maker_of(detail.text("format")), detail.text("id"))
        )
    if not details:
        for block in message.items("thinking_blocks"):  # LiteLLM
            signature, maker = canonical.unpack_signature(block.text("signature"), "anthropic")
            redacted = block.text("data")
            parts.append(
                Thinking(block.text("thinking") or "", signature, redacted, "anthropic" if redacted else maker)
            )
        details = message.items("thinking_blocks")
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
            canonical.ToolCall(
                call.text("id") or "", function.need("name"), arguments_of(function.get("arguments")), _sign(call)
            )
        )
    old = message.object("function_call") if message.has("function_call") else None  # servers older than tools
    if old is not None and old.text("name") and not message.has("tool_calls"):  # Snowflake fills in "" (recorded)
        function = old
        parts.append(canonical.ToolCall("", function.need("name"), arguments_of(function.get("arguments"))))
    return parts


FORMATS = {
    "anthropic": "anthropic-claude-v1",
    "bedrock": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "openai": "openai-responses-v1",
    "xai": "xai-responses-v1",
}
"""What OpenRouter calls the thinking of a maker ("Reasoning tokens", `format`, read 2026-11-27)."""


def maker_of(form: str | None) -> str | None:
    """Return whose thinking a format of `reasoning_details` is."""
    maker = (form or "").partition("-")[0] or None
    return "gemini" if maker == "google" else maker


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
        elif kind in {"image_url", "input_image"}:
            image = item.get("image_url")
            node = Node({"url": image}, item.path) if isinstance(image, str) else item.object("image_url")
            parts.append(media.from_url("image", node.need("url"), detail=node.text("detail"), cache=cache))
        elif kind in {"image", "document"} and item.has("source"):  # Anthropic's, which LiteLLM takes here
            parts.append(media.from_source(item, "image" if kind == "image" else "file", cache))
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
            parts.append(_thought(item))
        else:
            raise item.fail(f"parts of type {kind[:32]!r} cannot be carried to this model's provider", "type")
    return parts


def _thought(item: Node) -> Thinking:
    """Read a part of thinking: Mistral's list of texts, or a block as Anthropic says it."""
    if not isinstance(item.get("thinking"), str):
        return Thinking("".join(piece.text("text") or "" for piece in item.items("thinking")))
    signature, maker = canonical.unpack_signature(item.text("signature"), "anthropic")
    return Thinking(item.need("thinking"), signature, None, maker)


def _decode_file(file: Node, cache: str | None) -> Media:
    name = file.text("filename")
    if file.has("file_data"):
        return media.file_of(file.need("file_data"), name, cache)
    if file.has("file_id"):
        raise file.fail("a stored file cannot be carried to this model's provider; send `file_data`", "file_id")
    raise file.fail("missing required parameter", "file_data")


def cache_of(item: Node) -> str | None:
    """Read a cache marker in Anthropic's spelling, which compatible providers share."""
    marker = item.child("cache_control")
    return None if marker is None else marker.text("ttl") or "5m"


def _decode_tool(tool: Node) -> canonical.Tool:
    function = tool.object("function") if tool.has("function") else tool  # flat definitions: Cursor sends them
    schema = function.raw("parameters") if function.has("parameters") else canonical.Tool("").schema
    return canonical.Tool(
        function.need("name"),
        function.text("description"),
        schema,
        function.flag("strict"),
        cache_of(tool) or cache_of(function),
    )


def _decode_choice(body: Node) -> canonical.ToolChoice | None:
    value, parallel = body.get("tool_choice"), body.flag("parallel_tool_calls")
    if value is None:
        return canonical.ToolChoice(parallel=parallel) if parallel is not None else None
    if isinstance(value, str):
        modes: dict[str, canonical.ChoiceMode] = {
            "auto": "auto",
            "none": "none",
            "required": "required",
            "any": "required",
        }
        if value not in modes:
            raise body.fail(f"{value[:32]!r} is not one of auto, none, required", "tool_choice")
        return canonical.ToolChoice(modes[value], parallel=parallel)
    node = body.object("tool_choice")
    if node.text("type") == "allowed_tools":
        allowed = node.object("allowed_tools") if node.has("allowed_tools") else node
        mode: canonical.ChoiceMode = "required" if allowed.text("mode") == "required" else "auto"
        names = [
            (tool.object("function") if tool.has("function") else tool).need("name") for tool in allowed.items("tools")
        ]
        return canonical.ToolChoice(mode, names, parallel)
    named = node.object("function") if node.has("function") else node
    return canonical.ToolChoice("named", [named.need("name")], parallel)


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


def _decode_reasoning(body: Node) -> canonical.Reasoning | None:
    if body.has("reasoning_effort"):
        return canonical.Reasoning(reasoning.read_effort(body.text("reasoning_effort")))
    if body.has("reasoning"):  # OpenRouter
        node = body.object("reasoning")
        return canonical.Reasoning(reasoning.read_effort(node.text("effort")), node.integer("max_tokens"))
    if body.has("thinking"):  # DeepSeek, Z.ai, and clients that speak Anthropic's
        node = body.object("thinking")
        if node.text("type") == "disabled":
            return canonical.Reasoning(budget=0)
        return canonical.Reasoning(budget=node.integer("budget_tokens"))
    return None


BRIDGE = "(go on)"
"""What an assistant says between a tool's result and the user, where somebody must."""

BELOW = "(see below)"
"""What the result of a tool says that gave pictures alone, which follow it: an empty text is read as no result."""


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider. What the dialect cannot say is added to `request.dropped`."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": "\n\n".join(text.text for text in request.system)})
    for message in request.messages:
        encoded = yield from _encode_message(message, request, quirks, family_of(model))
        messages.extend(encoded)
    if quirks.prefill and messages and messages[-1]["role"] == "assistant":
        messages[-1][quirks.prefill] = True
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
        if quirks.same_strict and len({bool(tool.strict) for tool in request.tools}) > 1:
            request.dropped.append("tools.strict")
            for tool in request.tools:
                tool.strict = None
            body["tools"] = [_encode_tool(tool) for tool in request.tools]
    encode_choice(request, body, _encode_tool, _named)
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
    body.update(request.shared)
    _turn_thinking_off(request, body, quirks)
    for key in quirks.drop:
        if body.pop(key, None) is not None:
            request.dropped.append(key)
    return body


def _turn_thinking_off(request: Request, body: dict[str, Any], quirks: Quirks) -> None:
    """Say that nothing is to be thought, where the client said so or forces a tool."""
    if not quirks.thinking_off:
        return
    choice, wanted = body.get("tool_choice"), request.reasoning
    is_off = wanted is not None and reasoning.effort_of(wanted) == "none"
    if is_off or choice == "required" or isinstance(choice, dict):
        body[quirks.thinking_off] = {"type": "disabled"} if quirks.thinking_off == "thinking" else False


def family_of(model: str) -> str:
    """Return the maker whose signed thinking a model behind a router takes; "" where none is known."""
    found = re.search(r"claude|gemini|gpt|/o[1-9]|grok", model)
    return {"claude": "anthropic", "gemini": "gemini", "grok": "xai"}.get(found.group(), "openai") if found else ""


def _encode_message(message: Message, request: Request, quirks: Quirks, family: str) -> Steps[list[dict[str, Any]]]:
    yield
    if message.role == "assistant":
        return [encode_assistant(message.parts, request, quirks, family)]
    out: list[dict[str, Any]] = []
    user: list[dict[str, Any]] = []

    def close() -> None:
        if user:
            if quirks.bridges_results and out and out[-1]["role"] == "tool":
                out.append({"role": "assistant", "content": BRIDGE})
            texts = [part["text"] for part in user if part["type"] == "text"]
            plain = len(texts) == len(user) and (len(user) == 1 or not quirks.text_lists)
            out.append({"role": "user", "content": "\n\n".join(texts) if plain else list(user)})
            user.clear()

    for part in message.parts:
        yield
        if isinstance(part, canonical.ToolResult):
            text = canonical.text_of(part.content)
            # A tool's message holds text only: its pictures follow in a message of the user.
            shown = [_encode_part(item) for item in part.content if isinstance(item, Media)]
            text = text or (BELOW if shown else "")
            out.append({"role": "tool", "tool_call_id": part.call_id, "content": text})
            user.extend(shown)
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


def encode_assistant(parts: list[Part], request: Request, quirks: Quirks, family: str = "") -> dict[str, Any]:
    """Build a turn of the assistant. `family` is the maker whose signed thinking is taken back."""
    out: dict[str, Any] = {"role": "assistant"}
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [_encode_call(part) for part in parts if isinstance(part, canonical.ToolCall)]
    thoughts = "".join(part.text for part in parts if isinstance(part, Thinking))
    if quirks.reasoning_details:
        out.update(_details(parts, thoughts, family))
    elif quirks.reasoning_content and (thoughts or calls):
        out["reasoning_content"] = thoughts or NO_THOUGHTS
    elif any(isinstance(part, Thinking) for part in parts):
        request.dropped.append("messages.thinking")
    nothing = (
        "" if "reasoning_content" in out else None
    )  # DeepSeek refuses null beside it (can1357/oh-my-pi#788, read 2026-11-27)
    out["content"] = "".join(texts) if texts else nothing
    if refusals:
        out["refusal"] = "".join(refusals)
    if calls:
        out["tool_calls"] = calls
    elif not texts and not refusals:
        out["content"] = ""
    return out


NO_THOUGHTS = " "
"""What stands beside a call whose thinking was lost, for makers that demand it: none and "" are refused (Kimi: crush#2696,
pi#4251; read 2026-11-27)."""


def _details(parts: list[Part], thoughts: str, family: str) -> dict[str, Any]:
    """Return thinking as a router passes it on to the model's maker: signed by that maker, or as plain text."""
    details: list[dict[str, Any]] = []
    for part in parts:
        form = {"format": FORMATS.get(family, "unknown"), "index": len(details)}
        if isinstance(part, canonical.ToolCall) and part.signature is not None and family == "gemini":
            details.append({"type": "reasoning.encrypted", "data": part.signature, "id": part.id} | form)
        if not isinstance(part, Thinking) or part.maker is None or FORMATS.get(part.maker) != FORMATS.get(family, ""):
            continue
        if part.redacted is not None or (family == "openai" and part.signature is not None):
            details.append(
                {"type": "reasoning.encrypted", "data": part.redacted or part.signature, "id": part.id} | form
            )
        elif part.signature is not None:
            details.append({"type": "reasoning.text", "text": part.text, "signature": part.signature} | form)
    if details:
        return {"reasoning_details": details}
    return {"reasoning": thoughts} if thoughts and all(_is_plain(part) for part in parts) else {}


def _is_plain(part: Part) -> bool:
    return not isinstance(part, Thinking) or part.maker is None


def _encode_call(call: canonical.ToolCall) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature is not None:
        out["extra_content"] = {"google": {"thought_signature": call.signature}}
    return out


def _encode_tool(tool: canonical.Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict:  # false is the default, and some compatible servers refuse the word (litellm#6136)
        function["strict"] = True
    return {"type": "function", "function": function}


def encode_choice(
    request: Request,
    body: dict[str, Any],
    encode_tool: Callable[[canonical.Tool], dict[str, Any]],
    named: Callable[[str], dict[str, Any]],
) -> None:
    """Add `tool_choice` and `parallel_tool_calls`, as both dialects of OpenAI's have them. `named` writes a choice of one tool."""
    choice = request.choice
    if choice is None or not request.tools:
        return
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel
    if choice.mode == "named":
        body["tool_choice"] = named(choice.names[0])
        return
    if choice.names:
        names = set(choice.names)
        body["tools"] = [encode_tool(tool) for tool in request.tools if tool.name in names]
    body["tool_choice"] = choice.mode


def encode_schema(form: JsonFormat) -> dict[str, Any]:
    """Build the description of an answer's schema, as both dialects of OpenAI's have it."""
    schema: dict[str, Any] = {"name": form.name, "schema": form.schema}
    if form.strict is not None:
        schema["strict"] = form.strict
    if form.description is not None:
        schema["description"] = form.description
    return schema


def _named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _encode_format(form: JsonFormat) -> dict[str, Any]:
    if not form.has_schema:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": encode_schema(form)}
