"""Long work in steps: a generator that yields wherever it may be put aside, and returns what it made. Level 0.

Who drives it decides how long it works at a time: `finish` to the end at once, for what is small; the edge a few
milliseconds per turn of its loop, for what is large (docs/decisions/024-slices.md).
"""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]


def finish(steps: Steps[T]) -> T:
    """Do all of it now. Raises what the work raises."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
