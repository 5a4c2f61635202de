"""Budgets as administrators see them: what they allow, what is spent, and how one is raised or reset. Level 5."""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.control import budget_changes
from switchgear.control.balances import Balances
from switchgear.control.budget_changes import Change, Changes
from switchgear.control.handle import Control
from switchgear.control.holders import find as find_holder
from switchgear.control.publication import Publication
from switchgear.core import budget_rule, organisation
from switchgear.core.budget_rule import MONEY, BudgetRule
from switchgear.core.errors import UserError
from switchgear.core.ids import deployment_id
from switchgear.core.key_policy import KeyPolicy
from switchgear.core.money import NANO_PER_USD
from switchgear.core.nearest import meant
from switchgear.core.text import shown
from switchgear.policies import budgets, windows
from switchgear.policies.buckets import Bucket, Reading
from switchgear.policies.budgets import Budget, Place
from switchgear.policies.periods import Period, period_at
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import counted_as
from switchgear.store import balance_rows, holders, objects
from switchgear.store.balance_rows import Added, BalanceRow
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow

VALUES_SHOWN = 50
"""Values of a dimension that are shown of one budget: those that spent most."""
VALUES_RESET = 100_000
LISTED_MAX = 10_000
ONE_BY_ONE_MAX = 100
"""More subjects than so many are looked for among all."""
REASON_MAX = 400
KINDS = ("key", "team", "user", "project", "profile", "organisation", "model", "deployment", "provider", "credential")
ORGANISATION = "organisation"
PROFILE = "profile"
POT_CHARS_MAX = 80
"""Of `/user:` and an id, or `/key:` and one."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has budgets."""

    subject: str
    """As its balances are kept: `key:<id>`, `organisation`, `model:fast`."""
    kind: str
    name: str
    """As people call it; empty for the organisation."""
    rules: tuple[BudgetRule, ...]

    @property
    def title(self) -> str:
        """What people write for it: `key:ci-bot`."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """A balance that changed otherwise than by requests."""

    budget: str
    period: int
    delta: int
    ends_ms: int | None
    width_ms: int


Read = Callable[[Sequence[Bucket]], Sequence[Reading] | None]
"""Returns what counters have now; None where they do not know."""


class Budgets:
    """All budgets."""

    def __init__(self, control: Control, publication: Publication, balances: Balances) -> None:
        self._control = control
        self._publication = publication
        self._balances = balances
        self.read: Read | None = None
        """Set by whoever has the counters."""
        self.corrected: Callable[[Sequence[Corrected]], Awaitable[None]] | None = None
        """Told of balances that were corrected, so that edges count them at once. Set by whoever has the counters."""

    # who has budgets

    def _snapshot(self) -> Snapshot:
        snapshot = self._publication.snapshot
        if snapshot is None:
            raise UserError("nothing is published yet", "try again in a moment")
        return snapshot

    async def holders(self) -> list[Holder]:
        """Return all that have budgets."""
        snapshot = self._snapshot()
        return [*of_snapshot(snapshot), *await self._control.read(_of_store)]

    async def holders_of(self, subjects: Iterable[str]) -> list[Holder]:
        """Return those of some subjects that have budgets."""
        wanted = set(subjects)
        if len(wanted) > ONE_BY_ONE_MAX:
            return [holder for holder in await self.holders() if holder.subject in wanted]
        found = [holder for holder in of_snapshot(self._snapshot()) if holder.subject in wanted]
        for subject in sorted(wanted):
            kind, _, identity = subject.partition(":")
            if kind == "key":
                rows = await self._control.read(functools.partial(objects.keys, name=identity))
                found += [_of_key(row) for row in rows if row.id == identity and row.budget]
            elif kind in organisation.KINDS:
                look = functools.partial(holders.holder_of, kind=kind, identity=identity.partition("/")[0])
                row = await self._control.read(look)
                if row is not None and row.budget and not row.is_forged:
                    found.append(_of_holder(row, subject))
        return found

    async def find(self, subject: str) -> Holder:
        """Return what is named `KIND:NAME`, or a key by its name alone. Raises UserError."""
        kind, colon, name = subject.partition(":")
        if not colon and kind != ORGANISATION:
            kind, name = "key", subject
        if kind not in KINDS:
            raise UserError(
                f"{shown(kind)} has no budgets{meant(kind, KINDS)}",
                f"write KIND:NAME, e.g. key:ci-bot; kinds are {', '.join(KINDS)}",
                2,
            )
        if kind == "key":  # a look at one row, however many there are
            rows = await self._control.read(functools.partial(objects.keys, name=name))
            if rows and rows[0].budget and rows[0].revoked_ms is None:
                return _of_key(rows[0])
        all_holders = await self.holders()
        for holder in all_holders:
            if holder.kind == kind and name in {holder.name, holder.subject.partition(":")[2]}:
                return holder
        await self._control.read(functools.partial(_check_exists, kind=kind, name=name))
        known = [holder.title for holder in all_holders]
        raise UserError(
            f"{shown(subject)} has no budget{meant(f'{kind}:{name}' if name else kind, known)}",
            "list what has: switchgear budget list",
            2,
        )

    # what is spent

    async def states(self, holders: Iterable[Holder]) -> list[dict[str, Any]]:
        """Return the state of each budget; of those with a dimension, of each value that spent most."""
        snapshot, now_ms = self._snapshot(), self._control.clock.wall_ms()
        wanted = [(holder, found) for holder in holders for found in _budgets(holder, snapshot)]
        look = functools.partial(_look, wanted=[budget for _, (_, budget) in wanted], now_ms=now_ms)
        balances = await self._control.read(look)
        rows: list[tuple[Holder, BudgetRule, Budget, _Balance]] = [
            (holder, rule, budget, balance)
            for (holder, (rule, budget)), found in zip(wanted, balances, strict=True)
            for balance in found
        ]
        readings = self._readings([(budget, balance) for _, _, budget, balance in rows], now_ms)
        return [
            _state(holder, rule, balance, reading, snapshot, now_ms)
            for (holder, rule, _, balance), reading in zip(rows, readings, strict=True)
        ]

    def _readings(self, wanted: list[tuple[Budget, "_Balance"]], now_ms: int) -> Sequence[Reading | None]:
        buckets = []
        for budget, balance in wanted:
            place = Place(period=balance.period, now_ms=now_ms, boot_us=0)
            bucket = budgets.bucket_of(budget, place, balance.value or "")
            buckets.append(budgets.begun(self._snapshot().raises, balance.name, bucket))
        found = self.read(buckets) if self.read is not None and buckets else None
        return found if found is not None else [None] * len(wanted)

    async def changes(self, holder: Holder) -> list[dict[str, Any]]:
        """Return what people changed about its budgets, newest first."""
        stored = await self._control.read(lambda c: objects.objects(c, budget_changes.KIND))
        known = [msgspec.json.decode(raw, type=Changes) for raw in stored.values()]
        found = []
        for rule, budget in _budgets(holder, self._snapshot()):
            name = budgets.name_of(budget)
            for one in known:
                if one.budget == name or (budget.per is not None and one.budget.startswith(name)):
                    value = one.budget.removeprefix(name) or None
                    more = {"label": rule.label, "value": value, "unit": rule.unit}
                    found += [msgspec.structs.asdict(change) | more for change in reversed(one.changes)]
        return sorted(found, key=lambda change: change["time_ms"], reverse=True)

    # changes

    async def raise_limit(
        self, subject: str, amount: str, reason: str, actor: str, label: str | None = None, value: str | None = None
    ) -> dict[str, Any]:
        """Raise a budget's limit for its running period, for the next request on every edge. Raises UserError."""
        holder, rule, budget = await self._one(subject, label, reason)
        if rule.per is not None and value is None:
            raise UserError(f"the budget {rule.label} is one for each {rule.per}", "say whose: --value VALUE", 2)
        wanted = budget_rule.parse(f"{amount} total")
        if isinstance(wanted, str) or wanted.unit not in {rule.unit, MONEY}:
            what = "USD" if rule.unit == MONEY else rule.unit
            raise UserError(f"{shown(amount)} is no amount of {what}", "write a number above 0, e.g. 5", 2)
        more = wanted.amount
        if rule.unit != MONEY and wanted.unit == MONEY:  # a bare number
            more, rest = divmod(wanted.amount, NANO_PER_USD)
            if rest:
                raise UserError(f"{shown(amount)} must be a whole number of {rule.unit}", "", 2)
        now_ms = self._control.clock.wall_ms()
        period = _period(budget, now_ms)
        until_ms = period.ends_ms if period is not None else now_ms + (budget.rolling_s or 0) * 1_000
        name = budgets.name_of(budget, value or "")
        change = Change(
            kind=budget_changes.RAISE,
            period=period.number if period is not None else 0,
            until_ms=until_ms,
            amount=more,
            time_ms=now_ms,
            actor=actor,
            reason=reason,
        )

        def work(connection: Connection) -> None:
            _remember(connection, name, change)
            detail = _detail(holder, rule, value, change.amount, reason)
            objects.write_audit(connection, now_ms, actor, "budget.raise", holder.title, detail)

        await self._control.write(work)
        await self._publication.publish()
        return await self._told(holder, rule, value)

    async def reset(
        self, subject: str, reason: str, actor: str, label: str | None = None, value: str | None = None
    ) -> dict[str, Any]:
        """Bring a budget's balance to zero, by a correction that is recorded. Raises UserError."""
        holder, rule, budget = await self._one(subject, label, reason)
        now_ms = self._control.clock.wall_ms()
        name = budgets.name_of(budget, value or "")

        def work(connection: Connection) -> list[Corrected]:
            first, last = _periods(budget, now_ms)
            if rule.per is not None and value is None:
                rows = balance_rows.of_values(connection, budgets.name_of(budget), first, last, VALUES_RESET)
            else:
                rows = balance_rows.of_budget(connection, name, first, last)
            rows = [row for row in rows if row.amount > 0]
            balance_rows.add(connection, ((_key(row), _correction(row, -row.amount)) for row in rows))
            for row in rows:
                change = Change(
                    kind=budget_changes.RESET,
                    period=row.period if row.width_ms == 0 else 0,
                    until_ms=row.ends_ms,
                    amount=-row.amount,
                    time_ms=now_ms,
                    actor=actor,
                    reason=reason,
                    rolls=row.width_ms > 0,
                )
                _remember(connection, row.budget, change)
            total = sum(row.amount for row in rows)
            detail = _detail(holder, rule, value, -total, reason)
            objects.write_audit(connection, now_ms, actor, "budget.reset", holder.title, detail)
            return [_told_of(row, -row.amount) for row in rows]

        told = await self._control.write(work)
        if budget.rolling_s is not None:
            await self._publication.publish()  # its window begins anew on every edge
        await self._tell(told)
        return await self._told(holder, rule, value)

    async def open_with(self, subject: str, row: KeyPolicy, spent_nanousd: int, actor: str) -> None:
        """Book in the running periods of a new key, team or user what it spent of them before it came here."""
        snapshot, now_ms = self._snapshot(), self._control.clock.wall_ms()
        holder = Holder(subject=subject, kind="", name="", rules=budget_rule.rules_of(row))
        opened = [
            (rule, budget)
            for rule, budget in _budgets(holder, snapshot)
            if rule.unit == MONEY and rule.per is None and not rule.models
        ]
        if spent_nanousd <= 0 or not opened:
            return

        def work(connection: Connection) -> list[Corrected]:
            told = []
            for _, budget in opened:
                one = _opening(budget, now_ms)
                balance_rows.add(connection, [((one.budget, one.period), _added(one, spent_nanousd))])
                change = Change(
                    kind=budget_changes.OPENING,
                    period=one.period if one.width_ms == 0 else 0,
                    until_ms=one.ends_ms,
                    amount=spent_nanousd,
                    time_ms=now_ms,
                    actor=actor,
                    reason="spent before it was imported",
                )
                _remember(connection, one.budget, change)
                told.append(msgspec.structs.replace(one, delta=spent_nanousd))
            return told

        await self._tell(await self._control.write(work))

    async def _tell(self, told: list[Corrected]) -> None:
        self._balances.add({(one.budget, one.period) for one in told})
        if told and self.corrected is not None:
            await self.corrected(told)

    async def _one(self, subject: str, label: str | None, reason: str) -> tuple[Holder, BudgetRule, Budget]:
        if not 0 < len(reason.strip()) <= REASON_MAX or not reason.isprintable():
            raise UserError("a reason is needed", f"why, in 1 to {REASON_MAX} characters: --reason 'load test'", 2)
        holder = await self.find(subject)
        found = list(_budgets(holder, self._snapshot()))
        if label is not None:
            found = [one for one in found if one[0].label == label]
        if len(found) != 1:
            labels = [rule.label for rule in holder.rules]
            wrong = f"{holder.title} has no budget {shown(label)}{meant(label, labels)}" if label is not None else ""
            raise UserError(
                wrong or f"{holder.title} has {len(found)} budgets", f"say which: --budget {'|'.join(labels)}", 2
            )
        return holder, *found[0]

    async def _told(self, holder: Holder, rule: BudgetRule, value: str | None) -> dict[str, Any]:
        states = await self.states([msgspec.structs.replace(holder, rules=(rule,))])
        same = [state for state in states if value is None or state["value"] == value]
        return {"budgets": same}


