"""What comes back of one attempt: bytes of the provider's in, bytes for the client out, and what they say of themselves. Level 4.

A plain answer is collected and read whole. A stream is held until its first event, so that it may still fail without its client
knowing; then each piece passes. Nothing here sends, records or decides what follows.
"""

import msgspec

from switchgear.core.errors import ProtocolError
from switchgear.core.steps import Steps
from switchgear.core.usage import TokenUsage
from switchgear.dialects import usage_cost
from switchgear.dialects.answer_metadata import AnswerMetadata, Unfit
from switchgear.dialects.request import Request
from switchgear.dialects.translation import MEDIA_OPERATIONS, Translation
from switchgear.edge import background_notes, setback, settle
from switchgear.edge.context import RequestContext
from switchgear.edge.setback import Setback

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""A larger plain answer is not read: its client gets an error, and its provider charges for it."""
HELD_BYTES_MAX = 65_536
"""Keep-alives before a stream's first event; after as many its client's place is here."""
PING_S = 15.0
CHECKPOINT_S = 5.0
CHECKPOINT_TOKENS = 4_096
BYTES_PER_TOKEN = 8
"""Of JSON that tells an answer: about half of it is its envelope."""
VECTOR_OPERATIONS = frozenset({"embeddings", "embeddings_batch", "rerank"})
"""Operations whose answers are no text."""
FREE_OPERATIONS = frozenset({"count_tokens", "stored"})
"""What no provider charges for, or charged for before."""

_MAY_BE_FREE = FREE_OPERATIONS | {background_notes.RAW}


class PlainAnswer:
    """The body of an answer that is read when it is whole."""

    __slots__ = ("_parts", "_translation", "size")

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes so far."""

    def take(self, data: bytes) -> None:
        """A piece of it came."""
        if data:
            self._parts.append(data)
            self.size += len(data)

    @property
    def seen_tokens(self) -> int:
        """Tokens of it so far, estimated."""
        return self.size // BYTES_PER_TOKEN

    def body(self) -> bytes:
        """Return what came, in one piece."""
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        self._parts = [self._translation.gather(self._parts[0])]
        return self._parts[0]

    def read(
        self, request: Request, headers: list[tuple[bytes, bytes]]
    ) -> tuple[AnswerMetadata, bytes | ProtocolError]:
        """Return what the whole answer says of itself, and the client's bytes, or why there are none."""
        body, translation = self.body(), self._translation
        metadata = translation.read(body, headers)
        if translation.is_verbatim:
            return metadata, body
        try:
            # A provider that was asked to stream and did not: the client still gets the stream that it reads.
            return metadata, translation.as_stream(body) if request.stream else translation.answer(body)
        except ProtocolError as exc:
            return metadata, exc

    def read_steps(
        self, request: Request, headers: list[tuple[bytes, bytes]]
    ) -> Steps[tuple[AnswerMetadata, bytes | ProtocolError]]:
        """Do the same in steps, for a large one."""
        body, translation = self.body(), self._translation
        metadata = yield from translation.read_steps(body, headers)
        if translation.is_verbatim:
            return metadata, body
        try:
            out = yield from translation.as_stream_steps(body) if request.stream else translation.answer_steps(body)
        except ProtocolError as exc:
            return metadata, exc
        return metadata, out

    def failure(self, context: RequestContext, metadata: AnswerMetadata, out: bytes | ProtocolError) -> Setback:
        """Return why it is no answer: it is unfit, or cannot be translated."""
        unfit = metadata.unfit or Unfit(str(out))
        failure = setback.of_answer(unfit, metadata, self.body(), context.input_estimate)
        assert context.request is not None
        if context.request.operation in FREE_OPERATIONS:
            return msgspec.structs.replace(failure, usage=None, is_estimated=False)
        return failure

    def account(self, context: RequestContext, metadata: AnswerMetadata) -> bool:
        """Fill in what a good answer used: as it says itself, or an estimate where it says nothing. Returns whether it costs
        anything."""
        request = context.request
        assert request is not None
        operation = request.operation
        is_free = operation in _MAY_BE_FREE and (
            operation in FREE_OPERATIONS or background_notes.is_earlier(request, metadata)
        )
        is_media = operation in MEDIA_OPERATIONS
        usage: TokenUsage | None = None
        if not is_free:
            usage = metadata.usage if is_media else settle.reported(metadata.usage)
        context.usage = usage
        context.units = _units(request, metadata) if not is_free else None
        context.dropped = self._translation.dropped
        if usage is None and not is_free and metadata.units is None:
            if background_notes.is_pending(request, metadata):
                settle.estimate(context, 0, background_notes.REASON)
                return True
            if is_media:
                return True
            written = 0 if operation in VECTOR_OPERATIONS else self.seen_tokens
            settle.estimate(context, written, "the provider reported no usage", is_whole=True)
        return not is_free


