"""Shapes of the data files: key rules, products, provider names, advisories. Level 1.

A file is TOML (JSON for advisories), dated, with a source, and strict: what does not fit is refused with its file and line.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from switchgear.core.errors import ConfigError, ConfigProblem
from switchgear.detect.finding import Confidence, Severity
from switchgear.detect.probe_paths import ALLOWED

T = TypeVar("T")


class KeyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of key. docs/howto/detector.md says how to add one."""

    id: str
    title: str
    provider: str
    severity: Severity
    as_of: str
    source: str
    keywords: list[str]
    """Lower-case words, one of which stands on the key's line: what the fast first pass looks for."""
    pattern: str
    """A regular expression for the key alone; no letter, digit, `_` or `-` may touch it."""
    order: int = 50
    """Of two rules that match the same text the lower one wins."""
    context: str | None = None
    """Names of which one must stand before the key as a variable's, for keys without a shape of their own."""
    near: str | None = None
    """What must stand within the same piece of the file."""
    entropy: float = 0.0
    """Fewest bits per character."""
    check: Literal["bedrock", "switchgear"] | None = None
    """What must hold of the key besides."""
    positive: list[str] = []
    """Lines that it must find; `<word*20>` stands for 20 random characters of a class (switchgear.testing.corpus)."""
    negative: list[str] = []
    """Lines that it must not find."""


class Marker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sign of a product in a response; exactly one of body, text, title, matches, json and header."""

    weight: int
    """How telling it is, 1 to 100."""
    body: str | None = None
    text: str | None = None
    """The whole body, without white space around it."""
    title: str | None = None
    matches: str | None = None
    json: str | None = None
    """A dotted path that exists in a JSON body."""
    equals: str | None = None
    """With `json`: its value."""
    header: str | None = None
    contains: str = ""
    """With `header`: a part of its value."""


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request and what to look for in its response."""

    path: str
    markers: list[Marker]


class VersionSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a version stands: a JSON path, a header, or a pattern with one group."""

    path: str
    json: str | None = None
    header: str | None = None
    pattern: str | None = None


class AuthCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A path that a closed service refuses."""

    path: str
    open_json: str | None = None


class ClaimCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that says: the first visitor owns it, or it asks for no login."""

    path: str
    json: str
    equals: str


class SampleResponse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A response of a sample."""

    path: str
    status: int
    body: str
    headers: dict[str, str] = {}


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a product (or something like it) answers."""

    response: list[SampleResponse]
    expect: Confidence | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gateway, model server, chat, builder, agent, vector store or MCP server, and how to know it."""

    id: str
    name: str
    category: str
    as_of: str
    source: str
    ports: list[int]
    packages: list[str] = []
    """`pypi:NAME`, `npm:NAME`."""
    images: list[str] = []
    """Container images without tag; `*` for any rest."""
    processes: list[str] = []
    """Patterns of command lines."""
    files: list[str] = []
    """Ends of paths of its configuration."""
    owned_by: list[str] = []
    risk: str = ""
    probe: list[Probe] = []
    version: list[VersionSource] = []
    auth: AuthCheck | None = None
    claimable: ClaimCheck | None = None
    positive: list[Sample] = []
    negative: list[Sample] = []


class SdkCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that needs an AI service although what is imported does not say so."""

    name: str
    pattern: str
    words: list[str]
    """Lower-case words, one of which stands on the line: what the fast first pass looks for."""


class SourceSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest, a lock file or a source file, and all that is found in it: `NAME` or `NAME VERSION`."""

    file: str
    text: str
    finds: list[str]


class SdkRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The packages of one ecosystem that call or serve AI, and how source files name them."""

    ecosystem: str
    """A package URL's type."""
    as_of: str
    source: str
    separator: str
    """What stands between a module and the one within it."""
    packages: list[str]
    """Names in manifests; `*` at the end for any rest."""
    imports: list[str] = []
    """Names of modules where they are not the packages'; those within one count as it."""
    words: list[str] = []
    """Further words of the first pass, for imports that are spread over a line and for short names."""
    ends: list[str]
    """How names of source files end."""
    lines: list[str]
    """Patterns of lines that import; the first group is the module (or several), a second one what is taken out of it."""
    needs: dict[str, str] = {}
    """What must stand on the line besides, for modules whose name others have, too."""
    calls: list[SdkCall] = []
    sample: list[SourceSample] = []


