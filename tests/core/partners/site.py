"""A site with partners, for tests: its database, and nodes of the interface as their event loops see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from psycopg_pool import AsyncConnectionPool

from dotpeen.database import Connection, connect
from dotpeen.database.pool import Session
from dotpeen.partners import Directory, Grant, RateLimit, store
from dotpeen.partners.partner import Issued
from dotpeen.partners.scopes import parse_scopes

Pool = AsyncConnectionPool[Session]


class Site:
    """A database with Dotpeen's schema, and an administrator called `ada`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: Connection = connect(url, purpose="test")

    def close(self) -> None:
        self.connection.close()

    def add(
        self,
        name: str = "acme",
        *scopes: str,
        limit: RateLimit | None = None,
        expires_in: timedelta | None = None,
    ) -> Issued:
        granted = parse_scopes(scopes or ("*:read",))
        return store.add(self.connection, name, granted, by="ada", limit=limit, expires_in=expires_in)

    def rotate(self, name: str = "acme", *, overlap: timedelta = timedelta(hours=1)) -> Issued:
        return store.rotate(self.connection, name, by="ada", overlap=overlap)

    def revoke(self, name: str = "acme", *, token: str | None = None) -> None:
        store.revoke(self.connection, name, by="ada", token=token)

    def rows(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), list(parameters)).fetchall()

    def pool(self, **settings: Any) -> AbstractAsyncContextManager[Pool]:
        return open_pool(self.url, **settings)


@asynccontextmanager
async def open_pool(url: str, *, autocommit: bool = True, **settings: Any) -> AsyncIterator[Pool]:
    defaults = {"min_size": 1, "max_size": 4, "timeout": 5.0}
    kwargs = {"autocommit": autocommit}
    async with AsyncConnectionPool(
        url, connection_class=Session, kwargs=kwargs, **defaults | settings
    ) as pool:
        yield pool


@asynccontextmanager
async def running(directory: Directory) -> AsyncIterator[Directory]:
    """A directory that refreshes itself once a second, as a node's does."""
    await directory.refresh()
    task = asyncio.create_task(directory.run())
    try:
        yield directory
    finally:
        task.cancel()


async def eventually(happens: Callable[[], Awaitable[bool]], *, seconds: float = 2.0) -> None:
    """Return once it happens; fail when it doesn't in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await happens():
        assert asyncio.get_running_loop().time() < deadline, f"did not happen within {seconds} s"
        await asyncio.sleep(0.05)


def grant(partner_id: int = 1, *, limit: RateLimit, name: str = "acme") -> Grant:
    return Grant(partner_id, name, parse_scopes(["*:read"]), "0" * 16, limit, None)
