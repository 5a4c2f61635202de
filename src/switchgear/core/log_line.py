"""Lines of the gateway's own log, and how many of a kind there may be. Level 0. Pure: time and sink are arguments.

A line says when (RFC 3339, UTC), how grave, which process, what, and what it concerns. Nothing in it comes through as it is:
control characters are stripped and what looks like a key is masked, whoever wrote the text. Nobody can fill a disk with a log
(docs/invariants.md L7): of lines of one kind the first ten a minute are written, then one that says how many there were.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from switchgear.core.text import clean

Style = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
LINE_BYTES_MAX = 4_096
"""PIPE_BUF of Linux: a line that fits is written to a pipe whole or not at all, also beside other processes' lines."""
MESSAGE_MAX = 1_024
FIELD_MAX = 256
TRACE_MAX = 2_048
SAME_PER_MINUTE = 10
KINDS_MAX = 64
"""Kinds that are told apart within a minute; more share one bound."""
MINUTE_S = 60.0
Value = str | int | float | bool | None


class Report(Protocol):
    """What every process tells its log with. `Callable[[str], None]` is enough for whoever has only a sentence to say."""

    def __call__(
        self,
        text: str,
        level: Level = "warning",
        *,
        kind: str = "",
        request_id: str | None = None,
        **fields: Value,
    ) -> None:
        """Write a line. `text` is a sentence; lines after its first are taken for a trace. Lines of one `kind` (default: the
        text itself) are bounded together. Never fails and never waits."""
        ...


class Settings(msgspec.Struct, kw_only=True):
    """What `switchgear serve` was told about its log."""

    style: Style = "text"
    level: Level = "info"
    access: bool = False
    """One line per request."""


class Line(msgspec.Struct, kw_only=True):
    """One line."""

    time_s: float
    """Seconds since the Unix epoch."""
    level: Level
    process: str
    message: str
    trace: str = ""
    request_id: str | None = None
    fields: dict[str, Value] = {}


def make(
    text: str, level: Level, process: str, time_s: float, request_id: str | None, fields: dict[str, Value]
) -> Line:
    """Make a line of foreign words: cleaned and capped."""
    first, _, rest = text.partition("\n")
    trace = "\n".join(clean(part, FIELD_MAX * 2) for part in rest.rstrip().split("\n")) if rest else ""
    return Line(
        time_s=time_s,
        level=level,
        process=process,
        message=clean(first, MESSAGE_MAX),
        trace=trace[-TRACE_MAX:],  # its end says what happened
        request_id=clean(request_id, 64) if request_id is not None else None,
        fields={
            name: clean(value, FIELD_MAX) if isinstance(value, str) else value
            for name, value in fields.items()
            if value is not None
        },
    )


def render(line: Line, style: Style) -> bytes:
    """Return the line's bytes with their newline, at most LINE_BYTES_MAX."""
    write = _json if style == "json" else _text
    out = write(line)
    if len(out) > LINE_BYTES_MAX:
        out = write(msgspec.structs.replace(line, trace=line.trace[-256:], fields={}))
    if len(out) > LINE_BYTES_MAX:
        out = write(msgspec.structs.replace(line, trace="", fields={}, message=line.message[:256]))
    return out


def _stamp(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(line: Line) -> bytes:
    found: dict[str, Value] = {
        "time": _stamp(line.time_s),
        "level": line.level,
        "process": line.process,
        "message": line.message,
    }
    if line.request_id is not None:
        found["request_id"] = line.request_id
    found |= {name: value for name, value in line.fields.items() if name not in found}
    if line.trace:
        found["trace"] = line.trace
    return msgspec.json.encode(found) + b"\n"


def _text(line: Line) -> bytes:
    parts = [_stamp(line.time_s), line.level.upper().ljust(7), line.process.ljust(10), line.message]
    parts += [f"{name}={_shown(value)}" for name, value in line.fields.items()]
    if line.request_id is not None:
        parts.append(f"request_id={line.request_id}")
    text = " ".join(parts)
    if line.trace:
        text += "".join(f"\n    {part}" for part in line.trace.split("\n"))
    return f"{text}\n".encode("utf-8", "replace")


def _shown(value: Value) -> str:
    """Quote a value that has blanks, as logfmt does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return msgspec.json.encode(text).decode() if not text or any(c in ' "=' for c in text) else text


class Bound:
    """How many lines of a kind were written within this minute, and how many were not."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._counts: dict[str, int] = {}
        self._last: dict[str, Callable[[int], None]] = {}

    def admit(self, kind: str, now_s: float, again: Callable[[int], None]) -> bool:
        """Tell whether a line may be written now. If not, `again` is called with how many were left out, at the end of the
        minute (`end`), for the last of its kind. `now_s` is monotonic."""
        self.end(now_s)
        if kind not in self._counts and len(self._counts) >= KINDS_MAX:
            kind = "(others)"
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count <= SAME_PER_MINUTE:
            return True
        self._last[kind] = again
        return False

    def end(self, now_s: float, forced: bool = False) -> None:
        """Tell what was left out, when the minute is over."""
        if not forced and now_s - self._since_s < MINUTE_S:
            return
        last, counts = self._last, self._counts
        self._since_s, self._last, self._counts = now_s, {}, {}
        for kind, again in last.items():
            again(counts[kind] - SAME_PER_MINUTE)
