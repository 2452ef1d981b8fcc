"""Batches: many records by UUID at once, in the order asked, and every one of them in the audit trail."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from dotpeen.database import connect
from dotpeen.partners.trail import AuditFilter, query

from .conftest import Api, plant_registry
from .test_direct import add, audited
from .witness import EXTERNAL, Witness

ENTITIES = tuple(plant_registry().entities.values())
UNKNOWN = ("550e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440000")


@pytest.fixture(scope="module")
def witness(api: Api) -> Witness:
    return Witness(api.database, api.registry)


def uuids_of(witness: Witness, entity: Any) -> list[str]:
    return [str(row[entity.uuid.column]) for row in witness.rows(entity.table.name)[:20]]


def ask(api: Api, entity: Any, uuids: list[str], headers: dict[str, str], parameters: str = "") -> Any:
    path = f"{api.url}{EXTERNAL}/{entity.path}/batch{parameters}"
    return api.client.post(path, headers=headers, json={"uuids": uuids})


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_all_columns_and_some_that_are_all_are_answered_and_recorded_the_same(
    api: Api, witness: Witness, entity: Any
) -> None:
    name = f"Batch {entity.name}"
    partner = add(api, name, "*:read")
    known = uuids_of(witness, entity)[::-1]
    asked = [known[0].upper(), UNKNOWN[1], *known, UNKNOWN[0], known[0], UNKNOWN[1]]
    whole = ask(api, entity, asked, partner)
    assert whole.status_code == 200, whole.text
    body = whole.json()
    assert [record[entity.uuid.column] for record in body["data"]] == known
    assert body["notFoundUuids"] == [UNKNOWN[1], UNKNOWN[0]]
    chosen = ask(api, entity, asked, partner, "?fields=" + ",".join(body["data"][0])).json()
    assert (chosen["data"], chosen["notFoundUuids"]) == (body["data"], body["notFoundUuids"])
    first, second = audited(api, name)
    assert first == second
    assert first[:6] == ("POST", f"{EXTERNAL}/{entity.path}/batch", entity.name, None, len(known), 200)
    with connect(api.database, purpose="test") as connection:
        for uuid in known:
            found = query(connection, AuditFilter(partner=name, uuid=uuid))
            assert [[str(one) for one in entry.uuids or ()] for entry in found] == [known, known]
        assert list(query(connection, AuditFilter(uuid=UNKNOWN[1]))) == []


def test_a_batch_of_nothing_and_one_that_finds_nothing_are_recorded(api: Api) -> None:
    partner = add(api, "Batch of nothing", "Part:read")
    part = api.registry.entities["Part"]
    assert ask(api, part, [], partner).json()["data"] == []
    nothing = ask(api, part, list(UNKNOWN), partner).json()
    assert (nothing["data"], nothing["notFoundUuids"]) == ([], list(UNKNOWN))
    assert [entry[4:6] for entry in audited(api, "Batch of nothing")] == [(0, 200), (0, 200)]


def test_a_batch_that_can_not_be_recorded_is_not_given(own_api: Api) -> None:
    part = own_api.registry.entities["Part"]
    uuids = uuids_of(Witness(own_api.database, own_api.registry), part)
    partner = add(own_api, "Unrecorded", "Part:read")
    with psycopg.connect(own_api.database, autocommit=True) as connection:
        connection.execute("ALTER TABLE dotpeen.audit_given RENAME TO elsewhere")
        answer = ask(own_api, part, uuids, partner)
        assert answer.status_code == 503
        assert not any(uuid in answer.text for uuid in uuids)
        connection.execute("ALTER TABLE dotpeen.elsewhere RENAME TO audit_given")
    assert ask(own_api, part, uuids, partner).status_code == 200
    assert [entry[4:6] for entry in audited(own_api, "Unrecorded")] == [(0, 503), (len(uuids), 200)]
