"""What models refuse, by name. Level 1, data.

A row's pattern is matched against the upstream's name without its maker's prefix (`us.anthropic.`, `anthropic/`, `models/`);
the first row that matches counts; a model that no row knows is taken to accept everything. Sources:
OpenAI, "Reasoning models", limitations (temperature, top_p, penalties, logprobs: vercel/ai#10932; stop: NeMo-Guardrails' probe);
Anthropic, "What's new in Claude Opus 4.7" (no sampling parameters: models.dev#1468, modelparams.dev#238) and the
Messages API from Claude 4.1 on (temperature
or top_p, not both: litellm#15070); Google, "Thinking" (budgets; 2.5 Pro cannot be told not to think) and the pages of its 3.5
models (no penalties); xAI (no penalties, and no stop words where it reasons: litellm#12635, NativeTavern#83); no prefill since
Claude 4.6 (vercel/ai#12296, opencode#29760, release notes of 2026-02-05); output limits (openclaude#58, opencode#140,
codecompanion#1028, model pages); a format beside tools at Gemini before 3 (python-genai#867, symfony/ai#803); efforts (model pages
of OpenAI; CLIProxyAPI#1307, opencode#50818, gendox#480). Read 2026-11-27.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from switchgear.core.model_name import NameTable
from switchgear.dialects.canonical import Effort

_PENALTIES = ("frequency_penalty", "presence_penalty")
_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "stop")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. Defaults are those of a model that takes everything."""

    refused: tuple[str, ...] = ()
    """Fields of `canonical.Request` that it refuses."""
    one_of_temperature_and_top_p: bool = False
    reasons: bool | None = None
    """Whether an effort may be sent; None when that is not known."""
    max_tokens_name: str | None = None
    """The name of the output limit in chat completions, where it differs from the provider's usual one."""
    budget_max: int | None = None
    """The most tokens that it thinks with."""
    output_max: int | None = None
    """The most tokens that it writes."""
    efforts: tuple[Effort, ...] | None = None
    """The efforts that OpenAI's dialects may send; None where they are not known: low, medium and high then."""
    takes_prefill: bool = True
    """False where the last turn may not be the assistant's."""
    calls_in_parallel: bool = True
    """False where `parallel_tool_calls` is refused."""
    chooses_alone: bool = False
    """True where a tool may not be forced while the model thinks, which it does unless told otherwise."""
    instructions_first: bool = False
    """True where its template takes instructions at the beginning only ("System message must be at the beginning", ollama#17774,
    litellm#37351)."""
    budget_min: int = 0
    """The fewest tokens that it thinks with, if it thinks."""
    stops_thinking: bool = True
    """False where it thinks always."""
    format_or_tools: bool = False
    """True where a format of the answer is refused beside tools."""
    google_signatures: bool = False
    """True where calls go back with Gemini's thought signatures, in chat completions too."""
    thinking_returns: bool = False
    """True where chat completions want an assistant's thinking back as `reasoning_content`, whoever serves the model."""
    thinking_demanded: bool = False
    """True where a call in the history without that thinking is refused."""
    best_on: str = ""
    """The dialect that requests are translated to where the provider speaks it: only there the model takes tools with an effort."""
    is_only_there: bool = False
    """True where the model is served in that dialect alone."""
    reasons_unasked: bool = False
    """True where no effort is one: tools are then taken in `best_on` alone, unless the effort `none` is asked for."""

    def refuses_in_chat(self, fields: Mapping[str, Any]) -> bool:
        """Tell whether chat completions refuse a body that the model takes in `best_on`: tools with an effort
        (openai/openai-openapi#541, litellm#34569; read 2026-11-27). `fields` are the body's, as bytes of JSON."""
        if not self.best_on or bytes(fields.get("tools", b"[]")) in _NOTHING:
            return False
        effort = bytes(fields.get("reasoning_effort", b"null"))
        return self.reasons_unasked if effort == b"null" else effort != b'"none"'


_NOTHING = frozenset({b"[]", b"null"})
UNKNOWN = Facts()
_O: tuple[Effort, ...] = ("low", "medium", "high")
_GPT_5: tuple[Effort, ...] = ("minimal", "low", "medium", "high")
_GPT_5_1: tuple[Effort, ...] = ("none", "low", "medium", "high")
_GPT_5_2: tuple[Effort, ...] = ("none", "low", "medium", "high", "xhigh")


def _reasons(efforts: tuple[Effort, ...], output_max: int, **more: Any) -> Facts:
    """One of OpenAI's reasoning models."""
    return Facts(
        refused=_SAMPLING,
        reasons=True,
        max_tokens_name="max_completion_tokens",
        efforts=efforts,
        output_max=output_max,
        **more,
    )


