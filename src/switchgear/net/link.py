"""The end of a link that connects: edge or control, to the vault or the courier; many streams on one Unix socket. Level 2.

Frames are queued and go out when the owner flushes: the spool comes first (docs/invariants.md L2). When the link ends, every
stream fails; none is sent again on its own. What nobody expected about one stream ends that stream (decision 020).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import msgspec

from switchgear.core.errors import UNREADABLE, FrameError, RefusedError
from switchgear.core.guard import Guard, guarded
from switchgear.net import unix
from switchgear.wire import frames
from switchgear.wire.frames import END, FrameType
from switchgear.wire.verbs import A, B, Verb

WINDOW_BYTES = 262_144
"""What the vault may send on a stream before the edge grants more; also what an edge may send of a body."""
BODY_FRAME_BYTES = 61_440
INLINE_BODY_BYTES = 49_152
SLAB_BYTES = 1_048_576
QUEUE_BYTES_MAX = 64 * 1024 * 1024
"""What may wait for the vault to read before new requests are refused: 250 large bodies with a window each. The default of
64 KiB would refuse everybody while one picture is on its way."""
HELLO_S = 5.0
"""Seconds for the vault to say hello; then the connection is made anew."""
RECONNECT_S = (0.02, 0.05, 0.1, 0.2, 0.5)


_HEAD, _DATA, _FAIL, _WINDOW = map(int, (FrameType.HEAD, FrameType.DATA, FrameType.FAIL, FrameType.WINDOW))
_OF_STREAMS = frozenset({_HEAD, _DATA, _FAIL, _WINDOW})


class StreamOwner(Protocol):
    """Who gets a stream's frames."""

    def on_response(self, head: frames.Head, body: bytes, ended: bool) -> None:
        """The upstream's head, with the first piece of the body."""
        ...

    def on_body(self, data: bytes, ended: bool) -> None:
        """A further piece of the body."""
        ...

    def on_fail(self, fail: frames.Fail) -> None:
        """The stream ended without a complete response."""
        ...

    def on_fault(self, exc: Exception) -> None:
        """Something unexpected was raised about this stream, which is over: tell it, settle it, end it."""
        ...


class LinkStream:
    """One attempt in progress."""

    __slots__ = ("_at", "_credit", "_link", "_slabs", "consumed", "id", "owner")

    def __init__(self, link: "LinkClient", stream_id: int, owner: StreamOwner) -> None:
        self._link = link
        self.id = stream_id
        self.owner = owner
        self._slabs: deque[bytes | memoryview] = deque()
        self._at = 0
        self._credit = WINDOW_BYTES
        self.consumed = 0

    # doors to the owner

    def _give_up(self, exc: Exception) -> None:
        self._link.guard.caught(exc)

    @guarded(_give_up)
    def fault(self, exc: Exception) -> None:
        """End this stream, and nothing else, for what was raised about it."""
        self._link.forget(self, True)
        self.owner.on_fault(exc)

    @guarded(fault)
    def receive(self, kind: int, payload: bytes, ended: bool) -> None:
        """A frame of this stream came."""
        if kind == _DATA:
            self.owner.on_body(payload, ended)
        elif kind == _HEAD:
            head, body = frames.split_head(payload)
            self.owner.on_response(_decode_head(head), body, ended)
        elif kind == _WINDOW:
            self.grant(int.from_bytes(payload, "little"))
        else:
            self.owner.on_fail(_decode_fail(payload))

    @guarded(fault)
    def receive_more(self, payload: bytes) -> None:
        """A piece in the middle of the body came."""
        self.owner.on_body(payload, False)

    @guarded(fault)
    def lose(self) -> None:
        """The link ended."""
        self.owner.on_fail(frames.Fail("vault_lost", "the vault went away", True))

    def cancel(self) -> None:
        """Tell the vault that nobody waits any more; the owner hears nothing after this."""
        self._link.forget(self, True)

    def consume(self, size: int) -> None:
        """Report bytes that reached the client; grants the vault more in steps of half a window."""
        self.consumed += size
        if self.consumed >= WINDOW_BYTES // 2:
            self._link.queue(frames.encode_window(self.id, self.consumed))
            self.consumed = 0

    def grant(self, credit: int) -> None:
        """The vault takes more of the body."""
        self._credit += credit
        self._pump()

    def send_body(self, body: bytes | list[memoryview]) -> None:
        """Send a large body as the vault takes it. Bytes are cut into slabs, and each is let go when it is sent; parts of
        something that is kept anyway are not copied."""
        if isinstance(body, list):
            self._slabs.extend(part for part in body if part)
        else:
            self._slabs.extend(body[at : at + SLAB_BYTES] for at in range(0, len(body), SLAB_BYTES))
        self._pump()

    def _pump(self) -> None:
        slabs = self._slabs
        while slabs and self._credit > 0:
            slab, at = slabs[0], self._at
            size = min(BODY_FRAME_BYTES, self._credit, len(slab) - at)
            self._at = at + size
            self._credit -= size
            if self._at == len(slab):
                slabs.popleft()
                self._at = 0
            self._link.queue(frames.encode(FrameType.BODY, self.id, bytes(slab[at : at + size]), 0 if slabs else END))


