"""The order of a turn's output: spool, link, clients. While the disk refuses, everything waits and nothing is lost."""

import errno

import pytest

from switchgear.edge.turn_commit import RETRY_S, TurnCommit
from switchgear.testing.clock import FakeClock
from switchgear.testing.edge import FakeLoop
from switchgear.testing.faults import LoudGuard


class Disk:
    """A spool that can refuse, and notes the order of what happens."""

    is_prepared = True

    def __init__(self):
        self.events = []
        self.refuse = False
        self.needs_sync = False

    def commit(self):
        if self.refuse:
            raise OSError(errno.ENOSPC, "full")
        self.events.append("spool")

    def sync(self):
        self.events.append("sync")
        self.needs_sync = False

    def flush(self):
        self.events.append("link")


class Turns:
    """A commit with a loop that is turned by hand."""

    def __init__(self, durable=False):
        self.clock = FakeClock()
        self.loop = FakeLoop(self.clock)
        self.disk = Disk()
        self.reports = []
        self.guard = LoudGuard()
        self.box = TurnCommit(self.disk, self.reports.append, self.guard, self.loop, durable)
        self.box.link = self.disk

    def retry(self, times=1):
        """Let the time pass after which a disk that failed is tried again."""
        for _ in range(times):
            self.clock.advance(RETRY_S)
            self.loop.run()


class Client:
    """An exchange that does what it is told, and notes what is written to it."""

    def __init__(self, events):
        self.events = events

    def act(self, function, arguments):
        function(*arguments)

    def write(self, data):
        self.events.append(data)

    def fault(self, exc):
        self.events.append("fault")


@pytest.fixture
def turns():
    return Turns()


@pytest.fixture
def client(turns):
    return Client(turns.disk.events)


def test_L2_records_are_written_before_the_link_and_the_clients(turns, client):
    turns.box.call(client, turns.disk.events.append, "first client")
    turns.box.call(client, turns.disk.events.append, "second client")
    assert turns.disk.events == []
    turns.loop.run()
    assert turns.disk.events == ["spool", "link", "first client", "second client"]


def test_L2_with_durability_power_the_disk_is_waited_for_first():
    turns = Turns(durable=True)
    turns.disk.needs_sync = True
    turns.box.schedule()
    turns.loop.run()
    assert turns.disk.events == ["spool", "sync", "link"]


def test_L3_while_the_disk_refuses_nothing_leaves_and_nothing_is_lost(turns, client):
    turns.disk.refuse = True
    turns.box.call(client, turns.disk.events.append, "client")
    turns.loop.run()
    turns.retry(5)
    assert turns.disk.events == [] and not turns.box.is_recording
    turns.disk.refuse = False
    turns.retry()
    assert turns.box.is_recording
    assert turns.disk.events == ["spool", "link", "client"]
    assert turns.reports == ["the spool cannot be written: No space left on device"]


def test_a_turn_is_flushed_once_however_much_is_queued(turns):
    for _ in range(5):
        turns.box.schedule()
    turns.loop.run()
    turns.retry(2)
    assert turns.disk.events == ["spool", "link"]


def test_a_disk_that_fails_in_an_unknown_way_makes_everything_wait_as_well(turns, client):
    commit, turns.disk.commit = turns.disk.commit, lambda: 1 / 0
    turns.box.call(client, turns.disk.events.append, "client")
    turns.loop.run()
    turns.retry(3)
    assert turns.disk.events == [] and not turns.box.is_recording and turns.guard.faults == 4
    turns.disk.commit = commit
    turns.retry()
    assert turns.box.is_recording
    assert turns.disk.events == ["spool", "link", "client"]


def test_one_fault_makes_everything_wait_and_refuses_no_new_request(turns, client):
    commit, turns.disk.commit = turns.disk.commit, lambda: 1 / 0
    turns.box.call(client, turns.disk.events.append, "client")
    turns.loop.run()
    assert turns.disk.events == [] and turns.box.is_recording and turns.guard.faults == 1
    turns.disk.commit = commit
    turns.retry()
    assert turns.disk.events == ["spool", "link", "client"]


def test_a_piece_of_an_answer_goes_at_once_where_nothing_waits(turns, client):
    turns.box.write(client, b"piece")
    assert turns.disk.events == [b"piece"]
    turns.loop.run()
    assert turns.disk.events == [b"piece"]


def test_L2_a_piece_of_an_answer_waits_behind_the_records_and_calls_of_its_turn(turns, client):
    turns.box.schedule()  # somebody appended a record
    turns.box.write(client, b"first")
    turns.box.call(client, client.write, b"second")
    turns.box.write(client, b"third")
    assert turns.disk.events == []
    turns.loop.run()
    turns.box.write(client, b"fourth")
    assert turns.disk.events == ["spool", "link", b"first", b"second", b"third", b"fourth"]


def test_L2_a_piece_of_an_answer_waits_while_the_disk_refuses(turns, client):
    turns.disk.refuse = True
    turns.box.schedule()
    turns.loop.run()
    turns.box.write(client, b"piece")
    turns.retry(3)
    assert turns.disk.events == []
    turns.disk.refuse = False
    turns.retry()
    assert turns.disk.events == ["spool", "link", b"piece"]
