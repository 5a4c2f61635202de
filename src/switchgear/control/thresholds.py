"""Notices which shares of budgets were passed, once in each period, and tells of them. Level 5.

Who is told: the log, `/metrics`, `doctor`, and the destinations of `alerts`, through the courier. What was passed is in the store
before anybody is told, and what nobody outside was told of yet is tried again, also by a process that comes later; so somebody may
be told twice, with one id.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.config.compile import AlertSpec
from switchgear.control.balances import Balances
from switchgear.control.budgets import Budgets, Holder, running_of
from switchgear.control.courier import Courier
from switchgear.control.handle import Control
from switchgear.control.publication import Publication
from switchgear.core import budget_rule, pattern
from switchgear.core.budget_rule import BudgetRule
from switchgear.core.errors import UserError
from switchgear.core.iso_time import format_time, parse_time
from switchgear.core.money import format_usd
from switchgear.courier import verbs
from switchgear.courier.verbs import Notice
from switchgear.policies import budgets
from switchgear.policies.budgets import Budget
from switchgear.replica.entries import Snapshot
from switchgear.store import balance_rows
from switchgear.store.balance_rows import Key, Passed
from switchgear.store.database import StoreGoneError

PAUSE_S = 2.0
RETRY_S = 30.0
TOLD_WITHIN_MS = 3 * 86_400_000
"""What nobody could be told of for so long is not told any more."""
AT_ONCE = 100
RECENT_MS = 32 * 86_400_000
RECENT_MAX = 1_000
TYPE = "budget.threshold"


class Thresholds:
    """Follows the balances."""

    def __init__(
        self, control: Control, publication: Publication, all_budgets: Budgets, balances: Balances, courier: Courier
    ) -> None:
        self._control = control
        self._publication = publication
        self._budgets = all_budgets
        self._balances = balances
        self._courier = courier
        self._is_whole = False
        """True while nothing but what changed has to be looked at."""
        self._delivered: set[tuple[str, str]] = set()
        """(destination, id) of what was told to one of several."""
        self._next_s = 0.0
        self.passed: Counter[str] = Counter()
        """How many were passed since control began, by the kind of what has the budget."""
        self.failures: dict[str, str] = {}
        """Why a destination was not told, by its name."""

    @property
    def problems(self) -> list[str]:
        """What `status` says of it."""
        return [f"{name} was not told of a budget: {why}" for name, why in sorted(self.failures.items())]

    async def turn(self) -> None:
        """Look at what changed; first, and after a failure, at all that runs: a crash may have kept the last changes back."""
        keys = self._balances.take()
        if self._is_whole and not keys:
            await self._tell_outside()
            return
        was_whole, self._is_whole = self._is_whole, False
        try:
            await self._look(keys if was_whole else None)
        except (StoreGoneError, DatabaseError):
            return  # the ingester's to report
        self._is_whole = True
        self._next_s = 0.0
        await self._tell_outside()

    async def _look(self, keys: set[Key] | None) -> None:
        snapshot = self._publication.snapshot
        if snapshot is None:
            return
        now_ms = self._control.clock.wall_ms()
        if keys is None:
            rows = await self._control.read(lambda c: list(balance_rows.running(c, now_ms)))
            keys = {(row.budget, row.period) for row in rows}
        names = {name for name, _ in keys}
        by_subject = by_subjects(names)
        holders = await self._budgets.holders_of(by_subject)
        wanted = [found for holder in holders for found in _softened(holder, snapshot, by_subject[holder.subject])]
        if not wanted:
            return
        look = functools.partial(_passed, wanted=wanted, snapshot=snapshot, now_ms=now_ms)
        for one, _ in await self._control.write(look):
            event = msgspec.json.decode(one.body)
            data = event["data"]
            self.passed[data["subject"].partition(":")[0]] += 1
            self._control.report(
                f"budget: {data['subject']} passed {one.percent} % of {data['budget']}"
                + (f" of {data['value']}" if data["value"] else "")
                + f" ({data['settled']} of {data['limit']} {data['unit']})"
            )

    # outside

    async def _tell_outside(self) -> None:
        alerts = self._publication.compiled.alerts
        now_s = self._control.clock.monotonic_s()
        if not alerts or now_s < self._next_s:
            return
        self._next_s = now_s + RETRY_S
        now_ms = self._control.clock.wall_ms()
        try:
            untold = await self._control.read(
                lambda c: balance_rows.passed_since(c, now_ms - TOLD_WITHIN_MS, AT_ONCE, untold=True)
            )
            for one in reversed(untold):
                if await self._tell_all(one, alerts):
                    await self._control.write(functools.partial(balance_rows.set_told, one=one, told_ms=now_ms))
        except (StoreGoneError, DatabaseError):
            return

    async def _tell_all(self, one: Passed, alerts: Sequence[AlertSpec]) -> bool:
        """Tell all whom it concerns; False when one of them has to be asked again."""
        subject, identity = msgspec.json.decode(one.body)["data"]["subject"], id_of(one)
        is_told = True
        for alert in alerts:
            if alert.subjects and not any(pattern.matches(wanted, subject) for wanted in alert.subjects):
                continue
            if (alert.destination, identity) not in self._delivered:
                is_told = await self._tell(alert.destination, identity, one.body) and is_told
        if is_told:
            self._delivered = {(to, known) for to, known in self._delivered if known != identity}
        return is_told

    async def _tell(self, destination: str, identity: str, body: bytes) -> bool:
        notice = Notice(destination=destination, id=identity, time_s=self._control.clock.wall_ms() // 1_000, body=body)
        try:
            reply = await self._courier.ask(verbs.NOTIFY, notice)
            wrong = None if 200 <= reply.status < 300 else f"it answered {reply.status}"
        except UserError as exc:
            wrong = str(exc)
        if wrong is None:
            self.failures.pop(destination, None)
            self._delivered.add((destination, identity))
            return True
        if self.failures.get(destination) != wrong:
            self._control.report(f"{destination} was not told of a budget: {wrong}; trying again")
        self.failures[destination] = wrong
        return False


def id_of(one: Passed) -> str:
    """Return the id of what is told: the same whenever it is told again."""
    return "msg_" + hashlib.sha256(f"{one.budget}\n{one.period}\n{one.percent}".encode()).hexdigest()[:32]


def by_subjects(names: Iterable[str]) -> dict[str, set[str]]:
    """Return names of balances (`policies.budgets.name_of`) by whose they are."""
    found: dict[str, set[str]] = {}
    for name in names:
        size, colon, rest = name.partition("/")[2].partition(":")
        if colon and size.isdigit():
            found.setdefault(rest[: int(size)], set()).add(name)
    return found


def _softened(
    holder: Holder, snapshot: Snapshot, names: set[str]
) -> list[tuple[Holder, BudgetRule, Budget, list[str]]]:
    """Return the budgets of a holder that have thresholds, with their balances among these names."""
    found = []
    for rule in holder.rules:
        if rule.soft:
            budget = budgets.of_rule(holder.subject, rule, snapshot.timezone, snapshot.model_sets)
            name = budgets.name_of(budget)
            its = [one for one in names if one == name or (budget.per is not None and one.startswith(name))]
            if its:
                found.append((holder, rule, budget, its))
    return found


def _passed(
    connection: Connection,
    wanted: list[tuple[Holder, BudgetRule, Budget, list[str]]],
    snapshot: Snapshot,
    now_ms: int,
) -> list[tuple[Passed, int]]:
    """Remember the thresholds that balances are above and that were not known; returns them with their settled amounts."""
    new: list[tuple[Passed, int]] = []
    for holder, rule, budget, names in wanted:
        running = running_of(budget, now_ms)
        for name in names:
            rows = balance_rows.of_budget(connection, name, running.first, running.last)
            settled = sum(row.amount for row in rows)
            number = running.period.number if running.period is not None else None
            limit = rule.amount + budgets.raised(snapshot.raises, name, number, now_ms)
            above = budgets.passed(limit, -1, settled, rule.soft)
            value = name.removeprefix(budgets.name_of(budget)) or None
            told = [
                Passed(
                    budget=name,
                    period=running.number,
                    percent=percent,
                    passed_ms=now_ms,
                    told_ms=None,
                    body=_event(holder, rule, value, percent, settled, limit, running.ends_ms, now_ms),
                )
                for percent in above
            ]
            new += [(one, settled) for one in balance_rows.pass_thresholds(connection, told)]
    return new


def _event(
    holder: Holder,
    rule: BudgetRule,
    value: str | None,
    percent: int,
    settled: int,
    limit: int,
    ends_ms: int | None,
    now_ms: int,
) -> bytes:
    """Return what is told: `type`, `timestamp` and `data`, as Standard Webhooks advises (its specification 1.0.0, read
    2026-11-28)."""
    is_money = rule.unit == budget_rule.MONEY
    data: dict[str, Any] = {
        "subject": holder.title,
        "budget": budget_rule.limit_text(rule),
        "label": rule.label,
        "per": rule.per,
        "value": value,
        "percent": percent,
        "unit": "usd" if is_money else rule.unit,
        "settled": format_usd(settled) if is_money else settled,
        "limit": format_usd(limit) if is_money else limit,
        "hard": rule.is_hard,
        "resets": format_time(ends_ms) if ends_ms is not None else None,
    }
    return msgspec.json.encode({"type": TYPE, "timestamp": format_time(now_ms), "data": data})


def running(connection: Connection, now_ms: int) -> list[str]:
    """Return in a sentence each which thresholds were passed last of the balances whose periods run."""
    found: dict[str, str] = {}
    for one in balance_rows.passed_since(connection, now_ms - RECENT_MS, RECENT_MAX):
        data = msgspec.json.decode(one.body)["data"]
        resets_ms = parse_time(data["resets"]) if data["resets"] else None
        if one.budget not in found and (resets_ms is None or now_ms < resets_ms):
            whose = f" of {data['value']}" if data["value"] else ""
            found[one.budget] = f"{data['subject']} passed {one.percent} % of its budget of {data['budget']}{whose}"
    return list(found.values())
