"""Anthropic messages: what is special."""

import json

import msgspec

from switchgear.dialects import anthropic, hub
from switchgear.dialects.shape import Node
from switchgear.providers.quirks import Quirks


def test_blocks_of_anthropics_own_tools_leave_text_and_calls_alone():
    body = {
        "content": [
            {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "1", "content": []},
            {"type": "text", "text": "found"},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    answer = anthropic.decode_answer(Node(body))
    assert hub.text_of(answer.parts) == "found" and len(answer.dropped) == 2


def test_ids_of_other_providers_are_made_safe_the_same_way_everywhere():
    call = hub.ToolCall("call:1/é", "f", "{}")
    request = hub.Request(
        model="m",
        messages=[hub.Message("assistant", [call]), hub.Message("user", [hub.ToolResult("call:1/é", [hub.Text("x")])])],
    )
    body = anthropic.encode_request(request, "claude", Quirks())
    assert body["messages"][0]["content"][0]["id"] == body["messages"][1]["content"][0]["tool_use_id"] == "call_1__"


def test_newer_models_think_adaptively_older_ones_with_a_budget():
    request = hub.Request(
        model="m", messages=[hub.Message("user", [hub.Text("x")])], reasoning=hub.Reasoning("high"), max_tokens=100
    )
    assert anthropic.encode_request(request, "claude-opus-4-7", Quirks())["output_config"] == {"effort": "high"}
    older = anthropic.encode_request(request, "claude-sonnet-4-5", Quirks())
    assert older["thinking"]["budget_tokens"] < older["max_tokens"]


def test_schemas_are_closed_at_every_level():
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
    closed = anthropic.close_objects(schema)
    assert (
        closed["additionalProperties"] is False and closed["properties"]["a"]["items"]["additionalProperties"] is False
    )


def test_results_of_tools_come_first_in_a_turn():
    request = hub.Request(
        model="m", messages=[hub.Message("user", [hub.Text("and"), hub.ToolResult("1", [hub.Text("x")])])]
    )
    blocks = anthropic.encode_request(request, "claude", Quirks())["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["tool_result", "text"]


def test_a_text_file_is_sent_as_text():
    part = hub.Media("file", "text/plain", "aGVsbG8=")
    body = anthropic.encode_request(hub.Request(model="m", messages=[hub.Message("user", [part])]), "claude", Quirks())
    assert body["messages"][0]["content"] == [{"type": "text", "text": "hello"}]


def test_usage_that_makes_no_sense_is_no_usage():
    assert anthropic.Usage(input_tokens=-1, output_tokens=5).tokens() is None
    assert anthropic.usage_of_raw(msgspec.Raw(json.dumps({"input_tokens": "x"}).encode())) is None
