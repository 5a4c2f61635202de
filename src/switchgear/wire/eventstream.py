"""The AWS event stream: binary messages with headers and two checksums. Level 1, sans-I/O.

A message is `total length u32 | headers length u32 | CRC-32 of these u32 | headers | payload | CRC-32 of all before u32`,
big-endian; a header is `name length u8 | name | type u8 | value` (Smithy, "Amazon Event Stream", as of 2026-11).
"""

import struct
import zlib

import msgspec

from switchgear.core.errors import ProtocolError

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
HEADERS_BYTES_MAX = 128 * 1024
_PRELUDE = struct.Struct(">III")
_STRING = 7
# Sizes of header values by type: booleans, byte, short, integer, long, (7 and 6: length first), timestamp, UUID.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class Message(msgspec.Struct, frozen=True):
    """One message. Headers that are no strings are left out: none that is read here is another type."""

    headers: dict[str, str]
    payload: bytes
    raw: bytes
    """The message as it stood, so that it can be passed on unchanged."""


class Decoder:
    """Cuts bytes into messages."""

    __slots__ = ("_need", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._need = _PRELUDE.size
        """Bytes without which there is nothing to decide: pieces are joined when they are there."""

    @property
    def tail(self) -> bytes:
        """Bytes of a message that is not complete."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete. Raises ProtocolError for damage or size."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._need:
            return []
        buffer = data if len(self._pieces) == 1 else b"".join(self._pieces)
        messages: list[Message] = []
        at = 0
        self._need = _PRELUDE.size
        while len(buffer) - at >= _PRELUDE.size:
            total, size, checksum = _PRELUDE.unpack_from(buffer, at)
            if zlib.crc32(buffer[at : at + 8]) != checksum:
                raise ProtocolError("an event stream's message has a wrong checksum")
            if not 16 + size <= total <= MESSAGE_BYTES_MAX or size > HEADERS_BYTES_MAX:
                raise ProtocolError(f"an event stream's message claims {total} bytes")
            if len(buffer) - at < total:
                self._need = total
                break
            raw = buffer[at : at + total]
            if zlib.crc32(memoryview(raw)[:-4]) != int.from_bytes(raw[-4:], "big"):
                raise ProtocolError("an event stream's message has a wrong checksum")
            messages.append(Message(_headers(raw[12 : 12 + size]), raw[12 + size : -4], raw))
            at += total
        self._pieces = [buffer[at:]] if at < len(buffer) else []
        self._size = len(buffer) - at
        return messages


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            size = data[at]
            name = data[at + 1 : at + 1 + size].decode()
            at += 1 + size
            kind = data[at]
            at += 1
            if kind in {6, _STRING}:
                length = int.from_bytes(data[at : at + 2], "big")
                at += 2
                value = data[at : at + length]
                at += length
                if kind == _STRING:
                    found[name] = value.decode()
            else:
                at += _SIZES[kind]
            if at > len(data):
                raise ProtocolError("an event stream's headers are cut short")
    except (IndexError, KeyError, UnicodeDecodeError) as exc:
        raise ProtocolError("an event stream's headers are malformed") from exc
    return found


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    """Build a message with string headers."""
    block = b"".join([_header(name.encode(), value.encode()) for name, value in headers.items()])
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + block + payload
    return head + zlib.crc32(head).to_bytes(4, "big")


def _header(name: bytes, value: bytes) -> bytes:
    return b"%c%b%c%b%b" % (len(name), name, _STRING, len(value).to_bytes(2, "big"), value)


def event(kind: str, payload: bytes) -> bytes:
    """Build an event message, as Bedrock's ConverseStream sends them."""
    return encode({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """Build an exception message: it ends a stream."""
    return encode({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)
