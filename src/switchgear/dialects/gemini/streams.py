"""Gemini's generateContent: streams to and from the canonical values. Level 1, sans-I/O.

AI Studio and Vertex AI speak the same. Gemini API reference, "Generating content", "Function calling", "Thought
signatures" (as of 2026-11). Usage: `promptTokenCount` includes cached tokens, `thoughtsTokenCount` stands beside
`candidatesTokenCount`, and `toolUsePromptTokenCount` beside `promptTokenCount`; every chunk repeats running totals, the
last one counts. Keys may be spelled in camelCase or snake_case.
"""

from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical
from switchgear.dialects.canonical import Media, Part, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.gemini.answers import (
    FINISH_NAMES,
    Grounds,
    PartReader,
    answer_part,
    beside_of,
    broken,
    encode_usage,
    finish_of,
    read_logprobs,
    tier_of,
    usage_of_raw,
    write_logprobs,
)
from switchgear.dialects.gemini.carried import pack
from switchgear.dialects.gemini.requests import MAKER, camel, encode_media
from switchgear.dialects.json_node import (
    Node,
    encode,
)
from switchgear.dialects.streams import EventEncoder, SseDecoder


class StreamDecoder(SseDecoder):
    """A provider's stream to events. A call comes whole, in one chunk."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = PartReader(None, [])
        self._usage: TokenUsage | None = None
        self._tier: str | None = None
        self._model: str | None = None
        self._grounds = Grounds()
        self._finish: str | None = None

    def take(self, event: Node) -> None:
        """Take one chunk."""
        if event.has("error"):
            error = event.object("error")
            self.fail(error.text("message") or "the provider reported an error", str(error.get("status") or "INTERNAL"))
            return
        event = camel(event)
        sequence = self.sequence
        if not self.is_begun:
            self.is_begun = True
            self._reader.response_id = event.text("responseId")
            self._model = event.text("modelVersion")
            sequence.events.append(canonical.Begin(event.text("responseId"), self._model))
        if event.has("usageMetadata"):
            self._tier = tier_of(event.object("usageMetadata")) or self._tier
            self._usage = usage_of_raw(event.raw("usageMetadata")) or self._usage
        for candidate in event.items("candidates")[:1]:
            node = camel(candidate)
            for item in node.object("content").items("parts"):
                for part in self._reader.read(camel(item)):
                    self._part(part)
            if node.has("groundingMetadata"):
                self._grounds.add(event)
            logprobs = camel(node.object("logprobsResult"))
            if logprobs.has("chosenCandidates"):
                sequence.probe(Raw(encode(read_logprobs(logprobs))))
            self._finish = node.text("finishReason") or self._finish
            if (problem := broken(node)) is not None:
                self.fail(problem, "upstream_error")
                return
        if event.has("promptFeedback") and event.object("promptFeedback").has("blockReason"):
            self._finish = "SAFETY"

    def _part(self, part: Part) -> None:
        sequence = self.sequence
        if isinstance(part, Text):
            sequence.text("text", part.text)
        elif isinstance(part, Thinking):
            sequence.text("thinking", part.text)
            if part.signature is not None:
                sequence.sign(part.signature, None, MAKER)
        elif isinstance(part, canonical.ToolCall):
            sequence.begin("tool", part.id, part.name, part.signature)
            sequence.more(part.arguments)
            sequence.close()
        elif isinstance(part, Media):
            sequence.picture(part)

    def at_end(self) -> None:
        """A stream of this dialect has no end of its own: it is whole when a finish reason was given."""
        if not self.is_ended and self._finish is not None:
            self.is_ended = True
            self.sequence.close()
            self.sequence.events.append(
                canonical.End(
                    finish_of(self._finish, self._reader.calls > 0),
                    self._usage,
                    None,
                    self._tier,
                    beside_of(self._grounds, self._model),
                )
            )


class StreamEncoder(EventEncoder):
    """Events to a client's stream. A tool call is sent whole, when it ends."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._model = model
        self._id = "unknown"
        self._open: canonical.PartBegin | None = None
        self._pieces: list[str] = []
        self._signed: canonical.Signature | None = None
        self._thoughts: list[Thinking] = []
        """Other makers' thinking since the last call: the next one carries it."""

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        opened = self._open
        if opened is not None and opened.kind == "tool":
            self._pieces.append(event.text)
            return b""
        thought = opened is not None and opened.kind == "thinking"
        if thought:
            self._pieces.append(event.text)
        parts = [answer_part(Thinking(event.text) if thought else Text(event.text))]
        return self._chunk(parts, logprobs=event.logprobs)

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        self._open = event
        return b""

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        opened, self._open = self._open, None
        text = "".join(self._pieces)
        self._pieces.clear()
        signed, self._signed = self._signed, None
        if opened is not None and opened.kind == "thinking" and (signed is None or signed.maker != MAKER):
            more = (signed.signature, signed.redacted, signed.maker) if signed is not None else (None, None, None)
            self._thoughts.append(Thinking(text, *more))
        if opened is None or opened.kind != "tool":
            return b""
        signature = opened.signature
        if signature is None and self._thoughts:
            signature = pack(self._thoughts)
            self._thoughts.clear()
        return self._chunk([answer_part(canonical.ToolCall(opened.id or "", opened.name or "", text, signature))])

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        self._signed = event
        signed = Thinking("", event.signature, None, event.maker)
        return self._chunk([answer_part(signed)]) if event.maker == MAKER else b""

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        self._id, self._model = event.id or self._id, event.model or self._model
        return b""

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        return self._chunk([encode_media(event.media)])

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        return self._chunk([], FINISH_NAMES[event.finish], event)

    def _chunk(
        self,
        parts: list[dict[str, Any]],
        finish: str | None = None,
        end: canonical.End | None = None,
        logprobs: Raw = canonical.NO_LOGPROBS,
    ) -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}, "index": 0}
        if bytes(logprobs) != b"null":
            candidate["logprobsResult"] = write_logprobs(Node(msgspec.json.decode(logprobs)))
        if finish is not None:
            candidate["finishReason"] = finish
        chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": self._model, "responseId": self._id}
        if end is not None:
            chunk["usageMetadata"] = encode_usage(end.usage)
        return b"data: %b\r\n\r\n" % encode(chunk)
