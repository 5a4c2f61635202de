"""What Bedrock's Converse is known to refuse, by the rule that says so, and what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge

HERE = {"role": "user", "content": [{"text": "hi"}]}

SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}


def conversed(calls, results, **more):
    """Calls and results on Converse, by their ids."""
    asked = {"role": "assistant", "content": [{"toolUse": {"toolUseId": i, "name": "f", "input": {}}} for i in calls]}
    told = [{"toolResult": {"toolUseId": i, "content": [{"text": "x"}]}} for i in results]
    messages = [HERE, asked, {"role": "user", "content": told or [{"text": "x"}]}]
    return {"messages": messages, "toolConfig": {"tools": [SPEC]}, **more}


REFUSED = [
    ("bedrock", "m", conversed(["a", "b"], ["a"]), "bedrock-call-order"),
    ("bedrock", "m", conversed(["a"], ["a", "a"]), "bedrock-call-order"),
    ("bedrock", "m", conversed(["a"], ["a", "b"]), "bedrock-call-order"),
    ("bedrock", "m", conversed(["a" * 65], ["a" * 65]), "types"),
    ("bedrock", "m", conversed(["a b"], ["a b"]), "types"),
    (
        "bedrock",
        "m",
        {"messages": [{"role": "user", "content": [{"document": {"name": "a", "source": {"text": "x"}}}]}]},
        "bedrock-document",
    ),
    (
        "bedrock",
        "us.anthropic.claude-opus-4-6-v1",
        {"messages": [HERE, {"role": "assistant", "content": [{"text": "{"}]}]},
        "bedrock-claude",
    ),
    (
        "bedrock",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        {"messages": [HERE], "inferenceConfig": {"temperature": 0.5, "topP": 0.5}},
        "bedrock-claude",
    ),
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
]

TAKEN = [
    ("bedrock", "m", conversed(["a.b:c", "d"], ["d", "a.b:c"])),
]


@pytest.mark.parametrize(
    ("dialect", "model", "body", "rule"), REFUSED, ids=[f"{row[3]}-{n}" for n, row in enumerate(REFUSED)]
)
def test_a_request_against_a_rule_is_refused_by_its_name(dialect, model, body, rule):
    verdict = judge(dialect, model, json.dumps(body).encode())
    assert verdict is not None and verdict.rule == rule and verdict.status == 400


@pytest.mark.parametrize(("dialect", "model", "body"), TAKEN)
def test_a_request_that_keeps_a_rule_at_its_edge_is_taken(dialect, model, body):
    assert judge(dialect, model, json.dumps(body).encode()) is None
