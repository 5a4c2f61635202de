"""A configuration in several files, joined to one tree of nodes. Level 1, without I/O.

Anything may stand in any file. Mappings that hold names (providers, models, keys, prices) take entries from everywhere,
settings (limits, listen, …) keys from everywhere; what stands twice is a problem that names both places, found by the
reader as any duplicate is. A file that is not there is a problem, never silence: what leaves the configuration is revoked.
"""

import posixpath
from typing import Any, Protocol, get_origin

import msgspec
import yaml

from switchgear.config import schema
from switchgear.config.reader import Reader, hints
from switchgear.core.text import shown

INCLUDE_DEPTH_MAX = 8
FILES_MAX = 500
BYTES_MAX = 16 * 1024 * 1024
"""Of all files together."""
_WILD = frozenset("*?[")


class Sources(Protocol):
    """Where files come from."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises ValueError that says why it cannot be had."""
        ...

    def match(self, pattern: str) -> list[str]:
        """Return the paths that match a pattern, sorted."""
        ...

    def identity(self, path: str) -> str:
        """Return the same text for two paths of one file."""
        ...


class Parts:
    """Reads a file and all that it includes. `files` are those read, in order, with their texts."""

    def __init__(self, reader: Reader, sources: Sources) -> None:
        self._reader = reader
        self._sources = sources
        self.files: dict[str, str] = {}
        self.empty_patterns: list[tuple[str, int, str]] = []
        """Patterns with a wildcard that match no file: (file, line, pattern)."""
        self.patterns: set[str] = set()
        """All paths and patterns that were looked for, from where the first file's path leads."""
        self._read: set[str] = set()
        self._bytes = 0
        self._full = False

    def gather(self, path: str) -> yaml.MappingNode | None:
        """Return the joined tree; problems are the reader's. Raises ValueError when the first file cannot be read."""
        text = self._sources.read(path)
        return self._add(path, text, (self._sources.identity(path),))

    def _add(self, path: str, text: str, trail: tuple[str, ...]) -> yaml.MappingNode | None:
        self.files[path] = text
        self._bytes += len(text)
        self._read.add(trail[-1])
        node = self._reader.compose(text, path)
        if node is None:
            return None
        joined = node
        for number, (pattern, place) in enumerate(self._reader.includes(node)):
            at = f"include[{number}]"
            for found in self._find(path, pattern, place, at):
                part = self._include(found, place, at, trail)
                if part is not None:
                    joined = _join(joined, part, schema.Config)
        return joined

    def _find(self, path: str, pattern: str, place: yaml.Node, at: str) -> list[str]:
        whole = posixpath.join(posixpath.dirname(path), pattern)
        self.patterns.add(whole)
        if not _WILD & set(pattern):
            return [whole]
        found = self._sources.match(whole)
        if not found:
            self.empty_patterns.append((place.start_mark.name, place.start_mark.line + 1, pattern))
        return found

    def _include(self, path: str, place: yaml.Node, at: str, trail: tuple[str, ...]) -> yaml.MappingNode | None:
        identity = self._sources.identity(path)
        if identity in trail:
            self._reader.report(place, at, f"{path} includes itself; keep the parts in a folder of their own")
            return None
        if identity in self._read:
            return None  # two patterns name it: once is enough
        if len(trail) > INCLUDE_DEPTH_MAX:
            self._reader.report(place, at, f"{path}: files include files over {INCLUDE_DEPTH_MAX} deep")
            return None
        if self._full or len(self.files) >= FILES_MAX or self._bytes > BYTES_MAX:
            if not self._full:
                self._full = True
                bounds = f"{FILES_MAX} files and {BYTES_MAX >> 20} MiB"
                self._reader.report(place, at, f"{path}: a configuration may have {bounds}")
            return None
        try:
            text = self._sources.read(path)
        except ValueError as exc:
            self._reader.report(place, at, f"{shown(path)} {exc}")
            return None
        return self._add(path, text, (*trail, identity))


def _join(into: yaml.MappingNode, part: yaml.MappingNode, kind: Any) -> yaml.MappingNode:
    """Put the entries of one mapping after another's. Mappings that both have are joined, but never two of one file."""
    entries = list(into.value)
    at: dict[str, int] = {}
    for number, (key, value) in enumerate(entries):
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.MappingNode):
            at.setdefault(key.value, number)
    keys = hints(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else {}
    seen: set[str] = set()
    for key, value in part.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if kind is schema.Config and name in {"include", "version"} and _may_repeat(name, value, entries):
            continue
        inner = keys.get(name)
        both = name in at and name not in seen and isinstance(value, yaml.MappingNode) and _is_joined(inner)
        seen.add(name)
        if both:
            theirs = entries[at[name]]
            entries[at[name]] = (theirs[0], _join(theirs[1], value, inner))
        else:
            entries.append((key, value))
    return yaml.MappingNode(into.tag, entries, into.start_mark, into.end_mark)


def _is_joined(kind: Any) -> bool:
    if get_origin(kind) is dict:
        return True
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _may_repeat(name: str, value: yaml.Node, entries: list[Any]) -> bool:
    """Each file may say its version, and what it includes was followed already."""
    others = [v for k, v in entries if isinstance(k, yaml.ScalarNode) and k.value == name]
    if name == "include":
        return isinstance(value, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in value.value)
    return any(isinstance(v, yaml.ScalarNode) and v.value == value.value for v in others)
