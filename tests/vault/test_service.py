"""A link as the vault sees it: who may speak, and when its frames are written."""

import asyncio
import os
import socket

import msgspec
import pytest
from tests import doors

from switchgear.core.errors import RefusedError
from switchgear.core.secret import Secret
from switchgear.net.link import WINDOW_BYTES
from switchgear.providers import endpoint
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.vault import seal, service
from switchgear.vault.box import Item, Opened
from switchgear.vault.seal import SealContext
from switchgear.vault.service import VaultService, VaultSideLink
from switchgear.wire import frames
from switchgear.wire.frames import FrameType
from switchgear.wire.http1 import ResponseHead


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
        self.opened = Opened(item, Secret(b"sk-secret-1"), b"", "", seal.Redactor(Secret(b"sk-secret-1")), None)

    def find(self, deployment):
        return self.opened if deployment == "p/c" else None

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
            made.fenced.update(dict.fromkeys(fenced))
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


# bodies


def opening(stream, length, body=b"", ended=False, **seconds):
    times = {"first_byte_s": 1.0, "idle_s": 1.0, "total_s": 1.0, "connect_s": 1.0, **seconds}
    route = frames.Route("p/c", "POST", "/chat/completions", [], **times)
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


def test_L1_a_body_sent_without_waiting_for_window_closes_the_link():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 10 * WINDOW_BYTES))
        made.feed_starving = lambda: None  # nothing is granted
        for _ in range(WINDOW_BYTES // 32_768):
            link.data_received(piece(1, 32_768))
            assert not transport.aborted
        link.data_received(piece(1, 1))
        assert transport.aborted and reports == ["link closed: more of a body than was granted"]
        link.connection_lost(None)
        assert made.held.total == 0

    run(scenario, box=FakeBox())


def test_window_is_granted_for_what_was_taken():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 10 * WINDOW_BYTES))
        await frames_of(transport)
        for _ in range(200):
            link.data_received(piece(1, 10_000))
            assert not transport.aborted
        granted = [payload for kind, _, payload in await frames_of(transport) if kind == FrameType.WINDOW]
        assert sum(int.from_bytes(payload, "little") for payload in granted) == 2_000_000
        link.connection_lost(None)

    run(scenario, box=FakeBox())


def test_above_its_share_a_links_bodies_are_refused_and_one_after_the_other_becomes_whole(monkeypatch):
    monkeypatch.setattr(service, "BODIES_BYTES_EASY", 100_000)
    monkeypatch.setattr(service, "BODIES_BYTES_MAX", 800_000)

    async def scenario(made, link, transport, reports):
        link.data_received(hello() + b"".join(opening(n, 150_000) for n in (1, 2, 3, 4)))
        await frames_of(transport)
        for number in (1, 2, 3, 4):
            link.data_received(piece(number, 60_000))
        found = await frames_of(transport)
        assert [stream for kind, stream, _ in found if kind == FrameType.WINDOW] == [1, 2], (
            "the third waits, the fourth too"
        )
        link.data_received(piece(1, 60_000))
        link.data_received(piece(1, 30_000, True))
        assert len(made.pool.asked) == 1, "the first is whole"
        link.data_received(piece(2, 60_000))
        assert made.held.total == 390_000
        await frames_of(transport)
        link.data_received(piece(3, 60_000))  # half of what may be held is this link's
        (fail,) = fails(await frames_of(transport))
        assert (fail.reason, fail.dispatched) == ("overloaded", False)
        link.data_received(piece(3, 1_000))  # crossed the end: nothing happens
        assert not transport.aborted and made.held.total == 330_000
        made.pool.asked[0][1](service.Failure("connect", "no", False))
        link.connection_lost(None)
        assert made.held.total == 0 and not made.starving

    run(scenario, box=FakeBox())


def test_a_body_that_does_not_become_whole_ends():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 100_000) + piece(1, 10))
        made._tick()
        await frames_of(transport)
        made.pool.now_s = service.BODY_S + 1
        made._tick()
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "refused" and made.held.total == 0
        made.stop()

    run(scenario, box=FakeBox())


@pytest.mark.parametrize("name", ["first_byte_s", "idle_s", "total_s", "connect_s"])
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 0.0, 1e9])
def test_a_deadline_that_is_none_is_refused(name, seconds):
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 2, b"{}", True, **{name: seconds}))
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "refused" and "deadline" in fail.message and not made.pool.asked

    run(scenario, box=FakeBox())


def opening_with(stream, headers):
    route = msgspec.Raw(frames.encode_payload(frames.Route("p/c", "POST", "/chat/completions", headers, 9, 9, 9, 9)))
    payload = frames.encode_payload(frames.Open(f"r1-{stream}", 10, route))
    return frames.encode_with_head(FrameType.OPEN, stream, payload, b"", 0)


def test_what_attempts_are_opened_with_counts_as_held(monkeypatch):
    monkeypatch.setattr(service, "BODIES_BYTES_MAX", 200_000)
    long = [(b"anthropic-beta", b"b" * 3_000)] * 20

    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening_with(1, long))
        assert made.held.total > 60_000 and not fails(await frames_of(transport))
        link.data_received(opening_with(2, long))
        (fail,) = fails(await frames_of(transport))
        assert (fail.reason, fail.dispatched) == ("overloaded", False) and list(link.attempts) == [1]
        link.connection_lost(None)
        assert made.held.total == 0

    run(scenario, box=FakeBox())


