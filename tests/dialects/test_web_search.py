"""Searches of the web that a provider runs, between the two dialects that ask for them alike."""

import json

import pytest

from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge_at

LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
# What Claude Code sends for its WebSearch (bifrost#3596, litellm#25477): a request of its own, with the tool chosen.
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
NARROWED = {**SEARCH, "allowed_domains": ["a.org"], "user_location": {"type": "approximate", "country": "FR"}}
ASKED = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "x"}]}
CHOSEN = {"type": "tool", "name": "web_search"}
CITED = {"type": "web_search_result_location", "url": "https://a.org/x", "title": "A [x]", "cited_text": "rain"}
SEARCHED = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
]


def sent(body, client, provider, target, model="m"):
    request = parse(json.dumps(body).encode(), client, "chat")
    translation = open_translation(request, client, target, model, PROVIDERS[provider].quirks, created=1)
    assert judge_at(provider, target, model, translation.body) is None
    return translation, json.loads(translation.body)


def test_a_search_of_an_anthropic_client_is_openais():
    translation, body = sent(ASKED | {"tools": [NARROWED], "tool_choice": CHOSEN}, "anthropic", "openai", "responses")
    where = {"type": "approximate", "country": "FR"}
    assert body["tools"] == [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}, "user_location": where}]
    assert body["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    assert body["max_tool_calls"] == 8, "OpenAI bounds it for all tools of its own: it is the only one"
    assert translation.dropped == []


def test_a_search_of_a_responses_client_is_anthropics():
    function = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    search = {"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}
    body = {"model": "m", "input": "x", "tools": [function, search], "max_tool_calls": 3, "tool_choice": search}
    _, body = sent(body, "responses", "anthropic", "anthropic", "claude-sonnet-4-5")
    assert [tool["name"] for tool in body["tools"]] == ["f", "web_search"]
    assert (body["tools"][1]["max_uses"], body["tools"][1]["allowed_domains"]) == (3, ["a.org"])
    assert body["tool_choice"] == CHOSEN


def test_what_openai_cannot_keep_away_from_is_named():
    blocked = {**SEARCH, "blocked_domains": ["b.org"]}
    translation, body = sent(ASKED | {"tools": [blocked, LOOK]}, "anthropic", "openai", "responses")
    assert "b.org" not in json.dumps(body)
    assert translation.dropped == ["tools[0] (web_search_20250305).blocked_domains"]


@pytest.mark.parametrize(
    ("provider", "target"), [("groq", "openai"), ("gemini", "gemini"), ("bedrock", "bedrock"), ("deepseek", "openai")]
)
def test_a_provider_without_one_refuses_it_by_name_and_beside_functions_it_is_left_out(provider, target):
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0" if target == "bedrock" else "m"
    with pytest.raises(InvalidBodyError, match="web_search_20250305"):
        sent(ASKED | {"tools": [SEARCH], "tool_choice": CHOSEN}, "anthropic", provider, target)
    body = ASKED | {"tools": [SEARCH, LOOK], "tool_choice": CHOSEN}
    translation, body = sent(body, "anthropic", provider, target, model)
    assert "web_search" not in json.dumps(body)
    assert translation.dropped[:2] == ["tools[0] (web_search_20250305)", "tool_choice"]


def test_a_function_of_that_name_is_the_clients_own():
    own = {"name": "web_search", "input_schema": {"type": "object", "properties": {}}}
    body = ASKED | {"tools": [own, SEARCH], "tool_choice": CHOSEN}
    _, body = sent(body, "anthropic", "openai", "responses")
    assert [tool["type"] for tool in body["tools"]] == ["function"]
    assert body["tool_choice"] == {"type": "function", "name": "web_search"}


@pytest.mark.parametrize(
    ("tools", "searches", "dialect"),
    [([SEARCH], True, "responses"), ([LOOK], True, "openai"), ([SEARCH], False, "openai"), (None, True, "openai")],
)
def test_a_search_is_asked_for_where_the_provider_has_it(tools, searches, dialect):
    """OpenAI runs it on /responses alone."""
    body = ASKED | ({"tools": tools} if tools else {})
    fields = parse(json.dumps(body).encode(), "anthropic", "chat").fields
    assert choose_dialect("anthropic", "chat", ("openai", "responses"), "gpt-4.1", fields, searches) == dialect


def test_sources_become_links_behind_their_text():
    told = {"type": "text", "text": "It rains", "citations": [CITED, CITED, {"type": "page_location", "url": 3}]}
    answer = {"id": "a", "content": [*SEARCHED, told, {"type": "text", "text": "."}], "stop_reason": "end_turn"}
    found = BY_NAME["anthropic"].translator.decode_answer(Node(answer))
    assert [part.text for part in found.parts] == ["It rains ([A (x)](https://a.org/x))", "."]


def test_sources_in_a_stream_become_the_same_links():
    events = [
        {"type": "message_start", "message": {"id": "a", "model": "m", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": SEARCHED[0]},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": CITED}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It rains"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "."}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    decoder = BY_NAME["anthropic"].translator.decoder()
    data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    texts = [getattr(event, "text", "") for event in [*decoder.feed(data), *decoder.finish()]]
    assert "".join(texts) == "It rains ([A (x)](https://a.org/x))."
