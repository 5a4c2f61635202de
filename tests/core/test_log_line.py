"""A line of the log: one line, whatever the words; bounded, whoever writes them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import log_line

NOW_S = datetime(2026, 11, 26, 20, 40, 12, 345_000, UTC).timestamp()


def line(text, level="warning", request_id=None, **fields):
    return log_line.make(text, level, "edge-0", NOW_S, request_id, fields)


def test_a_text_line_has_time_level_process_message_and_fields():
    found = log_line.render(line("no answer", request_id="01ab", provider="openai", status=502), "text")
    assert found == (
        b"2026-11-26T20:40:12.345Z WARNING edge-0     no answer provider=openai status=502 request_id=01ab\n"
    )


def test_a_json_line_has_the_same():
    found = json.loads(log_line.render(line("no answer", "error", "01ab", provider="openai", stream=True), "json"))
    assert found == {
        "time": "2026-11-26T20:40:12.345Z",
        "level": "error",
        "process": "edge-0",
        "message": "no answer",
        "request_id": "01ab",
        "provider": "openai",
        "stream": True,
    }


@pytest.mark.parametrize("style", ["text", "json"])
@given(text=st.text(max_size=9_000), value=st.text(max_size=9_000))
def test_L7_foreign_words_make_one_bounded_line_without_control_characters(style, text, value):
    found = log_line.render(line(text.replace("\n", " "), model=value), style)
    assert found.endswith(b"\n") and found.count(b"\n") == 1
    assert len(found) <= log_line.LINE_BYTES_MAX
    shown = found[:-1].decode()
    assert not [c for c in shown if ord(c) < 32 or 127 <= ord(c) < 160]
    if style == "json":
        assert json.loads(shown)["process"] == "edge-0"


def test_a_field_cannot_take_the_place_of_what_every_line_has():
    found = json.loads(log_line.render(line("x", time="never", level_="y", message="z"), "json"))
    assert (found["time"], found["message"]) == ("2026-11-26T20:40:12.345Z", "x")


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_text_like_a_key_is_masked_in_a_log_line(style):
    secret = "sk-proj-" + "a1B2" * 8
    assert b"a1B2" not in log_line.render(line(f"said {secret}", header=f"Bearer {secret}"), style)


def test_lines_after_the_first_are_a_trace_that_looks_like_no_line():
    found = log_line.render(line("it failed\nTraceback\n2026-11-26T00:00:00.000Z INFO edge-0 all is well"), "text")
    rest = found.decode().splitlines()[1:]
    assert rest == ["    Traceback", "    2026-11-26T00:00:00.000Z INFO edge-0 all is well"]
    assert json.loads(log_line.render(line("it failed\na\nb"), "json"))["trace"] == "a\nb"


def test_L7_ten_of_a_kind_a_minute_then_one_with_the_count():
    told = []
    bound = log_line.Bound()
    bound.end(100.0)
    admitted = [bound.admit("refused", 100.0 + n / 100, told.append) for n in range(500)]
    assert sum(admitted) == log_line.SAME_PER_MINUTE and told == []
    bound.end(161.0)
    assert told == [490]
    assert bound.admit("refused", 161.0, told.append)


def test_L7_kinds_that_somebody_invents_share_a_bound():
    bound = log_line.Bound()
    bound.end(100.0)
    admitted = sum(bound.admit(f"kind {n}", 100.0, lambda count: None) for n in range(10_000))
    assert admitted <= log_line.KINDS_MAX + log_line.SAME_PER_MINUTE
