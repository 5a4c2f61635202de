"""How much of a rate limit is left, as a dialect's clients read it in the headers of an answer. Level 1.

OpenAI, "Rate limits", "Rate limits in headers" (https://platform.openai.com/docs/guides/rate-limits, read 2026-11-27): durations
such as `1s` and `6m0s`. Anthropic, "Rate limits", "Response headers" (https://docs.claude.com/en/api/rate-limits, read 2026-11-27):
times in RFC 3339. The APIs of Gemini, Bedrock and Cohere have none.
"""

import msgspec

from switchgear.core.iso_time import format_time


class Left(msgspec.Struct, frozen=True):
    """What is left of one limit."""

    limit: int
    remaining: int
    reset_ms: int
    """Until nothing of its window counts any more, if nobody asks."""


class RoomsLeft(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of each kind of limit; None where there is no such limit."""

    requests: Left | None = None
    tokens: Left | None = None
    input_tokens: Left | None = None
    output_tokens: Left | None = None


def openai(left: RoomsLeft, now_ms: int) -> bytes:
    """Return header lines as OpenAI's clients read them."""
    return b"".join(
        b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n"
        % (name, room.limit, name, room.remaining, name, _duration(room.reset_ms))
        for name, room in ((b"requests", left.requests), (b"tokens", left.tokens))
        if room is not None
    )


def anthropic(left: RoomsLeft, now_ms: int) -> bytes:
    """Return header lines as Anthropic's clients read them."""
    kinds = (
        (b"requests", left.requests),
        (b"tokens", left.tokens),
        (b"input-tokens", left.input_tokens),
        (b"output-tokens", left.output_tokens),
    )
    return b"".join(
        b"anthropic-ratelimit-%b-limit: %d\r\nanthropic-ratelimit-%b-remaining: %d\r\nanthropic-ratelimit-%b-reset: %b\r\n"
        % (name, room.limit, name, room.remaining, name, format_time(_next_second(now_ms + room.reset_ms)).encode())
        for name, room in kinds
        if room is not None
    )


def _next_second(ms: int) -> int:
    return -(-ms // 1_000) * 1_000


def _duration(ms: int) -> bytes:
    """Write a span as Go does: `850ms`, `12s`, `6m0s`, `1h0m0s`."""
    if ms < 1_000:
        return b"%dms" % ms
    minutes, seconds = divmod(-(-ms // 1_000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, seconds)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds
