"""The backfill: any number of workers, in this process and elsewhere, fill ranges until no row is without a UUID."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

from psycopg.types.json import Jsonb

from dotpeen.database import Connection, connect
from dotpeen.errors import BackfillError, MigrationStoppedError
from dotpeen.migration import ranges
from dotpeen.migration.events import Notify, Progressed
from dotpeen.migration.fill import Fill
from dotpeen.migration.model import Target
from dotpeen.migration.throttle import Throttle
from dotpeen.migration.worker import Worker
from dotpeen.registry import MigrationSettings, TableName

MAX_PASSES = 12
_TELL_EVERY = 0.5
EXACT_COUNT_BYTES = 16 * 1024**3
"""Tables up to this size are counted exactly; beyond it the planner's estimate serves for the percentage."""


def prepare(connection: Connection, target: Target) -> None:
    """Freeze the bounds of every table to fill and count its rows; what was prepared before stays.

    A row inserted later has its UUID from the start, so nothing beyond the bound needs filling.
    """
    fill = Fill(target)
    for position, unit in enumerate(target.table.leaves):
        known = connection.execute(
            "SELECT finished_at IS NOT NULL FROM dotpeen.backfill WHERE entity = %s AND unit = %s",
            [target.entity.name, ranges.unit_text(unit)],
        ).fetchone()
        if known is not None:
            continue
        total, todo = _count(connection, target, fill, unit)
        upper = ranges.largest_key(connection, unit, fill.keys) if todo else None
        connection.execute(
            "INSERT INTO dotpeen.backfill (entity, unit, position, upper, exhausted, rows_total, rows_todo)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                target.entity.name,
                ranges.unit_text(unit),
                position,
                Jsonb(upper) if upper else None,
                upper is None,
                total,
                todo,
            ],
        )
    connection.execute(
        "UPDATE dotpeen.entity SET rows_before ="
        " (SELECT sum(rows_total) FROM dotpeen.backfill WHERE backfill.entity = entity.name)"
        " WHERE name = %s AND rows_before IS NULL",
        [target.entity.name],
    )


def run(
    url: str,
    target: Target,
    settings: MigrationSettings,
    *,
    workers: int,
    throttle: Throttle,
    notify: Notify,
) -> None:
    """Fill until every range of this pass is done, here or by workers elsewhere.

    Raises `MigrationStoppedError` when asked to stop, and the first error of a worker.
    """
    fill = Fill(target)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Worker(url, fill, settings, throttle=throttle, notify=notify, number=number) as worker:
                worker.run()
        except BaseException as error:
            failures.append(error)
            throttle.stop.set()

    with (
        connect(url, purpose="coordinator") as connection,
        ThreadPoolExecutor(max_workers=workers, thread_name_prefix="backfill") as pool,
    ):
        futures = [pool.submit(work, number) for number in range(workers)]
        try:
            while wait(futures, timeout=_TELL_EVERY).not_done:
                if not failures:
                    _tell(connection, target, notify)
        except BaseException:
            # Ctrl-C, or the database is gone: the workers end after their batch.
            throttle.stop.set()
            raise
        if not failures:
            _tell(connection, target, notify)
    for failure in failures:
        if not isinstance(failure, MigrationStoppedError):
            raise failure
    if failures:
        raise failures[0]


def finish_pass(connection: Connection, target: Target) -> bool:
    """Look for rows without a UUID; True when there are none, else another pass is begun over them.

    Rows can slip through one pass: a primary key changed across the cursor, a row moved to another partition.
    Raises `BackfillError`, naming rows, when passes don't help.
    """
    fill = Fill(target)
    entity = target.entity.name
    complete = True
    for unit in target.table.leaves:
        text = ranges.unit_text(unit)
        left = [row[0] for row in connection.execute(fill.missing(unit, limit=5))]
        if not left:
            connection.execute(
                "INSERT INTO dotpeen.backfill (entity, unit, position, exhausted, rows_total, rows_todo, finished_at)"
                " VALUES (%s, %s, 0, true, 0, 0, pg_catalog.clock_timestamp()) ON CONFLICT (entity, unit)"
                " DO UPDATE SET finished_at = coalesce(backfill.finished_at, excluded.finished_at), exhausted = true",
                [entity, text],
            )
            continue
        complete = False
        upper = ranges.largest_key(connection, unit, fill.keys)
        row = connection.execute(
            "INSERT INTO dotpeen.backfill (entity, unit, position, upper, rows_total, rows_todo)"
            " VALUES (%(entity)s, %(unit)s, 0, %(upper)s, 0, 0) ON CONFLICT (entity, unit) DO UPDATE"
            " SET pass = backfill.pass + 1, cursor = NULL, upper = excluded.upper, exhausted = false,"
            " finished_at = NULL RETURNING pass",
            {"entity": entity, "unit": text, "upper": Jsonb(upper)},
        ).fetchone()
        if row and row[0] > MAX_PASSES:
            raise BackfillError(
                f"{entity}: rows of {unit} are still without a UUID after {MAX_PASSES} passes, such as"
                f" {', '.join(left)}",
                hint="a trigger on the table may empty the column again, or row security may hide rows from this role",
            )
    return complete


def sign_off_dead(connection: Connection) -> None:
    """Note the end of workers that were killed: their sessions are gone, and nobody else signs them off."""
    connection.execute(
        "UPDATE dotpeen.worker SET ended_at = seen_at, waiting_for = NULL WHERE ended_at IS NULL"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = worker.backend_pid"
        # Numbers of processes come again: a session that began later is another's. Not every role sees when.
        " AND (a.backend_start IS NULL OR a.backend_start <= worker.started_at))"
    )


def is_finished(connection: Connection, target: Target) -> bool:
    """Tell whether every range was handed out and none is left."""
    row = connection.execute(
        "SELECT bool_and(exhausted) FROM dotpeen.backfill WHERE entity = %s", [target.entity.name]
    ).fetchone()
    return bool(row and row[0]) and not ranges.any_left(connection, target.entity.name)


def _tell(connection: Connection, target: Target, notify: Notify) -> None:
    row = connection.execute(
        "SELECT rows_todo, rows_done, rows_per_second::float8, workers FROM dotpeen.progress WHERE entity = %s",
        [target.entity.name],
    ).fetchone()
    if row:
        todo, done, rate, workers = row
        notify(Progressed(target.entity.name, todo or 0, done or 0, rate, workers))


def _count(connection: Connection, target: Target, fill: Fill, unit: TableName) -> tuple[int, int]:
    table = target.parts.get(unit, target.table)
    if table.heap_bytes > EXACT_COUNT_BYTES:
        # A sidecar or column half filled: the estimate is an upper bound, and the percentage says less than it could.
        return table.estimated_rows, max(table.estimated_rows, 1)
    row = connection.execute(fill.count(unit)).fetchone()
    return (int(row[0]), max(int(row[1]), 0)) if row else (0, 0)
