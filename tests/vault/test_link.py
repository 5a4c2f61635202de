"""A link as the vault sees it: who may speak, and when its frames are written."""

import pytest
from tests import doors
from tests.vault.rig import FakeBox, hello, opening, piece, run

from switchgear.net.link import WINDOW_BYTES
from switchgear.testing.patience import let_pass, until_it_is
from switchgear.vault import service
from switchgear.wire import frames
from switchgear.wire.frames import FrameType


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


async def greeted(made, link, transport, monkeypatch):
    """Let a link say hello, at a time that stands still, and forget what was written for it."""
    monkeypatch.setattr(made, "loop_s", lambda: 10.0)
    link.data_received(hello())
    await let_pass()
    transport.writes.clear()


@pytest.mark.parametrize("version", [frames.PROTOCOL_VERSION - 1, frames.PROTOCOL_VERSION + 1])
def test_a_peer_of_another_protocol_is_refused_by_name_before_anything_else_is_read(version):
    async def scenario(made, link, transport, reports):
        link.data_received(hello(version=version) + opening(1, 10))
        assert transport.aborted and not made.links
        [report] = reports
        assert f"edge r1 speaks protocol {version}, not {frames.PROTOCOL_VERSION}" in report

    run(scenario)


def test_a_piece_that_comes_alone_is_written_at_once(monkeypatch):
    async def scenario(made, link, transport, reports):
        await greeted(made, link, transport, monkeypatch)
        monkeypatch.setattr(made, "loop_s", lambda: 10.1)
        link.queue_soon(b"a")
        assert transport.writes == [b"a"]

    run(scenario)


def test_pieces_that_come_right_after_a_write_are_gathered_into_one(monkeypatch):
    monkeypatch.setattr(service, "GATHER_S", 0.01)

    async def scenario(made, link, transport, reports):
        await greeted(made, link, transport, monkeypatch)
        link.queue_soon(b"b")
        link.queue_soon(b"c")
        assert transport.writes == []
        await until_it_is(lambda: transport.writes)
        assert transport.writes == [b"bc"]

    run(scenario)


def test_gathered_pieces_are_written_at_their_time_and_not_at_a_turns_end(monkeypatch):
    monkeypatch.setattr(service, "GATHER_S", 3_600.0)

    async def scenario(made, link, transport, reports):
        await greeted(made, link, transport, monkeypatch)
        link.queue_soon(b"b")
        await let_pass()
        assert transport.writes == []

    run(scenario)


def test_a_frame_that_cannot_wait_takes_gathered_pieces_along_in_order(monkeypatch):
    monkeypatch.setattr(service, "GATHER_S", 3_600.0)

    async def scenario(made, link, transport, reports):
        await greeted(made, link, transport, monkeypatch)
        link.queue_soon(b"a")
        made.journal_done("attempt", 200, None, 1, 1)
        link.queue(b"end")
        link.queue_soon(b"b")
        await let_pass()
        assert transport.writes == ["journal", b"aendb"]
        link.queue_soon(b"c")
        link.connection_lost(None)
        made._flush_gathered()
        await let_pass()
        assert transport.writes == ["journal", b"aendb", "journal"]  # the end of the link is journalled, "c" is gone

    run(scenario)


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


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_when_a_link_ends_still_cancels_its_attempts(when):
    async def scenario(made, link, transport, reports):
        def odd(*_):
            raise LookupError

        link.data_received(hello() + opening(1, 100_000) + piece(1, 10))
        rig = doors.Rig(("switchgear.vault.link", "VaultSideLink.connection_lost"), **{when: odd})
        try:
            link.connection_lost(None)
        finally:
            rig.undo()
        assert made.guard.faults == 1 and not link.attempts and made.held.total == 0 and link not in made.links
        assert made.journal.records, "that nothing more of it will be sent is journalled"

    run(scenario, box=FakeBox())
