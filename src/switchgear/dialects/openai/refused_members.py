"""Members of messages that a provider refuses, in a chat completion that would pass as it is. Level 1, pure.

LangChain.js names its agent in each turn of the assistant, and clients send `reasoning_content` back to whoever is asked next:
Groq refuses both (console.groq.com/docs/openai; jan#8136), Mistral too (crush#1590; the types of mistralai/client-python), and
Cerebras the second (kilocode#10375). Read 2026-11-27.
"""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request

_decode_items = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_TOOL = b'"tool"'


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


def _is_of_tool(item: dict[str, Raw]) -> bool:
    return bytes(item.get("role", b"")) == _TOOL
