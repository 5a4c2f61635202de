"""`switchgear freeze` and `unfreeze`. Level 7."""

import click

from switchgear.cli.base import Output, duration_ms, with_client
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError

KINDS = ("key", "user", "team", "project", "model", "credential", "provider", "all")


def _subject(kind: str, name: str | None) -> str:
    if (kind == "all") == bool(name):
        raise UserError(
            f"{'all takes no' if kind == 'all' else kind + ' needs a'} name", "e.g. switchgear freeze key ci-bot", 2
        )
    return "all" if kind == "all" else f"{kind}:{name}"


@click.command(epilog="Example: switchgear freeze key ci-bot --for 15m   ·   switchgear freeze all")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name", required=False)
@click.option("--for", "for_", metavar="15m", help="End by itself after this long.")
@with_client
def freeze(client: Client, out: Output, kind: str, name: str | None, for_: str | None) -> None:
    """Stop a key, user, team, project, model, credential (provider/name), provider or all traffic, at once."""
    body = {"subject": _subject(kind, name), "for_ms": duration_ms(for_) if for_ else None}
    answer = client.call("POST", "/freezes", body)
    out.one(
        answer, f"frozen: {answer['subject']}" + (f" for {for_}" if for_ else "") + "   (undo: switchgear unfreeze …)"
    )


@click.command(epilog="Example: switchgear unfreeze key ci-bot")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name", required=False)
@with_client
def unfreeze(client: Client, out: Output, kind: str, name: str | None) -> None:
    """Let it go on."""
    answer = client.call("DELETE", f"/freezes/{segment(_subject(kind, name))}")
    out.one(answer, f"no longer frozen: {answer['subject']}")
