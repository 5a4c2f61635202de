"""A plain answer as its provider would have streamed it, by writers that share no code with the product. Level 5, pure.

One function per dialect, from a plain answer's JSON to the pieces that arrive one after the other; what order the events have is
taken from the recorded streams of the same providers. `Odd` is what real servers were seen to do that no page of theirs says.
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Body = dict[str, Any]


class Odd(NamedTuple):
    """Odd moments of a stream of chat completions, each with who does it. Sources were read on 2026-11-27 where a link is given."""

    alternating: bool = False
    """Pieces of parallel calls take turns (api-docs of several hosts; LiteLLM tests the same)."""
    index_zero: bool = False
    """Every call has index 0, told apart by its id alone (Gemini's compatible endpoint, googleapis/python-genai#1036's kind)."""
    no_done: bool = False
    """The stream ends without `[DONE]`."""
    number_id: bool = False
    """The answer's id is a number."""
    no_call_ids: bool = False
    """Calls have no id."""
    no_arguments: bool = False
    """A call without arguments has no text of them at all, not even `{}`."""
    half_surrogates: bool = False
    """A character beyond 16 bits is escaped as two, one in each of two events."""
    usage_in_last: bool = False
    """Usage stands in the event with the finish reason (Mistral, Groq beside `x_groq`)."""


PLAIN = Odd()
_PIECES_MAX = 6


