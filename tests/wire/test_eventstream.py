"""The AWS event stream, compared with botocore's reader."""

import json

import botocore.eventstream
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.errors import ProtocolError
from switchgear.wire import eventstream

names = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.dictionaries(names.filter(bool), names, max_size=4), st.binary(max_size=200))
def test_a_written_message_is_read_by_botocore_and_by_the_decoder(headers, payload):
    data = eventstream.encode(headers, payload)
    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(data)
    theirs = next(iter(buffer))
    assert theirs.payload == payload and theirs.headers == headers
    mine = eventstream.Decoder().feed(data)[0]
    assert (mine.payload, mine.headers, mine.raw) == (payload, headers, data)


def test_every_cut_gives_the_same_messages():
    data = b"".join(eventstream.event("x", json.dumps({"n": n}).encode()) for n in range(3))
    for step in range(1, 40):
        decoder = eventstream.Decoder()
        found = [m for at in range(0, len(data), step) for m in decoder.feed(data[at : at + step])]
        assert [json.loads(m.payload)["n"] for m in found] == [0, 1, 2] and decoder.tail == b""


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_damaged_byte_is_found(at, change):
    data = bytearray(eventstream.event("contentBlockDelta", b'{"delta":{"text":"hello"}}'))
    data[at % len(data)] ^= change
    decoder = eventstream.Decoder()
    try:
        assert decoder.feed(bytes(data)) == []  # a larger length: it waits for bytes that never come
    except ProtocolError:
        return


@given(st.binary(max_size=300))
def test_garbage_is_a_typed_error_or_nothing(data):
    try:
        assert eventstream.Decoder().feed(data) == []
    except ProtocolError:
        return


def test_a_huge_message_is_refused_before_it_is_read():
    import struct
    import zlib

    prelude = struct.pack(">II", 1 << 30, 0)
    with pytest.raises(ProtocolError, match="claims"):
        eventstream.Decoder().feed(prelude + zlib.crc32(prelude).to_bytes(4, "big"))


def test_an_exception_is_told_apart():
    message = eventstream.Decoder().feed(eventstream.exception("throttlingException", b"{}"))[0]
    assert message.headers[":exception-type"] == "throttlingException"
