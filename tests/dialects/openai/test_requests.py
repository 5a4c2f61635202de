"""Openai: requests."""

import json

import msgspec
import pytest
from tests.dialects import golden_cases

from switchgear.dialects import canonical
from switchgear.dialects.json_node import Node
from switchgear.dialects.openai import requests
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks
from switchgear.testing.twins import judge_at

QUIRKS = Quirks()


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("openai"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)


CALL = {"type": "tool_use", "id": "toolu_0123456789", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_0123456789", "content": "21"}
FUNCTION = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}


def asked_of(provider, model, messages, **more):
    """What a provider of the catalogue is asked for a Messages request of Claude Code's kind, and the twin's verdict on it."""
    body = {"model": "m", "max_tokens": 9, "messages": messages, "tools": [FUNCTION], **more}
    request = parse(msgspec.json.encode(body), "anthropic", "chat", None, None)
    sent = open_translation(request, "anthropic", "openai", model, PROVIDERS[provider].quirks, created=1).body
    return json.loads(sent), judge_at(provider, "openai", model, sent)


HISTORIES = {
    "a result and more": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [THOUGHT, CALL]},
        {"role": "user", "content": [RESULT, {"type": "text", "text": "go on"}]},
    ],
    "a reminder in the middle": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [RESULT]},
        {"role": "system", "content": "remember"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "y"},
    ],
    "an answer to go on with": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "Once"}],
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("mistral", "mistral-large-latest"),
        ("groq", "moonshotai/kimi-k2-instruct"),
        ("cerebras", "zai-glm-4.7"),
        ("deepseek", "deepseek-v4-pro"),
        ("moonshot", "kimi-k2.6"),
        ("zai", "glm-5"),
        ("minimax", "MiniMax-M2.5"),
        ("xai", "grok-4.3"),
    ],
)
def test_a_history_of_an_agent_is_taken_by_each_provider(provider, model, history):
    for more in ({}, {"stream": True}, {"stop_sequences": ["x"], "temperature": 1}):
        _, verdict = asked_of(provider, model, HISTORIES[history], **more)
        assert verdict is None, verdict.body


def test_ids_for_mistral_are_the_same_in_every_request_and_join_call_and_result():
    first, _ = asked_of("mistral", "m", HISTORIES["a result and more"])
    again, _ = asked_of("mistral", "m", [*HISTORIES["a result and more"], {"role": "assistant", "content": "ok"}])
    call, result = first["messages"][1]["tool_calls"][0]["id"], first["messages"][2]["tool_call_id"]
    assert call == result == again["messages"][1]["tool_calls"][0]["id"] and len(call) == 9
    other = HISTORIES["a result and more"][1]["content"][1] | {"id": "toolu_9876543210"}
    different, _ = asked_of(
        "mistral", "m", [{"role": "user", "content": "x"}, {"role": "assistant", "content": [other]}]
    )
    assert different["messages"][1]["tool_calls"][0]["id"] != call


def test_an_id_of_mistrals_own_stays():
    call = {**CALL, "id": "aB3dE6gH9"}
    sent, _ = asked_of("mistral", "m", [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call]}])
    assert sent["messages"][1]["tool_calls"][0]["id"] == "aB3dE6gH9"


def test_tools_that_differ_in_strictness_lose_it_for_cerebras():
    tools = [FUNCTION | {"strict": True}, {**FUNCTION, "name": "g"}]
    sent, verdict = asked_of("cerebras", "gpt-oss-120b", [{"role": "user", "content": "x"}], tools=tools)
    assert verdict is None and all("strict" not in tool["function"] for tool in sent["tools"])


def test_a_stream_of_mistral_is_not_asked_for_its_usage_by_a_chat_client_either():
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    for more in ({}, {"stream_options": {"include_usage": True}}):
        request = parse(msgspec.json.encode({**body, **more}), "openai", "chat", None, None)
        sent = open_translation(request, "openai", "openai", "m", PROVIDERS["mistral"].quirks, created=1).body
        assert judge_at("mistral", "openai", "m", sent) is None


def decoded(*messages, **more):
    return requests.decode_request(Node({"messages": list(messages), **more}), "m", False)


@pytest.mark.parametrize(
    "message",
    [
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "S"}], "content": "a"},  # LiteLLM
        {"content": [{"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "text", "text": "a"}]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "S", "format": "anthropic-claude-v1"}
            ]
        },
    ],
)
def test_signed_thinking_is_read_in_each_of_its_forms(message):
    parts = decoded({"role": "assistant", **message}).messages[0].parts
    assert parts[0] == canonical.Thinking("hm", "S", None, "anthropic")


