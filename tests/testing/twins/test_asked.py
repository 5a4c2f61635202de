"""What requests ask: the same conversation written by hand in every dialect."""

import pytest

from switchgear.testing.twins import asked
from switchgear.testing.twins.asked import Asked
from switchgear.testing.twins.said import Call

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
PNG = "data:image/png;base64,AAAA"
REQUESTS = {
    "openai": {
        "messages": [
            {"role": "system", "content": "be kind"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": PNG}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "21"},
        ],
        "tools": [FUNCTION],
    },
    "responses": {
        "instructions": "be kind",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": PNG}],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "21"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
    },
    "anthropic": {
        "system": "be kind",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "21"}]},
        ],
        "tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}],
    },
    "gemini": {
        "system_instruction": {"parts": [{"text": "be kind"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"function_call": {"id": "c1", "name": "f", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": "21"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    },
    "bedrock": {
        "system": [{"text": "be kind"}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "21"}]}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]},
    },
    "cohere": {
        "messages": [
            {"role": "system", "content": "be kind"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": PNG}}],
            },
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "document", "document": {"data": "21"}}]},
        ],
        "tools": [FUNCTION],
    },
}


@pytest.mark.parametrize("dialect", REQUESTS)
def test_one_request_in_every_dialect_asks_the_same(dialect):
    wanted = Asked(("be kind", "hi"), (Call("c1", "f", {"a": 1}),), (("c1", "21"),), ("f",), 1)
    assert asked.READERS[dialect](REQUESTS[dialect]) == wanted


def test_results_in_json_are_compared_by_their_values():
    as_text = {"messages": [{"role": "tool", "tool_call_id": "c", "content": '{"a": 1, "b": ["x"]}'}]}
    part = {"functionResponse": {"id": "c", "name": "f", "response": {"a": 1, "b": ["x"]}}}
    assert asked.openai(as_text).results == asked.gemini({"contents": [{"parts": [part]}]}).results == (("c", "1x"),)
