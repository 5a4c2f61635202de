"""Server-sent events, bounded and incremental. Level 1.

WHATWG HTML §9.2 (read 2026-11-23): lines end with CRLF, LF or CR; an empty line ends an event; `data:` lines are
joined with LF. Raw bytes are kept so that an event can be passed on unchanged.
"""

import re

from switchgear.core.errors import ProtocolError

EVENT_BYTES_MAX = 16 * 1_048_576
"""A picture is one event, of up to some ten megabytes of base64: as much as a plain answer may be."""
BOUNDARY_BYTES = 4
"""The longest boundary."""
TAIL_BYTES_MAX = 1_024
"""What is looked at again when more comes."""

_BOUNDARY = re.compile(rb"(?:\r\n\r\n|\n\n|\r\r(?!\n)|\n\r\n|\r\n\n)[\r\n]*")
"""With the empty lines that follow: each would be an event of its own, and a megabyte can hold a million."""
_LINE = re.compile(rb"\r\n|\n|\r")
_LINE_ENDS = (b"\r", b"\n")


class Splitter:
    """Cuts a byte stream at event boundaries without changing a byte. Each byte is looked at once, however small the pieces
    are in which an event comes."""

    __slots__ = ("_pieces", "_size", "_tail", "event_bytes_max", "is_between")

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._tail = b""
        """The end of an unfinished event; `_pieces` are what came before it."""
        self._pieces: list[bytes] = []
        self._size = 0
        self.event_bytes_max = event_bytes_max
        self.is_between = True
        """True when no event has begun; `tail` would join the pieces of one, which costs its size each time."""

    @property
    def tail(self) -> bytes:
        """Bytes of an event that has not ended."""
        if self._pieces:
            self._tail = b"".join((*self._pieces, self._tail))
            self._pieces.clear()
            self._size = 0
        return self._tail

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that these bytes complete, each with its boundary.

        Raises ProtocolError when an event grows over `event_bytes_max`.
        """
        buffer = self._tail + data if self._tail else data
        # A lone CR at the end may be the first half of CRLF: wait for the next byte.
        limit = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        events: list[bytes] = []
        start = 0
        # Empty lines after an event that was given already are no event: they go with the next one.
        skipped = len(buffer) - len(buffer.lstrip(b"\r\n")) if buffer[:1] in _LINE_ENDS else 0
        for match in _BOUNDARY.finditer(buffer, skipped, limit):
            events.append(buffer[start : match.end()])
            start = match.end()
        if self._pieces and events:
            events[0] = b"".join((*self._pieces, events[0]))
            self._pieces.clear()
            self._size = 0
        tail = buffer[start:] if start else buffer
        if len(tail) > TAIL_BYTES_MAX:  # no boundary begins before its last bytes: they need no second look
            self._pieces.append(tail[:-BOUNDARY_BYTES])
            self._size += len(tail) - BOUNDARY_BYTES
            tail = tail[-BOUNDARY_BYTES:]
        self._tail = tail
        self.is_between = not tail and not self._pieces
        if self._size + len(tail) > self.event_bytes_max:
            raise ProtocolError(f"an event is over {self.event_bytes_max} bytes")
        return events


def event_data(event: bytes) -> bytes | None:
    """Return the joined data of one event, or None when it has none (a comment, a ping)."""
    if b"data" not in event:
        return None
    parts: list[bytes] = []
    for line in _LINE.split(event):
        if line.startswith(b"data:"):
            value = line[5:]
            parts.append(value.removeprefix(b" "))
        elif line == b"data":
            parts.append(b"")
    return b"\n".join(parts) if parts else None
