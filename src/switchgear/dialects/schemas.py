"""What is put right in the JSON Schemas of tools, wherever they go, and what makes one strict. Level 1, pure.

Tools of MCP servers come with schemas that no provider takes whole: arrays without `items` ("array schema missing items",
OpenAI; archestra#3864, spacectl#402), keywords of draft 4 ("must match JSON Schema draft 2020-12", Anthropic). A strict tool
whose objects are open is refused by OpenAI and by Anthropic (vercel/ai#20681). Read 2026-11-27.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import SCHEMA_BYTES_MAX, encode

_MAY_BE_ODD = re.compile(rb'"array"|"exclusiveM|"required"\s*:\s*[tf]')
NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
"""Keywords whose members have names that are no keywords."""
VALUES = frozenset({"enum", "const", "default", "examples", "example", "required"})
"""Keywords that hold values, no schemas."""


def mended(raw: Raw) -> Raw:
    """Return a schema with what is put right; the same bytes where nothing is, and where it is too large to be rewritten."""
    view = memoryview(raw)
    if len(view) > SCHEMA_BYTES_MAX or _MAY_BE_ODD.search(view) is None:
        return raw
    try:
        schema = msgspec.json.decode(raw)
    except UNREADABLE:
        return raw
    better = _mend(schema)
    return raw if better == schema else Raw(encode(better))


def _mend(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_mend(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMES and isinstance(value, dict):
            out[key] = {name: _mend(inner) for name, inner in value.items()}
        else:
            out[key] = value if key in VALUES else _mend(value)
    if isinstance(out.get("required"), bool):  # draft 3 said it beside each property
        del out["required"]
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        said = out.get(word)
        if isinstance(said, bool):
            del out[word]
            if said and bound in out:
                out[word] = out.pop(bound)
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
    kind = out.get("type")
    if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" not in out:
        out["items"] = {}
    return out


_NUMBER_CHARS = 8


def with_safe_names(raw: Raw, chars: str, chars_max: int) -> tuple[Raw, dict[str, str]]:
    """Return a schema whose properties at the top have names of these characters, and which of them differ: new → old. One that
    is too large to be looked through stays as it is."""
    if len(memoryview(raw)) > SCHEMA_BYTES_MAX:
        return raw, {}
    good = re.compile(rf"[{chars}]{{1,{chars_max}}}")
    try:
        top = msgspec.json.decode(raw, type=dict[str, Raw])
        properties = msgspec.json.decode(top.get("properties", b"{}"), type=dict[str, Raw])
        required = msgspec.json.decode(top.get("required", b"[]"), type=list[Any])
    except UNREADABLE:
        return raw, {}
    if all(good.fullmatch(name) for name in properties):
        return raw, {}
    taken = {name for name in properties if good.fullmatch(name)}
    given: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for name in properties:
        if name not in taken:
            safe = re.sub(f"[^{chars}]", "_", name)[:chars_max] or "_"
            stem = safe[: chars_max - _NUMBER_CHARS]
            while safe in taken:
                numbers[stem] = number = numbers.get(stem, 1) + 1  # no number is tried twice: many names stay cheap
                safe = f"{stem}_{number}"
            given[name] = safe
            taken.add(safe)
    top["properties"] = Raw(encode({given.get(name, name): value for name, value in properties.items()}))
    if "required" in top:
        top["required"] = Raw(encode([given.get(name, name) if isinstance(name, str) else name for name in required]))
    return Raw(encode(top)), {safe: name for name, safe in given.items()}


def renamed(arguments: str, names: dict[str, str]) -> str:
    """Return a call's arguments with other names of its properties; what is no object stays as it is."""
    try:
        given = msgspec.json.decode(arguments, type=dict[str, Raw])
    except (*UNREADABLE, UnicodeEncodeError):
        return arguments
    return encode({names.get(name, name): value for name, value in given.items()}).decode()


def is_strict(raw: Raw, needs_all: bool, refused: frozenset[str]) -> bool:
    """Tell whether a schema may be called strict: each object closed, and (`needs_all`) each of its properties required; none of
    the keywords that are refused then. False for one that is too large to be looked through."""
    if len(memoryview(raw)) > SCHEMA_BYTES_MAX:
        return False
    try:
        schema = msgspec.json.decode(raw)
    except UNREADABLE:
        return False
    return all(_is_closed(one, needs_all) and not refused & one.keys() for one in _schemas(schema))


def _is_closed(schema: dict[str, Any], needs_all: bool) -> bool:
    if schema.get("type") != "object" and "properties" not in schema:
        return True
    if schema.get("additionalProperties") is not False:
        return False
    required, properties = schema.get("required"), schema.get("properties")
    return not needs_all or set(properties or ()) <= set(required if isinstance(required, list) else ())


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Go through every schema within a schema."""
    if isinstance(value, list):
        for item in value:
            yield from _schemas(item)
    elif isinstance(value, dict):
        yield value
        for key, item in value.items():
            if key in NAMES and isinstance(item, dict):
                for inner in item.values():
                    yield from _schemas(inner)
            elif key not in VALUES:
                yield from _schemas(item)
