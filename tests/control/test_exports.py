"""What exporters read: records in the order of their settlement, and their places."""

import functools

import msgspec
import pytest
from tests.ledger.test_build import KEPT_WHOLE
from tests.store.test_ledger_rows import row

from switchgear.control.exports import Numbering
from switchgear.core.errors import ConflictError, DeniedError, UserError
from switchgear.ledger.batch import Batch
from switchgear.store import ledger_rows, outbox


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
        desk.run(functools.partial(exports.move, "bills", at, following, "me"))
        at = following
    assert handed == ["a", "b", "c"]
    [cursor], head = desk.run(exports.cursors)
    assert (cursor.seq, head, cursor.lost) == (3, 3, 0)


def test_two_who_work_under_one_name_do_not_both_move_it(desk):
    exports = desk.services.exports
    book(desk, "a", "b")
    desk.run(lambda: exports.begin("bills", 0, "me"))
    desk.run(lambda: exports.move("bills", 0, 1, "me"))
    with pytest.raises(ConflictError):
        desk.run(lambda: exports.move("bills", 0, 2, "me"))


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


def test_a_cursor_is_moved_and_removed_by_its_maker_and_by_administrators_alone(desk):
    exports = desk.services.exports
    book(desk, "a", "b")
    desk.run(lambda: exports.begin("bills", 0, "token bills"))
    for theft in (
        lambda: exports.move("bills", 0, 2, "token other"),
        lambda: exports.move("bills", 0, 0, "token other"),
        lambda: exports.remove("bills", "token other"),
    ):
        with pytest.raises(DeniedError, match="token bills's"):
            desk.run(theft)
    assert desk.run(exports.cursors)[0][0].seq == 0
    desk.run(lambda: exports.move("bills", 0, 1, "token bills"))
    desk.run(lambda: exports.move("bills", 1, 2, "cli", is_admin=True))
    assert desk.run(exports.cursors)[0][0].owner == "token bills", "an administrator's help changes nobody's cursor"
    desk.run(lambda: exports.remove("bills", "cli", is_admin=True))


def test_a_cursor_of_before_is_whose_exporter_goes_on_with_it(desk):
    exports = desk.services.exports
    book(desk, "a", "b")
    desk.store.write(lambda connection: outbox.add_cursor(connection, "old", 0, 1)).result()
    with pytest.raises(DeniedError, match="no owner"):
        desk.run(lambda: exports.remove("old", "token bills"))
    desk.run(lambda: exports.move("old", 0, 1, "token bills"))
    with pytest.raises(DeniedError):
        desk.run(lambda: exports.move("old", 1, 2, "token other"))


def test_moves_are_audited_once_an_hour_and_an_administrators_each(desk):
    exports = desk.services.exports
    book(desk, "a", "b", "c", "d", "e")
    desk.clock.advance(3600 - desk.clock.wall_ms() / 1000 % 3600)
    desk.run(lambda: exports.begin("bills", 0, "token bills"))
    desk.clock.advance(60)
    desk.run(lambda: exports.move("bills", 0, 1, "token bills"))
    desk.run(lambda: exports.move("bills", 1, 2, "token bills"))
    desk.run(lambda: exports.move("bills", 2, 3, "cli", is_admin=True))
    desk.clock.advance(3600)
    desk.run(lambda: exports.move("bills", 3, 4, "token bills"))
    desk.run(lambda: exports.move("bills", 3, 4, "token bills"))
    lines = [(line.actor, msgspec.json.decode(line.detail)) for line in desk.audit() if line.action == "cursor.move"]
    assert lines == [
        ("token bills", {"from": 0, "to": 1}),
        ("cli", {"from": 2, "to": 3}),
        ("token bills", {"from": 3, "to": 4}),
    ]


def test_one_exporter_leaves_cursors_to_the_others(desk):
    exports = desk.services.exports
    for number in range(8):
        desk.run(lambda n=number: exports.begin(f"c{n}", 0, "token greedy"))
    with pytest.raises(UserError, match="8 cursors already"):
        desk.run(lambda: exports.begin("more", 0, "token greedy"))
    desk.run(lambda: exports.begin("other", 0, "token other"))
    desk.run(lambda: exports.begin("more", 0, "token greedy", is_admin=True))
