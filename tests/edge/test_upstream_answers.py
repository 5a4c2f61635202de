"""What comes back of one attempt: bytes in, bytes out, and what they say of themselves."""

import json
from types import SimpleNamespace

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.core.steps import finish
from switchgear.core.usage import TokenUsage
from switchgear.dialects import usage_cost
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.registry import DEFAULT
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.edge.setback import Setback
from switchgear.edge.upstream_answers import (
    CHECKPOINT_S,
    CHECKPOINT_TOKENS,
    HELD_BYTES_MAX,
    PING_S,
    PlainAnswer,
    StreamAnswer,
)
from switchgear.providers.quirks import Quirks

FIRST = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there my friend"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
ANSWER = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}


def asked(stream=True, provider="openai", operation="chat", **more):
    body = {"model": "m", "stream": stream, **more}
    body |= {"messages": [{"role": "user", "content": "x"}]} if operation == "chat" else {}
    request = parse(json.dumps(body).encode(), "openai", operation)
    return request, open_translation(request, "openai", provider, "m", Quirks(), created=0, answer_id="r")


def streamed(limit=None, cost_injector=None, **more):
    return StreamAnswer(asked(**more)[1], cost_injector, limit, 0.0)


def plain(*parts, **more):
    request, translation = asked(stream=False, **more)
    answer = PlainAnswer(translation)
    for part in parts:
        answer.take(part)
    return request, answer


def context(request, input_estimate=7):
    return SimpleNamespace(
        request=request, input_estimate=input_estimate, usage=None, units=None, dropped=None, estimate_reason=None
    )


def test_a_plain_answer_is_the_sum_of_its_pieces():
    _, answer = plain(b"", b'{"a":', b"", b"1}")
    assert (answer.size, answer.body()) == (7, b'{"a":1}')
    assert plain()[1].body() == b""


@pytest.mark.parametrize("steps", [False, True])
def test_a_plain_answer_of_the_clients_dialect_passes_as_it_is(steps):
    body = json.dumps(ANSWER).encode()
    request, answer = plain(body)
    metadata, out = finish(answer.read_steps(request, [])) if steps else answer.read(request, [])
    assert out is body and metadata.response_id == "c" and metadata.unfit is None


@pytest.mark.parametrize("steps", [False, True])
def test_an_answer_that_cannot_be_translated_is_a_failure(steps):
    request, answer = plain(b'{"content":7}', provider="anthropic", max_tokens=1)
    metadata, out = finish(answer.read_steps(request, [])) if steps else answer.read(request, [])
    assert isinstance(out, ProtocolError)
    failure = answer.failure(context(request), metadata, out)
    assert (failure.reason, failure.usage.input, failure.is_estimated) == ("garbage", 7, True)


def test_an_answer_that_says_nothing_of_its_usage_is_estimated_by_its_size():
    request, answer = plain(b"x" * 800)
    seen = context(request)
    answer.account(seen, AnswerMetadata())
    assert (seen.usage, seen.estimate_reason) == (TokenUsage(input=7, output=100), "the provider reported no usage")


def test_vectors_are_no_text_and_counts_cost_nothing():
    request, answer = plain(b"x" * 800, operation="embeddings", input="x")
    seen = context(request)
    answer.account(seen, AnswerMetadata())
    assert seen.usage == TokenUsage(input=7, output=0)
    request.operation = "count_tokens"
    answer.account(seen, AnswerMetadata(TokenUsage(input=1)))
    assert seen.usage is None
    assert answer.failure(seen, AnswerMetadata(), ProtocolError("no")).usage is None


def test_speech_is_counted_in_characters():
    request, answer = plain(b"x", operation="speech", input="hello", voice="v")
    seen = context(request)
    answer.account(seen, AnswerMetadata())
    assert seen.units == {"characters": 5} and seen.usage is None


def test_a_stream_is_held_until_its_first_event():
    answer = streamed()
    assert answer.hold(b": waiting\n\n", False, 0) is False
    assert answer.hold(FIRST[:9], False, 0) is False
    assert answer.hold(FIRST[9:], False, 0) is True
    assert answer.release() == b": waiting\n\n" + FIRST and answer.release() == b""


def test_a_stream_of_keep_alives_is_held_up_to_a_bound():
    answer = streamed()
    comment = b": waiting\n\n"
    for _ in range(HELD_BYTES_MAX // len(comment)):
        assert answer.hold(comment, False, 0) is False
    assert answer.hold(comment, False, 0) is True


@pytest.mark.parametrize(
    ("data", "ended", "reason", "status"),
    [
        (b"", True, "unfinished", None),
        (b": waiting\n\n", True, "unfinished", None),
        (FIRST, True, "unfinished", None),
        (b'data: {"error":{"message":"busy","code":503}}\n\n', False, "error_first", 503),
    ],
)
def test_a_stream_that_fails_while_it_is_held_says_why(data, ended, reason, status):
    outcome = streamed().hold(data, ended, 5)
    assert isinstance(outcome, Setback) and outcome.reason == reason
    assert (outcome.said[0] if outcome.said else None) == status


def test_a_whole_stream_in_one_piece_begins():
    assert streamed().hold(FIRST + LAST, True, 0) is True


def test_what_was_seen_is_never_more_than_was_allowed():
    answer = streamed(limit=2)
    assert answer.feed(FIRST) == FIRST and answer.seen_tokens == 2
    answer = streamed()
    answer.feed(FIRST)
    assert answer.seen_tokens == len("hello there my friend") // 4


def test_the_cost_rides_on_the_last_event():
    answer = streamed(cost_injector=usage_cost.cost_injector(DEFAULT, False), stream_options={"include_usage": True})
    out = answer.feed(FIRST + USAGE + LAST.partition(b"\n\n")[2]) + answer.finish()
    assert FIRST in out and b"cost" not in out
    assert b"cost" in answer.rest(1_000)
    assert streamed().rest(1) == b""


def test_a_ping_is_due_after_silence_and_then_after_silence_again():
    answer = streamed()
    answer.begin(100.0)
    assert answer.ping(100.0 + PING_S - 1) == b""
    assert answer.ping(100.0 + PING_S) == b": ping\n\n"
    assert answer.ping(100.0 + PING_S) == b""


def test_a_checkpoint_is_due_by_time_and_by_tokens():
    answer = streamed()
    answer.begin(100.0)
    assert not answer.is_checkpoint_due(100.0 + CHECKPOINT_S - 1)
    assert answer.is_checkpoint_due(100.0 + CHECKPOINT_S)
    assert answer.checkpoint(110.0) == 0 and not answer.is_checkpoint_due(111.0)
    long = json.dumps({"choices": [{"index": 0, "delta": {"content": "word" * CHECKPOINT_TOKENS}}]})
    answer.feed(f"data: {long}\n\n".encode())
    assert answer.is_checkpoint_due(111.0)
