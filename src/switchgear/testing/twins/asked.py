"""What a request asks, read from its JSON by a reader that shares no code with the product. Level 5, pure.

The twin of `said`: one function per dialect turns a request into `Asked`, so that a crossing can tell whether what a client sent is
what the provider got. References as there.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from switchgear.testing.twins.said import Call, arguments_of

Body = dict[str, Any]


class Asked(NamedTuple):
    """A request. Texts are those of instructions, of the user and of the assistant, in their order, without blank ones."""

    texts: tuple[str, ...]
    calls: tuple[Call, ...]
    results: tuple[tuple[str, str], ...]
    """Of each result: the id of its call (its name where there is no id), its texts joined; of JSON the values alone, since a
    provider that wants an object gets one."""
    tools: tuple[str, ...]
    """Names of the functions that are offered."""
    media: int
    """How many images, sounds and files; a file of text may become text, so it is none."""


class _Gathered:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[Call] = []
        self.results: list[tuple[str, str]] = []
        self.tools: list[str] = []
        self.media = 0

    def text(self, text: Any) -> None:
        if isinstance(text, str) and text.strip():
            self.texts.append(text)

    def done(self) -> Asked:
        return Asked(tuple(self.texts), tuple(self.calls), tuple(self.results), tuple(self.tools), self.media)


def _plain(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return "".join(_leaves(value)) if isinstance(value, dict | list) else text


def _is_text(kind: Any) -> bool:
    """True for a media type, or AWS's name of a format, of plain text."""
    named = {"csv", "html", "txt", "md", "application/json", "application/xml", "application/yaml"}
    return isinstance(kind, str) and (kind.startswith("text/") or kind in named)


def _of_data_url(url: Any) -> str:
    return url[5:].partition(";")[0] if isinstance(url, str) and url.startswith("data:") else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _parts(content: Any) -> list[Body]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else _list(content)


def openai(body: Body) -> Asked:
    """Chat completions."""
    found = _Gathered()
    for message in _list(body.get("messages")):
        if message["role"] == "tool":
            inner = _Gathered()
            _openai_parts(message.get("content"), inner)
            found.media += inner.media
            found.results.append((message["tool_call_id"], _plain("".join(inner.texts))))
            continue
        _openai_parts(message.get("content"), found)
        found.text(message.get("refusal"))
        for call in _list(message.get("tool_calls")):
            function = call["function"]
            found.calls.append(Call(call["id"], function["name"], arguments_of(function.get("arguments"))))
    for tool in _list(body.get("tools")):
        if "function" in tool:
            found.tools.append(tool["function"]["name"])
    return found.done()


def _openai_parts(content: Any, found: _Gathered) -> None:
    for part in _parts(content):
        if part["type"] in {"text", "refusal"}:
            found.text(part.get("text") or part.get("refusal"))
        elif part["type"] != "thinking":
            found.media += not _is_text(_of_data_url((part.get("file") or {}).get("file_data")))


def responses(body: Body) -> Asked:
    """Responses."""
    found = _Gathered()
    found.text(body.get("instructions"))
    given = body.get("input")
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else _list(given):
        kind = item.get("type", "message")
        if kind == "message":
            _responses_parts(item.get("content"), found)
        elif kind == "function_call":
            found.calls.append(Call(item["call_id"], item["name"], arguments_of(item["arguments"])))
        elif kind == "custom_tool_call":
            found.calls.append(Call(item["call_id"], item["name"], {"input": item["input"]}))
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            inner = _Gathered()
            _responses_parts(item["output"], inner)
            found.media += inner.media
            found.results.append((item["call_id"], _plain("".join(inner.texts))))
        elif kind == "tool_search_call" and item.get("execution") == "client":
            found.calls.append(Call(item["call_id"], "tool_search", arguments_of(item.get("arguments"))))
        elif kind == "tool_search_output" and item.get("execution") == "client":
            found.results.append((item["call_id"], _plain(_listed(item))))
    for tool in _list(body.get("tools")):
        if tool["type"] in {"function", "custom"}:
            found.tools.append(tool["name"])
        elif tool["type"] == "tool_search" and tool.get("execution") == "client":
            found.tools.append("tool_search")
    return found.done()


def _listed(item: Body) -> str:
    """What another dialect is told of tools that a client found (docs/dialects.md)."""
    names = []
    for tool in _list(item.get("tools")):
        spaced = tool["type"] == "namespace"
        names += (
            [f"{tool['name'].removesuffix('__')}__{one['name']}" for one in tool["tools"]] if spaced else [tool["name"]]
        )
    return f"These tools can be called now: {', '.join(names)}." if names else "No tool was found."


def _responses_parts(content: Any, found: _Gathered) -> None:
    for part in _parts(content):
        if part["type"] in {"text", "input_text", "output_text", "refusal"}:
            found.text(part.get("text") or part.get("refusal"))
        else:
            found.media += not _is_text(_of_data_url(part.get("file_data")))


