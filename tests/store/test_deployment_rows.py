"""Rows of deployments' counts."""

from switchgear.store import deployment_rows


def write(store, function, *arguments):
    return store.write(lambda connection: function(connection, *arguments)).result()


def test_a_row_is_written_read_and_written_over(store):
    write(store, deployment_rows.put, {"a/m@c": (b"1", 5), "b/m@c": (b"2", 6)})
    write(store, deployment_rows.put, {"a/m@c": (b"3", 7)})
    write(store, deployment_rows.put, {})
    assert store.read(deployment_rows.all_rows).result() == {"a/m@c": b"3", "b/m@c": b"2"}
    assert store.read(lambda c: deployment_rows.some_rows(c, ["b/m@c", "x"])).result() == {"b/m@c": b"2"}


def test_many_names_are_asked_for_in_parts(store):
    rows = {f"p/{number}@c": (b"%d" % number, number) for number in range(2 * deployment_rows.CHUNK + 1)}
    write(store, deployment_rows.put, rows)
    assert len(store.read(lambda c: deployment_rows.some_rows(c, rows)).result()) == len(rows)


def test_what_was_not_used_for_long_is_deleted(store):
    write(store, deployment_rows.put, {"a/m@c": (b"1", 5), "b/m@c": (b"2", 6)})
    assert write(store, deployment_rows.drop_before, 6) == ["a/m@c"]
    assert set(store.read(deployment_rows.all_rows).result()) == {"b/m@c"}
