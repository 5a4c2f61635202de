"""A stream as one JSON array, which is how Gemini's clients without `alt=sse` read it. Level 1, sans-I/O."""

from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.taps import Tap
from switchgear.wire import sse


class ArrayTap:
    """Turns the events of another tap into elements."""

    def __init__(self, inner: Tap) -> None:
        self.inner = inner
        self._begun = False

    @property
    def metadata(self) -> AnswerMetadata:
        """What is known so far."""
        return self.inner.metadata

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own."""
        return self.inner.error

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        return self.inner.is_clean

    @property
    def output_tokens_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.inner.output_tokens_estimate

    def feed(self, data: bytes) -> bytes:
        """Return the elements that these bytes complete."""
        return self._elements(self.inner.feed(data))

    def finish(self) -> bytes:
        """Close the array, if the stream ended as it should."""
        out = self._elements(self.inner.finish())
        if not self.inner.is_clean:
            return out
        return out + (b"]" if self._begun else b"[]")

    def _elements(self, events: bytes) -> bytes:
        out: list[bytes] = []
        for event in sse.Splitter(1 << 30).feed(events):
            data = sse.event_data(event)
            if data is not None:
                out.append((b",\r\n" if self._begun else b"[") + data)
                self._begun = True
        return b"".join(out)
