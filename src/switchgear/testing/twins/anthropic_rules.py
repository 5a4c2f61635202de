"""What Anthropic refuses beside wrong types; Claude refuses most of it wherever it runs. Level 5, pure.

Sources were read on 2026-11-27; what an error report gives is its text. "SDK" is the official Python SDK, 2.13.
"""

import re
from collections.abc import Iterator
from typing import Any

from switchgear.testing.twins.finding import (
    Finding,
    blocks_of,
    first_twice,
    is_object,
    items,
    objects,
    schemas_in,
    turns,
)

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
MARKS_MAX = 4


def anthropic_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message (error text; the SDK calls `messages` required). An assistant may begin: a recorded exchange with
    claude-sonnet-4-5 does."""
    if not items(body.get("messages")):
        return Finding("anthropic-messages", "messages: at least one message is required")
    return None


def anthropic_text(body: dict[str, Any], model: str) -> Finding | None:
    """No empty text anywhere, and no message whose texts are all white space (LibreChat-AI/agents#124, which tried each form
    against the API; home-assistant/core#175637); no white space at the end of what an assistant said last."""
    for index, found in _texts(body):
        if any(not text for text in found):
            return Finding("anthropic-text", f"messages.{index}: text content blocks must be non-empty")
        if found and not any(text.strip() for text in found):
            return Finding("anthropic-text", f"messages.{index}: text content blocks must contain non-whitespace text")
    last = (items(body.get("messages")) or [{}])[-1]
    if last.get("role") == "assistant":
        blocks = [block for block in blocks_of(last) if block.get("type") == "text"]
        if blocks and str(blocks[-1]["text"]) != str(blocks[-1]["text"]).rstrip():
            text = "messages: final assistant content cannot end with trailing whitespace"
            return Finding("anthropic-text", text)
    return None


def _texts(body: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    system = body.get("system")
    yield -1, [str(block.get("text", "")) for block in system] if isinstance(system, list) else []
    for index, message in enumerate(items(body.get("messages"))):
        yield index, [str(block.get("text", "")) for block in blocks_of(message) if block.get("type") == "text"]
        for block in blocks_of(message):
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                yield index, [str(one.get("text", "")) for one in block["content"] if one.get("type") == "text"]


def anthropic_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names of 1–128 of `[a-zA-Z0-9_-]`, unique; a schema of type object without anyOf, oneOf, allOf at its top (error text:
    "input_schema does not support oneOf, allOf, or anyOf at the top level"); its own properties of 1–64 of `[a-zA-Z0-9_.-]`
    (n8n#30590, decocms/studio#6874, with the words)."""
    seen = set()
    for index, tool in enumerate(items(body.get("tools"))):
        name = tool.get("name", "")
        if name in seen:
            return Finding("anthropic-tool-name", "tools: Tool names must be unique.")
        seen.add(name)
        if "input_schema" not in tool:
            continue
        if not _NAME.fullmatch(name):
            text = f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            return Finding("anthropic-tool-name", text)
        schema = tool["input_schema"]
        if schema.get("type") != "object":
            return Finding("anthropic-schema", f"tools.{index}.custom.input_schema.type: Field required")
        if {"anyOf", "oneOf", "allOf"} & set(schema):
            text = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            return Finding("anthropic-schema", f"tools.{index}.custom.input_schema: {text}")
        if not all(_PROPERTY.fullmatch(key) for key in schema.get("properties") or {}):
            text = "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'"
            return Finding("anthropic-property", f"tools.{index}.custom.input_schema.properties: {text}")
        if tool.get("strict"):
            finding = _limited(schema, f"tools.{index}.custom.input_schema")
            if finding is not None:
                return finding
    return None


def anthropic_tool_order(body: dict[str, Any], model: str) -> Finding | None:
    """Calls are answered in the very next message, answers belong to the message before (claude-code#8210, Anthropic.SDK#184)."""
    before: set[str] = set()
    for index, (_, blocks) in enumerate(turns(items(body.get("messages")), blocks_of)):
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


def anthropic_call_ids(body: dict[str, Any], model: str) -> Finding | None:
    """Ids of calls are of `[a-zA-Z0-9_-]+` and stand once in a turn (opencode#1279, claude-code#20901 and #28515; a recorded
    exchange has one in several turns), with one result each ("each tool_use must have a single result", as clients quote it)."""
    for index, (_, blocks) in enumerate(turns(objects(body.get("messages")), blocks_of)):
        calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
        if not all(_CALL_ID.fullmatch(str(one)) for one in calls):
            text = "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            return Finding("anthropic-call-id", f"messages.{index}.content.0.{text}")
        if first_twice(calls) is not None:
            return Finding("anthropic-call-id", f"messages.{index}.content.1: `tool_use` ids must be unique")
        twice = first_twice(block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result")
        if twice is not None:
            text = "each tool_use must have a single result. Found multiple `tool_result` blocks with id"
            return Finding("anthropic-call-id", f"messages.{index}.content.1: {text}: {twice}")
    return None


def anthropic_media(body: dict[str, Any], model: str) -> Finding | None:
    """Images are jpeg, png, gif or webp; documents PDF or plain text (SDK, `Base64ImageSource.media_type`,
    `Base64PDFSource.media_type`)."""
    for message in items(body.get("messages")):
        for block in blocks_of(message):
            source = block.get("source") or {}
            if (
                block.get("type") == "image"
                and source.get("type") == "base64"
                and source.get("media_type") not in _IMAGES
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


def anthropic_marks(body: dict[str, Any], model: str) -> Finding | None:
    """At most four cache marks in tools, instructions and messages (continue#6937, zeph#1568), none at an empty text
    (dario#1066, claude-code#54013) or at thinking (inspect_ai#3967, with the words)."""
    count = 0
    for block in _marked([body.get("tools"), body.get("system"), body.get("messages")]):
        count += 1
        if block.get("type") in {"thinking", "redacted_thinking"}:
            text = f"{block['type']}.cache_control: Extra inputs are not permitted"
            return Finding("anthropic-marks", f"messages.1.content.0.{text}")
        if block.get("type") == "text" and not block.get("text"):
            text = "cache_control cannot be set for empty text blocks"
            return Finding("anthropic-marks", f"messages.0.content.0.text: {text}")
    count += "cache_control" in body  # it marks the last block by itself
    if count > MARKS_MAX:
        text = f"A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {count}."
        return Finding("anthropic-marks", text)
    return None


_OPAQUE = frozenset({"input", "input_schema", "source"})


def _marked(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("cache_control"):
            yield value
        for key, inner in value.items():
            if key not in _OPAQUE:
                yield from _marked(inner)
    for inner in items(value):
        yield from _marked(inner)


_ONE_OF_TWO = re.compile(r"claude-(opus|sonnet|haiku)-(4-[1-9]|[5-9])")
_NO_SAMPLING = re.compile(r"claude-opus-(4-[7-9]|[5-9])|claude-(sonnet|haiku)-[5-9]")
_NO_PREFILL = re.compile(r"claude-(opus|sonnet)-4-[6-9](?!\d)|claude-(?!3|2|instant)[a-z]+-[5-9]")


def claude_of(model: str) -> str:
    """Return Claude's own name, without what clouds put around it."""
    return model.rpartition("/")[2].rpartition("anthropic.")[2].replace(".", "-")


def anthropic_prefill(body: dict[str, Any], model: str) -> Finding | None:
    """From Claude 4.6 on nobody begins the assistant's answer (platform.claude.com, "What's new in Claude 4.6", "Prefill removal";
    strands-agents#1694 on Bedrock, claude-code#52433, qwen-code#8039 for 5.x). Calls at the end are another mistake."""
    last = (objects(body.get("messages")) or [{}])[-1]
    if last.get("role") == "assistant" and _NO_PREFILL.match(claude_of(model)):
        return Finding("anthropic-prefill", NO_PREFILL)
    return None


NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


def anthropic_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Claude 4.1 and later take temperature or top_p (litellm#15070, open-webui#17922), Opus 4.7 and later no top_p, no top_k
    and temperature 1 alone (modelparams.dev#238, tried against the API on 2026-08-17; models.dev#1468). Temperature ends at 1
    (SDK, `temperature`: "Ranges from 0.0 to 1.0"), stop words are not blank (litellm#3286)."""
    if not 0 <= (body.get("temperature") or 0) <= 1:
        return Finding("anthropic-sampling", "temperature: range: 0..1")
    if any(not str(word).strip() for word in items(body.get("stop_sequences"))):
        return Finding("anthropic-sampling", "stop_sequences: each stop sequence must contain non-whitespace")
    given = [key for key in ("temperature", "top_p", "top_k") if key in body]
    text = sampled(claude_of(model), {key: body[key] for key in given})
    return Finding("anthropic-sampling", text) if text is not None else _thinking(body)


def sampled(name: str, given: dict[str, Any]) -> str | None:
    """Return what Claude says to sampling parameters that it does not take, or None. They are called as at Anthropic."""
    others = [key for key in given if key != "temperature" or given[key] != 1]
    if _NO_SAMPLING.match(name) and others:
        return f"`{others[0]}` is deprecated for this model."
    if _ONE_OF_TWO.match(name) and "temperature" in given and "top_p" in given:
        return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    return None


def _thinking(body: dict[str, Any]) -> Finding | None:
    """What a budget goes with (SDK, `ThinkingConfigEnabled.budget_tokens`: "Must be ≥1024 and less than `max_tokens`"; guide
    "Extended thinking", "Feature compatibility"), and that a turn with calls that is not over began with thinking
    (opencode#3077, kilocode#5219, mastra#7799, with the words)."""
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return None
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
    first = _begun(body)
    if first is not None and first not in {"thinking", "redacted_thinking"}:
        text = f"messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`."
        return Finding(
            "anthropic-thinking", f"{text} When `thinking` is enabled, a final `assistant` message must start"
        )
    return None


def _begun(body: dict[str, Any]) -> Any:
    """Return the type of the block with which the assistant began its turn, where that turn goes on with results of tools."""
    first = None
    for role, blocks in turns(objects(body.get("messages")), blocks_of):
        if role == "assistant":
            has_calls = any(block.get("type") == "tool_use" for block in blocks)
            first = blocks[0].get("type") if has_calls and first is None else first
        elif not any(block.get("type") == "tool_result" for block in blocks):
            first = None
    return first


_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}


def anthropic_output_schema(body: dict[str, Any], model: str) -> Finding | None:
    """Structured outputs take no bounds and `additionalProperties: false` on every object (req_llm#302 with the words; docs:
    structured outputs, "JSON Schema limitations", as repeated by systemprompt-models' strict.rs and ax#459)."""
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return _limited(form.get("schema"), "output_config.format.schema")


def _limited(root: Any, place: str) -> Finding | None:
    for schema in schemas_in(root):
        bad = _BOUNDS & set(schema)
        if bad:
            text = f"For '{schema.get('type')}' type, property '{min(bad)}' is not supported"
            return Finding("anthropic-output-schema", f"{place}: {text}")
        if is_object(schema) and schema.get("additionalProperties") is not False:
            text = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            return Finding("anthropic-output-schema", f"{place}: {text}")
        if schema.get("minItems", 0) > 1:
            return Finding(
                "anthropic-output-schema", "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            )
    return None