_ONLY_RESPONSES: dict[str, Any] = {"best_on": "responses", "is_only_there": True}
_ROWS: tuple[tuple[str, Facts], ...] = (
    (r"gpt-5-pro", _reasons(("high",), 272_000, **_ONLY_RESPONSES)),
    (r"gpt-5\.[0-9]+-pro|gpt-[6-9][0-9.]*-pro", _reasons(("medium", "high", "xhigh"), 128_000, **_ONLY_RESPONSES)),
    (r"o[1-9]-(pro|deep-research)|gpt-[0-9.]+-deep-research", _reasons(_O, 100_000, **_ONLY_RESPONSES)),
    (r"gpt-5(\.1)?-codex(-mini)?(-2|$)|codex-", _reasons(_O, 128_000, **_ONLY_RESPONSES)),
    (r"gpt-[0-9.]+.*codex", _reasons((*_O, "xhigh"), 128_000, **_ONLY_RESPONSES)),
    (r"gpt-5[^/]*-chat", Facts(reasons=False, max_tokens_name="max_completion_tokens", output_max=16_384)),
    (r"gpt-5\.[6-9]|gpt-[6-9]", _reasons(_GPT_5_2, 128_000, best_on="responses", reasons_unasked=True)),
    (r"gpt-5\.[45]", _reasons(_GPT_5_2, 128_000, best_on="responses")),
    (r"gpt-5\.[23]", _reasons(_GPT_5_2, 128_000)),
    (r"gpt-5\.1", _reasons(_GPT_5_1, 128_000)),
    (r"gpt-5", _reasons(_GPT_5, 128_000)),
    (r"o1-mini", _reasons(_O, 65_536, calls_in_parallel=False)),
    (r"o1-preview", _reasons(_O, 32_768, calls_in_parallel=False)),
    (r"o[1-9](-|$)", _reasons(_O, 100_000, calls_in_parallel=False)),
    (r"gpt-4o-2024-05-13|gpt-4-(turbo|1106|0125)|gpt-3", Facts(reasons=False, output_max=4_096)),
    (r"gpt-4o|chatgpt-|gpt-4\.5", Facts(reasons=False, output_max=16_384)),
    (r"gpt-4\.1", Facts(reasons=False, output_max=32_768)),
    (r"gpt-4", Facts(reasons=False)),
    (
        r"claude-(opus-4-[7-9]|(opus|sonnet|haiku)-[5-9]|fable|mythos)",
        Facts(refused=("temperature", "top_p", "top_k"), reasons=True, takes_prefill=False),
    ),
    (r"claude-(opus|sonnet|haiku)-4-6", Facts(one_of_temperature_and_top_p=True, reasons=True, takes_prefill=False)),
    (r"claude-(opus-4-1)", Facts(one_of_temperature_and_top_p=True, reasons=True, output_max=32_000)),
    (
        r"claude-(opus-4-[2-5]|(sonnet|haiku)-4-[5-9])",
        Facts(one_of_temperature_and_top_p=True, reasons=True, output_max=64_000),
    ),
    (r"claude-opus-4", Facts(reasons=True, output_max=32_000)),
    (r"claude-(sonnet-4|3-7-)", Facts(reasons=True, output_max=64_000)),
    (r"claude-3-5-", Facts(output_max=8_192)),
    (r"claude-3-", Facts(output_max=4_096)),
    (
        r"gemini-2\.5-flash-lite",
        Facts(
            budget_min=512,
            budget_max=24_576,
            reasons=True,
            google_signatures=True,
            output_max=65_535,
            format_or_tools=True,
        ),
    ),
    (
        r"gemini-2\.5-flash",
        Facts(budget_max=24_576, reasons=True, google_signatures=True, output_max=65_535, format_or_tools=True),
    ),
    (
        r"gemini-2\.5-pro",
        Facts(
            budget_min=128,
            budget_max=32_768,
            stops_thinking=False,
            reasons=True,
            google_signatures=True,
            output_max=65_535,
            format_or_tools=True,
        ),
    ),
    (r"gemini-(1|2)\.", Facts(google_signatures=True, output_max=8_192, format_or_tools=True)),
    (
        r"deepseek-(v[4-9]|reasoner)|kimi-(k2\.[5-9]|k2-thinking|k[3-9])",
        Facts(thinking_returns=True, thinking_demanded=True, chooses_alone=True),
    ),
    (r"deepseek-(r1|coder)", UNKNOWN),  # and what was distilled from it
    (r"(deepseek|kimi|glm|minimax)", Facts(thinking_returns=True)),
    (r"qwen.*thinking|qwq", Facts(chooses_alone=True, instructions_first=True)),
    (r"qwen", Facts(instructions_first=True)),
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
