"""What stream decoders share."""

import json

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.dialects.streams import Halves, SseDecoder, sse_event


class Recorder(SseDecoder):
    def __init__(self):
        super().__init__()
        self.seen = []

    def take(self, event):
        self.seen.append(event.need("n"))


def test_events_are_cut_and_comments_skipped():
    decoder = Recorder()
    decoder.feed(b': ping\n\nevent: x\ndata: {"n":"1"}\r\n\r\ndata: {"n"')
    decoder.feed(b': "2"}\n\n')
    decoder.feed(b"data: [1]\n\ndata: 5\n\n")
    assert decoder.seen == ["1", "2"]


@pytest.mark.parametrize("data", [b"data: {oops\n\n", b'data: {"n":1}\n\n', b"data: {}\n\n"])
def test_what_is_not_of_the_dialect_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        Recorder().feed(data)


def test_the_last_event_may_lack_its_empty_line_and_half_an_event_is_none():
    decoder = Recorder()
    decoder.feed(b'data: {"n":"1"}')
    decoder.finish()
    assert decoder.seen == ["1"]
    decoder = Recorder()
    decoder.feed(b'data: {"n":"1')
    assert decoder.finish() == [] and decoder.seen == []


def test_a_named_event_has_an_event_line_before_its_data():
    assert sse_event("x", b"{}") == b"event: x\ndata: {}\n\n"


HALVES = {
    "cut in two": ([rb'{"t":"a\ud83d"}', rb'{"t":"\ude00b"}'], ["a", "😀b"]),
    "in upper case, with an event between": ([rb'{"t":"\uD83D"}', rb'{"t":""}', rb'{"t":"\uDE00"}'], ["", "", "😀"]),
    "a second half alone": ([rb'{"t":"\ude00"}'], ["�"]),
    "whole": ([rb'{"t":"\ud83d\ude00 \u00e9"}'], ["😀 é"]),
    "a backslash and letters": ([rb'{"t":"\\ud83d"}'], ["\\ud83d"]),
}


@pytest.mark.parametrize("name", HALVES)
def test_halves_of_a_character_are_joined_across_events(name):
    halves, (events, texts) = Halves(), HALVES[name]
    assert [json.loads(halves.join(event))["t"] for event in events] == texts
