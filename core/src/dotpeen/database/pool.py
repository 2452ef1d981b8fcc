"""A pool of asynchronous sessions, for servers that answer many callers."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg_pool import AsyncConnectionPool

from dotpeen.database.connect import SESSION

_LOOK_AFTER_CLIENT: Final = "SET client_connection_check_interval = 500"
"""Milliseconds: a session that was given up while it waits for a lock ends then, and does not add to the others."""


class Session(AsyncConnection[tuple[Any, ...]]):
    """A session that answers small questions fast, and is given up at once when nobody waits any more."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Close the session.

        psycopg would ask the server to cancel and wait up to 10 s for that: a server that stands still would hold up
        whoever has run out of patience with it. The statement ends by `statement_timeout`.
        """
        self.pgconn.finish()

    @property
    def prepared(self) -> dict[str, bytes]:
        """The statements that this session has prepared, by their text."""
        try:
            found: dict[str, bytes] = self.__dict__["prepared"]
        except KeyError:
            found = self.__dict__["prepared"] = {}
        return found

    async def fetch(
        self, query: str, parameters: Sequence[bytes | None], *, formats: Sequence[int] | None = None
    ) -> PGresult:
        """Run a statement that is asked again and again, prepared once; the result is as it came, text in UTF-8.

        `query` has the placeholder `%s`; `formats` are those of the parameters, which are text otherwise. Straight
        from libpq's asynchronous functions to the event loop: a round trip of `execute` costs several times the
        processor time of the lookup that it is for. Raises `psycopg.Error`; whoever stops waiting closes the session.
        """
        prepared = self.prepared
        if query in prepared:
            try:
                return await self._ask(prepared[query], parameters, formats)
            except psycopg.errors.InvalidSqlStatementName:
                pass  # psycopg deallocates all statements after a rollback of its own
        prepared[query] = await self._prepare(query)
        return await self._ask(prepared[query], parameters, formats)

    async def _ask(
        self, name: bytes, parameters: Sequence[bytes | None], formats: Sequence[int] | None
    ) -> PGresult:
        connection = self.pgconn
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[PGresult] = loop.create_future()
        results: list[PGresult] = []

        def readable() -> None:
            try:
                connection.consume_input()
                while not connection.is_busy():
                    result = connection.get_result()
                    if result is None:
                        if not answer.done():
                            answer.set_result(results[-1])
                        return
                    results.append(result)
            except Exception as error:
                if not answer.done():
                    answer.set_exception(error)

        def writable() -> None:
            try:
                if not connection.flush():
                    loop.remove_writer(socket)
            except psycopg.Error as error:
                if not answer.done():
                    answer.set_exception(error)

        connection.send_query_prepared(name, parameters, formats)
        socket = connection.socket
        loop.add_reader(socket, readable)
        try:
            if connection.flush():
                loop.add_writer(socket, writable)
            result = await answer
        finally:
            loop.remove_reader(socket)
            loop.remove_writer(socket)
            if not answer.done() or answer.cancelled() or answer.exception() is not None:
                connection.finish()
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
        return result

    async def _prepare(self, query: str) -> bytes:
        name = statement_name(query)
        # No name from outside: the statement is one of ours, and composed already.
        await self.execute(b"PREPARE " + name + b" AS " + numbered(query))
        return name


def statement_name(query: str) -> bytes:
    """Return the name under which sessions prepare a statement."""
    return f"dotpeen_{sha256(query.encode()).hexdigest()[:32]}".encode()


def numbered(query: str) -> bytes:
    """Return the statement with PostgreSQL's own placeholders, `$1` and so on, for `%s`."""
    numbers = itertools.count(1)
    return re.sub("%[s%]", lambda match: "%" if match[0] == "%%" else f"${next(numbers)}", query).encode()


Pool: TypeAlias = AsyncConnectionPool[Session]


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
        # Before PostgreSQL 14, and on systems that can't tell, a session that was given up ends with its statement.
        with suppress(psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue):
            await connection.execute(_LOOK_AFTER_CLIENT)

    return AsyncConnectionPool(
        url,
        kwargs={"autocommit": True, "application_name": f"dotpeen {purpose}"[:63], "connect_timeout": 5},
        connection_class=Session,
        configure=configure,
        min_size=min(2, size),
        max_size=size,
        max_idle=300,
        reconnect_timeout=30,
        open=False,
        name=f"dotpeen {purpose}",
    )
