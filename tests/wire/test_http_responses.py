"""HTTP/1.1 responses: hostile ones are errors, cuts in the byte stream change nothing, and chunks are read alike by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.errors import ProtocolError
from switchgear.wire.http_responses import ResponseParser
from switchgear.wire.http_syntax import LAST_CHUNK, encode_chunk

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nX-Request-Id: r\r\n\r\nhello"
ANSWER_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def respond(*pieces):
    parser = ResponseParser()
    parser.begin()
    body = b""
    for piece in pieces:
        parser.feed(piece)
        body += parser.take_body()
    return parser, body


@pytest.mark.parametrize("answer", [ANSWER, ANSWER_CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER])
def test_responses_survive_every_cut(answer):
    for at in range(1, len(answer)):
        parser, body = respond(answer[:at], answer[at:])
        assert parser.complete
        assert parser.head.status == 200
        assert body in {b"hello", b"abcde"}


HOSTILE = {
    "second_response": ANSWER + ANSWER,
    "two_lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "te_and_cl": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te_list": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te_twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "control_in_a_repeated_name": b"HTTP/1.1 200 OK\r\nX: a\r\nX: \x01b\r\nContent-Length: 0\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "informational_storm": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9 + ANSWER,
    "not_http": b"<html>",
    "endless_head": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 30_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_H2_hostile_responses_are_errors(name):
    with pytest.raises(ProtocolError):
        respond(HOSTILE[name])


def test_a_repeated_name_keeps_all_its_values():
    parser, body = respond(b"HTTP/1.1 200 OK\r\nX: a\r\nX: b\r\nContent-Length: 3\r\n\r\nabc")
    assert parser.complete and body == b"abc"
    assert [value for name, value in parser.head.headers if name == b"x"] == [b"a", b"b"]


def test_H2_bytes_without_a_request_are_an_error():
    parser, _ = respond(ANSWER)
    with pytest.raises(ProtocolError):
        parser.feed(ANSWER)
    with pytest.raises(ProtocolError):
        ResponseParser().feed(b"H")


def test_a_body_without_length_ends_with_the_connection():
    parser, body = respond(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert body == b"abc"
    assert not parser.complete
    assert parser.eof()


def test_a_cut_body_with_length_is_no_end():
    parser, _ = respond(ANSWER[:-1])
    assert not parser.eof()


def test_a_connection_serves_many_responses():
    parser = ResponseParser()
    for _ in range(3):
        parser.begin()
        parser.feed(ANSWER)
        assert parser.take_body() == b"hello"
    with pytest.raises(ProtocolError):
        parser.begin()
        parser.begin()


BEGUN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + encode_chunk(b"first of the stream")
TEXT = b"data: {}, as an event is"
PIECES = {
    "one chunk": encode_chunk(TEXT),
    "upper-case hex": b"%X\r\n" % 26 + TEXT[:24] + b"ab\r\n",
    "mixed case": b"1a\r\n" + TEXT[:24] + b"ab\r\n",
    "leading zero": b"018\r\n" + TEXT + b"\r\n",
    "extension": b"18;a=b\r\n" + TEXT + b"\r\n",
    "two chunks": encode_chunk(TEXT) * 2,
    "half a chunk": encode_chunk(TEXT)[:-3],
    "the end": LAST_CHUNK,
    "a chunk and the end": encode_chunk(TEXT) + LAST_CHUNK,
    "small": encode_chunk(b"x"),
    "a line end inside": encode_chunk(b"\r\n" + TEXT + b"\r\n"),
    "prefix 0x": b"0x18\r\n" + TEXT + b"\r\n",
    "sign": b"+18\r\n" + TEXT + b"\r\n",
    "underscore": b"1_8\r\n" + TEXT + b"\r\n",
    "space": b"18 \r\n" + TEXT + b"\r\n",
    "size too small": b"17\r\n" + TEXT + b"\r\n",
    "size too large": b"19\r\n" + TEXT + b"\r\n",
    "no line end": b"18\r\n" + TEXT + b"ab",
    "bare LF": b"18\n" + TEXT + b"\r\n",
    "an empty size": b"\r\n" + TEXT + b"\r\n",
}


def taken(pieces, takes):
    parser = ResponseParser()
    parser.begin()
    parser.feed(BEGUN)
    bodies, by_hand = [parser.take_body()], 0
    for piece in pieces:
        whole = parser.take_chunk(piece) if takes else None
        by_hand += whole is not None
        try:
            if whole is None:
                parser.feed(piece)
        except ProtocolError:
            return bodies, "refused", by_hand
        bodies.append(whole if whole is not None else parser.take_body())
    return bodies, parser.complete, by_hand


@pytest.mark.parametrize("first", PIECES)
@pytest.mark.parametrize("second", PIECES)
def test_a_chunk_that_is_read_by_hand_gives_what_llhttp_gives(first, second):
    pieces = [PIECES[first], PIECES[second], encode_chunk(TEXT)]
    assert taken(pieces, True)[:2] == taken(pieces, False)[:2]


@given(st.lists(st.one_of(st.sampled_from(list(PIECES.values())), st.binary(max_size=40)), max_size=6))
def test_any_pieces_read_by_hand_give_what_llhttp_gives(pieces):
    assert taken(pieces, True)[:2] == taken(pieces, False)[:2]


def test_events_of_a_stream_are_read_by_hand():
    assert taken([PIECES["one chunk"], PIECES["upper-case hex"], PIECES["the end"]], True)[1:] == (True, 2)


def test_H2_a_chunk_after_the_end_is_not_taken():
    parser = ResponseParser()
    parser.begin()
    parser.feed(BEGUN + LAST_CHUNK)
    assert parser.take_chunk(encode_chunk(TEXT)) is None
    with pytest.raises(ProtocolError):
        parser.feed(encode_chunk(TEXT))


def test_an_endless_run_of_tiny_chunks_is_refused():
    parser = ResponseParser()
    parser.begin()
    parser.feed(BEGUN)
    for _ in range(100):
        assert parser.take_chunk(encode_chunk(b"y" * 1_000)) is not None
    tiny = encode_chunk(b"y") * 1_000
    with pytest.raises(ProtocolError, match="framing"):
        for _ in range(200):
            parser.feed(tiny)
