"""Gemini's generateContent: the dialect's row. Level 1."""

import re
from typing import Any

from switchgear.dialects import references
from switchgear.dialects.answer_metadata import plain_reader
from switchgear.dialects.dialect import (
    ASK_WEATHER,
    WEATHER,
    BodyRules,
    ClientPath,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    ModelList,
    Operation,
    Translator,
)
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import Rules
from switchgear.dialects.gemini import carried
from switchgear.dialects.gemini.answers import decode_answer, encode_answer
from switchgear.dialects.gemini.embeddings import EMBEDDER
from switchgear.dialects.gemini.requests import decode_request, encode_request
from switchgear.dialects.gemini.streams import StreamDecoder, StreamEncoder
from switchgear.dialects.gemini.tap import TAP_RULES, read_answer
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.taps import SseTap

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
_ASK = {"contents": [{"role": "user", "parts": [{"text": ASK_WEATHER}]}], "tools": [_WEATHER_TOOL]}


ROW = Dialect(
    name="gemini",
    errors=ErrorShape(
        _error_body,
        lambda fault, body, number: b"data: %b\r\n\r\n" % body,
        too_long=(
            "input token count",
            "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({limit}).",
            "",
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
    cleaned=carried.of_contents,
    open_tap=lambda request: SseTap(TAP_RULES),
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(
        error_results=True,
        user_turn=True,
        user_first=True,  # "function call turn comes immediately after a user turn or after a function response turn"
        name_chars="a-zA-Z0-9_.:-",
        name_starts_with_letter=True,
        tool_schemas=False,
        stop_max=5,
    ),
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
        tool_call=Example(
            "/v1beta/models/{model}:generateContent",
            _ASK,
            '"weather"',
        ),
        token_count=Example("/v1beta/models/{model}:countTokens", _HELLO, "totalTokens"),
    ),
)
