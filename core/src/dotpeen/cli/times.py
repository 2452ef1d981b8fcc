"""Times on the command line: how long, and when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dotpeen.errors import ConfigurationError

_DURATION = re.compile(r"([0-9]{1,6})\s*(s|min|h|d|w)")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_HINT: Final = "write a number and s, min, h, d or w: 5min, 24h, 90d"


def parse_duration(text: str, *, option: str) -> timedelta:
    """Read `5min`, `24h`, `90d`, `2w`; `0` is nothing. Raises `ConfigurationError`, which names the option."""
    cleaned = text.strip()
    if cleaned == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(cleaned)
    if match is None:
        raise ConfigurationError(f"{option} {text!r} is no duration", hint=_HINT)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def parse_moment(text: str, *, option: str) -> datetime:
    """Read `2026-01-31`, `2026-01-31T12:00Z` (without a zone: UTC), or how long ago: `24h`.

    Raises `ConfigurationError`, which names the option.
    """
    cleaned = text.strip()
    if _DURATION.fullmatch(cleaned):
        return datetime.now(UTC) - parse_duration(cleaned, option=option)
    try:
        if not re.match(r"[0-9]{4}-", cleaned):
            raise ValueError
        moment = datetime.fromisoformat(cleaned)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} {text!r} is no time",
            hint="write 2026-01-31, 2026-01-31T12:00Z, or how long ago: 24h, 90d",
        ) from None
