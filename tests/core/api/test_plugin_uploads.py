"""Bodies that a plugin's routes read as they come, and what these routes find in the state of a request."""

from __future__ import annotations

import hashlib
import http.client
import resource
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from core.foreign import install
from dotpeen.api import protocol
from dotpeen.api.plugin_host import AT_ONCE
from dotpeen.demo.run import registry_text
from dotpeen.plugins import load_plugins
from dotpeen.registry import parse_registry

from .conftest import Api, build, serving

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
LIMIT = 40 * MEGABYTE
SECONDS = 0.6

DOCK = """
import hashlib
import time

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from dotpeen.hooks import ApiRouter, hookimpl

external = APIRouter()
few = APIRouter()
ended = []


@external.post("/parts/{uuid}/files", status_code=201)
async def take(uuid: str, request: Request):
    digest, size = hashlib.sha256(), 0
    try:
        async for piece in request.stream():
            digest.update(piece)
            size += len(piece)
    finally:
        ended.append(size)
    return {"size": size, "sha256": digest.hexdigest()}


@external.post("/parts/{uuid}/files-unread", status_code=202)
async def leave(uuid: str):
    return {"read": False}


@external.post("/parts/{uuid}/files-late")
async def late(uuid: str, request: Request):
    async for piece in request.stream():
        pass
    await run_in_threadpool(time.sleep, 3)


@few.post("/parts/{identifier}/note")
def note(identifier: str, request: Request):
    with request.state.records.transaction() as within:
        part = within.update("Part", identifier, {"description": "noted"})
        name = within.connection.execute("SELECT pg_catalog.current_database()::text").fetchone()[0]
    request.state.changed = ["description"]
    return {"part": str(part.uuid), "database": name, "partner": request.state.partner}


@hookimpl
def dotpeen_api_routers(registry):
    return [ApiRouter(external, "Part", max_body=%d, timeout=%g), ApiRouter(few, "Part")]
""" % (LIMIT, SECONDS)  # noqa: UP031 - braces are the paths'


