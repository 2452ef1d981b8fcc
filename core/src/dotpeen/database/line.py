"""A session that one asker keeps, and that answers statement after statement by callback.

No task, no future and no turn through the pool for a question: at thousands a second those cost several times the
processor time of the question itself. One statement is under way at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from dotpeen.database.pool import Session, numbered, statement_name

Done: TypeAlias = Callable[[PGresult | None, BaseException | None], None]
"""Is told the result, or the error."""

_PREPARING, _ASKING = "preparing", "asking"
_NO_SUCH_STATEMENT: Final = "26000"


class Line:
    """Holds a session until `release`. Only the loop's own thread may use it."""

    def __init__(self, session: Session, *, broken: Callable[[Line], None]) -> None:
        """`broken` is told once when the session ended while nothing was under way."""
        self.session = session
        self._broken = broken
        self._connection = session.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._connection.socket
        self._prepared = session.prepared
        self._phase = ""
        self._query = ""
        self._parameters: Sequence[bytes | None] = ()
        self._formats: Sequence[int] | None = None
        self._done: Done | None = None
        self._result: PGresult | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._loop.add_reader(self._socket, self._readable)

    @property
    def busy(self) -> bool:
        """Whether a statement is under way."""
        return self._done is not None

    @property
    def open(self) -> bool:
        """Whether it can be asked."""
        return self._connection.status == ConnStatus.OK

    def ask(
        self,
        query: str,
        parameters: Sequence[bytes | None],
        done: Done,
        *,
        timeout: float,
        formats: Sequence[int] | None = None,
    ) -> None:
        """Run a statement, prepared once; `query` has the placeholder `%s`, columns are text in UTF-8.

        `formats` are those of the parameters, which are text otherwise. `done` is called exactly once, never before
        this returns. After an error other than the statement's own the session is closed.
        """
        if self._done is not None:
            raise RuntimeError("a statement is under way")
        self._query, self._parameters, self._formats, self._done = query, parameters, formats, done
        self._timer = self._loop.call_later(timeout, self._too_slow)
        self._send()

    def release(self) -> Session:
        """Give the session up, closed if a statement is under way."""
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
            self._writing = False
        if self._done is not None:
            self._connection.finish()
            self._finish(None, psycopg.OperationalError("the session was given up"))
        return self.session

    def _send(self) -> None:
        try:
            name = self._prepared.get(self._query)
            if name is None:
                self._phase = _PREPARING
                self._connection.send_prepare(statement_name(self._query), numbered(self._query))
            else:
                self._phase = _ASKING
                self._connection.send_query_prepared(name, self._parameters, self._formats)
            if self._connection.flush():
                self._writing = True
                self._loop.add_writer(self._socket, self._writable)
        except psycopg.Error as error:
            self._loop.call_soon(self._lose, error)

    def _readable(self) -> None:
        connection = self._connection
        try:
            connection.consume_input()
            if self._done is None:
                if connection.status != ConnStatus.OK:
                    self._lose(psycopg.OperationalError("the session was ended"))
                return
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    self._answered()
                    return
                self._result = result
        except psycopg.Error as error:
            self._lose(error)

    def _writable(self) -> None:
        try:
            if not self._connection.flush():
                self._loop.remove_writer(self._socket)
                self._writing = False
        except psycopg.Error as error:
            self._lose(error)

    def _answered(self) -> None:
        result, self._result = self._result, None
        if result is None:
            self._lose(psycopg.OperationalError("the session answered nothing"))
        elif result.status == ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result, encoding="utf-8")
            if self._connection.status != ConnStatus.OK:
                self._lose(error)
            elif error.sqlstate == _NO_SUCH_STATEMENT and self._prepared.pop(self._query, b""):
                # psycopg deallocates all statements of a session after a rollback of its own.
                self._send()
            else:
                self._finish(None, error)
        elif self._phase == _PREPARING:
            self._prepared[self._query] = statement_name(self._query)
            self._send()
        else:
            self._finish(result, None)

    def _too_slow(self) -> None:
        self._timer = None
        self._lose(TimeoutError("the statement took too long"))

    def _lose(self, error: BaseException) -> None:
        # The server ends the statement by `statement_timeout`, if it is still there.
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
            self._writing = False
        self._connection.finish()
        if self._done is not None:
            self._finish(None, error)
        else:
            self._broken(self)

    def _finish(self, result: PGresult | None, error: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        done, self._done = self._done, None
        self._parameters = ()
        if done is not None:
            done(result, error)