_decode_head = msgspec.msgpack.Decoder(frames.Head).decode
_decode_fail = msgspec.msgpack.Decoder(frames.Fail).decode
_decode_answer = msgspec.msgpack.Decoder(frames.Answer).decode
_decode_hello = msgspec.msgpack.Decoder(frames.Hello).decode


class LinkClient(asyncio.Protocol):
    """Keeps one connection to the vault. `on_queued` is called when frames wait for `flush`."""

    def __init__(
        self,
        folder: Path,
        hello: Callable[[], frames.Hello],
        on_queued: Callable[[], None],
        guard: Guard,
        peer: str = "vault",
    ) -> None:
        """`peer` is who binds the socket, and what that is called: control has a link to the courier, too, for verbs."""
        self._folder = folder
        self._peer = peer
        self.guard = guard
        self._hello = hello
        self._on_queued = on_queued
        self._transport: asyncio.Transport | None = None
        self._decoder = frames.Decoder()
        self._streams: dict[int, LinkStream] = {}
        self._answers: dict[int, asyncio.Future[frames.Answer]] = {}
        self._out: list[bytes] = []
        self._next = 1
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._greeted = asyncio.Event()
        """Set at the vault's hello, or at the end of the connection."""
        self._blocked = False
        self.is_up = False
        """True between the vault's hello and the end of the connection."""

    def start(self) -> None:
        """Connect, and again whenever the link ends."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    def _fault(self, exc: Exception) -> None:
        # The link itself is lost: its streams fail in `connection_lost`, and it is made again.
        self.guard.caught(exc)
        if self._transport is not None:
            self._transport.abort()

    def _keeping_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        self.start()

    @guarded(_keeping_fault)
    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            was_up = await self._connect()
            failures = 0 if was_up else failures + 1
            await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])

    @guarded(_fault)
    async def _connect(self) -> bool:
        """Hold one connection until it ends; False when there was none."""
        try:
            sock = unix.connect(self._folder, f"{self._peer}.sock", 1.0)
            sock.setblocking(False)
            self._lost.clear()
            self._greeted.clear()
            transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)
        except OSError:
            return False
        try:
            async with asyncio.timeout(HELLO_S):
                await self._greeted.wait()
        except TimeoutError:
            transport.abort()
        await self._lost.wait()
        return True

    def close(self) -> None:
        """End the link for good."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()

    # asyncio

    @guarded(_fault)
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: connected; say hello."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=QUEUE_BYTES_MAX)
        self._decoder = frames.Decoder()
        self._blocked = False
        self._transport.write(frames.encode(FrameType.HELLO, 0, frames.encode_payload(self._hello())))

    def _lost_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        self._end()

    @guarded(_lost_fault)
    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the vault is gone; everything in progress fails and may have been dispatched."""
        self._end()

    def _end(self) -> None:
        self._lost.set()
        self._greeted.set()
        self._transport = None
        self.is_up = False
        self._out.clear()
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.lose()
        answers, self._answers = list(self._answers.values()), {}
        for answer in answers:
            if not answer.done():
                answer.set_exception(ConnectionError(f"the {self._peer} went away"))

    @guarded(_fault)
    def pause_writing(self) -> None:
        """Asyncio: the vault does not read."""
        self._blocked = True

    @guarded(_fault)
    def resume_writing(self) -> None:
        """Asyncio: the vault reads again."""
        self._blocked = False

    @guarded(_fault)
    def data_received(self, data: bytes) -> None:
        """Asyncio: frames came."""
        streams = self._streams
        try:
            for kind, stream_id, flags, payload in self._decoder.feed(data):
                stream = streams.get(stream_id)
                if kind == _DATA and not flags:
                    if stream is not None:
                        stream.receive_more(payload)
                elif kind not in _OF_STREAMS:
                    self._receive(kind, stream_id, payload)
                elif stream is not None:
                    ended = bool(flags & END)
                    if ended or kind == _FAIL:
                        del self._streams[stream_id]
                    stream.receive(kind, payload, ended)
        except (*UNREADABLE, FrameError):
            if self._transport is not None:
                self._transport.abort()

    def _receive(self, kind: int, stream_id: int, payload: bytes) -> None:
        """A frame of no attempt came."""
        if kind == FrameType.ANSWER:
            future = self._answers.pop(stream_id, None)
            if future is not None and not future.done():
                future.set_result(_decode_answer(payload))
        elif kind == FrameType.HELLO and stream_id == 0:
            if _decode_hello(payload).version != frames.PROTOCOL_VERSION:
                raise FrameError(f"the {self._peer} speaks another protocol version")
            self.is_up = True
            self._greeted.set()
        else:
            raise FrameError(f"unexpected frame type {kind}")

    # sending

    @property
    def can_open(self) -> bool:
        """True when a new stream would be sent soon."""
        return self.is_up and not self._blocked

    def open(self, message: frames.Open, body: bytes | list[memoryview], owner: StreamOwner) -> LinkStream:
        """Begin an attempt; frames are queued until `flush`."""
        stream_id = self._next
        self._next = self._next % 0x7FFFFFFF + 1
        stream = self._streams[stream_id] = LinkStream(self, stream_id, owner)
        head = frames.encode_payload(message)
        if isinstance(body, bytes) and len(body) <= INLINE_BODY_BYTES:
            self.queue(frames.encode_with_head(FrameType.OPEN, stream_id, head, body, END))
        else:
            self.queue(frames.encode_with_head(FrameType.OPEN, stream_id, head, b"", 0))
            stream.send_body(body)
        return stream

    async def ask(self, verb: Verb[B, A], body: B, timeout_s: float = 30.0) -> A:
        """Send a verb (control only) and await the answer. Raises RefusedError, ConnectionError or TimeoutError."""
        try:
            answer = await self._ask(verb.name, body, timeout_s)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()  # whatever is wrong with this connection, the next one begins anew
            raise
        if not answer.ok:
            raise RefusedError(answer.message)
        return msgspec.msgpack.decode(answer.body, type=verb.answer)

    async def _ask(self, verb: str, body: object, timeout_s: float) -> frames.Answer:
        payload = frames.encode_payload(frames.Question(verb, msgspec.Raw(frames.encode_payload(body))))
        if len(payload) > frames.PAYLOAD_BYTES_MAX:  # the other end would take it for no frame, and end the link
            raise RefusedError(f"the question has {len(payload)} bytes, over {frames.PAYLOAD_BYTES_MAX}")
        async with asyncio.timeout(timeout_s):
            while not self.is_up:
                await asyncio.sleep(0.02)
            stream_id = self._next
            self._next = self._next % 0x7FFFFFFF + 1
            future: asyncio.Future[frames.Answer] = asyncio.get_running_loop().create_future()
            self._answers[stream_id] = future
            self.queue(frames.encode(FrameType.VERB, stream_id, payload))
            self.flush()
            return await future

    def forget(self, stream: LinkStream, cancel: bool) -> None:
        """Drop a stream; with `cancel` the vault is told."""
        if self._streams.pop(stream.id, None) is not None and cancel:
            self.queue(frames.encode(FrameType.CANCEL, stream.id, b""))

    def queue(self, frame: bytes) -> None:
        """Queue a frame for the next flush."""
        self._out.append(frame)
        self._on_queued()

    @guarded(_fault)
    def flush(self) -> None:
        """Write the queued frames in one go."""
        if self._out and self._transport is not None:
            out = self._out
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
