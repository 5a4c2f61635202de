"""The table of paths: what each one does, and in which dialect. Level 4.

People paste base URLs with and without `/v1`: both are served, `//` and `/v1/v1` are folded; model names in paths may hold
encoded or plain `/` and `:` (docs/contract.md §4).
"""

import re
from urllib.parse import unquote_to_bytes

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """One served path."""

    name: str
    """The operation, as records and the table of local answers name it."""
    method: bytes
    operation: str | None = None
    """What is asked of a provider (`dialects.request.SHAPES`); None for what is answered here."""
    dialect: str = "openai"
    path: str = ""
    """The path as records show it."""
    stream: bool | None = None
    """Whether the answer streams, where the path says it."""
    needs_key: bool = True
    compat: str = ""
    """The gateway whose route this is: served only where the configuration says `compat`."""


class Match(msgspec.Struct, frozen=True):
    """A request target, read."""

    endpoint: Endpoint
    rest: str = ""
    """What stands after the path: a model's name, a response's id."""


def _post(path: str, operation: str, dialect: str = "openai", name: str | None = None) -> tuple[bytes, Endpoint]:
    return path.encode(), Endpoint(name or operation, b"POST", operation, dialect, path)


_TABLE: dict[bytes, Endpoint] = dict(
    [
        _post("/chat/completions", "chat"),
        _post("/completions", "completions"),
        _post("/embeddings", "embeddings"),
        _post("/images/generations", "images"),
        _post("/images/edits", "image_edits"),
        _post("/images/variations", "image_variations"),
        _post("/audio/speech", "speech"),
        _post("/audio/transcriptions", "transcriptions"),
        _post("/audio/translations", "translations"),
        _post("/moderations", "moderations"),
        _post("/rerank", "rerank"),
        _post("/responses", "chat", "responses", "responses"),
        _post("/responses/compact", "compact", "responses"),
        _post("/responses/input_tokens", "count_tokens", "responses"),
        _post("/messages", "chat", "anthropic", "messages"),
        _post("/messages/count_tokens", "count_tokens", "anthropic"),
        _post("/v2/chat", "chat", "cohere"),
        _post("/v2/embed", "embeddings", "cohere"),
        _post("/v2/rerank", "rerank", "cohere"),
    ]
) | {
    b"/models": Endpoint("models", b"GET"),
    b"/key": Endpoint("key", b"GET"),
    b"/healthz": Endpoint("healthz", b"GET", needs_key=False),
    b"/health": Endpoint("healthz", b"GET", needs_key=False),
    b"/readyz": Endpoint("readyz", b"GET", needs_key=False),
    b"/ready": Endpoint("readyz", b"GET", needs_key=False),
    b"/": Endpoint("root", b"GET", needs_key=False),
}
# LiteLLM's own routes, as far as clients and scripts read them (its documentation, read 2026-11); docs/litellm.md.
_LITELLM: dict[bytes, Endpoint] = {
    b"/health/liveliness": Endpoint("alive", b"GET", needs_key=False, compat="litellm"),
    b"/health/liveness": Endpoint("alive", b"GET", needs_key=False, compat="litellm"),
    b"/health/readiness": Endpoint("readiness", b"GET", needs_key=False, compat="litellm"),
    b"/key/info": Endpoint("key_info", b"GET", compat="litellm"),
    b"/model/info": Endpoint("model_info", b"GET", compat="litellm"),
}
_ENGINES_PATH = re.compile(rb"/engines/(.+?)/(chat/completions|completions|embeddings)")
_MODEL = Endpoint("model", b"GET")
_CONNECT = Endpoint("connect", b"GET", needs_key=False)
_GEMINI_MODELS = Endpoint("models", b"GET", dialect="gemini")
_GEMINI_MODEL = Endpoint("model", b"GET", dialect="gemini")
_GEMINI: dict[bytes, Endpoint] = {
    b"generateContent": Endpoint(
        "generateContent", b"POST", "chat", "gemini", "/models/{model}:generateContent", False
    ),
    b"streamGenerateContent": Endpoint(
        "streamGenerateContent", b"POST", "chat", "gemini", "/models/{model}:streamGenerateContent", True
    ),
    b"countTokens": Endpoint("count_tokens", b"POST", "count_tokens", "gemini", "/models/{model}:countTokens", False),
    b"embedContent": Endpoint("embeddings", b"POST", "embeddings", "gemini", "/models/{model}:embedContent", False),
    b"batchEmbedContents": Endpoint(
        "embeddings", b"POST", "embeddings_batch", "gemini", "/models/{model}:batchEmbedContents", False
    ),
    b"rawPredict": Endpoint("messages", b"POST", "chat", "anthropic", "/models/{model}:rawPredict", False),
    b"streamRawPredict": Endpoint("messages", b"POST", "chat", "anthropic", "/models/{model}:streamRawPredict", True),
}
_BEDROCK: dict[bytes, Endpoint] = {
    b"converse": Endpoint("converse", b"POST", "chat", "bedrock", "/model/{model}/converse", False),
    b"converse-stream": Endpoint("converse", b"POST", "chat", "bedrock", "/model/{model}/converse-stream", True),
    b"invoke": Endpoint("invoke", b"POST", "invoke", "bedrock", "/model/{model}/invoke", False),
    b"invoke-with-response-stream": Endpoint(
        "invoke", b"POST", "invoke", "bedrock", "/model/{model}/invoke-with-response-stream", True
    ),
    b"count-tokens": Endpoint("count_tokens", b"POST", "count_tokens", "bedrock", "/model/{model}/count-tokens", False),
}
_AZURE: dict[bytes, Endpoint] = {
    b"chat/completions": _TABLE[b"/chat/completions"],
    b"completions": _TABLE[b"/completions"],
    b"embeddings": _TABLE[b"/embeddings"],
    b"images/generations": _TABLE[b"/images/generations"],
    b"images/edits": _TABLE[b"/images/edits"],
    b"audio/speech": _TABLE[b"/audio/speech"],
    b"audio/transcriptions": _TABLE[b"/audio/transcriptions"],
    b"audio/translations": _TABLE[b"/audio/translations"],
}
UPLOADS = frozenset({"image_edits", "image_variations", "transcriptions", "translations"})
"""Operations whose body is a multipart form."""
# Below a stored response's id.
_STORED: dict[bytes | None, Endpoint] = {
    None: Endpoint("response", b"GET", "stored", "responses", "/responses/{id}"),
    b"input_items": Endpoint("response", b"GET", "stored_items", "responses", "/responses/{id}/input_items"),
    b"cancel": Endpoint("response", b"POST", "stored_cancel", "responses", "/responses/{id}/cancel"),
}
DELETES = "/responses/{id}"
"""The one path that takes DELETE besides GET."""
_RESPONSE_PATH = re.compile(rb"/responses/(resp_[A-Za-z0-9_-]{1,250})(?:/(cancel|input_items))?")
_PASSTHROUGH = Endpoint("passthrough", b"*", "passthrough", "openai", "/passthrough")
PASSTHROUGH_METHODS = (b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS", b"PUT", b"PATCH")
"""What the parser lets in (wire.http1.METHODS); a key's rules say which of them it may send."""
_PASSTHROUGH_PATH = re.compile(rb"/passthrough/([a-z0-9][a-z0-9._-]{0,62}/[A-Za-z0-9._~%/-]*)")
_VERSIONS = re.compile(rb"(?:/v1)*(?=/)")
"""Clients are given a base URL with or without it, and add it, or not."""
_SLASHES = re.compile(rb"//+")
_GEMINI_PATH = re.compile(
    rb"(?:/v1beta1?|/v1)?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/[^/]+)?/models/(.+):([A-Za-z]+)"
)
_BEDROCK_PATH = re.compile(rb"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)")
_AZURE_PATH = re.compile(rb"/openai/deployments/(.+?)/(%b)" % b"|".join(_AZURE))


def find(target: bytes) -> Match | None:
    """Return what a request target means, or None for a path that is not served."""
    path = target.partition(b"?")[0]
    if b"//" in path:
        path = _SLASHES.sub(b"/", path)
    if len(path) > 1 and path.endswith(b"/"):
        path = path[:-1]
    if path.startswith(b"/openai/"):
        return _find_azure(path)
    if path.startswith(b"/passthrough/"):
        raw = _PASSTHROUGH_PATH.fullmatch(path)
        return Match(_PASSTHROUGH, raw.group(1).decode("ascii")) if raw is not None else None
    is_beta = path.startswith(b"/v1beta")
    found = _GEMINI_PATH.fullmatch(path)
    if found is not None and found.group(2) in _GEMINI:
        return Match(_GEMINI[found.group(2)], _text(found.group(1)))
    if is_beta:
        path = path.partition(b"/models")[1] + path.partition(b"/models")[2]
        if path == b"/models":
            return Match(_GEMINI_MODELS)
        return Match(_GEMINI_MODEL, _text(path[8:])) if path.startswith(b"/models/") else None
    path = path[_VERSIONS.match(path).end() :] if path.startswith(b"/v1/") else path  # type: ignore[union-attr]
    if path == b"/v1":
        path = b"/"
    endpoint = _TABLE.get(path)
    if endpoint is not None:
        return Match(endpoint)
    return _find_more(path)


def _find_more(path: bytes) -> Match | None:
    if path.startswith(b"/models/"):
        return Match(_MODEL, _text(path[8:]))
    if path.startswith(b"/connect/"):
        return Match(_CONNECT, _text(path[9:]))
    if path in _LITELLM:
        return Match(_LITELLM[path])
    found = _ENGINES_PATH.fullmatch(path)
    if found is not None:  # OpenAI's oldest shape, with the model in the path
        return Match(_AZURE[found.group(2)], _text(found.group(1)))
    found = _BEDROCK_PATH.fullmatch(path)
    if found is not None:
        return Match(_BEDROCK[found.group(2)], _text(found.group(1)))
    found = _RESPONSE_PATH.fullmatch(path)
    if found is not None:
        return Match(_STORED[found.group(2)], _text(found.group(1)))
    return None


def _find_azure(path: bytes) -> Match | None:
    """Azure's two shapes: `/openai/deployments/{model}/…` with the model in the path, `/openai/v1/…` and
    `/openai/responses` as OpenAI's own."""
    found = _AZURE_PATH.fullmatch(path)
    if found is not None:
        endpoint = _AZURE.get(found.group(2))
        return Match(endpoint, _text(found.group(1))) if endpoint is not None else None
    path = path[7:]
    path = path[_VERSIONS.match(path).end() :] if path.startswith(b"/v1/") else path  # type: ignore[union-attr]
    endpoint = _TABLE.get(path)
    if endpoint is not None:
        return Match(endpoint)
    return _find_more(path) if path.startswith((b"/models/", b"/responses/")) else None


def _text(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")


_DIALECT_PREFIXES = (
    (b"/v1beta", "gemini"),
    (b"/model/", "bedrock"),
    (b"/messages", "anthropic"),
    (b"/v2/", "cohere"),
    (b"/responses", "responses"),
)
_DIALECT_HEADERS = ((b"anthropic-version", "anthropic"), (b"x-goog-api-key", "gemini"))


def dialect_of(target: bytes, headers: dict[bytes, bytes]) -> str:
    """Return the dialect in which whoever asks for a target reads errors, also for a path that is not served and a head that was
    not understood: by the path, by its beginning, by a header that only one dialect's clients send; else OpenAI's."""
    match = find(target)
    if match is not None:
        return match.endpoint.dialect
    path = _SLASHES.sub(b"/", target.partition(b"?")[0])
    found = _GEMINI_PATH.fullmatch(path)
    if found is not None:
        return "gemini"
    while path.startswith(b"/v1/"):
        path = path[3:]
    for prefix, dialect in _DIALECT_PREFIXES:
        if path.startswith(prefix):
            return dialect
    return next((dialect for name, dialect in _DIALECT_HEADERS if name in headers), "openai")


def methods(endpoint: Endpoint) -> tuple[bytes, ...]:
    """Return the methods that a path takes."""
    if endpoint.method == b"*":
        return PASSTHROUGH_METHODS
    if endpoint.path == DELETES:
        return (b"GET", b"DELETE")
    return (b"GET", b"HEAD") if endpoint.method == b"GET" else (endpoint.method,)


def methods_of(target: bytes) -> tuple[bytes, ...]:
    """Return the methods that a target's path takes; none for a path that is not served."""
    match = find(target)
    return methods(match.endpoint) if match is not None else ()


def query(target: bytes, name: bytes) -> bytes | None:
    """Return a query parameter's value, decoded; None when it is absent."""
    for pair in target.partition(b"?")[2].split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None
