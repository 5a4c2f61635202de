"""What Bedrock's Converse refuses beside wrong types. Level 5, pure.

Sources were read on 2026-11-27; what an error report gives is its text. Lengths and patterns are botocore's own (`verdict`).
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from switchgear.testing.twins.anthropic_rules import MARKS_MAX, NO_PREFILL, anthropic_prefill, claude_of, sampled
from switchgear.testing.twins.finding import Finding, first_twice, items, objects
from switchgear.testing.twins.openai_rules import NAME

_DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9\-()\[\]]+(\s[a-zA-Z0-9\-()\[\]]+)*")


def bedrock_messages(body: dict[str, Any], model: str) -> Finding | None:
    """A user first, roles alternating (semantic-kernel#10277), no blank text, a toolConfig where the history has tools
    (error texts of Converse; litellm#5747, hermes-agent#55092)."""
    messages = items(body.get("messages"))
    if not messages or messages[0].get("role") != "user":
        return Finding(
            "bedrock-messages",
            "A conversation must start with a user message. Try again with a conversation that does.",
        )
    texts = [block for message in messages for block in _texts(message.get("content"))]
    texts += [block for block in items(body.get("system")) if "text" in block]
    if any(not block["text"] for block in texts):  # white space alone passes: a recorded exchange has "\\n"
        text = "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field"
        return Finding("bedrock-text", f"{text}, and try again.")
    if any(not message.get("content") for message in messages):
        return Finding("bedrock-messages", "The content field in the Message object at messages.0 is empty.")
    for before, after in itertools.pairwise(messages):
        if before.get("role") == after.get("role"):
            return Finding("bedrock-messages", "A conversation must alternate between user and assistant roles.")
    has_tools = any(
        "toolUse" in block or "toolResult" in block for message in messages for block in items(message.get("content"))
    )
    if has_tools and not (body.get("toolConfig") or {}).get("tools"):
        text = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        return Finding("bedrock-tool-config", text)
    return None


def _texts(content: Any) -> Iterator[dict[str, Any]]:
    for block in items(content):
        if "text" in block:
            yield block
        if "toolResult" in block:
            yield from _texts(block["toolResult"].get("content"))


def bedrock_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names of 1–64 of `[a-zA-Z0-9_-]` (botocore, `ToolName`), a schema of type object (botocore, `ToolInputSchema`: "The top level
    schema type must be object"); for Claude each name once, as Anthropic wants it."""
    names: list[str] = []
    for tool in items((body.get("toolConfig") or {}).get("tools")):
        spec = tool.get("toolSpec")
        if spec is None:
            continue
        names.append(spec.get("name", ""))
        if not NAME.fullmatch(spec.get("name", "")):
            text = "Value at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint"
            return Finding("bedrock-tool-name", f"1 validation error detected: {text}")
        schema = (spec.get("inputSchema") or {}).get("json")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            text = (
                "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object."
            )
            return Finding("bedrock-schema", text)
    if "anthropic.claude" in model and first_twice(names) is not None:
        return Finding("bedrock-tool-name", f"{_OF_MODEL}: tools: Tool names must be unique.")
    return None


def bedrock_call_order(body: dict[str, Any], model: str) -> Finding | None:
    """Results of all calls of the turn before and of no others, no id twice (agno#6698, zeroclaw#1476, litellm#20047 and
    #20048, with the words), none empty that tells of an error (sample-multi-agent-orchestration-chat-on-agentcore#15)."""
    before: list[str] = []
    for index, message in enumerate(objects(body.get("messages"))):
        blocks = objects(message.get("content"))
        results = [block["toolResult"] for block in blocks if "toolResult" in block and message.get("role") == "user"]
        ids = [result.get("toolUseId") for result in results]
        calls = [
            block["toolUse"]["toolUseId"]
            for block in blocks
            if "toolUse" in block and block["toolUse"].get("type") != "server_tool_use"
        ]
        for kind, found in (("toolResult", ids), ("toolUse", calls)):
            twice = first_twice(found)
            if twice is not None:
                text = f"The {kind} blocks at messages.{index}.content contain duplicate Ids: {twice}"
                return Finding("bedrock-call-order", text)
        missing = [one for one in before if one not in ids]
        if missing:
            text = f"Expected toolResult blocks at messages.{index}.content for the following Ids: {', '.join(missing)}"
            return Finding("bedrock-call-order", text)
        if set(ids) - set(before):
            text = f"The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks"
            return Finding("bedrock-call-order", f"{text} of previous turn.")
        if any(result.get("status") == "error" and not result.get("content") for result in results):
            text = f"The content field at messages.{index}.content.0.toolResult cannot be empty when status value is error."
            return Finding("bedrock-call-order", text)
        before = calls
    return None


def bedrock_documents(body: dict[str, Any], model: str) -> Finding | None:
    """A text beside a document, and names of documents of letters, digits, hyphens, brackets and single spaces (botocore,
    `DocumentBlock.name`, and `ContentBlock.document`: "you must also include a text")."""
    for index, message in enumerate(objects(body.get("messages"))):
        blocks = objects(message.get("content"))
        documents = [block["document"] for block in blocks if "document" in block]
        if documents and not any("text" in block for block in blocks):
            text = f"A text block must be included when using documents at messages.{index}.content."
            return Finding("bedrock-document", text)
        if any(not _DOCUMENT_NAME.fullmatch(str(document.get("name"))) for document in documents):
            text = (
                "The document file name contains more than one consecutive whitespace character or invalid characters"
            )
            return Finding("bedrock-document", text)
    return None


_OF_MODEL = "The model returned the following errors"
_KEYS = {"temperature": "temperature", "topP": "top_p"}


def bedrock_claude(body: dict[str, Any], model: str) -> Finding | None:
    """What Claude refuses here as at Anthropic: beginning its answer (strands-agents#1694), both of temperature and topP or any
    of them (litellm#15070), more than four cache marks (litellm's and opencode's reports)."""
    if "anthropic.claude" not in model:
        return None
    if anthropic_prefill(body, model) is not None:
        return Finding("bedrock-claude", f"{_OF_MODEL}: {NO_PREFILL}")
    config = body.get("inferenceConfig") or {}
    more = body.get("additionalModelRequestFields")
    given = {_KEYS[key]: config[key] for key in _KEYS if key in config}
    given |= {key: more[key] for key in ("top_k",) if isinstance(more, dict) and key in more}
    text = sampled(claude_of(model), given)
    if text is not None:
        return Finding("bedrock-claude", f"{_OF_MODEL}: {text}")
    marks = sum(1 for _ in _cache_points([body.get("system"), body.get("messages"), body.get("toolConfig")]))
    if marks > MARKS_MAX:
        text = f"A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {marks}."
        return Finding("bedrock-claude", f"{_OF_MODEL}: {text}")
    return None


def _cache_points(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "cachePoint" in value:
            yield value
        for key, inner in value.items():
            if key not in {"input", "json"}:
                yield from _cache_points(inner)
    for inner in items(value):
        yield from _cache_points(inner)
