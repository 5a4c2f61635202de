"""One edge that hammers the node's counters until it is killed or the file `stop` is there:
python -m tests.end_to_end.counters_edge FOLDER NAME SEED.

Its book stands for the spool, and for what a provider sees: a line is written before a request counts as sent (`sent`), another
when it ended. Its successor reads it: what was sent is settled, what was not is released.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

from switchgear.counters import boot
from switchgear.counters.backend import Full, Taken, Unknown
from switchgear.counters.shared import SharedCounters
from switchgear.policies.buckets import Bucket, Hold, Kind

NAMES = ("edge-0", "edge-1", "edge-2", "edge-3", "control")
RATE, TOKENS, PARALLEL, BUDGET = 60, 1_200, 6, 3_000
HOLD_MAX = 200
PERIOD_US = 2_000_000


def buckets(period):
    """The four rules: requests and tokens a second, parallel requests, money per two seconds."""
    return (
        Bucket(key="requests", kind=Kind.WINDOW, limit=RATE, window_us=1_000_000),
        Bucket(key="tokens", kind=Kind.WINDOW, limit=TOKENS, window_us=1_000_000),
        Bucket(key="parallel", kind=Kind.SLOTS, limit=PARALLEL),
        Bucket(key=f"budget/{period}", kind=Kind.BALANCE, limit=BUDGET),
    )


class Book:
    """Lines that are in the kernel's hands before anything else happens."""

    def __init__(self, path):
        self.lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line):
        os.write(self.fd, json.dumps(line).encode() + b"\n")


def adopt(edge, book):
    """End what the killed predecessor left, by its book."""
    sent = {line["attempt"]: line for line in book.lines if "sent_us" in line}
    for attempt, tickets in edge.orphans.items():
        for ticket in tickets:
            if attempt not in sent:
                edge.release(ticket)
                continue
            if int(attempt[-1], 16) % 2:
                edge.suspend(ticket, boot.now_us() + 60_000_000)
            cost = sent[attempt]["cost"]
            edge.settle(ticket, (1, cost, 1, cost))
    edge.orphans.clear()


def main(folder, name, seed):
    """Take, send, settle, as fast as it goes."""
    chance = random.Random(seed)
    book = Book(folder / f"{name}.book")
    edge = SharedCounters(folder, name, NAMES, boot.now_us, lambda _: None)
    adopt(edge, book)
    running, count, lacking, stop = [], 0, set(), folder / "stop"
    while not stop.exists():
        asked = chance.randint(1, 4)
        for _ in range(asked):
            count += 1
            attempt = f"{os.getpid():08x}{count:024x}"
            period = boot.now_us() // PERIOD_US
            hold = chance.randint(1, HOLD_MAX)
            cost = chance.randint(0, hold)
            wanted = [Hold(b, amount) for b, amount in zip(buckets(period), (1, hold // 4, 1, hold), strict=True)]

            def done(answer, attempt=attempt, cost=cost, period=period, reserved=hold // 4):
                if isinstance(answer, Taken):
                    book.write(sent_us=answer.at_us, attempt=attempt, cost=cost, period=period, reserved=reserved)
                    running.append((boot.now_us() + chance.randint(0, 60_000), answer.ticket, attempt, cost))
                elif isinstance(answer, Full):
                    for at in set(answer.lacking) - lacking:
                        lacking.add(at)
                        book.write(full=[at])
                elif isinstance(answer, Unknown) and "busy" not in answer.reason:
                    raise AssertionError(answer.reason)

            answer = edge.take(wanted, attempt, done)
            if answer is not None:
                done(answer)
        edge.flush()
        now_us = boot.now_us()
        for entry in [entry for entry in running if entry[0] <= now_us]:
            running.remove(entry)
            _, ticket, attempt, cost = entry
            book.write(ended_us=boot.now_us(), attempt=attempt)
            edge.settle(ticket, (1, cost, 1, cost))
        edge.flush()
        time.sleep(chance.random() * 0.002)
    while running or not edge.is_settled:
        while running:
            _, ticket, attempt, cost = running.pop()
            book.write(ended_us=boot.now_us(), attempt=attempt)
            edge.settle(ticket, (1, cost, 1, cost))
        edge.flush()
        time.sleep(0.001)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
