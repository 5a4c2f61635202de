"""Teams, users, projects, profiles: made, changed, renamed, removed; and the keys that name them."""

import msgspec
import pytest
from tests.control.conftest import sealed
from tests.control.test_credentials import OPENAI
from tests.control.test_models import FAST

from switchgear.config.compile import Compiled
from switchgear.core.errors import ConflictError, StaleError, UserError
from switchgear.core.organisation import KINDS, HolderPolicy
from switchgear.replica import holding
from switchgear.routing.table import seen_by
from switchgear.store import holders
from switchgear.store.objects import KeyRow

TEAM, USER, PROJECT, PROFILE = KINDS["team"], KINDS["user"], KINDS["project"], KINDS["profile"]


@pytest.fixture
def service(desk):
    desk.run(desk.services.publication.publish_keys)
    return desk.services.holders


def make(desk, kind, name, **policy):
    return desk.run(lambda: desk.services.holders.create(kind, name, HolderPolicy(**policy), "ann"))


def change(desk, kind, name, new_name=None, version=None, **changes):
    return desk.run(lambda: desk.services.holders.change(kind, name, changes, new_name, "ann", version))


def remove(desk, kind, name, move_to=None):
    return desk.run(lambda: desk.services.holders.remove(kind, name, move_to, "ann"))


def key(desk, name="app", **policy):
    return desk.run(lambda: desk.services.keys.create(KeyRow(id="", name=name, **policy), "ann"))[0]


def seen(desk, row):
    """The key as an edge sees it with its next request."""
    find = desk.publisher.holder_of
    return holding.held(
        desk.publisher.entry_of(row.id), lambda kind, identity: find(kind, identity) or holding.gone(kind, identity)
    )


def test_what_is_made_holds_for_its_keys_at_once_and_is_audited(desk, service):
    make(desk, TEAM, "nlp", models=["a/*"], parent="red")
    row = key(desk, team="nlp", models=["*"])
    assert [one.id for one in seen(desk, row).held_by] == ["red", "nlp"]
    assert seen(desk, row).model_lists == (("a/*",), ("*",))
    change(desk, TEAM, "nlp", models=["b/*"])
    assert seen(desk, row).model_lists == (("b/*",), ("*",))
    assert [line.action for line in desk.audit()] == ["team.create", "key.create", "team.update"]


@pytest.mark.parametrize(("field", "name"), [("team", "reed"), ("user", "ann"), ("project", "p"), ("profile", "s")])
def test_a_key_of_somebody_who_does_not_exist_is_refused_and_nobody_is_made(desk, service, field, name):
    with pytest.raises(UserError, match=f"there is no {field}") as refused:
        key(desk, **{field: name})
    assert (field != "team") or "did you mean 'red'?" in str(refused.value)
    assert desk.read(holders.holder_named, field, name) is None


def test_a_rename_keeps_the_id_and_the_keys_and_frees_the_name(desk, service):
    row = key(desk, team="red")
    renamed = change(desk, TEAM, "red", new_name="crimson")
    assert (renamed.id, renamed.name) == ("red", "crimson")
    assert (seen(desk, row).team, seen(desk, row).team_id) == ("crimson", "red")
    other = make(desk, TEAM, "red")
    assert other.id.startswith("red-") and len(other.id) == len("red-") + 6, "another team, whatever it is called"
    with pytest.raises(ConflictError, match="exists already"):
        change(desk, TEAM, "red", new_name="blue")


def test_a_change_of_an_older_version_is_refused(desk, service):
    change(desk, TEAM, "red", rpm=5, version=1)
    with pytest.raises(StaleError):
        change(desk, TEAM, "red", rpm=6, version=1)


def test_a_team_is_no_part_of_itself(desk, service):
    change(desk, TEAM, "red", parent="blue")
    change(desk, TEAM, "blue", parent="green")
    for child, parent in (("red", "red"), ("green", "red"), ("blue", "red")):
        with pytest.raises(UserError, match="a part of itself"):
            change(desk, TEAM, child, parent=parent)
    assert desk.read(holders.holder_of, "team", "green").parent is None


