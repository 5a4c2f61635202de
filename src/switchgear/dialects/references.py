"""Where a request names something that a provider keeps. Level 1.

Each dialect has a table in its row: path of keys → kind of thing. Lists on a path are looked through. What is looked up is the
id; whose it is, the edge knows (`edge.stored_access`). Not ids of ours, and so not here: object stores of the operator's own cloud
(`gs://`, S3, which the credential's account decides about), models and fine-tunes (names that the key's list decides about), web
addresses.

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
from switchgear.dialects.json_guard import READ_KEYS, Scan, fold
from switchgear.dialects.json_node import WHOLE_BYTES, InvalidBodyError, check_size

ID_BYTES_MAX = 256
REFERENCES_MAX = 256
VALUES_MAX = 60_000
"""Objects and lists in what names stored things: it is read as a whole, in 24 to 45 ms at this size (measured)."""
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


def spellings(path: str) -> Iterator[str]:
    """Yield a path with each key in both of the forms that JSON of Protocol Buffers has, one independent of the other
    (protobuf.dev, "ProtoJSON Format": parsers accept lowerCamelCase and the original name)."""
    keys = [dict.fromkeys((key, re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key))) for key in path.split(".")]
    for spelt in itertools.product(*keys):
        yield ".".join(spelt)


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


TOOLS = {
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
"""What a tool of OpenAI's may name: path of keys below the tool → kind."""


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


class Watched(msgspec.Struct, frozen=True):
    """Where the bodies of a dialect may name something stored."""

    roots: dict[str, _Watch]
    """By the key of the body."""
    kinds: dict[str, str]
    """The last key of each path that is not `id` → kind."""
    keys: frozenset[str]
    """Those keys of the body, and the others that are read of every body: only their own spelling is taken."""


def _mark_of(names: list[str]) -> str:
    """Return the key of a path that is the rarest in bodies: `id` alone stands everywhere. "" where the value itself is the id."""
    if len(names) == 1:
        return ""
    rare = names[-2] if names[-1] == "id" and len(names) > 2 else names[-1]
    return rare.rstrip(DEEPER)


def watched(table: dict[str, str], items_in: str = "") -> Watched:
    """Compile a dialect's table: path of keys → kind. Lists on a path are looked through; a `+` after a key: that key within
    itself, any number of times. `items_in` is the key below which items of Responses stand."""
    steps: dict[str, _Step] = {}
    leaves: dict[str, set[str]] = {}
    for path, kind in table.items():
        names = path.split(".")
        leaves.setdefault(names[0], set()).add(_mark_of(names))
        step = steps.setdefault(names[0], _Step())
        for name in names[1:]:
            key = name.rstrip(DEEPER)
            step = step.below.setdefault(key, _Step())
            if name.endswith(DEEPER):
                step.below[key] = step
        step.kind = kind
    roots = {}
    for key, root in steps.items():
        marks = () if "" in leaves[key] else tuple(f'"{leaf}"'.encode() for leaf in sorted(leaves[key]))
        has_items = key == items_in
        roots[key] = _Watch(root, (*marks, b'"item_reference"') if has_items else marks, has_items)
    kinds = {path.rpartition(".")[2].rstrip(DEEPER): kind for path, kind in table.items() if not path.endswith(".id")}
    return Watched(roots, kinds, frozenset(roots) | READ_KEYS)


def find(fields: dict[str, Raw], watched: Watched) -> list[Reference]:
    """Return what a body names, whose first level is decoded. Raises InvalidBodyError for ids that are none, for keys on the
    way that stand twice, and for more of them than a request can need."""
    roots = watched.roots
    found: dict[tuple[str, str], Reference] = {}
    for key, raw in fields.items():
        if key in roots:
            watch, data = roots[key], bytes(raw)
            if _may_name(data, watch):
                _collect(data, watch, key, found)
    return list(found.values()) if found else []


def find_steps(fields: dict[str, Raw], watched: Watched, scan: Scan) -> Steps[list[Reference]]:
    """Do the same in steps, for a large body: a long list is looked at element by element. One that may name something and has
    too many values is refused."""
    found: dict[tuple[str, str], Reference] = {}
    for key, raw in fields.items():
        watch = watched.roots.get(key)
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
    gather(itertools.chain(_walk(value, watch.root, key), items_of(value) if watch.has_items else ()), found)


def gather(named: Iterable[Reference], found: dict[tuple[str, str], Reference]) -> None:
    """Add references, each once. Raises InvalidBodyError for more than a request can need."""
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
        reference = reference_of(step.kind, value, path)
        if reference is not None:
            yield reference


def reference_of(kind: str, value: Any, path: str) -> Reference | None:
    """Return what a value names, or None. Raises InvalidBodyError for an id that is none."""
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


def items_of(value: Any) -> Iterator[Reference]:
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
