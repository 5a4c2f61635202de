from switchgear.store import ledger_rows
from switchgear.store.sums import Sums

HOUR_MS = 3_600_000


def test_a_damaged_row_is_reported_and_left_out_of_the_list(desk):
    rows = [b"", b"{", b"\xff\xff"]
    assert desk.store.read(lambda c: desk.services.ledger.records(c, rows)).result() == []
    assert len(desk.reports) == len(rows) and all("is damaged and left out" in text for text in desk.reports)


def test_an_empty_ledger_adds_up(desk):
    verdict = desk.run(lambda: desk.services.ledger.verify(0, 10))
    assert (verdict.requests, verdict.differences, verdict.unreadable) == (0, [], 0)


def test_a_sum_without_a_record_is_a_difference(desk):
    name = (5, "k", "app", "", "", "", "fast", "gpt-x", "openai", "openai/default")
    desk.store.write(lambda c: ledger_rows.add_usage(c, {name: Sums(requests=1)})).result()
    verdict = desk.run(lambda: desk.services.ledger.verify(0, 10))
    assert verdict.requests == 0 and verdict.differences


def test_a_record_that_cannot_be_read_is_counted(desk):
    values = {"id": f"{5 * HOUR_MS:012x}{1:020x}", "status": 200, "outcome": "ok", "record": b"{"}
    row = tuple(values.get(name) for name in ledger_rows.REQUEST_COLUMNS)
    desk.store.write(lambda c: ledger_rows.add_requests(c, [row])).result()
    assert desk.run(lambda: desk.services.ledger.verify(0, 10)).unreadable == 1
