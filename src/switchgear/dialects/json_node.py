"""Reading foreign JSON: a value together with its path, so that every mistake names its field. Level 1."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise, finish
from switchgear.dialects.json_guard import JsonRefusedError, Scan, scan_steps

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class InvalidBodyError(ValueError):
    """The body is not what the operation needs. `param` names the key."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


TRANSLATION_ERRORS = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
)
"""What foreign input may make a translator raise that has a mistake. Where a translator is called these become typed errors: a
strange body may end its own request, never the link that all requests share."""


class Node:
    """A decoded JSON value and where it stands. Methods take a key of the object that the node holds; a key that is
    absent or null gives None (or nothing), a value of the wrong type raises InvalidBodyError."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def __repr__(self) -> str:
        return f"Node({self.path or '(top)'})"

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def fail(self, message: str, key: str = "") -> InvalidBodyError:
        """Return the error for this node, or for a key of it."""
        path = self.at(key) if key else self.path
        return InvalidBodyError(f"invalid value for {path!r}: {message}" if path else message, path or None)

    def names(self) -> list[str]:
        """Return the keys whose values are not null. Raises when this is no object."""
        if not isinstance(self.value, dict):
            raise self.fail(f"must be an object, not {kind_of(self.value)}")
        return [key for key, value in self.value.items() if value is not None]

    def has(self, key: str) -> bool:
        """Tell whether an object has a key that is not null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def get(self, key: str) -> Any:
        """Return a value as it is."""
        if not isinstance(self.value, dict):
            raise self.fail(f"must be an object, not {kind_of(self.value)}")
        return self.value.get(key)

    def child(self, key: str) -> "Node | None":
        """Return the node of a key."""
        value = self.get(key)
        return None if value is None else Node(value, self.at(key))

    def object(self, key: str) -> "Node":
        """Return the object of a key; an empty one when it is absent."""
        value = self.get(key)
        if value is None:
            return Node({}, self.at(key))
        if not isinstance(value, dict):
            raise self.fail(f"must be an object, not {kind_of(value)}", key)
        return Node(value, self.at(key))

    def items(self, key: str) -> "list[Node]":
        """Return the elements of a list; none when it is absent. For lists that are short in every honest request: over
        ITEMS_MAX elements are refused. A list that may be long is gone through with `each`, in steps."""
        value = self.get(key)
        if value is None:
            return []
        if isinstance(value, list) and len(value) > ITEMS_MAX:
            raise self.fail(f"more than {ITEMS_MAX} elements cannot be translated for this model's provider", key)
        return list(self.each(key))

    def each(self, key: str) -> "Iterator[Node]":
        """Go through a list of any length, element by element; the caller yields a step for each."""
        value = self.get(key)
        if value is None:
            return iter(())
        if not isinstance(value, list):
            raise self.fail(f"must be a list, not {kind_of(value)}", key)
        at = self.at(key)
        return (Node(element, f"{at}[{number}]") for number, element in enumerate(value))

    def __iter__(self) -> "Iterator[Node]":
        if not isinstance(self.value, list):
            raise self.fail(f"must be a list, not {kind_of(self.value)}")
        return (Node(element, f"{self.path}[{number}]") for number, element in enumerate(self.value))

    def schema(self, key: str) -> Any:
        """Return a JSON Schema that is about to be rewritten value by value; None when it is absent."""
        value = self.get(key)
        if isinstance(value, Parts) or (isinstance(value, list | dict) and len(encode(value)) > SCHEMA_BYTES_MAX):
            raise self.fail(f"a schema over {SCHEMA_BYTES_MAX} bytes cannot be translated", key)
        return value

    def text(self, key: str) -> str | None:
        """Return a string."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            raise self.fail(f"must be a string, not {kind_of(value)}", key)
        return value

    def need(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.text(key)
        if value is None:
            raise InvalidBodyError(f"missing required parameter: {self.at(key)!r}", self.at(key))
        return value

    def integer(self, key: str) -> int | None:
        """Return an integer; 2.0 is one."""
        value = self.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.fail(f"must be an integer, not {kind_of(value)}", key)
        return value

    def number(self, key: str) -> float | None:
        """Return a number."""
        value = self.get(key)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self.fail(f"must be a number, not {kind_of(value)}", key)
        return value

    def flag(self, key: str) -> bool | None:
        """Return a boolean."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.fail(f"must be true or false, not {kind_of(value)}", key)
        return value

    def raw(self, key: str) -> Raw:
        """Return a value encoded again; `null` when absent."""
        return Raw(encode(self.get(key)))


