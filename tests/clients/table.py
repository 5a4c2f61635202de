"""Results of cells, kept as lines of JSON in the cache folder, and the part of docs/compatibility.md that is made of them."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.program import CACHE, Program
from tests.clients.upstreams import Upstream

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
RESULTS = CACHE / "results.json"
BEGIN, END = "<!-- make clients: begin -->", "<!-- make clients: end -->"
_DIALECTS = {"openai": "chat"}


def _read() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def keep(program: Program, upstream: Upstream, scenario: str, dialects: list[str], problems: list[str]) -> None:
    """Keep what came of a cell."""
    results = _read()
    results[f"{program.guide} {upstream.name} {scenario}"] = {
        "version": program.version(),
        "dialects": dialects,
        "problems": problems,
    }
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True))


def passed(program: Program, upstream: Upstream) -> set[str]:
    """The scenarios of a cell that passed, as far as results are kept."""
    head = f"{program.guide} {upstream.name} "
    return {key.removeprefix(head) for key, one in _read().items() if key.startswith(head) and not one["problems"]}


class Grid(NamedTuple):
    """A table: which clients are asked at which upstreams. `title` stands above it."""

    title: str
    programs: tuple[Program, ...]
    upstreams: tuple[Upstream, ...]


def write(grids: tuple[Grid, ...]) -> None:
    """Write the page's part."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{render(grids, _read())}{END}{after}", "utf-8")


def render(grids: tuple[Grid, ...], results: dict[str, Any]) -> str:
    """The tables, how many scenarios passed, and why others did not."""
    tables: list[str] = []
    notes = _Notes({}, {}, Counter())
    for grid in grids:
        titles = [one.title for one in grid.upstreams]
        tables += ["", grid.title, "", "| client | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
        for program in grid.programs:
            cells = [_cell(program, upstream, results, notes) for upstream in grid.upstreams]
            tables.append(f"| {program.title} {program.version()} | " + " | ".join(cells) + " |")
    every = {program.guide: program for grid in grids for program in grid.programs}
    lines = [
        f"Of {notes.counts.total()} scenarios {notes.counts['passed']} passed, {notes.counts['failed']} failed, "
        f"{notes.counts['refused']} cannot be (the provider refuses them), {notes.counts['not run']} were not run.",
        *tables,
        "",
        "What each client does in each cell, after `connect --check` (check):",
        "",
        *(f"- {program.title}: {', '.join(program.scenarios)}" for program in every.values()),
    ]
    if notes.barred:
        lines += [
            "",
            "What a provider refuses of its own clients (–, or a cell without that scenario):",
            "",
            *notes.barred,
        ]
    if notes.failed:
        lines += ["", "Why cells fail:", "", *notes.failed]
    return "\n".join(lines) + "\n\n"


class _Notes(NamedTuple):
    barred: dict[str, None]
    failed: dict[str, None]
    counts: Counter[str]


def _cell(program: Program, upstream: Upstream, results: dict[str, Any], notes: _Notes) -> str:
    """A cell's text; what is told below the tables is added to `notes`."""
    possible = program.asked(upstream)
    keys = {name: f"{program.guide} {upstream.name} {name}" for name in possible}
    found = {name: results[key] for name, key in keys.items() if key in results}
    failed = {name: one["problems"] for name, one in found.items() if one["problems"]}
    for name in () if upstream.only else program.scenarios:
        why = program.reason(name, upstream)
        if why:
            notes.counts["refused"] += 1
            who = "every client" if name in dict(upstream.refused) else program.title
            notes.barred[f"- {who} → {upstream.title}, {name}: {why}."] = None
    notes.counts["passed"] += len(found) - len(failed)
    notes.counts["failed"] += len(failed)
    notes.counts["not run"] += len(possible) - len(found)
    for name, problems in failed.items():
        notes.failed[f"- {program.title} → {upstream.title}, {name}: {_plain(problems[0])}"] = None
    asked_in = dict.fromkeys(_DIALECTS.get(one, one) for cell in found.values() for one in cell["dialects"])
    mark = "✔" if len(found) == len(possible) else f"✔ {len(found)} of {len(possible)}" if found else "not run"
    if not possible:
        mark = "–"
    if failed:
        mark = f"✗ {', '.join(failed)}"
    return f"{mark} {' + '.join(asked_in)}".strip()


def _plain(text: str) -> str:
    return re.sub(r"/\S*/homes/[^/\s]*", "~", " ".join(text.split()).replace("|", "/"))[:240]
