"""What OpenAI's usage objects say, in chat, completions and embeddings. Level 1.

prompt_tokens includes cached and audio tokens, completion_tokens includes reasoning (OpenAI API reference, read 2026-11-23);
DeepSeek reports cache hits in `prompt_cache_hit_tokens`.
"""

import re

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects.answer_metadata import Stated, cap, stated_cost


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    audio_tokens: int | None = None


_NULL = Raw(b"null")


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class ServerTools(msgspec.Struct):
    """xAI's `server_side_tool_usage_details`."""

    web_search_calls: int | None = None
    x_search_calls: int | None = None
    code_interpreter_calls: int | None = None
    file_search_calls: int | None = None


def calls_of(tools: ServerTools | None) -> dict[str, int]:
    """Return what xAI charges by the call: searches of the web and of X cost the same (docs.x.ai/developers/pricing, read
    2026-11-27)."""
    if tools is None:
        return {}
    counts = {
        "web_searches": (tools.web_search_calls or 0) + (tools.x_search_calls or 0),
        "containers": tools.code_interpreter_calls or 0,
        "file_searches": tools.file_search_calls or 0,
    }
    return {name: count for name, count in counts.items() if count > 0}


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class Usage(msgspec.Struct):
    """A usage object, with what compatible providers add to it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    num_cached_tokens: int | None = None
    """Mistral's."""
    cached_tokens: int | None = None
    """Moonshot's, and of servers after it (AstrBot#6614, with the usage; read 2026-11-27)."""
    reasoning_tokens: int | None = None
    """Perplexity's, beside completion_tokens; so are the next two."""
    citation_tokens: int | None = None
    num_search_queries: int | None = None
    server_tool_use: _ServerTools | None = None
    server_side_tool_usage_details: ServerTools | None = None
    cost: Raw = _NULL
    cost_details: Raw = _NULL
    cost_in_usd_ticks: Raw = _NULL
    is_byok: Raw = _NULL


def id_of(value: object) -> str | None:
    """Return an answer's id as a text: some compatible servers number their answers."""
    return cap(str(value)) if isinstance(value, str | int) else None


def has_more(raw: Usage | None, model: str | None) -> bool:
    """Tell whether there may be more to a bill than its tokens; for most there is not."""
    if raw is not None and (
        raw.cost is not _NULL
        or raw.cost_in_usd_ticks is not _NULL
        or raw.num_search_queries
        or raw.server_tool_use is not None
        or raw.server_side_tool_usage_details is not None
    ):
        return True
    return model is not None and "search" in model


def beside_of(raw: Usage | None, model: str | None) -> Beside:
    """Return what stands beside the tokens of a bill: searches, and a cost that the provider states."""
    beside = Beside(None, None, model)
    if raw is not None:
        searches = raw.num_search_queries
        if searches is None and raw.server_tool_use is not None:
            searches = raw.server_tool_use.web_search_requests
        if searches:
            beside.units = {"web_searches": searches}
        beside.units = {**(beside.units or {}), **calls_of(raw.server_side_tool_usage_details)} or None
        beside.cost = stated_cost(Stated(raw.cost, raw.cost_details, raw.cost_in_usd_ticks, raw.is_byok))
    if model is not None and "search" in model and _SEARCHES.search(model):
        beside.units = {"web_searches": 1}
    return beside


_SEARCHES = re.compile(r"-search-(preview|api)")
"""Models that search the web once for every request (OpenAI, "Web search", Chat Completions, as of 2026-11)."""


