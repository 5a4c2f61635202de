"""OpenAI chat completions: streams to and from the canonical values. Level 1, sans-I/O.

OpenAI API reference, "Chat" (as of 2026-11). Beyond it, what compatible providers add and clients understand:
`reasoning_content` (DeepSeek, vLLM) or `reasoning` (OpenRouter, Groq) for thinking, `reasoning_details` (OpenRouter) for
signed thinking, `extra_content.google.thought_signature` (Gemini's compatible endpoint) on tool calls, content as a list
of `thinking` and `text` parts (Mistral), `prompt_cache_hit_tokens` (DeepSeek).
"""

import contextlib
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE, ProtocolError
from switchgear.core.usage import Beside, TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.canonical import Finish, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import check_event, encode
from switchgear.dialects.openai.answers import BROKEN, FINISH_NAMES, FINISHES, broken, detail_of, encode_usage
from switchgear.dialects.openai.requests import maker_of
from switchgear.dialects.openai.usage import beside_of_raw, id_of, usage_of_raw
from switchgear.dialects.streams import EventEncoder, Halves
from switchgear.wire import sse


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: Any = None

    @property
    def piece(self) -> str:
        """The piece of the call's arguments; some servers say the whole object."""
        said = self.function.arguments if self.function is not None else None
        return (said or "") if isinstance(said, str | None) else encode(said).decode()


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_details: list[dict[str, Any]] | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    images: list[dict[str, Any]] | None = None


class _Logprobs(msgspec.Struct):
    content: Raw = Raw(b"null")


class _StreamChoice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw(b"null")
    error: Any = None
    usage: Raw = Raw(b"null")
    """Moonshot's, see `tap`."""


class _StreamChunk(msgspec.Struct):
    id: str | int | None = None
    model: str | None = None
    choices: list[_StreamChoice] | None = None
    usage: Raw = Raw(b"null")
    x_groq: Any = None
    service_tier: str | None = None
    error: Any = None


class _StreamedCall:
    """A call whose pieces arrive."""

    __slots__ = ("arguments", "id", "index", "is_begun", "name", "signature")

    def __init__(self, call_id: str, index: int, name: str, signature: str | None) -> None:
        self.id, self.index, self.name, self.signature = call_id, index, name, signature
        self.arguments: list[str] = []
        self.is_begun = False

    def is_complete(self) -> bool:
        """True when the arguments are one JSON value; asked once for each call that follows."""
        try:
            msgspec.json.decode("".join(self.arguments), type=Raw)
        except UNREADABLE:
            return False
        return True


CALLS_MIXED_MAX = 128
"""Among so many of the last calls a piece's call is looked for; no model calls more tools at once."""


_decode_chunk = msgspec.json.Decoder(_StreamChunk, strict=False).decode


_DONE = b"[DONE]"


