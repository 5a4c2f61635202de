"""A model's own name: what tables about models are keyed by. Level 0."""

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

NAME_CHARACTERS_MAX = 256
_MAKER = re.compile(r"(?:.*/)?(?:[a-z]{2,6}\.)?(?:anthropic\.|openai\.|google\.)?")


def without_maker(model: str) -> str:
    """Return an upstream's name in lower case without what clouds put before it (`us.anthropic.`, `anthropic/`, `models/`)."""
    return _MAKER.sub("", model.lower()[:NAME_CHARACTERS_MAX], count=1)


class NameTable(Generic[T]):
    """What is known of models by their own names: rows of (pattern, value), the first that matches counts."""

    def __init__(self, rows: Iterable[tuple[str, T]], behind: str = "") -> None:
        """A row's pattern and then `behind` match a whole name."""
        self._rows = tuple((re.compile(f"(?:{pattern}){behind}", re.DOTALL), value) for pattern, value in rows)

    def find(self, model: str) -> T | None:
        """Return what is known of a model by its upstream's name; None where no row knows it."""
        name = without_maker(model)
        return next((value for pattern, value in self._rows if pattern.fullmatch(name)), None)
