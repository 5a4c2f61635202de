"""The table of paths: what each one does, and in which dialect. Level 4.

People paste base URLs with and without `/v1`: both are served, `//` and `/v1/v1` are folded; model names in paths may hold
encoded or plain `/` and `:` (docs/contract.md §4).
"""

import re
from urllib.parse import unquote_to_bytes

import msgspec

from switchgear.dialects.dialect import ClientPath, Dialect
from switchgear.dialects.registry import DEFAULT, DIALECTS


class Endpoint(msgspec.Struct, frozen=True):
    """One served path."""

    name: str
    """The operation, as records and the table of local answers name it."""
    method: bytes
    operation: str | None = None
    """What is asked of a provider; None for what is answered here."""
    dialect: Dialect = DEFAULT
    path: str = ""
    """The path as records show it."""
    stream: bool | None = None
    """Whether the answer streams, where the path says it."""
    needs_key: bool = True
    compat: str = ""
    """The gateway whose route this is: served only where the configuration says `compat`."""


class PathMatch(msgspec.Struct, frozen=True):
    """A request target, read."""

    endpoint: Endpoint
    rest: str = ""
    """What stands after the path: a model's name, a response's id."""


def _endpoint(dialect: Dialect, path: ClientPath) -> Endpoint:
    return Endpoint(path.name, path.method.encode(), path.operation, dialect, path.path, path.stream)


