"""The rules about the code itself: rooms, mirrors, imports, SQL, secrets, dependencies, documentation."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from switchgear.cli.__main__ import COMMANDS
from switchgear.config import schema
from switchgear.core import problems
from switchgear.dialects.registry import BY_NAME

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "switchgear"

# docs/design.md §4: a module may import lower levels only, and siblings only where listed here.
LEVELS = {
    "core": 0,
    "wire": 1,
    "dialects": 1,
    "providers": 1,
    "pricing": 1,
    "policies": 1,
    "routing": 1,
    "config": 1,
    "detect": 1,
    "net": 2,
    "store": 2,
    "replica": 2,
    "spool": 2,
    "counters": 2,
    "confine": 2,
    "config_files": 2,
    "importers": 2,
    "vault": 3,
    "ledger": 3,
    "edge": 4,
    "courier": 4,
    "control": 5,
    "testing": 5,
    "discover": 5,
    "app": 6,
    "cli": 7,
    "bench": 7,
}
SIBLINGS = {
    ("dialects", "wire"),  # a dialect's streams are server-sent events
    ("dialects", "providers"),  # quirks are rows of data that encoders read
    ("routing", "providers"),
    ("config", "pricing"),
    ("config", "providers"),
    ("config", "policies"),  # what an origin is
    ("config", "routing"),  # a configuration names their values
    ("routing", "pricing"),
    ("replica", "spool"),
}
PURE = {"core", "wire", "dialects", "providers", "pricing", "policies", "routing", "config", "detect"}
IMPURE_MODULES = {"asyncio", "socket", "time", "random", "os", "sqlalchemy", "secrets", "subprocess", "uvloop", "lmdb"}


def modules() -> list[Path]:
    return sorted(path for path in SRC.rglob("*.py"))


def room(path: Path) -> str | None:
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else None


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_and_its_level_is_in_the_table_of_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text().split("## Rooms")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z_, ]+) \| ([0-9]) \|", text, re.M)
    assert {name: int(level) for names, level in rows for name in names.split(", ")} == LEVELS


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SRC)))
def test_a_module_imports_lower_levels_only(path):
    mine = room(path)
    if mine is None:
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "switchgear" or len(parts) < 2 or parts[1] not in LEVELS or parts[1] == mine:
            continue
        lower = LEVELS[parts[1]] < LEVELS[mine]
        assert lower or (mine, parts[1]) in SIBLINGS, f"{path.relative_to(SRC)} imports {name}"


def _graph() -> dict[str, set[str]]:
    """Return what each module imports of our own, for types as well as at run time."""
    names = {".".join(path.relative_to(SRC.parent).with_suffix("").parts): path for path in modules()}
    return {name: {other for other in imported(path) if other in names} - {name} for name, path in names.items()}


def _circles(graph: dict[str, set[str]]) -> list[str]:
    """Return a chain for each circle that a walk through the graph comes upon."""
    done: set[str] = set()
    circles: list[str] = []

    def walk(name: str, chain: list[str]) -> None:
        if name in chain:
            circles.append(" → ".join([*chain[chain.index(name) :], name]))
        elif name not in done:
            for other in sorted(graph[name]):
                walk(other, [*chain, name])
            done.add(name)

    for name in graph:
        walk(name, [])
    return circles


def test_no_modules_import_each_other_in_a_circle():
    """Neither between rooms nor inside one, and not for types either: who needs a type needs the module."""
    assert _circles(_graph()) == []


def test_a_circle_of_modules_is_found():
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b → c → b"]


@pytest.mark.parametrize("path", [p for p in modules() if room(p) in PURE], ids=lambda p: str(p.relative_to(SRC)))
def test_levels_0_and_1_do_no_io(path):
    assert not {name.split(".")[0] for name in imported(path)} & IMPURE_MODULES


# Modules whose behaviour is covered end to end and which have no test file of their own. It only ever shrinks.
WITHOUT_OWN_TEST = set(json.loads((ROOT / "tests" / "without_own_test.json").read_text()))


def mirror(path: Path) -> str:
    relative = path.relative_to(SRC)
    return str(relative.with_name(f"test_{relative.name}"))


def test_the_tests_mirror_the_sources():
    wanted = {mirror(path) for path in modules() if path.name not in {"__init__.py", "__main__.py"}}
    wanted = {name for name in wanted if "migrations" not in name}
    present = {
        str(path.relative_to(ROOT / "tests"))
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.parent != ROOT / "tests" and path.parent.name != "end_to_end"
    }
    assert present - wanted == set(), "tests of modules that are gone"
    assert wanted - present == WITHOUT_OWN_TEST, "a new module needs a test; a new test leaves the list"


def test_no_module_contains_sql_text():
    keyword = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|BEGIN|WITH)\b.*", re.S)
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "text":
                pytest.fail(f"{path}: sqlalchemy.text")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and keyword.match(node.value):
                allowed = path.name == "sqlite.py" and node.value.split()[0] in {"PRAGMA", "BEGIN"}
                is_sentence = (
                    node.value.strip()[-1:] == "."
                    or "DELETE/" in node.value
                    or node.value in {"DELETE", "BEGIN CERTIFICATE"}
                )
                assert allowed or is_sentence, f"{path}: {node.value[:60]!r}"


def test_secrets_are_revealed_in_the_vault_only():
    users = {
        str(path.relative_to(SRC))
        for path in modules()
        if any(isinstance(n, ast.Attribute) and n.attr == "reveal" for n in ast.walk(ast.parse(path.read_text())))
    }
    assert users == {"vault/seal.py", "vault/kek.py"}


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("role", ["edge", "vault", "courier"])
def test_edge_and_vault_import_few_packages_and_no_database(role):
    names = {name.split(".")[0] for name in loaded_by(f"switchgear.app.{role}")}
    third = {n for n in names if n in third_party()}
    assert len(third) <= 8, sorted(third)
    assert not third & {"sqlalchemy", "alembic", "starlette", "uvicorn", "click", "rich", "yaml"}
    if role == "edge":
        assert "cryptography" not in third
        assert not {
            n for n in loaded_by("switchgear.app.edge") if n.startswith(("switchgear.vault", "switchgear.store"))
        }


def third_party() -> set[str]:
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    names = {line.split("==")[0].replace("-", "_") for line in lines if "==" in line}
    return (names - {"pyyaml"}) | {"yaml", "_cffi_backend"}


def test_the_base_install_is_small_and_locked():
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    packages = [line for line in lines if "==" in line]
    assert len(packages) <= 30
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = {line.split("==")[0] for line in packages}
    assert {re.split(r"[><=]", name)[0].lower() for name in declared} <= locked


def config_keys(kind: type[msgspec.Struct]) -> set[str]:
    found = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.name)
        for nested in re.findall(r"schema\.(\w+)", str(field.type)):
            found |= config_keys(getattr(schema, nested))
    return found


def test_every_configuration_key_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text()
    missing = {key for key in config_keys(schema.Config) if f"`{key}`" not in text}
    assert not missing


def test_every_command_is_documented():
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "operations.md").read_text()
    missing = {name for name in COMMANDS if f"switchgear {name}" not in text}
    assert not missing


def test_the_documented_error_codes_are_those_that_occur():
    rows = re.findall(r"^\| `([a-z_]+)` \| [0-9]{3} \|", (ROOT / "docs" / "errors.md").read_text(), re.M)
    assert set(rows) == {case.code for case in problems.CASES}


def test_the_assurance_document_is_current():
    done = subprocess.run(
        [sys.executable, "scripts/assurance.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["dialects", "edge", "vault", "net", "wire"])
def test_every_decoding_catches_all_unreadable_errors(name):
    """msgspec raises UnicodeDecodeError, which is no DecodeError, for a string that is not UTF-8: one odd byte in one answer."""
    for path in sorted((SRC / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                caught = ast.unparse(node.type)
                assert "msgspec.DecodeError" not in caught, f"{path}:{node.lineno}: catch core.errors.UNREADABLE"


def names_in(node: ast.expr | None) -> set[str]:
    """The texts of a constant, a tuple, a list or a set of them."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return set().union(*map(names_in, node.elts))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"frozenset", "set"}:
        return set().union(*map(names_in, node.args))
    return set()