def _check_exists(connection: Connection, kind: str, name: str) -> None:
    """Raise UserError where there is no such key, team, user, project or profile."""
    if kind in organisation.KINDS:
        find_holder(connection, kind, name.partition("/")[0] if kind == PROFILE else name, is_meant_to_be=True)
    if kind == "key":
        rows = objects.keys(connection)
        if not any(name in {row.name, row.id} for row in rows):
            near = meant(f"key:{name}", [f"key:{row.name}" for row in rows if row.revoked_ms is None])
            raise UserError(f"there is no key {shown(name)}{near}", "list them: switchgear key list", 2)


def of_snapshot(snapshot: Snapshot) -> Iterator[Holder]:
    """Return what has budgets besides keys and those they belong to."""
    if snapshot.budgets:
        yield Holder(subject=ORGANISATION, kind=ORGANISATION, name="", rules=snapshot.budgets)
    for model in snapshot.table.models.values():
        if model.budgets:
            yield Holder(subject=f"model:{model.name}", kind="model", name=model.name, rules=model.budgets)
        for entry in model.deployments:
            provider = snapshot.table.providers.get(entry.provider)
            if entry.budgets and provider is not None:
                for credential in (entry.credential,) if entry.credential is not None else provider.credentials:
                    plain = deployment_id(entry.provider, entry.model, credential)
                    name = counted_as(model, entry, credential) or plain
                    yield Holder(subject=f"deployment:{name}", kind="deployment", name=name, rules=entry.budgets)
    for provider in snapshot.table.providers.values():
        if provider.budgets:
            yield Holder(
                subject=f"provider:{provider.name}", kind="provider", name=provider.name, rules=provider.budgets
            )
        for name, rules in provider.credential_budgets.items():
            full = f"{provider.name}/{name}"
            yield Holder(subject=f"credential:{full}", kind="credential", name=full, rules=rules)


