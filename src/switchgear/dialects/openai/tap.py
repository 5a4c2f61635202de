"""Reads usage from answers and streams of OpenAI's chat, completions and embeddings that pass as they are. Level 1."""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.answer_metadata import AnswerMetadata, cap
from switchgear.dialects.openai.media_answers import read_media_answer
from switchgear.dialects.openai.usage import Usage, beside_of, has_more, id_of, tokens_of
from switchgear.dialects.request import Request
from switchgear.dialects.text_count import Opening, TextCount, needles
from switchgear.wire import sse


class _Audio(msgspec.Struct):
    id: str | None = None


class _Message(msgspec.Struct):
    audio: _Audio | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message | None = None
    delta: _Message | None = None
    usage: Usage | None = None
    """Where Moonshot says it in the last chunk of a stream (pi#2017, higress#1568; read 2026-11-27)."""


class _Answer(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    data: Raw = Raw(b"null")


class _XGroq(msgspec.Struct):
    usage: Usage | None = None


class _Chunk(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    type: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    x_groq: _XGroq | None = None
    error: Raw = Raw(b"null")  # msgspec decodes no union with Raw


_decode_answer = msgspec.json.Decoder(_Answer, strict=False).decode


_decode_chunk = msgspec.json.Decoder(_Chunk, strict=False).decode


def read_answer(body: bytes, members: tuple[str, ...] = ()) -> AnswerMetadata:
    """Read usage from a plain answer. A body that does not decode yields empty metadata: it is not ours to judge."""
    try:
        answer = _decode_answer(body)
    except UNREADABLE:
        return AnswerMetadata()
    finish = answer.choices[0].finish_reason if answer.choices else None
    is_fit = bool(answer.choices) or len(memoryview(answer.data)) > len(b"null")
    metadata = AnswerMetadata(
        tokens_of(answer.usage), cap(finish), id_of(answer.id), cap(answer.service_tier), None, is_fit
    )
    if has_more(answer.usage, answer.model):
        metadata.take_beside(beside_of(answer.usage, answer.model))
    else:
        metadata.model = cap(answer.model)
    for choice in answer.choices or ():
        if choice.message is not None and choice.message.audio is not None and choice.message.audio.id:
            metadata.kept = [*metadata.kept, choice.message.audio.id[:256]]
    return metadata


_DONE = b"[DONE]"


_MEDIA_ENDS = ("image_generation.completed", "image_edit.completed", "transcript.text.done")
"""The last event of a streamed picture and of a streamed transcription (OpenAI API reference, as of 2026-11)."""


_HEARD = re.compile(rb'"transcript\.text\.done"')


_BOUNDARY = b"\n\n"


TEXTS = needles("content", "reasoning_content", "reasoning", "arguments", "refusal", "text")


OPENINGS = (Opening((b'"tool_calls"', b'"name":'), 10),)


_TEXT_OPERATIONS = frozenset({"chat", "completions", "embeddings"})
"""All others are media, or raw."""


class OpenAITap:
    """Listens to a stream and passes it on verbatim, but for the usage chunk that the client did not ask for.

    The common chunk (whole events, nothing to read) costs a few scans and no JSON. `feed` returns the bytes for the
    client; after the last byte, `is_clean` says whether the stream ended as it should.
    """

    __slots__ = (
        "_hears_audio",
        "_hide_usage",
        "_is_media",
        "_read_id",
        "_splitter",
        "error",
        "is_done",
        "metadata",
        "text",
    )

    @classmethod
    def of(cls, request: Request) -> "OpenAITap":
        """Make the one for a request."""
        hides = not (request.asked_usage or request.shows_usage)
        return cls(hides, "audio" in request.fields, request.operation not in _TEXT_OPERATIONS)

    def __init__(self, hide_usage: bool, hears_audio: bool = False, is_media: bool = False) -> None:
        """`hears_audio`: sound was asked for, whose id the next request may name. `is_media`: the stream of a picture or of what
        is heard, which has no [DONE]: it ends with an event that says so."""
        self._is_media = is_media
        self._hide_usage = hide_usage
        self._hears_audio = hears_audio
        self._splitter = sse.Splitter()
        self._read_id = False
        self.metadata = AnswerMetadata()
        self.text = TextCount(TEXTS, OPENINGS)
        self.is_done = False
        self.error = False

    def feed(self, data: bytes) -> bytes:
        """Process bytes. Raises ProtocolError for an event that is too large."""
        splitter = self._splitter
        if splitter.is_between and self._read_id:
            if self.text.repeats(data):
                return data
            if data.endswith(_BOUNDARY) and not self._has_news(data):
                self.text.add(data)
                self.text.learn(data)
                return data
        events = splitter.feed(data)
        return b"".join([event for event in events if self._keep(event)])

    def _has_news(self, data: bytes) -> bool:
        """Tell whether something in these events has to be read. Fields that are null in every chunk are the common
        case; plain counts, because a pattern costs more than all the rest of a chunk's way."""
        count = data.count
        return (
            _DONE in data
            or count(b'"usage"') != count(b'"usage":null')
            or count(b'"finish_reason"') != count(b'"finish_reason":null')
            or b'"error"' in data
            or (self.metadata.service_tier is None and b'"service_tier"' in data)
            or (self._hears_audio and b'"audio"' in data)
        )

    def finish(self) -> bytes:
        """The stream ended: return what is left of an unfinished event, to pass on."""
        return self._splitter.tail

    @property
    def is_clean(self) -> bool:
        """True after `data: [DONE]` (or, for providers that omit it, a finish reason) and no error event."""
        return not self.error and (self.is_done or self.metadata.finish_reason is not None)

    @property
    def output_tokens_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.text.tokens

    def _end_media(self, data: bytes) -> None:
        metadata, found = self.metadata, read_media_answer(data)
        metadata.usage = found.usage or metadata.usage
        self.is_done = True
        if not _HEARD.search(data):
            drawn = (metadata.units or {}).get("images", 0) + 1
            metadata.units = {"images": drawn}
            if (usage := metadata.usage) is not None and usage.image is None:
                metadata.usage = msgspec.structs.replace(usage, output=0, image=usage.output)
        elif found.units:
            metadata.units = found.units

    def _keep(self, event: bytes) -> bool:
        data = sse.event_data(event)
        if data is None:
            return True
        if data.strip() == _DONE:
            self.is_done = True
            return True
        try:
            chunk = _decode_chunk(data)
        except UNREADABLE:
            return True
        metadata = self.metadata
        if chunk.id and metadata.response_id is None:
            metadata.response_id, metadata.model = id_of(chunk.id), cap(chunk.model)
        self._read_id = not self._is_media
        if chunk.type is not None and chunk.type.endswith(_MEDIA_ENDS):
            self._end_media(data)
            return True
        if bytes(chunk.error) != b"null":
            self.error = True
        if chunk.service_tier is not None:
            metadata.service_tier = cap(chunk.service_tier)
        if self._hears_audio and chunk.choices and (audio := chunk.choices[0].delta) and audio.audio and audio.audio.id:
            metadata.kept = [audio.audio.id[:256]]
            self._hears_audio = False
        if chunk.choices and chunk.choices[0].finish_reason is not None:
            metadata.finish_reason = cap(chunk.choices[0].finish_reason)
        elsewhere = chunk.x_groq.usage if chunk.x_groq else chunk.choices[0].usage if chunk.choices else None
        usage = tokens_of(chunk.usage or elsewhere)
        if usage is not None:
            metadata.usage = usage
            metadata.take_beside(beside_of(chunk.usage, chunk.model or metadata.model))
            # The extra chunk has usage and no choices; a provider that reports usage on every chunk keeps its chunks.
            if self._hide_usage and chunk.usage is not None and not chunk.choices:
                return False
        if chunk.choices:
            self.text.add(event)
        return True
