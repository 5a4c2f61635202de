"""Members of messages that a provider refuses."""

import json

import pytest

from switchgear.dialects.openai.refused_members import left_out, with_older_words
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge_at

CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "user", "content": "hi"}
CALLED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
TOLD = {"role": "tool", "tool_call_id": "abcdefghi", "content": "ok", "name": "f"}


@pytest.mark.parametrize(
    ("provider", "more"),
    [
        ("groq", {"name": "agent"}),
        ("groq", {"reasoning_content": "Hm."}),
        ("cerebras", {"reasoning_content": "Hm."}),
        ("mistral", {"reasoning_content": "Hm."}),
        ("mistral", {"name": "agent"}),
    ],
)
def test_a_history_is_taken_by_providers_that_refuse_what_the_client_adds(provider, more):
    body = {"model": "m", "messages": [ASKED, {**CALLED, **more}, TOLD]}
    assert judge_at(provider, "openai", "m", json.dumps(body).encode()) is not None
    request = parse(json.dumps(body).encode(), "openai", "chat")
    translation = open_translation(request, "openai", "openai", "m", PROVIDERS[provider].quirks, created=1)
    assert judge_at(provider, "openai", "m", translation.body) is None
    assert json.loads(translation.body)["messages"] == [ASKED, CALLED, TOLD]
    assert translation.dropped == [f"messages.{next(iter(more))}"]


@pytest.mark.parametrize("messages", [[ASKED, CALLED, TOLD], [{"role": "user", "content": '"name"'}], ["name"], "name"])
def test_a_history_without_them_is_the_same_request(messages):
    request = parse(json.dumps({"model": "m", "messages": messages}).encode(), "openai", "chat")
    assert left_out(request, ("name",)) == (request, [])


@pytest.mark.parametrize("provider", ["deepseek", "moonshot", "zai", "minimax", "mistral"])
def test_instructions_of_a_developer_are_the_systems_where_the_role_is_unknown(provider):
    told = [{"role": "developer", "content": "be brief"}, ASKED]
    body = json.dumps({"model": "m", "messages": told}).encode()
    assert judge_at(provider, "openai", "m", body) is not None
    request = parse(body, "openai", "chat")
    translation = open_translation(request, "openai", "openai", "m", PROVIDERS[provider].quirks, created=1)
    assert judge_at(provider, "openai", "m", translation.body) is None
    assert [one["role"] for one in json.loads(translation.body)["messages"]] == ["system", "user"]
    assert translation.dropped == []


def test_openai_is_told_of_a_developer():
    body = json.dumps({"model": "m", "messages": [{"role": "developer", "content": "be brief"}, ASKED]}).encode()
    request = parse(body, "openai", "chat")
    translation = open_translation(request, "openai", "openai", "m", PROVIDERS["openai"].quirks, created=1)
    assert json.loads(translation.body)["messages"][0]["role"] == "developer"


@pytest.mark.parametrize("more", [{}, {"max_tokens": 9}])
def test_mistral_gets_the_limit_by_the_name_that_it_knows(more):
    """`max_completion_tokens`: "Extra inputs are not permitted" (eca#231)."""
    body = json.dumps({"model": "m", "messages": [ASKED], "max_completion_tokens": 50, **more}).encode()
    assert judge_at("mistral", "openai", "m", body) is not None
    request = parse(body, "openai", "chat")
    translation = open_translation(request, "openai", "openai", "m", PROVIDERS["mistral"].quirks, created=1)
    assert judge_at("mistral", "openai", "m", translation.body) is None
    assert json.loads(translation.body)["max_tokens"] == 50


@pytest.mark.parametrize("messages", ['"developer"', ["developer"], [{"role": 7, "content": "developer"}]])
def test_what_only_speaks_of_a_developer_is_the_same_request(messages):
    request = parse(json.dumps({"model": "m", "messages": messages}).encode(), "openai", "chat")
    assert with_older_words(request, PROVIDERS["deepseek"].quirks) is request
