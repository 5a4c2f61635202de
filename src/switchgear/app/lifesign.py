"""Which child hangs. Level 6. Pure: times and counts are arguments.

Every child counts in a file that only it and the supervisor hold, once a second, from the loop that does its work. A count that
stands still means a loop that stands still: stopped, deadlocked, or busy with one thing for longer than anybody should wait.
Nothing is counted while the supervisor itself was late (a machine that was suspended, or too busy to run it): then
nobody had a fair chance. Children are given up one at a time, so that a machine that stands still does not cost all of them.
"""

import os
from collections.abc import Mapping

TICK_S = 1.0
"""How often children count and the supervisor looks."""
LATE_S = 1.0
"""A supervisor that is later than this judges nobody."""
SILENCE_S = 10.0
CONTROL_SILENCE_S = 5.0
"""Control's is shorter: a command must be answered within ten seconds of it, by its successor."""
START_S = 120.0
"""Until the first count: interpreters and imports on a busy machine."""
_BYTES = 8


def make() -> int:
    """Return a descriptor to count in; it is inherited by nobody unasked."""
    fd = os.memfd_create("lifesign", os.MFD_CLOEXEC)
    count(fd, 0)
    return fd


def count(fd: int, number: int) -> None:
    """Write a count."""
    os.pwrite(fd, number.to_bytes(_BYTES, "little"), 0)


def read(fd: int) -> int:
    """Return the last count."""
    return int.from_bytes(os.pread(fd, _BYTES, 0), "little")


def patience_s(role: str, number: int) -> float:
    """Return how long a role may be silent after a count."""
    if number == 0:
        return START_S
    return CONTROL_SILENCE_S if role == "control" else SILENCE_S


class Watch:
    """Follows the counts of all children."""

    def __init__(self) -> None:
        self._looked_s: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}
        self._next_s = 0.0

    def look(self, now_s: float, counts: Mapping[str, tuple[str, int]]) -> tuple[str, float] | None:
        """Return (name, seconds of silence) of a child that hangs. `counts`: name → (role, count), of living children; `now_s`
        is monotonic. Call it every TICK_S."""
        was_late = self._looked_s is not None and now_s - self._looked_s > TICK_S + LATE_S
        self._looked_s = now_s
        for name in self._seen.keys() - counts.keys():
            del self._seen[name]
        silent: list[tuple[float, str, float]] = []
        for name, (role, number) in counts.items():
            known = self._seen.get(name)
            if was_late or known is None or known[0] != number:
                self._seen[name] = (number, now_s)
            elif now_s - known[1] >= patience_s(role, number):
                silent.append((known[1], name, patience_s(role, number)))
        if not silent or now_s < self._next_s:
            return None
        since_s, name, patience = min(silent)
        self._next_s = now_s + patience
        del self._seen[name]
        return name, now_s - since_s
