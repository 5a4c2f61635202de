"""OpenAI responses: Codex, state, and the order of a stream's events."""

import json

import msgspec
import pytest

from switchgear.dialects import hub, responses
from switchgear.dialects.shape import InvalidBodyError, Node


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "background"])
def test_state_of_another_provider_cannot_be_carried(key):
    with pytest.raises(InvalidBodyError) as info:
        responses.decode_request(Node({"input": "x", key: "resp_1"}), "m", False)
    assert info.value.param == key


def test_codexs_freeform_tools_go_and_come_back():
    body = Node({"input": "x", "tools": [{"type": "custom", "name": "apply_patch", "description": "patch"}]})
    assert responses.custom_tools(body) == {"apply_patch"}
    answer = hub.Answer(id="1", parts=[hub.ToolCall("c", "apply_patch", '{"input":"*** Begin"}')], finish="tool_calls")
    item = responses.encode_answer(answer, "m", 1, frozenset({"apply_patch"}))["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin")
    encoder = responses.StreamEncoder("m", 1, True, frozenset({"apply_patch"}))
    out = b"".join(encoder.encode(event) for event in hub.events_of(answer))
    assert b"response.custom_tool_call_input.done" in out and b"function_call_arguments" not in out


def events(answer):
    encoder = responses.StreamEncoder("m", 1, True)
    out = b"".join(encoder.encode(event) for event in hub.events_of(answer))
    return [json.loads(line[6:]) for line in out.decode().splitlines() if line.startswith("data: ")]


def test_a_streams_events_are_numbered_and_bracketed():
    found = events(
        hub.Answer(id="1", parts=[hub.Thinking("hm", "sig", maker="anthropic"), hub.Text("x"), hub.Refusal("no")])
    )
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 3
    done = [event["item"]["id"] for event in found if event["type"] == "response.output_item.done"]
    added = [event["item"]["id"] for event in found if event["type"] == "response.output_item.added"]
    assert added == done and len(set(done)) == 3
    assert [item["id"] for item in found[-1]["response"]["output"]] == done


def test_an_answer_that_was_cut_off_is_incomplete():
    found = events(hub.Answer(id="1", parts=[hub.Text("x")], finish="length"))
    assert found[-1]["type"] == "response.incomplete"
    assert found[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_failed_response_is_no_answer():
    body = {"status": "failed", "error": {"code": "server_error", "message": "sorry"}, "output": []}
    with pytest.raises(InvalidBodyError, match="sorry"):
        responses.decode_answer(Node(body))


def test_usage_splits_totals():
    usage = responses.usage_of_raw(
        msgspec.Raw(
            b'{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5}}'
        )
    )
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (6, 4, 2, 5)
