"""Dates and times as people write them, ISO 8601, and as programs hold them: milliseconds since the epoch. Level 0."""

import datetime

TIME_MS_MAX = 253_402_300_799_999
"""The end of the year 9999."""


def parse_time(text: str) -> int | None:
    """Read an ISO 8601 date or time as milliseconds since the epoch, UTC unless it says otherwise; None when it is neither."""
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return int(value.timestamp() * 1000)


def format_time(ms: int) -> str:
    """Return milliseconds since the epoch in ISO 8601, as `parse_time` reads them. Times out of its range become its ends."""
    ms = min(max(ms, 0), TIME_MS_MAX)
    at = datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC).replace(microsecond=ms % 1000 * 1000)
    return at.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")
