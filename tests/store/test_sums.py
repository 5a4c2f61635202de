import msgspec

from switchgear.store import tables
from switchgear.store.sums import SUMS, Sums


def test_a_sum_is_added_field_by_field():
    total = Sums(requests=1, cost_nanousd=5)
    total.add(Sums(requests=2, failed_attempts=1))
    assert total == Sums(requests=3, cost_nanousd=5, failed_attempts=1)


def test_the_columns_of_both_tables_are_the_fields_of_sums():
    for table in (tables.usage, tables.rollups):
        assert tuple(column.name for column in table.columns)[-len(SUMS) :] == SUMS


def test_a_new_row_is_nothing():
    assert set(msgspec.structs.astuple(Sums())) == {0}
