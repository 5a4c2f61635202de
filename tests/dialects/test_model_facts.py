"""What is known of models by their names."""

import pytest

from switchgear.dialects.model_facts import UNKNOWN, facts_of


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("gpt-5", True),
        ("o3-mini", True),
        ("gpt-4o", False),
        ("gpt-5-chat-latest", False),
        ("claude-opus-4-8", True),
        ("us.anthropic.claude-opus-4-7-v1:0", True),
        ("anthropic/claude-sonnet-4-5", False),
        ("qwen3", False),
    ],
)
def test_sampling_is_refused_by_models_that_say_so(model, refused):
    assert ("temperature" in facts_of(model).refused) is refused


def test_a_model_that_no_row_knows_takes_everything():
    assert facts_of("my-own-model") is UNKNOWN
    assert facts_of("x" * 10_000) is UNKNOWN


@pytest.mark.parametrize("model", ["gpt-5-pro", "o3-deep-research", "gpt-5.1-codex-max", "codex-mini-latest"])
def test_some_models_are_served_on_responses_alone(model):
    assert facts_of(model).is_only_there


def test_newer_models_are_asked_on_responses_where_a_choice_is():
    assert facts_of("gpt-5.6").best_on == "responses" and not facts_of("gpt-5.6").is_only_there
    assert not facts_of("gpt-5").best_on


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("grok-4.3", {"stop", "frequency_penalty", "presence_penalty"}),
        ("x-ai/grok-4.20-non-reasoning", {"frequency_penalty", "presence_penalty"}),
        ("gemini-3.5-flash-lite", {"frequency_penalty", "presence_penalty"}),
        ("gemini-3-pro", set()),
    ],
)
def test_grok_and_newer_gemini_models_take_no_penalties(model, refused):
    assert set(facts_of(model).refused) == refused