def limit_of(connection: Connection, snapshot: Snapshot, name: str) -> int | None:
    """Return the limit of the budget that has a balance of this name (`policies.budgets.name_of`); None: nobody has it."""
    size, _, rest = name.partition("/")[2].partition(":")
    subject = rest[: int(size)] if size.isdigit() else ""
    kind, _, identity = subject.partition(":")
    found: Iterable[Holder] = ()
    if kind == "key":
        found = [_of_key(row) for row in objects.keys(connection, identity) if row.id == identity]
    elif kind in organisation.KINDS:
        row = holders.holder_of(connection, kind, identity.partition("/")[0])
        found = [_of_holder(row, subject)] if row is not None and not row.is_forged else ()
    else:
        found = (holder for holder in of_snapshot(snapshot) if holder.subject == subject)
    for holder in found:
        for _, budget in _budgets(holder, snapshot):
            known = budgets.name_of(budget)
            if name == known or (budget.per is not None and name.startswith(known)):
                return budget.limit
    return None


def _of_store(connection: Connection) -> list[Holder]:
    """Return keys, teams, users and projects that have budgets, and of each profile the pots that something was spent of."""
    found = [_of_key(row) for row in objects.keys(connection) if row.budget and row.revoked_ms is None]
    for row in holders.holders(connection):
        if not row.budget or row.removed_ms is not None or row.is_forged:
            continue
        subject = f"{row.kind}:{row.id}"
        pots = _pots(connection, subject) if row.kind == PROFILE else [subject]
        found += [_of_holder(row, pot) for pot in pots]
    return found


