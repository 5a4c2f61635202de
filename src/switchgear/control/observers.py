"""Who is told of what the ledger took: `Ingester` hands each batch to one list of observers. Level 5.

There are two kinds, and never one list of both. A *participant* writes in the batch's own transaction: where it fails, nothing of
the batch is in the store, and the batch comes again; so what it does elsewhere must bear to be done twice. An *observer* is told
after the commit, once: where it fails, that is told and counted, and the ledger goes on.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from sqlalchemy import Connection

from switchgear.ledger.batch import Batch
from switchgear.ledger.claims import Claim
from switchgear.replica.entries import StoredThing

ATTEMPTS_MAX = 100_000
"""Attempts that are kept for the double entry; it asks the store for others."""


class Participant(Protocol):
    """Takes part in the transaction that books a batch. Called in the store's writer thread."""

    def write(self, connection: Connection, batch: Batch) -> None:
        """Write what follows from a batch. Whatever it raises ends the transaction."""


class Observer(Protocol):
    """Watches what was booked. Called in the store's writer thread, after the commit."""

    def on_batch(self, batch: Batch) -> None:
        """Take note of a batch."""


class StoredPublisher:
    """Tells the edges whose the things are that providers keep. Before the commit: a crash between the two repeats it."""

    def __init__(self, put: Callable[[dict[str, StoredThing]], object]) -> None:
        self._put = put

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: publish them."""
        if batch.stored:
            self._put(batch.stored)


class ChangedKeys:
    """Ids of keys whose sums changed, until somebody takes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    def on_batch(self, batch: Batch) -> None:
        """Observer: remember the batch's keys."""
        self.add(dimensions[1] for dimensions in batch.sums)
        self.add(batch.changed_keys)

    def add(self, key_ids: Iterable[str]) -> None:
        """Remember keys whose sums changed otherwise."""
        with self._lock:
            self._ids.update(key_ids)

    def take(self) -> set[str]:
        """Return the ids of the keys that changed since the last call."""
        with self._lock:
            taken, self._ids = self._ids, set()
        return taken


class Claims:
    """What edges claim of attempts that were settled, until the double entry takes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[str, Claim | None] = {}

    def on_batch(self, batch: Batch) -> None:
        """Observer: remember the batch's attempts, as far as there is room."""
        with self._lock:
            if len(self._claims) < ATTEMPTS_MAX:
                self._claims |= batch.attempts

    def take(self) -> dict[str, Claim | None]:
        """Return what is claimed of the attempts of requests that were settled since the last call."""
        with self._lock:
            taken, self._claims = self._claims, {}
        return taken
