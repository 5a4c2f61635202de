"""Completion of names."""

import click
import pytest

from switchgear.cli import names
from switchgear.cli.client import Client
from switchgear.core.errors import UserError

ANSWERS = {
    "/keys": {"keys": [{"name": "ci-bot", "revoked_ms": None}, {"name": "ci-old", "revoked_ms": 1}, {"name": "web", "revoked_ms": None}]},
    "/models": {"models": [{"name": "fast"}], "implicit": ["openai/*"]},
    "/providers": {"providers": [{"name": "local"}], "catalogue": ["openai", "groq"]},
    "/credentials": {"credentials": [{"id": "openai/default"}]},
    "/status": {"freezes": {"key:ci-bot": None, "all": None}},
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    found = []

    def call(self, method, path, **more):
        found.append(path)
        if path not in ANSWERS:
            raise UserError("no")
        return ANSWERS[path]

    monkeypatch.setattr(Client, "call", call)
    return found


def complete(completer, incomplete="", **params):
    context = click.Context(click.Command("x"))
    context.params = params
    return completer(context, click.Argument(["x"]), incomplete)


def test_names_of_the_gateway_are_offered(asked):
    assert complete(names.keys, "ci") == ["ci-bot"]
    assert complete(names.models) == ["fast", "openai/"]
    assert complete(names.addable) == ["groq", "local", "openai"]
    assert complete(names.credentials, "op") == ["openai/default"]


def test_completion_of_freeze_offers_names_of_the_subjects_kind(asked):
    assert complete(names.subject, kind="provider") == ["local"]
    assert complete(names.subject, kind="team") == []
    assert complete(names.frozen, "ci") == ["ci-bot"]


def test_completion_without_a_gateway_offers_nothing_and_prints_nothing(asked, capsys):
    assert complete(names.tokens) == [] and complete(names.findings) == []
    assert capsys.readouterr() == ("", "")


def test_a_name_that_steers_a_terminal_is_not_offered(monkeypatch):
    monkeypatch.setattr(Client, "call", lambda *_, **__: {"keys": [{"name": "a\x1b[31m", "revoked_ms": None}]})
    assert complete(names.keys) == []
