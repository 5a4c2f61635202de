"""What OpenAI refuses beside wrong types, on chat completions and on responses. Level 5, pure.

Sources were read on 2026-11-27; what an error report gives is its text. "SDK" is the official Python SDK, 3.54.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from switchgear.testing.twins.finding import Finding, first_twice, is_object, items, objects, schemas_in

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOLS_MAX = 128
CALL_ID_CHARS_MAX = 64


def openai_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message (CopilotKit#529, with the body)."""
    if not body.get("messages"):
        return Finding("openai-messages", "Invalid 'messages': empty array. Expected an array with minimum length 1")
    return None


def openai_tool_names(body: dict[str, Any], model: str) -> Finding | None:
    """`a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64` (SDK, `FunctionDefinition.name`); in
    histories too, and the name of an answer's schema (SDK, `JSONSchema.name`)."""
    names = [
        tool.get("function", {}).get("name", "") for tool in items(body.get("tools")) if tool.get("type") == "function"
    ]
    for message in items(body.get("messages")):
        names += [
            call.get("function", {}).get("name", "") for call in items(message.get("tool_calls")) if "function" in call
        ]
    form = body.get("response_format")
    if isinstance(form, dict) and isinstance(form.get("json_schema"), dict):
        names.append(form["json_schema"].get("name", ""))
    for name in names:
        if not NAME.fullmatch(str(name)):
            return Finding(
                "openai-tool-name", f"Invalid 'tools[0].function.name': string does not match pattern: {name!r}"
            )
    return None


def openai_tool_count(body: dict[str, Any], model: str) -> Finding | None:
    """At most 128 tools, and calls of one message (julep#330, zed#32946, openai-dotnet#317)."""
    lists = [("tools", body.get("tools"))]
    lists += [
        (f"messages[{at}].tool_calls", one.get("tool_calls")) for at, one in enumerate(items(body.get("messages")))
    ]
    for place, found in lists:
        if len(items(found)) > TOOLS_MAX:
            text = (
                f"Expected an array with maximum length {TOOLS_MAX}, but got an array with length {len(items(found))}"
            )
            return Finding("openai-tool-count", f"Invalid '{place}': array too long. {text} instead.")
    return None


def openai_tool_choice(body: dict[str, Any], model: str) -> Finding | None:
    """`tool_choice` and `parallel_tool_calls` only with tools (writer-framework#1013, with the words)."""
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            text = f"'{name}' is only allowed when 'tools' are specified."
            return Finding("openai-tool-choice", f"Invalid value for '{name}': {text}")
    return None


def openai_tool_schemas(body: dict[str, Any], model: str) -> Finding | None:
    """An object with `properties` (openai/codex and MCP reports: "object schema missing properties"); no `anyOf`, `oneOf`,
    `allOf`, `enum`, `not` at the top (error text: "schema must have type 'object' and not have …"); strict ones closed."""
    for tool in items(body.get("tools")):
        function = tool.get("function") if "function" in tool else tool
        if tool.get("type") == "function" and isinstance(function, dict) and "parameters" in function:
            finding = _schema(function.get("name"), function["parameters"])
            if finding is None and function.get("strict"):
                finding = _closed(function.get("name"), function["parameters"])
            if finding is not None:
                return finding
    return None


def openai_answer_schema(body: dict[str, Any], model: str) -> Finding | None:
    """The strict schema of an answer is closed (guide "Structured model outputs", "Supported schemas")."""
    form = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    held = form.get("json_schema", form) if isinstance(form, dict) else {}
    if not isinstance(held, dict) or not held.get("strict") or not isinstance(held.get("schema"), dict):
        return None
    return _closed(held.get("name"), held["schema"])


def _schema(name: Any, schema: Any) -> Finding | None:
    where = f"Invalid schema for function {name!r}: "
    if not isinstance(schema, dict) or not schema:
        return None
    if schema.get("type") != "object":
        return Finding(
            "openai-schema", f"{where}schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."
        )
    if "properties" not in schema:
        return Finding("openai-schema", f"{where}In context=(), object schema missing properties.")
    for word in ("oneOf", "anyOf", "allOf", "enum", "not"):
        if word in schema:
            text = f"{where}schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
            return Finding("openai-schema", text)
    return None


def _closed(name: Any, schema: dict[str, Any]) -> Finding | None:
    """Every object closed, every property required (openai-agents-python#4114, spring-ai#6865, codex-lb#495, with the words)."""
    where = f"Invalid schema for function {name!r}: In context=(), "
    for inner in schemas_in(schema):
        if not is_object(inner):
            continue
        if inner.get("additionalProperties") is not False:
            text = "'additionalProperties' is required to be supplied and to be false."
            return Finding("openai-strict-schema", f"{where}{text}")
        missing = set(inner.get("properties") or {}) - set(items(inner.get("required")))
        if missing:
            text = "'required' is required to be supplied and to be an array including every key in properties."
            return Finding("openai-strict-schema", f"{where}{text} Missing '{min(missing)}'.")
    return None


