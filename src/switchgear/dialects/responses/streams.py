"""OpenAI responses: streams to and from the canonical values. Level 1, sans-I/O.

OpenAI API reference, "Responses" and its streaming events (as of 2026-11). The translation is stateless: what refers to
something that a provider stored (`previous_response_id`, `conversation`, item references, file ids) is refused for
providers of another dialect, with the field's name. Codex's freeform tools (`custom`) become functions with one `input`.
"""

from typing import Any

from switchgear.dialects import canonical
from switchgear.dialects.canonical import Part, Refusal, Text, Thinking
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    ClientTools,
)
from switchgear.dialects.json_node import Node, arguments_of, encode
from switchgear.dialects.responses.answers import (
    beside_of,
    encode_usage,
    envelope,
    finish_of,
    item_of,
    status_of,
    usage_of_raw,
)
from switchgear.dialects.responses.requests import MAKER
from switchgear.dialects.streams import EventEncoder, SseDecoder, sse_event


class _StreamedCall:
    """A call whose pieces arrive."""

    __slots__ = ("arguments", "call_id", "is_whole", "name")

    def __init__(self, call_id: str, name: str) -> None:
        self.call_id, self.name = call_id, name
        self.arguments: list[str] = []
        self.is_whole = False


class StreamDecoder(SseDecoder):
    """A provider's stream to events. Items that only their last event tells are told then; calls whose pieces alternate follow one
    another."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[str, _StreamedCall] = {}
        """Those that are not told to their end, by item; the first is open."""
        self._has_text = self._has_thought = False
        """What the item that is open has told in pieces."""
        self._parts: list[Part] = []

    def take(self, event: Node) -> None:
        """Take one event."""
        kind = event.text("type") or ""
        sequence = self.sequence
        if kind == "response.output_text.delta":
            self._has_text = True
            sequence.text("text", event.text("delta") or "")
            if event.get("logprobs"):
                sequence.probe(event.raw("logprobs"))
        elif kind == "response.function_call_arguments.delta":
            self._piece(_item_of(event), event.text("delta") or "")
        elif kind in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            self._has_thought = True
            sequence.text("thinking", event.text("delta") or "")
        elif kind == "response.reasoning_summary_part.added":
            if sequence.is_open and (event.integer("summary_index") or 0) > 0:
                sequence.text("thinking", "\n\n")
        elif kind == "response.refusal.delta":
            self._has_text = True
            sequence.text("refusal", event.text("delta") or "")
        elif kind == "response.created":
            response = event.object("response")
            sequence.events.append(canonical.Begin(response.text("id"), response.text("model")))
        elif kind == "response.output_item.added":
            self._added(_item_of(event), event.object("item"))
        elif kind == "response.output_item.done":
            self._done(_item_of(event), event.object("item"))
        elif kind in {"response.completed", "response.incomplete"}:
            self._complete(event.object("response"))
        elif kind == "response.failed":
            error = event.object("response").object("error")
            self.fail(error.text("message") or "the response failed", error.text("code") or "server_error")
        elif kind == "error":
            error = event.object("error") if event.has("error") else event
            self.fail(error.text("message") or "the provider reported an error", error.text("code") or "error")

    def _added(self, key: str, item: Node) -> None:
        self._has_text = self._has_thought = False
        if item.text("type") != "function_call":
            return
        self._calls[key] = call = _StreamedCall(item.need("call_id"), item.need("name"))
        if len(self._calls) == 1:
            self.sequence.begin("tool", call.call_id, call.name)

    def _piece(self, key: str, text: str) -> None:
        first = next(iter(self._calls), key)
        call = self._calls.get(key)
        if call is not None:
            call.arguments.append(text)
        if call is None or key == first:
            self.sequence.more(text)

    def _done(self, key: str, item: Node) -> None:
        kind = item.text("type")
        if kind == "function_call":
            self._call_done(key, item)
        elif kind == "reasoning":
            pieces = [piece.text("text") or "" for piece in item.items("summary") or item.items("content")]
            if pieces and not self._has_thought:
                self.sequence.text("thinking", "\n\n".join(pieces))
            if item.has("encrypted_content"):
                self.sequence.sign(item.text("encrypted_content"), None, MAKER)
            self.sequence.close()
        elif kind == "message":
            for piece in item.items("content") if not self._has_text else ():
                is_refusal = piece.text("type") == "refusal"
                self.sequence.text(
                    "refusal" if is_refusal else "text", piece.text("refusal" if is_refusal else "text") or ""
                )
            self.sequence.close()
        self._has_text = self._has_thought = False

    def _call_done(self, key: str, item: Node) -> None:
        self._parts.append(canonical.ToolCall("", "", ""))
        call = self._calls.get(key)
        if call is None:  # it never began
            self._calls[key] = call = _StreamedCall(item.need("call_id"), item.need("name"))
            if len(self._calls) == 1:
                self.sequence.begin("tool", call.call_id, call.name)
        call.is_whole = True
        if not call.arguments:
            call.arguments.append(arguments_of(item.get("arguments")))
            if next(iter(self._calls)) == key:
                self.sequence.more(call.arguments[0])
        self._tell_calls()

    def _tell_calls(self, is_end: bool = False) -> None:
        """End the open call if it is whole, and begin the next one with what came of it."""
        while self._calls:
            first = next(iter(self._calls))
            if not (self._calls[first].is_whole or is_end):
                return
            self.sequence.close()
            del self._calls[first]
            if self._calls:
                call = next(iter(self._calls.values()))
                self.sequence.begin("tool", call.call_id, call.name)
                self.sequence.more("".join(call.arguments))

    def _complete(self, response: Node) -> None:
        self._tell_calls(is_end=True)
        self.sequence.close()
        self.is_ended = True
        reason = response.object("incomplete_details").text("reason")
        usage = usage_of_raw(response.raw("usage"))
        self.sequence.events.append(
            canonical.End(
                finish_of(self._parts, reason), usage, None, response.text("service_tier"), beside_of(response)
            )
        )


def _item_of(event: Node) -> str:
    """Return what an event's item is known by: its place among all, or its id."""
    place = event.integer("output_index")
    return str(place) if place is not None else event.text("item_id") or event.object("item").text("id") or ""


