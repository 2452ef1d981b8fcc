"""PostgreSQL goes away and comes back: callers are told, nobody waits for long, and nothing has to be restarted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from acceptance.private_server import PrivateServer
from acceptance.serving import INTERNAL_TOKEN, Books, Serving, busy, part_paths, wait_for
from core.api.conftest import build
from postgres import Run

pytestmark = pytest.mark.slow

TIMEOUT = 2.0
"""`request_timeout` of these servers in seconds."""
INTERNAL = {"authorization": f"Bearer {INTERNAL_TOKEN}"}


class Plant:
    """A server of PostgreSQL of the test's own, with the sample MES."""

    def __init__(self, server: PrivateServer) -> None:
        self.server = server
        self.url = server.database("plant")
        build(self.url)

    def restart(self, away: float) -> None:
        self.server.kill()
        time.sleep(away)
        self.server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Everything of it stands still, and no connection breaks."""
        with psycopg.connect(self.url) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        everyone = [postmaster, *postmaster.children(recursive=True)]
        for process in everyone:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in everyone:
                os.kill(process.pid, signal.SIGCONT)


@pytest.fixture
def plant(test_run: Run, request: pytest.FixtureRequest) -> Iterator[Plant]:
    name = f"outage_{os.getpid()}_{abs(hash(request.node.name))}"
    server = PrivateServer(test_run, name)
    yield Plant(server)
    server.stop()


def start(run_dotpeen: Any, plant: Plant, *options: str) -> tuple[Serving, str]:
    settings = f'request_timeout = "{TIMEOUT:g}s"\nrate_limit = "0"'
    serving = Serving(run_dotpeen, plant.url, *options, settings=settings)
    token = serving.token()
    time.sleep(1.5)  # until every process knows the partner
    return serving, token


def is_ready(serving: Serving) -> int:
    return httpx.get(f"{serving.url}/health/ready", headers=INTERNAL, timeout=30).status_code


def assert_only_told(books: Books) -> None:
    """Every request was answered, in time, with the record or with 503 and a problem that says why."""
    assert books.errors == []
    assert set(books.statuses) <= {200, 503}
    assert set(books.bodies) <= {"/problems/database-unavailable", "/problems/timeout"}
    # What a busy machine adds is not the server's.
    assert books.longest < TIMEOUT + 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_readers_are_told_and_then_answered_again(run_dotpeen: Any, plant: Plant, workers: str) -> None:
    serving, token = start(run_dotpeen, plant, "--workers", workers)
    processes = serving.workers
    with busy(serving.url, part_paths(plant.url), token, clients=8) as books:
        wait_for(lambda: books.statuses[200] > 100, "the clients are at work")
        plant.restart(away=3)
        back = time.monotonic()
        wait_for(lambda: books.since(back)[200] > 200, "they are answered again")
        time.sleep(2)
        settled = time.monotonic()
        time.sleep(1)
    assert_only_told(books)
    assert books.statuses[503] > 0
    assert set(books.since(settled)) == {200}, "no dead connection is left in the pool"
    assert serving.workers == processes, "nothing was started anew"
    assert serving.stop() == 0


def test_a_short_restart_again_and_again(run_dotpeen: Any, plant: Plant) -> None:
    serving, token = start(run_dotpeen, plant)
    with busy(serving.url, part_paths(plant.url), token) as books:
        for _ in range(3):
            before = time.monotonic()
            wait_for(lambda at=before: books.since(at)[200] > 50, "the clients are answered")
            plant.restart(away=0)
        back = time.monotonic()
        wait_for(lambda: books.since(back)[200] > 100, "they are answered again")
    assert_only_told(books)


def test_a_database_that_stands_still_holds_nobody_up(run_dotpeen: Any, plant: Plant) -> None:
    serving, token = start(run_dotpeen, plant)
    paths = [*part_paths(plant.url)[:3], "/api/v1/external/parts?limit=5", "/api/v1/external/parts?limit=2"]
    with busy(serving.url, paths, token, clients=12) as books:
        wait_for(lambda: books.statuses[200] > 100, "the clients are at work")
        with plant.frozen():
            frozen = time.monotonic()
            live = []
            while time.monotonic() < frozen + 3 * TIMEOUT:
                began = time.monotonic()
                assert httpx.get(f"{serving.url}/health/live", timeout=30).status_code == 200
                live.append(time.monotonic() - began)
                time.sleep(0.1)
        back = time.monotonic()
        wait_for(lambda: books.since(back)[200] > 200, "they are answered again")
    assert_only_told(books)
    assert max(live) < 2, "the loop turned all the time"
    assert sum(books.since(frozen).values()) > 12


def test_readiness_follows_the_database(run_dotpeen: Any, plant: Plant) -> None:
    serving, _ = start(run_dotpeen, plant)
    assert is_ready(serving) == 200
    plant.server.kill()
    wait_for(lambda: is_ready(serving) == 503, "not ready")
    began = time.monotonic()
    answer = httpx.get(f"{serving.url}/health/ready", headers=INTERNAL, timeout=30)
    assert time.monotonic() - began < 3
    assert (answer.json()["status"], answer.json()["checks"]["database"]["ok"]) == ("not ready", False)
    assert httpx.get(f"{serving.url}/health/ready").json() == {"status": "not ready"}
    assert httpx.get(f"{serving.url}/health/live").status_code == 200
    scraped = serving.metrics()
    assert scraped["dotpeen_database_up"] == 0.0
    assert not any(name.startswith("dotpeen_migration") for name in scraped), "what is not known is not told"
    plant.server.start()
    wait_for(lambda: is_ready(serving) == 200, "ready again")
    wait_for(lambda: serving.metrics()["dotpeen_database_up"] == 1.0, "up again")
    assert serving.stop() == 0


def test_it_ends_while_the_database_is_away(run_dotpeen: Any, plant: Plant) -> None:
    serving, token = start(run_dotpeen, plant, "--workers", "2")
    with busy(serving.url, part_paths(plant.url), token, until_refused=True) as books:
        plant.server.kill()
        wait_for(lambda: books.statuses[503] > 3, "the clients are told")
        began = time.monotonic()
        assert serving.stop() == 0
        assert time.monotonic() - began < 25
    assert_only_told(books)


def test_a_worker_that_dies_meanwhile_is_back_afterwards(run_dotpeen: Any, plant: Plant) -> None:
    serving, token = start(run_dotpeen, plant, "--workers", "2")
    plant.server.kill()
    for worker in serving.workers:
        worker.kill()
    time.sleep(5)
    plant.server.start()
    path = part_paths(plant.url)[0]

    def answered() -> bool:
        try:
            answer = httpx.get(serving.url + path, headers={"authorization": f"Bearer {token}"}, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    wait_for(answered, "it answers again", seconds=90)
    assert serving.stop() == 0
