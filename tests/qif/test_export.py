"""Exported documents: valid, the same for the same data, and showing partners what the registry exposes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from psycopg import IsolationLevel

from conftest import TemplateDatabase
from dotpeen.database import connect
from dotpeen.demo.run import build_plant, registry_text
from dotpeen.errors import ConfigurationError, InvalidQueryError, RecordNotFoundError, RegistryError
from dotpeen.hooks import Audience, ExportDocument, ExportRequest
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry, parse_registry
from dotpeen_qif.validate import validate

ROWS = 1500
QIF = "{http://qifstandards.org/xsd/qif3}"
KINDS = ("qif", "qif-plan", "qif-results")
FORMS = ("Part", "QIFMeasurementPlan", "SerializedPart", "WorkOrder")


def site(settings: str = "") -> Registry:
    """The registry of the sample MES with other settings of the plugin."""
    return parse_registry(registry_text().replace("[plugins.qif]", f"[plugins.qif]\n{settings}", 1))


def build(url: str) -> None:
    build_plant(url, ROWS)
    registry = site()
    with Runner(url, registry, registry.select(phase=1)) as runner:
        runner.up()


class Plant:
    """The sample MES, and its documents."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.url, purpose="test") as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with connect(self.url, purpose="test") as connection:
            connection.execute(statement.encode())

    def uuids(self, entity: str) -> list[str]:
        rows = self.rows(f'SELECT "persistentUuid"::text FROM public."{entity}" ORDER BY 1')
        return [row[0] for row in rows]

    def measured(self, entity: str = "Part") -> str:
        """The record of an entity with the most results."""
        found = self.rows(
            'SELECT p."persistentUuid"::text, s."persistentUuid"::text, o."persistentUuid"::text,'
            ' q."persistentUuid"::text FROM public."QIFMeasurementResult" AS r'
            ' JOIN public."SerializedPart" AS s ON s."id" = r."serializedPartId"'
            ' JOIN public."QIFCharacteristic" AS c ON c."id" = r."characteristicId"'
            ' JOIN public."QIFMeasurementPlan" AS q ON q."id" = c."planId"'
            ' JOIN public."Part" AS p ON p."id" = q."partId" JOIN public."WorkOrder" AS o ON o."id" = r."workOrderId"'
            " GROUP BY 1, 2, 3, 4 ORDER BY count(*) DESC, 1 LIMIT 1"
        )[0]
        return dict(zip(("Part", "SerializedPart", "WorkOrder", "QIFMeasurementPlan"), found, strict=True))[
            entity
        ]

    def open(
        self,
        kind: str,
        entity: str,
        uuid: str,
        *,
        audience: Audience = "internal",
        registry: Registry | None = None,
        **options: str,
    ) -> tuple[ExportDocument, bytes]:
        """Export as `dotpeen export` does."""
        registry = registry or site()
        exporter = {e.format: e for _, e in load_plugins(registry).exporters()}[kind]
        with connect(self.url, purpose="test") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                request = ExportRequest(
                    registry, connection, registry.entities[entity], uuid, audience, options
                )
                document = exporter.open(request)
                return document, b"".join(document.chunks)

    def export(self, kind: str, entity: str, uuid: str, **options: Any) -> bytes:
        return self.open(kind, entity, uuid, **options)[1]


@pytest.fixture(scope="module")
def plant(server: Any) -> Iterator[Plant]:
    """A sample MES that the tests of this module share: they leave it as it is."""
    url = server.create(server.template("qif_export", build))
    yield Plant(url)
    server.drop(url)


@pytest.fixture
def own_plant(template_database: TemplateDatabase) -> Plant:
    """A sample MES that a test may change."""
    return Plant(template_database("qif_export", build))


@pytest.fixture
def schemas(standards: Path) -> Path:
    return standards / "qif" / "xsd"


def findings(document: bytes, folder: Path, schemas: Path) -> list[str]:
    """What is wrong with a document."""
    file = folder / "document.qif"
    file.write_bytes(document)
    return [
        str(finding) for finding in validate(file, schema_dir=schemas).findings if finding.severity == "error"
    ]


def said(document: bytes, path: str) -> list[str]:
    """The texts, or attributes, at a path below the root."""
    names = path.split("/")
    attribute = names.pop()[1:] if names[-1].startswith("@") else None
    found = etree.fromstring(document).iterfind(".//" + "/".join(QIF + name for name in names))
    return [element.get(attribute) if attribute else element.text for element in found]