def _is_media(block: Body) -> bool:
    source = block.get("source") or {}
    is_text = source.get("type") in {"text", "content"} or _is_text(source.get("media_type"))
    return block["type"] in {"image", "document"} and not is_text


def anthropic(body: Body) -> Asked:
    """Messages."""
    found = _Gathered()
    for block in _parts(body.get("system")):
        found.text(block["text"])
    for message in _list(body.get("messages")):
        for block in _parts(message["content"]):
            kind = block["type"]
            if kind == "text":
                found.text(block["text"])
            elif kind == "tool_use":
                found.calls.append(Call(block["id"], block["name"], block["input"]))
            elif kind == "tool_result":
                inner = _parts(block.get("content"))
                texts = [part["text"] for part in inner if part["type"] == "text" and part["text"].strip()]
                found.media += sum(map(_is_media, inner))
                found.results.append((block["tool_use_id"], _plain("".join(texts))))
            else:
                found.media += _is_media(block)
    for tool in _list(body.get("tools")):
        if tool.get("type") in {None, "custom"}:
            found.tools.append(tool["name"])
    return found.done()


_AS_THEY_ARE = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}


def _camel(value: Any) -> Any:
    """The same with names in lowerCamelCase: protobuf's JSON takes both."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda found: found.group(1).upper(), key): item for key, item in value.items()}
    return {key: item if key in _AS_THEY_ARE else _camel(item) for key, item in named.items()}


def gemini(body: Body) -> Asked:
    """generateContent."""
    found = _Gathered()
    body = _camel(body)
    system = body.get("systemInstruction") or {}
    for content in [*([system] if system else []), *_list(body.get("contents"))]:
        for part in _list(content.get("parts")):
            if part.get("thought"):
                continue
            found.text(part.get("text"))
            found.media += _holds_media(part)
            if "functionCall" in part:
                call = part["functionCall"]
                found.calls.append(Call(call.get("id") or "", call["name"], call.get("args") or {}))
            if "functionResponse" in part:
                result = part["functionResponse"]
                found.media += sum(map(_holds_media, _list(result.get("parts"))))
                found.results.append((result.get("id") or result["name"], _unwrapped(result.get("response"))))
    tools = body.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:
        found.tools += [declared["name"] for declared in _list(tool.get("functionDeclarations"))]
    return found.done()


def _holds_media(part: Body) -> bool:
    held = part.get("inlineData") or part.get("fileData")
    return held is not None and not _is_text(held.get("mimeType"))


def _unwrapped(response: Any) -> str:
    values = list(response.values()) if isinstance(response, dict) else []
    return _plain(values[0]) if len(values) == 1 and isinstance(values[0], str) else "".join(_leaves(response))


def _leaves(value: Any) -> Iterator[str]:
    """The texts of a JSON value: a provider wraps a plain text in an object of its own."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _is_block_of_media(block: Body) -> bool:
    held = next((block[kind] for kind in ("image", "document", "video", "audio") if kind in block), None)
    return held is not None and not _is_text(held.get("format"))


def bedrock(body: Body) -> Asked:
    """Converse."""
    found = _Gathered()
    for block in _list(body.get("system")):
        found.text(block.get("text"))
    for message in _list(body.get("messages")):
        for block in _list(message.get("content")):
            found.text(block.get("text"))
            found.media += _is_block_of_media(block)
            if "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
                use = block["toolUse"]
                found.calls.append(Call(use["toolUseId"], use["name"], use["input"]))
            if "toolResult" in block and message["role"] == "user":
                inner = block["toolResult"]["content"]
                texts = [part.get("text") or "".join(_leaves(part.get("json", ""))) for part in inner]
                found.media += sum(map(_is_block_of_media, inner))
                joined = "".join(text for text in texts if text.strip())
                found.results.append((block["toolResult"]["toolUseId"], _plain(joined)))
    for tool in _list((body.get("toolConfig") or {}).get("tools")):
        if "toolSpec" in tool:
            found.tools.append(tool["toolSpec"]["name"])
    return found.done()


def cohere(body: Body) -> Asked:
    """Chat, version 2."""
    found = _Gathered()
    for message in _list(body.get("messages")):
        texts = []
        for part in _parts(message.get("content")):
            if part["type"] == "text":
                texts.append(part["text"])
            elif part["type"] == "document":
                texts += _leaves(part["document"].get("data"))
            elif part["type"] != "thinking":
                found.media += 1
        if message["role"] == "tool":
            found.results.append((message["tool_call_id"], _plain("".join(texts))))
            continue
        for text in texts:
            found.text(text)
        for call in _list(message.get("tool_calls")):
            function = call["function"]
            found.calls.append(Call(call["id"], function["name"], arguments_of(function.get("arguments"))))
    found.tools += [tool["function"]["name"] for tool in _list(body.get("tools"))]
    return found.done()


READERS: dict[str, Callable[[Body], Asked]] = {
    "openai": openai,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "cohere": cohere,
}
