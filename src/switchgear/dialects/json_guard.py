"""What a JSON body must satisfy before it is decoded: depth, encoding, no duplicate keys. Level 1 (INVARIANTS H4)."""

import json
import re
from typing import Any

DEPTH_MAX = 64

# Possessive throughout, and an unfinished string is one too: a string that never ends is read once, not once per quote.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonRefusedError(ValueError):
    """The body is refused; the text says why."""


def check_depth(body: bytes, depth_max: int = DEPTH_MAX) -> None:
    """Refuse deeper nesting than `depth_max`, without decoding. Cheap for bodies with few brackets."""
    if body.count(b"{") + body.count(b"[") <= depth_max:
        return
    depth = 0
    for byte in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        if byte in b"{[":
            depth += 1
            if depth > depth_max:
                raise JsonRefusedError(f"the body is nested deeper than {depth_max} levels")
        else:
            depth -= 1


def check_text(body: bytes) -> None:
    """Refuse what is not UTF-8."""
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise JsonRefusedError(f"the body is not UTF-8 (byte {exc.start})") from None


def check_duplicates(body: bytes, watched: tuple[bytes, ...]) -> None:
    """Refuse a duplicate of a watched top-level key (spelled as `"name"` in bytes).

    A repeated byte sequence alone is no proof (it may stand in a message), so only then the body is parsed with pairs.
    A key that is spelled with escapes is found the same way.
    """
    count = body.count
    for name in watched:
        if count(name) > 1:
            break
    else:
        if b"\\u00" not in body:
            return
    names = {name.strip(b'"').decode() for name in watched}

    def pairs(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return found

    try:
        top = json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return  # the real decoder says what is wrong
    seen: set[str] = set()
    for key, _ in top if isinstance(top, list) and all(isinstance(item, tuple) for item in top) else ():
        if key in names and key in seen:
            raise JsonRefusedError(f"the key {key!r} stands twice")
        seen.add(key)
