"""Credentials that are refused stay known until they work again."""

import os

import pytest

from switchgear.control import refusals
from switchgear.control.refusals import Refusal, Refusals
from switchgear.ledger.batch import Batch
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.testing.clock import FakeClock
from switchgear.vault.verbs import Metadata


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def metadata(name="default", state="active", changed_ms=0):
    return Metadata(
        id=f"up/{name}",
        provider="up",
        name=name,
        version=1,
        state=state,
        last4="abcd",
        fingerprint="f",
        base_url="https://up.example",
        auth="bearer",
        created_ms=0,
        changed_ms=changed_ms,
        opens=True,
    )


def told(known, status, at_ms):
    changes = known.changes({"up/default": (status, at_ms)})
    known.apply(changes)
    return changes


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_a_refused_credential_is_known_until_it_works_again(status):
    known = Refusals(FakeClock())
    assert told(known, 200, 1) == {}
    told(known, status, 2)
    told(known, status, 5)
    assert known.current([metadata()]) == {"up/default": Refusal(status, 2, 5)}
    assert told(known, 503, 6) == {}  # says nothing of the credential
    assert known.current([metadata()])
    told(known, 200, 7)
    assert known.current([metadata()]) == {}


def test_an_older_answer_changes_nothing():
    known = Refusals(FakeClock())
    told(known, 401, 10)
    assert told(known, 200, 9) == {}


def test_a_credential_that_was_replaced_or_stopped_since_is_not_refused():
    known = Refusals(FakeClock())
    told(known, 401, 10)
    assert known.current([metadata(changed_ms=11)]) == known.current([metadata(state="disabled")]) == {}


def test_a_restart_forgets_nothing(store):
    known = Refusals(FakeClock())
    changes = told(known, 401, 10)
    store.write(lambda c: refusals.write(c, changes, 20)).result()
    again = Refusals(FakeClock())
    store.read(again.load).result()
    assert again.current([metadata()]) == {"up/default": Refusal(401, 10, 10)}
    store.write(lambda c: refusals.write(c, told(again, 200, 30), 31)).result()
    store.read(known.load).result()
    assert known.current([metadata()]) == {}


def test_invented_names_do_not_fill_the_store():
    known = Refusals(FakeClock())
    known.apply(known.changes({f"x/{n}": (401, 1) for n in range(refusals.REFUSALS_MAX)}))
    assert known.changes({"y/z": (401, 2)}) == {}


def test_refusals_of_a_batch_count_once_the_batch_is_stored(store):
    known, batch = Refusals(FakeClock()), Batch()
    batch.heard = {"up/default": (401, 10)}
    store.write(lambda c: known.write(c, batch)).result()
    assert known.current([metadata()]) == {}, "the transaction may still fail"
    known.on_batch(batch)
    assert known.current([metadata()]) == {"up/default": Refusal(401, 10, 10)}
    again = Refusals(FakeClock())
    store.read(again.load).result()
    assert again.current([metadata()]) == known.current([metadata()])
