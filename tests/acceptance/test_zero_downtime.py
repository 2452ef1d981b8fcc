"""The plant does not notice: no statement of its own fails, and none waits longer than was promised."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from acceptance.plant import KINDS, Plant, registry, wait_until

LOCK_TIMEOUT = 0.5
BATCH_TARGET = 0.15
MARGIN = 0.35
"""What two busy cores may add to a wait: the session that is waited for must itself be given a core to finish on."""
LIMIT = LOCK_TIMEOUT + BATCH_TARGET + MARGIN

_WAITS = """
SELECT a.application_name, l.pid, l.waitstart::text,
       extract(epoch FROM clock_timestamp() - l.waitstart)::float8,
       (SELECT string_agg(b.application_name || ': ' || left(b.query, 100), '; ')
          FROM pg_stat_activity b WHERE b.pid = ANY (blocking.pids))
  FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid), pg_blocking_pids(l.pid) AS blocking (pids)
 WHERE NOT l.granted AND l.waitstart IS NOT NULL AND a.datname = current_database()
   AND a.application_name LIKE 'plant %'
   AND EXISTS (SELECT FROM pg_stat_activity AS b WHERE b.pid = ANY (blocking.pids)
                AND b.application_name LIKE 'dotpeen %')
"""


@dataclass
class Waits:
    """Watches who of the plant waits for a lock of ours, or in the queue behind one.

    The server knows when a wait began, so what is measured is the wait itself and not how busy the machine is.
    """

    url: str
    found: dict[tuple[int, str], tuple[float, str]] = field(default_factory=dict)

    def __enter__(self) -> Waits:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def longest(self) -> tuple[float, str]:
        return max(self.found.values(), default=(0.0, ""))

    def _look(self) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="watch") as connection:
            while not self._ended.wait(0.015):
                for name, pid, began, seconds, blockers in connection.execute(_WAITS).fetchall():
                    self.found[pid, began] = (seconds, f"{name} behind {blockers}")


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[int((len(values) - 1) * percent / 100)] if values else 0.0


def figures(plant: Plant, marks: dict[str, float]) -> str:
    """Latencies of each phase, for who reads the log."""
    names = list(marks)
    texts = []
    for name, end in zip(names, [*list(marks.values())[1:], float("inf")], strict=True):
        values = [seconds for at, seconds in plant.books.latencies if marks[name] <= at < end]
        texts.append(
            f"{name}: {len(values)} statements, p50 {percentile(values, 50) * 1000:.1f} ms,"
            f" p99 {percentile(values, 99) * 1000:.1f} ms, longest {max(values, default=0) * 1000:.0f} ms"
        )
    return "; ".join(texts)


def longest_hold(url: str) -> float:
    """The longest ACCESS EXCLUSIVE hold that the journal tells of."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT max(lock_held_seconds), count(*) FROM dotpeen.journal WHERE lock = 'ACCESS EXCLUSIVE'"
        ).fetchone()
    assert row is not None
    assert row[1] > 0
    return float(row[0])


def finished(process: subprocess.Popen[str], seconds: float = 180) -> str:
    """Wait for a command to succeed and return what it said on standard error."""
    _, stderr = process.communicate(timeout=seconds)
    assert process.returncode == 0, stderr
    return stderr


def column_there(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) = 3 FROM pg_attribute WHERE attname = 'persistentUuid' AND NOT attisdropped"
            " AND attrelid IN ('\"Part\"'::regclass, '\"Lot\"'::regclass, '\"Event\"'::regclass)"
        ).fetchone()
    return bool(row and row[0])


@pytest.fixture
def options(database: str, tmp_path: Path) -> tuple[str, ...]:
    file = tmp_path / "registry.toml"
    file.write_text(registry(tuple(KINDS)), encoding="utf-8")
    return ("-r", str(file), "--database-url", database)


def migrate_up(run_dotpeen: Any, options: tuple[str, ...], plant: Plant) -> str:
    """Run `migrate up` on two workers; once a column is there, inserts begin to say NULL for it."""
    process = run_dotpeen.start(*options, "migrate", "up", "--workers", "2")
    wait_until(lambda: column_there(plant.url) or process.poll() is not None, "the columns")
    plant.explicit_nulls = True
    return finished(process)


def test_a_small_plant_does_not_notice(database: str, options: tuple[str, ...], run_dotpeen: Any) -> None:
    with Waits(database) as waits, Plant(database, tuple(KINDS), rows=1500, seed=3, writers=2) as plant:
        migrate_up(run_dotpeen, options, plant)
    assert plant.check() == []
    # Beside other tests a core may be long in coming.
    assert waits.longest[0] < LIMIT + 1, waits.longest
    assert longest_hold(database) < LOCK_TIMEOUT


@pytest.mark.slow
def test_up_and_down_unnoticed(database: str, options: tuple[str, ...], run_dotpeen: Any) -> None:
    marks = {}
    with (
        Waits(database) as waits,
        Plant(database, tuple(KINDS), rows=25_000, seed=4, writers=4, readers=2) as plant,
    ):
        marks["before"] = time.monotonic()
        time.sleep(4)
        marks["up"] = time.monotonic()
        migrate_up(run_dotpeen, options, plant)
        marks["between"] = time.monotonic()
        time.sleep(2)
        plant.explicit_nulls = False
        marks["down"] = time.monotonic()
        finished(run_dotpeen.start(*options, "migrate", "down", "--yes"))
        marks["up again"] = time.monotonic()
        migrate_up(run_dotpeen, options, plant)
        marks["after"] = time.monotonic()
        time.sleep(2)
    hold = longest_hold(database)
    print(
        f"\n{figures(plant, marks)}; {len(waits.found)} lock waits behind us, longest {waits.longest};"
        f" longest ACCESS EXCLUSIVE hold {hold * 1000:.1f} ms"
    )
    assert plant.check() == []
    assert waits.longest[0] < LIMIT, waits.longest
    assert hold < LOCK_TIMEOUT


@pytest.mark.slow
def test_nobody_queues_long_behind_a_blocked_migration(
    database: str, options: tuple[str, ...], run_dotpeen: Any
) -> None:
    with (
        Waits(database) as waits,
        Plant(database, ("Part",), rows=2000, seed=5, writers=3) as plant,
        psycopg.connect(database, application_name="a report left open") as blocker,
    ):
        blocker.execute('SELECT count(*) FROM "Part"')  # and the transaction stays open
        process = run_dotpeen.start(*options, "migrate", "up", "--entity", "Part")
        lock_waited = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'dotpeen migrate' AND wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        with psycopg.connect(database, autocommit=True) as watch:
            wait_until(
                lambda: watch.execute(lock_waited).fetchone() or process.poll() is not None,
                "the migration waits for the lock",
            )
        time.sleep(3)
        blocker.rollback()
        stderr = finished(process)
        pid = blocker.info.backend_pid
    assert f"pid {pid} (user 'postgres', application 'a report left open', idle in transaction" in stderr
    assert plant.check() == []
    print(f"\n{len(waits.found)} waits behind the queued lock, longest {waits.longest}")
    assert waits.found != {}
    assert waits.longest[0] < LIMIT, waits.longest
