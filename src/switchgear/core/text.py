"""Free text from outside, made harmless for logs, records and headers. Level 0 (INVARIANTS S4)."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_KEY_LIKE = re.compile(r"\b(sk|pk|rk|sgat|gsk|xai|AIza|ghp|hf)[-_A-Za-z0-9]{16,}")
_NOT_VISIBLE = re.compile(r"[^\x21-\x7e]")


def clean(text: str, length_max: int) -> str:
    """Cap, strip control and bidi characters, mask what looks like a key."""
    if len(text) > length_max:
        text = text[:length_max]
    if not text.isprintable():
        text = _CONTROL.sub("", text)
    return _KEY_LIKE.sub(r"\1-…", text) if len(text) > 18 else text


def header_value(text: str, length_max: int = 256) -> bytes:
    """Make text safe as a header's value: visible ASCII only, others as "?"."""
    return _NOT_VISIBLE.sub("?", text[:length_max]).encode("ascii")
