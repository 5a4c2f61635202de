"""Anthropic messages: streams to and from the canonical values. Level 1, sans-I/O.

Anthropic API reference, "Messages", "Streaming", "Extended thinking", "Structured outputs" (as of 2026-11). Usage:
`input_tokens` excludes what was read from or written to the cache; `message_delta` repeats running totals, the last one
counts.
"""

from typing import Any

from switchgear.dialects import canonical, media, web_search
from switchgear.dialects.anthropic.answers import (
    FINISH_NAMES,
    FINISHES,
    Usage,
    encode_answer,
    encode_usage,
    usage_of_raw,
)
from switchgear.dialects.anthropic.requests import MAKER, cited
from switchgear.dialects.canonical import Answer, Finish
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import Node, encode, text_of_object
from switchgear.dialects.streams import EventEncoder, SseDecoder, sse_event


class StreamDecoder(SseDecoder):
    """A provider's stream to events."""

    def __init__(self) -> None:
        super().__init__()
        self._usage = Usage()
        self._finish: Finish | None = None
        self._stop_sequence: str | None = None
        self._model: str | None = None
        self._skipped = False
        self._cited: list[Any] = []
        """What the open text names as its sources."""

    def take(self, event: Node) -> None:
        """Take one event."""
        kind = event.text("type")
        sequence = self.sequence
        if kind == "content_block_delta":
            self._delta(event.object("delta"))
        elif kind == "content_block_start":
            self._start(event.object("content_block"))
        elif kind == "content_block_stop":
            if self._cited:
                sequence.more(web_search.links(self._cited))
                self._cited = []
            sequence.close()
            self._skipped = False
        elif kind == "message_start":
            message = event.object("message")
            self._usage = usage_of_raw(message.raw("usage")) or Usage()
            self._model = message.text("model")
            sequence.events.append(canonical.Begin(message.text("id"), self._model, self._usage.tokens()))
        elif kind == "message_delta":
            delta = event.object("delta")
            reason = delta.text("stop_reason")
            if reason is not None:
                self._finish = FINISHES.get(reason, "stop")
            self._stop_sequence = delta.text("stop_sequence")
            usage = usage_of_raw(event.raw("usage"))
            if usage is not None:
                self._usage = self._usage.merge(usage)
        elif kind == "message_stop":
            self._end()
        elif kind == "error":
            error = event.object("error")
            self.fail(error.text("message") or "the provider reported an error", error.text("type") or "api_error")

    def at_end(self) -> None:
        """Some servers of this dialect leave `message_stop` out. Behind the reason of its end an answer is whole."""
        if not self.is_ended and self._finish is not None:
            self._end()

    def _end(self) -> None:
        self.sequence.close()
        self.is_ended = True
        self.sequence.events.append(
            canonical.End(
                self._finish or "stop",
                self._usage.tokens(),
                self._stop_sequence,
                self._usage.tier,
                self._usage.beside(self._model),
            )
        )

    def _start(self, block: Node) -> None:
        kind = block.need("type")
        sequence = self.sequence
        if kind == "text":
            sequence.begin("text")
            sequence.more(block.text("text") or "")
        elif kind == "tool_use":
            sequence.begin("tool", block.need("id"), block.need("name"))
            if block.get("input"):
                sequence.more(text_of_object(block.get("input")))
        elif kind == "thinking":
            sequence.begin("thinking")
            sequence.more(block.text("thinking") or "")
        elif kind == "redacted_thinking":
            sequence.begin("thinking")
            sequence.sign(None, block.text("data"), MAKER)
        else:
            self._skipped = True  # a block of a tool that Anthropic runs itself

    def _delta(self, delta: Node) -> None:
        if self._skipped:
            return
        kind = delta.text("type")
        if kind == "text_delta":
            self.sequence.more(delta.text("text") or "")
        elif kind == "citations_delta":
            self._cited += cited(Node({"citations": [delta.get("citation")]}))
        elif kind == "input_json_delta":
            self.sequence.more(delta.text("partial_json") or "")
        elif kind == "thinking_delta":
            self.sequence.more(delta.text("thinking") or "")
        elif kind == "signature_delta":
            self.sequence.sign(delta.text("signature"), None, MAKER)


class StreamEncoder(EventEncoder):
    """Events to a client's stream."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
        self._index = -1
        self._kind = ""

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        return self._stop()

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        message = encode_answer(Answer(id=event.id, model=event.model, usage=event.usage), self._model, 0)
        message["stop_reason"] = None
        return _event("message_start", {"message": message})

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        text = f"![image]({media.to_url(event.media)})"
        return (
            self._open("text", {"type": "text", "text": ""})
            + self.delta(canonical.Delta(event.index, text))
            + self._stop()
        )

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        delta = {"stop_reason": FINISH_NAMES[event.finish], "stop_sequence": event.stop_sequence}
        usage = encode_usage(event.usage)
        return _event("message_delta", {"delta": delta, "usage": usage}) + _event("message_stop", {})

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        self._index += 1
        self._kind = kind
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _stop(self) -> bytes:
        return _event("content_block_stop", {"index": self._index})

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        if event.kind == "tool":
            before = b""
            if event.signature is not None:
                signature = canonical.pack_signature(event.signature, "gemini", MAKER)
                before = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                before += self._raw_delta({"type": "signature_delta", "signature": signature}) + self._stop()
            return before + self._open("tool", {"type": "tool_use", "id": event.id, "name": event.name, "input": {}})
        if event.kind == "thinking":
            return self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        return self._open("text", {"type": "text", "text": ""})

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        text = event.text
        if self._kind == "text":
            return self._raw_delta({"type": "text_delta", "text": text})
        if self._kind == "thinking":
            return self._raw_delta({"type": "thinking_delta", "thinking": text})
        return self._raw_delta({"type": "input_json_delta", "partial_json": text})

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        signature = canonical.pack_signature(event.signature or event.redacted, event.maker, MAKER)
        return self._raw_delta({"type": "signature_delta", "signature": signature})

    def _raw_delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return sse_event(kind, encode({"type": kind, **fields}))
