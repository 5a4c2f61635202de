"""Counters that the edges of a node share: each writes a column of its own and reads the others'. Level 2 (decision 062).

One lock, held at most twice in a turn of the loop: by the first `take`, which so gets its answer at once, and by `flush` for
everything else. It is never waited for: where another holds it, the requests wait (at most 250 ms), not the loop. What it does
when it cannot know: Unknown, and nothing is taken.

A kill at any line leaves the columns right or counting too much; who takes the column over finds the open holds (`orphans`) and
ends each once. Nothing here survives the boot: then control gives the balances again (`rebuild`).
"""

import fcntl
import heapq
import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from switchgear.core.errors import RecordError
from switchgear.counters import layout
from switchgear.counters.backend import Answer, Done, Full, Taken, Ticket, Unknown, check_holds
from switchgear.counters.column import LOCK, Column, path_of
from switchgear.counters.holds import OwnHolds, SharedTicket
from switchgear.counters.layout import (
    ATTEMPT_BYTES,
    BALANCE,
    CLAIM,
    CLAIMS,
    COUNT_MAX,
    EPOCH,
    H_PLACE,
    HEADER_WORDS,
    HOLD,
    HOLD_WORDS,
    HOLDING,
    ROW_WORDS,
    SLOTS,
    TAG,
    WINDOW,
    WORD,
)
from switchgear.counters.tables import Seat, Tables, measure_of
from switchgear.policies import windows
from switchgear.policies.buckets import Bucket, Hold, Reading

SUBWINDOWS = windows.SUBWINDOWS
WAIT_US = 250_000
"""How long a request waits for the lock; then it gets Unknown (503). A holder that was preempted on a busy machine takes some
milliseconds, one that is stopped never comes back."""
AGAIN_S = 0.001
BATCH_MAX = 256
"""Takes under one hold of the lock: about 3 ms."""
AHEAD_US = 3_000_000
"""A claim that lies further ahead than this, when columns are looked at, no process of the gateway made."""
START_US = 2_000_000
"""How long a start waits for the lock."""
LOOK_US = 1_000_000
"""How often files are looked at: whether they are still those that are mapped."""
REBUILDING = "balances are being rebuilt"
CHANGED = 1 << 80
"""Far above any number of claims, and any epoch: a stamp after a change of the columns is none from before."""


_FAILED = Unknown("the counters failed")
_ONE, _TWO = struct.Struct("=q"), struct.Struct("=qq")


class _Waiting:
    __slots__ = ("attempt", "done", "holds", "until_us")

    def __init__(self, holds: Sequence[Hold], attempt: str, done: Done, until_us: int) -> None:
        self.holds, self.attempt, self.done, self.until_us = holds, attempt, done, until_us


