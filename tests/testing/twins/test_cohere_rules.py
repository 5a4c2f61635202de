"""What Cohere is known to refuse, by the rule that says so, and what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge

USER = [{"role": "user", "content": "hi"}]

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}


def called(*ids):
    """A turn of OpenAI's chat with calls, and their results."""
    calls = [{**CALL, "id": one} for one in ids]
    return [{"role": "assistant", "tool_calls": calls}, *({**RESULT, "tool_call_id": one} for one in ids)]


REFUSED = [
    ("cohere", "command-a", {"messages": USER, "p": 1}, "cohere-sampling"),
    ("cohere", "command-a", {"messages": [*USER, RESULT]}, "cohere-call-order"),
    ("cohere", "command-a", {"messages": []}, "cohere-messages"),
]

TAKEN = [
    ("cohere", "command-a", {"messages": [*USER, *called("a")], "p": 0.99}),
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
