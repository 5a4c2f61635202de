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


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"data: a", b": x", b"\n\n"]), max_size=30), st.integers(0, 60))
def test_any_cut_gives_the_same_events_also_among_empty_lines(parts, at):
    stream = b"".join(parts)
    whole, cut = split(stream), split(stream[:at], stream[at:])
    assert [event_data(event) for event in cut[0]] == [event_data(event) for event in whole[0]]
    assert b"".join(cut[0]) + cut[1] == stream


def test_empty_lines_after_an_event_are_no_event():
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\n") == [b"data: a\n\n"]
    assert splitter.feed(b"\n\n") == []
    assert not splitter.is_between
    assert splitter.feed(b"\ndata: b\n\n") == [b"\n\n\ndata: b\n\n"]
    assert splitter.is_between


def test_a_stream_of_empty_lines_alone_is_bounded():
    splitter = Splitter(event_bytes_max=5_000)
    with pytest.raises(ProtocolError):
        for _ in range(6):
            assert splitter.feed(b"\n" * 1_000) == []


def test_a_comment_has_no_data():
    """WHATWG HTML, section 9.2.6: a line that begins with a colon is ignored."""
    assert event_data(b": ping\n\n") is None
