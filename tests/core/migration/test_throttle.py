"""Being gentle: the time window, pause, resume and stop from elsewhere, limits on load, and work shared by commands."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from datetime import time as clock

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.errors import ConfigurationError, MigrationStoppedError
from dotpeen.migration import Stage, throttle
from dotpeen.migration.events import Event, Waiting
from dotpeen.migration.throttle import Throttle, Window

from .plant import PART, Plant

SLOW = {"batch_min": 1, "batch_max": 20}
minutes = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


@given(minutes, minutes)
def test_window_is_read_as_it_is_written(opens: clock, closes: clock) -> None:
    text = f"{opens:%H:%M}-{closes:%H:%M}"
    if opens == closes:
        with pytest.raises(ConfigurationError, match="is empty"):
            Window.parse(text)
    else:
        assert Window.parse(text) == Window(opens, closes)
        assert str(Window.parse(f" {text} ")) == text


@given(minutes, minutes, st.times())
def test_window_and_its_opposite_are_never_open_together(opens: clock, closes: clock, now: clock) -> None:
    if opens != closes:
        assert Window(opens, closes).is_open(now) != Window(closes, opens).is_open(now)
        assert Window(opens, closes).is_open(opens)
        assert not Window(opens, closes).is_open(closes)


@given(st.text())
def test_window_of_any_text_is_a_window_or_an_error(text: str) -> None:
    try:
        window = Window.parse(text)
    except ConfigurationError:
        return
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize(
    "text", ["", "22:00", "24:00-05:00", "22:60-05:00", "22-05", "-1:00-05:00", "٢٢:00-05:00"]
)
def test_no_window(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Window.parse(text)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def said(events: list[Event], text: str) -> bool:
    return any(isinstance(event, Waiting) and text in (event.reason or "") for event in events)


class Migration:
    """`up` in a thread of its own, after the column was added."""

    def __init__(self, plant: Plant, events: list[Event], window: Window | None = None) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(plant, events, window))
        self._thread.start()

    def _run(self, plant: Plant, events: list[Event], window: Window | None) -> None:
        try:
            plant.up(notify=events.append, window=window)
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def expanded(parts: Plant) -> Plant:
    """300 parts with an empty column, to be filled in small batches."""
    parts.declare(PART, **SLOW)
    parts.up(to=Stage.EXPAND)
    return parts


@contextmanager
def held(plant: Plant, events: list[Event], reason: str) -> Iterator[Migration]:
    """A migration that stands still for a reason; nothing may move until the block ends."""
    migration = Migration(plant, events)
    try:
        until(lambda: said(events, reason))
        done = plant.value("SELECT count(uuid) FROM part")
        time.sleep(0.3)
        assert plant.value("SELECT count(uuid) FROM part") == done < 300
        (waiting,) = plant.execute("SELECT waiting_for FROM dotpeen.progress")
        assert reason in waiting[0]
        yield migration
    finally:
        throttle.resume(plant.connection)
        migration.join()


def test_pause_and_resume_from_another_session(expanded: Plant, events: list[Event]) -> None:
    throttle.pause(expanded.connection, "the DBA")
    with held(expanded, events, "paused by the DBA") as migration:
        assert throttle.resume(expanded.connection)
    assert migration.error is None
    assert not throttle.resume(expanded.connection)
    assert expanded.value("SELECT count(uuid) FROM part") == 300


def test_stop_from_another_session_can_be_resumed(expanded: Plant, events: list[Event]) -> None:
    throttle.pause(expanded.connection, "the DBA")
    with held(expanded, events, "paused by the DBA") as migration:
        throttle.stop(expanded.connection, "the DBA")
        migration.join()
    assert isinstance(migration.error, MigrationStoppedError)
    assert migration.error.hint == "go on with `dotpeen migrate up`"
    # One that is started after the stop is not meant.
    assert [check for check in expanded.up() if check.outcome == "failed"] == []


def test_window_that_is_closed(expanded: Plant, events: list[Event]) -> None:
    now = datetime.now()
    opens, closes = clock((now.hour + 2) % 24), clock((now.hour + 3) % 24)
    migration = Migration(expanded, events, Window(opens, closes))
    until(lambda: said(events, f"outside {opens:%H:%M}-{closes:%H:%M}"))
    assert expanded.value("SELECT count(uuid) FROM part") == 0
    throttle.stop(expanded.connection, "the DBA")
    migration.join()
    assert isinstance(migration.error, MigrationStoppedError)


def test_too_many_active_sessions(expanded: Plant, events: list[Event]) -> None:
    # Other tests use the same server: its other sessions count, too.
    expanded.declare(PART, **SLOW, max_active_sessions=6)
    sleepers = [psycopg.connect(expanded.url, autocommit=True) for _ in range(8)]
    threads = [threading.Thread(target=_sleep, args=(sleeper,)) for sleeper in sleepers]
    for thread in threads:
        thread.start()
    try:
        until(
            lambda: (
                expanded.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%'")
                == 8
            )
        )
        with held(expanded, events, "sessions are active (max_active_sessions)") as migration:
            for sleeper in sleepers:
                sleeper.cancel_safe()
        assert migration.error is None
    finally:
        for sleeper in sleepers:
            sleeper.cancel_safe()
        for thread in threads:
            thread.join()
        for sleeper in sleepers:
            sleeper.close()
    assert expanded.value("SELECT count(uuid) FROM part") == 300


def _sleep(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(60)")


def test_sessions_that_wait_for_a_batch(parts: Plant) -> None:
    """Seen by the throttle while a worker's session holds rows that another wants."""
    worker = f"dotpeen {throttle.WORKER_PURPOSE} Part"
    with parts.connect(worker) as holder, parts.connect() as other:
        holder.execute("SELECT * FROM part WHERE id = 1 FOR UPDATE")
        waiter = threading.Thread(target=lambda: other.execute("UPDATE part SET number = 'x' WHERE id = 1"))
        waiter.start()
        with Throttle(parts.url, parts.registry.migration) as watch:
            until(lambda: watch.reason is not None)
            assert watch.reason == "1 sessions wait for rows of its batches (max_waiting_sessions)"
            holder.rollback()
            waiter.join()
            until(lambda: watch.reason is None)
        parts.declare(PART, max_waiting_sessions=1)
        other.rollback()


