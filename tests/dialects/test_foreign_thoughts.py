"""Bodies that pass as they are, after a conversation changed its model."""

import json

import pytest

from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks

TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]


def sent(body, dialect, model="claude-sonnet-4-5"):
    text = json.dumps(body).encode()
    translation = open_translation(parse(text, dialect, "chat"), dialect, dialect, model, Quirks(), created=1)
    body = translation.body
    return translation, json.loads(body if isinstance(body, bytes) else b"".join(body))


def history(signature, **more):
    turn = [
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "tool_use", "id": "t", "name": "look", "input": {}},
    ]
    results = [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": turn},
        {"role": "user", "content": results},
    ]
    return {"model": "claude-sonnet-4-5", "max_tokens": 9, "tools": TOOLS, "messages": messages, **more}


@pytest.mark.parametrize("signature", ["sg.gemini.abc", ""])
def test_thinking_that_claude_never_signed_is_taken_out(signature):
    """ "Invalid `signature` in `thinking` block" (CLIProxyAPI#1584, ccs#415)."""
    translation, body = sent(history(signature), "anthropic")
    assert [block["type"] for block in body["messages"][1]["content"]] == ["tool_use"]
    assert translation.dropped == ["messages.thinking"]


def test_a_turn_that_lost_its_thinking_is_answered_without():
    """With thinking on, such a turn must begin with it ("Extended thinking")."""
    translation, body = sent(history("", thinking={"type": "enabled", "budget_tokens": 1024}), "anthropic")
    assert "thinking" not in body and "thinking" in translation.dropped
    _, body = sent(history("", thinking={"type": "adaptive"}), "anthropic")
    assert body["thinking"] == {"type": "adaptive"}


def test_a_server_that_signs_nothing_gets_its_thinking_back():
    _, body = sent(history("") | {"model": "kimi-k3"}, "anthropic", "kimi-k3")
    assert body["messages"][1]["content"][0]["thinking"] == "hm"


def test_signed_thinking_passes_as_its_bytes():
    text = json.dumps(history("ErUBCkYIB...")).encode()
    translation = open_translation(
        parse(text, "anthropic", "chat"), "anthropic", "anthropic", "claude-sonnet-4-5", Quirks(), created=1
    )
    assert json.dumps(json.loads(text)["messages"]).encode() in translation.body and translation.dropped == []


def test_a_turn_of_foreign_thinking_alone_is_left_out():
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "sg.openai.E"}]},
        {"role": "user", "content": "y"},
    ]
    _, body = sent({"model": "claude-x", "max_tokens": 9, "messages": messages}, "anthropic", "claude-x")
    assert [message["role"] for message in body["messages"]] == ["user", "user"]


def test_reasoning_that_another_maker_made_is_not_sent_to_openai():
    items = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sg.anthropic.S"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"},
        {"role": "user", "content": "y"},
    ]
    translation, body = sent({"model": "gpt-5.6", "input": items}, "responses", "gpt-5.6")
    assert [item.get("id") for item in body["input"]] == [None, "rs_2", None]
    assert translation.dropped == ["input.reasoning"]


@pytest.mark.parametrize(
    "messages", ['"sg.gemini.x"', '["sg.gemini.x"]', '[{"content":"\\"sg.gemini.x"}]', '[{"a":"sg.b."}]']
)
def test_words_that_only_look_like_marks_do_no_harm(messages):
    text = b'{"model":"claude-x","max_tokens":9,"messages":%b}' % messages.encode()
    translation = open_translation(
        parse(text, "anthropic", "chat"), "anthropic", "anthropic", "claude-x", Quirks(), created=1
    )
    assert json.loads(translation.body)["messages"] == json.loads(messages)
