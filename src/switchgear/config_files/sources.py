"""What a configuration was read from. Level 2. The supervisor imports this: no YAML is parsed here."""

import hashlib
from collections.abc import Iterable

import msgspec


class Sources(msgspec.Struct):
    """The files that were read, the patterns that were looked for, and the digest of what stood there."""

    files: list[str]
    patterns: list[str]
    digest: str


def digest(files: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the SHA-256 of some files, (path, content), of their number and order."""
    total = hashlib.sha256()
    for _, content in files:
        data = content.encode() if isinstance(content, str) else content
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()
