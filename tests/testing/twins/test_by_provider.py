"""What single providers refuse, each with what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge_at

USER = {"role": "user", "content": "hi"}
CALL = {"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "abcDEF123", "content": "x"}
LONG = {**CALLS, "tool_calls": [{**CALL, "id": "call_1"}]}
THOUGHT = {**CALLS, "reasoning_content": ""}


def tool(**more):
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, **more}}


GIF = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA=="}}]}
PNG = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
PREFILL = [USER, {"role": "assistant", "content": "{"}]


CASES = [
    ("azure", "gpt-4o", {"messages": [USER, {**CALLS, "tool_calls": [{**CALL, "id": "a" * 41}]}]}, "openai-tool-order"),
    (
        "azure",
        "gpt-4o",
        {
            "messages": [
                USER,
                {**CALLS, "tool_calls": [{**CALL, "id": "a" * 41}]},
                {**RESULT, "tool_call_id": "a" * 41},
            ]
        },
        "openai-call-id",
    ),
    ("mistral", "m", {"messages": [USER], "tools": [tool(name="a.b")]}, "openai-tool-name"),
    ("mistral", "m", {"messages": [USER], "stream_options": {"include_usage": True}}, "mistral-fields"),
    (
        "mistral",
        "m",
        {"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": "t"}, USER]},
        "mistral-fields",
    ),
    (
        "mistral",
        "m",
        {"messages": [USER, LONG, {**RESULT, "tool_call_id": "call_1"}]},
        "mistral-call-id",
    ),
    ("mistral", "m", {"messages": [USER, CALLS, RESULT, USER]}, "mistral-order"),
    ("mistral", "m", {"messages": [USER, {"role": "assistant", "content": "I"}]}, "mistral-order"),
    ("mistral", "m", {"messages": [USER, {"role": "assistant", "content": "I", "prefix": True}]}, None),
    ("mistral", "m", {"messages": [USER, CALLS, RESULT]}, None),
    ("groq", "m", {"messages": [USER], "logprobs": True}, "groq-fields"),
    ("groq", "m", {"messages": [USER, THOUGHT, RESULT]}, "groq-thinking"),
    ("groq", "m", {"messages": [USER, CALLS, RESULT]}, None),
    ("cerebras", "m", {"messages": [USER], "presence_penalty": 1}, "cerebras-fields"),
    ("cerebras", "m", {"messages": [USER, THOUGHT, RESULT]}, "cerebras-fields"),
    ("cerebras", "m", {"messages": [USER], "tools": [tool(strict=True), tool()]}, "cerebras-strict"),
    ("cerebras", "m", {"messages": [USER], "tools": [tool(strict=True)]}, None),
    ("deepseek", "deepseek-v4-pro", {"messages": [USER, CALLS, RESULT]}, "thinking-back"),
    ("deepseek", "deepseek-v4-pro", {"messages": [USER, THOUGHT, RESULT]}, None),
    (
        "deepseek",
        "deepseek-v4-pro",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}]},
        "deepseek-parts",
    ),
    ("deepseek", "deepseek-chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, None),
    ("moonshot", "kimi-k2.6", {"messages": [USER, CALLS, RESULT]}, "thinking-back"),
    ("xai", "grok-4.3", {"messages": [USER], "stop": ["x"]}, "xai-parameters"),
    ("xai", "grok-4.3", {"messages": [USER], "presence_penalty": 0}, "xai-parameters"),
    ("minimax", "m", {"messages": [USER, {"role": "system", "content": "s"}]}, "minimax-tools"),
    ("minimax", "m", {"messages": [USER], "tools": [{"type": "function", "function": {"name": "f"}}]}, "minimax-tools"),
    ("zai", "glm-5", {"messages": [{"role": "system", "content": "s"}]}, "zai-messages"),
    ("zai", "glm-5", {"messages": [USER]}, None),
]


@pytest.mark.parametrize(("provider", "model", "body", "rule"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_a_provider_refuses_by_its_own_rule_and_takes_what_keeps_it(provider, model, body, rule):
    verdict = judge_at(provider, "openai", model, json.dumps({"model": model, **body}).encode())
    assert (verdict.rule if verdict is not None else None) == rule


def test_errors_have_the_providers_own_shape():
    body = json.dumps({"model": "m", "messages": [USER], "seed": 1}).encode()
    refusal = judge_at("mistral", "openai", "m", body)
    assert refusal.status == 422
    assert refusal.body["message"]["detail"][0] == {
        "type": "extra_forbidden",
        "loc": ["body", "seed"],
        "msg": "Extra inputs are not permitted",
    }
    body = json.dumps({"model": "grok-4", "messages": [USER], "stop": "x"}).encode()
    assert judge_at("xai", "openai", "grok-4", body).body == {
        "code": "Client specified an invalid argument",
        "error": "Argument not supported on this model: stop",
    }


def test_claude_at_vertex_has_its_model_in_the_path_and_its_version_in_the_body():
    body = {"max_tokens": 5, "messages": [USER], "anthropic_version": "vertex-2023-10-16"}
    assert judge_at("vertex-anthropic", "anthropic", "claude-sonnet-4-5", json.dumps(body).encode()) is None
    for bad in ({**body, "model": "claude-sonnet-4-5"}, {"max_tokens": 5, "messages": [USER]}):
        assert (
            judge_at("vertex-anthropic", "anthropic", "claude-sonnet-4-5", json.dumps(bad).encode()).rule
            == "vertex-claude"
        )


def test_gemini_from_3_5_on_wants_the_user_last():
    contents = [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": [{"text": "y"}]}]
    body = json.dumps({"contents": contents}).encode()
    assert judge_at("gemini", "gemini", "gemini-3.5-flash-lite", body).rule == "gemini-last-turn"
    assert judge_at("gemini", "gemini", "gemini-2.5-flash", body) is None
