"""What an answer says about itself, in every dialect; and listeners that read it from a stream that passes. Level 1.

Same dialect on both sides: the bytes go through verbatim, a listener only reads. The common chunk costs a few scans and no
JSON.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects.shape import LARGE_BYTES, TRANSLATION_ERRORS, Node, decode, decode_event, decode_large, encode
from switchgear.dialects.text_count import Opening, TextCount
from switchgear.wire import eventstream, sse

T = TypeVar("T")


class Unfit(msgspec.Struct, frozen=True):
    """Why a body is no answer."""

    text: str
    is_error: bool = False
    """It is an error object of the provider's."""


class Reading(msgspec.Struct):
    """What an answer says about itself; None where it does not."""

    usage: TokenUsage | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    units: dict[str, int] | None = None
    """What is counted otherwise: images, seconds, searches."""
    is_fit: bool = False
    """The body was recognised as an answer in passing. False says nothing."""
    unfit: Unfit | None = None
    """Why a plain body is no answer."""
    kept: list[str] = []
    """Ids of things that the provider keeps now (`references`)."""
    others: list[Other] | None = None
    """What further models used for this answer."""
    model: str | None = None
    """The model that answered, as it names itself."""
    cost: bytes | None = None
    """What the provider says that it charges: the members of its usage that are about it, JSON."""

    written: int | None = None
    """Tokens of the texts that an answer without usage shows, estimated; None where it shows none, or has usage."""

    def take_beside(self, beside: Beside | None) -> None:
        """Take what a translated stream said of its bill beside its tokens."""
        if beside is not None:
            self.units, self.others = beside.units, beside.others
            self.model, self.cost = cap(beside.model), beside.cost


class State(msgspec.Struct):
    """What a listener has learned: the reading, and whether the stream ended as it should."""

    reading: Reading
    is_done: bool = False
    error: bool = False
    memory: Any = None
    """The dialect's own, between two events."""


def cap(text: str | None) -> str | None:
    """Bound a text of a provider."""
    return text if text is None or len(text) <= 128 else text[:128]


def usage_reader(kind: type[T], tokens: Callable[[T], TokenUsage | None]) -> Callable[[Raw], TokenUsage | None]:
    """Make the reader of a dialect's usage object: None where there is none, or nothing sensible in it. Absurd figures are
    not believed."""
    read = msgspec.json.Decoder(kind, strict=False).decode

    def usage_of_raw(raw: Raw) -> TokenUsage | None:
        if bytes(raw) == b"null":
            return None
        try:
            usage = tokens(read(raw))
        except UNREADABLE:
            return None
        return usage if usage is not None and usage.is_sane() else None

    return usage_of_raw


class Stated(msgspec.Struct):
    """What providers state of their charges in a usage object, each in its own place."""

    cost: Raw = Raw(b"null")
    cost_details: Raw = Raw(b"null")
    cost_in_usd_ticks: Raw = Raw(b"null")
    is_byok: Raw = Raw(b"null")


_decode_stated = msgspec.json.Decoder(Stated | None).decode
COST_BYTES_MAX = 2_048


def cost_of(usage: Raw) -> bytes | None:
    """Return what a provider states in its usage object that it charges: JSON; None where it says nothing."""
    if b'"cost' not in bytes(usage):
        return None
    try:
        stated = _decode_stated(usage)
    except UNREADABLE:
        return None
    return stated_cost(stated) if stated is not None else None


def stated_cost(stated: Stated) -> bytes | None:
    """Return the part of a usage object that is about charges: JSON; None where it states none."""
    if bytes(stated.cost) == bytes(stated.cost_in_usd_ticks) == b"null":
        return None
    said = {name: raw for name in stated.__struct_fields__ if bytes(raw := getattr(stated, name)) != b"null"}
    kept = encode(said)
    return kept if len(kept) <= COST_BYTES_MAX else None


