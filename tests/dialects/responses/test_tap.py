"""Responses: what is read in passing."""

import json

import pytest

from switchgear.dialects.json_node import Node
from switchgear.dialects.responses.tap import TAP_RULES, read_answer
from switchgear.dialects.taps import SseTap

USAGE = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7}


def stream(*events):
    return b"".join(b"event: x\ndata: %b\n\n" % json.dumps(event, separators=(",", ":")).encode() for event in events)


def ended(kind, **more):
    response = {"id": "resp_1", "status": kind, "usage": USAGE, "output": [{"id": "msg_1"}], **more}
    return {"type": f"response.{kind}", "response": response}


def test_the_last_event_tells_usage_and_what_is_kept():
    tap = SseTap(TAP_RULES)
    data = stream({"type": "response.created", "response": {"id": "resp_1"}}, ended("completed", service_tier="flex"))
    assert tap.feed(data) + tap.finish() == data
    metadata = tap.metadata
    assert (metadata.usage.input, metadata.usage.cache_read, metadata.usage.output) == (5, 4, 7)
    assert (metadata.response_id, metadata.finish_reason, metadata.service_tier) == ("resp_1", "completed", "flex")
    assert metadata.kept == ["resp_1", "msg_1"] and tap.is_clean


@pytest.mark.parametrize("event", [ended("failed"), {"type": "error", "code": "server_error"}])
def test_a_failure_is_no_clean_end(event):
    tap = SseTap(TAP_RULES)
    tap.feed(stream(event))
    assert tap.error and not tap.is_clean


def test_an_answer_that_was_cut_says_why():
    body = ended("incomplete", incomplete_details={"reason": "max_output_tokens"})["response"]
    assert read_answer(Node(body)).finish_reason == "max_output_tokens"
