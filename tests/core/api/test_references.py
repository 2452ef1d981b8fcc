"""External references over REST: read, asked by, written, and gone with the plugin; in a column or beside the table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from dotpeen.api.openapi.document import document
from dotpeen.database import connect
from dotpeen.database.schema import upgrade
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins
from dotpeen.records import load_shapes
from dotpeen.registry import Registry, parse_registry

from .conftest import Api, serving
from .witness import EXTERNAL

if TYPE_CHECKING:
    from conftest import Dotpeen
    from postgres import Server

ENTITY = """
[api]
internal_token = "env:DOTPEEN_TEST_INTERNAL_TOKEN"
rate_limit = "0"
[entities.Part]
business_id = "number"
expose = ["name"]
filters = ["erpPartId"]
writable = ["name", "stepAp242Uuid"]
"""
PLUGINS = "[plugins.erp]\n[plugins.step]\n"
CAD = "550e8400-e29b-41d4-a716-446655440000"
ROWS = 40


def registry_of(storage: str, *, plugins: bool = True) -> Registry:
    text = ENTITY if plugins else ENTITY.replace(', "stepAp242Uuid"', "").replace('"erpPartId"', "")
    return parse_registry((PLUGINS if plugins else "") + text + f'uuid = {{ storage = "{storage}" }}\n')


@pytest.fixture(scope="module", params=["column", "sidecar"])
def storage(request: pytest.FixtureRequest) -> str:
    """Where the entity's UUIDs are, and with them its references."""
    return str(request.param)


@pytest.fixture(scope="module")
def plant(server: Server, storage: str) -> Iterator[Api]:
    """A server of 40 parts and two plugins; each test uses parts of its own."""
    url = server.create(server.template("dotpeen", upgrade))
    with psycopg.connect(url) as connection:
        connection.execute('CREATE TABLE "Part" (id int PRIMARY KEY, number text NOT NULL UNIQUE, name text)')
        connection.execute(
            "INSERT INTO \"Part\" SELECT n, 'P' || n, 'part' FROM generate_series(1, %s) AS n", [ROWS]
        )
    registry = registry_of(storage)
    plugins = load_plugins(registry)
    with Runner(url, registry, registry.select(), plugins=plugins) as runner:
        assert [check for check in runner.up() if check.outcome == "failed"] == []
    with serving(url, registry, plugins=plugins) as running:
        yield running
    server.drop(url)


def patch(api: Api, path: str, **values: Any) -> httpx.Response:
    opening = api.partner if path.startswith(EXTERNAL) else api.internal
    headers = opening | {"content-type": "application/json"}
    return api.client.patch(api.url + path, content=json.dumps(values), headers=headers)


def part(api: Api, number: int) -> dict[str, Any]:
    found = api.get(f"/api/parts/by/number/P{number}", internal=True)
    assert found.status_code == 200, found.text
    return dict(found.json()["data"])


def document_of(api: Api, registry: Registry) -> dict[str, Any]:
    """The interface as OpenAPI describes it to the site's own applications."""
    with connect(api.database, purpose="test") as connection:
        return document(registry, load_shapes(connection, registry, load_plugins(registry)), internal=True)


def test_lookup_shows_the_thread_that_resolve_shows(plant: Api, storage: str, run_dotpeen: Dotpeen) -> None:
    assert patch(plant, "/api/internal/parts/37", erpPartId="E37").status_code == 200
    uuid = part(plant, 37)["persistentUuid"]
    text = f'{PLUGINS}{ENTITY}uuid = {{ storage = "{storage}" }}\n'
    (run_dotpeen.folder / "registry.toml").write_text(text, encoding="utf-8")
    (match,) = run_dotpeen("--database-url", plant.database, "lookup", uuid, "--json").json["matches"]
    assert match["thread"] == plant.get(f"{EXTERNAL}/resolve/{uuid}").json()["data"]["thread"]
    assert match["thread"] == [{"source": "erp", "kind": "erpPartId", "value": "E37"}]


