"""Where a bucket's row is, in all columns at once. Level 2. Everything here is done under the lock.

A bucket may stand in the 32 rows of two sets. A row belongs to the bucket of the newest claim; it may be claimed for another only
where no column counts anything in it any more. Values of dimensions, which clients may invent, get at most half of the 32, and
those of one key at most three quarters of that: so they never push out a rule's own bucket, nor one key all others' values, and
none looks further than 32 rows.
"""

import mmap
from array import array
from collections.abc import Sequence
from hashlib import blake2b

from switchgear.counters import layout
from switchgear.counters.column import Column
from switchgear.counters.layout import CLAIM, COUNTS_AT, ROW_WORDS, TAG, WAYS, WORD
from switchgear.policies import windows
from switchgear.policies.buckets import Bucket, Kind

SHARES_ROWS_MAX = WAYS
SHARE_ROWS_MAX = WAYS * 3 // 4
"""Rows of 32 for the values of all keys, and of one."""
SEATS_MAX = 65_536
"""Buckets whose places a process remembers, about 500 bytes each; others are looked for again, which costs ten takes."""
WIDTH_US_MAX = windows.width_us(400 * 86_400_000_000)
SCALE_MAX = windows.scale(10**18)
"""Of the longest rolling budget, and of the largest (`policies.budgets`)."""
_ZEROS = memoryview(array("I", bytes(4 * windows.SUBWINDOWS)))


SUMS_AT = {layout.WINDOW: layout.W_LAST, layout.SLOTS: layout.S_HELD, layout.BALANCE: layout.B_SETTLED}


def measure_of(bucket: Bucket, width: int, scale: int) -> tuple[int, int]:
    """Return how wide the sub-windows of a bucket are, in µs, and in units of how much it counts; (0, 1): it is no window.

    A limit's follow from the bucket. A budget keeps its counts when its limit or window changes, so what stands in the row counts
    for it, where that can be true: any process may have written it, also one that was taken over."""
    if bucket.kind != Kind.WINDOW:
        return 0, 1
    if bucket.is_budget and 0 < width <= WIDTH_US_MAX and 0 < scale <= SCALE_MAX:
        return width, scale
    return windows.width_us(bucket.window_us), windows.scale(bucket.limit)


class Seat:
    """A bucket's row, as this process knows it, with its own claim."""

    __slots__ = ("byte", "claim", "count", "key", "kind", "maps", "row", "scale", "seen", "tag", "width", "word")

    def __init__(self, key: str, kind: int, tag: int, row: int, word: int, claim: int) -> None:
        self.key, self.kind, self.tag, self.row, self.word, self.claim = key, kind, tag, row, word, claim
        self.byte = (word + SUMS_AT[kind]) * WORD
        """Where two sums begin: last and total of a window, settled and held of a balance; held of slots."""
        self.maps: list[mmap.mmap] = []
        """The columns that count it, as they were at `seen`."""
        self.seen = -1
        self.count = 2 * (word + COUNTS_AT)
        """Where its counts begin, in words of 4 bytes; of a window."""
        self.width = 0
        self.scale = 1
        """Amounts are counted in units of so much, so that large ones fit; of a window."""


