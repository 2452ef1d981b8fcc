"""Making and changing records: by the site's own applications, and by partners where the registry lets them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from dotpeen.database import connect
from dotpeen.identifiers import is_cuid, new_cuid, parse_uuid
from dotpeen.partners import Scope, store
from dotpeen.partners.trail import AuditFilter, query
from dotpeen.registry import Entity

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Witness, on_the_wire, refused

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

ENTITIES = tuple(plant_registry().entities.values())
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
PARTS = f"{EXTERNAL}/parts"
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
NOW = "2026-03-01T08:00:00.123000Z"


@pytest.fixture(scope="module")
def plant(server: Server) -> Iterator[Api]:
    """A server whose records the tests of this module change, each its own."""
    url = server.create(server.template("api", build))
    registry = plant_registry()
    writable = {
        "SerializedPart": ("status", "partId"), "MaterialLot": ("quantity", "expiresAt", "lotNumber"),
    }  # fmt: skip
    entities = {
        name: entity.model_copy(update={"writable": writable.get(name, entity.writable)})
        for name, entity in registry.entities.items()
    }
    with serving(url, registry.model_copy(update={"entities": entities})) as running:
        yield running
    server.drop(url)


@pytest.fixture
def witness(plant: Api) -> Witness:
    """As it is now."""
    return Witness(plant.database, plant.registry)


def send(api: Api, method: str, path: str, body: Any, **headers: str) -> httpx.Response:
    opening = api.partner if path.startswith(EXTERNAL) else api.internal
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps(body)
    named["content-type"] = "application/json"
    return api.client.request(method, api.url + path, content=content, headers=opening | named)


def copy(witness: Witness, entity: Entity, number: int) -> dict[str, Any]:
    """Values for a new record like one that is there, with an identifier of its own."""
    row = {name: on_the_wire(value) for name, value in witness.row(entity).items()}
    for name in ("id", "persistentUuid", "createdAt"):
        del row[name]
    links = witness.links[entity.table.name]
    for column in entity.business_id:
        if column not in links:
            row[column] = 100_000 + number if isinstance(row[column], int) else f"NEW-{number}"
    return row | {"updatedAt": NOW}


class TestCreate:
    @each_entity
    def test_makes_a_record_with_a_key_and_a_uuid(self, plant: Api, witness: Witness, entity: Entity) -> None:
        values = copy(witness, entity, 1)
        answer = send(plant, "POST", f"/api/internal/{entity.path}", values)
        assert answer.status_code == 201, answer.text
        record = answer.json()["data"]
        assert is_cuid(record["id"])
        assert parse_uuid(record["persistentUuid"])
        assert {name: record[name] for name in values} == values
        location = answer.headers["location"]
        assert location == f"/api/internal/{entity.path}/{record['id']}"
        again = plant.get(location, internal=True).json()["data"]
        del again["related"]
        assert again == record
        outside = plant.get(f"{EXTERNAL}/{entity.path}/{record['persistentUuid']}")
        (row,) = [
            one
            for one in Witness(plant.database, plant.registry).rows(entity.table.name)
            if one["id"] == record["id"]
        ]
        assert outside.json()["data"] == witness.external(entity, row)

    @pytest.mark.parametrize("entity", [one for one in ENTITIES if one.business_id], ids=lambda one: one.name)
    def test_the_same_identifier_again_is_a_conflict(
        self, plant: Api, witness: Witness, entity: Entity
    ) -> None:
        values = copy(witness, entity, 2) | {
            column: on_the_wire(witness.row(entity)[column]) for column in entity.business_id
        }
        problem = refused(send(plant, "POST", f"/api/internal/{entity.path}", values), 409)
        assert problem["type"] == "/problems/conflict"
        assert set(problem["fields"]) <= set(values)
        assert set(problem["fields"])

    @each_entity
    @pytest.mark.parametrize("name", ["id", "persistentUuid", "nothing", "partUuids", "PARTNUMBER", ""])
    def test_what_is_not_the_callers_to_say_is_refused(
        self, plant: Api, witness: Witness, entity: Entity, name: str
    ) -> None:
        value = {"id": new_cuid(), "persistentUuid": UNKNOWN}.get(name, "x")
        before = len(witness.rows(entity.table.name))
        answer = send(plant, "POST", f"/api/internal/{entity.path}", copy(witness, entity, 3) | {name: value})
        assert refused(answer, 422)["field"] == name
        assert len(Witness(plant.database, plant.registry).rows(entity.table.name)) == before

    @each_entity
    def test_values_of_another_type_are_refused(self, plant: Api, witness: Witness, entity: Entity) -> None:
        values = copy(witness, entity, 4)
        for name, value in values.items():
            wrong: list[Any] = [{}, [], True]
            if isinstance(value, str) and not value.endswith("Z"):
                wrong += [7, 1.5, "a\u0000b", "\ud800"]
            elif isinstance(value, str):
                wrong += ["yesterday", "2026-02-30T00:00:00Z", 7, ""]
            elif isinstance(value, int) and not isinstance(witness.row(entity)[name], float):
                wrong += ["x", 1.5, 2**31, -(2**70), ""]
            elif isinstance(value, float):
                wrong += ["x", "", "1e999"]
            for one in wrong:
                answer = send(plant, "POST", f"/api/internal/{entity.path}", values | {name: one})
                assert refused(answer, 422)["field"] == name, one

    @each_entity
    def test_a_value_that_must_be_there_is_missed(self, plant: Api, witness: Witness, entity: Entity) -> None:
        values = copy(witness, entity, 5)
        without = [
            {key: value for key, value in values.items() if key != name} for name in entity.business_id
        ]
        empty = [values | {name: None} for name in ("updatedAt", *entity.business_id)]
        for name, given in zip(
            (*entity.business_id, "updatedAt", *entity.business_id), without + empty, strict=True
        ):
            answer = send(plant, "POST", f"/api/internal/{entity.path}", given)
            assert refused(answer, 422)["field"] == name

    def test_the_time_of_the_change_is_set_where_the_registry_says_so(self, plant: Api) -> None:
        made = send(plant, "POST", "/api/internal/parts", {"partNumber": "STAMPED", "description": "d"})
        assert made.status_code == 201, made.text
        first = made.json()["data"]
        path = f"{PARTS}/{first['persistentUuid']}"
        assert send(plant, "PATCH", path, {"status": "OBSOLETE"}).status_code == 200
        inside = plant.get(f"/api/internal/parts/{first['id']}", internal=True).json()["data"]
        assert first["createdAt"] <= first["updatedAt"] < inside["updatedAt"]

    def test_a_record_may_name_another_by_its_uuid_or_key_and_not_both(
        self, plant: Api, witness: Witness
    ) -> None:
        part = witness.rows("Part")[1]
        base = {"serialNumber": "BY-UUID", "updatedAt": NOW}
        made = send(
            plant, "POST", "/api/internal/serialized-parts", base | {"partUuid": str(part["persistentUuid"])}
        )
        assert made.json()["data"]["partId"] == part["id"]
        for wrong in (
            {"partUuid": UNKNOWN},
            {"partUuid": "x"},
            {"partUuid": None},
            {"partId": "cl00000000000000000000000"},
        ):
            refused(
                send(plant, "POST", "/api/internal/serialized-parts", base | {"serialNumber": "W"} | wrong),
                422,
            )
        both = {"serialNumber": "B", "partUuid": str(part["persistentUuid"]), "partId": part["id"]}
        refused(send(plant, "POST", "/api/internal/serialized-parts", base | both), 422)

    def test_of_many_at_once_with_one_number_one_is_made(self, plant: Api) -> None:
        statuses: list[int] = []

        def work() -> None:
            headers = plant.internal
            body = {"partNumber": "RACE-1", "updatedAt": NOW}
            statuses.append(
                httpx.post(
                    f"{plant.url}/api/internal/parts", json=body, headers=headers, timeout=30
                ).status_code
            )

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(statuses) == [201] + [409] * 7

    def test_partners_make_none(self, plant: Api) -> None:
        refused(send(plant, "POST", PARTS, {"partNumber": "X", "updatedAt": NOW}), 405)


class TestInternalChange:
    @each_entity
    def test_changes_what_was_sent_and_nothing_else(
        self, plant: Api, witness: Witness, entity: Entity
    ) -> None:
        row = witness.row(entity, 1)
        path = f"/api/internal/{entity.path}/{row['id']}"
        answer = send(plant, "PATCH", path, {"updatedAt": NOW})
        assert answer.status_code == 200
        assert answer.json()["data"] == witness.internal(row) | {"updatedAt": NOW}

    @each_entity
    def test_keys_and_uuids_never_change(self, plant: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        for name, value in (("id", new_cuid()), ("persistentUuid", UNKNOWN), ("nothing", 1)):
            answer = send(
                plant, "PATCH", f"/api/internal/{entity.path}/{row['id']}", {name: value, "updatedAt": NOW}
            )
            assert refused(answer, 422)["field"] == name
        assert Witness(plant.database, plant.registry).row(entity) == row

    def test_a_number_that_is_taken_is_a_conflict(self, plant: Api, witness: Witness) -> None:
        first, second = witness.rows("MaterialLot")[:2]
        answer = send(
            plant, "PATCH", f"/api/internal/material-lots/{first['id']}", {"lotNumber": second["lotNumber"]}
        )
        assert refused(answer, 409)["fields"] == ["lotNumber"]

    def test_of_what_is_not_there_is_not_found(self, plant: Api) -> None:
        for body in ({"status": "X"}, {}):
            problem = refused(
                send(plant, "PATCH", "/api/internal/parts/cl00000000000000000000000", body), 404
            )
            assert problem["identifier"] == "cl00000000000000000000000"

    @pytest.mark.parametrize("route", ["flexible", "internal", "change"])
    def test_changes_the_version_that_was_seen_only(self, plant: Api, witness: Witness, route: str) -> None:
        row = witness.rows("WorkOrder")[["flexible", "internal", "change"].index(route) + 2]
        path = f"/api/internal/work-orders/{row['id']}"
        seen = {
            "flexible": lambda: plant.get(f"/api/work-orders/{row['id']}", internal=True),
            "internal": lambda: plant.get(path, internal=True),
            "change": lambda: send(plant, "PATCH", path, {"priority": "LOW"}),
        }[route]()
        tag = seen.headers["etag"]
        assert send(plant, "PATCH", path, {"priority": "HIGH"}, if_match=tag).status_code == 200
        problem = refused(send(plant, "PATCH", path, {"priority": "URGENT"}, if_match=tag), 412)
        assert problem["type"] == "/problems/precondition-failed"
        assert plant.get(path, internal=True).json()["data"]["priority"] == "HIGH"
        assert send(plant, "PATCH", path, {"priority": "LOW"}, if_match="*").status_code == 200

    def test_if_match_of_what_is_not_there_is_not_found(self, plant: Api) -> None:
        path = "/api/internal/parts/cl00000000000000000000000"
        refused(send(plant, "PATCH", path, {"status": "X"}, if_match='"x"'), 404, 412)


class TestPartnersChange:
    def test_changes_writable_columns(self, plant: Api, witness: Witness) -> None:
        part = witness.rows("Part")[0]
        path = f"{PARTS}/{part['persistentUuid']}"
        answer = send(plant, "PATCH", path, {"description": "Ünïcode 🔩", "status": "OBSOLETE"})
        assert answer.status_code == 200
        expected = witness.external(witness.registry.entities["Part"], part)
        expected |= {"description": "Ünïcode 🔩", "status": "OBSOLETE"}
        assert answer.json()["data"] == expected
        assert answer.json()["metadata"]["requestedUuid"] == str(part["persistentUuid"])
        assert plant.get(path).json()["data"] == expected
        assert plant.get(path).headers["etag"] == answer.headers["etag"]
        assert send(plant, "PATCH", path, {"description": None}).json()["data"]["description"] is None
        assert send(plant, "PATCH", path, {}).status_code == 200

    @pytest.mark.parametrize(
        "name",
        ["partNumber", "materialType", "id", "persistentUuid", "createdAt", "updatedAt", "nothing", ""],
    )
    def test_others_are_refused(self, plant: Api, witness: Witness, name: str) -> None:
        part = witness.rows("Part")[1]
        path = f"{PARTS}/{part['persistentUuid']}"
        problem = refused(send(plant, "PATCH", path, {"status": "SCRAPPED", name: "x"}), 422)
        assert problem["field"] == name
        assert Witness(plant.database, plant.registry).rows("Part")[1] == part

    @each_entity
    def test_an_entity_without_writable_columns_has_no_such_route(
        self, plant: Api, witness: Witness, entity: Entity
    ) -> None:
        if plant.registry.entities[entity.name].writable:
            return
        path = f"{EXTERNAL}/{entity.path}/{witness.row(entity)['persistentUuid']}"
        answer = send(plant, "PATCH", path, {"status": "X"})
        refused(answer, 405)
        assert "PATCH" not in answer.headers["allow"]

    def test_needs_the_scope(self, plant: Api, witness: Witness) -> None:
        with connect(plant.database, purpose="test") as connection:
            token = store.add(
                connection, "Reader", {Scope("*", "read"), Scope("WorkOrder", "write")}, by="t"
            ).token
        path = f"{PARTS}/{witness.rows('Part')[0]['persistentUuid']}"
        answer = send(plant, "PATCH", path, {"status": "X"}, authorization=f"Bearer {token.text}")
        assert "Part:write" in refused(answer, 403)["detail"]

    def test_changes_the_version_that_was_seen_only(self, plant: Api, witness: Witness) -> None:
        path = f"{PARTS}/{witness.rows('Part')[2]['persistentUuid']}"
        tag = plant.get(path).headers["etag"]
        first = send(plant, "PATCH", path, {"status": "IN_REVIEW"}, if_match=tag)
        assert first.status_code == 200
        for condition in (tag, '"other"', '"a", "b"'):
            problem = refused(send(plant, "PATCH", path, {"status": "OBSOLETE"}, if_match=condition), 412)
            assert problem["type"] == "/problems/precondition-failed"
        assert plant.get(path).json()["data"]["status"] == "IN_REVIEW"
        tag = first.headers["etag"]
        assert send(plant, "PATCH", path, {"status": "ACTIVE"}, if_match=f'"x", {tag}').status_code == 200

    def test_of_two_with_the_same_version_one_wins(self, plant: Api, witness: Witness) -> None:
        path = f"{PARTS}/{witness.rows('Part')[3]['persistentUuid']}"
        for round_ in range(5):
            tag = plant.get(path).headers["etag"]
            statuses: list[int] = []

            def work(
                number: int, tag: str = tag, round_: int = round_, statuses: list[int] = statuses
            ) -> None:
                answer = httpx.patch(
                    plant.url + path, json={"status": f"S{round_}-{number}"}, timeout=30,
                    headers=plant.partner | {"if-match": tag},
                )  # fmt: skip
                statuses.append(answer.status_code)

            workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            assert sorted(statuses) == [200, 412, 412, 412]

    def test_a_link_changes_by_the_uuid_of_the_other_record(self, plant: Api, witness: Witness) -> None:
        serial, other = witness.rows("SerializedPart")[0], witness.rows("Part")[-1]
        path = f"{EXTERNAL}/serialized-parts/{serial['persistentUuid']}"
        answer = send(plant, "PATCH", path, {"partUuid": str(other["persistentUuid"])})
        assert answer.json()["data"]["partUuid"] == str(other["persistentUuid"])
        inside = plant.get(f"/api/serialized-parts/{serial['id']}", internal=True).json()["data"]
        assert inside["partId"] == other["id"]
        for wrong in (UNKNOWN, "x", None, other["id"], 7):
            assert refused(send(plant, "PATCH", path, {"partUuid": wrong}), 422)["field"] == "partUuid"
        assert refused(send(plant, "PATCH", path, {"partId": other["id"]}), 422)["field"] == "partId"

    def test_a_number_that_is_taken_is_a_conflict(self, plant: Api, witness: Witness) -> None:
        first, second = witness.rows("MaterialLot")[:2]
        path = f"{EXTERNAL}/material-lots/{first['persistentUuid']}"
        assert refused(send(plant, "PATCH", path, {"lotNumber": second["lotNumber"]}), 409)["fields"] == [
            "lotNumber"
        ]
        answer = send(plant, "PATCH", path, {"quantity": 12.5, "expiresAt": "2027-01-01T00:00:00Z"})
        record = answer.json()["data"]
        assert (record["quantity"], record["expiresAt"]) == (12.5, "2027-01-01T00:00:00.000000Z")

    def test_of_what_is_not_there_is_not_found(self, plant: Api) -> None:
        problem = refused(send(plant, "PATCH", f"{PARTS}/{UNKNOWN}", {"status": "X"}), 404)
        assert (problem["uuid"], problem["error"]) == (UNKNOWN, "Part not found")

    def test_the_key_finds_nothing(self, plant: Api, witness: Witness) -> None:
        key = witness.rows("Part")[0]["id"]
        assert refused(send(plant, "PATCH", f"{PARTS}/{key}", {"status": "X"}), 400)["provided"] == key

    def test_the_audit_trail_names_the_changed_columns(self, plant: Api, witness: Witness) -> None:
        with connect(plant.database, purpose="test") as connection:
            token = store.add(connection, "Writer", {Scope("Part", "write")}, by="t").token.text
        uuid = witness.rows("Part")[4]["persistentUuid"]
        for body, status in (
            ({"status": "ACTIVE", "description": "x"}, 204), ({"status": "ACTIVE"}, 204), ({}, 204),
            ({"id": "x"}, 422),
        ):  # fmt: skip
            answer = send(plant, "PATCH", f"{PARTS}/{uuid}", body, authorization=f"Bearer {token}")
            assert answer.status_code == status
            # Who may write and not read is shown nothing.
            assert (answer.content == b"") == (status == 204)
        with connect(plant.database, purpose="test") as connection:
            entries = list(query(connection, AuditFilter(partner="Writer")))[::-1]
        assert [(entry.status, entry.changed, entry.uuid) for entry in entries] == [
            (204, ["description", "status"], UUID(str(uuid))),
            (204, ["status"], UUID(str(uuid))),
            (204, None, UUID(str(uuid))),
            (422, None, None),
        ]

    def test_what_the_client_has_is_no_reason_to_hide_a_change(self, plant: Api, witness: Witness) -> None:
        path = f"{PARTS}/{witness.rows('Part')[4]['persistentUuid']}"
        tag = plant.get(path).headers["etag"]
        answer = send(plant, "PATCH", path, {}, if_none_match=tag)
        assert answer.status_code == 200


def test_a_change_is_seen_at_once(plant: Api, witness: Witness) -> None:
    uuid = witness.rows("Part")[0]["persistentUuid"]
    for number in range(20):
        send(plant, "PATCH", f"{PARTS}/{uuid}", {"description": f"version {number}"})
        assert plant.get(f"{PARTS}/{uuid}").json()["data"]["description"] == f"version {number}"
        time.sleep(0)
