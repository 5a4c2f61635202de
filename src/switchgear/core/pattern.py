"""Names with `*`: the one kind of pattern there is, for models, keys' lists and freezes. Level 0.

`*` stands for any text, also none, and nothing else is special: `?` and `[` are themselves. Matching is linear in the name,
because names are the clients' invention.
"""


def is_pattern(text: str) -> bool:
    """Tell whether a name has a `*`."""
    return "*" in text


def captures(pattern: str, name: str) -> tuple[str, ...] | None:
    """Return what each `*` stands for, or None when the name does not match. Where several readings are possible each `*` but
    the last takes as little as it can.

    >>> captures("gpt-*-mini", "gpt-4o-mini"), captures("a*", "b"), captures("a", "a")
    (('4o',), None, ())
    """
    first, *rest = pattern.split("*")
    if not rest:
        return () if pattern == name else None
    last = rest.pop()
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return None
    found = []
    for part in rest:
        next_at = name.find(part, at, end)
        if next_at < 0:
            return None
        found.append(name[at:next_at])
        at = next_at + len(part)
    return (*found, name[at:end])


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name is a pattern's, or the name itself."""
    return pattern == name or ("*" in pattern and captures(pattern, name) is not None)


def carry(target: str, captured: tuple[str, ...]) -> str:
    """Put what was captured in the place of the target's `*`, one after the other. A `*` for which nothing was captured stays.

    >>> carry("my-*", ("4o",)), carry("fixed", ("4o",)), carry("*", ())
    ('my-4o', 'fixed', '*')
    """
    first, *rest = target.split("*")
    out = [first]
    for number, part in enumerate(rest):
        out += (captured[number] if number < len(captured) else "*", part)
    return "".join(out)
