"""`dotpeen qif validate` and `show`, and the checks behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dotpeen.errors import ConfigurationError
from dotpeen_qif.validate import Report, validate
from dotpeen_qif.validate.schema import load_schema
from dotpeen_qif.validate.structure import Ids
from qif_documents import BORE, DOCUMENT, FACE, LABEL, MEASURED, PLAN, WHOLE, measurements

from .documents import Doc, Item, Measured, uuid

Check = Callable[[str], Report]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """`check(text)` validates a document without the schemas."""

    def checked(text: str, schema_dir: Path | None = None) -> Report:
        file = tmp_path / "made.qif"
        file.write_text(text, encoding="utf-8")
        return validate(file, schema_dir=schema_dir)

    return checked


@pytest.fixture
def schemas(standards: Path) -> Path:
    """The published schemas."""
    return standards / "qif" / "xsd"


def found(report: Report) -> list[tuple[str, str, str]]:
    return [(one.severity, one.check, one.message) for one in report.findings]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_good_document_has_no_findings(check: Check) -> None:
    report = check(WHOLE)
    assert (report.findings, report.ok, report.schema) == ([], True, None)


def test_a_good_document_has_none_by_the_schemas_either(tmp_path: Path, schemas: Path) -> None:
    file = tmp_path / "made.qif"
    file.write_text(WHOLE)
    report = validate(file, schema_dir=schemas)
    assert (report.findings, report.schema) == ([], schemas)


# What the schemas can't say. Each: what is replaced, by what, and the finding, which stands where the text is wrong.
WRONG = [
    (
        'id="14"',
        'id="13"',
        "error",
        "id",
        "FlatnessCharacteristicItem: the id 13 is used before in this document",
    ),
    ('id="14"', 'id="014"', "error", "id", "the id '014' is no number without leading zeros"),
    ('id="20"', 'id="4000"', "warning", "id", "idMax is 30, the largest id is 4000"),
    (
        '<Standard id="1">',
        '<Standard id="29">',
        "error",
        "reference",
        "FormalStandardId: nothing in the document has",
    ),
    (
        "<FormalStandardId>1<",
        "<FormalStandardId>2<",
        "warning",
        "reference",
        "2 is a Caliper, not a Standard",
    ),
    (
        "<CharacteristicItemId>13<",
        "<CharacteristicItemId>99<",
        "error",
        "reference",
        "nothing in the document has",
    ),
    (
        *("<CharacteristicItemId>13<", "<CharacteristicItemId>14<", "error", "reference"),
        "CharacteristicItemId: 14 is a FlatnessCharacteristicItem, not a DiameterCharacteristicItem",
    ),
    (
        *("<ActualComponentId>21<", "<ActualComponentId>3<", "error", "reference"),
        "ActualComponentId: 3 is a Part, not a ActualComponent",
    ),
    (
        "<Id>2</Id>",
        "<Id>77</Id>",
        "error",
        "reference",
        "MeasurementDeviceIds: nothing in the document has the id 77",
    ),
    ("<Id>2</Id>", "<Id>two</Id>", "error", "reference", "MeasurementDeviceIds: 'two' is no id"),
    (
        *("<CharacteristicItemId>13<", '<CharacteristicItemId xId="13">5<', "error", "external"),
        "CharacteristicItemId: there is no external document 5",
    ),
    ('Items n="4"', 'Items n="5"', "warning", "count", "CharacteristicItems says n=5 and has 4"),
    (FACE, BORE, "error", "uuid", f"the UUID of the designator, {BORE}, is that of line"),
    (FACE, "face", "error", "uuid", "the UUID of the designator: 'face' is no UUID"),
    (
        f"<QPId>{DOCUMENT}",
        f"<QPId>{PLAN}",
        "error",
        "uuid",
        f"the ThisInstanceQPId, {PLAN}, is that of line 3",
    ),
    (
        "<MaxValue>0.3<",
        "<MaxValue>-0.3<",
        "error",
        "tolerance",
        "characteristic 4: the minimum -0.1 is above the",
    ),
    (
        "<ToleranceValue>0.05<",
        "<ToleranceValue>-0.05<",
        "error",
        "tolerance",
        "the zone is -0.05, less than nothing",
    ),
    (">0.4731<", ">0.4931<", "warning", "status", "the status is PASS, by value 0.4931 and tolerance FAIL"),
    (">0.0710<", ">0.0310<", "warning", "status", "the status is FAIL, by value 0.0310 and tolerance PASS"),
    ('versionQIF="3.0.0"', 'versionQIF="4.0.0"', "error", "schema", "versionQIF is 4.0.0, not 3.0.0"),
    (
        ">0.0710<",
        ">1e-3<",
        "error",
        "value",
        "FlatnessCharacteristicMeasurement: '1e-3' is no decimal number",
    ),
]


@pytest.mark.parametrize(("old", "new", "severity", "kind", "message"), WRONG)
def test_what_the_schemas_cant_say_is_found(
    check: Check, old: str, new: str, severity: str, kind: str, message: str
) -> None:
    assert old in WHOLE
    report = check(WHOLE.replace(old, new, 1))
    matching = [one for one in report.findings if (one.severity, one.check) == (severity, kind)]
    assert any(message in one.message for one in matching), report.findings
    assert report.ok == (severity == "warning")


def test_findings_have_the_line(check: Check) -> None:
    text = WHOLE.replace("<CharacteristicItemId>14<", "<CharacteristicItemId>98<").replace(FACE, BORE)
    lines = {one.check: one.line for one in check(text).findings}
    second = text.index(BORE, text.index(BORE.upper()))
    assert lines == {
        "uuid": text[:second].count("\n") + 1,
        "reference": line_of(text, "<CharacteristicItemId>98"),
    }


def test_limits_with_the_nominal_outside_are_a_warning(check: Check) -> None:
    limits = "<MaxValue>11</MaxValue><MinValue>10</MinValue><DefinedAsLimit>true"
    start = WHOLE.index('<MaxValue linearUnit="inch">')
    text = WHOLE[:start] + limits + WHOLE[WHOLE.index("</DefinedAsLimit>", start) :]
    assert ("warning", "tolerance", "characteristic 1: the nominal 12.000 is outside of its limits") in found(
        check(text)
    )


def test_results_that_pass_with_failed_measurements_are_a_warning(check: Check) -> None:
    text = WHOLE.replace("<InspectionStatusEnum>FAIL", "<InspectionStatusEnum>PASS", 1)
    assert found(check(text)) == [
        ("warning", "status", "the results' status is PASS, 1 of their measurements FAIL"),
    ]


def test_measurements_have_uuids_of_their_own(check: Check) -> None:
    start, end = (
        WHOLE.index("<DiameterCharacteristicMeasurement"),
        WHOLE.index("<FlatnessCharacteristicMeasurement"),
    )
    one = WHOLE[start:end]
    text = WHOLE[:end] + one.replace('id="18"', 'id="22"') + WHOLE[end:]
    text = text.replace('Measurements n="3"', 'Measurements n="4"')
    first, second = text.index(MEASURED), text.rindex(MEASURED)
    (finding,) = check(text).findings
    assert finding.line == text[:second].count("\n") + 1
    assert finding.message == (
        f"the UUID of the measurement is that of the one in line {text[:first].count(chr(10)) + 1} already"
    )


def test_no_more_than_a_thousand_findings_are_kept(check: Check) -> None:
    text = "".join(measurements(1_500)).replace("<CharacteristicItemId>13<", "<CharacteristicItemId>x<")
    report = check(text)
    assert (len(report.findings), report.left_out > 0, report.ok) == (1_000, True, False)


def test_ids_are_a_set_of_numbers() -> None:
    ids = Ids()
    assert [ids.add(number) for number in (1, 64, 63, 64, 2**32, 1)] == [True, True, True, False, True, False]
    assert (63 in ids, 62 in ids, 2**32 in ids, ids.largest) == (True, False, True, 2**32)


def test_the_schemas_errors_have_lines(tmp_path: Path, schemas: Path) -> None:
    text = WHOLE.replace("<Designator>3</Designator>", "").replace('id="20"', 'id="x20"')
    file = tmp_path / "made.qif"
    file.write_text(text)
    report = validate(file, schema_dir=schemas)
    assert [(one.check, one.line) for one in report.findings] == [
        ("schema", line_of(text, LABEL)),
        ("schema", line_of(text, 'id="x20"')),
    ]
    assert report.findings[0].message.startswith("Element 'UUID': This element is not expected. Expected is")


def test_large_documents_are_checked_by_the_schemas_in_time(tmp_path: Path, schemas: Path) -> None:
    """Above a megabyte the constraints on keys, quadratic in libxml2, are left out; the own checks have them."""
    file = tmp_path / "large.qif"
    pieces = list(measurements(5_000))
    pieces[4_001] = pieces[4_001].replace("<Value>12.0", "<Value>about 12.0").replace(">13<", ">14<")
    file.write_text("".join(pieces))
    assert file.stat().st_size > 1024 * 1024
    started = time.process_time()
    report = validate(file, schema_dir=schemas)
    assert time.process_time() - started < 10
    line = "".join(pieces[:4_001]).count("\n")
    assert [(one.check, (one.line or 0) - line) for one in report.findings] == [
        ("reference", 4),
        ("schema", 5),
    ]


def test_the_schemas_are_loaded_once(schemas: Path) -> None:
    assert load_schema(schemas) is load_schema(schemas)
    assert load_schema(schemas) is not load_schema(schemas, keys=False)


def test_a_folder_without_schemas_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no QIF schemas: there is no .*QIFDocument\.xsd"):
        validate(tmp_path / "any.qif", schema_dir=tmp_path)


def test_schemas_lead_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "xsd" / "QIFApplications"
    folder.mkdir(parents=True)
    (tmp_path / "other.xsd").write_text('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>')
    for location in ("../../other.xsd", "http://127.0.0.1:9/other.xsd"):
        (folder / "QIFDocument.xsd").write_text(
            f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation="{location}"/>'
            '<xs:element name="QIFDocument"/></xs:schema>'
        )
        load_schema.cache_clear()
        with pytest.raises(ConfigurationError):
            load_schema(tmp_path / "xsd")


def test_vendors_files_are_valid_but_for_what_is_known(standards: Path, schemas: Path) -> None:
    folder = standards / "qif"
    said = {}
    for file in sorted([*folder.glob("samples/*"), *folder.glob("examples/*")]):
        report = validate(file, schema_dir=schemas)
        assert report.ok, (file, report.findings)
        if report.findings:
            said[file.name] = [(one.check, one.line) for one in report.findings]
    assert said == {
        "All-in-one.QIF": [("reference", 23)],
        "check_car.QIF": [("external", 12), ("external", 16), ("count", 35)],
    }


BAD = WHOLE[: WHOLE.index(FACE)].count("\n") + 1
"""The line of the error in `bad.qif`."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A registry that has the plugin on."""
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.qif]\n")
    (tmp_path / "good.qif").write_text(WHOLE)
    (tmp_path / "bad.qif").write_text(WHOLE.replace(FACE, BORE))
    return registry


