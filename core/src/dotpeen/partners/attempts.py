"""Attempts of those who may be anybody: counted by who seems to make them, in memory, on this node alone."""

from __future__ import annotations

import math
import time
from typing import Final

from dotpeen.partners.rate import RateLimit

_MOST: Final = 10_000
"""Those who are remembered at a time."""


class Attempts:
    """Counts in windows of one length, which begin at its multiples."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._window = 0
        self._made: dict[str, int] = {}

    def count(self, who: str, now: float | None = None) -> None:
        """Count one; `now` is Unix time."""
        self._turn(time.time() if now is None else now)
        # Of more than can be remembered, the newcomers are counted as one.
        key = who if who in self._made or len(self._made) < _MOST else ""
        self._made[key] = self._made.get(key, 0) + 1

    def wait(self, who: str, now: float | None = None) -> int | None:
        """Return the whole seconds to wait for the next; None: it may be made now."""
        now = time.time() if now is None else now
        self._turn(now)
        made = self._made.get(who, self._made.get("", 0))
        if made < self._limit.requests:
            return None
        return math.ceil((self._window + 1) * self._limit.seconds - now)

    def _turn(self, now: float) -> None:
        window = int(now // self._limit.seconds)
        if window != self._window:
            self._window = window
            self._made.clear()