@pytest.mark.parametrize(
    ("kind", "entity"),
    [("qif-plan", entity) for entity in FORMS[:2]]
    + [(kind, entity) for kind in ("qif", "qif-results") for entity in FORMS],
)
def test_documents_are_valid(plant: Plant, tmp_path: Path, schemas: Path, kind: str, entity: str) -> None:
    document = plant.export(kind, entity, plant.measured(entity))
    assert findings(document, tmp_path, schemas) == []


@pytest.mark.slow
def test_every_document_of_every_part_is_valid(plant: Plant, tmp_path: Path, schemas: Path) -> None:
    for uuid in plant.uuids("Part"):
        for kind in KINDS:
            for audience in ("internal", "external"):
                document = plant.export(kind, "Part", uuid, audience=audience, plans="all")
                assert findings(document, tmp_path, schemas) == [], (uuid, kind)


def test_each_uuid_is_in_its_place(plant: Plant) -> None:
    uuid = plant.measured()
    document = plant.export("qif", "Part", uuid)
    assert said(document, "PartSet/Part/UUID") == [uuid]
    (plan,) = said(document, "Plan/Version/ThisInstanceQPId")
    assert plan in plant.uuids("QIFMeasurementPlan")
    assert said(document, "PreInspectionTraceability/ReferencedQIFPlanInstance/ItemQPId") == [plan]
    designators = said(document, "CharacteristicDesignator/UUID")
    assert designators
    assert set(designators) <= set(plant.uuids("QIFCharacteristic"))
    for entity, owner in (
        ("QIFMeasurementResult", "CharacteristicMeasurements"),
        ("SerializedPart", "ActualComponentSet"),
        ("MaterialLot", "ManufacturingProcessTraceabilities"),
        ("WorkOrder", "MeasurementResults"),
    ):
        named = [
            element.findtext(f"{QIF}Value")
            for element in etree.fromstring(document).iterfind(f".//{QIF}{owner}//{QIF}AttributeQPId")
            if element.get("name") == f"{entity}.persistentUuid"
        ]
        assert named
        assert set(named) <= set(plant.uuids(entity))


def test_measurements_say_what_the_mes_has(plant: Plant) -> None:
    uuid = plant.measured()
    document = etree.fromstring(plant.export("qif", "Part", uuid))
    written = {
        measurement.findtext(f".//{QIF}AttributeQPId/{QIF}Value"): (
            measurement.findtext(f"{QIF}Value"),
            measurement.findtext(f"{QIF}Status/{QIF}CharacteristicStatusEnum"),
        )
        for measurement in document.iterfind(f".//{QIF}CharacteristicMeasurements/*")
    }
    rows = plant.rows(
        'SELECT r."persistentUuid"::text, r."measuredValue"::text, r."status" FROM public."QIFMeasurementResult" AS r'
        ' JOIN public."QIFCharacteristic" AS c ON c."id" = r."characteristicId"'
        ' JOIN public."QIFMeasurementPlan" AS q ON q."id" = c."planId" JOIN public."Part" AS p ON p."id" = q."partId"'
        f" WHERE p.\"persistentUuid\" = '{uuid}'"
    )
    assert written == {key: (value, status) for key, value, status in rows}


def test_the_same_data_give_the_same_bytes(plant: Plant) -> None:
    uuid = plant.measured()
    first, again = (plant.open("qif", "Part", uuid) for _ in range(2))
    assert (first[1], first[0].etag) == (again[1], again[0].etag)


def test_another_value_gives_another_qpid(own_plant: Plant) -> None:
    uuid = own_plant.measured()
    before = own_plant.open("qif", "Part", uuid)[0].etag
    own_plant.execute('UPDATE public."QIFMeasurementResult" SET "measuredValue" = "measuredValue" + 1')
    changed = own_plant.open("qif", "Part", uuid)[0].etag
    own_plant.execute('UPDATE public."QIFMeasurementResult" SET "measuredValue" = "measuredValue" - 1')
    own_plant.execute('UPDATE public."SerializedPart" SET "serialNumber" = "serialNumber" || \'x\'')
    assert len({before, changed, own_plant.open("qif", "Part", uuid)[0].etag}) == 3


def test_results_refer_to_the_plan_document(plant: Plant) -> None:
    uuid = plant.measured()
    plan, plan_bytes = plant.open("qif-plan", "Part", uuid)
    results = plant.export("qif-results", "Part", uuid)
    items = {
        element.get("id")
        for element in etree.fromstring(plan_bytes).iterfind(f".//{QIF}CharacteristicItems/*")
    }
    assert said(results, "ExternalQIFDocument/QPId") == said(plan_bytes, "QPId")[:1] == [plan.etag]
    assert said(results, "ExternalQIFDocument/URI") == [plan.file_name]
    assert set(said(results, "CharacteristicItemId/@xId")) <= items
    assert set(said(results, "CharacteristicItemId")) == set(said(results, "ExternalQIFDocument/@id"))


