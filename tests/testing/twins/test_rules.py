"""What is known to be refused, by the rule that says so."""

import json

import pytest

from switchgear.testing.twins import judge

USER = [{"role": "user", "content": "hi"}]
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REFUSED = [
    ("openai", "gpt-4o", {"messages": []}, "openai-messages"),
    ("openai", "gpt-4o", {"messages": USER, "unknown": 1}, "types"),
    ("openai", "gpt-4o", {"messages": [{"role": "assistant", "tool_calls": [CALL]}, *USER]}, "openai-tool-order"),
    ("openai", "gpt-5", {"messages": USER, "temperature": 0.5}, "openai-sampling"),
    ("openai", "gpt-5", {"messages": USER, "max_tokens": 5}, "openai-sampling"),
    ("openai", "gpt-5-pro", {"messages": USER}, "openai-endpoint"),
    ("openai", "gpt-4o", {"messages": USER, "metadata": {"a": "b"}}, "openai-metadata"),
    (
        "openai",
        "gpt-4o",
        {"messages": USER, "tools": [{"type": "function", "function": {"name": "a.b"}}]},
        "openai-tool-name",
    ),
    (
        "openai",
        "gpt-4o",
        {
            "messages": USER,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        },
        "openai-schema",
    ),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": []}, "anthropic-messages"),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": [{"role": "user", "content": " "}]}, "anthropic-text"),
    (
        "anthropic",
        "claude-opus-4-8",
        {"max_tokens": 5, "messages": USER, "temperature": 0.3},
        "anthropic-sampling",
    ),
    (
        "anthropic",
        "claude-sonnet-4-5",
        {"max_tokens": 5, "messages": USER, "temperature": 0.3, "top_p": 0.3},
        "anthropic-sampling",
    ),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": USER, "tools": [{"name": "f", "input_schema": {"type": "object", "anyOf": []}}]},
        "anthropic-schema",
    ),
    ("gemini", "gemini-2.5-pro", {"contents": []}, "gemini-contents"),
    ("gemini", "gemini-2.5-pro", {"contents": [{"role": "user", "parts": [{}]}]}, "gemini-contents"),
    ("bedrock", "m", {"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, "bedrock-messages"),
    ("bedrock", "m", {"messages": [{"role": "user", "content": [{"text": ""}]}]}, "bedrock-text"),
    ("bedrock", "m", {"messages": [{"role": "user", "content": [{"txt": "a"}]}]}, "types"),
    (
        "bedrock",
        "m",
        {
            "messages": [
                {"role": "user", "content": [{"text": "x"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "x"}]}}]},
            ]
        },
        "bedrock-tool-config",
    ),
    ("cohere", "command-a", {"messages": []}, "cohere-messages"),
]


@pytest.mark.parametrize(("dialect", "model", "body", "rule"), REFUSED, ids=[f"{row[0]}-{row[3]}" for row in REFUSED])
def test_a_request_against_a_rule_is_refused_by_its_name(dialect, model, body, rule):
    if dialect in {"openai", "anthropic", "cohere"}:
        body = {"model": model, **body}
    verdict = judge(dialect, model, json.dumps(body).encode())
    assert verdict is not None and verdict.rule == rule and verdict.status == 400