def openai_tool_order(body: dict[str, Any], model: str) -> Finding | None:
    """Each call is answered right after it, each answer belongs to a call before it (error texts of chat/create, in many reports:
    autogen's, CopilotKit's)."""
    waiting: set[str] = set()
    for message in items(body.get("messages")):
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return Finding("openai-tool-order", f"Invalid parameter: {text}")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            break
        waiting = {call["id"] for call in items(message.get("tool_calls"))} if role == "assistant" else set()
    if waiting:
        text = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        return Finding(
            "openai-tool-order", f"{text} The following tool_call_ids did not have response messages: {min(waiting)}"
        )
    return None


def openai_call_ids(body: dict[str, Any], model: str) -> Finding | None:
    """At most 64 characters on chat: 40 until 2026, 51 were taken on 2026-07-14 (vercel/ai#17233, tried live; openclaw#875 was told
    64); no two calls of one message, nor two results, of one id (agno#5116, search2ai#30)."""
    return call_ids(body, CALL_ID_CHARS_MAX)


def azure_call_ids(body: dict[str, Any], model: str) -> Finding | None:
    """At most 40 characters (Portkey-AI/gateway#1062, autogen#6377; nobody reports more of Azure since)."""
    return call_ids(body, 40)


def call_ids(body: dict[str, Any], chars_max: int) -> Finding | None:
    """Return the first id of a call that is too long, or that stands twice in a turn."""
    results: list[Any] = []
    for at, message in enumerate(objects(body.get("messages"))):
        found = [call.get("id") for call in objects(message.get("tool_calls"))]
        if message.get("role") == "tool":
            found.append(message.get("tool_call_id"))
            results.append(message.get("tool_call_id"))
        else:
            results = []
        long = next((one for one in found if isinstance(one, str) and len(one) > chars_max), None)
        if long is not None:
            text = (
                f"Expected a string with maximum length {chars_max}, but got a string with length {len(long)} instead."
            )
            return Finding("openai-call-id", f"Invalid 'messages[{at}].tool_calls[0].id': string too long. {text}")
        twice = first_twice(found) or first_twice(results)
        if twice is not None:
            text = f"Duplicate value for 'tool_call_id' of '{twice}', in messages[{at - 1}] and messages[{at}]."
            return Finding("openai-call-id", f"Invalid parameter: {text}")
    return None


_REASONING = re.compile(r"(o[1-9](-|$)|gpt-5|gpt-6)")
_RESPONSES_ONLY = re.compile(r"(o[1-9]|gpt-[0-9.]+)-(pro|deep-research)|.*codex")
_NO_TOOLS_WITH_EFFORT = re.compile(r"gpt-5\.[4-9]|gpt-[6-9]")


def _takes_none(model: str) -> bool:
    return re.match(r"gpt-5\.[1-9]|gpt-[6-9]", model) is not None


def _effort(body: dict[str, Any], model: str) -> str | None:
    """The effort that counts: `none` where nothing is said, but from 5.6 on."""
    reasons_by_itself = re.match(r"gpt-5\.[6-9]|gpt-[6-9]", model) is not None
    return body.get("reasoning_effort") or (None if reasons_by_itself else "none")


def openai_endpoint(body: dict[str, Any], model: str) -> Finding | None:
    """-pro, deep-research and codex models are served on responses alone (recorded, and litellm#15386); 5.4 and later refuse
    tools with an effort on chat, 5.6 and later tools without the effort `none` (openai/openai-openapi#541, litellm#34569, which
    tried the API itself; read 2026-11-27)."""
    if _RESPONSES_ONLY.match(model):
        text = "This model is only supported in v1/responses and not in v1/chat/completions."
        return Finding("openai-endpoint", text)
    if _NO_TOOLS_WITH_EFFORT.match(model) and body.get("tools") and _effort(body, model) != "none":
        text = f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions."
        more = "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        return Finding("openai-endpoint", f"{text} {more}")
    return None


