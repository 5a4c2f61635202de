"""What answers say: values worked out by hand from recorded answers' shapes."""

import pytest

from switchgear.testing.twins import said
from switchgear.testing.twins.said import Call, Said, Tokens

FUNCTION = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
ANSWERS = {
    "openai": {
        "choices": [{"message": {"content": "hi", "tool_calls": [FUNCTION]}, "finish_reason": "tool_calls"}],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    },
    "responses": {
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        ],
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 15,
            "input_tokens_details": {"cached_tokens": 4},
        },
    },
    "anthropic": {
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": 3,
            "output_tokens": 5,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 3,
        },
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hm", "thought": True},
                        {"text": "hi"},
                        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                    ]
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 7,
            "toolUsePromptTokenCount": 3,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 3,
            "cachedContentTokenCount": 4,
        },
    },
    "bedrock": {
        "output": {
            "message": {"content": [{"text": "hi"}, {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]}
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 3},
    },
    "cohere": {
        "message": {"content": [{"type": "text", "text": "hi"}], "tool_calls": [FUNCTION]},
        "finish_reason": "TOOL_CALL",
        "usage": {
            "billed_units": {"input_tokens": 10.0, "output_tokens": 5},
            "tokens": {"input_tokens": 900, "output_tokens": 9},
        },
    },
}


@pytest.mark.parametrize("dialect", ANSWERS)
def test_one_answer_in_every_dialect_says_the_same(dialect):
    cached = 0 if dialect == "cohere" else 4
    assert said.READERS[dialect](ANSWERS[dialect]) == Said(
        "hi", (Call("c1", "f", {"a": 1}),), "tools", Tokens(10, 5, cached)
    )


def test_arguments_that_are_no_json_stay_a_text_and_none_are_no_arguments():
    assert said.arguments_of('{"a":') == '{"a":'
    assert said.arguments_of("") == {} and said.arguments_of(None) == {}


def test_a_call_that_bedrock_runs_itself_is_none_of_the_clients():
    served = {"toolUse": {"toolUseId": "x", "name": "code", "input": {}, "type": "server_tool_use"}}
    message = {"output": {"message": {"content": [served]}}, "stopReason": "end_turn", "usage": {}}
    assert said.bedrock(message).calls == ()
