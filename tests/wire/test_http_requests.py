"""HTTP/1.1 requests: what is let in, what is refused, and that cuts in the byte stream change nothing."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.wire.http_requests import Limits, RejectedError, RequestParser


class Sink:
    def __init__(self):
        self.events = []

    def on_head(self, head):
        self.events.append(("head", head.method, head.target, head.body_length, tuple(sorted(head.headers.items()))))

    def on_body(self, data):
        if self.events and self.events[-1][0] == "body":
            self.events[-1] = ("body", self.events[-1][1] + data)
        elif data:
            self.events.append(("body", data))

    def on_end(self):
        self.events.append(("end",))


LIMITS = Limits()


def parse(*pieces, limits=LIMITS):
    sink = Sink()
    parser = RequestParser(sink, limits)
    for piece in pieces:
        parser.feed(piece)
    return sink.events


POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
)
CHUNKED = (
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
)
GET = b"GET /v1/models?a=b HTTP/1.1\r\nHost: a\r\n\r\n"
OTHER_LENGTH = POST.replace(b"Length: 5", b"Length: 2").replace(b"hello", b"hi")


@pytest.mark.parametrize(
    "stream", [POST, CHUNKED, GET, POST + POST + GET, POST + OTHER_LENGTH + POST, GET + GET, POST * 3]
)
def test_every_cut_gives_the_same_events(stream):
    whole = parse(stream)
    for at in range(1, len(stream)):
        assert parse(stream[:at], stream[at:]) == whole
    assert parse(*(bytes([byte]) for byte in stream)) == whole


def test_a_body_and_trailers_are_told_apart():
    assert parse(CHUNKED)[1:] == [("body", b"abcde"), ("end",)]


def test_a_repeated_head_gives_what_the_first_gave():
    events = parse(POST, OTHER_LENGTH)
    first, second = events[0], events[3]
    assert first[:3] == second[:3]
    assert (first[3], second[3]) == (5, 2)
    assert events[4] == ("body", b"hi")


def test_a_repeated_head_shares_the_derived_facts():
    heads = []

    class Keep(Sink):
        def on_head(self, head):
            heads.append(head)

    parser = RequestParser(Keep(), Limits())
    parser.feed(POST + OTHER_LENGTH + GET)
    assert heads[0].shared is heads[1].shared
    assert heads[2].shared is not heads[0].shared


def request(line=b"POST /x HTTP/1.1", headers=b"Host: a\r\n", body=b""):
    return line + b"\r\n" + headers + b"\r\n" + body


REFUSED = {
    "te_list": request(headers=b"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"),
    "te_identity": request(headers=b"Host: a\r\nTransfer-Encoding: identity, chunked\r\n"),
    "te_and_cl": request(headers=b"Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    "te_twice": request(
        headers=b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"
    ),
    "te_on_http10": request(b"POST /x HTTP/1.0", b"Host: a\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "two_lengths": request(headers=b"Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n", body=b"abc"),
    "length_list": request(headers=b"Host: a\r\nContent-Length: 3, 3\r\n", body=b"abc"),
    "negative_length": request(headers=b"Host: a\r\nContent-Length: -1\r\n"),
    "plus_length": request(headers=b"Host: a\r\nContent-Length: +1\r\n", body=b"a"),
    "no_host": request(headers=b""),
    "two_hosts": request(headers=b"Host: a\r\nHost: b\r\n"),
    "bad_host": request(headers=b"Host: a b\r\n"),
    "absolute_other_host": request(b"POST http://other/x HTTP/1.1"),
    "absolute_userinfo": request(b"POST http://u@a/x HTTP/1.1"),
    "rtsp": request(b"GET / RTSP/1.0"),
    "http_2": request(b"PRI * HTTP/2.0"),
    "http_09": b"GET /\r\n\r\n",
    "trace": request(b"TRACE / HTTP/1.1"),
    "connect": request(b"CONNECT a:1 HTTP/1.1"),
    "source": request(b"SOURCE / ICE/1.0"),
    "underscore": request(headers=b"Host: a\r\nX_Y: 1\r\n"),
    "space_before_colon": request(headers=b"Host : a\r\n"),
    "obs_fold": request(headers=b"Host: a\r\nX: 1\r\n 2\r\n"),
    "bare_lf": b"POST /x HTTP/1.1\nHost: a\n\n",
    "bare_cr": request(headers=b"Host: a\r\nX: a\rb\r\n"),
    "nul": request(headers=b"Host: a\r\nX: a\0b\r\n"),
    "control": request(headers=b"Host: a\r\nX: a\x01b\r\n"),
    "target_non_ascii": request(b"POST /\xff HTTP/1.1"),
    "two_spaces": request(b"POST  /x HTTP/1.1"),
    "websocket": request(b"GET / HTTP/1.1", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
    "websocket_or_h2c": request(b"GET / HTTP/1.1", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n"),
    "http2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "expect": request(headers=b"Host: a\r\nExpect: 200-maybe\r\n"),
    "long_head": request(headers=b"Host: a\r\nX: " + b"a" * 20_000 + b"\r\n"),
    "many_headers": request(headers=b"Host: a\r\n" + b"X: 1\r\n" * 100),
    "long_url": request(b"POST /" + b"a" * 9_000 + b" HTTP/1.1"),
    "large_body": request(headers=b"Host: a\r\nContent-Length: 99999999999\r\n"),
    "pipelined_after_chunked": CHUNKED + GET,
    "chunk_size_garbage": request(headers=b"Host: a\r\nTransfer-Encoding: chunked\r\n", body=b"zz\r\n"),
    "chunk_extension_flood": request(
        headers=b"Host: a\r\nTransfer-Encoding: chunked\r\n", body=(b"1;" + b"a" * 9000 + b"\r\nx\r\n") * 9
    ),
    "empty_lines": b"\r\n\r\n\r\n" + GET,
}


@pytest.mark.parametrize("name", REFUSED)
def test_H1_a_malformed_or_ambiguous_request_is_refused_with_a_4xx(name):
    with pytest.raises(RejectedError) as info:
        parse(REFUSED[name])
    assert 400 <= info.value.case.status < 500


@pytest.mark.parametrize("name", ["bare_lf", "long_head"])
def test_H1_refused_before_the_head_is_complete(name):
    with pytest.raises(RejectedError):
        parse(REFUSED[name].split(b"\r\n\r\n")[0])


# What Java's HttpClient sends with each first request over plain HTTP (RFC 7540 §3.2), and its like.
OFFERS = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    "other_case": b"connection: upgrade\r\nUPGRADE: h2c\r\n",
    "several": b"Upgrade: TLS/1.0, h2c\r\nConnection: Keep-Alive , Upgrade\r\n",
    "twice": b"Connection: upgrade\r\nConnection: keep-alive\r\nUpgrade: h2c\r\nUpgrade: IRC/6.9\r\n",
    "without_connection": b"Upgrade: h2c\r\n",
}


@pytest.mark.parametrize("name", OFFERS)
def test_an_offer_to_upgrade_is_ignored(name):
    # RFC 9110 §7.8: "A server MAY ignore a received Upgrade header field if it wishes to continue using the current protocol".
    plain = POST.replace(b"Content-Type", b"X: websocket\r\nContent-Type")
    offered = plain.replace(b"X: websocket", OFFERS[name] + b"X: websocket")
    events = parse(offered + plain)
    heads = [dict(event[4]) for event in events if event[0] == "head"]
    assert [event[0] for event in events] == ["head", "body", "end"] * 2
    assert b"upgrade" not in heads[0] and b"http2-settings" not in heads[0]
    assert heads[0].get(b"connection", b"").lower() in {b"", b"keep-alive"}
    for at in range(1, len(offered)):
        assert parse(offered[:at], offered[at:] + plain) == events


def test_an_offer_to_upgrade_does_not_keep_a_connection_that_is_to_close():
    heads = []
    sink = Sink()
    sink.on_head = heads.append
    RequestParser(sink, LIMITS).feed(GET.replace(b"Host: a", b"Host: a\r\nConnection: close, Upgrade\r\nUpgrade: h2c"))
    assert not heads[0].keep_alive


def test_the_target_of_a_refused_head_is_known():
    for data, target in (
        (REFUSED["websocket"].replace(b"GET /", b"GET /model/a/converse"), b"/model/a/converse"),
        (request(b"POST /v1/messages HTTP/1.1", b"Host: a\r\nContent-Length: 99999999999\r\n"), b"/v1/messages"),
        (b"GET /v1beta/x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000, b"/v1beta/x"),
        (b"nonsense\r\n\r\n", b""),
    ):
        parser = RequestParser(Sink(), LIMITS)
        with pytest.raises(RejectedError):
            parser.feed(data)
        assert parser.target == target


def test_a_paused_parser_keeps_what_comes_and_goes_on_where_it_stopped():
    sink = Sink()
    parser = RequestParser(sink, LIMITS)
    begin = sink.on_head

    def pause(head):
        begin(head)
        parser.is_paused = True

    sink.on_head = pause
    parser.feed(POST + GET + POST[:30])
    assert sink.events == parse(POST) and len(parser.pending) == len(GET) + 30
    parser.is_paused = False
    parser.feed(b"")
    assert sink.events == parse(POST + GET) and len(parser.pending) == 30
    parser.feed(POST[30:])
    assert len(parser.pending) == len(POST)
    parser.is_paused = False
    parser.feed(b"")
    assert sink.events == parse(POST + GET + POST) and len(parser.pending) == 0


class OddError(Exception):
    pass


def test_an_exception_of_a_sink_passes_unchanged():
    def fail(*_):
        raise OddError

    for name in ("on_head", "on_body", "on_end"):
        sink = Sink()
        setattr(sink, name, fail)
        with pytest.raises(OddError):
            RequestParser(sink, LIMITS).feed(CHUNKED)


def test_an_absolute_target_for_the_named_host_is_a_path():
    assert parse(request(b"GET http://A/x?y HTTP/1.1"))[0][2] == b"/x?y"


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_incomplete_never_an_exception_of_another_kind(data):
    with contextlib.suppress(RejectedError):
        parse(data)


@given(st.binary(max_size=300), st.integers(0, 4), st.binary(max_size=4))
def test_damaged_requests_never_raise_anything_else(noise, where, extra):
    data = POST[: where * 20] + extra + noise + POST[where * 20 :]
    with contextlib.suppress(RejectedError):
        parse(data)
