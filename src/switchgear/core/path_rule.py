"""Rules that name raw paths of a provider: "POST /fine_tuning/jobs", or "GET /files*" for all that begins so. Level 0."""

import re

RULE = re.compile(r"(GET|POST|DELETE|PUT|PATCH) (/[A-Za-z0-9._~%/-]{0,256})(\*?)")
"""Method, path, and a star where longer paths are meant too."""
_KEY_RULE = re.compile(r"([a-z0-9][a-z0-9._-]{0,62}) (.+)")


def check_rule(text: str) -> str | None:
    """Return what is wrong with a provider's rule, or None."""
    if RULE.fullmatch(text) is None:
        return f"{text[:80]!r} must be a method and a path, such as `POST /audio/*` (a * only at the end)"
    return None


def check_key_rule(text: str) -> str | None:
    """Return what is wrong with a key's rule, which begins with the provider's name, or None."""
    found = _KEY_RULE.fullmatch(text)
    if found is None or check_rule(found.group(2)) is not None:
        return f"{text[:80]!r} must be a provider, a method and a path, such as `openai POST /audio/*`"
    return None
