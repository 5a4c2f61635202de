"""A guard that keeps what it caught, and shows it. Level 5."""

import traceback

from switchgear.core.guard import Guard
from switchgear.core.log_line import Level, Value


class Said(list[tuple[str, dict[str, Value]]]):
    """A report that keeps its lines, as (text, fields)."""

    def __call__(
        self,
        text: str,
        level: Level = "warning",
        *,
        kind: str = "",
        request_id: str | None = None,
        **fields: Value,
    ) -> None:
        """Keep a line."""
        self.append((text, {"level": level, "kind": kind, "request_id": request_id, **fields}))

    @property
    def texts(self) -> list[str]:
        """The sentences."""
        return [text for text, _ in self]


class LoudGuard(Guard):
    """Guards as the real one does, and prints what it caught: a test must not hide a fault."""

    def __init__(self) -> None:
        self.said = Said()
        self.exceptions: list[BaseException] = []
        super().__init__(self.said)

    def caught(self, exc: BaseException, request_id: str = "", **about: Value) -> None:
        """Keep, print, tell and count."""
        self.exceptions.append(exc)
        traceback.print_exception(exc)
        super().caught(exc, request_id, **about)
