"""One question to the database, asked again at once where a connection of the pool had died unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import psycopg

from dotpeen.database.pool import Pool, Session

AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]
T = TypeVar("T")
_PAUSES: Final = (0.0, 0.05, 0.2)


async def ask(pool: Pool, question: Callable[[Session], Awaitable[T]], *, patience: float) -> T:
    """Return the answer; `question` may run several times.

    Raises `TimeoutError` after `patience` seconds, and `psycopg.Error`.
    """
    async with asyncio.timeout(patience):
        for pause in _PAUSES:
            try:
                async with pool.connection() as connection:
                    return await question(connection)
            except psycopg.OperationalError:
                # After a restart of the server every connection in the pool is dead: look through them all. Some
                # may only be dying: wait a moment.
                await asyncio.sleep(pause)
                await pool.check()
        async with pool.connection() as connection:
            return await question(connection)


def said(error: Exception) -> str:
    """Put into one line what went wrong."""
    return " ".join(str(error).split()) or "no answer in time"
