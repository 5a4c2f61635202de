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


@pytest.mark.parametrize("size", [1, 1_024, 1_025, 5_000, 100_000])
@pytest.mark.parametrize("piece", [700, 1_500, 4_096])
def test_a_long_event_in_pieces_is_given_whole_and_what_follows_is_apart(size, piece):
    event, tail = b"data: " + b"a" * size + b"\n\n", b"data: the next"
    stream = event + tail
    splitter = Splitter()
    events = [found for at in range(0, len(stream), piece) for found in splitter.feed(stream[at : at + piece])]
    assert events == [event] and splitter.tail == tail and not splitter.is_between


def test_the_tail_of_a_long_event_is_all_that_came_of_it_and_may_be_asked_for_between():
    splitter, came = Splitter(), b""
    for piece in (b"data: " + b"a" * 3_000, b"b" * 3_000, b"c" * 10):
        assert splitter.feed(piece) == []
        came += piece
        assert splitter.tail == came
    assert splitter.feed(b"\r\n\r\n") == [came + b"\r\n\r\n"] and splitter.is_between


def test_an_endless_event_is_refused_however_small_its_pieces():
    splitter = Splitter(event_bytes_max=10_000)
    with pytest.raises(ProtocolError):
        for _ in range(11):
            splitter.feed(b"a" * 1_000)


def test_a_line_of_the_name_alone_is_an_empty_line_of_data():
    """WHATWG HTML §9.2.6: a line without a colon is a field whose value is empty."""
    assert event_data(b"data\ndata\n\n") == b"\n"
    assert event_data(b"event: x\nid: data\n\n") is None
