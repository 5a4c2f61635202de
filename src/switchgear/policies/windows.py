"""Counts over a sliding window: at most N in *any* window. Level 1.

A window is counted in 64 sub-windows of a 63rd of its length each. Whatever window of that length ends in a sub-window began in
none but the 63 before it, so a sum over these 64 never misses anything (docs/invariants.md N3). The price is that an amount
counts up to a 63rd of the window longer than it must. Plain GCRA with burst N admits 2 N in a window, a fixed window too.

Times are microseconds of a clock that never jumps (CLOCK_BOOTTIME). A sub-window's number is that time divided by its width.
"""

from collections.abc import Iterable, Sequence

SUBWINDOWS = 64
COUNT_BITS = 31
"""Of a limit, in the units that it is counted in: a count has one more."""


def width_us(window_us: int) -> int:
    """Return the width of a sub-window."""
    return -(-window_us // (SUBWINDOWS - 1))


def scale(limit: int) -> int:
    """Return in units of how much amounts are counted under a limit, so that they fit into a count of 32 bits: a power of two, and
    1 for what is below 2**31."""
    return 1 << (limit >> COUNT_BITS).bit_length()


def ends_us(number: int, width: int) -> int:
    """Return when what was counted in a sub-window counts no more."""
    return (number + SUBWINDOWS) * width


def live(slots: Sequence[int], last: int, number: int) -> int:
    """Return what of a ring counts in sub-window `number`: slot n holds what was counted in the last sub-window up to `last`
    whose number is n modulo 64."""
    if number <= last:
        return sum(slots)
    gone = number - last
    if gone >= SUBWINDOWS:
        return 0
    first = (last + 1) % SUBWINDOWS
    end = first + gone
    if end <= SUBWINDOWS:
        return sum(slots) - sum(slots[first:end])
    return sum(slots[end - SUBWINDOWS : first])


def leaving(slots: Sequence[int], last: int, number: int) -> list[tuple[int, int]]:
    """Return (number of the sub-window, amount) of what a ring still counts in sub-window `number`, oldest first."""
    oldest = max(number, last) - SUBWINDOWS + 1
    return [(n, slots[n % SUBWINDOWS]) for n in range(oldest, last + 1) if slots[n % SUBWINDOWS]]


def fits_us(leaves: Iterable[tuple[int, int]], excess: int, width: int) -> int | None:
    """Return when `excess` of what counts has left, so that a request fits; None: it never will. `leaves`: of all rings."""
    for number, amount in sorted(leaves):
        excess -= amount
        if excess <= 0:
            return ends_us(number, width)
    return None


class Ring:
    """One window's counts, in memory."""

    __slots__ = ("held", "last", "slots", "total", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.slots = [0] * SUBWINDOWS
        self.last = 0
        self.total = 0
        self.held = 0
        """What of it is reserved and not settled."""

    def advance(self, now_us: int) -> int:
        """Let what left the window go; returns the sub-window's number, which never falls."""
        number = now_us // self.width
        gone = number - self.last
        if gone <= 0:
            return self.last
        if gone >= SUBWINDOWS:
            self.slots = [0] * SUBWINDOWS
            self.total = 0
        else:
            for passed in range(self.last + 1, number + 1):
                slot = passed % SUBWINDOWS
                self.total -= self.slots[slot]
                self.slots[slot] = 0
        self.last = number
        return number

    def add(self, number: int, amount: int) -> None:
        """Count an amount in a sub-window, or less where it is negative; nothing where that has left the window."""
        if number <= self.last - SUBWINDOWS:
            return
        slot = number % SUBWINDOWS
        self.slots[slot] += amount
        self.total += amount
