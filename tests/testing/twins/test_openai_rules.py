"""What OpenAI is known to refuse, by the rule that says so, and what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge

USER = [{"role": "user", "content": "hi"}]

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}


def function(**more):
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, **more}}


def called(*ids):
    """A turn of OpenAI's chat with calls, and their results."""
    calls = [{**CALL, "id": one} for one in ids]
    return [{"role": "assistant", "tool_calls": calls}, *({**RESULT, "tool_call_id": one} for one in ids)]


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

REFUSED = [
    ("openai", "gpt-4o", {"messages": [*USER, *called("a" * 65)]}, "openai-call-id"),
    ("openai", "gpt-4o", {"messages": [*USER, *called("a", "a")[:2]]}, "openai-call-id"),
    ("openai", "gpt-4o", {"messages": USER, "tools": [function()] * 129}, "openai-tool-count"),
    ("openai", "gpt-4o", {"messages": USER, "tool_choice": "auto"}, "openai-tool-choice"),
    ("openai", "gpt-4o", {"messages": USER, "tools": [function(strict=True)]}, "openai-strict-schema"),
    (
        "openai",
        "gpt-4o",
        {
            "messages": USER,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "s", "strict": True, "schema": {**CLOSED, "required": []}},
            },
        },
        "openai-strict-schema",
    ),
    ("openai", "gpt-4o", {"messages": USER, "stop": list("abcde")}, "openai-sampling"),
    ("openai", "gpt-4o", {"messages": USER, "response_format": {"type": "json_object"}}, "openai-json-mode"),
    ("openai", "gpt-4o", {"messages": USER, "store": True, "metadata": {"a": "b" * 513}}, "openai-metadata"),
    (
        "responses",
        "gpt-4o",
        {"input": [{"type": "function_call", "call_id": "a" * 65, "name": "f", "arguments": "{}"}]},
        "responses-call-id",
    ),
    (
        "responses",
        "gpt-4o",
        {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}] * 2},
        "responses-call-id",
    ),
    (
        "responses",
        "gpt-4o",
        {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]},
        "responses-order",
    ),
    ("responses", "gpt-4o", {"input": "hi", "text": {"format": {"type": "json_object"}}}, "openai-json-mode"),
    ("openai", "gpt-4o", {"messages": []}, "openai-messages"),
    ("openai", "gpt-4o", {"messages": USER, "unknown": 1}, "types"),
    ("openai", "gpt-4o", {"messages": [{"role": "assistant", "tool_calls": [CALL]}, *USER]}, "openai-tool-order"),
    ("openai", "gpt-5", {"messages": USER, "temperature": 0.5}, "openai-sampling"),
    ("openai", "gpt-5.5", {"messages": USER, "temperature": 0.5, "reasoning_effort": "low"}, "openai-sampling"),
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
]

TAKEN = [
    ("openai", "gpt-4o", {"messages": [*USER, *called("a" * 64), *called("a" * 64)]}),
    ("openai", "gpt-4o", {"messages": USER, "tools": [function(strict=True, parameters=CLOSED)] * 128}),
    (
        "openai",
        "gpt-4o",
        {"messages": [{"role": "user", "content": "as JSON"}], "response_format": {"type": "json_object"}},
    ),
]


@pytest.mark.parametrize(
    ("dialect", "model", "body", "rule"), REFUSED, ids=[f"{row[3]}-{n}" for n, row in enumerate(REFUSED)]
)
def test_a_request_against_a_rule_is_refused_by_its_name(dialect, model, body, rule):
    body = {"model": model, **body}
    verdict = judge(dialect, model, json.dumps(body).encode())
    assert verdict is not None and verdict.rule == rule and verdict.status == 400


@pytest.mark.parametrize(("dialect", "model", "body"), TAKEN)
def test_a_request_that_keeps_a_rule_at_its_edge_is_taken(dialect, model, body):
    body = {"model": model, **body}
    assert judge(dialect, model, json.dumps(body).encode()) is None
