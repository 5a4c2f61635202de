"""An edge's part of the counters: opened, with what the edge before it left. Level 6 (decision 062)."""

import asyncio

from switchgear.app import columns
from switchgear.app.layout import Layout
from switchgear.counters import boot
from switchgear.counters.shared import SharedCounters
from switchgear.edge.counter_turns import CounterTurns

WAIT_S = 5.0
"""How long an edge waits for the end of the one that it replaces."""
AGAIN_S = 0.05


async def open_counters(layout: Layout, number: int, workers: int, turns: CounterTurns) -> SharedCounters:
    """Take an edge's column over, and end what its last owner left open: its slots are free again, and what it sent stays
    counted in its windows. Raises RecordError or OSError for a file that is none, BlockingIOError while its last owner does not
    end."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + WAIT_S
    while True:
        try:
            counters = SharedCounters(
                layout.counters, f"edge-{number}", columns.names(workers), boot.now_us, turns.wake
            )
        except BlockingIOError:
            if loop.time() > until_s:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            break
    turns.counters = counters
    _end_orphans(counters)
    return counters


def _end_orphans(counters: SharedCounters) -> None:
    now_us = boot.now_us()
    for tickets in counters.orphans.values():
        for ticket in tickets:
            counters.suspend(ticket, now_us)
    counters.orphans.clear()
    counters.flush()  # what the lock keeps waiting is done soon after
