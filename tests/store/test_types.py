"""Bounded text."""

from sqlalchemy.dialects import postgresql, sqlite

from switchgear.store.types import bounded


def test_a_text_has_a_length_and_the_collation_of_bytes():
    assert bounded(40).compile(sqlite.dialect()) == "VARCHAR(40)", "SQLite compares by bytes"
    assert bounded(40).compile(postgresql.dialect()) == 'VARCHAR(40) COLLATE "C"'
