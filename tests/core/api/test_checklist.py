"""The checklist of the migration plan and the routes of the design, for every entity of the registry.

Nothing here names an entity's columns: what is asked and what has to come back follow from registry and tables.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dotpeen.registry import Entity

from .conftest import Api, plant_registry, whole_registry
from .witness import EXTERNAL, Witness, joined, segment

ENTITIES = tuple(whole_registry().entities.values())
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
named_entity = pytest.mark.parametrize(
    "entity", [entity for entity in ENTITIES if entity.business_id], ids=lambda entity: entity.name
)
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture(scope="module")
def witness(site: Api) -> Witness:
    return Witness(site.database, site.registry)


def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_phase_2_entities_differ_from_the_others_by_their_lines_in_the_registry_only() -> None:
    eight = plant_registry().entities
    assert len(eight) == 8
    assert set(whole_registry().entities) - set(eight) == {
        "Equipment", "Operation", "Material", "Supplier", "Customer",
    }  # fmt: skip


class TestFlexibleRoute:
    @each_entity
    def test_finds_by_cuid(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        answer = site.get(f"/api/{entity.path}/{row['id']}", internal=True)
        assert data(answer) == witness.internal(row)
        assert answer.json()["metadata"]["matchedBy"] == "id"

    @each_entity
    def test_finds_by_uuid_in_any_case(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        for uuid in (str(row["persistentUuid"]), str(row["persistentUuid"]).upper()):
            answer = site.get(f"/api/{entity.path}/{uuid}", internal=True)
            assert data(answer) == witness.internal(row)
            assert answer.json()["metadata"]["matchedBy"] == "persistentUuid"
            assert answer.json()["metadata"]["requestedIdentifier"] == uuid

    @named_entity
    def test_finds_by_business_identifier(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        identifier = joined([str(row[column]) for column in entity.business_id])
        answer = site.get(f"/api/{entity.path}/{segment(identifier)}", internal=True)
        assert data(answer) == witness.internal(row)
        assert answer.json()["metadata"]["matchedBy"] == ":".join(entity.business_id)

    @each_entity
    def test_unknown_identifier_is_not_found(self, site: Api, entity: Entity) -> None:
        for identifier in (UNKNOWN, "cl00000000000000000000000", "no such record"):
            answer = site.get(f"/api/{entity.path}/{segment(identifier)}", internal=True)
            assert answer.status_code == 404
            assert (answer.json()["error"], answer.json()["identifier"]) == (
                f"{entity.name} not found",
                identifier,
            )

    @each_entity
    def test_lists_everything(self, site: Api, witness: Witness, entity: Entity) -> None:
        answer = site.get(f"/api/{entity.path}?limit=500&sort=id", internal=True)
        rows = witness.rows(entity.table.name)
        assert data(answer) == [witness.internal(row) for row in rows]
        assert answer.json()["pagination"]["total"] == len(rows)


class TestByField:
    @each_entity
    def test_internal_callers_find_by_each_identifier(
        self, site: Api, witness: Witness, entity: Entity
    ) -> None:
        row = witness.row(entity)
        for parts in witness.identifiers(entity, row, external=False):
            name, value = ":".join(name for name, _ in parts), joined([value for _, value in parts])
            if len(parts) == 1:
                value = parts[0][1]
            by_path = site.get(f"/api/{entity.path}/by/{segment(name)}/{segment(value)}", internal=True)
            assert data(by_path) == witness.internal(row)
            by_query = site.get(f"/api/{entity.path}/by", internal=True, params=list(reversed(parts)))
            assert data(by_query) == witness.internal(row)

    @each_entity
    def test_partners_find_by_each_identifier_but_the_key(
        self, site: Api, witness: Witness, entity: Entity
    ) -> None:
        row = witness.row(entity)
        for parts in witness.identifiers(entity, row, external=True):
            name, value = ":".join(name for name, _ in parts), joined([value for _, value in parts])
            if len(parts) == 1:
                value = parts[0][1]
            by_path = site.get(f"{EXTERNAL}/{entity.path}/by/{segment(name)}/{segment(value)}")
            assert data(by_path) == witness.external(entity, row)
            by_query = site.get(f"{EXTERNAL}/{entity.path}/by", params=list(reversed(parts)))
            assert data(by_query) == witness.external(entity, row)

    @each_entity
    def test_partners_can_not_ask_by_the_key(self, site: Api, witness: Witness, entity: Entity) -> None:
        key = witness.row(entity)["id"]
        for path in (f"by/id/{key}", f"by?id={key}"):
            answer = site.get(f"{EXTERNAL}/{entity.path}/{path}")
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-query")

    @pytest.mark.parametrize(
        "entity", [one for one in ENTITIES if len(one.business_id) == 1], ids=lambda entity: entity.name
    )
    def test_unknown_value_is_not_found(self, site: Api, entity: Entity) -> None:
        answer = site.get(f"{EXTERNAL}/{entity.path}/by/{entity.business_id[0]}/none%20such")
        assert (answer.status_code, answer.json()["identifier"]) == (404, "none such")


class TestExternalRoute:
    @each_entity
    def test_accepts_uuid(self, site: Api, witness: Witness, entity: Entity) -> None:
        for row in witness.rows(entity.table.name)[:10]:
            uuid = str(row["persistentUuid"])
            for written in (uuid, uuid.upper()):
                answer = site.get(f"{EXTERNAL}/{entity.path}/{written}")
                assert data(answer) == witness.external(entity, row)
                assert answer.json()["metadata"]["requestedUuid"] == uuid
                assert list(answer.json()["metadata"]) == ["requestedUuid", "timestamp"]

    @each_entity
    def test_rejects_cuid(self, site: Api, witness: Witness, entity: Entity) -> None:
        key = witness.row(entity)["id"]
        answer = site.get(f"{EXTERNAL}/{entity.path}/{key}")
        assert answer.status_code == 400
        problem = answer.json()
        assert (problem["error"], problem["provided"]) == ("Invalid UUID format", key)
        assert problem["example"] == UNKNOWN
        assert f"{EXTERNAL}/{entity.path}/by/" in problem["detail"]

    @named_entity
    def test_rejects_business_identifier(self, site: Api, witness: Witness, entity: Entity) -> None:
        identifier = joined([str(witness.row(entity)[column]) for column in entity.business_id])
        answer = site.get(f"{EXTERNAL}/{entity.path}/{segment(identifier)}")
        assert (answer.status_code, answer.json()["provided"]) == (400, identifier)

    @pytest.mark.parametrize(
        "text",
        [
            "550e8400e29b41d4a716446655440000",
            "{550e8400-e29b-41d4-a716-446655440000}",
            "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
            "550e8400_e29b_41d4_a716_446655440000",
            "\uff1550e8400-e29b-41d4-a716-446655440000",
            " 550e8400-e29b-41d4-a716-446655440000",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    )
    def test_rejects_what_only_looks_like_a_uuid(self, site: Api, text: str) -> None:
        for path in (*(f"{EXTERNAL}/{entity.path}/" for entity in ENTITIES), f"{EXTERNAL}/resolve/"):
            answer = site.get(path + segment(text))
            assert (answer.status_code, answer.json()["provided"]) == (400, text)

    @each_entity
    def test_does_not_expose_the_internal_id(self, site: Api, witness: Witness, entity: Entity) -> None:
        record = data(site.get(f"{EXTERNAL}/{entity.path}/{witness.row(entity)['persistentUuid']}"))
        assert not {"id", *witness.links[entity.table.name]} & set(record)

    @each_entity
    def test_unknown_uuid_is_not_found(self, site: Api, entity: Entity) -> None:
        answer = site.get(f"{EXTERNAL}/{entity.path}/{UNKNOWN}")
        assert answer.status_code == 404
        assert (answer.json()["error"], answer.json()["uuid"]) == (f"{entity.name} not found", UNKNOWN)

    @each_entity
    def test_lists_in_pages(self, site: Api, witness: Witness, entity: Entity) -> None:
        rows = sorted(witness.rows(entity.table.name), key=lambda row: str(row["persistentUuid"]))
        answer = site.get(f"{EXTERNAL}/{entity.path}?limit=3")
        assert data(answer) == [witness.external(entity, row) for row in rows[:3]]
        pagination = answer.json()["pagination"]
        assert pagination.pop("nextCursor") is None or len(rows) > 3
        assert pagination == {"total": len(rows), "limit": 3, "offset": 0, "hasMore": len(rows) > 3}

    @each_entity
    def test_narrows_by_each_declared_filter(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        for column in (*entity.business_id, *entity.filters):
            name, value = witness.outside(entity, column), witness.outside_value(entity, row, column)
            if name is None or value is None:
                continue
            found = data(site.get(f"{EXTERNAL}/{entity.path}", params={name: str(value), "limit": "500"}))
            same = [one for one in witness.rows(entity.table.name) if one[column] == row[column]]
            uuids = {str(one["persistentUuid"]) for one in same}
            assert {one["persistentUuid"] for one in found} == uuids, name

    @each_entity
    def test_answers_a_batch_in_its_order(self, site: Api, witness: Witness, entity: Entity) -> None:
        rows = witness.rows(entity.table.name)[:5][::-1]
        uuids = [str(row["persistentUuid"]) for row in rows]
        answer = site.client.post(
            f"{site.url}{EXTERNAL}/{entity.path}/batch",
            headers=site.partner,
            json={"uuids": [*uuids, UNKNOWN]},
        )
        assert data(answer) == [witness.external(entity, row) for row in rows]
        assert answer.json()["notFoundUuids"] == [UNKNOWN]

    @each_entity
    def test_resolves_a_uuid_to_its_entity(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        uuid = str(row["persistentUuid"])
        found = data(site.get(f"{EXTERNAL}/resolve/{uuid}"))
        assert (found["entity"], found["url"]) == (entity.name, f"{EXTERNAL}/{entity.path}/{uuid}")
        assert found["record"] == witness.external(entity, row)


class TestInternalRoute:
    @each_entity
    def test_accepts_cuid(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        record = data(site.get(f"/api/internal/{entity.path}/{row['id']}", internal=True))
        del record["related"]
        assert record == witness.internal(row)

    @each_entity
    def test_rejects_uuid(self, site: Api, witness: Witness, entity: Entity) -> None:
        uuid = str(witness.row(entity)["persistentUuid"])
        answer = site.get(f"/api/internal/{entity.path}/{uuid}", internal=True)
        assert answer.status_code == 400
        assert (answer.json()["error"], answer.json()["provided"]) == ("Invalid internal ID format", uuid)
        assert f"/api/{entity.path}/" in answer.json()["detail"]

    @each_entity
    def test_includes_related_records(self, site: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        related = data(site.get(f"/api/internal/{entity.path}/{row['id']}", internal=True))["related"]
        shown = {name: one for name, one in related.items() if one is None or "records" not in one}
        expected: dict[str, Any] = {}
        for column, other in witness.links[entity.table.name].items():
            target = next((one for one in witness.rows(other) if one["id"] == row[column]), None)
            expected[column.removesuffix("Id")] = target and witness.internal(target)
        assert shown == expected
        incoming = {
            (table, column): [one for one in witness.rows(table) if one[column] == row["id"]]
            for table, links in witness.links.items()
            for column, other in links.items()
            if other == entity.table.name and witness.entity_of(table)
        }
        lists = {name: one for name, one in related.items() if name not in expected}
        assert len(lists) == len(incoming)
        assert sorted(len(one["records"]) for one in lists.values()) == sorted(
            min(len(rows), 100) for rows in incoming.values()
        )
        by_id = {one["id"]: one for rows in incoming.values() for one in rows}
        for one in lists.values():
            for record in one["records"]:
                assert record == witness.internal(by_id[record["id"]])

    @each_entity
    def test_unknown_key_is_not_found(self, site: Api, entity: Entity) -> None:
        key = "cl00000000000000000000000"
        answer = site.get(f"/api/internal/{entity.path}/{key}", internal=True)
        assert (answer.status_code, answer.json()["identifier"]) == (404, key)


def test_the_digital_thread_names_what_other_systems_call_a_part(site: Api, witness: Witness) -> None:
    row = next(row for row in witness.rows("Part") if row["erpPartId"])
    found = data(site.get(f"{EXTERNAL}/resolve/{row['persistentUuid']}"))
    assert found["thread"] == [
        {"source": "erp", "kind": "erpPartId", "value": row["erpPartId"]},
        {"source": "step", "kind": "stepAp242Uuid", "value": str(row["stepAp242Uuid"])},
    ]


def test_every_route_is_in_the_document_of_the_interface(site: Api) -> None:
    paths = site.client.get(f"{site.url}/openapi.json").json()["paths"]
    for entity in ENTITIES:
        base = f"{EXTERNAL}/{entity.path}"
        expected = {base, f"{base}/{{uuid}}", f"{base}/batch"}
        assert expected <= set(paths)
        assert any(path.startswith(f"{base}/by") for path in paths) == bool(entity.business_id)
    assert f"{EXTERNAL}/resolve/{{uuid}}" in paths


def test_an_entity_that_is_not_in_the_registry_has_no_routes(api: Api) -> None:
    for path in (f"{EXTERNAL}/equipment", f"{EXTERNAL}/equipment/{UNKNOWN}"):
        assert api.get(path).status_code == 404
    assert api.get("/api/equipment", internal=True).status_code == 404
