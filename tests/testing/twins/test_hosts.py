"""What hosts, routers and servers of one's own refuse, each with what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge_at
from switchgear.testing.twins.hosts import is_json_object

USER = {"role": "user", "content": "hi"}
CALL = {"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "abcDEF123", "content": "x"}
THOUGHT = {**CALLS, "reasoning_content": ""}


def tool(**more):
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, **more}}


GIF = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA=="}}]}
PNG = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
PREFILL = [USER, {"role": "assistant", "content": "{"}]


CASES = [
    ("together", "m", {"messages": [USER], "stop": "x"}, "together-shapes"),
    ("together", "m", {"messages": [USER], "stop": ["x"], "temperature": 0.5}, None),
    ("fireworks", "m", {"messages": [USER], "logprobs": True, "store": True}, "fireworks-fields"),
    ("fireworks", "m", {"messages": [USER, {**CALLS, "reasoning": "t"}, RESULT]}, "fireworks-fields"),
    ("fireworks", "m", {"messages": [USER, THOUGHT, RESULT], "seed": 1}, None),
    ("openrouter", "anthropic/claude-opus-4.6", {"messages": PREFILL}, "openrouter-routed"),
    ("openrouter", "anthropic/claude-opus-4.5", {"messages": PREFILL}, None),
    (
        "openrouter",
        "m",
        {"messages": [USER], "reasoning": {"effort": "low", "max_tokens": 99}},
        "openrouter-reasoning",
    ),
    ("ollama", "m", {"messages": [GIF]}, "ollama-messages"),
    ("ollama", "m", {"messages": [PNG], "reasoning_effort": "minimal"}, "ollama-messages"),
    ("ollama", "m", {"messages": [PNG, CALLS, RESULT], "reasoning_effort": "high"}, None),
    ("ollama", "m", {"messages": [USER, {"role": "assistant", "content": None}]}, "ollama-messages"),
    ("vllm", "m", {"messages": [USER], "tools": []}, "vllm-tools"),
    ("vllm", "m", {"messages": [USER], "tool_choice": "auto"}, "vllm-tools"),
    (
        "vllm",
        "m",
        {"messages": [USER], "tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "vllm-tools",
    ),
    ("vllm", "m", {"messages": [USER], "stream_options": {"include_usage": True}}, "vllm-stream"),
    ("vllm", "m", {"messages": [USER], "tools": [tool()], "tool_choice": "required"}, None),
]


@pytest.mark.parametrize(("provider", "model", "body", "rule"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_a_provider_refuses_by_its_own_rule_and_takes_what_keeps_it(provider, model, body, rule):
    verdict = judge_at(provider, "openai", model, json.dumps({"model": model, **body}).encode())
    assert (verdict.rule if verdict is not None else None) == rule


@pytest.mark.parametrize(("text", "is_object"), [("{}", True), ("[]", False), ("{", False), (None, False)])
def test_arguments_of_a_call_are_an_object(text, is_object):
    assert is_json_object(text) == is_object


def refused(provider, model, **body):
    return judge_at(provider, "openai", model, json.dumps({"model": model, **body}).encode()).body


def test_errors_have_the_providers_own_shape():
    error = refused("openrouter", "anthropic/claude-opus-4.6", messages=PREFILL)["error"]
    assert error["message"] == "Provider returned error"
    assert "assistant message prefill" in json.loads(error["metadata"]["raw"])["error"]["message"]
    both = {"effort": "low", "max_tokens": 9}
    assert refused("openrouter", "m", messages=[USER], reasoning=both)["error"]["code"] == 400
    assert refused("vllm", "m", messages=[USER], tools=[])["error"]["type"] == "BadRequestError"
    assert refused("together", "m", messages=[USER], stop="x")["error"]["type"] == "invalid_request_error"
