"""Gemini's generateContent: answers to and from the canonical values, and what they say of usage. Level 1, sans-I/O.

AI Studio and Vertex AI speak the same. Gemini API reference, "Generating content", "Function calling", "Thought
signatures" (as of 2026-11). Usage: `promptTokenCount` includes cached tokens, `thoughtsTokenCount` stands beside
`candidatesTokenCount`, and `toolUsePromptTokenCount` beside `promptTokenCount`; every chunk repeats running totals, the
last one counts. Keys may be spelled in camelCase or snake_case.
"""

import contextlib
import re
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.answer_metadata import cap, usage_reader
from switchgear.dialects.canonical import Answer, Finish, Media, Part, Refusal, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.gemini.carried import pack
from switchgear.dialects.gemini.requests import MAKER, camel, encode_media
from switchgear.dialects.json_node import (
    TRANSLATION_ERRORS,
    Node,
    encode,
    object_of,
    text_of_object,
)

_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "LANGUAGE",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)


_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)
"""Reasons that say that the answer is none: told as an end, an agent stops without a word (Gemini API reference, FinishReason;
litellm#16651, #21744; read 2026-11-27)."""


FINISH_NAMES: dict[Finish, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
}


class _Detail(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Detail] | None = None
    cache_tokens_details: list[_Detail] | None = None
    candidates_tokens_details: list[_Detail] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None


def _tokens(found: _Usage) -> TokenUsage | None:
    if found.prompt_token_count is None and found.candidates_token_count is None:
        return None
    cached = found.cached_content_token_count
    audio_in = _modality(found.prompt_tokens_details, "AUDIO")
    audio_cached = min(_modality(found.cache_tokens_details, "AUDIO") or 0, cached or 0) or None
    if audio_in:
        audio_in = max(0, audio_in - (audio_cached or 0))
    audio_out = _modality(found.candidates_tokens_details, "AUDIO")
    image = _modality(found.candidates_tokens_details, "IMAGE")
    prompt = (found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0)
    return TokenUsage(
        input=max(0, prompt - (cached or 0) - (audio_in or 0)),
        cache_read=cached - audio_cached if cached is not None and audio_cached else cached,
        output=max(0, (found.candidates_token_count or 0) - (audio_out or 0) - (image or 0)),
        reasoning=found.thoughts_token_count,
        audio_in=audio_in,
        audio_out=audio_out,
        image=image,
        audio_cached=audio_cached,
    )


usage_of_raw = usage_reader(_Usage, _tokens)


_TRAFFIC = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def tier_of(usage: Node) -> str | None:
    """The service tier that a usage object tells: Gemini's `serviceTier`, Vertex's `trafficType`."""
    try:
        usage = camel(usage)
        tier = usage.text("serviceTier")
        return cap(tier.lower() if tier else _TRAFFIC.get(usage.text("trafficType") or ""))
    except TRANSLATION_ERRORS:
        return None


_BY_PROMPT = re.compile(r"gemini-(?:1|2)[.-]")


class Grounds(msgspec.Struct):
    """What grounds an answer, or the chunks of it so far."""

    searches: list[str] = []
    has_web: bool = False
    has_maps: bool = False

    def add(self, body: Node) -> None:
        """Add what a chunk says."""
        with contextlib.suppress(*TRANSLATION_ERRORS):
            for candidate in body.items("candidates"):
                grounds = camel(camel(candidate).object("groundingMetadata"))
                texts = (one.value for one in grounds.items("webSearchQueries"))
                self.searches += [text for text in texts if isinstance(text, str) and text]
                del self.searches[SEARCHES_MAX:]
                self.has_web = self.has_web or grounds.has("searchEntryPoint")
                self.has_maps = self.has_maps or grounds.has("googleMapsWidgetContextToken")
                for chunk in grounds.items("groundingChunks"):
                    self.has_web = self.has_web or chunk.has("web")
                    self.has_maps = self.has_maps or chunk.has("maps")


SEARCHES_MAX = 1_000
"""Searches of one answer that are remembered."""


def grounds_of(body: Node) -> Grounds:
    """Return what grounds a plain answer."""
    found = Grounds()
    found.add(body)
    return found


def beside_of(grounds: Grounds, model: str | None) -> Beside:
    """Count searches as they are charged: each query since Gemini 3, once for a prompt before; empty ones are none, and equal
    ones are one (Google, "Gemini API pricing" and "Grounding with Google Search", as of 2026-11). Places come from Google Maps,
    which has a price of its own; where the web was asked too, the queries are those of the web."""
    queries = len(dict.fromkeys(grounds.searches))
    web = queries if grounds.has_web or not grounds.has_maps else 0
    maps = max(1, queries - web) if grounds.has_maps else 0
    if _BY_PROMPT.search(model or ""):
        web, maps = min(web, 1), min(maps, 1)
    units = {name: count for name, count in (("web_searches", web), ("maps_searches", maps)) if count}
    return Beside(units or None, None, model)


