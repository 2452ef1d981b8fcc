"""The OpenAPI document: valid, complete, the same each time, and true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from openapi_spec_validator import validate

from dotpeen import __version__
from dotpeen.api.external import External
from dotpeen.api.internal import Internal
from dotpeen.api.openapi import document
from dotpeen.database import connect
from dotpeen.database.schema import upgrade
from dotpeen.demo.run import registry_text
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins
from dotpeen.records import Shapes, load_shapes
from dotpeen.registry import Registry, parse_registry

from .conftest import Api, plant_registry, serving
from .contract import Contract

if TYPE_CHECKING:
    from conftest import Dotpeen, TemplateDatabase

pytestmark = pytest.mark.slow

CUID = re.compile(r"\bc[a-z0-9]{24}\b")


def shapes_of(url: str, registry: Registry) -> Shapes:
    with connect(url, purpose="test") as connection:
        return load_shapes(connection, registry)


@pytest.fixture(scope="module")
def shapes(api: Api) -> Shapes:
    return shapes_of(api.database, api.registry)


@pytest.fixture(scope="module")
def external(api: Api, shapes: Shapes) -> Contract:
    return Contract(document(api.registry, shapes, internal=False))


@pytest.fixture(scope="module")
def internal(api: Api, shapes: Shapes) -> Contract:
    return Contract(document(api.registry, shapes, internal=True))


def test_both_documents_are_valid_openapi(external: Contract, internal: Contract) -> None:
    validate(external.document)
    validate(internal.document)


def test_the_version_is_that_of_the_package(external: Contract) -> None:
    info = external.document["info"]
    assert (external.document["openapi"], info["version"]) == ("3.1.0", __version__)


def test_every_example_is_valid(external: Contract, internal: Contract) -> None:
    wrong = {
        where: errors
        for contract in (external, internal)
        for where, schema, example in contract.examples()
        if (errors := contract.errors(schema, example))
    }
    assert wrong == {}


def test_every_operation_has_examples_of_what_is_sent_and_answered(internal: Contract) -> None:
    without = [
        operation["operationId"]
        for *_, operation in internal.operations()
        for media in [
            *operation.get("requestBody", {}).get("content", {}).values(),
            *(
                media
                for response in operation["responses"].values()
                for media in internal.resolved(response).get("content", {}).values()
            ),
        ]
        if "example" not in media and "examples" not in media
    ]
    assert without == []


def test_the_external_document_has_no_internal_identifier(external: Contract, shapes: Shapes) -> None:
    text = json.dumps(external.document)
    names = {
        name
        for schema in external.document["components"]["schemas"].values()
        for name in schema.get("properties", {})
    }
    hidden = {field.name for shape in shapes.values() for field in shape.key} | {
        field.name for shape in shapes.values() for link in shape.links.values() for field in link.columns
    }
    assert (CUID.findall(text), names & hidden) == ([], set())


def test_the_external_document_has_the_external_routes_and_the_token_endpoint(external: Contract) -> None:
    others = [path for path in external.document["paths"] if not path.startswith("/api/v1/external/")]
    assert others == ["/oauth/token"]


def test_the_internal_document_has_every_route(internal: Contract, shapes: Shapes) -> None:
    reading: Any = SimpleNamespace(shapes=shapes)
    routes = [*External(reading).routes(), *Internal(reading).routes()]
    documented = {(method.upper(), path) for path, method, _ in internal.operations()}
    missing = {
        (route.method, route.template)
        for route in routes
        if (route.method, route.template) not in documented
        # A path for each identifier stands for this one …
        and not route.template.endswith("/by/{field}/{value}")
    }
    # … and this one is for identifiers of several parts, which most entities have not.
    assert {path for _, path in missing if not path.endswith("/by")} == set()
    assert {(method, path) for method, path in documented if path.endswith("/by")} == {
        ("GET", f"{base}/qif-{kind}/by")
        for base in ("/api", "/api/v1/external")
        for kind in ("measurement-plans", "characteristics")
    }


def test_operations_have_the_names_that_clients_would_give_them(internal: Contract) -> None:
    names = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, method, operation in internal.operations()
        if re.search(r"/(parts|resolve)\b", path)
    }
    assert names == {
        "GET /api/v1/external/parts": "listParts",
        "POST /api/v1/external/parts/batch": "batchParts",
        "GET /api/v1/external/parts/{uuid}": "getPart",
        "PATCH /api/v1/external/parts/{uuid}": "updatePart",
        "GET /api/v1/external/parts/by/partNumber/{value}": "getPartByPartNumber",
        "GET /api/v1/external/resolve/{uuid}": "resolveUuid",
        "GET /api/parts": "listAllParts",
        "GET /api/parts/{identifier}": "findPart",
        "GET /api/parts/by/persistentUuid/{value}": "findPartByPersistentUuid",
        "GET /api/parts/by/id/{value}": "findPartById",
        "GET /api/parts/by/partNumber/{value}": "findPartByPartNumber",
        "GET /api/internal/parts/{id}": "getPartDetails",
        "POST /api/internal/parts": "createPart",
        "PATCH /api/internal/parts/{id}": "updatePartById",
    }


def test_no_name_is_given_twice(internal: Contract) -> None:
    names = [operation["operationId"].lower() for *_, operation in internal.operations()]
    assert sorted(names) == sorted(set(names))


def test_types_come_from_the_catalog(external: Contract) -> None:
    properties = external.document["components"]["schemas"]["MaterialLotExternal"]["properties"]
    types = {name: (schema["type"], schema.get("format")) for name, schema in properties.items()}
    assert types == {
        "persistentUuid": ("string", "uuid"),
        "lotNumber": ("string", None),
        "heatNumber": ("string", None),
        "quantity": ("number", "double"),
        "unit": ("string", None),
        "receivedAt": ("string", "date-time"),
        "expiresAt": (["string", "null"], "date-time"),
        "status": ("string", None),
    }


def test_a_foreign_key_is_the_uuid_of_its_record(external: Contract) -> None:
    properties = external.document["components"]["schemas"]["QIFMeasurementResultExternal"]["properties"]
    assert {name: schema["type"] for name, schema in properties.items() if name.endswith("Uuid")} == {
        "persistentUuid": "string",
        "characteristicUuid": "string",
        "serializedPartUuid": "string",
        "workOrderUuid": ["string", "null"],
    }


def test_a_list_has_its_filters_and_their_operators(external: Contract) -> None:
    parameters = [external.resolved(one) for one in external.operation("listWorkOrders")["parameters"]]
    assert [one["name"] for one in parameters] == [
        *(f"workOrderNumber{operator}" for operator in ("", ".gte", ".lte", ".gt", ".lt")),
        "partUuid",
        *(
            f"{name}{operator}"
            for name in ("status", "priority", "dueDate")
            for operator in ("", ".gte", ".lte", ".gt", ".lt")
        ),
        "sort",
        "fields",
        "limit",
        "cursor",
        "offset",
        "If-None-Match",
    ]


def test_every_external_operation_says_what_scope_it_needs(external: Contract) -> None:
    scopes = {
        operation["operationId"]: operation["security"]
        for *_, operation in external.operations()
        if operation["operationId"] in ("getPart", "updatePart", "batchMaterialLots")
    }
    assert scopes == {
        "getPart": [{"token": []}, {"oauth2": ["Part:read"]}],
        "updatePart": [{"token": []}, {"oauth2": ["Part:write"]}],
        "batchMaterialLots": [{"token": []}, {"oauth2": ["MaterialLot:read"]}],
    }


def test_every_answer_of_every_entity_is_as_documented(
    api: Api, external: Contract, internal: Contract, shapes: Shapes
) -> None:
    wrong = {}
    for shape in shapes.values():
        path = f"/api/v1/external/{shape.entity.path}"
        page = api.get(path, params={"limit": 3}).json()
        uuids = [record["persistentUuid"] for record in page["data"]]
        key = api.get(f"/api/{shape.entity.path}/{uuids[0]}", internal=True).json()["data"]["id"]
        for asked in (path, f"{path}/{uuids[0]}", f"{path}/nonsense", f"{path}/{uuids[0][:-4]}0000"):
            wrong[asked] = answer_errors(external, api.get(asked))
        resolve = f"/api/v1/external/resolve/{uuids[0]}"
        wrong[resolve] = answer_errors(external, api.get(resolve))
        flexible = f"/api/{shape.entity.path}"
        for asked in (
            flexible,
            f"{flexible}/{uuids[0]}",
            f"{flexible}/{key}",
            f"{flexible}/nonsense",
            f"/api/internal/{shape.entity.path}/{key}",
            f"/api/internal/{shape.entity.path}/{uuids[0]}",
        ):
            wrong[asked] = answer_errors(internal, api.get(asked, internal=True))
        batch = httpx.post(
            f"{api.url}{path}/batch", headers=api.partner, json={"uuids": [*uuids, uuids[0][:-4] + "0000"]}
        )
        wrong[f"{path}/batch"] = answer_errors(external, batch)
    assert {asked: errors for asked, errors in wrong.items() if errors} == {}


def answer_errors(contract: Contract, answer: httpx.Response) -> list[str]:
    kind = answer.headers.get("content-type", "")
    path = answer.request.url.path
    return contract.answer_errors(answer.request.method, path, answer.status_code, kind, answer.json())


def test_the_document_is_the_same_each_time(api: Api, external: Contract) -> None:
    again = document(api.registry, shapes_of(api.database, api.registry), internal=False)
    assert json.dumps(again) == json.dumps(external.document)


def test_the_server_gives_out_the_external_document(api: Api, external: Contract) -> None:
    answer = httpx.get(f"{api.url}/openapi.json")
    assert (answer.status_code, answer.json()) == (200, external.document)


def test_the_internal_listener_gives_out_the_internal_document(api: Api, internal: Contract) -> None:
    with connect(api.database, purpose="test") as connection:
        connection.execute(
            "UPDATE dotpeen.partner SET name = 'Before', name_key = 'before' WHERE name = 'Acme'"
        )
    with serving(api.database, api.registry, trusted=True) as listener:
        assert httpx.get(f"{listener.url}/openapi.json").json() == internal.document


def test_the_document_is_not_sent_again_to_who_has_it(api: Api) -> None:
    first = httpx.get(f"{api.url}/openapi.json")
    again = httpx.get(f"{api.url}/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_an_entity_without_uuids_is_documented_as_not_available(database: str) -> None:
    registry = plant_registry()
    with psycopg.connect(database) as connection:
        connection.execute('CREATE TABLE "Part" ("id" text PRIMARY KEY, "partNumber" text NOT NULL UNIQUE)')
    found = Contract(document(registry, shapes_of(database, registry), internal=True))
    validate(found.document)
    description = found.operation("getPart")["description"]
    assert (
        description
        == "Not available yet, answered with 503: not migrated: Part has no column persistentUuid."
    )


ODD = """
[api]
internal_token = "env:DOTPEEN_TEST_INTERNAL_TOKEN"
[entities.Problem]
table = "odd/Tab le%"
primary_key = ["a b", "n:o"]
business_id = "Größe {1}"
expose = ["amount", "ratio", "kind", "tags", "sizes", "at", "plain_at", "day", "doc", "raw", "flag", "span", "small"]
filters = ["amount", "ratio", "kind", "at", "day", "flag", "raw", "small", "dotted.name"]
writable = ["amount", "kind", "tags", "doc", "day"]
uuid = { column = "Uu-id" }
[entities.Metadata]
table = "series"
path = "metadata"
business_id = "name"
"""


def build_odd(url: str) -> None:
    registry = parse_registry(ODD, file="odd.toml")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TYPE kind AS ENUM ('a', 'b c')")
        connection.execute(
            'CREATE TABLE "odd/Tab le%" ("a b" int, "n:o" text, "Größe {1}" varchar(40) NOT NULL UNIQUE,'
            " amount numeric(12, 4), ratio real, kind kind, tags text[], sizes int[], at timestamptz,"
            " plain_at timestamp, day date, doc jsonb, raw bytea, flag bool, span interval, small int2,"
            ' "dotted.name" text, PRIMARY KEY ("a b", "n:o"))'
        )
        connection.execute(
            "CREATE TABLE series (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE)"
        )
        connection.execute("INSERT INTO series (name) VALUES ('s')")
        connection.execute(
            """INSERT INTO "odd/Tab le%" VALUES
               (1, 'x', 'a/b %:', 25.4, 0.1, 'a', '{a,NULL}', '{1,2}', '2026-01-31 12:00+01', '2026-01-31',
                '2026-01-31', '{"a": [1]}', '\\x00ff', true, '1 day', 7, 'd'),
               (2, 'y', 'ü', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
        )
    with Runner(url, registry, registry.select(phase=1)) as runner:
        runner.up()
    upgrade(url)


