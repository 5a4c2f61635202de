"""Stage: a raw path of a provider, for what has no place in the table of paths. Level 4.

Off unless both the key and the provider's sealed credential name the method and path. The body passes as it is, is not sent
twice, and its cost is read where the answer shows usage. What it asks for is judged wherever a server may read it: a model in the
path, the query, JSON, a form; ids of stored things in all of them. What can be read in two ways is refused.
"""

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

import msgspec

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps, finish
from switchgear.dialects import forms, json_guard, raw_references, references
from switchgear.dialects.forms import Form
from switchgear.dialects.json_node import LARGE_BYTES, InvalidBodyError, check_size
from switchgear.dialects.references import Reference
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request
from switchgear.edge.context import RequestContext
from switchgear.edge.resolver import Resolution, Resolver
from switchgear.policies import access, passthrough
from switchgear.routing.table import Deployment, Route, Timeouts

SECRETS = frozenset({"key", "api_key", "api-key", "apikey", "access_token"})
"""Query parameters that never go on: a client's own key may stand there (docs/invariants.md H5)."""
DECODINGS_MAX = 3
"""How often a parameter's name may be escaped; further ones are refused."""
LINES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")
OPAQUE = ("audio/", "image/", "video/", *LINES)
"""Kinds of bodies that may begin as JSON does and be none."""
MODEL_SEGMENTS = frozenset({"models", "model", "deployments", "engines", "tunedmodels", "endpoints"})
"""Parts of a path behind which a model's name stands, in small letters."""
_READ = frozenset({"model", "stream"})
FORM_BYTES_MAX = 262_144
"""Of an urlencoded form: reading it takes 70 ms a megabyte, and what is large is sent otherwise."""
HOLDERS = frozenset(
    {
        "requests",
        "request",
        "params",
        "body",
        "session",
        "response",
        "generateContentRequest",
        "generate_content_request",
    }
)
"""Keys of a body below which a server reads a request, with a model of its own: batches, sessions, counts of tokens."""
HOLDERS_DEEP = 4
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class _Body(msgspec.Struct):
    """What a body says."""

    models: list[str] = []
    stream: bool = False
    references: list[Reference] = []


def read(context: RequestContext) -> Problem | Steps[Problem | None] | None:
    """Fill `context.request`; in steps where the body is large."""
    steps = _read(context)
    return steps if len(context.body) >= LARGE_BYTES else finish(steps)


def _read(context: RequestContext) -> Steps[Problem | None]:
    head = context.exchange.head
    _, _, path = context.path_argument.partition("/")
    text = head.target.partition(b"?")[2].decode("ascii", "replace")
    pairs = [pair for pair in text.split("&") if pair]
    names = [_decoded(pair.partition("=")[0]) for pair in pairs]
    kept = [
        (name, pair) for name, pair in zip(names, pairs, strict=True) if name is None or name.lower() not in SECRETS
    ]
    query = "&".join(pair for _, pair in kept)
    if None in names or not passthrough.is_plain("/" + path, query):
        return Problem(problems.BAD_HTTP, "the path or query has characters that are not passed on")
    kind = head.headers.get(b"content-type", b"")
    try:
        found = yield from _read_body(kind, context.body)
        found.models += _models_of_path(path)
        found.models += [
            unquote_plus(pair.partition("=")[2])
            for name, pair in kept
            if name and _is_model(raw_references.plain_key(name))
        ]
        asked = [
            {raw_references.plain_key(unquote_plus(name or "")): unquote_plus(pair.partition("=")[2])}
            for name, pair in kept
        ]
        found.references += raw_references.find_anywhere(asked)
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    models = list(dict.fromkeys(found.models))
    if len(models) > 1:
        return Problem(problems.INVALID_BODY, "the request names more than one model", "model")
    request = Request(
        {}, context.endpoint.dialect.name, "passthrough", models[0] if models else "", found.stream, asked_usage=True
    )
    request.refers_to = request.model  # `resolve` puts the provider's name before it
    request.method = head.method.decode("ascii")
    request.stored_path = f"/{path}" + (f"?{query}" if query else "")
    request.form = Form(kind or b"application/octet-stream", context.body, {}, (0, 0))
    request.references = found.references
    context.request = request
    context.body = b""
    return None


def _decoded(name: str) -> str | None:
    """Return a parameter's name as whoever decodes it, once or more often, reads it; None for one that never ends."""
    for _ in range(DECODINGS_MAX):
        plain = unquote(name)
        if plain == name:
            return plain
        name = plain
    return None


def _is_model(name: str) -> bool:
    return json_guard.fold(name) == "model"


def _models_of_path(path: str) -> Iterator[str]:
    segments = [unquote(segment) for segment in path.split("/")]
    for before, segment in itertools.pairwise(segments):
        if before.lower() in MODEL_SEGMENTS and segment:
            yield segment.partition(":")[0]


