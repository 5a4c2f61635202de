"""Other makers' thinking through Gemini's clients."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import canonical
from switchgear.dialects.canonical import Answer, Text, Thinking, ToolCall
from switchgear.dialects.gemini import ROW
from switchgear.dialects.gemini.carried import pack, restore, unpack
from switchgear.dialects.json_node import Node
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge

CLAUDES = Thinking("I think.", "c2ln", None, "anthropic")


def streamed(answer):
    encoder = ROW.translator.encoder("m", 1, True)
    out = b"".join(encoder.encode(event) for event in canonical.events_of(answer))
    events = [json.loads(line[6:]) for line in out.decode().splitlines() if line.startswith("data: ")]
    return [part for event in events for part in event["candidates"][0]["content"]["parts"]]


def plain(answer):
    return ROW.translator.encode_answer(answer, "m", 1)["candidates"][0]["content"]["parts"]


def asked(parts):
    contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]
    return ROW.translator.decode_request(Node({"contents": contents}), "m", False).messages[1].parts


@pytest.mark.parametrize("write", [plain, streamed])
@pytest.mark.parametrize("thought", [CLAUDES, Thinking("Hm, DeepSeek.")], ids=["signed", "plain"])
def test_thinking_before_a_call_comes_back_with_it_from_a_client_that_leaves_thoughts_out(write, thought):
    answer = Answer(
        parts=[thought, Text("Now."), ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")], finish="tool_calls"
    )
    parts = write(answer)
    assert [part.get("text") for part in parts if part.get("thought")] != []
    history = [part for part in parts if not part.get("thought")]
    calls = [part for part in history if "functionCall" in part]
    assert "thoughtSignature" in calls[0] and "thoughtSignature" not in calls[1]
    found = asked([part for part in history if part.get("text") != ""])
    assert found == [thought, Text("Now."), ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")]


def test_a_client_that_keeps_thoughts_has_them_once():
    answer = Answer(parts=[CLAUDES, ToolCall("c1", "f", "{}")], finish="tool_calls")
    assert asked(plain(answer)) == [CLAUDES, ToolCall("c1", "f", "{}")]


def test_an_sdk_may_write_the_signature_in_the_other_alphabet_and_without_padding():
    packed = pack([Thinking("ÿÿþ??>>~~ " * 9)])
    again = base64.urlsafe_b64encode(base64.b64decode(packed)).decode().rstrip("=")
    assert again != packed and unpack(again) == unpack(packed)


def test_googles_own_signature_stays_with_its_call():
    call = ToolCall("c1", "f", "{}", "CpQBAdHtim9")
    assert restore([Thinking("seen", None, None, "gemini"), call]) == [Thinking("seen", None, None, "gemini"), call]
    assert streamed(Answer(parts=[Thinking("x", "s", None, "gemini"), call]))[-2]["thoughtSignature"] == "CpQBAdHtim9"


@given(st.one_of(st.text(), st.binary().map(lambda data: base64.b64encode(b"sgt." + data).decode())))
def test_any_signature_is_harmless(text):
    assert unpack(text) is None or isinstance(unpack(text), list)


def resumed(signature=None):
    """What Gemini CLI 0.61 sends when it resumes a session: each result stands there twice (seen 2026-11-27)."""
    signed = {"thoughtSignature": signature} if signature else {}
    call = {"functionCall": {"id": "run__call_1", "name": "run", "args": {"command": "echo a"}}, **signed}
    reply = {"functionResponse": {"id": "run__call_1", "name": "run", "response": {"output": "Output: a"}}}
    schema = {"type": "object", "properties": {"command": {"type": "string"}}}
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"text": "I look first."}, call]},
            {"role": "user", "parts": [reply]},
            {"role": "user", "parts": [reply]},
            {"role": "model", "parts": [{"text": "done"}]},
            {"role": "user", "parts": [{"text": "again"}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "run", "parametersJsonSchema": schema}]}],
    }


def crossed(body, provider, target, model):
    request = parse(json.dumps(body).encode(), "gemini", "chat", "m", False)
    return open_translation(request, "gemini", target, model, PROVIDERS[provider].quirks, created=1).body


@pytest.mark.parametrize(
    ("provider", "target", "model"),
    [
        ("openai", "openai", "gpt-5"),
        ("openai", "responses", "gpt-5.5"),
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
        ("bedrock", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
def test_a_resumed_session_that_says_each_result_twice_is_taken_and_says_it_once(provider, target, model):
    sent = crossed(resumed(), provider, target, model)
    assert judge(target, model, sent) is None
    assert sent.count(b"Output: a") == 1


def test_deepseek_gets_the_thinking_of_its_calls_back_from_a_client_of_gemini():
    sent = json.loads(crossed(resumed(pack([Thinking("Hm.")])), "deepseek", "openai", "deepseek-reasoner"))
    assistant = sent["messages"][1]
    assert assistant["reasoning_content"] == "Hm." and assistant["content"] == "I look first."
