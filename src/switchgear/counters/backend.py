"""What every backend of counters does. Level 2."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from switchgear.policies.buckets import Bucket, Hold, Reading

HOLDS_MAX = 64
"""Rules of one request: a chain of six subjects with ten rules each."""

ADMISSION_US = 1_000_000


class Ticket:
    """What a request holds, until it is settled or released. Opaque: each backend keeps its own in it."""

    __slots__ = ()


class Taken(msgspec.Struct, frozen=True):
    """Everything was taken."""

    ticket: Ticket
    used: tuple[int, ...]
    """What each bucket counts now with this request, in the order of the holds: never less than is true, so what is left is
    not overstated."""
    at_us: int
    """When it was taken, in the counters' time: it holds for a second (ADMISSION_US); what is sent later would be counted in a
    window that it is not in."""


class Full(msgspec.Struct, frozen=True):
    """Nothing was taken: at least one bucket has no room."""

    lacking: tuple[int, ...]
    """Which holds did not fit, by their position, all of them."""
    readings: tuple[Reading, ...]
    """Of every hold, in their order. Those that lack have `fits_us`."""


class Unknown(msgspec.Struct, frozen=True):
    """Nothing was taken, since the counts are not known: rebuilding, unreadable, no room, too busy."""

    reason: str


Answer = Taken | Full | Unknown
Done = Callable[[Answer], None]


class Counters(Protocol):
    """Takes and gives back. Not thread-safe; one per process."""

    def take(self, holds: Sequence[Hold], attempt: str, done: Done) -> Answer | None:
        """Take all holds or none. Returns the answer, or None when `done` will be called with it, once, in a later turn.

        `done` must not raise; where the request has ended meanwhile, it releases the ticket. `attempt` is the attempt's id: what
        a successor of this process knows the hold by. Raises ValueError for more than HOLDS_MAX holds or a negative amount.
        """
        ...

    def peek(self, holds: Sequence[Hold]) -> Full | Unknown | None:
        """Tell whether holds would find no room now: before a body is read, with what is known of the request then. None: they
        may. Takes nothing, and a bucket that this process has not counted in yet has room."""
        ...

    def settle(self, ticket: Ticket, actual: Sequence[int]) -> None:
        """Replace what was held by what was used, in the holds' order: windows in the sub-window of the admission, balances in
        their own period, slots become free. Raises KeyError for a ticket that was settled or released already."""
        ...

    def settle_partly(self, ticket: Ticket, actual: Sequence[int], until_us: int) -> None:
        """As `settle`, of what is known so far: what budgets hold beyond it, balances and rolling ones, stays held, as uncertain,
        until the ticket is settled or released, or `until_us`. Raises KeyError as `settle`."""
        ...

    def release(self, ticket: Ticket) -> None:
        """Give everything back: nothing was sent, or nothing more was used. Raises KeyError as `settle`."""
        ...

    def read(self, buckets: Sequence[Bucket]) -> tuple[Reading, ...] | Unknown:
        """Return what buckets count now; takes nothing."""
        ...

    def flush(self) -> None:
        """Do what waits. Once in each turn of the loop in which something was asked for."""
        ...


def check_holds(holds: Sequence[Hold]) -> None:
    """Raise ValueError for holds that no backend takes."""
    if len(holds) > HOLDS_MAX:
        raise ValueError(f"{len(holds)} holds are more than {HOLDS_MAX}")
    for hold in holds:
        if hold.amount < 0:
            raise ValueError(f"{hold.amount} is no amount")
