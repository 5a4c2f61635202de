"""OpenAI responses: answers to and from the canonical values, and what they say of usage. Level 1, sans-I/O.

OpenAI API reference, "Responses" and its streaming events (as of 2026-11). The translation is stateless: what refers to
something that a provider stored (`previous_response_id`, `conversation`, item references, file ids) is refused for
providers of another dialect, with the field's name. Codex's freeform tools (`custom`) become functions with one `input`.
"""

from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.answer_metadata import cost_of, usage_reader
from switchgear.dialects.canonical import Answer, Finish, Media, Part, Refusal, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import TRANSLATION_ERRORS, Node, decode
from switchgear.dialects.openai.usage import ServerTools, calls_of, tier_name, usage_of
from switchgear.dialects.responses.requests import MAKER

FINISH_STATUS: dict[Finish, tuple[str, str | None]] = {
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "refusal": ("incomplete", "content_filter"),
}
"""How an answer ended → its status and why it is incomplete; a refusal in words is a whole answer (`status_of`)."""


def status_of(finish: Finish, has_refusal: bool) -> tuple[str, str | None]:
    """Return an answer's status and why it is incomplete."""
    whole = ("completed", None)
    return whole if finish == "refusal" and has_refusal else FINISH_STATUS.get(finish, whole)


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    """Same meaning as chat's, other names."""
    read, written = found.input_tokens_details or _InputDetails(), found.output_tokens_details or _OutputDetails()
    return usage_of(
        prompt=found.input_tokens,
        completion=found.output_tokens,
        cached=read.cached_tokens,
        cache_write=read.cache_write_tokens,
        reasoning=written.reasoning_tokens,
    )


usage_of_raw = usage_reader(_Usage, _tokens)


class _ImageDetails(msgspec.Struct):
    image_tokens: int | None = None


