"""Reads what manifests and lock files name, by the file's name. Level 1.

Nothing is run and no tool is asked: each format is read as text or JSON. What does not fit yields nothing.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from switchgear.detect.advisories import normalized

Ecosystem = str
"""A package URL's type: pypi, npm, golang, maven, nuget, gem, cargo, composer, swift, pub."""


class Package(msgspec.Struct, frozen=True):
    """A package that a file names; `version` only where it is exact."""

    ecosystem: Ecosystem
    name: str
    version: str | None


LINE_MAX = 2_000
Named = Iterator[tuple[str, str | None]]
_REQUIREMENT = re.compile(r"^\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:(===?)\s*([A-Za-z0-9.+!_-]+))?")
_LOCK_PAIR = re.compile(r'(?m)^name = "([^"\n]+)"\nversion = "([^"\n]+)"')
_QUOTED = re.compile(r"""["']([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?\s*(?:[=<>~!][^"'\n]*)?)["']""")
_TOML_ROW = re.compile(r"""^\s*["']?([A-Za-z0-9][A-Za-z0-9._-]*)["']?\s*=\s*(?:["']([^"'\n]*)["']|\{([^}\n]*)\}?)""")
_TOML_HEAD = re.compile(r"^\s*\[{1,2}\s*([^\[\]\s]+)\s*\]")
_EXACT = re.compile(r"(?:==?|v)?\s*([0-9][A-Za-z0-9.+!_-]*)")


def _exact(text: str | None) -> str | None:
    """Return the one version that a requirement allows, or None."""
    found = _EXACT.fullmatch(text.strip()) if text else None
    return found.group(1) if found is not None else None


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _items(value: Any, *keys: str) -> Iterator[tuple[str, Any]]:
    """Yield the pairs of the objects below some keys."""
    for key in keys:
        inner = value.get(key) if isinstance(value, dict) else None
        if isinstance(inner, dict):
            yield from inner.items()


# Python


def _requirements(text: str) -> Named:
    for line in text.splitlines():
        found = _REQUIREMENT.match(line)
        if found is not None and not line.lstrip().startswith(("#", "-")):
            yield found.group(1), found.group(3)


def _quoted(text: str) -> Named:
    for quoted in _QUOTED.finditer(text):
        found = _REQUIREMENT.match(quoted.group(1))
        if found is not None:
            yield found.group(1), found.group(3)


def _pyproject(text: str) -> Named:
    yield from _quoted(re.sub(r"(?m)^[ \t]*(?:name|description|readme|requires-python)\s*=.*$", "", text))
    yield from _toml_rows(text, re.compile(r"tool\.(?:poetry|pdm|uv)\.(?:.*\.)?(?:dev-)?dependencies"))


def _toml_rows(
    text: str,
    sections: re.Pattern[str],
    parent: re.Pattern[str] | None = None,
    exact: Callable[[str | None], str | None] = _exact,
) -> Named:
    """Yield the rows of TOML tables; with `parent` also tables that are named by a package below one."""
    inside = False
    for line in text.splitlines():
        head = _TOML_HEAD.match(line)
        if head is not None:
            inside = sections.fullmatch(head.group(1)) is not None
            above, _, name = head.group(1).rpartition(".")
            if parent is not None and not inside and parent.fullmatch(above):
                yield name.strip("\"'"), None
            continue
        row = _TOML_ROW.match(line) if inside else None
        if row is not None:
            version = re.search(r"""version\s*=\s*["']([^"']*)["']""", row.group(3) or "")
            yield row.group(1), exact(version.group(1) if version is not None else row.group(2))


def _lock_pairs(text: str) -> Named:
    for found in _LOCK_PAIR.finditer(text):
        yield found.group(1), found.group(2)


def _pipfile_lock(text: str) -> Named:
    for name, entry in _items(_json(text), "default", "develop"):
        yield (
            name,
            _exact(entry.get("version")) if isinstance(entry, dict) and isinstance(entry.get("version"), str) else None,
        )


