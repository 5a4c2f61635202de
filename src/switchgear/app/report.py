"""One line of a process's log. Level 6."""

import contextlib
import os


def report(text: str) -> None:
    """Write a line to stderr. Never fails: the log may lie on the very disk that is full, and whoever reports that must go on."""
    with contextlib.suppress(OSError):
        os.write(2, f"switchgear: {text}\n".encode())
