"""`switchgear log export`: interrupted anywhere, a file has each record once."""

import json

import pytest
from click.testing import CliRunner

from switchgear.cli import export
from switchgear.cli.client import Client
from switchgear.core.errors import UserError


class Outbox:
    """A gateway's side: records 1…n, and one cursor."""

    def __init__(self, count):
        self.count, self.cursor, self.fail_moves = count, None, 0

    def exact(self, method, path, body=None, *, after_seq=None, limit=None, **_):
        if (method, path) == ("GET", "/cursors"):
            return {"cursors": [] if self.cursor is None else [{"name": "bills", "seq": self.cursor}]}
        if (method, path) == ("POST", "/cursors"):
            self.cursor = self.count if body["seq"] is None else body["seq"]
            return {"name": "bills", "seq": self.cursor}
        if method == "PUT":
            if self.fail_moves:
                self.fail_moves -= 1
                raise UserError("control does not answer")
            assert path == "/cursors/bills" and body["seen"] == self.cursor
            self.cursor = body["seq"]
            return {}
        assert (method, path) == ("GET", "/export")
        numbers = range(after_seq + 1, min(after_seq + limit, self.count) + 1)
        records = [{"id": f"r{number}", "text": "é\n", "settled_seq": number} for number in numbers]
        return {"records": records, "next_seq": max([after_seq, *numbers]), "head_seq": self.count}


@pytest.fixture
def outbox(monkeypatch):
    made = Outbox(7)
    monkeypatch.setattr(Client, "exact", lambda self, *arguments, **more: made.exact(*arguments, **more))
    return made


def run(*arguments):
    return CliRunner().invoke(export.export, [*map(str, arguments), "--batch", "3"], catch_exceptions=True)


def numbers(text):
    return [json.loads(line)["settled_seq"] for line in text.splitlines()]


def test_every_record_is_one_line_and_the_cursor_stands_behind_the_last(outbox):
    done = run("--cursor", "bills")
    assert numbers(done.stdout) == [1, 2, 3, 4, 5, 6, 7] and outbox.cursor == 7
    outbox.count = 9
    assert numbers(run("--cursor", "bills").stdout) == [8, 9]


def test_a_new_cursor_may_begin_now(outbox):
    assert run("--cursor", "bills", "--from", "now").stdout == ""
    outbox.count = 8
    assert numbers(run("--cursor", "bills").stdout) == [8]


def test_without_a_cursor_nothing_is_remembered(outbox):
    assert numbers(run("--after-seq", 5).stdout) == [6, 7]
    assert outbox.cursor is None


def test_a_batch_that_was_not_noted_comes_again(outbox):
    outbox.fail_moves = 1
    first = run("--cursor", "bills")
    assert isinstance(first.exception, UserError) and numbers(first.stdout) == [1, 2, 3]
    assert numbers(run("--cursor", "bills").stdout) == [1, 2, 3, 4, 5, 6, 7]


def test_a_batch_that_was_not_noted_is_in_the_file_once(outbox, tmp_path):
    outbox.fail_moves = 1
    run("--cursor", "bills", "--to", tmp_path / "f")
    run("--cursor", "bills", "--to", tmp_path / "f")
    assert numbers((tmp_path / "f").read_text()) == [1, 2, 3, 4, 5, 6, 7]
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_cut_at_any_byte_is_mended(outbox, tmp_path):
    run("--cursor", "bills", "--to", tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for size in range(0, len(whole) + 1, 7):
        outbox.cursor = 0
        (tmp_path / "f").write_bytes(whole[:size])
        assert run("--cursor", "bills", "--to", tmp_path / "f").exit_code == 0
        assert (tmp_path / "f").read_bytes() == whole


@pytest.mark.parametrize("content", [b"hello\n", b'{"id": 1}\n', b"[1]\n", b"\xff\n"])
def test_a_file_of_something_else_is_left_alone(outbox, tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    done = run("--cursor", "bills", "--to", tmp_path / "f")
    assert isinstance(done.exception, UserError) and (tmp_path / "f").read_bytes() == content


@pytest.mark.parametrize("arguments", [(), ("--cursor", "bills", "--after-seq", "1")])
def test_where_to_begin_has_to_be_said_once(outbox, arguments):
    assert isinstance(run(*arguments).exception, UserError)


def test_cursors_are_listed_and_removed(monkeypatch):
    asked = []
    row = {"name": "bills", "seq": 3, "behind": 4, "lost": 0, "moved_ms": 0, "created_ms": 0}

    def call(self, method, path, **_):
        asked.append((method, path))
        return {"cursors": [row], "head_seq": 7}

    monkeypatch.setattr(Client, "call", call)
    assert "bills" in CliRunner().invoke(export.cursor, ["list"]).output
    assert CliRunner().invoke(export.cursor, ["remove", "bills", "--yes"]).output.strip() == "removed bills"
    assert asked == [("GET", "/cursors"), ("DELETE", "/cursors/bills")]


def test_a_file_that_cannot_be_opened_leaves_no_cursor(outbox, tmp_path):
    done = run("--cursor", "bills", "--to", tmp_path / "no such folder" / "f")
    assert isinstance(done.exception, UserError) and "cannot be opened" in str(done.exception)
    assert outbox.cursor is None


def test_a_cursor_and_a_number_together_are_refused_with_the_reason(outbox):
    done = run("--cursor", "bills", "--after-seq", 3)
    assert "a cursor says itself where it is" in str(done.exception) and outbox.cursor is None


def test_one_record_is_counted_as_one(outbox):
    assert "1 record, up to number 7" in run("--after-seq", 6).stderr
