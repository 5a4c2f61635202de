"""What bounds a request's use at one deployment: how much it reads, writes and asks of tools. Level 4; pure (docs/invariants.md
N4).

A byte is at least one token, but for what stands for more than its bytes: pictures (up to 4,784 tokens each at Anthropic, "Vision";
36,835 at `gpt-4o-mini`, OpenAI "Images and vision"), pages of a PDF, what is named by id or URL, and what a provider writes around
tools (313 to 804 tokens, Anthropic "Tool use", "Pricing"). Read 2026-11-28.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.dialects import provider_tools
from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.upstream_answers import VECTOR_OPERATIONS
from switchgear.policies import budgets
from switchgear.policies.budgets import Bound, Rates, Reach
from switchgear.pricing import dearest
from switchgear.pricing.output_limits import output_tokens_max
from switchgear.pricing.price import Unit

TOOLS_TOKENS = 1_024
"""What a provider writes around the tools that a request names."""
PICTURE_TOKENS, MINI_PICTURE_TOKENS = 4_784, 37_000
SPEECH_BYTES_PER_S = 750
"""The least of any codec: Opus at 6 kb/s (RFC 6716 §2.1.1)."""
TRANSCRIPT_TOKENS = 16_384
SPEECH_TOKENS_PER_BYTE = 4
PICTURE_OUTPUT_TOKENS = 8_192
"""Of one picture that is made, in its largest size and best quality (OpenAI, "Image generation", "Cost": 6,240)."""
DOCUMENTS_PER_SEARCH = 100
BYTES_PER_DOCUMENT = 500
"""A search ranks a hundred documents, and longer ones count as several (Cohere, "Pricing": of 500 tokens)."""
SHORT_BYTES = 4_096
_NAMED = re.compile(
    rb'"(?:url|image_url|file_url|video_url|fileUri|file_uri|uri|file_id|file_data)"\s*:\s*"(?!data:)|application/pdf'
)
_CACHED = re.compile(rb"cache_control|cachePoint")
_SILENT = VECTOR_OPERATIONS | {"moderations"}
_PICTURES = frozenset({"images", "image_edits", "image_variations"})
_HEARD = frozenset({"transcriptions", "translations"})
_TOOL_UNITS: tuple[tuple[str, Unit], ...] = (
    ("file", "file_searches"),
    ("maps", "maps_searches"),
    ("code", "containers"),
    ("search", "web_searches"),
)
"""What stands in the name of a provider's tool → what it is charged by; the first that fits."""


class Reached(msgspec.Struct, frozen=True):
    """What bounds a request's use at a deployment, and its dearest prices there."""

    reach: Reach
    rates: Rates | None
    """None: there is no price, or not of everything."""
    may_write_limit: bool
    """Whether an output limit can be written into the body."""
    caps_tools: bool = False
    """Whether a cap of its provider's tools must be written into it."""


def reached(
    request: Request, priced: PricedDeployment, body_bytes: int, media: tuple[int, int], context_window: int | None
) -> Reached:
    """Look at a request. `body_bytes`: of the longer of both bodies, the client's and the translated one; `media`: how much of it
    is base64, in how many pieces."""
    operation, deployment = request.operation, priced.deployment
    has_names, is_kept = bool(request.references), False
    for raw in _raws(request):
        has_names = has_names or _NAMED.search(raw) is not None
        is_kept = is_kept or _CACHED.search(raw) is not None
    read = body_bytes
    if "tools" in request.fields or "toolConfig" in request.fields:
        read += TOOLS_TOKENS
    tools, uses = _tools(request)
    is_mini = "4o-mini" in deployment.upstream_model
    read += media[1] * (MINI_PICTURE_TOKENS if is_mini else PICTURE_TOKENS)
    if uses and context_window is not None:  # what they find is read, and once more at each turn of the provider's own
        read, has_names = context_window * (1 + uses), False
    choices = _choices(request)
    output_asked, output_max = _output(request, priced, body_bytes)
    reach = Reach(
        body_bytes=read,
        context_window=None if uses else context_window,
        output_max=output_max,
        output_asked=output_asked,
        choices=choices,
        has_references=has_names or bool(uses and context_window is None),
    )
    asked = BY_NAME[request.dialect].operations.get(operation)
    caps_tools = uses > 0 and provider_tools.capped(request, provider_tools.USES) is not request
    may_write = asked is not None and asked.rules is not None and bool(asked.rules.limit) and operation != "passthrough"
    if priced.pricer is None:
        return Reached(reach, None, may_write, caps_tools)
    price, tier = priced.pricer.price, _text(request, "service_tier")
    input_max = read if context_window is None else max(read, context_window if has_names else 0)
    rates = dearest.dearest(price, input_max, tier, bool(media[1]) or has_names or operation in _HEARD, is_kept)
    if rates is None:
        return Reached(reach, None, may_write, caps_tools)
    units = tools | dict(_units(request, body_bytes, choices))
    extra = dearest.fixed(price, units, tier)
    dear = Rates(input_per_mtok=rates.input_per_mtok, output_per_mtok=rates.output_per_mtok, fixed=extra)
    return Reached(reach, dear, may_write, caps_tools)


