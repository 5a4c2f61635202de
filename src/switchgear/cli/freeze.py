"""`switchgear freeze` and `unfreeze`. Level 7."""

import shlex
from typing import Any

import click

from switchgear.cli import names
from switchgear.cli.base import Choice, Output, examples, span_ms, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError

KINDS = ("key", "user", "team", "project", "model", "credential", "provider", "deployment", "all")
SHOWN_MAX = 10
"""Other models that a freeze stops and that are named."""


class _Kind(Choice):
    """A kind of subject. Who asks for a list is told where it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the kind. Fails with a suggestion."""
        if value in {"list", "ls", "show"}:
            raise UserError(f"{value!r} is no kind of what can be frozen", "what is frozen now: switchgear status", 2)
        return super().convert(value, param, ctx)


def _subject(kind: str, name: str | None) -> str:
    if (kind == "all") == bool(name):
        raise UserError(
            f"{'all takes no' if kind == 'all' else kind + ' needs a'} name",
            f"e.g. {click.get_current_context().command_path} {'all' if kind == 'all' else kind + ' NAME'}",
            2,
        )
    return "all" if kind == "all" else f"{kind}:{name}"


@click.command(epilog=examples("switchgear freeze key ci-bot --for 15m", "switchgear freeze all"))
@click.argument("kind", type=_Kind(KINDS, "kind"))
@click.argument("name", required=False, shell_complete=names.subject)
@click.option("--for", "for_", metavar="15m", help="End by itself after this long.")
@click.option("--force", is_flag=True, help="Freeze a name that nobody knows yet.")
@with_client
def freeze(client: Client, out: Output, kind: str, name: str | None, for_: str | None, force: bool) -> None:
    """Stop a key, user, team, project, model, credential, provider, deployment or all traffic, at once.

    New requests are refused, running ones are cut. A model is stopped by whatever name it is reached. A credential is
    PROVIDER/NAME, a deployment PROVIDER/MODEL@CREDENTIAL: one model at one credential.
    """
    body = {"subject": _subject(kind, name), "for_ms": span_ms(for_) if for_ is not None else None, "force": force}
    answer = client.call("POST", "/freezes", body)
    ends = f" for {for_}, until {out.time(answer['until_ms'])}" if answer["until_ms"] else ""
    kind, _, name = answer["subject"].partition(":")
    undo = f"switchgear unfreeze {kind}" + (f" {shlex.quote(name)}" if name else "")
    others = answer.get("also_stops") or []
    more = f" and {len(others) - SHOWN_MAX} more" if len(others) > SHOWN_MAX else ""
    also = f"\n  also stops, for every key: {', '.join(others[:SHOWN_MAX])}{more}" if others else ""
    out.one(answer, f"frozen: {answer['subject']}{ends}   (undo: {undo}){also}")


@click.command(epilog=examples("switchgear unfreeze key ci-bot", "switchgear unfreeze all"))
@click.argument("kind", type=_Kind(KINDS, "kind"))
@click.argument("name", required=False, shell_complete=names.frozen)
@with_client
def unfreeze(client: Client, out: Output, kind: str, name: str | None) -> None:
    """Let it go on."""
    answer = client.call("DELETE", f"/freezes/{segment(_subject(kind, name))}")
    out.one(answer, f"no longer frozen: {answer['subject']}")
