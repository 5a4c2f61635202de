"""What a simulated day really used: plain books beside the counters, and what is said when both do not agree. Level 7.

Nothing here is shared with `counters` or `policies`: sums over lists, one for each bucket.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from switchgear.counters.backend import Counters, Unknown
from switchgear.policies.buckets import Bucket, Hold, Kind

TOLERANCE = 1.04
"""A window may count what has left it for a 63rd of its length, and no longer."""


class Entry(msgspec.Struct, eq=False):
    """What one request was admitted with, in one window."""

    at_us: int
    amount: int
    is_gone: bool = False
    """It has left its window."""


class Book(msgspec.Struct, eq=False):
    """One bucket."""

    bucket: Bucket
    settled: int = 0
    held: int = 0
    uncertain: int = 0
    """Of `held`: what belongs to requests whose edge died, until it expires."""
    overrun: int = 0
    """What was billed beyond what was held."""
    entries: deque[Entry] = msgspec.field(default_factory=deque)
    late: deque[Entry] = msgspec.field(default_factory=deque)
    """Those that have left the window, and may still be counted."""
    recent: int = 0
    """The sum of the entries."""

    def forget(self, now_us: int) -> None:
        """Entries that are older than the window count no more."""
        window_us = self.bucket.window_us
        while self.entries and self.entries[0].at_us <= now_us - window_us:
            gone = self.entries.popleft()
            gone.is_gone = True
            self.recent -= gone.amount
            self.late.append(gone)
        while self.late and self.late[0].at_us < now_us - window_us * TOLERANCE - 2:
            self.late.popleft()


class Line(msgspec.Struct, eq=False):
    """One hold of a ticket."""

    book: Book
    amount: int
    entry: Entry | None


class Truth:
    """All books. `violations` are sentences; the first hundred are kept."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.violations: list[str] = []
        self.checks = 0

    def _expect(self, holds: bool, text: str) -> None:
        self.checks += 1
        if not holds and len(self.violations) < 100:
            self.violations.append(text)

    def admitted(self, holds: Sequence[Hold], now_us: int) -> list[Line]:
        """Holds were taken: there must have been room for each. Returns what `settled` or `released` is to be told."""
        lines = []
        for hold in holds:
            bucket, amount, entry = hold.bucket, hold.amount, None
            book = self.books.get(bucket.key)
            if book is None:
                book = self.books[bucket.key] = Book(bucket)
            if bucket.kind == Kind.WINDOW:
                book.forget(now_us)
                entry = Entry(now_us, amount)
                book.entries.append(entry)
                book.recent += amount
                used = book.recent
            else:
                book.held += amount
                used = book.held + book.settled * (bucket.kind == Kind.BALANCE)
            if bucket.is_hard:
                self._expect(used <= bucket.limit, f"{bucket.key}: {used} of {bucket.limit} admitted at {now_us}")
            lines.append(Line(book, amount, entry))
        return lines

    def settled(self, lines: Sequence[Line], used: Sequence[int], is_certain: bool = True) -> list[Line]:
        """What was used of each is known. Where not for certain, what is left of balances stays held: it is returned."""
        rest = []
        for line, amount in zip(lines, used, strict=True):
            book = line.book
            if line.entry is not None:
                if not line.entry.is_gone:
                    book.recent += amount - line.entry.amount
                line.entry.amount = amount
                continue
            book.held -= line.amount
            if book.bucket.kind == Kind.BALANCE:
                book.settled += amount
                book.overrun += max(0, amount - line.amount)
                if not is_certain and amount < line.amount:
                    left = line.amount - amount
                    book.held += left
                    book.uncertain += left
                    rest.append(Line(book, left, None))
        return rest

    def expired(self, rest: Sequence[Line]) -> None:
        """What was uncertain is held no more."""
        for line in rest:
            line.book.held -= line.amount
            line.book.uncertain -= line.amount

    def spent(self, hold: Hold) -> None:
        """Somebody was told that a budget is spent: it must be, for this request."""
        book = self.books.get(hold.bucket.key)
        settled = book.settled if book is not None else 0
        text = f"{hold.bucket.key}: spent was said at {settled} + {hold.amount} of {hold.bucket.limit}"
        self._expect(settled + hold.amount > hold.bucket.limit, text)

    def compare(self, counters: Counters, books: Sequence[Book], now_us: int) -> None:
        """Compare counters with the books."""
        readings = counters.read([book.bucket for book in books])
        assert not isinstance(readings, Unknown)
        for book, reading in zip(books, readings, strict=True):
            key, kind = book.bucket.key, book.bucket.kind
            until_us = book.bucket.keep_until_us
            if until_us is not None and now_us >= until_us and not book.held and not reading.used:
                continue  # its period is long over, and it was forgotten
            self._expect(min(reading.settled, reading.held, reading.uncertain) >= 0, f"{key}: negative: {reading}")
            if kind == Kind.WINDOW:
                book.forget(now_us)
                most = book.recent + sum(one.amount for one in book.late)
                text = f"{key}: {reading.used} are counted, and {book.recent} were used"
                self._expect(book.recent <= reading.used and (reading.used <= most or not book.bucket.is_hard), text)
                continue
            self._expect(reading.held == book.held, f"{key}: {reading.held} held, and {book.held} are open")
            if kind == Kind.BALANCE:
                self._expect(reading.settled == book.settled, f"{key}: {reading.settled}, booked are {book.settled}")
                self._expect(reading.uncertain == book.uncertain, f"{key}: {reading.uncertain} uncertain")
                over = book.settled - book.bucket.limit
                self._expect(over <= book.overrun, f"{key}: {over} over its limit, {book.overrun} of it overruns")
