"""What OpenAI's reasoning models are sure to refuse."""

import json

import pytest

from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.openai.reasoning_models import fitted
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks
from switchgear.testing.twins import judge

ASKED = {"messages": [{"role": "user", "content": "hi"}]}


def sent(model, more, quirks=None):
    request = parse(json.dumps({"model": model, **ASKED, **more}).encode(), "openai", "chat")
    translation = open_translation(request, "openai", "openai", model, quirks or PROVIDERS["openai"].quirks, created=1)
    return json.loads(translation.body), translation.dropped, judge("openai", model, translation.body)


@pytest.mark.parametrize(
    ("model", "more", "kept", "dropped"),
    [
        ("gpt-5", {"temperature": 0, "top_p": 0.5}, {}, ["temperature", "top_p"]),
        ("gpt-5", {"temperature": 1, "presence_penalty": 0}, {"temperature": 1, "presence_penalty": 0}, []),
        ("gpt-5", {"max_tokens": 9}, {"max_completion_tokens": 9}, []),
        ("gpt-5", {"max_tokens": 9, "max_completion_tokens": 8}, {"max_completion_tokens": 8}, []),
        ("gpt-5.5", {"temperature": 0.5}, {"temperature": 0.5}, []),
        (
            "gpt-5.5",
            {"temperature": 0.5, "reasoning_effort": "none"},
            {"temperature": 0.5, "reasoning_effort": "none"},
            [],
        ),
        ("gpt-5.5", {"temperature": 0.5, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, ["temperature"]),
        ("gpt-5.6", {"temperature": 0.5}, {}, ["temperature"]),
        ("gpt-4.1", {"temperature": 0.5, "max_tokens": 9}, {"temperature": 0.5, "max_tokens": 9}, []),
    ],
)
def test_a_chat_body_is_made_to_fit_the_model_and_says_what_was_left_out(model, more, kept, dropped):
    body, left_out, refusal = sent(model, more)
    assert body == {"model": model, **ASKED, **kept} and left_out == dropped and refusal is None


def test_what_changes_the_answers_form_is_left_to_openai():
    body, dropped, refusal = sent("gpt-5", {"stop": ["x"]})
    assert body["stop"] == ["x"] and not dropped and refusal.rule == "openai-sampling"


@pytest.mark.parametrize(
    "more", [{"temperature": 0.5, "max_tokens": 9}, {"temperature": "warm"}, {"temperature": None}]
)
def test_other_servers_and_values_that_are_no_numbers_get_the_body_as_it_is(more):
    quirks = Quirks() if "max_tokens" in more else PROVIDERS["openai"].quirks
    request = parse(json.dumps({"model": "openai/gpt-5", **ASKED, **more}).encode(), "openai", "chat")
    assert fitted(request, facts_of("openai/gpt-5"), quirks) == (request, [])
