"""Long work in steps: a generator that yields wherever it may be put aside, and returns what it made. Level 0.

Who drives it decides how long it works at a time: `finish` to the end at once, for what is small; the edge a few
milliseconds per turn of its loop, for what is large (docs/decisions/024-slices.md).
"""

from collections.abc import Callable, Generator
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
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


class Stepwise(Generic[P, T]):
    """A decorator: the function is called as any other, and does all at once; `steps` begins the same work in steps."""

    def __init__(self, function: Callable[P, Steps[T]]) -> None:
        self.steps = function
        self.__doc__ = function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do all of it now."""
        return finish(self.steps(*args, **kwargs))