def bound(found: Reached, remaining_nanousd: int | None, remaining_tokens: int | None) -> Bound | None:
    """Return the smallest proven bound of a request; None where there is none. `remaining_…`: the least that hard budgets have
    left; None: there is none of that kind. `remaining_tokens` bounds what it writes."""
    reach = found.reach
    if reach.output_asked is None and remaining_tokens is not None:
        fits = max(budgets.OUTPUT_MIN, remaining_tokens) // reach.choices or 1
        most = fits if reach.output_max is None else min(fits, reach.output_max)
        reach = msgspec.structs.replace(reach, output_max=most)
    rates = found.rates or Rates(input_per_mtok=0, output_per_mtok=0)
    if not found.may_write_limit and reach.output_asked is None:
        if found.reach.output_max is None:
            return None
        reach = msgspec.structs.replace(reach, output_asked=found.reach.output_max)
    return budgets.bound(reach, rates, remaining_nanousd)


def _raws(request: Request) -> Iterator[bytes | memoryview]:
    if request.form is not None:
        body = request.form.body
        yield from [body] if isinstance(body, bytes) else body
    for raw in request.fields.values():
        yield memoryview(raw)


def _output(request: Request, priced: PricedDeployment, body_bytes: int) -> tuple[int | None, int | None]:
    """Return (tokens of output as asked, the most that there can be), for each answer."""
    operation, deployment = request.operation, priced.deployment
    if operation in _SILENT:
        return 0, 0
    if operation in _PICTURES:
        return PICTURE_OUTPUT_TOKENS, PICTURE_OUTPUT_TOKENS
    if operation in _HEARD:
        return TRANSCRIPT_TOKENS, TRANSCRIPT_TOKENS
    if operation == "speech":
        return SPEECH_TOKENS_PER_BYTE * body_bytes, None
    facts = facts_of(deployment.upstream_model)
    most = facts.output_max or output_tokens_max(deployment.upstream_model)
    asked = request.output_tokens_max
    return deployment.max_tokens if asked is None else max(0, asked), most


def _choices(request: Request) -> int:
    found = [_number(request, name) for name in ("n", "best_of")]
    if "generationConfig" in request.fields:
        inner = _decoded(request.fields["generationConfig"])
        if isinstance(inner, dict) and isinstance(inner.get("candidateCount"), int):
            found.append(inner["candidateCount"])
    return max(1, *(count or 1 for count in found))


def _units(request: Request, body_bytes: int, choices: int) -> Iterator[tuple[Unit, int]]:
    operation = request.operation
    if operation in _PICTURES:
        yield "images", choices
    elif operation == "speech":
        yield "characters", body_bytes
    elif operation in _HEARD:
        yield "seconds", body_bytes // SPEECH_BYTES_PER_S + 1
    elif operation == "rerank":
        yield "searches", body_bytes // BYTES_PER_DOCUMENT // DOCUMENTS_PER_SEARCH + _documents(request)


def _documents(request: Request) -> int:
    raw = request.fields.get("documents")
    try:
        count = len(msgspec.json.decode(raw, type=list[msgspec.Raw])) if raw is not None else 0
    except UNREADABLE:
        count = 0
    return -(-count // DOCUMENTS_PER_SEARCH) + 1


def _tools(request: Request) -> tuple[dict[Unit, int], int]:
    """Return how often what a provider's tools are charged by may be used at most, and how often they may be used at all."""
    asked = provider_tools.asked_for(request.dialect, request.fields)
    if not asked:
        return {}, 0
    body = bytes(memoryview(request.fields["tools"])) if "tools" in request.fields else b""
    said = [int(found) for found in re.findall(rb'"max_uses"\s*:\s*([0-9]{1,6})', body)]
    uses = max(said, default=_number(request, "max_tool_calls") or provider_tools.USES)
    units: dict[Unit, int] = {}
    for name in asked:
        unit = next((unit for mark, unit in _TOOL_UNITS if mark in name.lower()), None)
        if unit is not None:
            units[unit] = units.get(unit, 0) + uses
    return units, uses * len(asked)


def _number(request: Request, name: str) -> int | None:
    found = _decoded(request.fields[name]) if name in request.fields else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def _text(request: Request, name: str) -> str | None:
    found = _decoded(request.fields[name]) if name in request.fields else None
    return found if isinstance(found, str) else None


def _decoded(raw: msgspec.Raw) -> Any:
    if memoryview(raw).nbytes > SHORT_BYTES:
        return None
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None
