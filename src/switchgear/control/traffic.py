"""What metrics show of requests, summed as the ledger ingests them. Level 5.

Names in spools are a client's or an edge's words: how many series there may be is bounded. A model gets series of its own with its
first good answer, up to SERIES_MAX; requests of all others are shown as "other" of their provider, so that names somebody invents
crowd nobody out.
Filled in the store's writer thread, read in the loop: every read works on a copy.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from switchgear.core.clock import Clock
from switchgear.core.histogram import Histogram
from switchgear.ledger.batch import Batch
from switchgear.ledger.deployments import FIRST_TOKEN_MS, LATENCY_MS
from switchgear.store.sums import Sums
from switchgear.store.tables import DIMENSIONS
from switchgear.wire.records import Counters

SERIES_MAX = 100
STATUSES_MAX = 24
"""Statuses told apart per series; there are some 60 in use, and a provider may invent 900."""
OTHER = "other"
WINDOW_S = 60.0
PROVIDER = DIMENSIONS.index("provider")
NO_PROVIDER = "none"
"""What is counted of requests that were refused before a provider was chosen."""
RULES_MAX = 100
"""Five kinds of subjects, with four units in four windows, or requests at once: 85."""
PROVIDERS_MAX = 256
"""Names in spools are not believed: metrics must not grow with what a compromised edge invents."""


class Series:
    """What is kept of one provider and model."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.latency = Histogram(LATENCY_MS)
        self.first_token = Histogram(FIRST_TOKEN_MS)

    def add(self, status: int, latency_ms: int, ttft_ms: int | None) -> None:
        """Count a settled request."""
        name = str(status)
        if name not in self.statuses and len(self.statuses) >= STATUSES_MAX:
            name = OTHER
        self.statuses[name] = self.statuses.get(name, 0) + 1
        self.latency.add(max(0, latency_ms))
        if ttft_ms is not None:
            self.first_token.add(max(0, ttft_ms))


class Traffic:
    """Sums since control began."""

    def __init__(self, reasons: frozenset[str], clock: Clock) -> None:
        """`reasons`: the codes that a refusal may have; any other is "other"."""
        self._reasons = reasons
        self._clock = clock
        self._providers: dict[str, Sums] = {}
        self._series: dict[tuple[str, str], Series] = {}
        self._refused: dict[str, int] = {}
        self._limited: dict[str, int] = {}
        self._recent: deque[tuple[float, Mapping[str, int]]] = deque()
        self._connections: dict[str, int] = {}
        self.lines_lost = 0
        self.errors = 0

    def on_batch(self, batch: Batch) -> None:
        """Observer: count what was booked."""
        self._add_sums(batch.sums)
        self.settled(batch.timings)
        self.counted(batch.spool, batch.counters)

    def _add_sums(self, booked: Mapping[tuple[Any, ...], Sums]) -> None:
        for dimensions, values in booked.items():
            name = dimensions[PROVIDER] or NO_PROVIDER
            if name not in self._providers and len(self._providers) >= PROVIDERS_MAX:
                name = "(others)"
            sums = self._providers.setdefault(name, Sums())
            sums.add(values)
            if name != NO_PROVIDER:
                sums.errors += values.failed_attempts - values.errors  # of the attempts there, whatever came after them

    def settled(self, timings: Iterable[tuple[str, str, int, int, int | None]]) -> None:
        """Count settled requests: (provider, model, status, latency, time to the first token in ms)."""
        for provider, model, status, latency_ms, ttft_ms in timings:
            series = self._series.get((provider, model))
            if series is None:
                series = self._series.setdefault(self._name(provider, model, status), Series())
            series.add(status, latency_ms, ttft_ms)

    def _name(self, provider: str, model: str, status: int) -> tuple[str, str]:
        if status < 400 and len(self._series) < SERIES_MAX:
            return provider, model
        return (provider, OTHER) if len(self._series) < 2 * SERIES_MAX else (OTHER, OTHER)

    def counted(self, spool: str, counters: Iterable[Counters]) -> None:
        """Add what an edge counted."""
        now_s = self._clock.monotonic_s()
        for record in counters:
            self._connections[spool] = record.connections
            self.lines_lost += record.lines_lost
            self.errors += record.errors
            named = {code if code in self._reasons else OTHER: count for code, count in record.refused.items()}
            for code, count in named.items():
                self._refused[code] = self._refused.get(code, 0) + count
            for rule, count in (record.limited or {}).items():
                if rule not in self._limited and len(self._limited) >= RULES_MAX:
                    rule = OTHER  # noqa: PLW2901  no edge of ours says so many
                self._limited[rule] = self._limited.get(rule, 0) + count
            if named:
                self._recent.append((now_s, named))
        while self._recent and now_s - self._recent[0][0] > WINDOW_S:
            self._recent.popleft()

    @property
    def series(self) -> dict[tuple[str, str], Series]:
        """By provider and model."""
        return dict(self._series)

    @property
    def refused(self) -> dict[str, int]:
        """Refused requests by the code of the error."""
        return dict(self._refused)

    @property
    def limited(self) -> dict[str, int]:
        """Requests that a limit refused, by what it limits: `key requests/minute`."""
        return dict(self._limited)

    @property
    def providers(self) -> dict[str, Sums]:
        """By provider."""
        return dict(self._providers)

    def connections(self, spools: Collection[str]) -> int:
        """Return how many connections are open at the edges of some spools: those that live."""
        return sum(count for spool, count in list(self._connections.items()) if spool in spools)

    @property
    def refused_lately(self) -> dict[str, int]:
        """Refused requests of the last minute, by reason."""
        now_s = self._clock.monotonic_s()
        found: dict[str, int] = {}
        for at_s, named in list(self._recent):
            if now_s - at_s <= WINDOW_S:
                for code, count in named.items():
                    found[code] = found.get(code, 0) + count
        return found