def _conda(text: str) -> Named:
    for found in re.finditer(
        r"(?m)^[ \t]*-[ \t]+([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:==?\s*([0-9][\w.]*))?", text
    ):
        yield found.group(1), found.group(2)


# JavaScript


def _package_json(text: str) -> Named:
    for name, wanted in _items(
        _json(text), "dependencies", "devDependencies", "peerDependencies", "optionalDependencies"
    ):
        yield name, wanted if isinstance(wanted, str) and wanted[:1].isdigit() else None


def _package_lock(text: str) -> Named:
    for path, entry in _items(_json(text), "packages"):
        if path and isinstance(entry, dict):
            version = entry.get("version")
            yield path.rpartition("node_modules/")[2], version if isinstance(version, str) else None


def _pnpm_lock(text: str) -> Named:
    for found in re.finditer(r"(?m)^  ['\"]?/?(@?[A-Za-z0-9][\w./-]*)[@/]([0-9][\w.+-]*)(?:\([^\n]*\))?['\"]?:", text):
        yield found.group(1), found.group(2)


def _yarn_lock(text: str) -> Named:
    for found in re.finditer(r"(?m)^\"?(@?[A-Za-z0-9][\w./-]*)@[^\n]*:\n  version:? \"?([0-9][\w.+-]*)", text):
        yield found.group(1), found.group(2)


# Go


def _go_mod(text: str) -> Named:
    inside = False
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["require", "("]:
            inside = True
        elif words[:1] == [")"]:
            inside = False
        elif words[:1] == ["require"] and len(words) > 2:
            yield words[1], words[2].removeprefix("v")
        elif inside and len(words) > 1 and not words[0].startswith("//"):
            yield words[0], words[1].removeprefix("v")


def _go_sum(text: str) -> Named:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and not words[1].endswith("/go.mod"):
            yield words[0], words[1].removeprefix("v")


# Java, Kotlin, Scala

_COORDINATES = re.compile(r"""["']([A-Za-z0-9][\w.-]*:[A-Za-z0-9][\w.-]*)(?::([^"'@:\s]+))?(?:@\w+)?["']""")


def _between(text: str, begin: str, end: str) -> Iterator[str]:
    """Yield what stands between two marks; a pattern would go back over a text that has beginnings alone."""
    for part in text.split(begin)[1:]:
        inner, found, _ = part.partition(end)
        if found:
            yield inner


def _pom(text: str) -> Named:
    first, *rest = text.split("<!--")
    text = first + "".join(part.partition("-->")[2] for part in rest)
    for tag in ("dependency", "plugin", "parent"):
        for inner in _between(text, f"<{tag}>", f"</{tag}>"):
            parts = dict(re.findall(r"<(groupId|artifactId|version)>\s*([^<\s]+)\s*<", inner))
            if "groupId" in parts and "artifactId" in parts:
                yield f"{parts['groupId']}:{parts['artifactId']}", _exact(parts.get("version"))


def _gradle(text: str) -> Named:
    for found in _COORDINATES.finditer(text):
        yield found.group(1), _exact(found.group(2))
    for group, artifact in re.findall(
        r"""group\s*[:=]\s*["']([^"']+)["']\s*,\s*name\s*[:=]\s*["']([^"']+)["']""", text
    ):
        yield f"{group}:{artifact}", None


def _version_catalog(text: str) -> Named:
    for line in (line[:LINE_MAX] for line in text.splitlines()):
        version = re.search(r"""\bversion\s*=\s*["']([^"']+)["']""", line)
        module = re.search(r"""\bmodule\s*=\s*["']([^"':]+:[^"':]+)["']""", line)
        parts = re.search(r"""\bgroup\s*=\s*["']([^"']+)["']\s*,\s*name\s*=\s*["']([^"']+)["']""", line)
        short = re.match(r"""\s*[\w.-]+\s*=\s*["']([\w.-]+:[\w.-]+):([^"']+)["']""", line)
        if module is not None or parts is not None:
            name = module.group(1) if module is not None else ":".join(parts.groups())  # type: ignore[union-attr]
            yield name, _exact(version.group(1)) if version is not None else None
        elif short is not None:
            yield short.group(1), _exact(short.group(2))


