"""Every command of `switchgear`: options, help, examples, what it imports."""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest

from switchgear.cli.__main__ import COMMANDS, cli


def leaves(command=cli, path=("switchgear",)):
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), (*path, name))


ROOT = Path(__file__).parent.parent
LEAVES = dict(leaves())
IDS = [" ".join(path) for path in LEAVES]


@pytest.mark.parametrize(("path", "command"), LEAVES.items(), ids=IDS)
def test_no_option_stands_for_two_things(path, command):
    params = command.get_params(click.Context(command))  # click warns of a clash, and a warning is an error here
    flags = Counter(
        flag for param in params if isinstance(param, click.Option) for flag in {*param.opts, *param.secondary_opts}
    )
    assert [flag for flag, count in flags.items() if count > 1] == []
    names = Counter(param.name for param in params if not (isinstance(param, click.Option) and param.is_flag))
    assert [name for name, count in names.items() if count > 1] == []


NO_FORMAT = {"serve", "completion", "config schema"}
NO_GATEWAY = {"serve", "completion", "version", "config schema", "config check", "key generate"}


@pytest.mark.parametrize(("path", "command"), LEAVES.items(), ids=IDS)
def test_every_command_has_the_common_options(path, command):
    flags = {flag for param in command.params for flag in param.opts}
    name = " ".join(path[1:])
    assert name in NO_FORMAT or {"-o", "--format", "--json", "--tz"} <= flags
    assert name in NO_GATEWAY or {"--data", "--server"} <= flags


@pytest.mark.parametrize(("path", "command"), LEAVES.items(), ids=IDS)
def test_a_destructive_command_has_the_option_yes(path, command):
    if path[-1] in {"remove", "revoke"}:
        assert any("--yes" in param.opts for param in command.params)


def examples_of(command):
    text = command.get_help(click.Context(command, info_name="x", max_content_width=200))
    return [
        line.strip().partition("    #")[0] for line in text.split("Example")[-1].splitlines() if "switchgear " in line
    ]


@pytest.mark.parametrize(("path", "command"), LEAVES.items(), ids=IDS)
def test_every_command_has_examples_that_its_parser_takes(path, command):
    found = examples_of(command)
    assert found, "no example"
    for line in (re.sub(r"\s{3,}.*", "", line) for line in found):  # what stands behind an example explains it
        for one in re.findall(r"switchgear [^|;)]*", line):
            words = shlex.split(one.split(" > ")[0])[1:]
            current = cli
            while isinstance(current, click.Group):
                current = current.get_command(click.Context(current), words.pop(0))
            assert current is not None, one
            current.make_context(current.name, words)


def test_the_list_of_commands_says_what_the_commands_say():
    for name, row in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        first = " ".join(command.help.split("\n\n")[0].split())
        assert first.startswith(row.help), name
        assert row.help.endswith((".", "?"))


def test_help_of_every_command_fits_a_terminal_and_warns_of_nothing():
    for path, command in LEAVES.items():
        text = command.get_help(click.Context(command, info_name=" ".join(path)))
        assert max(len(line) for line in text.partition("Example")[0].splitlines()) <= 110, path


# Speed: what costs the time is importing. A test of times would fail on a busy machine; bench measures those.

HEAVY = ("rich", "yaml", "cryptography", "sqlalchemy", "alembic", "starlette", "uvicorn", "uvloop", "lmdb", "asyncio", "re2", "zoneinfo", "urllib.request", "difflib")  # fmt: skip
OWN = ("switchgear.app.serve", "switchgear.app.supervisor", "switchgear.config", "switchgear.config_files", "switchgear.control", "switchgear.vault", "switchgear.store", "switchgear.providers", "switchgear.edge", "switchgear.pricing", "switchgear.discover", "switchgear.detect", "switchgear.routing", "switchgear.dialects")  # fmt: skip
ALLOWED = {"connect": {"switchgear.dialects"}, "findings": {"switchgear.detect"}, "discover": {"switchgear.detect"}}


def modules_of(*arguments, **environ):
    code = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: sys.stderr.write('\\nMODULES' + json.dumps(sorted(sys.modules))))\n"
        f"sys.argv = {['switchgear', *arguments]!r}\n"
        "from switchgear.cli.__main__ import main\nmain()"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environ}, check=False
    )
    return set(json.loads(done.stderr.partition("MODULES")[2])), done


def heavy_of(modules, allowed=frozenset()):
    wrong = {name for name in (*HEAVY, *OWN) if any(found == name or found.startswith(name + ".") for found in modules)}
    return wrong - set(allowed)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["--version"], ["version"], ["status"], ["key", "list"], ["key", "create", "x"], ["key", "revoke", "x", "--yes"], ["log", "list"],
        ["log", "show", "abcdef"], ["usage"], ["model", "list"], ["model", "explain", "x"], ["price", "list"], ["price", "show", "a/b"], ["credential", "list"],
        ["credential", "disable", "x"], ["freeze", "all"], ["token", "list"], ["admin", "link"], ["key", "--help"], ["serve", "--help"], ["price", "set", "--help"],
        ["connect", "claude-code"], ["credential", "add", "--help"], ["findings", "list"], ["discover", "--help"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_command_imports_only_what_it_needs(tmp_path, arguments):
    modules, _ = modules_of(*arguments, SWITCHGEAR_DATA=str(tmp_path))
    assert heavy_of(modules, ALLOWED.get(arguments[0], ())) == set()


@pytest.mark.parametrize(
    "words", ["switchgear ", "switchgear key ", "switchgear log list --outcome ", "switchgear key show "]
)
def test_a_tab_imports_only_what_it_needs(tmp_path, words):
    environ = {"_SWITCHGEAR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    modules, done = modules_of(SWITCHGEAR_DATA=str(tmp_path), **environ)
    assert heavy_of(modules) == set()
    assert "Traceback" not in done.stderr
    wanted = {
        "switchgear ": "plain,freeze",
        "switchgear key ": "plain,revoke",
        "switchgear log list --outcome ": "plain,client_gone",
    }
    assert wanted.get(words, "") in done.stdout


def test_a_command_prints_no_warning_of_the_interpreter(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "always", "-m", "switchgear.cli", "price", "set", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(tmp_path),
    )
    assert done.returncode == 0 and done.stderr == ""


SAID = re.compile(r"\bswitchgear ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
NOT_COMMANDS = {"listens", "does"}
"""Words that follow the program's name in a sentence."""


def commands_that_sources_name():
    """(module, words) of each command in a text of the product: hints, findings, docstrings."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in SAID.finditer(node.value):
                    yield file.relative_to(ROOT), found.groups()


def test_every_command_that_a_text_of_the_product_names_exists():
    wrong = []
    for file, (first, second) in commands_that_sources_name():
        command = cli.get_command(click.Context(cli), first)
        if isinstance(command, click.Group) and second is not None:
            command = command.get_command(click.Context(command), second)
        if command is None and first not in NOT_COMMANDS:
            wrong.append(f"{file}: switchgear {first} {second or ''}")
    assert wrong == []
