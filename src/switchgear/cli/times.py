"""Durations and times as people write and read them. Level 7.

Times are shown in one zone, with its offset: `--tz`, else TZ, else the system's. A time that says no zone is of that zone.
"""

import datetime
import re

from switchgear.core.errors import UserError

_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h|d|w)")
LONGEST_MS = 100 * 366 * 86_400_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
Zone = datetime.tzinfo | None
"""None is the zone of this machine (TZ)."""


def zone_of(name: str | None) -> Zone:
    """Find a zone of the IANA database by name. Raises UserError."""
    if not name:
        return None
    if name.upper() in {"UTC", "Z"}:
        return datetime.UTC
    import zoneinfo  # noqa: PLC0415 - few commands are given a zone

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"{name!r} is not a time zone", "e.g. --tz Europe/Berlin, --tz UTC", 2) from None


def duration_ms(text: str) -> int:
    """Read 15m, 24h, 7d, … as milliseconds. Raises UserError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        number = text if text.isascii() and text.isdigit() else "90"
        raise UserError(f"{text!r} is not a duration", f"write a number and a unit: {number}d, 24h, 15m, 30s, 2w", 2)
    found = int(match.group(1)) * _UNITS_MS[match.group(2)]
    if found > LONGEST_MS:
        raise UserError(f"{text!r} is longer than a hundred years", "write e.g. 90d, 52w", 2)
    return found


def span_ms(text: str) -> int:
    """Read a duration that something shall last. Raises UserError, also for none."""
    found = duration_ms(text)
    if not found:
        raise UserError(f"{text!r} is over at once", "write e.g. 15m, 24h", 2)
    return found


def period(since: str | None, until: str | None, now_ms: int, zone: Zone = None) -> tuple[int | None, int | None]:
    """Read --since and --until. Raises UserError, also for a time in which nothing can be."""
    since_ms = time_ms(since, now_ms, zone) if since is not None else None
    until_ms = time_ms(until, now_ms, zone) if until is not None else None
    if since_ms is not None and since_ms >= (now_ms if until_ms is None else until_ms):
        end = "is to come" if until_ms is None else f"is not before --until {until}"
        raise UserError(
            f"--since {since} {end}: nothing can be in between", "durations count backwards: 7d is a week ago", 2
        )
    return since_ms, until_ms


def minutes_east(zone: Zone, at_ms: int) -> int:
    """Return how far a zone's clocks are ahead of UTC's at a time, in minutes."""
    offset = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


def _moment(text: str, zone: Zone) -> datetime.datetime | None:
    if text.isascii() and text.isdigit():
        return None  # Python reads 20200101 and 2020 in ways that nobody means
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone) if zone is not None else value.astimezone()
    return value


def time_ms(text: str, now_ms: int, zone: Zone = None) -> int:
    """Read a duration (that long ago) or an ISO 8601 time as milliseconds since the epoch. Raises UserError."""
    if _DURATION.fullmatch(text):
        return now_ms - duration_ms(text)
    value = _moment(text, zone)
    if value is None:
        hint = f"write {text}d, {text}h, …; or a time" if text.isascii() and text.isdigit() else "write"
        raise UserError(
            f"{text!r} is neither a duration nor a time", f"{hint}: 24h, 7d, 2026-11-01, 2026-11-01T00:00:00Z", 2
        )
    return int(value.timestamp() * 1000)


def expiry(text: str | None, zone: Zone = None) -> str | None:
    """Read --expires: a duration from now, or a time, as ISO 8601 with its offset. Raises UserError, also for what is past."""
    if not text:
        return text
    now = datetime.datetime.now(datetime.UTC)
    if _DURATION.fullmatch(text):
        at = now + datetime.timedelta(milliseconds=span_ms(text))
        return at.isoformat(timespec="milliseconds")
    value = _moment(text, zone)
    if value is None:
        hint = f"{text}d" if text.isascii() and text.isdigit() and len(text) < 6 else "90d"
        raise UserError(
            f"{text!r} is neither a duration nor a date", f"write {hint} (d, h, w, …) or a date such as 2027-01-31", 2
        )
    if value <= now:
        raise UserError(f"{text!r} is past: nothing would hold from the start", "write 90d, or a date to come", 2)
    return value.isoformat(timespec="seconds")


def month_ms(text: str, zone: Zone = None) -> tuple[int, int]:
    """Read YYYY-MM as its first millisecond and the first after it. Raises UserError."""
    year, dash, number = text.partition("-")
    digits = (year + number).isascii() and len(year) == 4 and year.isdigit() and number.isdigit()
    if not (dash and digits and int(year) and 1 <= int(number) <= 12):
        raise UserError(f"{text!r} is not a month", "write YYYY-MM, e.g. 2026-10", 2)
    following = (int(year) + 1, 1) if int(number) == 12 else (int(year), int(number) + 1)
    return time_ms(f"{year}-{int(number):02d}-01", 0, zone), time_ms(
        f"{following[0]:04d}-{following[1]:02d}-01", 0, zone
    )


def now_ms() -> int:
    """Return the time."""
    return int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)


def moment(value: int | str | None, zone: Zone = None) -> datetime.datetime | None:
    """Return milliseconds, or an RFC 3339 text, as a time of a zone; None where that is none."""
    try:
        if isinstance(value, int):
            return datetime.datetime.fromtimestamp(value / 1000, datetime.UTC).astimezone(zone)
        return datetime.datetime.fromisoformat(value).astimezone(zone) if value else None
    except (ValueError, OverflowError, OSError):
        return None


def iso(value: int | str | None, zone: Zone = None) -> str | None:
    """Write a time for programs: ISO 8601 with its offset."""
    at = moment(value, zone)
    return None if at is None else at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")


def full(value: int | str | None, zone: Zone = None) -> str | None:
    """Write a time for people: 2026-11-26 18:50:19 +01:00."""
    at = moment(value, zone)
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S ") + _offset(at)


def short(value: int | str | None, zone: Zone = None) -> str | None:
    """Write a time for a narrow column: 11-26 18:50:19+01, with Z for UTC."""
    at = moment(value, zone)
    if at is None:
        return None
    offset = _offset(at)
    return at.strftime("%m-%d %H:%M:%S") + ("Z" if offset == "+00:00" else offset.removesuffix(":00"))


def day(value: int | str | None, zone: Zone = None) -> str | None:
    """Write the date of a time."""
    at = moment(value, zone)
    return None if at is None else at.strftime("%Y-%m-%d")


def _offset(at: datetime.datetime) -> str:
    text = at.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"