def compared_names(node: ast.AST) -> set[str]:
    """The texts that code asks for: compared, matched, keys of a table, or looked up in one."""
    if isinstance(node, ast.Compare):
        return names_in(node.left).union(*map(names_in, node.comparators))
    if isinstance(node, ast.Dict):
        return set().union(*map(names_in, node.keys))
    if isinstance(node, ast.MatchValue):
        return names_in(node.value)
    return names_in(node.slice) if isinstance(node, ast.Subscript) else set()


# Words that are names of dialects, too, and mean something else there.
OTHER_MEANINGS = {
    "bench/opcodes.py": "events of a measurement, one dialect verbatim and one translated",
    "pricing/catalog.py": "providers, as the price snapshot calls them",
    "importers/litellm_defaults.py": "LiteLLM's names of providers",
    "routing/table.py": "OpenAI as a provider, as the price snapshot calls it",
    "importers/litellm_places.py": "kinds of providers and LiteLLM's prefixes",
    "cli/connect.py": "a client that may be called by a shorter name",
    "control/openapi.py": "a key of OpenAPI",
    "detect/keys.py": "a check of a kind of key",
    "detect/rules.py": "a check of a kind of key",
    "discover/logs.py": "a word to look for",
    "testing/shapes.py": "test data of each dialect, and a test compares its keys with the registry",
} | {
    f"testing/twins/{name}.py": "what real providers refuse and say, by their dialect: a judge and a reader independent of ours"
    for name in (*("asked", "by_provider", "providers", "rules", "said", "sdks", "server", "streaming", "verdict"),)
}


def test_no_code_outside_dialects_asks_for_a_dialect_by_its_name():
    asking = {
        str(path.relative_to(SRC))
        for path in modules()
        if room(path) != "dialects"
        for node in ast.walk(ast.parse(path.read_text()))
        if compared_names(node) & BY_NAME.keys()
    }
    assert asking == set(OTHER_MEANINGS)
