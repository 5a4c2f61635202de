"""Bedrock Converse: what is special."""

import json

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.dialects import bedrock, hub
from switchgear.dialects.shape import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks
from switchgear.wire import eventstream


def message(kind, **body):
    return eventstream.event(kind, json.dumps(body).encode())


def test_an_exception_ends_a_stream():
    decoder, collector = bedrock.StreamDecoder(), hub.Collector()
    data = message("messageStart", role="assistant") + eventstream.exception(
        "throttlingException", b'{"message":"slow down"}'
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    assert collector.failed == hub.Failed("slow down", "throttlingException") and not collector.is_ended


def test_a_stream_without_metadata_ends_at_its_stop():
    decoder = bedrock.StreamDecoder()
    events = decoder.feed(message("messageStart") + message("messageStop", stopReason="max_tokens")) + decoder.finish()
    assert events[-1].finish == "length" and events[-1].usage is None


def test_a_delta_of_the_wrong_shape_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        bedrock.StreamDecoder().feed(message("contentBlockDelta", delta=5))


def test_results_of_bedrocks_own_tools_are_no_calls_for_the_client():
    content = [
        {"toolUse": {"toolUseId": "1", "name": "g", "input": {}}},
        {"toolResult": {"toolUseId": "1", "content": []}},
        {"text": "found"},
    ]
    answer = bedrock.decode_answer(Node({"output": {"message": {"content": content}}, "stopReason": "end_turn"}))
    assert answer.parts == [hub.Text("found")]


def test_names_of_documents_are_made_what_bedrock_allows():
    part = hub.Media("file", "application/pdf", "JVBERi0=", name="a_b/c.pdf")
    body = bedrock.encode_request(hub.Request(model="m", messages=[hub.Message("user", [part])]), "nova", Quirks())
    assert body["messages"][0]["content"][0]["document"]["name"] == "a b c pdf"


def test_unknown_files_are_refused():
    part = hub.Media("file", "application/x-thing", "AAAA")
    with pytest.raises(InvalidBodyError, match="x-thing"):
        bedrock.encode_request(hub.Request(model="m", messages=[hub.Message("user", [part])]), "nova", Quirks())


def test_what_only_claude_knows_is_dropped_for_others():
    request = hub.Request(model="m", messages=[], top_k=5, reasoning=hub.Reasoning("low"))
    bedrock.encode_request(request, "us.amazon.nova-lite-v1:0", Quirks())
    assert {"top_k", "reasoning"} <= set(request.dropped)
