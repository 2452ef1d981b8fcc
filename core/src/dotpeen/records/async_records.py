"""`AsyncRecords`: `Records` for asynchronous applications, with the same methods."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar
from uuid import UUID

import psycopg

from dotpeen.database import connect
from dotpeen.database.pool import Pool, make_pool
from dotpeen.plugins import Plugins
from dotpeen.records import change, record
from dotpeen.records.loading import load_shapes
from dotpeen.records.query import DEFAULT_LIMIT
from dotpeen.records.question import Question, refusal
from dotpeen.records.record import Batch, Filters, Page, Record, Resolution
from dotpeen.records.records import SESSIONS
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wire_records import answered
from dotpeen.registry import Registry

T = TypeVar("T")


class AsyncRecords:
    """See `Records`; every method is awaited.

    async with AsyncRecords(registry, url) as records:
        part = await records.find("Part", "PN-1001")
    """

    def __init__(
        self,
        registry: Registry,
        url_or_pool: str | Pool,
        *,
        shapes: Shapes | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        """Nothing is asked yet. A pool is one of `dotpeen.database.pool.make_pool`."""
        self._registry = registry
        self._plugins = plugins
        self._owned = isinstance(url_or_pool, str)
        self._pool = (
            make_pool(url_or_pool, purpose="records", size=SESSIONS, statement_timeout=0)
            if isinstance(url_or_pool, str)
            else url_or_pool
        )
        self._url = url_or_pool if isinstance(url_or_pool, str) else str(url_or_pool.conninfo)
        self._shapes = shapes
        self._refreshing = asyncio.Lock()

    async def shapes(self) -> Shapes:
        """Return what the entities look like, read from the database when first needed."""
        return self._shapes if self._shapes is not None else await self.refresh()

    async def refresh(self) -> Shapes:
        """Look at the database again: after a migration, or a change of the tables."""
        async with self._refreshing:
            self._shapes = await asyncio.to_thread(self._load)
        return self._shapes

    def _load(self) -> Shapes:
        with connect(self._url, purpose="records") as connection:
            return load_shapes(connection, self._registry, self._plugins)

    async def find(self, entity: str, identifier: str) -> Record:
        """Return the one record that answers to a UUID, a primary key, a business identifier or an external one."""
        shape = (await self.shapes()).entity(entity)
        return await self._ask(shape, record.find(shape, identifier))

    async def find_by_uuid(self, entity: str, uuid: UUID | str) -> Record:
        """Return the record with a UUID."""
        shape = (await self.shapes()).entity(entity)
        return await self._ask(shape, record.find_by_uuid(shape, uuid))

    async def find_by(self, entity: str, field: str | Sequence[str], value: object) -> Record:
        """Return the record that has a value of one declared identifier; of a composite one, a list of values."""
        shape = (await self.shapes()).entity(entity)
        return await self._ask(shape, record.find_by(shape, field, value))

    async def uuid_of(self, entity: str, identifier: str) -> UUID:
        """Return the UUID of the record that answers to an identifier."""
        shape = (await self.shapes()).entity(entity)
        return await self._ask(shape, record.uuid_of(shape, identifier))

    async def create(self, entity: str, values: Mapping[str, object]) -> Record:
        """Make a record. Its UUID comes from the database, a primary key that is a CUID from here."""
        shape = (await self.shapes()).entity(entity)
        made = await self._change(shape, record.create(shape, values))
        self._tell(shape, made, "create", values)
        return made

    async def update(
        self,
        entity: str,
        identifier: str,
        values: Mapping[str, object],
        *,
        only: Collection[str] | None = None,
    ) -> Record:
        """Change a record and return it as it is then. `only`: the columns that may be changed."""
        shape = (await self.shapes()).entity(entity)
        changed = await self._change(shape, record.update(shape, identifier, values, only))
        if values:
            self._tell(shape, changed, "update", values)
        return changed

    async def list(
        self,
        entity: str,
        *,
        filters: Filters | None = None,
        sort: Sequence[str] = (),
        fields: Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        offset: int | None = None,
    ) -> Page:
        """Return a page. `filters` narrow it (`{"status": ["A", "B"], "createdAt.gte": day}`); `sort` names fields,
        `-` before one turns it around; `cursor` is the `next_cursor` of the page before.
        """
        shape = (await self.shapes()).entity(entity)
        question = record.page(
            shape, filters=filters, sort=sort, fields=fields, limit=limit, cursor=cursor, offset=offset
        )
        return await self._ask(shape, question)

    async def batch(self, entity: str, uuids: Iterable[UUID | str]) -> Batch:
        """Return records by UUID, in the order asked, with one query."""
        shape = (await self.shapes()).entity(entity)
        return await self._ask(shape, record.batch(shape, uuids))

    async def resolve(self, uuid: UUID | str) -> Resolution:
        """Return which entity's record has a UUID."""
        return await self._ask(None, record.resolve(await self.shapes(), uuid))

    async def close(self) -> None:
        """Close the pool, unless it was given; plugins were told of every change by then."""
        if self._plugins is not None:
            await asyncio.to_thread(self._plugins.drain)
        if self._owned:
            await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _open(self) -> None:
        # A pool belongs to the event loop that it is opened in: not yet when this is made.
        if self._owned and self._pool.closed:
            await self._pool.open()

    def _tell(
        self,
        shape: Shape,
        written: Record,
        operation: Literal["create", "update"],
        values: Mapping[str, object],
    ) -> None:
        """Tell plugins what was committed."""
        if self._plugins is not None and written.uuid is not None:
            self._plugins.record_changed(shape.entity, str(written.uuid), operation, sorted(values))

    async def _ask(self, shape: Shape | None, question: Question[T]) -> T:
        try:
            await self._open()
            async with self._pool.connection() as connection:
                return await answered(connection, question)
        except psycopg.Error as error:
            raise refusal(error, shape) or error from None

    async def _change(self, shape: Shape, question: Question[T]) -> T:
        try:
            await self._open()
            async with self._pool.connection() as connection, connection.transaction():
                return await answered(connection, question)
        except psycopg.Error as error:
            raise change.refused(error, shape, audience="internal") or error from None