def test_every_type_and_name_of_a_database_can_be_documented(template_database: TemplateDatabase) -> None:
    url, registry = template_database("odd", build_odd), parse_registry(ODD, file="odd.toml")
    contract = Contract(document(registry, shapes_of(url, registry), internal=True))
    validate(contract.document)
    wrong = {
        where: errors
        for where, schema, one in contract.examples()
        if (errors := contract.errors(schema, one))
    }
    assert wrong == {}
    # An entity that is called like a schema of the interface does not take its name.
    schemas = contract.document["components"]["schemas"]
    assert ("type" in schemas["Problem"]["properties"], "amount" in schemas["Problem2"]["properties"]) == (
        True,
        True,
    )
    with serving(url, registry) as api:
        page = api.get("/api/v1/external/problems")
        uuid = page.json()["data"][0]["Uu-id"]
        answers = [
            page,
            api.get(f"/api/v1/external/problems/{uuid}"),
            api.get("/api/problems", internal=True),
            api.get("/api/internal/problems/1:x", internal=True),
            httpx.patch(
                f"{api.url}/api/v1/external/problems/{uuid}",
                headers=api.partner,
                json={"amount": "1.5", "kind": "b c", "tags": ["q"], "doc": {"x": 1}, "day": None},
            ),
        ]
        assert [answer_errors(contract, answer) for answer in answers] == [[], [], [], [], []]


