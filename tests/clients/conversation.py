"""What a request to a provider says, read from its JSON alone: shares no code with the product."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Item(NamedTuple):
    """One thing of a history, in order. `kind` is system, user, assistant, thinking, image, call or result."""

    kind: str
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: Mapping[str, Any] = MappingProxyType({})
    is_error: bool = False


class Said(NamedTuple):
    """A request."""

    dialect: str
    model: str
    items: list[Item]
    tools: dict[str, dict[str, Any]]
    """Name → JSON Schema of its parameters (None is an empty one)."""
    schema: dict[str, Any] | None
    stream: bool
    body: dict[str, Any]
    custom: frozenset[str] = frozenset()
    """Names of tools that take free text."""


def _pieces(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content or [])


def _arguments(text: Any) -> dict[str, Any]:
    if isinstance(text, dict):
        return text
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {"not JSON": text}
    return value if isinstance(value, dict) else {"not an object": value}


def _content(role: str, content: Any) -> list[Item]:
    found = []
    for piece in _pieces(content):
        kind = piece.get("type", "")
        if "text" in kind or (kind == "" and "text" in piece):
            found.append(Item(role, piece["text"]))
        elif "image" in kind or "image" in piece:
            found.append(Item("image"))
        elif "file" in kind or kind == "document" or "document" in piece:
            found.append(Item("file"))
    return found


def _result(call_id: str, content: Any, is_error: bool = False) -> list[Item]:
    inner = _content("user", content)
    text = "".join(item.text for item in inner)
    return [
        Item("result", text, call_id, is_error=is_error),
        *(item for item in inner if item.kind in {"image", "file"}),
    ]


def chat(model: str, body: dict[str, Any], stream: bool) -> Said:
    items = []
    for message in body.get("messages", []):
        role = {"developer": "system"}.get(message["role"], message["role"])
        if role == "tool":
            items += _result(message["tool_call_id"], message.get("content"))
            continue
        if message.get("reasoning_content"):
            items.append(Item("thinking", message["reasoning_content"]))
        items += _content(role, message.get("content"))
        for call in message.get("tool_calls") or []:
            function = call.get("function") or call.get("custom") or {}
            items.append(Item("call", "", call["id"], function.get("name", ""), _arguments(function.get("arguments"))))
    tools = {
        tool["function"]["name"]: tool["function"].get("parameters") or {}
        for tool in body.get("tools") or []
        if tool["type"] == "function"
    }
    form = body.get("response_format") or {}
    schema = (form.get("json_schema") or {}).get("schema") or ({} if form.get("type") == "json_object" else None)
    return Said("openai", model, items, tools, schema, bool(body.get("stream")), body)


def _response_tools(given: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name → parameters. A namespace's tool is called `space.name` here; `tool_search` finds tools that were not listed."""
    tools: dict[str, dict[str, Any]] = {}
    for tool in given:
        if tool["type"] in {"function", "custom", "tool_search"}:
            tools[tool.get("name", tool["type"])] = tool.get("parameters") or {}
        elif tool["type"] == "namespace":
            for inner in tool.get("tools") or []:
                tools[f"{tool['name']}.{inner['name']}"] = inner.get("parameters") or {}
    return tools


def responses(model: str, body: dict[str, Any], stream: bool) -> Said:
    items = [Item("system", body["instructions"])] if body.get("instructions") else []
    tools: dict[str, dict[str, Any]] = {}
    given = body.get("input") or []
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        if kind == "message":
            role = {"developer": "system"}.get(item["role"], item["role"])
            items += _content(role, item.get("content"))
        elif kind in {"function_call", "custom_tool_call"}:
            given_arguments = item.get("arguments") if kind == "function_call" else {"input": item.get("input")}
            items.append(Item("call", "", item["call_id"], item["name"], _arguments(given_arguments)))
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            items += _result(item["call_id"], item.get("output"))
        elif kind == "tool_search_call":
            items.append(Item("call", "", item["call_id"], "tool_search", _arguments(item.get("arguments"))))
        elif kind == "tool_search_output":
            items.append(Item("result", json.dumps(item["tools"]), item["call_id"]))
            tools |= _response_tools(item["tools"])
        elif kind == "reasoning":
            text = "".join(piece.get("text", "") for piece in item.get("summary") or [])
            items.append(Item("thinking", text, item.get("encrypted_content") or ""))
    tools |= _response_tools(body.get("tools") or [])
    custom = frozenset(tool["name"] for tool in body.get("tools") or [] if tool["type"] == "custom")
    form = (body.get("text") or {}).get("format") or {}
    schema = form.get("schema") if form.get("type") == "json_schema" else None
    return Said("responses", model, items, tools, schema, bool(body.get("stream")), body, custom)


