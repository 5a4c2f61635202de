"""`switchgear team|user|project|profile`, against the real admin API."""

import json

import pytest

from switchgear.cli import holder
from switchgear.core.errors import UserError
from switchgear.core.organisation import KINDS


def answer(done):
    assert done.exception is None, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_made_listed_shown_changed_and_removed(served, kind):
    row = KINDS[kind]
    made = answer(served.run(kind, "create", "one", "--rpm", "5", "--models", "demo/*", "--json"))
    assert (made["name"], made["rpm"], made["models"]) == ("one", 5, ["demo/*"])
    assert [one["name"] for one in answer(served.run(kind, "list", "--json"))[row.plural]] == ["one"]
    changed = answer(served.run(kind, "update", "one", "--rpm", "", "--rename", "two", "--json"))
    assert (changed["rpm"], changed["name"], changed["id"]) == (None, "two", made["id"])
    assert answer(served.run(kind, "show", "two", "--json"))["version"] == 2
    assert (
        served.run(kind, "show", "two").exception is None and served.run(kind, "list", "-o", "wide").exception is None
    )
    assert answer(served.run(kind, "rm", "two", "--yes", "--json")) == {"name": "two", "moved": [], "moved_holders": []}
    gone = served.run(kind, "show", "two")
    assert isinstance(gone.exception, UserError) and gone.exception.exit_code == 2


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_of_a_kind_has_an_option_with_its_description(kind):
    fields = holder.fields_of(KINDS[kind])
    assert list(fields) == list(KINDS[kind].fields)
    options = {option.name: option for option in getattr(holder, kind).commands["create"].params}
    assert all(options[name].opts == [field.flag] and options[name].help for name, field in fields.items())


def test_a_key_of_a_team_that_does_not_exist_is_refused_with_the_nearest_name(served):
    answer(served.run("team", "create", "research", "--json"))
    refused = served.run("key", "create", "app", "--team", "reserch").exception
    assert "did you mean 'research'?" in str(refused) and refused.exit_code == 2
    assert answer(served.run("key", "list", "--json"))["keys"] == []


def test_a_key_says_what_binds_it_and_whose_rule_it_is(served):
    served.desk.run(served.desk.services.publication.publish_keys)
    answer(served.run("team", "create", "research", "--rpm", "20", "--models", "demo/*", "--json"))
    answer(served.run("key", "create", "app", "--team", "research", "--rpm", "50", "--json"))
    shown = answer(served.run("key", "show", "app", "--json"))
    assert shown["team"] == "research" and shown["rpm"] == 50
    assert shown["held_by"] == [{"kind": "team", "id": "research", "name": "research"}]
    assert shown["binding"] == [
        {"field": "models", "rule": "demo/*", "of": "team", "name": "research"},
        {"field": "limits", "rule": "20 requests/minute", "of": "team", "name": "research"},
    ]
    assert "20 requests/minute (team research)" in served.run("key", "show", "app").stdout


def test_a_team_with_keys_goes_only_with_somewhere_for_them(served):
    for name in ("old", "new"):
        answer(served.run("team", "create", name, "--json"))
    answer(served.run("key", "create", "app", "--team", "old", "--json"))
    refused = served.run("team", "remove", "old", "--yes").exception
    assert "app" in str(refused) and "--move-to" in refused.hint
    assert answer(served.run("team", "remove", "old", "--yes", "--move-to", "new", "--json"))["moved"] == ["app"]
    assert answer(served.run("key", "show", "app", "--json"))["team"] == "new"


def test_a_team_is_frozen_by_its_name_and_that_is_its_id(served):
    served.desk.run(served.desk.services.publication.publish_keys)
    answer(served.run("team", "create", "red", "--json"))
    answer(served.run("team", "update", "red", "--rename", "crimson", "--json"))
    assert answer(served.run("freeze", "team", "crimson", "--json"))["subject"] == "team:red"
    assert answer(served.run("unfreeze", "team", "crimson", "--json"))["subject"] == "team:red"


@pytest.mark.parametrize("arguments", [("create", "x", "--rpm", ""), ("update", "x"), ("create",)])
def test_wrong_use_is_refused(served, arguments):
    assert served.run("team", *arguments).exception.exit_code == 2
