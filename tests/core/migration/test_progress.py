"""`dotpeen.progress`: numbers that add up at any moment, whatever happens to the rows meanwhile."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dotpeen.migration import Stage
from dotpeen.migration.events import Event, RowsDone, StageCompleted
from dotpeen.migration.status import read_progress

from .plant import PART, Plant

QUERY = "SELECT stage, rows_total, rows_done, rows_todo, percent, workers, waiting_for FROM dotpeen.progress"


def test_before_during_and_after(parts: Plant, events: list[Event]) -> None:
    parts.declare(PART, batch_min=1, batch_max=10)
    seen: list[tuple[object, ...]] = []

    def notify(event: Event) -> None:
        events.append(event)
        if isinstance(event, RowsDone):
            seen.extend(parts.execute(QUERY))
            if len(seen) == 3:
                # Rows that come meanwhile have their UUID and are nobody's work; rows that go don't hold it up.
                parts.execute("INSERT INTO part SELECT n, 'n' || n FROM generate_series(1001, 1100) AS n")
                parts.execute("DELETE FROM part WHERE id > 280 AND id < 1000")

    with parts.runner() as runner:
        (fresh,) = read_progress(runner.connection, runner.entities)
        assert (fresh.stage, fresh.percent, fresh.rows_total) == ("not begun", None, None)
    parts.up(notify=notify)
    done = [row[2] for row in seen]
    assert done == sorted(done)  # type: ignore[type-var]
    assert all(row[1] == row[3] == 300 for row in seen)
    assert all(isinstance(row[4], Decimal) and 0 < row[4] < 100 for row in seen)
    assert all(row[5] == 1 and row[6] is None for row in seen)
    assert parts.execute(QUERY) == [("verify", 300, 300, 300, Decimal("100.0"), 0, None)]
    assert [event.stage for event in events if isinstance(event, StageCompleted)] == list(Stage)
    with parts.runner() as runner:
        (finished,) = read_progress(runner.connection, runner.entities)
    assert (finished.stage, finished.percent, finished.rows_per_second, finished.eta) == (
        "verify",
        100.0,
        None,
        None,
    )


@pytest.mark.parametrize("storage", ["column", "sidecar"])
def test_half_filled_counts_only_what_is_missing(plant: Plant, storage: str) -> None:
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id)")
    plant.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (200)")
    plant.execute("CREATE TABLE part_2 PARTITION OF part DEFAULT")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 300) AS n")
    plant.declare(f"[entities.Part]\ntable = 'part'\nuuid = {{ column = 'uuid', storage = '{storage}' }}")
    plant.up(to=Stage.EXPAND)
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(301, 500) AS n")
    plant.up()
    assert plant.execute(QUERY) == [("verify", 500, 300, 300, Decimal("100.0"), 0, None)]
    assert plant.value("SELECT sum(rows) FROM dotpeen.worker") == 300
    assert plant.value("SELECT max(pass) FROM dotpeen.backfill") == 1


def test_a_killed_worker_is_signed_off_though_another_session_has_its_number(parts: Plant) -> None:
    parts.up()
    parts.execute(
        "INSERT INTO dotpeen.worker (entity, name, backend_pid, started_at)"
        " SELECT 'Part', 'killed', pg_backend_pid(), now() - interval '1 hour'"
        " UNION ALL SELECT 'Part', 'at work', pg_backend_pid(), now()"
    )
    parts.up()
    assert parts.execute("SELECT name FROM dotpeen.worker WHERE ended_at IS NULL") == [("at work",)]
