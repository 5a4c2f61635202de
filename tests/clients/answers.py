"""What providers answer, written as their pages show it: shares no code with the product.

A turn becomes a plain body or the bytes of a stream. Bedrock's bodies have no id, Gemini's calls neither, as in reality.
"""

import json
import struct
import zlib
from typing import Any, NamedTuple
from uuid import uuid4


class Call(NamedTuple):
    """A tool call. `arguments` is text for a tool that takes free text."""

    name: str
    arguments: Any


class Turn(NamedTuple):
    """What the model says."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    signature: str = ""
    input_tokens: int = 1_200
    output_tokens: int = 60


def _hex() -> str:
    return uuid4().hex


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _cut(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _sse(events: list[Any], named: bool = False, done: bool = False) -> bytes:
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {_json(event)}\n\n" for event in events]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def chat(turn: Turn, model: str, stream: bool, body: dict[str, Any]) -> tuple[bytes, str]:
    made = {"id": f"chatcmpl-{_hex()}", "created": 1_790_000_000, "model": model}
    usage = {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": turn.input_tokens + turn.output_tokens,
    }
    calls = [
        {
            "id": _hex()[:9]
            if model.startswith("mistral")
            else f"call_{_hex()[:24]}",  # Mistral takes no other ones back
            "type": "function",
            "function": {"name": call.name, "arguments": _json(call.arguments)},
        }
        for call in turn.calls
    ]
    finish = "tool_calls" if calls else "stop"
    if not stream:
        message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
        if turn.thinking:
            message["reasoning_content"] = turn.thinking
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return _json(made | {"object": "chat.completion", "choices": [choice], "usage": usage}).encode(), ""
    made["object"] = "chat.completion.chunk"

    def chunk(delta: dict[str, Any], end: str | None = None) -> dict[str, Any]:
        return made | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]}

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"reasoning_content": piece}) for piece in _cut(turn.thinking)]
    events += [chunk({"content": piece}) for piece in _cut(turn.text)]
    for index, call in enumerate(calls):
        function: Any = call["function"]
        events.append(chunk({"tool_calls": [call | {"index": index, "function": function | {"arguments": ""}}]}))
        events += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in _cut(function["arguments"])
        ]
    events.append(chunk({}, finish))
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(made | {"choices": [], "usage": usage})
    return _sse(events, done=True), "text/event-stream"


def responses(turn: Turn, model: str, stream: bool, body: dict[str, Any]) -> tuple[bytes, str]:
    output: list[dict[str, Any]] = []
    if turn.thinking:
        item: dict[str, Any] = {"id": f"rs_{_hex()}", "type": "reasoning", "summary": []}
        if (body.get("reasoning") or {}).get("summary"):
            item["summary"] = [{"type": "summary_text", "text": turn.thinking}]
        if "reasoning.encrypted_content" in (body.get("include") or []):
            item["encrypted_content"] = turn.signature
        output.append(item)
    if turn.text:
        text = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        output.append(
            {"id": f"msg_{_hex()}", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
        )
    for call in turn.calls:
        made = {"call_id": f"call_{_hex()[:24]}", "name": call.name, "status": "completed"}
        if "." in call.name:
            space, _, name = call.name.partition(".")
            made |= {"name": name, "namespace": space}
        if call.name == "tool_search":  # openai's ResponseToolSearchCall, run by the client
            del made["name"]
            made |= {"id": f"tsc_{_hex()}", "type": "tool_search_call", "execution": "client"}
            output.append(made | {"arguments": call.arguments})
        elif isinstance(call.arguments, str):
            output.append(made | {"id": f"ctc_{_hex()}", "type": "custom_tool_call", "input": call.arguments})
        else:
            output.append(made | {"id": f"fc_{_hex()}", "type": "function_call", "arguments": _json(call.arguments)})
    whole: dict[str, Any] = {
        "id": f"resp_{_hex()}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "store": body.get("store", True),
        "usage": {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        },
    }
    if not stream:
        return _json(whole).encode(), ""
    events: list[dict[str, Any]] = []
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    events += [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, item in enumerate(output):
        place = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            text = item["content"][0]
            events.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": item | {"status": "in_progress", "content": []},
                }
            )
            events.append(
                {"type": "response.content_part.added", **place, "content_index": 0, "part": text | {"text": ""}}
            )
            events += [
                {"type": "response.output_text.delta", **place, "content_index": 0, "delta": piece, "logprobs": []}
                for piece in _cut(turn.text)
            ]
            events.append(
                {"type": "response.output_text.done", **place, "content_index": 0, "text": turn.text, "logprobs": []}
            )
            events.append({"type": "response.content_part.done", **place, "content_index": 0, "part": text})
        elif item["type"] == "function_call":
            events.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": item | {"status": "in_progress", "arguments": ""},
                }
            )
            events += [
                {"type": "response.function_call_arguments.delta", **place, "delta": piece}
                for piece in _cut(item["arguments"])
            ]
            events.append(
                {
                    "type": "response.function_call_arguments.done",
                    **place,
                    "name": item["name"],
                    "arguments": item["arguments"],
                }
            )
        elif item["type"] == "custom_tool_call":
            events.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": item | {"status": "in_progress", "input": ""},
                }
            )
            events += [
                {"type": "response.custom_tool_call_input.delta", **place, "delta": piece}
                for piece in _cut(item["input"])
            ]
            events.append({"type": "response.custom_tool_call_input.done", **place, "input": item["input"]})
        elif item["type"] == "tool_search_call":
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        else:
            events.append({"type": "response.output_item.added", "output_index": index, "item": item | {"summary": []}})
            for part in item["summary"]:
                events.append(
                    {
                        "type": "response.reasoning_summary_part.added",
                        **place,
                        "summary_index": 0,
                        "part": part | {"text": ""},
                    }
                )
                events += [
                    {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": piece}
                    for piece in _cut(part["text"])
                ]
                events.append(
                    {"type": "response.reasoning_summary_text.done", **place, "summary_index": 0, "text": part["text"]}
                )
                events.append(
                    {"type": "response.reasoning_summary_part.done", **place, "summary_index": 0, "part": part}
                )
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": whole})
    numbered = [{"type": event["type"], "sequence_number": number, **event} for number, event in enumerate(events)]
    return _sse(numbered, named=True), "text/event-stream"


def anthropic(turn: Turn, model: str, stream: bool, body: dict[str, Any]) -> tuple[bytes, str]:
    content: list[dict[str, Any]] = []
    thinks = (body.get("thinking") or {}).get("type") in {"enabled", "adaptive"}
    if turn.thinking and thinks:
        content.append({"type": "thinking", "thinking": turn.thinking, "signature": turn.signature})
    if turn.text:
        content.append({"type": "text", "text": turn.text})
    content += [
        {"type": "tool_use", "id": f"toolu_{_hex()[:24]}", "name": call.name, "input": call.arguments}
        for call in turn.calls
    ]
    message: dict[str, Any] = {
        "id": f"msg_{_hex()[:24]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": turn.output_tokens,
        },
    }
    if not stream:
        return _json(message).encode(), ""
    begun = message | {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(content):
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        events.append({"type": "content_block_start", "index": index, "content_block": block | empty[block["type"]]})
        if block["type"] == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in _cut(block["text"])]
        elif block["type"] == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _cut(_json(block["input"]))]
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": turn.output_tokens}})
    events.append({"type": "message_stop"})
    return _sse(events, named=True), "text/event-stream"


def gemini(turn: Turn, model: str, stream: bool, body: dict[str, Any]) -> tuple[bytes, str]:
    parts: list[dict[str, Any]] = []
    if turn.thinking and ((body.get("generationConfig") or {}).get("thinkingConfig") or {}).get("includeThoughts"):
        parts.append({"text": turn.thinking, "thought": True})
    if turn.text:
        parts.append({"text": turn.text})
    for index, call in enumerate(turn.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        if index == 0:
            part["thoughtSignature"] = turn.signature
        parts.append(part)
    usage = {
        "promptTokenCount": turn.input_tokens,
        "candidatesTokenCount": turn.output_tokens,
        "totalTokenCount": turn.input_tokens + turn.output_tokens,
    }
    made = {"modelVersion": model, "responseId": _hex()[:22]}

    def one(some: list[dict[str, Any]], is_end: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": some, "role": "model"}, "index": 0}
        if is_end:
            candidate["finishReason"] = "STOP"
        return {"candidates": [candidate], "usageMetadata": usage, **made}

    if not stream:
        return _json(one(parts, True)).encode(), ""
    pieces: list[dict[str, Any]] = []
    for part in parts:
        if "text" in part:
            pieces += [part | {"text": piece} for piece in _cut(part["text"])]
        else:
            pieces.append(part)
    events = [one([piece], at == len(pieces) - 1) for at, piece in enumerate(pieces)]
    return _sse(events), "text/event-stream"


def _frame(kind: str, value: Any) -> bytes:
    """A message of AWS's event stream (application/vnd.amazon.eventstream)."""
    headers = b""
    for name, text in ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
    payload = _json(value).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def bedrock(turn: Turn, model: str, stream: bool, body: dict[str, Any]) -> tuple[bytes, str]:
    thinks = ((body.get("additionalModelRequestFields") or {}).get("thinking") or {}).get("type") in {
        "enabled",
        "adaptive",
    }
    content: list[dict[str, Any]] = []
    if turn.thinking and thinks:
        content.append({"reasoningContent": {"reasoningText": {"text": turn.thinking, "signature": turn.signature}}})
    if turn.text:
        content.append({"text": turn.text})
    content += [
        {"toolUse": {"toolUseId": f"tooluse_{_hex()[:22]}", "name": call.name, "input": call.arguments}}
        for call in turn.calls
    ]
    stop = "tool_use" if turn.calls else "end_turn"
    usage = {
        "inputTokens": turn.input_tokens,
        "outputTokens": turn.output_tokens,
        "totalTokens": turn.input_tokens + turn.output_tokens,
    }
    metrics = {"latencyMs": 321}
    if not stream:
        output = {"message": {"role": "assistant", "content": content}}
        return _json({"output": output, "stopReason": stop, "usage": usage, "metrics": metrics}).encode(), ""
    frames = [_frame("messageStart", {"role": "assistant"})]
    for index, block in enumerate(content):
        place = {"contentBlockIndex": index}
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            frames.append(_frame("contentBlockStart", {"start": start, **place}))
            deltas = [{"toolUse": {"input": piece}} for piece in _cut(_json(use["input"]))]
        elif "text" in block:
            deltas = [{"text": piece} for piece in _cut(block["text"])]
        else:
            deltas = [{"reasoningContent": {"text": piece}} for piece in _cut(turn.thinking)]
            deltas.append({"reasoningContent": {"signature": turn.signature}})
        frames += [_frame("contentBlockDelta", {"delta": delta, **place}) for delta in deltas]
        frames.append(_frame("contentBlockStop", place))
    frames += [_frame("messageStop", {"stopReason": stop}), _frame("metadata", {"usage": usage, "metrics": metrics})]
    return b"".join(frames), "application/vnd.amazon.eventstream"


WRITERS = {"openai": chat, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock}
"""Each returns the bytes and their content type, "" for JSON."""


def refusal(dialect: str, status: int, text: str) -> bytes:
    """An error body of a status in a provider's shape."""
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
    states = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED"}
    kind = kinds.get(status, "api_error")
    body: dict[str, Any] = {
        "openai": {"error": {"message": text, "type": kind, "param": None, "code": None}},
        "responses": {"error": {"message": text, "type": kind, "param": None, "code": None}},
        "anthropic": {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_011"},
        "gemini": {"error": {"code": status, "message": text, "status": states.get(status, "INTERNAL")}},
        "bedrock": {"message": text},
    }[dialect]
    return _json(body).encode()
