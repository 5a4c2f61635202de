"""A link of an edge or of control, as the vault sees it: who may speak, and when its frames are written. Level 3.

What nobody expected about one link ends that one (decision 020).
"""

import asyncio
import hmac
import socket
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from switchgear.core.errors import UNREADABLE, FrameError
from switchgear.core.guard import Guard, each, guarded
from switchgear.net import unix
from switchgear.spool.writer import SpoolWriter
from switchgear.vault.attempt import AttemptService, UpstreamAttempt
from switchgear.wire import frames
from switchgear.wire.frames import END, FrameType

STREAMS_PER_LINK_MAX = 20_000
LINK_BUFFER_BYTES = 8 * 1024 * 1024
OPEN_BYTES_EASY = 2_048
"""What an attempt may be opened with uncounted: 40 MB for all streams of a link."""
_OPEN, _BODY, _WINDOW = int(FrameType.OPEN), int(FrameType.BODY), int(FrameType.WINDOW)
OF_EDGES = frozenset({_OPEN, _BODY, _WINDOW, int(FrameType.CANCEL)})
GATHER_S = 0.004
"""For how long a piece of a stream waits for others, when its link was written to a moment ago. Under load one write then carries
events of several streams; an event that comes alone never waits."""

_decode_open = msgspec.msgpack.Decoder(frames.Open).decode
_decode_hello = msgspec.msgpack.Decoder(frames.Hello).decode
_decode_question = msgspec.msgpack.Decoder(frames.Question).decode


class LinkService(AttemptService, Protocol):
    """What a link needs of the process."""

    guard: Guard
    report: Callable[[str], None]
    run_id: str
    link_key: bytes
    peer_uids: dict[str, frozenset[int]]
    journal: SpoolWriter
    links: set["VaultSideLink"]
    fenced: dict[str, None]
    loop_s: Callable[[], float]

    def flush_later(self, link: "VaultSideLink") -> None:
        """Write a link's frames at the end of this turn."""
        ...

    def flush_gathered_later(self, link: "VaultSideLink") -> None:
        """Write a link's gathered frames within GATHER_S."""
        ...

    def journal_link_end(self, run_id: str) -> None:
        """Journal that a link ended."""
        ...

    def answer(self, link: "VaultSideLink", stream_id: int, question: frames.Question) -> None:
        """Do what control asks, and answer on the link, now or later."""
        ...


