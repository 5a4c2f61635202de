"""Gemini's generateContent: requests to and from the canonical values. Level 1, sans-I/O.

AI Studio and Vertex AI speak the same. Gemini API reference, "Generating content", "Function calling", "Thought
signatures" (as of 2026-11). Usage: `promptTokenCount` includes cached tokens, `thoughtsTokenCount` stands beside
`candidatesTokenCount`, and `toolUsePromptTokenCount` beside `promptTokenCount`; every chunk repeats running totals, the
last one counts. Keys may be spelled in camelCase or snake_case.
"""

import re
from collections import deque
from typing import Any

from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning
from switchgear.dialects.canonical import JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.gemini.carried import SIGNS, SKIP_SIGNATURE, restore
from switchgear.dialects.json_node import (
    ITEMS_MAX,
    Fields,
    Node,
    decode,
    encode,
    object_of,
    text_of_object,
)
from switchgear.providers.quirks import Quirks

MAKER = "gemini"


_KNOWN = frozenset({"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})


_CONFIG_KNOWN = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "maxOutputTokens",
        "stopSequences",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "thinkingConfig",
        "responseLogprobs",
        "logprobs",
        "responseModalities",
        "candidateCount",
    }
)


NAME_CHARS_MAX = 128
"""Longer names are nobody's."""


_SNAKE = re.compile(r"_([a-z])")


def camel(node: Node) -> Node:
    """Return an object with its keys in camelCase, as the REST reference spells them."""
    if not isinstance(node.value, dict):
        raise node.fail("must be an object")
    if not any("_" in key for key in node.value):
        return node
    if len(node.value) > ITEMS_MAX:
        raise node.fail(f"more than {ITEMS_MAX} keys cannot be translated for this model's provider")
    renamed = {
        _SNAKE.sub(lambda m: m.group(1).upper(), k) if len(k) <= NAME_CHARS_MAX else k: v for k, v in node.value.items()
    }
    return Node(Fields(renamed) if isinstance(node.value, Fields) else renamed, node.path)


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    """Read a client's request. Raises InvalidBodyError."""
    body = camel(body)
    request = Request(model=model, stream=stream)
    request.dropped = [key for key in body.names() if key not in _KNOWN]
    system = body.get("systemInstruction")
    if isinstance(system, str):
        request.system.append(Text(system))
    elif system is not None:
        for part in body.object("systemInstruction").each("parts"):
            yield
            request.system.append(Text(part.text("text") or ""))
    contents = body.get("contents")
    if isinstance(contents, str):
        request.messages.append(Message("user", [Text(contents)]))
    else:
        turns = iter((body.object("contents"),)) if isinstance(contents, dict) else body.each("contents")
        calls = _Calls()
        for turn in turns:
            yield from _decode_turn(turn, request, calls)
    yield from _decode_tools(body, request)
    _decode_config(camel(body.object("generationConfig")), request)
    return request


