"""Gemini's generateContent to and from the hub. Level 1, sans-I/O. AI Studio and Vertex AI speak the same.

Gemini API reference, "Generating content", "Function calling", "Thought signatures" (as of 2026-11). Usage:
`promptTokenCount` includes cached tokens, `thoughtsTokenCount` stands beside `candidatesTokenCount`, and
`toolUsePromptTokenCount` beside `promptTokenCount`; every chunk repeats running totals, the last one counts. Keys may be
spelled in camelCase or snake_case.
"""

import contextlib
import re
from collections import deque
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects import hub, media, reasoning, references
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
from switchgear.dialects.embeddings import Vectors, Wanted, vector_of
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import Rules
from switchgear.dialects.hub import Answer, Finish, JsonFormat, Media, Message, Part, Refusal, Request, Text, Thinking
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.reading import Ears, Listener, Reading, State, cap, plain_reader, usage_reader
from switchgear.dialects.shape import (
    ITEMS_MAX,
    TRANSLATION_ERRORS,
    Fields,
    Node,
    decode,
    encode,
    object_of,
    text_of_object,
)
from switchgear.dialects.streams import SseDecoder
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks

MAKER = "gemini"
SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Google documents for tool calls that another model made ("Thought signatures", as of 2026-11)."""
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
_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "IMAGE_PROHIBITED_CONTENT",
    }
)
_FINISH_NAMES: dict[Finish, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
}
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


# Requests


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
        return hub.ToolCall(calls.begin(name, call.text("id")), name, text_of_object(call.get("args")), signature)
    if part.has("functionResponse"):
        answer = part.object("functionResponse")
        name = answer.need("name")
        content: list[Text | Media] = [Text(_response_text(answer.get("response")))]
        for item in answer.items("parts"):
            found = _decode_part(camel(item), dropped, calls)
            if isinstance(found, Media):
                content.append(found)
        return hub.ToolResult(calls.answer(name, answer.text("id")), content, name)
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
        request.choice = hub.ToolChoice("named" if len(names) == 1 else "required", names)
    elif mode in {"AUTO", "NONE", "VALIDATED", "MODE_UNSPECIFIED"}:
        request.choice = hub.ToolChoice("none" if mode == "NONE" else "auto", names)
    else:
        raise calling.fail(f"{mode[:32]!r} is not one of AUTO, ANY, NONE, VALIDATED", "mode")


def _decode_function(function: Node) -> hub.Tool:
    schema = function.get("parametersJsonSchema")
    if schema is None:
        schema = lower_types(function.schema("parameters")) or {"type": "object", "properties": {}}
    return hub.Tool(function.need("name"), function.text("description"), Raw(encode(schema)))


def lower_types(schema: Any) -> Any:
    """Turn Google's OpenAPI schema (`"type": "STRING"`, `nullable`) into JSON Schema."""
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
        request.reasoning = hub.Reasoning(
            reasoning.read_effort(level.lower() if level else None),
            None if budget is not None and budget < 0 else budget,
            thinking.flag("includeThoughts"),
        )


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    """Build the body for a provider."""
    names = {
        part.id: part.name for message in request.messages for part in message.parts if isinstance(part, hub.ToolCall)
    }
    needs_signature = re.search(r"gemini-([3-9]|\d\d)", model) is not None
    contents: list[dict[str, Any]] = []
    for message in request.messages:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            yield
            encoded = _encode_part(part, names, needs_signature, request)
            if encoded is not None:
                parts.append(encoded)
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


def _encode_part(part: Part, names: dict[str, str], needs_signature: bool, request: Request) -> dict[str, Any] | None:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, Media):
        return _encode_media(part)
    if isinstance(part, hub.ToolCall):
        out: dict[str, Any] = {"functionCall": {"id": part.id, "name": part.name, "args": object_of(part.arguments)}}
        signature = part.signature or (SKIP_SIGNATURE if needs_signature else None)
        return out | ({"thoughtSignature": signature} if signature is not None else {})
    if isinstance(part, hub.ToolResult):
        text = hub.text_of(part.content)
        response: Any = _result_object(text)
        if part.is_error:
            response = {"error": text}
        answer: dict[str, Any] = {
            "id": part.call_id,
            "name": part.name or names.get(part.call_id) or "tool",
            "response": response,
        }
        extra = [_encode_media(item) for item in part.content if isinstance(item, Media)]
        return {"functionResponse": answer | ({"parts": extra} if extra else {})}
    if part.maker == MAKER and part.signature is not None:
        return {"text": part.text, "thought": True, "thoughtSignature": part.signature}
    request.dropped.append("messages.thinking")
    return None


