"""What single providers refuse beside what their dialect's maker does, and how they say it: a row each. Level 5, pure.

Each rule names its source and the day it was read. Rows without rules are providers whose own refusals are not known here; they
are judged by what every server of the dialect refuses.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from switchgear.testing.twins import hosts, openai_rules
from switchgear.testing.twins.finding import Finding, Rule


class Provider(NamedTuple):
    """What is known of a provider."""

    rules: tuple[Rule, ...] = ()
    takes_more: bool = True
    """True where fields that the dialect's SDK does not know are let through."""
    like_maker: bool = False
    """True where it refuses all that the maker of the dialect refuses."""
    status: int = 400
    error: Callable[[Finding], dict[str, Any]] | None = None
    """How its errors look where they are not the dialect's."""


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = body.get("messages")
    return [message for message in found if isinstance(message, dict)] if isinstance(found, list) else []


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    found = message.get("tool_calls")
    return found if isinstance(found, list) else []


# The role `developer`


def _no_developer(text: str) -> Rule:
    def no_developer(body: dict[str, Any], model: str) -> Finding | None:
        for index, message in enumerate(_messages(body)):
            if message.get("role") == "developer":
                return Finding("no-developer", text.format(index=index))
        return None

    return no_developer


# pi#1048, openclaw#21911, openclaw#3022, chatgpt-md#189, with the texts; Z.ai's rule is `zai_messages`. Read 2026-11-28.
deepseek_roles = _no_developer(
    "Failed to deserialize the JSON body into the target type: messages[{index}].role: unknown variant `developer`, expected one "
    "of `system`, `user`, `assistant`, `tool`, `latest_reminder` at line 1 column 1"
)
moonshot_roles = _no_developer("Invalid request: unsupported role ROLE_UNSPECIFIED")
minimax_roles = _no_developer("invalid params, invalid role: developer (2013)")
mistral_roles = _no_developer(
    "Input tag 'developer' found using 'role' does not match any of the expected tags: 'system', 'user', 'assistant', 'tool'"
)


# Mistral

# the model ChatCompletionStreamRequest of mistralai/client-python (read 2026-11-27), and `prompt_cache_key`, recorded
_MISTRAL_FIELDS = frozenset(
    {
        "model",
        "temperature",
        "top_p",
        "max_tokens",
        "stream",
        "stop",
        "random_seed",
        "metadata",
        "messages",
        "response_format",
        "tools",
        "tool_choice",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "prediction",
        "parallel_tool_calls",
        "prompt_mode",
        "reasoning_effort",
        "guardrails",
        "safe_prompt",
        "prompt_cache_key",
    }
)
_MISTRAL_MESSAGE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "prefix"},
    "tool": {"role", "content", "tool_call_id", "name"},
}
_MISTRAL_AFTER = {
    "system": {"user", "assistant", "system"},
    "user": {"assistant", "system", "user"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"assistant", "tool"},
}


def mistral_fields(body: dict[str, Any], model: str) -> Finding | None:
    """No field that it does not know: openai-agents-python#442 and avante.nvim#2347 for `stream_options`, crush#1590 and
    litellm#30835 for `reasoning_content`, eca#231 for `max_completion_tokens`. Read 2026-11-27."""
    places = [(key,) for key in sorted(set(body) - _MISTRAL_FIELDS)]
    for index, message in enumerate(_messages(body)):
        role = str(message.get("role"))
        unknown = {key for key in message if message[key] is not None} - _MISTRAL_MESSAGE.get(role, set(message))
        places += [("messages", index, role, key) for key in sorted(unknown)]  # type: ignore[misc]
    if places:
        return Finding("mistral-fields", ".".join(map(str, ("body", *places[0]))))
    return None


def mistral_names(body: dict[str, Any], model: str) -> Finding | None:
    """Names of functions, 1 to 64 of letters, digits, underscores and dashes (mistral-common, `MistralRequestValidator`,
    `_validate_function`, with the words). Read 2026-11-27."""
    tools = body.get("tools") or []
    names = [(tool.get("function") or {}).get("name") for tool in tools if isinstance(tool, dict)]
    names += [call["function"].get("name") for message in _messages(body) for call in _calls(message)]
    for name in names:
        if not openai_rules.NAME.fullmatch(str(name)):
            text = "but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64."
            return Finding("mistral-name", f"Function name was {name} {text}")
    return None


