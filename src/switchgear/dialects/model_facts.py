"""What models refuse, by name. Level 1, data.

A row's pattern is matched against the upstream's name without its maker's prefix (`us.anthropic.`, `anthropic/`, `models/`);
the first row that matches counts; a model that no row knows is taken to accept everything. Sources:
OpenAI, "Reasoning models" (temperature, top_p, penalties, logprobs and stop are refused; from memory); Anthropic, "What's new in
Claude Opus 4.7" (no sampling parameters: models.dev#1468, modelparams.dev#238) and the Messages API from Claude 4.1 on (temperature
or top_p, not both: litellm#15070); Google, "Thinking" (budgets; 2.5 Pro cannot be told not to think) and the pages of its 3.5
models (no penalties); xAI (no penalties, and no stop words where it reasons: litellm#12635, NativeTavern#83). Read 2026-11-27.
"""

from functools import lru_cache

import msgspec

from switchgear.core.model_name import NameTable

_PENALTIES = ("frequency_penalty", "presence_penalty")
_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "stop")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. Defaults are those of a model that takes everything."""

    refused: tuple[str, ...] = ()
    """Fields of `hub.Request` that it refuses."""
    one_of_temperature_and_top_p: bool = False
    reasons: bool | None = None
    """Whether an effort may be sent; None when that is not known."""
    max_tokens_name: str | None = None
    """The name of the output limit in chat completions, where it differs from the provider's usual one."""
    budget_max: int | None = None
    """The most tokens that it thinks with."""
    budget_min: int = 0
    """The fewest; more than 0 where it cannot be told not to think."""
    output_max: int | None = None
    """The most tokens that it writes."""
    google_signatures: bool = False
    """True where calls go back with Gemini's thought signatures, in chat completions too."""
    thinking_returns: bool = False
    """True where chat completions want an assistant's thinking back as `reasoning_content`, whoever serves the model."""
    best_on: str = ""
    """The dialect that requests are translated to where the provider speaks it: only there the model takes tools with an effort."""
    is_only_there: bool = False
    """True where the model is served in that dialect alone."""


UNKNOWN = Facts()
_ROWS: tuple[tuple[str, Facts], ...] = (
    (
        r"(o[1-9]|gpt-[0-9.]+)-(pro|deep-research)|gpt-[0-9.]+.*codex|codex-",
        Facts(
            refused=_SAMPLING,
            reasons=True,
            max_tokens_name="max_completion_tokens",
            best_on="responses",
            is_only_there=True,
        ),
    ),
    (r"gpt-5[^/]*-chat", Facts(reasons=False, max_tokens_name="max_completion_tokens")),
    (
        r"gpt-5\.[4-9]|gpt-[6-9]",
        Facts(refused=_SAMPLING, reasons=True, max_tokens_name="max_completion_tokens", best_on="responses"),
    ),
    (r"gpt-5|o[1-9](-|$)", Facts(refused=_SAMPLING, reasons=True, max_tokens_name="max_completion_tokens")),
    (r"gpt-(4|3)|chatgpt-", Facts(reasons=False)),
    (
        r"claude-(opus-4-[7-9]|(opus|sonnet|haiku)-[5-9]|fable|mythos)",
        Facts(refused=("temperature", "top_p", "top_k"), reasons=True),
    ),
    (r"claude-(opus-4-[1-6]|(sonnet|haiku)-4-[5-9])", Facts(one_of_temperature_and_top_p=True, reasons=True)),
    (r"gemini-2\.5-flash", Facts(budget_max=24_576, reasons=True, google_signatures=True)),
    (r"gemini-2\.5-pro", Facts(budget_min=128, budget_max=32_768, reasons=True, google_signatures=True)),
    (r"deepseek-(r1|coder)", UNKNOWN),  # and what was distilled from it
    (r"(deepseek|kimi|glm|minimax)", Facts(thinking_returns=True)),
    (r"gemini-(3\.[5-9]|[4-9])", Facts(refused=_PENALTIES, google_signatures=True)),
    (r"gemini-", Facts(google_signatures=True)),
    (r"grok-.*non-reasoning", Facts(refused=_PENALTIES)),
    (r"grok-", Facts(refused=(*_PENALTIES, "stop"))),
)
_TABLE = NameTable(_ROWS, ".*")


@lru_cache(maxsize=1024)
def facts_of(model: str) -> Facts:
    """Return what is known of a model by its upstream name."""
    return _TABLE.find(model) or UNKNOWN
