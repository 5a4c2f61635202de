"""Rows of balances: what each budget's settled requests came to, by period. Level 2. Functions of a connection.

A row is named by the budget (`policies.budgets.name_of`) and the number of its period, or of a rolling budget's sub-window. It is
written in the transaction that books the requests (docs/invariants.md N4). `settled` is the sum of the ledger's records and nothing
else; what people corrected (`budget reset`, spend that was imported) stands beside it.
"""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, insert, or_, select, update

from switchgear.store.backend import backend_of
from switchgear.store.tables import balances, thresholds

CHUNK = 500
SUM_MAX = 4 * 10**18
"""No sum leaves what 63 bits hold, whatever a compromised edge writes."""
VALUES_END = "each0"
"""Above the names of all values' balances, which begin with `each/` (`policies.budgets.name_of`)."""
WINDOWS_KEPT = 64
"""Sub-windows of a rolling budget that may count (`policies.windows`)."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What is added to one balance, in the budget's unit."""

    settled: int = 0
    """May be negative: a correction of the ledger."""
    corrected: int = 0
    """By a person, or at an import."""
    unit: str
    ends_ms: int | None
    width_ms: int = 0


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One balance."""

    budget: str
    period: int
    settled: int
    corrected: int
    unit: str
    ends_ms: int | None
    """When its period is over; None: never."""
    width_ms: int
    """Of a rolling budget's sub-window, which begins at `period * width_ms`; 0: it has a calendar."""

    @property
    def amount(self) -> int:
        """What counts against the limit. May be negative."""
        return self.settled + self.corrected


Key = tuple[str, int]
"""(budget, period)."""


def add(connection: Connection, added: Iterable[tuple[Key, Added]]) -> None:
    """Add to balances; call in the transaction of the records that it comes from."""
    rows = [
        {
            "budget": budget,
            "period": period,
            "settled": _bounded(one.settled),
            "corrected": _bounded(one.corrected),
            "unit": one.unit,
            "ends_ms": one.ends_ms,
            "width_ms": one.width_ms,
        }
        for (budget, period), one in sorted(
            added, key=lambda item: item[0]
        )  # in one order: no deadlock between writers
    ]
    if not rows:
        return
    statement = backend_of(connection).upsert(balances)
    columns, new = balances.c, statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[columns.budget, columns.period],
        set_={name: _sum(columns[name], new[name]) for name in ("settled", "corrected")},
    )
    connection.execute(statement, rows)


def _bounded(value: int) -> int:
    return max(-SUM_MAX, min(SUM_MAX, value))


def _sum(known: ColumnElement[int], more: ColumnElement[int]) -> ColumnElement[int]:
    """Return a sum that stays in bounds. Both are in them, so that the comparisons are exact."""
    return case(
        (and_(known > 0, more > SUM_MAX - known), SUM_MAX),
        (and_(known < 0, more < -SUM_MAX - known), -SUM_MAX),
        else_=known + more,
    )


def find(connection: Connection, keys: Iterable[Key]) -> dict[Key, BalanceRow]:
    """Return balances, as far as they are there."""
    by_period: dict[int, list[str]] = {}
    for budget, period in keys:
        by_period.setdefault(period, []).append(budget)
    found: dict[Key, BalanceRow] = {}
    for period, names in by_period.items():
        for at in range(0, len(names), CHUNK):
            here = and_(balances.c.period == period, balances.c.budget.in_(names[at : at + CHUNK]))
            found |= {(row.budget, row.period): row for row in _rows(connection, select(balances).where(here))}
    return found


def of_budget(connection: Connection, budget: str, first: int, last: int) -> list[BalanceRow]:
    """Return the balances of one budget, periods `first` to `last`, in their order."""
    columns = balances.c
    query = select(balances).where(columns.budget == budget, columns.period >= first, columns.period <= last)
    return list(_rows(connection, query.order_by(columns.period)))


