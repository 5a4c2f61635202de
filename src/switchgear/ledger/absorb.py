"""Spool → store, exactly once. Level 3 (docs/invariants.md L5, L6).

The position in each spool, the records and the sums change in one transaction; a segment is unlinked after it. Nothing a
spool says is believed: fields are bounded, settlements must belong to the spool's own reservations, and the cost is
computed again from usage and price.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from switchgear.core.errors import RecordError
from switchgear.core.guard import guarded
from switchgear.core.ids import attempt_id, credential_id
from switchgear.core.text import clean
from switchgear.core.usage import TOKENS_MAX, TokenUsage
from switchgear.dialects.kept_things import KEPT_MAX, is_id, is_stored_answer
from switchgear.ledger import build, journal, tidy
from switchgear.ledger.build import Ending, FindPrice, OpenRequest
from switchgear.ledger.claims import Claim, claims_of
from switchgear.ledger.record import Error, Record, encode
from switchgear.pricing.price import Meterer, Price, cost
from switchgear.replica.entries import STORED_MS, Stored, scope_of
from switchgear.spool import files
from switchgear.spool.reader import Entry, Position, SpoolReader
from switchgear.store import ledger_rows
from switchgear.store.ledger_rows import SpoolRow
from switchgear.store.sums import Sums
from switchgear.wire import records
from switchgear.wire.records import Kind

BATCH_BYTES = 1024 * 1024
HOUR_MS = 3_600_000
INTERNED_MAX = 10_000
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
COUNTERS_MAX = 64
"""Codes of errors; there are fewer."""
INTERNED_BYTES_MAX = 2_048
"""What is larger is decoded each time: a compromised edge must not fill this process with names."""
FENCED_MAX = 10_000
OPEN_MAX = 100_000
"""Reservations of one spool that may be open at once; an edge has 20,000 connections."""
OPEN_BYTES_MAX = 256 * 1024 * 1024
METERERS_MAX = 10_000
COST_NANOUSD_MAX = 10**15
"""A million USD for one request is a lie or a slip of the price; sums of the store have 63 bits."""


RESERVE, SETTLE, ORPHAN = int(Kind.RESERVE), int(Kind.SETTLE), int(Kind.ORPHAN)
"""As plain numbers: comparing with an enumeration costs more than what it decides."""
T = TypeVar("T", bound=msgspec.Struct)
REASON_MAX = 256


class Blocked(msgspec.Struct, frozen=True):
    """Absorption waits: the run of a dead edge must be fenced off at the vault first."""

    run_id: str


class Finding(msgspec.Struct, frozen=True):
    """Something in a spool that should not be there."""

    spool_id: str
    segment: int
    reason: str


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt before a request's last one, as it is booked."""

    upstream_model: str
    provider: str
    credential_id: str
    usage: TokenUsage | None
    cost_nanousd: int | None
    list_nanousd: int | None
    failed: bool


