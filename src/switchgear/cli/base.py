"""What all commands share: options, output, errors. Level 7."""

import csv
import datetime
import functools
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import click
from rich.console import Console
from rich.table import Table

from switchgear.cli.client import Client
from switchgear.core.errors import UserError
from switchgear.core.money import format_usd
from switchgear.core.text import clean

FORMATS = ("table", "wide", "json", "csv")
_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h|d|w)")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class Group(click.Group):
    """A group whose commands have the usual aliases."""

    ALIASES: ClassVar[dict[str, str]] = {"ls": "list", "get": "show", "rm": "remove", "delete": "remove"}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, by alias too."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, self.ALIASES.get(cmd_name, ""))


def with_client(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data, --server, -o and --json; the command gets `client` and `out`."""

    @click.option(
        "--data", type=click.Path(path_type=Path), envvar="SWITCHGEAR_DATA", help="Data folder of the gateway."
    )
    @click.option("--server", envvar="SWITCHGEAR_SERVER", help="URL of a gateway's console, with SWITCHGEAR_TOKEN.")
    @click.option("-o", "--output", type=click.Choice(FORMATS), default="table", help="Output format.")
    @click.option("--json", "as_json", is_flag=True, help="Same as -o json.")
    @functools.wraps(function)
    def wrapper(data: Path | None, server: str | None, output: str, as_json: bool, **rest: Any) -> Any:
        return function(client=Client(data, server), out=Output("json" if as_json else output), **rest)

    return wrapper


class Output:
    """Writes answers: tables for people, JSON and CSV for programs."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @property
    def for_people(self) -> bool:
        """True when tables and sentences are wanted."""
        return self.kind in {"table", "wide"}

    def rows(
        self,
        answer: Any,
        rows: list[dict[str, Any]],
        columns: dict[str, str],
        wide: tuple[str, ...] = (),
        empty: str = "nothing to show",
    ) -> None:
        """Write a list. `columns` maps titles to keys of the rows; those in `wide` appear with -o wide only."""
        if self.kind == "json":
            self.json(answer)
            return
        chosen = {title: key for title, key in columns.items() if self.kind != "table" or key not in wide}
        if self.kind == "csv":
            buffer = io.StringIO()
            writer = csv.writer(buffer)
            writer.writerow(chosen.values())
            writer.writerows([[_plain(row.get(key)) for key in chosen.values()] for row in rows])
            click.echo(buffer.getvalue(), nl=False)
            return
        if not rows:
            click.echo(empty)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title, key in chosen.items():
            numeric = any(isinstance(row.get(key), int) and not isinstance(row.get(key), bool) for row in rows)
            table.add_column(title, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_plain(row.get(key)) for key in chosen.values()))
        console().print(table)

    def json(self, answer: Any) -> None:
        """Write JSON."""
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))

    def one(self, answer: dict[str, Any], text: str | None = None) -> None:
        """Write one object: JSON, or a sentence, or its fields."""
        if not self.for_people:
            self.json(answer)
        elif text is not None:
            click.echo(text)
        else:
            width = max(len(name) for name in answer)
            for name, value in answer.items():
                click.echo(f"{name.ljust(width)}  {_plain(value)}")


def console() -> Console:
    """Return a console that is as wide as it needs to be when nobody watches."""
    return Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False, emoji=False)


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def duration_ms(text: str) -> int:
    """Read 15m, 24h, 7d, … as milliseconds. Raises UserError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is not a duration", "write a number and a unit: 30s, 15m, 24h, 7d, 2w", 2)
    return int(match.group(1)) * _UNITS_MS[match.group(2)]


def time_ms(text: str, now_ms: int) -> int:
    """Read a duration (that long ago) or an ISO 8601 time as milliseconds since the epoch."""
    if _DURATION.fullmatch(text):
        return now_ms - duration_ms(text)
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text!r} is neither a duration nor a time", "e.g. 24h, 7d or 2026-11-01T00:00:00Z", 2
        ) from None
    return int((value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def now_ms() -> int:
    """Return the time."""
    return int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)


def date_of(ms: int | None) -> str | None:
    """Show milliseconds as a time, or nothing."""
    if ms is None:
        return None
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def usd(nano: int | None) -> str | None:
    """Show nano-USD as a decimal without needless zeros, at least cents."""
    if nano is None:
        return None
    text = format_usd(nano).rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("this needs --yes when nobody can be asked", "", 2)
    if not click.confirm(question):
        raise UserError("nothing was changed")


def expiry(text: str | None) -> str | None:
    """Read --expires: a duration from now, or a time."""
    if text is None:
        return None
    if _DURATION.fullmatch(text):
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(milliseconds=duration_ms(text))
        return at.isoformat(timespec="seconds")
    return text


class Bar:
    """A progress bar on a terminal, silence elsewhere."""

    def __init__(self, total: int | None, what: str, shown: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - few commands need it

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown)
        self._task = self._progress.add_task(what, total=total, at="")

    def __enter__(self) -> Callable[[int, str], None]:
        self._progress.start()
        return self._step

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _step(self, count: int, at: str) -> None:
        self._progress.update(self._task, advance=count, at=clean(at, 60)[-60:])
