"""Records in the wire format, for who passes them on: JSON that PostgreSQL wrote, as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg

from dotpeen.database.pool import Pool
from dotpeen.records import change, lookup
from dotpeen.records.fields import Audience
from dotpeen.records.query import PageQuery
from dotpeen.records.question import Ask, Match, Question, Row, WireRow, refusal, rows_of
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wirepage import WirePage

T = TypeVar("T")
Fields = tuple[str, ...] | None
"""Names that `Shape.chosen` returned; None for all that the audience sees."""


class WireRecords:
    """Reads and writes records through a pool of `dotpeen.database.pool.make_pool`.

    `NotMigratedError` is raised by every method that is asked by UUID, or by a partner, of an entity without UUIDs;
    and by all when the table is no longer what the shape says.
    """

    def __init__(self, pool: Pool, shapes: Shapes, *, patience: float | None = None) -> None:
        """`patience`: seconds after which a question ends with `TimeoutError`, also when the server stands still."""
        self._pool = pool
        self._patience = patience
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

    async def resolve(self, uuid: str, *, audience: Audience = "external") -> tuple[Shape, WireRow] | None:
        """Return which entity's record has a UUID, and the record.

        Raises `AmbiguousIdentifierError` when records of several entities do.
        """
        return await self._ask(None, lookup.resolve(self.shapes, uuid, audience=audience))

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
    ) -> WireRow | None:
        """Change a record, by UUID for partners and by primary key for internal callers; None when there is none.

        `condition` sees the record as this audience does, and keeps the change from happening by returning False.
        Raises `InvalidValueError`, `RecordConflictError`, `RecordChangedError`.
        """
        question = change.update(shape, identifier, values, audience=audience, condition=condition)
        return await self._change(shape, question, audience=audience)

    async def _ask(self, shape: Shape | None, question: Question[T]) -> T:
        try:
            async with asyncio.timeout(self._patience), self._pool.connection() as connection:
                return await answered(connection, question)
        except psycopg.Error as error:
            raise refusal(error, shape) or error from None

    async def _change(self, shape: Shape, question: Question[T], *, audience: Audience) -> T:
        try:
            async with (
                asyncio.timeout(self._patience),
                self._pool.connection() as connection,
                connection.transaction(),
            ):
                return await answered(connection, question)
        except psycopg.Error as error:
            raise change.refused(error, shape, audience=audience) or error from None


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
