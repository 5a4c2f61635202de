"""Control's part of the counters of budgets: it gives their balances, and ends the holds of edges that died. Level 5.

Counters outlive no boot, and no edge knows what became of another's requests. So control gives all balances, of the store, at its
start, and whenever an edge misses them (docs/invariants.md N2): from the moment at which nobody holds a budget any more it waits
until every spool is read to its end, then gives what the store says, and what open requests hold. Until then requests with a
budget wait. A gateway that has none never begins.

Afterwards it follows the ledger: corrections move a balance; an edge that died has its holds ended as the vault's journal says.
What its provider may still charge beyond what is booked stays uncertain until its `total_s`, also over a restart.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from switchgear.control import budget_changes
from switchgear.control.budget_changes import Changes
from switchgear.control.budgets import Corrected
from switchgear.control.handle import Control
from switchgear.control.ingester import Ingester
from switchgear.control.prices import PriceBook
from switchgear.core.errors import RecordError
from switchgear.core.text import shown
from switchgear.counters.backend import Taken, Ticket, Unknown
from switchgear.counters.rebuild import Rebuild
from switchgear.counters.shared import SharedCounters
from switchgear.ledger import build, settlement
from switchgear.ledger.balances import End, Ended
from switchgear.ledger.batch import Batch
from switchgear.ledger.charges import Charges
from switchgear.policies import budgets
from switchgear.policies.buckets import Bucket, Hold, Kind, Reading
from switchgear.policies.budgets import Raise
from switchgear.replica.entries import Snapshot
from switchgear.store import balance_rows, ledger_rows, objects
from switchgear.store.balance_rows import SUM_MAX, BalanceRow
from switchgear.wire import records
from switchgear.wire.records import Held

KIND = "uncertain"
PAUSE_S = 0.1
OPEN_MS = 3_600_000
"""How long what an open request holds is given for at least: its end tells when it is over."""
GRACE_S = 0.5
"""How long what an edge took before the balances were forgotten may need to stand in its spool."""
KEPT_MS = 86_400_000
"""A balance stays a day after its period, so that a clock that is put back finds it."""
TOLD_S = 3_600.0
FORGET_S = 300.0
BUSY_S, RETRY_S = 1.0, 10.0
WIDE = 10**18
Open = Callable[[], SharedCounters]


class Uncertain(msgspec.Struct, frozen=True):
    """What may still be charged for an attempt: of an edge that died, or that did not learn what it cost."""

    held: list[Held]
    """With what is left of each."""
    until_ms: int


class Holds:
    """One per control. Its counters are used by one thread at a time."""

    def __init__(self, control: Control, prices: PriceBook, open_counters: Open | None) -> None:
        """`open_counters` takes control's column over; None: there are no counters."""
        self._control = control
        self.ingester: Ingester
        """Set before the first turn."""
        self._prices = prices
        self._open = open_counters
        self._seen_s: dict[str, float] = {}
        """When attempts were first seen that wait for a word."""
        self._lock = threading.RLock()
        self._counters: SharedCounters | None = None
        self._rebuild: Rebuild | None = None
        self._began_s = self._retry_s = 0.0
        self._epoch_us = 0
        """What was taken before it counts no more; 0: balances are not known."""
        self._tickets: dict[str, list[Ticket]] = {}
        """By attempt: what this process holds for requests that are open, or uncertain."""
        self._told: list[tuple[float, list[str]]] = []
        self._trouble = ""
        self.has_budgets: Callable[[], bool] = lambda: False
        """Whether anybody has a budget, as far as that is known without a look at each key."""
        self.raises: Callable[[], Mapping[str, Raise]] = dict
        """What is published of resets of rolling budgets."""
        self.limit_of: Callable[[Connection, str], int | None] = lambda connection, name: None
        """Returns the limit of a rolling budget by its balance's name: amounts are counted in units that follow from it."""
        self._limits: dict[str, int] = {}

    # the job

    async def turn(self) -> None:
        """Give the balances where they are missing, and do what waits."""
        control = self._control
        if self._open is None or not control.store.is_open:
            return
        with self._lock:
            if self._counters is None and not self._try_open():
                return
            self._flush()
            waiting = self._counters.waiting() if self._counters is not None and self._epoch_us else []
            is_late = control.clock.monotonic_s() >= self._retry_s
            is_wanted = self._rebuild is not None or (self._epoch_us == 0 and is_late and self._is_wanted())
            self._forget_told()
        if waiting:
            await self._judge(waiting)
        if not is_wanted:
            return
        if self._rebuild is None:
            with self._lock:
                self._begin()
            return
        now_s = control.clock.monotonic_s()
        if self.ingester.read_until_s < self._began_s or now_s < self._began_s:
            return
        try:
            await control.write(self._give)
        except (BlockingIOError, ValueError) as exc:
            self._control.report(f"the balances of budgets cannot be given: {exc}; trying again")
            self._rebuild, self._retry_s = None, now_s + RETRY_S

    async def _judge(self, waiting: list[str]) -> None:
        """Say what became of attempts whose edge died, where no record will say it: their requests are settled, or were never
        recorded. Those that are open are told of with their records."""
        now_s = self._control.clock.monotonic_s()
        known = {attempt for _, attempts in self._told for attempt in attempts}
        self._seen_s = {one: self._seen_s.get(one, now_s) for one in waiting if one not in known}
        ripe = [one for one, seen_s in self._seen_s.items() if self.ingester.read_until_s > seen_s]
        if ripe:
            await self._control.write(functools.partial(self._judge_here, ripe))

    def _judge_here(self, waiting: list[str], connection: Connection) -> None:
        """In the writer's thread, so that nothing is booked meanwhile."""
        is_open = {attempt.rpartition("-")[0] for attempt, _, _ in self.ingester.held()}
        by_request: dict[str, list[str]] = {}
        for attempt in waiting:
            request_id = attempt.rpartition("-")[0]
            if request_id not in is_open:
                by_request.setdefault(request_id, []).append(attempt)
        rows = ledger_rows.rows_of(connection, list(by_request))
        told: list[str] = []
        with self._lock:
            if self._counters is None or self._epoch_us == 0:
                return
            for request_id, attempts in by_request.items():
                ends = self._ends_of(connection, rows[request_id]) if request_id in rows else {}
                for attempt in attempts:
                    end = ends.get(attempt)
                    if end is not None and end.held_us > self._epoch_us:
                        self._book(end)
                        self._keep(end, self._control.clock.wall_ms())
                    told.append(attempt)
            self._flush()
        self._tell(told)

    def _ends_of(self, connection: Connection, row: bytes) -> dict[str, End]:
        """Return what a settled request's attempts came to. Of one that was booked as interrupted that was told already."""
        found = build.opened_of(row)
        if found is None:
            return {}
        opened, settle = found
        scratch = Batch()
        payload = records.encode_payload(settle)
        charges = Charges(functools.partial(self._prices.look_up, connection))
        settlement.book(scratch, opened, settle, payload, charges, lambda text: None)
        return {end.attempt: end for end in scratch.booked.ends}

    def _book(self, end: End) -> None:
        """Count what an attempt used, which nobody else does any more."""
        assert self._counters is not None
        now_ms = self._control.clock.wall_ms()
        for one, used in zip(end.held, end.used, strict=True):
            if used and not one.width_ms:
                self._counters.correct(self._bucket_of(one, now_ms), used)

    def _tell(self, told: list[str]) -> None:
        if told:
            self._control.publisher.put_ended(told)
            self._told.append((self._control.clock.monotonic_s(), told))

    def _try_open(self) -> bool:
        assert self._open is not None
        try:
            self._counters = self._open()
        except (RecordError, OSError) as exc:
            if str(exc) != self._trouble:
                self._control.report(f"the balances of budgets cannot be given: {exc}")
            self._trouble = str(exc)
            return False
        self._trouble = ""
        counters = self._counters
        for tickets in counters.orphans.values():  # of the control before: what it knew is read again
            for ticket in tickets:
                counters.abandon(ticket)
        if counters.epoch:
            self._begin()
        return True

    def _is_wanted(self) -> bool:
        assert self._counters is not None
        return self._counters.is_epoch_wanted or self.has_budgets()

    def _begin(self) -> None:
        """Forget all balances: from now on nobody takes a budget."""
        counters, clock = self._counters, self._control.clock
        assert counters is not None
        had = counters.epoch != 0
        try:
            self._rebuild = Rebuild(counters, clock.boot_us())
        except BlockingIOError:
            return  # in the next turn
        self._epoch_us = 0
        self._tickets.clear()
        self._began_s = clock.monotonic_s() + (GRACE_S if had else 0.0)

    def _give(self, connection: Connection) -> None:
        """Give what the store says. In the writer's thread, so that nothing is booked meanwhile."""
        with self._lock:
            rebuild, counters = self._rebuild, self._counters
            if rebuild is None or counters is None:
                return
            began_s, now_ms = self._control.clock.monotonic_s(), self._control.clock.wall_ms()
            rolling: dict[str, list[BalanceRow]] = {}
            rest: dict[str, tuple[Bucket, int]] = {}
            doubted: list[str] = []
            count = values = lacking = 0
            signed = objects.objects(connection, budget_changes.KIND).values()
            explained = budget_changes.corrections_of(msgspec.json.decode(raw, type=Changes) for raw in signed)
            for stored in balance_rows.running(connection, now_ms - KEPT_MS):
                row = believed(stored, explained)
                if row != stored:
                    doubted.append(str(stored.budget))
                if row is None:
                    continue
                if row.width_ms:
                    rolling.setdefault(row.budget, []).append(row)
                    continue
                bucket = self._bucket(row.budget, row.period, row.ends_ms, 0, now_ms)
                if rebuild.balance(bucket, max(0, row.amount)):
                    count += 1
                elif bucket.overflow is not None:  # as edges count what finds no room: all that a key has of it as one
                    values += 1
                    _, amount = rest.get(bucket.overflow.key, (None, 0))
                    rest[bucket.overflow.key] = bucket.overflow, amount + max(0, row.amount)
                else:
                    lacking += 1
            lacking += sum(not rebuild.balance(bucket, amount) for bucket, amount in rest.values())
            requests = self._give_holds(connection, rebuild, rolling, now_ms)
            self._limits = self._limits_of(connection, rolling)
            self._when_free(lambda: self._give_rolling(rebuild, rolling, now_ms))
            self._when_free(rebuild.end)
            self._rebuild, self._epoch_us = None, counters.epoch
            took_s = self._control.clock.monotonic_s() - began_s
            self._control.report(
                f"balances of budgets were given to the edges: {count} balances, {requests} open requests, in {took_s:.1f} s"
            )
            if doubted:
                self._control.report(
                    f"{len(doubted)} balances of budgets in the store are not as this gateway wrote them, and count no less than "
                    f"was spent: {', '.join(shown(name) for name in doubted[:5])}"
                )
            if values or lacking:
                self._control.report(
                    f"the counters have no room for all balances of budgets: {values} values of dimensions share what their "
                    f"keys have left of them, and {lacking} budgets refuse their requests until periods are over"
                )

    def _give_holds(
        self, connection: Connection, rebuild: Rebuild, rolling: dict[str, list[BalanceRow]], now_ms: int
    ) -> int:
        """Give what open requests hold; what rolling budgets hold of it is added to their rows."""
        count = 0
        now_us = self._control.clock.boot_us()
        opened: dict[str, tuple[Sequence[Held], int]] = {}
        for attempt, held, until_ms in self.ingester.held():
            opened[attempt] = (held, max(until_ms, now_ms + OPEN_MS))  # while it runs, its hold stays
        for name, raw in objects.objects(connection, KIND).items():
            known = msgspec.json.decode(raw, type=Uncertain)
            if known.until_ms > now_ms:
                opened[name] = (known.held, known.until_ms)
        for held, _ in opened.values():
            for one in held:
                if one.width_ms:  # a window keeps what was held until that leaves it
                    row = BalanceRow(
                        budget=one.budget,
                        period=one.period,
                        settled=one.amount,
                        corrected=0,
                        unit=one.unit,
                        ends_ms=one.ends_ms,
                        width_ms=one.width_ms,
                    )
                    rolling.setdefault(one.budget, []).append(row)
        for attempt, (held, until_ms) in opened.items():
            holds = [Hold(self._bucket_of(one, now_ms), one.amount) for one in held if not one.width_ms]
            if holds:
                until_us = now_us + (until_ms - now_ms) * 1_000
                try:
                    ticket = rebuild.hold(attempt, holds, until_us)
                except ValueError as exc:
                    self._control.report(f"what {attempt} holds of budgets cannot be given to the edges: {exc}")
                    continue
                self._tickets.setdefault(attempt, []).append(ticket)
                count += 1
        return count

    def _limits_of(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        found = ((name, self.limit_of(connection, name)) for name in names)
        return {name: limit for name, limit in found if limit is not None}

    def _give_rolling(self, rebuild: Rebuild, rolling: dict[str, list[BalanceRow]], now_ms: int) -> None:
        """Give what windows of rolling budgets count, where no column does any more."""
        counters = self._counters
        assert counters is not None
        for name, rows in rolling.items():
            if name not in self._limits:
                continue  # nobody has it any more
            bucket = self._bucket(name, 0, None, rows[0].width_ms, now_ms)
            lacking = sum(row.amount for row in rows) - counters.count_of(bucket)
            amounts: list[tuple[int, int]] = []
            for row in sorted(rows, key=lambda row: -row.period):
                amount = min(row.amount, lacking)
                if amount > 0:
                    amounts.append((max(0, now_ms - (row.period + 1) * row.width_ms) * 1_000, amount))
                    lacking -= amount
            if amounts:
                rebuild.window(bucket, amounts)

    def _when_free(self, work: Callable[[], None]) -> None:
        until_s = time.monotonic() + BUSY_S
        while True:
            try:
                work()
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.001)
            else:
                return

    # what is booked

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: keep what stays uncertain, for the next rebuild."""
        for end in batch.booked.ends:
            if end.is_uncertain:
                left = _left(end)
                if left:
                    now_ms = self._control.clock.wall_ms()
                    raw = msgspec.json.encode(Uncertain(left, end.until_ms))
                    objects.set_object(connection, KIND, end.attempt, raw, now_ms)
            elif end.how is Ended.CORRECTED:
                objects.drop_object(connection, KIND, end.attempt)

    def on_batch(self, batch: Batch) -> None:
        """Observer: move balances, and end what is known by now."""
        ends = batch.booked.ends
        if not ends or self._counters is None:
            return
        with self._lock:
            if self._epoch_us == 0:
                return  # the balances that are given will have it
            told = [end.attempt for end in ends if self._end(end)]
            self._flush()
        self._tell(told)

    def _end(self, end: End) -> bool:
        """End one attempt's holds; returns whether an edge may still hold something for it."""
        counters = self._counters
        assert counters is not None
        tickets, now_ms = self._tickets.pop(end.attempt, []), self._control.clock.wall_ms()
        if end.how is Ended.SETTLED and not tickets and end.held_us > self._epoch_us:
            return False  # its edge does it
        for ticket in tickets:
            with contextlib.suppress(KeyError):  # its time was over
                counters.release(ticket)
        self._book(end)
        self._keep(end, now_ms)
        return end.how is not Ended.SETTLED

    def _keep(self, end: End, now_ms: int) -> None:
        """Hold what may still be charged."""
        left = [one for one in _left(end) if not one.width_ms]
        if end.is_uncertain and left and end.until_ms > now_ms:
            self._hold(end.attempt, left, end.until_ms - now_ms)

    def _hold(self, attempt: str, left: list[Held], lasts_ms: int) -> None:
        """Hold what is left of an attempt in control's own column; no limit stops that."""
        counters = self._counters
        assert counters is not None
        clock = self._control.clock
        holds = [Hold(self._bucket_of(one, clock.wall_ms()), one.amount) for one in left]
        until_us = clock.boot_us() + max(0, lasts_ms) * 1_000

        def done(answer: object) -> None:
            if isinstance(answer, Taken):
                counters.suspend(answer.ticket, until_us)
                self._tickets.setdefault(attempt, []).append(answer.ticket)

        answer = counters.take(holds, attempt, done)
        if answer is not None:
            done(answer)

    async def corrected(self, changes: Sequence[Corrected]) -> None:
        """Move balances that somebody changed, at once for all edges."""
        rolling = {one.budget for one in changes if one.width_ms}
        limits = await self._control.read(functools.partial(self._limits_of, names=rolling)) if rolling else {}
        with self._lock:
            if self._counters is None or self._epoch_us == 0:
                return
            now_ms = self._control.clock.wall_ms()
            self._limits |= limits
            begun = {one.budget for one in changes if one.width_ms and one.delta < 0 and one.budget in limits}
            for held in (held for _, of, _ in self.ingester.held() for held in of if held.budget in begun):
                self._counters.correct(self._bucket_of(held, now_ms), held.amount)  # it counts in the window before
            for one in changes:
                if one.budget in limits and one.delta > 0:
                    self._counters.correct(self._bucket(one.budget, 0, None, one.width_ms, now_ms), one.delta)
                if not one.width_ms:
                    bucket = self._bucket(one.budget, one.period, one.ends_ms, 0, now_ms)
                    self._counters.correct(bucket, one.delta)
            self._flush()

    def read(self, buckets: Sequence[Bucket]) -> Sequence[Reading] | None:
        """Return what balances are now; None where they are not known."""
        with self._lock:
            if self._counters is None or self._epoch_us == 0:
                return None
            found = self._counters.read(buckets)
        return None if isinstance(found, Unknown) else found

    def close(self) -> None:
        """Let go of the column."""
        with self._lock:
            if self._counters is not None:
                self._counters.close()
                self._counters = None

    async def forget(self) -> None:
        """Forget what is uncertain no more: a turn of the job, seldom."""
        now_ms = self._control.clock.wall_ms()
        known = await self._control.read(functools.partial(objects.objects, kind=KIND))
        old = [name for name, raw in known.items() if msgspec.json.decode(raw, type=Uncertain).until_ms <= now_ms]
        if old:
            await self._control.write(functools.partial(_drop, old))

    def _forget_told(self) -> None:
        now_s = self._control.clock.monotonic_s()
        while self._told and now_s - self._told[0][0] > TOLD_S:
            self._control.publisher.drop_ended(self._told.pop(0)[1])

    def _flush(self) -> None:
        """Do what waits. A lock that is busy is tried for some milliseconds; the next turn goes on."""
        counters = self._counters
        assert counters is not None
        for _ in range(20):
            counters.flush()
            if counters.is_settled:
                return
            time.sleep(0.001)

    # buckets

    def _bucket_of(self, held: Held, now_ms: int) -> Bucket:
        return self._bucket(held.budget, held.period, held.ends_ms, held.width_ms, now_ms)

    def _bucket(self, name: str, period: int, ends_ms: int | None, width_ms: int, now_ms: int) -> Bucket:
        """Return the bucket that edges count a balance in. Its limit stops nobody here."""
        keep_until_us = None
        if ends_ms is not None:
            keep_until_us = max(1, self._control.clock.boot_us() + (ends_ms + KEPT_MS - now_ms) * 1_000)
        share, overflow = "", None
        found = budgets.overflow_of(name)
        if found is not None:
            # Of what is no key's the store does not say which key used it, so that each value has a share of its own.
            share = f"key:{found[0]}" if found[0] else name
            overflow = self._bucket(found[1], period, ends_ms, width_ms, now_ms)
        bucket = Bucket(
            key=budgets.key_of(name, None if width_ms else period),
            kind=Kind.WINDOW if width_ms else Kind.BALANCE,
            limit=self._limits.get(name, WIDE) if width_ms else WIDE,
            window_us=width_ms * 63_000,
            keep_until_us=keep_until_us,
            is_hard=False,
            is_budget=True,
            share=share,
            overflow=overflow,
        )
        return budgets.begun(self.raises(), name, bucket)


