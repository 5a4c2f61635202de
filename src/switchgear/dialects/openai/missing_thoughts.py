"""Calls whose thinking the client lost, in a chat completion that would pass as it is. Level 1, pure.

DeepSeek and Kimi refuse a history with calls and without their `reasoning_content` while they think, and many clients of chat
completions know no such member (langchain#39370, langchainjs#10883, continue#11806; read 2026-11-27). What is put there says
that nothing is known of it, as in translated histories.
"""

from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.openai.requests import NO_THOUGHTS
from switchgear.dialects.request import Request

_decode_items = msgspec.json.Decoder(list[Raw]).decode


def filled_in(request: Request) -> Request:
    """Return the request with something in the place of thinking that calls lack; the same one where none is missing."""
    raw = request.fields.get("messages")
    if raw is None:
        return request
    try:
        items = _decode_items(raw)
        kept = [_filled(item) for item in items]
    except UNREADABLE:
        return request  # its provider says what is wrong with it
    if all(new is old for new, old in zip(kept, items, strict=True)):
        return request
    return msgspec.structs.replace(request, fields={**request.fields, "messages": Raw(encode(kept))})


def _filled(item: Raw) -> Raw:
    if b'"tool_calls"' not in bytes(item):
        return item
    message: Any = msgspec.json.decode(item)
    if not isinstance(message, dict) or message.get("role") != "assistant" or not message.get("tool_calls"):
        return item
    if message.get("reasoning_content") is not None:  # "" is taken, as recorded
        return item
    content = message.get("content")
    return Raw(encode({**message, "content": "" if content is None else content, "reasoning_content": NO_THOUGHTS}))
