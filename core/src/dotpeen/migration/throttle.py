"""Be gentle: when the backfill has to stand still, and why.

One session per process looks about once a second at what was asked (pause, stop), at the replicas, at sessions
that wait for our row locks, at the load, and at the clock.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

import psycopg

from dotpeen.database import Connection, connect
from dotpeen.errors import ConfigurationError
from dotpeen.registry import MigrationSettings

WORKER_PURPOSE = "backfill"
_INTERVAL = 0.5

_LOOK = """
SELECT (SELECT paused_by FROM dotpeen.control WHERE paused_at IS NOT NULL) AS paused_by,
       coalesce((SELECT stopped_at > %(started)s FROM dotpeen.control), false) AS stopped,
       (SELECT extract(epoch FROM max(replay_lag))::float8 FROM pg_catalog.pg_stat_replication) AS lag,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
         WHERE a.wait_event_type = 'Lock' AND a.application_name NOT LIKE 'dotpeen %%'
           AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS b
                        WHERE b.application_name LIKE %(workers)s
                          AND b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid)))) AS waiting,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity
         WHERE state = 'active' AND backend_type = 'client backend'
           AND application_name NOT LIKE 'dotpeen %%') AS active,
       (SELECT count(*) >= pg_catalog.current_setting('autovacuum_max_workers')::int
          FROM pg_catalog.pg_stat_activity WHERE backend_type = 'autovacuum worker') AS autovacuum_busy
"""


@dataclass(frozen=True)
class Window:
    """The time of day the backfill may run in, by the clock of the machine it runs on; may span midnight."""

    opens: time
    closes: time

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `22:00-05:00`. Raises `ConfigurationError`."""
        match = re.fullmatch(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", text.strip(), re.ASCII)
        try:
            if match is None:
                raise ValueError
            hours = [int(part) for part in match.groups()]
            window = cls(time(hours[0], hours[1]), time(hours[2], hours[3]))
        except ValueError:
            raise ConfigurationError(
                f"{text!r} is no time window",
                hint="write it as 22:00-05:00, in the local time of this machine",
            ) from None
        if window.opens == window.closes:
            raise ConfigurationError(f"the time window {text!r} is empty")
        return window

    def is_open(self, now: time) -> bool:
        """Tell whether work may be done at this time of day."""
        if self.opens < self.closes:
            return self.opens <= now < self.closes
        return now >= self.opens or now < self.closes

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"


class Throttle:
    """Says whether workers may go on; `stop` is set when they should end."""

    def __init__(
        self,
        url: str,
        settings: MigrationSettings,
        *,
        window: Window | None = None,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        self.stop = threading.Event()
        self.stopped_by_request = False
        self._url = url
        self._settings = settings
        self._window = window
        self._clock = clock
        self._reason: str | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = threading.Event()

    def __enter__(self) -> Throttle:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._looked.wait(10)
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def reason(self) -> str | None:
        """Why to stand still now, or None."""
        return self._reason

    def _run(self) -> None:
        connection: Connection | None = None
        started: datetime | None = None
        while not self._ended.is_set():
            try:
                if connection is None or connection.closed:
                    connection = connect(self._url, purpose="throttle")
                if started is None:
                    row = connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
                    started = row[0] if row else None
                self._reason = self._look(connection, started)
            except Exception as error:
                connection = None
                self._reason = f"the database can't be watched: {' '.join(str(error).split())}"
            self._looked.set()
            self._ended.wait(_INTERVAL)
        if connection is not None:
            connection.close()

    def _look(self, connection: Connection, started: datetime | None) -> str | None:
        settings = self._settings
        row = connection.execute(
            _LOOK, {"started": started, "workers": f"dotpeen {WORKER_PURPOSE}%"}
        ).fetchone()
        if row is None:
            raise psycopg.OperationalError("no answer")
        paused_by, stopped, lag, waiting, active, autovacuum_busy = row
        if stopped:
            self.stopped_by_request = True
            self.stop.set()
        if paused_by is not None:
            return f"paused by {paused_by}; go on with `dotpeen migrate resume`"
        if self._window is not None and not self._window.is_open(self._clock().time()):
            return f"outside {self._window}"
        if settings.max_replica_lag is not None and (lag or 0) > settings.max_replica_lag.total_seconds():
            return f"a replica is {lag:.1f} s behind (max_replica_lag)"
        if waiting > settings.max_waiting_sessions:
            return f"{waiting} sessions wait for rows of its batches (max_waiting_sessions)"
        if settings.max_active_sessions is not None and active > settings.max_active_sessions:
            return f"{active} sessions are active (max_active_sessions)"
        if settings.pause_on_autovacuum and autovacuum_busy:
            return "every autovacuum worker is busy (pause_on_autovacuum)"
        return None


def pause(connection: Connection, who: str) -> None:
    """Ask all workers, on every machine, to stand still."""
    connection.execute(
        "UPDATE dotpeen.control SET paused_at = pg_catalog.clock_timestamp(), paused_by = %s WHERE paused_at IS NULL",
        [who],
    )


def resume(connection: Connection) -> bool:
    """Let them go on; returns whether they were paused."""
    return (
        connection.execute(
            "UPDATE dotpeen.control SET paused_at = NULL, paused_by = NULL WHERE paused_at IS NOT NULL"
        )
    ).rowcount > 0


def stop(connection: Connection, who: str) -> None:
    """Ask all workers that run now to end after their batch."""
    connection.execute(
        "UPDATE dotpeen.control SET stopped_at = pg_catalog.clock_timestamp(), stopped_by = %s", [who]
    )