@pytest.fixture(scope="module")
def dock(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The sample MES with the plugin `dock`, which takes files."""
    folder = tmp_path_factory.mktemp("dock")
    install(folder, "dock", DOCK)
    sys.path.insert(0, str(folder))
    url = server.create(server.template("api", build))
    found = parse_registry(f"[plugins.dock]\n{registry_text()}")
    registry = found.model_copy(
        update={
            "api": found.api.model_copy(update={"request_timeout": timedelta(seconds=20), "rate_limit": "0"})
        }
    )
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def part(dock: Api) -> str:
    """Where a part is, externally."""
    with psycopg.connect(dock.database) as connection:
        row = connection.execute('SELECT "persistentUuid"::text FROM "Part" LIMIT 1').fetchone()
    assert row is not None
    return f"{dock.url}/api/v1/external/parts/{row[0]}"


def pieces(count: int, *, pause: float = 0.0) -> Iterator[bytes]:
    for _ in range(count):
        time.sleep(pause)
        yield bytes(MEGABYTE)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_far_larger_than_max_body_is_read_as_it_comes(dock: Api, part: str, *, chunked: bool) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    length = {} if chunked else {"content-length": str(40 * MEGABYTE)}
    answer = httpx.post(f"{part}/files", headers=dock.partner | length, content=pieces(40), timeout=30)
    whole = {"size": 40 * MEGABYTE, "sha256": hashlib.sha256(bytes(40 * MEGABYTE)).hexdigest()}
    assert (answer.status_code, answer.json()) == (201, whole)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000, "kilobytes"


def test_a_body_that_is_empty(dock: Api, part: str) -> None:
    assert httpx.post(f"{part}/files", headers=dock.partner).json()["size"] == 0


def test_more_than_the_limit_is_refused_before_or_on_the_way(dock: Api, part: str) -> None:
    declared = httpx.post(f"{part}/files", headers=dock.partner, content=bytes(LIMIT + 1), timeout=30)
    on_the_way = httpx.post(f"{part}/files", headers=dock.partner, content=pieces(41), timeout=30)
    for answer in (declared, on_the_way):
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
        assert answer.json()["detail"] == f"a body may have {LIMIT} bytes"
    assert httpx.post(f"{part}/files", headers=dock.partner, content=b"x").status_code == 201


def test_other_routes_of_the_plugin_have_the_limit_of_the_site(dock: Api, part: str) -> None:
    answer = httpx.post(f"{part}/note", headers=dock.partner, content=bytes(2 * MEGABYTE))
    assert answer.status_code == 413


def test_what_is_compressed_is_refused(dock: Api, part: str) -> None:
    headers = dock.partner | {"content-encoding": "gzip"}
    assert httpx.post(f"{part}/files", headers=headers, content=b"x").status_code == 415


def test_an_answer_before_the_body_is_read_reaches_its_client(dock: Api, part: str) -> None:
    for count in (1, 12):
        answer = httpx.post(f"{part}/files-unread", headers=dock.partner, content=pieces(count))
        assert (answer.status_code, answer.headers["connection"]) == (202, "close")


def test_a_slow_client_has_its_time_and_a_slow_route_has_not(dock: Api, part: str) -> None:
    slow = httpx.post(f"{part}/files", headers=dock.partner, content=pieces(3, pause=SECONDS), timeout=30)
    assert slow.json()["size"] == 3 * MEGABYTE
    late = httpx.post(f"{part}/files-late", headers=dock.partner, content=b"x", timeout=30)
    assert (late.status_code, late.json()["type"]) == (503, "/problems/timeout")


def test_a_client_that_goes_away_ends_its_route(dock: Api, part: str) -> None:
    import installed_dock  # type: ignore[import-not-found]

    parts = urlsplit(part)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest("POST", f"{parts.path}/files")
    for name, value in (dock.partner | {"content-length": "1000000"}).items():
        connection.putheader(name, value)
    connection.endheaders(b"x" * 1000)
    before = len(installed_dock.ended)
    time.sleep(0.2)
    assert isinstance(connection.sock, socket.socket)
    connection.close()
    deadline = time.monotonic() + 10
    while len(installed_dock.ended) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert installed_dock.ended[before:] == [1000]


def test_uploads_that_stall_hold_up_uploads_alone(dock: Api, part: str) -> None:
    parts = urlsplit(part)
    stalled = [http.client.HTTPConnection(parts.hostname or "", parts.port) for _ in range(AT_ONCE)]
    for connection in stalled:
        connection.putrequest("POST", f"{parts.path}/files")
        for name, value in (dock.partner | {"content-length": "1000000"}).items():
            connection.putheader(name, value)
        connection.endheaders(b"x")
    deadline = time.monotonic() + 10
    while httpx.post(f"{part}/files", headers=dock.partner, content=b"x").status_code != 503:
        assert time.monotonic() < deadline, "one more is refused"
    assert httpx.post(f"{part}/note", headers=dock.partner).status_code == 200
    for connection in stalled:
        connection.close()
    while httpx.post(f"{part}/files", headers=dock.partner, content=b"x").status_code == 503:
        assert time.monotonic() < deadline, "there is room again"


def test_a_body_may_take_long_and_not_trickle(dock: Api, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "BODY_RATE", MEGABYTE)
    enough = httpx.post(f"{part}/files", headers=dock.partner, content=pieces(8, pause=0.2), timeout=30)
    assert enough.json()["size"] == 8 * MEGABYTE

    def trickle() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.2)
            yield b"x"

    began = time.monotonic()
    try:
        answer = httpx.post(f"{part}/files", headers=dock.partner, content=trickle(), timeout=30)
        assert answer.status_code == 408
    except httpx.TransportError:
        pass  # it was still sending when it was told
    assert time.monotonic() - began < 1.8


def test_routes_have_the_records_of_the_server(dock: Api, part: str) -> None:
    uuid = part.rpartition("/")[2]
    headers = dock.partner | {"x-request-id": "note-of-the-test"}
    answer = httpx.post(f"{part}/note", headers=headers)
    database = urlsplit(dock.database).path.removeprefix("/")
    assert answer.json() == {"part": uuid, "database": database, "partner": "Acme"}
    with psycopg.connect(dock.database) as connection:
        row = connection.execute(
            "SELECT changed FROM dotpeen.audit WHERE request_id = 'note-of-the-test'"
        ).fetchone()
    assert row == (["description"],)


def test_what_records_raise_is_a_problem(dock: Api, part: str) -> None:
    nobody = httpx.post(f"{part.rpartition('/')[0]}/no-such-part/note", headers=dock.partner)
    assert (nobody.status_code, nobody.json()["type"]) == (404, "/problems/not-found")
    assert nobody.json()["detail"] == "no Part has this identifier"


def test_wrong_limits_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DOCK.replace(f"max_body={LIMIT}", "max_body='40 MB'")
    install(tmp_path, "dry", source)
    monkeypatch.syspath_prepend(tmp_path)
    plugins = load_plugins(parse_registry("[plugins.dry]\n[entities.Part]"))
    assert list(plugins.api_routers()) == []
    assert "max_body '40 MB' is no number of bytes" in str(plugins.failed)