def mistral_call_ids(body: dict[str, Any], model: str) -> Finding | None:
    """Ids of calls are nine letters and digits (mistral-common's MistralRequestValidatorV3; eca#233, opencode#1680, with the
    body). Read 2026-11-27."""
    for message in _messages(body):
        ids = [call.get("id") for call in _calls(message)]
        ids += [message.get("tool_call_id")] if message.get("role") == "tool" else []
        for found in ids:
            if not re.fullmatch(r"[a-zA-Z0-9]{9}", str(found)):
                text = f"Tool call id was {found} but must be a-z, A-Z, 0-9, with a length of 9."
                return Finding("mistral-call-id", text)
    return None


def mistral_order(body: dict[str, Any], model: str) -> Finding | None:
    """Who may follow whom, each call answered, and who is last (mistral-common, `MistralRequestValidator`; ironclaw#1241 and
    public logs for the words and code 3230). Read 2026-11-27."""
    messages = _messages(body)
    before, open_calls = "", 0
    for message in messages:
        role = str(message.get("role"))
        if before and role not in _MISTRAL_AFTER.get(before, {role}):
            return Finding("mistral-order", f"Unexpected role '{role}' after role '{before}'")
        if role == "tool":
            open_calls -= 1
        elif role == "assistant":
            if open_calls:
                return Finding("mistral-order", "Not the same number of function calls and responses")
            open_calls = len(_calls(message))
            if not message.get("content") and not _calls(message):
                text = "Assistant message must have either content or tool_calls, but not none."
                return Finding("mistral-order", text)
        before = role
    if open_calls:
        return Finding("mistral-order", "Not the same number of function calls and responses")
    if len(messages) > 1 and before == "assistant" and not messages[-1].get("prefix"):
        text = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
        return Finding("mistral-order", text)
    return None


def _mistral_error(finding: Finding) -> dict[str, Any]:
    common = {"object": "error", "type": "invalid_request_error", "param": None}
    if finding.rule == "mistral-fields":
        error = {"type": "extra_forbidden", "loc": finding.text.split("."), "msg": "Extra inputs are not permitted"}
        return {**common, "message": {"detail": [error]}, "code": None}
    code = {"mistral-call-id": "3280", "mistral-order": "3230"}.get(finding.rule, "3051")
    return {**common, "message": finding.text, "code": code}


# Groq


def groq_fields(body: dict[str, Any], model: str) -> Finding | None:
    """No log probabilities, no biases, no names of speakers, one choice (console.groq.com/docs/openai, "Currently Unsupported
    OpenAI Features"). Read 2026-11-27."""
    for key in ("logprobs", "logit_bias", "top_logprobs", "top_k"):
        if body.get(key) not in {None, False} if not isinstance(body.get(key), dict) else True:
            return Finding("groq-fields", f"property '{key}' is unsupported")
    if body.get("n") not in {None, 1}:
        return Finding("groq-fields", "'n' : number must be at most 1")
    for index, message in enumerate(_messages(body)):
        if "name" in message and message.get("role") != "tool":
            return Finding("groq-fields", f"'messages.{index}' : property 'name' is unsupported")
    return None


def groq_thinking(body: dict[str, Any], model: str) -> Finding | None:
    """No `reasoning_content` in a history (jan#8136, freellmapi#1070, hermes-agent#11089, with the words). Read 2026-11-27."""
    for index, message in enumerate(_messages(body)):
        if "reasoning_content" in message:
            where = f"'messages.{index}'"
            text = f"for 'role:assistant' the following must be satisfied[({where} : property 'reasoning_content'"
            return Finding("groq-thinking", f"{where} : {text} is unsupported)]")
    return None


# Cerebras


