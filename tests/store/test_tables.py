"""What every table must have, whichever database it stands in. That the migrations make them is test_database's."""

import pytest
from sqlalchemy import String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from switchgear.store.tables import DIMENSIONS, SUMS, metadata, rollups, usage

TABLES = list(metadata.tables.values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_has_a_primary_key_without_nulls(table):
    assert table.primary_key.columns
    assert not any(column.nullable for column in table.primary_key.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_can_be_created_in_each_database_with_bounded_texts_in_the_order_of_bytes(table):
    assert str(CreateTable(table).compile(dialect=sqlite.dialect())).strip().startswith("CREATE TABLE")
    lines = str(CreateTable(table).compile(dialect=postgresql.dialect())).splitlines()
    bounded = [line for line in lines if "VARCHAR" in line]
    assert len(bounded) == sum(type(c.type) is String for c in table.columns)
    assert all('COLLATE "C"' in line for line in bounded)


def test_sums_have_a_row_for_each_set_of_dimensions():
    assert usage.columns.keys() == [*DIMENSIONS, *SUMS]
    assert usage.primary_key.columns.keys() == list(DIMENSIONS)


def test_rollups_have_the_dimensions_of_sums_beside_their_level_and_start():
    assert rollups.columns.keys() == ["level", "start", *DIMENSIONS[1:], *SUMS]
    assert rollups.primary_key.columns.keys() == ["level", "start", *DIMENSIONS[1:]]