def _gradle_lock(text: str) -> Named:
    for found in re.finditer(r"(?m)^([\w.-]+:[\w.-]+):([\w.+-]+)=", text):
        yield found.group(1), found.group(2)


def _sbt(text: str) -> Named:
    for found in re.finditer(r'"([\w.-]+)"\s*%{1,3}\s*"([\w.-]+)"(?:\s*%\s*"([^"]+)")?', text):
        yield f"{found.group(1)}:{found.group(2)}", _exact(found.group(3))


# .NET


def _msbuild(text: str) -> Named:
    for found in re.finditer(r"<(?:PackageReference|PackageVersion|GlobalPackageReference)\b([^>]{0,400})>", text):
        fields = dict(re.findall(r"""(Include|Update|Version)\s*=\s*["']([^"']+)["']""", found.group(1)))
        name = fields.get("Include") or fields.get("Update")
        if name:
            yield name, _exact(fields.get("Version"))


def _packages_config(text: str) -> Named:
    for found in re.finditer(r"<package\b([^>]{0,400})>", text):
        fields = dict(re.findall(r"""(id|version)\s*=\s*["']([^"']+)["']""", found.group(1)))
        if "id" in fields:
            yield fields["id"], _exact(fields.get("version"))


def _nuget_lock(text: str) -> Named:
    for _, framework in _items(_json(text), "dependencies"):
        for name, entry in framework.items() if isinstance(framework, dict) else ():
            version = entry.get("resolved") if isinstance(entry, dict) else None
            yield name, version if isinstance(version, str) else None


# Ruby


def _gemfile(text: str) -> Named:
    for found in re.finditer(r"""(?m)^[ \t]*gem[ \t]*\(?[ \t]*["']([\w.-]+)["'](?:\s*,\s*["']([^"']+)["'])?""", text):
        yield found.group(1), _exact(found.group(2))


def _gem_lock(text: str) -> Named:
    for found in re.finditer(r"(?m)^    ([\w.-]+) \(([0-9][\w.-]*)\)", text):
        yield found.group(1), found.group(2)


def _gemspec(text: str) -> Named:
    for found in re.finditer(
        r"""\.add_(?:runtime_|development_)?dependency\s*\(?\s*["']([\w.-]+)["'](?:\s*,\s*["']([^"']+)["'])?""", text
    ):
        yield found.group(1), _exact(found.group(2))


# Rust


def _pinned(text: str | None) -> str | None:
    """Return the version of Cargo's `=1.2.3`: without the sign it is a range."""
    return _exact(text) if text is not None and text.strip().startswith("=") else None


def _cargo(text: str) -> Named:
    sections = re.compile(r"(?:.*\.)?(?:dev-|build-)?dependencies")
    return _toml_rows(text, sections, sections, _pinned)


# PHP


def _composer(text: str) -> Named:
    for name, wanted in _items(_json(text), "require", "require-dev"):
        yield name, _exact(wanted) if isinstance(wanted, str) else None


