"""Memory of the command over a very long backfill: `uv run python benchmarks/memory.py`.

A simulation: the workers, the ranges, the throttle, the coordinator and the display are the real ones; the database
session is a stand-in that hands out one range after the other and stores nothing. What is measured is the command's
own resident memory. `--stripes 1` takes the path of a column that is indexed already: one batch a range, not eight.

Composing and sending the statements of a range costs most of a millisecond of Python. `--loop-only` leaves them out:
claiming from the simulated database, looping over groups of ranges, steering, telling and showing are still the
command's own. That is fast enough for a hundred million ranges.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from plant import COLUMN, TABLE, registry
from psycopg import sql
from rich.console import Console

from dotpeen.cli.migrate_output import Display
from dotpeen.database.catalog import Column, Index, Table
from dotpeen.migration import backfill, throttle, worker
from dotpeen.migration.events import Event, RowsDone
from dotpeen.migration.model import Target
from dotpeen.migration.ranges import Range
from dotpeen.migration.throttle import Throttle
from dotpeen.registry import TableName

LIMIT_MB: Final = 4.0
"""What the resident memory may grow by after the first twentieth of the ranges."""
_SAMPLES: Final = 20
_ROWS: Final = 1000
_UNIT: Final = TableName("public", TABLE)


@dataclass
class Ranges:
    """What the simulated database knows: how many ranges there are and how many it handed out."""

    total: int
    handed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> int | None:
        with self.lock:
            if self.handed >= self.total:
                return None
            self.handed += 1
            return self.handed


class Answer:
    """A cursor with what one statement returned."""

    def __init__(self, rows: Sequence[tuple[Any, ...]], rowcount: int) -> None:
        self.rowcount = rowcount
        self._rows = rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self._rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)


class SimulatedSession:
    """Answers the statements of a backfill as a database with very many ranges would."""

    closed = False
    broken = False
    info = SimpleNamespace(backend_pid=1, server_version=180000)

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._current = 0

    def __enter__(self) -> SimulatedSession:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def transaction(self) -> Any:
        return nullcontext()

    def execute(self, query: Any, parameters: Any = None) -> Answer:
        text = query.as_string() if isinstance(query, sql.Composable) else query
        for beginning, answer in _ANSWERS:
            if text.startswith(beginning):
                return Answer(answer(self), _ROWS)
        return Answer((), _ROWS)

    def unit(self) -> list[tuple[Any, ...]]:
        number = self._ranges.next()
        if number is None:
            return []
        self._current = number
        return [(f'"public"."{TABLE}"', [f"c{number - 1:024d}"], ["d"])]

    def key(self) -> list[tuple[Any, ...]]:
        return [(f"c{self._current:024d}",)]

    def number(self) -> list[tuple[Any, ...]]:
        return [(self._current,)]

    def progress(self) -> list[tuple[Any, ...]]:
        return [(self._ranges.total * _ROWS, self._ranges.handed * _ROWS, 20_000.0, 1)]


_ANSWERS: Final[tuple[tuple[str, Callable[[SimulatedSession], Sequence[tuple[Any, ...]]]], ...]] = (
    ("SELECT unit, cursor, upper FROM dotpeen.backfill", SimulatedSession.unit),
    ('SELECT "t"."id"::text', SimulatedSession.key),
    ("INSERT INTO dotpeen.backfill_range", SimulatedSession.number),
    ("INSERT INTO dotpeen.worker", lambda session: [(1,)]),
    ("SELECT pg_catalog.pg_try_advisory_lock", lambda session: [(True,)]),
    ("SELECT EXISTS (SELECT FROM dotpeen.backfill_range", lambda session: [(False,)]),
    ("SELECT greatest((0.9", lambda session: [(900,)]),
    ("SELECT pg_catalog.clock_timestamp()", lambda session: [(datetime.now(UTC),)]),
    (throttle._LOOK, lambda session: [(None, False, None, 0, 0, False)]),
    ("SELECT rows_todo, rows_done", SimulatedSession.progress),
)


def target(stripes: int) -> Target:
    """The table of the benchmarks, as the catalog would describe it."""
    name = TableName("public", TABLE)
    state: Any = {"unique": True, "valid": True, "partial": False, "bytes": 0}
    indexes = [Index("Measurement_pkey", ("id",), primary=True, **state)]
    if stripes == 1:
        indexes.append(Index("Measurement_persistentUuid_key", (COLUMN,), primary=False, **state))
    table = Table(
        name=name,
        oid=1,
        kind="table",
        columns={
            "id": Column("id", "text", not_null=True),
            COLUMN: Column(COLUMN, "uuid", not_null=False),
        },
        primary_key=("id",),
        indexes=tuple(indexes),
        estimated_rows=2_000_000_000,
        heap_bytes=500 * 10**9,
    )
    return Target(entity=registry().entities[TABLE], table=table, server_version=180000)


def resident_mb() -> float:
    """Resident memory of this process."""
    return (
        int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 1e6
    )


@contextmanager
def loop_only(ranges: Ranges) -> Iterator[None]:
    """Replace what a worker says to the database about a range by what the database would do about it."""

    def carve(connection: object, entity: str, keys: object, rows: int) -> Range | None:
        number = ranges.next()
        return None if number is None else Range(number, _UNIT, [str(number - 1)], [str(number)])

    def commit(self: worker.Worker, piece: Range, stripe: int, *, skip_locked: bool = False) -> int:
        self._notify(RowsDone(self._entity, _ROWS, self._batch_rows, 0.1))
        return _ROWS

    with (
        patch.object(worker.ranges, "claim_left_over", lambda connection, entity: None),
        patch.object(worker.ranges, "carve", carve),
        patch.object(worker.ranges, "release", lambda connection, number: None),
        patch.object(worker.Worker, "_commit", commit),
    ):
        yield


@contextmanager
def simulated(ranges: Ranges) -> Iterator[None]:
    """Replace the database sessions, and nothing else."""

    def connect(url: str, **_: object) -> SimulatedSession:
        return SimulatedSession(ranges)

    with patch.object(backfill, "connect", connect), patch.object(worker, "connect", connect):  # noqa: SIM117
        with patch.object(throttle, "connect", connect):
            yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranges", type=int, default=100_000)
    parser.add_argument("--stripes", type=int, choices=[1, 8], default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loop-only", action="store_true", help="leave the ranges' statements out")
    parser.add_argument(
        "--minutes", type=float, help="end after this time, with as many ranges as there were"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    ranges = Ranges(options.ranges)
    samples: list[tuple[int, float]] = []
    events = 0
    ended = threading.Event()
    started = time.monotonic()

    def sample() -> None:
        step = max(options.ranges // _SAMPLES, 1)
        while not ended.wait(0.05):
            if ranges.handed >= step * (len(samples) + 1):
                gc.collect()
                samples.append((ranges.handed, resident_mb()))
                say(
                    f"{ranges.handed:>12,} ranges  {samples[-1][1]:.1f} MB  {time.monotonic() - started:.0f} s"
                )
            if options.minutes and time.monotonic() - started > 60 * options.minutes:
                with ranges.lock:
                    ranges.total = ranges.handed

    entity = registry()
    without_statements = loop_only(ranges) if options.loop_only else nullcontext()
    with (
        simulated(ranges),
        without_statements,
        Display(Console(file=io.StringIO(), force_terminal=False)) as display,
    ):

        def notify(event: Event) -> None:
            nonlocal events
            events += 1
            display(event)

        watcher = threading.Thread(target=sample)
        watcher.start()
        with Throttle("simulated", entity.migration) as gate:
            backfill.run(
                "simulated",
                target(options.stripes),
                entity.migration,
                workers=options.workers,
                throttle=gate,
                notify=notify,
            )
        ended.set()
        watcher.join()
    gc.collect()
    samples.append((ranges.handed, resident_mb()))
    settled = samples[0][1]
    growth = max(value for _, value in samples) - settled
    seconds = time.monotonic() - started
    ok = growth < LIMIT_MB
    result = {
        "simulation": "the database session is a stand-in"
        + ("; the statements of a range are left out" if options.loop_only else ""),
        "ranges": ranges.handed,
        "events": events,
        "seconds": round(seconds, 1),
        "samples": samples,
        "growth_mb": round(growth, 2),
        "ok": ok,
    }
    print(f"\nsimulated ranges {ranges.handed:,}, events {events:,}, {seconds:.0f} s")
    print("| claim | growth | needed | ok |\n| --- | --- | --- | --- |")
    print(
        f"| memory stays flat ({settled:.1f} MB) | {growth:+.2f} MB | < {LIMIT_MB:g} MB | {'yes' if ok else 'NO'} |"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if ok else 1


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
