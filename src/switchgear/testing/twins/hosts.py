"""What hosts of open models, routers and servers of one's own refuse, and how they say it. Level 5, pure.

Each rule names its source; all were read on 2026-11-27.
"""

import json
import re
from typing import Any

from switchgear.testing.twins.anthropic_rules import NO_PREFILL, anthropic_prefill
from switchgear.testing.twins.finding import Finding, items, objects
from switchgear.testing.twins.openai_rules import CALL_ID_CHARS_MAX, call_ids, openai_tool_choice


def is_json_object(text: Any) -> bool:
    """Tell whether a text is a JSON object, as the arguments of a call are."""
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return objects(message.get("tool_calls"))


# Together

_TOGETHER_FORMATS = frozenset({"json_object", "json_schema", "regex"})


def together_shapes(body: dict[str, Any], model: str) -> Finding | None:
    """Stop words are a list (together-py, `CompletionCreateParams.stop`; SWE-agent#135, which met it), a content is no null
    (any-llm#714's kind; `Message.content` is required), and an answer's format is one that it knows (its docs, "Structured
    outputs")."""
    if isinstance(body.get("stop"), str):
        return Finding("together-shapes", "Input validation error: stop: expected a list of strings")
    for message in objects(body.get("messages")):
        if message.get("content") is None and not _calls(message):
            return Finding("together-shapes", "Input validation error: messages: content is required")
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") not in _TOGETHER_FORMATS | {"text"}:
        return Finding("together-shapes", "Input validation error: response_format.type")
    return None


def together_error(finding: Finding) -> dict[str, Any]:
    """Return its error body (any-llm#714)."""
    error = {"message": finding.text, "type": "invalid_request_error", "param": None, "code": None}
    return {"id": "twin", "error": error}


# Fireworks

# `CompletionCreateParams` and `ChatMessage` of fw-ai-external/python-sdk, and what is sent with a stream
_FIREWORKS_FIELDS = frozenset(
    (
        "messages",
        "model",
        "context_length_exceeded_behavior",
        "echo",
        "echo_last",
        "frequency_penalty",
        "function_call",
        "functions",
        "ignore_eos",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "min_p",
        "mirostat_lr",
        "mirostat_target",
        "n",
        "parallel_tool_calls",
        "perf_metrics_in_response",
        "prediction",
        "presence_penalty",
        "prompt_cache_isolation_key",
        "prompt_cache_max_len",
        "prompt_truncate_len",
        "raw_output",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "return_token_ids",
        "seed",
        "speculation",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "typical_p",
        "user",
    )
)
_FIREWORKS_MESSAGE = frozenset({"role", "content", "reasoning_content", "tool_call_id", "tool_calls", "name"})


def fireworks_fields(body: dict[str, Any], model: str) -> Finding | None:
    """No field that it does not know, in the body or in a message (midscene#1322, pi#4514 with `messages[8].reasoning`,
    Flowise#2866, with the words); not both names of the most tokens, four stop words (its SDK)."""
    unknown = sorted(set(body) - _FIREWORKS_FIELDS)
    places = [(key, body[key]) for key in unknown]
    for at, message in enumerate(objects(body.get("messages"))):
        places += [(f"messages[{at}].{key}", message[key]) for key in sorted(set(message) - _FIREWORKS_MESSAGE)]
    if places:
        name, value = places[0]
        return Finding("fireworks-fields", f"Extra inputs are not permitted, field: '{name}', value: {value!r}")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        return Finding("fireworks-fields", "Cannot specify both max_tokens and max_completion_tokens")
    if len(items(body.get("stop"))) > 4:
        return Finding("fireworks-fields", "stop: at most 4 sequences")
    return None


# OpenRouter


def openrouter_routed(body: dict[str, Any], model: str) -> Finding | None:
    """What the maker refuses, for its model: Claude 4.6 takes no prefill (opencode#14772: "all providers … OpenRouter"), OpenAI
    no id of a call over 64 characters (openclaw#875, which met it here)."""
    if model.startswith("anthropic/") and anthropic_prefill(body, model) is not None:
        return Finding("openrouter-routed", NO_PREFILL)
    if model.startswith("openai/"):
        finding = call_ids(body, CALL_ID_CHARS_MAX)
        return Finding("openrouter-routed", finding.text) if finding is not None else None
    return None