class SharedCounters:
    """One process's part of the node's counters."""

    def __init__(
        self,
        folder: Path,
        own: str,
        others: Sequence[str],
        now_us: Callable[[], int],
        wake: Callable[[float], None],
        control: str | None = None,
    ) -> None:
        """Take a column over, which `column.prepare` made, with what its last owner left open.

        `now_us`: CLOCK_BOOTTIME in microseconds. `wake(s)` asks for a call of `flush` in so many seconds, 0: at the
        end of this turn. `control`: the column that says whether balances are known; None: they always are.
        Raises BlockingIOError while its last owner lives, RecordError or OSError where the own column is none.
        """
        self._folder, self._now_us, self._wake = folder, now_us, wake
        self._names = [name for name in others if name != own]
        self._control = control
        self.own = Column(path_of(folder, own), is_own=True)
        self._lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._columns = [self.own]
        self._words = [self.own.words]
        self._changes = 0
        self._trouble = ""
        self._looked_us = 0
        self._epoch_words = self.own.words if control == own else None
        self._corrects = self.own.map if control == own else None
        """The column that may hold less than nothing; None: any, where no control is named."""
        self.tables = Tables(self._columns, self.own.identity.salt)
        self._waiting: deque[_Waiting] = deque()
        self._answered: deque[tuple[Done, Answer]] = deque()
        self._closing: deque[tuple[SharedTicket, Sequence[int] | None, int | None]] = deque()
        self._corrections: deque[tuple[Bucket, int]] = deque()
        self.uncertain: list[tuple[int, int, SharedTicket]] = []
        """(end, number, ticket), a heap."""
        self._has_taken = False
        """In this turn, at once."""
        self.holds = OwnHolds(self.own)
        self.orphans: dict[str, list[Ticket]] = {}
        """By attempt: what the last owner left open, and what was uncertain then. Each is owed one `settle`, `release` or
        `suspend`."""
        try:
            self._recover()
        except BlockingIOError:
            self.close()
            raise
        self._look(now_us())

    def close(self) -> None:
        """Let go of everything. What is open stays, as after a kill."""
        os.close(self._lock)
        for column in self._columns:
            column.close()

    def take(self, holds: Sequence[Hold], attempt: str, done: Done) -> Answer | None:
        """Take all holds or none: at once if this is the turn's first, else with `flush`."""
        check_holds(holds)
        if len(attempt) > ATTEMPT_BYTES:
            raise ValueError(f"{attempt!r} is no attempt's id")
        self._wake(0)
        if not self._has_taken and not self._waiting and self.acquire():
            self._has_taken = True
            try:
                return self._work(holds, attempt)
            finally:
                self.let_go()
        self._waiting.append(_Waiting(holds, attempt, done, self._now_us() + WAIT_US))
        return None

    def peek(self, holds: Sequence[Hold]) -> Full | Unknown | None:
        """Tell whether holds would find no room now, by the buckets whose places this process remembers, without the lock."""
        now_us = self._now_us()
        trouble = self._trouble_of(any(hold.bucket.is_budget for hold in holds), now_us)
        if trouble:
            return Unknown(trouble)
        stamp = self._changes
        for words in self._words:
            stamp += words[CLAIMS]
        lacking = [at for at, hold in enumerate(holds) if hold.bucket.is_hard and self._lacks(hold, stamp, now_us)]
        if not lacking:
            return None
        readings = tuple(self._read(hold.bucket, now_us, hold.amount) for hold in holds)
        return Full(tuple(lacking), readings)

    def _lacks(self, hold: Hold, stamp: int, now_us: int) -> bool:
        seat = self.tables.seats.get(hold.bucket.key)
        if seat is None or (seat.seen != stamp and not self.tables.see(seat, stamp)):
            return False
        limit, amount, used = hold.bucket.limit, hold.amount, 0
        if seat.kind == SLOTS:
            used = sum(max(0, _ONE.unpack_from(part, seat.byte)[0]) for part in seat.maps)
        elif seat.kind == BALANCE:
            used = self._balance(seat)
        else:
            number, limit, amount = now_us // seat.width, limit // seat.scale, -(-amount // seat.scale)
            for part in seat.maps:
                last, total = _TWO.unpack_from(part, seat.byte)
                used += total if total > 0 and number - last < SUBWINDOWS else 0
            if used + amount > limit:
                used = self._window_exact(seat, number)
        return used + amount > limit

    def settle(self, ticket: Ticket, actual: Sequence[int]) -> None:
        """Replace what was held by what was used, with the next hold of the lock."""
        if isinstance(ticket, SharedTicket) and ticket.holds and ticket.holds[-1][7] >= len(actual):
            raise ValueError(f"{len(actual)} amounts are fewer than the holds")
        self._close_later(ticket, actual)

    def settle_partly(self, ticket: Ticket, actual: Sequence[int], until_us: int) -> None:
        """Replace what was held by what is known to be used, with the next hold of the lock; what budgets hold beyond it
        stays uncertain."""
        if not isinstance(ticket, SharedTicket) or not ticket.is_open:
            raise KeyError("this ticket is settled or released already")
        if ticket.holds and ticket.holds[-1][7] >= len(actual):
            raise ValueError(f"{len(actual)} amounts are fewer than the holds")
        self._closing.append((ticket, actual, until_us))
        self._wake(0)

    def release(self, ticket: Ticket) -> None:
        """Give everything back, with the next hold of the lock."""
        self._close_later(ticket, None)

    def _close_later(self, ticket: Ticket, actual: Sequence[int] | None) -> None:
        if not isinstance(ticket, SharedTicket) or not ticket.is_open:
            raise KeyError("this ticket is settled or released already")
        ticket.is_open = False
        self._closing.append((ticket, actual, None))
        self._wake(0)

    @property
    def epoch(self) -> int:
        """Since when balances count, by the own column; 0: they are not known."""
        return self.own.words[EPOCH]

    @property
    def is_epoch_wanted(self) -> bool:
        """Tell whether some process asked for balances that were not known."""
        return any(words[layout.WANTED] for words in self._words)

    def count_of(self, bucket: Bucket) -> int:
        """Return what a window counts in all columns, whether balances are known or not."""
        return self._read(bucket, self._now_us()).used

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing waits for the lock: a process that ends flushes until then."""
        return not (self._waiting or self._closing or self._corrections or self._answered)

    def correct(self, bucket: Bucket, amount: int) -> None:
        """Add to a balance what is not of a request of this process: a correction, an orphan's use; negative: take off. It
        belongs to the period that the bucket names. Of a window, which nobody takes off from: count it now."""
        self._corrections.append((bucket, amount))
        self._wake(0)

    @property
    def distance_ms(self) -> int | None:
        """How far the wall clock is believed to be from the boot's (`periods.TrustedTime.distance_ms`), as a process of this boot
        noted it in its column; None: none did."""
        for column in self._columns:
            if column.words[layout.HAS_DISTANCE]:
                return column.words[layout.DISTANCE]
        return None

    def note_distance(self, distance_ms: int) -> None:
        """Write down how far the wall clock is believed to be, for processes that start later."""
        self.own.words[layout.DISTANCE] = distance_ms
        self.own.words[layout.HAS_DISTANCE] = 1

    def read(self, buckets: Sequence[Bucket]) -> tuple[Reading, ...] | Unknown:
        """Return what buckets count now, without the lock: of requests that end at this moment a part may be seen."""
        now_us = self._now_us()
        trouble = self._trouble_of(any(bucket.is_budget for bucket in buckets), now_us)
        if trouble:
            return Unknown(trouble)
        return tuple(self._read(bucket, now_us) for bucket in buckets)

    def flush(self) -> None:
        """Settle what was settled, then take what waits; then call those back. Calls what is left the next time if a callback
        raises."""
        self._has_taken = False
        is_due = bool(self.uncertain) and self.uncertain[0][0] <= self._now_us()
        if self._waiting or self._closing or self._corrections or is_due:
            if self.acquire():
                is_done = False
                try:
                    self._work_off()
                    is_done = True
                finally:
                    self.let_go()
                    if not is_done:
                        self._wake(AGAIN_S)
            else:
                self._give_up(self._now_us())
        if self._waiting or self._closing or self._corrections:
            self._wake(AGAIN_S)
        while self._answered:
            done, answer = self._answered.popleft()
            if self._answered:
                self._wake(0)
            done(answer)

    # Ends of what the last owner left

    def suspend(self, ticket: Ticket, until_us: int) -> None:
        """Say that a request was sent and its process died: with the next hold of the lock slots become free, what windows count
        stays, and balances hold it as uncertain until it is settled, released, or `until_us`. Raises KeyError as `settle`."""
        if not isinstance(ticket, SharedTicket) or not ticket.is_open:
            raise KeyError("this ticket is settled or released already")
        self._closing.append((ticket, None, until_us))
        self._wake(0)

    def expect(self, ticket: SharedTicket) -> None:
        """Let an uncertain ticket end at its time."""
        until_us = ticket.until_us or 0
        heapq.heappush(self.uncertain, (until_us, ticket.number, ticket))
        self._wake(max(0, until_us - self._now_us()) / 1_000_000)

    def adopt(self, ticket: Ticket, until_us: int) -> bool:
        """Take an orphan over: what was sent or not is not known, so its balances stay held until somebody says so, or `until_us`.
        False for one that its process left uncertain itself: it ends at its time."""
        if not isinstance(ticket, SharedTicket) or (ticket.until_us is not None and not ticket.is_orphaned):
            return False
        if ticket.until_us is None:
            self.suspend(ticket, until_us)
        return any(held[6] == BALANCE for held in ticket.holds)

    def note_waiting(self, count: int) -> None:
        """Write down how many attempts wait for somebody to say what became of them."""
        self.own.words[layout.WAITING] = count

    def waiting(self) -> list[str]:
        """Return the attempts that wait for that in other columns."""
        found: set[str] = set()
        for column in self._columns[1:]:
            if not column.words[layout.WAITING]:
                continue
            end = column.geometry.table_at(WINDOW)
            states = column.words[HEADER_WORDS:end:HOLD_WORDS].tolist()
            places = column.words[HEADER_WORDS + H_PLACE : end : HOLD_WORDS].tolist()
            for number, (state, place) in enumerate(zip(states, places, strict=True)):
                if state > 0 and place & layout.ORPHANED:
                    at = (HEADER_WORDS + number * HOLD_WORDS + 1) * WORD
                    found.add(HOLD.unpack_from(column.map, at)[5].rstrip(b"\0").decode(errors="replace"))
        return sorted(found)

    def _recover(self) -> None:
        end_us = self._now_us() + START_US
        while not self.acquire():
            if self._now_us() > end_us:
                raise BlockingIOError("another process holds the lock of the counters and does not go on")
            os.sched_yield()
        try:
            found = self.holds.recover()
        finally:
            self.let_go()
        for ticket, attempt in found:
            self.orphans.setdefault(attempt, []).append(ticket)
            if ticket.until_us is not None:
                self.expect(ticket)

    # The lock

    def acquire(self) -> bool:
        """Take the lock if nobody holds it. The number of the holder comes first: who stands still with it is found (`stuck`)."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.own.words[HOLDING] = self._now_us()
        return True

    def let_go(self) -> None:
        """Give the lock back."""
        self.own.words[HOLDING] = 0
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _give_up(self, now_us: int) -> None:
        while self._waiting and self._waiting[0].until_us <= now_us:
            self._answered.append((self._waiting.popleft().done, Unknown("the counters are busy")))

    def _work(self, holds: Sequence[Hold], attempt: str) -> Answer:
        self._close_all()
        return self._decide(holds, attempt, self._now_us())

    def _work_off(self) -> None:
        self._close_all()
        now_us = self._now_us()
        while self.uncertain and self.uncertain[0][0] <= now_us:
            *_, ticket = heapq.heappop(self.uncertain)
            if ticket.is_open:
                ticket.is_open = False
                for held in ticket.holds:
                    self.holds.close(ticket.number, held, 0)
        while self._corrections:
            self._correct(*self._corrections.popleft(), now_us)
        for _ in range(min(BATCH_MAX, len(self._waiting))):
            waiting = self._waiting.popleft()
            answer: Answer = _FAILED
            try:
                answer = self._decide(waiting.holds, waiting.attempt, now_us)
            finally:  # whatever went wrong, the request that waits hears of it
                self._answered.append((waiting.done, answer))

    # What is known

    def _look(self, now_us: int) -> None:
        """See whether the columns are still those that are mapped, and map those that are not yet."""
        self._looked_us = now_us
        self.tables.latest_us = now_us + AHEAD_US
        if not self.own.is_whole():
            self._trouble = f"{self.own.path.name} was replaced or cut"
            return
        self._trouble = ""
        columns = [self.own]
        for name in self._names:
            path = path_of(self._folder, name)
            column = next((c for c in self._columns[1:] if c.path == path), None)
            if column is not None and not column.is_whole():
                column.close()
                column = None
            if column is None:
                try:
                    column = Column(path, self.own.identity)
                except (OSError, RecordError) as exc:
                    self._trouble = f"{path.name} cannot be read: {exc}"
                    continue
            columns.append(column)
        if columns != self._columns:
            self._changes += CHANGED
        self._columns[:] = columns
        self._words = [column.words for column in columns]
        if self._control is not None and self._control != self.own.path.name.removesuffix(".column"):
            control = path_of(self._folder, self._control)
            self._epoch_words = next((c.words for c in columns if c.path == control), None)
            self._corrects = next((c.map for c in columns if c.path == control), self.own.map)

    def _trouble_of(self, is_budgeted: bool, now_us: int) -> str:
        if now_us - self._looked_us > LOOK_US:
            self._look(now_us)
        if self._trouble:
            return self._trouble
        if self._control is None or not is_budgeted:
            return ""
        epoch = self._epoch_words[EPOCH] if self._epoch_words is not None else 0
        if epoch != self.tables.epoch:
            self.tables.epoch = epoch
            self._changes += CHANGED
        if epoch:
            return ""
        self.own.words[layout.WANTED] = 1
        return REBUILDING

    # Taking

    def _decide(self, holds: Sequence[Hold], attempt: str, now_us: int) -> Answer:
        if now_us - self._looked_us > LOOK_US:
            self._look(now_us)
        trouble = self._trouble
        tables = self.tables
        known = tables.seats
        changes = stamp = self._changes
        for words in self._words:
            stamp += words[CLAIMS]
        seats: list[Seat] = []
        used: list[int] = []
        lacking: list[int] = []
        tables.pinned = seats
        is_known = False
        for hold in holds:
            bucket = hold.bucket
            if bucket.is_budget and not is_known:
                is_known = True
                trouble = trouble or self._trouble_of(True, now_us)
                stamp += self._changes - changes
            if trouble:
                return Unknown(trouble)
            seat = known.get(bucket.key) or tables.seat(bucket, now_us)
            if seat is None:
                return Unknown("no room for another counter")
            if seat.seen != stamp and not tables.see(seat, stamp):
                return self._decide_again(bucket, seat, holds, attempt, now_us)
            amount, limit, byte, kind, count = hold.amount, bucket.limit, seat.byte, seat.kind, 0
            if kind == WINDOW:
                scale, number = seat.scale, now_us // seat.width
                if scale != 1:
                    limit, amount = limit // scale, -(-amount // scale)
                limit = min(limit, COUNT_MAX)
                for part in seat.maps:
                    last, total = _TWO.unpack_from(part, byte)
                    if total > 0 and number - last < SUBWINDOWS:
                        count += total
                if count + amount > limit:
                    count = self._window_exact(seat, number)
            elif kind == BALANCE:
                count = self._balance(seat)
            else:
                for part in seat.maps:
                    held = _ONE.unpack_from(part, byte)[0]
                    if held > 0:
                        count += held
            count += amount
            if seat in seats:
                count += self._asked(holds, seats, seat)
            if count > limit and bucket.is_hard:
                lacking.append(len(used))
            seats.append(seat)
            used.append(count * seat.scale)
        if lacking:
            return self._full(holds, seats, lacking, now_us)
        if len(self.holds.free) < len(holds):
            return Unknown("too many requests are open")
        return Taken(self.holds.take(holds, seats, attempt, now_us), tuple(used), now_us)

    @staticmethod
    def _asked(holds: Sequence[Hold], seats: list[Seat], seat: Seat) -> int:
        """Return what holds before this one ask of the same row, in its units."""
        return sum(-(-holds[at].amount // seat.scale) for at, other in enumerate(seats) if other is seat)

    def _full(self, holds: Sequence[Hold], seats: list[Seat], lacking: list[int], now_us: int) -> Full:
        readings = []
        for at, seat in enumerate(seats):
            asked = self._asked(holds[: at + 1], seats[: at + 1], seat)
            readings.append(self._reading(seat.kind, seat.word, seat.tag, holds[at].bucket, asked, now_us))
        return Full(tuple(lacking), tuple(readings))

    def _decide_again(self, bucket: Bucket, seat: Seat, holds: Sequence[Hold], attempt: str, now_us: int) -> Answer:
        """Decide after a row was found to be another's: it is looked for anew. Once for each hold."""
        if self.tables.again(bucket, seat, now_us) is None:
            return Unknown("no room for another counter")
        return self._decide(holds, attempt, now_us)

    def _balance(self, seat: Seat) -> int:
        """Return what a balance counts. Only control corrects, so only its column may be below zero."""
        corrects, count = self._corrects, 0
        for part in seat.maps:
            settled, held = _TWO.unpack_from(part, seat.byte)
            count += max(0, held) + (settled if corrects is None or part is corrects else max(0, settled))
        return max(count, 0)

    def _window_exact(self, seat: Seat, number: int) -> int:
        word, used = seat.word, 0
        for column in self._columns:
            theirs, _, last = column.words[word : word + 3].tolist()
            if theirs == seat.tag:
                used += windows.live(column.counts[seat.count : seat.count + SUBWINDOWS].tolist(), last, number)
        return used

    # Ending

    def abandon(self, ticket: Ticket) -> None:
        """Close a ticket whose holds were taken away."""
        if isinstance(ticket, SharedTicket):
            ticket.is_open = False

    def _close_all(self) -> None:
        while self._closing:
            ticket, actual, until_us = self._closing.popleft()
            if until_us is not None:
                self.holds.suspend(ticket, until_us, actual)
                if ticket.is_open:
                    self.expect(ticket)
                continue
            for held in ticket.holds:
                self.holds.close(ticket.number, held, 0 if actual is None else actual[held[7]])

    def _correct(self, bucket: Bucket, amount: int, now_us: int) -> None:
        if self._trouble_of(True, now_us):
            return  # control gives the balances again, with this in them
        seat = self.tables.seat(bucket, now_us)
        if seat is not None and self._is_lost(seat):
            seat = self.tables.again(bucket, seat, now_us)
        if seat is not None and seat.kind == WINDOW:
            self.holds.count(seat, now_us, [(0, max(0, amount))])
        elif seat is not None:
            self.own.words[seat.word + 2] = bucket.keep_until_us or 0
            self.own.words[seat.word + 3] += amount

    def _is_lost(self, seat: Seat) -> bool:
        is_old = seat.kind == BALANCE and seat.claim <= self.tables.epoch
        return is_old or self.tables.is_stolen(seat.kind, seat.word, seat.tag, seat.claim)

    # Reading

    def _read(self, bucket: Bucket, now_us: int, asked: int = 0) -> Reading:
        word = self.tables.look(bucket)
        if word is None:
            return Reading(settled=0, held=0, limit=bucket.limit)
        return self._reading(int(bucket.kind), word, self.tables.tag_of(bucket.key), bucket, asked, now_us)

    def _reading(self, kind: int, word: int, tag: int, bucket: Bucket, asked: int, now_us: int) -> Reading:
        """Return what a row counts in all columns. `asked`: the amount for which a time is wanted, in the row's units."""
        rows = [column.words[word : word + min(8, ROW_WORDS[kind])].tolist() for column in self._columns]
        mine = [(row, column) for row, column in zip(rows, self._columns, strict=True) if row[TAG] == tag]
        if kind == SLOTS:
            return Reading(settled=0, held=sum(max(0, row[layout.S_HELD]) for row, _ in mine), limit=bucket.limit)
        if kind == BALANCE:
            live = [(row, column) for row, column in mine if row[CLAIM] > self.tables.epoch]
            return Reading(
                settled=sum(
                    row[layout.B_SETTLED]
                    if self._corrects is None or column.map is self._corrects
                    else max(0, row[layout.B_SETTLED])
                    for row, column in live
                ),
                held=sum(max(0, row[layout.B_HELD]) for row, _ in live),
                uncertain=sum(max(0, row[layout.B_UNCERTAIN]) for row, _ in live),
                limit=bucket.limit,
            )
        newest = max((row for row, _ in mine), key=lambda row: row[CLAIM], default=rows[0])
        width, scale = measure_of(bucket, newest[layout.W_WIDTH], newest[layout.W_SCALE])
        number, at = now_us // width, 2 * (word + layout.COUNTS_AT)
        leaves: list[tuple[int, int]] = []
        for row, column in mine:
            last = min(row[layout.W_LAST], number)
            leaves += windows.leaving(column.counts[at : at + SUBWINDOWS].tolist(), last, number)
        total = sum(amount for _, amount in leaves)
        held = sum(max(0, row[layout.W_HELD]) for row, _ in mine if number - row[layout.W_LAST] < SUBWINDOWS)
        held = min(total, held)
        excess, fits_us = total + asked - min(bucket.limit // scale, COUNT_MAX), None
        if excess > 0 and asked * scale <= bucket.limit:
            fits_us = windows.fits_us(leaves, excess, width)
        return Reading(settled=(total - held) * scale, held=held * scale, limit=bucket.limit, fits_us=fits_us)
