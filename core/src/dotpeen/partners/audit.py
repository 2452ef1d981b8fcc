"""The audit trail: an entry for each request of a partner, in the database before the request is answered.

Entries of requests that are in flight together go in one statement. It doesn't wait for the disk
(`synchronous_commit = off`): an entry survives the death of any process of Dotpeen, and a crash of the database server
may take those of about the last half second with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg

from dotpeen.database.pool import Pool, Session
from dotpeen.errors import DatabaseUnreachableError
from dotpeen.partners.reconnect import AsyncConnection, ask, said

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
LONGEST_TEXT: Final = 300
"""Characters of a request id or an address that an entry keeps."""
_SEPARATOR: Final = "\x1f"
_KEY: Final = struct.Struct(">QQ").pack
_log = logging.getLogger(__name__)

# Arrays travel as text that is built here: four times faster than a parameter per element in trials, and one
# prepared statement whatever the number of rows. set_config is local to the statement's own transaction.
LAZY: Final = """
lazy AS MATERIALIZED (SELECT pg_catalog.set_config('synchronous_commit', 'off', true))"""
_ENTRIES: Final = """
INSERT INTO dotpeen.audit (id, at, partner, token_id, method, route, entity, uuid, records, status, request_id,
                           remote, milliseconds, changed, requests)