def kind_of(value: Any) -> str:
    """Name a JSON type."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


@Stepwise
def foreign_tools(
    tools: "Iterable[Node]", is_function: Callable[[Node], bool], dropped: list[str]
) -> "Steps[list[Node]]":
    """Return the tools that are functions. Those that only their own provider can run are left out and noted where
    functions remain; alone, they are what the request is about, so it is refused."""
    kept: list[Node] = []
    foreign: list[Node] = []
    for tool in tools:
        yield
        (kept if is_function(tool) else foreign).append(tool)
    for tool in foreign:
        yield
        kind = str(tool.get("type") or ", ".join(tool.names()))[:64]
        if not kept:
            raise tool.fail(f"the tool {kind!r} is run by another provider and cannot be carried to this model's")
        dropped.append(f"{tool.path} ({kind})")
    return kept


CONTAINERS_MAX = 80_000
"""Objects and lists in a body that is translated: each becomes Python objects, and 32 MB can hold ten million. A
conversation of a million tokens in 5,000 messages has about 20,000."""
VALUES_MAX = 400_000
"""Members and elements in it."""
ITEMS_MAX = 8_192
"""Elements of a list that is short in honest requests: at 2 µs each they take less than a loop may stand still."""
SCHEMA_BYTES_MAX = 131_072
"""A schema whose every value is rewritten: 30 ms. All schemas of a large set of tools together have about that."""
LARGE_BYTES = 131_072
"""From here on a body is judged and translated in slices: below, the slowest shape takes 30 ms (decision 024)."""
WHOLE_BYTES = 65_536
"""Below it a value is decoded with all that it holds; above, level by level as it is looked at."""

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_raw = msgspec.json.Decoder(Raw).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def check_size(scan: Scan, what: str, values_max: int = VALUES_MAX) -> None:
    """Refuse to translate what has too many values. Raises InvalidBodyError."""
    if scan.containers > CONTAINERS_MAX or scan.values > values_max:
        raise InvalidBodyError(
            f"{what} with more than {CONTAINERS_MAX} objects and lists, or {values_max} values, cannot be translated for "
            "this model's provider"
        )


class Parts:
    """A large object or list that is decoded level by level, so that no more than is being looked at is in memory."""


class Fields(dict[str, Any], Parts):
    """An object whose values are decoded when they are asked for. Values are Raw until then."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        value = super().get(key, default)
        if isinstance(value, Raw):
            value = self[key] = parts_of(value)
        return value


class Items(list[Any], Parts):
    """A list whose elements are decoded when they are reached, and forgotten again."""

    def __iter__(self) -> Iterator[Any]:
        for raw in super().__iter__():
            yield parts_of(raw)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Items(found) if isinstance(index, slice) else parts_of(found)

    def __contains__(self, wanted: object) -> bool:
        return any(element == wanted for element in self)


def parts_of(raw: Raw) -> Any:
    """Decode a value: all of it when it is small, else one level."""
    view = memoryview(raw)
    if len(view) < WHOLE_BYTES:
        return decode(raw)
    if view[0] == ord("["):
        return Items(_decode_items(raw))
    if view[0] == ord("{"):
        return fields_of(_decode_fields(raw))
    return decode(raw)


