"""What the decoders and encoders of streams share. Level 1."""

import contextlib
import re
from typing import Any

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical
from switchgear.dialects.json_node import InvalidBodyError, Node, decode_event
from switchgear.wire import sse

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
_WHOLE_BYTES = 12
"""A character beyond 16 bits, escaped as JSON does it: two of six."""


class Halves:
    """Joins characters that a server cut in two: it escapes one half at the end of a text and the other at the beginning of the
    next, and neither event is JSON by itself (RFC 8259 §8.2 leaves open what a lone half means; decoders refuse it)."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first = b""

    def join(self, data: bytes) -> bytes:
        """Return one event's JSON with whole characters only. A first half waits for its second; a second without a first is
        the character that stands for what cannot be read."""
        if rb"\ud" not in data and rb"\uD" not in data:
            return data
        return _ESCAPE.sub(self._whole, data)

    def _whole(self, found: "re.Match[bytes]") -> bytes:
        escape = found.group()
        if len(escape) != _WHOLE_BYTES // 2:
            return escape  # a whole character, or no character of this kind
        if escape[3:4] in b"89abAB":
            self._first = escape
            return b""
        first, self._first = self._first, b""
        return first + escape if first else rb"\ufffd"


class SseDecoder:
    """Bytes of a provider's stream to events: a subclass says what one JSON event means, in `take`."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self.sequence = canonical.Sequence()
        self._halves = Halves()
        self.is_begun = False
        self.is_ended = False

    def feed(self, data: bytes) -> list[canonical.Event]:
        """Return the events that these bytes complete. Raises ProtocolError for what is not of the dialect."""
        for event in self._splitter.feed(data):
            self._event(event)
        return self.sequence.take()

    def finish(self) -> list[canonical.Event]:
        """The stream ended. Without an End or Failed among all events, it broke off."""
        if self._splitter.tail.strip():
            with contextlib.suppress(ProtocolError):  # half an event: the stream broke off, and has no End
                self._event(self._splitter.tail)
        self.at_end()
        return self.sequence.take()

    def _event(self, event: bytes) -> None:
        data = sse.event_data(event)
        if data is None or self.is_ended:
            return
        self.take_json(data)

    def take_json(self, data: bytes) -> None:
        """Take one event's JSON. Unknown event types are the subclass's to ignore."""
        try:
            value: Any = decode_event(self._halves.join(data))
        except (ValueError, RecursionError) as exc:
            raise ProtocolError(f"the provider sent an event that is no JSON: {exc}") from exc
        if not isinstance(value, dict):
            return
        try:
            self.take(Node(value))
        except InvalidBodyError as exc:
            raise ProtocolError(f"the provider sent an event that is not of its dialect: {exc}") from exc

    def take(self, event: Node) -> None:
        """Take one event."""
        raise NotImplementedError

    def at_end(self) -> None:
        """The last byte was fed: emit what was waiting for it."""

    def fail(self, message: str, kind: str) -> None:
        """The provider reported an error: nothing after it counts."""
        self.sequence.events.append(canonical.Failed(message, kind))
        self.is_ended = True


class EventEncoder:
    """Events to the bytes of a client's stream: a subclass says what each kind is written as; by default, nothing."""

    def encode(self, event: canonical.Event) -> bytes:
        """Return the bytes that say this event."""
        if isinstance(event, canonical.Delta):
            return self.delta(event)
        if isinstance(event, canonical.PartBegin):
            return self.begin_part(event)
        if isinstance(event, canonical.PartEnd):
            return self.end_part(event)
        if isinstance(event, canonical.Signature):
            return self.sign(event)
        if isinstance(event, canonical.Begin):
            return self.begin(event)
        if isinstance(event, canonical.Picture):
            return self.picture(event)
        if isinstance(event, canonical.End):
            return self.end(event)
        return b""

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        return b""

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        return b""

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        return b""

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        return b""

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        return b""

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        return b""

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        return b""


def sse_event(name: str, data: bytes) -> bytes:
    """Build a named event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
