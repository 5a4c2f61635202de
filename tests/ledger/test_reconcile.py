"""Double entry: what the journal has and no spool names is found; what both have is not; nothing is found twice."""

import os

from hypothesis import given
from hypothesis import strategies as st

from switchgear.ledger import reconcile
from switchgear.ledger.claims import Claim
from switchgear.ledger.reconcile import Reconciler
from switchgear.spool.reader import Position
from switchgear.spool.writer import SpoolWriter
from switchgear.testing.clock import FakeClock
from switchgear.wire import records
from switchgear.wire.records import Kind


def journal(folder, clock, size=16 * 1024):
    return SpoolWriter(folder, clock, os.urandom, "run", segment_bytes=size)


def dispatch(spool, attempt, credential_id="fake/main"):
    record = records.Dispatch(attempt, credential_id, 1_790_000_000_000, "run")
    spool.append(Kind.DISPATCH, records.encode_payload(record))
    spool.append(Kind.ATTEMPT_END, records.encode_payload(records.AttemptEnd(attempt, 200, None, 10, 10, 1)))
    spool.commit()


def rid(number):
    return f"{number:032x}"


def test_C8_an_attempt_that_no_spool_names_is_overdue_once_all_spools_were_read(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books = Reconciler(tmp_path, None)
    for number in range(1, 5):
        dispatch(spool, f"{rid(number)}-1")
    books.scan(10.0)
    opened = {rid(2): 1}
    books.settle({f"{rid(1)}-1": None}, lambda request_id: opened.get(request_id, 0))
    assert books.overdue(9.0) == [], "spools were not read since"
    assert books.overdue(11.0) == [f"{rid(3)}-1", f"{rid(4)}-1"]
    assert books.judge(books.overdue(11.0), {rid(3): 1}) == [f"{rid(4)}-1"]
    assert books.overdue(99.0) == [] and books.checked == 4
    spool.close()


def test_C8_a_retry_that_the_edge_did_not_write_down_is_found(tmp_path, clock):
    spool = journal(tmp_path, clock)
    for number in (1, 2, 3):
        dispatch(spool, f"{rid(1)}-{number}")
    books = Reconciler(tmp_path, None)
    books.scan(1.0)
    books.settle({f"{rid(1)}-1": None, f"{rid(1)}-2": None}, lambda _: 0)
    assert books.judge(books.overdue(2.0), {rid(1): 2}) == [f"{rid(1)}-3"]
    spool.close()


def test_C8_the_same_attempt_twice_is_found(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books = Reconciler(tmp_path, None)
    dispatch(spool, f"{rid(1)}-1")
    books.scan(1.0)
    books.settle({f"{rid(1)}-1": None}, lambda _: 0)
    dispatch(spool, f"{rid(1)}-1")
    books.scan(2.0)
    assert books.repeated == [f"{rid(1)}-1"]
    spool.close()


def test_C8_a_restart_goes_on_where_everything_was_judged(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books = Reconciler(tmp_path, None)
    dispatch(spool, f"{rid(1)}-1")
    books.scan(1.0)
    assert books.safe_position() is None
    books.settle({f"{rid(1)}-1": None}, lambda _: 0)
    safe = books.safe_position()
    dispatch(spool, f"{rid(2)}-1")
    books.scan(2.0)
    assert books.safe_position() is None, "the second waits"
    again = Reconciler(tmp_path, safe)
    again.scan(3.0)
    assert again.overdue(4.0) == [f"{rid(2)}-1"]
    spool.close()


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 3)), min_size=1, max_size=200, unique=True),
    st.integers(200, 4000),
)
def test_C8_every_attempt_is_read_once_whatever_the_reads_cut(tmp_path_factory, attempts, read_bytes):
    from switchgear.testing.clock import FakeClock

    folder = tmp_path_factory.mktemp("journal")
    spool = journal(folder, FakeClock())
    before, reconcile.READ_BYTES = reconcile.READ_BYTES, max(read_bytes, 1100)
    try:
        books = Reconciler(folder, Position(0, 0))
        for at, (number, tries) in enumerate(attempts):
            dispatch(spool, f"{rid(number)}-{tries}", "d" * (at % 60 + 1) + "/c")
            spool.maintain()
            if at % 7 == 0:
                books.scan(float(at))
        books.scan(1e6)
        assert sorted(books.overdue(1e9)) == sorted(f"{rid(n)}-{t}" for n, t in attempts)
        assert books.repeated == []
    finally:
        reconcile.READ_BYTES = before
        spool.close()