class VaultSideLink(asyncio.Protocol):
    """One link, as the vault sees it."""

    def __init__(self, service: LinkService) -> None:
        self.service = service
        self.attempts: dict[int, UpstreamAttempt] = {}
        self._transport: asyncio.Transport | None = None
        self._decoder = frames.Decoder()
        self._out: list[bytes] = []
        self._is_gathering = False
        self._flushed_s = 0.0
        self.name = str(id(self))
        self._peer: frames.Hello | None = None
        self._uid = -1
        self.is_blocked = False

    @property
    def run_id(self) -> str:
        """Which run of which edge this is."""
        return self._peer.run_id if self._peer is not None else ""

    @property
    def spool_id(self) -> str:
        """Which spool that run writes."""
        return self._peer.spool_id if self._peer is not None else ""

    def fault(self, exc: Exception) -> None:
        """End this link, and no other."""
        # The link itself is lost: its attempts are cancelled in `connection_lost`, and its peer connects anew.
        self.service.guard.caught(exc)
        if self._transport is not None:
            self._transport.abort()

    def _lost_fault(self, exc: Exception) -> None:
        self.service.guard.caught(exc)
        self._end()

    @guarded(fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: somebody connected; it must say hello first."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=LINK_BUFFER_BYTES)
        sock = transport.get_extra_info("socket")
        self._uid = unix.peer_uid(cast(socket.socket, sock))
        if not any(self._uid in uids for uids in self.service.peer_uids.values()):
            self._transport.abort()

    @guarded(_lost_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the peer is gone: cancel its attempts, and journal that nothing more of it will be sent."""
        self._end()

    def _end(self) -> None:
        peer, self._peer = self._peer, None
        self._transport = None
        self.service.links.discard(self)
        self._out.clear()
        each(list(self.attempts.values()), UpstreamAttempt.cancel, UpstreamAttempt.on_fault)
        self._out.clear()
        if peer is not None and peer.role == "edge":
            self.service.journal_link_end(peer.run_id)

    @guarded(fault)
    def pause_writing(self) -> None:
        """Asyncio: the edge does not read: let its providers wait, so that this process never grows."""
        self.is_blocked = True
        each(self.attempts.values(), UpstreamAttempt.hold_back, UpstreamAttempt.on_fault)

    @guarded(fault)
    def resume_writing(self) -> None:
        """Asyncio: the edge reads again."""
        self.is_blocked = False
        each(self.attempts.values(), UpstreamAttempt.resume, UpstreamAttempt.on_fault)

    @guarded(fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: frames came."""
        try:
            for kind, stream_id, flags, payload in self._decoder.feed(data):
                self._receive(kind, stream_id, flags, payload)
        except (*UNREADABLE, FrameError) as exc:
            self.service.report(f"link closed: {exc}")
            if self._transport is not None:
                self._transport.abort()

    def _receive(self, kind: int, stream_id: int, flags: int, payload: bytes) -> None:
        peer = self._peer
        if peer is None:
            if kind != FrameType.HELLO or stream_id != 0:
                raise FrameError("the first frame must be a hello")
            self._greet(_decode_hello(payload))
            return
        if peer.role == "control":
            if kind != FrameType.VERB:
                raise FrameError("control may only send verbs")
            self.service.answer(self, stream_id, _decode_question(payload))
            return
        if kind not in OF_EDGES:
            raise FrameError(f"unexpected frame type {kind}")
        attempt = self.attempts.get(stream_id)
        if kind == _OPEN:
            if attempt is not None or stream_id == 0 or len(self.attempts) >= STREAMS_PER_LINK_MAX:
                raise FrameError("a stream is opened twice, or too many are open")
            head, body = frames.split_head(payload)
            attempt = UpstreamAttempt(self, stream_id, _decode_open(head))
            self.attempts[stream_id] = attempt
            if len(head) > OPEN_BYTES_EASY:
                attempt.open(len(head))
            if flags & END or body:
                attempt.takes(len(body))
                attempt.add_body(body, bool(flags & END))
        elif attempt is None:
            return  # a frame that crossed the stream's end
        elif kind == _BODY and not attempt.takes(len(payload)):
            raise FrameError("more of a body than was granted")
        elif kind == _WINDOW and len(payload) != 4:
            raise FrameError("a window of another size")
        else:
            attempt.receive(kind, payload, bool(flags & END))

    def _greet(self, hello: frames.Hello) -> None:
        expected = frames.link_token(self.service.link_key, hello.role, hello.run_id)
        is_expected = self._uid in self.service.peer_uids.get(hello.role, ())
        if not is_expected or not hmac.compare_digest(expected.encode(), hello.token.encode()):
            raise FrameError("the peer is not who it says")
        if hello.version != frames.PROTOCOL_VERSION:
            raise FrameError(
                f"{hello.role} {hello.run_id} speaks protocol {hello.version}, not {frames.PROTOCOL_VERSION}"
            )
        if hello.run_id in self.service.fenced:
            raise FrameError("that run was declared dead")
        self._peer = hello
        self.service.links.add(self)
        mine = frames.Hello(frames.PROTOCOL_VERSION, "vault", "", self.service.journal.spool_id, self.service.run_id)
        self.queue(frames.encode(FrameType.HELLO, 0, frames.encode_payload(mine)))

    def close(self) -> None:
        """End the link."""
        if self._transport is not None:
            self._transport.abort()

    def queue(self, frame: bytes) -> None:
        """Queue a frame for this turn's write."""
        if not self._out or self._is_gathering:
            self._is_gathering = False
            self.service.flush_later(self)
        self._out.append(frame)

    def queue_soon(self, frame: bytes) -> None:
        """Write a piece of a stream, which no record precedes: at once, or within GATHER_S when the last write was just now;
        behind what is queued already."""
        if not self._out:
            now_s = self.service.loop_s()
            if now_s - self._flushed_s > GATHER_S:
                self._flushed_s = now_s
                if self._transport is not None:
                    self._transport.write(frame)
                return
            self._is_gathering = True
            self.service.flush_gathered_later(self)
        self._out.append(frame)

    def flush_gathered(self) -> None:
        """Write what was gathered, unless a frame that could not wait took it along."""
        if self._is_gathering:
            self.flush()

    def flush(self) -> None:
        """Write what is queued."""
        if self._out and self._transport is not None:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._flushed_s = self.service.loop_s()
        self._out.clear()
        self._is_gathering = False
