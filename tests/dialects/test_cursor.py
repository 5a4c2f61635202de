"""Cursor's bodies on the path of chat."""

import json

from switchgear.dialects.request_reader import parse


def test_cursors_body_is_read_as_what_it_is():
    assert parse(b'{"model":"m","input":"hi"}', "openai", "chat").dialect == "responses"


def test_flat_tools_are_put_into_chats_shape_and_noted():
    flat = {"type": "function", "name": "run", "description": "d", "parameters": {"type": "object"}, "strict": True}
    body = {
        "model": "m",
        "messages": [],
        "tools": [flat, {"type": "custom", "custom": {"name": "x"}}],
        "tool_choice": {"type": "function", "name": "run"},
    }
    asked = parse(json.dumps(body).encode(), "openai", "chat")
    tools = json.loads(bytes(asked.fields["tools"]))
    assert tools[0] == {"type": "function", "function": {key: value for key, value in flat.items() if key != "type"}}
    assert tools[1] == {"type": "custom", "custom": {"name": "x"}}
    assert json.loads(bytes(asked.fields["tool_choice"])) == {"type": "function", "function": {"name": "run"}}
    assert asked.tags == ["quirk=flat-tools"]


def test_tools_in_chats_shape_stay_as_they_came():
    raw = b'{"model":"m","messages":[],"tools":[ {"type":"function" , "function" : {"name":"run"}} ]}'
    asked = parse(raw, "openai", "chat")
    assert (
        bytes(asked.fields["tools"]) == b'[ {"type":"function" , "function" : {"name":"run"}} ]' and asked.tags is None
    )
