"""What the pipeline has to know of a request's body, in every dialect, without translating it. Level 1.

Bodies are decoded one level (`dict[str, Raw]`): the few keys that policy changes are replaced, the rest stays
byte-identical, duplicate keys collapse, so what was judged is what is sent (docs/design.md §2).
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, finish
from switchgear.core.usage import TOKENS_MAX
from switchgear.dialects import forms, json_guard, references
from switchgear.dialects.forms import Form
from switchgear.dialects.json_guard import Scan
from switchgear.dialects.references import Reference
from switchgear.dialects.shape import InvalidBodyError, Node, check_size, decode, encode, fields_of

T = TypeVar("T")

PART_BYTES_MIN = 65_536
FLAT_TOOLS_BYTES_MAX = 1_048_576
_NESTED = re.compile(rb'"function"\s*:')
"""A definition in chat's own shape: found at the beginning of the tools of nearly everybody."""
JOINED_BYTES = 262_144
LARGE_BYTES = 131_072
"""From here on a body is judged and translated in slices: below, the slowest shape takes 30 ms (decision 024)."""
JUDGED_BYTES_MAX = 1_048_576
"""What is read of an object for policy: metadata and the like."""

_MODEL_KEY = frozenset({"model"})
_decode_nested = msgspec.json.Decoder(list[dict[str, Raw]] | dict[str, Raw] | None).decode
_decode_body = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_bool = msgspec.json.Decoder(bool | None).decode
_decode_int = msgspec.json.Decoder(int | None).decode

_WATCHED = (
    b'"model"',
    b'"stream"',
    b'"stream_options"',
    b'"max_tokens"',
    b'"max_completion_tokens"',
    b'"max_output_tokens"',
    b'"metadata"',
    b'"user"',
    b'"previous_response_id"',
    b'"generationConfig"',
    b'"inferenceConfig"',
)
_WATCHED_NAMES = frozenset(name.strip(b'"').decode() for name in _WATCHED)
_SPELLED = {name.strip(b'"').decode(): name for name in _WATCHED}
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
_READ = frozenset(name.strip(b'"').decode() for name in _WATCHED) | {"safety_identifier"}
"""Keys of every body that are read here, beside those that name stored things: only their own spelling is taken."""
_READ_OF = {dialect: _READ | references.roots(dialect) for dialect in references.TABLE}
# Consumed here, never forwarded (docs/contract.md §4).
CONSUMED = frozenset(
    {
        "litellm_metadata",
        "fallbacks",
        "num_retries",
        "guardrails",
        # what LiteLLM's clients say to it in the body (its documentation, "Input params"; from memory)
        "cache",
        "mock_response",
        "mock_tool_calls",
        "mock_timeout",
        "litellm_session_id",
        "litellm_trace_id",
        "litellm_call_id",
        "drop_params",
        "additional_drop_params",
        "allowed_openai_params",
    }
)
_USAGE_OPTION = Raw(b'{"include_usage":true}')


class Shape(msgspec.Struct, frozen=True):
    """How the bodies of one operation look in one dialect."""

    required: tuple[str, ...]
    """One of these keys must be there."""
    limits: tuple[str, ...] = ()
    """Keys that limit the output, the first one present counts; `a.b` stands in an object."""
    has_model: bool = True
    """False where the model stands in the path."""
    user: str | None = None
    """The key that names the person behind the request."""


SHAPES: dict[tuple[str, str], Shape] = {
    ("openai", "chat"): Shape(("messages", "input"), ("max_completion_tokens", "max_tokens"), user="user"),
    ("openai", "completions"): Shape(("prompt",), ("max_tokens",), user="user"),
    ("openai", "embeddings"): Shape(("input",), user="user"),
    ("openai", "images"): Shape(("prompt",), user="user"),
    ("openai", "speech"): Shape(("input",)),
    ("openai", "moderations"): Shape(("input",)),
    ("openai", "rerank"): Shape(("query",)),
    ("responses", "chat"): Shape(
        ("input", "previous_response_id", "prompt", "conversation"), ("max_output_tokens",), user="user"
    ),
    ("responses", "compact"): Shape(("model",)),
    ("responses", "count_tokens"): Shape(("input", "previous_response_id", "conversation")),
    ("anthropic", "chat"): Shape(("messages",), ("max_tokens",)),
    ("anthropic", "count_tokens"): Shape(("messages",)),
    ("gemini", "chat"): Shape(("contents",), ("generationConfig.maxOutputTokens",), has_model=False),
    ("gemini", "count_tokens"): Shape(
        ("contents", "generateContentRequest", "generate_content_request"), has_model=False
    ),
    ("gemini", "embeddings"): Shape(("content",), has_model=False),
    ("gemini", "embeddings_batch"): Shape(("requests",), has_model=False),
    ("bedrock", "chat"): Shape(("messages",), ("inferenceConfig.maxTokens",), has_model=False),
    ("bedrock", "invoke"): Shape(
        (), ("max_tokens", "max_gen_len", "textGenerationConfig.maxTokenCount"), has_model=False
    ),
    ("bedrock", "count_tokens"): Shape(("input",), has_model=False),
    ("cohere", "chat"): Shape(("messages",), ("max_tokens",)),
    ("cohere", "embeddings"): Shape(("texts", "images", "inputs")),
    ("cohere", "rerank"): Shape(("query",)),
}


NESTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("gemini", "embeddings_batch"): ("requests",),
    ("gemini", "count_tokens"): ("generateContentRequest", "generate_content_request"),
}
"""Where the model of a path stands again in the body ("must match the model in the path": Gemini API, "batchEmbedContents")."""
_MODEL_PREFIX = "models/"


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Metadata(msgspec.Struct):
    tags: Raw = Raw(b"null")
    user_id: Raw = Raw(b"null")


_decode_stream_options = msgspec.json.Decoder(_StreamOptions | None).decode
_decode_metadata = msgspec.json.Decoder(_Metadata | None).decode
_decode_tags = msgspec.json.Decoder(list[str] | str | None).decode


KEPT_BYTES = 256
"""The largest value of a body that is kept while its stream goes on: `store`, `metadata` and their like."""
_NULL = Raw(b"null")


class Request(msgspec.Struct):
    """What the pipeline needs to know of a body; `fields` is the body, one level deep."""

    fields: dict[str, Raw]
    dialect: str
    """The dialect that the body is in. Cursor sends one of responses to the path of chat."""
    operation: str
    model: str
    stream: bool
    asked_usage: bool = False
    """True when the client itself asked for usage in the stream (only OpenAI's clients must ask)."""
    shows_usage: bool = False
    """True when its stream shall tell the usage although its body did not ask: it asked for the cost."""
    output_tokens_max: int | None = None
    end_user: str | None = None
    session: str | None = None
    tags: list[str] | None = None
    has_model: bool = True
    has_metadata_tags: bool = False
    refers_to: str | None = None
    """The stored response that is asked for, where its id stands in the path; on a raw path, the model as it was named."""
    references: list[Reference] = []
    """What the request names that a provider keeps."""
    method: str = "POST"
    stored_path: str = "stored"
    """Which of the paths of something stored is asked for."""
    form: Form | None = None
    """A multipart form, for uploads; `fields` is empty then."""

    scan: Scan | None = None
    """What a large body is made of; None for a small one."""

    @property
    def is_large(self) -> bool:
        """True when it has to be translated in slices."""
        return self.scan is not None

    def let_go(self) -> None:
        """No further attempt will be made: forget the body but for its small values. They are copied, because each of them keeps
        the whole body alive, and a stream may last an hour."""
        self.fields = {
            name: value.copy() if memoryview(value).nbytes <= KEPT_BYTES else _NULL
            for name, value in self.fields.items()
        }

    def node(self) -> Node:
        """Return the body for translation; a large one's values are decoded as they are reached. Raises InvalidBodyError for
        one with too many values."""
        if self.scan is None:
            return Node({key: decode(value) for key, value in self.fields.items()})
        check_size(self.scan, "a body")
        return Node(fields_of(self.fields))


def decode_fields(body: bytes) -> dict[str, Raw]:
    """Decode and judge a body, one level. Raises InvalidBodyError."""
    try:
        json_guard.check_depth(body)
        json_guard.check_text(body)
        fields = _decode_body(body)
        # A key that stands twice is one of those that were decoded.
        json_guard.check_duplicates(body, [_SPELLED[name] for name in _WATCHED_NAMES & fields.keys()])
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
            json_guard.refuse_repeated(found.names or [], _WATCHED_NAMES)
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
    request.references = references.find(request.fields, request.dialect)
    return request


def parse_steps(
    body: bytes, dialect: str, operation: str, model: str | None = None, stream: bool | None = None
) -> Steps[Request]:
    """Do the same in steps, for a large body."""
    fields, scan = yield from decode_fields_steps(body)
    yield
    if (dialect, operation) in NESTED:
        check_size(scan, "a body")
    for name in _OBJECTS & fields.keys():
        if len(memoryview(fields[name])) > JUDGED_BYTES_MAX:
            raise InvalidBodyError(f"invalid value for {name!r}: over {JUDGED_BYTES_MAX} bytes", name)
    request = _judge(fields, dialect, operation, model, stream)
    request.scan = scan
    request.references = yield from references.find_steps(fields, request.dialect, scan)
    return request


