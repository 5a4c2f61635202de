"""Openai: what is read in passing."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.usage import TokenUsage
from switchgear.dialects.openai.tap import OpenAITap, read_answer


def chunk(**fields):
    return (
        b"data: "
        + json.dumps({"id": "c1", "choices": [{"index": 0, "delta": {"content": "word "}}], **fields}).encode()
        + b"\n\n"
    )


LAST = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])


USAGE = chunk(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3})


STREAM = chunk() * 3 + b": ping\n\n" + LAST + USAGE + b"data: [DONE]\n\n"


def run(pieces, hide=True):
    tap = OpenAITap(hide)
    out = b"".join(tap.feed(piece) for piece in pieces) + tap.finish()
    return tap, out


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, TokenUsage(input=10, output=5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            TokenUsage(input=6, cache_read=4, output=2, reasoning=3),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8},
            TokenUsage(input=2, cache_read=8, output=5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"audio_tokens": 2},
                "completion_tokens_details": {"audio_tokens": 1},
            },
            TokenUsage(input=8, audio_in=2, output=4, audio_out=1),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_usage_is_read_into_disjoint_buckets(usage, expected):
    found = read_answer(json.dumps({"id": "x", "usage": usage, "choices": [{"finish_reason": "stop"}]}).encode()).usage
    assert found == expected


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'{"choices":5}', b'{"usage":{"prompt_tokens":1e400}}'])
def test_a_strange_answer_is_no_reading(raw):
    assert read_answer(raw).usage is None


@pytest.mark.parametrize("hide", [True, False])
def test_every_cut_of_a_stream_gives_the_same_bytes_and_usage(hide):
    expected = STREAM.replace(USAGE, b"") if hide else STREAM
    for at in range(1, len(STREAM)):
        tap, out = run([STREAM[:at], STREAM[at:]], hide)
        assert out == expected
        assert tap.metadata.usage == TokenUsage(input=7, output=3)
        assert tap.is_clean
        assert tap.metadata.finish_reason == "stop"


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_a_stream_cut_in_many_places_passes_unchanged_and_is_read(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    tap, out = run([STREAM[a:b] for a, b in itertools.pairwise(edges)])
    assert out == STREAM.replace(USAGE, b"")
    assert tap.metadata.response_id == "c1"


def test_a_provider_that_reports_usage_on_each_chunk_keeps_its_chunks():
    stream = chunk(usage={"prompt_tokens": 7, "completion_tokens": 1}) + chunk(
        usage={"prompt_tokens": 7, "completion_tokens": 2}
    )
    tap, out = run([stream])
    assert out == stream
    assert tap.metadata.usage.output == 2


def test_usage_may_come_in_moonshots_place():
    used = {"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": 2}
    last = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": used}])
    tap, out = run([chunk() + last + b"data: [DONE]\n\n"])
    assert tap.metadata.usage == TokenUsage(input=5, cache_read=2, output=3)
    assert out == chunk() + last + b"data: [DONE]\n\n"


def test_H6_a_cut_stream_and_an_error_event_are_no_clean_end():
    tap, _ = run([chunk()])
    assert not tap.is_clean
    tap, out = run([chunk(), b'data: {"error":{"message":"x"}}\n\n'])
    assert tap.error and not tap.is_clean and b"error" in out


def test_an_estimate_counts_at_least_one_token_per_event():
    tap, _ = run([chunk() * 20])
    assert tap.output_tokens_estimate >= 20
