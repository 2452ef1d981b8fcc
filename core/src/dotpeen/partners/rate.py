"""Rates: so many requests in so much time."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dotpeen.errors import PartnerError

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"([0-9]{1,10})/(s|min|h|d)")
_MOST: Final = 1_000_000_000


class RateLimit(NamedTuple):
    """So many requests in a window of so many seconds; 0 requests: no limit."""

    requests: int
    seconds: int

    @property
    def unlimited(self) -> bool:
        """Whether nothing is limited."""
        return self.requests == 0

    def __str__(self) -> str:
        if self.unlimited:
            return "unlimited"
        for unit, seconds in _UNITS.items():
            if seconds == self.seconds:
                return f"{self.requests}/{unit}"
        return f"{self.requests}/{self.seconds}s"

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read `600/min`, with `s`, `min`, `h` or `d`; `0` is no limit. Raises `PartnerError`."""
        if text == "0":
            return UNLIMITED
        match = _RATE.fullmatch(text)
        if match is None or int(match[1]) == 0:
            raise PartnerError(
                f"{text!r} is no rate limit", hint="write 10/s, 600/min, 20000/h or 100000/d; 0 for no limit"
            )
        if int(match[1]) > _MOST:
            raise PartnerError(f"{text!r} is more than {_MOST:,}", hint="write 0 for no limit")
        return cls(int(match[1]), _UNITS[match[2]])


UNLIMITED: Final = RateLimit(0, 60)
DEFAULT: Final = RateLimit(6000, 60)
"""What a partner may do that has no limit of its own."""
