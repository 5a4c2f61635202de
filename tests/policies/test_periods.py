"""Periods: calendars, zones, clocks that jump."""

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.policies import periods
from switchgear.policies.periods import Calendar, Periods, TrustedTime, period_at

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def ms(text, zone="UTC"):
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("calendar", "moment", "starts", "ends"),
    [
        # Days that clocks make shorter and longer: 2026-03-29 and 2026-10-25 in Germany.
        ({"kind": "day", "timezone": "Europe/Berlin"}, "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),
        ({"kind": "day", "timezone": "Europe/Berlin"}, "2026-10-25T12:00", "2026-10-25T00:00", "2026-10-26T00:00"),
        ({"kind": "day", "hour": 6}, "2026-11-27T05:59", "2026-11-26T06:00", "2026-11-27T06:00"),
        # 02:00 is skipped on that day, and comes twice on the other.
        (
            {"kind": "day", "timezone": "Europe/Berlin", "hour": 2},
            "2026-03-29T12:00",
            "2026-03-29T03:00",
            "2026-03-30T02:00",
        ),
        (
            {"kind": "day", "timezone": "Europe/Berlin", "hour": 2},
            "2026-10-25T12:00",
            "2026-10-25T02:00",
            "2026-10-26T02:00",
        ),
        ({"kind": "week"}, "2026-11-27T12:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        ({"kind": "week", "weekday": 6, "hour": 18}, "2026-11-29T17:59", "2026-11-22T18:00", "2026-11-29T18:00"),
        ({"kind": "month"}, "2028-02-29T23:59", "2028-02-01T00:00", "2028-03-01T00:00"),
        ({"kind": "month", "day": 31}, "2027-03-01T00:00", "2027-02-28T00:00", "2027-03-31T00:00"),
        ({"kind": "month", "day": 31}, "2028-03-01T00:00", "2028-02-29T00:00", "2028-03-31T00:00"),
        ({"kind": "month", "day": 15}, "2027-01-14T23:59", "2026-12-15T00:00", "2027-01-15T00:00"),
        ({"kind": "quarter"}, "2026-11-27T12:00", "2026-10-01T00:00", "2027-01-01T00:00"),
        ({"kind": "year", "timezone": "Pacific/Auckland"}, "2026-06-01T00:00", "2026-01-01T00:00", "2027-01-01T00:00"),
        ({"kind": "hour", "timezone": "Asia/Kolkata"}, "2026-11-27T10:29", "2026-11-27T10:00", "2026-11-27T11:00"),
        ({"kind": "hour", "timezone": "Asia/Kathmandu"}, "2026-11-27T10:01", "2026-11-27T10:00", "2026-11-27T11:00"),
    ],
)
def test_a_period_begins_and_ends_at_local_times(calendar, moment, starts, ends):
    name = calendar.get("timezone", "UTC")
    found = period_at(Calendar(**calendar), ms(moment, name))
    assert (found.starts_ms, found.ends_ms) == (ms(starts, name), ms(ends, name))


def test_days_with_a_change_of_clocks_have_23_and_25_hours():
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-27", 24)):
        found = period_at(Calendar(kind="day", timezone="Europe/Berlin"), ms(f"{day}T12:00", "Europe/Berlin"))
        assert found.ends_ms - found.starts_ms == hours * HOUR_MS


def test_a_day_that_a_country_left_out_has_no_length():
    """Samoa had no 30 December 2011 (tzdata, Pacific/Apia)."""
    calendar = Calendar(kind="day", timezone="Pacific/Apia")
    last = period_at(calendar, ms("2011-12-29T12:00", "Pacific/Apia"))
    following = period_at(calendar, last.ends_ms)
    assert following.starts_ms == last.ends_ms
    assert following.number > last.number
    assert following.ends_ms == ms("2012-01-01T00:00", "Pacific/Apia")


def test_a_total_budget_has_one_period():
    assert period_at(Calendar(kind="total"), 5).ends_ms is None
    assert period_at(Calendar(kind="total"), 5) == period_at(Calendar(kind="total"), ms("2100-01-01T00:00"))


ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "Pacific/Apia",
]
calendars = st.builds(
    Calendar,
    kind=st.sampled_from(periods.KINDS[:-1]),
    timezone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
    day=st.integers(1, 31),
)
moments = st.integers(ms("2009-01-01T00:00"), ms("2060-01-01T00:00"))