def _composer_lock(text: str) -> Named:
    found = _json(text)
    for key in ("packages", "packages-dev"):
        entries = found.get(key) if isinstance(found, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                version = entry.get("version")
                yield entry["name"], _exact(version) if isinstance(version, str) else None


# Swift, Dart


def _repository(url: str) -> str:
    return (
        re.sub(r"^(?:https?://|ssh://)?(?:git@)?", "", url)
        .replace(":", "/", 1)
        .removesuffix("/")
        .removesuffix(".git")
        .lower()
    )


def _swift(text: str) -> Named:
    for found in re.finditer(
        r"""\.package\(\s*(?:name:\s*"[^"\n]{0,200}"\s*,\s*)?url:\s*"([^"\n]{1,300})"(?:\s*,\s*exact:\s*"([^"\n]{1,60})")?""",
        text,
    ):
        yield _repository(found.group(1)), found.group(2)


def _swift_resolved(text: str) -> Named:
    found = _json(text)
    pins = found.get("pins") or (found.get("object") or {}).get("pins") if isinstance(found, dict) else None
    for pin in pins if isinstance(pins, list) else ():
        url = pin.get("location") or pin.get("repositoryURL") if isinstance(pin, dict) else None
        if isinstance(url, str):
            state = pin.get("state")
            version = state.get("version") if isinstance(state, dict) else None
            yield _repository(url), version if isinstance(version, str) else None


def _pubspec(text: str) -> Named:
    inside = False
    for line in text.splitlines():
        if line[:1].isalpha():
            inside = line.split(":")[0] in {"dependencies", "dev_dependencies", "dependency_overrides"}
        found = re.match(r"  ([a-z0-9_]+):\s*[\"']?([^\s\"'#]*)", line) if inside else None
        if found is not None:
            yield found.group(1), _exact(found.group(2))


def _pub_lock(text: str) -> Named:
    for found in re.finditer(r"(?m)^  ([a-z0-9_]+):\n(?:    .*\n){0,12}?    version: \"?([\w.+-]+)", text):
        yield found.group(1), found.group(2)


FORMATS: tuple[tuple[re.Pattern[str], Ecosystem, Callable[[str], Named]], ...] = tuple(
    (re.compile(pattern), ecosystem, read)
    for pattern, ecosystem, read in (
        (r".*require.*\.(?:txt|in)|constraints\.txt", "pypi", _requirements),
        (r"pyproject\.toml", "pypi", _pyproject),
        (r"setup\.(?:py|cfg)", "pypi", _quoted),
        (r"(?:poetry|uv|pdm)\.lock|pylock(?:\..*)?\.toml", "pypi", _lock_pairs),
        (r"Pipfile", "pypi", lambda text: _toml_rows(text, re.compile(r"(?:dev-)?packages"))),
        (r"Pipfile\.lock", "pypi", _pipfile_lock),
        (r"(?:environment|conda).*\.ya?ml", "pypi", _conda),
        (r"package\.json", "npm", _package_json),
        (r"package-lock\.json|npm-shrinkwrap\.json", "npm", _package_lock),
        (r"pnpm-lock\.yaml", "npm", _pnpm_lock),
        (r"yarn\.lock", "npm", _yarn_lock),
        (r"go\.mod", "golang", _go_mod),
        (r"go\.sum", "golang", _go_sum),
        (r"pom\.xml|.*\.pom", "maven", _pom),
        (r".*\.gradle(?:\.kts)?", "maven", _gradle),
        (r".*versions\.toml", "maven", _version_catalog),
        (r"gradle\.lockfile", "maven", _gradle_lock),
        (r".*\.sbt", "maven", _sbt),
        (r".*\.(?:cs|fs|vb)proj|Directory\.(?:Packages|Build)\.(?:props|targets)", "nuget", _msbuild),
        (r"packages\.config", "nuget", _packages_config),
        (r"packages\.lock\.json", "nuget", _nuget_lock),
        (r"(?:.*\.)?Gemfile|gems\.rb", "gem", _gemfile),
        (r"Gemfile\.lock|gems\.locked", "gem", _gem_lock),
        (r".*\.gemspec", "gem", _gemspec),
        (r"Cargo\.toml", "cargo", _cargo),
        (r"Cargo\.lock", "cargo", _lock_pairs),
        (r"composer\.json", "composer", _composer),
        (r"composer\.lock", "composer", _composer_lock),
        (r"Package(?:@swift-[\d.]+)?\.swift", "swift", _swift),
        (r"Package\.resolved", "swift", _swift_resolved),
        (r"pubspec\.yaml", "pub", _pubspec),
        (r"pubspec\.lock", "pub", _pub_lock),
    )
)
"""Names of files, the ecosystem, and how they are read."""


def of_manifest(name: str, data: bytes) -> Iterator[Package]:
    """Yield what a manifest or lock file names, by the file's name. Files that are none yield nothing."""
    for pattern, ecosystem, read in FORMATS:
        if pattern.fullmatch(name):
            for package, version in read(data.decode("utf-8", "replace")):
                yield Package(ecosystem, normalized(package) if ecosystem == "pypi" else package, version)
            return
