"""The outbox: numbers without gaps, places of consumers, and what retention leaves."""

import pytest
from tests.store.test_ledger_rows import row

from switchgear.core.errors import ConflictError, UserError
from switchgear.store import ledger_rows, outbox


def rid(number):
    return f"{number:032x}"


def book(store, *numbers):
    """Write records and give them their numbers, in one transaction."""

    def work(connection):
        ledger_rows.add_requests(connection, [row(number) for number in numbers])
        outbox.number(connection, [rid(number) for number in numbers])

    store.write(work).result()


def write(store, function, *arguments):
    return store.write(lambda connection: function(connection, *arguments)).result()


def page(store, seq, limit=100):
    return store.read(lambda connection: outbox.after(connection, seq, limit)).result()


def numbers(found):
    return [(one.seq, int(one.request_id, 16)) for one in found.rows]


def test_records_are_read_in_the_order_in_which_they_were_booked_and_not_of_their_ids(store):
    book(store, 5, 9)
    book(store, 2)
    assert numbers(page(store, 0)) == [(1, 5), (2, 9), (3, 2)]
    assert numbers(page(store, 2)) == [(3, 2)]
    assert [one.row for one in page(store, 2).rows] == [b"2"]


def test_a_page_says_where_to_go_on(store):
    book(store, 1, 2, 3)
    first = page(store, 0, 2)
    assert (len(first.rows), first.next_seq, first.head_seq) == (2, 2, 3)
    second = page(store, first.next_seq, 2)
    assert (len(second.rows), second.next_seq) == (1, 3)
    assert (page(store, 3, 2).rows, page(store, 3, 2).next_seq) == ([], 3)


def test_a_transaction_that_fails_uses_up_no_number(store):
    book(store, 1)

    def fail(connection):
        outbox.number(connection, [rid(7), rid(8)])
        raise ValueError("the power went")

    with pytest.raises(ValueError):
        store.write(fail).result()
    book(store, 2)
    assert numbers(page(store, 0)) == [(1, 1), (2, 2)]


def test_a_record_that_is_corrected_is_read_again(store):
    book(store, 1, 2)
    write(store, outbox.number, [rid(1)])
    assert numbers(page(store, 2)) == [(3, 1)]


def test_numbers_go_on_when_all_records_were_deleted(store):
    book(store, 1, 2)
    assert write(store, outbox.drop_old, rid(9), rid(9), 10) == 2
    assert (page(store, 0).rows, page(store, 0).next_seq) == ([], 2)
    book(store, 3)
    assert numbers(page(store, 0)) == [(3, 3)]


def test_a_page_of_deleted_records_leads_on(store):
    book(store, 1, 2, 3)
    write(store, ledger_rows.drop_before, rid(3), 10)
    first = page(store, 0, 2)
    assert (first.rows, first.next_seq) == ([], 2)
    assert numbers(page(store, first.next_seq, 2)) == [(3, 3)]


def test_a_cursor_moves_from_where_it_was_seen(store):
    book(store, 1, 2, 3)
    write(store, outbox.add_cursor, "bills", 0, 5)
    assert write(store, outbox.move, "bills", 0, 2, 6).seq == 2
    assert write(store, outbox.move, "bills", 0, 2, 7).moved_ms == 6, "an answer that got lost: nothing happens"
    with pytest.raises(ConflictError):
        write(store, outbox.move, "bills", 0, 3, 8)
    assert store.read(lambda c: outbox.cursor(c, "bills")).result() == outbox.Cursor("bills", 2, 0, 5, 6)


@pytest.mark.parametrize(("seen", "seq"), [(2, 1), (2, 4), (2, -1)])
def test_a_cursor_moves_ahead_and_never_beyond_the_last_number(store, seen, seq):
    book(store, 1, 2, 3)
    write(store, outbox.add_cursor, "bills", 2, 5)
    with pytest.raises(UserError):
        write(store, outbox.move, "bills", seen, seq, 6)


def test_cursors_are_named_once_bounded_and_removed(store):
    write(store, outbox.add_cursor, "a", 0, 1)
    with pytest.raises(ConflictError):
        write(store, outbox.add_cursor, "a", 0, 1)
    with pytest.raises(UserError, match="not given yet"):
        write(store, outbox.add_cursor, "b", 1, 1)
    for number in range(outbox.CURSORS_MAX - 1):
        write(store, outbox.add_cursor, f"c{number}", 0, 1)
    with pytest.raises(UserError, match="already"):
        write(store, outbox.add_cursor, "d", 0, 1)
    write(store, outbox.drop_cursor, "a")
    with pytest.raises(UserError):
        write(store, outbox.drop_cursor, "a")
    assert len(store.read(outbox.all_cursors).result()) == outbox.CURSORS_MAX - 1


def test_what_a_consumer_did_not_hand_on_outlives_its_retention_up_to_the_bound(store):
    book(store, *range(1, 11))
    write(store, outbox.add_cursor, "quick", 10, 1)
    write(store, outbox.add_cursor, "slow", 3, 1)
    assert write(store, outbox.drop_old, rid(8), rid(1), 100) == 3
    assert [number for number, _ in numbers(page(store, 0))] == [4, 5, 6, 7, 8, 9, 10]
    assert write(store, outbox.drop_old, rid(8), rid(6), 100) == 2
    lost = {one.name: one.lost for one in store.read(outbox.all_cursors).result()}
    assert lost == {"quick": 0, "slow": 2}
    assert store.read(ledger_rows.count_requests).result() == 5


def test_without_consumers_retention_deletes_all_below_its_floor(store):
    book(store, 4, 1, 2, 3)
    while write(store, outbox.drop_old, rid(4), rid(4), 2):
        pass
    assert numbers(page(store, 0)) == [(1, 4)]
    assert store.read(ledger_rows.count_requests).result() == 1
