"""Knows the names of AI providers in DNS, TLS and URLs. Level 1.

A name matches on label boundaries: `api.openai.com` covers `eu.api.openai.com`, never `notapi.openai.com` and never
`api.openai.com.evil.example`.
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from switchgear.detect.rules import DomainFile

Use = Literal["api", "console", "chat", "tunnel", "malicious"]
_USES: tuple[Use, ...] = ("api", "console", "chat", "tunnel", "malicious")
_REMEMBERED_MAX = 100_000


class ProviderName(msgspec.Struct, frozen=True):
    """A provider's name and what uses it: a program (api), a person (console, chat), a tunnel, an attacker."""

    provider: str
    use: Use
    pattern: str


class DomainDetector:
    """Looks names up."""

    def __init__(self, file: DomainFile) -> None:
        self._exact: dict[str, ProviderName] = {}
        self._patterns: list[tuple[re.Pattern[str], ProviderName]] = []
        self._known: dict[str, ProviderName | None] = {}
        self.names: list[ProviderName] = []
        for provider, names in file.providers.items():
            for use in _USES:
                for pattern in getattr(names, use):
                    entry = ProviderName(provider, use, pattern)
                    self.names.append(entry)
                    if "*" in pattern:
                        parts = [r"[a-z0-9.-]+" if p == "*" else re.escape(p) for p in re.split(r"(\*)", pattern) if p]
                        self._patterns.append((re.compile("(?:.*[.])?" + "".join(parts)), entry))
                    else:
                        self._exact[pattern] = entry

    def words(self, tag: str) -> dict[str, set[str]]:
        """Return what the first pass looks for: the longest fixed part of each name."""
        return {max(re.split(r"\*", name.pattern), key=len).strip(".-"): {tag} for name in self.names}

    def match(self, host: str) -> ProviderName | None:
        """Return the provider of a host name, or None."""
        if host in self._known:
            return self._known[host]
        found = self._match(host.rstrip(".").lower())
        if len(self._known) < _REMEMBERED_MAX:
            self._known[host] = found
        return found

    def _match(self, name: str) -> ProviderName | None:
        labels = name.split(".")
        for at in range(max(0, len(labels) - 8), len(labels)):
            found = self._exact.get(".".join(labels[at:]))
            if found is not None:
                return found
        for pattern, entry in self._patterns:
            if pattern.fullmatch(name):
                return entry
        return None


_URL_HOST = re.compile(
    rb"(?i)\b(?:https?|wss?)://(?:[^\s/@'\"]{1,200}@)?([a-z0-9.-]{1,253}|\[[0-9a-f:]{2,45}\])(:[0-9]{1,5})?"
)


def hosts_in(line: bytes) -> Iterable[tuple[str, int | None]]:
    """Yield (host, port) of each URL of a line."""
    for match in _URL_HOST.finditer(line):
        port = match.group(2)
        yield match.group(1).decode("ascii").lower(), int(port[1:]) if port else None
