"""Whether a provider would take a request: its SDK's types, then its rules. Level 5."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from switchgear.testing.twins import rules
from switchgear.testing.twins.by_provider import BY_PROVIDER, MAKERS, OTHER, Provider
from switchgear.testing.twins.finding import Finding


class Refusal(NamedTuple):
    """What the provider answers instead."""

    status: int
    body: dict[str, Any]
    rule: str
    """The id of the rule, or `types` for the SDK's own."""
    headers: tuple[tuple[str, str], ...] = ()


def judge(dialect: str, model: str, body: bytes) -> Refusal | None:
    """Return why the maker of a dialect refuses a request body, or None. `model` is the upstream's name, from the body or the
    path."""
    return judge_at(MAKERS[dialect], dialect, model, body)


def judge_at(provider: str, dialect: str, model: str, body: bytes) -> Refusal | None:
    """Return why a provider refuses a request body, or None."""
    own = BY_PROVIDER.get(provider, OTHER)
    try:
        value = json.loads(body)
    except ValueError:
        return _refusal(own, dialect, Finding("json", "We could not parse the JSON body of your request."))
    if not isinstance(value, dict):
        return _refusal(own, dialect, Finding("json", "expected an object"))
    is_like_maker = own.like_maker or dialect not in {"openai", "responses"}
    checks = (rules.RULES if is_like_maker else rules.COMPATIBLE)[dialect]
    in_path = provider == "vertex-anthropic"  # its model stands in the path, its version in the body
    for check in () if own.takes_more else (_TYPES[dialect],):
        known = {key: item for key, item in value.items() if key != "anthropic_version"} | {"model": model}
        finding = check(known if in_path else value, model)
        if finding is not None:
            return _refusal(own, dialect, finding)
    for rule in (*checks, *own.rules):
        finding = rule(value, model)
        if finding is not None:
            return _refusal(own, dialect, finding)
    return None


def _refusal(own: Provider, dialect: str, finding: Finding) -> Refusal:
    body = own.error(finding) if own.error is not None else error_body(dialect, 400, finding.text)
    headers = (("x-amzn-errortype", "ValidationException"),) if dialect == "bedrock" else ()
    status = own.status if finding.rule == "mistral-fields" or own.status == 400 else 400
    return Refusal(status, body, finding.rule, headers)


def error_body(dialect: str, status: int, text: str) -> dict[str, Any]:
    """Return an error as the makers of a dialect say it: the shapes are those of recorded errors and of the API references."""
    if dialect == "anthropic":
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
        error = {"type": kinds.get(status, "invalid_request_error"), "message": text}
        return {"type": "error", "error": error, "request_id": "req_twin"}
    if dialect == "gemini":
        kinds = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
        return {"error": {"code": status, "message": text, "status": kinds.get(status, "INVALID_ARGUMENT")}}
    if dialect == "bedrock":
        return {"message": text}
    if dialect == "cohere":
        return {"id": "twin", "message": text}
    return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}}


# The SDKs' own types


_OLDER = frozenset({"temperature", "top_p", "top_k"})
"""What older models still take and the newest SDKs no longer offer; the rules judge it by model."""


