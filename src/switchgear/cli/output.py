"""What commands print: tables and sentences for people, JSON and CSV for programs. Level 7.

Everything that is printed passes here. Control and bidirectional characters of foreign text never reach a terminal; cells of
CSV are no formulas (OWASP, "CSV Injection", read 2026-11-26); a table fits its terminal and never breaks or cuts an id.
"""

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import click

from switchgear.cli import times
from switchgear.core.errors import UserError
from switchgear.core.money import format_usd

FORMATS = ("table", "wide", "json", "csv")
TEXT_WIDTH_MIN = 6
"""What is left of a text that is cut; below that its column goes."""
_GAP = "  "
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_NARROW = re.compile(r"[\x20-\x7e]*")


def cleaned(text: str) -> str:
    """Make text harmless on a terminal: no control, format (bidi, zero-width) or private characters, one line.

    >>> cleaned("a\\x1b[31m\\u202eb\\nc")
    'a[31mb c'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _INSTEAD.get(unicodedata.category(c), "") for c in text)


_INSTEAD = {"Zs": " ", "Zl": " ", "Zp": " ", "Cn": "\N{REPLACEMENT CHARACTER}", "Co": "\N{REPLACEMENT CHARACTER}"}
_LINES = str.maketrans({"\n": " ", "\t": " "})


def tidy(value: Any) -> Any:
    """Make every text in a decoded answer harmless and one line."""
    if isinstance(value, str):
        return value if value.isprintable() else cleaned(value.translate(_LINES))
    if isinstance(value, dict):
        return {tidy(name): tidy(item) for name, item in value.items()}
    return [tidy(item) for item in value] if isinstance(value, list | tuple) else value


def say(text: str = "", err: bool = False) -> None:
    """Print lines for people."""
    click.echo("\n".join(map(cleaned, text.split("\n"))), err=err)


def note(text: str) -> None:
    """Print a remark on stderr: it is no part of the answer."""
    say(text, err=True)


def json_text(answer: Any, indent: int | None = 2) -> str:
    """Write JSON that steers no terminal: what is not printable is escaped, and nothing is lost."""
    text = json.dumps(answer, indent=indent, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] if c != "\x7f" else "\\u007f" for c in text
    )


class Column(NamedTuple):
    """One column of a list."""

    title: str
    key: str
    kind: str = "text"
    """text, id (never cut), path (cut at its beginning: its end tells more), number, time (ms or RFC 3339), date, usd (nano-USD),
    list."""
    drop: int = 0
    """Where a table is too wide, the column with the highest number goes first; 0 stays."""
    wide: bool = False
    """Shown with -o wide (and in CSV) only."""


class Output:
    """Writes answers in the form that was asked for."""

    def __init__(self, kind: str, zone: times.Zone = None) -> None:
        self.kind = kind
        self.zone = zone
        self._streamed = False

    @property
    def for_people(self) -> bool:
        """True when tables and sentences are wanted."""
        return self.kind in {"table", "wide"}

    def time(self, value: int | str | None) -> str:
        """Write a time for people, `-` for none."""
        return times.full(value, self.zone) or "-"

    def rows(
        self, answer: Any, rows: list[dict[str, Any]], columns: Sequence[Column], empty: str = "nothing to show"
    ) -> None:
        """Write a list; `answer` is what JSON shows, `empty` what people read when there is nothing."""
        if self.kind == "json":
            self.json(answer)
        elif self.kind == "csv":
            self._csv(
                [_csv_name(column) for column in columns], ([self._cell(row, c) for c in columns] for row in rows)
            )
        elif not rows:
            say(empty)
        else:
            self._table(rows, [c for c in columns if self.kind == "wide" or not c.wide])

    def json(self, answer: Any) -> None:
        """Write JSON: the answer as the gateway gave it."""
        click.echo(json_text(answer))

    def one(self, answer: dict[str, Any], text: str | None = None, people: dict[str, Any] | None = None) -> None:
        """Write one object: JSON, a line of CSV, or for people a sentence, or the fields of `people` (else of the answer)."""
        if self.kind == "json":
            self.json(answer)
        elif self.kind == "csv":
            flat = self._flat(answer)
            self._csv(list(flat), [list(flat.values())])
        elif text is not None:
            say(text)
        else:
            shown = tidy(people if people is not None else answer)
            width = max(len(name) for name in shown)
            for name, value in shown.items():
                say(f"{name.ljust(width)}  {_plain(value)}")

    def line(self, answer: dict[str, Any], text: str) -> None:
        """Write one of many objects that come as time goes on: a line of text, of JSON, or of CSV with one head."""
        if self.for_people:
            say(text)
        elif self.kind == "json":
            click.echo(json_text(answer, None))
        else:
            flat = self._flat(answer)
            self._csv(list(flat), [list(flat.values())], not self._streamed)
            self._streamed = True
        sys.stdout.flush()

    def no_csv(self, why: str) -> None:
        """Refuse CSV for an answer that has no rows. Raises UserError."""
        if self.kind == "csv":
            raise UserError(f"there is no CSV of this: {why}", "use -o json", 2)

    def _csv(self, head: list[str], rows: Iterable[list[Any]], with_head: bool = True) -> None:
        import csv  # noqa: PLC0415 - few runs ask for it

        writer = csv.writer(sys.stdout, lineterminator="\r\n")
        if with_head:
            writer.writerow(map(_csv_value, head))
        writer.writerows([_csv_value(value) for value in row] for row in rows)

    def _flat(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an object's leaves; moments in milliseconds become times with a zone, nano-USD decimals of USD."""
        found = {}
        for name, value in flattened(answer):
            if name.rpartition(".")[2] in _MOMENTS:
                name, value = name.removesuffix("_ms"), times.iso(value, self.zone)  # noqa: PLW2901
            elif name.endswith("_nanousd"):
                name, value = f"{name.removesuffix('_nanousd')}_usd", money(value)  # noqa: PLW2901
            found[name] = value
        return found

    def _cell(self, row: dict[str, Any], column: Column) -> Any:
        value = row.get(column.key)
        if column.kind in {"time", "date"}:
            return times.iso(value, self.zone)
        return money(value) if column.kind == "usd" else value

    def _text(self, row: dict[str, Any], column: Column) -> str:
        value = row.get(column.key)
        if column.kind == "time":
            value = times.full(value, self.zone) if self.kind == "wide" else times.short(value, self.zone)
        elif column.kind == "date":
            value = times.day(value, self.zone)
        elif column.kind == "usd" and isinstance(value, int):
            value = usd(value)
        return cleaned(_plain(value))

    def _table(self, rows: list[dict[str, Any]], columns: list[Column]) -> None:
        texts = [[self._text(row, column) for column in columns] for row in rows]
        natural = [max(len(column.title), *(width_of(line[n]) for line in texts)) for n, column in enumerate(columns)]
        kept = fit(columns, natural, None if self.kind == "wide" else terminal_width())
        head = [_padded(columns[n].title, width, _is_right(columns[n])) for n, width in kept]
        bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # no-color.org
        title = _GAP.join(head).rstrip()
        click.echo(click.style(title, bold=True) if bold else title)
        for line in texts:
            cells = [
                _padded(cut(line[n], width, at_end=columns[n].kind != "path"), width, _is_right(columns[n]))
                for n, width in kept
            ]
            click.echo(_GAP.join(cells).rstrip())


