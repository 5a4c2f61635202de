"""Results of cells, kept as lines of JSON in the cache folder, and the part of docs/compatibility.md that is made of them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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


def write(programs: Iterable[Program], upstreams: tuple[Upstream, ...]) -> None:
    """Write the page's part."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{render(programs, upstreams, _read())}{END}{after}", "utf-8")


def render(programs: Iterable[Program], upstreams: tuple[Upstream, ...], results: dict[str, Any]) -> str:
    """The table, and below it why cells fail."""
    lines = ["", "| client | " + " | ".join(one.title for one in upstreams) + " |", "|---|" + "---|" * len(upstreams)]
    reasons: list[str] = []
    barred: dict[str, None] = {}
    scenarios: list[str] = []
    for program in programs:
        cells = []
        for upstream in upstreams:
            possible = program.asked(upstream)
            whys = {program.reason(name, upstream.name) for name in program.scenarios} - {""}
            barred |= dict.fromkeys(f"- {program.title} → {upstream.title}: {why}." for why in sorted(whys))
            found = {
                name: results[f"{program.guide} {upstream.name} {name}"]
                for name in possible
                if f"{program.guide} {upstream.name} {name}" in results
            }
            failed = {name: one["problems"] for name, one in found.items() if one["problems"]}
            dialect = next((_DIALECTS.get(one, one) for cell in found.values() for one in cell["dialects"]), "")
            every = len(possible)
            mark = "✔" if len(found) == every else f"✔ {len(found)} of {every}" if found else "not run"
            if not every:
                mark = "–"
            if failed:
                mark = f"✗ {', '.join(failed)}"
            cells.append(f"{mark} {dialect}".strip())
            reasons += [
                f"- {program.title} → {upstream.title}, {name}: {_plain(problems[0])}"
                for name, problems in failed.items()
            ]
        lines.append(f"| {program.title} {program.version()} | " + " | ".join(cells) + " |")
        scenarios.append(f"- {program.title}: {', '.join(program.scenarios)}")
    lines += ["", "What each client does in each cell, after `connect --check` (check):", "", *scenarios]
    if barred:
        lines += ["", "What a provider refuses of its own clients (–, or a cell without that scenario):", "", *barred]
    if reasons:
        lines += ["", "Why cells fail:", "", *reasons]
    return "\n".join(lines) + "\n\n"


def _plain(text: str) -> str:
    return re.sub(r"/\S*/homes/[^/\s]*", "~", " ".join(text.split()).replace("|", "/"))[:240]
