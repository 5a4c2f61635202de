"""Output limits as the makers document them (read 2026-11)."""

import pytest

from switchgear.pricing.output_limits import output_tokens_max


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o-mini", 16_384),
        ("openai/gpt-4.1-nano", 32_768),
        ("gpt-5-mini", 128_000),
        ("gpt-5-chat-latest", 16_384),
        ("o3", 100_000),
        ("o4-mini-2025-04-16", 100_000),
        ("claude-sonnet-4-5", 64_000),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("claude-3-5-haiku-latest", 8_192),
        ("claude-3-haiku-20240307", 4_096),
        ("models/gemini-2.5-flash", 65_536),
        ("gemini-2.0-flash", 8_192),
        ("qwen3", None),
        ("of-no-maker", None),
    ],
)
def test_what_the_documents_say(model, tokens):
    assert output_tokens_max(model) == tokens
