"""The plant's own load: clients that keep inserting, updating and reading while the tables change.

They know the original columns only, like the MES that nobody has touched, and write down how long
every statement took.
"""

import math
import secrets
import threading
import time
from array import array
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg.rows import TupleRow

from dotpeen.demo.activity import ACTIONS, WRITES_SHARE, Action, known_records

APPLICATION_NAME: Final = "dotpeen-demo-plant"

ERRORS_KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What the plant met with during one phase; latencies in seconds, failed statements included."""

    phase: str
    seconds: float
    statements: int
    writes: int
    failed: int
    errors: tuple[str, ...]
    p50: float
    p95: float
    p99: float
    max: float


class Histogram:
    """Latencies in buckets 2 % wide from 10 microseconds to 1000 seconds: 7 kB, however many there are."""

    _FLOOR = 1e-5
    _STEP = math.log(1.02)
    _BUCKETS = 931

    def __init__(self) -> None:
        self._buckets = array("Q", bytes(8 * self._BUCKETS))
        self.count = 0
        self.max = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        place = int(math.log(max(seconds, self._FLOOR) / self._FLOOR) / self._STEP)
        self._buckets[min(place, self._BUCKETS - 1)] += 1
        self.count += 1
        self.max = max(self.max, seconds)

    def percentile(self, percent: float) -> float:
        """Return a latency that `percent` of all don't exceed, at most 2 % too high; 0 when there is none."""
        wanted = self.count * percent / 100
        seen = 0
        for place, count in enumerate(self._buckets):
            seen += count
            if seen >= wanted and count:
                return min(self.max, self._FLOOR * math.exp((place + 1) * self._STEP))
        return self.max


@dataclass(slots=True)
class _Tally:
    """The running figures of one phase."""

    started: float
    ended: float | None = None
    writes: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    latencies: Histogram = field(default_factory=Histogram)


class Writers:
    """Clients of the sample MES, at work from entering the context until leaving it.

    Each of `threads` clients has its own connection. Together they issue `writes_per_second`
    inserts and updates, and a read for every four of those. A client held up by a lock issues
    what it missed afterwards, and each missed statement's latency counts from when it was due:
    a machine that waited for its turn waited too. Statements belong to the phase in which they
    were due.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "public",
        writes_per_second: float = 80.0,
        threads: int = 4,
        phase: str = "before",
    ) -> None:
        if writes_per_second <= 0 or threads < 1:
            raise ValueError("the load needs a rate above 0 and a thread or more")
        self._url = url
        self._schema = schema
        self._interval = threads * WRITES_SHARE / writes_per_second
        self._clients = [
            threading.Thread(
                target=self._work, args=(place,), name=f"{APPLICATION_NAME}-{place}", daemon=True
            )
            for place in range(threads)
        ]
        self._connections: list[psycopg.Connection[TupleRow] | None] = [None] * threads
        self._first_phase = phase
        self._phases: dict[str, _Tally] = {}
        self._current = phase
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        """Start the clients. Raises ValueError when the tables hold nothing to work with."""
        with self._connect() as connection:
            self._known = known_records(connection)
        try:
            for place in range(len(self._clients)):
                self._connections[place] = self._connect()
        except psycopg.Error:
            self._disconnect()
            raise
        self.mark(self._first_phase)
        for client in self._clients:
            client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clients; what still waits half a second later is cancelled and counts as failed."""
        self._stop.set()
        deadline = time.monotonic() + 0.5
        for place, client in enumerate(self._clients):
            client.join(max(0.0, deadline - time.monotonic()))
            while client.is_alive():
                connection = self._connections[place]
                if connection is not None:
                    connection.cancel_safe(timeout=2.0)
                client.join(0.5)
        self._disconnect()
        with self._lock:
            self._phases[self._current].ended = time.monotonic()

    def mark(self, phase: str) -> None:
        """Begin a new phase."""
        with self._lock:
            if phase in self._phases:
                raise ValueError(f"phase {phase!r} has been already")
            now = time.monotonic()
            if self._phases:
                self._phases[self._current].ended = now
            self._phases[phase] = _Tally(started=now)
            self._current = phase

    def report(self) -> dict[str, PhaseReport]:
        """Return the figures so far of each phase, in the order of the phases."""
        with self._lock:
            return {phase: _report(phase, tally) for phase, tally in self._phases.items()}

    def _connect(self) -> psycopg.Connection[TupleRow]:
        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=5, application_name=APPLICATION_NAME
        )
        connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", [self._schema])
        return connection

    def _disconnect(self) -> None:
        for connection in self._connections:
            if connection is not None:
                connection.close()

    def _work(self, place: int) -> None:
        """Issue one statement after the other, each when it is due, until told to stop."""
        # Clients take turns rather than all striking at once.
        due = time.monotonic() + self._interval * place / len(self._clients)
        finished = due
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            began = due if finished > due else time.monotonic()
            action = secrets.choice(ACTIONS)
            error = self._attempt(place, action)
            finished = time.monotonic()
            self._record(began, finished - began, error, writes=action.writes)
            due += self._interval

    def _attempt(self, place: int, action: Action) -> str | None:
        """Run one statement, on a new connection if the last was lost, and return the error if any."""
        try:
            connection = self._connections[place]
            if connection is None or connection.closed:
                connection = self._connections[place] = self._connect()
            text, values = action.make(self._known)
            connection.execute(text, values)
        except psycopg.Error as error:
            return f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        return None

    def _record(self, began: float, latency: float, error: str | None, *, writes: bool) -> None:
        with self._lock:
            tally = next(t for t in reversed(self._phases.values()) if t.started <= began)
            tally.latencies.add(latency)
            tally.writes += writes
            if error is not None:
                tally.failed += 1
                if len(tally.errors) < ERRORS_KEPT:
                    tally.errors.append(error)


def _report(phase: str, tally: _Tally) -> PhaseReport:
    latencies = tally.latencies
    return PhaseReport(
        phase=phase,
        seconds=(time.monotonic() if tally.ended is None else tally.ended) - tally.started,
        statements=latencies.count,
        writes=tally.writes,
        failed=tally.failed,
        errors=tuple(tally.errors),
        p50=latencies.percentile(50),
        p95=latencies.percentile(95),
        p99=latencies.percentile(99),
        max=latencies.max,
    )