class Batch:
    """What one transaction will write."""

    def __init__(self, is_known: Callable[[str], bool] | None = None, spool: str = "") -> None:
        """`is_known` is asked for each id after a duplicate was met: records that were written again (after a failed
        sync) are skipped. `spool` is the name of the folder that it is read from."""
        self.spool = spool
        self._is_known = is_known
        self.rows: list[tuple[Any, ...]] = []
        self.sums: dict[tuple[Any, ...], Sums] = {}
        self.findings: list[Finding] = []
        self.attempts: dict[str, Claim | None] = {}
        """The attempts of requests that are settled: for the double entry. None: the edge died, nobody claims anything."""
        self.counters: list[records.Counters] = []
        """What the edge counted and did not record."""
        self.timings: list[tuple[str, str, int, int, int | None]] = []
        """Of each settled request: provider, model, status, latency and time to the first token in ms."""
        self.stored: dict[str, Stored] = {}
        """Responses that a provider keeps, by id."""
        self.tried: list[tuple[str, str]] = []
        """(provider, request id) of attempts that were not at the provider of the last one."""
        self.heard: dict[str, tuple[int, int]] = {}
        """Credential id → (status, time in ms) of the last answer that was absorbed from it."""
        self._ids: set[str] = set()
        self.taken = 0

    def add(
        self,
        request_id: str,
        dimensions: tuple[str, ...],
        row: bytes,
        *,
        status: int,
        outcome: str,
        cost_nanousd: int | None,
        list_nanousd: int | None,
        latency_ms: int | None,
        usage: TokenUsage | None,
        attempts: int,
        failed: bool = False,
        count: int = 1,
        estimated: bool = False,
        before: Sequence[Try] = (),
    ) -> None:
        """Add a row and its sums. `dimensions` are tables.DIMENSIONS without the hour, of the last attempt's place; usage and
        cost are the last attempt's, `before` are those before it; `attempts` is 0 where nothing was sent, else 1."""
        if request_id in self._ids or (self._is_known is not None and self._is_known(request_id)):
            return
        self._ids.add(request_id)
        key_id, key_name, team, user, project, model, _, provider, _ = dimensions
        whole = cost_nanousd
        for one in before:
            if one.usage is not None:
                whole = None if whole is None or one.cost_nanousd is None else whole + one.cost_nanousd
        # In the order of ledger_rows.REQUEST_COLUMNS.
        self.rows.append(
            (
                request_id,
                key_id or None,
                key_name or None,
                team or None,
                user or None,
                project or None,
                model or None,
                provider or None,
                status,
                outcome,
                whole,
                latency_ms,
                row,
            )
        )
        hour = int(request_id[:12], 16) // HOUR_MS
        name = (hour, *dimensions)
        sums = self.sums.get(name)
        if sums is None:
            sums = self.sums[name] = Sums()
        sums.requests += count
        if outcome != "ok":
            sums.errors += count
        if estimated:
            sums.estimated_requests += 1
        if whole is None and (usage is not None or cost_nanousd is not None):
            sums.unpriced_requests += 1
        self._add_attempt(sums, attempts, failed, usage, cost_nanousd, list_nanousd)
        for one in before:
            name = (hour, *dimensions[:6], one.upstream_model, one.provider, one.credential_id)
            sums = self.sums.setdefault(name, Sums())
            self._add_attempt(sums, 1, one.failed, one.usage, one.cost_nanousd, one.list_nanousd)
            if one.provider != provider and (one.provider, request_id) not in self.tried[-len(before) :]:
                self.tried.append((one.provider, request_id))

    @staticmethod
    def _add_attempt(
        sums: Sums,
        attempts: int,
        failed: bool,
        usage: TokenUsage | None,
        cost_nanousd: int | None,
        list_nanousd: int | None,
    ) -> None:
        sums.attempts += attempts
        if failed:
            sums.failed_attempts += 1
        if usage is not None:
            sums.input_tokens += usage.input_total
            sums.cache_read_tokens += usage.cached_total
            sums.cache_write_tokens += (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
            sums.output_tokens += usage.output_total
            sums.reasoning_tokens += usage.reasoning or 0
        if cost_nanousd is not None:
            sums.cost_nanousd += cost_nanousd
            sums.list_cost_nanousd += list_nanousd or 0

    def forget_rows(self) -> None:
        """Keep the sums only."""
        self.rows.clear()
        self._ids.clear()
        self.tried.clear()

    def add_record(self, record: Record) -> None:
        """Add a record that is kept whole: a refusal, or a request whose edge died."""
        key, last = record.key, record.attempts[-1] if record.attempts else None
        usage = record.tokens if last is None else last.tokens
        before = [
            Try(
                upstream_model=one.upstream_model,
                provider=one.provider,
                credential_id=credential_id(one.provider, one.credential),
                usage=one.tokens,
                cost_nanousd=one.cost_nanousd,
                list_nanousd=one.list_cost_nanousd,
                failed=build.is_failure(one.status, one.error),
            )
            for one in record.attempts[:-1]
        ]
        dimensions = (
            key.id if key else "",
            key.name if key else "",
            record.team.name if record.team else "",
            record.user.name if record.user else "",
            record.project.name if record.project else "",
            record.model or "",
            record.upstream_model or "",
            record.provider or "",
            credential_id(record.provider, record.credential) if record.provider and record.credential else "",
        )
        self.add(
            record.id,
            dimensions,
            encode(record),
            status=record.status,
            outcome=record.outcome,
            cost_nanousd=record.cost_nanousd if last is None else last.cost_nanousd,
            list_nanousd=record.list_cost_nanousd if last is None else last.list_cost_nanousd,
            latency_ms=record.latency_ms,
            usage=usage,
            attempts=1 if last is not None else 0,
            failed=last is not None and build.is_failure(last.status, last.error),
            count=record.count,
            estimated=record.cost_estimated,
            before=before,
        )


def _check_id(request_id: str) -> None:
    """Refuse what no edge's own code makes; numbers were bounded by decoding. Raises RecordError."""
    if not _REQUEST_ID.fullmatch(request_id):
        raise RecordError(f"a request's id is not one: {request_id[:40]!r}")


def _is_failure(outcome: records.AttemptOutcome) -> bool:
    return build.is_failure(outcome.status, outcome.error)


def _note_kept(batch: Batch, opened: OpenRequest, ids: list[str]) -> None:
    """Note whose the things are that a provider keeps since it answered a request."""
    who, place = opened.who, build.last_place(opened)
    until_ms = opened.reserve.time_ms + STORED_MS
    entry = Stored(scope_of(who.key_id, who.team), place.credential_id, opened.place.model, until_ms)
    batch.stored.update(dict.fromkeys(ids, entry))


class SpoolAbsorber:
    """Follows one edge's spool. `absorb` fills a batch; `commit_to` writes the position in the same transaction."""

    def __init__(self, folder: Path, row: SpoolRow | None, find_price: FindPrice, journal_folder: Path) -> None:
        start = Position(row.segment, row.position) if row is not None else Position(0, 0)
        self.folder = folder
        self._reader = SpoolReader(folder, start)
        self.spool_id = self._reader.spool_id
        self.find_price = find_price
        self._journal = journal_folder
        self._open: dict[str, OpenRequest] = {}
        self._fenced: set[str] = set()
        self._foreign: str | None = None
        """The run that the vault last refused to fence for this spool."""
        self._waiting: list[Entry] = []
        self._searched: set[str] = set()
        self._evidence: dict[str, journal.Evidence] = {}
        self._done = start
        self._sequence = row.sequence if row is not None else 0
        self._records = row.records if row is not None else 0
        self._open_bytes = 0
        self._whos: dict[bytes, tuple[records.Who, bool]] = {}
        self._places: dict[bytes, tuple[records.Place, bool]] = {}
        self._told: set[int] = set()
        """Damaged segments that were told of."""
        self._unexpected: str | None = None
        self._at = 0
        self._found_early: list[Finding] = []
        """Faults while the open reservations were read again: told with the first batch."""
        self._meterers: dict[str, Meterer] = {}
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
        """Look whether there is something to absorb, without the store: an idle gateway begins no transactions."""
        if not self._waiting:
            self._waiting = self._reader.read(BATCH_BYTES)
        return bool(self._waiting or self._damage)

    def absorb(self, batch: Batch, bad: Collection[Position] = (), entries_max: int | None = None) -> Blocked | None:
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
            self._find(batch, entry, f"a record of kind {entry.kind} is set aside: {self._unexpected}")
            self._unexpected = None
            self._pass(entry)
        if len(self._told) > len(self._reader.damaged):
            self._told.intersection_update(self._reader.damaged)
        for segment in self._damage:
            batch.findings.append(Finding(self.spool_id, segment, "a record in the middle is damaged"))
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
                self._find(batch, entry, "a record that the store does not take is set aside")
                self._pop(records.id_of(entry.payload) or "")
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
                self._find(batch, entry, str(exc))
                if entry.kind in {Kind.SETTLE, Kind.ORPHAN}:
                    self._close_unreadable(entry, batch)
            self._pass(entry)
        return None

    def _find(self, batch: Batch, entry: Entry, reason: str) -> None:
        batch.findings.append(Finding(self.spool_id, entry.after.segment, clean(reason, REASON_MAX)))

    def _close_unreadable(self, entry: Entry, batch: Batch) -> None:
        """A settlement that cannot be read settles its request all the same: as interrupted, which is never free."""
        request_id = records.id_of(entry.payload)
        opened = self._pop(request_id) if request_id is not None else None
        if opened is not None:
            batch.attempts |= claims_of(opened, None)
            batch.add_record(self._interrupted(opened, None, [1], "its settlement got lost"))

    def _pop(self, request_id: str) -> OpenRequest | None:
        opened = self._open.pop(request_id, None)
        if opened is not None:
            self._open_bytes -= len(opened.raw)
        return opened

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
        """True when the last `absorb` took all that was there."""
        return self._reader.is_at_end and not self._waiting

    @property
    def position(self) -> Position:
        """The place after the last record that was taken."""
        return self._done

    def open_tries(self, request_id: str) -> int:
        """Return how many attempts an open request names; 0 when it is not open here."""
        opened = self._open.get(request_id)
        return 1 + len(opened.attempts) if opened is not None else 0

    @property
    def stream_count(self) -> int:
        """Those of them that are streams."""
        return sum(opened.reserve.stream for opened in list(self._open.values()))

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
                    self._found_early.append(Finding(self.spool_id, entry.after.segment, self._unexpected))
                    self._unexpected = None
            scratch = Batch()
        reader.close()

    @guarded(_end_record)
    def _retake(self, entry: Entry, scratch: Batch) -> None:
        try:
            if entry.kind == Kind.ORPHAN:
                self._pop(self._orphan(entry).id)
            elif entry.kind not in {Kind.DENIAL, Kind.COUNTERS}:
                self._take(entry, scratch)
        except RecordError:
            request_id = records.id_of(entry.payload) if entry.kind == Kind.SETTLE else None
            if request_id is not None:
                self._pop(request_id)

    def _take(self, entry: Entry, batch: Batch) -> None:
        kind = entry.kind
        record = records.decode_payload(kind, entry.payload)
        if kind == RESERVE:
            assert isinstance(record, records.Reserve)
            _check_id(record.id)
            if record.id not in self._open:
                if len(self._open) >= OPEN_MAX or self._open_bytes + len(entry.payload) > OPEN_BYTES_MAX:
                    raise RecordError("more reservations are open than an edge can have")
                self._open[record.id] = opened = self._opened(record, entry.payload)
                self._open_bytes += len(opened.raw)
        elif kind == SETTLE:
            assert isinstance(record, records.Settle)
            settled = self._pop(record.id)
            if settled is None:
                raise RecordError(f"a settlement without a reservation of this spool: {record.id[:40]}")
            tidied = tidy.settlement(record)
            payload = entry.payload if tidied is record else records.encode_payload(tidied)
            self._settle(settled, tidied, payload, batch)
        elif kind == Kind.ATTEMPT:
            assert isinstance(record, records.Attempt)
            known = self._open.get(record.request_id)
            if known is not None and all(other.number != record.number for other in known.attempts):
                # A segment begins with what is open: the same record may come again.
                known.attempts.append(tidy.tidy(record, tidy.ATTEMPT))
        elif kind == Kind.CHECKPOINT:
            assert isinstance(record, records.Checkpoint)
            if record.id in self._open:
                self._open[record.id].checkpoint = tidy.tidy(record, tidy.CHECKPOINT)
        elif kind == Kind.DENIAL:
            assert isinstance(record, records.Denial)
            _check_id(record.id)
            batch.add_record(build.denied(tidy.tidy(record, tidy.DENIAL)))
        elif kind == Kind.COUNTERS:
            assert isinstance(record, records.Counters)
            if len(record.refused) > COUNTERS_MAX:
                raise RecordError("counters that no edge counts")
            batch.counters.append(record)
        elif kind == Kind.KEPT:
            assert isinstance(record, records.Kept)
            if len(record.kept) > KEPT_MAX or not all(map(is_id, record.kept)):
                raise RecordError(f"what {record.id[:40]} made a provider keep is not ids")
            if record.id in self._open:
                _note_kept(batch, self._open[record.id], record.kept)
        elif kind == Kind.ORPHAN:
            assert isinstance(record, records.Orphan)
            orphan = self._pop(record.id)
            if orphan is None:
                raise RecordError(f"an orphan without a reservation of this spool: {record.id[:40]}")
            batch.add_record(self._orphaned(orphan, batch))
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
        opened = {o.id: self._open[o.id] for o in orphans if o.id in self._open and o.run_id in self._fenced}
        self._searched = set(opened)
        oldest_ms = min((request.reserve.time_ms for request in opened.values()), default=0)
        self._evidence = journal.search(self._journal, set(opened), oldest_ms) if opened else {}

    # records of the ledger

    def _opened(self, reserve: records.Reserve, payload: bytes) -> OpenRequest:
        """Decode the parts that many reservations share once."""
        who_raw, place_raw = bytes(reserve.who), bytes(reserve.place)
        try:
            who, who_clean = self._whos.get(who_raw) or self._intern(self._whos, who_raw, records.decode_who, tidy.WHO)
            place, place_clean = self._places.get(place_raw) or self._intern(
                self._places, place_raw, records.decode_place, tidy.PLACE
            )
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            raise RecordError(f"the reservation {reserve.id[:40]} does not decode: {exc}") from exc
        tidied = reserve
        if reserve.end_user is not None or reserve.tags is not None or reserve.session is not None:
            tidied = tidy.tidy(reserve, tidy.RESERVE)
        if tidied is not reserve or not (who_clean and place_clean):
            raws = {
                name: msgspec.Raw(records.encode_payload(value)) for name, value in (("who", who), ("place", place))
            }
            tidied = msgspec.structs.replace(tidied, **raws)
            payload = records.encode_payload(tidied)
        return OpenRequest(tidied, who, place, payload, [])

    def _intern(
        self, known: dict[bytes, tuple[T, bool]], raw: bytes, decode: Callable[[bytes], T], texts: dict[str, int]
    ) -> tuple[T, bool]:
        decoded = decode(raw)
        tidied = tidy.tidy(decoded, texts)
        found = (tidied, tidied is decoded)
        if len(raw) <= INTERNED_BYTES_MAX:
            if len(known) >= INTERNED_MAX:
                known.clear()
            known[raw] = found
        return found

    def _settle(self, opened: OpenRequest, settle: records.Settle, payload: bytes, batch: Batch) -> None:
        usage, place, who = settle.tokens, build.last_place(opened), opened.who
        if usage is not None and not usage.is_sane():
            batch.findings.append(Finding(self.spool_id, self._done.segment, f"absurd usage in {settle.id[:40]}"))
            usage = None
        amount: int | None = None
        listed: int | None = None
        if usage is None and settle.cost_nanousd == 0 and settle.charged_nanousd is None:
            amount = listed = 0
        else:
            amount, listed = self._bill(opened, usage, settle, batch)
        if amount is not None and amount > COST_NANOUSD_MAX:
            batch.findings.append(Finding(self.spool_id, self._done.segment, f"absurd cost of {settle.id[:40]}"))
            amount = listed = None
        if amount != settle.cost_nanousd and settle.cost_nanousd is not None:
            reason = f"the cost of {settle.id[:40]} does not follow from its usage"
            batch.findings.append(Finding(self.spool_id, self._done.segment, reason))
        batch.timings.append((place.provider, opened.place.model, settle.status, settle.latency_ms, settle.ttft_ms))
        batch.attempts.update(claims_of(opened, settle))
        row = build.encode_stored(build.Stored(msgspec.Raw(opened.raw), opened.attempts, msgspec.Raw(payload)))
        dimensions = (
            who.key_id,
            who.key_name,
            who.team or "",
            who.user or "",
            who.project or "",
            opened.place.model,
            place.upstream_model,
            place.provider,
            place.credential_id,
        )
        batch.add(
            settle.id,
            dimensions,
            row,
            status=settle.status,
            outcome=build.outcome_of(settle.outcome),
            cost_nanousd=amount,
            list_nanousd=listed,
            latency_ms=max(0, settle.latency_ms),
            usage=usage,
            attempts=1 if settle.attempts else 0,
            failed=bool(settle.attempts) and _is_failure(settle.attempts[-1]),
            estimated=build.estimate_reason(settle) is not None,
            before=self._before(opened, settle, batch) if len(settle.attempts) > 1 else (),
        )
        for outcome in settle.attempts[-build.TRIES_MAX :]:
            if outcome.status is not None:
                at_ms = opened.reserve.time_ms + outcome.end_ms
                batch.heard[build.place_of(opened, outcome.number).credential_id] = (outcome.status, at_ms)
        if settle.response_id is not None and is_stored_answer(opened.place.dialect, settle.response_id):
            until_ms = opened.reserve.time_ms + STORED_MS
            scope = scope_of(who.key_id, who.team)
            batch.stored[settle.response_id] = Stored(scope, place.credential_id, opened.place.model, until_ms)

    def _bill(
        self, opened: OpenRequest, usage: TokenUsage | None, settle: records.Settle, batch: Batch
    ) -> tuple[int | None, int | None]:
        """Return what an answer cost and what it costs by the list, with all that stands beside its tokens."""
        place = build.priced_place(opened, settle)
        amount: int | None = None
        listed: int | None = None
        if place.price_id is not None and (usage is not None or settle.units):
            amount, listed = self._cost(opened, place, usage, settle.service_tier, build.units_of(settle))
            for other in settle.others or ():
                tokens = other.tokens if other.tokens.is_sane() else None
                more: tuple[int | None, int | None] = (None, None)
                if tokens is not None:
                    more = self._cost(opened, build.other_place(place, other), tokens, None, None)
                amount = None if amount is None or more[0] is None else amount + more[0]
                listed = None if listed is None or more[1] is None else listed + more[1]
        charged = settle.charged_nanousd
        if charged is None:
            return amount, listed
        if listed is not None and not listed <= 2 * charged <= 4 * listed:
            reason = f"the provider charged {charged} nano-USD for {settle.id[:40]}, the list says {listed}"
            batch.findings.append(Finding(self.spool_id, self._done.segment, reason))
        return charged, charged if listed is None else listed

    def _before(self, opened: OpenRequest, settle: records.Settle, batch: Batch) -> list[Try]:
        """Return the attempts before the last one, as they are booked."""
        found = []
        for outcome in build.tries(settle)[:-1]:
            place, usage = build.place_of(opened, outcome.number), outcome.tokens
            if usage is not None and not usage.is_sane():
                batch.findings.append(Finding(self.spool_id, self._done.segment, f"absurd usage in {settle.id[:40]}"))
                usage = None
            amount, listed = (0, 0) if usage is None else self._cost(opened, place, usage, outcome.service_tier, None)
            if amount is not None and amount > COST_NANOUSD_MAX:
                batch.findings.append(Finding(self.spool_id, self._done.segment, f"absurd cost of {settle.id[:40]}"))
                amount = listed = None
            if outcome.cost_nanousd is not None and outcome.cost_nanousd != amount:
                reason = f"the cost of {settle.id[:40]} does not follow from its usage"
                batch.findings.append(Finding(self.spool_id, self._done.segment, reason))
            found.append(
                Try(
                    upstream_model=place.upstream_model,
                    provider=place.provider,
                    credential_id=place.credential_id,
                    usage=usage,
                    cost_nanousd=amount,
                    list_nanousd=listed,
                    failed=_is_failure(outcome),
                )
            )
        return found

    def _cost(
        self,
        opened: OpenRequest,
        place: records.Place | records.Attempt,
        usage: TokenUsage | None,
        tier: str | None,
        units: dict[str, int] | None,
    ) -> tuple[int | None, int | None]:
        """Return what an attempt cost, and what it costs by the list."""
        meterer = self._meterer(opened, place)
        if meterer is None:
            return None, None
        amount = listed = meterer.nanousd(usage, tier, units)
        if meterer.price.discount_bp and amount is not None:
            full = cost(meterer.price, usage, tier, units)
            listed = full.list_nanousd if full is not None else None
        return amount, listed

    def _meterer(self, opened: OpenRequest, place: records.Place | records.Attempt) -> Meterer | None:
        if place.price_id is None:
            return None
        meterer = self._meterers.get(place.price_id)
        if meterer is None:
            price = self._price(opened, place)
            if price is None:
                return None
            if len(self._meterers) >= METERERS_MAX:
                self._meterers.clear()
            meterer = self._meterers[place.price_id] = Meterer(price)
        return meterer

    def _price(self, opened: OpenRequest, place: records.Place | records.Attempt) -> Price | None:
        if place.price_id is None:
            return None
        return self.find_price(place.price_id, place.provider, place.upstream_model, opened.reserve.time_ms)

    def _orphaned(self, opened: OpenRequest, batch: Batch) -> Record:
        """Decide what became of a reservation whose edge died: the vault's journal is the witness."""
        reserve = opened.reserve
        evidence = self._evidence
        tries = 1 + len(opened.attempts)
        dispatched = [n for n in range(1, tries + 1) if attempt_id(reserve.id, n) in evidence]
        if not dispatched:
            error = Error("interrupted", "the edge died before the request was sent")
            return build.make(opened, None, Ending(status=503, outcome="not_sent", cost_nanousd=0, error=error))
        last = evidence[attempt_id(reserve.id, dispatched[-1])].done
        return self._interrupted(opened, last, dispatched, "the edge died")

    def _interrupted(self, opened: OpenRequest, last: records.Done | None, dispatched: list[int], why: str) -> Record:
        """Book a request that nobody settled properly: what was seen of it, and never silently nothing."""
        refused = last is not None and last.status is not None and last.status >= 400
        checkpoint = opened.checkpoint
        usage: TokenUsage | None = None
        if checkpoint is not None and checkpoint.tokens is not None and checkpoint.tokens.is_sane():
            usage, seen = checkpoint.tokens, min(checkpoint.output_estimate, TOKENS_MAX)
            if usage.output_total < seen:
                usage = msgspec.structs.replace(usage, output=seen - usage.output_total + (usage.output or 0))
        elif not refused:
            seen = checkpoint.output_estimate if checkpoint is not None else 0
            if last is not None and last.reason is None:
                seen = max(seen, min(last.bytes_in // 8, TOKENS_MAX))
            usage = TokenUsage(input=opened.reserve.input_estimate, output=seen)
        price = self._price(opened, build.last_place(opened))
        computed = (
            cost(price, usage, checkpoint.service_tier if checkpoint is not None else None)
            if price is not None and usage is not None
            else None
        )
        before = [self._orphaned_try(opened, number) for number in dispatched[:-1]]
        if computed is not None and computed.nanousd > COST_NANOUSD_MAX:
            computed = None
        ending = Ending(
            status=503,
            outcome="interrupted",
            tokens=usage,
            computed=computed,
            cost_nanousd=0 if refused else (computed.nanousd if computed is not None else None),
            estimate_reason=f"{why}; counted from what was seen" if usage is not None else None,
            before=before,
            last=dispatched[-1],
            error=Error("interrupted", f"{why} before the answer was complete"),
        )
        return build.make(opened, price, ending)

    def _orphaned_try(self, opened: OpenRequest, number: int) -> build.Part:
        """Return an attempt before the last one, of which only the journal tells: it may be charged unless it was refused."""
        done = self._evidence[attempt_id(opened.reserve.id, number)].done
        usage = computed = None
        if done is None or done.status is None or done.status < 400:
            usage = TokenUsage(input=opened.reserve.input_estimate, output=0)
            price = self._price(opened, build.place_of(opened, number))
            computed = cost(price, usage) if price is not None else None
        return build.part(opened, number, None, usage, computed)
