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


_URL = re.compile(
    rb"(?i)\b(?:https?|wss?)://(?:[^\s/@'\"<>]{1,200}@)?"
    rb"((?:[a-z0-9.-]|\$?\{[^{}\s/'\"]{1,80}\}|%s|<[a-z0-9 _-]{1,60}>){1,253}|\[[0-9a-f:]{2,45}\])"
    rb"(:[0-9]{1,5})?(/[a-z0-9._/-]{0,80})?"
)
_NAMES = re.compile(
    rb"(?:\$(?:schema|id|ref)|\bxmlns(?::[a-z]+)?|@context)['\"]?\s*[:=]\s*['\"]?[^\s'\",}>]{1,300}", re.I
)
"""URLs that are names: of a schema (JSON Schema 2020-12, sections 8.1.1 and 8.2), of a namespace. Nobody is asked there."""
_TEMPLATE = re.compile(rb"\$?\{[^{}]*\}|%s")
_PLACE = re.compile(
    r"(?:your|my|our|example|sample|dummy|fake|mock|test|foo|bar|xx+|placeholder|some|resource|endpoint|name)"
    r"(?:[-_a-z0-9]*)\.|.*<|.*\b(?:example|placeholder)\b"
)
_READING = frozenset(
    {
        *("docs", "doc", "api-docs", "developer", "developers", "help", "learn"),
        *("status", "support", "blog", "community", "forum", "cookbook", "www"),
    }
)
_PAGES = re.compile(
    r"/(?:[a-z]{2}(?:-[a-z]{2})?/)?(?:docs?|documentation|blog|pricing|keys|api-keys|settings|account|dashboard|signup|sign-up|login|help|status|legal"
    r"|terms|privacy|about|playground|models|rankings|activity|credits)(?:/|$)"
)


class Url(msgspec.Struct, frozen=True):
    """A URL in a text, as far as it tells who is asked."""

    host: str
    """A variable within it (`${NAME}`, `{name}`, `%s`) is an x."""
    port: int | None = None
    path: str = ""

    @property
    def is_placeholder(self) -> bool:
        """True where a reader is to write a name of his own: nobody is asked there."""
        return _PLACE.match(self.host) is not None

    @property
    def is_reading(self) -> bool:
        """True for pages that people read: documentation, prices, settings, and no API."""
        return self.host.partition(".")[0] in _READING or _PAGES.match(self.path) is not None


def urls_in(line: bytes) -> Iterable[Url]:
    """Yield the URLs of a line."""
    for match in _URL.finditer(_NAMES.sub(b"", line)):
        host, port, path = match.group(1), match.group(2), match.group(3)
        if b"{" in host or b"%" in host:
            host = _TEMPLATE.sub(b"x", host)
        yield Url(
            host.decode("ascii", "replace").lower(),
            int(port[1:]) if port else None,
            path.decode("ascii").lower() if path else "",
        )
