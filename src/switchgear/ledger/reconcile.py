"""Double entry: every attempt that the vault let out must stand in a spool of an edge. Level 3 (INVARIANTS C8).

An edge reserves on disk before it asks the vault, so once all spools were read to their ends after an attempt was seen in the
journal, an attempt that no spool names was made by something that is not the edge's own code. The journal is looked through as
bytes: parsing each record would cost more than absorbing the request.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from switchgear.spool import files
from switchgear.spool.reader import Position

READ_BYTES = 256 * 1024
_ZEROS = bytes(4096)
FREE_BYTES_MIN = 32
"""So many zeros are the free part of a segment: a read that was cut inside a record may end with a few."""
RECORD_BYTES_MAX = 512
"""A dispatch is shorter: how much of a read may be the beginning of one that is not whole yet."""
SEEN_MAX = 65_536
PENDING_MAX = 200_000
"""While the ledger stands still, the journal waits on disk and not in memory."""
_DISPATCH = re.compile(rb"\x94(?:[\xa0-\xbf]|\xd9.)([0-9a-z]{1,40}-[0-9]{1,3})(?=[\xa0-\xbf\xd9])", re.S)
"""records.Dispatch in msgpack: an array of four that begins with the attempt's id, then the deployment."""


class Unspooled(msgspec.Struct, frozen=True):
    """What the two books do not agree on."""

    attempt_id: str
    reason: str


class Reconciler:
    """Follows the journal. `scan` reads, `settle` crosses out what spools named, `overdue` is what is left."""

    def __init__(self, folder: Path, start: Position | None) -> None:
        """Begin at a position, or at the newest segment."""
        self._folder = folder
        numbers = files.segment_numbers(folder)
        self.position = start or Position(numbers[-1] if numbers else 0, 0)
        self._pending: dict[str, float] = {}
        self._seen: tuple[set[str], set[str]] = (set(), set())
        self._marks: list[tuple[float, Position]] = []
        self._at_end = False
        self.repeated: list[str] = []
        """Attempts that were dispatched twice, since the last look."""
        self.checked = 0

    def scan(self, now_s: float) -> None:
        """Read what the journal has now. It ends at the end that it sees: a vault at work always writes more meanwhile."""
        self._at_end = False
        while not self._at_end and len(self._pending) < PENDING_MAX and (found := self._read()) is not None:
            for attempt in found:
                if attempt in self._pending or attempt in self._seen[0] or attempt in self._seen[1]:
                    self.repeated.append(attempt)
                    continue
                self._pending[attempt] = now_s
        self._marks.append((now_s, self.position))

    def _read(self) -> list[str] | None:
        segment, offset = self.position.segment, self.position.offset
        try:
            fd = os.open(self._folder / files.segment_name(segment), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._advance(segment)
        try:
            data = os.pread(fd, READ_BYTES, offset)
        finally:
            os.close(fd)
        written = _without_zeros(data)
        self._at_end = len(data) - len(written) >= FREE_BYTES_MIN
        end, found = 0, []
        for match in _DISPATCH.finditer(written):
            if match.end() + RECORD_BYTES_MAX // 4 > len(written) and len(written) == READ_BYTES:
                break  # the read ends in the middle of it: the next one begins here
            found.append(match.group(1).decode("ascii"))
            end = match.end()
        if found:
            self.position = Position(segment, offset + end)
            return found
        if len(written) == READ_BYTES:
            self.position = Position(segment, offset + READ_BYTES - RECORD_BYTES_MAX)
            return []
        return self._advance(segment)

    def _advance(self, segment: int) -> list[str] | None:
        later = [number for number in files.segment_numbers(self._folder) if number > segment]
        if not later:
            return None
        self.position = Position(later[0], 0)
        return []

    def settle(self, known: set[str], open_tries: Callable[[str], int]) -> None:
        """Cross out the attempts that spools named. `known`: those of settled requests; `open_tries`: the tries of a request
        that is not settled, 0 where no spool names it."""
        self._cross_out(self._pending.keys() & known)
        self._cross_out([attempt for attempt in self._pending if _is_open(attempt, open_tries)])

    def _cross_out(self, attempts: Collection[str]) -> None:
        new = self._seen[0]
        new.update(attempts)
        self.checked += len(attempts)
        for attempt in attempts:
            del self._pending[attempt]
        if len(new) > SEEN_MAX:
            self._seen = (set(), new)

    def overdue(self, read_until_s: float) -> list[str]:
        """Return the attempts that were in the journal before all spools were last read to their ends."""
        return [attempt for attempt, seen_s in self._pending.items() if seen_s < read_until_s]

    def judge(self, attempts: Collection[str], tries_in_store: Mapping[str, int]) -> list[str]:
        """Take overdue attempts off the list; returns those that not even the store knows."""
        missing = []
        for attempt in attempts:
            request_id, _, number = attempt.rpartition("-")
            if tries_in_store.get(request_id, 0) < int(number):
                missing.append(attempt)
        self._cross_out(attempts)
        return missing

    def safe_position(self) -> Position | None:
        """Return the last position before which everything was judged: where to begin after a restart."""
        oldest = min(self._pending.values(), default=float("inf"))
        done = [mark for mark in self._marks if mark[0] < oldest]
        if not done:
            return None
        self._marks = [mark for mark in self._marks if mark[0] >= oldest]
        return done[-1][1]


def _without_zeros(data: bytes) -> bytes:
    """Cut the zeros of a segment's free part: by pages, because `rstrip` looks at each byte of a megabyte."""
    size = len(data)
    while size >= len(_ZEROS) and data.endswith(_ZEROS, 0, size):
        size -= len(_ZEROS)
    return data[:size].rstrip(b"\0")


def _is_open(attempt: str, open_tries: Callable[[str], int]) -> bool:
    request_id, _, number = attempt.rpartition("-")
    return open_tries(request_id) >= int(number)
