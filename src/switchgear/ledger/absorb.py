"""Spool → store, exactly once. Level 3 (INVARIANTS L5, L6).

The position in each spool, the records and the sums change in one transaction; a segment is unlinked after it. Nothing a
spool says is believed: fields are bounded, settlements must belong to the spool's own reservations, and the cost is
computed again from usage and price.
"""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear import __version__
from switchgear.core.errors import RecordError
from switchgear.core.ids import attempt_id
from switchgear.core.money import NANO_PER_USD
from switchgear.core.usage import TokenUsage
from switchgear.ledger import journal
from switchgear.ledger.record import (
    Attempt,
    Client,
    CostLine,
    EndUser,
    Error,
    Named,
    Outcome,
    Record,
    Timings,
    Tokens,
    encode,
)
from switchgear.pricing.price import Cost, Price, cost
from switchgear.spool import files
from switchgear.spool.reader import Entry, Position, SpoolReader
from switchgear.store import ledger_rows
from switchgear.store.ledger_rows import SpoolRow
from switchgear.store.tables import SUMS
from switchgear.wire import records
from switchgear.wire.records import Kind

BATCH_BYTES = 1024 * 1024
HOUR_MS = 3_600_000
TEXT_MAX = 512

FindPrice = Callable[[str, str, str, int], Price | None]
"""(price id, provider, upstream model, time in ms) → the price with that id, or None when no such price was published."""


class OpenRequest(msgspec.Struct):
    """A reservation whose settlement has not come."""

    reserve: records.Reserve
    attempts: list[records.Attempt]
    checkpoint: records.Checkpoint | None = None


class Blocked(msgspec.Struct, frozen=True):
    """Absorption waits: the run of a dead edge must be fenced off at the vault first."""

    run_id: str


class Finding(msgspec.Struct, frozen=True):
    """Something in a spool that should not be there."""

    spool_id: str
    segment: int
    reason: str


