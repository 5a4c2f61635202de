"""What every backend does alike."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from switchgear.store import tables
from switchgear.store.backend import backend_of


def prices(store):
    return store.read(lambda c: c.execute(select(tables.prices.c.id, tables.prices.c.body)).all()).result()


def test_a_connection_leads_to_its_backend(store, backend):
    assert store.read(backend_of).result() is backend
    assert store.write(backend_of).result() is backend


def test_the_identity_of_an_open_database_stays(store, backend):
    assert backend.identity() is not None
    assert backend.identity() == backend.identity()


def test_many_rows_are_inserted_all_or_none(store, backend):
    rows = [(f"{number:04}", b"body", number) for number in range(2_500)]
    store.write(lambda c: backend.insert_many(c, tables.prices, rows)).result()
    assert len(prices(store)) == 2_500
    with pytest.raises(IntegrityError):
        store.write(lambda c: backend.insert_many(c, tables.prices, [("new", b"", 1), ("0007", b"", 1)])).result()
    assert len(prices(store)) == 2_500


def test_an_upsert_leaves_or_changes_the_row_that_is_there(store, backend):
    def put(connection, body, changes):
        statement = backend.upsert(tables.prices)
        statement = (
            statement.on_conflict_do_update(index_elements=[tables.prices.c.id], set_={"body": statement.excluded.body})
            if changes
            else statement.on_conflict_do_nothing()
        )
        connection.execute(statement, [{"id": "p", "body": body, "created_ms": 1}])

    for body, changes, expected in ((b"one", False, b"one"), (b"two", False, b"one"), (b"three", True, b"three")):
        store.write(lambda c, body=body, changes=changes: put(c, body, changes)).result()
        assert prices(store) == [("p", expected)]


def test_ids_compare_by_their_code_points(store, backend):
    ids = ["a", "B", "_", "1", "ä", "Z", "aa"]
    store.write(lambda c: backend.insert_many(c, tables.prices, [(name, b"", 1) for name in ids])).result()
    column = tables.prices.c.id
    ordered = store.read(lambda c: c.execute(select(column).order_by(column)).scalars().all()).result()
    assert ordered == sorted(ids)
    ranged = store.read(lambda c: c.execute(select(column).where(column >= "B", column < "a")).scalars().all()).result()
    assert sorted(ranged) == ["B", "Z", "_"]


def test_work_with_room_returns_and_raises_what_it_does(backend):
    assert backend.with_room(lambda: 7) == 7
    with pytest.raises(KeyError):
        backend.with_room(lambda: {}["nothing"])
