"""Free text from outside, made harmless for logs, records and headers. Level 0 (docs/invariants.md S4)."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
"""C0, C1 (U+009B is an escape sequence by itself), what turns the direction of writing (Unicode, Bidi_Control), ends a line
(U+2028, U+2029) or is not seen: zero widths and tags."""
_KEY_LIKE = re.compile(r"\b(sk|pk|rk|sgat|gsk|xai|AIza|ghp|hf)[-_A-Za-z0-9]{16,}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NAMED = re.compile(
    r"((?:key|token|secret|password|passwd|pwd|auth|credential)[a-z0-9_-]{0,64}['\"]?(?:\s?[:=]\s?|\s)['\"]?)[^\s'\"]+",
    re.I,
)
"""An option, a variable or a field whose name says that its value is secret, and the value."""
_USERINFO = re.compile(r"://[^/@\s]+@")
_RANDOM = re.compile(r"[A-Za-z0-9_+/=-]{32,}")
_NOT_VISIBLE = re.compile(r"[^\x21-\x7e]")


def plain(text: str, length_max: int) -> str:
    """Cap and strip control and bidi characters: for names that are not a client's invention."""
    if len(text) > length_max:
        text = text[:length_max]
    return text if text.isprintable() else _CONTROL.sub("", text)


def clean(text: str, length_max: int) -> str:
    """Cap, strip control and bidi characters and lone surrogates, mask what looks like a key."""
    if len(text) > length_max:
        text = text[:length_max]
    if not text.isprintable():
        text = _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))
    return _KEY_LIKE.sub(r"\1-…", text) if len(text) > 18 else text


def counted(number: int, noun: str) -> str:
    """Write how many of something there are.

    >>> counted(1, "request"), counted(0, "key")
    ('1 request', '0 keys')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")


SHOWN_MAX = 80


def shown(text: str) -> str:
    """Quote a piece of what somebody wrote for a message."""
    return repr(clean(text, SHOWN_MAX)) + ("…" if len(text) > SHOWN_MAX else "")


def without_secrets(text: str, length_max: int) -> str:
    """Mask what could be secret in a command line or a setting that is shown to people: values of what is named so, passwords in
    URLs, keys, and long words that look random. For records, whose words are to stay what they were, see `clean`."""
    text = _USERINFO.sub("://…@", _NAMED.sub(r"\1…", clean(text[:65_536], 65_536)))
    text = _RANDOM.sub("…", text)
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def file_name(path: str) -> str:
    """Return a path as it is shown: bytes of a name that are not UTF-8 (surrogates, as Python reads them) as \\xff."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_clean(text: str, length_max: int) -> bool:
    """Tell whether `clean` would change nothing; may say no for a text that it leaves alone, never yes for another. One look at
    several texts joined by blanks costs half of looking at each."""
    if len(text) > length_max or not text.isprintable():
        return False
    # Looking for the beginnings costs a fifth of the pattern; seldom is one there.
    may_be_key = (
        "sk" in text
        or "pk" in text
        or "rk" in text
        or "hf" in text
        or "xai" in text
        or "ghp" in text
        or "sgat" in text
        or "AIza" in text
    )
    return not may_be_key or _KEY_LIKE.search(text) is None


def header_value(text: str, length_max: int = 256) -> bytes:
    """Make text safe as a header's value: visible ASCII only, others as "?"."""
    return _NOT_VISIBLE.sub("?", text[:length_max]).encode("ascii")


FLOW_DEPTH_MAX = 500
"""Brackets within brackets in YAML; its parser takes a millisecond for so many, and four times as much for twice as many."""
_BRACKET = re.compile(r"[\[\]{}]")


def is_deep(text: str, depth_max: int = FLOW_DEPTH_MAX) -> bool:
    """Tell whether brackets may be nested deeper than a parser of YAML bears; quotes and comments count as well."""
    if text.count("[") + text.count("{") <= depth_max:
        return False
    depth = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        if depth > depth_max:
            return True
    return False
