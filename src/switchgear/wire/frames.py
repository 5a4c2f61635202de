"""Frames on the Unix socket between edges (or control) and the vault. Level 1, sans-I/O.

A frame is `length u32 | stream u32 | type u8 | flags u8 | 0 u16` and at most 64 KiB of payload, little-endian. Stream 0 is
the link itself. An unknown type, a set reserved bit or a payload over the bound closes the link (docs/invariants.md L1).
"""

import hmac
import struct
from enum import IntEnum, IntFlag

import msgspec

from switchgear.core.errors import FrameError

FOREIGN_RUN = "that run is of another spool"
"""What the vault answers when one spool asks for the end of another's run."""
PROTOCOL_VERSION = 1
PAYLOAD_BYTES_MAX = 65_536
HEADER = struct.Struct("<IIBBH")
_pack = HEADER.pack
_WORD = struct.Struct("<III")
"""The same twelve bytes, with type, flags and what is reserved as one number."""
_pack_word = _WORD.pack
_unpack = _WORD.unpack_from
_SIZE = HEADER.size


class FrameType(IntEnum):
    """What a frame carries; edge → vault unless noted."""

    HELLO = 1
    """Hello: both ways, first frame, stream 0."""
    OPEN = 2
    """Open: begins a stream; with END the body follows inline."""
    BODY = 3
    """Request body bytes; END on the last."""
    CANCEL = 4
    """The stream is no longer wanted."""
    WINDOW = 5
    """Both ways: u32 more bytes that the peer may send on the stream."""
    HEAD = 6
    """vault → edge: Head of the upstream's response; the first piece of the body follows inline."""
    DATA = 7
    """vault → edge: response body bytes; END on the last."""
    FAIL = 8
    """vault → edge: Fail; the stream ends without a complete response."""
    VERB = 9
    """control → vault: Question."""
    ANSWER = 10
    """vault → control: Answer."""


class Flags(IntFlag):
    """Frame flags."""

    END = 1
    """No more bytes follow in this direction."""


END = int(Flags.END)
_WORDS = {int(kind) | flags << 8: (int(kind), flags) for kind in FrameType for flags in (0, END)}
"""Type and flags of each frame that may come, by the last number of its header."""


def link_token(key: bytes, role: str, run_id: str) -> str:
    """Return what proves to the vault that a peer is of this role and run: an edge cannot say that it is control, or a run
    that another edge had."""
    return hmac.digest(key, f"{role}\n{run_id}".encode(), "sha256").hex()


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """Opens a link: who speaks, with which token, for which spool and run."""

    version: int
    role: str
    token: str
    spool_id: str
    run_id: str


class UpstreamRoute(msgspec.Struct, array_like=True, frozen=True):
    """Where an attempt goes and how long it may take. The same for many attempts: encoded once, judged once.

    Names a credential by its id, never a URL or a secret (C7).
    """

    credential_id: str
    """`provider/credential`."""
    method: str
    path: str
    """Below the credential's sealed path prefix, starting with "/"; no query."""
    headers: list[tuple[bytes, bytes]]
    first_byte_s: float
    idle_s: float
    total_s: float
    connect_s: float


class Open(msgspec.Struct, array_like=True, frozen=True):
    """Asks the vault for one attempt."""

    attempt_id: str
    body_length: int
    route: msgspec.Raw
    """UpstreamRoute, encoded."""


class Head(msgspec.Struct, array_like=True, frozen=True):
    """An upstream's response head, headers filtered by the vault's allow-list."""

    status: int
    headers: list[tuple[bytes, bytes]]
    connect_ms: int | None
    """None when a pooled connection was used."""


class Fail(msgspec.Struct, array_like=True, frozen=True):
    """Why an attempt has no complete response."""

    reason: str
    """refused | overloaded | connect | timeout | broken | cancelled."""
    message: str
    dispatched: bool
    """True when request bytes may have reached the provider."""


class Question(msgspec.Struct, array_like=True, frozen=True):
    """A verb that control asks for (wire/verbs); `body` is the msgpack of that verb's own type."""

    name: str
    body: msgspec.Raw


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """The answer to a question."""

    ok: bool
    message: str
    body: msgspec.Raw


encode_payload = msgspec.msgpack.Encoder().encode


def encode(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    """Build a frame. The payload must be at most 64 KiB."""
    return _pack_word(len(payload), stream, kind | flags << 8) + payload


def encode_with_head(kind: int, stream: int, head: bytes, body: bytes, flags: int = 0) -> bytes:
    """Build an OPEN or HEAD frame: a u16 length, the encoded head, then inline body bytes."""
    size = len(head)
    return b"%b%b%b%b" % (_pack(size + 2 + len(body), stream, kind, flags, 0), size.to_bytes(2, "little"), head, body)


def split_head(payload: bytes) -> tuple[bytes, bytes]:
    """Undo `encode_with_head`: (encoded head, inline body). Raises FrameError when it is cut short."""
    size = int.from_bytes(payload[:2], "little")
    if len(payload) < 2 + size:
        raise FrameError("an inline head is cut short")
    return payload[2 : 2 + size], payload[2 + size :]


def encode_window(stream: int, credit: int) -> bytes:
    """Build a WINDOW frame granting `credit` bytes."""
    return _pack(4, stream, FrameType.WINDOW, 0, 0) + credit.to_bytes(4, "little")


class Decoder:
    """Cuts received bytes into frames."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Return complete frames as (type, stream, flags, payload). Raises FrameError; close the link then."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        frames: list[tuple[int, int, int, bytes]] = []
        position, size = 0, len(data)
        last = size - _SIZE
        while position <= last:
            length, stream, word = _unpack(data, position)
            if length > PAYLOAD_BYTES_MAX or word not in _WORDS:
                raise FrameError(f"unknown frame: type {word & 255}, flags {word >> 8 & 255}, {length} bytes")
            start = position + _SIZE
            end = start + length
            if end > size:
                break
            kind, flags = _WORDS[word]
            frames.append((kind, stream, flags, data[start:end]))
            position = end
        if position < size:
            self._tail = data[position:]
        return frames