@pytest.mark.parametrize("kind", KINDS)
def test_partners_see_what_is_exposed_and_no_key(plant: Plant, kind: str) -> None:
    uuid = plant.measured()
    document = plant.export(kind, "Part", uuid, audience="external").decode()
    keys = {
        key
        for entity in ("Part", "SerializedPart", "WorkOrder", "QIFMeasurementPlan", "QIFCharacteristic")
        for (key,) in plant.rows(f'SELECT "id" FROM public."{entity}"')
    }
    assert not keys & set(re.findall(r"c[a-z0-9]{24}", document))
    assert "<MeasurementDevice " not in document
    assert 'name="operator"' not in document
    internal = plant.export(kind, "Part", uuid).decode()
    assert ('name="operator"' in internal) == (kind != "qif-plan")


def test_a_link_that_is_not_exposed_is_not_followed(plant: Plant) -> None:
    text = registry_text().replace(
        '"characteristicId", "serializedPartId", "workOrderId",', '"characteristicId",'
    )
    document = plant.export(
        "qif", "Part", plant.measured(), audience="external", registry=parse_registry(text)
    ).decode()
    assert "WorkOrder" not in document
    assert "<ActualComponent" not in document


def test_a_wrong_column_is_named_with_its_key(plant: Plant) -> None:
    registry = site("[plugins.qif.characteristic]\nnominal = 'nominalVale'")
    message = r"plugins.qif.characteristic.nominal: QIFCharacteristic has no column 'nominalVale'"
    with pytest.raises(ConfigurationError, match=message):
        plant.export("qif", "Part", plant.measured(), registry=registry)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("kinds = { BORE = 'Borehole' }", "'Borehole' is no kind"),
        ("statuses = { OK = 'GOOD' }", "'GOOD' is no status"),
        ("units = { cubit = 'elbow' }", "'elbow' is no unit"),
        ("[plugins.qif.part]\nnumbr = 'x'", "plugins.qif.part.numbr: unknown key"),
    ],
)
def test_wrong_settings_are_refused(plant: Plant, settings: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        plant.export("qif", "Part", plant.measured(), registry=site(settings))


def test_what_is_not_there_is_an_error(plant: Plant) -> None:
    with pytest.raises(RecordNotFoundError):
        plant.export("qif", "Part", "00000000-0000-4000-8000-000000000001")
    with pytest.raises(InvalidQueryError, match="neither current nor all"):
        plant.export("qif", "Part", plant.measured(), plans="some")


def test_a_site_says_its_own_words(own_plant: Plant, tmp_path: Path, schemas: Path) -> None:
    own_plant.execute(
        'UPDATE public."QIFCharacteristic" SET "characteristicType" = \'BOHRUNG\', "unit" = \'Zoll\''
    )
    own_plant.execute('UPDATE public."QIFMeasurementResult" SET "status" = \'GUT\'')
    registry = site(
        "kinds = { BOHRUNG = 'Diameter' }\nunits = { Zoll = 'inch' }\nstatuses = { GUT = 'PASS' }"
    )
    document = own_plant.export("qif", "Part", own_plant.measured(), registry=registry)
    assert findings(document, tmp_path, schemas) == []
    assert set(
        said(document, "MeasurementResultsSet/MeasurementResults/InspectionStatus/InspectionStatusEnum")
    ) == {"PASS"}
    assert said(document, "PrimaryUnits/LinearUnit/UnitName") == ["inch"]
    assert said(document, "CharacteristicItems/DiameterCharacteristicItem/Name")


def test_older_plans_are_told_apart_when_all_are_asked_for(
    plant: Plant, tmp_path: Path, schemas: Path
) -> None:
    (uuid,) = plant.rows(
        'SELECT p."persistentUuid"::text FROM public."Part" AS p JOIN public."QIFMeasurementPlan" AS q'
        ' ON q."partId" = p."id" GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1'
    )[0]
    newest, every = (plant.export("qif-plan", "Part", uuid, plans=plans) for plans in ("current", "all"))
    assert len(said(newest, "Plan/Version/ThisInstanceQPId")) == 1
    assert said(every, "Plan/Version/ThisInstanceQPId") == []
    assert len(said(every, "Steps/MeasureEvaluateSpecified/Attributes/AttributeQPId/Value")) > 1
    assert findings(every, tmp_path, schemas) == []