def test_only_short_routes_are_known_again():
    async def scenario(made, link, transport, reports):
        for size, known in ((10, 1), (3_000, 0)):
            made._routes.clear()
            route = frames.Route("p/c", "POST", "/chat/completions", [(b"anthropic-beta", b"b" * size)], 9, 9, 9, 9)
            made.prepare(msgspec.Raw(frames.encode_payload(route)))
            assert len(made._routes) == known
        link.connection_lost(None)

    run(scenario, box=FakeBox())


def test_bodies_of_errors_count_as_held_and_are_cut_where_too_much_is(monkeypatch):
    monkeypatch.setattr(service, "BODIES_BYTES_MAX", 130_000)

    class Connection:
        connect_ms = 1
        aborted = False

        def abort(self):
            self.aborted = True

    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 10) + opening(2, 10))
        await frames_of(transport)
        connection = Connection()
        for attempt in link.attempts.values():
            attempt._opened, attempt._connection = FakeBox().opened, connection
            attempt.on_data(ResponseHead(500, [], True), b"e" * 30_000, False)
        assert made.held.total == 60_000 and not connection.aborted
        link.attempts[1].on_data(None, b"e" * 30_000, False)
        assert connection.aborted and list(link.attempts) == [2] and made.held.total == 30_000
        kinds = [kind for kind, stream, _ in await frames_of(transport) if stream == 1]
        assert kinds == [FrameType.HEAD, FrameType.DATA], "what came is told"
        link.connection_lost(None)
        assert made.held.total == 0

    run(scenario, box=FakeBox())


# faults


def test_a_fault_of_one_attempt_ends_it_and_neither_its_link_nor_the_others():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 2, b"{}", True))
        assert len(made.pool.asked) == 1
        made.meter = None  # whatever comes next cannot be dispatched
        link.data_received(opening(2, 2, b"{}", True))
        (fail,) = fails(await frames_of(transport))
        assert (fail.reason, fail.dispatched) == ("internal", False) and "TypeError" not in fail.message
        assert list(link.attempts) == [1] and not transport.aborted
        assert made.guard.faults == 1 and made.guard.said[0][1]["request_id"] == "r1-1"
        del made.meter
        made.pool.asked[0][1](service.Failure("connect", "no", False))
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "connect" and made.held.total == 0

    run(scenario, box=FakeBox())


def test_a_fault_of_one_verb_is_an_answer_and_the_link_stays():
    def verb(stream, name):
        body = frames.encode_payload(frames.Verb(name, msgspec.Raw(frames.encode_payload(None))))
        return frames.encode(FrameType.VERB, stream, body)

    async def scenario(made, link, transport, reports):
        link.data_received(hello(role="control"))
        await frames_of(transport)
        made.box.list = None
        link.data_received(verb(1, "list") + verb(2, "status") + verb(3, "nonsense"))
        answers = [msgspec.msgpack.decode(payload, type=frames.Answer) for _, _, payload in await frames_of(transport)]
        assert [answer.ok for answer in answers] == [False, True, False] and not transport.aborted
        assert answers[0].message == service.INTERNAL
        status = msgspec.msgpack.decode(answers[1].body, type=service.Status)
        assert (status.faults, status.links, status.attempts) == (1, 1, 0) and len(status.places) == 1

    run(scenario, box=FakeBox())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_when_a_link_ends_still_cancels_its_attempts(when):
    async def scenario(made, link, transport, reports):
        def odd(*_):
            raise LookupError

        link.data_received(hello() + opening(1, 100_000) + piece(1, 10))
        rig = doors.Rig(("switchgear.vault.service", "VaultSideLink.connection_lost"), **{when: odd})
        try:
            link.connection_lost(None)
        finally:
            rig.undo()
        assert made.guard.faults == 1 and not link.attempts and made.held.total == 0 and link not in made.links
        assert made.journal.records, "that nothing more of it will be sent is journalled"

    run(scenario, box=FakeBox())


def test_L5_a_run_is_fenced_for_its_own_spool_only():
    """A compromised edge writes orphans of the other edge's run: control must not end that one for it."""

    async def scenario(made, link, transport, reports):
        link.data_received(hello())  # its spool is ""
        assert not transport.aborted

        def fence(run_id, spool_id):
            body = msgspec.Raw(frames.encode_payload(service.Fence(run_id, spool_id)))
            return made.perform(frames.Verb("fence", body))

        with pytest.raises(RefusedError, match=frames.FOREIGN_RUN):
            fence("r1", "another")
        assert made.fenced == {} and link in made.links
        fence("r-dead", "another")
        fence("r1", "")
        assert list(made.fenced) == ["r-dead", "r1"]
        for number in range(service.FENCED_MAX + 5):
            fence(f"x{number}", "another")
        assert len(made.fenced) == service.FENCED_MAX

    run(scenario)
