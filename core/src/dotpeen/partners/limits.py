"""Rate limits: counted in memory, exactly on one node, and shared between nodes once a second.

A window begins at a multiple of its length, the same on every node. A node knows what the others used up to its last
`share()`: while they talk once a second, all of them together may let through what they take in about that second more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg
from psycopg.rows import tuple_row

from dotpeen.database.pool import Pool
from dotpeen.partners.rate import RateLimit
from dotpeen.partners.reconnect import AsyncConnection, ask, said

if TYPE_CHECKING:
    from dotpeen.partners.grant import Grant

_log = logging.getLogger(__name__)
_PATIENCE: Final = 3.0
_TIDY_SECONDS: Final = 60.0

# In the order of the key: two nodes that lock the same rows can't wait for each other.
_SHARE: Final = """
INSERT INTO dotpeen.rate_window AS w (partner_id, window_seconds, window_start, requests)
SELECT partner, seconds, pg_catalog.to_timestamp(number * seconds), requests
  FROM unnest(%(partner)s::bigint[], %(seconds)s::int[], %(number)s::bigint[], %(requests)s::bigint[])
       AS mine (partner, seconds, number, requests)
 ORDER BY partner, seconds, number
    ON CONFLICT (partner_id, window_seconds, window_start) DO UPDATE SET requests = w.requests + excluded.requests
RETURNING partner_id, window_seconds, requests
"""
_TIDY: Final = """
DELETE FROM dotpeen.rate_window AS w
 USING (SELECT partner_id, window_seconds, window_start FROM dotpeen.rate_window
         WHERE window_start + pg_catalog.make_interval(secs => window_seconds + 60) < pg_catalog.clock_timestamp()
           FOR UPDATE SKIP LOCKED) AS old
 WHERE (w.partner_id, w.window_seconds, w.window_start)
       = (old.partner_id, old.window_seconds, old.window_start)
"""


class Decision(NamedTuple):
    """Whether a request may go on, and what its answer says about the limit; `limit` None: there is none."""

    allowed: bool
    limit: RateLimit | None
    remaining: int
    reset_seconds: int
    """Whole seconds until the window ends and all is there again."""
    retry_after: int | None
    """Whole seconds to wait, where it was refused."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the response headers that tell a client, as ASGI wants them; none without a limit."""
        if self.limit is None:
            return []
        requests, seconds = self.limit
        headers = [
            (b"ratelimit-limit", b"%d" % requests),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset_seconds),
            (b"ratelimit-policy", b"%d;w=%d" % (requests, seconds)),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        return headers


_FREE: Final = Decision(allowed=True, limit=None, remaining=0, reset_seconds=0, retry_after=None)


class _Window:
    """What one partner used in its current window: known of all nodes, on its way there, and not yet sent."""

    __slots__ = ("begins", "ends", "number", "pending", "seconds", "sent", "shared")

    def __init__(self, number: int, seconds: int) -> None:
        self.number = number
        self.seconds = seconds
        self.begins = number * seconds
        self.ends = self.begins + seconds
        self.shared = 0
        self.sent = 0
        self.pending = 0


class RateLimiter:
    """Counts the requests of each partner. Call `share()` once a second, or let `run()` do it."""

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool
        self._windows: dict[int, _Window] = {}
        self._sharing = asyncio.Lock()
        self._down = False
        self._tidied = time.monotonic()

    def check(self, grant: Grant, now: float | None = None) -> Decision:
        """Count a request and say whether it may go on; `now` is Unix time. A refused one is not counted."""
        limit = grant.limit
        if limit.requests == 0:
            return _FREE
        if now is None:
            now = time.time()
        window = self._windows.get(grant.partner_id)
        if window is None or not window.begins <= now < window.ends or window.seconds != limit.seconds:
            window = self._windows[grant.partner_id] = _Window(int(now // limit.seconds), limit.seconds)
        remaining = limit.requests - window.shared - window.sent - window.pending
        reset = math.ceil(window.ends - now)
        if remaining <= 0:
            return Decision(allowed=False, limit=limit, remaining=0, reset_seconds=reset, retry_after=reset)
        window.pending += 1
        # Half of what the class itself would take.
        return tuple.__new__(Decision, (True, limit, remaining - 1, reset, None))

    async def share(self) -> bool:
        """Tell the other nodes what was used here and learn what was used there.

        False when the database didn't answer; then this node goes on counting alone.
        """
        if self._pool is None:
            return True
        async with self._sharing:
            now = time.time()
            for partner, window in list(self._windows.items()):
                if window.ends < now:
                    del self._windows[partner]
            # Where nothing was let through since the last time, what the others used makes no difference yet.
            sending = [(partner, window) for partner, window in self._windows.items() if window.pending]
            for _, window in sending:
                window.sent, window.pending = window.pending, 0
            done = False
            try:
                totals = await self._exchange(self._pool, sending)
                for partner, window in sending:
                    window.shared = totals[partner, window.seconds]
                done = True
            except (psycopg.Error, TimeoutError) as error:
                self._note_outage(error)
            finally:
                for _, window in sending:
                    window.pending += 0 if done else window.sent
                    window.sent = 0
            if done and self._down:
                self._down = False
                _log.info("rate limits are shared between nodes again")
            return done

    async def run(self, *, interval: float = 1.0) -> None:
        """Share once in `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            await self.share()

    async def close(self) -> None:
        """Leave what was used here to the other nodes."""
        await self.share()

    async def _exchange(self, pool: Pool, sending: list[tuple[int, _Window]]) -> dict[tuple[int, int], int]:
        tidy = time.monotonic() - self._tidied > _TIDY_SECONDS
        # After an outage the database is asked even with nothing to tell: it alone knows that it is back.
        if not sending and not tidy and not self._down:
            return {}
        used = {
            "partner": [partner for partner, _ in sending],
            "seconds": [window.seconds for _, window in sending],
            "number": [window.number for _, window in sending],
            "requests": [window.sent for _, window in sending],
        }

        async def exchange(connection: AsyncConnection) -> dict[tuple[int, int], int]:
            async with connection.cursor(row_factory=tuple_row) as cursor:
                if tidy:
                    await cursor.execute(_TIDY)
                await cursor.execute(_SHARE, used)
                return {(partner, seconds): total for partner, seconds, total in await cursor.fetchall()}

        totals = await ask(pool, exchange, patience=_PATIENCE)
        if tidy:
            self._tidied = time.monotonic()
        return totals

    def _note_outage(self, error: Exception) -> None:
        if not self._down:
            self._down = True
            _log.warning("rate limits are counted per node until the database answers: %s", said(error))
