"""From YAML text to schema types, with every problem at once. Level 1.

The node tree is walked by type: a scalar's meaning comes from the schema, so that `no`, dates and hashes stay what the
schema says. Duplicate and unknown keys, merge keys and tags are refused. Reading goes on after a problem: what could not be
read is remembered in `broken` and takes its default, so that the rest is checked in the same run. Every node knows its
file, so that the parts of a configuration in several files are read as one tree (config/parts).
"""

import functools
import io
import posixpath
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

import msgspec
import yaml

from switchgear.config import schema
from switchgear.core import limit_rule
from switchgear.core.errors import ConfigProblem
from switchgear.core.secret import Secret
from switchgear.core.text import clean, shown

Lookup = Callable[[Literal["env", "file"], str], str | None]
"""Returns the value of an {env: NAME} or {file: PATH}; None when there is none. A path is relative to the working folder."""

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"null", "Null", "NULL", "~", ""})
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ["str", "int", "float", "bool", "null", "timestamp", "value", "merge", "seq", "map"]
)
"""What the parser gives to values without a tag; which of them changes nothing, since the schema says what a scalar is."""
_RADIX = re.compile(r"0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}")
NODES_MAX = 200_000
DEPTH_MAX = 24
"""The schema is 6 deep."""
FILE_BYTES_MAX = 4 * 1024 * 1024
PROBLEMS_MAX = 500
NEAR_MAX = 2_000
"""Names that a suggestion is looked for among: comparing is slow."""
SUGGESTIONS_MAX = 50


