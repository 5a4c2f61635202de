"""Calls and results of odd histories beside what providers demand of them."""

import json

import pytest

from switchgear.dialects import canonical
from switchgear.dialects.pairs import NO_RESULT, ORPHAN, Ids, pair
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks
from switchgear.testing.twins import judge

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
TARGETS = [
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-pro"),
    ("bedrock", "anthropic.claude-sonnet-4-5-v1:0"),
    ("responses", "gpt-5.6"),
    ("cohere", "command-a"),
]
PLAIN = Quirks()
LONG = "toolu_" + "a" * 70


def call(call_id, arguments="{}"):
    return {"id": call_id, "type": "function", "function": {"name": "look", "arguments": arguments}}


def result(call_id, content="ok"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def calls(*ids):
    return {"role": "assistant", "content": None, "tool_calls": [call(one) for one in ids]}


USER = {"role": "user", "content": "go"}
ODD = {
    "one of two is answered": [USER, calls("a", "b"), result("a"), USER],
    "none is answered": [USER, calls("a"), USER],
    "the last turn calls": [USER, calls("a")],
    "a result without its call": [result("gone", "sunny"), USER],
    "a result behind another turn": [
        USER,
        calls("a", "b"),
        result("a"),
        {"role": "assistant", "content": "hm"},
        result("b"),
    ],
    "a result told twice": [USER, calls("a"), result("a"), result("a", "again")],
    "one id in two turns": [USER, calls("call_0"), result("call_0"), calls("call_0"), result("call_0", "two")],
    "one id twice in a turn": [USER, calls("a", "a"), result("a", "one"), result("a", "two")],
    "ids too long and alike": [USER, calls(LONG + "1", LONG + "2"), result(LONG + "1"), result(LONG + "2")],
    "ids of odd characters": [USER, calls("a.b/é", "a_b/é"), result("a.b/é"), result("a_b/é")],
    "no ids": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "content": "ok"},
    ],
}


def crossed(body, client, target, model, quirks=PLAIN):
    request = parse(json.dumps(body).encode(), client, "chat")
    body = open_translation(request, client, target, model, quirks, created=1).body
    return body if isinstance(body, bytes) else b"".join(body)


@pytest.mark.parametrize(("target", "model"), TARGETS, ids=[target for target, _ in TARGETS])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_history_of_calls_is_taken_by_every_provider(name, target, model):
    sent = crossed({"model": "m", "messages": ODD[name], "tools": [TOOL]}, "openai", target, model)
    assert judge(target, model, sent) is None


def anthropic(messages):
    """The same history as an Anthropic client tells it."""
    turns = []
    for message in messages:
        role = "user" if message["role"] == "tool" else message["role"]
        blocks = [
            {"type": "tool_use", "id": one.get("id", ""), "name": "look", "input": {}}
            for one in message.get("tool_calls") or ()
        ]
        if message["role"] == "tool":
            blocks = [
                {"type": "tool_result", "tool_use_id": message.get("tool_call_id", ""), "content": message["content"]}
            ]
        elif message["content"]:
            blocks = [{"type": "text", "text": message["content"]}]
        turns.append({"role": role, "content": blocks})
    return {
        "model": "m",
        "max_tokens": 9,
        "messages": turns,
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    }


@pytest.mark.parametrize("name", ODD)
def test_an_odd_history_of_an_anthropic_client_is_taken_by_openai(name):
    """Ids: "string too long. Expected a string with maximum length 40" (agno#5382, opencode#12653)."""
    sent = crossed(anthropic(ODD[name]), "anthropic", "openai", "gpt-4o")
    assert judge("openai", "gpt-4o", sent) is None
    ids = [message["tool_call_id"] for message in json.loads(sent)["messages"] if message["role"] == "tool"]
    assert len(set(ids)) == len(ids) and all(0 < len(one) <= 40 for one in ids)


