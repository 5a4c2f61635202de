"""From YAML text to schema types, with every problem at once. Level 1.

The node tree is walked by type: a scalar's meaning comes from the schema, so that `no`, dates and hashes stay what the
schema says. Duplicate and unknown keys, anchors' merge keys and tags are refused.
"""

import types
import typing
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

import msgspec
import yaml

from switchgear.config import schema
from switchgear.core.errors import ConfigProblem
from switchgear.core.secret import Secret

Lookup = Callable[[Literal["env", "file"], str], str | None]
"""Returns the value of an {env: NAME} or {file: PATH}; None when there is none."""

_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"null", "Null", "NULL", "~", ""})
NODES_MAX = 200_000


class Reader:
    """Reads one configuration, possibly of several files; collects problems and the line of each path."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.problems: list[ConfigProblem] = []
        self.lines: dict[str, tuple[str, int]] = {}
        self._file = ""
        self._nodes = 0

    def compose(self, text: str, file: str) -> yaml.MappingNode | None:
        """Parse YAML into nodes; problems are collected. None for an empty or broken file."""
        self._file = file
        try:
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as exc:
            line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
            self.problems.append(ConfigProblem(file=file, line=line, path="", message=f"not YAML: {exc.problem}"))
            return None
        except (yaml.YAMLError, RecursionError) as exc:
            self.problems.append(ConfigProblem(file=file, line=0, path="", message=f"not YAML: {exc}"))
            return None
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "", "the file must be a mapping of keys to values")
            return None
        return node

    def read(self, node: yaml.MappingNode, file: str) -> schema.Config | None:
        """Convert a file's top node."""
        self._file = file
        kept = []
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name.startswith("x-"):
                continue
            if name in schema.PLANNED:
                self._problem(key, name, f"{name!r} is not supported by this version; remove it")
                continue
            kept.append((key, value))
        node.value = kept
        return typing.cast("schema.Config | None", self._struct(node, schema.Config, ""))

    # conversion

    def _problem(self, node: yaml.Node, path: str, message: str) -> None:
        self.problems.append(ConfigProblem(file=self._file, line=node.start_mark.line + 1, path=path, message=message))

    def _convert(self, node: yaml.Node, kind: Any, path: str) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise ValueError("the configuration is too large (anchors that multiply?)")
        self.lines.setdefault(path, (self._file, node.start_mark.line + 1))
        origin = get_origin(kind)
        if origin in {types.UnionType, typing.Union}:
            return self._union(node, get_args(kind), path)
        if origin is list:
            return self._list(node, get_args(kind)[0], path)
        if origin is dict:
            return self._dict(node, get_args(kind)[1], path)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(node, kind, path)
        if kind in {str, Secret} and isinstance(node, yaml.MappingNode):
            return self._reference(node, kind, path)
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, path, f"must be {_NAMES[kind]}, not {_shape(node)}")
            return None
        return self._scalar(node, kind, path)

    def _scalar(self, node: yaml.ScalarNode, kind: Any, path: str) -> Any:
        text = node.value
        quoted = node.style in {"'", '"', "|", ">"}
        if kind is Secret:
            self._problem(node, path, "a secret may not stand in the file: write {env: NAME} or {file: PATH}")
            return None
        if kind is str:
            if not quoted and text in _NULL:
                self._problem(node, path, "must be text, not empty")
                return None
            return text
        if kind is bool and not quoted and text in _TRUE | _FALSE:
            return text in _TRUE
        if kind in {int, float} and not quoted:
            try:
                return kind(text.replace("_", ""))
            except ValueError:
                pass
        self._problem(node, path, f"{text!r} is not {_NAMES[kind]}")
        return None

    def _union(self, node: yaml.Node, kinds: tuple[Any, ...], path: str) -> Any:
        is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULL
        options = [kind for kind in kinds if kind is not types.NoneType]
        if is_null and types.NoneType in kinds:
            return None
        if isinstance(node, yaml.ScalarNode):
            scalars = [kind for kind in options if kind in _NAMES]
            if bool in scalars and node.value in _TRUE | _FALSE:
                return self._scalar(node, bool, path)
            chosen = str if str in scalars else (scalars[0] if scalars else options[0])
        elif isinstance(node, yaml.MappingNode):
            chosen = next((k for k in options if isinstance(k, type) and issubclass(k, msgspec.Struct)), options[0])
        else:
            chosen = next((k for k in options if get_origin(k) is list), options[0])
        return self._convert(node, chosen, path)

    def _list(self, node: yaml.Node, kind: Any, path: str) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            self._problem(node, path, f"must be a list, not {_shape(node)}")
            return []
        return [self._convert(item, kind, f"{path}[{number}]") for number, item in enumerate(node.value)]

    def _items(self, node: yaml.Node, path: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, path, f"must be a mapping, not {_shape(node)}")
            return []
        seen: dict[str, int] = {}
        out: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self._problem(key, path, "keys must be plain names (merge keys are not supported)")
                continue
            name = key.value
            if name in seen:
                self._problem(key, _join(path, name), f"{name!r} stands twice (first in line {seen[name]})")
                continue
            seen[name] = key.start_mark.line + 1
            out.append((name, key, value))
        return out

    def _dict(self, node: yaml.Node, kind: Any, path: str) -> dict[str, Any]:
        return {name: self._convert(value, kind, _join(path, name)) for name, _, value in self._items(node, path)}

    def _struct(self, node: yaml.Node, kind: type[msgspec.Struct], path: str) -> Any:
        before = len(self.problems)
        hints = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for name, key, value in self._items(node, path):
            if name not in hints:
                near = get_close_matches(name, list(hints), n=1, cutoff=0.6)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(hints))}"
                self._problem(key, _join(path, name), f"unknown key {name!r}{hint}")
                continue
            values[name] = self._convert(value, hints[name], _join(path, name))
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                self._problem(node, path, f"the key {field.name!r} is missing")
        return None if len(self.problems) > before else kind(**values)

    def _reference(self, node: yaml.MappingNode, kind: Any, path: str) -> Any:
        items = self._items(node, path)
        if len(items) != 1 or items[0][0] not in {"env", "file"} or not isinstance(items[0][2], yaml.ScalarNode):
            self._problem(node, path, "must be text, {env: NAME} or {file: PATH}")
            return None
        source, _, value = items[0]
        found = self._lookup(typing.cast("Literal['env', 'file']", source), value.value)
        if found is None:
            what = "environment variable" if source == "env" else "file"
            self._problem(node, path, f"the {what} {value.value!r} is not set or cannot be read")
            return None
        found = found.strip("\r\n")
        return Secret(found.encode()) if kind is Secret else found


_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: "a secret reference",
}


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else f"{node.value!r}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