def near(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return "; did you mean …?" for the nearest of the known names, else what stands otherwise."""
    names = list(known)
    if len(names) > NEAR_MAX:
        names = [other for other in names if other[:2].lower() == name[:2].lower()][:NEAR_MAX]
    found = get_close_matches(name[:128], names, n=1)
    return f"; did you mean {shown(found[0])}?" if found else otherwise


class Suggestions:
    """Suggestions among names that people chose: comparing costs their number, so there are not endlessly many."""

    def __init__(self, most: int = SUGGESTIONS_MAX) -> None:
        self._left = most

    def near(self, name: str, known: Iterable[str], otherwise: str = "") -> str:
        """As `near`, while there are some left."""
        self._left -= 1
        return near(name, known, otherwise) if self._left >= 0 else otherwise


class _Named(io.StringIO):
    """Text that tells the parser its file's name: every node's marks carry it."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


class Reader:
    """Reads one configuration, possibly of several files; collects problems and the place of each path."""

    def __init__(self, lookup: Lookup, without_secrets: bool = False) -> None:
        """`without_secrets`: variables and files that are not there are no problem; nothing is read of secrets."""
        self._lookup = lookup
        self.without_secrets = without_secrets
        self.problems: list[ConfigProblem] = []
        self.lines: dict[str, tuple[str, int]] = {}
        self.broken: set[str] = set()
        """Paths whose value could not be read: their defaults stand in, and nothing is concluded from these."""
        self.references: dict[str, str] = {}
        """`env:NAME` or `file:PATH` by path of the value that came from there."""
        self.unresolved: dict[str, ConfigProblem] = {}
        """References of secrets that lead nowhere, by path: a problem unless the vault has the secret already."""
        self.texts: dict[str, str] = {}
        """Values of the {env: NAME} that stand for plain text, by name."""
        self._nodes = 0
        self._above: set[str] = set()
        """Paths of problems, and of all that holds them."""

    def compose(self, text: str, file: str) -> yaml.MappingNode | None:
        """Parse YAML into nodes; problems are collected. None for an empty or broken file."""
        text = text.removeprefix("\ufeff")
        try:
            too_much = _bounds(text)
            node = None if too_much is not None else yaml.compose(_Named(text, file), Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as exc:
            line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
            self._add(file, line, "", f"not YAML: {_explain(exc, text, line)}")
            return None
        except (yaml.YAMLError, RecursionError, ValueError) as exc:
            said = str(exc).partition(' in "<')[0].rstrip()  # the parser's own name of the text
            self._add(file, 0, "", f"not YAML: {clean(said, 200)}")
            return None
        if too_much is not None:
            self._add(file, too_much[0], "", too_much[1])
            return None
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            self._report(node, "", "the file must be a mapping of keys to values")
            return None
        return node

    def read(self, node: yaml.MappingNode | None) -> schema.Config:
        """Convert a whole tree, as far as that is possible: look at `problems`. Without one everything has its default."""
        if node is None:
            return schema.Config()
        kept = []
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name.startswith("x-"):
                continue
            if name in schema.PLANNED:
                self._report(key, name, f"{name!r} is not supported by this version; remove it")
                continue
            kept.append((key, value))
        top = yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark)
        return typing.cast("schema.Config", self._struct(top, schema.Config, ""))

    def includes(self, node: yaml.MappingNode) -> list[tuple[str, yaml.Node]]:
        """Return the patterns that a file's `include` lists, with where each stands. What is wrong there, `read` says."""
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == "include" and isinstance(value, yaml.SequenceNode):
                return [(item.value, item) for item in value.value if isinstance(item, yaml.ScalarNode)]
        return []

    # problems

    def _add(self, file: str, line: int, path: str, message: str) -> None:
        self._above.update(_upwards(path))
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(ConfigProblem(file=file, line=line, path=path, message=message))

    def _report(self, node: yaml.Node, path: str, message: str) -> None:
        self._add(node.start_mark.name, node.start_mark.line + 1, path, message)

    def report(self, node: yaml.Node, path: str, message: str) -> None:
        """Add a problem at a node."""
        self._report(node, path, message)

    def _wrong(self, node: yaml.Node, path: str, message: str) -> None:
        """Add a problem of a value, which is not known then."""
        self._report(node, path, message)
        self.broken.add(path)

    def is_broken(self, path: str) -> bool:
        """Tell whether a value, or what holds it, could not be read."""
        return bool(self.broken) and any(part in self.broken for part in _upwards(path))

    def has_problem_below(self, path: str) -> bool:
        """Tell whether something was wrong with or within a value."""
        return path in self._above

    # conversion

    def _convert(self, node: yaml.Node, kind: Any, path: str) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            if self._nodes == NODES_MAX + 1:
                self._wrong(node, path, f"the configuration has over {NODES_MAX} values (anchors that multiply?)")
            self.broken.add(path)
            return _blank(kind)
        self.lines.setdefault(path, (node.start_mark.name, node.start_mark.line + 1))
        if node.tag not in _TAGS:
            self._wrong(node, path, f"the tag {shown(node.tag)} means nothing here; remove it")
            return _blank(kind)
        origin = get_origin(kind)
        if origin in {types.UnionType, typing.Union}:
            return self._union(node, get_args(kind), path)
        if origin is list:
            return self._list(node, get_args(kind)[0], path)
        if origin is dict:
            return self._dict(node, get_args(kind)[1], path)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(node, kind, path)
        if kind in {str, Secret, schema.FilePath} and isinstance(node, yaml.MappingNode):
            return self._reference(node, kind, path)
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(node, path, f"must be {_NAMES[kind]}, not {_shape(node)}")
            return _blank(kind)
        return self._scalar(node, kind, path)

    def _scalar(self, node: yaml.ScalarNode, kind: Any, path: str) -> Any:
        text = node.value
        quoted = not _is_plain(node)
        if kind is Secret:
            self._wrong(node, path, "a secret may not stand in the file: write {env: NAME} or {file: PATH}")
            return None
        if kind in {str, schema.FilePath}:
            if not quoted and text in _NULL:
                self._wrong(node, path, "must be text, not empty")
                return ""
            return _beside(node, text) if kind is schema.FilePath else text
        if kind is bool and not quoted and text in _TRUE | _FALSE:
            return text in _TRUE
        if kind in {int, float} and not quoted:
            try:
                return int(text, 0) if _RADIX.fullmatch(text) else kind(text.replace("_", ""))
            except ValueError:
                pass
        hint = " (without quotes)" if quoted and kind in {int, float, bool} else ""
        self._wrong(node, path, f"{shown(text)} is not {_NAMES[kind]}{hint}")
        return _blank(kind)

    def _union(self, node: yaml.Node, kinds: tuple[Any, ...], path: str) -> Any:
        is_null = isinstance(node, yaml.ScalarNode) and _is_plain(node) and node.value in _NULL
        options = [kind for kind in kinds if kind is not types.NoneType]
        if is_null and types.NoneType in kinds:
            return None
        if isinstance(node, yaml.ScalarNode):
            scalars = [kind for kind in options if kind in _NAMES]
            if bool in scalars and _is_plain(node) and node.value in _TRUE | _FALSE:
                return self._scalar(node, bool, path)
            chosen = str if str in scalars else (scalars[0] if scalars else options[0])
        elif isinstance(node, yaml.MappingNode):
            chosen = next((k for k in options if isinstance(k, type) and issubclass(k, msgspec.Struct)), options[0])
        else:
            chosen = next((k for k in options if get_origin(k) is list), options[0])
        return self._convert(node, chosen, path)

    def _list(self, node: yaml.Node, kind: Any, path: str) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, path, f"must be a list, not {_shape(node)}")
            return []
        return [self._convert(item, kind, f"{path}[{number}]") for number, item in enumerate(node.value)]

    def _items(self, node: yaml.Node, path: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, f"must be a mapping, not {_shape(node)}")
            return []
        seen: dict[str, yaml.Mark] = {}
        out: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag == "tag:yaml.org,2002:merge":
                self._report(key, path, "merge keys (<<) are not in YAML 1.2; anchor a whole value, or write it out")
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._report(key, path, "keys must be plain names")
                continue
            name = key.value
            first = seen.get(name)
            if first is not None:
                at = f"line {first.line + 1}"
                if first.name != key.start_mark.name:
                    at = f"{first.name}:{first.line + 1}"
                self._report(key, _join(path, name), f"{shown(name)} stands twice (first in {at})")
                continue
            seen[name] = key.start_mark
            out.append((name, key, value))
        return out

    def _dict(self, node: yaml.Node, kind: Any, path: str) -> dict[str, Any]:
        return {name: self._convert(value, kind, _join(path, name)) for name, _, value in self._items(node, path)}

    def _struct(self, node: yaml.Node, kind: type[msgspec.Struct], path: str) -> Any:
        known = hints(kind)
        values: dict[str, Any] = {}
        for name, key, value in self._items(node, path):
            at = _join(path, name)
            if name not in known:
                self._report(key, at, _unknown(name, kind))
                continue
            made = self._convert(value, known[name], at)
            if at not in self.broken:
                values[name] = made
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                at = _join(path, field.name)
                if path not in self.broken and at not in self.broken:
                    self._report(node, path, f"the key {field.name!r} is missing")
                self.broken.add(at)
                values[field.name] = _blank(known[field.name])
        return kind(**values)

    def _reference(self, node: yaml.MappingNode, kind: Any, path: str) -> Any:
        items = self._items(node, path)
        if len(items) != 1 or items[0][0] not in {"env", "file"} or not isinstance(items[0][2], yaml.ScalarNode):
            self._wrong(node, path, _MAPPINGS.get(path, "must be text, {env: NAME} or {file: PATH}"))
            return None if kind is Secret else ""
        source, _, value = items[0]
        name = _beside(value, value.value) if source == "file" else value.value
        self.references[path] = f"{source}:{name}"
        if self.without_secrets and kind is Secret:
            self.broken.add(path)
            return None
        found = self._lookup(typing.cast("Literal['env', 'file']", source), name)
        if found is None:
            self.broken.add(path)
            if self.without_secrets:
                return ""
            what = "environment variable" if source == "env" else "file"
            message = f"the {what} {shown(name)} is not set" if source == "env" else f"the file {name} cannot be read"
            problem = ConfigProblem(
                file=node.start_mark.name, line=node.start_mark.line + 1, path=path, message=message
            )
            if kind is Secret:
                self.unresolved[path] = problem
                return None
            self._report(node, path, message)
            return ""
        found = found.strip("\r\n")
        if kind is Secret:
            return Secret(found.encode())
        if source == "env":
            self.texts[name] = found
        return _beside(node, found) if kind is schema.FilePath else found


