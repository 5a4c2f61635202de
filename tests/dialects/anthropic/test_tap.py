"""Anthropic: what is read in passing."""

import json

import pytest

from switchgear.dialects.anthropic.tap import TAP_RULES, read_answer
from switchgear.dialects.json_node import Node
from switchgear.dialects.taps import SseTap

START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9}}}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 7, "service_tier": "priority"},
}


def stream(*events):
    return b"".join(b"event: x\ndata: %b\n\n" % json.dumps(event).replace('": "', '":"').encode() for event in events)


def test_running_totals_are_merged_and_the_bytes_pass_as_they_came():
    tap, data = SseTap(TAP_RULES), stream(START, {"type": "ping"}, DELTA, {"type": "message_stop"})
    assert b"".join(tap.feed(data[at : at + 5]) for at in range(0, len(data), 5)) + tap.finish() == data
    metadata = tap.metadata
    assert (metadata.usage.input, metadata.usage.output) == (9, 7)
    assert (metadata.response_id, metadata.finish_reason, metadata.service_tier) == ("msg_1", "end_turn", "priority")
    assert tap.is_clean and not tap.error


def test_an_error_event_is_no_clean_end():
    tap = SseTap(TAP_RULES)
    tap.feed(stream(START, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}))
    assert tap.error and not tap.is_clean


def test_files_that_a_tool_wrote_are_kept_each_once_per_event():
    tap = SseTap(TAP_RULES)
    block = {"type": "code_execution_output", "file_id": "file_1"}
    tap.feed(stream(START, {"type": "content_block_start", "content_block": {"content": [block]}}))
    assert tap.metadata.kept == ["file_1"]


def test_a_plain_answer_tells_its_usage_and_searches():
    usage = {"input_tokens": 3, "output_tokens": 4, "server_tool_use": {"web_search_requests": 2}, "speed": "fast"}
    metadata = read_answer(Node({"id": "msg_1", "model": "claude", "stop_reason": "end_turn", "usage": usage}))
    assert (metadata.usage.input, metadata.usage.output, metadata.units) == (3, 4, {"web_searches": 2})
    assert (metadata.service_tier, metadata.model) == ("fast", "claude")


STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@pytest.mark.parametrize("torn", [b"", b"event: message_stop\n", b'event: message_stop\ndata: {"type":"mess'])
def test_a_whole_answer_without_its_last_event_gets_it(torn):
    """A client waits for `message_stop` ("Streaming messages", event flow; read 2026-11-27), and takes its absence for a break."""
    tap = SseTap(TAP_RULES)
    out = tap.feed(stream(START, DELTA) + torn) + tap.finish()
    assert out == stream(START, DELTA) + STOP and tap.is_clean


def test_a_last_event_without_its_empty_line_gets_that():
    tap, end = SseTap(TAP_RULES), STOP.rstrip()
    out = tap.feed(stream(START, DELTA) + end) + tap.finish()
    assert out == stream(START, DELTA) + STOP and tap.is_clean


def test_what_broke_off_or_failed_gets_no_end():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    for events in ((START,), (START, DELTA, error)):
        tap = SseTap(TAP_RULES)
        assert tap.feed(stream(*events)) + tap.finish() == stream(*events) and not tap.is_clean