def cerebras_fields(body: dict[str, Any], model: str) -> Finding | None:
    """No penalties, no biases, no service tier (inference-docs.cerebras.ai, "OpenAI compatibility", as repeated by req_llm's guide
    and checked by developersdigest.tech); `parallel_tool_calls`, which the same page once listed, is a parameter of its API
    reference now. No `reasoning_content` in a history (kilocode#10375, bifrost#4544's kind). Read 2026-11-27."""
    for key in ("frequency_penalty", "presence_penalty", "logit_bias", "top_k"):
        if body.get(key) is not None:
            return Finding("cerebras-fields", f"body.{key}: property 'body.{key}' is unsupported")
    for index, message in enumerate(_messages(body)):
        if "reasoning_content" in message:
            place = f"messages.{index}.assistant.reasoning_content"
            return Finding("cerebras-fields", f"{place}: property '{place}' is unsupported")
    return None


def cerebras_strict(body: dict[str, Any], model: str) -> Finding | None:
    """All tools are strict or none is (Roo-Code#10334, code_puppy#368, with the body). Read 2026-11-27."""
    said = {bool((tool.get("function") or {}).get("strict")) for tool in body.get("tools") or []}
    if len(said) > 1:
        text = "Tools with mixed values for 'strict' are not allowed."
        return Finding("cerebras-strict", f"{text} Please set all tools to 'strict: true' or 'strict: false'")
    return None


def _flat_error(finding: Finding) -> dict[str, Any]:
    kind = {"type": "invalid_request_error", "param": "validation_error", "code": "wrong_api_format"}
    return {"message": finding.text, **kind}


# Those that think between calls

_THINKS = re.compile(r"deepseek-(reasoner|v[4-9])|kimi-k2(\.[5-9]|-thinking)")


def thinking_back(body: dict[str, Any], model: str) -> Finding | None:
    """A turn with calls brings its `reasoning_content` back, be it empty (api-docs.deepseek.com/guides/thinking_mode;
    pi#3636, openclaw#74846 for an empty one, continue#11806 for Kimi). Read 2026-11-27."""
    if not _THINKS.search(model.lower()) or (body.get("thinking") or {}).get("type") == "disabled":
        return None
    for index, message in enumerate(_messages(body)):
        if message.get("role") == "assistant" and _calls(message) and "reasoning_content" not in message:
            if "kimi" in model.lower():
                text = "thinking is enabled but reasoning_content is missing in assistant tool call message at index"
                return Finding("thinking-back", f"{text} {index}")
            text = "The `reasoning_content` in the thinking mode must be passed back to the API."
            return Finding("thinking-back", text)
    return None


def deepseek_parts(body: dict[str, Any], model: str) -> Finding | None:
    """Parts of a message are text (jcode#310, with the body; Zoo-Code#1106, next-ai-draw-io#326). Read 2026-11-27."""
    for index, message in enumerate(_messages(body)):
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict) and part.get("type") != "text":
                text = f"messages[{index}]: unknown variant `{part.get('type')}`, expected `text`"
                start = "Failed to deserialize the JSON body into the target type"
                return Finding("deepseek-parts", f"{start}: {text} at line 1 column 1")
    return None


# xAI


def xai_parameters(body: dict[str, Any], model: str) -> Finding | None:
    """No penalties; no stop words where it reasons (litellm#12635, n8n#14581, langchain#38335, NativeTavern#83).
    Read 2026-11-27."""
    for key, name in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        if key in body:
            return Finding("xai-parameters", f"Argument not supported on this model: {name}")
    if body.get("stop") and "non-reasoning" not in model:
        return Finding("xai-parameters", "Argument not supported on this model: stop")
    return None


def _xai_error(finding: Finding) -> dict[str, Any]:
    return {"code": "Client specified an invalid argument", "error": finding.text}


# MiniMax


def minimax_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Parameters of functions are not left out, arguments are JSON, instructions stand in front (qwen-code#11834 and #11905,
    hermes-agent#12167, CodexPlusPlus#267). Read 2026-11-27."""
    for tool in body.get("tools") or []:
        if not (tool.get("function") or {}).get("parameters"):
            return Finding("minimax-tools", "invalid params, function parameters is empty (2013)")
    has_begun = False
    for message in _messages(body):
        if message.get("role") == "system" and has_begun:
            return Finding("minimax-tools", "invalid params, chat content has invalid message role: system (2013)")
        has_begun = has_begun or message.get("role") != "system"
        for call in _calls(message):
            if not hosts.is_json_object(call["function"].get("arguments")):
                text = "invalid params, invalid function arguments json string"
                return Finding("minimax-tools", f"{text}, tool_call_id: {call.get('id')} (2013)")
    return None


def _minimax_error(finding: Finding) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "bad_request_error", "message": finding.text, "http_code": "400"}}


