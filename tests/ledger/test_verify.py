"""Adding up again: what was booked must be what the records say, and the numbers of a spool have no holes."""

from switchgear.ledger import verify
from switchgear.ledger.record import Record
from switchgear.store.ledger_rows import SpoolRow
from switchgear.store.sums import Sums
from switchgear.store.tables import DIMENSIONS


def record(number, cost=100, **more):
    import msgspec

    base = {
        "id": f"{3_600_000 * 5:012x}{number:020x}",
        "time": "2026-11-24T00:00:00Z",
        "operation": "chat",
        "path": "/x",
        "dialect": "openai",
        "gateway_version": "0",
        "status": 200,
        "outcome": "ok",
        "key": {"id": "k", "name": "bot"},
        "model": "m",
        "tokens": {"input": 10, "output": 5},
        "cost_nanousd": cost,
        "list_cost_nanousd": cost,
    }
    return msgspec.convert({**base, **more}, Record)


def booked(**changes):
    values = {
        "requests": 2, "input_tokens": 20, "output_tokens": 10, "cost_nanousd": 200, "list_cost_nanousd": 200, **changes
    }  # fmt: skip
    where = {"hour": 5, "key_id": "k", "key_name": "bot", "model": "m"}
    return tuple(where.get(name, "") for name in DIMENSIONS), Sums(**values)


def test_L5_sums_that_follow_from_the_records_hold():
    adder = verify.Adder()
    adder.add(record(1))
    adder.add(record(2))
    assert adder.requests == 2
    assert adder.compare([booked()]) == []


def test_L5_a_cent_too_many_a_sum_without_records_and_records_without_a_sum_are_found():
    adder = verify.Adder()
    adder.add(record(1))
    adder.add(record(2))
    [found] = adder.compare([booked(cost_nanousd=201)])
    assert (found.sums, found.records) == ({"cost_nanousd": 201}, {"cost_nanousd": 200})
    assert found.where == {"hour": 5, "key_id": "k", "key_name": "bot", "model": "m"}
    assert len(adder.compare([])) == 1
    assert len(verify.Adder().compare([booked()])) == 1


def test_L5_holes_in_a_spools_numbers_are_counted():
    spools = {"a": SpoolRow(3, 10, 100, 100), "b": SpoolRow(1, 10, 100, 97)}
    assert [(gap.spool_id, gap.missing) for gap in verify.gaps(spools)] == [("b", 3)]
    assert verify.completeness(spools) == 98.5
    assert verify.completeness({}) == 100.0