class _ImageTool(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _ImageDetails | None = None


class _WebTool(msgspec.Struct):
    num_requests: int | None = None


class _ToolUsage(msgspec.Struct):
    image_gen: _ImageTool | None = None
    web_search: _WebTool | None = None


_decode_tools = msgspec.json.Decoder(_ToolUsage | None, strict=False).decode


IMAGE_MODEL = "gpt-image-1"
"""What draws where the tool names no other model (OpenAI API reference, `image_generation`, as of 2026-11)."""


_CALLS = {"web_search_call": "web_searches", "file_search_call": "file_searches"}


class _Served(msgspec.Struct):
    server_side_tool_usage_details: ServerTools | None = None


_decode_served = msgspec.json.Decoder(_Served | None, strict=False).decode


def _calls(usage: Raw) -> dict[str, int]:
    """Return the calls that xAI counts in its usage; they count more than the items of its output."""
    if b'"server_side_tool_usage_details"' not in bytes(usage):
        return {}
    try:
        found = _decode_served(usage)
    except UNREADABLE:
        return {}
    return calls_of(found.server_side_tool_usage_details) if found is not None else {}


def beside_of(body: Node) -> Beside:
    """Return what a response says of its bill beside its tokens; nothing where it does not decode."""
    try:
        return _beside(body)
    except TRANSLATION_ERRORS:
        return Beside()


def _beside(body: Node) -> Beside:
    """Return what stands beside a response's tokens: calls of tools that OpenAI runs, the GB of containers, and the tokens of the
    model that draws. Opening a page is no search ("Pricing", built-in tools, as of 2026-11)."""
    units: dict[str, int] = {}
    containers: dict[str, int] = {}
    model, others = None, None
    for item in body.items("output") if isinstance(body.get("output"), list) else ():
        kind = item.text("type") or ""
        if kind in _CALLS and (kind != "web_search_call" or item.object("action").text("type") in {None, "search"}):
            units[_CALLS[kind]] = units.get(_CALLS[kind], 0) + 1
        elif kind == "code_interpreter_call":
            containers[item.text("container_id") or ""] = _memory(body, "code_interpreter")
        elif kind == "shell_call" and item.has("environment") and item.object("environment").has("container_id"):
            containers[item.object("environment").need("container_id")] = _memory(body, "shell")
    try:
        said = _decode_tools(body.raw("tool_usage")) or _ToolUsage()
    except UNREADABLE:
        said = _ToolUsage()
    if said.web_search is not None and said.web_search.num_requests is not None:
        units["web_searches"] = said.web_search.num_requests
    if containers:
        units["containers"] = sum(containers.values())
    units |= _calls(body.raw("usage"))
    drawn = said.image_gen
    if drawn is not None and (drawn.input_tokens or drawn.output_tokens):
        for tool in body.items("tools"):
            model = tool.text("model") if tool.text("type") == "image_generation" else model
        seen = drawn.input_tokens_details.image_tokens if drawn.input_tokens_details is not None else None
        usage = usage_of(prompt=drawn.input_tokens, completion=drawn.output_tokens, image_in=seen, all_image=True)
        others = [Other((model or IMAGE_MODEL)[:128], usage)] if usage is not None else None
    units = {name: count for name, count in units.items() if count}
    return Beside(units or None, others, body.text("model"), cost_of(body.raw("usage")))


_MEMORY_GB = {"1g": 1, "4g": 4, "16g": 16, "64g": 64}


def _memory(body: Node, kind: str) -> int:
    """Return the GB of the containers that a tool of an answer made: its price goes by them ("Pricing", built-in tools). One that
    was made before has its smallest size."""
    for tool in body.items("tools") if isinstance(body.get("tools"), list) else ():
        place = tool.get("container" if kind == "code_interpreter" else "environment")
        if tool.text("type") == kind and isinstance(place, dict):
            return _MEMORY_GB.get(str(place.get("memory_limit")), 1)
    return 1


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. Raises InvalidBodyError for a failed response too."""
    if body.text("status") == "failed" or body.get("error"):
        raise body.fail(body.object("error").text("message") or "the response failed", "error")
    if not isinstance(body.get("output"), list):
        raise body.fail("an answer without output", "output")
    answer = Answer(id=body.text("id"), model=body.text("model"), service_tier=body.text("service_tier"))
    for item in body.each("output"):
        yield
        kind = item.text("type")
        if kind == "message":
            for piece in item.each("content"):
                yield
                if piece.text("type") == "output_text":
                    answer.parts.append(Text(piece.text("text") or ""))
                    if piece.get("logprobs"):
                        answer.logprobs = piece.raw("logprobs")
                elif piece.text("type") == "refusal":
                    answer.parts.append(Refusal(piece.text("refusal") or ""))
        elif kind == "function_call":
            answer.parts.append(
                canonical.ToolCall(item.need("call_id"), item.need("name"), item.text("arguments") or "{}")
            )
        elif kind == "reasoning":
            text = "\n\n".join(piece.text("text") or "" for piece in item.items("summary") or item.items("content"))
            signature = item.text("encrypted_content")
            if text or signature:
                answer.parts.append(Thinking(text, signature, None, MAKER, item.text("id")))
        else:
            answer.dropped.append(f"output.{(kind or 'unknown')[:48]}")
    reason = body.object("incomplete_details").text("reason")
    answer.finish = finish_of(answer.parts, reason)
    answer.usage = usage_of_raw(body.raw("usage"))
    return answer


def finish_of(parts: list[Part], reason: str | None) -> Finish:
    """Say why an answer ended."""
    if reason == "max_output_tokens":
        return "length"
    if reason is not None:
        return "content_filter"
    if any(isinstance(part, canonical.ToolCall) for part in parts):
        return "tool_calls"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "stop"


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    root = (answer.id or "unknown").removeprefix("resp_")
    output = []
    for number, part in enumerate(canonical.detach_signatures(answer.parts)):
        yield
        output.append(item_of(part, f"{root}_{number}", tools))
    status, reason = status_of(answer.finish, any(isinstance(part, Refusal) for part in answer.parts))
    return envelope(f"resp_{root}", answer.model or model, created) | {
        "status": status,
        "incomplete_details": {"reason": reason} if reason is not None else None,
        "output": output,
        "usage": encode_usage(answer.usage),
        "service_tier": tier_name(answer.service_tier),
    }


def envelope(response_id: str, model: str, created: int) -> dict[str, Any]:
    """Build the part of a response that every event of its life repeats."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def item_of(part: Part, name: str, tools: ClientTools, status: str = "completed") -> dict[str, Any]:
    """Build an output item; `name` makes its id."""
    if isinstance(part, canonical.ToolCall):
        if part.name == tools.search:
            found = decode(part.arguments) if part.arguments.strip().startswith("{") else {}
            search = {"type": "tool_search_call", "id": f"tsc_{name}", "call_id": part.id, "execution": "client"}
            return search | {"arguments": found, "status": status}
        space, plain = tools.spaces.get(part.name, ("", part.name))
        named = {"name": plain, "namespace": space} if space else {"name": plain}
        if part.name in tools.customs:
            given = decode(part.arguments) if part.arguments.strip().startswith("{") else {}
            text = given.get("input") if isinstance(given, dict) else None
            return {
                "type": "custom_tool_call",
                "id": f"ctc_{name}",
                "call_id": part.id,
                **named,
                "input": text if isinstance(text, str) else part.arguments,
                "status": status,
            }
        call = {"type": "function_call", "id": f"fc_{name}", "call_id": part.id}
        return call | named | {"arguments": part.arguments, "status": status}
    if isinstance(part, Thinking):
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: dict[str, Any] = {"type": "reasoning", "id": part.id or f"rs_{name}", "summary": summary}
        if part.signature or part.redacted:
            item["encrypted_content"] = canonical.pack_signature(part.signature or part.redacted, part.maker, MAKER)
        return item
    if isinstance(part, Refusal):
        content: list[dict[str, Any]] = [{"type": "refusal", "refusal": part.text}]
    elif isinstance(part, Media):
        content = [
            {"type": "output_text", "text": f"![image]({media.to_url(part)})", "annotations": [], "logprobs": []}
        ]
    else:
        text = part.text if isinstance(part, Text) else ""
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": f"msg_{name}", "status": status, "role": "assistant", "content": content}


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build a usage object."""
    known = usage or TokenUsage()
    return {
        "input_tokens": known.input_total,
        "input_tokens_details": {
            "cached_tokens": known.cached_total,
            "cache_write_tokens": (known.cache_write_5m or 0) + (known.cache_write_1h or 0),
        },
        "output_tokens": known.output_total,
        "output_tokens_details": {"reasoning_tokens": known.reasoning or 0},
        "total_tokens": known.input_total + known.output_total,
    }
