"""Control gives the balances: after a boot, a lost column, a restored store. Level 2 (docs/invariants.md N2).

    rebuild = Rebuild(counters, now_us)          # of control's own column; from now on budgeted requests get Unknown
    rebuild.balance(bucket, settled)             # each that is not 0: of the store and the spools that it has not ingested
    rebuild.hold(attempt, holds, until_us)       # each request that is open there: what it holds stays uncertain
    rebuild.window(bucket, [(age_us, amount)])   # each rolling budget and long limit
    rebuild.end()                                # from now on they are known

What columns counted in balances before counts no more, since it is in what control read; requests that were open then are the holds
that control gives, and it settles them as it ingests their records. Limits and slots go on untouched. A rebuild that is not ended
leaves the balances unknown, also after a kill.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence

from switchgear.counters import layout
from switchgear.counters.backend import Ticket, check_holds
from switchgear.counters.layout import BALANCE, EPOCH, H_PLACE, HEADER_WORDS, HOLD_WORDS, ROW_WORDS, WAYS, WORD
from switchgear.counters.shared import SharedCounters
from switchgear.counters.tables import SHARE_ROWS_MAX, SHARES_ROWS_MAX, Seat
from switchgear.policies.buckets import Bucket, Hold

_ROW = struct.Struct("=7q")


class Rebuild:
    """One giving of all balances."""

    def __init__(self, counters: SharedCounters, now_us: int) -> None:
        """Forget all balances. Raises BlockingIOError when the counters are busy: then nothing is forgotten."""
        self._counters, self._own, self._tables = counters, counters.own, counters.tables
        self._now_us = now_us
        self._lock()
        try:
            self._own.words[EPOCH] = 0
            self._epoch = max(now_us, self._newest_claim() + 1)
            self._empty()
        finally:
            counters.let_go()
        self._at = self._own.tables_at[BALANCE] * WORD
        self._used = bytearray(self._own.geometry.balances // WAYS)
        """How many rows of each set are used."""
        self._values = bytearray(len(self._used))
        """How many of them are of values of a dimension."""
        self._of_share: Counter[tuple[int, int]] = Counter()
        """How many of them are of one share, by set."""

    def balance(self, bucket: Bucket, settled: int) -> bool:
        """Give a balance, each once; returns whether there was room. Where there is none, edges find none either: a value's
        requests then count in its overflow (`tables.Tables.seat`), and those of others get Unknown."""
        used, tag = self._used, self._tables.tag_of(bucket.key)
        first, second = self._tables.sets_of(BALANCE, tag)
        chosen = first if used[first] <= used[second] else second
        way = used[chosen]
        share = self._tables.tag_of(bucket.share) if bucket.share else 0
        if way >= WAYS or (share and self._is_share_full(first, second, share)):
            return False
        used[chosen] = way + 1
        if share:
            self._values[chosen] += 1
            self._of_share[chosen, share] += 1
        at = self._at + (chosen * WAYS + way) * _ROW.size
        keep_until_us = bucket.keep_until_us or 0
        _ROW.pack_into(self._own.map, at, tag, self._epoch + 1, keep_until_us, settled, 0, 0, share)
        return True

    def _is_share_full(self, first: int, second: int, share: int) -> bool:
        """As `Tables` tells, so that an edge looks for a value where it was given."""
        mine = self._of_share[first, share] + self._of_share[second, share]
        return self._values[first] + self._values[second] >= SHARES_ROWS_MAX or mine >= SHARE_ROWS_MAX

    def hold(self, attempt: str, holds: Sequence[Hold], until_us: int) -> Ticket:
        """Give what an open request holds of balances. It is uncertain until it is settled, released, or `until_us`. Raises
        ValueError where there is no room."""
        check_holds(holds)
        seats: list[Seat] = []
        self._tables.epoch, self._tables.pinned = self._epoch, seats
        for hold in holds:
            seat = self._tables.seat(hold.bucket, self._now_us)
            if seat is None or hold.bucket.kind != BALANCE:
                raise ValueError("there is no room for more balances, or a hold is of none")
            seats.append(seat)
        if len(self._counters.holds.free) < len(holds):
            raise ValueError("there is no room for more open requests")
        ticket = self._counters.holds.take(holds, seats, attempt, self._now_us)
        for held in ticket.holds:
            self._counters.holds.make_uncertain(held, until_us)
        ticket.until_us = until_us
        self._counters.expect(ticket)
        return ticket

    def window(self, bucket: Bucket, amounts: Iterable[tuple[int, int]]) -> None:
        """Give what a window counts, with the age of each amount in µs; a sum of many may stand for them with the youngest's.
        Raises BlockingIOError when the counters are busy, ValueError where there is no room."""
        self._lock()
        try:
            self._tables.pinned = []
            seat = self._tables.seat(bucket, self._now_us)
            if seat is None:
                raise ValueError("there is no room for more windows")
            self._counters.holds.count(seat, self._now_us, amounts)
        finally:
            self._counters.let_go()

    def end(self) -> None:
        """Say that balances are known. Raises BlockingIOError when the counters are busy: try again."""
        self._lock()
        try:
            self._own.words[EPOCH] = self._epoch
        finally:
            self._counters.let_go()

    def _lock(self) -> None:
        if not self._counters.acquire():
            raise BlockingIOError("the counters are busy")

    def _newest_claim(self) -> int:
        newest = 0
        for column in self._tables.columns:
            at = column.tables_at[BALANCE] + layout.CLAIM
            newest = max(newest, *column.words[at :: ROW_WORDS[BALANCE]].tolist())
        return newest

    def _empty(self) -> None:
        """Forget what the own column says of balances: rows and holds."""
        own, counters = self._own, self._counters
        at = own.tables_at[BALANCE] * WORD
        own.view[at:] = bytes(own.geometry.file_bytes - at)
        self._tables.forget(BALANCE)
        for tickets in counters.orphans.values():
            for ticket in tickets:
                counters.abandon(ticket)
        for _, _, uncertain in counters.uncertain:
            counters.abandon(uncertain)
        counters.orphans.clear()
        counters.uncertain.clear()
        for place in range(HEADER_WORDS, own.tables_at[layout.WINDOW], HOLD_WORDS):
            if own.words[place] and own.words[place + H_PLACE] & 7 == BALANCE:
                own.words[place] = 0
                counters.holds.free.append(place)