def test_teams_are_so_deep_and_no_deeper(desk, service):
    for number in range(8):
        make(desk, TEAM, f"t{number}", parent=f"t{number - 1}" if number else None)
    with pytest.raises(UserError, match="deeper"):
        make(desk, TEAM, "t8", parent="t7")
    with pytest.raises(UserError, match="deeper"):
        change(desk, TEAM, "t0", parent="red")
    assert desk.read(holders.holder_named, "team", "t8") is None


def test_a_team_with_keys_is_removed_only_when_they_go_elsewhere(desk, service):
    first, second = key(desk, "one", team="red"), key(desk, "two", team="red")
    make(desk, PROJECT, "p", team="red")
    change(desk, TEAM, "green", parent="red")
    with pytest.raises(
        UserError, match=r"2 keys \(one, two\) and 1 team \(green\) and 1 project \(p\) belong"
    ) as refused:
        remove(desk, TEAM, "red")
    assert "--move-to" in refused.value.hint
    gone, moved, others = remove(desk, TEAM, "red", "blue")
    assert sorted(row.name for row in others) == ["green", "p"]
    assert gone.removed_ms is not None and [row.name for row in moved] == ["one", "two"]
    assert [seen(desk, row).team_id for row in (first, second)] == ["blue", "blue"]
    assert desk.read(holders.holder_named, "project", "p").team == "blue"
    assert desk.read(holders.holder_named, "team", "green").parent == "blue"
    with pytest.raises(UserError, match="there is no team 'red'"):
        remove(desk, TEAM, "red")
    assert make(desk, TEAM, "red").id != "red", "an id is never used again"


def test_a_key_of_a_project_belongs_to_no_other_team_than_the_project(desk, service):
    make(desk, PROJECT, "p", team="red")
    with pytest.raises(UserError, match="belongs to the team 'red'"):
        key(desk, project="p", team="blue")
    row = key(desk, project="p")
    assert seen(desk, row).team_id == "red"
    key(desk, "two", project="p", team="red")
    with pytest.raises(UserError, match="of another team: two"):
        change(desk, PROJECT, "p", team="blue")


def test_a_team_goes_with_its_projects_and_their_keys(desk, service):
    make(desk, PROJECT, "search", team="red")
    row = key(desk, "one", team="red", project="search")
    remove(desk, TEAM, "red", "blue")
    assert (seen(desk, row).team_id, seen(desk, row).project) == ("blue", "search")
    assert desk.read(holders.holder_named, "project", "search").team == "blue"


def test_what_is_to_be_removed_or_shown_is_not_advised_to_be_made(desk, service):
    for name in ("nosuch", "rad"):
        with pytest.raises(UserError) as refused:
            remove(desk, TEAM, name)
        assert "create" not in refused.value.hint
    with pytest.raises(UserError) as refused:
        key(desk, team="nosuch")
    assert "switchgear team create nosuch" in refused.value.hint


def test_a_profile_holds_for_whatever_names_it(desk, service):
    make(desk, PROFILE, "std", models=["a/*"], rpm=7)
    make(desk, USER, "ann", profile="std")
    rows = [key(desk, "one", user="ann"), key(desk, "two", profile="std")]
    assert [seen(desk, row).model_lists for row in rows] == [(("a/*",),)] * 2
    change(desk, PROFILE, "std", models=["b"])
    assert [seen(desk, row).model_lists for row in rows] == [(("b",),)] * 2, "one edit changes all"
    with pytest.raises(UserError, match=r"1 key \(two\) and 1 user \(ann\)"):
        remove(desk, PROFILE, "std")