def _judge(fields: dict[str, Raw], dialect: str, operation: str, model: str | None, stream: bool | None) -> Request:
    shape = SHAPES[dialect, operation]
    if model is None:
        raw = fields.get("model")
        if raw is None:
            raise InvalidBodyError("you must provide a model parameter", "model")
        model = _typed(_decode_str, raw, "model")
    elif shape.has_model:
        fields["model"] = Raw(encode(model))
    if shape.required and fields.keys().isdisjoint(shape.required):
        raise InvalidBodyError(f"missing required parameter: {shape.required[0]!r}", shape.required[0])
    if stream is None:
        stream = bool(_typed(_decode_bool, fields["stream"], "stream")) if "stream" in fields else False
    elif stream and shape.has_model:
        fields["stream"] = Raw(b"true")
    request = Request(fields, dialect, operation, model, stream, has_model=shape.has_model)
    if stream and "stream_options" in fields:
        options = _typed(_decode_stream_options, fields["stream_options"], "stream_options")
        request.asked_usage = bool(options and options.include_usage)
    for limit in shape.limits:
        found = _limit(fields, limit)
        if found is not None:
            if not 0 <= found <= TOKENS_MAX:
                raise InvalidBodyError(f"{found} is not a possible number of tokens", limit)
            request.output_tokens_max = found
            break
    if "metadata" in fields:
        _read_metadata(fields["metadata"], request)
    if shape.user is not None and shape.user in fields:
        request.end_user = _typed(msgspec.json.Decoder(str | None).decode, fields[shape.user], shape.user)
    if request.end_user is None and "safety_identifier" in fields:
        request.end_user = _typed(_decode_str, fields["safety_identifier"], "safety_identifier")
    if not model or len(model) > 512:
        raise InvalidBodyError("the model's name must have 1 to 512 characters", "model")
    for holder in NESTED.get((dialect, operation), ()):
        if holder in fields:
            _check_nested(fields[holder], holder, model)
    if dialect == "openai" and operation == "chat" and "messages" not in fields:
        request.dialect = "responses"  # Cursor: a body of responses on the path of chat
        request.tags = [*(request.tags or []), "quirk=responses-body"]
    elif dialect == "openai" and operation == "chat" and "tools" in fields and _nest_tools(fields):
        request.tags = [*(request.tags or []), "quirk=flat-tools"]
    try:
        json_guard.check_names(fields, _READ_OF[request.dialect])
    except json_guard.JsonRefusedError as exc:
        raise InvalidBodyError(str(exc)) from None
    return request


def _nested_of(raw: Raw, holder: str) -> list[dict[str, Raw]]:
    found = _typed(_decode_nested, raw, holder)
    return found if isinstance(found, list) else [found] if found is not None else []


def _check_nested(raw: Raw, holder: str, model: str) -> None:
    """Refuse a model in the body that is not the path's, which is the one that is judged."""
    for part in _nested_of(raw, holder):
        try:
            json_guard.check_names(part, _MODEL_KEY)
        except json_guard.JsonRefusedError as exc:
            raise InvalidBodyError(str(exc), f"{holder}.model") from None
        if "model" not in part:
            continue
        name = _typed(_decode_str, part["model"], f"{holder}.model")
        if name.removeprefix(_MODEL_PREFIX) != model.removeprefix(_MODEL_PREFIX):
            raise InvalidBodyError("the body names another model than the path", f"{holder}.model")


def _with_nested(raw: Raw, holder: str, upstream_model: str) -> Raw:
    """Name the deployment's model where the body names the path's."""
    parts = _nested_of(raw, holder)
    for part in parts:
        if "model" in part:
            prefix = _MODEL_PREFIX if _decode_str(part["model"]).startswith(_MODEL_PREFIX) else ""
            part["model"] = Raw(encode(prefix + upstream_model.removeprefix(_MODEL_PREFIX)))
    return Raw(encode(parts if memoryview(raw)[0] == ord("[") or not parts else parts[0]))


def _nest_tools(fields: dict[str, Raw]) -> bool:
    """Put flat function definitions (Responses have them so, Cursor sends them here) into the shape of chat; tells whether there
    were any."""
    raw = memoryview(fields["tools"])
    if _NESTED.search(raw) is not None or len(raw) > FLAT_TOOLS_BYTES_MAX:
        return False
    try:
        tools = msgspec.json.decode(raw)
    except UNREADABLE:
        return False
    if not isinstance(tools, list) or not any(_is_flat(tool) for tool in tools):
        return False
    fields["tools"] = Raw(encode([_nested(tool) if _is_flat(tool) else tool for tool in tools]))
    try:
        choice = msgspec.json.decode(fields["tool_choice"]) if "tool_choice" in fields else None
    except UNREADABLE:
        return True
    if _is_flat(choice):
        fields["tool_choice"] = Raw(encode(_nested(choice)))
    return True


