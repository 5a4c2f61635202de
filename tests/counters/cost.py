"""What a take costs: python -m tests.counters.cost [EDGES]. CPU time of one process, the least of 20 runs of 2,000, without contention.

Three rules: requests and tokens per minute, and a budget, of 100 keys that every edge has seen.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from switchgear.counters import boot, column
from switchgear.counters.layout import Geometry
from switchgear.counters.shared import SharedCounters
from switchgear.policies.buckets import Bucket, Hold, Kind

ATTEMPT = "0" * 32 + "-1"
RUNS, TAKES, KEYS = 20, 2_000, 100
ACTUAL = (1, 1_000, 5)


def rules(key):
    """Return a request's holds."""
    return [
        Hold(Bucket(key=f"requests/{key}", kind=Kind.WINDOW, limit=10**9, window_us=60_000_000), 1),
        Hold(Bucket(key=f"tokens/{key % 10}", kind=Kind.WINDOW, limit=10**9, window_us=60_000_000), 1_500),
        Hold(Bucket(key=f"budget/{key}", kind=Kind.BALANCE, limit=10**15, is_budget=True), 10**9),
    ]


def least_us(act):
    """Return the CPU time of one call."""
    best = float("inf")
    for _ in range(RUNS):
        begin = time.process_time_ns()
        for number in range(TAKES):
            act(number)
        best = min(best, (time.process_time_ns() - begin) / TAKES / 1_000)
    return best


def main(edges):
    """Print the figures."""
    names = [*(f"edge-{number}" for number in range(edges)), "control"]
    with tempfile.TemporaryDirectory() as folder:
        column.prepare(Path(folder), names, Geometry(), b"s" * 16, boot.boot_id(), os.urandom)
        running = [SharedCounters(Path(folder), name, names, boot.now_us, lambda _: None) for name in names[:-1]]
        holds = [rules(key) for key in range(KEYS)]
        for edge in running:
            for asked in holds:
                edge.settle(edge.take(asked, ATTEMPT, print).ticket, ACTUAL)
                edge.flush()
        edge, tickets = running[0], []

        def request(number):
            edge.settle(edge.take(holds[number % KEYS], ATTEMPT, print).ticket, ACTUAL)
            edge.flush()

        def turn(number):
            answer = edge.take(holds[number % KEYS], ATTEMPT, lambda later: tickets.append(later.ticket))
            if answer is not None:
                tickets.append(answer.ticket)
            if number % 50 == 49:
                edge.flush()
                for ticket in tickets:
                    edge.settle(ticket, ACTUAL)
                tickets.clear()
                edge.flush()

        def alone(_):
            edge.acquire()
            edge.let_go()

        print(
            f"{edges} edges: {least_us(request):.1f} µs a request that is alone in its turn (take, settle, flush, two locks)"
        )
        print(f"{edges} edges: {least_us(turn):.1f} µs a request of 50 in a turn (take and settle)")
        print(f"{least_us(alone):.1f} µs a lock")
        print(f"{least_us(lambda _: [1 + 1 for _ in range(100)]):.1f} µs a hundred additions, to compare machines")
        for edge in running:
            edge.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