def snapshot_has_budgets(snapshot: Snapshot) -> bool:
    """Tell whether something has a budget that a snapshot shows."""
    table = snapshot.table
    return bool(
        snapshot.budgets
        or any(model.budgets or any(one.budgets for one in model.deployments) for model in table.models.values())
        or any(one.budgets or one.credential_budgets for one in table.providers.values())
    )


def believed(row: BalanceRow, explained: Mapping[tuple[str, int], int]) -> BalanceRow | None:
    """Return a stored balance as far as it can be true, since whoever writes the database may open no budget with it: none is below
    zero, and people took off what signed changes say (`explained`: by name and period), no more. None: it is no balance at all."""
    numbers = (row.period, row.settled, row.corrected, row.width_ms, 0 if row.ends_ms is None else row.ends_ms)
    if not isinstance(row.budget, str) or not all(type(one) is int and abs(one) < 2**63 for one in numbers):
        return None
    least = min(0, explained.get((row.budget, 0 if row.width_ms else row.period), 0))
    settled, corrected = min(max(0, row.settled), SUM_MAX), min(max(least, row.corrected), SUM_MAX)
    if (settled, corrected) == (row.settled, row.corrected):
        return row
    return msgspec.structs.replace(row, settled=settled, corrected=corrected)


def _left(end: End) -> list[Held]:
    """Return what an attempt may still cost beyond what is booked."""
    return [
        msgspec.structs.replace(one, amount=one.amount - used)
        for one, used in zip(end.held, end.used, strict=True)
        if one.amount > used
    ]


def _drop(names: Iterable[str], connection: Connection) -> None:
    for name in names:
        objects.drop_object(connection, KIND, name)
