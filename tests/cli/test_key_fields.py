"""The options of a key's policy: one for each field, and what they make."""

import click
import pytest
from click.testing import CliRunner

from switchgear.cli import key, key_fields
from switchgear.core import key_policy
from switchgear.core.errors import UserError

NOTHING = {
    name: () if field.kind in {"repeated", "budgets", "labels"} else None
    for name, field in key_fields.KEY_FIELDS.items()
}


def test_each_field_of_a_keys_policy_has_an_option_and_nothing_else_has():
    assert set(key_fields.KEY_FIELDS) == set(key_policy.WRITTEN)


@pytest.mark.parametrize("command", [key.create, key.update])
def test_both_commands_offer_every_field_with_its_description(command):
    offered = {option.name: option for option in command.params if isinstance(option, click.Option)}
    for name, field in key_fields.KEY_FIELDS.items():
        assert offered[name].opts == [field.flag]
        assert offered[name].help.startswith(key_policy.description_of(name))


def test_options_that_are_not_given_name_nothing():
    assert key_fields.given(NOTHING, None) == {}


def test_options_become_what_the_api_takes():
    values = {
        **NOTHING,
        "team": "research",
        "models": "openai/*, fast,",
        "cidrs": ("10.0.0.0/8",),
        "expires": "2096-10-02",
    }
    found = key_fields.given(values, None)
    assert found.pop("expires").startswith("2096-10-02")
    assert found == {"team": "research", "models": ["openai/*", "fast"], "cidrs": ["10.0.0.0/8"]}


def test_labels_become_names_with_values():
    assert key_fields.given({**NOTHING, "require": ("region=eu|uk", "zdr=yes")}, None) == {
        "require": {"region": "eu|uk", "zdr": "yes"}
    }
    with pytest.raises(UserError, match="LABEL=VALUE"):
        key_fields.given({**NOTHING, "require": ("region",)}, None)


def test_budgets_are_texts_or_mappings_and_people_read_a_line_of_each():
    given = key_fields.given({**NOTHING, "budget": ("5/day", "{limit: 500/month, soft: 80%}")}, None)
    assert given == {"budget": ["5/day", {"limit": "500/month", "soft": "80%"}]}
    assert key_fields.budgets_shown(given["budget"]) == ["5/day", "500/month (told at 80 %)"]
    with pytest.raises(UserError, match="no mapping"):
        key_fields.given({**NOTHING, "budget": ("{limit",)}, None)


def test_an_empty_list_of_models_allows_no_model():
    assert key_fields.given({**NOTHING, "models": ""}, None) == {"models": []}, "an empty variable must not mean all"


@pytest.mark.parametrize(("value", "cleared"), [("", None), ([""], None), (["a", ""], ["a"]), ("x", "x")])
def test_an_empty_value_of_a_change_clears(value, cleared):
    assert key_fields.cleared(value) == cleared


def test_a_change_to_0_does_not_clear_a_limit():
    assert key_fields.cleared(key_fields.given({**NOTHING, "rpm": "0"}, None)["rpm"]) == 0


def test_an_empty_limit_clears():
    assert key_fields.given({**NOTHING, "rpm": ""}, None) == {"rpm": None}


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "1e3", "٣"])
def test_a_limit_that_is_no_whole_number_is_refused(text):
    with pytest.raises(UserError, match="whole number"):
        key_fields.given({**NOTHING, "rpm": text}, None)


@pytest.mark.parametrize("tag", ["foo", "=x", "x=", "="])
def test_a_tag_without_a_key_or_a_value_is_refused(tag):
    with pytest.raises(UserError, match="KEY=VALUE"):
        key_fields.given({**NOTHING, "tags": (tag,)}, None)


def test_well_formed_tags_are_accepted():
    key_fields.check_tags(("a=b", "cost_center=4711", "url=http://x?a=b", ""))


def test_lists_show_each_field_once():
    columns = [*key_fields.columns(is_last=False), *key_fields.columns(is_last=True)]
    assert sorted(column.key for column in columns) == sorted(key_policy.FIELDS)


def test_people_read_what_a_field_without_a_value_means():
    told = key_policy.told(key_policy.KeyPolicy())
    shown = key_fields.for_people(told, None)
    assert shown == {
        "team": None,
        "user": None,
        "project": None,
        "profile": None,
        "models": "all",
        "networks": "any",
        "tags": [],
        "pass-through": [],
        "rpm": "no limit",
        "tpm": "no limit",
        "parallel": "no limit",
        "limits": "none",
        "budget": "none",
        "requires": "nothing",
        "ceilings": "none",
        "cache": "none",
        "expires": "never",
    }


def test_help_of_a_command_names_every_option():
    text = CliRunner().invoke(key.create, ["--help"]).output
    assert all(field.flag in text for field in key_fields.KEY_FIELDS.values())
