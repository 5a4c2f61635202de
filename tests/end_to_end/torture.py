"""`make torture`: thousands of kills, in chunks, each on a folder of its own and with its own seed.

    python -m tests.end_to_end.torture --rounds 10000 --state torture.jsonl

Every chunk appends a line to the state file; a run that was interrupted goes on after the last one. Half of the chunks kill random
processes at random times, the other half let processes die at named places. The last lines are the figures.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.test_kill import chaos

CHUNK = 50


def done_before(state):
    if not state.exists():
        return []
    return [json.loads(line) for line in state.read_text().splitlines()]


def chunk(number, seed):
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    failpoints = bool(number % 2)
    started = time.monotonic()
    try:
        counted = chaos(folder, CHUNK, seed + number, failpoints=failpoints)
        failed = ""
    except AssertionError as exc:
        counted, failed = {}, str(exc)[:2000] or "assertion"
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)  # else it is evidence
    return {
        "chunk": number,
        "seed": seed + number,
        "mode": "failpoints" if failpoints else "kill",
        "rounds": CHUNK,
        "seconds": round(time.monotonic() - started, 1),
        "failed": failed,
        "folder": str(folder) if failed else "",
        **counted,
    }


def summary(results):
    recoveries = sorted(s for r in results for s in r.get("recoveries", ()))
    places = {}
    for result in results:
        for place, count in result.get("places", {}).items():
            places[place] = places.get(place, 0) + count
    return {
        "rounds": sum(r["rounds"] for r in results),
        "records": sum(r.get("records", 0) for r in results),
        "attempts_seen_by_the_provider": sum(r.get("attempts", 0) for r in results),
        "chunks_that_failed": sum(bool(r["failed"]) for r in results),
        "recovery_p50_s": round(recoveries[len(recoveries) // 2], 3) if recoveries else None,
        "recovery_p99_s": round(recoveries[len(recoveries) * 99 // 100], 3) if recoveries else None,
        "recovery_worst_s": round(recoveries[-1], 3) if recoveries else None,
        "deaths_at_named_places": sum(places.values()),
        "named_places_reached": len(places),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--state", type=Path, default=Path("torture.jsonl"))
    parser.add_argument("--seed", type=int, default=20_261_124)
    options = parser.parse_args()
    results = done_before(options.state)
    while sum(r["rounds"] for r in results) < options.rounds:
        result = chunk(len(results), options.seed)
        results.append(result)
        with options.state.open("a") as file:
            file.write(json.dumps(result) + "\n")
        total = sum(r["rounds"] for r in results)
        note = f"  FAILED: {result['failed'][:200]}" if result["failed"] else ""
        print(f"{total:6} of {options.rounds}  {result['mode']:<10} {result['seconds']:5.0f} s{note}", flush=True)
    found = summary(results)
    print(json.dumps(found, indent=2))
    return 1 if found["chunks_that_failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