def _pots(connection: Connection, profile: str) -> list[str]:
    """Return the subjects that a profile's budgets are counted for, as far as balances name them: a user's, or a key's."""
    found = set()
    for size in range(len(profile) + 2, len(profile) + POT_CHARS_MAX):
        for start in ("one", "each"):
            names = balance_rows.names_from(connection, f"{start}/{size}:{profile}/")
            found |= {name.partition(":")[2][:size] for name in names}
    return sorted(found)


def _of_holder(row: HolderRow, subject: str) -> Holder:
    """`subject`: of a profile with its pot."""
    pot = subject.partition("/")[2]
    name = f"{row.name}/{pot}" if pot else row.name
    return Holder(subject=subject, kind=row.kind, name=name, rules=budget_rule.rules_of(row))


def _of_key(row: KeyRow) -> Holder:
    return Holder(subject=f"key:{row.id}", kind="key", name=row.name, rules=budget_rule.rules_of(row))


def _budgets(holder: Holder, snapshot: Snapshot) -> Iterator[tuple[BudgetRule, Budget]]:
    for rule in holder.rules:
        yield rule, budgets.of_rule(holder.subject, rule, snapshot.timezone, snapshot.model_sets)


def _period(budget: Budget, now_ms: int) -> Period | None:
    return period_at(budget.calendar, now_ms) if budget.calendar is not None else None