def openrouter_reasoning(body: dict[str, Any], model: str) -> Finding | None:
    """Effort or tokens, not both (openrouter.ai/docs, "Reasoning Tokens": "one of the following (not both)"), and at most three
    models to fall back to (the error text, "'models' array must have 3 items or fewer")."""
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict) and {"effort", "max_tokens"} <= {k for k, v in reasoning.items() if v is not None}:
        text = "Only one of 'reasoning.effort' and 'reasoning.max_tokens' can be specified"
        return Finding("openrouter-reasoning", text)
    if len(items(body.get("models"))) > 3:
        return Finding("openrouter-reasoning", "'models' array must have 3 items or fewer.")
    return None


def openrouter_error(finding: Finding) -> dict[str, Any]:
    """Return its error body: what a provider said stands in `metadata` (litellm#23510, litellm#14402)."""
    if finding.rule != "openrouter-routed":
        return {"error": {"message": finding.text, "code": 400}, "user_id": "user_twin"}
    raw = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": finding.text}})
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw, "provider_name": "Anthropic"}}
    return {"error": error, "user_id": "user_twin"}


# Ollama

_OLLAMA_IMAGE = re.compile(r"data:(image/(jpeg|jpg|png|webp))?;base64,")
_OLLAMA_EFFORTS = frozenset({"high", "medium", "low", "max", "none"})


def ollama_messages(body: dict[str, Any], model: str) -> Finding | None:
    """Contents are text or lists of texts and of images that are in the request, arguments are objects, efforts four words and
    `none` (ollama/ollama, `openai/openai.go`, `FromChatRequest`; qwen-code#3350 met the first)."""
    for message in objects(body.get("messages")):
        content = message.get("content")
        if content is None and not _calls(message):
            return Finding("ollama-messages", "invalid message content type: <nil>")
        for part in objects(content):
            if part.get("type") not in {"text", "image_url"}:
                return Finding("ollama-messages", "invalid message format")
            if part["type"] == "image_url":
                url = part["image_url"]["url"] if isinstance(part.get("image_url"), dict) else part.get("image_url")
                if not _OLLAMA_IMAGE.match(str(url)):
                    return Finding("ollama-messages", "invalid image input")
        for call in _calls(message):
            if not is_json_object(call["function"].get("arguments")):
                return Finding("ollama-messages", "invalid tool call arguments")
    effort = body.get("reasoning_effort")
    if effort and effort not in _OLLAMA_EFFORTS:
        text = 'must be "high", "medium", "low", "max", or "none"'
        return Finding("ollama-messages", f"invalid reasoning value: '{effort}' ({text})")
    return None


# vLLM


def vllm_tools(body: dict[str, Any], model: str) -> Finding | None:
    """No empty list of tools, a choice only with tools, a named one of those (vllm-project/vllm,
    `chat_completion/protocol.py`, `check_tool_usage`)."""
    if body.get("tools") == []:
        text = "Either provide at least one tool or omit the field entirely."
        return Finding("vllm-tools", f"`tools` must not be an empty array. {text}")
    choice = body.get("tool_choice")
    if choice is None or choice == "none":
        return None
    if openai_tool_choice({"tool_choice": choice, "tools": body.get("tools")}, model) is not None:
        return Finding("vllm-tools", "When using `tool_choice`, `tools` must be set.")
    if not isinstance(choice, dict):
        if choice in {"auto", "required"}:
            return None
        return Finding("vllm-tools", f"Invalid value for `tool_choice`: {choice}!")
    name = (choice.get("function") or {}).get("name")
    if name not in {(tool.get("function") or {}).get("name") for tool in objects(body.get("tools"))}:
        return Finding("vllm-tools", "The tool specified in `tool_choice` does not match any of the specified `tools`")
    return None


def vllm_stream(body: dict[str, Any], model: str) -> Finding | None:
    """`stream_options` only with a stream, `top_logprobs` only with `logprobs` (the same file, `validate_stream_options`,
    `check_logprobs`)."""
    if body.get("stream_options") and not body.get("stream"):
        return Finding("vllm-stream", "Stream options can only be defined when `stream=True`.")
    if body.get("top_logprobs") and not body.get("logprobs"):
        return Finding("vllm-stream", "when using `top_logprobs`, `logprobs` must be set to true.")
    return None


def vllm_error(finding: Finding) -> dict[str, Any]:
    """Return its error body (`ErrorResponse` of vllm/entrypoints/openai)."""
    return {"error": {"message": finding.text, "type": "BadRequestError", "param": None, "code": 400}}
