"""What bounds a request's use at one deployment: how much it reads, writes and asks of tools. Level 4; pure (docs/invariants.md
N4).

A byte is at least one token, but for what stands for more than its bytes: pictures (up to 4,784 tokens each at Anthropic, "Vision";
36,835 at `gpt-4o-mini`, OpenAI "Images and vision"), pages of a PDF, what is named by id or URL, and what a provider writes around
tools (313 to 804 tokens, Anthropic "Tool use", "Pricing"). Read 2026-11-28.
"""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects import asked as body_asks
from switchgear.dialects import provider_tools
from switchgear.dialects.asked import Asked
from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.provider_tools import AskedTool
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request
from switchgear.dialects.request_writer import Body
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
UNKNOWN_OUTPUT_TOKENS = 8_192
"""What is written as the limit where neither the request nor what is known of the model says one: small enough that servers take
it, and that one request does not hold a whole budget."""
_SILENT = VECTOR_OPERATIONS | {"moderations"}
_PICTURES = frozenset({"images", "image_edits", "image_variations"})
_HEARD = frozenset({"transcriptions", "translations"})
_EACH_ITS_OWN = VECTOR_OPERATIONS | {"completions"}
"""Operations that read many texts, each in a window of its own."""
_REASONS = frozenset({"reasoning_effort", "reasoning", "thinking"})
THOUGHT_TOKENS = 65_536
"""What a translation adds to a limit at most, for a model that thinks before it answers."""
_CALLS = frozenset({"POST", "PUT", "PATCH"})
_TOOLS: tuple[tuple[str, Unit | None], ...] = (
    ("web_search", "web_searches"),
    ("web_fetch", None),
    ("google_search", "web_searches"),
    ("googleSearch", "web_searches"),
    ("url_context", None),
    ("urlContext", None),
    ("file_search", "file_searches"),
    ("fileSearch", "file_searches"),
    ("code_interpreter", "containers"),
    ("code_execution", "containers"),
    ("codeExecution", "containers"),
    ("google_maps", "maps_searches"),
    ("googleMaps", "maps_searches"),
    ("tool_search", None),
    ("mcp", None),
)
"""How tools' names begin → what a use is charged by; None: by its tokens alone. Any other has no bound."""


class Reached(msgspec.Struct, frozen=True):
    """What bounds a request's use at a deployment, and its dearest prices there."""

    reach: Reach
    rates: Rates | None
    """None: there is no price, or not of everything."""
    may_write_limit: bool
    """Whether an output limit can be written into the body."""
    unbounded: str | None = None
    """A tool that the provider runs, of which nobody knows what it may cost; or what a raw path asks for."""
    caps_tools: bool = False
    """Whether a cap of its provider's tools must be written into it."""


def reached(
    request: Request,
    priced: PricedDeployment,
    body_bytes: int,
    media: tuple[int, int],
    context_window: int | None,
    sent: tuple[str, Body] | None = None,
) -> Reached:
    """Look at a request. `body_bytes`: of the longer of both bodies, the client's and the translated one; `media`: how much of it
    is base64, in how many pieces; `sent`: the provider's dialect, and the body for it."""
    operation, deployment = request.operation, priced.deployment
    dialect, fields = _fields(request, sent)
    is_whole = sent is None or request.form is not None or bool(fields)
    if not is_whole:  # a large body that is translated later
        dialect, fields = request.dialect, request.fields
    if operation == "passthrough" and request.method not in _CALLS:
        nothing = Reach(body_bytes=0, context_window=None, output_max=0, output_asked=0)
        return Reached(nothing, Rates(input_per_mtok=0, output_per_mtok=0), may_write_limit=False)
    texts = request.form.texts if request.form is not None else {}
    asked = body_asks.read(dialect, operation, fields, texts, _raws(request, fields))
    has_names = operation != "rerank" and (bool(request.references) or asked.has_references)
    tools, unbounded = _tools(asked)
    if operation == "passthrough" and not _is_chat(dialect, fields):
        unbounded = "what this path does"
    read = body_bytes + (TOOLS_TOKENS if asked.has_tools else 0)
    is_mini = "4o-mini" in deployment.upstream_model
    read += media[1] * (MINI_PICTURE_TOKENS if is_mini else PICTURE_TOKENS)
    window = None if operation in _EACH_ITS_OWN and not has_names else context_window
    if (
        asked.tools and context_window is not None
    ):  # what they find is read, and once more at each turn of the provider's own
        read, has_names = context_window * (1 + sum(tools.values())), False
    output_asked, output_max = _output(request, asked, priced, body_bytes)
    if output_asked is not None and not is_whole and _REASONS & request.fields.keys():
        output_asked = output_max or output_asked + THOUGHT_TOKENS
    reach = Reach(
        body_bytes=read,
        context_window=None if asked.tools else window,
        output_max=output_max,
        output_asked=output_asked,
        choices=asked.choices,
        has_references=has_names or bool(asked.tools and context_window is None),
    )
    known = BY_NAME[request.dialect].operations.get(operation)
    may_write = known is not None and known.rules is not None and bool(known.rules.limit) and operation != "passthrough"
    found = Reached(
        reach,
        None,
        may_write_limit=may_write,
        unbounded=unbounded,
        caps_tools=bool(asked.tools) and provider_tools.capped(request, provider_tools.USES) is not request,
    )
    if priced.pricer is None:
        return found
    price = priced.pricer.price
    tiers = dearest.tiers(price, asked.tier, asked.is_tier_open, asked.modes)
    input_max = read if context_window is None else max(read, context_window if has_names else 0)
    has_media = bool(media[1]) or has_names or operation in _HEARD
    rates = dearest.dearest(price, input_max, tiers, has_media, asked.is_kept)
    if rates is None:
        return found
    units = _sums(tools) | dict(_units(request, body_bytes, asked.choices))
    extra = dearest.fixed(price, units, tiers)
    return msgspec.structs.replace(
        found, rates=Rates(input_per_mtok=rates.input_per_mtok, output_per_mtok=rates.output_per_mtok, fixed=extra)
    )


