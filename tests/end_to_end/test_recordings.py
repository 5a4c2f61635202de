"""Recorded exchanges, crossed into every other dialect, and decoded by that dialect's official SDK."""

import itertools
import json

import botocore.parsers
import botocore.session
import msgspec
import pytest
from pydantic import TypeAdapter

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks
from switchgear.testing import recordings
from switchgear.wire import eventstream

pytestmark = pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")


def sse(data):
    for block in data.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
        if lines and lines != ["[DONE]"]:
            yield json.loads("".join(lines))


class OpenAI:
    """openai's chat types."""

    def __init__(self):
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        self.whole, self.chunk = ChatCompletion, ChatCompletionChunk

    def plain(self, body):
        message = self.whole.model_validate(body).choices[0].message
        return (message.content or "") + (message.refusal or ""), [
            (c.function.name, c.function.arguments) for c in message.tool_calls or []
        ]

    def stream(self, data):
        text, calls = "", {}
        for value in sse(data):
            chunk = self.chunk.model_validate(value)
            for choice in chunk.choices:
                text += (choice.delta.content or "") + (choice.delta.refusal or "")
                for call in choice.delta.tool_calls or []:
                    entry = calls.setdefault(call.index, ["", ""])
                    entry[0] += call.function.name or ""
                    entry[1] += call.function.arguments or ""
        return text, [tuple(entry) for entry in calls.values()]


class Responses:
    """openai's responses types."""

    def __init__(self):
        from openai.types.responses import Response, ResponseStreamEvent

        self.whole, self.event = Response, TypeAdapter(ResponseStreamEvent)

    def plain(self, body):
        answer = self.whole.model_validate(body)
        refusals = [
            p.refusal for item in answer.output if item.type == "message" for p in item.content if p.type == "refusal"
        ]
        calls = [(item.name, item.arguments) for item in answer.output if item.type == "function_call"]
        return answer.output_text + "".join(refusals), calls

    def stream(self, data):
        events = [self.event.validate_python(value) for value in sse(data)]
        text = "".join(
            event.delta for event in events if event.type in {"response.output_text.delta", "response.refusal.delta"}
        )
        whole = self.plain(events[-1].response.model_dump())
        assert whole[0] == text
        return whole


class Anthropic:
    """anthropic's message types."""

    def __init__(self):
        from anthropic.types import Message, RawMessageStreamEvent

        self.whole, self.event = Message, TypeAdapter(RawMessageStreamEvent)

    def plain(self, body):
        answer = self.whole.model_validate(body)
        text = "".join(block.text for block in answer.content if block.type == "text")
        return text, [(block.name, json.dumps(block.input)) for block in answer.content if block.type == "tool_use"]

    def stream(self, data):
        text, calls, open_tool = "", [], False
        for value in sse(data):
            event = self.event.validate_python(value)
            if event.type == "content_block_start":
                open_tool = event.content_block.type == "tool_use"
                if open_tool:
                    calls.append([event.content_block.name, ""])
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                text += event.delta.text
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                calls[-1][1] += event.delta.partial_json
        return text, [tuple(call) for call in calls]


class Gemini:
    """google.genai's types."""

    def __init__(self):
        from google.genai.types import GenerateContentResponse

        self.whole = GenerateContentResponse

    def plain(self, body):
        parts = self.whole.model_validate(body).candidates[0].content.parts or []
        text = "".join(part.text for part in parts if part.text and not part.thought)
        return text, [(p.function_call.name, json.dumps(p.function_call.args or {})) for p in parts if p.function_call]

    def stream(self, data):
        pieces = [self.plain(value) for value in sse(data)]
        return "".join(text for text, _ in pieces), [call for _, calls in pieces for call in calls]