def test_a_journal_that_nobody_judges_stays_on_disk(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(reconcile, "PENDING_MAX", 3)
    spool = journal(tmp_path, clock)
    for number in range(50):
        dispatch(spool, f"{rid(number)}-1")
        spool.maintain()
    books = Reconciler(tmp_path, Position(0, 0))
    books.scan(1.0)
    assert 3 <= len(books.overdue(2.0)) <= 50
    books.judge(books.overdue(2.0), {rid(n): 1 for n in range(50)})
    for _ in range(60):
        books.scan(3.0)
        books.judge(books.overdue(4.0), {rid(n): 1 for n in range(50)})
    assert books.checked == 50
    spool.close()


def test_a_scan_reads_all_that_is_there_and_free_room_is_its_end(tmp_path, clock):
    spool = journal(tmp_path, clock, size=1 << 20)
    books = Reconciler(tmp_path, Position(0, 0))
    for number in range(5_000):  # several reads, of which some end inside a record, among its zeros
        dispatch(spool, f"{rid(number)}-1")
    books.scan(1.0)
    assert len(books.overdue(2.0)) == 5_000
    spool.close()


def claimed(status, tokens=15):
    return Claim(status, True, "ok", tokens, 100, True)


def end(spool, attempt, status=200, size=900):
    spool.append(Kind.ATTEMPT_END, records.encode_payload(records.AttemptEnd(attempt, status, None, size, 10, 1)))
    spool.commit()


@given(st.permutations(["dispatch", "claim", "end"]))
def test_C8_both_ends_are_compared_in_whichever_order_they_come(tmp_path_factory, order):
    clock = FakeClock()
    folder = tmp_path_factory.mktemp("journal")
    spool = journal(folder, clock)
    books, attempt = Reconciler(folder, None), f"{rid(1)}-1"
    for step in sorted(
        order, key=lambda one: (one == "end" and order.index("dispatch") > order.index("end"), order.index(one))
    ):
        if step == "dispatch":
            spool.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "fake/main", 1, "run")))
            spool.commit()
        elif step == "end":
            end(spool, attempt)
        else:
            books.settle({attempt: claimed(429)}, lambda _: 0)
        books.scan(1.0)
    tries = {rid(1): 1}
    assert books.judge(books.overdue(2.0), tries, {attempt: claimed(429)}) == []
    assert [one.attempt_id for one in books.contradictions] == [attempt] and books.compared == 1
    spool.close()


def test_C8_an_answer_that_is_never_settled_is_told_after_an_hour(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books, attempt = Reconciler(tmp_path, None), f"{rid(1)}-1"
    spool.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "fake/main", 1, "run")))
    end(spool, attempt)
    books.scan(1.0)
    books.settle({}, lambda _: 1, 1.0)
    books.unsettled(3_000.0, lambda _: 1)
    assert books.contradictions == []
    books.unsettled(3_700.0, lambda _: 1)
    assert "never settled" in books.contradictions[0].reason
    spool.close()


def test_C8_an_answer_that_is_not_settled_soon_is_counted_once_its_spool_was_read_since(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books, attempt = Reconciler(tmp_path, None), f"{rid(1)}-1"
    spool.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "fake/main", 1, "run")))
    end(spool, attempt)
    books.scan(1.0)
    books.settle({}, lambda _: 1, 1.0)
    for now_s, read_until_s, expected in ((10.0, 10.0, 0), (100.0, 5.0, 0), (100.0, 99.0, 1)):
        books.unsettled(now_s, lambda _: 1, read_until_s)
        assert books.unsettled_now == expected
    books.settle({attempt: None}, lambda _: 0, 101.0)
    books.unsettled(101.0, lambda _: 0, 101.0)
    assert books.unsettled_now == 0
    spool.close()


def test_C8_an_answer_whose_reservation_vanished_is_asked_for_in_the_store(tmp_path, clock):
    spool = journal(tmp_path, clock)
    books, attempt = Reconciler(tmp_path, None), f"{rid(1)}-1"
    spool.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "fake/main", 1, "run")))
    end(spool, attempt)
    books.scan(1.0)
    books.settle({}, lambda _: 1, 1.0)
    books.unsettled(3_700.0, lambda _: 0)
    assert books.overdue(3_701.0) == [attempt]
    assert books.judge([attempt], {}) == [attempt], "nobody settled it"
    spool.close()


def test_C8_a_malformed_record_of_the_vault_ends_no_reconciliation(tmp_path, clock):
    spool = journal(tmp_path, clock)
    spool.append(Kind.ATTEMPT_END, records.encode_payload([f"{rid(1)}-1", 2**63, "x" * 300, -1, 5, 5]))
    spool.append(Kind.ATTEMPT_END, b"\x96\xd9\xff")
    dispatch(spool, f"{rid(2)}-1")
    books = Reconciler(tmp_path, None)
    books.scan(1.0)
    assert books.overdue(2.0) == [f"{rid(2)}-1"]
    spool.close()
    (tmp_path / "00000001.seg").unlink()
    (tmp_path / "00000001.seg").symlink_to("/dev/zero")
    Reconciler(tmp_path, Position(1, 0)).scan(1.0)
