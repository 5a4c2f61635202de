"""Openai: requests."""

import json

import msgspec
import pytest
from tests.dialects import golden_cases

from switchgear.dialects.passage import open_passage
from switchgear.dialects.request_reader import parse
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge_at


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
    sent = open_passage(request, "anthropic", "openai", model, PROVIDERS[provider].quirks, created=1).body
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
        sent = open_passage(request, "openai", "openai", "m", PROVIDERS["mistral"].quirks, created=1).body
        assert judge_at("mistral", "openai", "m", sent) is None
