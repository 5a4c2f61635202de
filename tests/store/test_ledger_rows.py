"""Rows of the ledger: filters, sums, retention."""

import pytest
from sqlalchemy.exc import IntegrityError

from switchgear.store import ledger_rows
from switchgear.store.ledger_rows import LogFilter, SpoolRow
from switchgear.store.sums import SUMS, Sums


def row(number, **more):
    values = {
        "id": f"{number:032x}",
        "key_id": "k",
        "key_name": "bot",
        "team": "t",
        "user_name": None,
        "project": None,
        "model": "m",
        "provider": "p",
        "status": 200,
        "outcome": "ok",
        "cost_nanousd": number,
        "latency_ms": number,
        "record": b"%d" % number,
        **more,
    }
    return tuple(values[name] for name in ledger_rows.REQUEST_COLUMNS)


def listed(store, limit=100, before=None, after=None, **wanted):
    return [
        int(r)
        for r in store.read(lambda c: ledger_rows.list_requests(c, LogFilter(**wanted), limit, before, after)).result()
    ]


def test_a_request_stands_in_the_ledger_once(store):
    store.write(lambda c: ledger_rows.add_requests(c, [row(1)])).result()
    with pytest.raises(IntegrityError):
        store.write(lambda c: ledger_rows.add_requests(c, [row(2), row(1)])).result()
    assert listed(store) == [1]
    assert store.read(lambda c: ledger_rows.known_ids(c, [f"{1:032x}", f"{2:032x}"])).result() == {f"{1:032x}"}


def test_listing_pages_and_filters(store):
    rows = [row(n, team="a" if n % 2 else "b", outcome="denied" if n == 5 else "ok") for n in range(10)]
    store.write(lambda c: ledger_rows.add_requests(c, rows)).result()
    assert listed(store, limit=3) == [9, 8, 7]
    assert listed(store, limit=3, before=f"{7:032x}") == [6, 5, 4]
    assert listed(store, after=f"{7:032x}") == [8, 9]
    assert listed(store, team="a") == [9, 7, 5, 3, 1]
    assert listed(store, outcome="denied") == [5]
    assert listed(store, key="bot", min_cost_nanousd=8) == [9, 8]
    assert listed(store, key="nobody") == []
    assert listed(store, since_id=f"{3:032x}", until_id=f"{5:032x}") == [4, 3]
    assert listed(store, min_latency_ms=9, status=200, model="m", provider="p") == [9]
    assert store.read(lambda c: ledger_rows.get_request(c, f"{4:032x}")).result() == b"4"


def test_sums_add_up_and_group(store):
    def key(hour, model):
        return (hour, "k", "bot", "t", "", "", model, model, "p", "p/c")

    ones = Sums(*[1] * len(SUMS))
    for _ in range(3):
        store.write(
            lambda c: ledger_rows.add_usage(c, {key(48, "a"): ones, key(49, "a"): ones, key(72, "b"): ones})
        ).result()
    found = store.read(lambda c: ledger_rows.sum_usage(c, ["model"], 0, 100)).result()
    assert {r["group_model"]: r["requests"] for r in found} == {"a": 6, "b": 3}
    by_day = store.read(lambda c: ledger_rows.sum_usage(c, ["day"], 0, 100)).result()
    assert {r["group_day"]: r["requests"] for r in by_day} == {2: 6, 3: 3}
    assert store.read(lambda c: ledger_rows.sum_usage(c, [], 0, 72)).result()[0]["requests"] == 6
    assert store.read(lambda c: ledger_rows.sum_usage(c, [], 0, 100, {"model": "b"})).result()[0]["cost_nanousd"] == 3


def test_spend_is_summed_by_key_and_model(store):
    ones = Sums(*[1] * len(SUMS))
    for key_id, hour, model in (("a", 48, "m"), ("a", 50, "m"), ("a", 50, "n"), ("b", 50, "m"), ("a", 72, "m")):
        name = (hour, key_id, key_id, "t", "", "", model, model, "p", "p/c")
        store.write(lambda c, name=name: ledger_rows.add_usage(c, {name: ones})).result()
    found = store.read(lambda c: ledger_rows.spend_by_model(c, None, 48, 72)).result()
    assert found == {"a": {"m": (2, 2), "n": (1, 1)}, "b": {"m": (1, 1)}}
    many = [f"k{n}" for n in range(600)] + ["b"]
    assert store.read(lambda c: ledger_rows.spend_by_model(c, many, 48, 72)).result() == {"b": {"m": (1, 1)}}
    assert store.read(lambda c: ledger_rows.spend_by_model(c, [], 48, 72)).result() == {}


