"""One attempt: its body, what is held of it, and what ends it."""

import msgspec
from tests.vault.rig import FakeBox, fails, frames_of, hello, opening, piece, run

from switchgear.net.link import WINDOW_BYTES
from switchgear.net.upstream import Failure
from switchgear.vault import attempt, service
from switchgear.wire import frames
from switchgear.wire.frames import FrameType
from switchgear.wire.http_responses import ResponseHead


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
        made.pool.asked[0][1](Failure("connect", "no", False))
        link.connection_lost(None)
        assert made.held.total == 0 and not made.starving

    run(scenario, box=FakeBox())


def test_a_body_that_does_not_become_whole_ends():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 100_000) + piece(1, 10))
        made._tick()
        await frames_of(transport)
        made.pool.now_s = attempt.BODY_S + 1
        made._tick()
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "refused" and made.held.total == 0
        made.stop()

    run(scenario, box=FakeBox())


def opening_with(stream, headers):
    route = msgspec.Raw(
        frames.encode_payload(frames.UpstreamRoute("p/c", "POST", "/chat/completions", headers, 9, 9, 9, 9))
    )
    payload = frames.encode_payload(frames.Open(f"r1-{stream}", 10, route))
    return frames.encode_with_head(FrameType.OPEN, stream, payload, b"", 0)


def test_opening_frames_count_as_held_bytes(monkeypatch):
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
        for one in link.attempts.values():
            one._credential, one._connection = FakeBox().opened, connection
            one.on_data(ResponseHead(500, [], True), b"e" * 30_000, False)
        assert made.held.total == 60_000 and not connection.aborted
        link.attempts[1].on_data(None, b"e" * 30_000, False)
        assert connection.aborted and list(link.attempts) == [2] and made.held.total == 30_000
        kinds = [kind for kind, stream, _ in await frames_of(transport) if stream == 1]
        assert kinds == [FrameType.HEAD, FrameType.DATA], "what came is told"
        link.connection_lost(None)
        assert made.held.total == 0

    run(scenario, box=FakeBox())


def test_a_fault_of_one_attempt_ends_the_attempt_and_leaves_its_link_and_other_attempts():
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 2, b"{}", True))
        assert len(made.pool.asked) == 1
        made.prepare = None  # whatever comes next cannot be dispatched
        link.data_received(opening(2, 2, b"{}", True))
        (fail,) = fails(await frames_of(transport))
        assert (fail.reason, fail.dispatched) == ("internal", False) and "TypeError" not in fail.message
        assert list(link.attempts) == [1] and not transport.aborted
        assert made.guard.faults == 1 and made.guard.said[0][1]["request_id"] == "r1-1"
        del made.prepare
        made.pool.asked[0][1](Failure("connect", "no", False))
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "connect" and made.held.total == 0

    run(scenario, box=FakeBox())
