"""Taps: a provider's stream passes, and what it says about itself is read on the way. Level 1.

Same dialect on both sides: the bytes go through verbatim, a tap only reads. The common chunk costs a few scans and no JSON.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.json_node import TRANSLATION_ERRORS, Node, decode_event
from switchgear.dialects.text_count import Opening, TextCount
from switchgear.wire import eventstream, sse


class TapState(msgspec.Struct):
    """What a tap has learned: the metadata, and whether the stream ended as it should."""

    metadata: AnswerMetadata
    is_done: bool = False
    error: bool = False
    memory: Any = None
    """The dialect's own, between two events."""
    noted: int = 0
    """A figure of an event that a later one counts otherwise."""


class Tap(Protocol):
    """Takes a provider's stream and gives the client's; knows what the stream said about itself."""

    @property
    def metadata(self) -> AnswerMetadata:
        """What is known so far."""
        ...

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own, which was passed on."""
        ...

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        ...

    @property
    def output_tokens_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError."""
        ...

    def finish(self) -> bytes:
        """The stream ended: return the last bytes for the client."""
        ...


class TapRules(msgspec.Struct, frozen=True):
    """What to listen for in one dialect's streams."""

    news: tuple[bytes, ...]
    """Byte strings without which an event says nothing about itself."""
    read: Callable[[Node, TapState], None]
    """Read one event's JSON."""
    texts: tuple[bytes, ...]
    """What stands before the text of a delta (`text_count.needles`)."""
    openings: tuple[Opening, ...] = ()
    """What begins parts of an answer that come to more tokens than their texts."""
    ending: bytes = b""
    """What clients of this dialect take for the end of an answer: said for a server that gave the reason and left it out."""
    lazy: bytes | None = None
    """Present in every event, but only the last one counts: then just that one is read, at the end."""


class _StateTap:
    """What taps have in common: a state, and the texts that they count."""

    __slots__ = ("_state", "text")

    def __init__(self, texts: tuple[bytes, ...], openings: tuple[Opening, ...] = ()) -> None:
        self._state = TapState(AnswerMetadata())
        self.text = TextCount(texts, openings)

    @property
    def metadata(self) -> AnswerMetadata:
        """What is known so far."""
        return self._state.metadata

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own."""
        return self._state.error

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        return not self._state.error and (self._state.is_done or self.metadata.finish_reason is not None)

    @property
    def output_tokens_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.text.tokens


class SseTap(_StateTap):
    """Passes server-sent events on verbatim and reads what they say about the answer."""

    __slots__ = ("_pending", "_rules", "_splitter", "last_event")

    def __init__(self, rules: TapRules) -> None:
        super().__init__(rules.texts, rules.openings)
        self._rules = rules
        self._splitter = sse.Splitter()
        self._pending = b""
        self.last_event = b""
        """The last event's bytes, for a keep-alive that refers to it."""

    @property
    def metadata(self) -> AnswerMetadata:
        """What is known so far."""
        if self._pending:
            pending, self._pending = self._pending, b""
            self._read(pending)
        return self._state.metadata

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError for an event that is too large."""
        splitter, text = self._splitter, self.text
        if splitter.is_between and text.repeats(data):
            self.last_event = data
            return data
        events = splitter.feed(data)
        rules = self._rules
        for event in events:
            text.add(event)
            for news in rules.news:
                if news in event:
                    self._pending = b""
                    self._read(event)
                    break
            else:
                if rules.lazy is not None and rules.lazy in event:
                    self._pending = event
                else:
                    text.learn(event)
        if events:
            self.last_event = events[-1]
        return events[0] if len(events) == 1 else b"".join(events)

    def finish(self) -> bytes:
        """The stream ended: return what is left of an unfinished event, to pass on, or the end that a whole answer lacks."""
        tail = self._splitter.tail
        if tail.strip():
            self._read(tail)
        ending, state = self._rules.ending, self._state
        if not ending or state.error or self.metadata.finish_reason is None:
            return tail
        return tail.rstrip(b"\r\n") + b"\n\n" if state.is_done and tail.strip() else b"" if state.is_done else ending

    def _read(self, event: bytes) -> None:
        data = sse.event_data(event)
        if data is None:
            return
        try:
            value = decode_event(data)
            if isinstance(value, dict):
                self._rules.read(Node(value), self._state)
        except TRANSLATION_ERRORS:
            return  # what does not decode is not ours to judge: it was passed on


class BinaryTap(_StateTap):
    """The same for the AWS event stream."""

    __slots__ = ("_decoder", "read")

    def __init__(
        self,
        read: Callable[[str, Node, TapState], None],
        texts: tuple[bytes, ...],
        openings: tuple[Opening, ...] = (),
    ) -> None:
        super().__init__(texts, openings)
        self._decoder = eventstream.Decoder()
        self.read = read

    last_event = b""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError for a damaged message."""
        messages = self._decoder.feed(data)
        for message in messages:
            kind = message.headers.get(":event-type")
            if kind is None:
                self._state.error = True
            elif kind in {"contentBlockDelta", "contentBlockStart"}:
                self.text.add(message.payload)
            else:
                try:
                    value = decode_event(message.payload) if message.payload else {}
                    if isinstance(value, dict):
                        self.read(kind, Node(value), self._state)
                    if isinstance(self._state.memory, bytes):  # an invoked model's own event
                        self.text.add(self._state.memory)
                        self._state.memory = None
                except TRANSLATION_ERRORS:
                    continue
        return b"".join([message.raw for message in messages])

    def finish(self) -> bytes:
        """The stream ended: a message that is not whole is not passed on."""
        return b""
