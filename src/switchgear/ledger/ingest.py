"""Spool → store, exactly once. Level 3 (docs/invariants.md L5, L6).

The position in each spool, the records and the sums change in one transaction; a segment is unlinked after it. Nothing a
spool says is believed: fields are bounded, settlements must belong to the spool's own reservations, and the cost is
computed again from usage and price. What a settlement comes to is `ledger.settlement`'s, what an orphan comes to
`ledger.interrupted`'s.
"""

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from switchgear.core.errors import RecordError
from switchgear.core.guard import guarded
from switchgear.core.text import clean
from switchgear.dialects.kept_things import KEPT_MAX, is_id
from switchgear.ledger import build, interrupted, journal, settlement, tidy
from switchgear.ledger.balances import held_of
from switchgear.ledger.batch import Batch, SpoolFinding
from switchgear.ledger.build import FindPrice, OpenRequest
from switchgear.ledger.charges import Charges
from switchgear.ledger.claims import claims_of
from switchgear.ledger.open_requests import OpenRequests, check_id
from switchgear.ledger.record import Record
from switchgear.spool import files
from switchgear.spool.reader import Entry, Position, SpoolReader
from switchgear.store import ledger_rows
from switchgear.store.ledger_rows import SpoolRow
from switchgear.wire import records
from switchgear.wire.records import Held, Kind

BATCH_BYTES = 1024 * 1024
COUNTERS_MAX = 128
"""Codes of errors, and kinds of limits; there are fewer."""
FENCED_MAX = 10_000
RESERVE, SETTLE, ORPHAN = int(Kind.RESERVE), int(Kind.SETTLE), int(Kind.ORPHAN)
"""As plain numbers: comparing with an enumeration costs more than what it decides."""
REASON_MAX = 256


class Blocked(msgspec.Struct, frozen=True):
    """Absorption waits: the run of a dead edge must be fenced off at the vault first."""

    run_id: str