def test_what_is_written_is_found(plant: Api) -> None:
    record = part(plant, 1)
    assert (record["erpPartId"], record["stepAp242Uuid"]) == (None, None)
    written = patch(plant, "/api/internal/parts/1", erpPartId="4711/a", stepAp242Uuid=CAD.upper(), name="n")
    assert written.status_code == 200, written.text
    record |= {"erpPartId": "4711/a", "stepAp242Uuid": CAD, "name": "n"}
    assert written.json()["data"] == record
    for path in ("/api/parts/by/erpPartId/4711%2Fa", f"/api/parts/by/stepAp242Uuid/{CAD}"):
        assert plant.get(path, internal=True).json()["data"] == record
    found = plant.get("/api/parts/4711%2Fa", internal=True).json()
    assert (found["data"], found["metadata"]["matchedBy"]) == (record, "erpPartId")
    shown = {
        name: record[name] for name in ("persistentUuid", "number", "name", "erpPartId", "stepAp242Uuid")
    }
    uuid = record["persistentUuid"]
    for path in ("by/erpPartId/4711%2Fa", f"by/stepAp242Uuid/{CAD}", uuid):
        assert plant.get(f"{EXTERNAL}/parts/{path}").json()["data"] == shown
    thread = plant.get(f"{EXTERNAL}/resolve/{uuid}").json()["data"]["thread"]
    assert [(entry["source"], entry["kind"], entry["value"]) for entry in thread][:2] == [
        ("erp", "erpPartId", "4711/a"),
        ("step", "stepAp242Uuid", CAD),
    ]
    batch = plant.client.post(
        f"{plant.url}{EXTERNAL}/parts/batch", json={"uuids": [uuid]}, headers=plant.partner
    )
    assert batch.json()["data"] == [shown]


def test_an_unknown_one_is_not_found(plant: Api) -> None:
    for path, internal in (
        (f"{EXTERNAL}/parts/by/erpPartId/none", False),
        ("/api/parts/by/erpPartId/none", True),
    ):
        assert plant.get(path, internal=internal).status_code == 404
    assert plant.get("/api/parts/by/stepAp242Uuid/none", internal=True).status_code == 400


def test_null_takes_it_away(plant: Api) -> None:
    assert patch(plant, "/api/internal/parts/2", erpPartId="E2").status_code == 200
    assert patch(plant, "/api/internal/parts/2", erpPartId=None).json()["data"]["erpPartId"] is None
    assert plant.get("/api/parts/by/erpPartId/E2", internal=True).status_code == 404
    assert patch(plant, "/api/internal/parts/3", erpPartId="E2").status_code == 200


def test_a_second_record_with_it_is_a_conflict_that_names_the_first(plant: Api) -> None:
    first = part(plant, 4)
    assert (
        patch(
            plant, "/api/internal/parts/4", erpPartId="E4", stepAp242Uuid=CAD.replace("55", "66")
        ).status_code
        == 200
    )
    assert patch(plant, "/api/internal/parts/4", erpPartId="E4").status_code == 200  # its own
    refused = patch(plant, "/api/internal/parts/5", erpPartId="E4", name="changed")
    assert (refused.status_code, refused.json()["fields"]) == (409, ["erpPartId"])
    assert f"another record has the same erpPartId: {first['persistentUuid']}" in refused.json()["detail"]
    assert (part(plant, 5)["erpPartId"], part(plant, 5)["name"]) == (None, "part")
    partner = patch(
        plant, f"{EXTERNAL}/parts/{part(plant, 5)['persistentUuid']}", stepAp242Uuid=CAD.replace("55", "66")
    )
    assert (partner.status_code, partner.json()["fields"]) == (409, ["stepAp242Uuid"])
    assert first["persistentUuid"] not in partner.text


@pytest.mark.parametrize("value", ["", " 47", "47\n", 47, "a\0b"])
def test_what_is_no_identifier_is_refused(plant: Api, value: object) -> None:
    refused = patch(plant, "/api/internal/parts/6", erpPartId=value)
    assert (refused.status_code, refused.json()["field"]) == (422, "erpPartId")
    for uuid in ("none", "00000000-0000-0000-0000-000000000000"):
        refused = patch(plant, "/api/internal/parts/6", stepAp242Uuid=uuid)
        assert (refused.status_code, refused.json()["field"]) == (422, "stepAp242Uuid")


def test_the_uuid_of_another_record_is_a_conflict_that_partners_are_not_told_of(plant: Api) -> None:
    own, other = (part(plant, number)["persistentUuid"] for number in (8, 9))
    refused = patch(plant, "/api/internal/parts/8", erpPartId=other)
    assert (refused.status_code, refused.json()["fields"]) == (409, ["erpPartId"])
    assert f"is the persistentUuid of another record: {other}" in refused.json()["detail"]
    partner = patch(plant, f"{EXTERNAL}/parts/{own}", stepAp242Uuid=other)
    assert (partner.status_code, partner.json()["fields"]) == (409, ["stepAp242Uuid"])
    assert other not in partner.text


def test_a_partner_writes_what_the_registry_lets_it(plant: Api) -> None:
    path = f"{EXTERNAL}/parts/{part(plant, 7)['persistentUuid']}"
    other = CAD.replace("55", "77")
    assert patch(plant, path, stepAp242Uuid=other).json()["data"]["stepAp242Uuid"] == other
    refused = patch(plant, path, erpPartId="E7")
    assert (refused.status_code, refused.json()["field"]) == (422, "erpPartId")


