"""Other makers' thinking, carried through Gemini's clients: in the signature of the call behind it. Level 1, pure.

These clients leave thoughts out of their histories and send a call's `thoughtSignature` back as it came
(ai.google.dev/gemini-api/docs/thought-signatures; Gemini CLI 0.61, seen 2026-11-27). DeepSeek, Kimi and their like refuse a
call without its thinking, Claude and OpenAI lose theirs. A signature is base64, since Google's SDKs hold it as bytes; they
write it in either alphabet.
"""

import base64

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.canonical import Part, Thinking, ToolCall

_MARK = b"sgt."
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
