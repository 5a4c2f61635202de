"""Server-sent events: boundaries, bounds, every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.errors import ProtocolError
from switchgear.wire.sse import Splitter, event_data

STREAM = b": hi\n\ndata: a\n\ndata: b\r\ndata: c\r\n\r\nevent: x\rdata: d\r\rdata: tail"


def split(*pieces):
    splitter = Splitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.tail


def test_events_end_at_empty_lines_of_every_kind():
    events, tail = split(STREAM)
    assert [event_data(event) for event in events] == [None, b"a", b"b\nc", b"d"]
    assert tail == b"data: tail"


def test_every_cut_gives_the_same_bytes_and_data():
    whole, _tail = split(STREAM)
    for at in range(1, len(STREAM)):
        events, rest = split(STREAM[:at], STREAM[at:])
        assert b"".join(events) + rest == STREAM
        assert [event_data(e) for e in events if event_data(e)] == [event_data(e) for e in whole if event_data(e)]


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_no_byte_is_lost_or_added(pieces):
    events, tail = split(*pieces)
    assert b"".join(events) + tail == b"".join(pieces)


def test_an_endless_event_is_refused():
    splitter = Splitter(event_bytes_max=100)
    with pytest.raises(ProtocolError):
        splitter.feed(b"data: " + b"a" * 200)
