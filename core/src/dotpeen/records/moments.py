"""Dates and timestamps as text: ISO 8601 in UTC, and beyond the years 1 to 9999 as ECMAScript writes them.

PostgreSQL reaches from 4713 BC to 294276 (dates to 5874897) and knows infinity; Python and `YYYY` do not.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

_INFINITE: Final = frozenset({"infinity", "-infinity"})
_DAY: Final = r"(?P<year>[+-][0-9]{6,7}|[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_DATE: Final = re.compile(_DAY)
_MOMENT: Final = re.compile(
    _DAY
    + r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,6}))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_FIRST: Final = (-4712, 11, 24)
"""PostgreSQL's first day, 4713 BC, with a year 0 as ISO 8601 has it."""
_LAST_DATE: Final = 5_874_897
_LAST_MOMENT: Final = 294_276


def read_date(text: str) -> str:
    """Return a date as PostgreSQL reads it whatever its settings. Raises `ValueError`."""
    if text in _INFINITE:
        return text
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("a date looks like 2026-01-31")
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    _check(year, month, day, _LAST_DATE)
    return _written(year, month, day, "")


def read_moment(text: str, *, zone: bool) -> str:
    """Return a timestamp in UTC as PostgreSQL reads it; one without an offset is UTC. Raises `ValueError`.

    `zone` says whether the column is `timestamp with time zone`.
    """
    if text in _INFINITE:
        return text
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("a timestamp looks like 2026-01-31T12:00:00.123456Z (in a URL write + as %2B)")
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    _check(year, month, day, _LAST_MOMENT)
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    microsecond = int((match["fraction"] or "").ljust(6, "0"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("there is no such time of day")
    offset = _offset(match["zone"])
    if offset:
        try:
            local = datetime(year, month, day, hour, minute, second, microsecond, timezone(offset))
            return write_moment(local, zone=zone)
        except (ValueError, OverflowError):
            raise ValueError("write a time so far away in UTC, with Z") from None
    clock = f" {hour:02}:{minute:02}:{second:02}.{microsecond:06}{'+00' if zone else ''}"
    return _written(year, month, day, clock)


def write_date(value: date) -> str:
    """Return a Python date as PostgreSQL reads it."""
    return _written(value.year, value.month, value.day, "")


def write_moment(value: datetime, *, zone: bool) -> str:
    """Return a Python datetime as PostgreSQL reads it: in UTC, which one without a zone is taken to be."""
    utc = value.astimezone(UTC) if value.tzinfo else value
    return _written(utc.year, utc.month, utc.day, f" {utc:%H:%M:%S.%f}{'+00' if zone else ''}")


def _offset(text: str | None) -> timedelta:
    if text is None or text in ("Z", "z"):
        return timedelta()
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("there is no such offset from UTC")
    return (-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes)


def _check(year: int, month: int, day: int, last: int) -> None:
    # The calendar repeats after 400 years.
    try:
        date(2000 + year % 400, month, day)
    except ValueError:
        raise ValueError("there is no such day") from None
    if (year, month, day) < _FIRST or year > last:
        raise ValueError("PostgreSQL's calendar does not reach that far")


def _written(year: int, month: int, day: int, clock: str) -> str:
    if year <= 0:
        return f"{1 - year:04}-{month:02}-{day:02}{clock} BC"
    return f"{year:04}-{month:02}-{day:02}{clock}"
