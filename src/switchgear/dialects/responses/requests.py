"""OpenAI responses: requests to and from the canonical values. Level 1, sans-I/O.

OpenAI API reference, "Responses" and its streaming events (as of 2026-11). The translation is stateless: what refers to
something that a provider stored (`previous_response_id`, `conversation`, item references, file ids) is refused for
providers of another dialect, with the field's name. Codex's freeform tools (`custom`) become functions with one `input`; its
search for tools that it did not list (`tool_search`, run by the client) becomes a function, too, and what was found is listed
(openai-python, ResponseToolSearchCall and ResponseToolSearchOutputItemParam; openai/codex, `ToolSearchOutput`; read 2026-11-27).
"""

from typing import Any

from msgspec import Raw

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning, web_search
from switchgear.dialects.canonical import JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.dialect import (
    ClientTools,
)
from switchgear.dialects.json_node import Node, arguments_of, encode, foreign_tools
from switchgear.dialects.openai.requests import SHARED, encode_choice, encode_schema
from switchgear.providers.quirks import Quirks

MAKER = "openai"
SEARCH = "tool_search"
_FOUND = "tool_search_output"


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


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    for key in _STATEFUL:
        if body.get(key):
            raise body.fail("this model's provider keeps no state; send the whole conversation in `input`", key)
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN | SHARED and key not in _STATEFUL]
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
        message.parts = canonical.attach_signatures(message.parts)
    flat = yield from _flattened(body)
    tools = yield from foreign_tools.steps(flat, _is_carried, request.dropped)
    for tool in tools:
        yield
        if web_search.is_search(tool):
            request.search = web_search.read(tool, body.integer("max_tool_calls"))
        else:
            request.tools.append(_decode_tool(tool))
    request.choice = _decode_choice(body)
    request.format = _decode_format(body)
    thinking = body.object("reasoning")
    if body.has("reasoning"):
        shown = thinking.has("summary") or None
        request.reasoning = canonical.Reasoning(reasoning.read_effort(thinking.text("effort")), None, shown)
    request.max_tokens = body.integer("max_output_tokens")
    request.temperature, request.top_p = body.number("temperature"), body.number("top_p")
    request.logprobs = body.integer("top_logprobs")
    request.user = body.text("user")
    request.shared = {key: body.raw(key) for key in SHARED if body.has(key)}
    if body.object("text").has("verbosity"):
        request.shared["verbosity"] = body.object("text").raw("verbosity")
    return request


def _is_function(tool: Node) -> bool:
    return tool.text("type") in {None, "function", "custom"} or _is_search(tool)


def _is_carried(tool: Node) -> bool:
    return _is_function(tool) or web_search.is_search(tool)


def _is_search(tool: Node) -> bool:
    return tool.text("type") == SEARCH and tool.text("execution") == "client"


def _listed(body: Node) -> Steps[list[Node]]:
    """Return the client's tools: those that it lists and those that its searches found, each once."""
    tools: list[Node] = []
    for tool in body.each("tools"):
        yield
        tools.append(tool)
    if isinstance(body.get("input"), str) or not any(_is_search(tool) for tool in tools):
        return tools
    names = {(tool.text("type"), tool.text("name")) for tool in tools}
    for item in body.each("input"):
        yield
        if item.text("type") != _FOUND:
            continue
        for tool in item.each("tools"):
            yield
            named = (tool.text("type"), tool.text("name"))
            if named not in names:
                names.add(named)
                tools.append(tool)
    return tools


@Stepwise
def client_tools(body: Node) -> Steps[ClientTools]:
    """Return what must be known of a client's tools to give calls back to it."""
    customs, spaces = set[str](), dict[str, tuple[str, str]]()
    searches = False
    tools = yield from _listed(body)
    for tool in tools:
        yield
        kind = tool.text("type")
        if _is_search(tool):
            searches = True
        elif kind == "custom":
            customs.add(tool.need("name"))
        elif kind == "namespace":
            for inner in tool.each("tools"):
                yield
                name = flat_name(tool.need("name"), inner.need("name"))
                spaces[name] = (tool.need("name"), inner.need("name"))
                if inner.text("type") == "custom":
                    customs.add(name)
    return ClientTools(frozenset(customs), spaces, SEARCH if searches else "")


def flat_name(space: str | None, name: str) -> str:
    """Return the one name of a tool within a namespace."""
    if not space:
        return name
    return f"{space}{name}" if space.endswith("__") else f"{space}__{name}"


def _flattened(body: Node) -> Steps[list[Node]]:
    """Return the tools with those of namespaces in their place, under their flat names."""
    flat: list[Node] = []
    tools = yield from _listed(body)
    for tool in tools:
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
            canonical.instruct(request, [part for part in parts if isinstance(part, Text)])
        elif role in {"user", "assistant"}:
            _append(request, role, parts)
        else:
            raise item.fail(f"{role[:32]!r} is not one of system, developer, user, assistant", "role")
    elif kind == "function_call":
        _append(
            request,
            "assistant",
            [canonical.ToolCall(item.need("call_id"), _called(item), arguments_of(item.get("arguments")))],
        )
    elif kind == "custom_tool_call":
        arguments = encode({"input": item.text("input") or ""}).decode()
        _append(request, "assistant", [canonical.ToolCall(item.need("call_id"), _called(item), arguments)])
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        parts = yield from _decode_content(item, "output", request)
        content = [part for part in parts if isinstance(part, Text | Media)]
        _append(request, "user", [canonical.ToolResult(item.need("call_id"), content)])
    elif kind == "tool_search_call" and item.text("execution") == "client":
        call = canonical.ToolCall(item.need("call_id"), SEARCH, arguments_of(item.get("arguments")))
        _append(request, "assistant", [call])
    elif kind == _FOUND and item.text("execution") == "client":
        names = yield from _found_names(item)
        told = f"These tools can be called now: {', '.join(names)}." if names else "No tool was found."
        _append(request, "user", [canonical.ToolResult(item.need("call_id"), [Text(told)])])
    elif kind == "reasoning":
        text = "\n\n".join(piece.text("text") or "" for piece in item.items("summary") or item.items("content"))
        signature, maker = canonical.unpack_signature(item.text("encrypted_content"), MAKER)
        _append(request, "assistant", [Thinking(text, signature, None, maker, item.text("id"))])
    elif kind == "item_reference":
        raise item.fail("a stored item cannot be carried to this model's provider", "id")
    else:
        request.dropped.append(f"{item.path} ({kind[:48]})")


