"""What a provider refuses of messages, and of the limit's names, in a chat completion that would pass as it is. Level 1, pure.

LangChain.js names its agent in each turn of the assistant, and clients send `reasoning_content` back to whoever is asked next:
Groq refuses both (console.groq.com/docs/openai; jan#8136), Mistral too (crush#1590; the types of mistralai/client-python), and
Cerebras the second (kilocode#10375). Read 2026-11-27. Clients that know OpenAI alone call instructions `developer` and the limit
`max_completion_tokens`, which servers with an older book refuse (`Quirks.developer`, `Quirks.newer_limit`, with sources): both mean
what the older names say.
"""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request
from switchgear.providers.quirks import Quirks

_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_TOOL = b'"tool"'
_DEVELOPER, _SYSTEM = b'"developer"', Raw(b'"system"')
_NEWER, _OLDER = "max_completion_tokens", "max_tokens"


def left_out(request: Request, names: tuple[str, ...]) -> tuple[Request, list[str]]:
    """Return the request without members of those names in its messages, and what was left out; the same one where there is
    none. A tool's message keeps them: its `name` is its function's."""
    raw = request.fields.get("messages")
    if raw is None or not any(f'"{name}"'.encode() in bytes(raw) for name in names):
        return request, []
    try:
        items = _decode_items(raw)
    except UNREADABLE:
        return request, []  # its provider says what is wrong with it
    found = [name for name in names if any(name in item and not _is_of_tool(item) for item in items)]
    if not found:
        return request, []
    kept = [
        item if _is_of_tool(item) else {key: value for key, value in item.items() if key not in names} for item in items
    ]
    fields = {**request.fields, "messages": Raw(encode(kept))}
    return msgspec.structs.replace(request, fields=fields), [f"messages.{name}" for name in found]


def with_older_words(request: Request, quirks: Quirks) -> Request:
    """Return the request with the older names of the role of instructions and of the limit, where the provider refuses the newer
    ones; the same one where there is none."""
    fields = request.fields
    if not quirks.newer_limit and _NEWER in fields:
        fields = {**fields, _OLDER: fields[_NEWER]}  # the newer one counts where both stand, as at OpenAI
        del fields[_NEWER]
    raw = fields.get("messages")
    if not quirks.developer and raw is not None and _DEVELOPER in bytes(raw):
        try:
            items = _decode_items(raw)
        except UNREADABLE:
            items = []  # its provider says what is wrong with it
        if any(_is_of_developer(item) for item in items):
            named = [{**item, "role": _SYSTEM} if _is_of_developer(item) else item for item in items]
            fields = {**fields, "messages": Raw(encode(named))}
    return request if fields is request.fields else msgspec.structs.replace(request, fields=fields)


def _is_of_developer(item: dict[str, Raw]) -> bool:
    return bytes(item.get("role", b"")) == _DEVELOPER


def _is_of_tool(item: dict[str, Raw]) -> bool:
    return bytes(item.get("role", b"")) == _TOOL
