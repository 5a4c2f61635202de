"""The vault's faults are asked for, and its last are a problem for an hour."""

import asyncio

from switchgear.control.courier import Courier
from switchgear.control.faults import SHOWN_S, Faults
from switchgear.vault.verbs import STATUS, Status


class Link:
    """Answers with what was put here, or raises it."""

    def __init__(self):
        self.next = Status(0, {}, 1, 0)

    async def ask(self, verb, body, timeout_s):
        assert verb is STATUS
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


def made(clock):
    link = Link()
    return link, Faults(link, Courier(None), lambda: 7, clock)


def turn(faults):
    asyncio.run(faults.turn())


def test_counts_are_shown_by_role(clock):
    link, faults = made(clock)
    assert faults.counts(3) == {"edge": 3, "vault": 0, "control": 7}
    link.next = Status(2, {"a.py:1 f": 2}, 1, 0)
    turn(faults)
    assert faults.counts(3) == {"edge": 3, "vault": 2, "control": 7}


def test_a_fault_is_a_problem_for_an_hour_with_its_place(clock):
    link, faults = made(clock)
    turn(faults)
    assert faults.problems == []
    link.next = Status(2, {"a.py:1 f": 2}, 1, 0)
    turn(faults)
    link.next = Status(3, {"a.py:1 f": 2, "b.py:2 g": 1}, 1, 0)
    turn(faults)
    assert faults.problems == ["faults that the vault caught: 3, the last at b.py:2 g; its log has them"]
    clock.advance(SHOWN_S - 1)
    turn(faults)
    assert faults.problems
    clock.advance(2)
    assert faults.problems == []


def test_a_vault_that_is_away_keeps_its_count_and_one_that_begins_anew_counts_from_zero(clock):
    link, faults = made(clock)
    link.next = Status(5, {"a.py:1 f": 5}, 1, 0)
    turn(faults)
    clock.advance(SHOWN_S + 1)
    for away in (ConnectionError("gone"), TimeoutError()):
        link.next = away
        turn(faults)
        assert faults.counts(0)["vault"] == 5
    link.next = Status(1, {"a.py:1 f": 1}, 1, 0)
    turn(faults)
    assert faults.counts(0)["vault"] == 1
    assert faults.problems == ["faults that the vault caught: 1, the last at a.py:1 f; its log has them"]
