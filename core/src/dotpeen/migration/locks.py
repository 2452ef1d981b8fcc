"""Take table locks without ever making the plant wait: short attempts, backoff with jitter, blockers named."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from dotpeen.database import Connection, connect
from dotpeen.errors import LockNotObtainedError
from dotpeen.migration.model import Lock
from dotpeen.migration.sql import table_identifier
from dotpeen.registry import MigrationSettings, TableName

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_FIRST_LOOK = 0.05
_LOOK_EVERY = 0.4
_LIMIT = "SELECT pg_catalog.set_config('statement_timeout', %s, true)"

_BLOCKERS = """
SELECT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), a.backend_type, coalesce(a.state, ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0)::float8,
       pg_catalog.left(pg_catalog.regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80)
  FROM pg_catalog.pg_stat_activity AS a
 WHERE a.pid = ANY (pg_catalog.pg_blocking_pids(%s)) AND a.application_name <> 'dotpeen blocker watch'
 ORDER BY a.xact_start
"""

_WRITERS = """
SELECT DISTINCT l.virtualtransaction, l.pid FROM pg_catalog.pg_locks AS l
 WHERE l.locktype = 'relation' AND l.relation = ANY (%s::oid[]) AND l.granted
   AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.pid <> pg_catalog.pg_backend_pid()
"""


@dataclass(frozen=True)
class LockTimes:
    """What a locked transaction cost: seconds waited in all attempts, and held in the last."""

    attempts: int
    waited: float
    held: float


class BlockerWatch:
    """Looks, from a session of its own, at who blocks another session, while that one waits."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._looking = threading.Lock()

    @contextmanager
    def over(self, backend_pid: int, tell: Callable[[list[str]], None]) -> Iterator[None]:
        """Call `tell` with the blockers of `backend_pid`, again when they change, until the block ends."""
        ended = threading.Event()
        thread = threading.Thread(target=self._look, args=(backend_pid, tell, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Not joined: the one who was watched may hold a lock now, and has no time for us.
            ended.set()

    def close(self) -> None:
        """Close the session."""
        with self._looking:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _look(self, backend_pid: int, tell: Callable[[list[str]], None], ended: threading.Event) -> None:
        told: list[str] = []
        delay = _FIRST_LOOK
        while not ended.wait(delay):
            delay = _LOOK_EVERY
            with self._looking:
                if ended.is_set():
                    return
                try:
                    if self._connection is None or self._connection.closed:
                        self._connection = connect(self._url, purpose="blocker watch")
                    blockers = [
                        _described(*row) for row in self._connection.execute(_BLOCKERS, [backend_pid])
                    ]
                except Exception:
                    self._connection = None
                    continue
            if blockers != told and not ended.is_set():
                told = blockers
                tell(blockers)


def run_locked(
    connection: Connection,
    table: TableName,
    lock: Lock,
    work: Callable[[Connection], None],
    *,
    settings: MigrationSettings,
    watch: BlockerWatch,
    tell: Callable[[str | None], None],
    only: bool = False,
    lock_first: bool = True,
) -> LockTimes:
    """Run `work` in one transaction that first takes one table lock (or, without `lock_first`, takes it itself).

    Each attempt waits at most `lock_timeout`; between attempts nobody queues behind us. `tell` is given the
    blockers as text while it waits and None when it goes on. With `only`, partitions are left unlocked.
    Raises `LockNotObtainedError` after `lock_patience`.
    """
    take = sql.SQL("LOCK TABLE {} {} IN {} MODE").format(
        sql.SQL("ONLY" if only else ""), table_identifier(table), sql.SQL(lock.value)
    )
    timeout = f"{int(settings.lock_timeout.total_seconds() * 1000)}ms"
    began = time.monotonic()
    waited, attempts, delay = 0.0, 0, _FIRST_DELAY
    blockers: list[str] = []

    def remember(found: list[str]) -> None:
        if found:
            blockers[:] = found
            tell(f"lock on {table}: blocked by {'; '.join(found)}")

    while True:
        attempts += 1
        asked = time.monotonic()
        try:
            with connection.transaction():
                connection.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [timeout])
                with watch.over(connection.info.backend_pid, remember):
                    if lock_first:
                        # On a partitioned table lock_timeout counts for each partition anew, while the parent is held.
                        connection.execute(_LIMIT, [timeout])
                        connection.execute(take)
                        connection.execute(_LIMIT, ["0"])
                    acquired = time.monotonic()
                    waited += acquired - asked
                    # It may need locks on other objects, under the same timeout.
                    work(connection)
            if blockers:
                tell(None)
            return LockTimes(attempts, waited, time.monotonic() - acquired)
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.QueryCanceled,
        ):
            waited += time.monotonic() - asked
            elapsed = time.monotonic() - began
            if elapsed >= settings.lock_patience.total_seconds():
                raise LockNotObtainedError(str(table), blockers, elapsed) from None
            pause = delay * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            tell(
                f"lock on {table}: attempt {attempts} gave way after {timeout}; next in {pause:.1f} s"
                + (f"; blocked by {'; '.join(blockers)}" if blockers else "")
            )
            time.sleep(pause)
            delay = min(delay * 2, _LONGEST_DELAY)


def wait_for_writers(
    connection: Connection, oids: Sequence[int], *, tell: Callable[[str | None], None]
) -> None:
    """Wait until every transaction that has written to these tables up to now has ended; takes no lock itself."""
    writers = {row[0] for row in connection.execute(_WRITERS, [list(oids)]).fetchall()}
    while writers and (rows := connection.execute(_WRITERS, [list(oids)]).fetchall()):
        still = {virtual: pid for virtual, pid in rows if virtual in writers}
        writers &= still.keys()
        if writers:
            tell(f"waiting for writers to end: pid {', '.join(str(pid) for pid in still.values())}")
            time.sleep(_LOOK_EVERY)
    tell(None)


def run_alone(
    connection: Connection,
    statements: Sequence[str],
    *,
    watch: BlockerWatch,
    tell: Callable[[str | None], None],
) -> None:
    """Run statements outside a transaction whose waits block nobody, naming whom they wait for.

    SHARE UPDATE EXCLUSIVE conflicts with no reader or writer, so waiting for it, and for the snapshots that
    CREATE INDEX CONCURRENTLY waits for, needs no timeout.
    """
    connection.execute("SELECT pg_catalog.set_config('lock_timeout', '0', false)")
    with watch.over(
        connection.info.backend_pid,
        lambda found: tell(f"waiting for {'; '.join(found)}" if found else None),
    ):
        for statement in statements:
            connection.execute(statement.encode())


def _described(
    pid: int, user: str, application: str, backend_type: str, state: str, seconds: float, query: str
) -> str:
    if backend_type != "client backend":
        return f"pid {pid} ({backend_type}: {query})"
    name = f", application {application!r}" if application else ""
    return f"pid {pid} (user {user!r}{name}, {state}, transaction open for {seconds:.1f} s: {query})"
