"""Double entry: every attempt that the vault let out must stand in a spool of an edge. Level 3 (docs/invariants.md C8).

An edge reserves on disk before it asks the vault, so once all spools were read to their ends after an attempt was seen in the
journal, an attempt that no spool names was made by something that is not the edge's own code. The journal is looked through as
bytes: parsing each record would cost more than ingesting the request.
"""

import os
import re
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from switchgear.core.errors import RecordError
from switchgear.ledger.claims import ENVELOPE_BYTES, Claim, contradiction, is_free, is_thin
from switchgear.spool import files
from switchgear.spool.reader import Position
from switchgear.wire import records
from switchgear.wire.records import Kind

READ_BYTES = 256 * 1024
_ZEROS = bytes(4096)
_SIZE = struct.Struct("<I")
_decode_done = msgspec.msgpack.Decoder(records.AttemptEnd).decode
DISPATCH, ATTEMPT_END = int(Kind.DISPATCH), int(Kind.ATTEMPT_END)
FREE_BYTES_MIN = 32
"""So many zeros are the free part of a segment: a read that was cut inside a record may end with a few."""
RECORD_BYTES_MAX = 512
"""A dispatch is shorter: how much of a read may be the beginning of one that is not whole yet."""
SEEN_MAX = 65_536
PENDING_MAX = 200_000
"""While the ledger stands still, the journal waits on disk and not in memory."""
_RECORD = re.compile(rb"[\x94-\x9f](?:[\xa0-\xbf]|\xd9.)([0-9a-z]{1,40}-[0-9]{1,3})", re.S)
"""records.Dispatch and AttemptEnd in msgpack: arrays that begin with the attempt's id. Which of them, the head before says."""
OPEN_MAX = 100_000
"""Ends without claims, and claims without ends, that are remembered; the oldest are let go."""
UNSETTLED_SOON_S = 20.0
"""Many answers that ended so long ago and are not settled are told at once (control/double_entry)."""
UNSETTLED_S = 3_600.0
"""An answer that ended so long ago and is not settled: no client reads so slowly (limits.write_stall_s)."""


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
        self._dones: dict[str, tuple[float, records.AttemptEnd]] = {}
        self._claims: dict[str, Claim] = {}
        self._awaiting: dict[str, float] = {}
        """Attempts of requests that are not settled yet."""
        self.contradictions: list[Unspooled] = []
        """What the two books do not agree on, since the last look."""
        self.free = 0
        """Answers that came whole and that the edges booked as nothing, since the start: some providers put errors under 200."""
        self.thin = 0
        """Answers far larger than the words that were booked for them, since the start: images in them, or lies."""
        self.unsettled_now = 0
        """Answers that ended UNSETTLED_SOON_S ago and more, and are not settled."""
        self.compared = 0
        """Attempts whose end both books tell."""
        self.repeated: list[str] = []
        """Attempts that were dispatched twice, since the last look."""
        self.checked = 0

    def scan(self, now_s: float) -> None:
        """Read what the journal has now. It ends at the end that it sees: a vault at work always writes more meanwhile."""
        self._at_end = False
        while not self._at_end and len(self._pending) < PENDING_MAX and (found := self._read()) is not None:
            for attempt, done in found:
                if done is not None:
                    self._on_done(attempt, done, now_s)
                    continue
                if attempt in self._pending or attempt in self._seen[0] or attempt in self._seen[1]:
                    self.repeated.append(attempt)
                    continue
                self._pending[attempt] = now_s
        self._marks.append((now_s, self.position))

    def _on_done(self, attempt: str, done: records.AttemptEnd, now_s: float) -> None:
        claim = self._claims.pop(attempt, None)
        if claim is not None:
            self._compare(attempt, claim, done)
            return
        if len(self._dones) >= OPEN_MAX:
            del self._dones[next(iter(self._dones))]
        self._dones[attempt] = (now_s, done)

    def _on_claim(self, attempt: str, claim: Claim | None) -> None:
        found = self._dones.pop(attempt, None)
        if claim is None:
            return
        if found is not None:
            self._compare(attempt, claim, found[1])
            return
        if len(self._claims) >= OPEN_MAX:
            del self._claims[next(iter(self._claims))]
        self._claims[attempt] = claim

    def _compare(self, attempt: str, claim: Claim, done: records.AttemptEnd) -> None:
        self.compared += 1
        reason = contradiction(claim, done)
        if reason is not None:
            self.contradictions.append(Unspooled(attempt, reason))
        elif not claim.tokens:
            self.free += is_free(claim, done)
        elif done.bytes_in > ENVELOPE_BYTES:
            self.thin += is_thin(claim, done)

    def _read(self) -> list[tuple[str, records.AttemptEnd | None]] | None:
        segment, offset = self.position.segment, self.position.offset
        try:
            fd = files.open_to_read(self._folder / files.segment_name(segment))
        except FileNotFoundError:
            return self._advance(segment)
        except RecordError:
            self.position = Position(segment + 1, 0)  # no segment at all
            return []
        try:
            data = os.pread(fd, READ_BYTES, offset)
        finally:
            os.close(fd)
        written = _without_zeros(data)
        self._at_end = len(data) - len(written) >= FREE_BYTES_MIN
        end = 0
        found: list[tuple[str, records.AttemptEnd | None]] = []
        for match in _RECORD.finditer(written):
            if match.end() + RECORD_BYTES_MAX // 4 > len(written) and len(written) == READ_BYTES:
                break  # the read ends in the middle of it: the next one begins here
            head = match.start() - records.HEADER.size
            if head < 0:
                continue
            kind = written[head + 2]
            if kind == DISPATCH:
                found.append((match[1].decode("ascii"), None))
            elif kind == ATTEMPT_END:
                size = _SIZE.unpack_from(written, head + 4)[0]
                done = _done(written[head + records.HEADER.size : head + records.HEADER.size + size], size)
                if done is not None:
                    found.append((done.attempt_id, done))
                elif match.start() + RECORD_BYTES_MAX > len(written):
                    break  # it is being written: the next look begins here
            end = match.end()
        if found:
            self.position = Position(segment, offset + end)
            return found
        if len(written) == READ_BYTES:
            self.position = Position(segment, offset + READ_BYTES - RECORD_BYTES_MAX)
            return []
        return self._advance(segment)

    def _advance(self, segment: int) -> list[tuple[str, records.AttemptEnd | None]] | None:
        later = [number for number in files.segment_numbers(self._folder) if number > segment]
        if not later:
            return None
        self.position = Position(later[0], 0)
        return []

    def settle(self, known: Mapping[str, Claim | None], open_tries: Callable[[str], int], now_s: float = 0.0) -> None:
        """Cross out the attempts that spools named. `known`: those of settled requests, and what is claimed of them; `open_tries`:
        the tries of a request that is not settled, 0 where no spool names it."""
        dones, pending, awaiting = self._dones, self._pending, self._awaiting
        for attempt, claim in known.items():
            found = dones.pop(attempt, None)
            if found is not None:
                if claim is not None:
                    self._compare(attempt, claim, found[1])
            elif attempt in pending or attempt in awaiting:
                self._on_claim(attempt, claim)
            if awaiting:
                awaiting.pop(attempt, None)
        self._cross_out(self._pending.keys() & known.keys())
        opened = [attempt for attempt in self._pending if _is_open(attempt, open_tries)]
        self._cross_out(opened)
        for attempt in opened:
            self._awaiting[attempt] = now_s
        while len(self._awaiting) > OPEN_MAX:
            del self._awaiting[next(iter(self._awaiting))]

    def unsettled(self, now_s: float, open_tries: Callable[[str], int], read_until_s: float = float("inf")) -> None:
        """Note the answers that ended long ago and that nobody settled; count those that ended a while ago. `read_until_s`: when
        the last look began that read all spools to their ends."""
        self.unsettled_now = 0
        for attempt, (seen_s, done) in list(self._dones.items()):
            if now_s - seen_s < UNSETTLED_S:
                if min(now_s, read_until_s) - seen_s < UNSETTLED_SOON_S:
                    return  # in the order of their coming
                self.unsettled_now += attempt in self._awaiting
                continue
            del self._dones[attempt]
            if self._awaiting.pop(attempt, None) is None:
                continue
            if _is_open(attempt, open_tries):
                self.contradictions.append(Unspooled(attempt, f"the provider answered {done.status}, never settled"))
            else:
                self._pending[attempt] = now_s  # its reservation is gone: the store is asked

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

    def judge(
        self,
        attempts: Collection[str],
        tries_in_store: Mapping[str, int],
        claims_in_store: Mapping[str, Claim | None] = MappingProxyType({}),
    ) -> list[str]:
        """Take overdue attempts off the list; returns those that not even the store knows."""
        missing = []
        for attempt in attempts:
            request_id, _, number = attempt.rpartition("-")
            if tries_in_store.get(request_id, 0) < int(number):
                missing.append(attempt)
            else:
                self._on_claim(attempt, claims_in_store.get(attempt))
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


def _done(payload: bytes, size: int) -> records.AttemptEnd | None:
    """Decode the end of an attempt; None for what is not whole yet or none at all."""
    if len(payload) != size:
        return None
    try:
        return _decode_done(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _is_open(attempt: str, open_tries: Callable[[str], int]) -> bool:
    request_id, _, number = attempt.rpartition("-")
    return open_tries(request_id) >= int(number)