_MOMENTS = frozenset(
    f"{what}_ms" for what in ("expires", "created", "updated", "revoked", "changed", "until", "last_seen", "first_seen")
)


def _csv_name(column: Column) -> str:
    if column.kind == "usd":
        return column.key.removesuffix("_nanousd").removesuffix("_usd") + "_usd"
    return column.key.removesuffix("_ms") if column.kind in {"time", "date"} else column.key


class _Number(str):
    """A text that is a number: no formula, whatever its sign."""


def money(nano: Any) -> Any:
    """Return nano-USD as CSV has it: a decimal number of USD. What is none stays as it is."""
    return _Number(format_usd(nano)) if isinstance(nano, int) else nano


def terminal_width() -> int | None:
    """Return how wide a line may be: COLUMNS, else the terminal's width; None where nobody watches."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(columns: Sequence[Column], natural: list[int], limit: int | None) -> list[tuple[int, int]]:
    """Choose the columns of a table and their widths: (number of the column, width). Texts are cut first, evenly and never
    below TEXT_WIDTH_MIN; then columns go, the highest `drop` first. Ids, numbers and times are shown whole or not at all."""
    shown = list(range(len(columns)))
    while True:
        width = {n: natural[n] for n in shown}
        over = sum(width.values()) + len(_GAP) * (len(shown) - 1) - (limit if limit is not None else 1 << 30)
        while over > 0:
            able = [
                n
                for n in shown
                if columns[n].kind in {"text", "list", "path"} and width[n] > max(TEXT_WIDTH_MIN, len(columns[n].title))
            ]
            if not able:
                break
            width[max(able, key=lambda n: width[n])] -= 1
            over -= 1
        droppable = [n for n in shown if columns[n].drop]
        if over <= 0 or not droppable:
            return list(width.items())
        shown.remove(max(droppable, key=lambda n: (columns[n].drop, n)))


def width_of(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if _NARROW.fullmatch(text):
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int, *, at_end: bool = True) -> str:
    """Shorten a text to a width, at its end or its beginning; … says that it is."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 1:
        text = text[:-1] if at_end else text[1:]
    return text + "…" if at_end else "…" + text


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def _is_right(column: Column) -> bool:
    return column.kind in {"number", "usd"}


def flattened(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Name the leaves of an object: {"a": {"b": 1}} is a.b = 1. Lists of objects stay JSON, in one cell."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from flattened(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, dict):
        yield name, None
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        yield name, json.dumps(value, ensure_ascii=True)
    else:
        yield name, value


def _csv_value(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | _Number):
        return value
    if isinstance(value, list | tuple):
        value = ";".join(map(str, value))
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=True)
    text = cleaned(str(value))
    return "'" + text if text.lstrip()[:1] in _FORMULA and text.strip() else text


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items()) or "-"
    return str(value)


def usd(nano: int | None) -> str | None:
    """Show nano-USD as a decimal without needless zeros, at least cents."""
    if nano is None:
        return None
    text = format_usd(nano).rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
