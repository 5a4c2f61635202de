"""Thinking that another maker signed, taken out of a body that would pass as it is. Level 1, pure.

A conversation may change its model: what a translation marked as another maker's (`canonical.pack_signature`) comes back in the
client's next request, and the new provider refuses it ("Invalid `signature` in `thinking` block", CLIProxyAPI#1584,
oh-my-pi#6379; OpenAI says as much of `encrypted_content`). Servers that speak Anthropic's dialect and sign nothing leave an
empty signature, which Claude refuses and they want back: it is taken out for Claude alone (ccs#415, hermes-agent#24401). All
read 2026-11-27.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request

_MARKED = re.compile(rb'"sg\.[a-z]{1,16}\.')
_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


class Cleaned(msgspec.Struct, frozen=True):
    """A request without foreign thinking, and what was left out."""

    request: Request
    dropped: list[str]


def of_messages(request: Request, model: str) -> Cleaned:
    """Take foreign thinking out of a body of Anthropic's. Where a turn that is being answered loses it, nothing is thought in this
    answer: such a turn must begin with its thinking."""
    marks = (_MARKED, _UNSIGNED) if "claude" in model.lower() else (_MARKED,)
    fields, found = without(request, "messages", marks, _clean_message)
    if not found:
        return Cleaned(request, [])
    dropped = ["messages.thinking"]
    if bytes(fields.get("thinking", b"")).find(b'"enabled"') >= 0:
        fields.pop("thinking")
        dropped.append("thinking")
    return Cleaned(msgspec.structs.replace(request, fields=fields), dropped)


def of_input(request: Request, model: str) -> Cleaned:
    """Take foreign reasoning out of a body of Responses."""
    fields, found = without(request, "input", (_MARKED,), _clean_item)
    return (
        Cleaned(msgspec.structs.replace(request, fields=fields), ["input.reasoning"]) if found else Cleaned(request, [])
    )


def of_converse(request: Request, model: str) -> Cleaned:
    """Take foreign thinking out of a body of Bedrock's: of Converse, or of a Claude that is invoked."""
    if request.operation == "invoke":
        return of_messages(request, model)
    fields, found = without(request, "messages", (_MARKED,), _clean_turn)
    if not found:
        return Cleaned(request, [])
    dropped = ["messages.reasoningContent"]
    more = fields.get("additionalModelRequestFields")
    if more is not None and b'"enabled"' in bytes(more):
        kept = {key: value for key, value in _decode_members(more).items() if key != "thinking"}
        fields["additionalModelRequestFields"] = Raw(encode(kept))
        dropped.append("additionalModelRequestFields.thinking")
    return Cleaned(msgspec.structs.replace(request, fields=fields), dropped)


def without(
    request: Request, key: str, marks: tuple["re.Pattern[bytes]", ...], clean: Callable[[Any], Any]
) -> tuple[dict[str, Raw], bool]:
    """Return a body's members with the items of a list cleaned that bear a mark (None: left out), and whether one did."""
    raw = request.fields.get(key)
    if raw is None or not any(mark.search(memoryview(raw)) for mark in marks):
        return request.fields, False
    try:
        items = _decode_items(raw)
    except UNREADABLE:
        return request.fields, False
    kept: list[Raw] = []
    for item in items:
        if any(mark.search(memoryview(item)) for mark in marks):
            cleaned = clean(msgspec.json.decode(item))
            if cleaned is not None:
                kept.append(Raw(encode(cleaned)))
        else:
            kept.append(item)
    return {**request.fields, key: Raw(encode(kept))}, True


def _is_foreign(text: Any) -> bool:
    return isinstance(text, str) and (not text or text.startswith("sg."))


def _clean_message(message: Any) -> Any:
    """Return a message without its foreign thinking; None where nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [
        block
        for block in content
        if not (isinstance(block, dict) and block.get("type") == "thinking" and _is_foreign(block.get("signature")))
    ]
    return {**message, "content": kept} if kept else None


def _clean_turn(message: Any) -> Any:
    """Return a message of Converse without its foreign thinking; None where nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not _is_foreign(_signature_of(block))]
    return {**message, "content": kept} if kept else None


def _signature_of(block: Any) -> Any:
    thought = block.get("reasoningContent") if isinstance(block, dict) else None
    text = thought.get("reasoningText") if isinstance(thought, dict) else None
    return text.get("signature") if isinstance(text, dict) else None


def _clean_item(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return item
    return None if _is_foreign(item.get("encrypted_content")) else item
