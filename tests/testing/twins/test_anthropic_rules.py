"""What Anthropic is known to refuse, by the rule that says so, and what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge

USER = [{"role": "user", "content": "hi"}]


def used(*ids):
    """The same at Anthropic."""
    calls = [{"type": "tool_use", "id": one, "name": "f", "input": {}} for one in ids]
    results = [{"type": "tool_result", "tool_use_id": one, "content": "x"} for one in ids]
    return [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]


def tool_of_claude(**schema):
    return {"name": "f", "input_schema": {"type": "object", **schema}}


MARK = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}

THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000}

REFUSED = [
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": [*USER, *used("a", "a")]}, "anthropic-call-id"),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": [*USER, *used("a.b")]}, "anthropic-call-id"),
    (
        "anthropic",
        "claude-sonnet-4-6",
        {"max_tokens": 5, "messages": [*USER, {"role": "assistant", "content": "{"}]},
        "anthropic-prefill",
    ),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": USER, "system": [MARK] * 5}, "anthropic-marks"),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": USER, "tools": [tool_of_claude(properties={"filter[a]": {}})]},
        "anthropic-property",
    ),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": USER, "tools": [{**tool_of_claude(), "strict": True}]},
        "anthropic-output-schema",
    ),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": USER, "tools": [tool_of_claude()] * 2},
        "anthropic-tool-name",
    ),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": USER, "temperature": 1.5}, "anthropic-sampling"),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": USER, "stop_sequences": ["\n"]}, "anthropic-sampling"),
    ("anthropic", "claude-x", {"messages": [*USER, *used("a")], **THINKING}, "anthropic-thinking"),
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
]

TAKEN = [
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": [*USER, *used("a"), *used("a")]}),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": USER, "system": [MARK] * 4}),
    ("anthropic", "claude-sonnet-4-5", {"max_tokens": 5, "messages": [*USER, {"role": "assistant", "content": "{"}]}),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": " "}, MARK]}]},
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