def test_spool_positions_and_prices_are_kept(store):
    for position in (1, 2):
        store.write(lambda c, p=position: ledger_rows.put_spool_row(c, "s", SpoolRow(1, p, 3, 4))).result()
    assert store.read(lambda c: ledger_rows.spool_row(c, "s")).result() == SpoolRow(1, 2, 3, 4)
    for body in (b"1", b"2"):
        store.write(lambda c, b=body: ledger_rows.put_price(c, "p", b, 1)).result()
    assert store.read(lambda c: ledger_rows.price(c, "p")).result() == b"1"
    store.write(lambda c: ledger_rows.put_quarantine(c, "s", 1, "bad", 1)).result()
    store.write(lambda c: ledger_rows.put_quarantine(c, "s", 1, "bad", 1)).result()
    assert store.read(ledger_rows.quarantined).result() == [("s", 1, "bad")]


def test_each_finding_of_a_segment_is_kept_once_and_not_without_end(store):
    for reason in ("bad", "worse", "bad", "two\nlines"):
        store.write(lambda c, r=reason: ledger_rows.put_quarantine(c, "s", 1, r, 1)).result()
    store.write(lambda c: ledger_rows.put_quarantine(c, "s", 2, "other", 1)).result()
    assert sorted(store.read(ledger_rows.quarantined).result()) == [
        ("s", 1, "bad"),
        ("s", 1, "two lines"),
        ("s", 1, "worse"),
        ("s", 2, "other"),
    ]
    for number in range(2 * ledger_rows.REASONS_MAX):
        store.write(lambda c, n=number: ledger_rows.put_quarantine(c, "t", 1, str(n), 1)).result()
    assert len(store.read(ledger_rows.quarantined).result()) == 4 + ledger_rows.REASONS_MAX


def test_retention_drops_the_oldest_in_batches(store):
    store.write(lambda c: ledger_rows.add_requests(c, [row(n) for n in range(10)])).result()
    assert store.write(lambda c: ledger_rows.drop_before(c, f"{6:032x}", 4)).result() == 4
    assert store.write(lambda c: ledger_rows.drop_before(c, f"{6:032x}", 4)).result() == 2
    assert listed(store) == [9, 8, 7, 6]
    assert store.read(ledger_rows.count_requests).result() == 4


def test_requests_are_listed_under_each_provider_they_tried(store):
    store.write(lambda c: ledger_rows.add_requests(c, [row(n) for n in range(3)])).result()
    for _ in range(2):  # written again after a crash: once is enough
        store.write(lambda c: ledger_rows.add_tried(c, [("up", f"{1:032x}")])).result()
    assert listed(store, provider="up") == [1]
    assert listed(store, provider="p") == [2, 1, 0]
    store.write(lambda c: ledger_rows.drop_before(c, f"{2:032x}", 10)).result()
    assert listed(store, provider="up") == []


def test_places_of_attempts_are_summed_by_attempt(store):
    here, before = Sums(requests=5, attempts=5), Sums(attempts=10, failed_attempts=10)

    def key(provider):
        return (48, "k", "bot", "t", "", "", "m", "m", provider, f"{provider}/c")

    store.write(lambda c: ledger_rows.add_usage(c, {key("up"): before, key("up2"): here})).result()

    def sums(*by, **where):
        found = store.read(lambda c: ledger_rows.sum_usage(c, list(by), 0, 100, where)).result()
        return [(row["requests"], row["errors"]) for row in found]

    assert sorted(sums("provider")) == sorted(sums("deployment")) == [(5, 0), (10, 10)]
    assert sums("deployment", deployment="up/m@c") == sums("credential", deployment="up/c") == [(10, 10)]
    assert sums("deployment", deployment="up/other@c") == []
    assert store.read(lambda c: ledger_rows.values_of(c, "deployment", 9)).result() == ["up/m@c", "up2/m@c"]
    assert sums("model", provider="up") == [(10, 10)]
    assert sums("model") == sums() == [(5, 0)]
