"""The SDKs as readers: a broken stream is no answer, and strict reading refuses what is not of the SDK's types."""

import json

import pydantic
import pytest
from tests.testing.twins.test_streaming import PARALLEL

from switchgear.testing.twins import sdks, streaming
from switchgear.testing.twins.sdks import BrokenStreamError

MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [("openai", PARALLEL), ("anthropic", MESSAGE), ("bedrock", CONVERSE)],
    ids=lambda value: str(value)[:9],
)
def test_a_stream_without_its_end_is_broken(dialect, body):
    pieces = list(streaming.WRITERS[dialect](body, streaming.PLAIN, True))
    sdks.read(dialect, b"".join(pieces), True)
    with pytest.raises(BrokenStreamError):
        sdks.read(dialect, b"".join(pieces[:-3]), True)


def test_an_error_in_a_stream_is_broken():
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    start = b"".join(list(streaming.anthropic(MESSAGE))[:3])
    with pytest.raises(BrokenStreamError, match="busy"):
        sdks.read("anthropic", start + f"event: error\ndata: {json.dumps(event)}\n\n".encode(), True)


def test_strict_reading_refuses_what_is_not_of_the_types_and_plain_reading_takes_it():
    odd = json.dumps({**MESSAGE, "stop_reason": "tired"}).encode()
    with pytest.raises(pydantic.ValidationError):
        sdks.read("anthropic", odd, False)
    assert sdks.read("anthropic", odd, False, strict=False)["stop_reason"] == "tired"


def test_lines_of_an_event_in_any_order_and_with_any_ends_are_read():
    assert list(sdks.events(b'data: {"a":1}\r\nevent: x\r\n\r\ndata:{"a":\ndata: 2}\n\ndata: [DONE]\n\n')) == [
        {"a": 1},
        {"a": 2},
    ]