def _modality(details: list[_Detail] | None, name: str) -> int | None:
    found = [detail.token_count or 0 for detail in details or [] if detail.modality == name]
    return sum(found) if found else None


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    """Read a provider's answer. A prompt that was blocked is an answer without content."""
    body = camel(body)
    answer = Answer(id=body.text("responseId"), model=body.text("modelVersion"))
    answer.usage = usage_of_raw(body.raw("usageMetadata"))
    candidates = body.items("candidates")
    if not candidates:
        if not body.has("promptFeedback"):
            raise body.fail("an answer without candidates", "candidates")
        answer.finish = "content_filter"
        return answer
    candidate = camel(candidates[0])
    if (problem := broken(candidate)) is not None:
        raise body.fail(problem, "candidates")
    reader = PartReader(answer.id, answer.dropped)
    for item in candidate.object("content").each("parts"):
        yield
        answer.parts += reader.read(camel(item))
    answer.finish = finish_of(candidate.text("finishReason"), reader.calls > 0)
    logprobs = camel(candidate.object("logprobsResult"))
    if logprobs.has("chosenCandidates"):
        answer.logprobs = Raw(encode((yield from read_logprobs.steps(logprobs))))
    for key in ("groundingMetadata", "citationMetadata", "urlContextMetadata"):
        if candidate.has(key):
            answer.dropped.append(key)
    return answer


def broken(candidate: Node) -> str | None:
    """Return why a candidate is no answer, or None."""
    reason = candidate.text("finishReason")
    if reason not in _BROKEN:
        return None
    return f"the model's answer is none ({reason}): {candidate.text('finishMessage') or ''}".rstrip(": ")


def finish_of(reason: str | None, has_calls: bool) -> Finish:
    """Say why an answer ended."""
    if reason == "MAX_TOKENS":
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if has_calls else "stop"


@Stepwise
def read_logprobs(result: Node) -> Steps[list[dict[str, Any]]]:
    """Turn `logprobsResult` into the tokens of OpenAI's `logprobs`."""
    tops = result.each("topCandidates")
    out = []
    for chosen in result.each("chosenCandidates"):
        yield
        above = next(tops, None)
        top = camel(above).items("candidates") if above is not None else []
        entries = [_token(camel(item)) for item in [chosen, *top]]
        out.append(entries[0] | {"top_logprobs": entries[1:]})
    return out


def _token(item: Node) -> dict[str, Any]:
    token = item.text("token") or ""
    return {"token": token, "logprob": item.number("logProbability") or 0.0, "bytes": list(token.encode())}


class PartReader:
    """Reads the parts of one answer, whole or chunk by chunk."""

    def __init__(self, response_id: str | None, dropped: list[str]) -> None:
        self.response_id = response_id
        self.dropped = dropped
        self.calls = 0

    def read(self, part: Node) -> list[Part]:
        """Return what a part says; nothing for what only Google's own tools say."""
        if part.has("functionCall"):
            call = part.object("functionCall")
            self.calls += 1
            made = f"call_{(self.response_id or 'gemini')[-16:]}_{self.calls}"
            arguments = text_of_object(call.get("args"))
            return [
                canonical.ToolCall(call.text("id") or made, call.need("name"), arguments, part.text("thoughtSignature"))
            ]
        if part.has("text"):
            text = part.need("text")
            if part.flag("thought"):
                return [Thinking(text, part.text("thoughtSignature"), None, MAKER)]
            return [Text(text)] if text else []
        if part.has("inlineData"):
            blob = camel(part.object("inlineData"))
            mime = blob.text("mimeType")
            return [Media(media.kind_of_mime(mime), mime, blob.need("data"))]  # type: ignore[arg-type]
        self.dropped += [f"parts.{key}" for key in part.names() if key != "thoughtSignature"]
        return []


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    """Build the answer for a client."""
    parts = []
    thoughts: list[Thinking] = []
    for part in answer.parts:
        yield
        if isinstance(part, Thinking) and part.maker != MAKER:
            thoughts.append(part)
        if isinstance(part, canonical.ToolCall) and part.signature is None and thoughts:
            part.signature, thoughts = pack(thoughts), []
        parts.append(answer_part(part))
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": FINISH_NAMES[answer.finish],
        "index": 0,
    }
    if bytes(answer.logprobs) != b"null":
        candidate["logprobsResult"] = yield from write_logprobs.steps(Node(msgspec.json.decode(answer.logprobs)))
    return {
        "candidates": [candidate],
        "usageMetadata": encode_usage(answer.usage),
        "modelVersion": answer.model or model,
        "responseId": answer.id or "unknown",
    }


@Stepwise
def write_logprobs(tokens: Node) -> Steps[dict[str, Any]]:
    """Build `logprobsResult`."""

    def one(item: Node) -> dict[str, Any]:
        return {"token": item.text("token"), "logProbability": item.number("logprob")}

    chosen: list[dict[str, Any]] = []
    tops: list[dict[str, Any]] = []
    for item in tokens:
        yield
        chosen.append(one(item))
        tops.append({"candidates": [one(top) for top in item.items("top_logprobs")]})
    return {"chosenCandidates": chosen, "topCandidates": tops}


def answer_part(part: Part) -> dict[str, Any]:
    """Build a part of an answer for a client."""
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, Thinking):
        out: dict[str, Any] = {"text": part.text, "thought": True}
        return out | ({"thoughtSignature": part.signature} if part.maker == MAKER and part.signature else {})
    if isinstance(part, canonical.ToolCall):
        call = {"id": part.id, "name": part.name, "args": object_of(part.arguments)}
        return {"functionCall": call} | ({"thoughtSignature": part.signature} if part.signature is not None else {})
    if isinstance(part, Media):
        return encode_media(part)
    raise AssertionError("no model answers with a tool's result")


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Build `usageMetadata`."""
    known = usage or TokenUsage()
    out = {
        "promptTokenCount": known.input_total,
        "candidatesTokenCount": known.output_total - (known.reasoning or 0),
        "totalTokenCount": known.input_total + known.output_total,
    }
    if known.cached_total:
        out["cachedContentTokenCount"] = known.cached_total
    if known.reasoning:
        out["thoughtsTokenCount"] = known.reasoning
    return out
