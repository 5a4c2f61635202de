"""An edge's part of the counters: opened, with what the edge before it left. Level 6 (decision 062)."""

import asyncio

from switchgear.app import columns
from switchgear.app.layout import Layout
from switchgear.counters import boot
from switchgear.counters.shared import SharedCounters
from switchgear.edge.counter_turns import CounterTurns
from switchgear.edge.uncertain import UncertainHolds

WAIT_S = 5.0
"""How long an edge waits for the end of the one that it replaces."""
AGAIN_S = 0.05
UNCERTAIN_US = 3_600_000_000
"""How long what a dead edge held of budgets stays held where control says nothing of it: the longest that a request takes unless
its model says otherwise."""


async def open_counters(
    layout: Layout, number: int, workers: int, turns: CounterTurns, uncertain: UncertainHolds | None = None
) -> SharedCounters:
    """Take an edge's column over, and end what its last owner left open: its slots are free again, what it sent stays counted in
    its windows, and what it held of budgets is uncertain: in `uncertain`, until control says what became of it. Raises RecordError
    or OSError for a file that is none, BlockingIOError while its last owner does not end."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + WAIT_S
    while True:
        try:
            counters = SharedCounters(
                layout.counters, f"edge-{number}", columns.names(workers), boot.now_us, turns.wake, columns.CONTROL
            )
        except BlockingIOError:
            if loop.time() > until_s:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            break
    turns.counters = counters
    _end_orphans(counters, uncertain if uncertain is not None else UncertainHolds())
    return counters


def _end_orphans(counters: SharedCounters, uncertain: UncertainHolds) -> None:
    until_us = boot.now_us() + UNCERTAIN_US
    for attempt, tickets in counters.orphans.items():
        adopted = [ticket for ticket in tickets if counters.adopt(ticket, until_us)]
        if adopted:
            uncertain.add(attempt, adopted, is_orphan=True)
    uncertain.note = counters.note_waiting
    counters.note_waiting(uncertain.orphans)
    counters.orphans.clear()
    counters.flush()  # what the lock keeps waiting is done soon after