def _result_object(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            value = decode(text)
        except UNREADABLE:
            return {"output": text}
        if isinstance(value, dict):
            return value
    return {"output": text}


def _encode_media(part: Media) -> dict[str, Any]:
    mime = part.mime or {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}.get(
        part.kind, "application/pdf"
    )
    if part.url is not None:
        return {"fileData": {"mimeType": mime, "fileUri": part.url}}
    return {"inlineData": {"mimeType": mime, "data": part.data}}


def _encode_function(tool: hub.Tool) -> dict[str, Any]:
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


# Answers


class _Detail(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Detail] | None = None
    cache_tokens_details: list[_Detail] | None = None
    candidates_tokens_details: list[_Detail] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    if found.prompt_token_count is None and found.candidates_token_count is None:
        return None
    cached = found.cached_content_token_count
    audio_in = _modality(found.prompt_tokens_details, "AUDIO")
    audio_cached = min(_modality(found.cache_tokens_details, "AUDIO") or 0, cached or 0) or None
    if audio_in:
        audio_in = max(0, audio_in - (audio_cached or 0))
    audio_out = _modality(found.candidates_tokens_details, "AUDIO")
    image = _modality(found.candidates_tokens_details, "IMAGE")
    prompt = (found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0)
    return TokenUsage(
        input=max(0, prompt - (cached or 0) - (audio_in or 0)),
        cache_read=cached - audio_cached if cached is not None and audio_cached else cached,
        output=max(0, (found.candidates_token_count or 0) - (audio_out or 0) - (image or 0)),
        reasoning=found.thoughts_token_count,
        audio_in=audio_in,
        audio_out=audio_out,
        image=image,
        audio_cached=audio_cached,
    )


usage_of_raw = usage_reader(_Usage, _tokens)
_TRAFFIC = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def tier_of(usage: Node) -> str | None:
    """The service tier that a usage object tells: Gemini's `serviceTier`, Vertex's `trafficType`."""
    try:
        usage = camel(usage)
        tier = usage.text("serviceTier")
        return cap(tier.lower() if tier else _TRAFFIC.get(usage.text("trafficType") or ""))
    except TRANSLATION_ERRORS:
        return None


_BY_PROMPT = re.compile(r"gemini-(?:1|2)[.-]")


def searches_of(body: Node) -> list[str]:
    """The searches that ground an answer, or one chunk of it."""
    found: list[str] = []
    with contextlib.suppress(*TRANSLATION_ERRORS):
        for candidate in body.items("candidates"):
            grounds = camel(camel(candidate).object("groundingMetadata"))
            found += [text for one in grounds.items("webSearchQueries") if isinstance(text := one.value, str) and text]
    return found


def beside_of(searches: list[str], model: str | None) -> Beside:
    """Count searches as they are charged: each query since Gemini 3, once for a prompt before; empty ones are none, and equal
    ones are one (Google, "Gemini API pricing" and "Grounding with Google Search", as of 2026-11)."""
    count = len(dict.fromkeys(searches))
    if count and _BY_PROMPT.search(model or ""):
        count = 1
    return Beside({"web_searches": count} if count else None, None, model)


def _modality(details: list[_Detail] | None, name: str) -> int | None:
    found = [detail.token_count or 0 for detail in details or [] if detail.modality == name]
    return sum(found) if found else None


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. A prompt that was blocked is an answer without content."""
    body = camel(body)
    answer = Answer(id=body.text("responseId"), model=body.text("modelVersion"))
    answer.usage = usage_of_raw(body.raw("usageMetadata"))
    candidates = body.items("candidates")
    if not candidates:
        if not body.has("promptFeedback"):
            raise body.fail("an answer without candidates", "candidates")
        answer.finish = "content_filter"
        return answer
    candidate = camel(candidates[0])
    reader = _PartReader(answer.id, answer.dropped)
    for item in candidate.object("content").each("parts"):
        yield
        answer.parts += reader.read(camel(item))
    answer.finish = _finish(candidate.text("finishReason"), reader.calls > 0)
    logprobs = camel(candidate.object("logprobsResult"))
    if logprobs.has("chosenCandidates"):
        answer.logprobs = Raw(encode((yield from _logprobs.steps(logprobs))))
    for key in ("groundingMetadata", "citationMetadata", "urlContextMetadata"):
        if candidate.has(key):
            answer.dropped.append(key)
    return answer


def _finish(reason: str | None, has_calls: bool) -> Finish:
    if reason == "MAX_TOKENS":
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if has_calls else "stop"


@Stepwise
def _logprobs(result: Node) -> Steps[list[dict[str, Any]]]:
    tops = result.each("topCandidates")
    out = []
    for chosen in result.each("chosenCandidates"):
        yield
        above = next(tops, None)
        top = camel(above).items("candidates") if above is not None else []
        entries = [_token(camel(item)) for item in [chosen, *top]]
        out.append(entries[0] | {"top_logprobs": entries[1:]})
    return out


def _token(item: Node) -> dict[str, Any]:
    token = item.text("token") or ""
    return {"token": token, "logprob": item.number("logProbability") or 0.0, "bytes": list(token.encode())}


class _PartReader:
    """Reads the parts of one answer, whole or chunk by chunk."""

    def __init__(self, response_id: str | None, dropped: list[str]) -> None:
        self.response_id = response_id
        self.dropped = dropped
        self.calls = 0

    def read(self, part: Node) -> list[Part]:
        """Return what a part says; nothing for what only Google's own tools say."""
        if part.has("functionCall"):
            call = part.object("functionCall")
            self.calls += 1
            made = f"call_{(self.response_id or 'gemini')[-16:]}_{self.calls}"
            arguments = text_of_object(call.get("args"))
            return [hub.ToolCall(call.text("id") or made, call.need("name"), arguments, part.text("thoughtSignature"))]
        if part.has("text"):
            text = part.need("text")
            if part.flag("thought"):
                return [Thinking(text, part.text("thoughtSignature"), None, MAKER)]
            return [Text(text)] if text else []
        if part.has("inlineData"):
            blob = camel(part.object("inlineData"))
            mime = blob.text("mimeType")
            return [Media(media.kind_of_mime(mime), mime, blob.need("data"))]  # type: ignore[arg-type]
        self.dropped += [f"parts.{key}" for key in part.names() if key != "thoughtSignature"]
        return []


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    parts = []
    for part in answer.parts:
        yield
        parts.append(_answer_part(part))
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": _FINISH_NAMES[answer.finish],
        "index": 0,
    }
    if bytes(answer.logprobs) != b"null":
        candidate["logprobsResult"] = yield from _encode_logprobs.steps(Node(msgspec.json.decode(answer.logprobs)))
    return {
        "candidates": [candidate],
        "usageMetadata": encode_usage(answer.usage),
        "modelVersion": answer.model or model,
        "responseId": answer.id or "unknown",
    }


