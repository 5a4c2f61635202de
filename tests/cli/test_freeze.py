import pytest
from click.testing import CliRunner

from switchgear.cli.client import Client
from switchgear.cli.freeze import freeze, unfreeze
from switchgear.core.errors import UserError


def answer(_self, _method, path, body=None):
    return (
        {"subject": body["subject"], "until_ms": 1_795_715_419_000 if body["for_ms"] else None}
        if body
        else {"subject": "x"}
    )


@pytest.mark.parametrize(
    ("arguments", "undo"),
    [(["key", "ci"], "switchgear unfreeze key ci"), (["all"], "switchgear unfreeze all"), (["model", "a b"], "switchgear unfreeze model 'a b'"), (["deployment", "openai/gpt-4o@main"], "switchgear unfreeze deployment openai/gpt-4o@main")],
)  # fmt: skip
def test_the_way_back_is_a_whole_command(monkeypatch, arguments, undo):
    monkeypatch.setattr(Client, "call", answer)
    assert f"(undo: {undo})" in CliRunner().invoke(freeze, arguments).output


def test_the_end_has_a_zone(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    text = CliRunner().invoke(freeze, ["key", "ci", "--for", "15m", "--tz", "Europe/Berlin"]).output
    assert "for 15m, until 2026-11-26 18:50:19 +01:00" in text


def test_a_freeze_that_would_be_over_at_once_is_refused(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    assert "over at once" in str(CliRunner().invoke(freeze, ["key", "ci", "--for", "0s"]).exception)


@pytest.mark.parametrize("command", [freeze, unfreeze])
@pytest.mark.parametrize(("arguments", "example"), [(["provider"], "provider NAME"), (["all", "x"], "all")])
def test_the_hint_of_a_refused_subject_is_an_example_of_its_kind(command, arguments, example):
    raised = CliRunner().invoke(command, arguments).exception
    assert isinstance(raised, UserError) and raised.hint.endswith(f"freeze {example}")


@pytest.mark.parametrize("command", [freeze, unfreeze])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["key"], "needs a name"), (["all", "x"], "takes no name"), (["keys", "x"], "did you mean 'key'")],
)
def test_a_malformed_subject_is_refused(command, arguments, said):
    assert said in str(CliRunner().invoke(command, arguments).exception)


def test_what_else_a_freeze_stops_is_said(monkeypatch):
    frozen = {"subject": "model:fast", "until_ms": None, "also_stops": ["demo/echo", "openai/gpt-4o-mini"]}
    monkeypatch.setattr(Client, "call", lambda *_: frozen)
    said = CliRunner().invoke(freeze, ["model", "fast"]).output
    assert "also stops, for every key: demo/echo, openai/gpt-4o-mini" in said


@pytest.mark.parametrize("command", [freeze, unfreeze])
def test_who_asks_for_a_list_of_freezes_is_told_where_it_is(command):
    raised = CliRunner().invoke(command, ["list"]).exception
    assert isinstance(raised, UserError) and "switchgear status" in raised.hint
