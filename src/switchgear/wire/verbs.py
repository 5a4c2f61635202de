"""What control asks of a process that it cannot look into: a verb with the types of its body and of its answer. Level 1.

Both ends of a link import the same declaration, so neither can mean another type than the other.
"""

from typing import Generic, TypeVar

import msgspec

B = TypeVar("B")
A = TypeVar("A")


class Verb(msgspec.Struct, Generic[B, A], frozen=True):
    """One verb."""

    name: str
    body: type[B]
    answer: type[A]
    once: bool = False
    """True when it must not be asked again after an answer that was lost: asking twice would do it twice."""
