import re

import pytest

from switchgear.cli import key, key_fields
from switchgear.core.errors import UserError

SERVED = ["fast", "gpt-*", "openai/*"]


@pytest.mark.parametrize("model", ["fast", "fa*", "*", "openai/gpt-4o", "openai/*", "openai/gpt-*", "gpt-5", "open*"])
def test_a_model_that_is_served_gives_no_warning(model):
    assert key.without_effect([model], SERVED) == []


@pytest.mark.parametrize(
    ("model", "meant"),
    [("opnai/*", "'openai/*'"), ("fats", "'fast'"), ("claude-*", ""), ("FAST", "'fast'"), ("[f]ast", "'fast'")],
)
def test_a_model_that_matches_nothing_is_named_with_the_nearest_name(model, meant):
    ((found, said),) = key.without_effect([model], SERVED)
    assert found == model and meant in said


def test_a_key_for_people_has_no_field_of_the_store():
    from switchgear.cli.output import Output

    found = {
        "id": "i", "name": "n", "team": None, "user": None, "project": None, "models": None, "cidrs": None, "tags": [], "passthrough": [],
        "expires_ms": 4_000_000_000_000, "created_ms": 0, "revoked_ms": None, "secrets": 1, "source": "store", "version": 3, "spent_before_nanousd": 5 * 10**8, "spent_nanousd": 10**9,
    }  # fmt: skip
    shown = key._people(found, Output("table"))
    assert not {name for name in shown if name.endswith(("_ms", "_nanousd"))}
    assert (
        shown["spent"] == "1.00 USD (0.50 before it came here)"
        and shown["state"] == "active"
        and shown["expires"].startswith("2096-10-02")
    )


@pytest.mark.parametrize("arguments", [("create", "app"), ("rotate", "old")])
def test_a_new_key_alone_is_the_answer_and_the_sentence_is_a_remark(served, arguments):
    served.run("key", "create", "old")
    done = served.run("key", *arguments)
    assert re.fullmatch(r"sk-sg-\S+\n", done.stdout)
    assert "Copy" in done.stderr and "sk-sg-" not in done.stderr


@pytest.mark.parametrize(("models", "shown"), [(None, ["all"]), ([], ["none"]), (["a/*"], ["a/*"])])
def test_a_key_that_may_call_nothing_is_not_shown_as_one_that_may_call_everything(models, shown):
    assert key_fields.models_shown(models) == shown
    found = dict.fromkeys(key_fields.KEY_FIELDS) | {"models": models, "cidrs": models}
    people = key_fields.for_people(found, None)
    assert people["models"] in (shown, shown[0])


@pytest.mark.parametrize("fields", [{"models": ""}, {"rpm": ""}, {"cidrs": ("",)}, {"expires": ""}])
def test_an_empty_option_of_a_new_key_is_refused(fields):
    with pytest.raises(UserError, match="is empty"):
        key_fields.refuse_empty(fields)
