"""What all commands share: options, groups, examples, questions, errors. Level 7."""

import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchgear.cli import times
from switchgear.cli.client import Client
from switchgear.cli.output import FORMATS, Column, Output, cleaned, note, say, usd
from switchgear.cli.times import duration_ms, expiry, now_ms, period, span_ms, time_ms
from switchgear.core.errors import UserError
from switchgear.core.text import counted

if TYPE_CHECKING:
    from rich import progress

__all__ = [
    "FORMATS", "Bar", "Column", "Group", "Output", "cleaned", "confirm", "counted", "duration_ms", "examples",
    "expiry", "format_options", "name_argument", "near", "note", "now_ms", "period", "say", "span_ms", "time_ms",
    "usd", "with_client",
]  # fmt: skip

DATA = click.Path(path_type=Path, readable=False)
"""A data folder. Whether it is open to whoever asks is said by what looks into it, with a way out."""
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
ALIASES = {"ls": "list", "get": "show", "rm": "remove", "delete": "remove", "describe": "show", "new": "create"}
"""What other programs call it."""
REVOKED_INSTEAD = "revoke"
"""Keys and tokens are not removed but revoked: their history stays. `rm` finds it all the same."""


def near(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant, as `; did you mean 'x'?`, or nothing."""
    from switchgear.core.nearest import meant  # noqa: PLC0415 - for mistakes only

    return meant(name, known)


def examples(*lines: str) -> str:
    """Write the end of a help text: commands that work as they stand."""
    head = "Examples:" if len(lines) > 1 else "Example:"
    return "\b\n" + head + "\n" + "\n".join(f"  {line}" for line in lines)


class Choice(click.ParamType[str]):
    """One of some names, with the nearest one suggested."""

    name = "choice"

    def __init__(self, names: Iterable[str], what: str, aliases: dict[str, str] | None = None) -> None:
        self.names = tuple(names)
        self.what = what
        self.aliases = aliases or {}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name. Fails with a suggestion."""
        if value in self.names:
            return value
        if value in self.aliases:
            return self.aliases[value]
        known = ", ".join(self.names)
        raise UserError(f"{value!r} is no {self.what}{near(str(value), self.names)}", f"known are {known}", 2)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        """Show the names, as far as they fit."""
        text = "|".join(self.names)
        return text if len(text) < 60 else self.what.upper()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        """Offer the names."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for completion only

        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]


class Group(click.Group):
    """A group whose commands have the usual aliases, and which says what was meant."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, by alias too."""
        found = super().get_command(ctx, cmd_name) or super().get_command(ctx, ALIASES.get(cmd_name, ""))
        if found is None and ALIASES.get(cmd_name, cmd_name) == "remove":
            found = super().get_command(ctx, REVOKED_INSTEAD)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command, or say which one is near. Raises UserError."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            known = self.list_commands(ctx)
            meant = f"; did you mean {name[:-1]!r}?" if name.endswith("s") and name[:-1] in known else near(name, known)
            raise UserError(f"there is no command {name!r}{meant}", f"see {ctx.command_path} --help", 2)
        return super().resolve_command(ctx, args)


def format_options(formats: tuple[str, ...] = FORMATS) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add -o, --json and --tz; the command gets `out`."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--tz", metavar="ZONE", help="Times in this zone, e.g. Europe/Berlin; default: this machine's (TZ)."
        )
        @click.option("--json", "as_json", is_flag=True, help="Same as -o json.")
        @click.option(
            "-o",
            "--format",
            "format_",
            type=Choice(formats, "format"),
            default="table",
            help="How to write the answer.",
        )
        @functools.wraps(function)
        def wrapper(format_: str, as_json: bool, tz: str | None, **rest: Any) -> Any:
            return function(out=Output("json" if as_json else format_, times.zone_of(tz)), **rest)

        return wrapper

    return wrap


def with_client(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data, --server, -o, --json and --tz; the command gets `client` and `out`."""

    @click.option("--data", type=DATA, envvar="SWITCHGEAR_DATA", help="Data folder of the gateway.")
    @click.option(
        "--server", metavar="URL", envvar="SWITCHGEAR_SERVER", help="URL of a gateway's console, with SWITCHGEAR_TOKEN."
    )
    @format_options()
    @functools.wraps(function)
    def wrapper(data: Path | None, server: str | None, out: Output, **rest: Any) -> Any:
        return function(client=Client(data, server, tidied=out.kind != "json"), out=out, **rest)

    return wrapper


def name_argument(complete: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a name, positional or as --name; the command gets `name`. Where neither is given it says so."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument("name", required=False, metavar="NAME", shell_complete=complete)
        @click.option("--name", "name_option", hidden=True)
        @functools.wraps(function)
        def wrapper(name: str | None, name_option: str | None, **rest: Any) -> Any:
            if name and name_option and name != name_option:
                raise UserError(f"two names were given: {name!r} and {name_option!r}", "", 2)
            if not (name or name_option):
                raise UserError("a name is needed", f"e.g. {_example(click.get_current_context())}", 2)
            return function(name=name or name_option, **rest)

        return wrapper

    return wrap


def _example(context: click.Context) -> str:
    """Return the first of a command's examples."""
    lines = [line.strip() for line in (context.command.epilog or "").splitlines()]
    return next((line for line in lines if line.startswith(context.command_path)), f"{context.command_path} NAME")


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes is needed. Raises UserError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"{question} Nobody can be asked here", "give --yes to say so", 2)
    if not click.confirm(cleaned(question), err=True):
        raise UserError("nothing was changed")


class Bar:
    """A progress bar on a terminal, silence elsewhere."""

    def __init__(self, total: int | None, what: str, shown: bool) -> None:
        self._progress: progress.Progress | None = None
        if not shown:
            return
        from rich.console import Console  # noqa: PLC0415 - few commands need it
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(what, total=total, at="")

    def __enter__(self) -> Callable[[int, str], None]:
        if self._progress is not None:
            self._progress.start()
        return self._step

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _step(self, count: int, at: str) -> None:
        if self._progress is not None:
            self._progress.update(self._task, advance=count, at=cleaned(at)[-60:])
