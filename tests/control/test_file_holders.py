"""Teams and the like that a file declares, or names without declaring any."""

import pytest

from switchgear.config.compile import Compiled, FileHolder, FileKey
from switchgear.control import file_holders, file_keys
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import holders, objects
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow

PEPPERS = {1: b"p" * 32}


def compiled(*keys, **sections):
    found = [
        FileHolder(kind=kind, name=name, **policy) for kind, ones in sections.items() for name, policy in ones.items()
    ]
    file_keys = tuple(
        FileKey(name=name, sha256=f"{number:064x}", **policy) for number, (name, policy) in enumerate(keys)
    )
    return Compiled(keys=file_keys, holders=tuple(found))


def apply(desk, configuration, now_ms=1):
    def work(connection):
        file_holders.check(connection, configuration)
        file_holders.sync(connection, configuration, now_ms, "x7")
        file_keys.sync(connection, configuration, PEPPERS, now_ms)
        return file_holders.drop(connection, configuration, now_ms)

    return desk.store.write(work).result()


def rows(desk):
    return {
        (row.kind, row.name): row
        for row in desk.read(holders.holders)
        if row.removed_ms is None and row.source == "file"
    }


def test_a_file_without_teams_has_those_that_its_keys_name(desk):
    apply(desk, compiled(("a", {"team": "ours", "user": "ann"}), ("b", {"team": "red"})))
    assert set(rows(desk)) == {("team", "ours"), ("user", "ann")}, "red is the store's"
    keys = {row.name: row.team for row in desk.read(objects.keys)}
    assert keys == {"a": "ours", "b": "red"}


def test_what_a_file_declares_names_one_another_whatever_the_order(desk):
    apply(
        desk,
        compiled(
            ("a", {"project": "p"}),
            project={"p": {"team": "leaf"}},
            team={"leaf": {"parent": "root"}, "root": {"rpm": 5}},
        ),
    )
    found = rows(desk)
    assert (found["project", "p"].team, found["team", "leaf"].parent, found["team", "root"].rpm) == ("leaf", "root", 5)


def test_applying_the_same_again_changes_no_row(desk):
    configuration = compiled(("a", {"team": "t"}), team={"t": {"rpm": 5}})
    apply(desk, configuration)
    before = desk.read(holders.holders)
    apply(desk, configuration, 2)
    assert desk.read(holders.holders) == before
    apply(desk, compiled(("a", {"team": "t"}), team={"t": {"rpm": 6}}), 3)
    assert rows(desk)["team", "t"].version == before[-1].version + 1 if before[-1].name == "t" else True
    assert rows(desk)["team", "t"].rpm == 6


def test_what_left_the_file_is_removed_and_comes_back_as_the_same(desk):
    apply(desk, compiled(team={"t": {}}))
    first = rows(desk)["team", "t"]
    apply(desk, compiled(), 2)
    assert rows(desk) == {}
    apply(desk, compiled(team={"t": {"rpm": 1}}), 3)
    again = rows(desk)["team", "t"]
    assert (again.id, again.rpm) == (first.id, 1) and again.version > first.version


def test_a_team_that_keys_of_the_store_belong_to_does_not_leave_the_file(desk):
    apply(desk, compiled(team={"t": {}}))
    desk.store.write(lambda c: objects.add_key(c, KeyRow(id="k", name="app", team="t"))).result()
    with pytest.raises(UserError, match="the key 'app' belongs to it"):
        apply(desk, compiled(), 2)
    assert desk.store.write(lambda c: file_holders.drop(c, compiled(), 2)).result() == ["team t"], "at a start it stays"


def test_a_name_of_file_and_store_is_refused_unless_the_stores_says_nothing(desk):
    apply(desk, compiled(team={"red": {"rpm": 5}}))
    assert rows(desk)["team", "red"].id == "red", "the store's said nothing but its name: it is the file's from now on"
    desk.store.write(lambda c: holders.add_holder(c, HolderRow(kind="team", id="mine", name="mine", rpm=5))).result()
    with pytest.raises(ConflictError, match="in the file and in the store"):
        apply(desk, compiled(team={"red": {"rpm": 5}, "mine": {}}), 2)