def plain_reader(read: Callable[[Node], Reading]) -> Callable[[bytes, tuple[str, ...]], Reading]:
    """Make the reader of a dialect's plain answers from one of their JSON: (body, members of which a good answer has one) → what
    it says about itself. A body that does not decode yields an empty reading: it is not ours to judge."""

    def read_answer(body: bytes, members: tuple[str, ...]) -> Reading:
        try:
            value = decode(body) if len(body) < LARGE_BYTES else decode_large(body)
            if not isinstance(value, dict):
                return Reading()
            reading = read(Node(value))
            if value.get("error") is None:
                for name in members:
                    if isinstance(value.get(name), list | dict):
                        reading.is_fit = True
                        break
        except TRANSLATION_ERRORS:
            return Reading()
        return reading

    return read_answer


class Tap(Protocol):
    """Takes a provider's stream and gives the client's; knows what the stream said about itself."""

    @property
    def reading(self) -> Reading:
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
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError."""
        ...

    def finish(self) -> bytes:
        """The stream ended: return the last bytes for the client."""
        ...


class Ears(msgspec.Struct, frozen=True):
    """What to listen for in one dialect's streams."""

    news: tuple[bytes, ...]
    """Byte strings without which an event says nothing about itself."""
    read: Callable[[Node, State], None]
    """Read one event's JSON."""
    texts: tuple[bytes, ...]
    """What stands before the text of a delta (`text_count.needles`)."""
    openings: tuple[Opening, ...] = ()
    """What begins parts of an answer that come to more tokens than their texts."""
    lazy: bytes | None = None
    """Present in every event, but only the last one counts: then just that one is read, at the end."""


class _StateTap:
    """What listeners have in common: a state, and the texts that they count."""

    __slots__ = ("_state", "text")

    def __init__(self, texts: tuple[bytes, ...], openings: tuple[Opening, ...] = ()) -> None:
        self._state = State(Reading())
        self.text = TextCount(texts, openings)

    @property
    def reading(self) -> Reading:
        """What is known so far."""
        return self._state.reading

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own."""
        return self._state.error

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        return not self._state.error and (self._state.is_done or self.reading.finish_reason is not None)

    @property
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.text.tokens


class Listener(_StateTap):
    """Passes server-sent events on verbatim and reads what they say about the answer."""

    __slots__ = ("_ears", "_pending", "_splitter", "last_event")

    def __init__(self, ears: Ears) -> None:
        super().__init__(ears.texts, ears.openings)
        self._ears = ears
        self._splitter = sse.Splitter()
        self._pending = b""
        self.last_event = b""
        """The last event's bytes, for a keep-alive that refers to it."""

    @property
    def reading(self) -> Reading:
        """What is known so far."""
        if self._pending:
            pending, self._pending = self._pending, b""
            self._read(pending)
        return self._state.reading

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError for an event that is too large."""
        splitter, text = self._splitter, self.text
        if splitter.is_between and text.repeats(data):
            self.last_event = data
            return data
        events = splitter.feed(data)
        ears = self._ears
        for event in events:
            text.add(event)
            for news in ears.news:
                if news in event:
                    self._pending = b""
                    self._read(event)
                    break
            else:
                if ears.lazy is not None and ears.lazy in event:
                    self._pending = event
                else:
                    text.learn(event)
        if events:
            self.last_event = events[-1]
        return events[0] if len(events) == 1 else b"".join(events)

    def finish(self) -> bytes:
        """The stream ended: return what is left of an unfinished event, to pass on."""
        tail = self._splitter.tail
        if tail.strip():
            self._read(tail)
        return tail

    def _read(self, event: bytes) -> None:
        data = sse.event_data(event)
        if data is None:
            return
        try:
            value = decode_event(data)
            if isinstance(value, dict):
                self._ears.read(Node(value), self._state)
        except TRANSLATION_ERRORS:
            return  # what does not decode is not ours to judge: it was passed on


class BinaryListener(_StateTap):
    """The same for the AWS event stream."""

    __slots__ = ("_decoder", "read")

    def __init__(
        self,
        read: Callable[[str, Node, State], None],
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
