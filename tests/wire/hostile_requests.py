"""Requests that have broken servers and proxies, each with its reason. `GOOD` is the number of requests in the bytes; 0: refuse.

Sources of the shapes: RFC 9110 and 9112 (the sections are named), RFC 9113 (HTTP/2's preface), the published research on request
smuggling (CL.TE, TE.CL, TE.TE, CL.0, 0.CL, pause-based), llhttp's and h11's changelogs, and what docs/invariants.md H1 lists. Written anew.
"""

from typing import NamedTuple

H = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
G = "GET /v1/models HTTP/1.1\r\nHost: a\r\n"
NEXT = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"


class Case(NamedTuple):
    name: str
    data: bytes
    good: int
    reason: str


def _case(name, text, good, reason):
    return Case(name, text if isinstance(text, bytes) else text.encode("latin-1"), good, reason)


def _length_cases():
    both = "RFC 9112 §6.1: both fields are an attack or an error"
    bad = "RFC 9112 §6.3: an invalid length is unrecoverable"
    yield _case("CL.TE", H + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + NEXT, 0, both)
    yield _case(
        "TE.CL", H + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + NEXT + "\r\n0\r\n\r\n", 0, both
    )
    yield _case("CL and TE, no body", H + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, both)
    for name, value in {
        "twice, the same in a list": "5, 5", "twice, different in a list": "5, 6", "plus": "+5", "minus": "-5", "hex": "0x5",
        "octal prefix is a number": "05", "underscore": "1_0", "exponent": "5e0", "point": "5.0", "empty": "", "words": "five",
        "space inside": "1 0", "tab inside": "1\t0", "trailing letters": "5a", "leading letters": "a5", "full-width": "\xef\xbc\x95",
        "arabic digit": "\xd9\xa5", "over 2^63": "9223372036854775808", "over 2^64": "18446744073709551621", "30 digits": "0" * 29 + "5",
        "quoted": '"5"', "semicolon": "5;x", "over the limit": "99999999999", "NUL": "5\x00", "vertical tab": "\x0b5", "form feed": "5\x0c",
    }.items():  # fmt: skip
        good = 1 if value == "05" else 0
        yield _case(f"length: {name}", H + f"Content-Length: {value}\r\n\r\nhello", good, bad)
    twice = "RFC 9112 §6.3: lengths that differ are an attack; the same twice is an error of the client"
    yield _case("length field twice, different", H + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 0, twice)
    yield _case("length field twice, the same", H + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 0, twice)
    yield _case("length field twice, other case", H + "Content-Length: 5\r\ncontent-length: 0\r\n\r\nhello", 0, twice)
    yield _case(
        "CL.0: a body where none is expected",
        G + f"Content-Length: {len(NEXT)}\r\n\r\n" + NEXT,
        1,
        "a GET's body is a body",
    )
    yield _case(
        "length with spaces around",
        H + "Content-Length:   5  \r\n\r\nhello",
        0,
        "stricter than RFC 9110 §5.5 on purpose",
    )


def _encoding_cases():
    only = "RFC 9112 §6.1: exactly `chunked` is understood; anything else would be read differently by somebody"
    for value in (
        "identity", "identity, chunked", "gzip, chunked", "chunked, identity", "chunked, chunked", "chunked,", ", chunked", "xchunked",
        "chunkedx", "x chunked", "chunked;q=1", '"chunked"', "chunked\x0b", "\x0bchunked", "chunked\x00", "cow", "", "chun\tked",
        "CHUNKED, x", "deflate", "compress, chunked", "chunked foo", "ſhunked".encode().decode("latin-1"), "chunKed\xa0",
    ):  # fmt: skip
        yield _case(f"encoding {value!r}", H + f"Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n", 0, only)
    yield _case(
        "encoding twice", H + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, only
    )
    yield _case(
        "encoding twice, second identity",
        H + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        0,
        only,
    )
    yield _case(
        "encoding in capitals",
        H + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
        1,
        "RFC 9110 §10.1.4: case-insensitive",
    )
    yield _case(
        "encoding in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        0,
        "RFC 9112 §6.1",
    )
    for name, field in {
        "space before the colon": "Transfer-Encoding : chunked", "tab before the colon": "Transfer-Encoding\t: chunked",
        "leading space": " Transfer-Encoding: chunked", "underscore": "Transfer_Encoding: chunked", "NUL in the name": "Transfer-Encoding\x00: chunked",
        "folded": "X: y\r\n Transfer-Encoding: chunked", "folded value": "Transfer-Encoding:\r\n chunked", "no colon": "Transfer-Encoding chunked",
        "high byte in the name": "Tr\xe4nsfer-Encoding: chunked", "quoted name": '"Transfer-Encoding": chunked', "bare CR": "X: y\rTransfer-Encoding: chunked",
        "bare LF": "X: y\nTransfer-Encoding: chunked", "empty name": ": chunked", "name in parentheses": "(Transfer-Encoding): chunked",
    }.items():  # fmt: skip
        yield _case(
            f"hidden encoding: {name}",
            H + f"Content-Length: 5\r\n{field}\r\n\r\n0\r\n\r\n",
            0,
            "a field that one server sees and another does not",
        )


