"""How many tokens models write at most. Level 1, data.

Source: `limit.output` of the models of Anthropic, OpenAI and Google in models.dev (MIT, github.com/anomalyco/models.dev at f3fc692,
2026-07-02), read 2026-11-26; no row where its entries of one model contradict each other (`gpt-5-chat-latest`). A pattern is the
whole name, with or without a date. A model that no row knows has no figure: none is better than a wrong one.
"""

from switchgear.core.model_name import NameTable

_ROWS: tuple[tuple[str, int], ...] = (
    (r"claude-(fable-5|sonnet-5|opus-4-[678])", 128_000),
    (r"claude-(3-7-sonnet|sonnet-4(-[056])?|opus-4-5|haiku-4-5)", 64_000),
    (r"claude-opus-4(-[01])?", 32_000),
    (r"claude-3-5-(sonnet|haiku)", 8_192),
    (r"claude-3-(opus|sonnet|haiku)", 4_096),
    (r"gpt-5-pro", 272_000),
    (r"gpt-5(-mini|-nano|-codex)?|gpt-5\.1(-codex(-max|-mini)?)?|gpt-5\.2(-codex|-pro)?|gpt-5\.3-codex", 128_000),
    (r"gpt-5\.4(-mini|-nano|-pro)?|gpt-5\.5(-pro)?", 128_000),
    (r"o1(-pro)?|o3(-mini|-pro|-deep-research)?|o4-mini(-deep-research)?", 100_000),
    (r"gpt-4\.1(-mini|-nano)?", 32_768),
    (r"gpt-5\.3-codex-spark", 32_000),
    (r"gpt-4o-2024-05-13|gpt-4-turbo|gpt-3\.5-turbo", 4_096),
    (r"gpt-5\.[123]-chat|gpt-4o(-mini)?", 16_384),
    (r"gpt-4", 8_192),
    (r"gemini-2\.5-(flash|flash-lite|pro)", 65_536),
    (r"gemini-3-(flash|pro)-preview|gemini-3\.1-(pro-preview|pro-preview-customtools|flash-lite(-preview)?)", 65_536),
    (r"gemini-3\.5-flash|gemini-flash(-lite)?", 65_536),
    (r"gemini-2\.0-flash(-lite)?", 8_192),
)
_DATED = r"([-@](latest|\d{4}-?\d\d-?\d\d))?(-v\d(:\d)?)?"
_TABLE = NameTable(_ROWS, _DATED)


def output_tokens_max(model: str) -> int | None:
    """Return the most tokens that an upstream model writes; None where that is not known."""
    return _TABLE.find(model)
