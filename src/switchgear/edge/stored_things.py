"""Remembers what providers keep: whose each thing is, and at which credential. Level 4.

The replica knows what the ledger published; what this edge has just passed on is known here at once. Who may use it decides
`edge.stored_access`; that an answer makes something known reads `dialects.kept_things`.
"""

from switchgear.core.clock import Clock
from switchgear.edge.context import RequestContext
from switchgear.replica.entries import STORED_MS, KeyEntry, StoredThing, scope_of
from switchgear.replica.reader import ReplicaReader
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind

STORED_MAX = 10_000
WAIT_S = 0.1
WAITS = 15
"""How often something is looked for, 0.1 s apart: the ledger publishes within half a second whose it is."""


class StoredThings:
    """One per edge."""

    def __init__(self, replica: ReplicaReader, spool: SpoolWriter, clock: Clock) -> None:
        self._replica = replica
        self._spool = spool
        self._clock = clock
        self._recent: dict[str, StoredThing] = {}

    def find(self, key: KeyEntry, name: str) -> StoredThing | None:
        """Return where a thing of the key's own team is kept; another's is as good as none."""
        entry = self._replica.stored(name) or self._recent.get(name)
        if entry is None or entry.scope != scope_of(key.id, key.team_id) or entry.until_ms < self._clock.wall_ms():
            return None
        return entry

    def remember(self, context: RequestContext, credential_id: str, response_id: str) -> None:
        """Know a response at once that this edge has just passed on; the others learn of it from the replica."""
        self._remember(response_id, _entry(context, credential_id))

    def _remember(self, name: str, entry: StoredThing) -> None:
        if len(self._recent) >= STORED_MAX:
            self._recent.clear()
        self._recent[name] = entry

    def keep(self, context: RequestContext, credential_id: str, ids: list[str]) -> None:
        """Note whose the things are that a provider keeps since it answered a request."""
        payload = records.encode_payload(records.Kept(context.id, ids))
        if self._spool.spare(payload):
            self._spool.append(Kind.KEPT, payload)
        entry = _entry(context, credential_id)
        for name in ids:
            if name not in self._recent:
                self._remember(name, entry)


def _entry(context: RequestContext, credential_id: str) -> StoredThing:
    key, request = context.key, context.request
    assert key is not None
    assert request is not None
    return StoredThing(scope_of(key.id, key.team_id), credential_id, request.model, context.now_ms + STORED_MS)