class SpoolIngester:
    """Follows one edge's spool. `ingest` fills a batch; `commit_to` writes the position in the same transaction."""

    def __init__(self, folder: Path, row: SpoolRow | None, find_price: FindPrice, journal_folder: Path) -> None:
        start = Position(row.segment, row.position) if row is not None else Position(0, 0)
        self.folder = folder
        self._reader = SpoolReader(folder, start)
        self.spool_id = self._reader.spool_id
        self.charges = Charges(find_price)
        self._journal = journal_folder
        self._open = OpenRequests()
        self._fenced: set[str] = set()
        self._foreign: str | None = None
        """The run that the vault last refused to fence for this spool."""
        self._waiting: list[Entry] = []
        self._searched: set[str] = set()
        self._evidence: dict[str, journal.Evidence] = {}
        self._done = start
        self._sequence = row.sequence if row is not None else 0
        self._records = row.records if row is not None else 0
        self._told: set[int] = set()
        """Damaged segments that were told of."""
        self._unexpected: str | None = None
        self._at = 0
        self._found_early: list[SpoolFinding] = []
        """Faults while the open reservations were read again: told with the first batch."""
        self._reread(start)

    @property
    def _damage(self) -> set[int]:
        return set(self._reader.damaged) - self._told

    def fence_done(self, run_id: str) -> None:
        """The vault will dispatch nothing more of that run."""
        if len(self._fenced) >= FENCED_MAX:
            self._fenced.clear()  # asking again costs little
        self._fenced.add(run_id)

    def fence_refused(self, run_id: str) -> None:
        """The vault knows that run as another spool's: what names it here is a lie."""
        self._foreign = run_id

    def has_more(self) -> bool:
        """Look whether there is something to ingest, without the store: an idle gateway begins no transactions."""
        if not self._waiting:
            self._waiting = self._reader.read(BATCH_BYTES)
        return bool(self._waiting or self._damage)

    def ingest(self, batch: Batch, bad: Collection[Position] = (), entries_max: int | None = None) -> Blocked | None:
        """Move what is new into the batch. Returns what it waits for, if anything.

        A record that is wrong, or that this code does not take for a reason that nobody thought of, is a finding, and absorption
        goes on behind it. `bad`: places after records that the store did not take; they are set aside unread. `entries_max`: how
        many records to take, to find such a one.
        """
        batch.findings += self._found_early
        self._found_early = []
        entries = self._waiting or self._reader.read(BATCH_BYTES)
        self._waiting = []
        if entries_max is not None:
            self._waiting, entries = entries[entries_max:], entries[:entries_max]
        at = 0
        while at < len(entries):
            blocked = self._advance(entries, at, batch, bad)
            if blocked is not None:
                self._waiting = entries[self._at :] + self._waiting
                return blocked
            if self._unexpected is None:
                break
            entry, at = entries[self._at], self._at + 1
            self._find(batch, entry.after.segment, f"a record of kind {entry.kind} is set aside: {self._unexpected}")
            self._unexpected = None
            self._pass(entry)
        if len(self._told) > len(self._reader.damaged):
            self._told.intersection_update(self._reader.damaged)
        for segment in self._damage:
            batch.findings.append(SpoolFinding(self.spool_id, segment, "a record in the middle is damaged"))
            self._told.add(segment)
        return None

    def _pass(self, entry: Entry) -> None:
        self._done = entry.after
        if 0 <= entry.sequence <= records.SEQUENCE_MAX:
            self._sequence = entry.sequence
        self._records += 1

    def _end_record(self, exc: Exception) -> None:
        self._unexpected = type(exc).__name__

    @guarded(_end_record)
    def _advance(self, entries: list[Entry], first: int, batch: Batch, bad: Collection[Position]) -> Blocked | None:
        """Take records from the `first` on, until one has to wait, or raises: `_at` is that one's number."""
        for at in range(first, len(entries)):
            entry = entries[at]
            self._at = at
            if bad and entry.after in bad:
                self._find(batch, entry.after.segment, "a record that the store does not take is set aside")
                self._open.pop(records.id_of(entry.payload) or "")
                self._pass(entry)
                continue
            try:
                if entry.kind == ORPHAN:
                    orphan = self._orphan(entry)
                    if orphan.id in self._open and orphan.run_id == self._foreign:
                        raise RecordError(f"an orphan of a run of another spool: {orphan.id[:40]}")
                    if orphan.id in self._open and orphan.run_id not in self._fenced:
                        return Blocked(orphan.run_id)
                    if orphan.id not in self._searched:
                        self._search(entries[at:])
                self._take(entry, batch)
            except RecordError as exc:
                self._find(batch, entry.after.segment, str(exc))
                if entry.kind in {Kind.SETTLE, Kind.ORPHAN}:
                    self._close_unreadable(entry, batch)
            self._pass(entry)
        return None

    def _find(self, batch: Batch, segment: int, reason: str) -> None:
        batch.findings.append(SpoolFinding(self.spool_id, segment, clean(reason, REASON_MAX)))

    def _close_unreadable(self, entry: Entry, batch: Batch) -> None:
        """A settlement that cannot be read settles its request all the same: as interrupted, which is never free."""
        request_id = records.id_of(entry.payload)
        opened = self._open.pop(request_id) if request_id is not None else None
        if opened is not None:
            batch.attempts |= claims_of(opened, None)
            self._book(batch, opened, interrupted.unreadable(opened, self.charges))

    def _book(self, batch: Batch, opened: OpenRequest, record: Record) -> None:
        """Book a request that nobody settled properly."""
        if batch.add_record(record):
            batch.deployments.interrupted(opened, record)
            batch.booked.interrupted(opened, record)

    def commit_to(self, connection: Connection) -> None:
        """Write the position; call in the batch's transaction."""
        row = SpoolRow(self._done.segment, self._done.offset, self._sequence, self._records)
        ledger_rows.put_spool_row(connection, self.spool_id, row)

    def drop_finished(self) -> None:
        """Unlink segments that are wholly in the store; call after the commit."""
        finished = [
            path for path in self._reader.finished_segments() if path.name < files.segment_name(self._done.segment)
        ]
        for path in finished:
            path.unlink(missing_ok=True)
        if finished:
            files.sync_folder(self.folder)

    def close(self) -> None:
        """Close the open segment."""
        self._reader.close()

    @property
    def is_at_end(self) -> bool:
        """True when the last `ingest` took all that was there."""
        return self._reader.is_at_end and not self._waiting

    @property
    def position(self) -> Position:
        """The place after the last record that was taken."""
        return self._done

    def held(self) -> list[tuple[str, Sequence[Held], int]]:
        """Return what open requests hold of budgets, by attempt, and until when at most."""
        return [one for opened in self._open.all() for one in held_of(opened)]

    def open_tries(self, request_id: str) -> int:
        """Return how many attempts an open request names; 0 when it is not open here."""
        opened = self._open.get(request_id)
        return 1 + len(opened.attempts) if opened is not None else 0

    @property
    def stream_count(self) -> int:
        """Those of them that are streams."""
        return self._open.streams

    @property
    def open_count(self) -> int:
        """Reservations whose settlement has not come."""
        return len(self._open)

    # records

    def _reread(self, until: Position) -> None:
        """Rebuild the open reservations: each segment begins with those that were open then."""
        if until.offset == 0:
            return
        reader = SpoolReader(self.folder, Position(until.segment, 0))
        scratch = Batch()
        while (entries := reader.read(BATCH_BYTES)) and entries[0].after.segment == until.segment:
            for entry in entries:
                if entry.after.offset > until.offset:
                    reader.close()
                    return
                self._retake(entry, scratch)
                if self._unexpected is not None:
                    self._found_early.append(SpoolFinding(self.spool_id, entry.after.segment, self._unexpected))
                    self._unexpected = None
            scratch = Batch()
        reader.close()

    @guarded(_end_record)
    def _retake(self, entry: Entry, scratch: Batch) -> None:
        try:
            if entry.kind == Kind.ORPHAN:
                self._open.pop(self._orphan(entry).id)
            elif entry.kind not in {Kind.DENIAL, Kind.COUNTERS}:
                self._take(entry, scratch)
        except RecordError:
            request_id = records.id_of(entry.payload) if entry.kind == Kind.SETTLE else None
            if request_id is not None:
                self._open.pop(request_id)

    def _take(self, entry: Entry, batch: Batch) -> None:
        kind = entry.kind
        record = records.decode_payload(kind, entry.payload)
        if kind == RESERVE:
            assert isinstance(record, records.Reserve)
            self._open.open(record, entry.payload)
        elif kind == SETTLE:
            assert isinstance(record, records.Settle)
            settled = self._open.pop(record.id)
            if settled is None:
                raise RecordError(f"a settlement without a reservation of this spool: {record.id[:40]}")
            tidied = tidy.settlement(record)
            payload = entry.payload if tidied is record else records.encode_payload(tidied)
            segment = self._done.segment
            settlement.book(
                batch, settled, tidied, payload, self.charges, lambda text: self._find(batch, segment, text)
            )
        elif kind == Kind.ATTEMPT:
            assert isinstance(record, records.Attempt)
            known = self._open.get(record.request_id)
            if known is not None and all(other.number != record.number for other in known.attempts):
                # A segment begins with what is open: the same record may come again.
                known.attempts.append(tidy.tidy(record, tidy.ATTEMPT))
        elif kind == Kind.CHECKPOINT:
            assert isinstance(record, records.Checkpoint)
            running = self._open.get(record.id)
            if running is not None:
                running.checkpoint = tidy.tidy(record, tidy.CHECKPOINT)
        elif kind == Kind.DENIAL:
            assert isinstance(record, records.Denial)
            check_id(record.id)
            batch.add_record(build.denied(tidy.tidy(record, tidy.DENIAL)))
        elif kind == Kind.COUNTERS:
            assert isinstance(record, records.Counters)
            if len(record.refused) > COUNTERS_MAX or len(record.limited or ()) > COUNTERS_MAX:
                raise RecordError("counters that no edge counts")
            batch.counters.append(record)
        elif kind == Kind.KEPT:
            assert isinstance(record, records.Kept)
            if len(record.kept) > KEPT_MAX or not all(map(is_id, record.kept)):
                raise RecordError(f"what {record.id[:40]} made a provider keep is not ids")
            keeper = self._open.get(record.id)
            if keeper is not None:
                settlement.note_kept(batch, keeper, record.kept)
        elif kind == Kind.LATE:
            assert isinstance(record, records.Late)
            settlement.note_late(batch, self._open.get(record.id), record)
        elif kind == Kind.ORPHAN:
            assert isinstance(record, records.Orphan)
            orphan = self._open.pop(record.id)
            if orphan is None:
                raise RecordError(f"an orphan without a reservation of this spool: {record.id[:40]}")
            self._book(batch, orphan, interrupted.orphaned(orphan, self._evidence, self.charges))
            batch.attempts |= claims_of(orphan, None)
        elif kind != Kind.SEGMENT:
            raise RecordError(f"a record of kind {kind} does not belong into this spool")

    def _orphan(self, entry: Entry) -> records.Orphan:
        record = records.decode_payload(entry.kind, entry.payload)
        assert isinstance(record, records.Orphan)
        return record

    def _search(self, following: list[Entry]) -> None:
        """Ask the journal about all orphans that stand together, once."""
        orphans = []
        for entry in following:
            if entry.kind == Kind.ORPHAN:
                with contextlib.suppress(RecordError):
                    orphans.append(self._orphan(entry))
        opened = self._open.among(orphan.id for orphan in orphans if orphan.run_id in self._fenced)
        self._searched = set(opened)
        oldest_ms = min((request.reserve.time_ms for request in opened.values()), default=0)
        self._evidence = journal.search(self._journal, set(opened), oldest_ms) if opened else {}
