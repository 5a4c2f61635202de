"""Measures how much of each module its own tests run: `core/ids.py` by `tests/core/test_ids.py`, and by nothing else.

python scripts/cover.py [ROOM…]      a table; exit 1 when a module is below what tests/coverage.json records
python scripts/cover.py --write      record what was reached, where it is more (never less, unless --lower)

All unit tests run once, in one process; every line that runs is noted with the test file that made it run. A line at the top of a
module or class runs when somebody imports it first, and counts for all.
"""

import argparse
import ast
import json
import sys
import tempfile
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "switchgear"
TESTS = ROOT / "tests"
RECORD = TESTS / "coverage.json"
GOAL_PERCENT = 95
EXCLUDED = ["if TYPE_CHECKING:", r"^\s*\.\.\.$", "raise NotImplementedError"]


class Contexts:
    """Tells coverage which test file is at work."""

    def __init__(self, measured):
        self._measured = measured

    def pytest_collectstart(self, collector):
        if isinstance(collector, pytest.Module):
            self._measured.switch_context(name(Path(collector.path)))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        self._measured.switch_context(name(Path(item.path)))
        yield


def name(path):
    """Return a test file's name below tests/."""
    return str(path.resolve().relative_to(TESTS))


def inner_lines(path):
    """Return the lines of a module that stand in a function's body."""
    lines = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            lines.update(range(body[0].lineno, body[-1].end_lineno + 1))
    return lines


def own_test(path):
    """Return the name of a module's own test file, below tests/."""
    relative = path.relative_to(SRC)
    return str(relative.with_name(f"test_{relative.name}"))


def percents(rooms):
    """Run the tests of some rooms and return {module: percent of its statements that its own tests run}."""
    with tempfile.TemporaryDirectory() as folder:
        measured = coverage.Coverage(data_file=str(Path(folder) / "data"), source=[str(SRC)], config_file=False)
        measured.set_option("report:exclude_also", EXCLUDED)
        measured.start()
        status = pytest.main(
            [*(str(TESTS / room) for room in rooms), "-q", "-p", "no:randomly"], plugins=[Contexts(measured)]
        )
        measured.stop()
        if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            raise SystemExit(f"the tests did not run (exit {int(status)}): nothing is measured")
        if status:
            print("some tests fail: what they would have run is missing below")
        data = measured.get_data()
        figures = {}
        for room in rooms:
            for path in sorted((SRC / room).rglob("*.py")):
                if not (TESTS / own_test(path)).exists():
                    continue
                statements, missing = measured.analysis2(str(path))[1:4:2]
                inner = inner_lines(path)
                contexts = data.contexts_by_lineno(str(path))
                covered = [
                    line
                    for line in statements
                    if line not in missing and (line not in inner or own_test(path) in contexts.get(line, ()))
                ]
                figures[str(path.relative_to(SRC))] = 100 * len(covered) / len(statements) if statements else 100.0
    return figures


def levels():
    """Return the level of each room, without importing what is to be measured."""
    for node in ast.parse((TESTS / "test_rooms.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LEVELS":
            return ast.literal_eval(node.value)
    raise SystemExit("tests/test_rooms.py has no LEVELS")


def main():
    parser = argparse.ArgumentParser(description="Measure each module by its own tests.")
    parser.add_argument("rooms", nargs="*")
    parser.add_argument("--write", action="store_true", help="record what was reached")
    parser.add_argument("--lower", action="store_true", help="with --write: also where it is less")
    options = parser.parse_args()
    level = levels()
    rooms = options.rooms or [room for room in level if (TESTS / room).is_dir()]
    figures = percents(rooms)
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    below = {module: percent for module, percent in figures.items() if int(percent) < recorded.get(module, 0)}
    for module, percent in sorted(figures.items(), key=lambda item: item[1]):
        note = f"   recorded: {recorded[module]} %" if module in below else ""
        print(f"{percent:6.1f} %  {module}{note}")
    asked = {
        module: percent
        for module, percent in figures.items()
        if level[module.split("/")[0]] <= 2 or module.startswith("edge/")
    }
    if asked:
        reached = sum(percent >= GOAL_PERCENT for percent in asked.values())
        print(f"levels 0 to 2 and edge/: {reached} of {len(asked)} modules reach {GOAL_PERCENT} % by their own tests")
    if options.write:
        floor = {module: int(percent) for module, percent in figures.items()}
        kept = {module: percent for module, percent in recorded.items() if (SRC / module).exists()}
        for module, percent in floor.items():
            kept[module] = percent if options.lower else max(percent, kept.get(module, 0))
        RECORD.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
        return 0
    if below:
        print(f"{len(below)} modules are below what tests/coverage.json records")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