@Stepwise
def _encode_logprobs(tokens: Node) -> Steps[dict[str, Any]]:
    def one(item: Node) -> dict[str, Any]:
        return {"token": item.text("token"), "logProbability": item.number("logprob")}

    chosen: list[dict[str, Any]] = []
    tops: list[dict[str, Any]] = []
    for item in tokens:
        yield
        chosen.append(one(item))
        tops.append({"candidates": [one(top) for top in item.items("top_logprobs")]})
    return {"chosenCandidates": chosen, "topCandidates": tops}


def _answer_part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, Thinking):
        out: dict[str, Any] = {"text": part.text, "thought": True}
        return out | ({"thoughtSignature": part.signature} if part.maker == MAKER and part.signature else {})
    if isinstance(part, hub.ToolCall):
        call = {"id": part.id, "name": part.name, "args": object_of(part.arguments)}
        return {"functionCall": call} | ({"thoughtSignature": part.signature} if part.signature is not None else {})
    if isinstance(part, Media):
        return _encode_media(part)
    raise AssertionError("no model answers with a tool's result")


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build `usageMetadata`."""
    known = usage or TokenUsage()
    out = {
        "promptTokenCount": known.input_total,
        "candidatesTokenCount": known.output_total - (known.reasoning or 0),
        "totalTokenCount": known.input_total + known.output_total,
    }
    if known.cached_total:
        out["cachedContentTokenCount"] = known.cached_total
    if known.reasoning:
        out["thoughtsTokenCount"] = known.reasoning
    return out


# Streams


class StreamDecoder(SseDecoder):
    """A provider's stream to events. A call comes whole, in one chunk."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = _PartReader(None, [])
        self._usage: TokenUsage | None = None
        self._tier: str | None = None
        self._model: str | None = None
        self._searches: list[str] = []
        self._finish: str | None = None

    def take(self, event: Node) -> None:
        """Take one chunk."""
        if event.has("error"):
            error = event.object("error")
            self.fail(error.text("message") or "the provider reported an error", str(error.get("status") or "INTERNAL"))
            return
        event = camel(event)
        sequence = self.sequence
        if not self.is_begun:
            self.is_begun = True
            self._reader.response_id = event.text("responseId")
            self._model = event.text("modelVersion")
            sequence.events.append(hub.Begin(event.text("responseId"), self._model))
        if event.has("usageMetadata"):
            self._tier = tier_of(event.object("usageMetadata")) or self._tier
            self._usage = usage_of_raw(event.raw("usageMetadata")) or self._usage
        for candidate in event.items("candidates")[:1]:
            node = camel(candidate)
            for item in node.object("content").items("parts"):
                for part in self._reader.read(camel(item)):
                    self._part(part)
            if node.has("groundingMetadata"):
                self._searches += searches_of(event)
            logprobs = camel(node.object("logprobsResult"))
            if logprobs.has("chosenCandidates"):
                sequence.probe(Raw(encode(_logprobs(logprobs))))
            self._finish = node.text("finishReason") or self._finish
        if event.has("promptFeedback") and event.object("promptFeedback").has("blockReason"):
            self._finish = "SAFETY"

    def _part(self, part: Part) -> None:
        sequence = self.sequence
        if isinstance(part, Text):
            sequence.text("text", part.text)
        elif isinstance(part, Thinking):
            sequence.text("thinking", part.text)
            if part.signature is not None:
                sequence.sign(part.signature, None, MAKER)
        elif isinstance(part, hub.ToolCall):
            sequence.begin("tool", part.id, part.name, part.signature)
            sequence.more(part.arguments)
            sequence.close()
        elif isinstance(part, Media):
            sequence.picture(part)

    def at_end(self) -> None:
        """A stream of this dialect has no end of its own: it is whole when a finish reason was given."""
        if not self.is_ended and self._finish is not None:
            self.is_ended = True
            self.sequence.close()
            self.sequence.events.append(
                hub.End(
                    _finish(self._finish, self._reader.calls > 0),
                    self._usage,
                    None,
                    self._tier,
                    beside_of(self._searches, self._model),
                )
            )


