"""What the official SDKs make of an answer, stream or not, as plain JSON again. Level 5; needs the SDKs.

Streams go through the SDKs' own accumulators: openai's ChatCompletionStreamState and ResponseStreamState, anthropic's
`accumulate_event`, google-genai's types, botocore's event stream and its parser, cohere's types. A bad event raises whatever the
SDK raises. With `strict` every value must fit the SDK's types; without, they are built as the SDKs build them from the network,
which take newer words than they know: for what real providers sent.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

Body = dict[str, Any]


def events(data: bytes) -> Iterator[Any]:
    """The JSON of server-sent events, as browsers and SDKs cut them; `[DONE]` is left out."""
    for block in data.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines and lines != ["[DONE]"]:
            yield json.loads("\n".join(lines))


class BrokenStreamError(Exception):
    """The stream told an error, or ended before its end."""


def _made(kind: Any, value: Any, strict: bool) -> Any:
    """Make an SDK's value of JSON."""
    if strict:
        return _adapter(kind).validate_python(value)
    if "anthropic" in getattr(kind, "__module__", "") or "anthropic" in str(kind):
        from anthropic._models import construct_type

        return construct_type(type_=kind, value=value)
    from openai._models import construct_type as construct

    return construct(type_=kind, value=value)


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


# plain answers


def _openai(data: bytes, strict: bool) -> Body:
    from openai.types.chat import ChatCompletion

    return _made(ChatCompletion, json.loads(data), strict).to_dict(mode="json", warnings=strict)  # type: ignore[no-any-return]


def _responses(data: bytes, strict: bool) -> Body:
    from openai.types.responses import Response

    return _made(Response, json.loads(data), strict).to_dict(mode="json", warnings=strict)  # type: ignore[no-any-return]


def _anthropic(data: bytes, strict: bool) -> Body:
    from anthropic.types.beta import BetaMessage

    return _made(BetaMessage, json.loads(data), strict).to_dict(mode="json", warnings=strict)  # type: ignore[no-any-return]


def _gemini(data: bytes, strict: bool) -> Body:
    return _gemini_dump(json.loads(data), strict)


def _gemini_dump(value: Body, strict: bool) -> Body:
    from google.genai.types import GenerateContentResponse

    if not strict:  # the SDK leaves out what it does not know before it makes its values
        return value
    found = GenerateContentResponse.model_validate(value)
    dumped: Body = json.loads(found.model_dump_json(by_alias=True, exclude_none=True))
    return dumped


@cache
def _converse(operation: str) -> Any:
    import botocore.session

    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    return service.operation_model(operation).output_shape


def _bedrock(data: bytes, strict: bool) -> Body:
    import botocore.parsers

    parser = botocore.parsers.create_parser("rest-json")
    response = {"status_code": 200, "headers": {"content-type": "application/json"}, "body": data}
    parsed: Body = parser.parse(response, _converse("Converse"))
    return parsed


def _cohere(data: bytes, strict: bool) -> Body:
    from cohere.core.unchecked_base_model import construct_type
    from cohere.v2.types import V2ChatResponse

    found: Any = construct_type(type_=V2ChatResponse, object_=json.loads(data))
    dumped: Body = json.loads(found.model_dump_json(by_alias=True, exclude_none=True))
    return dumped


# streams


def _openai_stream(data: bytes, strict: bool) -> Body:
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    state: Any = ChatCompletionStreamState()
    finish = None
    for value in events(data):
        if "error" in value:
            raise BrokenStreamError(value)
        chunk = _made(ChatCompletionChunk, value, strict)
        for _ in state.handle_chunk(chunk):
            pass
        finish = next((choice.finish_reason for choice in chunk.choices if choice.finish_reason), finish)
    if finish is None:
        raise BrokenStreamError("no finish reason")
    found: Body = state.current_completion_snapshot.to_dict(mode="json", warnings=strict)
    return found


def _responses_stream(data: bytes, strict: bool) -> Body:
    from openai._types import omit
    from openai.lib.streaming.responses._responses import ResponseStreamState
    from openai.types.responses import ResponseStreamEvent

    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for value in events(data):
        last = _made(ResponseStreamEvent, value, strict)
        if last.type in {"error", "response.failed"}:
            raise BrokenStreamError(value)
        state.handle_event(last)
    if last is None or last.type not in {"response.completed", "response.incomplete"}:
        raise BrokenStreamError("no response.completed")
    found: Body = last.response.to_dict(mode="json", warnings=strict)
    return found


def _anthropic_stream(data: bytes, strict: bool) -> Body:
    import httpx2
    from anthropic.lib.streaming._beta_messages import accumulate_event
    from anthropic.types.beta import BetaRawMessageStreamEvent

    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    is_ended = False
    for value in events(data):
        if value["type"] == "ping":
            continue
        if value["type"] == "error":
            raise BrokenStreamError(value)
        event = _made(BetaRawMessageStreamEvent, value, strict)
        is_ended = event.type == "message_stop"
        snapshot = accumulate_event(
            event=event, current_snapshot=snapshot, json_bufs=buffers, request_headers=httpx2.Headers()
        )
    if not is_ended:
        raise BrokenStreamError("no message_stop")
    found: Body = snapshot.to_dict(mode="json", warnings=strict)
    return found


