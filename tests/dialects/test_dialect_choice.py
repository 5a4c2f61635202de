"""In which dialect a provider is asked."""

import json

import pytest

from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing.twins import judge


def test_the_clients_dialect_is_chosen_where_the_provider_speaks_it():
    assert choose_dialect("responses", "chat", ("openai", "responses")) == "responses"
    assert choose_dialect("anthropic", "chat", ("openai", "responses")) == "openai"
    assert choose_dialect("openai", "embeddings", ("anthropic",)) is None


CHAT = {"model": "m", "messages": [{"role": "user", "content": "weather in Paris?"}]}


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("model", "more", "dialect"),
    [
        ("gpt-5.5", {"tools": [WEATHER], "reasoning_effort": "medium"}, "responses"),
        ("gpt-5.5", {"tools": [WEATHER], "reasoning_effort": "none"}, "openai"),
        ("gpt-5.5", {"tools": [WEATHER]}, "openai"),
        ("gpt-5.5", {"reasoning_effort": "medium"}, "openai"),
        ("gpt-5.6", {"tools": [WEATHER]}, "responses"),
        ("gpt-5.6", {"tools": [WEATHER], "reasoning_effort": "none"}, "openai"),
        ("gpt-5.6", {"tools": []}, "openai"),
        ("gpt-5", {"tools": [WEATHER], "reasoning_effort": "medium"}, "openai"),
    ],
)
def test_a_chat_body_that_openai_takes_on_responses_alone_is_asked_there(model, more, dialect):
    request = parse(json.dumps(CHAT | more).encode(), "openai", "chat")
    quirks = PROVIDERS["openai"].quirks
    chosen = choose_dialect("openai", "chat", ("openai", "responses"), model, request.fields)
    assert chosen == dialect
    translation = open_translation(request, "openai", chosen, model, quirks, created=1)
    assert judge(chosen, model, translation.body) is None
    if dialect == "responses":  # and in its own dialect it is refused
        own = open_translation(request, "openai", "openai", model, quirks, created=1)
        assert judge("openai", model, own.body).rule == "openai-endpoint"
    assert choose_dialect("openai", "chat", ("openai",), model, request.fields) == "openai"
