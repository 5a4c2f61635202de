"""Bedrock's Converse: streams to and from the canonical values. Level 1, sans-I/O.

Amazon Bedrock API reference, "Converse" and "ConverseStream" (as of 2026-11). Usage: `inputTokens` excludes what was
read from or written to the cache. Streams are binary (`wire.eventstream`).
"""

from typing import Any

from switchgear.core.errors import UNREADABLE, ProtocolError
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, media
from switchgear.dialects.answer_metadata import cap
from switchgear.dialects.bedrock.answers import BROKEN, FINISH_NAMES, FINISHES, encode_usage, usage_of_raw
from switchgear.dialects.bedrock.requests import MAKER
from switchgear.dialects.canonical import Finish
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import (
    TRANSLATION_ERRORS,
    InvalidBodyError,
    Node,
    decode_event,
    encode,
)
from switchgear.dialects.streams import EventEncoder
from switchgear.wire import eventstream


class StreamDecoder:
    """A provider's stream to events."""

    def __init__(self) -> None:
        self._messages = eventstream.Decoder()
        self._sequence = canonical.Sequence()
        self._finish: Finish | None = None
        self._is_ended = False
        self._is_served = False
        """True within a call that Bedrock runs itself: it is none of the client's (Converse, "ToolUseBlockStart": `type`)."""

    def feed(self, data: bytes) -> list[canonical.Event]:
        """Return the events that these bytes complete. Raises ProtocolError."""
        for message in self._messages.feed(data):
            if not self._is_ended:
                self._message(message)
        return self._sequence.take()

    def finish(self) -> list[canonical.Event]:
        """The stream ended."""
        if not self._is_ended and self._finish is not None:
            self._end(None)
        return self._sequence.take()

    def _message(self, message: eventstream.Message) -> None:
        try:
            body = Node(decode_event(message.payload) if message.payload else {})
            kind = message.headers.get(":exception-type")
            if kind is not None or message.headers.get(":message-type") == "error":
                text = body.text("message") or message.headers.get(":error-message") or "the provider reported an error"
                self._sequence.events.append(canonical.Failed(text, kind or "error"))
                self._is_ended = True
            else:
                self._event(message.headers.get(":event-type", ""), body)
        except (*UNREADABLE, InvalidBodyError) as exc:
            raise ProtocolError(f"the provider sent an event that is not of its dialect: {exc}") from exc

    def _event(self, kind: str, body: Node) -> None:
        sequence = self._sequence
        if kind == "contentBlockDelta":
            self._delta(body.object("delta"))
        elif kind == "contentBlockStart":
            start = body.object("start").object("toolUse")
            self._is_served = start.text("type") == "server_tool_use"
            if start.has("toolUseId") and not self._is_served:
                sequence.begin("tool", start.need("toolUseId"), start.need("name"))
        elif kind == "contentBlockStop":
            self._is_served = False
            sequence.close()
        elif kind == "messageStart":
            sequence.events.append(canonical.Begin(None, None))
        elif kind == "messageStop":
            reason = body.text("stopReason") or ""
            self._finish = FINISHES.get(reason, "stop")
            if reason in BROKEN:
                sequence.events.append(canonical.Failed(f"the model's answer is none ({reason})", "upstream_error"))
                self._is_ended = True
        elif kind == "metadata":
            self._end(usage_of_raw(body.raw("usage")), tier_of(body))

    def _delta(self, delta: Node) -> None:
        sequence = self._sequence
        if delta.has("text"):
            sequence.text("text", delta.need("text"))
        elif delta.has("toolUse") and not self._is_served:
            sequence.more(delta.object("toolUse").text("input") or "")
        elif delta.has("reasoningContent"):
            thought = delta.object("reasoningContent")
            if thought.has("text"):
                sequence.text("thinking", thought.need("text"))
            elif thought.has("signature") or thought.has("redactedContent"):
                sequence.sign(thought.text("signature"), thought.text("redactedContent"), MAKER)

    def _end(self, usage: TokenUsage | None, tier: str | None = None) -> None:
        self._is_ended = True
        self._sequence.close()
        if self._finish is not None:
            self._sequence.events.append(canonical.End(self._finish, usage, None, tier))


class StreamEncoder(EventEncoder):
    """Events to a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._index = -1
        self._kind = ""

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        return self._stop()

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        signature = canonical.pack_signature(event.signature or event.redacted, event.maker, MAKER)
        return self._block_delta({"reasoningContent": {"signature": signature}})

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        return eventstream.event("messageStart", encode({"role": "assistant"}))

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        self._kind = "text"
        self._index += 1
        return self.delta(canonical.Delta(event.index, f"![image]({media.to_url(event.media)})")) + self._stop()

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        stop = eventstream.event("messageStop", encode({"stopReason": FINISH_NAMES[event.finish]}))
        metadata = {"usage": encode_usage(event.usage), "metrics": {"latencyMs": 0}}
        return stop + eventstream.event("metadata", encode(metadata))

    def _stop(self) -> bytes:
        return eventstream.event("contentBlockStop", encode({"contentBlockIndex": self._index}))

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        before = b""
        self._index += 1
        self._kind = event.kind
        if event.kind != "tool":
            return b""
        if event.signature is not None:
            packed = canonical.pack_signature(event.signature, "gemini", MAKER)
            before = self._block_delta({"reasoningContent": {"signature": packed}}) + self._stop()
            self._index += 1
        start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
        body = encode({"contentBlockIndex": self._index, "start": start})
        return before + eventstream.event("contentBlockStart", body)

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        text = event.text
        if self._kind == "tool":
            return self._block_delta({"toolUse": {"input": text}})
        if self._kind == "thinking":
            return self._block_delta({"reasoningContent": {"text": text}})
        return self._block_delta({"text": text})

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        body = encode({"contentBlockIndex": self._index, "delta": delta})
        return eventstream.event("contentBlockDelta", body)


def tier_of(body: Node) -> str | None:
    """The service tier that served the request (Amazon Bedrock API reference, "ServiceTier")."""
    try:
        return cap(body.object("serviceTier").text("type"))
    except TRANSLATION_ERRORS:
        return None
