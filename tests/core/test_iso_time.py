"""Dates and times, with expectations from the calendar."""

import pytest

from switchgear.core.iso_time import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        ("2027-01-15T08:00:00Z", 1_800_000_000_000),
        ("2027-01-15T09:00:00+01:00", 1_800_000_000_000),
        ("2027-01-15T08:00:00.250", 1_800_000_000_250),
    ],
)
def test_a_date_or_time_is_read_as_utc_unless_it_says_otherwise(text, ms):
    assert parse_time(text) == ms


@pytest.mark.parametrize("text", ["", "someday", "2027-13-01", "2027-01-15T25:00:00", "15.01.2027"])
def test_a_malformed_time_is_none(text):
    assert parse_time(text) is None


def test_a_time_is_written_as_it_is_read():
    assert format_time(1_800_000_000_000) == "2027-01-15T08:00:00Z"
    assert format_time(1_800_000_000_250) == "2027-01-15T08:00:00.250Z"
    assert format_time(-1) == "1970-01-01T00:00:00Z"
    assert format_time(2**62) == "9999-12-31T23:59:59.999Z"
