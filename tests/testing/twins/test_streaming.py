"""Streams of the twins: what the official SDKs add up from them is what the plain answer said."""

import json

import pytest
from tests.testing.twins.test_said import ANSWERS

from switchgear.testing import recordings
from switchgear.testing.twins import said, sdks, streaming
from switchgear.testing.twins.streaming import Odd

CALLS = [
    {"id": f"c{number}", "type": "function", "function": {"name": f"f{number}", "arguments": json.dumps({"n": number})}}
    for number in range(2)
]
PARALLEL = {
    "id": "a",
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "choices": [
        {"index": 0, "message": {"content": "so 😀 it is", "tool_calls": CALLS}, "finish_reason": "tool_calls"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def events(body, odd):
    return [event for event in sdks.events(b"".join(streaming.openai(body, odd))) if event["choices"]]


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_a_recorded_answer_streamed_is_added_up_by_the_sdk_to_the_same():
    count, wrong = 0, []
    for number, one in enumerate(recordings.exchanges()):
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        if number % 5 or dialect is None or one.status != 200 or one.is_stream:
            continue
        plain = json.loads(one.body)
        data = b"".join(streaming.WRITERS[dialect](plain, streaming.PLAIN, True))
        found = said.READERS[dialect](sdks.read(dialect, data, True, strict=False))
        count += 1
        if found != said.READERS[dialect](plain):
            wrong.append((one.id, dialect, found))
    assert count > 100 and wrong == []


@pytest.mark.parametrize("odd", [Odd(), Odd(alternating=True), Odd(no_done=True), Odd(usage_in_last=True)])
def test_what_the_sdk_can_read_of_an_odd_stream_is_the_same(odd):
    data = b"".join(streaming.openai(PARALLEL, odd))
    assert said.openai(sdks.read("openai", data, True)) == said.openai(PARALLEL)


def test_odd_moments_are_as_their_names_say():
    assert {
        c["index"]
        for e in events(PARALLEL, Odd(index_zero=True))
        for c in e["choices"][0]["delta"].get("tool_calls", [])
    } == {0}
    assert b"[DONE]" not in b"".join(streaming.openai(PARALLEL, Odd(no_done=True)))
    assert all(event["id"] == 42 for event in events(PARALLEL, Odd(number_id=True)))
    assert "id" not in str([e["choices"][0]["delta"] for e in events(PARALLEL, Odd(no_call_ids=True))])
    texts = [event["choices"][0]["delta"].get("content") or "" for event in events(PARALLEL, Odd(half_surrogates=True))]
    assert any(text.endswith("\ud83d") for text in texts) and any(text.startswith("\ude00") for text in texts)


def test_pieces_of_parallel_calls_take_turns():
    order = [
        call["index"]
        for event in events(PARALLEL, Odd(alternating=True))
        for call in event["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert order[:4] == [0, 1, 0, 1]


def test_pieces_make_up_the_text_again():
    for text in ("", "a", "ab", "abc", "x" * 1000):
        assert "".join(streaming.pieces(text)) == text and len(streaming.pieces(text)) <= 7


def test_a_frame_has_the_checksums_that_botocore_wants():
    import botocore.eventstream

    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(streaming.frame("messageStop", {"stopReason": "end_turn"}))
    (message,) = list(buffer)
    assert message.headers[":event-type"] == "messageStop" and json.loads(message.payload) == {"stopReason": "end_turn"}


def test_every_dialect_has_a_writer_and_a_reader():
    assert set(streaming.WRITERS) == set(said.READERS) == set(ANSWERS)
