"""Translated requests beside twins that refuse what the real providers refuse."""

import itertools
import json

import msgspec
import pytest

from switchgear.dialects import hub
from switchgear.dialects.fitting import CONTINUED, fit
from switchgear.dialects.model_facts import UNKNOWN
from switchgear.dialects.passage import open_passage
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.shape import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks
from switchgear.testing import recordings
from switchgear.testing.twins import judge

MODELS = {
    "openai": ("gpt-4o", "gpt-5"),
    "anthropic": ("claude-sonnet-4-5", "claude-opus-4-8"),
    "gemini": ("gemini-2.5-flash", "gemini-3-pro"),
    "bedrock": ("anthropic.claude-sonnet-4-5-v1:0",),
    "cohere": ("command-a",),
    "responses": ("gpt-5.6",),
}
TARGETS = [(dialect, model) for dialect, models in MODELS.items() for model in models]
LONG = "mcp__" + "x" * 140
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def crossed(body, dialect, target, model):
    """A client's body in a provider's dialect: (passage, body)."""
    in_path = dialect in {"gemini", "bedrock"}
    request = parse(json.dumps(body).encode(), dialect, "chat", "m" if in_path else None, False if in_path else None)
    passage = open_passage(request, dialect, target, model, Quirks(), created=1)
    body = passage.body
    return passage, body if isinstance(body, bytes) else b"".join(body)


def chat(*messages, **more):
    return {"model": "m", "messages": [{"role": role, "content": content} for role, content in messages], **more}


def called(name, result="x", **more):
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": result},
    ]
    return {"model": "m", "messages": messages, **more}


def tool(name="f", **schema):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


