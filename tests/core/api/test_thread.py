"""The digital thread: what plugins know of a record, and where other systems' UUIDs lead."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from acceptance.serving import wait_for
from core.foreign import foreign
from dotpeen.database import connect
from dotpeen.partners import Scope, store
from dotpeen.plugins import load_plugins
from dotpeen.records import Records
from dotpeen.registry import Registry

from .conftest import Api, build, plant_registry, serving

if TYPE_CHECKING:
    from conftest import Dotpeen
    from postgres import Server

__all__ = ["foreign"]

pytestmark = pytest.mark.slow

CAD, LOST, WORK = (f"11111111-2222-4333-8444-55555555555{digit}" for digit in "567")
ENTRIES = [
    {
        "source": "threads",
        "kind": "revision",
        "value": "B",
        "at": "2026-03-01T12:00:00.000000Z",
        "details": {"file": "a.stp"},
    },
    {"source": "threads", "kind": "revision", "value": "A"},
]


def registry_with(*names: str) -> Registry:
    registry = plant_registry()
    on = type(registry.plugins["qif"])(enabled=True)
    return registry.model_copy(update={"plugins": dict.fromkeys(names, on)})


@pytest.fixture(scope="module")
def threads(server: Server, foreign: Path) -> Iterator[Api]:
    """The sample MES with the plugin `threads`."""
    url = server.create(server.template("api", build))
    registry = registry_with("threads")
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)


def first_uuid(api: Api, table: str) -> str:
    with psycopg.connect(api.database) as connection:
        row = connection.execute(f'SELECT min("persistentUuid"::text) FROM "{table}"').fetchone()
    assert row is not None
    return str(row[0])


def told() -> list[Any]:
    return list(sys.modules["installed_threads"].told)


def test_what_plugins_know_is_in_the_thread(threads: Api) -> None:
    uuid = first_uuid(threads, "Part")
    data = threads.get(f"/api/v1/external/resolve/{uuid}").json()["data"]
    assert (data["entity"], data["thread"], "via" in data) == ("Part", ENTRIES, False)
    lot = threads.get(f"/api/v1/external/resolve/{first_uuid(threads, 'MaterialLot')}").json()["data"]
    assert lot["thread"] == []


def test_a_uuid_of_another_system_leads_to_its_record(threads: Api) -> None:
    uuid = first_uuid(threads, "Part")
    answer = threads.get(f"/api/v1/external/resolve/{CAD}")
    data = answer.json()["data"]
    assert (answer.status_code, data["entity"], data["record"]["persistentUuid"]) == (200, "Part", uuid)
    assert data["via"] == {"source": "threads", "kind": "model"}
    assert data["url"] == f"/api/v1/external/parts/{uuid}"
    assert data["thread"] == ENTRIES
    assert answer.json()["metadata"]["requestedUuid"] == CAD


def test_a_record_that_is_not_there_or_not_to_be_seen_is_not_found(threads: Api) -> None:
    assert threads.get(f"/api/v1/external/resolve/{LOST}").status_code == 404
    assert threads.get(f"/api/v1/external/resolve/{WORK}").status_code == 200
    with connect(threads.database, purpose="test") as connection:
        token = store.add(connection, "Reader", {Scope("Part", "read")}, by="tests").token
    headers = {"authorization": f"Bearer {token.text}"}
    found = {
        uuid: httpx.get(f"{threads.url}/api/v1/external/resolve/{uuid}", headers=headers).status_code
        for uuid in (CAD, WORK, first_uuid(threads, "WorkOrder"))
    }
    assert list(found.values()) == [200, 404, 404]


def test_a_plugin_that_hangs_does_not_hold_up_the_answer(threads: Api) -> None:
    registry = registry_with("hanging", "threads")
    uuid = first_uuid(threads, "Part")
    with serving(threads.database, registry, plugins=load_plugins(registry)) as running:
        began = time.monotonic()
        first = running.get(f"/api/v1/external/resolve/{uuid}")
        assert (first.status_code, first.json()["data"]["thread"]) == (200, [])
        assert time.monotonic() - began < 3
        began = time.monotonic()
        again = running.get(f"/api/v1/external/resolve/{uuid}")
        assert (again.status_code, again.json()["data"]["thread"]) == (200, ENTRIES)
        assert time.monotonic() - began < 1, "it is not asked again before it has come back"
    with connect(threads.database, purpose="test") as connection:
        threads.token = store.rotate(connection, "Acme", by="tests").token.text
    wait_for(lambda: threads.get(f"/api/v1/external/resolve/{uuid}").status_code == 200, "the token is known")


def test_plugins_are_told_of_what_is_written(threads: Api) -> None:
    uuid = first_uuid(threads, "Part")
    before = len(told())
    changed = httpx.patch(
        f"{threads.url}/api/v1/external/parts/{uuid}", headers=threads.partner, json={"description": "new"}
    )
    assert changed.status_code == 200
    wait_for(lambda: len(told()) > before, "it is told", 5)
    assert told()[before:] == [("Part", uuid, "update", ["description"])]
    refused = httpx.patch(
        f"{threads.url}/api/v1/external/parts/{uuid}", headers=threads.partner, json={"partNumber": "x"}
    )
    assert refused.status_code == 422
    unseen = httpx.patch(
        f"{threads.url}/api/v1/external/parts/{LOST}", headers=threads.partner, json={"description": "new"}
    )
    assert unseen.status_code == 404
    registry = registry_with("threads", "hanging")
    with Records(registry, threads.database, plugins=load_plugins(registry)) as records:
        records.update("Part", uuid, {"description": "newer", "status": "ACTIVE"})
    assert told()[before + 1 :] == [("Part", uuid, "update", ["description", "status"])]


def test_lookup_shows_it(threads: Api, run_dotpeen: Dotpeen, foreign: Path) -> None:
    text = '[plugins.threads]\n[plugins.hanging]\n[entities.Part]\nbusiness_id = "partNumber"\n'
    (run_dotpeen.folder / "registry.toml").write_text(text, encoding="utf-8")
    env = {"PYTHONPATH": str(foreign)}

    def lookup(*arguments: str) -> Any:
        return run_dotpeen("--database-url", threads.database, "lookup", *arguments, env=env)

    uuid = first_uuid(threads, "Part")
    found = lookup(CAD, "--json")
    (match,) = found.json["matches"]
    assert (found.returncode, match["uuid"], match["matchedBy"]) == (0, uuid, "model of threads")
    assert (match["via"], match["thread"]) == ({"source": "threads", "kind": "model"}, ENTRIES)
    people = lookup(f"{{{CAD.upper()}}}")
    assert (people.returncode, "threads revision" in people.stdout) == (0, True)
    assert '{"file": "a.stp"}' in people.stdout
    assert lookup(LOST).returncode == 1


def test_without_anything_migrated_it_says_so(server: Server, foreign: Path) -> None:
    url = server.create(server.template("api", build))
    registry = plant_registry()
    with psycopg.connect(url, autocommit=True) as connection:
        for entity in registry.entities.values():
            connection.execute(f'ALTER TABLE "{entity.table.name}" DROP COLUMN "persistentUuid" CASCADE')
    with serving(url, registry) as running:
        answer = running.get(f"/api/v1/external/resolve/{CAD}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-migrated")
        assert "retry-after" in answer.headers
    server.drop(url)


def test_a_table_that_changed_is_looked_at_again_at_once(server: Server) -> None:
    url = server.create(server.template("api", build))
    with serving(url, plant_registry()) as running:
        number = running.get("/api/parts?limit=1", internal=True).json()["data"][0]["partNumber"]
        path = f"/api/parts/{number}"
        with psycopg.connect(url, autocommit=True) as connection:
            # Nothing but the column: what the server watches stays as it was.
            connection.execute('ALTER TABLE "Part" DROP COLUMN "persistentUuid" CASCADE')
        assert running.get(path, internal=True).status_code == 503
        wait_for(lambda: running.get(path, internal=True).status_code == 200, "it is looked at again", 3)
    server.drop(url)


def test_a_rollback_that_meets_resolve_is_no_404(server: Server) -> None:
    url = server.create(server.template("api", build))
    registry = plant_registry()
    with serving(url, registry) as running:
        uuid = first_uuid(running, "Part")
        assert running.get(f"/api/v1/external/parts/{uuid}").status_code == 200
        with psycopg.connect(url, autocommit=True) as connection:
            for entity in registry.entities.values():
                connection.execute(f'ALTER TABLE "{entity.table.name}" DROP COLUMN "persistentUuid" CASCADE')
        statuses = [
            running.get(f"/api/v1/external/{path}/{uuid}").status_code
            for path in ("resolve", "parts", "resolve", "parts")
        ]
        assert statuses == [503] * 4
    server.drop(url)
