"""A replica that falls behind holds the backfill back, and has every UUID in the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from acceptance.plant import KINDS, create, registry
from acceptance.private_server import PrivateServer
from dotpeen.migration import Runner, Stage
from dotpeen.migration.events import Event, Waiting
from dotpeen.registry import parse_registry
from postgres import Run

ROWS = 15_000
SETTINGS = 'max_replica_lag = "1s"\nbatch_target = "5ms"\nbatch_min = 5\nbatch_max = 5'
UUIDS = 'SELECT array_agg("persistentUuid"::text ORDER BY id) FROM "Part"'


@pytest.fixture
def primary(test_run: Run) -> Iterator[PrivateServer]:
    server = PrivateServer(test_run, "primary")
    yield server
    server.stop()


@pytest.fixture
def standby(primary: PrivateServer) -> Iterator[PrivateServer]:
    server = primary.standby("standby")
    yield server
    server.stop()


@pytest.mark.slow
def test_backfill_stands_still_while_a_replica_lags(primary: PrivateServer, standby: PrivateServer) -> None:
    url = primary.database("plant")
    with psycopg.connect(url, autocommit=True) as connection:
        create(connection, KINDS["Part"], ROWS)
    set_apply_delay(standby, "2s")
    held_back = threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Waiting) and event.reason and event.reason.startswith("a replica is"):
            held_back.set()

    site = parse_registry(registry(("Part",), SETTINGS))
    with Runner(url, site, site.select(), notify=watch) as runner:
        migration = threading.Thread(target=runner.up, kwargs={"to": Stage.BACKFILL})
        migration.start()
        assert held_back.wait(60)
        set_apply_delay(standby, "0")
        migration.join(120)

    with psycopg.connect(url) as connection:
        uuids = connection.execute(UUIDS).fetchone()
        there = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    assert uuids is not None
    assert len(set(uuids[0])) == ROWS
    with psycopg.connect(
        url.replace(primary.url.split("host=")[1], standby.url.split("host=")[1])
    ) as replica:
        while replica.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", there).fetchone() == (True,):
            replica.execute("SELECT pg_sleep(0.1)")
        assert replica.execute(UUIDS).fetchone() == uuids


def set_apply_delay(server: PrivateServer, delay: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'")
        connection.execute("SELECT pg_reload_conf()")