def _read_body(content_type: bytes, body: bytes) -> Steps[_Body]:
    """Read what a body of any kind asks for. Raises InvalidBodyError for what can be read in two ways."""
    kind = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if not body:
        return _Body()
    if kind.startswith("multipart/"):
        if kind != "multipart/form-data":
            raise InvalidBodyError("of multipart bodies only forms are passed on")
        form = forms.parse(content_type, body, needs_model=False)
        return _of_texts(list(form.texts.items()))
    if kind == "application/x-www-form-urlencoded":
        return _of_form(body)
    start = body[:64]
    if start.startswith(_WIDE) or (b"\x00" in start[:4] and start.replace(b"\x00", b"").lstrip()[:1] in {b"{", b"["}):
        raise InvalidBodyError("JSON is sent as UTF-8")
    if kind in LINES:
        body = body.lstrip().partition(b"\n")[0]  # readers that do not mind the kind take the first value
    elif body.lstrip()[:2] in {b"//", b"/*"} and not kind.startswith(OPAQUE):
        raise InvalidBodyError("JSON has no comments")
    begins_as_json = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}
    if not begins_as_json and "json" not in kind:
        return _Body()
    try:
        if len(body) < LARGE_BYTES:
            json_guard.check_depth(body)
        else:
            scan = yield from json_guard.scan_steps(body)
            check_size(scan, "a body")
            yield
        value = references.load(body)
        yield
    except references.RepeatedKeyError as exc:
        raise InvalidBodyError(f"the key {str(exc)[:64]!r} stands twice") from None
    except InvalidBodyError:
        raise
    except (json_guard.JsonRefusedError, ValueError, RecursionError) as exc:
        if kind.startswith(OPAQUE):
            return _Body()
        reason = str(exc) if isinstance(exc, json_guard.JsonRefusedError) else "it begins as JSON does"
        raise InvalidBodyError(f"the body is not JSON: {reason}") from None
    return _of_json(value)


def _of_json(value: Any) -> _Body:
    found = _Body(references=raw_references.find_anywhere(value))
    for part in _parts(value, 0):
        try:
            json_guard.check_names(part, _READ)
        except json_guard.JsonRefusedError as exc:
            raise InvalidBodyError(str(exc)) from None
        model = part.get("model")
        if model is not None:
            if not isinstance(model, str) or not 0 < len(model) <= 512:
                raise InvalidBodyError("the model's name must be a string of 1 to 512 characters", "model")
            found.models.append(model)
        found.stream = found.stream or part.get("stream") is True
    found.models = list(dict.fromkeys(found.models))
    return found


def _parts(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects of a body that may name a model."""
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, dict):
            yield part
            if depth < HOLDERS_DEEP:
                for key in HOLDERS & part.keys():
                    yield from _parts(part[key], depth + 1)


def _of_form(body: bytes) -> _Body:
    if len(body) > FORM_BYTES_MAX:
        raise InvalidBodyError(f"an urlencoded form may have {FORM_BYTES_MAX} bytes; send JSON, or a multipart form")
    try:
        text = body.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=1_000, errors="strict")
    except ValueError:
        raise InvalidBodyError("the body is no urlencoded form") from None
    if ";" in text:
        raise InvalidBodyError("fields are separated by `&`")
    return _of_texts(fields)


def _of_texts(fields: list[tuple[str, str]]) -> _Body:
    found = _Body(
        references=raw_references.find_anywhere([{raw_references.plain_key(name): value} for name, value in fields])
    )
    for name, value in fields:
        if name != "model" and (_is_model(name) or _is_model(raw_references.plain_key(name))):
            raise InvalidBodyError(f"the key {name[:64]!r} can be read in two ways: spell it 'model'")
        if name == "model":
            found.models.append(value)
        found.stream = found.stream or (name == "stream" and value == "true")
    if [name for name, _ in fields].count("model") > 1:
        raise InvalidBodyError("the field 'model' stands twice", "model")
    return found


def resolve(resolver: Resolver, context: RequestContext) -> Resolution:
    """Return where a raw path may go: to each credential where it names something stored, else to the first."""
    snapshot, key, request = context.snapshot, context.key, context.request
    assert snapshot is not None
    assert key is not None
    assert request is not None
    name = context.path_argument.partition("/")[0]
    path = request.stored_path.partition("?")[0]
    entry = resolver.table_of(snapshot, key).providers.get(name)
    if (
        entry is None
        or not entry.credentials
        or not passthrough.may_pass(key.passthrough_lists, name, request.method, path)
    ):
        text = f"this key may not use {request.method} {path[:128]} of {name!r} directly; an admin can allow it"
        return Resolution(context.now_ms, None, (), Problem(problems.FORBIDDEN, text))
    asked = request.refers_to or ""
    model = f"{name}/{asked}" if asked else name
    if asked and not access.may_call_all(model, key.model_lists):
        return Resolution(context.now_ms, None, (), access.model_not_found(model, []))
    names_things = BY_NAME[entry.dialects[0]].paths_name_things
    request.references = list(
        dict.fromkeys([*request.references, *raw_references.find_in_path(unquote(path), names_things)])
    )
    deployments = tuple(
        Deployment(entry, credential, asked or name, None, Timeouts(), labels=entry.labels)
        for credential in (entry.credentials if request.references else entry.credentials[:1])
    )
    request.dialect, request.model = entry.dialects[0], model
    resolution = resolver.resolve_one(snapshot, Route(model, deployments, 0), context.now_ms, key.require)
    return resolver.with_limits(snapshot, key, resolution)
