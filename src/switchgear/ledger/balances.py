"""What settled requests add to the balances of budgets, and which holds end with that. Level 3. Pure (docs/invariants.md N4).

Each attempt names the budgets that it held and their periods (`wire.records.Held`): what it cost is booked there, and its
corrections too, whatever day it is by then. Who absorbs writes `Batch.balances` in the same transaction; `Batch.ends` is for the
counters.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from switchgear.core.ids import attempt_id
from switchgear.core.usage import TokenUsage
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.record import Record
from switchgear.policies import budgets
from switchgear.wire.records import Attempt, Held, Reserve, Settle

_Hold = Reserve | Attempt
"""What names the budgets of an attempt."""


class Balance(msgspec.Struct):
    """What one transaction adds to one balance, in the budget's unit."""

    settled: int
    """May be negative: a correction."""
    unit: str
    ends_ms: int | None
    """When the period is over; None: never."""
    width_ms: int
    """Of a rolling budget's sub-window; 0: it has a calendar."""


Balances = dict[tuple[str, int], Balance]
"""By (budget, period)."""


class Ended(StrEnum):
    """How a hold ended."""

    SETTLED = "settled"
    """By its edge, which knows."""
    NOT_SENT = "not_sent"
    """Its edge died before the attempt was sent."""
    INTERRUPTED = "interrupted"
    """Its edge died after that: what is not booked of the hold is uncertain."""
    CORRECTED = "corrected"
    """The hold ended before: what is used is a difference."""


class End(msgspec.Struct, frozen=True):
    """One attempt's holds, ended."""

    attempt: str
    how: Ended
    held: Sequence[Held]
    used: Sequence[int]
    """In the holds' order and the budgets' units."""
    held_us: int
    until_ms: int
    """Until when its provider may charge more."""
    is_uncertain: bool = False
    """It was sent, and what of the hold is not booked may still be charged."""


class Used(msgspec.Struct, frozen=True):
    """What one attempt came to."""

    number: int
    usage: TokenUsage | None
    cost_nanousd: int | None
    """None: nobody knows."""
    requests: int = 0
    """1 for the attempt that answered, or was the last."""
    is_told: bool = True
    """False: the whole answer came, and its provider reported no usage."""


class Booked:
    """What one batch books: its balances, and the holds that ended."""

    __slots__ = ("balances", "ends")

    def __init__(self) -> None:
        self.balances: Balances = {}
        self.ends: list[End] = []

    def settled(self, opened: OpenRequest, used: Sequence[Used], still_charged: Mapping[int, int]) -> None:
        """A request was settled. Attempts that are not in `used` cost nothing; those in `still_charged` may cost more, until a
        time."""
        by_number = {one.number: one for one in used}
        for number, hold in _holds(opened):
            self._end(opened, number, hold, Ended.SETTLED, by_number.get(number), still_charged.get(number))

    def interrupted(self, opened: OpenRequest, record: Record) -> None:
        """A request's edge died; `record` names the attempts that were sent."""
        sent = {_number(one.id): one for one in record.attempts}
        for number, hold in _holds(opened):
            one = sent.get(number)
            if one is None:
                self._end(opened, number, hold, Ended.NOT_SENT, None)
                continue
            cost = one.cost_nanousd if one.tokens is not None else 0  # it was refused
            used = Used(number, one.tokens, cost, int(number == max(sent)))
            self._end(opened, number, hold, Ended.INTERRUPTED, used)

    def corrected(self, opened: OpenRequest, settle: Settle, record: Record, *, is_told: bool) -> None:
        """A request's last attempt used more or less than its settlement booked: `record` says the difference. `is_told`: its
        provider reported usage in the end."""
        number = opened.attempts[-1].number if opened.attempts else 1
        booked, more = (
            Used(number, settle.tokens, settle.cost_nanousd),
            Used(number, record.tokens, record.cost_nanousd),
        )
        for at, hold in _holds(opened):
            if at == number:
                amounts = [_more(one, booked, more, is_told=is_told) for one in hold.budgets or []]
                self._book(opened, number, hold, Ended.CORRECTED, amounts)

    def _end(
        self,
        opened: OpenRequest,
        number: int,
        hold: _Hold,
        how: Ended,
        used: Used | None,
        open_until_ms: int | None = None,
    ) -> None:
        amounts = [0 if used is None else amount_of(one, used) for one in hold.budgets or []]
        self._book(opened, number, hold, how, amounts, open_until_ms)

    def _book(
        self,
        opened: OpenRequest,
        number: int,
        hold: _Hold,
        how: Ended,
        amounts: list[int],
        open_until_ms: int | None = None,
    ) -> None:
        held = hold.budgets or []
        for one, amount in zip(held, amounts, strict=True):
            if amount:
                self._add(one, amount)
        attempt = attempt_id(opened.reserve.id, number)
        ends_ms = until_ms(opened, hold) if open_until_ms is None else open_until_ms
        is_uncertain = how is Ended.INTERRUPTED or open_until_ms is not None
        self.ends.append(End(attempt, how, held, amounts, hold.held_us, ends_ms, is_uncertain))

    def _add(self, held: Held, amount: int) -> None:
        known = self.balances.get((held.budget, held.period))
        if known is None:
            self.balances[held.budget, held.period] = Balance(amount, held.unit, held.ends_ms, held.width_ms)
        else:
            known.settled += amount


def amount_of(held: Held, used: Used) -> int:
    """Return what a budget counts of an attempt (as `edge.budget_settlement`)."""
    known = _known(held.unit, used)
    return budgets.booked(held.unit, known, held.amount, is_hard=held.is_hard, is_told=used.is_told)


def _more(held: Held, before: Used, more: Used, *, is_told: bool) -> int:
    """Return what a budget counts of an attempt beyond what was booked for it."""
    booked, known = amount_of(held, before), _known(held.unit, more)
    after = None if known is None else booked + known
    return budgets.booked(held.unit, after, held.amount, is_hard=held.is_hard, is_told=is_told) - booked


def _known(unit: str, used: Used) -> int | None:
    if unit == "nanousd":
        return used.cost_nanousd
    if unit == "requests":
        return used.requests
    usage = used.usage
    if usage is None:
        return 0
    counts = {"input": usage.input_total, "output": usage.output_total}
    return counts.get(unit, usage.input_total + usage.output_total)


def held_of(opened: OpenRequest) -> list[tuple[str, Sequence[Held], int]]:
    """Return what the attempts of an open request hold, by attempt, and until when its provider may charge for it."""
    return [
        (attempt_id(opened.reserve.id, number), hold.budgets or [], until_ms(opened, hold))
        for number, hold in _holds(opened)
    ]


def until_ms(opened: OpenRequest, hold: _Hold) -> int:
    """Return until when the provider of an attempt may charge for it."""
    return opened.reserve.time_ms + hold.lasts_s * 1_000


def _holds(opened: OpenRequest) -> list[tuple[int, _Hold]]:
    found: list[tuple[int, _Hold]] = [(1, opened.reserve)] if opened.reserve.budgets else []
    return found + [(one.number, one) for one in opened.attempts if one.budgets]


def _number(attempt: str) -> int:
    return int(attempt.rpartition("-")[2])
