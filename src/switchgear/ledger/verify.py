"""Proves the sums: adds up every record again and compares. Level 3 (docs/invariants.md L5)."""

from collections.abc import Iterable
from typing import Any

import msgspec

from switchgear.ledger.batch import Batch
from switchgear.ledger.record import Record
from switchgear.store.ledger_rows import SpoolRow
from switchgear.store.sums import SUMS, Sums
from switchgear.store.tables import DIMENSIONS

DIFFERENCES_MAX = 100


class Difference(msgspec.Struct, frozen=True):
    """A sum that is not what its records add up to."""

    where: dict[str, Any]
    """Hour and dimensions."""
    sums: dict[str, int]
    """As booked."""
    records: dict[str, int]
    """As added up from the records."""


class Gap(msgspec.Struct, frozen=True):
    """Records of a spool that were written and never ingested, by sequence."""

    spool_id: str
    sequence: int
    absorbed: int
    missing: int


class Verdict(msgspec.Struct, frozen=True):
    """What was found."""

    requests: int
    differences: list[Difference]
    gaps: list[Gap]
    completeness_percent: float
    """Of the spools' records up to the last one ingested, how many were."""
    unreadable: int = 0
    """Rows of the ledger that are damaged."""
    findings: list[str] = []
    """What was found in the books since the first start: records that were set aside, and what vault and edges contradict."""

    @property
    def holds(self) -> bool:
        """True when everything adds up."""
        return not self.differences and not self.gaps and not self.unreadable


class Adder:
    """Adds records up, holding sums only."""

    def __init__(self) -> None:
        self._batch = Batch()
        self.requests = 0
        self.unreadable = 0

    def add(self, record: Record) -> None:
        """Add one."""
        self._batch.add_record(record)
        self._batch.forget_rows()
        self.requests += 1

    def compare(self, booked: Iterable[tuple[tuple[Any, ...], Sums]]) -> list[Difference]:
        """Compare with the booked sums; DIMENSIONS in order."""
        left = dict(self._batch.sums)
        found = []
        for dimensions, values in booked:
            counted = left.pop(dimensions, Sums())
            if values != counted:
                found.append(_difference(dimensions, values, counted))
        found += [_difference(dimensions, Sums(), counted) for dimensions, counted in left.items()]
        return found[:DIFFERENCES_MAX]


def _difference(dimensions: tuple[Any, ...], booked: Sums, counted: Sums) -> Difference:
    differing = [name for name in SUMS if getattr(booked, name) != getattr(counted, name)]
    where = {name: value for name, value in zip(DIMENSIONS, dimensions, strict=True) if value}
    return Difference(where, *({name: getattr(sums, name) for name in differing} for sums in (booked, counted)))


def gaps(spools: dict[str, SpoolRow]) -> list[Gap]:
    """Find holes: a spool's records are numbered from 1, so the last number ingested is how many there must be."""
    return [
        Gap(spool_id, row.sequence, row.records, row.sequence - row.records)
        for spool_id, row in sorted(spools.items())
        if row.sequence > row.records
    ]


def completeness(spools: dict[str, SpoolRow]) -> float:
    """Return how much of what the spools numbered was ingested, in percent."""
    written = sum(row.sequence for row in spools.values())
    missing = sum(gap.missing for gap in gaps(spools))
    return 100.0 if written == 0 else round(100.0 * (written - missing) / written, 4)
