"""The pool of sessions that the synchronous `Records` asks through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from dotpeen.database.connect import SESSION, connect

SyncPool: TypeAlias = "ConnectionPool[psycopg.Connection[tuple[Any, ...]]]"
PATIENCE_SECONDS: Final = 10.0
"""The longest that a question waits for a session."""

# What is read as bytes goes out as it comes.
_SETTINGS: Final = SESSION | {"client_encoding": "UTF8"}
_CONFIGURE: Final = b"SELECT " + b", ".join([b"pg_catalog.set_config(%s, %s, false)"] * len(_SETTINGS))
_PARAMETERS: Final = [text for pair in _SETTINGS.items() for text in pair]


def configure(connection: psycopg.Connection[Any]) -> None:
    """Make a session one that records can be read from, whatever the role's or the database's settings."""
    connection.autocommit = True
    connection.execute(_CONFIGURE, _PARAMETERS)


def new_pool(url: str, *, size: int) -> SyncPool:
    """Return a pool of up to `size` sessions; it is opened by the first `session`."""
    return ConnectionPool(
        url,
        kwargs={"application_name": "dotpeen records", "connect_timeout": 10},
        configure=configure,
        min_size=1,
        max_size=size,
        timeout=PATIENCE_SECONDS,
        open=False,
        name="dotpeen records",
    )


def open_pool(url: str, *, size: int) -> SyncPool:
    """Return such a pool; the first session is being opened."""
    pool = new_pool(url, size=size)
    pool.open()
    return pool


@contextmanager
def session(pool: SyncPool) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Lend a session of the pool.

    Raises `DatabaseUnreachableError` when there is no database, `psycopg_pool.PoolTimeout` when all sessions are busy.
    """
    if pool.closed:
        pool.open()
    with ExitStack() as stack:
        try:
            found = stack.enter_context(pool.connection())
        except PoolTimeout:
            # The pool doesn't say what it waited for: one attempt of our own does.
            connect(str(pool.conninfo), purpose="records").close()
            raise
        yield found
