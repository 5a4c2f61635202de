"""What an edge counts and does not record: refusals, connections. Level 4 (docs/invariants.md L7).

Whoever floods a gateway with requests that have no key costs it an addition each: once a second the sums go into the spool.
"""

import msgspec

from switchgear.wire.records import Counters


class Tally(msgspec.Struct):
    """Sums since they were last taken."""

    refused: dict[str, int] = {}
    """By the code of the error; the codes are a table (core.problems)."""
    _connections: int = 0
    _lost: int = 0
    _errors: int = 0

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def record(self, now_ms: int, connections: int, lost: int, errors: int) -> Counters | None:
        """Return what changed, or None. `lost` and `errors` are the log's totals; `connections` is how many are open."""
        if not self.refused and (connections, lost, errors) == (self._connections, self._lost, self._errors):
            return None
        return Counters(now_ms, dict(self.refused), connections, lost - self._lost, errors - self._errors)

    def taken(self, record: Counters) -> None:
        """What `record` returned is written: begin anew."""
        self.refused = {}
        self._connections = record.connections
        self._lost += record.lines_lost
        self._errors += record.errors
