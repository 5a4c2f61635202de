"""Compares versions of PyPI, npm and container tags. Level 1.

Not a full PEP 440 or semver: what orders releases, and None (cannot judge) for what is no release: a branch, a hash, `latest`.
"""

import re

_VERSION = re.compile(
    r"v?(?P<release>[0-9]{1,8}(?:\.[0-9]{1,8}){0,5})"
    r"(?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|preview|dev|nightly)[-_.]?(?P<pre_n>[0-9]{0,6}))?"
    r"(?:[-_.]?(?P<post>post|p|stable\.patch|patch)[-_.]?(?P<post_n>[0-9]{0,6}))?"
    r"(?:[-+.][a-z][A-Za-z0-9.+-]{0,60})?"
)
_BUILD = re.compile(r"b(?P<build>[0-9]{3,6})(?:-[0-9a-f]+)?")
_PRE = {"dev": 0, "nightly": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "preview": 3, "c": 3, "rc": 3}

Key = tuple[str, tuple[int, ...], int, int, int]


def parse(text: str) -> Key | None:
    """Return a value that orders releases of one product, or None when the text names none."""
    text = text.strip().removeprefix("main-").lower()
    build = _BUILD.fullmatch(text)
    if build is not None:
        return "build", (int(build.group("build")),), 9, 0, 0
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    release = [int(part) for part in match.group("release").split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    pre = match.group("pre")
    post = int(match.group("post_n") or 0) + 1 if match.group("post") else 0
    return "release", tuple(release), 9 if pre is None else _PRE[pre], int(match.group("pre_n") or 0), post


def is_before(one: str, other: str) -> bool | None:
    """Tell whether a version lies before another; None when they cannot be compared."""
    left, right = parse(one), parse(other)
    if left is None or right is None or left[0] != right[0]:
        return None
    return left < right