def _gemini_stream(data: bytes, strict: bool) -> Body:
    whole: Body = {}
    parts: list[Body] = []
    for value in events(data):
        if "error" in value:
            raise BrokenStreamError(value)
        chunk = _gemini_dump(value, strict)
        for candidate in chunk.get("candidates", [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                _join(parts, part)
            whole.setdefault("candidates", [{}])[0].update(candidate)
        whole |= {key: item for key, item in chunk.items() if key != "candidates"}
    if parts:
        whole["candidates"][0]["content"] = {"role": "model", "parts": parts}
    if not any(candidate.get("finishReason") for candidate in whole.get("candidates", [])) and not whole.get(
        "promptFeedback"
    ):
        raise BrokenStreamError("no finish reason")
    return whole


def _join(parts: list[Body], part: Body) -> None:
    """Add a piece: texts of one kind in a row are one text, as the SDK's `.text` reads them."""
    last = parts[-1] if parts else {}
    is_more = "text" in part and "text" in last and bool(part.get("thought")) == bool(last.get("thought"))
    if is_more and "thoughtSignature" not in last:
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)


def _bedrock_stream(data: bytes, strict: bool) -> Body:
    import botocore.eventstream
    import botocore.parsers

    shape = _converse("ConverseStream").members["stream"]
    parser: Any = botocore.parsers.create_parser("rest-json")
    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(data)
    blocks: dict[int, Body] = {}
    texts: dict[int, list[str]] = {}
    whole: Body = {}
    for message in buffer:
        event = parser._event_stream_parser.parse(message.to_response_dict(), shape)
        if message.headers.get(":message-type") != "event":
            raise BrokenStreamError(message.payload)
        start, delta = event.get("contentBlockStart"), event.get("contentBlockDelta")
        if start is not None:
            blocks[start["contentBlockIndex"]] = {key: dict(value) for key, value in start["start"].items()}
        if delta is not None:
            at, found = delta["contentBlockIndex"], delta["delta"]
            block = blocks.setdefault(at, {})
            if "text" in found:
                block["text"] = block.get("text", "") + found["text"]
            if "toolUse" in found:
                texts.setdefault(at, []).append(found["toolUse"]["input"])
            if "reasoningContent" in found:
                _join_thought(block, found["reasoningContent"])
        if "messageStop" in event:
            whole["stopReason"] = event["messageStop"]["stopReason"]
        if "metadata" in event:
            whole |= event["metadata"]
    if "stopReason" not in whole:
        raise BrokenStreamError("no messageStop")
    for at, block in blocks.items():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads("".join(texts.get(at, [])) or "{}")
    whole["output"] = {"message": {"role": "assistant", "content": [blocks[at] for at in sorted(blocks)]}}
    return whole


def _join_thought(block: Body, found: Body) -> None:
    thought = block.setdefault("reasoningContent", {})
    if "redactedContent" in found:
        thought["redactedContent"] = found["redactedContent"]
        return
    said = thought.setdefault("reasoningText", {"text": ""})
    said["text"] += found.get("text", "")
    if "signature" in found:
        said["signature"] = found["signature"]


def _cohere_stream(data: bytes, strict: bool) -> Body:
    from cohere.core.unchecked_base_model import construct_type
    from cohere.v2.types import V2ChatStreamResponse

    kind_of: Any = V2ChatStreamResponse

    message: Body = {"role": "assistant", "content": [], "tool_calls": []}
    whole: Body = {"message": message}
    for value in events(data):
        event: Any = construct_type(type_=kind_of, object_=value)
        kind = event.type
        if kind == "message-start":
            whole["id"] = event.id
        elif kind == "content-start":
            message["content"].append({"type": event.delta.message.content.type, "text": "", "thinking": ""})
        elif kind == "content-delta":
            content = event.delta.message.content
            message["content"][-1]["text"] += content.text or ""
            message["content"][-1]["thinking"] += content.thinking or ""
        elif kind == "tool-plan-delta":
            message["tool_plan"] = message.get("tool_plan", "") + event.delta.message.tool_plan
        elif kind == "tool-call-start":
            message["tool_calls"].append(json.loads(event.delta.message.tool_calls.model_dump_json()))
        elif kind == "tool-call-delta":
            function = message["tool_calls"][-1]["function"]
            function["arguments"] += event.delta.message.tool_calls.function.arguments
        elif kind == "message-end":
            whole["finish_reason"] = event.delta.finish_reason
            whole["usage"] = json.loads(event.delta.usage.model_dump_json()) if event.delta.usage else None
    if whole.get("finish_reason") in {None, "ERROR"}:
        raise BrokenStreamError(whole.get("finish_reason"))
    return whole


_READERS: dict[str, tuple[Callable[[bytes, bool], Body], Callable[[bytes, bool], Body]]] = {
    "openai": (_openai, _openai_stream),
    "responses": (_responses, _responses_stream),
    "anthropic": (_anthropic, _anthropic_stream),
    "gemini": (_gemini, _gemini_stream),
    "bedrock": (_bedrock, _bedrock_stream),
    "cohere": (_cohere, _cohere_stream),
}


def read(dialect: str, data: bytes, is_stream: bool, strict: bool = True) -> Body:
    """Return the plain answer that a dialect's official SDK makes of these bytes. Raises BrokenStreamError, and whatever the SDK
    raises."""
    return _READERS[dialect][is_stream](data, strict)
