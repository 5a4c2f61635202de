"""Expected values: `limit.output` in models.dev (github.com/anomalyco/models.dev at f3fc692, MIT), the chat models of three makers."""

import pytest

from switchgear.pricing.output_limits import output_tokens_max

MODELS_DEV = {
    272_000: "gpt-5-pro",
    128_000: (
        "claude-fable-5 claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-sonnet-5 gpt-5 gpt-5-codex gpt-5-mini "
        "gpt-5-nano gpt-5.1 gpt-5.1-codex gpt-5.1-codex-max gpt-5.1-codex-mini gpt-5.2 gpt-5.2-codex gpt-5.2-pro "
        "gpt-5.3-codex gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.4-pro gpt-5.5 gpt-5.5-pro"
    ),
    100_000: "o1 o1-pro o3 o3-deep-research o3-mini o3-pro o4-mini o4-mini-deep-research",
    65_536: (
        "gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash-preview gemini-3-pro-preview "
        "gemini-3.1-flash-lite gemini-3.1-flash-lite-preview gemini-3.1-pro-preview gemini-3.1-pro-preview-customtools "
        "gemini-3.5-flash gemini-flash-latest gemini-flash-lite-latest"
    ),
    64_000: (
        "claude-3-7-sonnet-20250219 claude-haiku-4-5 claude-haiku-4-5-20251001 claude-opus-4-5 claude-opus-4-5-20251101 "
        "claude-sonnet-4-0 claude-sonnet-4-20250514 claude-sonnet-4-5 claude-sonnet-4-5-20250929 claude-sonnet-4-6"
    ),
    32_768: "gpt-4.1 gpt-4.1-mini gpt-4.1-nano",
    32_000: "claude-opus-4-0 claude-opus-4-1 claude-opus-4-1-20250805 claude-opus-4-20250514 gpt-5.3-codex-spark",
    16_384: (
        "gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20 gpt-4o-mini gpt-5.1-chat-latest gpt-5.2-chat-latest "
        "gpt-5.3-chat-latest"
    ),
    8_192: "claude-3-5-sonnet-20240620 claude-3-5-sonnet-20241022 gemini-2.0-flash gemini-2.0-flash-lite gpt-4",
    4_096: (
        "claude-3-haiku-20240307 claude-3-opus-20240229 claude-3-sonnet-20240229 gpt-3.5-turbo gpt-4-turbo "
        "gpt-4o-2024-05-13"
    ),
}


@pytest.mark.parametrize(
    ("tokens", "model"), [(tokens, model) for tokens, names in MODELS_DEV.items() for model in names.split()]
)
def test_a_model_of_models_dev_writes_as_much_as_it_says_there(tokens, model):
    assert output_tokens_max(model) == tokens


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("openai/gpt-4.1-nano", "gpt-4.1-nano"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
        ("claude-opus-4@20250514", "claude-opus-4-0"),
        ("o4-mini-2025-04-16", "o4-mini"),
    ],
)
def test_a_cloud_s_name_of_a_model_is_known_as_the_model(model, plain):
    assert output_tokens_max(model) == output_tokens_max(plain) is not None


@pytest.mark.parametrize(
    "model",
    [
        "qwen3",
        "gpt-5-chat-latest",
        "gpt-4o-realtime-preview",
        "gemini-2.5-flash-image",
        "gemini-2.5-pro-preview-tts",
        "gpt-50",
    ],
)
def test_a_model_that_no_row_knows_has_no_figure(model):
    assert output_tokens_max(model) is None