def bound(found: Reached, remaining_nanousd: int | None, remaining_tokens: int | None) -> Bound | None:
    """Return the smallest proven bound of a request; None where there is none. `remaining_…`: the least that hard budgets have
    left; None: there is none of that kind. `remaining_tokens` bounds what it writes."""
    reach = found.reach
    if reach.output_asked is None and reach.output_max is None and found.may_write_limit:
        reach = msgspec.structs.replace(reach, output_max=UNKNOWN_OUTPUT_TOKENS)
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


def _fields(request: Request, sent: tuple[str, Body] | None) -> tuple[str, Mapping[str, Raw]]:
    """Return the members of what the provider gets, and in which dialect."""
    if request.form is not None:
        return request.dialect, _members(request.form.body) if request.operation == "passthrough" else {}
    if sent is None:
        return request.dialect, request.fields
    return sent[0], _members(sent[1])


def _members(body: Body) -> Mapping[str, Raw]:
    try:
        return msgspec.json.decode(body if isinstance(body, bytes) else b"".join(body), type=dict[str, Raw])
    except UNREADABLE:
        return {}


def _raws(request: Request, fields: Mapping[str, Raw]) -> Iterator[bytes | memoryview]:
    """Return what is searched for names: what was asked and what is sent."""
    if request.form is not None:
        yield request.form.body
    for raw in {**request.fields, **fields}.values():
        yield memoryview(raw)


def _is_chat(dialect: str, fields: Mapping[str, Raw]) -> bool:
    """Tell whether a raw body asks for one answer of a model."""
    rules = BY_NAME[dialect].operations["chat"].rules
    return rules is not None and any(name in fields for name in rules.required) and "requests" not in fields


def _output(request: Request, asked: Asked, priced: PricedDeployment, body_bytes: int) -> tuple[int | None, int | None]:
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
    limits = [one for one in (asked.output, request.output_tokens_max) if one is not None]
    return max(limits, default=deployment.max_tokens), most


def _tools(asked: Asked) -> tuple[dict[AskedTool, int], str | None]:
    """Return how often each tool that the provider runs may be used at most, and one of which nobody knows what it costs."""
    found: dict[AskedTool, int] = {}
    unbounded = None
    for tool in asked.tools:
        if _unit(tool) is _UNKNOWN:
            unbounded = tool.name
        uses = 1 if tool.name == "web_search_options" else tool.max_uses
        found[tool] = next(one for one in (uses, asked.tool_calls, provider_tools.USES) if one is not None)
    return found, unbounded


_UNKNOWN = "unknown"


def _unit(tool: AskedTool) -> str | None:
    return next((unit for name, unit in _TOOLS if tool.name.startswith(name)), _UNKNOWN)


def _sums(tools: Mapping[AskedTool, int]) -> dict[Unit, int]:
    found: dict[Unit, int] = {}
    for tool, uses in tools.items():
        for name, unit in _TOOLS:
            if unit is not None and tool.name.startswith(name):
                found[unit] = found.get(unit, 0) + uses
                break
    return found


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