class StreamEncoder(EventEncoder):
    """Events to a client's stream. Items are repeated whole when they end, and all of them at the end."""

    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        self._envelope = envelope("resp_unknown", model, created)
        self._root = "unknown"
        self._tools = tools
        self.number = -1
        """The last sequence number: a keep-alive repeats it."""
        self._items: list[dict[str, Any]] = []
        self._open: Part | None = None
        self._pieces: list[str] = []
        self._has_refusal = False

    def sign(self, event: canonical.Signature) -> bytes:
        """The open part is signed."""
        if isinstance(self._open, Thinking):
            self._open.signature, self._open.maker = event.signature or event.redacted, event.maker
        return b""

    def end_part(self, event: canonical.PartEnd) -> bytes:
        """The open part is whole."""
        return self._end_part()

    def picture(self, event: canonical.Picture) -> bytes:
        """A picture, whole."""
        item = item_of(event.media, self._name(), self._tools)
        return self._whole(item)

    def begin(self, event: canonical.Begin) -> bytes:
        """The answer begins."""
        self._root = (event.id or "unknown").removeprefix("resp_")
        self._envelope["id"] = f"resp_{self._root}"
        self._envelope["model"] = event.model or self._envelope["model"]
        return self._event("response.created", {"response": self._envelope}) + self._event(
            "response.in_progress", {"response": self._envelope}
        )

    def end(self, event: canonical.End) -> bytes:
        """The answer is whole."""
        status, reason = status_of(event.finish, self._has_refusal)
        response = self._envelope | {
            "status": status,
            "incomplete_details": {"reason": reason} if reason is not None else None,
            "output": self._items,
            "usage": encode_usage(event.usage),
        }
        return self._event(f"response.{status}", {"response": response})

    def _name(self) -> str:
        return f"{self._root}_{len(self._items)}"

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        self.number += 1
        return sse_event(kind, encode({"type": kind, "sequence_number": self.number, **fields}))

    def _place(self) -> dict[str, Any]:
        prefix = (
            "rs" if isinstance(self._open, Thinking) else "fc" if isinstance(self._open, canonical.ToolCall) else "msg"
        )
        if isinstance(self._open, canonical.ToolCall) and self._open.name in self._tools.customs:
            prefix = "ctc"
        elif isinstance(self._open, canonical.ToolCall) and self._open.name == self._tools.search:
            prefix = "tsc"
        return {"item_id": f"{prefix}_{self._name()}", "output_index": len(self._items)}

    def _whole(self, item: dict[str, Any]) -> bytes:
        out = self._event("response.output_item.added", {"output_index": len(self._items), "item": item})
        out += self._event("response.output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        return out

    def begin_part(self, event: canonical.PartBegin) -> bytes:
        """A part begins."""
        out = b""
        if event.kind == "tool":
            if event.signature is not None:
                thought = Thinking("", event.signature, None, "gemini")
                out += self._whole(item_of(thought, self._name(), self._tools))
            self._open = canonical.ToolCall(event.id or "", event.name or "", "")
        elif event.kind == "thinking":
            self._open = Thinking("")
        else:
            self._has_refusal = self._has_refusal or event.kind == "refusal"
            self._open = Refusal("") if event.kind == "refusal" else Text("")
        item = item_of(self._open, self._name(), self._tools, "in_progress")
        if "content" in item:
            item["content"] = []
        out += self._event("response.output_item.added", {"output_index": len(self._items), "item": item})
        if isinstance(self._open, Thinking):
            part = {"type": "summary_text", "text": ""}
            out += self._event(
                "response.reasoning_summary_part.added", self._place() | {"summary_index": 0, "part": part}
            )
        elif isinstance(self._open, Text | Refusal):
            part = item_of(self._open, "", self._tools)["content"][0]
            out += self._event("response.content_part.added", self._place() | {"content_index": 0, "part": part})
        return out

    def delta(self, event: canonical.Delta) -> bytes:
        """A piece of the open part."""
        text, logprobs = event.text, event.logprobs
        self._pieces.append(text)
        place = self._place()
        if isinstance(self._open, Text):
            probed = logprobs if bytes(logprobs) != b"null" else []
            return self._event(
                "response.output_text.delta", place | {"content_index": 0, "delta": text, "logprobs": probed}
            )
        if isinstance(self._open, Refusal):
            return self._event("response.refusal.delta", place | {"content_index": 0, "delta": text})
        if isinstance(self._open, Thinking):
            return self._event("response.reasoning_summary_text.delta", place | {"summary_index": 0, "delta": text})
        if isinstance(self._open, canonical.ToolCall) and self._tools.waits_for_all_of(self._open.name):
            return b""  # its input is known when its JSON is whole
        return self._event("response.function_call_arguments.delta", place | {"delta": text})

    def _end_part(self) -> bytes:
        text = "".join(self._pieces)
        self._pieces.clear()
        part, place = self._open, self._place()
        out = b""
        if isinstance(part, canonical.ToolCall):
            part.arguments = text or "{}"
            item = item_of(part, self._name(), self._tools)
            if item["type"] == "custom_tool_call":
                out = self._event("response.custom_tool_call_input.delta", place | {"delta": item["input"]})
                out += self._event("response.custom_tool_call_input.done", place | {"input": item["input"]})
            elif item["type"] == "function_call":
                done = place | {"name": item["name"], "arguments": part.arguments}
                out = self._event("response.function_call_arguments.done", done)
        elif isinstance(part, Thinking):
            part.text = text
            item = item_of(part, self._name(), self._tools)
            out = self._event("response.reasoning_summary_text.done", place | {"summary_index": 0, "text": text})
            piece = {"type": "summary_text", "text": text}
            out += self._event("response.reasoning_summary_part.done", place | {"summary_index": 0, "part": piece})
        elif isinstance(part, Text | Refusal):
            part.text = text
            item = item_of(part, self._name(), self._tools)
            if isinstance(part, Text):
                done = place | {"content_index": 0, "text": text, "logprobs": []}
                out = self._event("response.output_text.done", done)
            else:
                out = self._event("response.refusal.done", place | {"content_index": 0, "refusal": text})
            piece = item["content"][0]
            out += self._event("response.content_part.done", place | {"content_index": 0, "part": piece})
        else:
            return b""
        out += self._event("response.output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        self._open = None
        return out
