"""A request and an answer as every dialect can say them, and what the tests of crossings do with them."""

import json

import msgspec

from switchgear.dialects import canonical
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.providers.quirks import Quirks

NAMES = list(BY_NAME)
PAIRS = [(client, provider) for client in NAMES for provider in NAMES if client != provider]
SAMPLE = canonical.Request(
    model="m",
    system=[canonical.Text("be brief")],
    messages=[
        canonical.Message("user", [canonical.Text("weather in Paris and Rome?")]),
        canonical.Message(
            "assistant",
            [
                canonical.ToolCall("c1", "weather", '{"city":"Paris"}'),
                canonical.ToolCall("c2", "weather", '{"city":"Rome"}'),
            ],
        ),
        canonical.Message(
            "user",
            [
                canonical.ToolResult("c1", [canonical.Text("sun")], "weather"),
                canonical.ToolResult("c2", [canonical.Text("rain")], "weather"),
            ],
        ),
    ],
    tools=[
        canonical.Tool("weather", "tells it", msgspec.Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}'))
    ],
    max_tokens=100,
    temperature=0.5,
)
ANSWER = canonical.Answer(
    id="a1",
    model="m",
    parts=[
        canonical.Text("sun"),
        canonical.ToolCall("c3", "weather", '{"city":"Oslo"}'),
        canonical.ToolCall("c4", "weather", "{}"),
    ],
    finish="tool_calls",
    usage=canonical.TokenUsage(input=10, output=5),
)


def ask(client, stream=False, sample=SAMPLE):
    """A client's request in a dialect, as the pipeline reads it."""
    wanted = msgspec.structs.replace(sample, stream=stream, dropped=[])
    body = msgspec.json.encode(BY_NAME[client].translator.encode_request(wanted, "m", Quirks()))
    in_path = client in {"gemini", "bedrock"}
    return parse(body, client, "chat", "m" if in_path else None, stream if in_path else None)


def provider_stream(provider, answer=ANSWER):
    encoder = BY_NAME[provider].translator.encoder("m", 1, True)
    return b"".join(encoder.encode(event) for event in canonical.events_of(answer))


def collect(client, data):
    decoder, collector = BY_NAME[client].translator.decoder(), canonical.Collector()
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    return collector


def gist(parts):
    """Text and tool calls: what must survive every crossing."""
    calls = [(p.name, json.loads(p.arguments or "{}")) for p in parts if isinstance(p, canonical.ToolCall)]
    return "".join(p.text for p in parts if isinstance(p, canonical.Text | canonical.Refusal)), calls