def test_pictures_are_read_in_the_words_of_other_dialects():
    url = "data:image/png;base64,AAAA"
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    for part in ({"type": "input_image", "image_url": url}, {"type": "image", "source": source}):
        parts = decoded({"role": "user", "content": [part]}).messages[0].parts
        assert parts[0].kind == "image" and parts[0].data == "AAAA"


def turn(*parts, quirks=QUIRKS, model="m"):
    asked = canonical.Request(model="m", messages=[canonical.Message("assistant", list(parts))])
    return requests.encode_request(asked, model, quirks)["messages"][0]


def test_thinking_goes_back_through_openrouter_to_the_maker_that_signed_it():
    """OpenRouter, "Reasoning tokens": `reasoning_details` unchanged, with their `format`."""
    router = PROVIDERS["openrouter"].quirks
    signed = (canonical.Thinking("hm", "S", maker="anthropic"), canonical.ToolCall("t", "f", "{}", "G"))
    said = turn(*signed, quirks=router, model="anthropic/claude-sonnet-4-5")
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "signature": "S", "format": "anthropic-claude-v1", "index": 0}
    ]
    said = turn(*signed, quirks=router, model="google/gemini-3-pro")
    assert said["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "G", "id": "t", "format": "google-gemini-v1", "index": 0}
    ]
    assert "reasoning_details" not in turn(*signed, quirks=router, model="meta/llama")
    assert turn(canonical.Thinking("hm"), canonical.Text("a"), quirks=router, model="deepseek/v4")["reasoning"] == "hm"


def test_kimi_gets_something_for_thinking_that_was_lost():
    """None and "" are refused (crush#2696, pi#4251)."""
    kimi = PROVIDERS["moonshot"].quirks
    assert turn(canonical.ToolCall("t", "f", "{}"), quirks=kimi)["reasoning_content"].isspace()
    assert turn(canonical.Thinking("hm"), canonical.ToolCall("t", "f", "{}"), quirks=kimi)["reasoning_content"] == "hm"
    assert "reasoning_content" not in turn(canonical.Text("a"), quirks=kimi)
    assert "reasoning_content" not in turn(canonical.ToolCall("t", "f", "{}"))


def asked(*parts, **more):
    return canonical.Request(model="m", messages=[canonical.Message("user", list(parts))], **more)


def test_a_forced_tool_turns_thinking_off_where_it_must():
    """ "Thinking mode does not support this tool_choice" (DeepSeek-V3#1376), Kimi (oh-my-pi#1077), Qwen (eino#994)."""
    tools, forced = [canonical.Tool("f")], canonical.ToolChoice("required")
    for provider, key, off in (
        ("deepseek", "thinking", {"type": "disabled"}),
        ("moonshot", "thinking", {"type": "disabled"}),
        ("dashscope", "enable_thinking", False),
    ):
        quirks = PROVIDERS[provider].quirks
        body = requests.encode_request(asked(canonical.Text("x"), tools=tools, choice=forced), "m", quirks)
        assert body[key] == off and body["tool_choice"] == "required"
        assert key not in requests.encode_request(asked(canonical.Text("x"), tools=tools), "m", quirks)
        body = requests.encode_request(asked(canonical.Text("x"), reasoning=canonical.Reasoning(budget=0)), "m", quirks)
        assert body[key] == off


def test_texts_of_a_turn_are_one_text_but_for_openai():
    """Templates of many servers take a text alone (CLIProxyAPI#3056, krasis#10)."""
    texts = (canonical.Text("a"), canonical.Text("b"))
    assert requests.encode_request(asked(*texts), "m", QUIRKS)["messages"][0]["content"] == "a\n\nb"
    said = requests.encode_request(asked(*texts), "m", PROVIDERS["openai"].quirks)["messages"][0]["content"]
    assert [part["text"] for part in said] == ["a", "b"]


def test_a_result_of_pictures_alone_says_that_they_follow():
    """An empty text tells a model that its tool found nothing."""
    picture = canonical.Media("image", data="AAAA", mime="image/png")
    said = requests.encode_request(asked(canonical.ToolResult("a", [picture])), "m", QUIRKS)["messages"]
    assert said[0]["content"] == requests.BELOW and said[1]["content"][0]["type"] == "image_url"
