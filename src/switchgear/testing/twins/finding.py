"""What a rule finds, and how rules walk through a request. Level 5, pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """A rule that is broken."""

    rule: str
    text: str
    """The provider's words, as near as its public error reports give them."""


Rule = Callable[[dict[str, Any], str], Finding | None]
"""Takes a decoded request and the upstream's model name; None where it is kept."""


def items(value: Any) -> list[Any]:
    """Return a list, of whatever."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, of whatever."""
    return [item for item in items(value) if isinstance(item, dict)]


def blocks_of(message: dict[str, Any]) -> list[Any]:
    """Return the blocks of a message of Anthropic's; a text is one."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else items(content)


def turns(messages: list[Any], parts: Callable[[dict[str, Any]], list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Messages of one role in a row are one turn, as Anthropic and Gemini read them (seen in recorded exchanges)."""
    role, gathered = "", list[Any]()
    for message in messages:
        if message.get("role") != role and gathered:
            yield role, gathered
            gathered = []
        role = message.get("role", "user")
        gathered = gathered + parts(message)
    if gathered:
        yield role, gathered


def schemas_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema within a schema (names of properties are no keywords)."""
    if not isinstance(value, dict):
        return
    yield value
    for word in ("properties", "$defs", "definitions"):
        found = value.get(word)
        for inner in found.values() if isinstance(found, dict) else ():
            yield from schemas_in(inner)
    for word in ("items", "additionalProperties"):
        yield from schemas_in(value.get(word))
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for inner in items(value.get(word)):
            yield from schemas_in(inner)


def is_object(schema: dict[str, Any]) -> bool:
    """Tell whether a schema is an object's."""
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def first_twice(values: Iterable[Any]) -> Any:
    """Return the first value that stands twice, or None."""
    return next((value for value, count in Counter(values).items() if count > 1), None)
