"""The line of Claude Code's instructions that is meant for Anthropic's accounts alone. Level 1, pure.

Claude Code begins its instructions with `x-anthropic-billing-header: cc_version=…; cch=…;`. It tells the model nothing, and
changes with every request, so that a provider that caches beginnings caches none (claude-code#68900, sglang#21064,
ccproxy-api#61, vllm-mlx#277; read 2026-11-28). Claude gets it as it came; nobody else does.
"""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request

_LINE = re.compile(r"x-anthropic-billing-header:[^\n]*\n*")
_MARK = b"x-anthropic-billing-header:"
_decode_blocks = msgspec.json.Decoder(str | list[dict[str, Raw]]).decode
_decode_text = msgspec.json.Decoder(str).decode


def without_line(text: str) -> str:
    """Return an instruction without the line, where it begins with it."""
    return _LINE.sub("", text, count=1) if text.startswith("x-anthropic-billing-header:") else text


def left_out(request: Request, model: str) -> Request:
    """Return a body of Anthropic's without the line, for a model that is no Claude; the same one where there is none."""
    raw = request.fields.get("system")
    if raw is None or "claude" in model.lower() or _MARK not in bytes(raw)[:4096]:
        return request
    try:
        system = _decode_blocks(raw)
        kept = (
            without_line(system) if isinstance(system, str) else [block for item in system for block in _cleaned(item)]
        )
    except UNREADABLE:
        return request  # its provider says what is wrong with it
    fields = {key: value for key, value in request.fields.items() if key != "system"}
    if kept:
        fields["system"] = Raw(encode(kept))
    return msgspec.structs.replace(request, fields=fields)


def _cleaned(block: dict[str, Raw]) -> list[dict[str, Raw]]:
    if _MARK not in bytes(block.get("text", b"")):
        return [block]
    text = without_line(_decode_text(block["text"]))
    return [{**block, "text": Raw(encode(text))}] if text else []