_NAMES: dict[Any, str] = {
    str: "text",
    schema.FilePath: "a file's path",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: "a secret reference",
}
_MAPPINGS = {
    "store": "a database server is not supported by this version; write sqlite, or remove the key",
    "defaults.unpriced": "a price for what has none is not supported by this version; write refuse, refuse_all or allow",
}
"""What is said where the contract knows a mapping and this version only text."""


def _upwards(path: str) -> Iterator[str]:
    """Return a path and what may hold it. Names have dots, too, so some of these are no paths: they hold nothing."""
    yield path
    for at in range(len(path) - 1, 0, -1):
        if path[at] in ".[":
            yield path[:at]


def _is_plain(node: yaml.ScalarNode) -> bool:
    return node.style not in {"'", '"', "|", ">"}


def _bounds(text: str) -> tuple[int, str] | None:
    """Return (line, why) when a text nests or holds too much: looked at as events, before anything recurses."""
    if len(text) > FILE_BYTES_MAX:
        return 0, f"the file is over {FILE_BYTES_MAX >> 20} MiB"
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        line = event.start_mark.line if event.start_mark is not None else 0
        if depth > DEPTH_MAX:
            return line + 1, f"nested over {DEPTH_MAX} deep"
        if nodes > NODES_MAX:
            return line + 1, f"the file has over {NODES_MAX} values"
    return None