_SERVED = [(path, _endpoint(dialect, path)) for dialect in DIALECTS for path in dialect.client_paths]
_TABLE: dict[bytes, Endpoint] = {path.path.encode(): endpoint for path, endpoint in _SERVED if "{" not in path.path} | {
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
_MODEL_LISTS = {
    dialect.models.root: (Endpoint("models", b"GET", dialect=dialect), Endpoint("model", b"GET", dialect=dialect))
    for dialect in DIALECTS
    if dialect.models.root
}
"""Roots below which the clients of one dialect ask for models → the list, and one model."""
_MODELS_BEFORE = rb"(?:/v1beta1?|/v1)?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/[^/]+)?"
"""What may stand before `/models/{model}:…` (Gemini API and Vertex AI API references)."""
_PARTS = {"{model}": rb"(.+)", "{id}": rb"(resp_[A-Za-z0-9_-]{1,250})"}


class _Template(msgspec.Struct, frozen=True):
    """Paths that have one part in common."""

    pattern: re.Pattern[bytes]
    endpoints: dict[bytes, Endpoint]
    """By what stands behind the part."""

    def match(self, path: bytes) -> PathMatch | None:
        """Read a path."""
        found = self.pattern.fullmatch(path)
        return None if found is None else PathMatch(self.endpoints[found.group(2)], _text(found.group(1)))


def _templates() -> dict[str, _Template]:
    """Return them by what stands before the part."""
    groups: dict[tuple[str, str], dict[bytes, Endpoint]] = {}
    for path, endpoint in _SERVED:
        for part in _PARTS:
            before, found, behind = path.path.partition(part)
            if found:
                groups.setdefault((before, part), {})[behind.encode()] = endpoint
    return {
        before: _Template(
            re.compile(
                (_MODELS_BEFORE if before == "/models/" else b"")
                + re.escape(before.encode())
                + _PARTS[part]
                + b"(%b)" % b"|".join(re.escape(behind) for behind in behinds)
            ),
            behinds,
        )
        for (before, part), behinds in groups.items()
    }


UPLOADS = frozenset({"image_edits", "image_variations", "transcriptions", "translations"})
"""Operations whose body is a multipart form."""
DELETES = "/responses/{id}"
"""The one path that takes DELETE besides GET."""
_PASSTHROUGH = Endpoint("passthrough", b"*", "passthrough", DEFAULT, "/passthrough")
PASSTHROUGH_METHODS = (b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS", b"PUT", b"PATCH")
"""What the parser lets in (wire.http_requests.METHODS); a key's rules say which of them it may send."""
_PASSTHROUGH_PATH = re.compile(rb"/passthrough/([a-z0-9][a-z0-9._-]{0,62}/[A-Za-z0-9._~%/-]*)")
_VERSIONS = re.compile(rb"(?:/v1)*(?=/)")
"""Clients are given a base URL with or without it, and add it, or not."""
_SLASHES = re.compile(rb"//+")
_AZURE = {path.path[1:].encode(): endpoint for path, endpoint in _SERVED if path.in_deployments}
_AZURE_PATH = re.compile(rb"/openai/deployments/(.+?)/(%b)" % b"|".join(_AZURE))


def find(target: bytes) -> PathMatch | None:
    """Return what a request target means, or None for a path that is not served."""
    path = target.partition(b"?")[0]
    endpoint = _AT_ONCE.get(path)
    if endpoint is not None:
        return PathMatch(endpoint)
    if b"//" in path:
        path = _SLASHES.sub(b"/", path)
    if len(path) > 1 and path.endswith(b"/"):
        path = path[:-1]
    if path.startswith(b"/openai/"):
        return _find_azure(path)
    if path.startswith(b"/passthrough/"):
        raw = _PASSTHROUGH_PATH.fullmatch(path)
        return PathMatch(_PASSTHROUGH, raw.group(1).decode("ascii")) if raw is not None else None
    found = _OF_MODELS.match(path)
    if found is not None:
        literal = _TABLE.get(path[path.rindex(b"/models/") :])
        return found if literal is None else PathMatch(literal)
    for root, (models, model) in _MODEL_LISTS.items():
        if path.startswith(root):
            path = path.partition(b"/models")[1] + path.partition(b"/models")[2]
            if path == b"/models":
                return PathMatch(models)
            return PathMatch(model, _text(path[8:])) if path.startswith(b"/models/") else None
    path = path[_VERSIONS.match(path).end() :] if path.startswith(b"/v1/") else path  # type: ignore[union-attr]
    if path == b"/v1":
        path = b"/"
    endpoint = _TABLE.get(path)
    if endpoint is not None:
        return PathMatch(endpoint)
    return _find_more(path)


def _find_more(path: bytes) -> PathMatch | None:
    if path.startswith(b"/models/"):
        return PathMatch(_MODEL, _text(path[8:]))
    if path.startswith(b"/connect/"):
        return PathMatch(_CONNECT, _text(path[9:]))
    if path in _LITELLM:
        return PathMatch(_LITELLM[path])
    found = _ENGINES_PATH.fullmatch(path)
    if found is not None:  # OpenAI's oldest shape, with the model in the path
        return PathMatch(_AZURE[found.group(2)], _text(found.group(1)))
    return next((match for template in _OTHERS if (match := template.match(path)) is not None), None)


def _find_azure(path: bytes) -> PathMatch | None:
    """Azure's two shapes: `/openai/deployments/{model}/…` with the model in the path, `/openai/v1/…` and
    `/openai/responses` as OpenAI's own."""
    found = _AZURE_PATH.fullmatch(path)
    if found is not None:
        endpoint = _AZURE.get(found.group(2))
        return PathMatch(endpoint, _text(found.group(1))) if endpoint is not None else None
    path = path[7:]
    path = path[_VERSIONS.match(path).end() :] if path.startswith(b"/v1/") else path  # type: ignore[union-attr]
    endpoint = _TABLE.get(path)
    if endpoint is not None:
        return PathMatch(endpoint)
    return _find_more(path) if path.startswith((b"/models/", b"/responses/")) else None


def _text(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")


_AT_ONCE = _TABLE | {b"/v1" + path: endpoint for path, endpoint in _TABLE.items() if path != b"/"}
"""As nearly everybody spells them."""
_TEMPLATES = _templates()
_OF_MODELS = _TEMPLATES.pop("/models/")
_OTHERS = tuple(_TEMPLATES.values())


def dialect_of(target: bytes, headers: dict[bytes, bytes]) -> Dialect:
    """Return the dialect in which whoever asks for a target reads errors, also for a path that is not served and a head that was
    not understood: by the path, by its beginning, by a header that only one dialect's clients send; else OpenAI's."""
    match = find(target)
    if match is not None:
        return match.endpoint.dialect
    path = _SLASHES.sub(b"/", target.partition(b"?")[0])
    while path.startswith(b"/v1/"):
        path = path[3:]
    for dialect in DIALECTS:
        if dialect.known_path is not None and dialect.known_path.match(path):
            return dialect
    return _by_header(headers)


def _by_header(headers: dict[bytes, bytes]) -> Dialect:
    return next((dialect for dialect in DIALECTS if dialect.known_header and dialect.known_header in headers), DEFAULT)


def lister_of(endpoint: Endpoint, target: bytes, headers: dict[bytes, bytes]) -> Dialect:
    """Return the dialect whose list of models a client reads: SDKs of several dialects ask for `/v1/models`."""
    if endpoint.dialect is not DEFAULT:
        return endpoint.dialect
    if (dialect := _by_header(headers)) is not DEFAULT:
        return dialect
    asked = (row for row in DIALECTS if row.models.query and query(target, row.models.query) is not None)
    return next(asked, DEFAULT)


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
