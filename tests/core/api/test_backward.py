"""The old identifiers keep working: before the migration, halfway, after a rollback, and while any of it happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dotpeen.database.schema import upgrade
from dotpeen.demo.run import build_plant
from dotpeen.migration import Runner, rollback
from dotpeen.migration.model import Stage
from dotpeen.registry import Entity

from .conftest import ROWS, Api, plant_registry, serving
from .witness import EXTERNAL, Witness, joined, refused, segment

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


def build_unmigrated(url: str) -> None:
    build_plant(url, ROWS)
    upgrade(url)


@pytest.fixture
def old(server: Server) -> Iterator[Api]:
    """A server over a plant that has no UUIDs yet."""
    url = server.create(server.template("unmigrated", build_unmigrated))
    with serving(url, plant_registry()) as running:
        yield running
    server.drop(url)


def entities(api: Api) -> tuple[Entity, ...]:
    return tuple(api.registry.entities.values())


def old_ways_work(api: Api, *, wait: bool = False) -> None:
    """Every route of the site's own applications by primary key and business identifier."""
    witness = Witness(api.database, api.registry)
    for entity in entities(api):
        row = witness.row(entity)
        expected = witness.internal(row)
        paths = [f"/api/{entity.path}/{row['id']}", f"/api/{entity.path}/by/id/{row['id']}"]
        if entity.business_id:
            value = segment(joined([str(row[column]) for column in entity.business_id]))
            paths += [
                f"/api/{entity.path}/{value}",
                f"/api/{entity.path}/by/{':'.join(entity.business_id)}/{value}",
            ]
        for path in paths:
            answer = api.get(path, internal=True)
            assert answer.status_code == 200, answer.text
            record = answer.json()["data"]
            # A UUID that not every record has yet is shown as the column that it is.
            assert record == expected or {**record, "persistentUuid": None} == {
                **expected,
                "persistentUuid": None,
            }
        detail = api.get(f"/api/internal/{entity.path}/{row['id']}", internal=True).json()["data"]
        assert detail["id"] == row["id"]
        assert "related" in detail
        listed = api.get(f"/api/{entity.path}?limit=500&sort=id", internal=True).json()
        assert [one["id"] for one in listed["data"]] == [one["id"] for one in witness.rows(entity.table.name)]
        assert api.get(f"/api/{entity.path}/no%20such", internal=True).status_code == 404


def says_why(api: Api, entity: Entity, *, reason: str) -> None:
    """Every external route of an entity answers 503 with the reason."""
    base = f"{EXTERNAL}/{entity.path}"
    for path in (
        base,
        f"{base}/{UNKNOWN}",
        f"{base}/{UNKNOWN}?fields=status",
        f"{base}/by/persistentUuid/{UNKNOWN}",
    ):
        answer = api.get(path)
        problem = refused(answer, 503)
        assert problem["type"] == "/problems/not-migrated"
        assert reason in problem["detail"], problem
        assert entity.name in problem["detail"]
        assert int(answer.headers["retry-after"]) > 0
    answer = api.client.post(f"{api.url}{base}/batch", headers=api.partner, json={"uuids": [UNKNOWN]})
    assert refused(answer, 503)["type"] == "/problems/not-migrated"


def new_ways_work(api: Api, chosen: tuple[Entity, ...]) -> None:
    witness = Witness(api.database, api.registry)
    for entity in chosen:
        row = witness.row(entity)
        for path in (
            f"{EXTERNAL}/{entity.path}/{row['persistentUuid']}",
            f"{EXTERNAL}/resolve/{row['persistentUuid']}",
        ):
            answer = api.get(path)
            assert answer.status_code == 200, answer.text
        assert api.get(f"/api/{entity.path}/{row['persistentUuid']}", internal=True).status_code == 200


