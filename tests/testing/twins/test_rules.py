"""What is known to be refused, by the rule that says so."""

import json

import pytest

from switchgear.testing.twins import judge

USER = [{"role": "user", "content": "hi"}]
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LONG = {**CALL, "id": "a" * 65}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}


def function(**more):
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, **more}}


def called(*ids):
    """A turn of OpenAI's chat with calls, and their results."""
    calls = [{**CALL, "id": one} for one in ids]
    return [{"role": "assistant", "tool_calls": calls}, *({**RESULT, "tool_call_id": one} for one in ids)]


def used(*ids):
    """The same at Anthropic."""
    calls = [{"type": "tool_use", "id": one, "name": "f", "input": {}} for one in ids]
    results = [{"type": "tool_result", "tool_use_id": one, "content": "x"} for one in ids]
    return [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]


def tool_of_claude(**schema):
    return {"name": "f", "input_schema": {"type": "object", **schema}}


def declared(*names, **parameters):
    kept = {"parameters": {"type": "object", **parameters}} if parameters else {}
    return {"contents": [PART], "tools": [{"functionDeclarations": [{"name": name, **kept} for name in names]}]}


PART = {"role": "user", "parts": [{"text": "hi"}]}
HERE = {"role": "user", "content": [{"text": "hi"}]}
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}


def conversed(calls, results, **more):
    """Calls and results on Converse, by their ids."""
    asked = {"role": "assistant", "content": [{"toolUse": {"toolUseId": i, "name": "f", "input": {}}} for i in calls]}
    told = [{"toolResult": {"toolUseId": i, "content": [{"text": "x"}]}} for i in results]
    messages = [HERE, asked, {"role": "user", "content": told or [{"text": "x"}]}]
    return {"messages": messages, "toolConfig": {"tools": [SPEC]}, **more}


MARK = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
CALLED = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}


def responded(name):
    return {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {}}}]}


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
    ("cohere", "command-a", {"messages": USER, "p": 1}, "cohere-sampling"),
    ("cohere", "command-a", {"messages": [*USER, RESULT]}, "cohere-call-order"),
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
    if dialect in {"openai", "responses", "anthropic", "cohere"}:
        body = {"model": model, **body}
    verdict = judge(dialect, model, json.dumps(body).encode())
    assert verdict is not None and verdict.rule == rule and verdict.status == 400


TAKEN = [
    ("openai", "gpt-4o", {"messages": [*USER, *called("a" * 64), *called("a" * 64)]}),
    ("openai", "gpt-4o", {"messages": USER, "tools": [function(strict=True, parameters=CLOSED)] * 128}),
    (
        "openai",
        "gpt-4o",
        {"messages": [{"role": "user", "content": "as JSON"}], "response_format": {"type": "json_object"}},
    ),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": [*USER, *used("a"), *used("a")]}),
    ("anthropic", "claude-x", {"max_tokens": 5, "messages": USER, "system": [MARK] * 4}),
    ("anthropic", "claude-sonnet-4-5", {"max_tokens": 5, "messages": [*USER, {"role": "assistant", "content": "{"}]}),
    (
        "anthropic",
        "claude-x",
        {"max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": " "}, MARK]}]},
    ),
    ("gemini", "gemini-2.5-pro", {"contents": [PART, CALLED, responded("f")]}),
    ("gemini", "gemini-2.5-pro", declared("f", "g", properties={"a": {"type": "string", "enum": ["1"]}})),
    ("bedrock", "m", conversed(["a.b:c", "d"], ["d", "a.b:c"])),
    ("cohere", "command-a", {"messages": [*USER, *called("a")], "p": 0.99}),
]


@pytest.mark.parametrize(("dialect", "model", "body"), TAKEN, ids=[f"{row[0]}-{n}" for n, row in enumerate(TAKEN)])
def test_a_request_that_keeps_a_rule_at_its_edge_is_taken(dialect, model, body):
    if dialect in {"openai", "responses", "anthropic", "cohere"}:
        body = {"model": model, **body}
    assert judge(dialect, model, json.dumps(body).encode()) is None
