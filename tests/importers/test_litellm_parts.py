import pytest
from tests.importers.test_litellm import run

from switchgear.core.errors import UserError
from switchgear.importers.litellm_parts import Opened, label, looks_encrypted, shown, slug, unique


def test_anchors_that_multiply_are_refused():
    bomb = ["x"] * 10
    for _ in range(8):
        bomb = [bomb] * 10
    with pytest.raises(UserError, match="too large"):
        run({"model_list": bomb})


def test_an_imported_name_is_a_unique_slug():
    assert slug("CI bot (EU)!") == "ci-bot-eu" and slug("///") == ""
    assert unique("a", {"a": 1, "a-2": 1}) == "a-3"
    assert label("x\x00" + "y" * 99) == "x" + "y" * 63 and label("") is None


@pytest.mark.parametrize(
    "value",
    ["sk-abcdefghijklmnop", {"api_key": "hunter2hunter2"}, "postgres://u:hunter2hunter2@h/x", Opened("hunter2")],
)
def test_a_setting_is_shown_without_its_secret(value):
    assert "hunter2" not in shown(value) and "ijklmnop" not in shown(value)


def test_long_settings_are_cut():
    assert len(shown("x " * 500)) == 80


def test_an_encrypted_text_is_told_from_a_name():
    assert looks_encrypted("v3:gcm:abc") and looks_encrypted("A" * 60) and not looks_encrypted("openai/gpt-4o-mini")
