"""Which raw paths of a provider may be used: rules such as "POST /fine_tuning/jobs" or "GET /files*". Level 1.

Two lists must agree: the one sealed with the provider's credential (the vault enforces it, whoever asks), and the virtual
key's, whose rules begin with the provider's name. Nothing is allowed by default; each method is named, so listing and
deleting need rules of their own.
"""

import re
from collections.abc import Collection, Iterable

from switchgear.core.path_rule import RULE

_PATH = re.compile(r"/[A-Za-z0-9._~%/-]{0,1024}")
_QUERY = re.compile(r"[A-Za-z0-9._~%=&+\[\]:,-]{0,2048}")
_DOTS = re.compile(r"/(?:\.|%2[Ee]){1,2}(?:/|$)|%2[Ff]|%5[Cc]|%25|%(?![0-9A-Fa-f]{2})")
"""Also an escaped percent sign: whoever decodes twice would find another path behind it."""


def is_plain(path: str, query: str = "") -> bool:
    """Tell whether a path means what it says: no dots, no escaped slashes, no strange characters."""
    return _PATH.fullmatch(path) is not None and _DOTS.search(path) is None and _QUERY.fullmatch(query) is not None


def is_allowed(rules: Iterable[str], method: str, path: str) -> bool:
    """Tell whether a provider's rules allow a method and path (without query)."""
    for text in rules:
        found = RULE.fullmatch(text)
        if found is None or found.group(1) != method:
            continue
        if path == found.group(2) or (found.group(3) and path.startswith(found.group(2))):
            return is_plain(path)
    return False


def may_pass(lists: Collection[Iterable[str]], provider: str, method: str, path: str) -> bool:
    """Tell whether the rules of a key and of what it belongs to allow it: each list must; without any nothing is allowed."""
    mine = [[text.partition(" ")[2] for text in rules if text.partition(" ")[0] == provider] for rules in lists]
    return bool(mine) and all(is_allowed(rules, method, path) for rules in mine)