def _chunk_cases():
    head = H + "Transfer-Encoding: chunked\r\n\r\n"
    for name, body, good in (
        ("plain", "5\r\nhello\r\n0\r\n\r\n", 1), ("extension", "5;a=b\r\nhello\r\n0\r\n\r\n", 1), ("capital hex", "A\r\n0123456789\r\n0\r\n\r\n", 1),
        ("trailer", "0\r\nX: y\r\n\r\n", 1), ("leading zeros", "0005\r\nhello\r\n0\r\n\r\n", 1),
        ("trailer that is a length", "0\r\nContent-Length: 5\r\n\r\n", 0), ("trailer that is an encoding", "0\r\nTransfer-Encoding: x\r\n\r\n", 0),
        ("size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", 0), ("size with plus", "+5\r\nhello\r\n0\r\n\r\n", 0), ("size with minus", "-5\r\nhello\r\n0\r\n\r\n", 0),
        ("size with underscore", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", 0), ("size with a space", " 5\r\nhello\r\n0\r\n\r\n", 0),
        ("size and space inside", "5 5\r\nhello\r\n0\r\n\r\n", 0), ("empty size", "\r\nhello\r\n0\r\n\r\n", 0), ("size that is no number", "zz\r\nhello\r\n0\r\n\r\n", 0),
        ("size over 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n", 0), ("size of 40 digits", "f" * 40 + "\r\nhello", 0),
        ("data longer than the size", "3\r\nhello\r\n0\r\n\r\n", 0), ("data shorter than the size", "6\r\nhello\r\n0\r\n\r\n", 0),
        ("size ends with LF", "5\nhello\r\n0\r\n\r\n", 0), ("data ends with LF", "5\r\nhello\n0\r\n\r\n", 0), ("last chunk ends with LF", "5\r\nhello\r\n0\n\n", 0),
        ("data ends with two other bytes", "5\r\nhelloXX0\r\n\r\n", 0), ("extension ends with LF", "5;a\nhello\r\n0\r\n\r\n", 0),
        ("extension with CR", "5;a\rb\r\nhello\r\n0\r\n\r\n", 0), ("extension of 70,000 bytes", "5;" + "a" * 70_000 + "\r\nhello\r\n0\r\n\r\n", 0),
        ("trailers of 70,000 bytes", "0\r\n" + "X: " + "y" * 70_000 + "\r\n\r\n", 0), ("trailer with a space in its name", "0\r\nX Y: z\r\n\r\n", 0),
        ("trailer with NUL", "0\r\nX: \x00\r\n\r\n", 0), ("trailer folded", "0\r\nX: a\r\n b\r\n\r\n", 0), ("a NUL as size", "\x005\r\nhello\r\n0\r\n\r\n", 0),
        ("no CRLF after the last chunk, then a request", "0\r\n" + NEXT, 0), ("bytes after the end in one write", "0\r\n\r\n" + NEXT, 0),
        ("negative zero", "-0\r\n\r\n", 0), ("full-width digit", "\xef\xbc\x95\r\nhello\r\n0\r\n\r\n", 0),
    ):  # fmt: skip
        yield _case(f"chunks: {name}", head + body, good, "RFC 9112 §7.1: the framing that two parsers must agree on")


def _line_cases():
    for name, line, good in (
        ("two spaces", "GET  / HTTP/1.1", 0), ("tab", "GET\t/\tHTTP/1.1", 0), ("leading space", " GET / HTTP/1.1", 0), ("trailing space", "GET / HTTP/1.1 ", 0),
        ("no version", "GET /", 0), ("no target", "GET HTTP/1.1", 0), ("HTTP/0.9", "GET / HTTP/0.9", 0), ("HTTP/2.0", "GET / HTTP/2.0", 0), ("HTTP/3", "GET / HTTP/3", 0),
        ("HTTP/1.2", "GET / HTTP/1.2", 0), ("HTTP/1.10", "GET / HTTP/1.10", 0), ("HTTP/01.1", "GET / HTTP/01.1", 0), ("http in lower case", "GET / http/1.1", 0),
        ("HTTP 1.1", "GET / HTTP 1.1", 0), ("RTSP", "DESCRIBE / RTSP/1.0", 0), ("ICE", "SOURCE / ICE/1.0", 0), ("SIP", "INVITE sip:a SIP/2.0", 0),
        ("HTTP/2 preface", "PRI * HTTP/2.0", 0), ("CONNECT", "CONNECT a:443 HTTP/1.1", 0), ("TRACE", "TRACE / HTTP/1.1", 0), ("TRACK", "TRACK / HTTP/1.1", 0),
        ("a WebDAV method", "PROPFIND / HTTP/1.1", 0), ("lower-case method", "get / HTTP/1.1", 0), ("method with NUL", "GE\x00T / HTTP/1.1", 0), ("a colon in the method", "GET: / HTTP/1.1", 0),
        ("asterisk", "OPTIONS * HTTP/1.1", 0), ("authority form", "GET a:80 HTTP/1.1", 0), ("no slash", "GET v1/models HTTP/1.1", 0), ("absolute, this host", "GET http://a/v1/models HTTP/1.1", 1),
        ("absolute, another host", "GET http://evil/v1/models HTTP/1.1", 0), ("absolute, user info", "GET http://x@a/ HTTP/1.1", 0), ("absolute, other scheme", "GET ftp://a/ HTTP/1.1", 0),
        ("absolute, file", "GET file:///etc/passwd HTTP/1.1", 0), ("absolute, three slashes", "GET http:///v1 HTTP/1.1", 0), ("NUL in the path", "GET /\x00 HTTP/1.1", 0), ("encoded NUL", "GET /%00 HTTP/1.1", 1),
        ("high byte in the path", "GET /\xff HTTP/1.1", 0), ("UTF-8 in the path", "GET /\xc3\xa4 HTTP/1.1", 0), ("backslash", "GET \\v1 HTTP/1.1", 0), ("DEL in the path", "GET /\x7f HTTP/1.1", 0),
        ("CR in the path", "GET /\r HTTP/1.1", 0), ("space in the path", "GET /a b HTTP/1.1", 0), ("a fragment", "GET /#x HTTP/1.1", 1), ("dots", "GET /../../etc/passwd HTTP/1.1", 1),
        ("encoded dots", "GET /%2e%2e/ HTTP/1.1", 1), ("double slash", "GET //evil.example/ HTTP/1.1", 1), ("URL of 9,000 bytes", "GET /" + "a" * 9_000 + " HTTP/1.1", 0),
        ("method of 5,000 bytes", "G" * 5_000 + " / HTTP/1.1", 0), ("empty line only", "", 0),
    ):  # fmt: skip
        yield _case(
            f"line: {name}", f"{line}\r\nHost: a\r\n\r\n", good, "RFC 9112 §3: one shape of request line, one of target"
        )
    yield _case(
        "LF after the request line",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        0,
        "RFC 9112 §2.2: a bare LF ends a line for some",
    )
    yield _case("LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", 0, "RFC 9112 §2.2")
    yield _case(
        "CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 0, "RFC 9112 §2.2: a bare CR must be refused"
    )
    yield _case(
        "an empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, "RFC 9112 §2.2: one empty line is ignored"
    )
    yield _case("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "and no more than one")
    yield _case(
        "a TLS hello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 64 + b"\r\n\r\n",
        0,
        "not HTTP at all",
    )
    yield _case("an SSH banner", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "not HTTP at all")
    yield _case("an SMTP greeting", "EHLO evil\r\n\r\n", 0, "cross-protocol requests")
    yield _case("a Redis command", "*1\r\n$4\r\nINFO\r\n\r\n", 0, "cross-protocol requests")
    yield _case("a byte order mark", "\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "bytes before the method")


def _field_cases():
    for name, fields, good in (
        ("no Host", "X: y", 0), ("two Hosts", "Host: a\r\nHost: b", 0), ("the same Host twice", "Host: a\r\nHost: a", 0), ("Hosts in a list", "Host: a, b", 0),
        ("Host with a path", "Host: a/b", 0), ("Host with user info", "Host: x@a", 0), ("Host with a space", "Host: a b", 0), ("Host with NUL", "Host: a\x00", 0), ("Host with CR", "Host: a\rb", 0),
        ("Host with a high byte", "Host: \xe4", 0), ("IPv6 Host", "Host: [::1]:80", 1), ("Host folded", "Host:\r\n a", 0), ("space before Host's colon", "Host : a", 0),
        ("name with a space", "Host: a\r\nX Y: z", 0), ("name with NUL", "Host: a\r\nX\x00: z", 0), ("name with a high byte", "Host: a\r\n\xe4: z", 0), ("name with a slash", "Host: a\r\nx/y: z", 0),
        ("name with an underscore", "Host: a\r\nx_y: z", 0), ("empty name", "Host: a\r\n: z", 0), ("no colon", "Host: a\r\nxyz", 0), ("line of spaces", "Host: a\r\n   ", 0),
        ("value with NUL", "Host: a\r\nX: \x00", 0), ("value with CR", "Host: a\r\nX: a\rb", 0), ("value with BEL", "Host: a\r\nX: \x07", 0), ("value with DEL", "Host: a\r\nX: \x7f", 0),
        ("value with ESC", "Host: a\r\nX: \x1b[31m", 0), ("value with high bytes", "Host: a\r\nX: \xe4\xff", 1), ("value with a tab", "Host: a\r\nX: a\tb", 1), ("folded value", "Host: a\r\nX: a\r\n b", 0),
        ("folded with a tab", "Host: a\r\nX: a\r\n\tb", 0), ("65 fields", "Host: a" + "".join(f"\r\nX{n}: y" for n in range(65)), 0), ("1,000 fields", "Host: a" + "".join(f"\r\nX{n}: y" for n in range(1000)), 0),
        ("a field of 20 KB", "Host: a\r\nX: " + "y" * 20_000, 0), ("a name of 20 KB", "Host: a\r\n" + "x" * 20_000 + ": y", 0),
        ("upgrade to h2c", "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", 1),
        ("upgrade to WebSocket", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x", 0), ("Connection names Host", "Host: a\r\nConnection: host, x-api-key", 1),
        ("Expect something else", "Host: a\r\nExpect: 200-maybe", 0), ("Expect twice", "Host: a\r\nExpect: 100-continue\r\nExpect: x", 0),
    ):  # fmt: skip
        yield _case(
            f"field: {name}",
            f"GET /v1/models HTTP/1.1\r\n{fields}\r\n\r\n",
            good,
            "RFC 9110 §5: names are tokens, values have no control characters",
        )
    yield _case("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 1, "RFC 9112 §3.2 asks for it in 1.1 only")
    yield _case("two requests in one write", G + "\r\n" + G + "\r\n", 2, "RFC 9112 §9.3.2: pipelining")
    yield _case(
        "0.CL: a GET without length, then bytes",
        G + "\r\nhello",
        1,
        "the rest is the start of the next head, and never becomes one",
    )


CASES = [*_length_cases(), *_encoding_cases(), *_chunk_cases(), *_line_cases(), *_field_cases()]
