"""The `switchgear` command. Level 7. Errors are one line on stderr with a hint."""

import importlib
import os
import sys

import click

from switchgear import __version__
from switchgear.cli.base import Group
from switchgear.core.errors import ConfigError, UserError

# Command → module; a module is imported when its command is used, so that `status` starts fast.
COMMANDS: dict[str, str] = {
    "serve": "serve",
    "status": "status",
    "doctor": "doctor",
    "version": "status",
    "key": "key",
    "provider": "provider",
    "credential": "credential",
    "model": "model",
    "usage": "ledger",
    "log": "ledger",
    "ledger": "ledger",
    "config": "config",
    "price": "price",
    "connect": "connect",
    "discover": "discover",
    "findings": "discover",
    "import": "import_",
    "admin": "admin",
    "token": "token",
    "freeze": "freeze",
    "unfreeze": "freeze",
    "completion": "completion",
}


class Root(Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the contract."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = getattr(
            importlib.import_module(f"switchgear.cli.{module}"), "import_" if cmd_name == "import" else cmd_name
        )
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="switchgear", message="%(prog)s %(version)s")
def cli() -> None:
    """Switchgear, an AI gateway: virtual keys outside, credentials in a vault, every cent in a ledger.

    \b
    Begin:  switchgear serve --demo
    Then:   switchgear credential add openai --from-stdin
            switchgear key create my-app
            switchgear log tail
    """


def main() -> None:
    """Run a command; exit codes: 0 done, 1 failed, 2 wrong use or config, 3 findings, 4 partial."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.ctx.get_help() if exc.ctx is not None else str(exc))
        code = 2
    except click.ClickException as exc:
        exc.show()
        code = 2
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        code = 1
    except ConfigError as exc:
        for problem in exc.problems:
            click.echo(str(problem), err=True)
        count = len(exc.problems)
        click.echo(
            f"error: {count} problem{'s' if count != 1 else ''} in the configuration; nothing was changed", err=True
        )
        code = exc.exit_code
    except UserError as exc:
        click.echo(f"error: {exc}" + (f"\n  {exc.hint}" if exc.hint else ""), err=True)
        code = exc.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