def _width_ms(budget: Budget) -> int:
    """Return how long a rolling budget's sub-windows are, as records number them (`wire.records.Held`)."""
    return max(1, windows.width_us((budget.rolling_s or 0) * 1_000_000) // 1_000)


class Running(msgspec.Struct, frozen=True):
    """The time that counts of a budget now."""

    period: Period | None
    """Of the calendar; None: it is rolling."""
    first: int
    last: int
    """The first and the last number of its balances."""
    number: int
    """Of what happens once in a period: of a rolling budget the numbers of its length since the epoch."""
    ends_ms: int | None


def running_of(budget: Budget, now_ms: int) -> Running:
    """Return the time that counts of a budget."""
    period, (first, last) = _period(budget, now_ms), _periods(budget, now_ms)
    if period is not None:
        return Running(period, first, last, period.number, period.ends_ms)
    return Running(None, first, last, now_ms // ((budget.rolling_s or 1) * 1_000), None)


def _periods(budget: Budget, now_ms: int) -> tuple[int, int]:
    """Return the first and the last number of the balances that count now."""
    period = _period(budget, now_ms)
    if period is not None:
        return period.number, period.number
    width_ms = _width_ms(budget)
    return (now_ms - (budget.rolling_s or 0) * 1_000) // width_ms, now_ms // width_ms


class _Balance(msgspec.Struct, frozen=True):
    name: str
    value: str | None
    period: Period | None
    settled: int


def _look(connection: Connection, wanted: list[Budget], now_ms: int) -> list[list[_Balance]]:
    """Return the balances of budgets in their running periods: one, or those of the values that spent most."""
    ones = {(budgets.name_of(b), _periods(b, now_ms)[0]) for b in wanted if b.per is None and b.calendar is not None}
    known = balance_rows.find(connection, ones)
    found = []
    for budget in wanted:
        period, (first, last) = _period(budget, now_ms), _periods(budget, now_ms)
        name = budgets.name_of(budget)
        if budget.per is not None:
            sums: dict[str, int] = {}
            for row in balance_rows.of_values(connection, name, first, last, VALUES_SHOWN * (last - first + 1)):
                sums[row.budget] = sums.get(row.budget, 0) + row.amount
            most = sorted(sums.items(), key=lambda item: -item[1])[:VALUES_SHOWN]
            found.append([_Balance(one, one.removeprefix(name), period, amount) for one, amount in most])
        elif period is not None:
            one = known.get((name, period.number))
            found.append([_Balance(name, None, period, one.amount if one is not None else 0)])
        else:
            rows = balance_rows.of_budget(connection, name, first, last)
            found.append([_Balance(name, None, None, sum(row.amount for row in rows))])
    return found


def _state(
    holder: Holder,
    rule: BudgetRule,
    balance: _Balance,
    reading: Reading | None,
    snapshot: Snapshot,
    now_ms: int,
) -> dict[str, Any]:
    period = balance.period
    number = period.number if period is not None else None
    raised = budgets.raised(snapshot.raises, balance.name, number, now_ms)
    limit = rule.amount + raised
    settled = reading.settled if reading is not None else balance.settled
    held = reading.held if reading is not None else None
    left = limit - settled - (held or 0)
    return {
        "subject": holder.title,
        "label": rule.label,
        "budget": budget_rule.limit_text(rule),
        "per": rule.per,
        "value": balance.value,
        "models": list(rule.models) or None,
        "unit": rule.unit,
        "limit": limit,
        "raised": raised,
        "settled": settled,
        "held": held,
        "uncertain": getattr(reading, "uncertain", None),
        "remaining": max(0, left),
        "percent": settled * 100 // limit,
        "state": "overrun" if settled > limit else "spent" if settled == limit else "ok",
        "hard": rule.is_hard,
        "soft": list(rule.soft),
        "on_spent": rule.on_spent,
        "period": budget_rule.period_text(rule),
        "starts_ms": period.starts_ms if period is not None else None,
        "resets_ms": period.ends_ms if period is not None else None,
        "timezone": (rule.timezone or snapshot.timezone) if period is not None else None,
    }


# rows


def _key(row: BalanceRow) -> balance_rows.Key:
    return row.budget, row.period


def _correction(row: BalanceRow, delta: int) -> Added:
    return Added(corrected=delta, unit=row.unit, ends_ms=row.ends_ms, width_ms=row.width_ms)


def _told_of(row: BalanceRow, delta: int) -> Corrected:
    return Corrected(budget=row.budget, period=row.period, delta=delta, ends_ms=row.ends_ms, width_ms=row.width_ms)


def _opening(budget: Budget, now_ms: int) -> Corrected:
    period, name = _period(budget, now_ms), budgets.name_of(budget)
    if period is not None:
        return Corrected(budget=name, period=period.number, delta=0, ends_ms=period.ends_ms, width_ms=0)
    width_ms = _width_ms(budget)
    number = now_ms // width_ms
    ends_ms = (number + windows.SUBWINDOWS + 1) * width_ms
    return Corrected(budget=name, period=number, delta=0, ends_ms=ends_ms, width_ms=width_ms)


def _added(one: Corrected, amount: int) -> Added:
    return Added(corrected=amount, unit=MONEY, ends_ms=one.ends_ms, width_ms=one.width_ms)


def _remember(connection: Connection, budget: str, change: Change) -> None:
    name = budget_changes.object_name(budget)
    known = objects.find_object(connection, budget_changes.KIND, name)
    stored = budget_changes.with_one(known, budget, change)
    objects.set_object(connection, budget_changes.KIND, name, budget_changes.encode(stored), change.time_ms)


def _detail(holder: Holder, rule: BudgetRule, value: str | None, amount: int, reason: str) -> dict[str, Any]:
    return {"of": holder.subject, "budget": rule.label, "value": value, "amount": amount, "reason": reason}
