"""A vault's service with one link of its own, and fakes for what lies around them."""

import asyncio
import os
import socket

import msgspec

from switchgear.core.secret import Secret
from switchgear.providers import endpoint
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.vault import seal
from switchgear.vault.box import Item, OpenCredential
from switchgear.vault.link import VaultSideLink
from switchgear.vault.seal import SealContext
from switchgear.vault.service import VaultService
from switchgear.wire import frames
from switchgear.wire.frames import FrameType


class Transport:
    """What a link writes to; each write is kept."""

    def __init__(self):
        self.writes = []
        self.aborted = False
        self._ends = socket.socketpair()

    def write(self, data):
        self.writes.append(data)

    def abort(self):
        self.aborted = True

    def set_write_buffer_limits(self, high):
        pass

    def get_extra_info(self, name):
        return self._ends[0]

    def close(self):
        for end in self._ends:
            end.close()


class Journal:
    """Notes when it is committed."""

    spool_id = "journal"
    needs_sync = False
    is_prepared = True

    def __init__(self, writes):
        self.writes = writes
        self.records = []

    def append(self, kind, payload):
        self.records.append(kind)

    def commit(self):
        if self.records:
            self.writes.append("journal")
            self.records.clear()


class FakePool:
    """Gives no connection, and keeps who asked for one."""

    def __init__(self, guard):
        self.now_s = 0.0
        self.guard = guard
        self.asked = []

    def take(self, key):
        return None

    def connect(self, key, endpoint, connect_s, done, failed, metadata=False):
        self.asked.append((done, failed))

    def release(self, connection, keep):
        pass


class FakeBox:
    """Knows one credential, `p/c`."""

    def __init__(self):
        place = endpoint.parse("http://127.0.0.1:1/v1", auth="bearer", allow_private=True)
        context = SealContext(provider="p", credential="c", version=1, endpoint=place)
        item = Item(context=context, blob=b"", state="active", last4="", fingerprint="", created_ms=0, changed_ms=0)
        self.opened = OpenCredential(item, Secret(b"sk-secret-1"), b"", "", seal.Redactor(Secret(b"sk-secret-1")), None)

    def find(self, credential_id):
        return self.opened if credential_id == "p/c" else None

    def list(self):
        return []


def run(scenario, uids=None, box=None):
    async def body():
        transport = Transport()
        journal = Journal(transport.writes)
        reports = []
        guard = LoudGuard()
        pool = FakePool(guard)
        uid = os.geteuid()
        made = VaultService(
            box,
            journal,
            pool,
            FakeClock(),
            "run",
            b"key",
            {"edge": frozenset(uids or {uid}), "control": frozenset(uids or {uid})},
            reports.append,
            guard,
        )
        link = VaultSideLink(made)
        link.connection_made(transport)
        try:
            await scenario(made, link, transport, reports)
        finally:
            transport.close()

    asyncio.run(body())


def hello(token=None, role="edge", run_id="r1", version=frames.PROTOCOL_VERSION):
    token = token or frames.link_token(b"key", role, run_id)
    body = frames.encode_payload(frames.Hello(version, role, token, "", run_id))
    return frames.encode(FrameType.HELLO, 0, body)


def opening(stream, length, body=b"", ended=False, **seconds):
    times = {"first_byte_s": 1.0, "idle_s": 1.0, "total_s": 1.0, "connect_s": 1.0, **seconds}
    route = frames.UpstreamRoute("p/c", "POST", "/chat/completions", [], **times)
    message = frames.Open("r1-1", length, msgspec.Raw(frames.encode_payload(route)))
    return frames.encode_with_head(FrameType.OPEN, stream, frames.encode_payload(message), body, int(ended))


def piece(stream, size, ended=False):
    return frames.encode(FrameType.BODY, stream, b"x" * size, int(ended))


async def frames_of(transport):
    """Return (type, stream, payload) of what was written since the last time."""
    await asyncio.sleep(0.01)
    data = b"".join(write for write in transport.writes if isinstance(write, bytes))
    transport.writes.clear()
    return [(FrameType(kind), stream, payload) for kind, stream, _, payload in frames.Decoder().feed(data)]


def fails(found):
    return [msgspec.msgpack.decode(payload, type=frames.Fail) for kind, _, payload in found if kind == FrameType.FAIL]
