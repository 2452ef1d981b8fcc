"""Lookups by UUID that wait together go to the database together: one statement for all of them.

A round trip costs far more than the index lookup in it. Whoever comes while a query is under way waits for the next
one; nobody waits for company.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Final

import psycopg
from psycopg.pq.abc import PGresult

from dotpeen.api.askers import Asker, Group, Question
from dotpeen.database.line import Line
from dotpeen.database.pool import Pool, Session

LINES: Final = 3
"""Sessions kept at a time, at most; so many questions can be under way."""
LARGEST: Final = 250
"""UUIDs in one query."""
IMPATIENT: Final = 100
"""Another session is called when so many wait: with several under way from the start the groups stay small."""
STUCK_SECONDS: Final = 0.02
"""Another session is called when a query takes this long: somebody may hold a lock, or the network hangs."""
IDLE_SECONDS: Final = 2.0
"""How long a session is kept that nobody asks."""
_log = logging.getLogger(__name__)


class Lookups:
    """Asks for those who wait, question by question."""

    def __init__(self, pool: Pool, *, timeout: float) -> None:
        """`timeout` in seconds, for one query and for a session to ask it on."""
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._timeout = timeout
        # A small pool has none to spare for waiting.
        self._most = max(1, min(LINES, pool.max_size // 3))
        # A table that somebody locks must not hold up the others.
        self._most_of_one = max(1, self._most - 1)
        self._idle_seconds = IDLE_SECONDS if pool.max_size > LINES else 0.0
        self._waiting: dict[Question, Group] = {}
        self._count = 0
        self._asking: Counter[Question] = Counter()
        self._lines: list[Line] = []
        self._free: list[Line] = []
        self._opening = 0
        self._asked = 0.0
        """When the last query was sent."""
        self._used = 0.0
        self._sending = False
        self._alone = True
        """Nobody came together with the last one who was asked for."""
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    def ask(self, question: Question, asker: Asker) -> None:
        """Let somebody wait for an answer, which comes later and exactly once."""
        group = self._waiting.get(question)
        if group is None:
            self._waiting[question] = [asker]
        else:
            group.append(asker)
        self._count += 1
        if self._sending:
            return
        if self._alone and self._free:
            self._send()
        else:
            # At the end of this turn of the loop: who comes in the same turn goes along.
            self._sending = True
            self._loop.call_soon(self._send)

    async def close(self) -> None:
        """Wait for the queries under way and give the sessions back."""
        self._closed = True
        while self._count or self._opening or len(self._free) < len(self._lines):
            await asyncio.sleep(0.01)
        self._rest()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _send(self) -> None:
        self._sending = False
        while self._free and (question := self._next()) is not None:
            self._ask(self._free.pop(), question)
        if self._next() is None:
            return
        sessions = len(self._lines) + self._opening
        if sessions >= self._most or self._opening:
            return
        if sessions == 0 or self._count >= IMPATIENT or time.monotonic() - self._asked > STUCK_SECONDS:
            self._opening += 1
            self._start(self._open())

    def _lose_patience(self) -> None:
        self._patience = None
        self._send()

    def _next(self) -> Question | None:
        for question in self._waiting:
            if self._asking[question] < self._most_of_one:
                return question
        return None

    def _ask(self, line: Line, question: Question) -> None:
        group = self._waiting.pop(question)
        if len(group) > LARGEST:
            self._waiting[question] = group[LARGEST:]
            group = group[:LARGEST]
        self._count -= len(group)
        self._alone = len(group) == 1
        self._asking[question] += 1
        self._asked = time.monotonic()

        def done(result: PGresult | None, error: BaseException | None) -> None:
            self._asking[question] -= 1
            if result is None:
                self._refuse(group, question, error or TimeoutError(), line)
            else:
                # The next group is under way before this one is written to its clients.
                self._take_back(line)
                _answer(group, result)

        statement, parameters = question.asking(group)
        line.ask(statement, parameters, done, timeout=self._timeout, formats=question.formats)
        if self._waiting and self._patience is None and len(self._lines) < self._most:
            # Perhaps nobody else comes and looks.
            self._patience = self._loop.call_later(STUCK_SECONDS * 1.5, self._lose_patience)

    def _take_back(self, line: Line) -> None:
        question = self._next()
        if question is not None:
            self._ask(line, question)
            return
        self._free.append(line)
        self._used = time.monotonic()
        if self._idle is None:
            self._idle = self._loop.call_later(self._idle_seconds, self._look)

    def _refuse(self, group: Group, question: Question, error: BaseException, line: Line) -> None:
        reason = question.explain(error)
        if line.open:
            # The statement's own error: a column that was rolled back, a lock that was not given.
            self._take_back(line)
        else:
            self._drop(line)
            # For these another session would meet the same, one timeout later.
            same = self._waiting.pop(question, [])
            self._count -= len(same)
            group = group + same
            if self._waiting:
                self._send()
        for asker in group:
            _tell(asker.refused, reason)

    def _refuse_all(self, error: BaseException) -> None:
        waiting, self._waiting = self._waiting, {}
        self._count = 0
        for question, group in waiting.items():
            reason = question.explain(error)
            for asker in group:
                _tell(asker.refused, reason)

    def _look(self) -> None:
        """Give the sessions back when nobody asked for a while."""
        self._idle = None
        rest = self._used + self._idle_seconds - time.monotonic()
        if rest > 0 and not self._closed:
            self._idle = self._loop.call_later(rest, self._look)
        else:
            self._rest()

    def _rest(self) -> None:
        free, self._free = self._free, []
        for line in free:
            self._drop(line)

    def _drop(self, line: Line) -> None:
        self._lines.remove(line)
        if line in self._free:
            self._free.remove(line)
        self._start(self._give_back(line.release()))

    async def _give_back(self, session: Session) -> None:
        with suppress(psycopg.Error):
            await session.execute("RESET plan_cache_mode")
        await self._pool.putconn(session)

    async def _open(self) -> None:
        try:
            session = await self._take_session()
        except BaseException as error:
            self._opening -= 1
            if self._lines and not isinstance(error, asyncio.CancelledError):
                return  # the others go on
            self._refuse_all(error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._opening -= 1
        line = Line(session, broken=self._drop)
        self._lines.append(line)
        self._take_back(line)

    async def _take_session(self) -> Session:
        session = await self._pool.getconn(timeout=self._timeout)
        try:
            # The plan is the same for all arrays; making it anew takes longer than the lookup.
            async with asyncio.timeout(self._timeout):
                await session.execute("SET plan_cache_mode = force_generic_plan")
        except BaseException:
            await self._pool.putconn(session)
            raise
        return session

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(group: Group, result: PGresult) -> None:
    found: dict[str, bytes] = {}
    for row in range(result.ntuples):
        uuid, body = result.get_value(row, 0), result.get_value(row, 1)
        if uuid is not None and body is not None:
            found[uuid.decode()] = body
    now = time.time()
    for asker in group:
        try:
            asker.answered(found.get(asker.uuid), now)
        except Exception as error:
            _tell(asker.refused, error)


def _tell(refused: Callable[[BaseException], None], reason: BaseException) -> None:
    try:
        refused(reason)
    except Exception:
        _log.exception("somebody who waits for a record can't be told what went wrong")
