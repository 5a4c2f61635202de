"""Where exceptions end that nobody expected: each in the one thing that raised it. Level 0.

A *door* is a function that a loop, a thread or a parser calls: an exception that leaves it would end more than what it was
about. Every door is made here, and `except Exception` stands nowhere else (a rule of the linter); tests/doors.py lists the
doors from the sources. Decision 020.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, cast

from switchgear.core.log_line import Report, Value

Door = TypeVar("Door", bound=Callable[..., Any])
Item = TypeVar("Item")

PLACES_MAX = 1_000
"""Places that are counted apart: lines of this program and its libraries, so hardly more than a few."""


class Guard:
    """Tells and counts faults. One per process; nothing of what an exception *says* is told, as it may quote a prompt or a
    secret: its type, its place in the program and the id of what it was about are enough to find it."""

    def __init__(self, report: Report) -> None:
        """`report` bounds how many lines of one place there are (docs/invariants.md L7): a client may be able to cause them."""
        self._report = report
        self.faults = 0
        """How many were caught since the process began."""
        self.places: dict[str, int] = {}
        """How many at each place."""

    def caught(self, exc: BaseException, request_id: str = "", **about: Value) -> None:
        """Tell and count a fault: of which request, or what else ends of it (`credential="openai/main"`). Never raises."""
        self.faults += 1
        place = place_of(exc)
        if place in self.places or len(self.places) < PLACES_MAX:
            self.places[place] = self.places.get(place, 0) + 1
        name = type(exc).__name__
        self._report(
            f"fault: {name} in {place}", "error", kind=f"fault {place}", request_id=request_id or None, **about
        )


def place_of(exc: BaseException) -> str:
    """Return where an exception was raised, and the door that it came to: `wire/http_requests.py:120 feed < net/exchange.py:300
    data_received`."""
    frames = _frames(exc.__traceback__)
    if not frames:
        return "an unknown place"
    inner, outer = frames[-1], next((frame for frame in frames if not frame.startswith("core/guard.py")), frames[0])
    return inner if inner == outer else f"{inner} < {outer}"


def _frames(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        path = code.co_filename.replace("\\", "/").split("/switchgear/")[-1]
        found.append(f"{path[-80:]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found


def guarded(end: Callable[[Any, Exception], object]) -> Callable[[Door], Door]:
    """Make a method a door: what it raises unexpectedly is given to `end(self, exc)`, which ends that one thing, and the
    caller gets None. A coroutine function is guarded while it runs. Costs one frame when nothing happens."""

    def wrap(function: Door) -> Door:
        door = _coroutine(function, end) if inspect.iscoroutinefunction(function) else _plain(function, end)
        functools.update_wrapper(door, function)
        door.guarded_end = end  # type: ignore[attr-defined]
        return cast(Door, door)

    return wrap


def _plain(function: Callable[..., Any], end: Callable[[Any, Exception], object]) -> Callable[..., Any]:
    # By number of arguments, which are given by position: packing them would cost three times as much, on the hot path.
    code = function.__code__
    bare = not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) and not code.co_kwonlyargcount
    count = code.co_argcount if bare and not function.__defaults__ else -1

    def one(self: Any) -> Any:
        try:
            return function(self)
        except Exception as exc:
            return end(self, exc)

    def two(self: Any, first: Any) -> Any:
        try:
            return function(self, first)
        except Exception as exc:
            return end(self, exc)

    def three(self: Any, first: Any, second: Any) -> Any:
        try:
            return function(self, first, second)
        except Exception as exc:
            return end(self, exc)

    def four(self: Any, first: Any, second: Any, third: Any) -> Any:
        try:
            return function(self, first, second, third)
        except Exception as exc:
            return end(self, exc)

    def more(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(self, *arguments, **named)
        except Exception as exc:
            return end(self, exc)

    shapes: dict[int, Callable[..., Any]] = {1: one, 2: two, 3: three, 4: four}
    return shapes.get(count, more)


def _coroutine(function: Callable[..., Any], end: Callable[[Any, Exception], object]) -> Callable[..., Any]:
    async def door(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return await function(self, *arguments, **named)
        except Exception as exc:
            return end(self, exc)

    return door


def call_each(
    calls: Iterable[tuple[Item, Callable[..., object], tuple[object, ...]]], end: Callable[[Item, Exception], None]
) -> None:
    """Make calls, each on behalf of something that ends alone if its call fails. No frame of its own per call: it is on the
    hot path."""
    for item, function, arguments in calls:
        try:
            function(*arguments)
        except Exception as exc:
            end(item, exc)


def each(items: Iterable[Item], do: Callable[[Item], object], end: Callable[[Item, Exception], None]) -> None:
    """Do something with each of some items, whatever becomes of the others. The items are taken at the beginning."""
    for item in list(items):
        try:
            do(item)
        except Exception as exc:
            end(item, exc)
