"""What this process holds, as it stands in its own column: written, closed, left uncertain, taken over. Level 2 (decision 062).

Everything here is done under the lock, in an order in which a kill between two lines leaves the column right or counting too much.
Whoever takes the column over gets the open holds back with `recover`.
"""

from collections.abc import Iterable, Sequence

from switchgear.counters import layout
from switchgear.counters.backend import Ticket
from switchgear.counters.column import Column
from switchgear.counters.layout import (
    BALANCE,
    CLAIM,
    COUNT_MAX,
    H_AFTER,
    H_PLACE,
    H_UNTIL,
    HEADER_WORDS,
    HOLD,
    HOLD_WORDS,
    IN_SUM,
    SLOTS,
    TICKETS,
    UNCERTAIN,
    WINDOW,
    WORD,
)
from switchgear.counters.tables import Seat
from switchgear.policies.buckets import Hold
from switchgear.policies.windows import SUBWINDOWS

Held = tuple[int, int, int, int, int, int, int, int, int]
"""A hold of the own column: where it stands, its row's word, claim, amount, sub-window, scale, kind, position in the ticket, and
what of the amount is in the row's sum of what is held."""


class SharedTicket(Ticket):
    """What is open of a request."""

    __slots__ = ("holds", "is_open", "is_orphaned", "number", "until_us")

    def __init__(self, number: int, holds: list[Held]) -> None:
        self.number = number
        self.holds = holds
        self.is_open = True
        self.until_us: int | None = None
        """Of an uncertain one: when it ends."""
        self.is_orphaned = False
        """Its process died, and nobody has said yet what became of it."""


