"""The pool of sessions that the synchronous `Records` asks through."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import psycopg
from psycopg_pool import ConnectionPool

from dotpeen.database.connect import SESSION

SyncPool: TypeAlias = "ConnectionPool[psycopg.Connection[tuple[Any, ...]]]"

# What is read as bytes goes out as it comes.
_SETTINGS: Final = SESSION | {"client_encoding": "UTF8"}
_CONFIGURE: Final = b"SELECT " + b", ".join([b"pg_catalog.set_config(%s, %s, false)"] * len(_SETTINGS))
_PARAMETERS: Final = [text for pair in _SETTINGS.items() for text in pair]


def configure(connection: psycopg.Connection[Any]) -> None:
    """Make a session one that records can be read from, whatever the role's or the database's settings."""
    connection.autocommit = True
    connection.execute(_CONFIGURE, _PARAMETERS)


def open_pool(url: str, *, size: int) -> SyncPool:
    """Return a pool of up to `size` sessions; the first is being opened."""
    return ConnectionPool(
        url,
        kwargs={"application_name": "dotpeen records", "connect_timeout": 10},
        configure=configure,
        min_size=1,
        max_size=size,
        open=True,
        name="dotpeen records",
    )
