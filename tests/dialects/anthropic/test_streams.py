"""Anthropic: streams."""

import json

import pytest

from switchgear.dialects import canonical
from switchgear.dialects.anthropic.streams import StreamDecoder, StreamEncoder

# Anthropic API reference, "Streaming messages": thinking, text, a tool, and a block of a tool that its own servers run.
EVENTS = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search"},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    {"type": "content_block_stop", "index": 3},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in EVENTS)


def collected(pieces):
    decoder, collector = StreamDecoder(), canonical.Collector()
    for piece in pieces:
        for event in decoder.feed(piece):
            collector.add(event)
    for event in decoder.finish():
        collector.add(event)
    return collector


def check(collector):
    answer = collector.answer
    assert collector.is_ended and answer.id == "msg_1" and answer.finish == "tool_calls"
    thinking, text, call = answer.parts
    assert (thinking.text, thinking.signature, text.text) == ("hm", "sig", "hello")
    assert (call.id, call.name, json.loads(call.arguments)) == ("t1", "f", {"a": 1})
    assert (answer.usage.input, answer.usage.output) == (9, 7)


def test_a_stream_is_read_wherever_it_is_cut():
    for cut in range(0, len(STREAM), 7):
        check(collected([STREAM[:cut], STREAM[cut:]]))


def test_events_are_written_as_they_were_read():
    decoder, encoder = StreamDecoder(), StreamEncoder("claude", 1, True)
    out = b"".join(encoder.encode(event) for event in decoder.feed(STREAM))
    check(collected([out]))
    assert out.startswith(b"event: message_start\n") and out.endswith(
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_redacted_thinking_pictures_and_signatures_of_others_have_a_place():
    encoder = StreamEncoder("claude", 1, True)
    events = [
        canonical.PartBegin(0, "tool", "t1", "f", signature="of-gemini"),
        canonical.PartEnd(0),
        canonical.Picture(1, canonical.Media("image", "image/png", "AAAA")),
    ]
    out = b"".join(map(encoder.encode, events))
    assert b"sg.gemini.of-gemini" in out and b"![image](data:image/png;base64,AAAA)" in out
    redacted = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "redacted_thinking", "data": "xyz"},
    }
    (found,) = [
        e
        for e in StreamDecoder().feed(b"data: %b\n\n" % json.dumps(redacted).encode())
        if isinstance(e, canonical.Signature)
    ]
    assert found.redacted == "xyz"


@pytest.mark.parametrize("error", [{"type": "overloaded_error", "message": "busy"}, {}])
def test_an_error_event_ends_the_stream(error):
    events = StreamDecoder().feed(b"data: %b\n\n" % json.dumps({"type": "error", "error": error}).encode())
    assert isinstance(events[-1], canonical.Failed) and events[-1].kind == error.get("type", "api_error")


@pytest.mark.parametrize("torn", [b"", b"event: message_stop\n", b'event: message_stop\ndata: {"type":"mess'])
def test_a_stream_without_its_stop_is_whole_once_it_said_why_it_ends(torn):
    """anthropic-sdk-python's `accumulate_event` has the stop reason of `message_delta`, and needs no `message_stop` for the answer."""
    check(collected([STREAM[: STREAM.index(b"event: message_stop")] + torn]))


def test_a_stream_without_the_reason_of_its_end_broke_off():
    assert not collected([STREAM[: STREAM.index(b"event: message_delta")]]).is_ended
    early = b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":null}}\n\n'
    assert not collected([STREAM[: STREAM.index(b"event: message_delta")] + early]).is_ended
