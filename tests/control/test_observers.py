"""Those who are told of what the ledger took: nothing is told twice, and nothing is missing."""

import threading

from switchgear.control import observers
from switchgear.control.observers import ChangedKeys, Claims, StoredPublisher
from switchgear.ledger.batch import Batch
from switchgear.replica.entries import StoredThing
from switchgear.store.tables import DIMENSIONS


def batch_of(*key_ids):
    batch = Batch()
    batch.sums = {(1, key_id, *[""] * (len(DIMENSIONS) - 2)): [] for key_id in key_ids}
    batch.attempts = dict.fromkeys(f"{key_id}-1" for key_id in key_ids)
    return batch


def test_changed_keys_are_taken_once():
    changed = ChangedKeys()
    changed.on_batch(batch_of("a", "b"))
    changed.add(["c"])
    changed.on_batch(batch_of("b"))
    assert changed.take() == {"a", "b", "c"}
    assert changed.take() == set()


def test_claims_are_taken_once_and_bounded(monkeypatch):
    monkeypatch.setattr(observers, "ATTEMPTS_MAX", 2)
    claims = Claims()
    for name in "abcd":
        claims.on_batch(batch_of(name))
    assert claims.take().keys() == {"a-1", "b-1"}
    claims.on_batch(batch_of("c"))
    assert claims.take().keys() == {"c-1"}


def test_a_key_that_changes_while_changes_are_taken_is_taken_next_time():
    changed, seen, ended = ChangedKeys(), set(), threading.Event()

    def fill():
        for number in range(5_000):
            changed.on_batch(batch_of(str(number)))
        ended.set()

    thread = threading.Thread(target=fill)
    thread.start()
    while not ended.is_set():
        seen |= changed.take()
    thread.join()
    seen |= changed.take()
    assert seen == {str(number) for number in range(5_000)}


def test_stored_things_are_published_where_there_are_any():
    published = []
    publisher, batch = StoredPublisher(published.append), Batch()
    publisher.write(None, batch)
    batch.stored = {"resp_1": StoredThing("key:a", "up/main", "m", 1)}
    publisher.write(None, batch)
    assert published == [batch.stored]
