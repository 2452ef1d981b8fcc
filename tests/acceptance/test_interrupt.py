"""Stopped on purpose or cut off: it says how to go on, and going on finishes it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from acceptance.plant import KINDS, create, registry, wait_until

GO_ON = "dotpeen migrate up"
ROWS = 2000
HELD_BACK = 'batch_target = "10ms"\nbatch_min = 5\nbatch_max = 10'
"""Batches so small that the backfill lasts long enough to be met at work."""


class Site:
    """A database with one table, and the command line to migrate it with."""

    def __init__(self, url: str, run_dotpeen: Any) -> None:
        self.url = url
        self._run = run_dotpeen
        self._write(HELD_BACK)
        self.connection = psycopg.connect(url, autocommit=True)
        create(self.connection, KINDS["Part"], ROWS)

    def _write(self, migration: str) -> None:
        file = self._run.folder / "registry.toml"
        file.write_text(registry(("Part",), migration), encoding="utf-8")
        self._options = ("-r", file, "--database-url", self.url)

    def start(self) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = self._run.start(*self._options, "migrate", "up")
        return process

    def run(self, *arguments: str) -> Any:
        return self._run(*self._options, "migrate", *arguments)

    def ask(self, query: str) -> Any:
        row = self.connection.execute(query).fetchone()
        return row[0] if row else None

    def session(self, purpose: str, more: str = "") -> int | None:
        """The process id of a session of the migration."""
        found = self.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
            + more,
            [f"dotpeen {purpose}%"],
        ).fetchone()
        return found[0] if found else None

    def filling(self, process: subprocess.Popen[str]) -> None:
        """Return once the backfill is at work."""
        self.happens(process, lambda: self.session("backfill") and self.filled() > 20)

    def happens(self, process: subprocess.Popen[str], what: Any) -> None:
        wait_until(lambda: what() or process.poll() is not None, "the migration gets there")
        assert process.poll() is None, process.communicate()

    def filled(self) -> int:
        return int(self.ask('SELECT count("persistentUuid") FROM "Part"'))

    def uuids(self) -> dict[int, str]:
        query = 'SELECT id, "persistentUuid"::text FROM "Part" WHERE "persistentUuid" IS NOT NULL'
        return dict(self.connection.execute(query).fetchall())

    def goes_on(self) -> None:
        """`up` again keeps what was issued, finishes, and leaves nothing."""
        begun = self.ask(
            "SELECT count(*) FROM pg_attribute WHERE attname = 'persistentUuid' AND NOT attisdropped"
        )
        before = self.uuids() if begun else {}
        self._write("")
        again = self.run("up")
        assert again.returncode == 0, again.stderr
        after = self.uuids()
        assert len(after) == ROWS
        assert before.items() <= after.items()
        assert self.ask("SELECT count(*) FROM dotpeen.backfill_range") == 0
        assert self.ask("SELECT count(*) FROM dotpeen.worker WHERE ended_at IS NULL") == 0


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and what was said, without a traceback."""
    _, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr
    return process.returncode, stderr


@pytest.fixture
def site(database: str, run_dotpeen: Any) -> Iterator[Site]:
    site = Site(database, run_dotpeen)
    yield site
    site.connection.close()


@pytest.fixture(params=[(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def way(request: pytest.FixtureRequest) -> tuple[signal.Signals, int]:
    """A signal, and what a shell expects as the exit code after it."""
    signum, code = request.param
    return signum, code


def test_interrupted_backfill(site: Site, way: tuple[signal.Signals, int]) -> None:
    process = site.start()
    site.filling(process)
    process.send_signal(way[0])
    code, stderr = ended(process)
    assert (code, GO_ON in stderr) == (way[1], True), stderr
    wait_until(lambda: site.session("") is None, "its sessions are gone")
    assert 0 < site.filled() < ROWS
    site.goes_on()


def test_interrupted_wait_for_a_lock(site: Site, way: tuple[signal.Signals, int]) -> None:
    with psycopg.connect(site.url) as report:
        report.execute('SELECT count(*) FROM "Part"')
        process = site.start()
        site.happens(process, lambda: site.session("migrate", " AND wait_event_type = 'Lock'"))
        process.send_signal(way[0])
        code, stderr = ended(process)
        assert (code, GO_ON in stderr) == (way[1], True), stderr
        wait_until(lambda: site.session("") is None, "its sessions are gone, and nobody queues behind them")
        report.rollback()
    site.goes_on()


@pytest.mark.slow
def test_pause_stop_and_resume_from_elsewhere(site: Site) -> None:
    waiting = "SELECT waiting_for FROM dotpeen.worker WHERE ended_at IS NULL"

    def paused() -> bool:
        return "paused" in (site.ask(waiting) or "")

    assert site.run("up", "--to", "expand").returncode == 0
    with psycopg.connect(site.url) as editor:
        # A row that somebody has locked keeps the backfill from ending while the other commands start.
        editor.execute('SELECT FROM "Part" WHERE id = %s FOR UPDATE', [ROWS])
        process = site.start()
        site.filling(process)
        assert site.run("pause").returncode == 0
        site.happens(process, paused)
        assert "paused by" in site.run("status").stdout
        assert site.run("stop").returncode == 0
        code, stderr = ended(process)
        assert (code, GO_ON in stderr.lower()) == (1, True), stderr
        assert site.filled() < ROWS

    process = site.start()
    site.happens(process, paused)
    assert site.filled() < ROWS
    assert site.run("resume").returncode == 0
    code, stderr = ended(process)
    assert code == 0, stderr
    site.goes_on()


def test_lost_database(site: Site) -> None:
    process = site.start()
    site.filling(process)
    site.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'dotpeen %'"
    )
    code, stderr = ended(process)
    assert code == 1
    assert stderr.count("Error:") == 1, stderr
    assert "the connection to the database was lost" in stderr
    assert "run the command again" in stderr
    site.goes_on()
