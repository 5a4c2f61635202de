"""Where a request names something that a provider keeps, and where an answer says what it keeps. Level 1.

One table: dialect × path of keys → kind of thing. Lists on a path are looked through. What is looked up is the id; whose it is,
the gate knows (`edge.belongings`). Not ids of ours, and so not here: object stores of the operator's own cloud (`gs://`, S3, which
the credential's account decides about), models and fine-tunes (names that the key's list decides about), web addresses.

An item of Responses that carries its content is no reference; its id is only a name then. One without (`item_reference`, an id
alone, reasoning without its encrypted content) is looked up by the provider.

Sources (as of 2026-11): OpenAI API reference, "Responses", "Chat", "Conversations", "Files", "Vector stores", "Containers";
Anthropic, "Files API", "Code execution tool", "Skills", "Cache diagnostics"; Gemini API, "Files", "Caching", "File search".
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps
from switchgear.dialects.json_guard import Scan, fold
from switchgear.dialects.shape import WHOLE_BYTES, InvalidBodyError, check_size

ID_BYTES_MAX = 256
REFERENCES_MAX = 256
VALUES_MAX = 60_000
"""Objects and lists in what names stored things: it is read as a whole, in 24 to 45 ms at this size (measured)."""
KEPT_MAX = 64
"""Things that one answer can make known."""
ANY = "*"
DEEPER = "+"
"""On a path: any key; the same key once or more."""

KINDS: dict[str, str] = {
    "response": "/responses/{}",
    "conversation": "/conversations/{}",
    "item": "/items/{}",
    "prompt": "/prompts/{}",
    "file": "/files/{}",
    "vector_store": "/vector_stores/{}",
    "container": "/containers/{}",
    "batch": "/batches/{}",
    "skill": "/skills/{}",
    "audio": "/audio/{}",
    "voice": "/audio/voices/{}",
    "message": "/messages/{}",
    "named": "/{}",
    "thing": "/things/{}",
}
"""Kind → the path under which a rule of a key names one of its things. `named` ids of Gemini hold their collection."""


class Reference(msgspec.Struct, frozen=True):
    """A thing that a request names."""

    kind: str
    id: str
    param: str
    is_soft: bool = False
    """True for what only a provider of the same dialect looks up, and others are given otherwise."""


_TOOLS = {
    "vector_store_ids": "vector_store",
    "container": "container",
    "container.id": "container",
    "container.container_id": "container",
    "container.file_ids": "file",
    "container.skills.skill_id": "skill",
    "environment.container_id": "container",
    "environment.file_ids": "file",
    "environment.skills.skill_id": "skill",
    "input_image_mask.file_id": "file",
}
_TEXT: dict[str, str] = {
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    "prompt.id": "prompt",
    "prompt.variables.*.file_id": "file",
    "input.content.file_id": "file",
    "input.output.file_id": "file",
    "input.file_id": "file",
    "input.container_id": "container",
    "input.environment.container_id": "container",
    "input.approval_request_id": "item",
} | {
    f"{holder}.{path}": kind
    for holder in (
        "tools",
        "tools.tools+",
        "input.tools",
        "input.tools.tools+",
    )  # also in a namespace, and tools that were found
    for path, kind in _TOOLS.items()
}
_CHAT = {
    "messages.content.file.file_id": "file",
    "messages.content.file_id": "file",
    "messages.content.image_file.file_id": "file",
    "messages.audio.id": "audio",
    "audio.voice.id": "voice",
    "voice.id": "voice",
    "image.file_id": "file",
    "images.file_id": "file",
    "mask.file_id": "file",
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    # what gateways and servers behind this dialect take beyond OpenAI's own
    "attachments.file_id": "file",
    "messages.attachments.file_id": "file",
    "vector_store_ids": "vector_store",
    "tool_resources.code_interpreter.file_ids": "file",
    "tool_resources.file_search.vector_store_ids": "vector_store",
} | {f"tools.{path}": kind for path, kind in _TOOLS.items()}
_ANTHROPIC = {
    "container": "container",
    "container.id": "container",
    "container.skills.skill_id": "skill",
    "messages.content+.source.file_id": "file",
    "messages.content+.file_id": "file",
    "messages.content+.source.content+.source.file_id": "file",
    "system.source.file_id": "file",
    "previous_message_id": "message",
    "diagnostics.previous_message_id": "message",
    "thread.previous_message_id": "message",
}
_GEMINI_BODY = {
    "cachedContent": "named",
    "tools.fileSearch.fileSearchStoreNames": "named",
    "tools.retrieval.vertexRagStore.ragResources.ragFileIds": "file",
} | {
    f"{holder}.parts.{path}": "named"
    for holder in ("contents", "content", "systemInstruction")
    for path in ("fileData.fileUri", "functionResponse.parts.fileData.fileUri")
}


def _spellings(path: str) -> Iterator[str]:
    """Yield a path with each key in both of the forms that JSON of Protocol Buffers has, one independent of the other
    (protobuf.dev, "ProtoJSON Format": parsers accept lowerCamelCase and the original name)."""
    keys = [dict.fromkeys((key, re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key))) for key in path.split(".")]
    for spelt in itertools.product(*keys):
        yield ".".join(spelt)


_GEMINI = {
    spelt: kind
    for holder in ("", "generateContentRequest.", "requests.")
    for path, kind in _GEMINI_BODY.items()
    for spelt in _spellings(holder + path)
}
TABLE: dict[str, dict[str, str]] = {
    "responses": _TEXT,
    "openai": _CHAT,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    # bodies of `invoke` are the model's own, and Converse hands on what it does not know
    "bedrock": _ANTHROPIC | {f"additionalModelRequestFields.{path}": kind for path, kind in _ANTHROPIC.items()},
    "cohere": {},
}
"""Dialect → path → kind. A `+` after a key: that key within itself, any number of times."""

# What makes an item of Responses whole: with one of these, its id is only a name. Reasoning is kept by whoever kept it
# unless it comes with its encrypted content. No type at all is a message in its short form, or a reference.
_CONTENT: dict[str | None, tuple[str, ...]] = {
    None: ("content",),
    "message": ("content",),
    "reasoning": ("encrypted_content",),
    "compaction": ("encrypted_content",),
    "image_generation_call": ("result",),
    "function_call": ("name",),
    "custom_tool_call": ("name",),
    "function_call_output": ("call_id",),
    "custom_tool_call_output": ("call_id",),
    "item_reference": (),
}
_BARE = frozenset({"id", "type", "status", "role"})
_NOTHING = ("reasoning", "compaction", "image_generation_call")
"""Kinds whose content is no content when it is empty."""

_GEMINI_NAME = re.compile(r"(?:https?://[^/?#]+/(?:upload/)?v[0-9][a-z0-9]*/)?((?:[a-zA-Z0-9_.-]+/)*[a-zA-Z]+/[^/?#]+)")
_GEMINI_COLLECTIONS = ("files/", "cachedContents/", "fileSearchStores/", "projects/")
_HOST = re.compile(
    r"https?:[/\\]{2}[^/\\?#]*generativelanguage[a-z0-9.-]*\.googleapis\.com\.?(?::[0-9]*)?[/\\]", re.IGNORECASE
)
"""With what stands before and within it in names of regions and of mutual TLS."""
NAME_BYTES_MAX = 2_048
_ESCAPED = re.compile(rb"\\u00(?:3[0-9]|[4-7])")
"""A letter or figure that is spelled as an escape: a key may be hidden so."""


class _Step(msgspec.Struct):
    kind: str | None = None
    below: dict[str, "_Step"] = {}


class _Watch(msgspec.Struct, frozen=True):
    """What to look for below one key of the body."""

    root: _Step
    marks: tuple[bytes, ...]
    """Byte strings of which one must be there; empty where the value itself is the id."""
    has_items: bool = False
    """True where items of Responses stand, which are named or given."""


def _mark_of(names: list[str]) -> str:
    """Return the key of a path that is the rarest in bodies: `id` alone stands everywhere. "" where the value itself is the id."""
    if len(names) == 1:
        return ""
    rare = names[-2] if names[-1] == "id" and len(names) > 2 else names[-1]
    return rare.rstrip(DEEPER)


def _compile(dialect: str, table: dict[str, str]) -> dict[str, _Watch]:
    roots: dict[str, _Step] = {}
    leaves: dict[str, set[str]] = {}
    for path, kind in table.items():
        names = path.split(".")
        leaves.setdefault(names[0], set()).add(_mark_of(names))
        step = roots.setdefault(names[0], _Step())
        for name in names[1:]:
            key = name.rstrip(DEEPER)
            step = step.below.setdefault(key, _Step())
            if name.endswith(DEEPER):
                step.below[key] = step
        step.kind = kind
    found = {}
    for key, root in roots.items():
        marks = () if "" in leaves[key] else tuple(f'"{leaf}"'.encode() for leaf in sorted(leaves[key]))
        has_items = dialect == "responses" and key == "input"
        found[key] = _Watch(root, (*marks, b'"item_reference"') if has_items else marks, has_items)
    return found


_WATCHED = {dialect: _compile(dialect, table) for dialect, table in TABLE.items()}


def roots(dialect: str) -> frozenset[str]:
    """Return the keys of a body in which something stored may be named."""
    return frozenset(_WATCHED[dialect])


def find(fields: dict[str, Raw], dialect: str) -> list[Reference]:
    """Return what a body names, whose first level is decoded. Raises InvalidBodyError for ids that are none, for keys on the
    way that stand twice, and for more of them than a request can need."""
    watched = _WATCHED[dialect]
    found: dict[tuple[str, str], Reference] = {}
    for key, raw in fields.items():
        if key in watched:
            watch, data = watched[key], bytes(raw)
            if _may_name(data, watch):
                _collect(data, watch, key, found)
    return list(found.values()) if found else []


def find_steps(fields: dict[str, Raw], dialect: str, scan: Scan) -> Steps[list[Reference]]:
    """Do the same in steps, for a large body: a long list is looked at element by element. One that may name something and has
    too many values is refused."""
    watched = _WATCHED[dialect]
    found: dict[tuple[str, str], Reference] = {}
    for key, raw in fields.items():
        watch = watched.get(key)
        if watch is None:
            continue
        yield
        view = memoryview(raw)
        if len(view) < WHOLE_BYTES:
            _look(bytes(raw), watch, key, found)
            continue
        data = bytes(raw)
        is_concerned = not watch.marks or (watch.has_items and b'"id"' in data)
        for mark in watch.marks:
            if is_concerned:
                break
            yield
            is_concerned = mark in data
        if not is_concerned and not _hides_keys(data):
            continue
        del data
        yield
        check_size(scan, "a body that names stored things")
        if view[0] != ord("["):
            _look(bytes(raw), watch, key, found)
            continue
        elements = iter(_decode_list(raw))
        while batch := list(itertools.islice(elements, BATCH)):  # together: each look costs more than its bytes
            pieces: list[bytes] = []
            size = 0
            for element in batch:
                pieces.append(bytes(element))
                size += len(pieces[-1])
                if size > WHOLE_BYTES:
                    _look(b"[%b]" % b",".join(pieces), watch, key, found)
                    pieces, size = [], 0
                    yield
            if pieces:
                _look(b"[%b]" % b",".join(pieces), watch, key, found)
            yield
    return list(found.values())


BATCH = 256
"""Elements that are looked at together."""


def _look(data: bytes, watch: "_Watch", key: str, found: dict[tuple[str, str], Reference]) -> None:
    """Add what a value names."""
    if _may_name(data, watch):
        _collect(data, watch, key, found)


def _may_name(data: bytes, watch: "_Watch") -> bool:
    if not watch.marks:
        return True
    for mark in watch.marks:
        if mark in data:
            return True
    return _hides_keys(data) or (watch.has_items and _has_bare_items(data))


def _hides_keys(data: bytes) -> bool:
    return b"\\u00" in data and _ESCAPED.search(data) is not None


def _collect(data: bytes, watch: "_Watch", key: str, found: dict[tuple[str, str], Reference]) -> None:
    value = _decode(data, key)
    _gather(itertools.chain(_walk(value, watch.root, key), _items(value) if watch.has_items else ()), found)


def _gather(named: Iterable[Reference], found: dict[tuple[str, str], Reference]) -> None:
    for reference in named:
        found[reference.kind, reference.id] = reference
        if len(found) > REFERENCES_MAX:
            raise InvalidBodyError(f"more than {REFERENCES_MAX} stored things are named")


_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_NULL = b"null"


def _has_bare_items(data: bytes) -> bool:
    """Tell whether an input may hold items that are named and not given; without decoding what they say."""
    if b'"id"' not in data:
        return False
    try:
        items = _decode_items(data)
    except UNREADABLE:
        return True  # one item without a list, or nonsense: read it as it is
    return any("id" in item and not _is_whole_raw(item) for item in items)


def _is_whole_raw(item: dict[str, Raw]) -> bool:
    """Tell that of an item at a glance. False where `_is_whole` has to look."""
    kind = bytes(item.get("type", _NULL))[1:-1].decode("utf-8", "replace")
    needed = _CONTENT.get(kind)
    if needed is None:
        return kind.isidentifier() and kind.islower() and any(_is_given(item[key]) for key in item.keys() - _BARE)
    return any(_is_given(item[key]) for key in needed if key in item)


def _is_given(raw: Raw) -> bool:
    view = memoryview(raw)
    return len(view) > 2 and (len(view) > 5 or bytes(view) not in {_NULL, b"false"})


class RepeatedKeyError(ValueError):
    """A key that stands twice in an object; the text names it."""


def _pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(found)
    if len(made) != len(found):
        seen: set[str] = set()
        for name, _ in found:
            if name in seen:
                raise RepeatedKeyError(name)
            seen.add(name)
    return made


def _decode(data: bytes, key: str) -> Any:
    """Decode a part that names something: no key may stand twice in it, because readers differ in which one they take."""
    if data.count(b"{") + data.count(b"[") > VALUES_MAX:
        raise InvalidBodyError(f"more than {VALUES_MAX} objects and lists in {key!r}, which names stored things", key)
    try:
        return load(data)
    except RepeatedKeyError as exc:
        raise InvalidBodyError(f"the key {str(exc)[:64]!r} stands twice in {key!r}", key) from None
    except (ValueError, RecursionError):
        raise InvalidBodyError(f"invalid value for {key!r}", key) from None


def _zero(text: str) -> int:
    return 0  # what a number is does not matter, and a long one would take long


def load(data: bytes) -> Any:
    """Decode JSON in which no key stands twice in an object; numbers become 0. Raises RepeatedKeyError, ValueError or
    RecursionError."""
    text = data.decode("utf-8")  # bytes would be taken as UTF-16 too
    return json.loads(text, object_pairs_hook=_pairs, parse_int=_zero, parse_float=_zero, parse_constant=_zero)


def _walk(value: Any, step: _Step, path: str) -> Iterator[Reference]:
    if isinstance(value, list):
        for element in value:
            yield from _walk(element, step, path)
    elif isinstance(value, dict):
        for key, below in step.below.items():
            if key == ANY:
                for name, element in value.items():
                    yield from _walk(element, below, f"{path}.{name}"[:128])
            elif key in value:
                if key == "skill_id" and value.get("type") == "anthropic":
                    continue  # a skill of Anthropic's own: everybody's
                yield from _walk(value[key], below, f"{path}.{key}")
    elif step.kind is not None and value is not None:
        reference = _reference(step.kind, value, path)
        if reference is not None:
            yield reference


def _reference(kind: str, value: Any, path: str) -> Reference | None:
    if kind == "named":
        name = gemini_name(value) if isinstance(value, str) else None
        return Reference(kind, name, path) if name is not None else None
    if path in {"tools.container", "container"} and value == "auto":
        return None  # a new one
    if not isinstance(value, str) or not 0 < len(value) <= ID_BYTES_MAX:
        raise InvalidBodyError(f"invalid value for {path!r}: must be an id", path)
    return Reference(kind, value, path, is_soft=kind == "message")


def gemini_name(text: str) -> str | None:
    """Return the resource name (`files/abc`) of an address or name of Gemini's; None for other addresses (web pages, `gs://`),
    which are not kept by the API."""
    text = text.strip()
    start = text[:NAME_BYTES_MAX]
    if "://" in start and not _HOST.match(start):
        return None
    if len(text) > NAME_BYTES_MAX:
        return text[:ID_BYTES_MAX]
    found = _GEMINI_NAME.fullmatch(text.partition("?")[0])
    name = found.group(1) if found is not None else text.partition("?")[0]
    if "://" in name or not name.startswith(_GEMINI_COLLECTIONS):
        return text[:ID_BYTES_MAX] or None  # a name that nobody knows: nobody made it
    return name[:ID_BYTES_MAX]


def _items(value: Any) -> Iterator[Reference]:
    """Yield the items of an input that are named instead of given."""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or "id" not in item:
            continue
        kind, name = item.get("type"), item["id"]
        if name is None or _is_whole(item, kind):
            continue
        if not isinstance(name, str) or not 0 < len(name) <= ID_BYTES_MAX:
            raise InvalidBodyError("invalid value for 'input.id': must be an id", "input.id")
        yield Reference("item", name, "input.id", is_soft=kind == "reasoning")


def _is_whole(item: dict[str, Any], kind: Any) -> bool:
    if kind is not None and not isinstance(kind, str):
        return False
    needed = _CONTENT.get(kind)
    if needed is None:
        is_reference = fold(str(kind)).strip() == "item_reference"
        return not is_reference and any(item[key] is not None for key in item.keys() - _BARE)
    return any(item.get(key) if kind in _NOTHING else item.get(key) is not None for key in needed)


# raw paths: what stands behind the name of a collection is an id

COLLECTIONS: dict[str, str] = {
    "responses": "response",
    "conversations": "conversation",
    "items": "item",
    "prompts": "prompt",
    "files": "file",
    "vector_stores": "vector_store",
    "containers": "container",
    "batches": "batch",
    "skills": "skill",
    "messages": "message",
    "completions": "thing",
    "uploads": "thing",
    "assistants": "thing",
    "threads": "thing",
    "runs": "thing",
    "steps": "thing",
    "jobs": "thing",
    "checkpoints": "thing",
    "file_batches": "thing",
    "evals": "thing",
    "output_items": "thing",
    "videos": "thing",
    "sessions": "thing",
    "calls": "thing",
    "voices": "voice",
    "agents": "thing",
    "environments": "thing",
    "cachedContents": "named",
    "fileSearchStores": "named",
    "documents": "thing",
    "corpora": "thing",
    "tunedModels": "thing",
    "interactions": "thing",
    "operations": "thing",
    # Cohere, Mistral, xAI
    "datasets": "thing",
    "connectors": "thing",
    "embed-jobs": "thing",
    "finetuned-models": "thing",
    "libraries": "thing",
    "collections": "thing",
    "deferred-completion": "thing",
}
_COLLECTIONS = {fold(name): name for name in COLLECTIONS}
"""Some servers do not mind the letters of a path (Azure's are of that kind)."""
_ACTIONS = frozenset(
    {
        "batches",
        "completions",
        "compact",
        "input_tokens",
        "count_tokens",
        "search",
        "cancel",
        "content",
        "delete",
        "export",
    }
)
"""What stands behind a collection's name and is no id."""
_KEYS: dict[str, str] = {
    path.rpartition(".")[2].rstrip(DEEPER): kind
    for table in TABLE.values()
    for path, kind in table.items()
    if not path.endswith(".id")
} | {
    "training_file": "file",
    "validation_file": "file",
    "input_file_id": "file",
    "output_file_id": "file",
    "file_ids": "file",
    "image_file_ids": "file",
    "vector_store_id": "vector_store",
    "container_id": "container",
    "conversation_id": "conversation",
    "response_id": "response",
    "assistant_id": "thing",
    "thread_id": "thing",
    "run_id": "thing",
    "batch_id": "batch",
    "upload_id": "thing",
    "eval_id": "thing",
    "skill_id": "skill",
    "previous_interaction_id": "thing",
    "completion_id": "thing",
    "video_id": "thing",
    "library_id": "thing",
    "dataset_id": "thing",
    "collection_id": "thing",
    "collection_ids": "thing",
}
KEY_BYTES_MAX = 64


def _folded_key(key: str) -> str:
    return fold(key).replace("_", "").replace("-", "")


_FOLDED_KEYS = {_folded_key(key): kind for key, kind in _KEYS.items()}
"""Keys in other letters, and in camel case."""
_NO_IDS = frozenset({"", "auto", "none"})
_OBJECTS = frozenset({"conversation", "container", "prompt", "voice", "audio"})
"""Keys whose value may be an object with an id."""


def find_in_path(path: str, names_things: bool) -> list[Reference]:
    """Return the ids that stand in a raw path, decoded. `names_things`: an id includes its collection
    (`Dialect.paths_name_things`)."""
    found = []
    segments = [segment for segment in path.split("/") if segment]
    for number, segment in enumerate(segments[1:], 1):
        before = _COLLECTIONS.get(fold(segments[number - 1]))
        is_name = fold(segment) in _COLLECTIONS and number + 1 < len(segments)
        if before is None or segment in _ACTIONS or is_name:
            continue
        kind = COLLECTIONS[before]
        is_named = kind == "named" or names_things
        name = f"{before}/{segment}" if is_named else segment
        found.append(Reference("named" if is_named else kind, name[:ID_BYTES_MAX], "path"))
    return found


def find_anywhere(value: Any) -> list[Reference]:
    """Return what a body of an unknown shape names: by its keys, at any depth."""
    found: dict[tuple[str, str], Reference] = {}
    _gather(_search(value, ""), found)
    return list(found.values())


def plain_key(name: str) -> str:
    """Return the key that a field of a form or query is about: `file_ids[]` and `image[file_id]` are ways to write one."""
    if "[" not in name:
        return name
    parts = [part for part in re.split(r"[\[\]]+", name) if part and not part.isdigit()]
    return parts[-1] if parts else name


def _kind_of(key: str) -> str | None:
    if key in _KEYS or (key.islower() and key.isascii()):
        return _KEYS.get(key)
    return _FOLDED_KEYS.get(_folded_key(key)) if len(key) <= KEY_BYTES_MAX else None


def _search(value: Any, key: str) -> Iterator[Reference]:
    if isinstance(value, dict):
        if key in {"input", "items"} or value.get("type") == "item_reference":
            yield from _items(value)
        if key in _OBJECTS and isinstance(value.get("id"), str):
            yield Reference(_KEYS.get(key, "thing"), value["id"][:ID_BYTES_MAX], key)
        is_shared = value.get("type") == "anthropic"  # a skill of Anthropic's own: everybody's
        for name, below in value.items():
            if not (is_shared and name == "skill_id"):
                yield from _search(below, name)
    elif isinstance(value, list):
        for element in value:
            yield from _search(element, key)
    elif isinstance(value, str) and value not in _NO_IDS and (kind := _kind_of(key)) is not None:
        identity = gemini_name(value) if kind == "named" else value
        if identity is not None and len(identity) <= ID_BYTES_MAX:
            yield Reference(kind, identity, key)


# answers


def kept_by_response(response: Any) -> list[str]:
    """Return the ids that a response of the Responses API makes known: its own, its conversation's, its items' and
    containers'."""
    if not isinstance(response, dict):
        return []
    found = [response.get("id"), _id_of(response.get("conversation"))]
    output = response.get("output")
    for item in output if isinstance(output, list) else []:
        if isinstance(item, dict):
            found += [item.get("id"), item.get("container_id"), *_cited(item)]
    return _plain(found)


def _cited(item: dict[str, Any]) -> Iterator[Any]:
    """Yield files that a tool wrote, and the containers where they are."""
    content = item.get("content")
    for part in content if isinstance(content, list) else []:
        notes = part.get("annotations") if isinstance(part, dict) else None
        for note in notes if isinstance(notes, list) else []:
            if isinstance(note, dict) and note.get("type") == "container_file_citation":
                yield note.get("file_id")
                yield note.get("container_id")


def kept_by_message(message: Any) -> list[str]:
    """Return the ids that an Anthropic message, or an event of its stream, makes known: container and files."""
    found: list[Any] = []
    _keep_within(message, 0, found)
    return _plain(found) if found else found


_HOLDERS = ("content", "content_block", "delta", "message")
_TELLING = frozenset({"file_id", "container", *_HOLDERS})


def _keep_within(value: Any, depth: int, found: list[Any]) -> None:
    if isinstance(value, list):
        for element in value:
            _keep_within(element, depth + 1, found)
    elif isinstance(value, dict) and depth < 16 and not _TELLING.isdisjoint(value):
        found += [name for name in (value.get("file_id"), _id_of(value.get("container"))) if name is not None]
        for key in _HOLDERS:
            if key in value:
                _keep_within(value[key], depth + 1, found)


_MADE_BY = ("output_file_id", "error_file_id", "result_files", "thread_id", "vector_store_id")
"""Keys of a thing that name others which came of it."""


def kept_by_raw_answer(value: Any, is_new: bool) -> list[str]:
    """Return the ids that the answer on a raw path makes known. `is_new`: the request made the thing, by OpenAI's, Anthropic's or
    Gemini's names; else only what came of a thing that was asked for."""
    if not isinstance(value, dict):
        return []
    found: list[Any] = []
    if is_new or value.get("object") == "response":
        found += kept_by_response(value)
    if is_new:
        found.append(_id_of(value.get("container")))
        for holder in (value, value.get("file"), value.get("response")):
            if isinstance(holder, dict):
                found += [holder.get("id"), holder.get("name")]
    for key in _MADE_BY:
        named = value.get(key)
        found += named if isinstance(named, list) else [named]
    return _plain(found)


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}")


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of something kept."""
    return _ID.fullmatch(text) is not None


def _plain(found: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and is_id(text)))[:KEPT_MAX]


def is_stored_answer(dialect: str, answer_id: str) -> bool:
    """Tell whether a provider may keep what it answered under this id, to a client of `dialect`."""
    return dialect == "responses" and answer_id.startswith("resp_")