# Z.ai


def zai_messages(body: dict[str, Any], model: str) -> Finding | None:
    """A turn of the user, and no role but system, user, assistant and tool (opencode#2557, pi#547). Read 2026-11-27."""
    roles = [message.get("role") for message in _messages(body)]
    if "user" not in roles:
        return Finding("zai-messages", "The messages parameter is illegal. Please check the documentation.")
    if set(roles) - {"system", "user", "assistant", "tool"}:
        return Finding("zai-messages", "Incorrect role information")
    return None


def _zai_error(finding: Finding) -> dict[str, Any]:
    return {"error": {"code": "1214", "message": finding.text}}


# Vertex


def vertex_claude(body: dict[str, Any], model: str) -> Finding | None:
    """The version stands in the body, the model in the path alone (docs.cloud.google.com, "Use Claude models"; recorded by
    LiteLLM's transformation for Vertex). Read 2026-11-27."""
    if body.get("anthropic_version") != "vertex-2023-10-16":
        return Finding("vertex-claude", "anthropic_version: Field required")
    if "model" in body:
        return Finding("vertex-claude", "model: Extra inputs are not permitted")
    return None


# Gemini


def gemini_last_turn(body: dict[str, Any], model: str) -> Finding | None:
    """From 3.5 on the last turn is the user's, and there are no penalties (docs.cloud.google.com, "Gemini 3.5 Flash-Lite").
    Read 2026-11-27."""
    if not re.match(r"gemini-(3\.[5-9]|[4-9])", model):
        return None
    config = body.get("generationConfig") or {}
    for key in ("frequencyPenalty", "presencePenalty"):
        if config.get(key):
            return Finding("gemini-last-turn", f"Penalty is not enabled for {model}")
    contents = body.get("contents") or [{}]
    if contents[-1].get("role") == "model":
        return Finding("gemini-last-turn", "Please ensure that multiturn requests end with a user role.")
    return None


OTHER = Provider()
BY_PROVIDER: dict[str, Provider] = {
    "openai": Provider(like_maker=True, takes_more=False),
    "azure": Provider((openai_rules.azure_call_ids,), like_maker=True, takes_more=False),
    "anthropic": Provider(takes_more=False),
    "vertex-anthropic": Provider((vertex_claude,), takes_more=False),
    "gemini": Provider((gemini_last_turn,), takes_more=False),
    "vertex": Provider((gemini_last_turn,), takes_more=False),
    "bedrock": Provider(takes_more=False),
    "cohere": Provider(takes_more=False),
    "mistral": Provider(
        (mistral_roles, mistral_fields, mistral_names, mistral_call_ids, mistral_order),
        status=422,
        error=_mistral_error,
    ),
    "groq": Provider((groq_fields, groq_thinking)),
    "cerebras": Provider((cerebras_fields, cerebras_strict), error=_flat_error),
    "deepseek": Provider((deepseek_roles, thinking_back, deepseek_parts)),
    "moonshot": Provider((moonshot_roles, thinking_back)),
    "xai": Provider((xai_parameters,), error=_xai_error),
    "minimax": Provider((minimax_roles, minimax_tools), error=_minimax_error),
    "zai": Provider((zai_messages,), error=_zai_error),
    "together": Provider((hosts.together_shapes,), error=hosts.together_error),
    "fireworks": Provider((hosts.fireworks_fields,)),
    "openrouter": Provider((hosts.openrouter_reasoning, hosts.openrouter_routed), error=hosts.openrouter_error),
    "ollama": Provider((hosts.ollama_messages,)),
    "vllm": Provider((hosts.vllm_tools, hosts.vllm_stream), error=hosts.vllm_error),
}
MAKERS = {
    "openai": "openai",
    "responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
    "cohere": "cohere",
}
