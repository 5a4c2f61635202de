"""Durations, times, zones."""

import datetime
import time
import zoneinfo

import pytest

from switchgear.cli import times
from switchgear.core.errors import UserError

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
HALF_PAST = zoneinfo.ZoneInfo("Asia/Kolkata")  # +05:30


@pytest.mark.parametrize(("text", "ms"), [("15m", 900_000), ("24h", 86_400_000), ("2w", 1_209_600_000), ("500ms", 500)])
def test_a_duration_with_a_unit_is_read_in_milliseconds(text, ms):
    assert times.duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "h", "-5m", "5 m", "5y"])
def test_a_malformed_duration_is_refused_with_an_example(text):
    with pytest.raises(UserError) as info:
        times.duration_ms(text)
    assert info.value.exit_code == 2 and "30s" in info.value.hint


def test_a_time_without_a_zone_is_of_the_zone_that_is_asked_for():
    assert times.time_ms("1h", 7_200_000) == 3_600_000
    assert times.time_ms("1970-01-02", 0, datetime.UTC) == 86_400_000
    assert times.time_ms("1970-01-02", 0, BERLIN) == 86_400_000 - 3_600_000
    assert times.time_ms("1970-01-02T00:00:00Z", 0, BERLIN) == 86_400_000
    assert times.month_ms("2026-10", BERLIN) == (
        1_790_805_600_000,
        1_793_487_600_000,
    )  # date -d 'TZ="Europe/Berlin" …' +%s


@pytest.mark.parametrize("text", ["soon", "2020", "20200101", "90", "2026-13-01", ""])
def test_a_malformed_time_is_refused_with_an_example(text):
    with pytest.raises(UserError) as info:
        times.time_ms(text, 0)
    assert info.value.exit_code == 2


@pytest.mark.parametrize("text", ["2026", "2026-00", "2026-13", "26-10", "2026-1x", "٢٠٢٦-10"])
def test_a_malformed_month_is_refused(text):
    with pytest.raises(UserError, match="not a month"):
        times.month_ms(text)


@pytest.mark.parametrize("text", ["0s", "0d"])
def test_a_span_of_no_length_is_refused(text):
    for read in (times.span_ms, times.expiry):
        with pytest.raises(UserError, match="over at once"):
            read(text)


def test_a_time_in_which_nothing_can_be_is_refused():
    now = 100 * 86_400_000
    assert times.period(None, None, now) == (None, None)
    assert times.period("7d", "1d", now) == (now - 7 * 86_400_000, now - 86_400_000)
    for since, until in (("1d", "7d"), ("2d", "2d"), ("2099-01-01", None)):
        with pytest.raises(UserError, match="nothing can be in between") as info:
            times.period(since, until, now)
        assert info.value.exit_code == 2


def test_an_expiry_that_is_past_or_has_no_unit_is_refused_with_what_to_write():
    for text, said in (("2020-01-01", "past"), ("90", "neither"), ("soon", "neither")):
        with pytest.raises(UserError, match=said):
            times.expiry(text)
    with pytest.raises(UserError) as info:
        times.expiry("90")
    assert "90d" in info.value.hint
    assert times.expiry("2099-01-31", BERLIN) == "2099-01-31T00:00:00+01:00"
    assert times.expiry(None) is None and times.expiry("") == ""
    until = datetime.datetime.fromisoformat(times.expiry("1d"))
    assert abs((until - datetime.datetime.now(datetime.UTC)).total_seconds() - 86_400) < 600


def test_times_are_shown_in_one_zone_with_its_offset():
    at = 1_795_715_419_123  # 2026-11-26T17:50:19.123Z
    assert times.full(at, BERLIN) == "2026-11-26 18:50:19 +01:00"
    assert times.short(at, BERLIN) == "11-26 18:50:19+01"
    assert times.short(at, HALF_PAST) == "11-26 23:20:19+05:30"
    assert times.short(at, datetime.UTC) == "11-26 17:50:19Z"
    assert times.iso(at, BERLIN) == "2026-11-26T18:50:19.123+01:00"
    assert times.iso("2026-11-26T17:50:19Z", BERLIN) == "2026-11-26T18:50:19+01:00"
    assert times.day(at, HALF_PAST) == "2026-11-26"
    assert times.full(None) is None and times.full("nonsense") is None and times.full(1 << 70) is None


def test_the_zone_of_the_machine_is_the_default(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert times.full(1_795_715_419_000, times.zone_of(None)) == "2026-11-26 12:50:19 -05:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("name", ["Mars/Phobos", "../etc/passwd", "Europe", "x\0"])
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(UserError, match="time zone"):
        times.zone_of(name)