class Tables:
    """The rows of all columns. The first column is the own one, the only one that is written to."""

    def __init__(self, columns: Sequence[Column], salt: bytes) -> None:
        self.columns = columns
        self.own = columns[0]
        self._salt = salt
        self.seats: dict[str, Seat] = {}
        """By key, at most SEATS_MAX and a request's."""
        self._keys: dict[tuple[int, int], str] = {}
        self.latest_us = 0
        """A claim after it is no process's of the gateway: it does not count."""
        self.epoch = 0
        """Balances of older claims do not count."""
        self.pinned: list[Seat] = []
        """Seats of the request that is looked at: idle or not, they are not given away."""

    def tag_of(self, name: str) -> int:
        """Return what a bucket is known by in the columns: 62 bits, keyed, so that nobody finds two names with one tag."""
        return int.from_bytes(blake2b(self._salt + name.encode(), digest_size=8).digest(), "little") >> 2 | 1

    def seat(self, bucket: Bucket, now_us: int) -> Seat | None:
        """Return a bucket's row, claimed if it has none, or that of its overflow; None: there is no room. The caller looks
        whether another column has claimed the row since (`see`)."""
        seat = self.seats.get(bucket.key)
        if seat is None:
            seat = self._find(bucket, now_us)
            if seat is None and bucket.overflow is not None:
                return self.seat(bucket.overflow, now_us)
        return seat

    def see(self, seat: Seat, stamp: int) -> bool:
        """Find the columns that count a bucket; False: its row is another's by now, or its balance of before a rebuild."""
        word, tag, claim = seat.word, seat.tag, seat.claim
        least = self.epoch if seat.kind == layout.BALANCE else 0
        if claim <= least:
            return False
        seat.maps = []
        for column in self.columns:
            theirs, their_claim = column.words[word : word + 2].tolist()
            if theirs == tag:
                if their_claim > least:
                    seat.maps.append(column.map)
            elif theirs and claim < their_claim <= self.latest_us:
                return False
        seat.seen = stamp
        return True

    def again(self, bucket: Bucket, seat: Seat, now_us: int) -> Seat | None:
        """Return a bucket's row where another column has claimed the one that it had."""
        self._forget(seat.kind, seat.row)
        return self.seat(bucket, now_us)

    def look(self, bucket: Bucket) -> int | None:
        """Return the word at which a bucket's row begins; None: nobody counts it. Claims nothing."""
        tag = self.tag_of(bucket.key)
        rows = self._candidates(bucket.kind, tag)
        for row, (_, owner, _) in zip(rows, self._owners(bucket.kind, rows), strict=True):
            if owner == tag:
                return self.own.row_at(bucket.kind, row)
        return None

    def _forget(self, kind: int, row: int) -> None:
        key = self._keys.pop((kind, row), None)
        if key is not None:
            del self.seats[key]

    def sets_of(self, kind: int, tag: int) -> tuple[int, int]:
        """Return the two sets in which a bucket may stand."""
        sets = self.own.geometry.rows(kind) // WAYS
        first, second = (tag >> 1) % sets, (tag >> 32) % sets
        return first, second if first != second else (first + 1) % sets

    def forget(self, kind: int) -> None:
        """Forget where this process's buckets of a kind stand."""
        for seat in [seat for seat in self.seats.values() if seat.kind == kind]:
            self._forget(kind, seat.row)

    def _candidates(self, kind: int, tag: int) -> list[int]:
        first, second = self.sets_of(kind, tag)
        return [*range(first * WAYS, first * WAYS + WAYS), *range(second * WAYS, second * WAYS + WAYS)]

    def _owners(self, kind: int, rows: list[int]) -> list[tuple[int, int, int]]:
        """Return (claim, tag, index of the column) of the newest claim of each row; (0, 0, 0): nobody's."""
        owners = [(0, 0, 0)] * len(rows)
        width, table_at = ROW_WORDS[kind], self.own.tables_at[kind]
        least, latest = self.epoch if kind == layout.BALANCE else 0, self.latest_us
        for half in (0, WAYS):
            at = table_at + rows[half] * width
            end = at + WAYS * width
            for index, column in enumerate(self.columns):
                tags = column.words[at + TAG : end : width].tolist()
                if not any(tags):
                    continue
                claims = column.words[at + CLAIM : end : width].tolist()
                for way in range(WAYS):
                    if tags[way] and least < claims[way] <= latest and claims[way] > owners[half + way][0]:
                        owners[half + way] = (claims[way], tags[way], index)
        return owners

    def _find(self, bucket: Bucket, now_us: int) -> Seat | None:
        kind, tag = int(bucket.kind), self.tag_of(bucket.key)
        rows = self._candidates(kind, tag)
        owners = self._owners(kind, rows)
        for at, (claim, owner, index) in enumerate(owners):
            if owner == tag:
                return self._join(bucket, tag, rows[at], claim, index, now_us)
        chosen = self._choose(bucket, rows, owners, now_us)
        if chosen is None:
            return None
        width, scale = measure_of(bucket, 0, 0)
        claim = max(now_us, owners[chosen][0] + 1, self.epoch + 1)
        return self._claim(bucket, tag, rows[chosen], claim, width, scale)

    def _choose(self, bucket: Bucket, rows: list[int], owners: list[tuple[int, int, int]], now_us: int) -> int | None:
        """Return which candidate a new bucket gets; None: there is none."""
        if bucket.share and self._is_share_full(bucket, rows, owners, now_us):
            return None
        pinned = {seat.row for seat in self.pinned if seat.kind == bucket.kind}
        free = [not owner and row not in pinned for row, (_, owner, _) in zip(rows, owners, strict=True)]
        if not any(free):
            free = [row not in pinned and self.is_idle(bucket.kind, row, now_us) for row in rows]
        half = 0 if sum(free[:WAYS]) >= sum(free[WAYS:]) else WAYS
        return free.index(True, half, half + WAYS) if any(free) else None

    def _is_share_full(self, bucket: Bucket, rows: list[int], owners: list[tuple[int, int, int]], now_us: int) -> bool:
        """Tell whether values have their part of these rows, all together or those of the bucket's key, not counting idle ones."""
        mine, word = self.tag_of(bucket.share), layout.SHARE_AT[bucket.kind]
        shares = [
            (self.columns[index].words[self.own.row_at(bucket.kind, row) + word], row)
            for row, (_, owner, index) in zip(rows, owners, strict=True)
            if owner
        ]
        if sum(share != 0 for share, _ in shares) < SHARE_ROWS_MAX:
            return False
        busy = [share for share, row in shares if share and not self.is_idle(bucket.kind, row, now_us)]
        return len(busy) >= SHARES_ROWS_MAX or busy.count(mine) >= SHARE_ROWS_MAX

    def is_idle(self, kind: int, row: int, now_us: int) -> bool:
        """Tell whether no column counts anything in a row."""
        at = self.own.row_at(kind, row)
        return all(self._is_idle(column, kind, at, now_us) for column in self.columns)

    def _is_idle(self, column: Column, kind: int, at: int, now_us: int) -> bool:
        words = column.words
        if not words[at + TAG]:
            return True
        if kind == layout.WINDOW:
            return now_us >= windows.ends_us(words[at + layout.W_LAST], words[at + layout.W_WIDTH])
        if kind == layout.SLOTS:
            return words[at + layout.S_HELD] == 0
        if words[at + CLAIM] <= self.epoch:
            return True
        keep_us = words[at + layout.B_KEEP]
        return words[at + layout.B_HELD] == 0 and 0 < keep_us <= now_us

    def _join(self, bucket: Bucket, tag: int, row: int, claim: int, index: int, now_us: int) -> Seat:
        """Use a row that is this bucket's already, in this column or another."""
        at, kind = self.own.row_at(bucket.kind, row), int(bucket.kind)
        words, theirs = self.own.words, self.columns[index].words
        width, scale = measure_of(bucket, theirs[at + layout.W_WIDTH], theirs[at + layout.W_SCALE])
        least = self.epoch if kind == layout.BALANCE else 0
        if (
            words[at + TAG] == tag
            and words[at + CLAIM] > least
            and not self.is_stolen(kind, at, tag, words[at + CLAIM])
        ):
            return self._note(Seat(bucket.key, kind, tag, row, at, words[at + CLAIM]), width, scale)
        return self._claim(bucket, tag, row, max(now_us, claim + 1), width, scale)

    def is_stolen(self, kind: int, at: int, tag: int, claim: int) -> bool:
        """Tell whether another column has claimed a row for another bucket after `claim`."""
        for column in self.columns[1:]:
            theirs = column.words[at]
            if theirs and theirs != tag and claim < column.words[at + CLAIM] <= self.latest_us:
                return True
        return False

    def _claim(self, bucket: Bucket, tag: int, row: int, claim: int, width: int, scale: int) -> Seat:
        """Write an empty row. The tag stands there last: a row that was half written when its process was killed is nobody's."""
        kind, words = int(bucket.kind), self.own.words
        self._forget(kind, row)
        at = self.own.row_at(kind, row)
        words[layout.CLAIMS] += 1
        words[at + TAG] = 0
        for word in range(CLAIM, min(COUNTS_AT, ROW_WORDS[kind])):
            words[at + word] = 0
        if kind == layout.WINDOW:
            self.own.counts[2 * (at + COUNTS_AT) : 2 * (at + ROW_WORDS[kind])] = _ZEROS
            words[at + layout.W_WIDTH], words[at + layout.W_SCALE] = width, scale
        words[at + layout.SHARE_AT[kind]] = self.tag_of(bucket.share) if bucket.share else 0
        words[at + CLAIM] = claim
        words[at + TAG] = tag
        return self._note(Seat(bucket.key, kind, tag, row, at, claim), width, scale)

    def _note(self, seat: Seat, width: int, scale: int) -> Seat:
        self._forget(seat.kind, seat.row)
        seat.width, seat.scale = width, scale
        if len(self.seats) >= SEATS_MAX:
            oldest = next(iter(self.seats.values()))
            if oldest not in self.pinned:
                self._forget(oldest.kind, oldest.row)
        self.seats[seat.key] = seat
        self._keys[seat.kind, seat.row] = seat.key
        return seat
