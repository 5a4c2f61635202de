"""How HTTP/1.1 is spelled: fields, lengths, status lines, chunks (RFC 9112, read 2026-11-23). Level 1."""

import re

FIELD_NAME = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2 token, without "_" (WSGI-style confusion)
FIELD_VALUE_BAD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
DIGITS = re.compile(rb"[0-9]{1,15}")
"""A content-length."""
OVERHEAD_BYTES_MAX = 65_536  # chunk sizes, extensions and trailers of one message, everything that is not body

REASONS: dict[int, bytes] = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    422: b"Unprocessable Content",
    426: b"Upgrade Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    529: b"Overloaded",
}
STATUS_LINES: dict[int, bytes] = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b"Status")) for status in range(100, 600)
}
LAST_CHUNK = b"0\r\n\r\n"
_SIZE_LINES = tuple(b"%x\r\n" % size for size in range(1_024))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def encode_chunk(data: bytes) -> bytes:
    """Frame non-empty bytes as one chunk (RFC 9112 §7.1)."""
    size = len(data)
    return (_SIZE_LINES[size] if size < 1_024 else b"%x\r\n" % size) + data + b"\r\n"


def is_safe_header(name: bytes, value: bytes) -> bool:
    """Tell whether a field can be written without splitting the head."""
    return bool(FIELD_NAME.fullmatch(name)) and not FIELD_VALUE_BAD.search(value)


def join_repeated(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Join what came more than once with commas (RFC 9110 §5.3)."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in fields.items()}