def pieces(text: str) -> list[str]:
    """Cut a text as models send it: a short first piece, then at most five more."""
    if len(text) <= 2:
        return [text] if text else []
    step = max(3, -(-(len(text) - 1) // (_PIECES_MAX - 1)))
    return [text[:1], *(text[at : at + step] for at in range(1, len(text), step))]


def _sse(value: Body, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name is not None else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


# OpenAI chat


def openai(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Chunks of a chat completion."""
    choice = body["choices"][0]
    message = choice["message"]
    head = {"id": 42 if odd.number_id else body.get("id"), "object": "chat.completion.chunk"}
    head |= {key: body[key] for key in ("created", "model", "system_fingerprint", "service_tier") if key in body}

    def chunk(delta: Body, finish: str | None = None) -> bytes:
        last = {"usage": body["usage"]} if finish is not None and odd.usage_in_last and body.get("usage") else {}
        return _sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **last})

    yield chunk({"role": "assistant", "content": ""})
    for key in ("reasoning_content", "reasoning"):
        for text in pieces(message.get(key) or ""):
            yield chunk({key: text})
    for key in ("reasoning_details", "images", "annotations"):
        if message.get(key):
            yield chunk({key: message[key]})
    content = message.get("content") or ""
    if isinstance(content, list):
        for part in content:
            for text in pieces(part["text"]) if part["type"] == "text" else []:
                yield chunk({"content": text})
            if part["type"] != "text":
                yield chunk({"content": [part]})
    elif odd.half_surrogates and any(ord(char) > 0xFFFF for char in content):
        yield from _halves(content, chunk)
    else:
        for text in pieces(content):
            yield chunk({"content": text})
    for text in pieces(message.get("refusal") or ""):
        yield chunk({"refusal": text})
    yield from _openai_calls(message.get("tool_calls") or [], chunk, odd)
    yield chunk({}, choice.get("finish_reason") or "stop")
    if show_usage and body.get("usage") and not odd.usage_in_last:
        yield _sse({**head, "choices": [], "usage": body["usage"]})
    if not odd.no_done:
        yield b"data: [DONE]\n\n"


def _halves(content: str, chunk: Callable[[Body], bytes]) -> Iterator[bytes]:
    """Cut within the first character that JSON escapes as two."""
    at = next(index for index, char in enumerate(content) if ord(char) > 0xFFFF)
    high, low = struct.unpack(">HH", content[at].encode("utf-16-be"))
    yield chunk({"content": content[:at] + chr(high)})
    yield chunk({"content": chr(low) + content[at + 1 :]})


def _openai_calls(calls: list[Body], chunk: Callable[[Body], bytes], odd: Odd) -> Iterator[bytes]:
    queues: list[list[Body]] = []
    for number, call in enumerate(calls):
        index = 0 if odd.index_zero else number
        function = call["function"]
        text = function.get("arguments") or ""
        if odd.no_arguments and text.replace(" ", "") == "{}":
            text = ""
        more = {} if odd.no_call_ids else {"id": call.get("id")}
        begin = {"index": index, **more, "type": "function", "function": {"name": function["name"], "arguments": ""}}
        begin |= {"extra_content": call["extra_content"]} if "extra_content" in call else {}
        queue = [begin]
        # with one index for all, only the id tells whose piece it is, when they take turns
        named = more if odd.index_zero and odd.alternating else {}
        queue += [{"index": index, **named, "function": {"arguments": piece}} for piece in pieces(text)]
        queues.append(queue)
    if odd.alternating:
        while any(queues):
            for queue in queues:
                if queue:
                    yield chunk({"tool_calls": [queue.pop(0)]})
        return
    for queue in queues:
        for piece in queue:
            yield chunk({"tool_calls": [piece]})


# OpenAI responses


def responses(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Events of a response."""
    number = -1

    def event(kind: str, **more: Any) -> bytes:
        nonlocal number
        number += 1
        return _sse({"type": kind, "sequence_number": number, **more}, kind)

    begun = {**body, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, item in enumerate(body["output"]):
        at = {"output_index": index, "item_id": item.get("id")}
        emptied: dict[str, Body] = {
            "message": {"content": []},
            "function_call": {"arguments": ""},
            "custom_tool_call": {"input": ""},
        }
        started = {**item, **emptied.get(item["type"], {})} | ({"status": "in_progress"} if "status" in item else {})
        if item["type"] == "reasoning":
            started["summary"] = []
        yield event("response.output_item.added", output_index=index, item=started)
        if item["type"] == "message":
            yield from _message_events(item, at, event)
        elif item["type"] == "function_call":
            for text in pieces(item["arguments"]):
                yield event("response.function_call_arguments.delta", **at, delta=text)
            done = {"arguments": item["arguments"], "name": item["name"]}
            yield event("response.function_call_arguments.done", **at, **done)
        elif item["type"] == "custom_tool_call":
            for text in pieces(item["input"]):
                yield event("response.custom_tool_call_input.delta", **at, delta=text)
            yield event("response.custom_tool_call_input.done", **at, input=item["input"])
        elif item["type"] == "reasoning":
            for place, part in enumerate(item.get("summary") or []):
                where = {**at, "summary_index": place}
                yield event("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
                for text in pieces(part["text"]):
                    yield event("response.reasoning_summary_text.delta", **where, delta=text)
                yield event("response.reasoning_summary_text.done", **where, text=part["text"])
                yield event("response.reasoning_summary_part.done", **where, part=part)
        yield event("response.output_item.done", output_index=index, item=item)
    kind = "response.incomplete" if body.get("status") == "incomplete" else "response.completed"
    yield event(kind, response=body)


def _message_events(item: Body, at: Body, event: Callable[..., bytes]) -> Iterator[bytes]:
    for place, part in enumerate(item["content"]):
        where = {**at, "content_index": place}
        is_text = part["type"] == "output_text"
        key, kind = ("text", "output_text") if is_text else ("refusal", "refusal")
        more: Body = {"logprobs": []} if is_text else {}
        yield event("response.content_part.added", **where, part={**part, key: "", **more})
        for text in pieces(part[key]):
            yield event(f"response.{kind}.delta", **where, delta=text, **more)
        yield event(f"response.{kind}.done", **where, **{key: part[key]}, **more)
        yield event("response.content_part.done", **where, part=part)


# Anthropic


def anthropic(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Events of a message."""

    def event(kind: str, **more: Any) -> bytes:
        return _sse({"type": kind, **more}, kind)

    usage = body["usage"]
    begun = {**body, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
    yield event("message_start", message=begun)
    for index, block in enumerate(body["content"]):
        deltas: list[Body] = []
        started = dict(block)
        if block["type"] == "text":
            started["text"] = ""
            started.pop("citations", None)
            deltas = [{"type": "text_delta", "text": text} for text in pieces(block["text"])]
            deltas += [{"type": "citations_delta", "citation": one} for one in block.get("citations") or []]
        elif block["type"] == "thinking":
            started |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": text} for text in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        elif block["type"] in {"tool_use", "server_tool_use", "mcp_tool_use"}:
            started["input"] = {}
            texts = ["", *pieces(json.dumps(block["input"]))] if block["input"] else [""]
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in texts]
        yield event("content_block_start", index=index, content_block=started)
        if index == 0:
            yield event("ping")
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    ended = {"stop_reason": body.get("stop_reason"), "stop_sequence": body.get("stop_sequence")}
    more = {key: body[key] for key in ("context_management",) if body.get(key)}
    yield event("message_delta", delta=ended, usage=usage, **more)
    yield event("message_stop")


# Gemini


def gemini(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Events of a GenerateContentResponse (`alt=sse`)."""
    candidate = (body.get("candidates") or [{}])[0]
    content = candidate.get("content") or {}
    usage = body.get("usageMetadata") or {}
    early = {key: usage[key] for key in ("promptTokenCount", "totalTokenCount") if key in usage}
    head = {key: value for key, value in body.items() if key in {"modelVersion", "responseId"}}
    parts: list[Body] = []
    for part in content.get("parts") or []:
        texts = pieces(part["text"]) if part.get("text") else []
        if len(texts) < 2:
            parts.append(part)
            continue
        plain = {key: value for key, value in part.items() if key != "thoughtSignature"}
        parts += [{**plain, "text": text} for text in texts[:-1]]
        parts.append({**part, "text": texts[-1]})
    for part in parts[:-1]:
        shown = {"content": {"parts": [part], "role": "model"}, "index": 0}
        yield _sse({"candidates": [shown], "usageMetadata": early, **head})
    rest = {key: value for key, value in candidate.items() if key != "content"}
    if "content" in candidate:
        rest["content"] = {**content, "parts": parts[-1:]} if parts else content
    whole = {**body, "candidates": [rest]} if body.get("candidates") else body
    yield _sse(whole).replace(b"\n\n", b"\r\n\r\n")


# Bedrock


def bedrock(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Messages of ConverseStream."""
    yield frame("messageStart", {"role": "assistant"})
    for index, block in enumerate(body["output"]["message"]["content"]):
        at = {"contentBlockIndex": index}
        deltas: list[Body] = []
        if "text" in block:
            deltas = [{"text": text} for text in pieces(block["text"])]
        elif "toolUse" in block:
            use = block["toolUse"]
            started = {key: use[key] for key in ("toolUseId", "name", "type") if key in use}
            yield frame("contentBlockStart", {**at, "start": {"toolUse": started}})
            texts = pieces(json.dumps(use["input"])) if use.get("input") else [""]
            deltas = [{"toolUse": {"input": text}} for text in texts]
        elif "reasoningContent" in block:
            thought = block["reasoningContent"]
            if "redactedContent" in thought:
                deltas = [{"reasoningContent": {"redactedContent": thought["redactedContent"]}}]
            else:
                said = thought["reasoningText"]
                deltas = [{"reasoningContent": {"text": text}} for text in pieces(said["text"])]
                if "signature" in said:
                    deltas.append({"reasoningContent": {"signature": said["signature"]}})
        elif "citationsContent" in block:
            deltas = [{"text": part["text"]} for part in block["citationsContent"].get("content", [])]
        elif "toolResult" in block:  # of a tool that the provider runs
            result = block["toolResult"]
            started = {key: result[key] for key in ("toolUseId", "status", "type") if key in result}
            yield frame("contentBlockStart", {**at, "start": {"toolResult": started}})
        for delta in deltas:
            yield frame("contentBlockDelta", {**at, "delta": delta})
        yield frame("contentBlockStop", at)
    more = {key: body[key] for key in ("additionalModelResponseFields",) if body.get(key)}
    yield frame("messageStop", {"stopReason": body.get("stopReason"), **more})
    told = {key: body[key] for key in ("usage", "metrics", "serviceTier", "performanceConfig") if body.get(key)}
    yield frame("metadata", told)


def frame(kind: str, value: Body, is_exception: bool = False) -> bytes:
    """One message of AWS's event stream encoding: a prelude with its checksum, headers, the JSON, a checksum (AWS, "Event stream
    encoding")."""
    named = (":exception-type", "exception") if is_exception else (":event-type", "event")
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(text)) + text.encode()
        for name, text in ((named[0], kind), (":content-type", "application/json"), (":message-type", named[1]))
    )
    payload = json.dumps(value).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


# Cohere


def cohere(body: Body, odd: Odd = PLAIN, show_usage: bool = True) -> Iterator[bytes]:
    """Events of a chat response of version 2."""

    def event(kind: str, **more: Any) -> bytes:
        return _sse({"type": kind, **more}, kind)

    def delta(**more: Any) -> Body:
        return {"message": more}

    message = body["message"]
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", id=body.get("id"), delta={"message": empty})
    for text in pieces(message.get("tool_plan") or ""):
        yield event("tool-plan-delta", delta=delta(tool_plan=text))
    for index, part in enumerate(message.get("content") or []):
        key = "thinking" if part["type"] == "thinking" else "text"
        yield event("content-start", index=index, delta=delta(content={"type": part["type"], key: ""}))
        for text in pieces(part[key]):
            yield event("content-delta", index=index, delta=delta(content={key: text}))
        yield event("content-end", index=index)
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        started = {**call, "function": {**function, "arguments": ""}}
        yield event("tool-call-start", index=index, delta=delta(tool_calls=started))
        for text in pieces(function.get("arguments") or ""):
            yield event("tool-call-delta", index=index, delta=delta(tool_calls={"function": {"arguments": text}}))
        yield event("tool-call-end", index=index)
    ended = {"finish_reason": body.get("finish_reason"), "usage": body.get("usage")}
    yield event("message-end", id=body.get("id"), delta=ended)


WRITERS: dict[str, Callable[[Body, Odd, bool], Iterator[bytes]]] = {
    "openai": openai,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "cohere": cohere,
}
TYPES = {"bedrock": "application/vnd.amazon.eventstream"}
"""The content type of a stream where it is not `text/event-stream`."""


def blob(data: bytes) -> str:
    """Return bytes as they stand in JSON of AWS."""
    return base64.b64encode(data).decode()
