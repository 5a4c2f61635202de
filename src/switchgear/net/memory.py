"""Gives memory back to the system after a flood. Level 2.

The C library keeps what was freed between pieces that still live, for ever: an edge that once had 900 MB of handshakes stayed
at 900 MB. `malloc_trim` gives back every free page; it takes milliseconds, so it is called only when much was freed.
"""

import ctypes

LOOK_S = 5.0
FREED_BYTES = 16 * 1024 * 1024
"""What must have been freed since the last time, so that it is worth its milliseconds."""


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
        self._least = 0
        """The least that was free since memory was given back."""
        self._looked_s = 0.0
        self.given_back = 0
        """How often."""

    def tick(self, now_s: float) -> None:
        """Look whether much was freed, every few seconds. Call it from a timer, with the time in seconds."""
        if now_s - self._looked_s < LOOK_S or self._info is None or self._trim is None:
            return
        self._looked_s = now_s
        free = int(self._info().fordblks)
        self._least = min(self._least, free)
        if free - self._least >= FREED_BYTES:
            self._trim(0)
            self._least = int(self._info().fordblks)
            self.given_back += 1
