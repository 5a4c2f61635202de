"""What Gemini is known to refuse, by the rule that says so, and what it takes beside it."""

import json

import pytest

from switchgear.testing.twins import judge


def declared(*names, **parameters):
    kept = {"parameters": {"type": "object", **parameters}} if parameters else {}
    return {"contents": [PART], "tools": [{"functionDeclarations": [{"name": name, **kept} for name in names]}]}


PART = {"role": "user", "parts": [{"text": "hi"}]}

CALLED = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}


def responded(name):
    return {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {}}}]}


REFUSED = [
    ("gemini", "gemini-2.5-pro", declared("f", "f"), "gemini-tool-name"),
    ("gemini", "gemini-2.5-pro", declared("f", properties={"a": {"type": "integer", "enum": ["1"]}}), "gemini-schema"),
    ("gemini", "gemini-2.5-pro", declared("f", properties={"a": {"type": "array"}}), "gemini-schema"),
    ("gemini", "gemini-2.5-pro", {"contents": [CALLED, responded("f")]}, "gemini-call-order"),
    ("gemini", "gemini-2.5-pro", {"contents": [PART, CALLED, PART]}, "gemini-call-order"),
    ("gemini", "gemini-2.5-pro", {"contents": [PART, CALLED, responded("g")]}, "gemini-call-order"),
    (
        "gemini",
        "gemini-2.5-pro",
        {"contents": [PART], "generationConfig": {"stopSequences": list("abcdef")}},
        "gemini-sampling",
    ),
    ("gemini", "gemini-2.5-pro", {"contents": []}, "gemini-contents"),
    ("gemini", "gemini-2.5-pro", {"contents": [{"role": "user", "parts": [{}]}]}, "gemini-contents"),
]

TAKEN = [
    ("gemini", "gemini-2.5-pro", {"contents": [PART, CALLED, responded("f")]}),
    ("gemini", "gemini-2.5-pro", declared("f", "g", properties={"a": {"type": "string", "enum": ["1"]}})),
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
