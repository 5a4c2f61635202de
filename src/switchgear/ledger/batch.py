"""What one transaction of the ledger writes: rows, sums, findings, and what observers are told. Level 3. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from switchgear.core.ids import credential_id
from switchgear.core.usage import TokenUsage
from switchgear.ledger import build
from switchgear.ledger.balances import Booked
from switchgear.ledger.claims import Claim
from switchgear.ledger.deployments import Counter
from switchgear.ledger.record import Record, encode
from switchgear.replica.entries import Pending, StoredThing
from switchgear.store.sums import Sums
from switchgear.wire import records

HOUR_MS = 3_600_000


class SpoolFinding(msgspec.Struct, frozen=True):
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


class Told(msgspec.Struct, frozen=True):
    """What an open request was told of an answer that was made in the background, and who asked where."""

    late: records.Late
    scope: str
    credential_id: str
    time_ms: int


class Batch:
    """What one transaction will write."""

    def __init__(self, is_known: Callable[[str], bool] | None = None, spool: str = "") -> None:
        """`is_known` is asked for each id after a duplicate was met: records that were written again (after a failed
        sync) are skipped. `spool` is the name of the folder that it is read from."""
        self.spool = spool
        self._is_known = is_known
        self.rows: list[tuple[Any, ...]] = []
        self.sums: dict[tuple[Any, ...], Sums] = {}
        self.findings: list[SpoolFinding] = []
        self.attempts: dict[str, Claim | None] = {}
        """The attempts of requests that are settled: for the double entry. None: the edge died, nobody claims anything."""
        self.counters: list[records.Counters] = []
        """What the edge counted and did not record."""
        self.timings: list[tuple[str, str, int, int, int | None]] = []
        """Of each settled request: provider, model, status, latency and time to the first token in ms."""
        self.deployments = Counter()
        """What is counted of each deployment."""
        self.stored: dict[str, StoredThing] = {}
        """Responses that a provider keeps, by id."""
        self.pending: dict[str, Pending] = {}
        """Answers that are made in the background, by id."""
        self.late: list[Told] = []
        """What was told of such answers."""
        self.late_rows: list[tuple[Any, ...]] = []
        """Rows of corrections, which are written beside `rows`."""
        self.changed_keys: set[str] = set()
        """Keys whose sums were changed beside `sums`."""
        self.tried: list[tuple[str, str]] = []
        """(provider, request id) of attempts that were not at the provider of the last one."""
        self.heard: dict[str, tuple[int, int]] = {}
        """Credential id → (status, time in ms) of the last answer that was ingested from it."""
        self.booked = Booked()
        """What is booked in the balances of budgets, and the holds that ended."""
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
        corrects: bool = False,
    ) -> bool:
        """Add a row and its sums. `dimensions` are tables.DIMENSIONS without the hour, of the last attempt's place; usage and
        cost are the last attempt's, `before` are those before it; `attempts` is 0 where nothing was sent, else 1. `corrects`: it
        is the correction of an estimate, which is one no more. False where the request was added before: nothing of it counts once
        more."""
        if request_id in self._ids or (self._is_known is not None and self._is_known(request_id)):
            return False
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
        if corrects:
            sums.estimated_requests -= 1
        elif whole is None and (usage is not None or cost_nanousd is not None):
            sums.unpriced_requests += 1
        self._add_attempt(sums, attempts, failed, usage, cost_nanousd, list_nanousd)
        for one in before:
            name = (hour, *dimensions[:6], one.upstream_model, one.provider, one.credential_id)
            sums = self.sums.setdefault(name, Sums())
            self._add_attempt(sums, 1, one.failed, one.usage, one.cost_nanousd, one.list_nanousd)
            if one.provider != provider and (one.provider, request_id) not in self.tried[-len(before) :]:
                self.tried.append((one.provider, request_id))
        return True

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
        simple = usage.simple() if usage is not None else None
        if simple is not None:
            sums.input_tokens += simple[0]
            sums.output_tokens += simple[1]
        elif usage is not None:
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

    def add_record(self, record: Record) -> bool:
        """Add a record that is kept whole: a refusal, a request whose edge died, or a correction. False as for `add`."""
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
        return self.add(
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
            corrects=record.corrects is not None,
        )
