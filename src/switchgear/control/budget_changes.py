"""What people changed about running budgets: a limit that is raised for its period, a balance that is reset. Level 5; pure.

They are objects of the store, one for each balance, with who did it, when and why. Raises are published with the snapshot.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from switchgear.policies.budgets import Raise

KIND = "budget"
CHANGES_MAX = 50
"""Of one balance; of more, older ones are summed up. The audit log has all."""
NAME_MAX = 200

RAISE, RESET, OPENING = "raise", "reset", "opening"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change."""

    kind: str
    """`raise`, `reset`, or `opening`: what was spent before it came here."""
    period: int
    """Of the calendar; of a rolling budget 0."""
    until_ms: int | None
    """When the period ends; of a rolling budget, when its window is over. None: never."""
    amount: int
    """In the budget's unit: what the limit is raised by, or what is added to the balance."""
    time_ms: int
    actor: str
    reason: str
    rolls: bool = False
    """Of a rolling budget."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of one balance, oldest first."""

    budget: str
    """The balance's name (`policies.budgets.name_of`)."""
    changes: list[Change] = []


encode = msgspec.json.Encoder().encode


def object_name(budget: str) -> str:
    """Return what a balance's changes are stored under: readable, and no other's."""
    return f"{budget[:NAME_MAX]}#{hashlib.sha256(budget.encode()).hexdigest()[:16]}"


def with_one(raw: bytes | None, budget: str, change: Change) -> Changes:
    """Return the stored changes of a balance and one more. None: there were none."""
    known = msgspec.json.decode(raw, type=Changes).changes if raw is not None else []
    changes = [*known, change]
    while len(changes) > CHANGES_MAX and _let_go(changes, change.time_ms):
        pass
    return Changes(budget=budget, changes=changes)


def _let_go(changes: list[Change], now_ms: int) -> bool:
    """Forget the oldest change whose period is over, or add one to the next of its kind and period: what they sum up to holds."""
    over = (
        at
        for at, old in enumerate(changes[:-1])
        if old.until_ms is not None and old.until_ms <= now_ms and not _begins(old)
    )
    gone = next(over, None)
    if gone is not None:
        del changes[gone]
        return True
    for at, old in enumerate(changes):
        for later in range(at + 1, len(changes)):
            new = changes[later]
            if (new.kind, new.period) == (old.kind, old.period):
                changes[later] = msgspec.structs.replace(new, amount=new.amount + old.amount)
                del changes[at]
                return True
    return False


def corrections_of(stored: Iterable[Changes]) -> dict[tuple[str, int], int]:
    """Return what people corrected, by the balance's name and period; of a rolling budget all at period 0."""
    found: dict[tuple[str, int], int] = {}
    for one in stored:
        for change in one.changes:
            if change.kind != RAISE:
                found[one.budget, change.period] = found.get((one.budget, change.period), 0) + change.amount
    return found


def _begins(change: Change) -> bool:
    """Tell whether a window begins anew with a change."""
    return change.kind == RESET and change.rolls


def raises_of(stored: Iterable[Changes], now_ms: int) -> dict[str, Raise]:
    """Return what limits are raised by at a time, by the balance's name."""
    found = {}
    for one in stored:
        running = [c for c in one.changes if c.kind == RAISE and (c.until_ms is None or now_ms < c.until_ms)]
        begun_ms = max((c.time_ms for c in one.changes if _begins(c)), default=0)
        if running:
            period = running[-1].period
            same = [c for c in running if c.period == period]
            found[one.budget] = Raise(period, sum(c.amount for c in same), same[-1].until_ms, begun_ms)
        elif begun_ms:
            found[one.budget] = Raise(0, 0, None, begun_ms)
    return found
