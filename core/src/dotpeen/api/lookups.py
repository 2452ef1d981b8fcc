"""Lookups by UUID that wait together go to the database together: one `= ANY($1)` for all of them.

A round trip costs far more than the index lookup in it. Whoever comes while a query is under way waits for the next
one; nobody waits for company.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from psycopg import sql

from dotpeen.database.pool import Pool, Session

SESSIONS: Final = 3
"""Queries under way at a time for one statement, at most."""
LARGEST: Final = 250
"""UUIDs in one query."""
IMPATIENT: Final = 100
"""Another session is called when so many wait: with several under way from the start the groups stay small."""
STUCK_SECONDS: Final = 0.02
"""Another session is called when a query takes this long: somebody may hold a lock, or the network hangs."""


class Lookups:
    """Finds rows by UUID with one statement: its parameter is an array of UUIDs, its rows are UUID and JSON."""

    def __init__(
        self,
        pool: Pool,
        statement: sql.Composed,
        *,
        timeout: float,
        failed: Callable[[BaseException], BaseException],
    ) -> None:
        self._pool = pool
        self._statement = statement.as_string()
        self._timeout = timeout
        self._failed = failed
        self._waiting: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._sessions = 0
        self._asked = 0.0
        """When the last query was sent."""
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, uuid: str) -> asyncio.Future[bytes | None]:
        """Return the future JSON of the record, None where there is no such record. `uuid` is in canonical form."""
        # One for each who asks: a future that somebody stops waiting for is cancelled.
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(uuid, []).append(future)
        self._call_session()
        return future

    async def close(self) -> None:
        """Wait for the queries under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _call_session(self) -> None:
        if self._sessions == 0 or (
            self._sessions < SESSIONS
            and (len(self._waiting) >= IMPATIENT or time.monotonic() - self._asked > STUCK_SECONDS)
        ):
            self._sessions += 1
            task = asyncio.get_running_loop().create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        group: dict[str, list[asyncio.Future[bytes | None]]] = {}
        try:
            async with (
                asyncio.timeout(None) as limit,
                self._pool.connection(timeout=self._timeout) as connection,
            ):
                loop = asyncio.get_running_loop()
                while self._waiting:
                    group = self._take()
                    limit.reschedule(loop.time() + self._timeout)
                    self._asked = time.monotonic()
                    rows = await self._query(connection, list(group))
                    for uuid, futures in group.items():
                        for future in futures:
                            if not future.done():
                                future.set_result(rows.get(uuid.encode()))
                    group = {}
        except BaseException as error:
            # Also those who still wait: the next session would meet the same, one timeout later.
            for uuid, futures in self._waiting.items():
                group.setdefault(uuid, []).extend(futures)
            self._waiting.clear()
            reason = self._failed(error)
            for future in (future for futures in group.values() for future in futures):
                if not future.done():
                    future.set_exception(reason)
                    future.exception()  # somebody who gave up waiting leaves nobody to look at it
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._sessions -= 1
            if self._waiting:
                # Came after the last look and found all sessions taken.
                self._call_session()

    def _take(self) -> dict[str, list[asyncio.Future[bytes | None]]]:
        if len(self._waiting) <= LARGEST:
            group, self._waiting = self._waiting, {}
            return group
        chosen: Sequence[str] = list(self._waiting)[:LARGEST]
        return {uuid: self._waiting.pop(uuid) for uuid in chosen}

    async def _query(self, connection: Session, uuids: list[str]) -> dict[bytes, bytes]:
        # The array as one text, and the rows as the bytes that came: nothing is parsed only to be written again.
        result = await connection.fetch(self._statement, [f"{{{','.join(uuids)}}}".encode()])
        found: dict[bytes, bytes] = {}
        for row in range(result.ntuples):
            uuid, body = result.get_value(row, 0), result.get_value(row, 1)
            if uuid is not None and body is not None:
                found[uuid] = body
        return found
