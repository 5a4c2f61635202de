"""What exporters read: records in the order of their settlement, and their places."""

import functools

import msgspec
import pytest
from tests.ledger.test_build import KEPT_WHOLE
from tests.store.test_ledger_rows import row

from switchgear.control.exports import Numbering
from switchgear.core.errors import ConflictError, UserError
from switchgear.ledger.batch import Batch
from switchgear.store import ledger_rows


def book(desk, *ids, record=None):
    """Book records as the ingester does: rows, then participants, in one transaction."""
    batch = Batch()
    for request_id in ids:
        kept = record or msgspec.json.encode(msgspec.json.decode(KEPT_WHOLE) | {"id": request_id})
        batch.rows.append(row(0, id=request_id, record=kept))

    def work(connection):
        ledger_rows.add_requests(connection, batch.rows)
        Numbering().write(connection, batch)

    desk.store.write(work).result()


def after(desk, seq, limit=100):
    found = desk.run(lambda: desk.services.exports.after(seq, limit))
    return [(number, record.id) for number, record in found.records], found.next_seq


def test_records_come_in_the_order_of_their_settlement(desk):
    book(desk, "b", "c")
    book(desk, "a")
    assert after(desk, 0) == ([(1, "b"), (2, "c"), (3, "a")], 3)
    assert after(desk, 0, 2) == ([(1, "b"), (2, "c")], 2)
    assert after(desk, 3) == ([], 3)


def test_a_row_that_cannot_be_read_is_passed_and_told(desk):
    book(desk, "a", record=b"\xc1")
    book(desk, "b")
    assert after(desk, 0) == ([(2, "b")], 2)
    assert "damaged" in desk.reports[0]


def test_a_batch_without_records_uses_no_number(desk):
    book(desk)
    book(desk, "a")
    assert after(desk, 0) == ([(1, "a")], 1)


def test_an_exporter_goes_on_where_it_was_after_each_batch(desk):
    exports = desk.services.exports
    book(desk, "a", "b", "c")
    desk.run(lambda: exports.begin("bills", 0, "me"))
    handed, at = [], 0
    while True:
        records, following = after(desk, at, 2)
        if following == at:
            break
        handed += [name for _, name in records]
        desk.run(functools.partial(exports.move, "bills", at, following))
        at = following
    assert handed == ["a", "b", "c"]
    [cursor], head = desk.run(exports.cursors)
    assert (cursor.seq, head, cursor.lost) == (3, 3, 0)


def test_two_who_work_under_one_name_do_not_both_move_it(desk):
    exports = desk.services.exports
    book(desk, "a", "b")
    desk.run(lambda: exports.begin("bills", 0, "me"))
    desk.run(lambda: exports.move("bills", 0, 1))
    with pytest.raises(ConflictError):
        desk.run(lambda: exports.move("bills", 0, 2))


def test_a_cursor_may_begin_now_and_its_life_is_audited(desk):
    exports = desk.services.exports
    book(desk, "a")
    assert desk.run(lambda: exports.begin("now", None, "me")).seq == 1
    desk.run(lambda: exports.remove("now", "me"))
    with pytest.raises(UserError):
        desk.run(lambda: exports.remove("now", "me"))
    assert [(line.actor, line.action, line.subject) for line in desk.audit()] == [
        ("me", "cursor.create", "now"),
        ("me", "cursor.remove", "now"),
    ]
