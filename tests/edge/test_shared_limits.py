"""What a deployment's limit gives to whom: shares are guaranteed when they are wanted, and lent when not."""

import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.counters.backend import Full, Taken
from switchgear.counters.memory import MemoryCounters
from switchgear.edge import limit_sets, shared_limits
from switchgear.edge.limit_sets import Values
from switchgear.policies.limits import Expected
from switchgear.routing.table import ProviderEntry

MINUTE_US = 60_000_000
PROVIDER = ProviderEntry(name="p", dialects=("openai",), credentials=("c",))


class Desk:
    """One deployment with a limit that prod and dev share, in virtual time."""

    def __init__(self, *rules, share=None):
        self.now_us = MINUTE_US * 10
        self.counters = MemoryCounters(lambda: self.now_us)
        self.set = limit_sets.of_deployment(
            PROVIDER, [("p/m@c", rules)], {"p/m@c": share or {"prod": 0.6, "env=dev": 0.2}}
        ).paid

    def ask(self, *names, tokens=1):
        values = Values(key_id="k", names=names)
        holds = self.set.holds(Expected(input=tokens, output=0), values)
        wanted = shared_limits.with_classes(self.set.shared, holds, names, self.counters)
        answer = self.counters.take(wanted, "r", lambda _: None)
        if isinstance(answer, Full):
            shared_limits.note_refused(self.set.shared, names, "r", self.counters)
            return None
        assert isinstance(answer, Taken)
        return answer.ticket

    def end(self, ticket, *used):
        self.counters.settle(ticket, used)

    def takes(self, *names):
        count = 0
        while self.ask(*names) is not None:
            count += 1
        return count


def test_what_nobody_else_wants_is_lent_to_the_last_unit():
    assert Desk(LimitRule("requests", 100, "minute")).takes("prod") == 100
    assert Desk(LimitRule("requests", 100, "minute")).takes("env=dev") == 100
    assert Desk(LimitRule("requests", 100, "minute")).takes("somebody") == 100


def test_a_share_that_was_asked_for_lately_is_kept():
    desk = Desk(LimitRule("requests", 100, "minute"))
    assert desk.ask("my-key", "prod") is not None
    assert desk.takes("env=dev") == 40  # all but what prod is owed still
    assert desk.takes("prod") == 59


def test_what_was_lent_comes_back_with_the_window():
    desk = Desk(LimitRule("requests", 100, "minute"))
    assert desk.takes("env=dev") == 100
    assert desk.ask("prod") is None
    served = {"prod": 0, "env=dev": 0}
    for _ in range(300):  # a window, and three more in which both want all they can get
        desk.now_us += 800_000
        for name in ("env=dev", "env=dev", "env=dev", "prod"):
            served[name] += desk.ask(name) is not None
    assert served["prod"] / (served["prod"] + served["env=dev"]) >= 0.55


def test_slots_that_are_free_again_go_to_whom_they_are_owed():
    desk = Desk(LimitRule("parallel", 10))
    tickets = [desk.ask("env=dev") for _ in range(10)]
    assert desk.ask("prod") is None
    for ticket in tickets[:6]:
        desk.end(ticket, 1, 1, 1)
    assert desk.ask("env=dev") is None
    assert desk.takes("prod") == 6


def test_tokens_are_settled_for_the_class_too():
    desk = Desk(LimitRule("total", 1_000, "minute"))
    desk.end(desk.ask("prod", tokens=600), 100, 100, 1)
    assert desk.ask("env=dev", tokens=501) is None  # prod is owed 500 more
    assert desk.ask("env=dev", tokens=400) is not None


@pytest.mark.parametrize(
    ("names", "found"), [(("k", "prod", "env=dev"), "prod"), (("env=dev",), "env=dev"), (("k",), "")]
)
def test_a_request_is_of_the_first_class_that_names_it(names, found):
    assert Desk(LimitRule("requests", 9, "minute")).set.shared[0].class_of(names) == found