def fields_of(fields: dict[str, Raw]) -> Fields:
    """Return a decoded object as one whose values are decoded when they are asked for."""
    return Fields({key: value for key, value in fields.items() if bytes(memoryview(value)[:4]) != b"null"})


def decode_large(body: bytes) -> Fields:
    """Decode a large object one level. Raises msgspec's errors."""
    return fields_of(_decode_fields(body))


def short_members(body: bytes) -> bytes:
    """Return an object with only those members that are short. Raises msgspec's errors."""
    return encode({key: value for key, value in _decode_fields(body).items() if len(memoryview(value)) < WHOLE_BYTES})


def encode_large(value: dict[str, Any]) -> "Steps[list[memoryview]]":
    """Encode an object in steps, long lists element by element, and let go of each when it is encoded: `value` is empty
    afterwards. Returns the parts of the body."""
    parts: list[memoryview] = []
    pending: list[bytes] = [b"{"]
    size = 0
    mark = b""
    for key in list(value):
        member = value.pop(key)
        pending.append(mark + encode(key) + b":")
        mark = b","
        if not isinstance(member, list):
            pending.append(encode(member))
            size += len(pending[-1])
        else:
            pending.append(b"[")
            member.reverse()
            comma = b""
            while member:
                piece = encode(member.pop())
                pending += (comma, piece)
                comma = b","
                size += len(piece)
                yield
                if size >= PART_BYTES:
                    parts.append(memoryview(b"".join(pending)))
                    pending, size = [], 0
            pending.append(b"]")
    pending.append(b"}")
    parts.append(memoryview(b"".join(pending)))
    return parts


PART_BYTES = 262_144
"""What is encoded of a large body before it becomes a part of its own."""


def check_event(data: bytes) -> None:
    """Refuse to read an event of a stream with too many values, as no provider sends it. Raises InvalidBodyError."""
    if len(data) >= WHOLE_BYTES:
        try:
            scan = finish(scan_steps(data))
        except JsonRefusedError as exc:
            raise InvalidBodyError(str(exc)) from None
        if scan.containers > EVENT_CONTAINERS_MAX or scan.values > VALUES_MAX:
            raise InvalidBodyError(f"an event with more than {EVENT_CONTAINERS_MAX} objects and lists is not read")


def decode_event(data: bytes) -> Any:
    """Decode one event of a stream. Raises InvalidBodyError for one with too many values, msgspec's for no JSON."""
    check_event(data)
    return decode(data)


EVENT_CONTAINERS_MAX = 10_000


def object_of(text: str) -> Raw:
    """Return a tool call's arguments as a JSON object. What the model wrote and is no object is kept as a string under
    `_arguments`, so that nothing is lost."""
    if not text.strip():
        return Raw(b"{}")
    if len(text) >= WHOLE_BYTES:
        return _large_object(text)
    try:
        value = decode(text)
    except UNREADABLE:
        return Raw(encode({"_arguments": text}))
    return Raw(encode(value)) if isinstance(value, dict) else Raw(encode({"_arguments": value}))


def _large_object(text: str) -> Raw:
    """Do the same without making an object of each value: a long one goes on as it was written."""
    raw = text.strip(" \t\r\n").encode("utf-8", "surrogatepass")
    try:
        _decode_raw(raw)
    except UNREADABLE:
        return Raw(encode({"_arguments": text}))
    return Raw(raw if raw.startswith(b"{") else b'{"_arguments":%b}' % raw)


def text_of_object(value: Any) -> str:
    """Return a tool call's arguments as JSON text."""
    return encode(value if value is not None else {}).decode()


def arguments_of(value: Any) -> str:
    """Return a call's arguments as JSON text, whether they came as it or as the object: servers and clients mix them up
    (AssetOpsBench#478, cc-switch#5062)."""
    return value or "{}" if isinstance(value, str) else text_of_object(value)
