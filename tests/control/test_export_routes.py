"""Routes of exporters."""

import asyncio

import pytest
from tests.control.test_exports import book

from switchgear.control import export_routes
from switchgear.control.api import PERMISSIONS, Api, Call
from switchgear.control.export_routes import ROUTES, CursorCreate, CursorMove
from switchgear.core.errors import UserError


def ask(desk, handler, body=None, path=None, **query):
    call = Call(Api(desk.services), "me", path or {}, {name: str(value) for name, value in query.items()}, body)
    return asyncio.run(handler(call))


def test_records_are_told_whole_with_their_numbers(desk):
    book(desk, "b", "a")
    answer = ask(desk, export_routes.export, after_seq=0, limit=1)
    [record] = answer["records"]
    assert (record["id"], record["settled_seq"], answer["next_seq"], answer["head_seq"]) == ("b", 1, 1, 2)
    assert record["key"] is None, "what is not known is null"


@pytest.mark.parametrize("query", [{"after_seq": -1}, {"after_seq": "x"}, {"limit": 0}, {"limit": 1_001}])
def test_numbers_out_of_range_are_refused(desk, query):
    with pytest.raises(UserError):
        ask(desk, export_routes.export, **query)


def test_cursors_are_made_moved_listed_and_removed(desk):
    book(desk, "a", "b")
    made = ask(desk, export_routes.add_cursor, CursorCreate(name="bills"))
    assert (made.name, made.seq) == ("bills", 0)
    ask(desk, export_routes.move_cursor, CursorMove(seen=0, seq=1), {"name": "bills"})
    [shown] = ask(desk, export_routes.list_cursors)["cursors"]
    assert (shown["name"], shown["seq"], shown["behind"], shown["lost"]) == ("bills", 1, 1, 0)
    assert ask(desk, export_routes.remove_cursor, None, {"name": "bills"}) == {"name": "bills"}
    assert ask(desk, export_routes.list_cursors)["cursors"] == []


def test_a_name_that_is_none_is_refused(desk):
    with pytest.raises(UserError, match="not a name"):
        ask(desk, export_routes.add_cursor, CursorCreate(name="a/b"))


def test_a_role_for_exporters_reads_the_log_and_moves_cursors_and_nothing_else():
    assert PERMISSIONS["exporter"] == {"log:read", "log:export"}
    assert {route.permission for route in ROUTES} == {"log:read", "log:export"}
