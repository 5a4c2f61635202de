"""What an edge counts and does not record: refusals, connections. Level 4 (docs/invariants.md L7).

Whoever floods a gateway with requests that have no key costs it an addition each: once a second the sums go into the spool.
"""

from collections.abc import Callable

import msgspec

from switchgear.core.clock import Clock
from switchgear.edge.turn_commit import TurnCommit
from switchgear.wire import records
from switchgear.wire.records import Counters, Kind


class Tally(msgspec.Struct):
    """Sums since they were last taken."""

    refused: dict[str, int] = {}
    """By the code of the error; the codes are a table (core.problems)."""
    limited: dict[str, int] = {}
    """Those of limits, by what is limited (`Problem.rule`)."""
    _connections: int = 0
    _lost: int = 0
    _errors: int = 0

    def refuse(self, code: str, rule: str | None = None) -> None:
        """Count a refusal. `rule`: of a limit, what it limits."""
        self.refused[code] = self.refused.get(code, 0) + 1
        if rule is not None:
            self.limited[rule] = self.limited.get(rule, 0) + 1

    def record(self, now_ms: int, connections: int, lost: int, errors: int) -> Counters | None:
        """Return what changed, or None. `lost` and `errors` are the log's totals; `connections` is how many are open."""
        if not self.refused and (connections, lost, errors) == (self._connections, self._lost, self._errors):
            return None
        return Counters(
            now_ms,
            dict(self.refused),
            connections,
            lost - self._lost,
            errors - self._errors,
            dict(self.limited) or None,
        )

    def taken(self, record: Counters) -> None:
        """What `record` returned is written: begin anew."""
        self.refused, self.limited = {}, {}
        self._connections = record.connections
        self._lost += record.lines_lost
        self._errors += record.errors


class CounterLog:
    """Hands what was counted to control, through the spool: never in the way of a settlement."""

    def __init__(
        self, tally: Tally, commit: TurnCommit, clock: Clock, log_totals: Callable[[], tuple[int, int]]
    ) -> None:
        """`log_totals` gives how many lines of the log were lost, and how many told of errors."""
        self._tally = tally
        self._commit = commit
        self._clock = clock
        self._log_totals = log_totals

    def write(self, connections: int) -> None:
        """Record what changed; `connections` is how many are open."""
        counted = self._tally.record(self._clock.wall_ms(), connections, *self._log_totals())
        if counted is None or not self._commit.is_recording:
            return
        payload = records.encode_payload(counted)
        if self._commit.spool.spare(payload):
            self._commit.spool.append(Kind.COUNTERS, payload)
            self._tally.taken(counted)
            self._commit.schedule()