class _Calls:
    """Gives calls without an id one, and finds the call that a result without an id answers."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: dict[str, deque[str]] = {}
        """Calls that were not answered, by name, in order."""
        self._names: dict[str, str] = {}

    def begin(self, name: str, given: str | None) -> str:
        """Return the id of a call."""
        self._count += 1
        call_id = given or f"call_{self._count}"
        self._waiting.setdefault(name, deque()).append(call_id)
        self._names[call_id] = name
        return call_id

    def answer(self, name: str, given: str | None) -> str:
        """Return the id of the call that is answered."""
        if given is not None:
            self._names.pop(given, None)
            return given
        waiting = self._waiting.get(name, deque())
        while waiting:
            call_id = waiting.popleft()
            if self._names.pop(call_id, None) is not None:  # not answered by its id
                return call_id
        return f"call_{name}"


def _decode_turn(turn: Node, request: Request, calls: _Calls) -> Steps[None]:
    role = turn.text("role") or "user"
    if role not in {"user", "model", "function"}:
        raise turn.fail(f"{role[:32]!r} is not one of user, model", "role")
    mine: Any = "assistant" if role == "model" else "user"
    parts: list[Part] = []
    for item in turn.each("parts"):
        yield
        part = _decode_part(camel(item), request.dropped, calls)
        if part is not None:
            parts.append(part)
    parts = restore(parts)
    if request.messages and request.messages[-1].role == mine:
        request.messages[-1].parts.extend(parts)
    elif parts:
        request.messages.append(Message(mine, parts))
    yield


def _decode_part(part: Node, dropped: list[str], calls: _Calls) -> Part | None:
    signature = part.text("thoughtSignature")
    if part.has("text"):
        if part.flag("thought"):
            return Thinking(part.need("text"), signature, None, MAKER)
        return Text(part.need("text"))
    if part.has("functionCall"):
        call = part.object("functionCall")
        name = call.need("name")
        if signature is not None and signature_text(signature) == SKIP_SIGNATURE:
            signature = None
        return canonical.ToolCall(calls.begin(name, call.text("id")), name, text_of_object(call.get("args")), signature)
    if part.has("functionResponse"):
        answer = part.object("functionResponse")
        name = answer.need("name")
        content: list[Text | Media] = [Text(_response_text(answer.get("response")))]
        for item in answer.items("parts"):
            found = _decode_part(camel(item), dropped, calls)
            if isinstance(found, Media):
                content.append(found)
        return canonical.ToolResult(calls.answer(name, answer.text("id")), content, name)
    if part.has("inlineData"):
        blob = camel(part.object("inlineData"))
        mime = blob.text("mimeType")
        return Media(media.kind_of_mime(mime), mime, blob.need("data"), None, blob.text("displayName"))  # type: ignore[arg-type]
    if part.has("fileData"):
        blob = camel(part.object("fileData"))
        uri, mime = blob.need("fileUri"), blob.text("mimeType")
        if "generativelanguage.googleapis.com" in uri or uri.startswith("gs://"):
            raise part.fail("a stored file cannot be carried to this model's provider; send `inlineData`", "fileData")
        return Media(media.kind_of_mime(mime), mime, None, uri)  # type: ignore[arg-type]
    if signature is not None:
        return Thinking("", signature, None, MAKER)
    dropped.append(f"{part.path} ({', '.join(part.names())[:64]})")
    return None


def signature_text(signature: str) -> str:
    """Return a signature in the spelling in which Google documents the one that skips validation."""
    return (
        SKIP_SIGNATURE if signature in {SKIP_SIGNATURE, "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="} else signature
    )


def _response_text(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        only = value.get("output", value.get("result"))
        if isinstance(only, str):
            return only
    return encode(value if value is not None else {}).decode()


def _decode_tools(body: Node, request: Request) -> Steps[None]:
    foreign: list[str] = []
    for tool in iter((body.object("tools"),)) if isinstance(body.get("tools"), dict) else body.each("tools"):
        yield
        node = camel(tool)
        for item in node.each("functionDeclarations") if node.has("functionDeclarations") else ():
            yield
            request.tools.append(_decode_function(camel(item)))
        foreign += [f"{tool.path} ({key})" for key in node.names() if key != "functionDeclarations"]
    if foreign and not request.tools:
        raise body.fail(f"{foreign[0]} is run by Google and cannot be carried to this model's provider", "tools")
    request.dropped += foreign
    config = camel(body.object("toolConfig"))
    if not config.has("functionCallingConfig"):
        return
    calling = camel(config.object("functionCallingConfig"))
    names = [str(name.value) for name in calling.items("allowedFunctionNames")]
    mode = (calling.text("mode") or "AUTO").upper()
    if mode == "ANY":
        request.choice = canonical.ToolChoice("named" if len(names) == 1 else "required", names)
    elif mode in {"AUTO", "NONE", "VALIDATED", "MODE_UNSPECIFIED"}:
        request.choice = canonical.ToolChoice("none" if mode == "NONE" else "auto", names)
    else:
        raise calling.fail(f"{mode[:32]!r} is not one of AUTO, ANY, NONE, VALIDATED", "mode")


def _decode_function(function: Node) -> canonical.Tool:
    schema = function.get("parametersJsonSchema")
    if schema is None:
        schema = lower_types(function.schema("parameters")) or {"type": "object", "properties": {}}
    return canonical.Tool(function.need("name"), function.text("description"), Raw(encode(schema)))


_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""What Google writes as text: int64 (API reference, `Schema`; read 2026-11-28)."""


