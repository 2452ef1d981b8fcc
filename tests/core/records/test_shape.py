"""What an entity looks like to partners and to the site's own applications."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dotpeen.contributions import ExternalReference
from dotpeen.errors import ConfigurationError, InvalidQueryError
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.records.shape import Shapes
from dotpeen.registry import parse_registry

from .site import Site

EXPOSED = {
    "Part": ("persistentUuid", "partNumber", "description", "materialType", "status"),
    "SerializedPart": (
        "persistentUuid", "serialNumber", "partUuid", "manufacturingDate", "lotNumber", "status",
    ),
    "MaterialLot": (
        "persistentUuid", "lotNumber", "heatNumber", "quantity", "unit", "receivedAt", "expiresAt", "status",
    ),
    "WorkOrder": (
        "persistentUuid", "workOrderNumber", "partUuid", "quantity", "quantityCompleted", "dueDate", "priority",
        "status",
    ),
    "QIFMeasurementPlan": ("persistentUuid", "planNumber", "version", "partUuid", "name", "status"),
    "QIFCharacteristic": (
        "persistentUuid", "planUuid", "characteristicNumber", "name", "characteristicType", "balloonNumber",
        "nominalValue", "toleranceUpper", "toleranceLower", "unit",
    ),
    "QIFMeasurementResult": (
        "persistentUuid", "characteristicUuid", "serializedPartUuid", "workOrderUuid", "measuredValue", "deviation",
        "status", "measuredAt",
    ),
    "ECORequest": ("persistentUuid", "ecoNumber", "partUuid", "title", "status", "requestedAt", "effectiveAt"),
}  # fmt: skip
MakeSite = Callable[[str, str], Site]


@pytest.fixture(scope="module")
def shapes(mes: Site) -> Shapes:
    return mes.shapes()


@pytest.mark.parametrize("entity", EXPOSED)
def test_partners_see_what_is_exposed_and_never_a_key(shapes: Shapes, entity: str) -> None:
    shape = shapes[entity]
    assert shape.exposed == EXPOSED[entity]
    assert shape.ready is None
    assert not any(name == "id" or name.endswith("Id") for name in (*shape.exposed, *shape.filters))
    assert not any(name == "id" or name.endswith("Id") for name in shape.sortable("external"))


def test_identifiers(shapes: Shapes) -> None:
    def named(entity: str) -> list[tuple[str, str, str]]:
        return [(one.name, one.kind, one.type) for one in shapes[entity].identifiers]

    assert named("Part") == [
        ("persistentUuid", "uuid", "uuid"),
        ("id", "primary", "text"),
        ("partNumber", "business", "text"),
    ]
    assert named("QIFMeasurementResult") == [("persistentUuid", "uuid", "uuid"), ("id", "primary", "text")]
    characteristic = shapes["QIFCharacteristic"].identifiers_of["external"]
    assert [one.columns for one in characteristic] == [
        ("persistentUuid",),
        ("planUuid", "characteristicNumber"),
    ]
    assert characteristic[1].type == "composite"


def test_identifier_by_name_or_parts(shapes: Shapes) -> None:
    plan = shapes["QIFMeasurementPlan"]
    by_name = plan.identifier("planNumber:version", audience="external")
    assert by_name is not None
    assert by_name is plan.identifier(["version", "planNumber"], audience="external")
    assert plan.identifier("planNumber", audience="internal") is None
    assert plan.identifier([], audience="internal") is None
    assert plan.identifier("id", audience="external") is None


def test_fields_in_the_order_of_the_record(shapes: Shapes) -> None:
    part = shapes["Part"]
    assert part.chosen(["status", "partNumber", "status"], audience="external") == ("partNumber", "status")
    with pytest.raises(InvalidQueryError, match="no field 'id'; there are persistentUuid, partNumber"):
        part.chosen(["id"], audience="external")
    assert shapes["WorkOrder"].chosen(["partUuid"], audience="internal") == ("partUuid",)


def test_related_entities(shapes: Shapes) -> None:
    assert [(one.name, one.entity) for one in shapes["Part"].incoming] == [
        ("serializedParts", "SerializedPart"),
        ("workOrders", "WorkOrder"),
        ("qifMeasurementPlans", "QIFMeasurementPlan"),
        ("ecoRequests", "ECORequest"),
    ]
    assert {name: link.entity for name, link in shapes["QIFMeasurementResult"].links.items()} == {
        "characteristicUuid": "QIFCharacteristic",
        "serializedPartUuid": "SerializedPart",
        "workOrderUuid": "WorkOrder",
    }
    # A foreign key to a table that is no entity.
    assert "customerUuid" not in shapes["WorkOrder"].links


def test_what_can_be_a_key(shapes: Shapes, make_site: MakeSite) -> None:
    part = shapes["Part"]
    assert part.not_a_key("cl9ebqhxk00008eqf0c2y6u2d") is None
    assert part.not_a_key("anything") is None
    assert "are no UUIDs" in str(part.not_a_key("550e8400-e29b-41d4-a716-446655440000"))
    assert "NUL" in str(part.not_a_key("a\0b"))
    site = make_site(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (p text, n int, PRIMARY KEY (p, n))",
        "[entities.A]\ntable = 'a'\n[entities.B]\ntable = 'b'\nprimary_key = ['p', 'n']",
    )
    a, b = site.shapes()["A"], site.shapes()["B"]
    assert a.not_a_key("12") is None
    assert "expected a whole number" in str(a.not_a_key("x"))
    assert "out of the range of integer" in str(a.not_a_key("99999999999"))
    assert b.not_a_key("x%3Ay:12") is None
    assert "has 2 parts" in str(b.not_a_key("x"))
    assert "neither %25 nor %3A" in str(b.not_a_key("50%:1"))


def test_shapes_by_path_and_name(shapes: Shapes) -> None:
    part = shapes.by_path("parts")
    assert part is shapes["Part"] is shapes.entity("Part")
    assert shapes.by_path("part") is None
    assert len(shapes) == 8
    assert shapes != dict(shapes)
    with pytest.raises(ConfigurationError, match="no entity 'part'"):
        shapes.entity("part")


def test_an_entity_without_its_table_is_left_out(mes: Site) -> None:
    registry = parse_registry(
        "[entities.Part]\n[entities.Nothing]\n[entities.Lot]\ntable = 'MaterialLot'\nprimary_key = 'lot'"
    )
    site = Site(mes.url, registry)
    shapes = site.shapes()
    site.close()
    assert list(shapes) == ["Part"]
    with pytest.raises(ConfigurationError, match="no table Nothing"):
        shapes.entity("Nothing")
    with pytest.raises(ConfigurationError, match="MaterialLot has no column 'lot'"):
        shapes.entity("Lot")


def test_links_have_names_of_their_own(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE part (id int PRIMARY KEY, partUuid text, replaced_by int REFERENCES part, made_of_id int"
        ' REFERENCES part, "ownerKey" int REFERENCES part, "partId" int REFERENCES part, "partUuid" text,'
        " declared int, code text UNIQUE, coded text, twice int);"
        'CREATE TABLE pair (a int, b int, up_a int, up_b int, "ID" int REFERENCES part, PRIMARY KEY (a, b),'
        " FOREIGN KEY (up_a, up_b) REFERENCES pair)",
        "[entities.Part]\ntable = 'part'\n"
        "relations.parent = { entity = 'Part', columns = 'declared' }\n"
        "relations.coding = { entity = 'Part', columns = 'coded', references = 'code' }\n"
        "relations.ambiguous = { entity = 'Part', columns = 'coded', references = 'partUuid' }\n"
        "[entities.Pair]\ntable = 'pair'\nprimary_key = ['a', 'b']",
    )
    part, pair = site.shapes()["Part"], site.shapes()["Pair"]
    assert {link.external_name: (link.name, link.columns[0].column) for link in part.links.values()} == {
        "declared_uuid": ("parent", "declared"),
        "coded_uuid": ("coding", "coded"),
        "made_of_uuid": ("made_of", "made_of_id"),
        "ownerUuid": ("owner", "ownerKey"),
        "partOfpartIdUuid": ("partOfpartId", "partId"),
        "replaced_by_uuid": ("replaced_by", "replaced_by"),
    }
    assert {link.external_name: link.name for link in pair.links.values()} == {
        "IDUuid": "ID",
        "pairUuid": "pair",
    }
    assert [one.name for one in part.incoming] == [
        "partsByParent",
        "partsByCoding",
        "partsByMade_of",
        "partsByOwner",
        "partsByPartOfpartId",
        "partsByReplaced_by",
        "pairs",
    ]


def test_external_references_whose_column_exists(make_site: MakeSite) -> None:
    site = make_site(
        'CREATE TABLE "Part" (id int PRIMARY KEY, number text, "erpPartId" text, other int REFERENCES "Part")',
        "[plugins.erp]\n[plugins.step]\n[entities.Part]\nbusiness_id = 'number'",
    )
    plugins = load_plugins(site.registry)
    site.plugins = plugins
    part = site.shapes()["Part"]
    # stepAp242Uuid has no column here.
    assert part.exposed == ("persistentUuid", "number", "erpPartId")
    assert [(one.name, one.kind, one.source) for one in part.identifiers][-1] == (
        "erpPartId",
        "external",
        "erp",
    )


def test_a_reference_can_not_show_a_key(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site(
        "CREATE TABLE part (id int PRIMARY KEY, ref text, up int REFERENCES part)",
        "[entities.Part]\ntable = 'part'",
    )
    references = [
        ExternalReference(name, "Part", column) for name, column in [("k", "id"), ("u", "up"), ("r", "ref")]
    ]
    site.plugins = Plugins(site.registry)
    monkeypatch.setattr(site.plugins, "call", lambda hook, **_: (("crane", references),))
    assert site.shapes()["Part"].exposed == ("persistentUuid", "r")


def test_a_business_identifier_that_is_the_key_is_not_shown(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE part (number text PRIMARY KEY, name text)",
        "[entities.Part]\ntable = 'part'\nprimary_key = 'number'\nbusiness_id = 'number'\nexpose = ['name']",
    )
    part = site.shapes()["Part"]
    assert part.exposed == ("persistentUuid", "name")
    assert [one.name for one in part.identifiers] == ["persistentUuid", "number"]
    assert [one.name for one in part.identifiers_of["external"]] == ["persistentUuid"]


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        (["cl9ebqhxk00008eqf0c2y6u2d", "cl9ebqhxk00008eqf0c2y6u2e"], "cuid"),
        (["tz4a98xxat96iws9zmbrgj3a"], "cuid2"),
        (["550e8400-e29b-41d4-a716-446655440000"], "uuid"),
        (["cl9ebqhxk00008eqf0c2y6u2d", "P-1"], None),
        ([], None),
    ],
)
def test_the_form_of_keys_is_learnt_from_those_there_are(
    make_site: MakeSite, keys: list[str], form: str | None
) -> None:
    site = make_site("CREATE TABLE part (id text PRIMARY KEY)", "[entities.Part]\ntable = 'part'")
    for key in keys:
        site.execute("INSERT INTO part (id) VALUES (%s)", [key])
    assert site.shapes()["Part"].key_form == form