def test_a_new_record_can_have_one(plant: Api) -> None:
    body = {"id": 100, "number": "P100", "erpPartId": "E100"}
    made = plant.client.post(f"{plant.url}/api/internal/parts", json=body, headers=plant.internal)
    assert made.status_code == 201, made.text
    assert made.json()["data"]["erpPartId"] == "E100"
    again = {"id": 101, "number": "P101", "erpPartId": "E100"}
    refused = plant.client.post(f"{plant.url}/api/internal/parts", json=again, headers=plant.internal)
    assert refused.status_code == 409
    assert plant.get("/api/parts/by/number/P101", internal=True).status_code == 404


def test_lists_are_narrowed_and_sorted_by_it(plant: Api) -> None:
    for number in (11, 12, 13):
        assert patch(plant, f"/api/internal/parts/{number}", erpPartId=f"L{30 - number}").status_code == 200

    def numbers(query: str, *, internal: bool = True) -> list[str]:
        path = "/api/parts" if internal else f"{EXTERNAL}/parts"
        found = plant.get(f"{path}?{query}", internal=internal)
        assert found.status_code == 200, found.text
        return [record["number"] for record in found.json()["data"]]

    assert numbers("erpPartId=L19") == numbers("erpPartId=L19", internal=False) == ["P11"]
    assert sorted(numbers("erpPartId=L19&erpPartId=L17")) == ["P11", "P13"]
    assert numbers("erpPartId.gte=L17&erpPartId.lte=L19&sort=erpPartId") == ["P13", "P12", "P11"]
    page = plant.get(
        "/api/parts?erpPartId.gte=L17&erpPartId.lte=L19&sort=-erpPartId&limit=2", internal=True
    ).json()
    assert [record["number"] for record in page["data"]] == ["P11", "P12"]
    assert numbers(
        f"erpPartId.gte=L17&erpPartId.lte=L19&sort=-erpPartId&cursor={page['pagination']['nextCursor']}"
    ) == ["P13"]


def test_the_document_of_the_interface_has_them(plant: Api) -> None:
    found = document_of(plant, plant.registry)
    paths, schemas = found["paths"], found["components"]["schemas"]
    for name in ("erpPartId", "stepAp242Uuid"):
        assert {f"/api/parts/by/{name}/{{value}}", f"{EXTERNAL}/parts/by/{name}/{{value}}"} <= set(paths)
        assert name in schemas["Part"]["properties"]
        assert name in schemas["PartUpdate"]["properties"]
        assert name in schemas["PartCreate"]["properties"]
    changed = paths[f"{EXTERNAL}/parts/{{uuid}}"]["patch"]["requestBody"]["content"]
    (reference,) = {one["schema"]["$ref"].rsplit("/", 1)[1] for one in changed.values()}
    assert set(schemas[reference]["properties"]) == {"name", "stepAp242Uuid"}
    assert schemas["Part"]["properties"]["stepAp242Uuid"]["format"] == "uuid"


def test_they_are_gone_with_the_plugins_and_their_values_stay(plant: Api, storage: str) -> None:
    assert patch(plant, "/api/internal/parts/20", erpPartId="E20").status_code == 200
    registry = registry_of(storage, plugins=False)
    with serving(plant.database, registry, plugins=load_plugins(registry)) as without:
        assert set(part(without, 20)) == {"persistentUuid", "id", "number", "name"}
        assert without.get("/api/parts/by/erpPartId/E20", internal=True).status_code == 400
        assert without.get(f"{EXTERNAL}/parts/by/erpPartId/E20").status_code == 400
        assert without.get("/api/parts/E20", internal=True).status_code == 404
        assert patch(without, "/api/internal/parts/20", erpPartId="other").status_code == 422
        assert "erpPartId" not in json.dumps(document_of(without, registry))
    # As it was for those who have the plugins.
    assert plant.get("/api/parts/by/erpPartId/E20", internal=True).json()["data"]["number"] == "P20"


def test_a_server_notices_those_that_a_plugin_brings_later(server: Server) -> None:
    url = server.create(server.template("dotpeen", upgrade))
    with psycopg.connect(url) as connection:
        connection.execute('CREATE TABLE "Part" (id int PRIMARY KEY, number text NOT NULL UNIQUE, name text)')
        connection.execute("INSERT INTO \"Part\" VALUES (1, 'P1')")
    before = registry_of("column", plugins=False)
    with Runner(url, before, before.select()) as runner:
        runner.up()
    registry = registry_of("column")
    plugins = load_plugins(registry)
    with serving(url, registry, plugins=plugins) as api:
        assert "erpPartId" not in part(api, 1)
        with Runner(url, registry, registry.select(), plugins=plugins) as runner:
            runner.up()
        deadline = time.monotonic() + 20
        while "erpPartId" not in part(api, 1):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    server.drop(url)
