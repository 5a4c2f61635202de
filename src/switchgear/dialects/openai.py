"""OpenAI chat, completions and embeddings in pass-through: what is read from an answer, and the error shape. Level 1.

Usage semantics: prompt_tokens includes cached and audio tokens, completion_tokens includes reasoning (OpenAI API
reference, read 2026-11-23); DeepSeek reports cache hits in `prompt_cache_hit_tokens`.
"""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects.reading import Reading, cap
from switchgear.dialects.request import Request
from switchgear.dialects.text_count import TextCount, needles
from switchgear.wire import sse

encode_body = msgspec.json.Encoder().encode

# Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


_NULL = Raw(b"null")


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    num_cached_tokens: int | None = None
    """Mistral's."""
    reasoning_tokens: int | None = None
    """Perplexity's, beside completion_tokens; so are the next two."""
    citation_tokens: int | None = None
    num_search_queries: int | None = None
    server_tool_use: _ServerTools | None = None
    cost: Raw = _NULL


class _Audio(msgspec.Struct):
    id: str | None = None


class _Message(msgspec.Struct):
    audio: _Audio | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message | None = None
    delta: _Message | None = None


class _Answer(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    usage: _Usage | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    data: Raw = Raw(b"null")


class _MediaDetails(msgspec.Struct):
    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    image_tokens: int | None = None
    text_tokens: int | None = None


class _MediaUsage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    total_tokens: int | None = None
    input_token_details: _MediaDetails | None = None
    input_tokens_details: _MediaDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _BilledUnits(msgspec.Struct):
    search_units: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _BilledUnits | None = None


class _MediaAnswer(msgspec.Struct):
    usage: _MediaUsage | None = None
    data: list[Raw] | None = None
    duration: float | str | None = None
    results: list[Raw] | None = None
    meta: _Meta | None = None


class _XGroq(msgspec.Struct):
    usage: _Usage | None = None


class _Chunk(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    type: str | None = None
    usage: _Usage | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    x_groq: _XGroq | None = None
    error: Raw = Raw(b"null")  # msgspec decodes no union with Raw


_decode_media = msgspec.json.Decoder(_MediaAnswer, strict=False).decode
_decode_answer = msgspec.json.Decoder(_Answer, strict=False).decode
_decode_chunk = msgspec.json.Decoder(_Chunk, strict=False).decode


def read_answer(body: bytes, members: tuple[str, ...] = ()) -> Reading:
    """Read usage from a plain answer. A body that does not decode yields an empty reading: it is not ours to judge."""
    try:
        answer = _decode_answer(body)
    except UNREADABLE:
        return Reading()
    finish = answer.choices[0].finish_reason if answer.choices else None
    is_fit = bool(answer.choices) or len(memoryview(answer.data)) > len(b"null")
    reading = Reading(_usage(answer.usage), cap(finish), id_of(answer.id), cap(answer.service_tier), None, is_fit)
    if _has_more(answer.usage, answer.model):
        reading.take_beside(_beside(answer.usage, answer.model))
    else:
        reading.model = cap(answer.model)
    for choice in answer.choices or ():
        if choice.message is not None and choice.message.audio is not None and choice.message.audio.id:
            reading.kept = [*reading.kept, choice.message.audio.id[:256]]
    return reading


def read_media_answer(body: bytes, members: tuple[str, ...] = ()) -> Reading:
    """Read tokens and units from the answer to a picture, sound, moderation or ranking request (OpenAI API reference,
    "Images", "Audio"; Cohere and Jina, "Rerank"; as of 2026-11). A sound itself says nothing."""
    try:
        answer = _decode_media(body)
    except UNREADABLE:
        return Reading()
    units: dict[str, int] = {}
    found = answer.usage or _MediaUsage()
    if answer.data is not None and answer.results is None:
        units["images"] = len(answer.data)
    seconds = found.seconds if found.seconds is not None else _number(answer.duration)
    if seconds is not None and 0 <= seconds < 1e7:
        units["seconds"] = int(seconds) + (seconds > int(seconds))  # begun seconds count
    searches = answer.meta.billed_units.search_units if answer.meta and answer.meta.billed_units else None
    if searches is not None and 0 <= searches < 1e7:
        units["searches"] = int(searches)
    details = found.input_token_details or found.input_tokens_details or _MediaDetails()
    usage = usage_of(
        prompt=found.input_tokens if found.input_tokens is not None else found.total_tokens,
        completion=found.output_tokens,
        audio_in=details.audio_tokens,
        image=_drawn(found) if "images" in units else None,
        image_in=details.image_tokens,
    )
    return Reading(usage, units=units or None, is_fit=answer.data is not None or answer.results is not None)


def _drawn(found: _MediaUsage) -> int | None:
    said = found.output_tokens_details
    return said.image_tokens if said is not None and said.image_tokens is not None else found.output_tokens


def id_of(value: object) -> str | None:
    """Return an answer's id as a text: some compatible servers number their answers."""
    return cap(str(value)) if isinstance(value, str | int) else None


def _has_more(raw: _Usage | None, model: str | None) -> bool:
    """Tell whether there may be more to a bill than its tokens; for most there is not."""
    if raw is not None and (raw.cost is not _NULL or raw.num_search_queries or raw.server_tool_use is not None):
        return True
    return model is not None and "search" in model


def _beside(raw: _Usage | None, model: str | None) -> Beside:
    beside = Beside(None, None, model)
    if raw is not None:
        searches = raw.num_search_queries
        if searches is None and raw.server_tool_use is not None:
            searches = raw.server_tool_use.web_search_requests
        if searches:
            beside.units = {"web_searches": searches}
        if len(memoryview(raw.cost)) <= COST_BYTES_MAX and (cost := bytes(raw.cost)) != b"null":
            beside.cost = cost
    if model is not None and "search" in model and _SEARCHES.search(model):
        beside.units = {"web_searches": 1}
    return beside


COST_BYTES_MAX = 2_048
_SEARCHES = re.compile(r"-search-(preview|api)")
"""Models that search the web once for every request (OpenAI, "Web search", Chat Completions, as of 2026-11)."""


def _number(value: float | str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _usage(raw: _Usage | None) -> TokenUsage | None:
    if raw is None:
        return None
    if (
        raw.prompt_tokens_details is None
        and raw.completion_tokens_details is None
        and raw.prompt_cache_hit_tokens is None
        and raw.num_cached_tokens is None
        and raw.reasoning_tokens is None
        and raw.citation_tokens is None
        and (raw.prompt_tokens is not None or raw.completion_tokens is not None)
    ):
        # A total that is larger says that the model thought beside what it wrote (Gemini's compatible answers).
        hidden = (raw.total_tokens or 0) - (raw.prompt_tokens or 0) - (raw.completion_tokens or 0)
        hides = hidden > 0 and raw.completion_tokens is not None
        usage = TokenUsage(input=raw.prompt_tokens, output=raw.completion_tokens, reasoning=hidden if hides else None)
        return usage if usage.is_sane() else None
    prompt = raw.prompt_tokens_details or _PromptDetails()
    completion = raw.completion_tokens_details or _CompletionDetails()
    reasoning, beside = completion.reasoning_tokens, 0
    if reasoning is None and raw.reasoning_tokens is not None:
        reasoning = beside = raw.reasoning_tokens
    elif reasoning and (raw.total_tokens or 0) - (raw.prompt_tokens or 0) - (raw.completion_tokens or 0) == reasoning:
        beside = reasoning  # the total decides (xAI)
    cached = prompt.cached_tokens if prompt.cached_tokens is not None else raw.prompt_cache_hit_tokens
    return usage_of(
        prompt=raw.prompt_tokens
        if raw.prompt_tokens is not None or raw.completion_tokens is not None
        else raw.total_tokens,
        completion=raw.completion_tokens + beside if raw.completion_tokens is not None else None,
        cached=cached if cached is not None else raw.num_cached_tokens,
        cache_write=prompt.cache_write_tokens,
        audio_in=prompt.audio_tokens,
        reasoning=reasoning,
        audio_out=completion.audio_tokens,
        image=completion.image_tokens,
        citation=raw.citation_tokens,
    )


def usage_of(
    *,
    prompt: int | None,
    completion: int | None,
    cached: int | None = None,
    cache_write: int | None = None,
    audio_in: int | None = None,
    reasoning: int | None = None,
    audio_out: int | None = None,
    image: int | None = None,
    image_in: int | None = None,
    citation: int | None = None,
    all_image: bool = False,
) -> TokenUsage | None:
    """Split totals that include their parts, as OpenAI reports them, into buckets. None when nothing sensible was
    reported."""
    if prompt is None and completion is None:
        return None
    total_in, total_out = prompt or 0, completion or 0
    image = total_out if all_image else image
    # The total is what counts: one provider was seen to report the same tokens as read from and as written to the cache.
    written = _part(cache_write, total_in - (cached or 0))
    audio = _part(audio_in, total_in - (cached or 0) - (written or 0))
    seen = _part(image_in, total_in - (cached or 0) - (written or 0) - (audio or 0))
    parts_out = (reasoning or 0) + (audio_out or 0) + (image or 0)
    usage = TokenUsage(
        input=max(0, total_in - (cached or 0) - (written or 0) - (audio or 0) - (seen or 0)),
        cache_read=cached,
        cache_write_5m=written,
        # Some providers report reasoning beside completion_tokens instead of inside: never bill fewer than they say.
        output=total_out - parts_out if total_out >= parts_out else total_out,
        reasoning=reasoning,
        audio_in=audio,
        audio_out=audio_out,
        image=image,
        image_in=seen,
        citation=citation,
    )
    return usage if usage.is_sane() else None


_decode_usage = msgspec.json.Decoder(_Usage | None, strict=False).decode


def usage_of_raw(raw: Raw) -> TokenUsage | None:
    """Read a usage object; None where there is none, or nothing sensible in it."""
    try:
        return _usage(_decode_usage(raw))
    except UNREADABLE:
        return None


def beside_of_raw(raw: Raw, model: str | None) -> Beside:
    """Read what a usage object says of the bill beside its tokens."""
    try:
        return _beside(_decode_usage(raw), model)
    except UNREADABLE:
        return Beside(None, None, model)


def _part(reported: int | None, left: int) -> int | None:
    return None if reported is None else max(0, min(reported, left)) if reported >= 0 else reported


_DONE = b"[DONE]"
_MEDIA_ENDS = ("image_generation.completed", "image_edit.completed", "transcript.text.done")
"""The last event of a streamed picture and of a streamed transcription (OpenAI API reference, as of 2026-11)."""
_HEARD = re.compile(rb'"transcript\.text\.done"')
_BOUNDARY = b"\n\n"


TEXTS = needles("content", "reasoning_content", "reasoning", "arguments", "refusal", "text")
_TEXT_OPERATIONS = frozenset({"chat", "completions", "embeddings"})
"""All others are media, or raw."""


class StreamMeter:
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
        "reading",
        "text",
    )

    @classmethod
    def of(cls, request: Request) -> "StreamMeter":
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
        self.reading = Reading()
        self.text = TextCount(TEXTS)
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
            or (self.reading.service_tier is None and b'"service_tier"' in data)
            or (self._hears_audio and b'"audio"' in data)
        )

    def finish(self) -> bytes:
        """The stream ended: return what is left of an unfinished event, to pass on."""
        return self._splitter.tail

    @property
    def is_clean(self) -> bool:
        """True after `data: [DONE]` (or, for providers that omit it, a finish reason) and no error event."""
        return not self.error and (self.is_done or self.reading.finish_reason is not None)

    @property
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.text.tokens

    def _end_media(self, data: bytes) -> None:
        reading, found = self.reading, read_media_answer(data)
        reading.usage = found.usage or reading.usage
        self.is_done = True
        if not _HEARD.search(data):
            drawn = (reading.units or {}).get("images", 0) + 1
            reading.units = {"images": drawn}
            if (usage := reading.usage) is not None and usage.image is None:
                reading.usage = msgspec.structs.replace(usage, output=0, image=usage.output)
        elif found.units:
            reading.units = found.units

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
        reading = self.reading
        if chunk.id and reading.response_id is None:
            reading.response_id, reading.model = id_of(chunk.id), cap(chunk.model)
        self._read_id = not self._is_media
        if chunk.type is not None and chunk.type.endswith(_MEDIA_ENDS):
            self._end_media(data)
            return True
        if bytes(chunk.error) != b"null":
            self.error = True
        if chunk.service_tier is not None:
            reading.service_tier = cap(chunk.service_tier)
        if self._hears_audio and chunk.choices and (audio := chunk.choices[0].delta) and audio.audio and audio.audio.id:
            reading.kept = [audio.audio.id[:256]]
            self._hears_audio = False
        if chunk.choices and chunk.choices[0].finish_reason is not None:
            reading.finish_reason = cap(chunk.choices[0].finish_reason)
        usage = _usage(chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None))
        if usage is not None:
            reading.usage = usage
            reading.take_beside(_beside(chunk.usage, chunk.model or reading.model))
            # The extra chunk has usage and no choices; a provider that reports usage on every chunk keeps its chunks.
            if self._hide_usage and chunk.usage is not None and not chunk.choices:
                return False
        if chunk.choices:
            self.text.add(event)
        return True


_TIERS = {"standard": "default"} | {name: name for name in ("auto", "default", "flex", "scale", "priority")}


def tier_name(tier: str | None) -> str | None:
    """Return another provider's service tier in OpenAI's words, or None: its clients accept no other."""
    return _TIERS.get(tier or "")
