"""`switchgear log export` and `switchgear log cursor …`. Level 7.

A batch is written and, where it goes into a file, synced, before the cursor moves: what is interrupted in between comes again.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from switchgear.cli import names
from switchgear.cli.base import (
    Choice,
    Column,
    Group,
    Output,
    confirm,
    counted,
    examples,
    name_argument,
    note,
    with_client,
)
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError

FOLLOW_S = 1.0
TAIL_BYTES = 1 << 20
"""Much longer than a record."""


@click.command(
    epilog=examples(
        "switchgear log export --cursor billing --to billing.ndjson",
        "switchgear log export --cursor lake --follow | my-loader",
        "switchgear log export --after-seq 0 > all.ndjson",
    )
)
@click.option(
    "--cursor", "cursor_name", metavar="NAME", help="Go on where this name is, and remember what was written."
)
@click.option("--after-seq", type=click.IntRange(min=0), metavar="N", help="Behind this number, and remember nothing.")
@click.option(
    "--from",
    "start",
    type=Choice(("oldest", "now"), "start"),
    default="oldest",
    show_default=True,
    help="Where a new cursor begins: oldest or now.",
)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Append to a file.")
@click.option("--follow", is_flag=True, help="Go on and write what comes. Ctrl-C ends.")
@click.option("--batch", type=click.IntRange(1, 1000), default=500, show_default=True, help="Records at a time.")
@with_client
def export(
    client: Client,
    out: Output,
    cursor_name: str | None,
    after_seq: int | None,
    start: str,
    to: Path | None,
    follow: bool,
    batch: int,
) -> None:
    """Write records as lines of JSON (NDJSON), in the order in which they were settled, each once per cursor.

    `settled_seq` numbers them without gaps. An export that was interrupted goes on where it was: a batch that was not noted comes
    again, with the same ids; with --to no record comes twice. Retention waits up to seven days for a cursor.
    """
    if cursor_name is not None and after_seq is not None:
        raise UserError(
            "a cursor says itself where it is: --after-seq is for an export without one", "give one of the two", 2
        )
    if cursor_name is None and after_seq is None:
        raise UserError("where does it begin?", "give --cursor NAME, or --after-seq N", 2)
    out.no_csv("a record has parts")
    target = _File(to) if to is not None else _Pipe()  # before the cursor: without a file there is no export
    at = count = 0
    try:
        at = after_seq if after_seq is not None else _begin(client, cursor_name or "", start)
        for records, following in _pages(client, at, batch, follow):
            count += target.write(records)
            if cursor_name is not None:
                body = {"seen": at, "seq": following}
                client.exact("PUT", f"/cursors/{segment(cursor_name)}", body)
            at = following
    except KeyboardInterrupt:
        pass
    finally:
        target.close()
    note(f"{counted(count, 'record')}, up to number {at}")


def _begin(client: Client, name: str, start: str) -> int:
    cursors = client.exact("GET", "/cursors")["cursors"]
    at = next((cursor["seq"] for cursor in cursors if cursor["name"] == name), None)
    if at is None:
        at = client.exact("POST", "/cursors", {"name": name, "seq": 0 if start == "oldest" else None})["seq"]
    return int(at)


def _pages(client: Client, at: int, batch: int, follow: bool) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Ask for what stands behind a number until nothing does."""
    while True:
        page = client.exact("GET", "/export", after_seq=at, limit=batch)
        if page["next_seq"] > at:
            at = page["next_seq"]
            yield page["records"], at
        elif follow:
            time.sleep(FOLLOW_S)
        else:
            return


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


class _Pipe:
    """Standard output."""

    def write(self, records: list[dict[str, Any]]) -> int:
        """Write lines and see them off; returns how many."""
        sys.stdout.buffer.writelines(map(_line, records))
        sys.stdout.buffer.flush()
        with contextlib.suppress(OSError):  # a pipe, which has nothing to sync
            os.fsync(sys.stdout.fileno())
        return len(records)

    def close(self) -> None:
        """Nothing is open."""


class _File:
    """A file whose last line says what it has: a line that an interruption tore is cut off, and no record is written twice."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: BinaryIO = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")  # noqa: SIM115
        except OSError as exc:
            raise UserError(f"{path} cannot be opened: {exc.strerror}", "", 2) from None
        try:
            self._last = self._mend(path)
        except UserError:
            self._file.close()
            raise

    def _mend(self, path: Path) -> int:
        size = self._file.seek(0, os.SEEK_END)
        begin = max(0, size - TAIL_BYTES)
        self._file.seek(begin)
        tail = self._file.read()
        whole = tail.rfind(b"\n") + 1
        if begin and not whole:
            raise UserError(f"{path} has no lines", "give another file", 2)
        self._file.truncate(begin + whole)
        self._file.seek(begin + whole)
        if not whole:
            return 0
        try:
            return int(json.loads(tail[tail.rfind(b"\n", 0, whole - 1) + 1 : whole])["settled_seq"])
        except (ValueError, KeyError, TypeError):
            raise UserError(f"the last line of {path} is no exported record", "give another file", 2) from None

    def write(self, records: list[dict[str, Any]]) -> int:
        """Append what the file does not have yet, durably; returns how many."""
        lines = [_line(record) for record in records if record["settled_seq"] > self._last]
        self._file.writelines(lines)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._last = max([self._last, *(record["settled_seq"] for record in records)])
        return len(lines)

    def close(self) -> None:
        """Close it."""
        self._file.close()


@click.group(cls=Group)
def cursor() -> None:
    """Cursors: how far each export of the log is."""


@cursor.command("list", epilog=examples("switchgear log cursor list"))
@with_client
def list_(client: Client, out: Output) -> None:
    """List the cursors of exports."""
    answer = client.call("GET", "/cursors")
    columns = (
        Column("NAME", "name", "id"),
        Column("OWNER", "owner", drop=3),
        Column("SEQ", "seq", "number"),
        Column("BEHIND", "behind", "number"),
        Column("LOST", "lost", "number"),
        Column("MOVED", "moved_ms", "time", drop=1),
        Column("CREATED", "created_ms", "time", drop=2),
    )
    out.rows(
        answer, answer["cursors"], columns, "no export has a cursor; begin one: switchgear log export --cursor NAME"
    )


@cursor.command(epilog=examples("switchgear log cursor remove billing --yes"))
@name_argument(names.cursors)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client
def remove(client: Client, out: Output, name: str, yes: bool) -> None:
    """Remove a cursor: nothing waits for its export any more."""
    confirm(f"Remove the cursor {name}?", yes)
    client.call("DELETE", f"/cursors/{segment(name)}")
    out.one({"name": name}, f"removed {name}")
