"""The `switchgear` command. Level 7. Errors are one line on stderr with a hint."""

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, NamedTuple

import click

from switchgear import __version__
from switchgear.cli.base import CONTEXT, Group
from switchgear.cli.output import note
from switchgear.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Command(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    help: str
    """The first sentence of its own help: a test compares them."""


# A command's module is imported when the command is used, so that `status`, `--help` and a TAB start fast.
COMMANDS: dict[str, Command] = {
    "serve": Command("serve", "Run the gateway in the foreground."),
    "status": Command("status", "Show the state of the gateway: ready, degraded, draining, starting or stopped."),
    "doctor": Command("doctor", "Look whether this gateway is safe and up to date."),
    "version": Command("status", "Show the version of this program and of its price data."),
    "key": Command("key", "Virtual keys: what applications hold instead of provider credentials."),
    "budget": Command("budget", "Budgets: what keys, teams, models and providers may spend, and what is left."),
    "team": Command("holder", "Teams: whose keys share limits, models and networks; they nest."),
    "user": Command("holder", "Users: people, whose keys share limits."),
    "project": Command("holder", "Projects, of a team or by themselves: their keys share limits."),
    "profile": Command("holder", "Profiles: rules that hold for all keys, users and teams that name them."),
    "provider": Command("provider", "Providers: the places where models are served."),
    "credential": Command("credential", "Provider credentials: they go into the vault and never come out."),
    "model": Command("model", "Models: names that clients ask for, and where they are served."),
    "usage": Command("ledger", "Sum requests, tokens and cost."),
    "log": Command("log", "The request log: one record per request, with its cost."),
    "ledger": Command("ledger", "The ledger itself: does it add up, is it whole?"),
    "store": Command("store", "The database: does it hold what this gateway wrote?"),
    "config": Command("config", "The configuration file: check it, apply it, compare it, take it back."),
    "price": Command("price", "Prices: shipped list prices, and what is put over them."),
    "connect": Command("connect", "Point a client at this gateway."),
    "discover": Command(
        "discover", "Find AI gateways, model servers, agents and provider keys that run outside this gateway."
    ),
    "findings": Command("findings", "Findings that `discover --record` stored: open, accepted, fixed."),
    "import": Command("import_", "Take over from another gateway."),
    "admin": Command("admin", "Administrators of the console."),
    "token": Command("token", "Tokens for automation: Prometheus, scripts, CI."),
    "freeze": Command(
        "freeze", "Stop a key, user, team, project, model, credential, provider, deployment or all traffic, at once."
    ),
    "unfreeze": Command("freeze", "Let it go on."),
    "cache": Command("cache", "Answers that are kept for the same request."),
    "completion": Command("completion", "Print the completion script of a shell."),
}


class Root(Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the contract."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        command = COMMANDS.get(cmd_name)
        if command is None:
            return None
        module = importlib.import_module(f"switchgear.cli.{command.module}")
        found = getattr(module, "import_" if cmd_name == "import" else cmd_name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Offer the commands without importing them."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for a TAB only

        found = [
            CompletionItem(name, help=command.help) for name, command in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Root, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="switchgear", message="%(prog)s %(version)s")
def cli() -> None:
    """Switchgear, an AI gateway: virtual keys outside, credentials in a vault, every cent in a ledger.

    \b
    Begin:  switchgear serve --demo
    Then:   switchgear credential add openai        (asks for the secret)
            switchgear key create my-app
            switchgear log tail
    """


def main() -> None:
    """Run a command; exit codes: 0 done, 1 failed, 2 wrong use or config, 3 findings, 4 partial."""
    warnings.simplefilter("ignore")  # they are for who works on this program: the tests turn each into an error
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without a sign never ends a command
    try:
        code = cli.main(prog_name="switchgear", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.ctx.get_help() if exc.ctx is not None else str(exc))
        code = 2
    except click.UsageError as exc:
        path = exc.ctx.command_path if exc.ctx is not None else "switchgear"
        _fail(_sentence(exc.format_message()), f"see {path} --help")
        code = 2
    except click.ClickException as exc:
        _fail(_sentence(exc.format_message()), "")
        code = 2
    except (click.exceptions.Abort, KeyboardInterrupt):
        note("stopped")
        code = 1
    except ConfigError as exc:
        for problem in exc.problems:
            note(str(problem))
        count = len(exc.problems)
        _fail(f"{count} problem{'s' if count != 1 else ''} in the configuration; nothing was changed", "")
        code = exc.exit_code
    except UserError as exc:
        _fail(str(exc), exc.hint)
        code = exc.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as exc:  # a folder that is closed, a disk that is full: no bug of this program
        reason = (exc.strerror or str(exc) or type(exc).__name__).lower()
        _fail(f"{exc.filename}: {reason}" if exc.filename else reason, "")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, hint: str) -> None:
    note(f"error: {message}" + (f"\n  {hint}" if hint else ""))


def _sentence(text: str) -> str:
    """Make a message of the option parser one of ours: lower case, no full stop."""
    text = " ".join(text.split()).removesuffix(".")
    return text[:1].lower() + text[1:]


if __name__ == "__main__":
    main()
