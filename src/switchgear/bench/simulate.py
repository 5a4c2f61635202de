"""`python -m switchgear.bench.simulate`: simulates a day, prints what happened, and what was wrong. Level 7.

Exit 1 where an invariant did not hold: more admitted than a limit or a budget, counts that are not those of the books, anything
negative, something held when all is over, a budget called spent that is not.
"""

import argparse
import sys
import time

from switchgear.bench.simulation import EDGES, Simulation, Size


def report(done: Simulation, cpu_s: float) -> list[str]:
    """Return lines for people."""
    size, did, truth = done.size, done.did, done.truth
    requests = did["requests"]
    lines = [
        f"{size.hours:g} h, {size.keys:,} keys in {size.teams:,} teams, {EDGES} edges, seed {done.seed}: {requests:,} requests,"
        f" {did['attempts']:,} attempts, {did['nano-USD'] / 1e9:,.2f} USD, in {cpu_s:.1f} s of CPU"
    ]
    lines += [f"  {count:>9,}  {count / max(requests, 1):6.1%}  {how}" for how, count in done.ends.most_common()]
    apart = {"requests", "attempts", "nano-USD"}
    lines += [f"  {count:>9,}          {what}" for what, count in sorted(did.items()) if what not in apart]
    periods = sum(kind == "day" for kind, _ in done.periods)
    lines.append(
        f"  {len(truth.books):,} counters, {periods} days of budgets, {truth.checks:,} comparisons with the books"
    )
    lines += [f"WRONG: {text}" for text in truth.violations] or ["every limit, budget and count held"]
    return lines


def main(arguments: list[str]) -> int:
    """Simulate what the arguments say."""
    whole = Size()
    parser = argparse.ArgumentParser(prog="python -m switchgear.bench.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--hours", type=float, default=whole.hours)
    parser.add_argument("--keys", type=int, default=whole.keys)
    parser.add_argument("--teams", type=int, default=whole.teams)
    parser.add_argument("--rate", type=float, default=whole.requests_per_s, help="requests per second, on average")
    given = parser.parse_args(arguments)
    size = Size(hours=given.hours, keys=given.keys, teams=given.teams, requests_per_s=given.rate)
    is_wrong = False
    for seed in given.seeds:
        began_s = time.process_time()
        done = Simulation(size, seed).run()
        print("\n".join(report(done, time.process_time() - began_s)))
        is_wrong = is_wrong or bool(done.truth.violations)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
