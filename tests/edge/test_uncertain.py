"""What an edge holds for attempts whose cost nobody knows yet."""

from switchgear.counters.backend import Taken
from switchgear.counters.memory import MemoryCounters
from switchgear.edge.uncertain import UncertainHolds
from switchgear.policies.buckets import Bucket, Hold, Kind

MONEY = Bucket(key="budget", kind=Kind.BALANCE, limit=100, is_budget=True)


class Replica:
    def __init__(self):
        self.ended = set()

    def is_ended(self, attempt):
        return attempt in self.ended


def test_what_control_ended_is_given_back_once_and_the_rest_stays():
    counters, replica, holds = MemoryCounters(lambda: 1), Replica(), UncertainHolds()
    for attempt in ("a-1", "b-1"):
        taken = counters.take([Hold(MONEY, 30)], attempt, lambda answer: None)
        assert isinstance(taken, Taken)
        holds.add(attempt, [taken.ticket])
    replica.ended.add("a-1")
    for _ in range(2):
        holds.look(replica, counters)
    assert (len(holds), counters.read([MONEY])[0].held) == (1, 30)


def test_what_ended_by_itself_is_no_fault():
    counters, replica, holds = MemoryCounters(lambda: 1), Replica(), UncertainHolds()
    taken = counters.take([Hold(MONEY, 30)], "a-1", lambda answer: None)
    counters.release(taken.ticket)
    holds.add("a-1", [taken.ticket])
    replica.ended.add("a-1")
    holds.look(replica, counters)
    assert len(holds) == 0
