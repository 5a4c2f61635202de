"""How long tests wait for what must happen. Level 5.

A wait ends when its condition holds; how long that takes is a benchmark's business, and a machine may be busy with other things.
So no test has a tighter bound of its own than this one, and what is slow fails nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 240.0
"""Of a machine that does ten other things, so that only what hangs is taken for hanging."""
Found = TypeVar("Found")


def until(look: Callable[[], Found], is_enough: Callable[[Found], object] = bool, seconds: float = PATIENCE_S) -> Found:
    """Look again and again until it is enough, or patience ends; returns what was seen last."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if is_enough(found) or time.monotonic() > end:
            return found
        time.sleep(0.05)


async def until_it_is(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Let the loop run until a condition holds. Raises AssertionError when patience ends."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it did not happen within {seconds:g} s")
        await asyncio.sleep(0.005)


async def let_pass(rounds: int = 50) -> None:
    """Let the loop turn so many times: what is ready by now has happened then, also where it takes a few turns."""
    for _ in range(rounds):
        await asyncio.sleep(0)
