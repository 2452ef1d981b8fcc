"""`Records`: read and write the records of a site by whatever identifier is at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

import psycopg

from dotpeen.database import Connection, connect
from dotpeen.plugins import Plugins
from dotpeen.records import change, record
from dotpeen.records.loading import load_shapes
from dotpeen.records.pool import SyncPool, new_pool, session
from dotpeen.records.query import DEFAULT_LIMIT
from dotpeen.records.question import Ask, Question, Row, refusal, rows_of
from dotpeen.records.record import Batch, Filters, Page, Record, Resolution
from dotpeen.records.shape import Shape, Shapes
from dotpeen.registry import Registry

T = TypeVar("T")
SESSIONS: Final = 4
"""Sessions at a time, of a pool that isn't given."""


class Records:
    """Finds, lists and changes records, for the site's own applications.

        with Records(load_registry("registry.toml"), "postgresql://mes@db/mes") as records:
            part = records.find("Part", "PN-1001")
            part.uuid, part.values["description"]

    Every method takes the name of an entity. They raise `RecordNotFoundError` and `AmbiguousIdentifierError` (form
    proposes, the database decides: different records that answer to one identifier are never chosen from),
    `NotMigratedError` for a question by UUID to an entity without UUIDs, `InvalidQueryError`, `InvalidValueError` and
    `RecordConflictError`; `ConfigurationError` for an entity that isn't there, and `DatabaseUnreachableError`.
    """

    def __init__(
        self,
        registry: Registry,
        url_or_pool: str | SyncPool,
        *,
        shapes: Shapes | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        """Nothing is asked yet. A pool has to have `dotpeen.records.pool.configure` as its `configure`."""
        self._registry = registry
        self._plugins = plugins
        self._owned = isinstance(url_or_pool, str)
        self._pool = new_pool(url_or_pool, size=SESSIONS) if isinstance(url_or_pool, str) else url_or_pool
        self._shapes = shapes

    @property
    def shapes(self) -> Shapes:
        """What the entities look like, read from the database when first needed."""
        return self._shapes if self._shapes is not None else self.refresh()

    def refresh(self) -> Shapes:
        """Look at the database again: after a migration, or a change of the tables."""
        if self._pool.closed:
            # A pool would go on trying, and log it, where there is no database.
            with connect(str(self._pool.conninfo), purpose="records") as found:
                self._shapes = load_shapes(found, self._registry, self._plugins)
            return self._shapes
        with session(self._pool) as connection:
            self._shapes = load_shapes(connection, self._registry, self._plugins)
        return self._shapes

    def find(self, entity: str, identifier: str) -> Record:
        """Return the one record that answers to a UUID, a primary key, a business identifier or an external one."""
        shape = self.shapes.entity(entity)
        return self._ask(shape, record.find(shape, identifier))

    def find_by_uuid(self, entity: str, uuid: UUID | str) -> Record:
        """Return the record with a UUID."""
        shape = self.shapes.entity(entity)
        return self._ask(shape, record.find_by_uuid(shape, uuid))

    def find_by(self, entity: str, field: str | Sequence[str], value: object) -> Record:
        """Return the record that has a value of one declared identifier; of a composite one, a list of values."""
        shape = self.shapes.entity(entity)
        return self._ask(shape, record.find_by(shape, field, value))

    def uuid_of(self, entity: str, identifier: str) -> UUID:
        """Return the UUID of the record that answers to an identifier."""
        shape = self.shapes.entity(entity)
        return self._ask(shape, record.uuid_of(shape, identifier))

    def create(self, entity: str, values: Mapping[str, object]) -> Record:
        """Make a record. Its UUID comes from the database, a primary key that is a CUID from here."""
        shape = self.shapes.entity(entity)
        made = self._change(shape, record.create(shape, values))
        self._tell(shape, made, "create", values)
        return made

    def update(
        self,
        entity: str,
        identifier: str,
        values: Mapping[str, object],
        *,
        only: Collection[str] | None = None,
    ) -> Record:
        """Change a record and return it as it is then. `only`: the columns that may be changed."""
        shape = self.shapes.entity(entity)
        changed = self._change(shape, record.update(shape, identifier, values, only))
        if values:
            self._tell(shape, changed, "update", values)
        return changed

    def list(
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
        shape = self.shapes.entity(entity)
        question = record.page(
            shape, filters=filters, sort=sort, fields=fields, limit=limit, cursor=cursor, offset=offset
        )
        return self._ask(shape, question)

    def batch(self, entity: str, uuids: Iterable[UUID | str]) -> Batch:
        """Return records by UUID, in the order asked, with one query."""
        shape = self.shapes.entity(entity)
        return self._ask(shape, record.batch(shape, uuids))

    def resolve(self, uuid: UUID | str) -> Resolution:
        """Return which entity's record has a UUID."""
        return self._ask(None, record.resolve(self.shapes, uuid))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Do several things as one: all of them are kept, or, after an error, none.

            with records.transaction() as within:
                part = within.update("Part", "PN-1001", {"status": "OBSOLETE"})
                within.connection.execute("INSERT INTO crane.log (part) VALUES (%s)", [part.uuid])

        Plugins are told of what was written once it is committed. An error of one method leaves what was done before
        it, for who catches it.
        """
        shapes = self.shapes
        with session(self._pool) as connection:
            within = Transaction(self, shapes, connection)
            with connection.transaction():
                yield within
        within.tell()

    def close(self) -> None:
        """Close the pool, unless it was given; plugins were told of every change by then."""
        if self._plugins is not None:
            self._plugins.drain()
        if self._owned:
            self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

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

    def _ask(self, shape: Shape | None, question: Question[T]) -> T:
        try:
            with session(self._pool) as connection:
                return answered(connection, question)
        except psycopg.Error as error:
            raise refusal(error, shape) or error from None

    def _change(self, shape: Shape, question: Question[T]) -> T:
        try:
            with session(self._pool) as connection, connection.transaction():
                return answered(connection, question)
        except psycopg.Error as error:
            raise change.refused(error, shape, audience="internal") or error from None


class Transaction(Records):
    """What `Records.transaction` gives: the methods of `Records` in one transaction, and its `connection`."""

    def __init__(self, records: Records, shapes: Shapes, connection: Connection) -> None:
        super().__init__(records._registry, records._pool, shapes=shapes, plugins=records._plugins)
        self.connection = connection
        self._written: list[tuple[Shape, Record, Literal["create", "update"], Mapping[str, object]]] = []

    def tell(self) -> None:
        """Tell plugins what was written: it is committed by now."""
        for one in self._written:
            super()._tell(*one)

    def _tell(
        self,
        shape: Shape,
        written: Record,
        operation: Literal["create", "update"],
        values: Mapping[str, object],
    ) -> None:
        self._written.append((shape, written, operation, values))

    def _ask(self, shape: Shape | None, question: Question[T]) -> T:
        try:
            with self.connection.transaction():
                return answered(self.connection, question)
        except psycopg.Error as error:
            raise refusal(error, shape) or error from None

    def _change(self, shape: Shape, question: Question[T]) -> T:
        try:
            with self.connection.transaction():
                return answered(self.connection, question)
        except psycopg.Error as error:
            raise change.refused(error, shape, audience="internal") or error from None


def answered(connection: psycopg.Connection[Any], question: Question[T]) -> T:
    """Carry a question over a session."""
    try:
        ask = next(question)
        while True:
            try:
                rows = _rows(connection, ask)
            except psycopg.Error as error:
                ask = question.throw(error)
            else:
                ask = question.send(rows)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def _rows(connection: psycopg.Connection[Any], ask: Ask) -> list[Row]:
    return rows_of(connection.execute(ask.query, ask.parameters, prepare=ask.prepare).pgresult)
