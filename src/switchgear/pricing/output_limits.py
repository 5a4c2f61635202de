"""How much models write at most, by their documents. Level 1, data.

Anthropic, "Models overview"; OpenAI, "Models" (a page each); Google, "Gemini models" (output token limit); read 2026-11. A model
that no row knows has no figure: none is better than a wrong one.
"""

import re

_ROWS: tuple[tuple[str, int], ...] = (
    (r"claude-3-7-sonnet|claude-(sonnet-4|opus-4-5|haiku-4-5|sonnet-4-5)", 64_000),
    (r"claude-opus-4(-1|-2025|$)", 32_000),
    (r"claude-3-5-", 8_192),
    (r"claude-3-(opus|sonnet|haiku)", 4_096),
    (r"gpt-5(?!.*chat)", 128_000),
    (r"gpt-5.*chat|gpt-4o|chatgpt-4o", 16_384),
    (r"gpt-4\.1", 32_768),
    (r"gpt-4-turbo|gpt-3\.5-turbo", 4_096),
    (r"o[13](-mini|-pro|$)|o4-mini", 100_000),
    (r"gemini-2\.5-|gemini-3-", 65_536),
    (r"gemini-(2\.0|1\.5)-", 8_192),
)
_COMPILED = tuple((re.compile(pattern), tokens) for pattern, tokens in _ROWS)
_MAKER = re.compile(r"(?:.*/)?(?:[a-z]{2,6}\.)?(?:anthropic\.|openai\.|google\.)?")


def output_tokens_max(model: str) -> int | None:
    """Return the most tokens that an upstream model writes; None where that is not known."""
    plain = _MAKER.sub("", model.lower()[:256], count=1)
    return next((tokens for pattern, tokens in _COMPILED if pattern.match(plain)), None)
