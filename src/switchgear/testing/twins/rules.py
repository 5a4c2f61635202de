"""What providers refuse beside wrong types: one function per rule, each with its source. Level 5, pure.

Where a source says "from memory" the page was not looked up again. What keeps the rules honest in one direction are recorded
exchanges: no rule refuses what a real provider took. That it refuses what this says it refuses is checked by nothing here.

A rule takes a decoded request and the upstream's model name and returns a Finding, or None where it is kept.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """A rule that is broken."""

    rule: str
    text: str
    """The provider's words, as near as its public error reports give them."""


Rule = Callable[[dict[str, Any], str], Finding | None]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _blocks(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else _items(content)


def _turns(messages: list[Any], parts: Callable[[dict[str, Any]], list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Messages of one role in a row are one turn, as Anthropic and Gemini read them (seen in recorded exchanges)."""
    role, gathered = "", list[Any]()
    for message in messages:
        if message.get("role") != role and gathered:
            yield role, gathered
            gathered = []
        role = message.get("role", "user")
        gathered = gathered + parts(message)
    if gathered:
        yield role, gathered


# OpenAI, chat

_OPENAI_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def openai_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message (API reference, chat/create; from memory)."""
    if not body.get("messages"):
        return Finding("openai-messages", "Invalid 'messages': empty array. Expected an array with minimum length 1")
    return None


def openai_tool_names(body: dict[str, Any], model: str) -> Finding | None:
    """`^[a-zA-Z0-9_-]+$`, at most 64 (API reference: FunctionObject.name; from memory); in histories too."""
    names = [
        tool.get("function", {}).get("name", "") for tool in _items(body.get("tools")) if tool.get("type") == "function"
    ]
    for message in _items(body.get("messages")):
        names += [
            call.get("function", {}).get("name", "") for call in _items(message.get("tool_calls")) if "function" in call
        ]
    for name in names:
        if not _OPENAI_NAME.fullmatch(name):
            return Finding(
                "openai-tool-name", f"Invalid 'tools[0].function.name': string does not match pattern: {name!r}"
            )
    return None


def openai_tool_schemas(body: dict[str, Any], model: str) -> Finding | None:
    """An object with `properties` (openai/codex and MCP reports: "object schema missing properties"); no `anyOf`, `oneOf`,
    `allOf`, `enum`, `not` at the top (error text: "schema must have type 'object' and not have …")."""
    for tool in _items(body.get("tools")):
        function = tool.get("function") if "function" in tool else tool
        if tool.get("type") == "function" and isinstance(function, dict) and "parameters" in function:
            finding = _openai_schema(function.get("name"), function["parameters"])
            if finding is not None:
                return finding
    return None


def _openai_schema(name: Any, schema: Any) -> Finding | None:
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


def openai_tool_order(body: dict[str, Any], model: str) -> Finding | None:
    """Each call is answered right after it, each answer belongs to a call before it (error texts of chat/create)."""
    waiting: set[str] = set()
    for message in _items(body.get("messages")):
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                return Finding("openai-tool-order", f"Invalid parameter: {text}")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            break
        waiting = {call["id"] for call in _items(message.get("tool_calls"))} if role == "assistant" else set()
    if waiting:
        text = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        return Finding(
            "openai-tool-order", f"{text} The following tool_call_ids did not have response messages: {min(waiting)}"
        )
    return None


_REASONING = re.compile(r"(o[1-9](-|$)|gpt-5|gpt-6)")
_RESPONSES_ONLY = re.compile(r"(o[1-9]|gpt-[0-9.]+)-(pro|deep-research)|.*codex")
_NO_TOOLS_WITH_EFFORT = re.compile(r"gpt-5\.[4-9]|gpt-[6-9]")


def openai_endpoint(body: dict[str, Any], model: str) -> Finding | None:
    """-pro, deep-research and codex models are served on responses alone (recorded, and litellm#15386); 5.4 and later refuse
    tools with an effort on chat, 5.6 and later tools without the effort `none` (openai/openai-openapi#541, litellm#34569, which
    tried the API itself; read 2026-11-27)."""
    if _RESPONSES_ONLY.match(model):
        text = "This model is only supported in v1/responses and not in v1/chat/completions."
        return Finding("openai-endpoint", text)
    reasons_by_itself = re.match(r"gpt-5\.[6-9]|gpt-[6-9]", model) is not None
    effort = body.get("reasoning_effort") or (None if reasons_by_itself else "none")
    if _NO_TOOLS_WITH_EFFORT.match(model) and body.get("tools") and effort != "none":
        text = f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions."
        more = "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        return Finding("openai-endpoint", f"{text} {more}")
    return None


def openai_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Reasoning models take no sampling parameters and `max_completion_tokens` instead of `max_tokens`; others take no effort
    (platform guide "reasoning", error texts; from memory)."""
    if not _REASONING.match(model):
        if "reasoning_effort" in body and model.startswith("gpt-"):
            return Finding("openai-sampling", "Unrecognized request argument supplied: reasoning_effort")
        return None
    if "max_tokens" in body:
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return Finding("openai-sampling", text)
    if body.get("temperature", 1) != 1:
        text = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default (1)"
        return Finding("openai-sampling", text)
    for name in ("top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias"):
        if body.get(name) not in {None, 1, 0} if not isinstance(body.get(name), dict | list) else True:
            return Finding("openai-sampling", f"Unsupported parameter: '{name}' is not supported with this model.")
    return None


def openai_metadata(body: dict[str, Any], model: str) -> Finding | None:
    """`metadata` only with `store` (error text of chat/create); values are strings of at most 512."""
    if body.get("metadata") and not body.get("store"):
        return Finding("openai-metadata", "The 'metadata' parameter is only allowed when 'store' is enabled.")
    return None


# OpenAI, responses


def responses_items(body: dict[str, Any], model: str) -> Finding | None:
    """Outputs belong to calls; names as on chat (error texts of responses/create)."""
    calls = set()
    for item in _items(body.get("input")):
        kind = item.get("type", "message")
        if kind in {"function_call", "custom_tool_call"}:
            calls.add(item.get("call_id"))
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", item.get("name", "")):
                return Finding(
                    "responses-name", f"Invalid 'input[0].name': string does not match pattern {item.get('name')!r}"
                )
        if kind == "function_call_output" and item.get("call_id") not in calls and not body.get("previous_response_id"):
            return Finding(
                "responses-order", f"No tool call found for function call output with call_id {item.get('call_id')}."
            )
    for tool in _items(body.get("tools")):
        if tool.get("type") == "function" and not _OPENAI_NAME.fullmatch(tool.get("name", "")):
            return Finding(
                "responses-name", f"Invalid 'tools[0].name': string does not match pattern: {tool.get('name')!r}"
            )
    return None


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


# Anthropic

_ANTHROPIC_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ANTHROPIC_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}


def anthropic_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message (docs.claude.com/en/api/messages; from memory). An assistant may begin: a recorded exchange with
    claude-sonnet-4-5 does."""
    if not _items(body.get("messages")):
        return Finding("anthropic-messages", "messages: at least one message is required")
    return None


def anthropic_text(body: dict[str, Any], model: str) -> Finding | None:
    """No blank text anywhere (error texts: "text content blocks must be non-empty", "… must contain non-whitespace text")."""
    for index, block in _anthropic_texts(body):
        if not str(block.get("text", "")).strip():
            return Finding("anthropic-text", f"messages.{index}: text content blocks must contain non-whitespace text")
    last = (_items(body.get("messages")) or [{}])[-1]
    if last.get("role") == "assistant":
        blocks = [block for block in _blocks(last) if block.get("type") == "text"]
        if blocks and str(blocks[-1]["text"]) != str(blocks[-1]["text"]).rstrip():
            text = "messages: final assistant content cannot end with trailing whitespace"
            return Finding("anthropic-text", text)
    return None


def _anthropic_texts(body: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    system = body.get("system")
    for block in system if isinstance(system, list) else []:
        yield -1, block
    for index, message in enumerate(_items(body.get("messages"))):
        for block in _blocks(message):
            if block.get("type") == "text":
                yield index, block
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                for inner in block["content"]:
                    if inner.get("type") == "text":
                        yield index, inner


def anthropic_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names of 1–128 of `[a-zA-Z0-9_-]`, unique; a schema of type object without anyOf, oneOf, allOf at its top (error text:
    "input_schema does not support oneOf, allOf, or anyOf at the top level")."""
    seen = set()
    for index, tool in enumerate(_items(body.get("tools"))):
        name = tool.get("name", "")
        if "input_schema" not in tool:
            continue
        if not _ANTHROPIC_NAME.fullmatch(name):
            text = f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            return Finding("anthropic-tool-name", text)
        if name in seen:
            return Finding("anthropic-tool-name", "tools: Tool names must be unique.")
        seen.add(name)
        schema = tool["input_schema"]
        if schema.get("type") != "object":
            return Finding("anthropic-schema", f"tools.{index}.custom.input_schema.type: Field required")
        if {"anyOf", "oneOf", "allOf"} & set(schema):
            text = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            return Finding("anthropic-schema", f"tools.{index}.custom.input_schema: {text}")
    return None


def anthropic_tool_order(body: dict[str, Any], model: str) -> Finding | None:
    """Calls are answered in the very next message, answers belong to the message before (docs: "implement tool use", error
    texts)."""
    before: set[str] = set()
    for index, (_, blocks) in enumerate(_turns(_items(body.get("messages")), _blocks)):
        results = {block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"}
        if before - results:
            text = "`tool_use` ids were found without `tool_result` blocks immediately after"
            return Finding("anthropic-tool-order", f"messages.{index - 1}: {text}: {min(before - results)}")
        if results - before:
            text = "unexpected `tool_use_id` found in `tool_result` blocks"
            return Finding(
                "anthropic-tool-order", f"messages.{index}.content.0: {text}: {min(map(str, results - before))}"
            )
        before = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
    return None


def anthropic_media(body: dict[str, Any], model: str) -> Finding | None:
    """Images are jpeg, png, gif or webp; documents PDF or plain text (docs: vision, pdf-support; from memory)."""
    for message in _items(body.get("messages")):
        for block in _blocks(message):
            source = block.get("source") or {}
            if (
                block.get("type") == "image"
                and source.get("type") == "base64"
                and source.get("media_type") not in _ANTHROPIC_IMAGES
            ):
                text = "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
                return Finding("anthropic-media", f"messages.0.content.0.image.source.base64.media_type: {text}")
            if (
                block.get("type") == "document"
                and source.get("type") == "base64"
                and source.get("media_type") != "application/pdf"
            ):
                text = "document.source.base64.media_type: Input should be 'application/pdf'"
                return Finding("anthropic-media", text)
    return None


_ONE_OF_TWO = re.compile(r"claude-(opus|sonnet|haiku)-(4-[1-9]|[5-9])")
_NO_SAMPLING = re.compile(r"claude-opus-(4-[7-9]|[5-9])|claude-(sonnet|haiku)-[5-9]")


def anthropic_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Claude 4.1 and later take temperature or top_p (litellm#15070, open-webui#17922), Opus 4.7 and later no top_p, no top_k
    and temperature 1 alone (modelparams.dev#238, tried against the API on 2026-08-17; models.dev#1468). Read 2026-11-27."""
    name = model.rpartition("/")[2].rpartition("anthropic.")[2]
    given = [key for key in ("temperature", "top_p", "top_k") if key in body]
    given = [key for key in given if key != "temperature" or body[key] != 1]
    if _NO_SAMPLING.match(name) and given:
        return Finding("anthropic-sampling", f"`{given[0]}` is deprecated for this model.")
    if _ONE_OF_TWO.match(name) and "temperature" in body and "top_p" in body:
        text = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        return Finding("anthropic-sampling", text)
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        if body.get("temperature", 1) != 1:
            return Finding("anthropic-sampling", "`temperature` may only be set to 1 when thinking is enabled.")
        if thinking.get("budget_tokens", 0) < 1024:
            return Finding(
                "anthropic-sampling", "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            )
        if body.get("max_tokens", 0) <= thinking["budget_tokens"]:
            return Finding("anthropic-sampling", "`max_tokens` must be greater than `thinking.budget_tokens`.")
        if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
            return Finding("anthropic-sampling", "Thinking may not be enabled when tool_choice forces tool use.")
    return None


_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}


def anthropic_output_schema(body: dict[str, Any], model: str) -> Finding | None:
    """Structured outputs take no bounds, no recursion, and `additionalProperties: false` on every object (docs: structured
    outputs, "JSON Schema limitations"; from memory)."""
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    for schema in _schemas(form.get("schema")):
        bad = _BOUNDS & set(schema)
        if bad:
            text = f"For '{schema.get('type')}' type, property '{min(bad)}' is not supported"
            return Finding("anthropic-output-schema", f"output_config.format.schema: {text}")
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            text = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            return Finding("anthropic-output-schema", f"output_config.format.schema: {text}")
        if schema.get("minItems", 0) > 1:
            return Finding(
                "anthropic-output-schema", "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            )
    return None


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema (names of properties are no keywords)."""
    if not isinstance(value, dict):
        return
    yield value
    for word in ("properties", "$defs", "definitions"):
        for inner in (value.get(word) or {}).values():
            yield from _schemas(inner)
    for word in ("items", "additionalProperties"):
        yield from _schemas(value.get(word))
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for inner in _items(value.get(word)):
            yield from _schemas(inner)


# Gemini

_GEMINI_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
# Schema, ai.google.dev/api/caching#Schema; from memory
_GEMINI_SCHEMA = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
    }
)
_BUDGETS = {"gemini-2.5-flash-lite": (512, 24_576), "gemini-2.5-flash": (0, 24_576), "gemini-2.5-pro": (128, 32_768)}


def gemini_contents(body: dict[str, Any], model: str) -> Finding | None:
    """Contents with parts, roles user and model, calls answered in the next content (error texts of generateContent)."""
    contents = _items(body.get("contents"))
    if not contents:
        return Finding("gemini-contents", "* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        if content.get("role") not in {None, "user", "model", "function"}:
            return Finding("gemini-contents", "Please use a valid role: user, model.")
        if not content.get("parts"):
            text = "must include at least one parts field"
            return Finding("gemini-contents", f"* GenerateContentRequest.contents[{index}].parts: {text}")
        for part in content["parts"]:
            if not set(part) - {"thought", "thoughtSignature", "videoMetadata", "partMetadata"}:
                text = "required oneof field 'data' must have one initialized field"
                return Finding("gemini-contents", f"* GenerateContentRequest.contents[{index}].parts[0].data: {text}")
    calls = 0
    for _, parts in _turns(contents, lambda content: content["parts"]):
        replies = sum("functionResponse" in part for part in parts)
        if replies and replies != calls:
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
            return Finding("gemini-contents", f"{text} of the function call turn.")
        if calls and not replies:
            text = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            return Finding("gemini-contents", text)
        calls = sum("functionCall" in part for part in parts)
    return None


def gemini_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names, and the OpenAPI subset of `parameters` (ai.google.dev/api/caching#FunctionDeclaration; from memory)."""
    for tool in _items(body.get("tools")):
        for declaration in _items(tool.get("functionDeclarations")):
            name = declaration.get("name", "")
            if not _GEMINI_NAME.fullmatch(name):
                text = "Invalid function name. Must start with a letter or an underscore."
                return Finding(
                    "gemini-tool-name", f"* GenerateContentRequest.tools[0].function_declarations[0].name: {text}"
                )
            for schema in _schemas(declaration.get("parameters")):
                unknown = set(schema) - _GEMINI_SCHEMA
                if unknown:
                    text = f"Unknown name \"{min(unknown)}\" at 'tools[0].function_declarations[0].parameters'"
                    return Finding("gemini-schema", f"Invalid JSON payload received. {text}: Cannot find field.")
    return None


def gemini_thinking(body: dict[str, Any], model: str) -> Finding | None:
    """Budgets by model (ai.google.dev/gemini-api/docs/thinking; from memory)."""
    config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    if "thinkingBudget" in config and "thinkingLevel" in config:
        return Finding("gemini-thinking", "You can only set only one of thinking budget and thinking level.")
    budget = config.get("thinkingBudget")
    bounds = next((value for name, value in _BUDGETS.items() if model.startswith(name)), None)
    if budget is not None and budget != -1 and bounds is not None and not bounds[0] <= budget <= bounds[1]:
        is_off = budget == 0 and bounds[0] != 128
        if not is_off:
            text = (
                f"The thinking budget {budget} is invalid. Please choose a value between {bounds[0]} and {bounds[1]}."
            )
            return Finding("gemini-thinking", text)
    return None


def gemini_signatures(body: dict[str, Any], model: str) -> Finding | None:
    """Gemini 3 wants the signature of the first call of each step of the current turn
    (ai.google.dev/gemini-api/docs/thought-signatures; from memory)."""
    if not model.startswith("gemini-3"):
        return None
    current: list[dict[str, Any]] = []
    for content in _items(body.get("contents")):
        is_question = content.get("role") != "model" and any("text" in part for part in content.get("parts", []))
        current = [] if is_question else [*current, content]
    for content in current:
        calls = [part for part in content.get("parts", []) if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            text = f"Function call `{calls[0]['functionCall'].get('name')}` is missing a `thought_signature`."
            return Finding("gemini-signature", text)
    return None


# Bedrock, Converse


def bedrock_messages(body: dict[str, Any], model: str) -> Finding | None:
    """A user first, roles alternating, no blank text, a toolConfig where the history has tools (error texts of Converse;
    litellm#5747, hermes-agent#55092)."""
    messages = _items(body.get("messages"))
    if not messages or messages[0].get("role") != "user":
        return Finding(
            "bedrock-messages",
            "A conversation must start with a user message. Try again with a conversation that does.",
        )
    texts = [block for message in messages for block in _bedrock_texts(message.get("content"))]
    texts += [block for block in _items(body.get("system")) if "text" in block]
    if any(not block["text"] for block in texts):  # white space alone passes: a recorded exchange has "\\n"
        text = "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field"
        return Finding("bedrock-text", f"{text}, and try again.")
    if any(not message.get("content") for message in messages):
        return Finding("bedrock-messages", "The content field in the Message object at messages.0 is empty.")
    for before, after in itertools.pairwise(messages):
        if before.get("role") == after.get("role"):
            return Finding("bedrock-messages", "A conversation must alternate between user and assistant roles.")
    has_tools = any(
        "toolUse" in block or "toolResult" in block for message in messages for block in _items(message.get("content"))
    )
    if has_tools and not (body.get("toolConfig") or {}).get("tools"):
        text = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        return Finding("bedrock-tool-config", text)
    return None


def _bedrock_texts(content: Any) -> Iterator[dict[str, Any]]:
    for block in _items(content):
        if "text" in block:
            yield block
        if "toolResult" in block:
            yield from _bedrock_texts(block["toolResult"].get("content"))


def bedrock_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names of 1–64 of `[a-zA-Z0-9_-]`, a schema of type object (API reference: ToolSpecification; error texts)."""
    for tool in _items((body.get("toolConfig") or {}).get("tools")):
        spec = tool.get("toolSpec")
        if spec is None:
            continue
        if not _OPENAI_NAME.fullmatch(spec.get("name", "")):
            text = "Value at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint"
            return Finding("bedrock-tool-name", f"1 validation error detected: {text}")
        schema = (spec.get("inputSchema") or {}).get("json")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            text = (
                "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object."
            )
            return Finding("bedrock-schema", text)
    return None


# Cohere


def cohere_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message, the last one a user's or a tool's (docs.cohere.com/v2/docs, error texts)."""
    messages = _items(body.get("messages"))
    if not messages:
        return Finding("cohere-messages", "invalid request: messages must not be empty")
    for message in messages:
        if message.get("role") != "assistant" and not message.get("content"):
            return Finding(
                "cohere-messages", "invalid request: all elements in messages must have content or tool calls."
            )
    return None


RULES: dict[str, tuple[Rule, ...]] = {
    "openai": (
        openai_messages,
        openai_tool_names,
        openai_tool_schemas,
        openai_tool_order,
        openai_endpoint,
        openai_sampling,
        openai_metadata,
    ),
    "responses": (responses_items, openai_tool_schemas, responses_sampling),
    "anthropic": (
        anthropic_messages,
        anthropic_text,
        anthropic_tools,
        anthropic_tool_order,
        anthropic_media,
        anthropic_sampling,
        anthropic_output_schema,
    ),
    "gemini": (gemini_contents, gemini_tools, gemini_thinking, gemini_signatures),
    "bedrock": (bedrock_messages, bedrock_tools),
    "cohere": (cohere_messages,),
}
