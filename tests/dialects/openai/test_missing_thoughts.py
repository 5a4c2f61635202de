"""Calls whose thinking the client lost."""

import json

import pytest

from switchgear.dialects.openai.missing_thoughts import filled_in
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge_at

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "user", "content": "hi"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "tool_call_id": "c1", "content": "ok"}


def parsed(*messages, model="m"):
    return parse(json.dumps({"model": model, "messages": list(messages)}).encode(), "openai", "chat")


@pytest.mark.parametrize(("provider", "model"), [("deepseek", "deepseek-v4-pro"), ("moonshot", "kimi-k2-thinking")])
def test_a_call_without_its_thinking_is_taken_by_makers_that_demand_it(provider, model):
    request = parsed(ASKED, CALLED, TOLD, model=model)
    assert judge_at(provider, "openai", model, json.dumps({"model": model, "messages": [ASKED, CALLED, TOLD]}).encode())
    translation = open_translation(request, "openai", "openai", model, PROVIDERS[provider].quirks, created=1)
    assert judge_at(provider, "openai", model, translation.body) is None
    called = json.loads(translation.body)["messages"][1]
    assert called["tool_calls"] == [CALL] and called["content"] == ""


def test_a_history_that_lacks_nothing_is_the_same_request():
    for messages in (
        [ASKED],
        [ASKED, {**CALLED, "reasoning_content": "Hm."}, TOLD],
        [{"role": "user", "content": '"tool_calls"'}],
    ):
        request = parsed(*messages)
        assert filled_in(request) is request


def test_what_is_no_list_of_messages_is_left_to_its_provider():
    for body in (b'{"model":"m","messages":"tool_calls"}', b'{"model":"m","messages":[3]}'):
        request = parse(body, "openai", "chat")
        assert filled_in(request) is request


def test_other_models_of_the_same_provider_get_the_history_as_it_is():
    request = parsed(ASKED, CALLED, TOLD, model="deepseek-chat")
    quirks = PROVIDERS["deepseek"].quirks
    translation = open_translation(request, "openai", "openai", "deepseek-chat", quirks, created=1)
    assert json.loads(translation.body)["messages"] == [ASKED, CALLED, TOLD]
