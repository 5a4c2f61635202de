"""Other makers' thinking, carried through Gemini's clients: in the signature of the call behind it. Level 1, pure.

These clients leave thoughts out of their histories and send a call's `thoughtSignature` back as it came
(ai.google.dev/gemini-api/docs/thought-signatures; Gemini CLI 0.61, seen 2026-11-27). DeepSeek, Kimi and their like refuse a
call without its thinking, Claude and OpenAI lose theirs. A signature is base64, since Google's SDKs hold it as bytes; they
write it in either alphabet.
"""

import base64
import re
from typing import Any

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.canonical import Part, Thinking, ToolCall
from switchgear.dialects.foreign_thoughts import Cleaned, without
from switchgear.dialects.request import Request

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Google documents for tool calls that another model made ("Thought signatures", as of 2026-11)."""
SIGNS = re.compile(r"gemini-([3-9]|\d\d)")
"""Models that refuse a call without a signature."""
_MARK = b"sgt."
_CARRIED = re.compile(rb'"c2d0L')
"""How `_MARK` begins in base64."""
_SIGNATURES = ("thoughtSignature", "thought_signature")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Thinking]).decode


def pack(thoughts: list[Thinking]) -> str:
    """Return a signature that holds thinking."""
    return base64.b64encode(_MARK + _encode(thoughts)).decode("ascii")


def unpack(signature: str) -> list[Thinking] | None:
    """Return the thinking that a signature holds; None for one of Google's, or none at all."""
    plain = signature.replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        return _decode(data.removeprefix(_MARK)) if data.startswith(_MARK) else None
    except (ValueError, *UNREADABLE):
        return None


def restore(parts: list[Part]) -> list[Part]:
    """Return a turn of a history with the thinking that its calls carry in front, in place of what the client shows of it."""
    thoughts: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall) and part.signature is not None:
            held = unpack(part.signature)
            if held is not None:
                part.signature = None
                thoughts += held
    if not thoughts:
        return parts
    return thoughts + [part for part in parts if not isinstance(part, Thinking) or part.signature is not None]


def of_contents(request: Request, model: str) -> Cleaned:
    """Take what carries other makers' thinking out of a body that goes to Gemini itself, after a conversation changed its model:
    "Corrupted thought signature" (Antigravity-Manager#970, proxypal#119; read 2026-11-27). Gemini 3 wants each call signed, and
    knows a word for those that it did not make."""
    instead = SKIP_SIGNATURE if SIGNS.search(model) else None

    def clean(content: Any) -> Any:
        parts = content.get("parts") if isinstance(content, dict) else None
        return (
            {**content, "parts": [_resigned(part, instead) for part in parts]} if isinstance(parts, list) else content
        )

    fields, found = without(request, "contents", (_CARRIED,), clean)
    if not found:
        return Cleaned(request, [])
    return Cleaned(msgspec.structs.replace(request, fields=fields), ["contents.thoughtSignature"])


def _resigned(part: Any, instead: str | None) -> Any:
    if not isinstance(part, dict):
        return part
    foreign = [key for key in _SIGNATURES if isinstance(part.get(key), str) and unpack(part[key]) is not None]
    kept = {key: value for key, value in part.items() if key not in foreign}
    return kept | {key: instead for key in foreign if instead is not None}
