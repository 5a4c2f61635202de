"""What a key used today reaches the replica, from the ledger's sums alone."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from switchgear.control import spend
from switchgear.control.keys import OPENING
from switchgear.control.observers import ChangedKeys
from switchgear.control.spend import SpendBoard
from switchgear.replica.publisher import Publisher
from switchgear.replica.reader import ReplicaReader
from switchgear.store import ledger_rows, objects
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.sums import SUMS, Sums

HOUR_MS = 3_600_000
NOW_MS = 20_000 * 24 * HOUR_MS + 5 * HOUR_MS


@pytest.fixture
def board(tmp_path, monkeypatch):
    store = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    publisher = Publisher(tmp_path / "replica")
    changed = ChangedKeys()

    async def read(function):
        return await asyncio.wrap_future(store.read(function))

    control = SimpleNamespace(
        report=print, clock=SimpleNamespace(wall_ms=lambda: NOW_MS), publisher=publisher, read=read
    )
    yield SpendBoard(control, changed), store, publisher, changed
    publisher.close()
    store.close()


def use(store, key_id, model, hour):
    name = (hour, key_id, key_id, "", "", "", model, model, "p", "p/c")
    store.write(lambda c: ledger_rows.add_usage(c, {name: Sums(*[2] * len(SUMS))})).result()


def run(board, *steps):
    """Take a turn, and one after each step."""

    async def body():
        await board.turn()
        for step in steps:
            step()
            await board.turn()

    asyncio.run(body())


def seen(publisher, tmp_path, key_id):
    publisher.close()
    reader = ReplicaReader(tmp_path / "replica")
    found = reader.spend(key_id)
    reader.close()
    return found


def test_a_start_publishes_every_key_of_today_and_nothing_of_yesterday(board, tmp_path):
    made, store, publisher, _ = board
    use(store, "a", "m", 20_000 * 24)
    use(store, "a", "m", 20_000 * 24 + 3)
    use(store, "a", "n", 20_000 * 24 - 1)
    run(made)
    found = seen(publisher, tmp_path, "a")
    assert (found.day, found.as_of_ms, found.models) == (20_000, NOW_MS, {"m": (4, 4)})


def test_only_keys_that_changed_are_published_again(board, tmp_path):
    made, store, publisher, changed = board

    def change():
        use(store, "a", "m", 20_000 * 24)
        use(store, "b", "m", 20_000 * 24)
        changed.add(["b"])

    run(made, change)
    assert changed.take() == set()
    assert seen(publisher, tmp_path, "b").models == {"m": (2, 2)}
    reader = ReplicaReader(tmp_path / "replica")
    assert reader.spend("a") is None
    reader.close()


def test_a_store_that_is_gone_for_a_while_loses_no_change(board, tmp_path):
    made, store, publisher, _ = board
    use(store, "a", "m", 20_000 * 24)
    path, away = tmp_path / "store.sqlite", tmp_path / "away"
    path.rename(away)
    run(made, lambda: away.rename(path))
    assert seen(publisher, tmp_path, "a").models == {"m": (2, 2)}


def test_invented_model_names_do_not_grow_an_entry_and_the_sums_stay_whole():
    models = {f"m{n}": (1, n) for n in range(1000)}
    kept = spend.bounded(models)
    assert len(kept) == spend.MODELS_MAX + 1 and kept["m999"] == (1, 999)
    assert sum(cost for _, cost in kept.values()) == sum(range(1000))
    assert sum(count for count, _ in kept.values()) == 1000
    assert spend.bounded({"a": (1, 1)}) == {"a": (1, 1)}


def test_earlier_spend_counts_for_a_key_and_its_predecessor(board, tmp_path):
    made, store, publisher, _ = board
    use(store, "a", "m", 20_000 * 24)
    use(store, "a", "m", 20_000 * 24 - 30)
    use(store, "never-today", "m", 20_000 * 24 - 30)
    for key_id, nano in (("a", 1_000), ("imported", 7)):
        store.write(lambda c, k=key_id, n=nano: objects.set_object(c, OPENING, k, str(n).encode(), 1)).result()
    run(made)
    assert seen(publisher, tmp_path, "a").before_nanousd == 1_002
    reader = ReplicaReader(tmp_path / "replica")
    assert (reader.spend("imported").before_nanousd, reader.spend("imported").models) == (7, {})
    assert reader.spend("never-today") is None, "a start does not write a million keys anew"
    reader.close()