class StreamDecoder:
    """Bytes of a provider's stream to events. Feed it, then `finish` it."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._halves = Halves()
        self._sequence = canonical.Sequence()
        self._begun = False
        self._ended = False
        self._finish: Finish | None = None
        self._usage: TokenUsage | None = None
        self._tier: str | None = None
        self._beside: Beside | None = None
        self._calls: list[_StreamedCall] = []
        self._open_call: _StreamedCall | None = None

    def feed(self, data: bytes) -> list[canonical.Event]:
        """Return the events that these bytes complete. Raises ProtocolError for an event that is too large or no JSON."""
        for event in self._splitter.feed(data):
            text = sse.event_data(event)
            if text is not None:
                self._take(text)
        return self._sequence.take()

    def finish(self) -> list[canonical.Event]:
        """The stream ended: some providers leave out [DONE]; without a finish reason it broke off."""
        tail = sse.event_data(self._splitter.tail)
        if tail is not None and not self._ended:
            with contextlib.suppress(ProtocolError):  # half an event: the stream broke off
                self._take(tail)
        if not self._ended and self._finish is not None:
            self._end()
        return self._sequence.take()

    def _take(self, text: bytes) -> None:
        if self._ended:
            return
        if text.strip() == _DONE:
            self._end()
            return
        try:
            check_event(text)
            chunk = _decode_chunk(self._halves.join(text))
        except (ValueError, RecursionError) as exc:
            raise ProtocolError(f"the provider sent an event that is not one of its dialect: {exc}") from exc
        sequence = self._sequence
        if chunk.error is not None:
            sequence.events.append(_failed(chunk.error))
            self._ended = True
            return
        if not self._begun:
            self._begun = True
            sequence.events.append(canonical.Begin(id_of(chunk.id), chunk.model))
        usage = usage_of_raw(chunk.usage)
        if usage is None and isinstance(chunk.x_groq, dict):
            usage = usage_of_raw(Raw(encode(chunk.x_groq.get("usage"))))
        if usage is None and chunk.choices:
            usage = usage_of_raw(chunk.choices[0].usage)
        if usage is not None:
            self._usage = usage
            self._beside = beside_of_raw(chunk.usage, chunk.model)
        self._tier = chunk.service_tier or self._tier
        for choice in (chunk.choices or [])[:1]:
            if choice.index:  # further choices that nobody asked for
                continue
            if choice.delta is not None:
                self._delta(choice.delta)
            if bytes(choice.logprobs) != b"null":
                with contextlib.suppress(msgspec.DecodeError):  # some providers have another shape
                    sequence.probe(msgspec.json.decode(choice.logprobs, type=_Logprobs).content)
            if choice.finish_reason in BROKEN:
                sequence.events.append(canonical.Failed(broken(choice.finish_reason, choice.error), "upstream_error"))
                self._ended = True
                return
            if choice.finish_reason:  # empty in each chunk of some servers
                self._finish = FINISHES.get(choice.finish_reason, "stop")

    def _delta(self, delta: _Delta) -> None:
        sequence = self._sequence
        thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else None)
        if thought:
            sequence.text("thinking", thought)
        for detail in delta.reasoning_details or []:
            if detail.get("signature") or detail.get("data"):
                maker = maker_of(str(detail.get("format") or "")) or "unknown"
                sequence.sign(detail.get("signature"), detail.get("data"), maker)
        if isinstance(delta.content, str):
            if delta.content:
                sequence.text("text", delta.content)
        elif isinstance(delta.content, list):
            self._content(delta.content)
        if delta.refusal:
            sequence.text("refusal", delta.refusal)
        for call in delta.tool_calls or []:
            self._tool(call)
        old = delta.function_call  # of servers older than tools; Snowflake fills in "" (recorded)
        if old is not None and (old.name or old.arguments) and not delta.tool_calls:
            self._tool(_Call(0, None, delta.function_call))
        for image in delta.images or []:
            url = (image.get("image_url") or {}).get("url")
            if isinstance(url, str):
                sequence.picture(media.from_url("image", url))

    def _content(self, items: list[Any]) -> None:
        for item in items:
            if not isinstance(item, dict):
                continue
            if item.get("type") == "thinking":
                for piece in item.get("thinking") or []:
                    self._sequence.text("thinking", str(piece.get("text") or ""))
            elif isinstance(item.get("text"), str):
                self._sequence.text("text", item["text"])

    def _tool(self, call: _Call) -> None:
        """Add a piece to its call, which is named by its id or, without one, its index: some servers say index 0 for every
        call, others let the pieces of several calls alternate. Parts do not overlap: a later call waits until the one
        before it is complete, and one whose name comes later (DeepSeek and Kimi behind some hosts: vercel/ai#14722,
        bitrouter#577; read 2026-11-28) until it has it."""
        function = call.function or _Function()
        piece, text = self._call_of(call, function), call.piece
        piece.name = piece.name or function.name or ""
        piece.arguments.append(text)
        if piece is self._open_call:
            self._sequence.more(text)
        elif piece.is_begun:
            if text:
                raise ProtocolError("the provider adds to a tool call that was complete")
        elif piece.name and (self._open_call is None or not self._sequence.is_open or self._open_call.is_complete()):
            self._begin_call(piece)

    def _call_of(self, call: _Call, function: _Function) -> "_StreamedCall":
        recent = self._calls[-CALLS_MIXED_MAX:]
        known = None
        if call.index is not None:
            known = next((each for each in reversed(recent) if each.index == call.index), None)
        elif call.id:
            known = next((each for each in reversed(recent) if each.id == call.id), None)
        elif recent and not function.name:
            known = recent[-1]
        if known is not None and call.id and call.id != known.id and function.name:
            known = (
                None  # some servers say index 0 for every call; others give each piece an id of its own, and no name
            )
        if known is not None:
            return known
        signature = None
        if isinstance(call.extra_content, dict):
            signature = (call.extra_content.get("google") or {}).get("thought_signature")
        index = call.index if call.index is not None else len(self._calls)
        made = _StreamedCall(call.id or "", index, function.name or "", signature)
        self._calls.append(made)
        return made

    def _begin_call(self, call: "_StreamedCall") -> None:
        self._sequence.begin("tool", call.id, call.name, call.signature)
        self._sequence.more("".join(call.arguments))
        call.is_begun, self._open_call = True, call

    def _close_calls(self) -> None:
        for call in self._calls:
            if not call.is_begun:
                self._begin_call(call)

    def _end(self) -> None:
        self._ended = True
        if not self._begun:
            return  # nothing but [DONE] is no answer
        self._close_calls()
        self._sequence.close()
        # [DONE] is a proper end; one provider (Snowflake) gives no finish reason before it.
        self._sequence.events.append(canonical.End(self._finish or "stop", self._usage, None, self._tier, self._beside))


def _failed(error: Any) -> canonical.Failed:
    if isinstance(error, dict):
        return canonical.Failed(
            str(error.get("message") or "the provider reported an error"), str(error.get("type") or "error")
        )
    return canonical.Failed(str(error))


class StreamEncoder(EventEncoder):
    """Events to the bytes of a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
        self._created = created
        self._show_usage = show_usage
        self._id = "chatcmpl-unknown"
        self._calls = self._details = -1
        self._kinds: dict[int, str] = {}

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        self._kinds[event.index] = event.kind
        if event.kind != "tool":
            return b""
        self._calls += 1
        call: dict[str, Any] = {
            "index": self._calls,
            "id": event.id,
            "type": "function",
            "function": {"name": event.name, "arguments": ""},
        }
        if event.signature is not None:
            call["extra_content"] = {"google": {"thought_signature": event.signature}}
        return self._chunk({"tool_calls": [call]})

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        thought = Thinking("", event.signature, event.redacted, event.maker)
        self._details += 1  # the SDK's accumulator joins the elements of a list by their index
        return self._chunk({"reasoning_details": [detail_of(thought) | {"index": self._details}]})

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        self._id = event.id or self._id
        self._model = event.model or self._model
        return self._chunk({"role": "assistant", "content": ""})

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        url = media.to_url(event.media)
        return self._chunk({"images": [{"type": "image_url", "image_url": {"url": url}}]})

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        kind = self._kinds.get(event.index, "text")
        if kind == "text":
            return self._chunk({"content": event.text}, None, event.logprobs)
        if kind == "thinking":
            return self._chunk({"reasoning_content": event.text})
        if kind == "refusal":
            return self._chunk({"refusal": event.text})
        return self._chunk({"tool_calls": [{"index": self._calls, "function": {"arguments": event.text}}]})

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, logprobs: Raw = canonical.NO_LOGPROBS) -> bytes:
        probed = {"content": logprobs, "refusal": None} if bytes(logprobs) != b"null" else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": probed}
        return b"data: %b\n\n" % encode({**self._head(), "choices": [choice]})

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        out = self._chunk({}, FINISH_NAMES[event.finish])
        if self._show_usage and event.usage is not None:
            out += b"data: %b\n\n" % encode({**self._head(), "choices": [], "usage": encode_usage(event.usage)})
        return out + b"data: [DONE]\n\n"
