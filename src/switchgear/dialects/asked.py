"""What a body asks for that costs, as its provider will read it. Level 1, pure (docs/invariants.md N4).

It is read in the provider's dialect, after translation, by whatever spelling a server may take: where a body says two limits, the
larger one counts; protobuf's JSON takes `candidateCount` and `candidate_count` (protobuf, "ProtoJSON Format"); servers written
with pydantic take "4" and 4.0 for 4. Read 2026-11-28.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects import provider_tools
from switchgear.dialects.provider_tools import AskedTool

LIMITS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "max_tokens_to_sample",
    "max_new_tokens",
    "max_gen_len",
    "maxTokens",
    "maxTokenCount",
)
HOLDERS = (
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "additionalModelRequestFields",
    "textGenerationConfig",
    "parameters",
)
"""Objects of a body in which limits and counts stand as well."""
CHOICES = ("n", "best_of", "candidateCount", "candidate_count", "num_generations", "numResults")
SCANNED_BYTES_MAX = 1_048_576
"""A longer body is not searched for names: it is as long as any context window."""
_NAMED = re.compile(
    rb'"(?:url|image_url|file_url|video_url|fileUri|file_uri|uri|file_id|file_data)"\s*:\s*"(?!data:)'
    # what is shorter than what it stands for: documents, films, sound that may be silence
    rb"|application\\?/(?!json)[a-z]|video\\?/[a-z0-9]|audio\\?/(?:x-)?(?:flac|ogg|opus|webm)"
    rb'|"format"\s*:\s*"(?:pdf|docx?|xlsx?|pptx?|mp4|mkv|mov|webm|flv|mpeg|mpg|wmv|three_gp|flac|ogg|opus)"'
    # an escaped letter, which no serializer writes: whatever it hides
    rb"|\\u00(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
)
_CACHED = re.compile(rb"cache_control|cachePoint")
_OTHERS = ("max_tool_calls",)
_AUTO = frozenset({None, "auto"})
_COUNT = re.compile(r"[0-9]{1,9}(?:\.0*)?")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one body asks for."""

    output: int | None
    """Tokens of each answer at most; None: it says nothing."""
    choices: int
    """How many answers there may be."""
    tools: tuple[AskedTool, ...]
    """That the provider runs."""
    tool_calls: int | None
    """How many calls of all of them there may be; None: it says nothing."""
    has_tools: bool
    """It names tools of any kind."""
    tier: str | None
    is_tier_open: bool
    """The provider chooses the tier: OpenAI's default is the project's setting (OpenAI API reference, `service_tier`)."""
    modes: frozenset[str]
    """`fast` where it asks for that; `us` unless it asks for another place: a workspace may have a default (Anthropic, "Data
    residency")."""
    has_references: bool
    """Something is named by id or URL, or stands for more tokens than its bytes."""
    is_kept: bool
    """It asks that a part of it be kept in the provider's cache."""


def read(
    dialect: str,
    operation: str,
    fields: Mapping[str, Raw],
    texts: Mapping[str, str],
    raws: Iterable[bytes | memoryview],
) -> Asked:
    """Read a body: its members, the texts of a form, and all its bytes."""
    tier = _text(fields.get("service_tier")) or texts.get("service_tier")
    has_references, is_kept = False, False
    for raw in raws:
        is_long = len(raw) > SCANNED_BYTES_MAX
        has_references = has_references or is_long or _NAMED.search(raw) is not None
        is_kept = is_kept or is_long or _CACHED.search(raw) is not None
    places = _places(fields, texts)
    prompts = _prompts(fields) if operation == "completions" else 1
    modes = {"fast"} if "speed" in fields else set()
    if _text(fields.get("inference_geo")) in {None, "us"}:
        modes.add("us")
    return Asked(
        output=max(_counts(places, LIMITS), default=None),
        choices=max(1, *_counts(places, CHOICES), 1) * prompts,
        tools=tuple(provider_tools.tools_of(dialect, fields)),
        tool_calls=min(_counts(places, _OTHERS), default=None),
        has_tools="tools" in fields or "toolConfig" in fields,
        tier=tier,
        is_tier_open=tier == "auto" or (tier in _AUTO and dialect in {"openai", "responses"}),
        modes=frozenset(modes),
        has_references=has_references,
        is_kept=is_kept,
    )


def _places(fields: Mapping[str, Raw], texts: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return where limits and counts may stand, decoded."""
    outer = {name: _decoded(fields[name]) for name in (*LIMITS, *CHOICES, *_OTHERS) if name in fields}
    inner = [_decoded(fields[name]) for name in HOLDERS if name in fields]
    return [texts, outer, *(one for one in inner if isinstance(one, dict))]


def _counts(places: Iterable[Mapping[str, Any]], names: Iterable[str]) -> list[int]:
    found = (count_of(place[name]) for place in places for name in names if name in place)
    return [count for count in found if count is not None]


def count_of(value: Any) -> int | None:
    """Return a number of things, also of a text or a float as lenient servers read it; None for what is none."""
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return int(value)


def _prompts(fields: Mapping[str, Raw]) -> int:
    """Return how many texts are to be completed: a list of texts, or of lists of tokens."""
    found = _decoded(fields["prompt"]) if "prompt" in fields else None
    return max(1, len(found)) if isinstance(found, list) and found and not isinstance(found[0], int) else 1


def _text(raw: Raw | None) -> str | None:
    found = _decoded(raw) if raw is not None else None
    return found if isinstance(found, str) else None


def _decoded(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None