class OwnHolds:
    """The holds of one column."""

    def __init__(self, own: Column) -> None:
        self._own = own
        self.free: list[int] = []
        """Where the next ones go."""

    def recover(self) -> list[tuple[SharedTicket, str]]:
        """Return what the last owner left open, each with its attempt."""
        numbers = self._own.recover()
        used = set(numbers)
        self.free = [
            HEADER_WORDS + n * HOLD_WORDS for n in range(self._own.geometry.holds - 1, -1, -1) if n not in used
        ]
        tickets: dict[int, tuple[SharedTicket, str]] = {}
        for number in numbers:
            at = HEADER_WORDS + number * HOLD_WORDS
            state = self._own.words[at]
            place, row, claim, amount, window, name, _, until_us = HOLD.unpack_from(self._own.map, (at + 1) * WORD)
            kind = place & 7
            word = self._own.row_at(kind, row)
            scale = max(1, self._own.words[word + layout.W_SCALE]) if kind == WINDOW else 1
            ticket, _ = tickets.setdefault(
                state, (SharedTicket(state, []), name.rstrip(b"\0").decode(errors="replace"))
            )
            in_sum = amount if place & IN_SUM else 0
            ticket.holds.append((at, word, claim, amount, window, scale, kind, place >> 3 & 0xFF, in_sum))
            if place & UNCERTAIN:
                ticket.until_us = until_us
                ticket.is_orphaned = bool(place & layout.ORPHANED)
        for ticket, _ in tickets.values():
            ticket.holds.sort(key=lambda held: held[7])
        return list(tickets.values())

    def take(self, holds: Sequence[Hold], seats: list[Seat], attempt: str, now_us: int) -> SharedTicket:
        """Write everything down. What is counted comes first, the hold's state last: a kill between leaves too much counted."""
        column, words, counts, free = self._own.map, self._own.words, self._own.counts, self.free
        ticket = words[TICKETS] + 1
        words[TICKETS] = ticket
        name = attempt.encode()
        held: list[Held] = []
        for position, hold in enumerate(holds):
            seat = seats[position]
            word, kind, amount, number = seat.word, seat.kind, hold.amount, 0
            in_sum, place = amount, kind | position << 3 | IN_SUM
            if kind == WINDOW:
                number = now_us // seat.width
                last = words[word + 2]
                if number > last:
                    self._advance(seat, last, number)
                else:
                    number = last
                at = seat.count + number % SUBWINDOWS
                before = counts[at]
                amount = min(-(-amount // seat.scale), COUNT_MAX - before)
                counts[at] = before + amount
                words[word + 3] += amount
                if hold.bucket.is_budget:
                    in_sum = amount
                    words[word + 4] += amount
                else:
                    in_sum, place = 0, place ^ IN_SUM
            elif kind == BALANCE:
                words[word + 2] = hold.bucket.keep_until_us or 0
                words[word + 4] += amount
            else:
                words[word + 2] += amount
            at = free.pop()
            HOLD.pack_into(column, at * WORD + WORD, place, seat.row, seat.claim, amount, number, name, 0, 0)
            words[at] = ticket
            held.append((at, word, seat.claim, amount, number, seat.scale, kind, position, in_sum))
        return SharedTicket(ticket, held)

    def _advance(self, seat: Seat, last: int, number: int) -> None:
        """Let what left the own column's window go."""
        words, counts, first = self._own.words, self._own.counts, seat.count
        gone = 0
        for passed in range(max(last, number - SUBWINDOWS) + 1, number + 1):
            at = first + passed % SUBWINDOWS
            if counts[at]:
                gone += counts[at]
                counts[at] = 0
        words[seat.word + 3] -= gone
        words[seat.word + 2] = number

    def count(self, seat: Seat, now_us: int, amounts: Iterable[tuple[int, int]]) -> None:
        """Count in a window what was used before (age in µs, amount), without a hold. Under the lock."""
        words, counts, number = self._own.words, self._own.counts, now_us // seat.width
        self._advance(seat, words[seat.word + 2], number)
        for age_us, amount in amounts:
            then = min(number, (now_us - age_us) // seat.width)
            if then > number - SUBWINDOWS:
                at = seat.count + then % SUBWINDOWS
                more = min(-(-amount // seat.scale), COUNT_MAX - counts[at])
                counts[at] += more
                words[seat.word + 3] += more

    def close(self, ticket: int, hold: Held, used: int) -> None:
        """End one hold. From H_AFTER and a negative state on it is done, also if this process is killed (`Column.recover`)."""
        at, word, claim, amount, number, scale, kind, _, in_sum = hold
        words = self._own.words
        if words[word + CLAIM] != claim:
            pass  # its row was idle, and is another bucket's: its window, period or count is over
        elif kind == SLOTS:
            words[word + 2] -= amount
        elif kind == BALANCE:
            after = words[word + 3] + used
            words[at + H_AFTER] = after
            words[at] = -ticket
            words[word + 3] = after
            if words[at + H_PLACE] & UNCERTAIN:
                words[word + 5] -= amount
            words[word + 4] -= amount
        else:
            if scale != 1:
                used = -(-used // scale)
            if used != amount and number > words[word + 2] - SUBWINDOWS:
                counts, slot = self._own.counts, 2 * (word + layout.COUNTS_AT) + number % SUBWINDOWS
                before = counts[slot]
                after = min(COUNT_MAX, max(0, before + used - amount))
                words[at + H_AFTER] = after
                words[at] = -ticket
                counts[slot] = after
                words[word + 3] += after - before
            if in_sum:
                words[word + 4] -= in_sum
        words[at] = 0
        self.free.append(at)

    def suspend(self, ticket: SharedTicket, until_us: int, actual: Sequence[int] | None) -> None:
        """End what is no budget, and leave the rest open as uncertain. `actual`: what is known to be used; None: nothing, and all
        windows keep what they counted."""
        kept = []
        for held in ticket.holds:
            amount = held[3]
            if held[6] != BALANCE:
                used = amount * held[5] if actual is None else actual[held[7]]
                if actual is not None and held[6] == WINDOW and held[8] and used < amount * held[5]:
                    kept.append(self._lower(held, amount - -(-used // held[5]), until_us))
                else:
                    self.close(ticket.number, held, used)
                continue
            used = 0 if actual is None else actual[held[7]]
            if used >= amount:
                self.close(ticket.number, held, used)
            elif used and (rest := self._split(ticket.number, held, amount - used, until_us)) is not None:
                self.close(ticket.number, held, used)
                kept.append(rest)
            else:
                self.make_uncertain(held, until_us, actual is None)
                kept.append(held)
                if used:
                    self._own.words[held[1] + layout.B_SETTLED] += used
        ticket.holds, ticket.until_us = kept, until_us
        ticket.is_open = bool(kept)

    def _split(self, ticket: int, held: Held, rest: int, until_us: int) -> Held | None:
        """Hold a part of a balance's hold once more, as uncertain, before the whole is closed: a kill between leaves too much
        counted. None where it counts no more, or there is no room."""
        at, word, claim, *_, position, _ = held
        words = self._own.words
        if not self.free or words[word + CLAIM] != claim:
            return None
        place, row, _, _, _, name, _, _ = HOLD.unpack_from(self._own.map, (at + 1) * WORD)
        words[word + layout.B_HELD] += rest
        words[word + layout.B_UNCERTAIN] += rest
        new = self.free.pop()
        HOLD.pack_into(self._own.map, (new + 1) * WORD, place | UNCERTAIN, row, claim, rest, 0, name, 0, until_us)
        words[new] = ticket
        return (new, word, claim, rest, 0, 1, BALANCE, position, rest)

    def _lower(self, held: Held, rest: int, until_us: int) -> Held:
        """Keep a part of a window's hold as uncertain: what was used of it stays counted when that ends. A kill between leaves too
        much counted."""
        at, word, claim, amount, number, scale, kind, position, _ = held
        words = self._own.words
        words[at + layout.H_AMOUNT] = rest
        if words[word + CLAIM] == claim:
            words[word + layout.W_HELD] -= amount - rest
        lowered = (at, word, claim, rest, number, scale, kind, position, rest)
        self.make_uncertain(lowered, until_us)
        return lowered

    def make_uncertain(self, held: Held, until_us: int, is_orphaned: bool = False) -> None:
        """Mark a hold of a budget. Under the lock."""
        at, word, claim, amount, _, _, kind, *_ = held
        words = self._own.words
        words[at + H_UNTIL] = until_us
        if is_orphaned:
            words[at + H_PLACE] |= layout.ORPHANED
        if not words[at + H_PLACE] & UNCERTAIN:
            words[at + H_PLACE] |= UNCERTAIN
            if kind == BALANCE and words[word + CLAIM] == claim:
                words[word + layout.B_UNCERTAIN] += amount
