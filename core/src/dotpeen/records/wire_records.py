"""Records in the wire format, for who passes them on: JSON that PostgreSQL wrote, as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg.pq.abc import PGresult

from dotpeen.database.pool import Pool, Session
from dotpeen.errors import NotMigratedError
from dotpeen.records import change, lookup
from dotpeen.records.fields import Audience
from dotpeen.records.query import PageQuery
from dotpeen.records.question import Ask, Match, Question, Row, WireRow, refusal, rows_of
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wirepage import WirePage

T = TypeVar("T")
Fields = tuple[str, ...] | None
"""Names that `Shape.chosen` returned; None for all that the audience sees."""
Within: TypeAlias = Callable[[psycopg.AsyncConnection[Any], WireRow], Awaitable[None]]
"""What else belongs in the transaction of a change."""


_LEAST: Final = 0.1
"""What has to be left of the patience to begin a statement."""


class WireRecords:
    """Reads and writes records through a pool of `dotpeen.database.pool.make_pool`.

    `NotMigratedError` is raised by every method that is asked by UUID, or by a partner, of an entity without UUIDs;
    and by all when the table is no longer what the shape says.
    """

    def __init__(
        self,
        pool: Pool,
        shapes: Shapes,
        *,
        patience: float | None = None,
        stale: Callable[[], None] = lambda: None,
    ) -> None:
        """`patience`: seconds after which a question ends with `TimeoutError`, also when the server stands still.

        `stale` is called when a table is not what its shape says.
        """
        self._stale = stale
        self._pool = pool
        self._patience = patience
        self._shares: dict[str, asyncio.Semaphore] = {}
        self.shapes = shapes

    async def one(
        self, shape: Shape, uuid: str, *, fields: Fields = None, audience: Audience = "external"
    ) -> WireRow | None:
        """Return the record with a UUID."""
        return await self._ask(shape, lookup.by_uuid(shape, uuid, audience=audience, fields=fields))

    async def find(
        self, shape: Shape, identifier: str, *, audience: Audience, fields: Fields = None
    ) -> Match:
        """Return the one record that answers to an identifier of any kind.

        Raises `RecordNotFoundError`, `AmbiguousIdentifierError`.
        """
        return await self._ask(shape, lookup.find(shape, identifier, audience=audience, fields=fields))

    async def by(
        self,
        shape: Shape,
        field: str | Sequence[str],
        value: str | Sequence[str],
        *,
        audience: Audience,
        fields: Fields = None,
    ) -> WireRow:
        """Return the one record that has a value of one declared identifier, exactly.

        Raises `InvalidQueryError`, `RecordNotFoundError`, `AmbiguousIdentifierError`.
        """
        match = await self._ask(shape, lookup.by(shape, field, value, audience=audience, fields=fields))
        return match.row

    async def page(self, shape: Shape, query: PageQuery, *, audience: Audience) -> WirePage:
        """Return a page of a list."""
        return await self._ask(shape, lookup.page(shape, query, audience=audience))

    async def batch(
        self,
        shape: Shape,
        uuids: Sequence[str],
        *,
        fields: Fields = None,
        audience: Audience = "external",
    ) -> list[WireRow]:
        """Return the records that are there, each once and in the order asked."""
        return await self._ask(shape, lookup.by_uuids(shape, uuids, audience=audience, fields=fields))

    async def detail(self, shape: Shape, key: str) -> WireRow:
        """Return the record of a primary key with its related records. Raises `RecordNotFoundError`."""
        return await self._ask(shape, change.detail(shape, self.shapes, key))

    async def resolve(
        self,
        uuid: str,
        *,
        audience: Audience = "external",
        only: Callable[[str], bool] = lambda name: True,
    ) -> tuple[Shape, WireRow] | None:
        """Return which entity's record has a UUID, and the record; `only` tells which entities are asked.

        Raises `AmbiguousIdentifierError` when records of several of them do.
        """
        return await self._ask(None, lookup.resolve(self.shapes, uuid, audience=audience, only=only))

    async def create(self, shape: Shape, values: Mapping[str, object]) -> WireRow:
        """Make a record, for internal callers. Raises `InvalidValueError`, `RecordConflictError`."""
        return await self._change(shape, change.create(shape, values), audience="internal")

    async def update(
        self,
        shape: Shape,
        identifier: str,
        values: Mapping[str, object],
        *,
        audience: Audience,
        condition: Callable[[bytes], bool] | None = None,
        within: Within | None = None,
    ) -> WireRow | None:
        """Change a record, by UUID for partners and by primary key for internal callers; None when there is none.

        `condition` sees the record as this audience does, and keeps the change from happening by returning False.
        `within` is awaited with the changed record before the change is committed. Raises `InvalidValueError`,
        `RecordConflictError`, `RecordChangedError`.
        """
        question = change.update(shape, identifier, values, audience=audience, condition=condition)
        return await self._change(shape, question, audience=audience, within=within)

    async def fetch(
        self, shape: Shape, statement: str, parameters: Sequence[bytes], *, formats: Sequence[int]
    ) -> PGresult:
        """Run a statement about records that somebody else composed and asks again and again (`Session.fetch`)."""
        shape.require_ready()
        try:
            async with self._session(shape) as connection:
                return await connection.fetch(statement, parameters, formats=formats)
        except psycopg.Error as error:
            raise self._known(error, shape) from None

    async def _ask(self, shape: Shape | None, question: Question[T]) -> T:
        try:
            async with self._session(shape) as connection:
                return await answered(connection, question)
        except psycopg.Error as error:
            raise self._known(error, shape) from None

    def _known(self, error: psycopg.Error, shape: Shape | None) -> Exception:
        known = refusal(error, shape)
        if isinstance(known, NotMigratedError):
            self._stale()
        return known or error

    async def _change(
        self, shape: Shape, question: Question[T], *, audience: Audience, within: Within | None = None
    ) -> T:
        try:
            async with self._session(shape) as connection, connection.transaction():
                answer = await answered(connection, question)
                if within is not None and isinstance(answer, WireRow):
                    await within(connection, answer)
                return answer
        except psycopg.Error as error:
            known = change.refused(error, shape, audience=audience)
            if isinstance(known, NotMigratedError):
                self._stale()
            raise known or error from None

    @asynccontextmanager
    async def _session(self, shape: Shape | None) -> AsyncIterator[Session]:
        """A session of the pool, until the patience is at its end.

        An entity can have half of them: a table that somebody has locked leaves the others theirs.
        """
        name = "" if shape is None else shape.entity.name
        share = self._shares.setdefault(name, asyncio.Semaphore(max(1, self._pool.max_size // 2)))
        async with asyncio.timeout(self._patience) as limit, share, self._pool.connection() as connection:
            end = limit.when()
            if end is not None and end - asyncio.get_running_loop().time() < _LEAST * (self._patience or 0.0):
                # It would be given up at once, and its session with it.
                raise TimeoutError("no session was free in time")
            yield connection


async def answered(connection: psycopg.AsyncConnection[Any], question: Question[T]) -> T:
    """Carry a question over an asynchronous session."""
    try:
        ask = next(question)
        while True:
            try:
                rows = await _rows(connection, ask)
            except psycopg.Error as error:
                ask = question.throw(error)
            else:
                ask = question.send(rows)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def _rows(connection: psycopg.AsyncConnection[Any], ask: Ask) -> list[Row]:
    cursor = await connection.execute(ask.query, ask.parameters, prepare=ask.prepare)
    return rows_of(cursor.pgresult)