class TestCommand:
    def test_prints_the_external_document_without_a_server(self, api: Api, run_dotpeen: Dotpeen) -> None:
        (run_dotpeen.folder / "registry.toml").write_text(registry_with_writable(), encoding="utf-8")
        done = run_dotpeen("--database-url", api.database, "api", "openapi")
        assert (done.returncode, done.json) == (0, documented(api.database, internal=False))

    def test_writes_the_internal_one_to_a_file(self, api: Api, run_dotpeen: Dotpeen, tmp_path: Path) -> None:
        (run_dotpeen.folder / "registry.toml").write_text(registry_with_writable(), encoding="utf-8")
        file = tmp_path / "openapi.json"
        done = run_dotpeen("--database-url", api.database, "api", "openapi", "--internal", "-o", file)
        assert (done.returncode, done.stdout) == (0, "")
        assert json.loads(file.read_text(encoding="utf-8")) == documented(api.database, internal=True)


def documented(url: str, *, internal: bool) -> dict[str, Any]:
    """What a server with the registry's plugins would say of itself."""
    registry = parse_registry(registry_with_writable(), file="registry.toml")
    plugins = load_plugins(registry)
    with connect(url, purpose="test") as connection:
        shapes = load_shapes(connection, registry, plugins)
    return document(registry, shapes, internal=internal, plugins=plugins)


def registry_with_writable() -> str:
    return registry_text().replace(
        "[entities.Part]\n", '[entities.Part]\nwritable = ["description", "status"]\n', 1
    )
