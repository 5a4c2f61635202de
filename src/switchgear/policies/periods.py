"""Periods of budgets: when they begin and end in a calendar, and which one it is. Level 1.

A period is a number that only rises. Boundaries are local times of a time zone: a day may have 23 or 25 hours, a month that
has no 31st begins on its last day. The caller loads the zone (`zone`) before it is confined: its data lie in the file system.
"""

import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

KINDS = ("hour", "day", "week", "month", "quarter", "year", "total")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
JUMP_MS = 5 * 60_000
STANDING_US = 10 * 60_000_000
HOUR_MS = 3_600_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MONDAY = datetime.date(1970, 1, 5).toordinal()


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """How a budget's time is divided."""

    kind: str
    """One of KINDS."""
    timezone: str = "UTC"
    hour: int = 0
    """At which local hour periods of a day and longer begin."""
    weekday: int = 0
    """On which day a week begins: 0 Monday … 6 Sunday."""
    day: int = 1
    """On which day months, quarters and years begin; the month's last where it has no such day."""


class Period(msgspec.Struct, frozen=True):
    """One period; times are milliseconds since the epoch. A total budget's has no end (None)."""

    number: int
    starts_ms: int
    ends_ms: int | None


def zone(name: str) -> datetime.tzinfo:
    """Return a time zone. Raises ValueError for a name that is none on this machine."""
    if name == "UTC":
        return datetime.UTC  # also on a machine without a database of time zones
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone: use a name such as Europe/Berlin, or UTC") from None


def period_at(calendar: Calendar, wall_ms: int) -> Period:
    """Return the period that a moment belongs to. Raises ValueError for an unknown time zone or kind."""
    if calendar.kind == "total":
        return Period(0, 0, None)
    tz = zone(calendar.timezone)
    local = (_EPOCH + datetime.timedelta(milliseconds=wall_ms)).astimezone(tz)
    if calendar.kind == "hour":
        return _hour(local, wall_ms)
    number = _guess(calendar, local)
    while wall_ms < _starts_ms(calendar, number):
        number -= 1
    while wall_ms >= (ends_ms := _starts_ms(calendar, number + 1)):
        number += 1
    return Period(number, _starts_ms(calendar, number), ends_ms)


def _hour(local: datetime.datetime, wall_ms: int) -> Period:
    """Hours follow the zone's standard time, in which none is repeated when clocks change."""
    standard = (local.utcoffset() or datetime.timedelta()) - (local.dst() or datetime.timedelta())
    shift_ms = standard // datetime.timedelta(milliseconds=1) % HOUR_MS
    number = (wall_ms + shift_ms) // HOUR_MS
    return Period(number, number * HOUR_MS - shift_ms, (number + 1) * HOUR_MS - shift_ms)


def _guess(calendar: Calendar, local: datetime.datetime) -> int:
    """Return a number at or next to the right one."""
    if calendar.kind == "day":
        return local.toordinal()
    if calendar.kind == "week":
        return (local.toordinal() - _MONDAY - calendar.weekday) // 7
    return (local.year * 12 + local.month - 1) // MONTHS[calendar.kind]


@lru_cache(maxsize=1_024)
def _starts_ms(calendar: Calendar, number: int) -> int:
    """Return when a period begins: of a local time that clocks skip, when they skip it; of one that comes twice, the first."""
    if calendar.kind == "day":
        date = datetime.date.fromordinal(number)
    elif calendar.kind == "week":
        date = datetime.date.fromordinal(number * 7 + _MONDAY + calendar.weekday)
    else:
        date = _dated(number * MONTHS[calendar.kind], calendar.day)
    wanted = datetime.datetime.combine(date, datetime.time(calendar.hour))
    tz = zone(calendar.timezone)
    start = wanted.replace(tzinfo=tz).astimezone(datetime.UTC)
    if start.astimezone(tz).replace(tzinfo=None) > wanted:
        start = _transition(start, tz)
    return (start - _EPOCH) // datetime.timedelta(milliseconds=1)


def _dated(months: int, day: int) -> datetime.date:
    year, month = divmod(months, 12)
    following = datetime.date(year + month // 11, (month + 1) % 12 + 1, 1)
    last = (following - datetime.timedelta(days=1)).day
    return datetime.date(year, month + 1, min(day, last))


def _transition(after: datetime.datetime, tz: datetime.tzinfo) -> datetime.datetime:
    """Return the moment at which clocks were put forward, at most a day and a half before."""
    low, high = after - datetime.timedelta(hours=36), after
    offset = high.astimezone(tz).utcoffset()
    while high - low > datetime.timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(tz).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


class TrustedTime:
    """A wall clock that does not jump: one that leaves the boot's clock by more than 5 minutes is believed only after it stood
    so for 10 minutes. Until then time goes on as it did. So neither an operator's mistake nor a broken time server opens a
    period."""

    __slots__ = ("_believed_ms", "_new_ms", "_since_us", "_stood_ms")

    def __init__(self, distance_ms: int | None = None) -> None:
        """`distance_ms`: what another process of this boot believed (`distance_ms`), so that a restart is no way around the 10
        minutes; None: the clock is believed as it is found."""
        self._stood_ms = distance_ms
        """The wall clock's distance from the boot's clock, which stood for 10 minutes or was there at the start."""
        self._believed_ms = self._new_ms = distance_ms or 0
        """The newest within 5 minutes of it; and the newest of all, since `_since_us`."""
        self._since_us = 0

    @property
    def distance_ms(self) -> int | None:
        """How far the wall clock is believed to be from the boot's; None before the first look."""
        return None if self._stood_ms is None else self._believed_ms

    def now_ms(self, wall_ms: int, boot_us: int) -> int:
        """Return the time to go by."""
        boot_ms = boot_us // 1_000
        distance_ms = wall_ms - boot_ms
        if self._stood_ms is None:
            self._stood_ms = self._believed_ms = self._new_ms = distance_ms
            self._since_us = boot_us
        if abs(distance_ms - self._new_ms) > JUMP_MS:
            self._new_ms, self._since_us = distance_ms, boot_us
        elif boot_us - self._since_us >= STANDING_US:
            self._stood_ms = self._new_ms = distance_ms
            self._since_us = boot_us
        if abs(distance_ms - self._stood_ms) <= JUMP_MS:
            self._believed_ms = distance_ms
        return boot_ms + self._believed_ms


class Periods:
    """The running period of each calendar; its number never falls, whatever the clock does."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: dict[Calendar, Period] = {}

    def at(self, calendar: Calendar, now_ms: int) -> Period:
        """Return the running period. `now_ms` is of TrustedTime."""
        running = self._running.get(calendar)
        if running is not None and (running.ends_ms is None or now_ms < running.ends_ms):
            return running
        period = period_at(calendar, now_ms)
        if running is None or period.number > running.number:
            self._running[calendar] = running = period
        return running
