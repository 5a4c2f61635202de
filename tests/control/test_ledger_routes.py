from switchgear.control.ledger_routes import _usage, record_time
from switchgear.store.sums import SUMS


def test_a_usage_row_has_its_group_and_its_cost_as_decimals():
    row = dict.fromkeys(SUMS, 0) | {"cost_nanousd": 1_500_000_000, "group_day": 20_000, "group_key": ""}
    shown = _usage(row, ["day", "key"])
    assert shown["group"] == {"day": "2024-10-04", "key": None} and shown["cost_usd"] == "1.500000000"
    assert _usage(dict.fromkeys(SUMS), [])["requests"] == 0


def test_times_are_rfc_3339():
    assert record_time(0) == "1970-01-01T00:00:00Z"
