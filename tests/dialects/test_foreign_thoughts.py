"""Bodies that pass as they are, after a conversation changed its model."""

import json

import pytest

from switchgear.dialects.canonical import Thinking
from switchgear.dialects.gemini import carried
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks

TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]


def sent(body, dialect, model="claude-sonnet-4-5"):
    text = json.dumps(body).encode()
    in_path = (model, False) if dialect in {"gemini", "bedrock"} else ()
    request = parse(text, dialect, "chat", *in_path)
    translation = open_translation(request, dialect, dialect, model, Quirks(), created=1)
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


def converse(signature, **more):
    turn = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": signature}}},
        {"toolUse": {"toolUseId": "t", "name": "look", "input": {}}},
    ]
    results = [{"toolResult": {"toolUseId": "t", "content": [{"text": "ok"}]}}]
    messages = [
        {"role": "user", "content": [{"text": "x"}]},
        {"role": "assistant", "content": turn},
        {"role": "user", "content": results},
    ]
    return {"messages": messages, **more}


CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def test_thinking_that_bedrock_never_signed_is_taken_out():
    thinks = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 3}}
    translation, body = sent(converse("sg.gemini.abc", **thinks), "bedrock", CLAUDE)
    assert [list(block) for block in body["messages"][1]["content"]] == [["toolUse"]]
    assert body["additionalModelRequestFields"] == {"top_k": 3}, "a turn that lost its thinking is answered without"
    assert translation.dropped == ["messages.reasoningContent", "additionalModelRequestFields.thinking"]
    _, body = sent(converse("ErUBCkYIB...", **thinks), "bedrock", CLAUDE)
    assert body == converse("ErUBCkYIB...", **thinks)


def test_thinking_that_an_invoked_claude_never_signed_is_taken_out():
    text = json.dumps(history("sg.openai.E")).encode()
    translation = open_translation(
        parse(text, "bedrock", "invoke", CLAUDE, False), "bedrock", "bedrock", CLAUDE, Quirks(), created=1
    )
    body = translation.body
    kept = json.loads(body if isinstance(body, bytes) else b"".join(body))["messages"][1]["content"]
    assert [block["type"] for block in kept] == ["tool_use"]


@pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature"])
@pytest.mark.parametrize(
    ("model", "instead"), [("gemini-3.1-pro", "skip_thought_signature_validator"), ("gemini-2.5-pro", None)]
)
def test_what_carries_other_makers_thinking_does_not_go_to_gemini(model, instead, key):
    """ai.google.dev/gemini-api/docs/thought-signatures: Gemini 3 refuses a call without a signature, and takes this word for calls that
    another model made."""
    packed = carried.pack([Thinking("hm", "sig", None, "anthropic")])
    call = {"functionCall": {"name": "look", "args": {}}}
    contents = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [call | {key: packed}, call | {key: "CvwBAdHtim8"}, {"text": "c2d0L"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]},
    ]
    translation, body = sent({"contents": contents}, "gemini", model)
    first, second, third = body["contents"][1]["parts"]
    assert first == call | ({key: instead} if instead else {})
    assert second == call | {key: "CvwBAdHtim8"} and third == {"text": "c2d0L"}
    assert translation.dropped == ["contents.thoughtSignature"]