def test_a_key_that_changes_its_team_keeps_everything_else(desk, service):
    row = key(desk, team="red", rpm=5)
    moved = desk.run(lambda: desk.services.keys.change("app", {"team": "blue"}, "ann"))
    assert (moved.team, moved.rpm, moved.id) == ("blue", 5, row.id) and seen(desk, row).team == "blue"
    with pytest.raises(UserError, match="no team 'nowhere'"):
        desk.run(lambda: desk.services.keys.change("app", {"team": "nowhere"}, "ann"))


def test_S5_a_row_that_somebody_else_wrote_is_named_and_what_was_published_stays(desk, service):
    row = key(desk, team="red")
    change(desk, TEAM, "red", rpm=5)

    def forge(connection):
        connection.exec_driver_sql("UPDATE holders SET policy = '{}', version = 99 WHERE id = 'red'")

    desk.store.write(forge).result()
    desk.run(desk.services.publication.publish_keys)
    assert [(doubt.kind, doubt.name, doubt.why) for doubt in desk.services.publication.doubts] == [
        ("team", "red", "forged")
    ]
    assert seen(desk, row).held_by[0].rpm == 5
    with pytest.raises(UserError, match="not written by this gateway"):
        change(desk, TEAM, "red", rpm=500)


@pytest.mark.parametrize(("statement", "why"), [("DELETE FROM holders WHERE id = 'red'", "missing")])
def test_S5_a_row_that_is_gone_is_named_and_what_was_published_stays(desk, service, statement, why):
    row = key(desk, team="red")
    desk.store.write(lambda c: c.exec_driver_sql(statement)).result()
    desk.run(desk.services.publication.publish_keys)
    assert [(doubt.name, doubt.why) for doubt in desk.services.publication.doubts] == [("red", why)]
    assert seen(desk, row).held_by[0].name == "red"


def test_S5_a_row_that_is_older_than_what_was_published_is_named_and_not_written_again(desk, service):
    row = key(desk, team="red")
    (old,) = [one for one in desk.read(holders.holders) if one.id == "red"]
    change(desk, TEAM, "red", rpm=5)
    desk.store.write(lambda c: holders.replace_holder(c, old, None)).result()
    desk.run(desk.services.publication.publish_keys)
    assert [(doubt.name, doubt.why) for doubt in desk.services.publication.doubts] == [("red", "older")]
    assert seen(desk, row).held_by[0].rpm == 5
    with pytest.raises(UserError, match="older than what was published"):
        change(desk, TEAM, "red", rpm=50)


@pytest.mark.parametrize("name", ["", " x", "x" * 65, "a\x1b"])
def test_a_name_that_is_none_is_refused(desk, service, name):
    with pytest.raises(UserError):
        make(desk, TEAM, name)


def test_a_model_of_a_team_is_published_with_the_teams_id_and_the_team_stays(desk, service):
    change(desk, TEAM, "red", new_name="crimson")
    desk.run(lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"))
    mine = msgspec.structs.replace(FAST, team="crimson")
    desk.run(lambda: desk.services.models.add(mine, "ann"))
    assert desk.publisher.current().table.models["fast"].team == "red"
    with pytest.raises(UserError, match="the model 'fast' belongs to it"):
        remove(desk, TEAM, "crimson", "blue")
    with pytest.raises(UserError, match="there is no team 'nobody'"):
        desk.run(lambda: desk.services.models.add(msgspec.structs.replace(FAST, name="x", team="nobody"), "ann"))


def test_a_provider_of_a_team_that_a_file_names_is_published_with_its_id_and_of_one_that_is_gone_for_nobody(
    desk, service
):
    change(desk, TEAM, "red", new_name="crimson")
    specs = tuple(msgspec.structs.replace(OPENAI, name=team, team=team) for team in ("crimson", "gone"))
    desk.services.publication.compiled = Compiled(providers=specs)
    desk.run(desk.services.publication.publish)
    table = desk.publisher.current().table
    assert table.providers["crimson"].team == "red"
    assert list(seen_by(table, ["red", "gone"]).providers) == ["crimson"]
