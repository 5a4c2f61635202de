"""Openai: answers."""

import pytest

from switchgear.dialects import canonical
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.openai import answers, requests


def test_signed_thinking_survives_a_chat_client():
    answer = canonical.Answer(parts=[canonical.Thinking("hm", "sig", maker="anthropic"), canonical.Text("x")])
    message = answers.encode_answer(answer, "m", 1)["choices"][0]["message"]
    request = requests.decode_request(Node({"messages": [message]}), "m", False)
    thought = request.messages[0].parts[0]
    assert (thought.text, thought.signature, thought.maker) == ("hm", "sig", "anthropic")


def answered(finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return Node({"id": "1", "choices": [choice]})


def test_calls_of_compatible_servers_are_read():
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    found = answers.decode_answer(answered("tool_calls", tool_calls=[call])).parts
    assert found == [canonical.ToolCall("", "f", '{"x":1}')]
    found = answers.decode_answer(answered("function_call", function_call={"name": "f", "arguments": "{}"}))
    assert found.parts == [canonical.ToolCall("", "f", "{}")] and found.finish == "tool_calls"


def test_an_answer_that_broke_off_is_none():
    body = answered("error", content="")
    body.value["choices"][0]["error"] = {"code": 502, "message": "upstream died"}
    with pytest.raises(InvalidBodyError, match="upstream died"):
        answers.decode_answer(body)