class Bedrock:
    """botocore's own parser, with the service's model."""

    def __init__(self):
        service = botocore.session.get_session().get_service_model("bedrock-runtime")
        self.shape = service.operation_model("Converse").output_shape
        self.events = service.operation_model("ConverseStream").output_shape.members["stream"]
        self.parser = botocore.parsers.create_parser("rest-json")

    def plain(self, body):
        data = {"status_code": 200, "headers": {"content-type": "application/json"}, "body": msgspec.json.encode(body)}
        blocks = self.parser.parse(data, self.shape)["output"]["message"]["content"]
        text = "".join(block["text"] for block in blocks if "text" in block)
        return text, [(b["toolUse"]["name"], json.dumps(b["toolUse"]["input"])) for b in blocks if "toolUse" in b]

    def stream(self, data):
        text, calls = "", {}
        parser = botocore.parsers.create_parser("rest-json")._event_stream_parser
        for message in eventstream.Decoder().feed(data):
            headers = dict(message.headers.items())
            event = parser.parse({"status_code": 200, "headers": headers, "body": message.payload}, self.events)
            start = event.get("contentBlockStart", {})
            if "toolUse" in start.get("start", {}):
                calls[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
            delta = event.get("contentBlockDelta", {})
            text += delta.get("delta", {}).get("text", "")
            if "toolUse" in delta.get("delta", {}):
                calls[delta["contentBlockIndex"]][1] += delta["delta"]["toolUse"]["input"]
        return text, [tuple(call) for call in calls.values()]


class Cohere:
    """cohere's types."""

    def __init__(self):
        from cohere.core.unchecked_base_model import construct_type
        from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse

        self.construct, self.whole, self.event = construct_type, V2ChatResponse, V2ChatStreamResponse

    def plain(self, body):
        message = self.construct(type_=self.whole, object_=body).message
        text = "".join(part.text for part in message.content or [] if part.type == "text")
        return text, [(c.function.name, c.function.arguments) for c in message.tool_calls or []]

    def stream(self, data):
        text, calls = "", []
        for value in sse(data):
            event = self.construct(type_=self.event, object_=value)
            if event.type == "content-delta" and event.delta.message.content.text:
                text += event.delta.message.content.text
            elif event.type == "tool-call-start":
                calls.append([event.delta.message.tool_calls.function.name, ""])
            elif event.type == "tool-call-delta":
                calls[-1][1] += event.delta.message.tool_calls.function.arguments
        return text, [tuple(call) for call in calls]


SDKS = {
    "openai": OpenAI,
    "responses": Responses,
    "anthropic": Anthropic,
    "gemini": Gemini,
    "bedrock": Bedrock,
    "cohere": Cohere,
}
HELLO = canonical.Request(model="m", messages=[canonical.Message("user", [canonical.Text("hi")])])


def asked(client, stream):
    """A client's request: what the recorded one became does not matter for reading the answer."""
    wanted = msgspec.structs.replace(HELLO, stream=stream, dropped=[])
    body = msgspec.json.encode(BY_NAME[client].translator.encode_request(wanted, "m", Quirks()))
    in_path = client in {"gemini", "bedrock"}
    return parse(body, client, "chat", "m" if in_path else None, stream if in_path else None)


def wanted_of(answer):
    texts = "".join(part.text for part in answer.parts if isinstance(part, canonical.Text | canonical.Refusal))
    return texts, [
        (part.name, json.loads(part.arguments or "{}")) for part in answer.parts if isinstance(part, canonical.ToolCall)
    ]


def test_a_translated_recording_is_read_by_the_official_sdk_with_the_same_text_and_calls(record_property):
    sdks = {name: make() for name, make in SDKS.items()}
    rows = [r for r in recordings.exchanges() if recordings.dialect_of(r.path) and r.status == 200]
    good, refused, wrong = 0, 0, []
    for recording, client in itertools.product(rows, BY_NAME):
        provider = recordings.dialect_of(recording.path)
        if client == provider:
            continue
        own, other = BY_NAME[provider].translator, BY_NAME[client].translator
        try:
            body = other.encode_request(
                own.decode_request(Node(recording.request), "m", recording.is_stream), "m", Quirks()
            )
            again = other.decode_request(Node(json.loads(msgspec.json.encode(body))), "m", recording.is_stream)
            own.encode_request(again, "m", Quirks())
        except InvalidBodyError:
            refused += 1  # on the documented list: docs/dialects.md
            continue
        translation = open_translation(asked(client, recording.is_stream), client, provider, "m", Quirks(), created=1)
        try:
            if recording.is_stream:
                collector, decoder = canonical.Collector(), own.decoder()
                for event in decoder.feed(recording.body) + decoder.finish():
                    collector.add(event)
                if collector.failed is not None:
                    continue  # an error was recorded
                tap = translation.tap()
                found = sdks[client].stream(tap.feed(recording.body) + tap.finish())
                answer = collector.answer
            else:
                answer = own.decode_answer(Node(json.loads(recording.body)))
                found = sdks[client].plain(json.loads(translation.answer(recording.body)))
            text, calls = found
            assert (text, [(name, json.loads(arguments or "{}")) for name, arguments in calls]) == wanted_of(answer)
            good += 1
        except (AssertionError, ValueError, ProtocolError, KeyError, TypeError, AttributeError) as exc:
            wrong.append((recording.id, provider, client, type(exc).__name__, str(exc)[:300]))
    record_property("crossed", f"{good} read, {refused} refused by name, {len(wrong)} wrong")
    print(f"\n{good} crossings read by the official SDKs, {refused} refused by name, {len(wrong)} wrong")
    assert good > 3000
    assert not wrong, wrong[:10]