def _explain(exc: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """Say what people mostly did when the parser complains."""
    lines = text.split("\n")
    for number in (line - 1, line - 2):
        if 0 <= number < len(lines) and "\t" in lines[number][: len(lines[number]) - len(lines[number].lstrip())]:
            return f"line {number + 1} is indented with a tab; YAML takes spaces only"
    problem = exc.problem or "it cannot be parsed"
    if "single document" in (exc.context or ""):
        return "a second document begins here (---); a file holds one"
    if "undefined alias" in problem:
        return f"{problem}; an anchor (&name) must stand before it, in the same file"
    if "mapping values are not allowed" in problem:
        return f"{problem}; a text with `: ` in it needs quotes, or the indentation is wrong"
    if "expected key" in problem:
        return f"{problem}; is this line indented as those above it?"
    return problem


@functools.cache
def hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the type of each key, without its description."""
    return {name: _plain(hint) for name, hint in typing.get_type_hints(kind, include_extras=True).items()}


def _plain(hint: Any) -> Any:
    is_described = any(isinstance(note, msgspec.Meta) for note in getattr(hint, "__metadata__", ()))
    return get_args(hint)[0] if is_described else hint


@functools.cache
def _places() -> dict[str, list[str]]:
    """Return where each key of the schema may stand, as paths with NAME for names."""
    found: dict[str, list[str]] = {}

    def walk(kind: Any, path: str) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for name, inner in hints(kind).items():
                found.setdefault(name, []).append(path)
                walk(inner, _join(path, name))
            return
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is dict:
            walk(arguments[1], f"{path}.NAME")
        elif origin is list:
            walk(arguments[0], f"{path}[]")
        elif origin in {types.UnionType, typing.Union}:
            for option in arguments:
                walk(option, path)

    walk(schema.Config, "")
    return found


_OTHER_NAMES = {"url": "base_url", "api_base": "base_url", "api_key": "secret", "key": "secret", "type": "kind"}
"""What other programs call a key of ours."""


_LITELLM = frozenset({"model_list", "litellm_settings", "general_settings", "router_settings", "environment_variables"})


def _unknown(name: str, kind: type[msgspec.Struct]) -> str:
    """Say of an unknown key what it should be: one of a later version, one spelled otherwise, or one from elsewhere."""
    told = f"unknown key {shown(name)}"
    if name in schema.PLANNED_WITHIN.get(kind.__name__, ()):
        return f"{name!r} is not supported by this version; remove it"
    if kind is schema.Config and name in _LITELLM:
        return f"{told}: it is LiteLLM's; take its file over with: switchgear import litellm FILE --out switchgear.yaml"
    known = list(hints(kind))
    longer = [other for other in known if other.startswith(f"{name}_")]
    if len(longer) == 1:
        return f"{told}; did you mean {longer[0]!r}?"
    if get_close_matches(name[:64], known, n=1, cutoff=0.85):
        return told + near(name[:64], known)
    other = _OTHER_NAMES.get(name)
    if other in known:
        return f"{told}; it is called {other!r} here"
    if other == "secret" and kind is schema.Provider:
        return f"{told}; write credentials: [{{name: NAME, secret: {{env: VARIABLE}}}}]"
    if kind is schema.Limits and name in limit_rule.NAMES:
        return f"{told}: `limits` at the top bounds bytes and connections; of all keys together: organisation: {{{name}: …}}"
    places = [place or "(top)" for place in _places().get(name, ())]
    if places:
        own = kind.__name__.lower()  # what is nearest is meant first
        nearest = sorted(set(places), key=lambda place: (not place.startswith(own), place))
        return f"{told}; it belongs to {' or '.join(nearest[:3])}"
    if name in schema.PLANNED or any(name in names for names in schema.PLANNED_WITHIN.values()):
        return f"{name!r} is not supported by this version; remove it"
    return told + near(name[:64], known, f"; known are {', '.join(sorted(known))}")


def _blank(kind: Any) -> Any:
    """Return what stands in for a value that could not be read."""
    origin = get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        options = get_args(kind)
        return None if types.NoneType in options else _blank(options[0])
    if origin in {list, dict}:
        return origin()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return kind(**{f.name: _blank(hints(kind)[f.name]) for f in fields if f.required})
    return None if kind is Secret else {int: 0, float: 0.0, bool: False}.get(kind, "")


def _beside(node: yaml.Node, path: str) -> str:
    """Return a path relative to the file in which it stands. A certificate may stand where a path is expected."""
    if path.startswith("-----BEGIN"):
        return path
    return posixpath.join(posixpath.dirname(node.start_mark.name), path)


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else shown(node.value)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
