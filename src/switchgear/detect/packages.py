"""Knows packages that call or serve AI, by their names, by imports and by calls. Level 1.

Rules: `data/sdks`, one file an ecosystem.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from switchgear.detect.advisories import normalized
from switchgear.detect.manifests import Package
from switchgear.detect.rules import SdkRules

_WORD_MIN = 4
"""Shorter names are looked for by the rule's own `words` alone: they stand in too many lines."""


class _Call(msgspec.Struct, frozen=True):
    name: str
    pattern: re.Pattern[str]


class _Language(msgspec.Struct, frozen=True):
    """How one ecosystem's source files say what they use."""

    rules: SdkRules
    lines: tuple[re.Pattern[str], ...]
    calls: tuple[_Call, ...]
    names: frozenset[str]
    beginnings: tuple[str, ...]
    needs: dict[str, re.Pattern[str]]

    def known(self, module: str) -> str | None:
        """Return the name under which a module is known: itself, or what stands above it."""
        parts = module.split(self.rules.separator)
        for count in range(len(parts), 0, -1):
            above = self.rules.separator.join(parts[:count])
            if above in self.names:
                return above
        for beginning in self.beginnings:
            if module.startswith(beginning):
                return beginning + module[len(beginning) :].partition(self.rules.separator)[0]
        return None


class PackageDetector:
    """Looks names up."""

    def __init__(self, rules: Iterable[SdkRules]) -> None:
        self._rules = tuple(rules)
        self._packages = {rule.ecosystem: _Names(rule.packages, rule.ecosystem) for rule in self._rules}
        self._languages = {
            end: language for rule in self._rules for language in (_language(rule),) for end in rule.ends
        }

    def words(self, tag: str) -> dict[str, set[str]]:
        """Return what the first pass looks for."""
        found: set[str] = set()
        for rule in self._rules:
            names = [name.rstrip("*") for name in rule.imports or rule.packages]
            found |= {name for name in names if len(name) > _WORD_MIN}
            found |= {word for source in (rule.words, *(call.words for call in rule.calls)) for word in source}
        folded = {word.lower() for word in found}
        # Where a shorter word stands in a longer one, it finds the line, and takes less of it from the words of others.
        shortest = (word for word in folded if not any(other != word and other in word for other in folded))
        return {word: {tag} for word in shortest}

    def used(self, line: bytes, file: str) -> Iterator[tuple[str, str]]:
        """Yield (verb, SDK) of what a line of a source file imports or calls; the file's name says which language it is."""
        language = self._languages.get(file[file.rfind(".") :].lower())
        if language is None:
            return
        text = line.decode("utf-8", "replace")
        seen = set()
        for pattern in language.lines:
            for match in pattern.finditer(text):
                for module in _modules(match, language.rules.separator):
                    name = language.known(module)
                    need = language.needs.get(name) if name is not None else None
                    if name is not None and name not in seen and (need is None or need.search(text)):
                        seen.add(name)
                        yield "imports", name
        for call in language.calls:
            if call.pattern.search(text):
                yield "calls", call.name

    def is_known(self, package: Package) -> bool:
        """Tell whether a package calls or serves AI."""
        names = self._packages.get(package.ecosystem)
        return names is not None and names.has(package.name)


class _Names:
    """Names of packages of one ecosystem, with `*` for any rest."""

    def __init__(self, names: Iterable[str], ecosystem: str) -> None:
        self._fold = ecosystem in {"nuget", "swift", "composer", "golang"}
        self._paths = ecosystem == "golang"
        folded = [name.lower() if self._fold else name for name in names]
        self._exact = frozenset(name for name in folded if not name.endswith("*"))
        self._beginnings = tuple(name.rstrip("*") for name in folded if name.endswith("*"))

    def has(self, name: str) -> bool:
        """Look a name up; a module of Go is known below its path, too (`…/v3`)."""
        wanted = name.lower() if self._fold else name
        if wanted in self._exact or wanted.startswith(self._beginnings):
            return True
        above = wanted.rpartition("/")[0] if self._paths else ""
        return bool(above) and (above in self._exact or self.has(above))


def _language(rule: SdkRules) -> _Language:
    names = rule.imports or rule.packages
    return _Language(
        rule,
        tuple(re.compile(line) for line in rule.lines),
        tuple(_Call(call.name, re.compile(call.pattern)) for call in rule.calls),
        frozenset(name for name in names if not name.endswith("*")),
        tuple(name.rstrip("*") for name in names if name.endswith("*")),
        {name: re.compile(pattern) for name, pattern in rule.needs.items()},
    )


def _modules(match: re.Match[str], separator: str) -> Iterator[str]:
    """Yield the modules that an import names: a list in the first group, and what is taken out of one in the second."""
    first = match.group(1)
    if match.re.groups > 1 and match.group(2):
        for part in match.group(2).split(","):
            if part.split():
                yield first + separator + part.split()[0]
    for part in first.split(","):
        if part.split():
            yield part.split()[0].removeprefix("npm:")


class _Npm(msgspec.Struct):
    name: str = ""
    version: str = ""


def installed_python(metadata: bytes) -> Package | None:
    """Return the package of a METADATA file's head."""
    name = re.search(rb"(?m)^Name: ([A-Za-z0-9._-]+)\s*$", metadata)
    version = re.search(rb"(?m)^Version: ([A-Za-z0-9.+!_-]+)\s*$", metadata)
    if name is None:
        return None
    return Package("pypi", normalized(name.group(1).decode()), version.group(1).decode() if version else None)


def installed_node(data: bytes) -> Package | None:
    """Return the package of an installed package.json."""
    try:
        found = msgspec.json.decode(data, type=_Npm)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return Package("npm", found.name, found.version or None) if found.name else None