ODD = {
    "empty system": chat(("system", ""), ("user", "x")),
    "blank system": chat(("system", "  "), ("user", "x")),
    "blank user": chat(("user", "x"), ("assistant", "y"), ("user", " \n")),
    "system alone": chat(("system", "s")),
    "assistant first": chat(("assistant", "a"), ("user", "x")),
    "blank assistant": chat(("user", "x"), ("assistant", ""), ("user", "y")),
    "prefill with white space": chat(("user", "x"), ("assistant", "y ")),
    "history of tools, none declared": called("look"),
    "empty result": called("look", "", tools=[TOOL]),
    "long name": called(LONG, tools=[tool(LONG, type="object", properties={})]),
    "name with a dot": called("a.b", tools=[tool("a.b", type="object", properties={})]),
    "schema without a type": chat(("user", "x"), tools=[tool()]),
    "schema without properties": chat(("user", "x"), tools=[tool(type="object")]),
    "combinator at the top": chat(
        ("user", "x"),
        tools=[tool(type="object", properties={"a": {"type": "string"}}, anyOf=[{"required": ["a"]}])],
    ),
    "sampling": chat(("user", "x"), temperature=0.7, top_p=0.9, stop=["END"]),
    "effort": chat(("user", "x"), reasoning_effort="high", tools=[TOOL]),
    "output with bounds": chat(
        ("user", "x"),
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "s",
                "schema": {
                    "type": "object",
                    "properties": {
                        "minimum": {"type": "integer", "minimum": 1},
                        "o": {"type": "object", "additionalProperties": True},
                    },
                },
            },
        },
    ),
    "jpg": chat(
        ("user", [{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/4AAQ"}}]),
    ),
}


@pytest.mark.parametrize(("target", "model"), TARGETS, ids=[model for _, model in TARGETS])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_of_a_chat_client_is_taken_by_every_provider(name, target, model):
    if target == "openai":
        pytest.skip("the same dialect passes as it is")
    if name == "jpg" and target == "cohere":
        pytest.skip("cohere's command-a takes pictures by URL; not judged")
    _, body = crossed(ODD[name], "openai", target, model)
    assert judge(target, model, body) is None


@pytest.mark.parametrize("model", MODELS["openai"])
@pytest.mark.parametrize("name", [name for name in ODD if name != "history of tools, none declared"])
def test_an_odd_request_of_an_anthropic_client_is_taken_by_openai(name, model):
    asked = BY_NAME["openai"].translator.decode_request(Node(ODD[name]), "m", False)
    body = json.loads(msgspec.json.encode(BY_NAME["anthropic"].translator.encode_request(asked, "m", Quirks())))
    _, sent = crossed(body, "anthropic", "openai", model)
    assert judge("openai", model, sent) is None


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_recorded_requests_crossed_into_every_dialect_are_taken():
    """What cannot be carried is refused by name (InvalidBodyError); all else must be taken. Videos by URL are for
    compatible servers that read them, never OpenAI."""
    refused, count = {}, 0
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        if dialect is None or one.status >= 400:
            continue
        for target, model in TARGETS:
            if target == dialect:
                continue
            try:
                _, body = crossed(one.request, dialect, target, model)
            except InvalidBodyError:
                continue
            count += 1
            verdict = judge(target, model, body)
            if verdict is not None and b"video_url" not in body:
                refused[one.id, target, model] = verdict
    assert count > 4_000
    assert refused == {}


def test_names_are_mapped_back_in_answers_and_streams():
    passage, body = crossed(ODD["long name"], "openai", "bedrock", "m")
    short = json.loads(body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(short) <= 64 and json.loads(body)["messages"][1]["content"][0]["toolUse"]["name"] == short
    answer = hub.Answer(id="1", parts=[hub.ToolCall("b", short, "{}")], finish="tool_calls")
    plain = passage.answer(msgspec.json.encode(BY_NAME["bedrock"].translator.encode_answer(answer, "m", 1)))
    assert json.loads(plain)["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == LONG
    encoder = BY_NAME["bedrock"].translator.encoder("m", 1, True)
    meter = passage.meter()
    out = meter.feed(b"".join(encoder.encode(event) for event in hub.events_of(answer)))
    assert LONG.encode() in out and short.encode() + b'"' not in out.replace(LONG.encode(), b"")


def test_a_name_is_shortened_the_same_way_in_every_request_and_two_never_meet():
    def names(*originals):
        request = hub.Request(
            model="m", messages=[hub.Message("user", [hub.Text("x")])], tools=[hub.Tool(n) for n in originals]
        )
        fit(request, BY_NAME["openai"].fit, UNKNOWN)
        return [each.name for each in request.tools]

    first = names(LONG)[0]
    assert names("other", LONG)[1] == first
    for one, two in itertools.permutations(["a.b", "a_b", "a b"], 2):
        assert len(set(names(one, two))) == 2


def test_what_is_left_out_is_named():
    passage, _ = crossed(ODD["combinator at the top"], "openai", "anthropic", "claude-sonnet-4-5")
    assert "tools.f.anyOf" in passage.dropped
    passage, _ = crossed(ODD["sampling"], "openai", "anthropic", "claude-opus-4-8")
    assert {"temperature", "top_p"} <= set(passage.dropped)


def test_instructions_alone_are_what_is_asked():
    _, body = crossed(ODD["system alone"], "openai", "anthropic", "claude-sonnet-4-5")
    assert json.loads(body)["messages"][0]["content"][0]["text"] == "s"


def test_an_assistant_that_begins_gets_a_turn_before_it():
    _, body = crossed(ODD["assistant first"], "openai", "bedrock", "m")
    assert json.loads(body)["messages"][0] == {"role": "user", "content": [{"text": CONTINUED}]}


def test_a_picture_of_an_unread_type_is_refused_with_what_is_read():
    body = chat(("user", [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}]))
    with pytest.raises(InvalidBodyError, match="image/jpeg"):
        crossed(body, "openai", "anthropic", "claude-sonnet-4-5")


def test_thinking_goes_back_to_makers_that_want_it():
    body = {
        "model": "m",
        "max_tokens": 50,
        "messages": [
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hmm", "signature": ""},
                    {"type": "tool_use", "id": "t", "name": "look", "input": {}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
        ],
    }
    for model, expected in (("deepseek-v4", "hmm"), ("kimi-k3", "hmm"), ("gpt-4o", None)):
        _, sent = crossed(body, "anthropic", "openai", model)
        assert json.loads(sent)["messages"][1].get("reasoning_content") == expected


MIDDLE = {
    "model": "m",
    "max_tokens": 9,
    "system": "A",
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "system", "content": "reminder"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ],
}


def test_an_instruction_in_the_middle_keeps_its_place():
    """Moved to the front it would end the provider's prefix cache (litellm#37351)."""
    _, body = crossed(MIDDLE, "anthropic", "openai", "gpt-4o")
    roles = [(message["role"], message["content"]) for message in json.loads(body)["messages"]]
    assert roles == [("system", "A"), ("user", "x"), ("system", "reminder"), ("assistant", "b"), ("user", "c")]
    for target, model in TARGETS:
        if target != "anthropic":
            _, body = crossed(MIDDLE, "anthropic", target, model)
            text = body.decode()
            assert text.index('"x"') < text.index("reminder") < text.index('"b"')
            assert judge(target, model, body) is None


def test_an_instruction_behind_calls_does_not_part_them_from_their_results():
    body = called("look", tools=[TOOL])
    body["messages"].insert(2, {"role": "system", "content": "reminder"})
    for target, model in TARGETS:
        if target != "openai":
            _, sent = crossed(body, "openai", target, model)
            assert judge(target, model, sent) is None and b"reminder" in sent


@pytest.mark.parametrize(
    ("asked", "budget"), [({"reasoning_effort": "none"}, 128), ({"reasoning_effort": "low"}, 2_048), ({}, None)]
)
def test_a_model_that_cannot_be_told_not_to_think_thinks_as_little_as_it_can(asked, budget):
    _, body = crossed(chat(("user", "x"), **asked), "openai", "gemini", "gemini-2.5-pro")
    assert judge("gemini", "gemini-2.5-pro", body) is None
    config = json.loads(body).get("generationConfig", {})
    assert config.get("thinkingConfig", {}).get("thinkingBudget") == budget


def failed_call(text):
    """What Claude Code sends of a command that failed."""
    return {
        "model": "m",
        "max_tokens": 9,
        "tools": [{"name": "Bash", "input_schema": {"type": "object", "properties": {}}}],
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": text}],
            },
        ],
    }


@pytest.mark.parametrize("target", ["openai", "responses", "cohere"])
def test_a_failed_tools_result_says_so_where_the_dialect_has_no_field_for_it(target):
    _, body = crossed(failed_call("exit code 2"), "anthropic", target, "m")
    assert b'"Error: exit code 2"' in body
    for text in ("Error: it broke", "error 7", "<error>x</error>"):
        assert f'"{text}"'.encode() in crossed(failed_call(text), "anthropic", target, "m")[1]


@pytest.mark.parametrize(("target", "field"), [("bedrock", b'"status":"error"'), ("gemini", b'"error":"exit code 2"')])
def test_a_failed_tools_result_is_an_error_where_the_dialect_has_a_field_for_it(target, field):
    _, body = crossed(failed_call("exit code 2"), "anthropic", target, "m")
    assert field in body and b"Error: " not in body


def test_thinking_that_goes_back_without_a_text_stands_beside_an_empty_one():
    """DeepSeek refuses null there (can1357/oh-my-pi#788, read 2026-11-27)."""
    body = failed_call("x")
    body["messages"][1]["content"].insert(0, {"type": "thinking", "thinking": "Hm.", "signature": ""})
    _, sent = crossed(body, "anthropic", "openai", "deepseek-reasoner")
    assistant = json.loads(sent)["messages"][1]
    assert (assistant["content"], assistant["reasoning_content"]) == ("", "Hm.")