def _is_flat(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") == "function" and "name" in tool


def _nested(tool: Any) -> dict[str, Any]:
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def parse_form(content_type: bytes, body: bytes, operation: str, model: str | None = None) -> Request:
    """Read an uploaded form. Raises InvalidBodyError."""
    form = forms.parse(content_type, body)
    name = model or form.texts.get("model", "")
    if not name or len(name) > 512:
        raise InvalidBodyError("the model's name must have 1 to 512 characters", "model")
    stream = form.texts.get("stream") == "true"
    return Request({}, "openai", operation, name, stream, end_user=form.texts.get("user"), form=form)


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
        request.tags = tags.split(",") if isinstance(tags, str) else tags
        request.has_metadata_tags = True
    if bytes(metadata.user_id) == b"null":
        return
    user = _typed(_decode_str, metadata.user_id, "metadata.user_id")
    # Claude Code packs a device, an account and a session into one value; that is no person.
    if "_session_" in user:
        request.session = user.rpartition("_session_")[2]
    elif user.lstrip().startswith("{"):
        try:
            request.session = msgspec.json.decode(user, type=dict[str, str]).get("session_id")
        except UNREADABLE:
            request.session = None
    else:
        request.end_user = user


Body = bytes | list[memoryview]
"""A body for a provider: bytes, or, where it is large, the parts that it is made of, which are not copied."""


def upstream_body(
    request: Request, upstream_model: str, ask_usage: bool, changes: dict[str, str | int | bool | None] | None = None
) -> Body:
    """Encode the body for a provider of the same dialect: the deployment's model name, usage asked for in streams, our
    own keys removed, everything else as it came. `changes` are keys that its provider always wants set, or (None)
    removed."""
    if request.form is not None:
        return request.form.with_model(upstream_model)
    fields = dict(request.fields)
    if not request.has_model:
        fields.pop("model", None)  # the path names it; another one in the body is not what was judged
    if request.has_model and upstream_model != request.model:
        fields["model"] = Raw(encode(upstream_model))
    if not CONSUMED.isdisjoint(fields):
        for key in CONSUMED & fields.keys():
            del fields[key]
    for holder in NESTED.get((request.dialect, request.operation), ()):
        if holder in fields:
            fields[holder] = _with_nested(fields[holder], holder, upstream_model)
    if request.dialect == "anthropic":
        fields.pop("anthropic_version", None)  # Vertex AI's clients say it in the body; its row sets it again
    if request.has_metadata_tags:
        _strip_tags(fields)
    if request.stream and ask_usage and not request.asked_usage and request.dialect == "openai":
        options = fields.get("stream_options")
        fields["stream_options"] = _with_usage(options) if options is not None else _USAGE_OPTION
    for key, value in (changes or {}).items():
        if value is None:
            fields.pop(key, None)
        else:
            fields[key] = Raw(encode(value))
    return _join(fields)


def _join(fields: dict[str, Raw]) -> Body:
    """Encode an object, without a copy of its large values."""
    sizes = [len(memoryview(value)) for value in fields.values()]
    if sum(sizes) < JOINED_BYTES:
        return encode(fields)
    parts: list[memoryview] = []
    between: list[bytes | Raw] = []  # small values travel together: a part of its own costs a frame
    mark = b"{"
    for (key, value), size in zip(fields.items(), sizes, strict=True):
        between.append(mark + encode(key) + b":")
        mark = b","
        if size < PART_BYTES_MIN:
            between.append(value)
            continue
        parts += (memoryview(b"".join(between)), memoryview(value))
        between.clear()
    return [*parts, memoryview(b"".join([*between, b"}"]))]


def _with_usage(options: Raw) -> Raw:
    try:
        decoded = msgspec.json.decode(options, type=dict[str, Raw] | None) or {}
    except UNREADABLE:
        return options
    decoded["include_usage"] = Raw(b"true")
    return Raw(encode(decoded))


def _strip_tags(fields: dict[str, Raw]) -> None:
    metadata = msgspec.json.decode(fields["metadata"], type=dict[str, Raw])
    del metadata["tags"]
    if metadata:
        fields["metadata"] = Raw(encode(metadata))
    else:
        del fields["metadata"]