class ProviderNames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of one provider, by what uses them."""

    api: list[str] = []
    console: list[str] = []
    chat: list[str] = []
    tunnel: list[str] = []
    malicious: list[str] = []


class DomainFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All names."""

    as_of: str
    source: str
    providers: dict[str, ProviderNames]


def decode(file: str, data: bytes, kind: type[T]) -> T:
    """Read one TOML data file. Raises ConfigError with the file and line of what does not fit."""
    try:
        text = data.decode()
        raw = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        line = re.search(r"line (\d+)", str(exc))
        raise _problem(file, int(line.group(1)) if line else 1, "", f"not TOML: {exc}") from None
    try:
        found = msgspec.convert(raw, kind)
    except msgspec.ValidationError as exc:
        path = re.search(r"`\$\.?([^`]*)`", str(exc))
        where = path.group(1) if path else ""
        message = str(exc).partition(" - at ")[0]
        unknown = re.search(r"unknown field `([^`]+)`", message)
        raise _problem(file, _line(text, unknown.group(1) if unknown else where), where, message) from None
    for asked in _paths(found):
        if asked not in ALLOWED:
            said = f"{asked!r} is not on the list of paths that may be asked for (detect/probe_paths.py)"
            raise _problem(file, _line(text, asked), "probe.path", said)
    for pattern in _patterns(found):
        try:
            re.compile(pattern)
        except re.error as exc:
            raise _problem(file, _line(text, pattern), "", f"{pattern!r} is not a pattern: {exc}") from None
    return found


def _paths(found: Any) -> list[str]:
    if not isinstance(found, Product):
        return []
    checks = [check.path for check in (found.auth, found.claimable) if check is not None]
    return [*(p.path for p in found.probe), *(v.path for v in found.version), *checks]


def _patterns(found: Any) -> list[str]:
    if isinstance(found, KeyRule):
        return [found.pattern, found.context or "", found.near or ""]
    if isinstance(found, SdkRules):
        return [*found.lines, *found.needs.values(), *(call.pattern for call in found.calls)]
    if isinstance(found, Product):
        return [*found.processes, *(v.pattern for v in found.version if v.pattern)]
    return []


def _twice(identity: str) -> ConfigProblem:
    return ConfigProblem(file="", line=0, path=identity, message=f"the id {identity!r} stands in two files")


def _problem(file: str, line: int, path: str, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(file=file, line=line, path=path, message=message)])


def _line(text: str, wanted: str) -> int:
    # The last name of a path is what stands in the file; the first line with it is the best that TOML tells.
    name = re.split(r"[.\[\]]", wanted.rstrip("]"))[-1] if not wanted.startswith("(") else wanted
    for needle in (wanted, name):
        if needle:
            for number, line in enumerate(text.splitlines(), 1):
                if needle in line:
                    return number
    return 1


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """All data files."""

    keys: tuple[KeyRule, ...]
    products: tuple[Product, ...]
    domains: DomainFile
    sdks: tuple[SdkRules, ...] = ()

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> "Library":
        """Read data files by their relative names (`keys/groq.toml`). Raises ConfigError with all problems."""
        problems: list[ConfigProblem] = []
        keys: list[KeyRule] = []
        products: list[Product] = []
        sdks: list[SdkRules] = []
        domains = DomainFile(as_of="", source="", providers={})
        for name, data in sorted(files.items()):
            try:
                if name.startswith("keys/"):
                    keys.append(decode(name, data, KeyRule))
                elif name.startswith("products/"):
                    products.append(decode(name, data, Product))
                elif name.startswith("sdks/"):
                    sdks.append(decode(name, data, SdkRules))
                elif name == "domains.toml":
                    domains = decode(name, data, DomainFile)
            except ConfigError as exc:
                problems += exc.problems
        for found in (keys, products):
            ids = [item.id for item in found]
            problems += [_twice(identity) for identity in sorted(set(ids)) if ids.count(identity) > 1]
        if problems:
            raise ConfigError(problems)
        ordered = tuple(sorted(keys, key=lambda r: (r.order, r.id)))
        return cls(keys=ordered, products=tuple(products), domains=domains, sdks=tuple(sdks))
