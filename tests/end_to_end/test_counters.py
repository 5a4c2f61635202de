"""Four processes at the edge of limits and budgets, killed again and again: nothing beyond a limit, nothing lost, nothing twice.

The judge is what was sent, with the time of its admission. COUNTERS_KILLS: how often (15; 200 take some minutes).
"""

import bisect
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.end_to_end.counters_edge import BUDGET, NAMES, PARALLEL, RATE, TOKENS, buckets

from switchgear.counters import boot, column
from switchgear.counters.layout import Geometry
from switchgear.counters.shared import SharedCounters
from switchgear.testing.patience import until

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("COUNTERS_KILLS", "15"))
SMALL = Geometry(windows=64, slots=64, balances=4_096, holds=2_048)


class Edges:
    """Four edges; a killed one is started again. Remembers when each was killed."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}
        self.kills = []
        self.seed = 0
        for name in NAMES[:4]:
            self.start(name)

    def start(self, name):
        self.seed += 1
        command = [sys.executable, "-m", "tests.end_to_end.counters_edge", str(self.folder), name, str(self.seed)]
        self.running[name] = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)

    def has_sent(self, name):
        """Tell whether this run of an edge has sent something."""
        book = self.folder / f"{name}.book"
        return book.exists() and f'"attempt": "{self.running[name].pid:08x}' in book.read_text()

    def kill(self, name, after_s):
        """Kill an edge a moment after it began to send."""
        process = self.running[name]
        assert until(lambda: self.has_sent(name) or process.poll() is not None)
        time.sleep(after_s)
        killed_us = boot.now_us()
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1].decode()
        assert (process.returncode, said) == (-signal.SIGKILL, "")
        self.kills.append((name, killed_us))
        self.start(name)

    def wait(self):
        (self.folder / "stop").touch()
        said = [process.communicate()[1].decode() for process in self.running.values()]
        assert said == [""] * 4


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """What each edge wrote down, and when it was killed."""
    folder = tmp_path_factory.mktemp("counters")
    column.prepare(folder, NAMES, SMALL, b"s" * 16, boot.boot_id(), os.urandom)
    edges, chance = Edges(folder), random.Random(7)
    for _ in range(KILLS):
        edges.kill(chance.choice(NAMES[:4]), chance.random() * 0.1)
    edges.wait()
    found = {}
    for name in NAMES[:4]:
        lines = (folder / f"{name}.book").read_text().splitlines()
        found[name] = [json.loads(line) for line in lines]
    return folder, found, edges.kills


def sent(books):
    return sorted(
        (line for lines in books[1].values() for line in lines if "sent_us" in line), key=lambda x: x["sent_us"]
    )


def test_edges_are_killed_while_they_send_at_the_limits(books):
    assert len(books[2]) == KILLS
    assert len(sent(books)) >= KILLS
    refused = {at for lines in books[1].values() for line in lines for at in line.get("full", ())}
    assert refused, "some of requests, tokens, parallel requests, money"


def test_N3_no_window_of_a_second_has_more_requests_than_the_limit(books):
    times = [line["sent_us"] for line in sent(books)]
    most = max(at - bisect.bisect_right(times, times[at] - 1_000_000) + 1 for at in range(len(times)))
    assert most <= RATE


def test_N3_no_window_of_a_second_has_more_tokens_than_the_limit_and_what_was_reserved_too_little(books):
    found = sent(books)
    times = [line["sent_us"] for line in found]
    for at, end in enumerate(times):
        first = bisect.bisect_right(times, end - 1_000_000)
        assert sum(min(line["cost"], line["reserved"]) for line in found[first : at + 1]) <= TOKENS


def test_N4_no_budget_is_overshot(books):
    spent = Counter()
    for line in sent(books):
        spent[line["period"]] += line["cost"]
    assert max(spent.values()) <= BUDGET


def test_no_more_requests_run_at_once_than_slots(books):
    """A request that was killed ran at least until just before the kill."""
    _, found, kills = books
    changes = []
    for name, lines in found.items():
        ended = {line["attempt"]: line["ended_us"] for line in lines if "ended_us" in line}
        for line in lines:
            if "sent_us" in line:
                begin = line["sent_us"]
                end = ended.get(line["attempt"])
                if end is None:
                    end = min((at for other, at in kills if other == name and at >= begin), default=begin)
                changes += [(begin, 1), (end, -1)]
    running = 0
    for _, change in sorted(changes):
        running += change
        assert running <= PARALLEL


def test_nothing_is_held_afterwards_and_each_request_is_settled_once(books):
    folder = books[0]
    for name in NAMES[:4]:
        edge = SharedCounters(folder, name, NAMES, boot.now_us, lambda _: None)
        assert edge.orphans == {}, "the last run of each edge ended by itself"
        edge.close()
    edge = SharedCounters(folder, "control", NAMES, boot.now_us, lambda _: None)
    spent = Counter()
    for line in sent(books):
        spent[line["period"]] += line["cost"]
    for period, cost in spent.items():
        _, _, parallel, money = edge.read(buckets(period))
        assert (money.settled, money.held, money.uncertain) == (cost, 0, 0)
        assert parallel.held == 0
    assert until(lambda: [r.used for r in edge.read(buckets(0))[:2]], lambda used: used == [0, 0]) == [0, 0]
    edge.close()
