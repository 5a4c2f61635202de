"""Completion of names: keys, models, providers, credentials, tokens of the gateway that the command would ask. Level 7.

A shell asks at each TAB: whatever goes wrong, nothing is offered and nothing is printed.
"""

from collections.abc import Callable, Iterable
from typing import Any

import click

from switchgear.cli.client import Client
from switchgear.cli.output import cleaned
from switchgear.core.errors import UserError

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(path: str, pick: Callable[[Any], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            answer = Client(ctx.params.get("data"), ctx.params.get("server")).call("GET", path, give_up_s=0.0)
            names = sorted({name for name in pick(answer) if name.startswith(incomplete)})
        except (UserError, KeyError, TypeError):
            return []
        return [name for name in names if name == cleaned(name)]

    return complete


keys = _completer("/keys", lambda answer: [key["name"] for key in answer["keys"] if key["revoked_ms"] is None])
teams, users, projects, profiles = (
    _completer(f"/{plural}", lambda answer, plural=plural: [one["name"] for one in answer[plural]])  # type: ignore[misc]
    for plural in ("teams", "users", "projects", "profiles")
)
models = _completer(
    "/models",
    lambda answer: (
        [model["name"] for model in answer["models"]] + [name.removesuffix("*") for name in answer["implicit"]]
    ),
)
providers = _completer("/providers", lambda answer: [provider["name"] for provider in answer["providers"]])
addable = _completer(
    "/providers", lambda answer: [provider["name"] for provider in answer["providers"]] + answer["catalogue"]
)
credentials = _completer("/credentials", lambda answer: [credential["id"] for credential in answer["credentials"]])
tokens = _completer("/tokens", lambda answer: [token["name"] for token in answer["tokens"]])
cursors = _completer("/cursors", lambda answer: [cursor["name"] for cursor in answer["cursors"]])
budgets = _completer("/budgets", lambda answer: [state["subject"] for state in answer["budgets"]])


def labels(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete what budgets of the subject are called that the command names."""
    subject = ctx.params.get("subject") or ""
    wanted = {subject, f"key:{subject}"}
    names_of = _completer(
        "/budgets", lambda answer: [one["label"] for one in answer["budgets"] if one["subject"] in wanted]
    )
    return names_of(ctx, _parameter, incomplete)


frozen = _completer("/status", lambda answer: [subject.partition(":")[2] for subject in answer["freezes"]])
findings = _completer("/findings", lambda answer: [found["finding"]["id"] for found in answer["findings"]])
requests = _completer("/log", lambda answer: [record["id"] for record in answer["records"]])


def subject(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete what `freeze KIND` takes."""
    of_kind = {
        "key": keys,
        "team": teams,
        "user": users,
        "project": projects,
        "model": models,
        "provider": providers,
        "credential": credentials,
    }
    complete = of_kind.get(ctx.params.get("kind") or "")
    return complete(ctx, parameter, incomplete) if complete is not None else []