def openai_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Reasoning models take no sampling parameters and `max_completion_tokens` instead of `max_tokens`; others take no effort
    (SDK, `max_tokens` and `stop` of chat: "Not compatible with o-series models", "Not supported with latest reasoning models"; the
    error texts). With the effort `none`, the default of 5.1 to 5.5, they take `temperature` and `top_p` ("Using GPT-5.2",
    parameter compatibility, in vercel/ai#10940; community.openai.com/t/1371738; read 2026-11-27). At most 4 stop words
    (SDK, `stop`)."""
    if len(items(body.get("stop"))) > 4:
        text = "array too long. Expected an array with maximum length 4"
        return Finding("openai-sampling", f"Invalid 'stop': {text}, but got an array with length {len(body['stop'])}")
    if not _REASONING.match(model):
        if "reasoning_effort" in body and model.startswith("gpt-"):
            return Finding("openai-sampling", "Unrecognized request argument supplied: reasoning_effort")
        return None
    if "max_tokens" in body:
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return Finding("openai-sampling", text)
    thinks = not _takes_none(model) or _effort(body, model) != "none"
    if thinks and body.get("temperature", 1) != 1:
        text = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default (1)"
        return Finding("openai-sampling", text)
    for name in ("top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias")[0 if thinks else 1 :]:
        if body.get(name) not in {None, 1, 0} if not isinstance(body.get(name), dict | list) else True:
            return Finding("openai-sampling", f"Unsupported parameter: '{name}' is not supported with this model.")
    return None


def openai_metadata(body: dict[str, Any], model: str) -> Finding | None:
    """`metadata` only with `store` (qwen-code#243, spiceai#5231, axonhub#1380, with the words)."""
    if body.get("metadata") and not body.get("store"):
        return Finding("openai-metadata", "The 'metadata' parameter is only allowed when 'store' is enabled.")
    return metadata_size(body, model)


def metadata_size(body: dict[str, Any], model: str) -> Finding | None:
    """16 pairs of at most 64 and 512 characters, texts alone (SDK, `metadata`)."""
    found = body.get("metadata")
    if not isinstance(found, dict):
        return None
    fits = all(isinstance(value, str) and len(value) <= 512 and len(key) <= 64 for key, value in found.items())
    if len(found) > 16 or not fits:
        return Finding("openai-metadata", "Invalid 'metadata': at most 16 pairs of strings, of 64 and 512 characters.")
    return None


def openai_json_mode(body: dict[str, Any], model: str) -> Finding | None:
    """The mode `json_object` wants the word "json" in the messages (xray.koplugin#33, with the body; guide "JSON mode")."""
    if (body.get("response_format") or {}).get("type") != "json_object":
        return None
    if "json" in " ".join(_texts(body.get("messages"))).lower():
        return None
    text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    return Finding("openai-json-mode", text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else items(value):
        yield from _texts(inner)


# Responses


def responses_items(body: dict[str, Any], model: str) -> Finding | None:
    """Outputs belong to calls; names as on chat, of calls up to 128 (OmniRoute#4317, 9router's clamp); ids of calls at most 64
    characters (9router#393, hermes-agent#72006, fastllm#45), each once (pi#9057, zod-to-openai-tool#263)."""
    calls: set[Any] = set()
    for at, item in enumerate(objects(body.get("input"))):
        kind, call_id = item.get("type", "message"), item.get("call_id")
        if isinstance(call_id, str) and len(call_id) > CALL_ID_CHARS_MAX:
            text = f"Expected a string with maximum length {CALL_ID_CHARS_MAX}, but got a string with length {len(call_id)}"
            return Finding("responses-call-id", f"Invalid 'input[{at}].call_id': string too long. {text} instead.")
        if kind in {"function_call", "custom_tool_call"}:
            if call_id in calls:
                return Finding("responses-call-id", f"Duplicate 'call_id': {call_id}")
            calls.add(call_id)
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", item.get("name", "")):
                return Finding(
                    "responses-name", f"Invalid 'input[0].name': string does not match pattern {item.get('name')!r}"
                )
        if kind == "function_call_output" and call_id not in calls and not body.get("previous_response_id"):
            return Finding("responses-order", f"No tool call found for function call output with call_id {call_id}.")
    for tool in objects(body.get("tools")):
        if tool.get("type") == "function" and not NAME.fullmatch(tool.get("name", "")):
            return Finding(
                "responses-name", f"Invalid 'tools[0].name': string does not match pattern: {tool.get('name')!r}"
            )
    return None


def responses_answered(body: dict[str, Any], model: str) -> Finding | None:
    """Each call has its output (trae-agent#245, with the body)."""
    outputs = {item.get("call_id") for item in objects(body.get("input")) if str(item.get("type")).endswith("_output")}
    for item in objects(body.get("input")):
        if item.get("type") == "function_call" and item.get("call_id") not in outputs:
            return Finding("responses-order", f"No tool output found for function call {item.get('call_id')}.")
    return None


def responses_json_mode(body: dict[str, Any], model: str) -> Finding | None:
    """As on chat, in the input messages (guide "JSON mode": "the API will throw an error if this string does not appear"; the words
    as programs quote them, read 2026-11-27)."""
    if ((body.get("text") or {}).get("format") or {}).get("type") != "json_object":
        return None
    if "json" in json.dumps(body.get("input"), ensure_ascii=False).lower():
        return None
    text = (
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    )
    return Finding("openai-json-mode", text)


def responses_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Reasoning models take no sampling parameters while they reason; others no reasoning (recorded: effort none takes them)."""
    if _REASONING.match(model) and (body.get("reasoning") or {}).get("effort") != "none":
        for name in ("temperature", "top_p"):
            if body.get(name) not in {None, 1}:
                return Finding(
                    "responses-sampling", f"Unsupported parameter: '{name}' is not supported with this model."
                )
    elif model.startswith("gpt-4") and body.get("reasoning"):
        return Finding(
            "responses-sampling", "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        )
    return None
