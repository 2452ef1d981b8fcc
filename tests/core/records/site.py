"""A site for the tests of records: a database, its registry, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import psycopg

from dotpeen import Records
from dotpeen.database import connect
from dotpeen.database.pool import make_pool
from dotpeen.migration import Runner
from dotpeen.plugins import Plugins
from dotpeen.records import Shapes, WireRecords, load_shapes
from dotpeen.registry import Registry, parse_registry

T = TypeVar("T")


class Site:
    """A database that is used as its application does (`execute`), migrated, and asked."""

    def __init__(self, url: str, registry: Registry | str, *, plugins: Plugins | None = None) -> None:
        self.url = url
        self.registry = parse_registry(registry) if isinstance(registry, str) else registry
        self.plugins = plugins
        self.connection = psycopg.connect(url, autocommit=True)
        self._records: Records | None = None

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def migrate(self, *names: str) -> None:
        entities = self.registry.select(names=names)
        with Runner(self.url, self.registry, entities, plugins=self.plugins) as runner:
            runner.up()

    @property
    def records(self) -> Records:
        if self._records is None:
            self._records = Records(self.registry, self.url, plugins=self.plugins)
        return self._records

    def shapes(self) -> Shapes:
        with connect(self.url, purpose="test") as connection:
            return load_shapes(connection, self.registry, self.plugins)

    def wire(self, ask: Callable[[WireRecords], Awaitable[T]]) -> T:
        """Ask as the REST interface does."""

        async def asked() -> T:
            async with make_pool(self.url, purpose="test", size=2, statement_timeout=60) as pool:
                return await ask(WireRecords(pool, self.shapes()))

        return asyncio.run(asked())

    def all(self, entity: str, **options: Any) -> Iterable[Any]:
        """Every record of a list, page by page."""
        cursor = None
        while True:
            page = self.records.list(entity, cursor=cursor, **options)
            yield from page.records
            cursor = page.next_cursor
            if cursor is None:
                return

    def close(self) -> None:
        if self._records is not None:
            self._records.close()
        self.connection.close()
