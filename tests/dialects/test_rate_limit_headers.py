"""Headers of limits, in the words of the providers' own documents: OpenAI's table of "Rate limits in headers" (`1s`, `6m0s`), and
Anthropic's "Response headers" (RFC 3339)."""

import datetime

import pytest

from switchgear.dialects import rate_limit_headers
from switchgear.dialects.rate_limit_headers import Left, RoomsLeft

NOW_MS = 1_790_000_000_250


def lines(data):
    return dict(line.split(": ", 1) for line in data.decode().split("\r\n") if line)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(1_000, "1s"), (360_000, "6m0s"), (20, "20ms"), (59_001, "1m0s"), (3_600_000, "1h0m0s"), (86_400_000, "24h0m0s")],
)
def test_openais_spans_are_written_as_openai_writes_them(ms, text):
    told = lines(rate_limit_headers.openai(RoomsLeft(requests=Left(60, 59, ms)), NOW_MS))
    assert told == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": text,
    }


def test_openais_tokens_stand_beside_requests():
    told = lines(
        rate_limit_headers.openai(RoomsLeft(requests=Left(1, 0, 1), tokens=Left(150_000, 149_984, 1_000)), NOW_MS)
    )
    assert told["x-ratelimit-limit-tokens"] == "150000"
    assert told["x-ratelimit-remaining-tokens"] == "149984"


def test_anthropics_times_are_rfc_3339_and_never_too_early():
    left = RoomsLeft(requests=Left(50, 49, 1_000), input_tokens=Left(9, 8, 60_000), output_tokens=Left(7, 6, 1))
    told = lines(rate_limit_headers.anthropic(left, NOW_MS))
    at = datetime.datetime.fromisoformat(told["anthropic-ratelimit-requests-reset"])
    assert 0 <= at.timestamp() * 1000 - (NOW_MS + 1_000) < 1_000
    assert told["anthropic-ratelimit-requests-limit"] == "50"
    assert told["anthropic-ratelimit-input-tokens-remaining"] == "8"
    assert told["anthropic-ratelimit-output-tokens-remaining"] == "6"
    assert "anthropic-ratelimit-tokens-limit" not in told


@pytest.mark.parametrize("style", [rate_limit_headers.openai, rate_limit_headers.anthropic])
def test_without_limits_no_header_is_told(style):
    assert style(RoomsLeft(), NOW_MS) == b""
