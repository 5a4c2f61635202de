"""Books in the balances of budgets, in the transaction that books the requests (docs/invariants.md N4). Level 5."""

import threading

from sqlalchemy import Connection

from switchgear.ledger.batch import Batch
from switchgear.store import balance_rows
from switchgear.store.balance_rows import Added, Key


class Balances:
    """Takes part in each batch, behind whoever adds corrections to it; then watches which balances changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: set[Key] = set()

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: add what the batch books."""
        booked = batch.booked.balances
        balance_rows.add(
            connection,
            [
                (key, Added(settled=one.settled, unit=one.unit, ends_ms=one.ends_ms, width_ms=one.width_ms))
                for key, one in booked.items()
            ],
        )

    def on_batch(self, batch: Batch) -> None:
        """Observer: remember which balances changed."""
        if batch.booked.balances:
            with self._lock:
                self._changed.update(batch.booked.balances)

    def add(self, keys: set[Key]) -> None:
        """Remember balances that changed otherwise."""
        with self._lock:
            self._changed |= keys

    def take(self) -> set[Key]:
        """Return the balances that changed since the last call."""
        with self._lock:
            taken, self._changed = self._changed, set()
        return taken
