"""The order of a turn's output: spool, link, clients. While the disk refuses, everything waits and nothing is lost."""

import asyncio
import errno

import pytest

from switchgear.edge import turn_commit
from switchgear.edge.turn_commit import TurnCommit
from switchgear.testing.faults import LoudGuard


class Disk:
    """A spool that can refuse, and notes the order of what happens."""

    def __init__(self):
        self.events = []
        self.refuse = False
        self.needs_sync = True

    def commit(self):
        if self.refuse:
            raise OSError(errno.ENOSPC, "full")
        self.events.append("spool")

    def sync(self):
        self.events.append("sync")

    def flush(self):
        self.events.append("link")


@pytest.fixture
def reports():
    return []


class Client:
    """An exchange that does what it is told."""

    def act(self, function, arguments):
        function(*arguments)


CLIENT = Client()


def made(disk, reports, durable=False):
    box = TurnCommit(disk, reports.append, LoudGuard(), asyncio.get_running_loop(), durable)
    box.link = disk
    return box


def test_L2_records_are_written_before_the_link_and_the_clients(reports):
    disk = Disk()

    async def turn():
        box = made(disk, reports)
        box.call(CLIENT, disk.events.append, "first client")
        box.call(CLIENT, disk.events.append, "second client")
        assert disk.events == []
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert disk.events == ["spool", "link", "first client", "second client"]


def test_L2_with_durability_power_the_disk_is_waited_for_first(reports):
    disk = Disk()

    async def turn():
        made(disk, reports, durable=True).schedule()
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert disk.events == ["spool", "sync", "link"]


def test_L3_while_the_disk_refuses_nothing_leaves_and_nothing_is_lost(reports, monkeypatch):
    monkeypatch.setattr(turn_commit, "RETRY_S", 0.01)
    disk = Disk()
    disk.refuse = True

    async def turn():
        box = made(disk, reports)
        box.call(CLIENT, disk.events.append, "client")
        await asyncio.sleep(0.05)
        assert disk.events == [] and not box.is_recording
        disk.refuse = False
        await asyncio.sleep(0.05)
        assert box.is_recording

    asyncio.run(turn())
    assert disk.events == ["spool", "link", "client"]
    assert reports == ["the spool cannot be written: No space left on device"]


def test_a_turn_is_flushed_once_however_much_is_queued(reports):
    disk = Disk()

    async def turn():
        box = made(disk, reports)
        for _ in range(5):
            box.schedule()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert disk.events == ["spool", "link"]


def test_a_disk_that_fails_in_an_unknown_way_makes_everything_wait_as_well(reports, monkeypatch):
    monkeypatch.setattr(turn_commit, "RETRY_S", 0.01)
    disk = Disk()
    commit, disk.commit = disk.commit, lambda: 1 / 0

    async def turn():
        box = made(disk, reports)
        box.call(CLIENT, disk.events.append, "client")
        await asyncio.sleep(0.05)
        assert disk.events == [] and not box.is_recording and box._guard.faults > 1
        disk.commit = commit
        await asyncio.sleep(0.05)
        assert box.is_recording

    asyncio.run(turn())
    assert disk.events == ["spool", "link", "client"]


def test_one_fault_makes_everything_wait_and_refuses_no_new_request(reports, monkeypatch):
    monkeypatch.setattr(turn_commit, "RETRY_S", 0.01)
    disk = Disk()
    commit, disk.commit = disk.commit, lambda: 1 / 0

    async def turn():
        box = made(disk, reports)
        box.call(CLIENT, disk.events.append, "client")
        await asyncio.sleep(0)
        assert disk.events == [] and box.is_recording and box._guard.faults == 1
        disk.commit = commit
        await asyncio.sleep(0.05)

    asyncio.run(turn())
    assert disk.events == ["spool", "link", "client"]


class Reader:
    """An exchange whose client notes what it is sent."""

    def __init__(self, events):
        self.events = events

    def write(self, data):
        self.events.append(data)

    def fault(self, exc):
        self.events.append("fault")


def test_a_piece_of_an_answer_goes_at_once_where_nothing_waits(reports):
    disk = Disk()

    async def turn():
        box, reader = made(disk, reports), Reader(disk.events)
        box.write(reader, b"piece")
        assert disk.events == [b"piece"]
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert disk.events == [b"piece"]


def test_L2_a_piece_of_an_answer_waits_behind_the_records_and_calls_of_its_turn(reports):
    disk = Disk()

    async def turn():
        box, reader = made(disk, reports), Reader(disk.events)
        box.schedule()  # somebody appended a record
        box.write(reader, b"first")
        box.call(reader, reader.write, b"second")
        box.write(reader, b"third")
        assert disk.events == []
        await asyncio.sleep(0)
        box.write(reader, b"fourth")

    asyncio.run(turn())
    assert disk.events == ["spool", "link", b"first", b"second", b"third", b"fourth"]


def test_L2_a_piece_of_an_answer_waits_while_the_disk_refuses(reports, monkeypatch):
    monkeypatch.setattr(turn_commit, "RETRY_S", 0.01)
    disk = Disk()
    disk.refuse = True

    async def turn():
        box, reader = made(disk, reports), Reader(disk.events)
        box.schedule()
        await asyncio.sleep(0)
        box.write(reader, b"piece")
        assert disk.events == []
        disk.refuse = False
        await asyncio.sleep(0.1)

    asyncio.run(turn())
    assert disk.events == ["spool", "link", b"piece"]
