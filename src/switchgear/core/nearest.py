"""What somebody who wrote a name that does not exist may have meant. Level 0."""

import difflib
from collections.abc import Iterable

KNOWN_MAX = 10_000
"""Comparing names costs their number: of more, only the first are looked at."""


def meant(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known name is near.

    >>> meant("keys", ["key", "model"]), meant("research-eu", ["x"])
    ("; did you mean 'key'?", '')
    """
    folded = {one.lower(): one for _, one in zip(range(KNOWN_MAX), known, strict=False)}
    wanted = name[:128].lower()
    if wanted in folded:
        return f"; did you mean {folded[wanted]!r}?"
    found = difflib.get_close_matches(wanted, folded, 1, 0.66)
    if not found and len(wanted) > 2:
        found = sorted((one for one in folded if one.startswith(wanted)), key=len)[:1]
    return f"; did you mean {folded[found[0]]!r}?" if found else ""