def tokens_of(raw: Usage | None) -> TokenUsage | None:
    """Return the buckets, or None when nothing sensible was reported."""
    if raw is None:
        return None
    if (
        raw.prompt_tokens_details is None
        and raw.completion_tokens_details is None
        and raw.prompt_cache_hit_tokens is None
        and raw.num_cached_tokens is None
        and raw.cached_tokens is None
        and raw.reasoning_tokens is None
        and raw.citation_tokens is None
        and (raw.prompt_tokens is not None or raw.completion_tokens is not None)
    ):
        # A total that is larger says that the model thought beside what it wrote (Gemini's compatible answers).
        hidden = (raw.total_tokens or 0) - (raw.prompt_tokens or 0) - (raw.completion_tokens or 0)
        hides = hidden > 0 and raw.completion_tokens is not None
        usage = TokenUsage(input=raw.prompt_tokens, output=raw.completion_tokens, reasoning=hidden if hides else None)
        return usage if usage.is_sane() else None
    prompt = raw.prompt_tokens_details or _PromptDetails()
    completion = raw.completion_tokens_details or _CompletionDetails()
    reasoning, beside = completion.reasoning_tokens, 0
    hidden = (raw.total_tokens or 0) - (raw.prompt_tokens or 0) - (raw.completion_tokens or 0)
    if reasoning is None and raw.reasoning_tokens is not None:
        reasoning = beside = raw.reasoning_tokens
    elif reasoning and hidden == reasoning:
        beside = reasoning  # the total decides (xAI)
    elif reasoning is None and hidden > 0 and raw.completion_tokens is not None and raw.citation_tokens is None:
        reasoning = beside = hidden
    cached = next((count for count in _cached(raw, prompt) if count is not None), None)
    written = (prompt.cache_write_tokens, prompt.cache_creation_tokens, prompt.cache_creation_input_tokens)
    return usage_of(
        prompt=raw.prompt_tokens
        if raw.prompt_tokens is not None or raw.completion_tokens is not None
        else raw.total_tokens,
        completion=raw.completion_tokens + beside if raw.completion_tokens is not None else None,
        cached=cached,
        cache_write=next((count for count in written if count is not None), None),
        audio_in=prompt.audio_tokens,
        reasoning=reasoning,
        audio_out=completion.audio_tokens,
        image=completion.image_tokens,
        citation=raw.citation_tokens,
    )


def _cached(raw: Usage, prompt: _PromptDetails) -> tuple[int | None, ...]:
    return prompt.cached_tokens, raw.prompt_cache_hit_tokens, raw.num_cached_tokens, raw.cached_tokens


def usage_of(
    *,
    prompt: int | None,
    completion: int | None,
    cached: int | None = None,
    cache_write: int | None = None,
    audio_in: int | None = None,
    reasoning: int | None = None,
    audio_out: int | None = None,
    image: int | None = None,
    image_in: int | None = None,
    citation: int | None = None,
    all_image: bool = False,
) -> TokenUsage | None:
    """Split totals that include their parts, as OpenAI reports them, into buckets. None when nothing sensible was
    reported."""
    if prompt is None and completion is None:
        return None
    total_in, total_out = prompt or 0, completion or 0
    image = total_out if all_image else image
    # The total is what counts: one provider was seen to report the same tokens as read from and as written to the cache.
    written = _part(cache_write, total_in - (cached or 0))
    audio = _part(audio_in, total_in - (cached or 0) - (written or 0))
    seen = _part(image_in, total_in - (cached or 0) - (written or 0) - (audio or 0))
    parts_out = (reasoning or 0) + (audio_out or 0) + (image or 0)
    usage = TokenUsage(
        input=max(0, total_in - (cached or 0) - (written or 0) - (audio or 0) - (seen or 0)),
        cache_read=cached,
        cache_write_5m=written,
        # Some providers report reasoning beside completion_tokens instead of inside: never bill fewer than they say.
        output=total_out - parts_out if total_out >= parts_out else total_out,
        reasoning=reasoning,
        audio_in=audio,
        audio_out=audio_out,
        image=image,
        image_in=seen,
        citation=citation,
    )
    return usage if usage.is_sane() else None


_decode_usage = msgspec.json.Decoder(Usage | None, strict=False).decode


def usage_of_raw(raw: Raw) -> TokenUsage | None:
    """Read a usage object; None where there is none, or nothing sensible in it."""
    try:
        return tokens_of(_decode_usage(raw))
    except UNREADABLE:
        return None


def beside_of_raw(raw: Raw, model: str | None) -> Beside:
    """Read what a usage object says of the bill beside its tokens."""
    try:
        return beside_of(_decode_usage(raw), model)
    except UNREADABLE:
        return Beside(None, None, model)


def _part(reported: int | None, left: int) -> int | None:
    return None if reported is None else max(0, min(reported, left)) if reported >= 0 else reported


_TIERS = {"standard": "default"} | {name: name for name in ("auto", "default", "flex", "scale", "priority")}


def tier_name(tier: str | None) -> str | None:
    """Return another provider's service tier in OpenAI's words, or None: its clients accept no other."""
    return _TIERS.get(tier or "")
