"""Bedrock: streams."""

import json

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.dialects import hub
from switchgear.dialects.bedrock import streams
from switchgear.wire import eventstream


def message(kind, **body):
    return eventstream.event(kind, json.dumps(body).encode())


def test_an_exception_ends_a_stream():
    decoder, collector = streams.StreamDecoder(), hub.Collector()
    data = message("messageStart", role="assistant") + eventstream.exception(
        "throttlingException", b'{"message":"slow down"}'
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    assert collector.failed == hub.Failed("slow down", "throttlingException") and not collector.is_ended


def test_a_stream_without_metadata_ends_at_its_stop():
    decoder = streams.StreamDecoder()
    events = decoder.feed(message("messageStart") + message("messageStop", stopReason="max_tokens")) + decoder.finish()
    assert events[-1].finish == "length" and events[-1].usage is None


def test_a_delta_of_the_wrong_shape_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        streams.StreamDecoder().feed(message("contentBlockDelta", delta=5))
