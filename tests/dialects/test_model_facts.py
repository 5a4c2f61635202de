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


@pytest.mark.parametrize(
    ("model", "output_max"),
    [
        ("gpt-4o", 16_384),  # "This model supports at most 16384 completion tokens" (openclaude#58)
        ("gpt-4.1-mini", 32_768),  # opencode#140
        ("claude-3-5-sonnet-20241022", 8_192),  # codecompanion#1028
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 64_000),
        ("claude-opus-4-1", 32_000),
        ("gemini-2.0-flash", 8_192),
        ("my-own", None),
    ],
)
def test_what_a_model_writes_at_most(model, output_max):
    assert facts_of(model).output_max == output_max


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        ("claude-opus-4-6", False),
        ("us.anthropic.claude-sonnet-4-6", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-4-5", True),
    ],
)
def test_newer_claudes_take_no_prefill(model, taken):
    """vercel/ai#12296, opencode#29760."""
    assert facts_of(model).takes_prefill is taken


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("o3", ("low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5-pro", ("high",)),
        ("gpt-5.1-codex-max", ("low", "medium", "high", "xhigh")),
        ("gpt-5-codex", ("low", "medium", "high")),
        ("kimi-k2.5", None),
    ],
)
def test_which_efforts_a_model_knows(model, efforts):
    assert facts_of(model).efforts == efforts


def test_models_that_think_choose_their_tools_and_qwen_has_its_instructions_first():
    assert facts_of("deepseek-v4-flash").chooses_alone and facts_of("moonshotai/kimi-k2.6").chooses_alone
    assert not facts_of("deepseek-chat").chooses_alone and not facts_of("gpt-5").chooses_alone
    assert facts_of("qwen3-32b").instructions_first and not facts_of("llama-3.3").instructions_first


def test_budgets_of_gemini_2_5():
    """Google, "Thinking": pro thinks always, from 128 tokens on; flash-lite from 512 on."""
    assert not facts_of("gemini-2.5-pro").stops_thinking and facts_of("gemini-2.5-flash").stops_thinking
    assert facts_of("gemini-2.5-flash-lite").budget_min == 512
