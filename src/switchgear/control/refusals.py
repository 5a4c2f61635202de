"""Credentials that their providers refuse, until they work again. Level 5.

Learned from the statuses of attempts as they are ingested, and kept in the store: a restart of control forgets none.
"""

import contextlib
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection

from switchgear.core.clock import Clock
from switchgear.ledger.batch import Batch
from switchgear.routing.retry import OUR_FAULT
from switchgear.store import objects
from switchgear.vault.verbs import Metadata

KIND = "refused"
"""Kind of the store's objects that hold this, by credential id."""
REFUSALS_MAX = 1_000
"""Names in spools are not believed: a compromised edge must not fill the store."""


class Refusal(msgspec.Struct, frozen=True):
    """A credential was refused."""

    status: int
    """The provider's last answer to it: 401, 402, 403 or 407."""
    since_ms: int
    last_ms: int


Changes = Mapping[str, Refusal | None]
"""Credential id → what is known of it now; None: it works again."""


class Refusals:
    """Which credentials are refused now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, Refusal] = {}

    def load(self, connection: Connection) -> None:
        """Begin with what the store knows."""
        found = objects.objects(connection, KIND)
        self._known = {}
        for name, spec in found.items():
            with contextlib.suppress(msgspec.DecodeError):  # it is learned again with the next answer
                self._known[name] = msgspec.json.decode(spec, type=Refusal)

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: keep what changes by a batch."""
        write(connection, self.changes(batch.heard), self._clock.wall_ms())

    def on_batch(self, batch: Batch) -> None:
        """Observer: take it over."""
        self.apply(self.changes(batch.heard))

    def changes(self, heard: Mapping[str, tuple[int, int]]) -> Changes:
        """Return what changes by answers: credential id → (status, time in ms) of its last one. A status that says nothing of the
        credential (the provider's own trouble) changes nothing."""
        found: dict[str, Refusal | None] = {}
        for credential_id, (status, time_ms) in heard.items():
            known = self._known.get(credential_id)
            if known is not None and time_ms < known.last_ms:
                continue
            if status in OUR_FAULT:
                if known is not None or len(self._known) < REFUSALS_MAX:
                    found[credential_id] = Refusal(status, known.since_ms if known is not None else time_ms, time_ms)
            elif known is not None and status < 500:
                found[credential_id] = None
        return found

    def apply(self, changes: Changes) -> None:
        """Take changes over, once they are in the store."""
        for credential_id, refusal in changes.items():
            if refusal is None:
                self._known.pop(credential_id, None)
            else:
                self._known[credential_id] = refusal

    def current(self, credentials: Iterable[Metadata]) -> dict[str, Refusal]:
        """Return the refusals of credentials that are in use; what was replaced or changed since is not known to be refused."""
        return {
            c.id: refusal
            for c in credentials
            if (refusal := self._known.get(c.id)) is not None
            and c.state == "active"
            and c.changed_ms <= refusal.last_ms
        }


def write(connection: Connection, changes: Changes, now_ms: int) -> None:
    """Put changes into the store."""
    for credential_id, refusal in changes.items():
        if refusal is None:
            objects.drop_object(connection, KIND, credential_id)
        else:
            objects.set_object(connection, KIND, credential_id, msgspec.json.encode(refusal), now_ms)
