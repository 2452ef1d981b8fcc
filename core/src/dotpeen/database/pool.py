"""A pool of asynchronous sessions, for servers that answer many callers."""

from __future__ import annotations

from typing import Any, TypeAlias

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from dotpeen.database.connect import SESSION

Pool: TypeAlias = "AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]"


class _Session(AsyncConnection[tuple[Any, ...]]):
    """A session that is given up at once when nobody waits for its answer any more.

    psycopg would ask the server to cancel and wait up to 10 s for that: a server that stands still would hold up
    whoever has run out of patience with it. The statement ends by `statement_timeout`.
    """

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Close the session."""
        self.pgconn.finish()


def make_pool(url: str, *, purpose: str, size: int, statement_timeout: float) -> Pool:
    """Make a pool, not opened yet, of up to `size` sessions with Dotpeen's settings and autocommit.

    `statement_timeout` in seconds; `purpose` shows in `pg_stat_activity.application_name`. A session that the server
    ended is replaced in the background; who asks meanwhile waits for as long as they said.
    """
    limit = f"{int(statement_timeout * 1000)}ms"
    settings = SESSION | {"client_encoding": "UTF8", "statement_timeout": limit}

    async def configure(connection: AsyncConnection[tuple[Any, ...]]) -> None:
        for name, value in settings.items():
            await connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])

    return AsyncConnectionPool(
        url,
        kwargs={"autocommit": True, "application_name": f"dotpeen {purpose}"[:63], "connect_timeout": 5},
        connection_class=_Session,
        configure=configure,
        min_size=min(2, size),
        max_size=size,
        max_idle=300,
        reconnect_timeout=30,
        open=False,
        name=f"dotpeen {purpose}",
    )
