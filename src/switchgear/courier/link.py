"""Control's link, as the courier sees it. Level 4.

Who connects must be control by its user id and by a token that the supervisor gave to it alone (docs/invariants.md P3). The
token's key is another than that of the vault's links. What nobody expected about one link ends that one (decision 020).
"""

import asyncio
import hmac
import socket
from typing import Protocol, cast

import msgspec

from switchgear.core.errors import UNREADABLE, FrameError
from switchgear.core.guard import Guard, guarded
from switchgear.core.log_line import Report
from switchgear.courier.perform import RUNS, VerbService
from switchgear.net import unix
from switchgear.net.performer import Performer
from switchgear.wire import frames
from switchgear.wire.frames import FrameType

BUFFER_BYTES = 1024 * 1024
"""Answers that control does not read; above it the link is closed."""
ROLE = "control"

_decode_hello = msgspec.msgpack.Decoder(frames.Hello).decode
_decode_question = msgspec.msgpack.Decoder(frames.Question).decode


class LinkService(VerbService, Protocol):
    """What a link needs of the process."""

    guard: Guard
    report: Report
    run_id: str
    link_key: bytes
    peer_uids: frozenset[int]
    links: set["CourierLink"]

    def forget(self, link: "CourierLink") -> None:
        """A link ended: so does what is relayed for its process."""
        ...


class CourierLink(asyncio.Protocol):
    """One link."""

    def __init__(self, service: LinkService) -> None:
        self._service = service
        self._transport: asyncio.Transport | None = None
        self._decoder = frames.Decoder()
        self._is_greeted = False
        self.pid = 0
        self.uid = -1

    def _fault(self, exc: Exception) -> None:
        self._service.guard.caught(exc)
        if self._transport is not None:
            self._transport.abort()

    def _lost_fault(self, exc: Exception) -> None:
        self._service.guard.caught(exc)
        self._service.links.discard(self)

    @guarded(_fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: somebody connected; it must say hello first."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self.pid, self.uid = unix.peer(cast(socket.socket, transport.get_extra_info("socket")))
        if self.uid not in self._service.peer_uids:
            self._transport.abort()

    @guarded(_lost_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the peer is gone."""
        self._transport = None
        self._service.forget(self)

    @guarded(_fault)
    def pause_writing(self) -> None:
        """Asyncio: control does not read."""
        if self._transport is not None:
            self._transport.abort()

    @guarded(_fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: frames came."""
        try:
            for kind, stream_id, _, payload in self._decoder.feed(data):
                if not self._is_greeted:
                    self._greet(kind, stream_id, payload)
                elif kind == FrameType.VERB:
                    question = _decode_question(payload)
                    Performer[VerbService](
                        self._service, RUNS, self._service.guard, question, stream_id, self._write
                    ).perform()
                else:
                    raise FrameError(f"unexpected frame type {kind}")
        except (*UNREADABLE, FrameError) as exc:
            self._service.report(f"link closed: {exc}")
            if self._transport is not None:
                self._transport.abort()

    def _greet(self, kind: int, stream_id: int, payload: bytes) -> None:
        if kind != FrameType.HELLO or stream_id != 0:
            raise FrameError("the first frame must be a hello")
        hello = _decode_hello(payload)
        expected = frames.link_token(self._service.link_key, ROLE, hello.run_id)
        if hello.role != ROLE or not hmac.compare_digest(expected.encode(), hello.token.encode()):
            raise FrameError("the peer is not who it says")
        if hello.version != frames.PROTOCOL_VERSION:
            raise FrameError(
                f"{hello.role} {hello.run_id} speaks protocol {hello.version}, not {frames.PROTOCOL_VERSION}"
            )
        self._is_greeted = True
        self._service.links.add(self)
        own = frames.Hello(frames.PROTOCOL_VERSION, "courier", "", "", self._service.run_id)
        self._write(frames.encode(FrameType.HELLO, 0, frames.encode_payload(own)))

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)
