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
    Path("/tmp/Q3/a.xml").write_bytes(whole)
    Path("/tmp/Q3/b.xml").write_bytes(mes.export("Part", uuid))
    assert mes.export("Part", uuid) == whole
