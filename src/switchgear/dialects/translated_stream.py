"""A provider's stream, event by event, in the client's dialect. Level 1, sans-I/O."""

from collections.abc import Mapping

from switchgear.core.errors import ProtocolError
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, schemas
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.dialect import StreamDecoder, StreamEncoder
from switchgear.dialects.json_node import TRANSLATION_ERRORS

BYTES_PER_TOKEN = 4
"""For estimates: English text and code have about four bytes a token."""


def made_id(answer_id: str | None, number: int) -> str:
    """Return an id for a call whose provider gave it none, which no other answer has: the next request names them all."""
    return f"call_{(answer_id or 'unknown').rpartition('-')[2].rpartition('_')[2][-24:]}_{number}"


class TranslatedStream:
    """A provider's stream translated into the client's dialect."""

    def __init__(
        self,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        names: Mapping[str, str],
        properties: Mapping[str, dict[str, str]],
        input_estimate: int,
        answer_id: str | None,
    ) -> None:
        """`names` and `properties`: how the client calls the tools and their properties that the provider knows by other names;
        `answer_id`: of an answer whose provider gives it none."""
        self._decoder = decoder
        self.encoder = encoder
        self.metadata = AnswerMetadata()
        self._deltas = 0
        self.error = False
        """Always False: the provider's own error event is not passed on, the transfer renders one."""
        self.failed: canonical.Failed | None = None
        self._size = 0
        self._is_ended = False
        self._has_calls = False
        self._answer_id = answer_id
        self._input_estimate = input_estimate
        self._names = names
        self._properties = properties
        self._renaming: dict[str, str] | None = None
        """How the properties of the open call are renamed; its pieces are kept until it is whole."""
        self._pieces: list[str] = []

    @property
    def is_clean(self) -> bool:
        """True after the provider's proper end."""
        return self._is_ended and self.failed is None

    @property
    def output_tokens_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return max(self._deltas, self._size // BYTES_PER_TOKEN)

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError, also for an error event of the provider's."""
        try:
            return self._encode(self._decoder.feed(data))
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's stream cannot be translated: {exc}") from exc

    def finish(self) -> bytes:
        """The stream ended."""
        try:
            return self._encode(self._decoder.finish())
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's stream cannot be translated: {exc}") from exc

    def _encode(self, events: list[canonical.Event]) -> bytes:
        out: list[bytes] = []
        metadata = self.metadata
        for event in events:
            if isinstance(event, canonical.Delta):
                self._deltas += 1
                self._size += len(event.text) if event.text.isascii() else len(event.text.encode("utf-8", "replace"))
                if self._renaming is not None:
                    self._pieces.append(event.text)
                    continue
            elif isinstance(event, canonical.PartEnd) and self._renaming is not None:
                text = schemas.renamed("".join(self._pieces), self._renaming)
                self._pieces, self._renaming = [], None
                out.append(self.encoder.encode(canonical.Delta(event.index, text)))
            elif isinstance(event, canonical.PartBegin):
                if event.kind == "tool":
                    self._has_calls = True
                    event.id = event.id or made_id(self._answer_id or metadata.response_id, event.index)
                    self._renaming = self._properties.get(event.name or "")
                if event.name is not None and self._names:
                    event.name = self._names.get(event.name, event.name)
            elif isinstance(event, canonical.Begin):
                metadata.response_id = event.id[:128] if event.id else None
                event.id = event.id or self._answer_id
                metadata.usage = event.usage
                if event.usage is None:  # some clients show what the answer begins with
                    event.usage = TokenUsage(input=self._input_estimate)
            elif isinstance(event, canonical.End):
                self._is_ended = True
                if event.finish == "stop" and self._has_calls:  # said so by some servers although a tool is called
                    event.finish = "tool_calls"
                metadata.usage, metadata.finish_reason = event.usage, event.finish
                metadata.service_tier = event.service_tier
                metadata.take_beside(event.beside)
            elif isinstance(event, canonical.Failed):
                self.failed = event
                raise ProtocolError(f"the provider broke off: {event.message[:512]}")
            out.append(self.encoder.encode(event))
        return b"".join(out)