def test_database_that_can_not_be_watched_holds_the_work(parts: Plant) -> None:
    url = parts.url.replace("/test_", "/gone_")
    with Throttle(url, parts.registry.migration) as watch:
        assert watch.reason is not None
        assert watch.reason.startswith("the database can't be watched: ")


COMMAND = """
import sys
from dotpeen.migration import Runner
from dotpeen.registry import parse_registry
registry = parse_registry(sys.argv[2])
with Runner(sys.argv[1], registry, registry.select()) as runner:
    assert not [check for check in runner.up() if check.outcome == "failed"]
"""


def test_two_commands_share_the_work(plant: Plant) -> None:
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text)")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 3000) AS n")
    plant.execute("CREATE TABLE filled (id int PRIMARY KEY)")
    plant.up(to=Stage.EXPAND)
    # Every row is filled once: a second time would violate the key.
    plant.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO public.filled VALUES (NEW.id); RETURN NULL; END'"
    )
    plant.execute("CREATE TRIGGER note AFTER UPDATE ON part FOR EACH ROW EXECUTE FUNCTION note()")
    throttle.pause(plant.connection, "the test")
    # Small batches that take their time: both commands find work.
    registry = f"{PART}\n[migration]\nbatch_min = 1\nbatch_max = 10\n"
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, plant.url, registry], stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    until(lambda: plant.value("SELECT count(*) FROM dotpeen.worker WHERE waiting_for IS NOT NULL") == 2, 60)
    throttle.resume(plant.connection)
    for command in commands:
        _, error = command.communicate(timeout=60)
        assert (command.returncode, error) == (0, "")
    workers = plant.execute("SELECT name, rows FROM dotpeen.worker WHERE rows > 0")
    assert len({name.split("#")[0] for name, _ in workers}) == 2
    assert sum(rows for _, rows in workers) == 3000
    assert plant.value("SELECT count(*) FROM filled") == 3000
    assert plant.value("SELECT count(DISTINCT uuid) FROM part") == 3000
    assert plant.execute("SELECT * FROM dotpeen.backfill_range") == []
