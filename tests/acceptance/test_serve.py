"""`dotpeen serve`, as a DevOps person starts it, loads it, kills it and stops it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from acceptance.serving import INTERNAL_TOKEN, Serving, busy, part_paths, wait_for
from core.api.conftest import build
from dotpeen.database.connect import describe
from postgres import Server

pytestmark = pytest.mark.slow

RECORD = "/api/v1/external/parts/{uuid}"


def requests(status: int, route: str = RECORD) -> str:
    return f'dotpeen_http_requests_total{{entity="Part",method="GET",route="{route}",status="{status}"}}'


@pytest.fixture
def plant(server: Server) -> Iterator[str]:
    """The sample MES, migrated."""
    url = server.create(server.template("api", build))
    yield url
    server.drop(url)


def test_it_says_where_it_answers_and_what_is_open(run_dotpeen: Any, plant: str) -> None:
    serving = Serving(run_dotpeen, plant, "--internal-port", "0")
    assert (
        serving.announced("external")
        == f"{serving.url}/api/v1/external, 0 partners yet (dotpeen partner add)"
    )
    inside = serving.internal_url
    assert (
        serving.announced("internal") == f"{inside}/api, no token; {serving.url}/api, with the internal token"
    )
    assert serving.announced("docs") == f"{serving.url}/docs"
    assert serving.announced("metrics") == f"{inside}/metrics"
    assert serving.announced("entities") == "8"
    token = serving.token()
    path = part_paths(plant)[0]
    wait_for(
        lambda: (
            httpx.get(serving.url + path, headers={"authorization": f"Bearer {token}"}).status_code == 200
        ),
        "the partner is known",
    )
    statuses = {
        url: httpx.get(url).status_code
        for url in (
            f"{serving.url}/api/parts",
            f"{serving.url}/docs",
            f"{inside}/api/parts",
            f"{inside}/metrics",
            f"{inside}{path}",
        )
    }
    assert list(statuses.values()) == [401, 200, 200, 200, 401]
    assert serving.stop() == 0
    assert serving.process.stdout is not None
    assert serving.process.stdout.read() == ""


def test_without_token_and_port_the_internal_routes_are_not_there(run_dotpeen: Any, plant: str) -> None:
    run_dotpeen.folder.joinpath("registry.toml").write_text("")
    serving = Serving(run_dotpeen, plant)
    serving.stop()
    text = serving.registry.read_text().replace('internal_token = "env:TEST_INTERNAL"', "")
    serving.registry.write_text(text)
    process = run_dotpeen.start("-r", serving.registry, "--database-url", plant, "serve", "--port", "0")
    lines = [process.stderr.readline() for _ in range(7)]
    url = lines[0].split()[-1]
    assert lines[2].split(maxsplit=1)[1] == "closed ([api] internal_token or internal_port opens it)\n"
    assert [httpx.get(url + path).status_code for path in ("/api/parts", "/metrics", "/docs")] == [
        404,
        404,
        200,
    ]
    ready = httpx.get(f"{url}/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


def test_a_port_in_use_is_one_clear_error(run_dotpeen: Any, plant: str, tmp_path: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
        for workers in ("1", "2"):
            done = run_dotpeen("--database-url", plant, "serve", "--port", str(port), "--workers", workers)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.splitlines() == [
                f"Error: port {port} of 127.0.0.1 is in use",
                "  → by another `dotpeen serve`, perhaps; --port takes another",
            ]


def test_an_address_of_another_machine_is_one_clear_error(
    run_dotpeen: Any, plant: str, tmp_path: Any
) -> None:
    (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
    done = run_dotpeen("--database-url", plant, "serve", "--host", "203.0.113.7")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "Error: 203.0.113.7 is not an address of this machine",
    )


def test_a_database_that_is_not_there_is_one_clear_error(run_dotpeen: Any, tmp_path: Any) -> None:
    (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
    done = run_dotpeen("--database-url", "postgresql://nobody@127.0.0.1:9/none", "serve", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: can't connect to database none on 127.0.0.1:9")


def test_it_brings_its_schema_up_to_date(run_dotpeen: Any, database: str) -> None:
    """A database that never saw Dotpeen: the server makes its schema, and answers that nothing is migrated."""
    from dotpeen.demo.run import build_plant

    build_plant(database, 100)
    serving = Serving(run_dotpeen, database)
    assert serving.announced("entities").startswith("8, of which 8 have no UUIDs yet: Part, ")
    ready = httpx.get(f"{serving.url}/health/ready", headers={"authorization": f"Bearer {INTERNAL_TOKEN}"})
    assert ready.status_code == 503
    checks = ready.json()["checks"]
    assert (checks["schema"]["ok"], checks["entities"]["ok"]) == (True, False)
    assert serving.stop() == 0


def test_a_database_without_any_entity_is_not_served(run_dotpeen: Any, database: str, tmp_path: Any) -> None:
    (tmp_path / "registry.toml").write_text("[entities.Ghost]\n[entities.Part]\n")
    done = run_dotpeen("--database-url", database, "serve", "--port", "0")
    assert done.returncode == 2
    named = describe(database)
    assert done.stderr.startswith(f"Error: {named} has no table of any entity in registry.toml\n")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regnamespace('dotpeen')").fetchone() == (None,)


def test_an_entity_without_its_table_is_named(run_dotpeen: Any, plant: str) -> None:
    run_dotpeen.folder.joinpath("ghost.toml").write_text(
        '[api]\ninternal_token = "env:TEST_INTERNAL"\n[entities.Part]\n[entities.Ghost]\n'
    )
    serving = Serving(run_dotpeen, plant, registry=run_dotpeen.folder / "ghost.toml")
    assert serving.announced("database") == describe(plant).removeprefix("database ")
    missing = "not in this database: Ghost (no table Ghost); dotpeen check says more"
    assert serving.announced("entities") == f"1; {missing}"
    ready = httpx.get(f"{serving.url}/health/ready", headers={"authorization": f"Bearer {INTERNAL_TOKEN}"})
    assert (ready.status_code, ready.json()["checks"]["entities"]) == (
        200,
        {"ok": True, "ready": ["Part"], "notReady": {"Ghost": "no table Ghost"}},
    )
    assert (
        'dotpeen_entity_ready{entity="Ghost"} 0.0'
        in httpx.get(f"{serving.url}/metrics", headers={"authorization": f"Bearer {INTERNAL_TOKEN}"}).text
    )
    assert serving.stop() == 0


def test_a_role_that_may_not_is_told_what_it_needs(run_dotpeen: Any, database: str, tmp_path: Any) -> None:
    (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
    name = f"reader_{os.getpid()}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Part" (id int PRIMARY KEY, "partNumber" text UNIQUE)')
        connection.execute(f"CREATE ROLE {name} LOGIN")
        try:
            url = psycopg.conninfo.make_conninfo(database, user=name)
            done = run_dotpeen("--database-url", url, "serve", "--port", "0")
        finally:
            connection.execute(f"DROP ROLE {name}")
    assert done.returncode == 2
    assert f"role '{name}' may not create schema dotpeen" in done.stderr
    assert "GRANT CREATE ON DATABASE" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6])
def test_it_ends_in_order_before_it_ever_answered(
    run_dotpeen: Any, plant: str, tmp_path: Any, workers: str, seconds: float
) -> None:
    (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
    process = run_dotpeen.start("--database-url", plant, "serve", "--port", "0", "--workers", workers)
    with psycopg.connect(plant, autocommit=True) as connection:
        query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        wait_for(lambda: connection.execute(query).rowcount, "it is at work")
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, process.stderr.read()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_without_losing_a_request(
    run_dotpeen: Any, plant: str, workers: str, number: signal.Signals
) -> None:
    serving = Serving(run_dotpeen, plant, "--workers", workers, settings='rate_limit = "0"')
    token = serving.token()
    time.sleep(1.2)  # until every process knows the partner
    with busy(serving.url, part_paths(plant), token, clients=8, until_refused=True) as books:
        wait_for(lambda: books.statuses[200] > 200, "the clients are at work")
        began = time.monotonic()
        assert serving.stop(number) == 0
        took = time.monotonic() - began
        wait_for(lambda: books.refused == 8, "every client is refused")
    assert books.errors == []
    assert set(books.statuses) == {200}
    assert took < 15


def test_a_second_signal_ends_it_at_once(run_dotpeen: Any, plant: str) -> None:
    for workers, number in (("1", signal.SIGINT), ("2", signal.SIGTERM)):
        serving = Serving(run_dotpeen, plant, "--workers", workers)
        with locked(plant), socket_of(serving.url) as connection:
            ask_for_parts(connection)
            time.sleep(0.5)
            serving.process.send_signal(number)
            time.sleep(2.5)
            assert serving.process.poll() is None, "it waits for the request under way"
            began = time.monotonic()
            serving.process.send_signal(number)
            assert serving.ended() == 128 + number
            assert time.monotonic() - began < 5


class locked:  # noqa: N801 - reads as what it gives
    """The table of parts, so that nobody can read it."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def __enter__(self) -> None:
        self._connection.execute('LOCK TABLE "Part" IN ACCESS EXCLUSIVE MODE')

    def __exit__(self, *exception: object) -> None:
        self._connection.close()


