"""Is what came under a status of success what its operation answers with? Level 1, sans-I/O.

Proxies answer 200 with a page, providers with an error object, broken servers with half of their JSON. Readers find the common
answer fit in passing (`AnswerMetadata.is_fit`); only what they did not recognise is looked at here.
"""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.answer_metadata import Unfit

_ERRORS = ("error", "errors", "message", "detail", "msg")
_IDLE = re.compile(rb'\s*\{\s*"type"\s*:\s*"(?:ping|keepalive)"')
_decode = msgspec.json.Decoder(dict[str, Raw]).decode


def judge(members: tuple[str, ...] | None, body: bytes, content_type: bytes) -> Unfit | None:
    """Return why a body is no answer, or None for one that may be. `members` as in `Operation.members`."""
    if body[:256].lstrip().startswith(b"<") or content_type.startswith(b"text/html"):
        return Unfit("it is HTML")
    if members is None or (not members and b"json" not in content_type):
        return None
    try:
        found = _decode(body)
    except msgspec.ValidationError:
        return Unfit("it is no JSON object")
    except UNREADABLE:
        return Unfit("it is not JSON, or only a part of it")
    has_error = bytes(found.get("error", b"null")) != b"null"
    kept = [value for name in members if (value := bytes(found.get(name, b"null")))[:1] not in {b"n", b'"'}]
    if has_error and all(value == b"[]" for value in kept):
        return Unfit("it is an error", is_error=True)
    if kept or not members:
        return None
    return Unfit(f"it has no {members[0]!r}", is_error=any(name in found for name in _ERRORS))


def is_idle(data: bytes) -> bool:
    """Tell whether an event only keeps a connection open."""
    return _IDLE.match(data) is not None


def is_event(data: bytes) -> bool:
    """Tell whether an event's data is what events of all dialects are: a JSON object."""
    try:
        _decode(data)
    except UNREADABLE:
        return False
    return True