def anthropic(model: str, body: dict[str, Any], stream: bool) -> Said:
    items = _content("system", body.get("system"))
    for message in body.get("messages", []):
        for block in _pieces(message["content"]):
            kind = block.get("type")
            if kind == "tool_use":
                items.append(Item("call", "", block["id"], block["name"], block.get("input") or {}))
            elif kind == "tool_result":
                items += _result(block["tool_use_id"], block.get("content"), bool(block.get("is_error")))
            elif kind == "thinking":
                items.append(Item("thinking", block["thinking"], block.get("signature") or ""))
            else:
                items += _content(message["role"], [block])
    tools = {tool["name"]: tool["input_schema"] for tool in body.get("tools") or [] if "input_schema" in tool}
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Said("anthropic", model, items, tools, form.get("schema"), bool(body.get("stream")), body)


def gemini(model: str, body: dict[str, Any], stream: bool) -> Said:
    instruction = body.get("systemInstruction") or body.get("system_instruction") or {}
    items = [Item("system", part.get("text", "")) for part in instruction.get("parts", [])]
    waiting: list[str] = []
    calls = 0
    for content in body.get("contents") or []:
        role = "assistant" if content.get("role") == "model" else "user"
        for part in content.get("parts", []):
            if part.get("thought"):
                items.append(Item("thinking", part.get("text", "")))
            elif "functionCall" in part:
                call = part["functionCall"]
                calls += 1
                made = call.get("id") or f"place-{calls}"
                waiting.append(made)
                items.append(Item("call", part.get("thoughtSignature", ""), made, call["name"], call.get("args") or {}))
            elif "functionResponse" in part:
                reply = part["functionResponse"]
                made = reply.get("id") or (waiting[0] if waiting else "none")
                if made in waiting:
                    waiting.remove(made)
                value = reply.get("response")
                is_error = isinstance(value, dict) and "error" in value
                items.append(Item("result", json.dumps(value), made, is_error=is_error))
                items += [Item("image") for inner in reply.get("parts") or [] if "inlineData" in inner]
            elif "inlineData" in part or "inline_data" in part or "fileData" in part:
                items.append(Item("image"))
            elif "text" in part:
                items.append(Item(role, part["text"]))
    tools = {}
    for tool in body.get("tools") or []:
        for one in tool.get("functionDeclarations") or []:
            tools[one["name"]] = one.get("parametersJsonSchema") or one.get("parameters") or {}
    config = body.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Said("gemini", model, items, tools, schema, stream, body)


def bedrock(model: str, body: dict[str, Any], stream: bool) -> Said:
    items = _content("system", body.get("system"))
    for message in body.get("messages", []):
        for block in message["content"]:
            if "toolUse" in block:
                call = block["toolUse"]
                items.append(Item("call", "", call["toolUseId"], call["name"], call.get("input") or {}))
            elif "toolResult" in block:
                reply = block["toolResult"]
                content = [
                    {"text": json.dumps(piece["json"])} if "json" in piece else piece
                    for piece in reply.get("content") or []
                ]
                items += _result(reply["toolUseId"], content, reply.get("status") == "error")
            elif "reasoningContent" in block:
                text = block["reasoningContent"].get("reasoningText") or {}
                items.append(Item("thinking", text.get("text", ""), text.get("signature") or ""))
            else:
                items += _content(message["role"], [block])
    specs = [tool["toolSpec"] for tool in (body.get("toolConfig") or {}).get("tools", []) if "toolSpec" in tool]
    tools = {spec["name"]: spec["inputSchema"]["json"] for spec in specs}
    form = (((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}).get("jsonSchema") or {}
    schema = json.loads(form["schema"]) if form.get("schema") else None
    return Said("bedrock", model, items, tools, schema, stream, body)


READERS = {"openai": chat, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock}
