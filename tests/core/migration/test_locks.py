"""Locks: short attempts that make nobody wait for long, blockers named, patience that ends, locks that are released."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from dotpeen.errors import LockNotObtainedError
from dotpeen.migration import Stage
from dotpeen.migration.events import Event, Waiting

from .plant import PART, Plant

IMPATIENT = {"lock_timeout": "100ms", "lock_patience": "1s"}


def reasons(events: list[Event]) -> list[str]:
    return [event.reason for event in events if isinstance(event, Waiting) and event.reason]


def test_patience_ends_with_the_blocker_named_and_nothing_changed(parts: Plant, events: list[Event]) -> None:
    parts.declare(PART, **IMPATIENT)
    before = parts.schema()
    with parts.connect("night shift report") as other:
        other.execute("SELECT count(*) FROM part")
        pid = other.info.backend_pid
        with pytest.raises(LockNotObtainedError) as caught:
            parts.up(notify=events.append)
    named = f"pid {pid} (user 'postgres', application 'night shift report', idle in transaction, transaction open for"
    assert caught.value.message.startswith("part: no lock after ")
    assert named in caught.value.message
    assert caught.value.table == "part"
    assert any(reason.startswith("lock on part: blocked by " + named) for reason in reasons(events))
    assert any(
        reason.startswith("lock on part: attempt 2 gave way after 100ms; next in")
        for reason in reasons(events)
    )
    assert parts.schema() == before
    (entry,) = parts.execute("SELECT action, detail FROM dotpeen.journal WHERE outcome = 'failed'")
    assert entry[0] == "column, default, fill trigger, guard trigger"
    assert named in entry[1]["error"]
    assert [check for check in parts.up() if check.outcome == "failed"] == []


def test_lock_is_had_once_it_is_released(parts: Plant, events: list[Event]) -> None:
    parts.declare(PART, lock_timeout="100ms", lock_patience="30s")
    with parts.connect() as other:
        other.execute("SELECT count(*) FROM part")

        def notify(event: Event) -> None:
            events.append(event)
            if any("attempt 2 gave way" in reason for reason in reasons([event])):
                other.rollback()

        parts.up(to=Stage.EXPAND, notify=notify)
    attempts, waited, held = parts.execute(
        "SELECT attempts, lock_wait_seconds, lock_held_seconds FROM dotpeen.journal WHERE lock = 'ACCESS EXCLUSIVE'"
    )[0]
    assert attempts > 1
    assert 0.1 <= waited < 30
    assert held < 0.5
    assert events[-1] != Waiting("Part", None)
    assert Waiting("Part", None) in events


def give_up(plant: Plant) -> None:
    with pytest.raises(LockNotObtainedError):
        plant.up()


def test_nobody_waits_behind_us_for_longer_than_the_timeout(parts: Plant) -> None:
    parts.declare(PART, lock_timeout="200ms", lock_patience="3s")
    longest = 0.0
    with parts.connect() as other:
        other.execute("SELECT count(*) FROM part")
        migration = threading.Thread(target=give_up, args=(parts,))
        migration.start()
        with psycopg.connect(parts.url, autocommit=True) as reader:
            while migration.is_alive():
                started = time.monotonic()
                reader.execute("SELECT count(*) FROM part")
                reader.execute("INSERT INTO part SELECT max(id) + 1, 'x' || max(id) FROM part")
                longest = max(longest, time.monotonic() - started)
        migration.join()
    # Two statements, each behind one attempt at most; and a busy test machine.
    assert longest < 1.0


def test_long_reader_of_a_partition_is_not_in_the_way_of_others(plant: Plant) -> None:
    """Attaching an index needs the partition's index for itself: with a timeout, too."""
    plant.execute("CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    plant.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000)")
    plant.execute("INSERT INTO part SELECT * FROM generate_series(1, 100)")
    plant.declare(PART, **IMPATIENT)
    plant.up(to=Stage.BACKFILL)
    # As a build leaves it that died before the index was attached.
    plant.execute("CREATE UNIQUE INDEX part_uuid_key ON ONLY part (uuid, id)")
    plant.execute("CREATE UNIQUE INDEX part_1_uuid_key ON part_1 (uuid, id)")
    with plant.connect("reader") as other:
        other.execute("SELECT count(*) FROM part_1")
        with pytest.raises(LockNotObtainedError, match="application 'reader'"):
            plant.up()
    assert [check for check in plant.up() if check.outcome == "failed"] == []


def test_index_build_names_whom_it_waits_for(parts: Plant, events: list[Event]) -> None:
    parts.declare(PART, **IMPATIENT)
    parts.up(to=Stage.BACKFILL)
    with parts.connect("long report") as other:
        other.execute("INSERT INTO part VALUES (1001, 'uncommitted')")

        def notify(event: Event) -> None:
            events.append(event)
            if any("application 'long report'" in reason for reason in reasons([event])):
                other.commit()

        parts.up(notify=notify)
    assert any("application 'long report'" in reason for reason in reasons(events))
    assert parts.failed() == {}


def test_drop_of_a_sidecar_waits_for_no_reader_without_limit(parts: Plant) -> None:
    """Dropping the partition locks `dotpeen.identity`, where every lookup passes."""
    parts.declare("[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }", **IMPATIENT)
    parts.up()
    issued = parts.identities()
    parts.down(to=Stage.EXPAND)
    with parts.connect("lookup") as other:
        other.execute("SELECT count(*) FROM dotpeen.identity")
        with pytest.raises(LockNotObtainedError, match="application 'lookup'"):
            parts.down()
    assert parts.down() == {"Part": 300}
    parts.up()
    assert parts.identities() == issued


def test_rows_locked_by_the_plant_are_filled_when_they_are_free(parts: Plant, events: list[Event]) -> None:
    parts.up(to=Stage.EXPAND)
    with parts.connect() as other:
        other.execute("SELECT * FROM part WHERE id IN (5, 200) FOR UPDATE")
        migration = threading.Thread(target=lambda: parts.up(to=Stage.BACKFILL, notify=events.append))
        migration.start()
        deadline = time.monotonic() + 20
        while parts.value("SELECT count(uuid) FROM part") < 298 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert parts.execute("SELECT id FROM part WHERE uuid IS NULL ORDER BY 1") == [(5,), (200,)]
        other.rollback()
        migration.join()
    assert any(
        reason and reason.startswith("another session holds a lock on rows") for reason in reasons(events)
    )
    assert parts.value("SELECT count(DISTINCT uuid) FROM part") == 300
