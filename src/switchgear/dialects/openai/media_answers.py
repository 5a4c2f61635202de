"""What answers to requests for pictures, sounds, moderation and ranking say about themselves. Level 1."""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.openai.usage import usage_of


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


_decode_media = msgspec.json.Decoder(_MediaAnswer, strict=False).decode


def read_media_answer(body: bytes, members: tuple[str, ...] = ()) -> AnswerMetadata:
    """Read tokens and units from the answer to a picture, sound, moderation or ranking request (OpenAI API reference,
    "Images", "Audio"; Cohere and Jina, "Rerank"; as of 2026-11). A sound itself says nothing."""
    try:
        answer = _decode_media(body)
    except UNREADABLE:
        return AnswerMetadata()
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
    return AnswerMetadata(usage, units=units or None, is_fit=answer.data is not None or answer.results is not None)


def _drawn(found: _MediaUsage) -> int | None:
    said = found.output_tokens_details
    return said.image_tokens if said is not None and said.image_tokens is not None else found.output_tokens


def _number(value: float | str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
