"""A link as the vault sees it: who may speak, and when its frames are written."""

import asyncio
import os
import socket
from types import SimpleNamespace

from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.vault import service
from switchgear.vault.service import VaultService, VaultSideLink
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


def run(scenario, uids=None):
    async def body():
        transport = Transport()
        journal = Journal(transport.writes)
        reports = []
        pool = SimpleNamespace(now_s=0.0)
        uid = os.geteuid()
        made = VaultService(
            None,
            journal,
            pool,
            FakeClock(),
            "run",
            b"key",
            {"edge": frozenset(uids or {uid})},
            reports.append,
            LoudGuard(),
        )
        link = VaultSideLink(made)
        link.connection_made(transport)
        try:
            await scenario(made, link, transport, reports)
        finally:
            transport.close()

    asyncio.run(body())


def hello(token=None, role="edge", run_id="r1"):
    token = token or frames.link_token(b"key", role, run_id)
    body = frames.encode_payload(frames.Hello(frames.PROTOCOL_VERSION, role, token, "", run_id))
    return frames.encode(FrameType.HELLO, 0, body)


def test_P2_a_peer_of_another_user_is_cut_off():
    async def scenario(made, link, transport, reports):
        assert transport.aborted

    run(scenario, {4_000_000_000})


def test_P3_a_wrong_token_a_dead_run_and_a_frame_before_the_hello_close_the_link():
    for first, fenced in ((hello("wrong"), ()), (hello(), {"r1"}), (frames.encode(FrameType.CANCEL, 1, b""), ())):

        async def scenario(made, link, transport, reports, first=first, fenced=fenced):
            made.fenced.update(fenced)
            link.data_received(first)
            assert transport.aborted and len(reports) == 1
            assert "wrong" not in reports[0]

        run(scenario)


def test_pieces_of_streams_are_gathered_after_a_write_and_the_first_goes_at_once(monkeypatch):
    monkeypatch.setattr(service, "GATHER_S", 0.05)

    async def scenario(made, link, transport, reports):
        link.data_received(hello())
        await asyncio.sleep(0.1)
        transport.writes.clear()
        link.queue_soon(b"a")
        await asyncio.sleep(0.01)
        assert transport.writes == [b"a"]
        link.queue_soon(b"b")
        await asyncio.sleep(0.01)
        link.queue_soon(b"c")
        await asyncio.sleep(0.01)
        assert transport.writes == [b"a"]
        await asyncio.sleep(0.06)
        assert transport.writes == [b"a", b"bc"]

    run(scenario)


def test_a_frame_that_cannot_wait_takes_gathered_pieces_along_in_order(monkeypatch):
    monkeypatch.setattr(service, "GATHER_S", 0.05)

    async def scenario(made, link, transport, reports):
        link.data_received(hello())
        await asyncio.sleep(0.01)
        transport.writes.clear()
        link.queue_soon(b"a")
        made.journal_done("attempt", 200, None, 1, 1)
        link.queue(b"end")
        link.queue_soon(b"b")
        await asyncio.sleep(0.01)
        assert transport.writes == ["journal", b"aendb"]
        link.queue_soon(b"c")
        link.connection_lost(None)
        await asyncio.sleep(0.06)
        assert transport.writes == ["journal", b"aendb", "journal"]  # the end of the link is journalled, "c" is gone

    run(scenario)