def lower_types(schema: Any) -> Any:
    """Turn Google's OpenAPI schema (`"type": "STRING"`, `nullable`, counts as text) into JSON Schema."""
    if isinstance(schema, list):
        return [lower_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {
        _SNAKE.sub(lambda m: m.group(1).upper(), key): value if key in {"enum", "required"} else lower_types(value)
        for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict):
        out["properties"] = {name: lower_types(value) for name, value in schema["properties"].items()}
    for word in _COUNTS & out.keys():
        if isinstance(out[word], str) and out[word].isdecimal():
            out[word] = int(out[word])
    if isinstance(out.get("propertyOrdering"), list):
        del out["propertyOrdering"]
    kind = out.get("type")
    if isinstance(kind, str):
        out["type"] = [kind.lower(), "null"] if out.pop("nullable", False) else kind.lower()
    return out


def _decode_config(config: Node, request: Request) -> None:
    request.dropped += [f"generationConfig.{key}" for key in config.names() if key not in _CONFIG_KNOWN]
    if (config.integer("candidateCount") or 1) > 1:
        raise config.fail("only one candidate can be asked of this model's provider", "candidateCount")
    modalities = {str(item.value).upper() for item in config.items("responseModalities")}
    if modalities - {"TEXT"}:
        raise config.fail("only TEXT can be asked of this model's provider", "responseModalities")
    request.temperature, request.top_p = config.number("temperature"), config.number("topP")
    top_k = config.number("topK")
    request.top_k = int(top_k) if top_k is not None else None
    request.max_tokens, request.seed = config.integer("maxOutputTokens"), config.integer("seed")
    request.stop = [str(item.value) for item in config.items("stopSequences")]
    request.presence_penalty = config.number("presencePenalty")
    request.frequency_penalty = config.number("frequencyPenalty")
    if config.flag("responseLogprobs"):
        request.logprobs = config.integer("logprobs") or 0
    schema = config.get("responseJsonSchema") or lower_types(config.schema("responseSchema"))
    if schema is not None:
        request.format = JsonFormat(Raw(encode(schema)))
    elif config.text("responseMimeType") == "application/json":
        request.format = JsonFormat()
    if config.has("thinkingConfig"):
        thinking = camel(config.object("thinkingConfig"))
        level = thinking.text("thinkingLevel")
        budget = thinking.integer("thinkingBudget")
        request.reasoning = canonical.Reasoning(
            reasoning.read_effort(level.lower() if level else None),
            None if budget is not None and budget < 0 else budget,
            thinking.flag("includeThoughts"),
        )


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider."""
    names = {
        part.id: part.name
        for message in request.messages
        for part in message.parts
        if isinstance(part, canonical.ToolCall)
    }
    is_3 = SIGNS.search(model) is not None
    contents: list[dict[str, Any]] = []
    for message in request.messages:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            yield
            parts += _encode_part(part, names, is_3, request)
        role = "model" if message.role == "assistant" else "user"
        contents.append({"role": role, "parts": parts or [{"text": ""}]})
        yield
    body: dict[str, Any] = {"contents": contents}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": text.text} for text in request.system]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_encode_function(tool) for tool in request.tools]}]
    choice = request.choice
    if choice is not None and request.tools:
        mode = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}[choice.mode]
        calling: dict[str, Any] = {"mode": mode}
        if choice.names and mode == "ANY":
            calling["allowedFunctionNames"] = choice.names
        elif choice.names:
            wanted = set(choice.names)
            kept = [_encode_function(tool) for tool in request.tools if tool.name in wanted]
            body["tools"] = [{"functionDeclarations": kept}]
        body["toolConfig"] = {"functionCallingConfig": calling}
        if choice.parallel is False:
            request.dropped.append("parallel_tool_calls")
    config = _encode_config(request, model)
    if config:
        body["generationConfig"] = config
    if request.user is not None:
        request.dropped.append("user")
    return body


def _encode_part(part: Part, names: dict[str, str], is_3: bool, request: Request) -> list[dict[str, Any]]:
    if isinstance(part, Text | Refusal):
        return [{"text": part.text}]
    if isinstance(part, Media):
        return [encode_media(part)]
    if isinstance(part, canonical.ToolCall):
        call = {"name": part.name, "args": object_of(part.arguments)}
        out: dict[str, Any] = {"functionCall": {"id": part.id} | call if is_3 else call}
        signature = part.signature or (SKIP_SIGNATURE if is_3 else None)
        return [out | ({"thoughtSignature": signature} if signature is not None else {})]
    if isinstance(part, canonical.ToolResult):
        text = canonical.text_of(part.content)
        response: Any = _result_object(text)
        if part.is_error:
            response = {"error": text}
        answer: dict[str, Any] = {"name": part.name or names.get(part.call_id) or "tool", "response": response}
        extra = [encode_media(item) for item in part.content if isinstance(item, Media)]
        if not is_3:  # ids, and media within a result, are Gemini 3's (litellm#34603, opencode#50504; read 2026-11-27)
            return [{"functionResponse": answer}, *extra]
        return [{"functionResponse": {"id": part.call_id} | answer | ({"parts": extra} if extra else {})}]
    if part.maker == MAKER and part.signature is not None:
        return [{"text": part.text, "thought": True, "thoughtSignature": part.signature}]
    request.dropped.append("messages.thinking")
    return []


def _result_object(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            value = decode(text)
        except UNREADABLE:
            return {"output": text}
        if isinstance(value, dict):
            return value
    return {"output": text}


def encode_media(part: Media) -> dict[str, Any]:
    """Build a part: data inline, or an address."""
    mime = part.mime or {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}.get(
        part.kind, "application/pdf"
    )
    if part.url is not None:
        return {"fileData": {"mimeType": mime, "fileUri": part.url}}
    return {"inlineData": {"mimeType": mime, "data": part.data}}


def _encode_function(tool: canonical.Tool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": tool.name, "parametersJsonSchema": tool.schema}
    return out | ({"description": tool.description} if tool.description is not None else {})


def _encode_config(request: Request, model: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for key, name in _CONFIG_NAMES.items():
        value = getattr(request, key)
        if value is not None:
            config[name] = value
    if request.stop:
        config["stopSequences"] = request.stop
    if request.logprobs is not None:
        config["responseLogprobs"] = True
        if request.logprobs:
            config["logprobs"] = request.logprobs
    if request.format is not None:
        config["responseMimeType"] = "application/json"
        if request.format.has_schema:
            config["responseJsonSchema"] = request.format.schema
    wanted = request.reasoning
    if wanted is not None:
        thinking: dict[str, Any] = {
            "includeThoughts": wanted.shown is not False and reasoning.effort_of(wanted) != "none"
        }
        if re.search(r"gemini-([3-9]|\d\d)", model):  # levels since Gemini 3, budgets before
            effort = reasoning.effort_of(wanted)
            if effort is not None:
                thinking["thinkingLevel"] = (
                    "high" if effort in {"high", "xhigh"} else "low" if effort != "medium" else "medium"
                )
        else:
            budget = reasoning.budget_of(wanted)
            if budget is not None:
                thinking["thinkingBudget"] = budget
        config["thinkingConfig"] = thinking
    return config


_CONFIG_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