def socket_of(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def ask_for_parts(connection: socket.socket) -> None:
    head = f"GET /api/parts?limit=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {INTERNAL_TOKEN}\r\n\r\n"
    connection.sendall(head.encode())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_under_way_is_answered_before_the_end(run_dotpeen: Any, plant: str, workers: str) -> None:
    serving = Serving(run_dotpeen, plant, "--workers", workers)
    with socket_of(serving.url) as connection:
        with locked(plant):
            ask_for_parts(connection)
            time.sleep(0.5)
            serving.process.send_signal(signal.SIGTERM)
            time.sleep(2)
            assert serving.process.poll() is None
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert serving.ended() == 0


def test_a_killed_worker_is_replaced_and_the_other_answers(run_dotpeen: Any, plant: str) -> None:
    serving = Serving(run_dotpeen, plant, "--workers", "2", settings='rate_limit = "0"')
    token = serving.token()
    time.sleep(1.2)
    with busy(serving.url, part_paths(plant), token, clients=8) as books:
        wait_for(lambda: books.statuses[200] > 200, "the clients are at work")
        before = serving.workers
        assert len(before) == 2
        before[0].kill()
        killed = time.monotonic()
        wait_for(
            lambda: len({one.pid for one in serving.workers} - {one.pid for one in before}) == 1, "a new one"
        )
        wait_for(lambda: books.since(killed)[200] > 200, "the other one answers")
        wait_for(lambda: serving.metrics()["dotpeen_processes"] == 2.0, "the new one answers, too")
    assert set(books.statuses) == {200}
    assert len(books.errors) <= 8, "only what the dead process was busy with is lost"
    assert serving.metrics()["dotpeen_process_restarts_total"] == 1.0
    assert serving.stop() == 0


def test_a_killed_worker_takes_no_count_with_it(run_dotpeen: Any, plant: str) -> None:
    serving = Serving(run_dotpeen, plant, "--workers", "2", settings='rate_limit = "0"')
    headers = {"authorization": f"Bearer {serving.token()}"}
    time.sleep(1.2)
    paths = part_paths(plant)
    for turn in range(30):
        # A connection each: either process takes it.
        assert httpx.get(serving.url + paths[turn % len(paths)], headers=headers).status_code == 200
    assert serving.metrics()[requests(200)] == 30.0
    for worker in serving.workers:
        worker.kill()
    wait_for(lambda: serving.said('"process died"'), "the supervisor notices")
    wait_for(lambda: _answers(serving), "they are replaced")
    assert httpx.get(serving.url + paths[0], headers=headers).status_code == 200
    assert serving.metrics()[requests(200)] == 31.0


def _answers(serving: Serving) -> bool:
    try:
        return serving.metrics()["dotpeen_processes"] == 2.0
    except httpx.HTTPError:
        return False


def test_workers_end_with_the_process_that_started_them(run_dotpeen: Any, plant: str) -> None:
    serving = Serving(run_dotpeen, plant, "--workers", "2")
    workers = serving.workers
    serving.process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert (len(gone), alive) == (2, [])
    with pytest.raises(httpx.ConnectError):
        httpx.get(serving.url)


def test_every_line_of_the_log_is_json_and_none_holds_a_secret(run_dotpeen: Any, plant: str) -> None:
    serving = Serving(run_dotpeen, plant, settings="access_log = true")
    token = serving.token()
    time.sleep(1.2)
    path = part_paths(plant)[0]
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {
        "authorization": f"Bearer {token}",
        "x-request-id": "order-4711",
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
    }
    httpx.get(f"{serving.url}{path}?fields=partNumber", headers=sent)
    httpx.get(f"{serving.url}/api/v1/external/parts?status=query-value-that-is-secret", headers=sent)
    httpx.post(
        f"{serving.url}/api/v1/external/parts/batch", headers=sent, json={"uuids": ["body-that-is-secret"]}
    )
    httpx.get(f"{serving.url}/api/parts/{token}", headers={"authorization": f"Bearer {INTERNAL_TOKEN}"})
    httpx.get(f"{serving.url}/api/parts", headers={"authorization": "Bearer guessed-token-that-is-secret"})
    with psycopg.connect(plant) as connection:
        # An error that nobody foresaw, whose message holds a value of the plant.
        query = 'SELECT "partNumber" FROM "Part" ORDER BY "persistentUuid"'
        (number,) = connection.execute(query).fetchone()  # type: ignore[misc]
        connection.execute(
            "CREATE FUNCTION broken(value text) RETURNS text LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'broken by %', value USING ERRCODE = 'XX000'; END $$"
        )
        connection.execute('ALTER TABLE "Part" RENAME TO "PartTable"')
        connection.execute(
            'CREATE VIEW "Part" AS SELECT id, "persistentUuid", broken("partNumber") AS "partNumber", description,'
            ' "materialType", status, "createdAt", "updatedAt" FROM "PartTable"'
        )
    broken = httpx.get(serving.url + path + "?fields=partNumber", headers=sent)
    assert broken.status_code == 500, broken.text
    assert serving.stop() == 0
    assert all(line.startswith("{") for line in serving.lines[7:]), serving.output
    lines = [line for line in serving.log if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in lines[:2]] == [
        ("GET", RECORD, 200),
        ("GET", "/api/v1/external/parts", 200),
    ]
    ours = [line for line in serving.log if line.get("requestId") == "order-4711"]
    assert {line["traceId"] for line in ours} == {trace}
    assert len({line["spanId"] for line in lines}) == len(lines)
    assert [line["status"] for line in ours if line["event"] == "request"] == [200, 200, 400, 500]
    failure = next(line for line in ours if "exception" in line)
    assert (failure["level"], failure["exception"]["sqlstate"]) == ("error", "XX000")
    secrets = ["secret", token, token.split("_")[2], path.rsplit("/", 1)[1], number, "00f067aa0ba902b7"]
    assert [word for word in secrets if word in serving.output] == []


def test_the_help_says_what_there_is_to_know(run_dotpeen: Any) -> None:
    done = run_dotpeen("serve", "--help")
    assert done.returncode == 0
    for word in ("--workers", "--internal-port", "/docs", "/metrics", "SIGTERM"):
        assert word in done.stdout


def test_another_process_manager_finds_the_application(run_dotpeen: Any, plant: str, tmp_path: Any) -> None:
    (tmp_path / "registry.toml").write_text('[entities.Part]\nbusiness_id = "partNumber"\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOTPEEN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "dotpeen.api.server:app", "--port", str(port)],
        cwd=tmp_path,
        env=inherited | {"DOTPEEN_DATABASE_URL": plant, "DOTPEEN_REGISTRY": str(tmp_path / "registry.toml")},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/health/ready"

        def ready() -> bool:
            try:
                return httpx.get(url).json() == {"status": "ready"}
            except httpx.HTTPError:
                assert process.poll() is None, process.communicate()
                return False

        wait_for(ready, "it answers")
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert [line for line in errors.splitlines() if line.startswith("{") and not json.loads(line)] == []
