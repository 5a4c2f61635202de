"""Reading foreign JSON: a value together with its path, so that every mistake names its field. Level 1."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

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
"""What a translator's own mistake may raise on foreign input. Where a translator is called these become typed errors: a
strange body must cost its own request, never the link that all requests share."""


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
        """Return the elements of a list; none when it is absent."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.fail(f"must be a list, not {kind_of(value)}", key)
        at = self.at(key)
        return [Node(element, f"{at}[{number}]") for number, element in enumerate(value)]

    def __iter__(self) -> "Iterator[Node]":
        if not isinstance(self.value, list):
            raise self.fail(f"must be a list, not {kind_of(self.value)}")
        return iter([Node(element, f"{self.path}[{number}]") for number, element in enumerate(self.value)])

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


def foreign_tools(tools: list[Node], is_function: Callable[[Node], bool], dropped: list[str]) -> list[Node]:
    """Return the tools that are functions. Those that only their own provider can run are left out and noted where
    functions remain; alone, they are what the request is about, so it is refused."""
    kept: list[Node] = []
    foreign: list[Node] = []
    for tool in tools:
        (kept if is_function(tool) else foreign).append(tool)
    for tool in foreign:
        kind = str(tool.get("type") or ", ".join(tool.names()))[:64]
        if not kept:
            raise tool.fail(f"the tool {kind!r} is run by another provider and cannot be carried to this model's")
        dropped.append(f"{tool.path} ({kind})")
    return kept


VALUES_MAX = 300_000
"""Objects and lists in a body that is translated: each becomes a Python object, and a body of 32 MB can hold ten million.
A prompt of a million tokens of code has about 100,000 brackets."""


def decode_bounded(data: bytes | memoryview) -> Any:
    """Decode JSON that is about to be translated. Raises InvalidBodyError for one with too many values."""
    whole = bytes(data)
    if whole.count(b"{") + whole.count(b"[") > VALUES_MAX:
        raise InvalidBodyError(
            f"more than {VALUES_MAX} objects and lists cannot be translated for this model's provider"
        )
    return decode(whole)


def object_of(text: str) -> Raw:
    """Return a tool call's arguments as a JSON object. What the model wrote and is no object is kept as a string under
    `_arguments`, so that nothing is lost."""
    if not text.strip():
        return Raw(b"{}")
    try:
        value = decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Raw(encode({"_arguments": text}))
    return Raw(encode(value)) if isinstance(value, dict) else Raw(encode({"_arguments": value}))


def text_of_object(value: Any) -> str:
    """Return a tool call's arguments as JSON text."""
    return encode(value if value is not None else {}).decode()
