"""Counts of times by upper bound, as Prometheus wants them. Level 0."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

import msgspec


class Histogram(msgspec.Struct, array_like=True):
    """How many values were not above each bound, and their sum."""

    bounds_ms: tuple[int, ...]
    """Ascending."""
    counts: list[int] = []
    """One for each bound, and one for what is above all; empty before the first value."""
    sum_ms: int = 0

    def add(self, value_ms: int) -> None:
        """Count a value."""
        if not self.counts:
            self.counts = [0] * (len(self.bounds_ms) + 1)
        self.counts[bisect_left(self.bounds_ms, value_ms)] += 1
        self.sum_ms += value_ms

    def add_all(self, values_ms: list[int]) -> None:
        """Count many values at once; sorts them in place. One below 0 counts as 0: no time is."""
        if not values_ms:
            return
        values_ms.sort()
        if values_ms[0] < 0:
            values_ms = [max(0, value_ms) for value_ms in values_ms]
        edges = [bisect_right(values_ms, bound) for bound in self.bounds_ms]
        counts = [high - low for low, high in pairwise([0, *edges, len(values_ms)])]
        self.merge(Histogram(self.bounds_ms, counts, sum(values_ms)))

    def merge(self, other: "Histogram") -> None:
        """Add another's counts; one with other bounds is not comparable, and takes the place of this one."""
        if other.bounds_ms != self.bounds_ms or len(self.counts) not in {0, len(self.bounds_ms) + 1}:
            self.bounds_ms, self.counts, self.sum_ms = other.bounds_ms, list(other.counts), other.sum_ms
        elif not self.counts:
            self.counts, self.sum_ms = list(other.counts), other.sum_ms
        elif other.counts:
            self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
            self.sum_ms += other.sum_ms

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def quantile_ms(self, share: float) -> int | None:
        """Return an estimate of what such a share of the values is not above, as if those between two bounds lay evenly there: the
        last bound for what is above all. None without any. So does Prometheus' `histogram_quantile` (prometheus.io/docs, "Query
        functions", read 2026-11-27)."""
        left = self.count * share
        if not self.count:
            return None
        below = 0
        for bound, count in zip(self.bounds_ms, self.counts, strict=False):
            if count and left <= count:
                return round(below + (bound - below) * left / count)
            left -= count
            below = bound
        return self.bounds_ms[-1]

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound in seconds, how many are not above it). Asked from another thread than the one that adds."""
        found, total = [], 0
        counts = list(self.counts) or [0] * (len(self.bounds_ms) + 1)
        for bound, count in zip((*self.bounds_ms, None), counts, strict=True):
            total += count
            found.append(("+Inf" if bound is None else repr(bound / 1000), float(total)))
        return found