SELECT e.id, pg_catalog.to_timestamp(e.seconds) + e.micros * interval '1 microsecond', e.partner, e.token_id,
       e.method, e.route, e.entity, e.uuid, e.records, e.status, e.request_id, e.remote, e.milliseconds,
       pg_catalog.string_to_array(e.changed, E'\\x1f'), e.requests
  FROM {source}unnest(
           %s::uuid[], %s::bigint[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
           %s::uuid[], %s::int[], %s::int[], %s::text[], %s::text[], %s::real[], %s::text[], %s::int[])
       AS e (id, seconds, micros, partner, token_id, method, route, entity, uuid, records, status, request_id,
             remote, milliseconds, changed, requests)
    ON CONFLICT (id) DO NOTHING
"""
_GIVEN: Final = """
INSERT INTO dotpeen.audit_given (entry, uuids)
SELECT g.entry, g.uuids::uuid[] FROM unnest(%s::uuid[], %s::text[]) AS g (entry, uuids)
    ON CONFLICT (entry) DO NOTHING
"""
_INSERT: Final = f"WITH {LAZY}{_ENTRIES.format(source='lazy, ')}"
_INSERT_GIVEN: Final = f"WITH {LAZY}, written AS ({_ENTRIES.format(source='lazy, ')}){_GIVEN}"


class AuditEntry(NamedTuple):
    """What one request did. `route` is the route's pattern; `changed` names the columns that a write set.

    `uuid` is the record given away where it was one, `uuids` are the records where they may be several.
    """

    at: datetime
    partner: str | None
    token_id: str | None
    method: str
    route: str
    entity: str | None
    uuid: str | None
    records: int
    status: int
    request_id: str | None
    remote: str | None
    milliseconds: float
    changed: tuple[str, ...] | None = None
    uuids: tuple[str, ...] = ()
    requests: int = 1
    """How many requests this entry stands for: refusals can be summed up."""


_Row: TypeAlias = tuple[Sequence[Any], str | None]
"""The columns of an entry, and the array of records beside it."""


class AuditLog:
    """Writes entries, those in flight together at once.

    An entry has its key before it is sent, so that sending it again after a lost connection can't double it.
    """

    def __init__(self, pool: Pool, *, patience: float = 5.0, batch_size: int = 1000) -> None:
        """`patience`: seconds after which entries that can't be written fail their requests."""
        self._pool = pool
        self._patience = patience
        self._batch_size = batch_size
        self._waiting: list[tuple[_Row, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        # Keys are no secrets. Of this instance: processes forked from one that wrote must not repeat its keys.
        self._random = random.Random()  # noqa: S311

    @property
    def waiting(self) -> int:
        """How many entries are not on their way to the database yet."""
        return len(self._waiting)

    def random_bits(self) -> int:
        """Return the random part of an entry's key."""
        return self._random.getrandbits(62)

    async def write(self, entry: AuditEntry) -> None:
        """Return once the entry is in the database.

        An entry whose writer is cancelled is written all the same. Raises `DatabaseUnreachableError`; then the
        entry may be there or not. Raises `ValueError` for an entry that the table can't hold.
        """
        if self._closed:
            raise RuntimeError("the audit log is closed")
        row = _row(entry, self.random_bits())
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((row, written))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="audit writer")
        await written

    async def write_within(self, connection: AsyncConnection, entry: AuditEntry) -> None:
        """Write an entry in the transaction of what it tells of: neither is there without the other.

        Raises `DatabaseUnreachableError`; then the transaction can only be rolled back.
        """
        row, given = _row(entry, self.random_bits())
        try:
            await connection.execute(_ENTRIES.format(source="").encode(), _arrays([row]), prepare=True)
            if given is not None:
                await connection.execute(
                    _GIVEN.encode(), [f"{{{row[0]}}}", text_array([given])], prepare=True
                )
        except psycopg.Error as error:
            _log.error("a change was not made, since the audit trail can't be written: %s", said(error))
            raise DatabaseUnreachableError("the audit trail can't be written") from None

    async def close(self) -> None:
        """Write what is waiting; nothing can be written afterwards."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write_all(self) -> None:
        batch: list[tuple[_Row, asyncio.Future[None]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
                await self._write_batch(batch)
        except BaseException:
            # Nobody will come back for these: only a cancelled writer gets here.
            for _, written in (*batch, *self._waiting):
                _fail(written, DatabaseUnreachableError("the audit trail was closed"))
            self._waiting = []
            raise
        finally:
            # No await since `_waiting` was seen empty: whoever comes next starts a new writer.
            self._writer = None

    async def _write_batch(self, batch: list[tuple[_Row, asyncio.Future[None]]]) -> None:
        try:
            await self._insert([row for row, _ in batch])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(batch) > 1:
                # One entry that the table can't hold must not take the others with it.
                for one in batch:
                    await self._write_batch([one])
                return
            reason = error.diag.message_primary
            _fail(batch[0][1], ValueError(f"the audit trail can't hold this entry: {reason}"))
        except (psycopg.OperationalError, TimeoutError) as error:
            # Those that came meanwhile would find the same: no request waits for longer than one attempt.
            waiting, self._waiting = self._waiting, []
            for _, written in (*batch, *waiting):
                _fail(written, DatabaseUnreachableError(f"the audit trail can't be written: {said(error)}"))
        except Exception as error:
            for _, written in batch:
                _fail(written, error)
        else:
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _insert(self, rows: list[_Row]) -> None:
        parameters = [array.encode() for array in _arrays([row for row, _ in rows])]
        given = [(row[0], uuids) for row, uuids in rows if uuids is not None]
        statement = _INSERT
        if given:
            statement = _INSERT_GIVEN
            parameters.append(plain_array([entry for entry, _ in given]).encode())
            parameters.append(text_array([uuids for _, uuids in given]).encode())

        async def insert(connection: Session) -> None:
            await connection.fetch(statement, parameters)

        await ask(self._pool, insert, patience=self._patience)


# Which columns of a row are numbers and UUIDs, which need no quotes.
_PLAIN: Final = (True, True, True, *[False] * 5, True, True, True, False, False, True, False, True)


def _arrays(rows: Sequence[Sequence[Any]]) -> list[str]:
    return [
        plain_array(column) if plain else text_array(column)
        for column, plain in zip(zip(*rows, strict=True), _PLAIN, strict=True)
    ]


def _row(entry: AuditEntry, random_bits: int) -> _Row:
    micros = (entry.at - EPOCH) // MICROSECOND
    row = (
        audit_id(micros, random_bits=random_bits),
        micros // 1_000_000,
        micros % 1_000_000,
        entry.partner,
        entry.token_id,
        entry.method,
        entry.route,
        entry.entity,
        entry.uuid,
        entry.records,
        entry.status,
        # These come from the client.
        entry.request_id and entry.request_id[:LONGEST_TEXT],
        entry.remote and entry.remote[:LONGEST_TEXT],
        entry.milliseconds,
        None if entry.changed is None else _SEPARATOR.join(entry.changed),
        entry.requests,
    )
    return row, plain_array(entry.uuids) if entry.uuids else None


def audit_key(micros: int, random_bits: int) -> bytes:
    """Return a UUID of version 7 (RFC 9562 5.7) for a Unix time in microseconds, as 16 bytes.

    The twelve bits after the version are the fraction of the millisecond (6.2, method 3): ids sort as times do.
    """
    if micros < 0:
        micros = 0
    milliseconds = micros // 1000 & 0xFFFFFFFFFFFF
    return _KEY(milliseconds << 16 | 0x7000 | micros % 1000 * 4096 // 1000, 1 << 63 | random_bits)


def audit_id(micros: int, *, random_bits: int = 0) -> str:
    """Return the same as 32 hexadecimal digits."""
    return audit_key(micros, random_bits).hex()


def plain_array(values: Sequence[object]) -> str:
    """Return a PostgreSQL array of numbers or UUIDs as text; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def text_array(values: Sequence[str | None]) -> str:
    """Return a PostgreSQL array of texts as text; what its text can't hold is replaced."""
    same = values[0]
    if all(value is same for value in values):
        return "{" + ",".join([_quoted(same)] * len(values)) + "}"
    return "{" + ",".join([_quoted(value) for value in values]) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    if not value.isprintable():
        # PostgreSQL's text has no NUL and no halves of surrogate pairs; a client's header may.
        value = value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fail(written: asyncio.Future[None], error: Exception) -> None:
    if not written.done():
        written.set_exception(error)