def _units(request: Request, metadata: AnswerMetadata) -> dict[str, int] | None:
    """Return what is counted otherwise than in tokens; speech is charged by the characters that are asked."""
    if request.operation == "speech" and "input" in request.fields:
        text = msgspec.json.decode(request.fields["input"])
        return {"characters": len(text)} if isinstance(text, str) else None
    return metadata.units


class StreamAnswer:
    """A stream on its way."""

    __slots__ = (
        "_checkpoint_s",
        "_checkpoint_tokens",
        "_cost_injector",
        "_held",
        "_held_bytes",
        "_limit",
        "_translation",
        "feed",
        "has_usage",
        "last_write_s",
        "tap",
    )

    def __init__(
        self, translation: Translation, cost_injector: usage_cost.CostInjector | None, limit: int | None, now_s: float
    ) -> None:
        """`limit` is how many tokens the answer may have; `cost_injector` puts the cost into it."""
        self._translation = translation
        self.tap = translation.tap()
        self._cost_injector = cost_injector
        self._limit = limit
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.has_usage = False
        """The stream told a figure."""
        self.last_write_s = now_s
        """When its client was sent something."""
        self._checkpoint_s = 0.0
        self._checkpoint_tokens = 0
        self.feed = self.tap.feed if cost_injector is None else self._feed_injector
        """Returns the client's bytes for a piece of the provider's. Raises ProtocolError. (The meter's own: no frame of ours.)"""

    def _feed_injector(self, data: bytes) -> bytes:
        assert self._cost_injector is not None
        return self._cost_injector.feed(self.tap.feed(data))

    def finish(self) -> bytes:
        """Return the client's last bytes: the provider's stream ended. Raises ProtocolError."""
        out = self.tap.finish()
        return out if self._cost_injector is None else self._cost_injector.feed(out)

    def hold(self, data: bytes, ended: bool, input_estimate: int) -> Setback | bool:
        """Take a piece before the client has seen anything. Returns why the stream failed, or whether it is to begin."""
        tap, translation = self.tap, self._translation
        problem, event = "the provider's stream ended without an answer", None
        try:
            out = tap.feed(data)
            if ended:
                out += tap.finish()
            if out:  # whole events: each is looked at once
                self._held.append(out)
                self._held_bytes += len(out)
            event = translation.first_event(out)
            failed = (
                tap.error or (event is None and ended) or (ended and not tap.is_clean and translation.must_end_well)
            )
        except ProtocolError as exc:
            problem, failed = str(exc), True
        if failed:
            return setback.of_stream(tap, problem, translation.stream_error(tap, b"".join(self._held)), input_estimate)
        return event is not None or self._held_bytes > HELD_BYTES_MAX

    def begin(self, now_s: float) -> None:
        """Its client is sent the head."""
        self.last_write_s = self._checkpoint_s = now_s

    def release(self) -> bytes:
        """Return what was held, for the client. Raises ProtocolError."""
        held, self._held = b"".join(self._held), []
        return held if self._cost_injector is None else self._cost_injector.feed(held)

    @property
    def metadata(self) -> AnswerMetadata:
        """What the stream said of itself so far."""
        return self.tap.metadata

    @property
    def seen_tokens(self) -> int:
        """Tokens so far, estimated: never more than the client allowed."""
        seen = self.tap.output_tokens_estimate
        return seen if self._limit is None else min(seen, self._limit)

    def rest(self, cost: int | None) -> bytes:
        """Return what was kept back until the cost was known."""
        return b"" if self._cost_injector is None else self._cost_injector.finish(cost)

    def ping(self, now_s: float) -> bytes:
        """Return a keep-alive where one is due; empty where none is, or the dialect has none."""
        if now_s - self.last_write_s < PING_S:
            return b""
        self.last_write_s = now_s
        return self._translation.ping(self.tap)

    def is_checkpoint_due(self, now_s: float) -> bool:
        """Tell whether it was not recorded for a while how far it came."""
        return (
            now_s - self._checkpoint_s >= CHECKPOINT_S
            or self.seen_tokens - self._checkpoint_tokens >= CHECKPOINT_TOKENS
        )

    def checkpoint(self, now_s: float) -> int:
        """It is recorded now: return the tokens so far."""
        self._checkpoint_s, self._checkpoint_tokens = now_s, self.seen_tokens
        return self._checkpoint_tokens
