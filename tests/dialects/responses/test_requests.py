"""Responses: requests."""

import pytest
from tests.dialects import golden_cases

from switchgear.dialects import canonical
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.responses import requests
from switchgear.providers.quirks import Quirks


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "background"])
def test_state_of_another_provider_cannot_be_carried(key):
    with pytest.raises(InvalidBodyError) as info:
        requests.decode_request(Node({"input": "x", key: "resp_1"}), "m", False)
    assert info.value.param == key


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("responses"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)


def test_reasoning_that_nothing_follows_is_left_out():
    """ "Item 'rs_…' of type 'reasoning' was provided without its required following item" (error text of responses/create)."""
    thought = canonical.Thinking("hm", "E", maker="openai")
    asked = canonical.Request(
        model="m",
        messages=[
            canonical.Message("assistant", [canonical.Text("a"), thought]),
            canonical.Message("user", [canonical.Text("x")]),
        ],
    )
    items = requests.encode_request(asked, "m", Quirks())["input"]
    assert [item["type"] for item in items] == ["message", "message"] and asked.dropped == ["messages.thinking"]


def test_allowed_tools_of_the_provider_have_no_name():
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
    }
    body = {"input": "x", "tools": [{"type": "function", "name": "f"}], "tool_choice": choice}
    assert requests.decode_request(Node(body), "m", False).choice.names == ["f"]


def test_arguments_as_an_object_and_a_file_as_bare_base64_are_read():
    items = [
        {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0="}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": {"x": 1}},
    ]
    messages = requests.decode_request(Node({"input": items}), "m", False).messages
    assert messages[0].parts[0].data == "JVBERi0=" and messages[1].parts[0].arguments == '{"x":1}'