class StreamEncoder:
    """Events to a client's stream. A tool call is sent whole, when it ends."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
        self._id = "unknown"
        self._open: hub.PartBegin | None = None
        self._pieces: list[str] = []

    def encode(self, event: hub.Event) -> bytes:
        """Return the bytes that say this event."""
        if isinstance(event, hub.Delta):
            opened = self._open
            if opened is not None and opened.kind == "tool":
                self._pieces.append(event.text)
                return b""
            thought = opened is not None and opened.kind == "thinking"
            parts = [_answer_part(Thinking(event.text) if thought else Text(event.text))]
            return self._chunk(parts, logprobs=event.logprobs)
        if isinstance(event, hub.PartBegin):
            self._open = event
            return b""
        if isinstance(event, hub.PartEnd):
            opened, self._open = self._open, None
            if opened is None or opened.kind != "tool":
                return b""
            text = "".join(self._pieces)
            self._pieces.clear()
            return self._chunk([_answer_part(hub.ToolCall(opened.id or "", opened.name or "", text, opened.signature))])
        if isinstance(event, hub.Signature):
            signed = Thinking("", event.signature, None, event.maker)
            return self._chunk([_answer_part(signed)]) if event.maker == MAKER else b""
        if isinstance(event, hub.Begin):
            self._id, self._model = event.id or self._id, event.model or self._model
            return b""
        if isinstance(event, hub.Picture):
            return self._chunk([_encode_media(event.media)])
        if isinstance(event, hub.End):
            return self._chunk([], _FINISH_NAMES[event.finish], event)
        return b""

    def _chunk(
        self,
        parts: list[dict[str, Any]],
        finish: str | None = None,
        end: hub.End | None = None,
        logprobs: Raw = hub.NO_LOGPROBS,
    ) -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}, "index": 0}
        if bytes(logprobs) != b"null":
            candidate["logprobsResult"] = _encode_logprobs(Node(msgspec.json.decode(logprobs)))
        if finish is not None:
            candidate["finishReason"] = finish
        chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": self._model, "responseId": self._id}
        if end is not None:
            chunk["usageMetadata"] = encode_usage(end.usage)
        return b"data: %b\r\n\r\n" % encode(chunk)


# Listening to a stream that passes


def read_answer(body: Node) -> Reading:
    """Read what a plain answer, or one chunk of a stream, says about itself."""
    body = camel(body)
    finish = next((camel(candidate).text("finishReason") for candidate in body.items("candidates")), None)
    if finish is None and body.has("promptFeedback"):
        finish = camel(body.object("promptFeedback")).text("blockReason")
    reading = Reading(usage_of_raw(body.raw("usageMetadata")), cap(finish), cap(body.text("responseId")))
    reading.service_tier = tier_of(body.object("usageMetadata"))
    reading.take_beside(beside_of(searches_of(body), body.text("modelVersion")))
    return reading


def _listen(event: Node, state: State) -> None:
    if event.has("error"):
        state.error = True
        return
    found, before = read_answer(event), state.reading
    state.reading = Reading(
        found.usage or before.usage,
        found.finish_reason or before.finish_reason,
        found.response_id or before.response_id,
        found.service_tier or before.service_tier,
    )
    model = found.model or before.model
    if found.units is not None:
        state.memory = [*(state.memory or ()), *searches_of(camel(event))][:SEARCHES_MAX]
    state.reading.take_beside(beside_of(state.memory or [], model))


SEARCHES_MAX = 1_000
"""Searches of one answer that are remembered."""
EARS = Ears(
    (b'"finishReason"', b'"error"', b'"blockReason"', b'"webSearchQueries"'),
    _listen,
    needles("text"),
    b'"usageMetadata"',
)


# Embeddings

_TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_TASK_NAMES = {gemini: name for name, gemini in _TASKS.items()}


def _from_gemini(body: Node) -> Wanted:
    text = "".join(part.need("text") for part in body.object("content").items("parts"))
    return Wanted(
        texts=[text],
        dimensions=body.integer("outputDimensionality") or body.integer("output_dimensionality"),
        task=_TASK_NAMES.get(body.text("taskType") or ""),
        single=True,
    )


def _from_gemini_batch(body: Node) -> Wanted:
    asked = [_from_gemini(item) for item in body.items("requests")]
    first = asked[0] if asked else Wanted(texts=[])
    return Wanted(texts=[one.texts[0] for one in asked], dimensions=first.dimensions, task=first.task)


def _to_gemini(wanted: Wanted, model: str) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for text in wanted.texts:
        request: dict[str, Any] = {"model": f"models/{model}", "content": {"parts": [{"text": text}]}}
        if wanted.task in _TASKS:
            request["taskType"] = _TASKS[wanted.task]
        if wanted.dimensions is not None:
            request["outputDimensionality"] = wanted.dimensions
        requests.append(request)
    return {"requests": requests}


@Stepwise
def _read_gemini(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("embeddings"):
        yield
        vectors.append(vector_of(row.get("values"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "embeddings")
    return Vectors(vectors)


def _show_gemini(vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    rows = [{"values": vector} for vector in vectors.vectors]
    return {"embedding": rows[0]} if wanted.single else {"embeddings": rows}


EMBEDDER = Embedder(
    {"embeddings": _from_gemini, "embeddings_batch": _from_gemini_batch},
    operation="embeddings_batch",
    write_request=_to_gemini,
    read_answer=_read_gemini,
    write_answer=_show_gemini,
)


# Stored things

_REFERENCES = {
    "cachedContent": "named",
    "tools.fileSearch.fileSearchStoreNames": "named",
    "tools.retrieval.vertexRagStore.ragResources.ragFileIds": "file",
} | {
    f"{holder}.parts.{path}": "named"
    for holder in ("contents", "content", "systemInstruction")
    for path in ("fileData.fileUri", "functionResponse.parts.fileData.fileUri")
}


REFERENCES = {
    spelt: kind
    for holder in ("", "generateContentRequest.", "requests.")
    for path, kind in _REFERENCES.items()
    for spelt in references.spellings(holder + path)
}


# The row

_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _error_body(fault: Fault) -> dict[str, Any]:
    default = "INVALID_ARGUMENT" if fault.status < 500 else "INTERNAL"
    error: dict[str, Any] = {
        "code": fault.status,
        "message": fault.message,
        "status": _GOOGLE.get(fault.status, default),
    }
    if fault.retry_after_s is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        error["details"] = [{"@type": kind, "retryDelay": f"{fault.retry_after_s}s"}]
    return {"error": error}


def _model_card(card: Card) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": f"models/{card.name}",
        "displayName": card.name,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    limits = {"inputTokenLimit": card.context_window, "outputTokenLimit": card.max_output_tokens}
    return out | {name: value for name, value in limits.items() if value is not None} | described(card)


def _path(verb: str, operation: str, name: str, stream: bool = False) -> ClientPath:
    return ClientPath(path=f"/models/{{model}}:{verb}", operation=operation, name=name, stream=stream)


_HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
_WEATHER_TOOL = {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": WEATHER}]}

ROW = Dialect(
    name="gemini",
    errors=ErrorShape(
        _error_body,
        lambda fault, body, number: b"data: %b\r\n\r\n" % body,
        too_long=(
            "input token count",
            "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({limit}).",
        ),
    ),
    operations={
        "chat": Operation(
            "/models/{model}:generateContent",
            BodyRules(
                ("contents",),
                ("generationConfig.maxOutputTokens",),
                has_model=False,
                limit="generationConfig.maxOutputTokens",
            ),
            ("candidates", "promptFeedback", "usageMetadata", "prompt_feedback", "usage_metadata"),
            "/models/{model}:streamGenerateContent?alt=sse",
        ),
        "count_tokens": Operation(
            "/models/{model}:countTokens",
            BodyRules(
                ("contents", "generateContentRequest", "generate_content_request"),
                has_model=False,
                nested=("generateContentRequest", "generate_content_request"),
            ),
            ("totalTokens", "total_tokens"),
        ),
        "embeddings": Operation(
            "/models/{model}:embedContent", BodyRules(("content",), has_model=False), ("embedding", "embeddings")
        ),
        "embeddings_batch": Operation(
            "/models/{model}:batchEmbedContents",
            BodyRules(("requests",), has_model=False, nested=("requests",)),
            ("embeddings", "embedding"),
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
    fit=Rules(user_turn=True, name_chars="a-zA-Z0-9_.:-", name_starts_with_letter=True, tool_schemas=False),
    embedder=EMBEDDER,
    client_paths=(
        _path("generateContent", "chat", "generateContent"),
        _path("streamGenerateContent", "chat", "streamGenerateContent", stream=True),
        _path("countTokens", "count_tokens", "count_tokens"),
        _path("embedContent", "embeddings", "embeddings"),
        _path("batchEmbedContents", "embeddings_batch", "embeddings"),
    ),
    known_path=re.compile(rb"/v1beta|(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/[^/]+)?/models/.+:[A-Za-z]+\Z"),
    known_header=b"x-goog-api-key",
    key_in_query=True,
    models=ModelList(_model_card, lambda items: {"models": items}, root=b"/v1beta"),
    forwarded_prefixes=(b"anthropic-", b"x-goog-"),
    streams_array=True,
    count=lambda count: {"totalTokens": count},
    usage_at=("usageMetadata",),
    stream_usage_at=("usageMetadata",),
    paths_name_things=True,
    examples=Examples(
        models=Example("/v1beta/models", None, '"models"'),
        plain=Example("/v1beta/models/{model}:generateContent", _HELLO, '"candidates"'),
        stream=Example("/v1beta/models/{model}:streamGenerateContent?alt=sse", _HELLO, "finishReason"),
        tool_call=Example("/v1beta/models/{model}:generateContent", {**_HELLO, "tools": [_WEATHER_TOOL]}, '"weather"'),
        token_count=Example("/v1beta/models/{model}:countTokens", _HELLO, "totalTokens"),
    ),
)
