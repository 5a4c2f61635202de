"""Cursor sends bodies of responses, or tools of theirs, to the path of chat completions. Level 1."""

import re
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request

FLAT_TOOLS_BYTES_MAX = 1_048_576
_NESTED = re.compile(rb'"function"\s*:')
"""A definition in chat's own shape: found at the beginning of the tools of nearly everybody."""


def adapt(request: Request) -> None:
    """Read a body of responses on the path of chat as one, and flat function definitions as chat's own."""
    fields = request.fields
    if "messages" not in fields:
        request.dialect = "responses"
        request.tags = [*(request.tags or []), "quirk=responses-body"]
    elif "tools" in fields and _nest_tools(fields):
        request.tags = [*(request.tags or []), "quirk=flat-tools"]


def _nest_tools(fields: dict[str, Raw]) -> bool:
    """Put flat function definitions (Responses have them so, Cursor sends them here) into the shape of chat; tells whether there
    were any."""
    raw = memoryview(fields["tools"])
    if _NESTED.search(raw) is not None or len(raw) > FLAT_TOOLS_BYTES_MAX:
        return False
    try:
        tools = msgspec.json.decode(raw)
    except UNREADABLE:
        return False
    if not isinstance(tools, list) or not any(_is_flat(tool) for tool in tools):
        return False
    fields["tools"] = Raw(encode([_nested(tool) if _is_flat(tool) else tool for tool in tools]))
    try:
        choice = msgspec.json.decode(fields["tool_choice"]) if "tool_choice" in fields else None
    except UNREADABLE:
        return True
    if _is_flat(choice):
        fields["tool_choice"] = Raw(encode(_nested(choice)))
    return True


def _is_flat(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") == "function" and "name" in tool


def _nested(tool: Any) -> dict[str, Any]:
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}