class Batch:
    """What one transaction will write."""

    def __init__(self, is_known: Callable[[str], bool] | None = None) -> None:
        """`is_known` is asked for each id after a duplicate was met: records that were written again (after a failed
        sync) are skipped."""
        self._is_known = is_known
        self.rows: list[dict[str, Any]] = []
        self.sums: dict[tuple[Any, ...], list[int]] = {}
        self.records: list[bytes] = []
        self.findings: list[Finding] = []

    def add(self, record: Record, deployment_of: str | None) -> None:
        """Add a record to the rows and the sums."""
        if self._is_known is not None and self._is_known(record.id):
            return
        encoded = encode(record)
        self.records.append(encoded)
        key, tokens = record.key, record.tokens
        self.rows.append(
            {
                "id": record.id,
                "key_id": key.id if key is not None else None,
                "key_name": key.name if key is not None else None,
                "team": record.team.name if record.team is not None else None,
                "user_name": record.user.name if record.user is not None else None,
                "project": record.project.name if record.project is not None else None,
                "model": record.model,
                "provider": record.provider,
                "status": record.status,
                "outcome": record.outcome,
                "cost_nanousd": record.cost_nanousd,
                "latency_ms": record.latency_ms,
                "record": encoded,
            }
        )
        hour = int(record.id[:12], 16) // HOUR_MS
        dimensions = (
            hour,
            key.id if key else "",
            key.name if key else "",
            record.team.name if record.team else "",
            record.user.name if record.user else "",
            record.project.name if record.project else "",
            record.model or "",
            record.upstream_model or "",
            record.provider or "",
            deployment_of or "",
        )
        sums = self.sums.get(dimensions)
        if sums is None:
            sums = self.sums[dimensions] = [0] * len(SUMS)
        sums[0] += record.count
        sums[1] += len(record.attempts)
        sums[2] += 0 if record.outcome == "ok" else record.count
        if tokens is not None:
            sums[3] += (
                (tokens.input or 0)
                + (tokens.cache_read or 0)
                + (tokens.cache_write_5m or 0)
                + (tokens.cache_write_1h or 0)
                + (tokens.audio_in or 0)
            )
            sums[4] += tokens.cache_read or 0
            sums[5] += (tokens.cache_write_5m or 0) + (tokens.cache_write_1h or 0)
            sums[6] += (tokens.output or 0) + (tokens.reasoning or 0) + (tokens.audio_out or 0) + (tokens.image or 0)
            sums[7] += tokens.reasoning or 0
        if record.cost_nanousd is not None:
            sums[8] += record.cost_nanousd
            sums[9] += record.list_cost_nanousd or 0
        elif tokens is not None:
            sums[10] += 1
        sums[11] += 1 if record.cost_estimated else 0


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
        self._waiting: list[Entry] = []
        self._done = start
        self._sequence = row.sequence if row is not None else 0
        self._records = row.records if row is not None else 0
        self._reread(start)

    def fence_done(self, run_id: str) -> None:
        """The vault will dispatch nothing more of that run."""
        self._fenced.add(run_id)

    def absorb(self, batch: Batch) -> Blocked | None:
        """Move what is new into the batch. Returns what it waits for, if anything."""
        entries = self._waiting or self._reader.read(BATCH_BYTES)
        self._waiting = []
        for number, entry in enumerate(entries):
            if entry.kind == Kind.ORPHAN and not self._can_close(entry):
                self._waiting = entries[number:]
                return Blocked(self._orphan(entry).run_id)
            try:
                self._take(entry, batch)
            except RecordError as exc:
                batch.findings.append(Finding(self.spool_id, entry.after.segment, str(exc)))
            self._done = entry.after
            self._sequence = entry.sequence
            self._records += 1
        for segment in self._reader.damaged:
            batch.findings.append(Finding(self.spool_id, segment, "a record in the middle is damaged"))
        return None

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
    def position(self) -> Position:
        """The place after the last record that was taken."""
        return self._done

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
                if entry.kind == Kind.ORPHAN:
                    self._open.pop(self._orphan(entry).id, None)
                elif entry.kind != Kind.DENIAL:
                    self._take(entry, scratch)
        reader.close()

    def _take(self, entry: Entry, batch: Batch) -> None:
        kind = entry.kind
        record = records.decode_payload(kind, entry.payload)
        if kind == Kind.RESERVE:
            assert isinstance(record, records.Reserve)
            self._open.setdefault(record.id, OpenRequest(record, []))
        elif kind == Kind.SETTLE:
            assert isinstance(record, records.Settle)
            opened = self._open.pop(record.id, None)
            if opened is None:
                raise RecordError(f"a settlement without a reservation of this spool: {record.id[:40]}")
            batch.add(self._settled(opened, record, batch), opened_deployment(opened))
        elif kind == Kind.ATTEMPT:
            assert isinstance(record, records.Attempt)
            if record.request_id in self._open:
                self._open[record.request_id].attempts.append(record)
        elif kind == Kind.CHECKPOINT:
            assert isinstance(record, records.Checkpoint)
            if record.id in self._open:
                self._open[record.id].checkpoint = record
        elif kind == Kind.DENIAL:
            assert isinstance(record, records.Denial)
            batch.add(_denied(record), None)
        elif kind == Kind.ORPHAN:
            assert isinstance(record, records.Orphan)
            opened = self._open.pop(record.id, None)
            if opened is not None:
                batch.add(self._orphaned(opened), opened_deployment(opened))
        elif kind != Kind.SEGMENT:
            raise RecordError(f"a record of kind {kind} does not belong into this spool")

    def _orphan(self, entry: Entry) -> records.Orphan:
        record = records.decode_payload(entry.kind, entry.payload)
        assert isinstance(record, records.Orphan)
        return record

    def _can_close(self, entry: Entry) -> bool:
        orphan = self._orphan(entry)
        return orphan.id not in self._open or orphan.run_id in self._fenced

    # records of the ledger

    def _settled(self, opened: OpenRequest, settle: records.Settle, batch: Batch) -> Record:
        reserve = opened.reserve
        usage, price_id = settle.tokens, reserve.price_id
        if opened.attempts:
            price_id = opened.attempts[-1].price_id
        if usage is not None and not usage.is_sane():
            batch.findings.append(Finding(self.spool_id, self._done.segment, f"absurd usage in {settle.id[:40]}"))
            usage = None
        computed: Cost | None = None
        billed = not (settle.cost_nanousd == 0 and usage is None)
        price = self._price(opened, price_id)
        if billed and usage is not None and price is not None:
            computed = cost(price, usage, settle.service_tier)
            if computed is not None and settle.cost_nanousd is not None and computed.nanousd != settle.cost_nanousd:
                batch.findings.append(
                    Finding(
                        self.spool_id,
                        self._done.segment,
                        f"the cost of {settle.id[:40]} does not follow from its usage",
                    )
                )
        amount = computed.nanousd if computed is not None else (None if billed else 0)
        error = None
        if settle.error_code is not None:
            error = Error(settle.error_code[:64], (settle.error_message or "")[:TEXT_MAX])
        return _record(
            opened,
            price,
            status=settle.status,
            outcome=_outcome(settle.outcome),
            tokens=usage,
            computed=computed,
            cost_nanousd=amount,
            estimate_reason=settle.estimate_reason,
            attempts=_attempts(opened, settle, usage, amount),
            finish_reason=settle.finish_reason,
            response_id=settle.response_id,
            service_tier=settle.service_tier,
            bytes_out=max(0, settle.bytes_out),
            latency_ms=max(0, settle.latency_ms),
            ttft_ms=settle.ttft_ms,
            error=error,
            upstream_ms=sum(o.end_ms - o.start_ms for o in settle.attempts) if settle.attempts else None,
        )

    def _price(self, opened: OpenRequest, price_id: str | None) -> Price | None:
        if price_id is None:
            return None
        place = opened.attempts[-1] if opened.attempts else opened.reserve
        return self.find_price(price_id, place.provider, place.upstream_model, opened.reserve.time_ms)

    def _orphaned(self, opened: OpenRequest) -> Record:
        """Decide what became of a reservation whose edge died: the vault's journal is the witness."""
        reserve = opened.reserve
        evidence = journal.search(self._journal, {reserve.id}, reserve.time_ms)
        tries = 1 + len(opened.attempts)
        dispatched = [n for n in range(1, tries + 1) if attempt_id(reserve.id, n) in evidence]
        if not dispatched:
            return _record(
                opened,
                None,
                status=503,
                outcome="not_sent",
                cost_nanousd=0,
                error=Error("interrupted", "the edge died before the request was sent"),
            )
        last = evidence[attempt_id(reserve.id, dispatched[-1])].done
        refused = last is not None and last.status is not None and last.status >= 400
        checkpoint = opened.checkpoint
        usage: TokenUsage | None = None
        if checkpoint is not None and checkpoint.tokens is not None:
            usage = checkpoint.tokens
        elif not refused:
            seen = checkpoint.output_estimate if checkpoint is not None else 0
            if last is not None and last.reason is None:
                seen = max(seen, last.bytes_in // 8)
            usage = TokenUsage(input=reserve.input_estimate, output=seen)
        price_id = opened.attempts[-1].price_id if opened.attempts else reserve.price_id
        price = self._price(opened, price_id)
        computed = (
            cost(price, usage, checkpoint.service_tier if checkpoint is not None else None)
            if price is not None and usage is not None
            else None
        )
        return _record(
            opened,
            price,
            status=503,
            outcome="interrupted",
            tokens=usage,
            computed=computed,
            cost_nanousd=0 if refused else (computed.nanousd if computed is not None else None),
            estimate_reason="the edge died; counted from what was seen" if usage is not None else None,
            attempts=[_attempt(opened, n, None, None, None) for n in dispatched],
            error=Error("interrupted", "the edge died before the answer was complete"),
        )


def opened_deployment(opened: OpenRequest) -> str:
    """Return the deployment that the sums count a request under: that of its last attempt."""
    return opened.attempts[-1].deployment if opened.attempts else opened.reserve.deployment


_OUTCOMES: dict[str, Outcome] = {
    "ok": "ok",
    "client_error": "client_error",
    "upstream_error": "upstream_error",
    "timeout": "timeout",
    "client_gone": "client_gone",
    "interrupted": "interrupted",
}


def _outcome(text: str) -> Outcome:
    return _OUTCOMES.get(text, "interrupted")


def _named(name: str | None) -> Named | None:
    return Named(name, name) if name is not None else None


def _time(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def _tool(text: str | None) -> Client | None:
    if text is None:
        return None
    tool, slash, rest = text.partition("/")
    return Client(tool, rest.split(" ", 1)[0] if slash else None)


def _tokens(usage: TokenUsage | None) -> Tokens | None:
    if usage is None:
        return None
    return Tokens(
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.audio_in,
        usage.audio_out,
        usage.image,
    )


def _usd_per_mtok(nano: int) -> str:
    whole, rest = divmod(nano, NANO_PER_USD)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def _attempt(
    opened: OpenRequest,
    number: int,
    outcome: records.AttemptOutcome | None,
    usage: TokenUsage | None,
    amount: int | None,
) -> Attempt:
    place = opened.reserve if number == 1 else next((a for a in opened.attempts if a.number == number), opened.reserve)
    timings = None
    if outcome is not None:
        timings = Timings(outcome.start_ms, outcome.first_byte_ms, outcome.end_ms, outcome.connect_ms)
    return Attempt(
        attempt_id(opened.reserve.id, number),
        place.provider,
        place.deployment,
        place.credential,
        place.upstream_model,
        outcome.status if outcome is not None else None,
        timings,
        _tokens(usage),
        amount,
        outcome.upstream_request_id if outcome is not None else None,
        outcome.error if outcome is not None else None,
    )


def _attempts(
    opened: OpenRequest, settle: records.Settle, usage: TokenUsage | None, amount: int | None
) -> list[Attempt]:
    last = len(settle.attempts) - 1
    return [
        _attempt(opened, outcome.number, outcome, usage if n == last else None, amount if n == last else 0)
        for n, outcome in enumerate(settle.attempts[:16])
    ]


def _record(
    opened: OpenRequest,
    price: Price | None,
    *,
    status: int,
    outcome: Outcome,
    cost_nanousd: int | None,
    tokens: TokenUsage | None = None,
    computed: Cost | None = None,
    estimate_reason: str | None = None,
    attempts: list[Attempt] | None = None,
    finish_reason: str | None = None,
    response_id: str | None = None,
    service_tier: str | None = None,
    bytes_out: int = 0,
    latency_ms: int | None = None,
    ttft_ms: int | None = None,
    upstream_ms: int | None = None,
    error: Error | None = None,
) -> Record:
    reserve = opened.reserve
    place: records.Reserve | records.Attempt = opened.attempts[-1] if opened.attempts else reserve
    lines = (
        [
            CostLine(line.meter, line.quantity, line.unit, _usd_per_mtok(line.unit_price), line.cost_nanousd)
            for line in computed.lines
        ]
        if computed is not None
        else []
    )
    return Record(
        id=reserve.id,
        time=_time(reserve.time_ms),
        operation=reserve.operation,
        path=reserve.path,
        key=Named(reserve.key_id, reserve.key_name),
        team=_named(reserve.team),
        user=_named(reserve.user),
        project=_named(reserve.project),
        end_user=EndUser(reserve.end_user, reserve.end_user_source or "") if reserve.end_user is not None else None,
        session=reserve.session,
        agent=reserve.agent,
        tags=reserve.tags or [],
        cost_center=reserve.cost_center,
        environment=reserve.environment,
        client=_tool(reserve.tool),
        client_ip=reserve.client_ip,
        client_request_id=reserve.client_request_id,
        trace_id=reserve.trace_id,
        dialect=reserve.dialect,
        model=reserve.model,
        upstream_model=place.upstream_model,
        provider=place.provider,
        deployment=place.deployment,
        credential=place.credential,
        service_tier=service_tier,
        attempts=attempts or [],
        status=status,
        outcome=outcome,
        finish_reason=finish_reason,
        response_id=response_id,
        stream=reserve.stream,
        client_retry=reserve.client_retry,
        tokens=_tokens(tokens),
        cost_lines=lines,
        list_cost_nanousd=computed.list_nanousd if computed is not None else cost_nanousd,
        cost_nanousd=cost_nanousd,
        cost_estimated=estimate_reason is not None,
        estimate_reason=estimate_reason[:TEXT_MAX] if estimate_reason is not None else None,
        price_source=price.source if price is not None else None,
        price_version=place.price_id,
        reserved_nanousd=reserve.expect_nanousd,
        bytes_in=max(0, reserve.bytes_in),
        bytes_out=bytes_out,
        latency_ms=latency_ms,
        ttft_ms=ttft_ms,
        upstream_ms=upstream_ms,
        error=error,
        key_version=reserve.key_version,
        gateway_version=__version__,
    )


def _denied(denial: records.Denial) -> Record:
    return Record(
        id=denial.id,
        time=_time(denial.time_ms),
        operation=denial.operation,
        path=denial.path,
        key=Named(denial.key_id, denial.key_name),
        team=_named(denial.team),
        user=_named(denial.user),
        project=_named(denial.project),
        client=_tool(denial.tool),
        client_ip=denial.client_ip,
        dialect=denial.dialect,
        model=denial.model,
        status=denial.status,
        outcome="denied",
        count=max(1, denial.count),
        cost_nanousd=0,
        error=Error(denial.code[:64], denial.message[:TEXT_MAX]),
        key_version=denial.key_version,
        gateway_version=__version__,
    )
