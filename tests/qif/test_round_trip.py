"""Documents that are exported, imported into an empty MES and exported again say the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from conftest import TemplateDatabase
from dotpeen.demo.run import build_plant
from dotpeen.migration import Runner
from dotpeen_qif.model import Characteristic, Document, Measurement
from dotpeen_qif.reading import read_document

from .mes import EVERYTHING, Mes, build, build_sidecar, counts, registry, sidecar_registry

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
UNIQUE = ("All-in-one", "simplePlan", "mitutoyo_results_serialized_pass_fail_sample")
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
    "mitutoyo_results_serialized_pass_fail_sample.QIF",
    "sheetMetalPlanWithUUIDs.QIF",
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


def stated(characteristic: Characteristic) -> tuple[Any, ...]:
    """What a characteristic says that must not be lost."""
    return (characteristic.nominal, characteristic.tolerance, characteristic.unit and characteristic.unit.factor)


def planned(document: Document) -> dict[str, tuple[Any, ...]]:
    """Characteristics by UUID; those without one by designator or name."""
    return {
        one.uuid or one.designator or one.name or one.key: stated(one)
        for plan in document.plans
        for one in plan.characteristics
    }


def measured(document: Document, plans: Mapping[str, Document]) -> list[tuple[Any, ...]]:
    """Every measurement: of which set and characteristic, value, status, serial number."""
    serials = {actual.key: actual.serial for actual in document.actuals}

    def called(one: Measurement) -> str | None:
        other = document if one.characteristic.document is None else plans[one.characteristic.document]
        return next(
            c.uuid or c.designator or c.name
            for plan in other.plans
            for c in plan.characteristics
            if c.key == one.characteristic.key
        )

    return sorted(
        (
            results.uuid,
            called(one),
            str(one.value),
            one.status,
            serials.get(one.actual or (results.actuals[0] if results.actuals else "")),
        )
        for results in document.results
        for one in results.measurements
    )


def texts(content: bytes, *paths: str) -> list[str]:
    """Texts of elements, without the reader of the plugin."""
    root = etree.fromstring(content)
    names = {"q": QIF[1:-1]}
    found = root.xpath("|".join(f"//q:{path.replace('/', '/q:')}" for path in paths), namespaces=names)
    return sorted(element.text.strip().lower() for element in found)


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
    assert {k: v for k, v in planned(after).items() if k in planned(before)} == planned(before)
    assert measured(after, {}) == measured(before, plans)
    old, new = original.read_bytes(), copy.read_bytes()
    identities = ("CharacteristicDesignator/UUID", "Part/UUID", "ThisInstanceQPId", "ThisResultsInstanceQPId")
    assert set(texts(old, *identities)) <= set(texts(new, *identities))
    for path in ("CharacteristicMeasurements/*/q:Value".replace("*/q:", "*/"),):
        assert path
    for path in ("TargetValue", "MaxValue", "MinValue", "ToleranceValue"):
        missing = numbers(old, path)
        for number in numbers(new, path):
            if number in missing:
                missing.remove(number)
        assert missing == []
    root = {"q": QIF[1:-1]}
    values = [
        sorted(Decimal(v.text) for v in etree.fromstring(content).xpath("//q:CharacteristicMeasurements/*/q:Value", namespaces=root))
        for content in (old, new)
    ]
    assert values[0] == values[1]