@settings(deadline=None)
@given(calendars, moments)
def test_periods_follow_each_other_without_a_gap(calendar, moment):
    found = period_at(calendar, moment)
    assert found.starts_ms <= moment < found.ends_ms
    assert period_at(calendar, found.starts_ms) == found
    assert period_at(calendar, found.ends_ms - 1) == found
    following = period_at(calendar, found.ends_ms)
    assert following.number > found.number
    assert following.starts_ms == found.ends_ms


@settings(deadline=None)
@given(calendars, moments, moments)
def test_numbers_rise_with_time(calendar, one, other):
    early, late = sorted((one, other))
    assert period_at(calendar, early).number <= period_at(calendar, late).number


@pytest.mark.parametrize("name", ["Europe/Berlyn", "", "../../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_zone_that_is_none_is_named(name):
    with pytest.raises(ValueError, match="is no time zone"):
        periods.zone(name)


class Clocks:
    """A boot's clock and a wall clock beside it."""

    def __init__(self):
        self.boot_us, self.wall_ms = 7_000_000_000, ms("2026-11-27T12:00")
        self.time = TrustedTime()

    def pass_s(self, seconds):
        self.boot_us += seconds * 1_000_000
        self.wall_ms += seconds * 1_000
        return self.now()

    def now(self):
        return self.time.now_ms(self.wall_ms, self.boot_us)


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS, 301_000, -301_000])
def test_a_jump_of_the_clock_is_believed_after_ten_minutes(jump_ms):
    clocks = Clocks()
    start = clocks.now()
    clocks.wall_ms += jump_ms
    assert clocks.now() == start
    for _ in range(9):
        clocks.pass_s(60)
    assert clocks.now() == start + 540_000
    clocks.pass_s(60)
    assert clocks.now() == start + 600_000 + jump_ms


@pytest.mark.parametrize("jump_ms", [299_000, -299_000, 1_000])
def test_a_small_correction_of_the_clock_is_believed_at_once(jump_ms):
    clocks = Clocks()
    start = clocks.now()
    clocks.wall_ms += jump_ms
    assert clocks.now() == start + jump_ms


def test_a_jump_that_is_taken_back_leaves_nothing():
    clocks = Clocks()
    start = clocks.now()
    clocks.wall_ms += DAY_MS
    clocks.pass_s(500)
    clocks.wall_ms -= DAY_MS
    assert clocks.pass_s(500) == start + 1_000_000


def test_many_small_corrections_are_a_jump():
    clocks = Clocks()
    start = clocks.now()
    for _ in range(20):
        clocks.wall_ms += 240_000
        clocks.pass_s(1)
    assert clocks.now() <= start + 20_000 + 300_000


def test_a_restart_during_a_jump_goes_on_with_the_time_before():
    clocks = Clocks()
    start = clocks.now()
    clocks.wall_ms += DAY_MS
    clocks.now()
    clocks.time = TrustedTime(clocks.time.distance_ms)
    assert clocks.pass_s(1) == start + 1_000
    clocks.pass_s(600)
    assert clocks.now() == start + 601_000 + DAY_MS


def test_a_periods_number_never_falls_and_a_reset_comes_once():
    calendar, running = Calendar(kind="day"), Periods()
    numbers = [running.at(calendar, ms(f"2026-11-{day}T{hour}:00")).number for day, hour in
               (("27", "10"), ("27", "23"), ("28", "01"), ("27", "22"), ("28", "02"))]  # fmt: skip
    assert numbers == [numbers[0]] * 2 + [numbers[0] + 1] * 3


def test_a_period_that_was_entered_stays_until_its_end():
    calendar, running = Calendar(kind="hour"), Periods()
    first = running.at(calendar, 10 * HOUR_MS)
    assert running.at(calendar, 11 * HOUR_MS - 1) is first
    assert running.at(calendar, 11 * HOUR_MS).number == first.number + 1