def _found_names(item: Node) -> Steps[list[str]]:
    names: list[str] = []
    for tool in item.each("tools"):
        yield
        if tool.text("type") != "namespace":
            names.append(tool.text("name") or "")
            continue
        for inner in tool.each("tools"):
            yield
            names.append(flat_name(tool.need("name"), inner.need("name")))
    return names


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
            parts.append(media.file_of(item.need("file_data"), item.text("filename")))
        elif kind == "input_file" and item.has("file_url"):
            parts.append(media.from_url("file", item.need("file_url"), item.text("filename")))
        elif kind == "input_audio":
            sound = item.object("input_audio")
            parts.append(Media("audio", media.audio_mime(sound.text("format") or "wav"), sound.need("data")))
        else:
            raise item.fail(f"{kind[:32]!r} cannot be carried to this model's provider (a stored file?)", "type")
    return parts


def _decode_tool(tool: Node) -> canonical.Tool:
    if tool.text("type") == "custom":
        description = f"{tool.text('description') or ''}\nGive the whole text as `input`.".strip()
        return canonical.Tool(tool.need("name"), description, _CUSTOM_SCHEMA)
    schema = tool.raw("parameters") if tool.has("parameters") else canonical.Tool("").schema
    name = SEARCH if _is_search(tool) else tool.need("name")
    return canonical.Tool(name, tool.text("description"), schema, tool.flag("strict"))


def _decode_choice(body: Node) -> canonical.ToolChoice | None:
    value, parallel = body.get("tool_choice"), body.flag("parallel_tool_calls")
    if value is None:
        return canonical.ToolChoice(parallel=parallel) if parallel is not None else None
    if isinstance(value, str):
        if value not in {"auto", "none", "required"}:
            raise body.fail(f"{value[:32]!r} is not one of auto, none, required", "tool_choice")
        return canonical.ToolChoice(value, parallel=parallel)  # type: ignore[arg-type]
    node = body.object("tool_choice")
    if node.text("type") == "allowed_tools":
        mode: canonical.ChoiceMode = "required" if node.text("mode") == "required" else "auto"
        names = [tool.need("name") for tool in node.items("tools") if tool.has("name")]  # the provider's own have none
        return canonical.ToolChoice(mode, names, parallel)
    if web_search.is_search(node):
        return canonical.ToolChoice("named", [web_search.NAME], parallel)
    return canonical.ToolChoice("named", [node.need("name")], parallel)


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
    encode_choice(request, body, _encode_tool, _named)
    if request.search is not None:
        _encode_search(request.search, request, body)
    if request.format is not None:
        body["text"] = {"format": _encode_format(request.format)}
    body.update({key: value for key, value in request.shared.items() if key != "verbosity"})
    if "verbosity" in request.shared:
        body.setdefault("text", {})["verbosity"] = request.shared["verbosity"]
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
        elif isinstance(part, canonical.ToolCall):
            close()
            items.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments})
        elif isinstance(part, canonical.ToolResult):
            close()
            plain = all(isinstance(item, Text) for item in part.content)
            output: Any = canonical.text_of(part.content) if plain else [_encode_output(item) for item in part.content]
            items.append({"type": "function_call_output", "call_id": part.call_id, "output": output})
        elif part.maker == MAKER and part.signature is not None:
            close()
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item = {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}
            items.append(item | ({"id": part.id} if part.id is not None else {}))
        else:
            request.dropped.append("messages.thinking")
    close()
    while items and items[-1]["type"] == "reasoning":  # "… was provided without its required following item"
        items.pop()
        request.dropped.append("messages.thinking")
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


def _encode_tool(tool: canonical.Tool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.schema,
        "strict": bool(tool.strict),
    }
    return out | ({"description": tool.description} if tool.description is not None else {})


def _encode_search(search: canonical.WebSearch, request: Request, body: dict[str, Any]) -> None:
    tool = web_search.write(search, web_search.NAME)
    if search.allowed:
        tool["filters"] = {"allowed_domains": search.allowed}
    elif search.blocked:
        request.dropped.append(f"{search.place}.blocked_domains")
    body.setdefault("tools", []).append(tool)
    if search.uses_max is not None:
        body["max_tool_calls"] = search.uses_max
    choice = request.choice
    if choice is not None and choice.mode == "named" and choice.names == [web_search.NAME]:
        allowed = [
            {"type": web_search.NAME}
        ]  # `web_search` is none of the types that `tool_choice` names (SDK, `ToolChoiceTypes`)
        body["tool_choice"] = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    elif choice is not None and choice.mode != "named" and not request.tools:
        body["tool_choice"] = choice.mode


def _named(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name}


def _encode_format(form: JsonFormat) -> dict[str, Any]:
    return {"type": "json_schema"} | encode_schema(form) if form.has_schema else {"type": "json_object"}