def paired(*messages):
    return pair(list(messages), Ids(chars_max=64), False)


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_told():
    turns = paired(
        canonical.Message("user", [canonical.ToolResult("gone", [canonical.Text("sunny")])]),
        canonical.Message("assistant", [canonical.ToolCall("a", "f", "{}")]),
        canonical.Message("user", [canonical.Text("go on")]),
    )
    assert turns[0].parts == [canonical.Text(f"{ORPHAN}\nsunny")]
    assert turns[2].parts == [
        canonical.ToolResult("a", [canonical.Text(NO_RESULT)], "f", is_error=True),
        canonical.Text("go on"),
    ]


def test_results_go_to_the_calls_of_their_turn_when_ids_repeat():
    turns = paired(
        canonical.Message("user", [canonical.Text("x")]),
        canonical.Message("assistant", [canonical.ToolCall("c", "f", "{}")]),
        canonical.Message("user", [canonical.ToolResult("c", [canonical.Text("one")])]),
        canonical.Message("assistant", [canonical.ToolCall("c", "f", "{}")]),
        canonical.Message("user", [canonical.ToolResult("c", [canonical.Text("two")])]),
    )
    first, second = turns[1].parts[0], turns[3].parts[0]
    assert first.id == "c" != second.id
    assert turns[2].parts[0].content == [canonical.Text("one")] and turns[4].parts[0].content == [canonical.Text("two")]
    assert turns[4].parts[0].call_id == second.id


def test_ids_stay_as_they_are_when_the_conversation_grows():
    """A changed id would end the provider's prefix cache."""

    def ids(count):
        history = [canonical.Message("user", [canonical.Text("x")])]
        for number in range(count):
            name = LONG + str(number % 2)
            history += [
                canonical.Message("assistant", [canonical.ToolCall(name, "f", "{}")]),
                canonical.Message("user", [canonical.ToolResult(name, [canonical.Text("r")])]),
            ]
        return [part.id for turn in paired(*history) for part in turn.parts if isinstance(part, canonical.ToolCall)]

    assert ids(6)[:3] == ids(3) and len(set(ids(6))) == 6


@pytest.mark.parametrize("arguments", ["[]", '{"c": "cut', "null", "nonsense"])
def test_arguments_that_are_no_object_become_one(arguments):
    """Servers whose templates read arguments refuse anything else (CLIProxyAPI#5362)."""
    items = [
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a", "name": "look", "arguments": arguments},
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
    ]
    sent = json.loads(crossed({"model": "m", "input": items}, "responses", "openai", "gpt-4o"))
    assert isinstance(json.loads(sent["messages"][1]["tool_calls"][0]["function"]["arguments"]), dict)


def test_mistral_gets_ids_of_nine_and_an_assistant_between_a_result_and_the_user():
    """opencode#1680, zed#37021; docs.mistral.ai "Prefix"."""
    mistral = PROVIDERS["mistral"].quirks
    history = [*ODD["one of two is answered"], {"role": "system", "content": "remember"}]
    body = anthropic(history[:-1])
    body["messages"].append({"role": "system", "content": "remember"})
    sent = json.loads(crossed(body, "anthropic", "openai", "mistral-large", mistral))
    ids = [message["tool_call_id"] for message in sent["messages"] if message["role"] == "tool"]
    assert [one["id"] for one in sent["messages"][1]["tool_calls"]] == ids
    assert all(len(one) == 9 and one.isascii() and one.isalnum() for one in ids)
    assert [message["role"] for message in sent["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
    ]
    prefilled = {"model": "m", "max_tokens": 9, "messages": [USER, {"role": "assistant", "content": "{"}]}
    assert (
        json.loads(crossed(prefilled, "anthropic", "openai", "mistral-large", mistral))["messages"][-1]["prefix"]
        is True
    )
    assert "prefix" not in json.loads(crossed(prefilled, "anthropic", "openai", "gpt-4o"))["messages"][-1]