def of_values(connection: Connection, start: str, first: int, last: int, limit: int) -> list[BalanceRow]:
    """Return the balances of all values of a dimension (`start`: a budget's name before its value), the highest first."""
    columns = balances.c
    query = select(balances).where(columns.budget >= start, columns.budget < _after(start))
    query = query.where(columns.period >= first, columns.period <= last)
    return list(_rows(connection, query.order_by((columns.settled + columns.corrected).desc()).limit(limit)))


def names_from(connection: Connection, start: str) -> list[str]:
    """Return the names of balances that begin with a text."""
    column = balances.c.budget
    query = select(column).where(column >= start, column < _after(start)).distinct().order_by(column)
    return list(connection.execute(query).scalars())


def _after(start: str) -> str:
    """Return what stands behind everything that begins with a text. Names compare by their code points (store/types)."""
    return start[:-1] + chr(ord(start[-1]) + 1)


def running(connection: Connection, since_ms: int) -> Iterator[BalanceRow]:
    """Return the balances of periods that were not over at a time, a few at a time: what counters are rebuilt from. Those of values
    of a dimension, of which there may be more than counters have room for, come last, the highest first."""
    columns = balances.c
    rolls = and_(columns.width_ms > 0, (columns.period + WINDOWS_KEPT) * columns.width_ms > since_ms)
    has_period = and_(columns.width_ms == 0, or_(columns.ends_ms.is_(None), columns.ends_ms > since_ms))
    order = (columns.budget >= VALUES_END).desc(), (columns.settled + columns.corrected).desc()
    yield from _rows(connection, select(balances).where(or_(rolls, has_period)).order_by(*order))


def _rows(connection: Connection, query: Select[tuple[object, ...]]) -> Iterator[BalanceRow]:
    for row in connection.execute(query.execution_options(yield_per=1_000)):
        yield BalanceRow(**row._mapping)


def drop_before(connection: Connection, until_ms: int, limit: int) -> int:
    """Delete up to `limit` balances, and what was told of them, whose periods were over at a time; returns how many."""
    columns = balances.c
    old = or_(
        and_(columns.width_ms == 0, columns.ends_ms < until_ms),
        and_(columns.width_ms > 0, (columns.period + WINDOWS_KEPT) * columns.width_ms < until_ms),
    )
    gone = connection.execute(select(columns.budget, columns.period).where(old).limit(limit)).all()
    for budget, period in gone:
        for table in (balances, thresholds):
            connection.execute(delete(table).where(table.c.budget == budget, table.c.period == period))
    return len(gone)


# thresholds


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a budget that was passed."""

    budget: str
    period: int
    percent: int
    passed_ms: int
    told_ms: int | None
    """When somebody outside was told; None: nobody yet, or nobody is to be told."""
    body: bytes
    """What is told."""


def pass_thresholds(connection: Connection, passed: Iterable[Passed]) -> list[Passed]:
    """Remember thresholds that were passed; returns those that were not known: of each period each is returned once."""
    new = []
    for one in passed:
        if connection.execute(select(thresholds.c.passed_ms).where(*_here(one))).one_or_none() is None:
            connection.execute(insert(thresholds).values(**msgspec.structs.asdict(one)))
            new.append(one)
    return new


def _here(one: Passed) -> list[ColumnElement[bool]]:
    return [thresholds.c[name] == getattr(one, name) for name in ("budget", "period", "percent")]


def set_told(connection: Connection, one: Passed, told_ms: int) -> None:
    """Remember that somebody was told."""
    connection.execute(update(thresholds).where(*_here(one)).values(told_ms=told_ms))


def passed_since(connection: Connection, since_ms: int, limit: int, untold: bool = False) -> list[Passed]:
    """Return thresholds that were passed, the newest and highest first; `untold`: only those that nobody was told of."""
    query = select(thresholds).where(thresholds.c.passed_ms >= since_ms)
    if untold:
        query = query.where(thresholds.c.told_ms.is_(None))
    found = connection.execute(query.order_by(thresholds.c.passed_ms.desc(), thresholds.c.percent.desc()).limit(limit))
    return [Passed(**row._mapping) for row in found]
