"""Bedrock: streams."""

import json

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical
from switchgear.dialects.bedrock import streams
from switchgear.wire import eventstream


def message(kind, **body):
    return eventstream.event(kind, json.dumps(body).encode())


def test_an_exception_ends_a_stream():
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    data = message("messageStart", role="assistant") + eventstream.exception(
        "throttlingException", b'{"message":"slow down"}'
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    assert collector.failed == canonical.Failed("slow down", "throttlingException") and not collector.is_ended


def test_a_stream_without_metadata_ends_at_its_stop():
    decoder = streams.StreamDecoder()
    events = decoder.feed(message("messageStart") + message("messageStop", stopReason="max_tokens")) + decoder.finish()
    assert events[-1].finish == "length" and events[-1].usage is None


def test_a_call_that_bedrock_runs_itself_is_no_call_of_the_answer():
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    served = {"toolUseId": "a", "name": "nova_code_interpreter", "type": "server_tool_use"}
    asked = {"toolUseId": "b", "name": "final_result", "type": "tool_use"}
    data = b"".join(
        (
            message("messageStart", role="assistant"),
            message("contentBlockStart", contentBlockIndex=0, start={"toolUse": served}),
            message("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": '{"snippet":"1"}'}}),
            message("contentBlockStop", contentBlockIndex=0),
            message("contentBlockStart", contentBlockIndex=1, start={"toolResult": {"toolUseId": "a"}}),
            message("contentBlockStop", contentBlockIndex=1),
            message("contentBlockStart", contentBlockIndex=2, start={"toolUse": asked}),
            message("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": '{"result":1}'}}),
            message("contentBlockStop", contentBlockIndex=2),
            message("messageStop", stopReason="tool_use"),
        )
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    assert collector.answer.parts == [canonical.ToolCall("b", "final_result", '{"result":1}')]


def test_a_delta_of_the_wrong_shape_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        streams.StreamDecoder().feed(message("contentBlockDelta", delta=5))


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_malformed_answer_failed(reason):
    """Amazon Bedrock API reference, ConverseStream: `stopReason`."""
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    data = (
        message("messageStart", role="assistant")
        + message("messageStop", stopReason=reason)
        + message("metadata", usage={})
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    assert collector.failed is not None and reason in collector.failed.message and not collector.is_ended
