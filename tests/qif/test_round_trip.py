"""Documents that are exported, imported into an empty MES and exported again say the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from conftest import TemplateDatabase
from dotpeen.demo.run import build_plant
from dotpeen.migration import Runner
from dotpeen_qif.model import Document, Measurement, Tolerance
from dotpeen_qif.reading import read_document

from .mes import EVERYTHING, Mes, build, counts, registry

ROWS = 1500
FORGET = (
    *("QIFMeasurementResult", "QIFCharacteristic", "QIFMeasurementPlan", "SerializedPart", "WorkOrder"),
    *("ECORequest", "Operation", "Part"),
)
"""Everything but the master data that QIF has no place for: suppliers, materials, lots, equipment."""
FILL = """
[plugins.qif.imports.fill.WorkOrder]
quantity = 1
[plugins.qif.imports.fill.QIFCharacteristic]
toleranceUpper = 0
toleranceLower = 0
"""
QIF = "{http://qifstandards.org/xsd/qif3}"
VENDORS = (
    "All-in-one.QIF",
    "Exploded_Plan.QIF",
    "Exploded_Results1.QIF",
    "Exploded_Results2.QIF",
    "SheetMetal_QIF_Results_sample_1_w_UUIDs.QIF",
    "SheetMetal_QIF_Results_sample_2_w_UUIDs.QIF",
    "SheetMetal_QIF_Results_sample_3_w_UUIDs.QIF",
    "WIDGET_QIF_PLAN_W_QPIDS.QIF",
    "WIDGET_QIF_RESULTS_W_QPIDS.QIF",
    "sheetMetalPlanWithUUIDs.QIF",
    "mitutoyo_results_serialized_pass_fail_sample.QIF",
    "simplePlan.QIF",
)


def plant(url: str) -> None:
    build_plant(url, ROWS)
    site = registry()
    with Runner(url, site, site.select(phase=1)) as runner:
        runner.up()


@pytest.fixture
def mes(template_database: TemplateDatabase) -> Mes:
    """A sample MES with parts, plans and results."""
    return Mes(template_database("qif_plant", plant), registry(FILL))


@pytest.fixture
def empty(template_database: TemplateDatabase) -> Mes:
    """An MES without a row."""
    return Mes(template_database("qif_empty", build), registry(FILL))


def measured_parts(mes: Mes) -> list[str]:
    """UUIDs of the parts with the most results."""
    rows = mes.rows(
        'SELECT p."persistentUuid"::text FROM public."Part" AS p'
        ' JOIN public."SerializedPart" AS s ON s."partId" = p."id"'
        ' JOIN public."QIFMeasurementResult" AS r ON r."serializedPartId" = s."id"'
        " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 3"
    )
    return [row[0] for row in rows]


def forget(mes: Mes) -> None:
    for table in FORGET:
        mes.execute(f'DELETE FROM public."{table}"')


def test_own_documents_come_back_byte_by_byte(mes: Mes, tmp_path: Path) -> None:
    parts = measured_parts(mes)
    documents = {uuid: mes.export("Part", uuid) for uuid in parts}
    forget(mes)

    for uuid, document in documents.items():
        file = tmp_path / f"{uuid}.qif"
        file.write_bytes(document)
        report = mes.load(file, create=EVERYTHING)
        assert report.items == []

    assert {uuid: mes.export("Part", uuid) for uuid in parts} == documents


def test_plan_and_results_in_two_documents_come_back(mes: Mes, tmp_path: Path) -> None:
    (uuid, *_) = measured_parts(mes)
    plan, results = (mes.export("Part", uuid, kind=kind) for kind in ("qif-plan", "qif-results"))
    whole = mes.export("Part", uuid)
    forget(mes)
    uri = etree.fromstring(results).findtext(f".//{QIF}ExternalQIFDocument/{QIF}URI")
    assert uri is not None
    (tmp_path / uri).write_bytes(plan)
    (tmp_path / "results.qif").write_bytes(results)

    report = mes.load(tmp_path / "results.qif", create=EVERYTHING)

    assert report.items == []
    assert mes.export("Part", uuid) == whole


Characterized = tuple[str | None, str | None, str | None, Decimal | None, Tolerance | None]


def planned(document: Document, *, like: Document | None = None) -> list[Characterized]:
    """UUID, designator, name, nominal and tolerance of each characteristic; `like`: without UUIDs that it lacks."""
    known = None if like is None else {one.uuid for plan in like.plans for one in plan.characteristics}
    return sorted(
        (
            (
                one.uuid if known is None or one.uuid in known else None,
                *(one.designator, one.name, one.nominal, one.tolerance),
            )
            for plan in document.plans
            for one in plan.characteristics
        ),
        key=repr,
    )


def units(document: Document) -> dict[str, Decimal]:
    """Factor of the unit of each characteristic that has one, by its UUID."""
    return {
        one.uuid: one.unit.factor
        for plan in document.plans
        for one in plan.characteristics
        if one.unit is not None and one.uuid is not None
    }


def measured(
    document: Document, plans: Mapping[str, Document], *, like: Document | None = None
) -> list[tuple[str, ...]]:
    """Every measurement: of which set and characteristic, value, status, serial number where `like` has one."""
    serials = {actual.key: actual.serial for actual in document.actuals}
    nameless = like is not None and not any(actual.serial for actual in like.actuals)

    def called(one: Measurement) -> str:
        other = document if one.characteristic.document is None else plans[one.characteristic.document]
        (found,) = (
            c for plan in other.plans for c in plan.characteristics if c.key == one.characteristic.key
        )
        return f"{found.designator} {found.name}"

    return sorted(
        (
            results.uuid or "",
            called(one),
            str(one.value),
            one.status or "",
            (None if nameless else serials.get(one.actual or (results.actuals or ("",))[0])) or "",
        )
        for results in document.results
        for one in results.measurements
    )


def texts(content: bytes, *paths: str) -> list[str]:
    """Texts of elements, without the reader of the plugin."""
    root = etree.fromstring(content)
    found = [one for path in paths for one in root.iterfind(f".//{QIF}{path.replace('/', f'/{QIF}')}")]
    return sorted((element.text or "").strip().lower() for element in found)


def numbers(content: bytes, path: str) -> list[Decimal]:
    return sorted(map(Decimal, texts(content, path)))


@pytest.mark.slow
@pytest.mark.parametrize("name", VENDORS)
def test_vendors_documents_keep_what_they_say(empty: Mes, standards: Path, tmp_path: Path, name: str) -> None:
    original = standards / "qif" / "samples" / name

    options = {"create": EVERYTHING, "part": "UNNAMED", "at": "2026-01-01T00:00:00", "unnamed": "yes"}
    report = empty.load(original, **options)
    again = empty.load(original, **options)

    assert report.items == []
    assert {outcome for one in counts(again).values() for outcome in one} == {"unchanged"}
    ((uuid,),) = empty.rows('SELECT "persistentUuid"::text FROM public."Part"')
    copy = tmp_path / "copy.qif"
    copy.write_bytes(empty.export("Part", uuid))

    before, after = read_document(original), read_document(copy)
    plans = {
        document.qpid: document
        for file in original.parent.glob("Exploded_Plan.QIF")
        for document in [read_document(file)]
    }
    if before.plans:
        assert planned(after, like=before) == planned(before)
        assert units(before).items() <= units(after).items()
    assert measured(after, {}, like=before) == measured(before, plans)
    old, new = original.read_bytes(), copy.read_bytes()
    identities = ("CharacteristicDesignator/UUID", "Part/UUID", "ThisInstanceQPId", "ThisResultsInstanceQPId")
    assert set(texts(old, *identities)) <= set(texts(new, *identities))
    for path in ("TargetValue", "MaxValue", "MinValue", "ToleranceValue"):
        missing = numbers(old, path)
        for number in numbers(new, path):
            if number in missing:
                missing.remove(number)
        assert missing == []
    path = f".//{QIF}CharacteristicMeasurements/*/{QIF}Value"
    values = [
        sorted(Decimal(value.text or "") for value in etree.fromstring(content).iterfind(path))
        for content in (old, new)
    ]
    assert values[0] == values[1]


def test_a_verdict_without_measurements_comes_back(empty: Mes, standards: Path) -> None:
    file = standards / "qif" / "samples" / "mitutoyo_results_serialized_pass_fail_sample.QIF"

    report = empty.load(file, create=EVERYTHING)

    assert report.items == []
    assert counts(report) == {"Part": {"created": 1}, "SerializedPart": {"created": 1}}
    for entity in ("Part", "SerializedPart"):
        (uuid,) = empty.rows(f'SELECT "persistentUuid"::text FROM public."{entity}"')[0]
        document = empty.export(entity, uuid).decode()
        assert "<ThisResultsInstanceQPId>fd43400a-29bf-4ec6-b96c-e2f846eb6ff7" in document
        assert document.count("<InspectionStatusEnum>PASS<") == 2
