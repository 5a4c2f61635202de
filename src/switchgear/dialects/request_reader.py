"""Reads what the pipeline has to know of a request's body, in every dialect, without translating it. Level 1.

Bodies are decoded one level (`dict[str, Raw]`): the few keys that policy changes are replaced, the rest stays
byte-identical, duplicate keys collapse, so what was judged is what is sent (docs/design.md §2).
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, finish
from switchgear.core.usage import TOKENS_MAX
from switchgear.dialects import forms, json_guard, references
from switchgear.dialects.dialect import BodyRules
from switchgear.dialects.json_guard import Scan
from switchgear.dialects.json_node import LARGE_BYTES, InvalidBodyError, check_size, encode
from switchgear.dialects.nested_model import check_nested
from switchgear.dialects.registry import BY_NAME, DEFAULT
from switchgear.dialects.request import Request

T = TypeVar("T")

JUDGED_BYTES_MAX = 1_048_576
"""What is read of an object for policy: metadata and the like."""

_decode_body = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_bool = msgspec.json.Decoder(bool | None).decode
_decode_int = msgspec.json.Decoder(int | None).decode

# What is decoded to be judged; none of it is large in an honest body.
_OBJECTS = frozenset(
    {
        "metadata",
        "stream_options",
        "previous_response_id",
        "conversation",
        "user",
        "safety_identifier",
        "generationConfig",
        "inferenceConfig",
        "textGenerationConfig",
    }
)


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Metadata(msgspec.Struct):
    tags: Raw = Raw(b"null")
    user_id: Raw = Raw(b"null")


class _Packed(msgspec.Struct):
    session_id: str | None = None


_decode_stream_options = msgspec.json.Decoder(_StreamOptions | None).decode
_decode_metadata = msgspec.json.Decoder(_Metadata | None).decode
_decode_tags = msgspec.json.Decoder(list[str | int | float | bool] | str | None).decode


def decode_fields(body: bytes) -> dict[str, Raw]:
    """Decode and judge a body, one level. Raises InvalidBodyError."""
    try:
        json_guard.check_depth(body)
        json_guard.check_text(body)
        fields = _decode_body(body)
        # A key that stands twice is one of those that were decoded.
        watched = json_guard.WATCHED_KEYS & fields.keys()
        json_guard.check_duplicates(body, [json_guard.SPELLED[name] for name in watched])
    except _REFUSED as exc:
        raise _refusal(exc) from None
    return fields


def decode_fields_steps(body: bytes) -> Steps[tuple[dict[str, Raw], Scan]]:
    """Do the same in steps, for a large body."""
    try:
        scan = yield from json_guard.scan_steps(body)
        fields = _decode_body(body)
        if scan.keys != len(fields):
            found = yield from json_guard.scan_steps(body, names=True)
            json_guard.refuse_repeated(found.names or [], json_guard.WATCHED_KEYS)
    except _REFUSED as exc:
        raise _refusal(exc) from None
    return fields, scan


def _refusal(exc: Exception) -> InvalidBodyError:
    """Return what a client is told of a body that does not decode."""
    if isinstance(exc, json_guard.JsonRefusedError):
        return InvalidBodyError(str(exc))
    if isinstance(exc, RecursionError):
        return InvalidBodyError("the body is nested too deeply")
    if isinstance(exc, msgspec.ValidationError):
        return InvalidBodyError("the body must be a JSON object")
    return InvalidBodyError(f"the body is not JSON: {exc}")


_REFUSED = (json_guard.JsonRefusedError, RecursionError, msgspec.DecodeError)


def parse(body: bytes, dialect: str, operation: str, model: str | None = None, stream: bool | None = None) -> Request:
    """Decode and judge a body. `model` and `stream` are given where the path says them. Raises InvalidBodyError."""
    if len(body) >= LARGE_BYTES:
        return finish(parse_steps(body, dialect, operation, model, stream))
    request = _judge(decode_fields(body), dialect, operation, model, stream)
    request.references = references.find(request.fields, BY_NAME[request.dialect].references)
    return request


def parse_steps(
    body: bytes, dialect: str, operation: str, model: str | None = None, stream: bool | None = None
) -> Steps[Request]:
    """Do the same in steps, for a large body."""
    fields, scan = yield from decode_fields_steps(body)
    yield
    if _rules(dialect, operation).nested:
        check_size(scan, "a body")
    for name in _OBJECTS & fields.keys():
        if len(memoryview(fields[name])) > JUDGED_BYTES_MAX:
            raise InvalidBodyError(f"invalid value for {name!r}: over {JUDGED_BYTES_MAX} bytes", name)
    request = _judge(fields, dialect, operation, model, stream)
    request.scan = scan
    request.references = yield from references.find_steps(fields, BY_NAME[request.dialect].references, scan)
    return request


def _rules(dialect: str, operation: str) -> BodyRules:
    rules = BY_NAME[dialect].operations[operation].rules
    assert rules is not None
    return rules


def _judge(fields: dict[str, Raw], dialect: str, operation: str, model: str | None, stream: bool | None) -> Request:
    rules = _rules(dialect, operation)
    if model is None:
        raw = fields.get("model")
        if raw is None and not rules.model:
            raise InvalidBodyError("you must provide a model parameter", "model")
        model = _typed(_decode_str, raw, "model") if raw is not None else rules.model
    elif rules.has_model:
        fields["model"] = Raw(encode(model))
    if rules.required and fields.keys().isdisjoint(rules.required):
        raise InvalidBodyError(f"missing required parameter: {rules.required[0]!r}", rules.required[0])
    if stream is None:
        stream = bool(_typed(_decode_bool, fields["stream"], "stream")) if "stream" in fields else False
    elif stream and rules.has_model:
        fields["stream"] = Raw(b"true")
    request = Request(fields, dialect, operation, model, stream, has_model=rules.has_model)
    if rules.model and "model" not in fields:
        request.is_default_model = True
    if stream and "stream_options" in fields:
        options = _typed(_decode_stream_options, fields["stream_options"], "stream_options")
        request.asked_usage = bool(options and options.include_usage)
    for limit in rules.limits:
        found = _limit(fields, limit)
        if found is not None:
            if not 0 <= found <= TOKENS_MAX:
                raise InvalidBodyError(f"{found} is not a possible number of tokens", limit)
            request.output_tokens_max = found
            break
    if "metadata" in fields:
        _read_metadata(fields["metadata"], request)
    if rules.user is not None and rules.user in fields:
        request.end_user = _typed(msgspec.json.Decoder(str | None).decode, fields[rules.user], rules.user)
    if request.end_user is None and "safety_identifier" in fields:
        request.end_user = _typed(_decode_str, fields["safety_identifier"], "safety_identifier")
    if not model or len(model) > 512:
        raise InvalidBodyError("the model's name must have 1 to 512 characters", "model")
    for holder in rules.nested:
        if holder in fields:
            check_nested(fields[holder], holder, model)
    if rules.adapt is not None:
        rules.adapt(request)
    try:
        json_guard.check_names(fields, BY_NAME[request.dialect].references.keys)
    except json_guard.JsonRefusedError as exc:
        raise InvalidBodyError(str(exc)) from None
    return request


def parse_form(content_type: bytes, body: bytes, operation: str, model: str | None = None) -> Request:
    """Read an uploaded form. Raises InvalidBodyError."""
    form = forms.parse(content_type, body)
    name = model or form.texts.get("model", "")
    if not name or len(name) > 512:
        raise InvalidBodyError("the model's name must have 1 to 512 characters", "model")
    stream = form.texts.get("stream") == "true"
    return Request({}, DEFAULT.name, operation, name, stream, end_user=form.texts.get("user"), form=form)


def _typed(read: Callable[[Raw], T], raw: Raw, name: str) -> T:
    """Decode a value, or say which key is wrong."""
    try:
        return read(raw)
    except UNREADABLE as exc:
        raise InvalidBodyError(f"invalid value for {name!r}: {exc}", name) from None


def _limit(fields: dict[str, Raw], name: str) -> int | None:
    if "." not in name:
        return _typed(_decode_int, fields[name], name) if name in fields else None
    outer, _, inner = name.partition(".")
    if outer not in fields:
        return None
    holder = _typed(msgspec.json.Decoder(dict[str, Raw] | None).decode, fields[outer], outer) or {}
    value: int | None = _typed(_decode_int, holder[inner], name) if inner in holder else None
    return value


def _read_metadata(raw: Raw, request: Request) -> None:
    metadata = _typed(_decode_metadata, raw, "metadata")
    if metadata is None:
        return
    if bytes(metadata.tags) != b"null":
        tags = _typed(_decode_tags, metadata.tags, "metadata.tags")
        request.tags = tags.split(",") if isinstance(tags, str) else tags and [_text_of(tag) for tag in tags]
        request.has_metadata_tags = True
    if bytes(metadata.user_id) == b"null":
        return
    if bytes(metadata.user_id).lstrip().startswith(b"{"):
        request.session = _session_of(bytes(metadata.user_id))
        return
    user = _typed(_decode_str, metadata.user_id, "metadata.user_id")
    # Claude Code packs a device, an account and a session into one value; that is no person.
    if "_session_" in user:
        request.session = user.rpartition("_session_")[2]
    elif user.lstrip().startswith("{"):
        request.session = _session_of(user.encode("utf-8", "replace"))
    else:
        request.end_user = user


def _text_of(tag: str | float) -> str:
    """Return a tag as text: LiteLLM's clients send numbers, too."""
    return tag if isinstance(tag, str) else encode(tag).decode()


def _session_of(packed: bytes) -> str | None:
    """Return the session in what Claude Code packs; its other members may be of any kind."""
    try:
        return msgspec.json.decode(packed, type=_Packed).session_id
    except UNREADABLE:
        return None
