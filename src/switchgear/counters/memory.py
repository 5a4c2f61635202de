"""Counters of one process, in its memory: exact, and gone with it. Level 2.

It fails towards refusing: where no bucket is idle and there is no room for another, the answer is Unknown.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count, islice

from switchgear.counters.backend import Answer, Done, Full, Taken, Ticket, Unknown, check_holds
from switchgear.policies import windows
from switchgear.policies.buckets import Bucket, Hold, Kind, Reading

BUCKETS_MAX = 262_144
"""About 1 KB each where it is a window, so 270 MB at most."""
SHARE_MAX = 0.5
"""Of the buckets may belong to values of dimensions, and three quarters of that to those of one key."""
LOOKED_AT_MAX = 8
"""Buckets that a new one looks at for one that is idle: a bound for the cost of a take."""


_order = count()


class _Level:
    """Slots, or a balance."""

    __slots__ = ("held", "is_balance", "settled", "uncertain")

    def __init__(self, is_balance: bool) -> None:
        self.is_balance = is_balance
        self.settled = 0
        self.held = 0
        self.uncertain = 0


class _Counted:
    """A bucket and its counts."""

    __slots__ = ("bucket", "counts", "keep_until_us", "used_us")

    def __init__(self, bucket: Bucket, now_us: int) -> None:
        self.bucket = bucket
        self.used_us = now_us
        self.keep_until_us = bucket.keep_until_us
        self.counts: windows.Ring | _Level = (
            windows.Ring(windows.width_us(bucket.window_us))
            if bucket.kind == Kind.WINDOW
            else _Level(bucket.kind == Kind.BALANCE)
        )

    def is_idle(self, now_us: int) -> bool:
        counts = self.counts
        if now_us <= self.used_us:
            return False
        if isinstance(counts, windows.Ring):
            return now_us >= windows.ends_us(counts.last, counts.width)
        if self.bucket.kind == Kind.BALANCE and (self.keep_until_us is None or now_us < self.keep_until_us):
            return False
        return not counts.held


class _Ticket(Ticket):
    __slots__ = ("held", "is_open", "is_uncertain")

    def __init__(self, held: list[tuple[windows.Ring | _Level, int, int, bool]]) -> None:
        self.held = held
        """(counts, sub-window, amount, whether it is in the sum of what is held)."""
        self.is_open = True
        self.is_uncertain = False


class MemoryCounters:
    """All counts of one process."""

    def __init__(self, now_us: Callable[[], int], buckets_max: int = BUCKETS_MAX, share_max: float = SHARE_MAX) -> None:
        """`now_us`: microseconds of a clock that never jumps."""
        self._now_us = now_us
        self._buckets_max = buckets_max
        self._share_max = int(buckets_max * share_max)
        self._counted: dict[str, _Counted] = {}
        self._by_use: dict[tuple[Kind, int], OrderedDict[str, _Counted]] = {}
        """Of each length of window in the order of their last use, so the idle ones stand first."""
        self._shares: dict[str, int] = {}
        self._shared = 0
        self._uncertain: list[tuple[int, int, _Ticket]] = []
        """(end, order, ticket), a heap."""

    def __len__(self) -> int:
        return len(self._counted)

    def take(self, holds: Sequence[Hold], attempt: str, done: Done) -> Answer:
        """Take all holds or none, at once."""
        check_holds(holds)
        now_us = self._look()
        found: list[_Counted] = []
        lacking: list[int] = []
        asked: dict[str, int] = {}
        for hold in holds:
            counted = self._find(hold.bucket, now_us)
            if counted is None:
                return Unknown("no room for another counter")
            found.append(counted)
        for at, (hold, counted) in enumerate(zip(holds, found, strict=True)):
            bucket = counted.bucket
            amount = asked[bucket.key] = asked.get(bucket.key, 0) + hold.amount
            if hold.bucket.is_hard and _used(counted) + amount > hold.bucket.limit:
                lacking.append(at)
        if lacking:
            readings = tuple(
                self._reading(counted, hold.bucket.limit, asked[counted.bucket.key], now_us)
                for hold, counted in zip(holds, found, strict=True)
            )
            return Full(tuple(lacking), readings)
        held: list[tuple[windows.Ring | _Level, int, int, bool]] = []
        for hold, counted in zip(holds, found, strict=True):
            counts, number = counted.counts, 0
            if isinstance(counts, windows.Ring):
                number = counts.last
                counts.add(number, hold.amount)
            is_in_sum = hold.bucket.kind != Kind.WINDOW or hold.bucket.is_budget
            counts.held += hold.amount * is_in_sum
            counted.keep_until_us = hold.bucket.keep_until_us
            held.append((counts, number, hold.amount, is_in_sum))
        return Taken(_Ticket(held), tuple(_used(counted) for counted in found), now_us)

    def peek(self, holds: Sequence[Hold]) -> Full | None:
        """Tell whether holds would find no room now."""
        now_us = self._look()
        readings = tuple(self._read(hold.bucket, hold.amount, now_us) for hold in holds)
        lacking = tuple(
            at
            for at, (hold, found) in enumerate(zip(holds, readings, strict=True))
            if hold.bucket.is_hard and found.used + hold.amount > hold.bucket.limit
        )
        return Full(lacking, readings) if lacking else None

    def settle(self, ticket: Ticket, actual: Sequence[int]) -> None:
        """Replace what was held by what was used."""
        for (counts, number, amount, is_in_sum), used in zip(_close(ticket), actual, strict=True):
            _end(counts, number, amount, is_in_sum, used)

    def settle_partly(self, ticket: Ticket, actual: Sequence[int], until_us: int) -> None:
        """Replace what was held by what is known to be used; the rest of budgets stays uncertain."""
        rest: list[tuple[windows.Ring | _Level, int, int, bool]] = []
        for (counts, number, amount, is_in_sum), used in zip(_close(ticket), actual, strict=True):
            left = max(0, amount - used)
            if isinstance(counts, windows.Ring):
                left *= is_in_sum  # a rate's is given back
                _end(counts, number, amount, is_in_sum, used + left)
            else:
                left *= counts.is_balance
                _end(counts, number, amount, is_in_sum, used)
                counts.uncertain += left
            if left:
                counts.held += left
                rest.append((counts, number, left, True))
        if rest:
            assert isinstance(ticket, _Ticket)
            ticket.held, ticket.is_open, ticket.is_uncertain = rest, True, True
            heapq.heappush(self._uncertain, (until_us, next(_order), ticket))

    def release(self, ticket: Ticket) -> None:
        """Give everything back."""
        for counts, number, amount, is_in_sum in _close(ticket):
            _end(counts, number, amount, is_in_sum, 0)

    def read(self, buckets: Sequence[Bucket]) -> tuple[Reading, ...]:
        """Return what buckets count now."""
        now_us = self._look()
        return tuple(self._read(bucket, 0, now_us) for bucket in buckets)

    def _look(self) -> int:
        """Let go of what is uncertain no more; returns the time."""
        now_us = self._now_us()
        while self._uncertain and self._uncertain[0][0] <= now_us:
            *_, ticket = heapq.heappop(self._uncertain)
            if ticket.is_open:
                self.release(ticket)
        return now_us

    def _read(self, bucket: Bucket, asked: int, now_us: int) -> Reading:
        counted = self._counted.get(bucket.key) or _Counted(bucket, now_us)
        return self._reading(counted, bucket.limit, asked, now_us)

    def flush(self) -> None:
        """Nothing ever waits here."""

    def _find(self, bucket: Bucket, now_us: int) -> _Counted | None:
        """Return a bucket's counts, or its overflow's, made where there are none; None: no room."""
        counted = self._counted.get(bucket.key)
        if counted is not None:
            self._by_use[bucket.kind, bucket.window_us].move_to_end(bucket.key)
        elif self._has_room(bucket, now_us):
            counted = self._counted[bucket.key] = _Counted(bucket, now_us)
            self._by_use.setdefault((bucket.kind, bucket.window_us), OrderedDict())[bucket.key] = counted
            if bucket.share:
                self._shares[bucket.share] = self._shares.get(bucket.share, 0) + 1
                self._shared += 1
        elif bucket.overflow is not None:
            return self._find(bucket.overflow, now_us)
        if counted is not None:
            counted.used_us = now_us
            if isinstance(counted.counts, windows.Ring):
                counted.counts.advance(now_us)
        return counted

    def _has_room(self, bucket: Bucket, now_us: int) -> bool:
        for by_use in self._by_use.values():
            for key in list(islice(by_use, LOOKED_AT_MAX)):
                counted = by_use[key]
                if counted.is_idle(now_us):
                    del by_use[key], self._counted[key]
                    if counted.bucket.share:
                        self._shares[counted.bucket.share] -= 1
                        self._shared -= 1
                        if not self._shares[counted.bucket.share]:
                            del self._shares[counted.bucket.share]
                elif counted.bucket.kind != Kind.WINDOW:
                    by_use.move_to_end(key)
        if bucket.share:
            mine = self._shares.get(bucket.share, 0)
            if self._shared >= self._share_max or mine >= self._share_max * 3 // 4:
                return False
        return len(self._counted) < self._buckets_max

    def _reading(self, counted: _Counted, limit: int, asked: int, now_us: int) -> Reading:
        counts = counted.counts
        if isinstance(counts, _Level):
            return Reading(settled=counts.settled, held=counts.held, limit=limit, uncertain=counts.uncertain)
        counts.advance(now_us)
        held = min(counts.held, counts.total)
        excess = counts.total + asked - limit
        fits_us = None
        if excess > 0 and asked <= limit:
            fits_us = windows.fits_us(windows.leaving(counts.slots, counts.last, counts.last), excess, counts.width)
        return Reading(settled=counts.total - held, held=held, limit=limit, fits_us=fits_us)


def _used(counted: _Counted) -> int:
    counts = counted.counts
    return counts.total if isinstance(counts, windows.Ring) else counts.settled + counts.held


def _close(ticket: Ticket) -> list[tuple[windows.Ring | _Level, int, int, bool]]:
    if not isinstance(ticket, _Ticket) or not ticket.is_open:
        raise KeyError("this ticket is settled or released already")
    ticket.is_open = False
    if ticket.is_uncertain:
        for counts, _, amount, _ in ticket.held:
            if isinstance(counts, _Level):
                counts.uncertain -= amount
    return ticket.held


def _end(counts: windows.Ring | _Level, number: int, amount: int, is_in_sum: bool, used: int) -> None:
    counts.held -= amount * is_in_sum
    if isinstance(counts, windows.Ring):
        counts.add(number, used - amount)
    elif counts.is_balance:
        counts.settled += used