def _typed(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a provider's types are asked about: without what they leave out and the provider takes all the same."""
    kept = {key: value for key, value in body.items() if key not in _OLDER}
    if name == "openai" and isinstance(kept.get("messages"), list):
        # OpenAI's own guide gave a tool's message its function's `name` ("Function calling", repeated at
        # community.openai.com/t/591242, read 2026-11-27), and LangChain.js does to this day
        kept["messages"] = [
            {key: item for key, item in message.items() if key != "name"} if _is_of_tool(message) else message
            for message in kept["messages"]
        ]
    if name == "responses" and isinstance(kept.get("input"), list):
        # Codex sends reasoning without ids (openai/codex, `ResponseItem::Reasoning`: its id is skipped)
        kept["input"] = [
            {"id": "rs_1", **item} if isinstance(item, dict) and item.get("type") == "reasoning" else item
            for item in kept["input"]
        ]
    return kept


def _is_of_tool(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "tool"


def _pydantic(name: str) -> Callable[[dict[str, Any], str], Finding | None]:
    def check(body: dict[str, Any], model: str) -> Finding | None:
        import pydantic

        try:
            _adapter(name).validate_python(_typed(name, body))
        except pydantic.ValidationError as exc:
            return Finding("types", _clearest(exc, body))
        return None

    return check


@cache
def _adapter(name: str) -> Any:
    from switchgear.testing.twins.sdk_types import Strict

    strict = Strict(nulls=name != "anthropic")  # recorded: OpenAI takes null for what is left out
    if name == "openai":
        from openai.types.chat.completion_create_params import CompletionCreateParams as Chat

        return strict.adapter(Chat)
    if name == "responses":
        from openai.types.responses.response_create_params import ResponseCreateParams

        return strict.adapter(ResponseCreateParams)
    from anthropic.types.beta.message_create_params import MessageCreateParams

    return strict.adapter(MessageCreateParams)


def _clearest(exc: Any, body: dict[str, Any]) -> str:
    """The deepest complaint says most: unions complain once for each of their members."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    known = [error for error in errors if error["type"] == "extra_forbidden"] or errors
    deepest = max(known, key=lambda error: len(error["loc"]))
    place = ".".join(
        str(step) for step in deepest["loc"] if isinstance(step, int) or re.fullmatch(r"[a-z_]+", str(step))
    )
    return f"{place}: {deepest['msg']}"[:500]


def _gemini(body: dict[str, Any], model: str) -> Finding | None:
    import pydantic
    from google.genai import types

    config = {key: value for key, value in body.items() if key not in _GEMINI_REQUEST}
    for key in config:
        return Finding("types", f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    try:
        for content in body.get("contents") or []:
            types.Content.model_validate(content)
        if "systemInstruction" in body:
            types.Content.model_validate(body["systemInstruction"])
        tools = body.get("tools") or []
        for tool in tools if isinstance(tools, list) else [tools]:  # recorded: one tool needs no list
            types.Tool.model_validate(tool)
        types.GenerationConfig.model_validate(body.get("generationConfig") or {})
        if "toolConfig" in body:
            types.ToolConfig.model_validate(body["toolConfig"])
    except pydantic.ValidationError as exc:
        return Finding("types", f"Invalid JSON payload received. {_clearest(exc, body)}")
    return None


# GenerateContentRequest, ai.google.dev/api/generate-content; the fields that the SDK writes beside its config (`models.py`)
_GEMINI_REQUEST = frozenset(
    {
        "contents",
        "tools",
        "toolConfig",
        "safetySettings",
        "systemInstruction",
        "generationConfig",
        "cachedContent",
        "labels",
        "serviceTier",
        "store",
        "modelArmorConfig",
    }
)


def _bedrock(body: dict[str, Any], model: str) -> Finding | None:
    import botocore.validate

    shape = _bedrock_shape()
    given = _bytes_of({**body, "modelId": model}, shape)
    report = botocore.validate.ParamValidator().validate(given, shape)
    if report.has_errors():
        return Finding("types", report.generate_report()[:500])
    for place, text in _unfit(given, shape, ""):
        return Finding("types", f"1 validation error detected: Value at '{place}' failed to satisfy constraint: {text}")
    unknown = set(body) - set(shape.members)
    if unknown:
        return Finding("types", f"Malformed input request: #: extraneous key [{min(unknown)}] is not permitted")
    return None


@cache
def _bedrock_shape() -> Any:
    import botocore.session

    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    return service.operation_model("Converse").input_shape


def _unfit(value: Any, shape: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield what the service refuses and botocore's validator lets through: lengths, patterns and words of its own model."""
    if shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "document", False):
        for key, item in value.items():
            yield from _unfit(item, shape.members[key], f"{place}.{key}".lstrip(".")) if key in shape.members else ()
    elif shape.type_name == "list" and isinstance(value, list):
        for at, item in enumerate(value, 1):
            yield from _unfit(item, shape.member, f"{place}.{at}.member")
    elif shape.type_name == "string" and isinstance(value, str):
        limits = shape.metadata
        if len(value) > limits.get("max", len(value)):
            yield place, f"Member must have length less than or equal to {limits['max']}"
        if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
            yield place, f"Member must satisfy regular expression pattern: {limits['pattern']}"
        # A recorded answer has another type of toolUse than the model's only one, and clients send answers back.
        if getattr(shape, "enum", None) and value not in shape.enum and shape.name != "ToolUseType":
            yield place, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _bytes_of(value: Any, shape: Any) -> Any:
    """Blobs stand in JSON as base64; botocore's validator wants bytes."""
    if shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "document", False):
        return {
            key: _bytes_of(item, shape.members[key]) if key in shape.members else item for key, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_bytes_of(item, shape.member) for item in value]
    if shape.type_name == "blob" and isinstance(value, str):
        return value.encode()
    return value


def _cohere(body: dict[str, Any], model: str) -> Finding | None:
    unknown = set(body) - _COHERE_REQUEST
    return Finding("types", f"unknown field: parameter '{min(unknown)}' is not a valid field") if unknown else None


# The parameters of the SDK's `ClientV2.chat` (cohere 7.3), read 2026-11-27
_COHERE_REQUEST = frozenset(
    {
        "stream",
        "model",
        "messages",
        "tools",
        "documents",
        "citation_options",
        "response_format",
        "safety_mode",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "k",
        "p",
        "logprobs",
        "tool_choice",
        "thinking",
        "priority",
        "strict_tools",
    }
)
_TYPES: dict[str, Callable[[dict[str, Any], str], Finding | None]] = {
    "openai": _pydantic("openai"),
    "responses": _pydantic("responses"),
    "anthropic": _pydantic("anthropic"),
    "gemini": _gemini,
    "bedrock": _bedrock,
    "cohere": _cohere,
}
