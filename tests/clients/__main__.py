"""`make clients`: each client against each upstream, scenario by scenario; the table goes into docs/compatibility.md.

    python -m tests.clients [--client NAME]… [--upstream TEXT]… [--scenario NAME]… [--missing] [--write] [--keep]

It takes itself into a network namespace with loopback alone first. Results are kept in the cache folder as each cell ends, so
that a run of some cells changes these alone.
"""

import argparse
import itertools
import os
import re
import sys
import time
from collections import Counter

from tests.clients import table
from tests.clients.program import CACHE, Home, Program, plain
from tests.clients.programs import KITS, PROGRAMS
from tests.clients.provider import Provider
from tests.clients.script import AFTER_LIMIT, EDITED, REFUSAL, SECOND, WORDS
from tests.clients.upstreams import COLUMNS, ENVIRON, FURTHER, MISSPELT, Upstream, configuration

from switchgear.testing.gateway import GatewayProcess

GRIDS = (
    table.Grid("Every client:", PROGRAMS, COLUMNS),
    table.Grid("Libraries at further providers, whose twins are as strict:", KITS, FURTHER),
)
WANTED = {
    "check": r"✔ tool call",
    "loop": f"finished: {' '.join(WORDS)}",
    "second": f"second done: {SECOND}",
    "schema": "Paris",
    "image": "the picture arrived",
    "refused": REFUSAL,
    "rate": AFTER_LIMIT,
    "wrong": re.escape(MISSPELT.name),
    "edit": "Applied edit to README.md",
    "mcp": "mcp done",
    "compact": "compaction done",
}


def prompt_of(scenario: str, home: Home) -> str:
    """What the person types."""
    argument = f":{home.picture}" if scenario == "image" else ""
    return f"[[{scenario}{argument}]] Please do as agreed."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients")
    for name in ("client", "upstream", "scenario"):
        parser.add_argument(f"--{name}", action="append", default=[])
    parser.add_argument("--missing", action="store_true", help="only what did not pass yet")
    parser.add_argument("--write", action="store_true", help="write docs/compatibility.md")
    parser.add_argument("--keep", action="store_true", help="keep homes, and print what failed clients said")
    given = parser.parse_args()
    if "CLIENTS_ALONE" not in os.environ:
        _go_alone()
    (CACHE / "homes").mkdir(parents=True, exist_ok=True)
    provider = Provider()
    gateway = GatewayProcess(configuration(provider.port), environ=ENVIRON, workers=1)
    failed = 0
    try:
        key = gateway.key("clients")
        for grid in GRIDS:
            for program, upstream in itertools.product(grid.programs, grid.upstreams):
                is_named = not given.upstream or any(text in upstream.name for text in given.upstream)
                scenarios = _scenarios(program, upstream, given.scenario, missing=given.missing)
                if is_named and scenarios and (not given.client or program.guide in given.client):
                    failed += _column(program, upstream, gateway, provider, key, scenarios, given.keep)
    finally:
        gateway.stop()
        provider.stop()
    if given.write:
        table.write(GRIDS)
    print(f"{failed} cells failed")
    return 1 if failed else 0


def _go_alone() -> None:
    """Execute this program again in a network namespace of its own."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--net", *root, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    command += [sys.executable, "-m", "tests.clients", *sys.argv[1:]]
    os.execvpe(command[0], command, os.environ | {"CLIENTS_ALONE": "1"})


def _scenarios(program: Program, upstream: Upstream, only: list[str], *, missing: bool) -> list[str]:
    """What is asked in a cell. A second turn needs its first."""
    asked = [name for name in program.asked(upstream) if not only or name in only]
    if missing:
        passed = table.passed(program, upstream)
        wanted = {name for name in asked if name not in passed}
        asked = [name for name in asked if name in wanted or (name == "loop" and "second" in wanted)]
    return asked


def _column(
    program: Program,
    upstream: Upstream,
    gateway: GatewayProcess,
    provider: Provider,
    key: str,
    scenarios: list[str],
    keep: bool,
) -> int:
    home = Home(gateway, key, upstream.name)
    failed = 0
    try:
        home.connect(program.guide)
        for scenario in scenarios:
            provider.begin()
            began = time.monotonic()
            if scenario == "check":
                output = home.check(program.guide)
            else:
                output = plain(program.ask(home, scenario, prompt_of(scenario, home)))
            problems = provider.problems()
            if not re.search(WANTED[scenario], output) or "✗" in output:
                problems.append(f"the client printed {output.strip()[-160:]!r}")
            if scenario == "edit" and EDITED not in (home.project / "README.md").read_text():
                problems.append("the file does not hold what the model wrote")
            failed += bool(problems)
            dialects = provider.dialects()
            table.keep(program, upstream, scenario, dialects, problems)
            took = time.monotonic() - began
            print(
                f"{'✗' if problems else '✔'} {program.title} → {upstream.name} {scenario} {'+'.join(dialects)} {took:.1f} s",
                flush=True,
            )
            for problem in problems:
                print(f"    {problem}", flush=True)
            if keep and problems:
                (home.path / f"refused-{scenario}.json").write_bytes(provider.refused_body)
                print("    | " + output.strip()[-3000:].replace("\n", "\n    | "))
        _tell_records(gateway, program, keep)
    finally:
        if not keep:
            home.remove()
    return failed


def _tell_records(gateway: GatewayProcess, program: Program, keep: bool) -> None:
    """Print what the ledger says of the column's requests: a client that got all it asked for is not gone."""
    if not keep:
        return
    records = gateway.json("log", "list", "--limit", "100")["records"]
    for what in ("outcome", "session", "client"):
        counts = Counter(str(record.get(what)) for record in records if record["id"] not in _TOLD)
        print(f"    {program.title} {what}: {dict(counts)}", flush=True)
    _TOLD.update(record["id"] for record in records)


_TOLD: set[str] = set()


sys.exit(main())
