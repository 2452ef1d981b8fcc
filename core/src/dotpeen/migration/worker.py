"""One worker of the backfill: claims ranges, fills them batch by batch, steers the batch size by time."""

from __future__ import annotations

import time
from contextlib import suppress
from statistics import median

import psycopg

from dotpeen.database import connect
from dotpeen.database.connect import worker_name
from dotpeen.errors import MigrationStoppedError
from dotpeen.migration import ranges
from dotpeen.migration.events import Notify, RowsDone, Waiting
from dotpeen.migration.fill import Fill
from dotpeen.migration.ranges import Range
from dotpeen.migration.throttle import WORKER_PURPOSE, Throttle
from dotpeen.registry import MigrationSettings

FIRST_BATCH = 1000
GROUP = 3
"""Ranges a worker strides over together, stripe by stripe. The old row versions of a stripe can only be pruned when no
transaction sees them any more; with two workers on a range each, the other's snapshot halves the HOT updates
(measured: 52 % against 78 %)."""
_ROW_LOCK_TIMEOUT = "300ms"
_SMOOTHING = 0.2
_ROW_LOCKED = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,  # a row that we waited for went to another partition
)


class Worker:
    """Fills ranges over one session. A context manager: leaving it ends the session and signs off."""

    def __init__(
        self,
        url: str,
        fill: Fill,
        settings: MigrationSettings,
        *,
        throttle: Throttle,
        notify: Notify,
        number: int,
    ) -> None:
        self._fill = fill
        self._settings = settings
        self._throttle = throttle
        self._notify = notify
        self._entity = fill.target.entity.name
        self._batch_rows = min(max(FIRST_BATCH, settings.batch_min), settings.batch_max)
        self._rate = 0.0
        self._last_commit = time.monotonic()
        self._waiting: str | None = None
        self._connection = connect(url, purpose=f"{WORKER_PURPOSE} {self._entity}")
        connection = self._connection
        # A batch that waits for a row gives way long before the other side's deadlock_timeout could make it the victim.
        limit = connection.execute(
            "SELECT greatest((0.9 * reset_val::float8)::int, 500) FROM pg_catalog.pg_settings"
            " WHERE name = 'deadlock_timeout'"
        ).fetchone()
        self._statement_timeout = f"{limit[0] if limit else 900}ms"
        for name, value in (
            ("lock_timeout", _ROW_LOCK_TIMEOUT),
            ("statement_timeout", self._statement_timeout),
            ("enable_seqscan", "off"),  # stale statistics must not turn a batch into a scan of the table
            ("plan_cache_mode", "force_custom_plan"),
            ("jit", "off"),
            ("synchronous_commit", "on"),  # a UUID that a reader saw survives a crash of the server
        ):
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [name, value])
        row = connection.execute(
            "INSERT INTO dotpeen.worker (entity, name, backend_pid) VALUES (%s, %s, %s) RETURNING id",
            [self._entity, f"{worker_name()}#{number}", connection.info.backend_pid],
        ).fetchone()
        self._id = int(row[0]) if row else 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        # If the session is gone, others see that it was not heard of since.
        with suppress(psycopg.Error):
            self._connection.execute(
                "UPDATE dotpeen.worker SET ended_at = pg_catalog.clock_timestamp(), waiting_for = NULL WHERE id = %s",
                [self._id],
            )
        self._connection.close()

    def run(self) -> None:
        """Work until nothing is left to claim. Raises `MigrationStoppedError` when asked to stop."""
        while True:
            self._gate()
            group = self._claim()
            if group:
                self._work_on(group)
            elif ranges.any_left(self._connection, self._entity):
                self._heartbeat()
                time.sleep(0.1)
            else:
                return

    def _claim(self) -> list[Range]:
        left_over = ranges.claim_left_over(self._connection, self._entity)
        if left_over is not None:
            return [left_over]
        group: list[Range] = []
        rows = self._batch_rows * self._fill.stripes
        while len(group) < (GROUP if self._fill.stripes > 1 else 1):
            try:
                piece = ranges.carve(self._connection, self._entity, self._fill.keys, rows)
            except psycopg.errors.LockNotAvailable:
                # Another worker holds the cursor.
                if group:
                    break
                self._gate()
                continue
            except psycopg.errors.QueryCanceled:
                # The end of the range is far away in a cold index.
                if group:
                    break
                if self._batch_rows == 1:
                    raise
                self._batch_rows //= 2
                rows = self._batch_rows * self._fill.stripes
                continue
            if piece is None:
                break
            group.append(piece)
        return group

    def _work_on(self, group: list[Range]) -> None:
        slowest = {piece.id: 0.0 for piece in group}
        rows = 0
        open_pieces = list(group)
        for stripe in range(self._fill.stripes):
            for piece in [piece for piece in open_pieces if piece.stripe <= stripe]:
                self._gate()
                started = time.monotonic()
                try:
                    rows += self._commit(piece, stripe)
                except psycopg.errors.QueryCanceled:
                    self._shrink(piece)
                    open_pieces.remove(piece)
                except _ROW_LOCKED:
                    self._around_locked_rows(piece)
                    open_pieces.remove(piece)
                slowest[piece.id] = max(slowest[piece.id], time.monotonic() - started)
        for piece in open_pieces:
            ranges.release(self._connection, piece.id)
        if rows:
            # Steer by the slowest batch of a range, and of several ranges by the middle one: a hiccup is no trend.
            self._steer(median(slowest.values()))

    def _commit(self, piece: Range, stripe: int, *, skip_locked: bool = False) -> int:
        """Fill one stripe; the bookkeeping is in the same transaction, so a kill loses and repeats nothing."""
        last = stripe == self._fill.stripes - 1 and not skip_locked
        statement = self._fill.batch(piece, stripe, skip_locked=skip_locked)
        started = time.monotonic()
        with self._connection.transaction():
            rows = self._connection.execute(statement).rowcount
            if last:
                self._connection.execute("DELETE FROM dotpeen.backfill_range WHERE id = %s", [piece.id])
            elif not skip_locked:
                self._connection.execute(
                    "UPDATE dotpeen.backfill_range SET stripe = %s WHERE id = %s", [stripe + 1, piece.id]
                )
            self._count(rows)
        self._notify(RowsDone(self._entity, rows, self._batch_rows, time.monotonic() - started))
        return rows

    def _count(self, rows: int) -> None:
        now = time.monotonic()
        rate = rows / max(now - self._last_commit, 1e-6)
        self._rate = rate if self._rate == 0 else self._rate + _SMOOTHING * (rate - self._rate)
        self._last_commit = now
        self._connection.execute(
            "UPDATE dotpeen.worker SET rows = rows + %s, batches = batches + 1, batch_rows = %s, rate = %s,"
            " seen_at = pg_catalog.clock_timestamp(), waiting_for = NULL WHERE id = %s",
            [rows, self._batch_rows, self._rate, self._id],
        )

    def _steer(self, slowest: float) -> None:
        factor = self._settings.batch_target.total_seconds() / max(slowest, 1e-3)
        wanted = int(self._batch_rows * min(max(factor, 0.5), 1.5))
        self._batch_rows = min(max(wanted, self._settings.batch_min), self._settings.batch_max)

    def _shrink(self, piece: Range) -> None:
        """A batch took too long: go on with half of it, and leave the other half as a range of its own."""
        self._batch_rows = max(self._batch_rows // 2, 1)
        rows = self._batch_rows * self._fill.stripes
        try:
            cut = ranges.split(self._connection, self._entity, piece, self._fill.keys, rows) != piece
        except psycopg.errors.QueryCanceled:
            cut = self._batch_rows > 1  # finding where to cut took too long as well: next time nearer
        if not cut:
            # This row just takes that long.
            self._connection.execute("SELECT pg_catalog.set_config('statement_timeout', '0', false)")
        ranges.release(self._connection, piece.id)

    def _around_locked_rows(self, piece: Range) -> None:
        """Fill what is not locked by others and come back for the rest."""
        try:
            self._commit(piece, 0, skip_locked=True)
        except psycopg.errors.QueryCanceled:
            self._shrink(piece)
            return
        except _ROW_LOCKED:
            pass  # not even those: all of it later
        pause = min(0.1 * 2**piece.attempts, 5.0)
        ranges.put_back(self._connection, piece, seconds=pause)
        self._say("another session holds a lock on rows it wants, or on the table; it comes back to them")

    def _gate(self) -> None:
        """Stand still while the throttle says so."""
        while not self._throttle.stop.is_set():
            reason = self._throttle.reason
            if reason is None:
                if self._waiting is not None:
                    self._say(None)
                return
            self._say(reason)
            self._heartbeat()
            self._throttle.stop.wait(0.2)
        raise MigrationStoppedError(
            f"{self._entity}: stopped; every batch so far is committed",
            hint="go on with `dotpeen migrate up`",
        )

    def _say(self, reason: str | None) -> None:
        if reason == self._waiting:
            return
        self._waiting = reason
        self._connection.execute(
            "UPDATE dotpeen.worker SET waiting_for = %s WHERE id = %s", [reason, self._id]
        )
        self._notify(Waiting(self._entity, reason))

    def _heartbeat(self) -> None:
        self._last_commit = time.monotonic()
        self._connection.execute(
            "UPDATE dotpeen.worker SET seen_at = pg_catalog.clock_timestamp() WHERE id = %s", [self._id]
        )
