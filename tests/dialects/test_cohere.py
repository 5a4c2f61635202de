"""Cohere v2: its plan, its units, its way to fail."""

import json

import msgspec
import pytest
from tests.dialects import golden_cases

from switchgear.dialects import canonical, cohere
from switchgear.dialects.json_node import Node
from switchgear.providers.quirks import Quirks


def test_billed_units_are_what_is_charged():
    usage = cohere.usage_of_raw(
        msgspec.Raw(b'{"billed_units":{"input_tokens":1.0,"output_tokens":9},"tokens":{"input_tokens":496}}')
    )
    assert (usage.input, usage.output) == (1, 9)
    assert cohere.usage_of_raw(msgspec.Raw(b'{"tokens":{"input_tokens":4}}')).input == 4
    assert cohere.usage_of_raw(msgspec.Raw(b'{"billed_units":{"input_tokens":1e300}}')) is None
    assert cohere.usage_of_raw(msgspec.Raw(b'{"billed_units":{"input_tokens":-1}}')) is None


def test_a_tool_plan_is_thinking():
    body = {
        "message": {"tool_plan": "I look", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
        "finish_reason": "TOOL_CALL",
    }
    answer = cohere.decode_answer(Node(body))
    assert [type(part).__name__ for part in answer.parts] == ["Thinking", "ToolCall"] and answer.finish == "tool_calls"


def test_an_error_at_the_end_of_a_stream_is_no_end():
    decoder, collector = cohere.StreamDecoder(), canonical.Collector()
    event = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "sorry"}}
    for found in decoder.feed(b"event: message-end\ndata: " + json.dumps(event).encode() + b"\n\n"):
        collector.add(found)
    assert collector.failed.message == "sorry" and not collector.is_ended


def test_a_forced_tool_is_the_only_one():
    request = canonical.Request(
        model="m",
        messages=[],
        tools=[canonical.Tool("a"), canonical.Tool("b")],
        choice=canonical.ToolChoice("named", ["b"]),
    )
    body = cohere.encode_request(request, "command", Quirks())
    assert [tool["function"]["name"] for tool in body["tools"]] == ["b"] and body["tool_choice"] == "REQUIRED"


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("cohere"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)