def within_two_seconds(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        # The rest is for machines that are busy with something else.
        assert time.monotonic() - began < 6
        time.sleep(0.05)


def answers(api: Api, entity: Entity) -> Callable[[], bool]:
    return lambda: api.get(f"{EXTERNAL}/{entity.path}?limit=1").status_code == 200


def test_without_uuids_the_old_identifiers_work_and_the_new_routes_say_why_not(old: Api) -> None:
    old_ways_work(old)
    for entity in entities(old):
        says_why(old, entity, reason="not migrated")
    # By UUID the flexible route can't tell yet: that is not "not found".
    answer = old.get(f"/api/parts/{UNKNOWN}", internal=True)
    assert refused(answer, 503)["type"] == "/problems/not-migrated"
    assert old.get(f"{EXTERNAL}/resolve/{UNKNOWN}").status_code == 503


def test_records_are_made_and_changed_without_uuids(old: Api) -> None:
    body = {"partNumber": "OLD-1", "updatedAt": "2026-01-01T00:00:00Z"}
    made = old.client.post(f"{old.url}/api/internal/parts", headers=old.internal, json=body)
    assert made.status_code == 201, made.text
    record = made.json()["data"]
    assert "persistentUuid" not in record
    path = f"{old.url}{made.headers['location']}"
    changed = old.client.patch(path, headers=old.internal, json={"status": "OBSOLETE"}).json()["data"]
    assert changed["updatedAt"] > record["updatedAt"]
    assert changed == record | {"status": "OBSOLETE", "updatedAt": changed["updatedAt"]}


@pytest.mark.parametrize("stage", [Stage.EXPAND, Stage.BACKFILL, Stage.INDEX])
def test_halfway_the_old_identifiers_work_and_the_new_routes_say_why_not(old: Api, stage: Stage) -> None:
    with Runner(old.database, old.registry, old.registry.select(phase=1)) as runner:
        runner.up(to=stage)
    part = old.registry.entities["Part"]
    within_two_seconds(
        lambda: all("not finished" in old.get(f"{EXTERNAL}/{one.path}").text for one in entities(old))
    )
    old_ways_work(old)
    for entity in entities(old):
        says_why(old, entity, reason="migration not finished")
    with Runner(old.database, old.registry, old.registry.select(phase=1)) as runner:
        runner.up()
    within_two_seconds(answers(old, part))
    within_two_seconds(lambda: all(answers(old, entity)() for entity in entities(old)))
    new_ways_work(old, entities(old))


def test_entities_come_one_by_one_and_point_to_each_other_once_both_are_there(old: Api) -> None:
    registry = old.registry
    order, part = registry.entities["WorkOrder"], registry.entities["Part"]
    with Runner(old.database, registry, (order,)) as runner:
        runner.up()
    within_two_seconds(answers(old, order))
    record = old.get(f"{EXTERNAL}/work-orders?limit=1").json()["data"][0]
    # The part has no UUID to be named by, and its key is nobody's business.
    assert not {"partUuid", "partId"} & set(record)
    says_why(old, part, reason="not migrated")
    old_ways_work(old)
    new_ways_work(old, (order,))
    with Runner(old.database, registry, (part,)) as runner:
        runner.up()
    within_two_seconds(answers(old, part))
    record = old.get(f"{EXTERNAL}/work-orders?limit=1").json()["data"][0]
    assert old.get(f"{EXTERNAL}/parts/{record['partUuid']}").status_code == 200


def test_rolled_back_and_migrated_again_while_requests_run(own_api: Api) -> None:
    api, registry = own_api, own_api.registry
    witness = Witness(api.database, registry)
    part = witness.rows("Part")[0]
    new_ways_work(api, entities(api))
    seen: dict[str, list[tuple[int, str]]] = {"external": [], "internal": []}
    stop = threading.Event()

    def work(surface: str, path: str, headers: dict[str, str]) -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                answer = client.get(api.url + path, headers=headers)
                kind = answer.json().get("type", "") if answer.status_code != 200 else ""
                seen[surface].append((answer.status_code, kind))
                time.sleep(0.05)

    paths: list[tuple[str, str, dict[str, Any]]] = [
        ("external", f"{EXTERNAL}/parts/{part['persistentUuid']}", api.partner),
        ("external", f"{EXTERNAL}/parts?limit=2", api.partner),
        ("external", f"{EXTERNAL}/work-orders?limit=2", api.partner),
        ("internal", f"/api/parts/{part['id']}", api.internal),
        ("internal", f"/api/parts/{segment(part['partNumber'])}", api.internal),
        ("internal", f"/api/internal/parts/{part['id']}", api.internal),
    ]
    workers = [threading.Thread(target=work, args=path) for path in paths]
    for worker in workers:
        worker.start()
    try:
        with Runner(api.database, registry, registry.select(phase=1)) as runner:
            rollback.down(runner)
        within_two_seconds(lambda: "not migrated" in api.get(f"{EXTERNAL}/parts").text)
        for entity in entities(api):
            says_why(api, entity, reason="not migrated")
        old_ways_work(api)
        with Runner(api.database, registry, registry.select(phase=1)) as runner:
            runner.up()
        within_two_seconds(lambda: all(answers(api, entity)() for entity in entities(api)))
        # A record that is migrated again is the one it was.
        found = api.get(f"{EXTERNAL}/parts/{part['persistentUuid']}").json()["data"]
        assert found == witness.external(registry.entities["Part"], part)
        new_ways_work(api, entities(api))
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert set(seen["external"]) <= {(200, ""), (503, "/problems/not-migrated")}, set(seen["external"])
    # For at most the two seconds until the server has noticed.
    assert set(seen["internal"]) <= {(200, ""), (503, "/problems/not-migrated")}, set(seen["internal"])
    assert seen["internal"][-1] == (200, "")
