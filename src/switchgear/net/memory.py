"""Gives memory back to the system after a flood. Level 2.

The C library keeps what was freed between pieces that still live, for ever: an edge that once had 900 MB of handshakes stayed
at 900 MB. `malloc_trim` gives back every free page; it takes milliseconds, so it is called only when much is free and pages were
touched since the last time: a flood may come and go between two looks, and what was given back still counts as free.
"""

import ctypes
import resource

LOOK_S = 5.0
FREED_BYTES = 16 * 1024 * 1024
"""What must be free, so that it is worth its milliseconds."""
FAULTS = 256
"""Pages that were touched for the first time, or again after they were given back: 1 MB, or more where pages are huge."""


class _Info(ctypes.Structure):
    """`struct mallinfo2` (malloc.h, glibc 2.33)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


class Memory:
    """The process's free memory. With a C library that has neither function it does nothing."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._info = getattr(library, "mallinfo2", None)
        self._trim = getattr(library, "malloc_trim", None)
        if self._info is not None:
            self._info.restype = _Info
        self._faults = 0
        """Page faults of the process when memory was given back last."""
        self._is_due = False
        """True after a time at which much was given back: the pages that were not free then are, a look later."""
        self._looked_s = 0.0
        self.given_back = 0
        """How often."""

    def tick(self, now_s: float) -> None:
        """Look whether much was freed, every few seconds. Call it from a timer, with the time in seconds."""
        if now_s - self._looked_s < LOOK_S or self._info is None or self._trim is None:
            return
        self._looked_s = now_s
        is_much = _faults() - self._faults >= FAULTS and int(self._info().fordblks) >= FREED_BYTES
        if is_much or self._is_due:
            self._is_due = is_much
            self._trim(0)
            self._faults = _faults()
            self.given_back += 1


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
