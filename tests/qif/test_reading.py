"""QIF documents as the model has them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from dotpeen_qif.limits import DEFAULT_LIMITS, Limits, QifDocumentError, QifLimitError
from dotpeen_qif.model import (
    Actual,
    Characteristic,
    Device,
    Document,
    ItemReference,
    Measurement,
    PlanReference,
    Product,
    Tolerance,
    Unit,
)
from dotpeen_qif.reading import read_document
from dotpeen_qif.reading.values import time_of
from qif_documents import BORE, DOCUMENT, FACE, LABEL, MEASURED, PART, PLAN, RESULTS, WHOLE, measurements

MM = Unit("mm", "linear", Decimal("0.001"), si_name="meter")
INCH = Unit("inch", "linear", Decimal("0.0254"), si_name="meter")
Q = {"q": "http://qifstandards.org/xsd/qif3"}


def read(folder: Path, text: str, limits: Limits = DEFAULT_LIMITS) -> Document:
    file = folder / "made.qif"
    file.write_text(text, encoding="utf-8")
    return read_document(file, limits=limits)


def taken(document: Document) -> list[Measurement]:
    return [measurement for results in document.results for measurement in results.measurements]


@pytest.fixture
def whole(tmp_path: Path) -> Document:
    """A document that has a bit of everything."""
    return read(tmp_path, WHOLE)


def test_reads_what_a_document_is_about(whole: Document) -> None:
    assert (whole.qpid, whole.scope, whole.application) == (DOCUMENT, "Plan and results", "Ägir")
    assert whole.units == {"linear": MM}
    assert whole.products == (
        Product(PART, number="PN-7", name="Bracket", revision="B", key="3", line=whole.products[0].line),
    )
    assert whole.devices == (Device("Caliper 3", serial="C-3", key="2"),)
    assert whole.traceability is not None
    assert (whole.traceability.order, whole.traceability.inspector) == ("WO-7", "Gauge room")
    assert whole.traceability.plans == (PlanReference(PLAN, line=14),)


def test_joins_definition_nominal_and_item(whole: Document) -> None:
    (plan,) = whole.plans
    assert (plan.uuid, plan.product) == (PLAN, "3")
    bore, face, label, length = plan.characteristics
    assert bore == Characteristic(
        BORE,
        "Diameter",
        name="Bore",
        designator="1",
        nominal=Decimal("12.000"),
        tolerance=Tolerance(Decimal("0.254"), Decimal("-0.254")),
        unit=MM,
        description="Bore for the pin",
        criticality="CRITICAL",
        key="13",
        line=bore.line,
    )
    assert str(bore.nominal) == "12.000"
    assert (face.uuid, face.tolerance, face.unit) == (FACE, Tolerance(zone=Decimal("0.05")), MM)
    assert (label.uuid, label.attribute, label.what) == (LABEL, True, "Is the label on?")
    assert (label.pass_values, label.fail_values, label.unit) == (("yes",), ("no", "torn"), None)
    assert (length.uuid, length.tolerance) == (None, Tolerance(Decimal("0.3"), Decimal("-0.1")))


def test_streams_measurements_by_set(whole: Document) -> None:
    (results,) = [(one, list(one.measurements)) for one in whole.results]
    found, (bore, face, label) = results
    assert (found.uuid, found.status, found.actuals, found.operator) == (RESULTS, "FAIL", ("21",), "op 5")
    assert found.at == datetime(2026, 3, 4, 10, tzinfo=timezone(timedelta(hours=1)))
    assert bore == Measurement(
        ItemReference("13"),
        "Diameter",
        uuid=MEASURED,
        value=Decimal("0.4731"),
        unit=INCH,
        status="PASS",
        actual="21",
        device="2",
        operator="op 5",
        at=datetime(2026, 3, 4, 9, 30, 0, 250_000, tzinfo=UTC),
        attributes={"Result.persistentUuid": MEASURED, "probe": "long"},
        line=bore.line,
    )
    assert (face.value, str(face.value), face.unit, face.status) == (Decimal("0.071"), "0.0710", None, "FAIL")
    assert (label.text, label.value, label.status) == ("yes", None, None)


def test_joins_actuals_with_their_making(whole: Document) -> None:
    line = whole.actuals[0].line
    assert whole.actuals == (
        Actual(serial="SN 1", lot="L-9", job="WO-7", product="3", status="FAIL", key="21", line=line),
    )


def test_lines_are_those_of_the_file(whole: Document) -> None:
    lines = WHOLE.splitlines()
    for measurement in taken(whole):
        assert "CharacteristicMeasurement id" in lines[measurement.line - 1]
    for characteristic in whole.plans[0].characteristics:
        assert f'CharacteristicItem id="{characteristic.key}"' in lines[characteristic.line - 1]


def test_sets_that_nobody_takes_are_passed_over(tmp_path: Path) -> None:
    one_set = WHOLE[WHOLE.index("<MeasurementResults id") : WHOLE.index("</MeasurementResultsSet>")]
    document = read(tmp_path, WHOLE.replace(one_set, one_set * 3))
    assert [results.uuid for results in document.results] == [RESULTS] * 3


def test_many_measurements_are_read_with_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "many.qif"
    with file.open("w") as stream:
        stream.writelines(measurements(5_000))
    tracemalloc.start()
    try:
        document = read_document(file)
        total = sum(
            measurement.value or 0 for results in document.results for measurement in results.measurements
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == sum(Decimal(f"12.{number % 100:03}") for number in range(5_000))
    assert peak < 2_000_000


def test_a_reference_into_another_document_names_it(standards: Path) -> None:
    document = read_document(standards / "qif" / "examples" / "results_min.qif")
    plan = "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f0001"
    assert [measurement.characteristic for measurement in taken(document)] == [
        ItemReference("7", plan),
        ItemReference("8", plan),
    ]
    (actual,) = document.actuals
    assert (actual.uuid, actual.lot_uuid) == (
        "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f1006",
        "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f1007",
    )
    assert document.traceability is not None
    assert document.traceability.order_uuid == "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f1042"


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("12.000", "1.2e1", r"DiameterCharacteristicItem: '1.2e1' is no decimal number"),
        (f"<QPId>{DOCUMENT}", "<QPId>nobody", "QPId: 'nobody' is no UUID"),
        ("<CharacteristicNominalId>9", "<CharacteristicNominalId>99", "refers to '99'"),
        ('<Value linearUnit="inch">', '<Value linearUnit="ell">', "FileUnits has no linear unit 'ell'"),
        ("2026-03-04T09:30:00.25Z", "yesterday", "'yesterday' is no date and time"),
        ("2026-03-04T09:30:00.25Z", "2026-13-04T09:30:00Z", "is no date and time"),
        (
            "<CharacteristicItemId>13",
            '<CharacteristicItemId xId="4">13',
            "ExternalQIFReferences does not have",
        ),
    ],
)
def test_what_cant_be_understood_is_named_with_its_line(
    tmp_path: Path, wrong: str, right: str, message: str
) -> None:
    with pytest.raises(QifDocumentError, match=message) as raised:
        taken(read(tmp_path, WHOLE.replace(wrong, right, 1)))
    assert raised.value.line is not None
    assert f"made.qif:{raised.value.line}: " in str(raised.value)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    document = read(tmp_path, WHOLE)
    (tmp_path / "made.qif").write_text(WHOLE.replace("<Plan>", "\n\n<Plan>"))
    with pytest.raises(QifDocumentError, match="the file was changed while it was read"):
        taken(document)


def test_limits_are_kept(tmp_path: Path) -> None:
    for limits, message in [
        (Limits(depth=5), "nested more than 5 deep"),
        (Limits(elements=50), "more than 50 elements"),
        (Limits(record=5), "of more than 5 elements"),
        (Limits(held=20), "more than 20 elements of definitions"),
        (Limits(text=100_000), "a text of more than 100,000 characters"),
        (Limits(names=10), "more than 10 different names"),
        (Limits(size=1000), "bytes, the limit is 1,000 bytes"),
    ]:
        padded = WHOLE.replace("Gauge room", "Gauge room" * 30_000)
        with pytest.raises(QifLimitError, match=message):
            taken(read(tmp_path, padded, limits))


FORMS = """<QIFDocument xmlns="http://qifstandards.org/xsd/qif3" versionQIF="3.0.0" idMax="99">
<QPId>5c0de000-0000-4000-8000-000000000001</QPId>
<FileUnits><PrimaryUnits/><UserDefinedUnits n="1"><UserDefinedUnit><WhatIsMeasured>gloss</WhatIsMeasured>
<UnitName>GU</UnitName></UserDefinedUnit></UserDefinedUnits></FileUnits>
<Characteristics><FormalStandardId>1</FormalStandardId>
<CharacteristicDefinitions n="1"><{kind}CharacteristicDefinition id="1">{definition}</{kind}CharacteristicDefinition>
</CharacteristicDefinitions><CharacteristicNominals n="1"><{kind}CharacteristicNominal id="2">
<CharacteristicDefinitionId>1</CharacteristicDefinitionId>{nominal}</{kind}CharacteristicNominal>
</CharacteristicNominals><CharacteristicItems n="1"><{kind}CharacteristicItem id="3">
<CharacteristicNominalId>2</CharacteristicNominalId></{kind}CharacteristicItem></CharacteristicItems></Characteristics>
<Results><MeasurementResultsSet n="1"><MeasurementResults id="4"><MeasuredCharacteristics>
<CharacteristicMeasurements n="1"><{kind}CharacteristicMeasurement id="5"><Status><CharacteristicStatusEnum>PASS
</CharacteristicStatusEnum></Status><CharacteristicItemId>3</CharacteristicItemId>{measured}
</{kind}CharacteristicMeasurement></CharacteristicMeasurements></MeasuredCharacteristics><InspectionStatus>
<InspectionStatusEnum>PASS</InspectionStatusEnum></InspectionStatus></MeasurementResults></MeasurementResultsSet>
</Results></QIFDocument>"""


def form(folder: Path, kind: str, *parts: str) -> tuple[Characteristic, Measurement]:
    definition, nominal, measured = parts
    text = FORMS.format(kind=kind, definition=definition, nominal=nominal, measured=measured)
    document = read(folder, text)
    (characteristic,) = document.plans[0].characteristics
    (measurement,) = taken(document)
    return characteristic, measurement


def test_tolerances_are_read_in_every_form(tmp_path: Path) -> None:
    gloss = Unit("GU", "user")
    one, measured = form(
        tmp_path,
        "UserDefinedUnit",
        "",
        '<TargetValue unitName="GU">80</TargetValue><MinValue unitName="GU">70</MinValue>'
        "<DefinedAsLimit>true</DefinedAsLimit>",
        '<Value unitName="GU">81.50</Value>',
    )
    assert (one.nominal, one.unit, one.tolerance) == (
        Decimal(80),
        gloss,
        Tolerance(None, Decimal(70), limits=True),
    )
    assert (str(measured.value), measured.unit) == ("81.50", gloss)

    one, measured = form(
        tmp_path,
        "SurfaceTexture",
        "<RoughnessAverage>0.8</RoughnessAverage>",
        "",
        "<RoughnessAverageValue>0.7</RoughnessAverageValue>",
    )
    assert (one.tolerance, measured.value) == (Tolerance(zone=Decimal("0.8")), Decimal("0.7"))

    fit = (
        '<LimitsAndFitsSpecification zoneVariance="INTERNAL"><FormVariance>H</FormVariance>'
        "<Grade>7</Grade></LimitsAndFitsSpecification>"
    )
    one, measured = form(tmp_path, "Diameter", fit, "<TargetValue>20</TargetValue>", "")
    assert (one.tolerance, one.fit, measured.value, measured.status) == (None, "H7", None, "PASS")

    one, _ = form(
        tmp_path, "Length", "<NonTolerance>SET</NonTolerance>", "<TargetValue>-.5</TargetValue>", ""
    )
    assert (one.tolerance, one.untoleranced, one.nominal) == (None, "SET", Decimal("-0.5"))


def test_a_composite_segment_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    segment = (
        "<Value>0.2</Value><SecondCompositeSegmentPositionMeasurement><Value>0.9</Value><Status>"
        "<CharacteristicStatusEnum>FAIL</CharacteristicStatusEnum></Status></SecondCompositeSegmentPositionMeasurement>"
    )
    one, measured = form(
        tmp_path,
        "Position",
        "<ToleranceValue>0.5</ToleranceValue><SecondCompositeSegmentPositionDefinition>"
        "<ToleranceValue>0.1</ToleranceValue></SecondCompositeSegmentPositionDefinition>",
        "",
        segment,
    )
    assert (one.tolerance, measured.value, measured.status) == (
        Tolerance(zone=Decimal("0.5")),
        Decimal("0.2"),
        "PASS",
    )


def test_every_kind_of_the_standard_is_read(tmp_path: Path, standards: Path) -> None:
    schema = (standards / "qif" / "xsd" / "QIFLibrary" / "Characteristics.xsd").read_text()
    kinds = sorted(set(re.findall(r'element name="(\w+)CharacteristicItem"', schema)))
    assert len(kinds) > 60
    for kind in kinds:
        one, measured = form(tmp_path, kind, "", "", "")
        assert (one.kind, measured.kind) == (kind, kind)


# The vendors' files: what the reader says is held against what XPath finds in them.


def samples() -> list[str]:
    return [
        *("All-in-one", "Exploded_Plan", "Exploded_Results1", "Exploded_Results2", "Exploded_Statistics"),
        *(f"SheetMetal_QIF_Results_sample_{number}_w_UUIDs" for number in (1, 2, 3)),
        *("WIDGET_QIF_PLAN_W_QPIDS", "WIDGET_QIF_RESULTS_W_QPIDS", "check_car", "sheetMetalPlanWithUUIDs"),
        *("simplePlan", "mitutoyo_results_serialized_pass_fail_sample"),
    ]


def texts(tree: Any, path: str) -> list[str]:
    return [str(text).strip() for text in tree.xpath(path, namespaces=Q)]


@pytest.fixture(
    params=[
        *(f"samples/{name}.QIF" for name in samples()),
        *(f"examples/{name}.qif" for name in ("plan_min", "plan_with_step_entity", "results_min")),
    ]
)
def vendor_file(request: pytest.FixtureRequest, standards: Path) -> Path:
    """Each of the published files in turn."""
    return standards / "qif" / str(request.param)


def test_vendors_documents_and_products(vendor_file: Path) -> None:
    tree, document = etree.parse(vendor_file), read_document(vendor_file)
    assert [document.qpid] == [text.lower() for text in texts(tree, "/*/q:QPId/text()")]
    products = "/*/q:Product/*/*[self::q:Part or self::q:Assembly or self::q:Component]"
    assert [one.key for one in document.products] == texts(tree, f"{products}/@id")
    assert [one.uuid for one in document.products if one.uuid] == [
        text.lower() for text in texts(tree, f"{products}/q:UUID/text()")
    ]
    assert [one.uri for one in document.external] == texts(tree, "//q:ExternalQIFDocument/q:URI/text()")
    cited = [plan.plan for plan in document.traceability.plans] if document.traceability else []
    assert cited == [text.lower() for text in texts(tree, "//q:ReferencedQIFPlanInstance/q:ItemQPId/text()")]
    assert [one.serial for one in document.actuals if one.serial] == texts(
        tree, "//q:ActualComponent/q:SerialNumber/text()"
    )
    assert len(document.actuals) == len(tree.xpath("//q:ActualComponent", namespaces=Q))


def test_vendors_characteristics(vendor_file: Path) -> None:
    tree, document = etree.parse(vendor_file), read_document(vendor_file)
    items = tree.xpath("/*/q:Characteristics/q:CharacteristicItems/*", namespaces=Q)
    found = [one for plan in document.plans for one in plan.characteristics]
    assert len(found) == len(items)
    by_id = {element.get("id"): element for element in tree.xpath("/*/q:Characteristics/*/*", namespaces=Q)}
    for item, one in zip(items, found, strict=True):
        nominal = by_id[item.findtext("q:CharacteristicNominalId", namespaces=Q)]
        definition = by_id[nominal.findtext("q:CharacteristicDefinitionId", namespaces=Q)]
        uuid = item.findtext("q:CharacteristicDesignator/q:UUID", namespaces=Q)
        target = nominal.findtext("q:TargetValue", namespaces=Q)
        assert (one.key, one.line) == (item.get("id"), item.sourceline)
        assert etree.QName(item).localname == f"{one.kind}CharacteristicItem"
        assert one.uuid == (uuid.strip().lower() if uuid else None)
        assert one.name == item.findtext("q:Name", namespaces=Q)
        assert one.designator == item.findtext("q:CharacteristicDesignator/q:Designator", namespaces=Q)
        assert (None if one.nominal is None else str(one.nominal)) == target
        assert _said(one.tolerance) == {
            "MaxValue": definition.findtext("q:Tolerance/q:MaxValue", namespaces=Q),
            "MinValue": definition.findtext("q:Tolerance/q:MinValue", namespaces=Q),
            "ToleranceValue": definition.findtext("q:ToleranceValue", namespaces=Q),
        }
        if one.tolerance is not None and one.tolerance.zone is None:
            limits = definition.findtext("q:Tolerance/q:DefinedAsLimit", namespaces=Q)
            assert one.tolerance.limits is (limits == "true")


def _said(tolerance: Tolerance | None) -> dict[str, str | None]:
    numbers = (None, None, None) if tolerance is None else (tolerance.upper, tolerance.lower, tolerance.zone)
    names = ("MaxValue", "MinValue", "ToleranceValue")
    return {
        name: None if number is None else str(number) for name, number in zip(names, numbers, strict=True)
    }


def test_vendors_results(vendor_file: Path) -> None:
    tree, document = etree.parse(vendor_file), read_document(vendor_file)
    sets = tree.xpath("//q:MeasurementResultsSet/q:MeasurementResults", namespaces=Q)
    counted = 0
    for element, results in zip(sets, document.results, strict=True):
        uuid = element.findtext("q:ThisResultsInstanceQPId", namespaces=Q)
        assert results.uuid == (uuid.strip().lower() if uuid else None)
        assert results.status == element.findtext("q:InspectionStatus/q:InspectionStatusEnum", namespaces=Q)
        measured = element.xpath("q:MeasuredCharacteristics/q:CharacteristicMeasurements/*", namespaces=Q)
        for part, one in zip(measured, results.measurements, strict=True):
            assert one.line == part.sourceline
            assert etree.QName(part).localname == f"{one.kind}CharacteristicMeasurement"
            assert one.status == part.findtext("q:Status/q:CharacteristicStatusEnum", namespaces=Q)
            value = part.findtext("q:Value", namespaces=Q)
            assert (None if one.value is None else str(one.value)) == value
            item = part.find("q:CharacteristicItemId", namespaces=Q)
            assert one.characteristic.key == item.get("xId", item.text)
            assert one.actual == part.findtext("q:ActualComponentId", namespaces=Q)
            assert one.device == part.findtext("q:MeasurementDeviceIds/q:Id", namespaces=Q)
            counted += 1
    assert counted == len(tree.xpath("//q:CharacteristicMeasurements/*", namespaces=Q))


def test_vendors_files_have_what_we_know_of_them(standards: Path) -> None:
    folder = standards / "qif" / "samples"
    plan = read_document(folder / "WIDGET_QIF_PLAN_W_QPIDS.QIF").plans[0]
    assert Counter(one.kind for one in plan.characteristics) == Counter(
        {"Angularity": 1, "Diameter": 4, "DistanceBetween": 4, "Flatness": 5}
        | {"Perpendicularity": 2, "PointProfile": 4, "Position": 5, "Width": 1}
    )
    results = read_document(folder / "WIDGET_QIF_RESULTS_W_QPIDS.QIF")
    assert results.traceability is not None
    assert [cited.plan for cited in results.traceability.plans] == [plan.uuid]
    assert len(taken(results)) == 42


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-28T24:00:00", "2026-03-01T00:00:00"),
        ("2026-12-31T24:00:00.000Z", "2027-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    ],
)
def test_the_end_of_a_day_is_a_time(text: str, moment: str) -> None:
    assert time_of(text).isoformat() == moment


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T24:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-01T24:00:01"],
)
def test_a_time_that_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no date and time"):
        time_of(text)