@pytest.mark.slow
def test_the_command_says_what_is_wrong_and_where(run_dotpeen: Any, site: Path) -> None:
    done = run_dotpeen("qif", "validate", "good.qif", "bad.qif")
    assert done.returncode == 1, done.stderr
    good, bad, count = done.stdout.splitlines()
    assert good == "good.qif: valid"
    assert bad.startswith(f"bad.qif:{BAD}: error: the UUID of the designator")
    assert count == "bad.qif: 1 error"
    assert "Not checked against the schemas of QIF: set schema_dir in [plugins.qif]" in " ".join(
        done.stderr.split()
    )

    done = run_dotpeen("qif", "validate", "bad.qif", "--json")
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)["files"]
    assert (report["file"], report["valid"], report["checkedAgainstSchemas"]) == ("bad.qif", False, False)
    assert [(one["line"], one["check"]) for one in report["findings"]] == [(BAD, "uuid")]

    assert run_dotpeen("qif", "validate", "good.qif").returncode == 0
    assert run_dotpeen("qif", "validate", "good.qif", "missing.qif").returncode == 2
    assert run_dotpeen("qif", "validate", "good.qif", "--schema-dir", ".").returncode == 2


@pytest.mark.slow
def test_the_command_shows_what_a_document_has(run_dotpeen: Any, site: Path) -> None:
    done = run_dotpeen("qif", "show", "good.qif")
    assert done.returncode == 0, done.stderr
    for part in (DOCUMENT, "PN-7 Bracket B", "WO-7", BORE, "-0.254 … +0.254", "zone 0.05", "SN 1"):
        assert part in done.stdout
    shown = json.loads(run_dotpeen("qif", "show", "good.qif", "--json").stdout)
    assert shown["qpid"] == DOCUMENT
    assert [one["nominal"] for one in shown["plans"][0]["characteristics"]] == ["12.000", None, None, "80"]
    assert shown["results"][0]["statuses"] == {"FAIL": 1, "PASS": 1, "none": 1}
    assert run_dotpeen("qif", "show", "missing.qif").returncode == 2


@pytest.mark.slow
def test_the_command_sums_up_many_sets_of_results(run_dotpeen: Any, site: Path, tmp_path: Path) -> None:
    text = Doc("many", [Item("Length A")], results=[Measured(0, "10.1")]).text
    start, end = text.index("<MeasurementResults id"), text.index("</MeasurementResultsSet>")
    file = tmp_path / "many.qif"
    file.write_text(text[:start] + 40 * text[start:end] + text[end:], encoding="utf-8")

    shown = run_dotpeen("qif", "show", "many.qif").stdout

    assert "40 sets of results with 40 measurements: sets 40 PASS; measurements 40 PASS" in shown
    assert "and 30 more sets" in shown


def test_a_plan_with_the_uuid_of_a_characteristic_is_an_error(tmp_path: Path) -> None:
    shared = uuid("shared")
    file = Doc("plan", [Item("Length A", uuid=shared)], plan=shared).write(tmp_path)

    (error,) = validate(file).errors

    assert error.check == "uuid"
    assert f"the ThisInstanceQPId, {shared}, is the UUID of the designator in line" in error.message
