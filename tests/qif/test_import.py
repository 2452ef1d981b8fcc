"""Importing QIF documents: what becomes of records that are there, are missing, or don't fit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest

from conftest import TemplateDatabase
from dotpeen.errors import ConfigurationError, DotpeenError, NotMigratedError
from dotpeen.hooks import ImportReport, ImportRequest
from dotpeen_qif import store
from dotpeen_qif.importing.importer import read

from .documents import INCHES, MILLIMETRES, PART, PLAN, Doc, Item, Measured, uuid
from .mes import EVERYTHING, Mes, build, build_sidecar, counts, registry, sidecar_registry

PLANNED = Doc("plan", [Item("Length A"), Item("Length B", nominal="25.4", designator="2")])
INSPECTED = Doc(
    "results",
    part=None,
    number=None,
    external=PLANNED,
    results=[Measured(0, "10.1", uuid=uuid("first")), Measured(1, "25.2", uuid=uuid("second"))],
    serial_uuid=uuid("SN-1"),
)
WHOLE = {
    "Part": {"created": 1},
    "SerializedPart": {"created": 1},
    "QIFMeasurementPlan": {"created": 1},
    "QIFCharacteristic": {"created": 2},
    "QIFMeasurementResult": {"created": 2},
}


@pytest.fixture
def mes(template_database: TemplateDatabase) -> Mes:
    """An MES without a row."""
    return Mes(template_database("qif_empty", build))


@pytest.fixture
def sidecar_mes(template_database: TemplateDatabase) -> Mes:
    """An MES without a row, its UUIDs beside its tables."""
    return Mes(template_database("qif_sidecar", build_sidecar), sidecar_registry())


@pytest.fixture
def documents(tmp_path: Path) -> tuple[Path, Path]:
    """A plan, and results that refer to it."""
    return PLANNED.write(tmp_path), INSPECTED.write(tmp_path)


def part(mes: Mes, number: str = "PN-1") -> str:
    """A part that the MES has by itself; returns its UUID."""
    mes.execute(
        'INSERT INTO public."Part" ("id", "partNumber", "updatedAt") VALUES (%s, %s, now())',
        [f"c{uuid(number).replace('-', '')[:24]}", number],
    )
    return str(mes.rows('SELECT "persistentUuid" FROM public."Part" WHERE "partNumber" = %s', [number])[0][0])


def test_created_records_have_the_uuids_of_the_files(mes: Mes, documents: tuple[Path, Path]) -> None:
    report = mes.load(*documents, create=EVERYTHING)

    assert counts(report) == WHOLE
    assert mes.rows(
        'SELECT r."persistentUuid"::text, c."persistentUuid"::text, p."persistentUuid"::text,'
        ' a."persistentUuid"::text, s."persistentUuid"::text, s."serialNumber", a."partNumber",'
        ' r."measuredValue", r."deviation"::text, r."status"'
        ' FROM public."QIFMeasurementResult" AS r JOIN public."QIFCharacteristic" AS c ON c."id" = r."characteristicId"'
        ' JOIN public."QIFMeasurementPlan" AS p ON p."id" = c."planId"'
        ' JOIN public."Part" AS a ON a."id" = p."partId"'
        ' JOIN public."SerializedPart" AS s ON s."id" = r."serializedPartId" ORDER BY c."characteristicNumber"'
    ) == [
        (uuid("first"), uuid("Length A"), PLAN, PART, uuid("SN-1"), "SN-1", "PN-1", 10.1, "0.1", "PASS"),
        (uuid("second"), uuid("Length B"), PLAN, PART, uuid("SN-1"), "SN-1", "PN-1", 25.2, "-0.2", "PASS"),
    ]
    (key,) = mes.rows('SELECT "id" FROM public."QIFMeasurementResult" LIMIT 1')[0]
    assert len(key) == 25
    assert key.startswith("c")


def test_a_second_import_writes_nothing(mes: Mes, documents: tuple[Path, Path]) -> None:
    mes.load(*documents, create=EVERYTHING)
    before = mes.versions()

    report = mes.load(*documents, create=EVERYTHING)

    assert counts(report) == {entity: {"unchanged": number["created"]} for entity, number in WHOLE.items()}
    assert mes.versions() == before


def test_uuids_beside_the_tables_are_those_of_the_files(
    sidecar_mes: Mes, documents: tuple[Path, Path]
) -> None:
    report = sidecar_mes.load(*documents, create=EVERYTHING)
    again = sidecar_mes.load(*documents, create=EVERYTHING)

    assert counts(report) == WHOLE
    assert again.clean
    assert sidecar_mes.rows(
        "SELECT entity, uuid::text FROM dotpeen.identity WHERE uuid = ANY(%s::uuid[]) ORDER BY 1",
        [[PART, PLAN, uuid("first"), uuid("Length A"), uuid("SN-1")]],
    ) == [
        ("Part", PART),
        ("QIFCharacteristic", uuid("Length A")),
        ("QIFMeasurementPlan", PLAN),
        ("QIFMeasurementResult", uuid("first")),
        ("SerializedPart", uuid("SN-1")),
    ]
    assert sidecar_mes.rows(
        "SELECT count(*) FROM dotpeen.identity AS i WHERE i.entity = 'QIFMeasurementResult'"
    ) == [(2,)]


def test_a_dry_run_reports_and_leaves_nothing(mes: Mes, documents: tuple[Path, Path]) -> None:
    report = mes.load(*documents, dry_run=True, create=EVERYTHING)

    assert counts(report) == WHOLE
    assert mes.count("Part") == 0
    assert mes.rows("SELECT to_regclass('dotpeen_qif.document')") == [(None,)]


def test_referenced_records_are_made_only_where_that_is_asked(mes: Mes, documents: tuple[Path, Path]) -> None:
    report = mes.load(*documents)

    (first, *_) = report.items
    assert (first.outcome, first.entity, first.identifier, first.where) == (
        *("unmatched", "Part", "PN-1"),
        "plan.qif:6",
    )
    assert first.message == "there is no such Part; --option create=Part makes it"
    assert report.counts["QIFMeasurementResult"] == {"unmatched": 2}
    assert mes.count("QIFMeasurementPlan") == 0


def test_what_is_there_is_found_by_its_number(mes: Mes, tmp_path: Path) -> None:
    known = part(mes)

    report = mes.load(replace(PLANNED, part=None).write(tmp_path))

    assert report.clean
    assert counts(report)["Part"] == {"unchanged": 1}
    assert mes.rows(
        'SELECT a."persistentUuid"::text FROM public."QIFMeasurementPlan" AS p'
        ' JOIN public."Part" AS a ON a."id" = p."partId"'
    ) == [(known,)]


def test_a_number_with_another_uuid_is_a_conflict_that_names_both(mes: Mes, tmp_path: Path) -> None:
    known = part(mes)

    report = mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    (first, *_) = report.items
    assert (first.outcome, first.entity) == ("conflicting", "Part")
    assert PART in first.message
    assert known in first.message
    assert mes.count("QIFMeasurementPlan") == 0


def test_a_uuid_of_one_record_with_the_number_of_another_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    one, other = part(mes, "PN-1"), part(mes, "PN-2")

    report = mes.load(replace(PLANNED, part=one, number="PN-2").write(tmp_path))

    (first, *_) = report.items
    assert first.outcome == "conflicting"
    assert one in first.message
    assert other in first.message


def test_a_uuid_that_another_entity_has_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    known = part(mes, "PN-2")

    report = mes.load(replace(PLANNED, plan=known).write(tmp_path), create=EVERYTHING)

    (first, *_) = report.items
    assert (first.outcome, first.entity, first.message) == (
        *("conflicting", "QIFMeasurementPlan"),
        f"the UUID {known} is that of a record of Part",
    )


def test_a_uuid_that_was_issued_to_another_record_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    mes.execute(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) VALUES ('MaterialLot', 'c1', %s, false)",
        [PLAN],
    )

    report = mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    assert report.items[0].message == f"the UUID {PLAN} was issued to a record of MaterialLot"


def test_partial_leaves_out_what_is_wrong_and_keeps_the_rest(mes: Mes, tmp_path: Path) -> None:
    known = part(mes, "PN-2")
    wrong = replace(PLANNED, items=[Item("Length A", uuid=known), Item("Length B", designator="2")])

    report = mes.load(wrong.write(tmp_path), partial=True, create=EVERYTHING)

    assert counts(report)["QIFCharacteristic"] == {"conflicting": 1, "created": 1}
    assert mes.rows('SELECT "name" FROM public."QIFCharacteristic"') == [("Length B",)]
    assert mes.load(wrong.write(tmp_path), create=EVERYTHING).clean is False


def test_a_plan_without_a_qpid_is_found_by_its_designators(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    report = mes.load(replace(PLANNED, name="again", plan=None).write(tmp_path))

    assert counts(report)["QIFMeasurementPlan"] == {"unchanged": 1}
    assert mes.count("QIFMeasurementPlan") == 1


def test_a_designator_of_another_plan_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    report = mes.load(replace(PLANNED, name="other", plan=uuid("other plan")).write(tmp_path))

    assert counts(report)["QIFCharacteristic"] == {"conflicting": 2}
    assert PLAN in report.items[0].message


def test_a_plan_changes_what_is_there_and_results_do_not(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)
    changed = replace(PLANNED, items=[Item("Length A", nominal="11"), PLANNED.items[1]])

    repeated = replace(changed, name="repeated", results=[Measured(0, "11")])
    refused = mes.load(repeated.write(tmp_path), create=EVERYTHING)
    updated = mes.load(changed.write(tmp_path))

    assert counts(refused)["QIFCharacteristic"] == {"conflicting": 1, "unchanged": 1}
    assert counts(updated)["QIFCharacteristic"] == {"updated": 1, "unchanged": 1}
    assert mes.rows(
        'SELECT "nominalValue" FROM public."QIFCharacteristic" ORDER BY "characteristicNumber"'
    ) == [(11.0,), (25.4,)]


def test_characteristics_without_a_uuid_are_found_by_number_and_balloon(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    nameless = [replace(item, uuid=None) for item in PLANNED.items]
    report = mes.load(replace(PLANNED, name="nameless", items=nameless).write(tmp_path))

    assert counts(report)["QIFCharacteristic"] == {"unchanged": 2}


def test_a_balloon_that_two_have_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    same = replace(PLANNED, items=[Item("Length A"), Item("Length B")])
    mes.load(same.write(tmp_path), create=EVERYTHING)

    report = mes.load(replace(same, name="again", items=[Item("Length A", uuid=None)]).write(tmp_path))

    assert [item.outcome for item in report.items] == ["conflicting"]
    assert uuid("Length A") in report.items[0].message
    assert uuid("Length B") in report.items[0].message


@pytest.mark.parametrize(
    ("value", "unit", "others"),
    [("0.4", INCHES, ()), ("0.4", MILLIMETRES, (INCHES,))],
    ids=["of the file", "of the value"],
)
def test_values_come_in_the_unit_of_the_mes(
    mes: Mes,
    tmp_path: Path,
    value: str,
    unit: tuple[str, str, str, str],
    others: tuple[tuple[str, str, str, str], ...],
) -> None:
    PLANNED.write(tmp_path)
    measured = Measured(0, value, unit="inch" if others else None)
    document = replace(INSPECTED, results=[measured], unit=unit, others=others)

    report = mes.load(document.write(tmp_path), create=EVERYTHING)

    assert report.items == []
    assert mes.rows('SELECT "measuredValue", "deviation" FROM public."QIFMeasurementResult"') == [
        (10.16, 0.16)
    ]


def test_a_plan_in_another_unit_is_compared_in_that_of_the_mes(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)
    item = Item("Length B", nominal="1", upper="0.02", lower="-0.02", designator="2")

    report = mes.load(replace(PLANNED, name="inches", items=[item], unit=INCHES).write(tmp_path))

    assert counts(report)["QIFCharacteristic"] == {"updated": 1}
    assert mes.rows(
        'SELECT "nominalValue", "toleranceUpper", "unit" FROM public."QIFCharacteristic" WHERE "name" = %s',
        ["Length B"],
    ) == [(25.4, 0.508, "mm")]


def test_a_status_that_the_value_denies_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    PLANNED.write(tmp_path)
    file = replace(INSPECTED, results=[Measured(0, "10.7", "PASS"), Measured(1, "25.4")]).write(tmp_path)

    refused = mes.load(file, create=EVERYTHING)
    accepted = mes.load(file, create=EVERYTHING, status="computed")

    assert [(item.outcome, item.message) for item in refused.items] == [
        ("conflicting", "it says PASS, and 10.7 is outside 9.5 to 10.5")
    ]
    assert accepted.clean
    assert mes.rows('SELECT "status" FROM public."QIFMeasurementResult" ORDER BY 1') == [("FAIL",), ("PASS",)]


def test_a_missing_value_names_its_column(mes: Mes, tmp_path: Path) -> None:
    PLANNED.write(tmp_path)
    file = replace(INSPECTED, at=None).write(tmp_path)

    refused = mes.load(file, create=EVERYTHING)
    accepted = mes.load(file, create=EVERYTHING, at="2026-01-02T03:04:05")

    assert "measuredAt" in refused.items[0].message
    assert accepted.clean


def test_what_was_not_measured_is_kept_beside_the_mes(mes: Mes, tmp_path: Path) -> None:
    PLANNED.write(tmp_path)
    results = [Measured(0, "10.1"), Measured(1, None, "NOT_ANALYZED")]

    report = mes.load(replace(INSPECTED, results=results).write(tmp_path), create=EVERYTHING)

    assert counts(report)["QIFMeasurementResult"] == {"created": 1}
    with mes.session() as connection:
        (found,) = store.results_of(connection, "part", PART)
        (bare,) = store.unrecorded(connection, found.uuid)
    assert (found.uuid, bare.characteristic, bare.said["status"]) == (
        *(uuid("results of results"), uuid("Length B")),
        "NOT_ANALYZED",
    )


def test_digits_that_a_column_cannot_hold_are_kept(mes: Mes, tmp_path: Path) -> None:
    long = "25.39999999999999999"
    mes.load(replace(PLANNED, items=[Item("Length A", nominal=long)]).write(tmp_path), create=EVERYTHING)

    with mes.session() as connection:
        query = "SELECT said, held FROM dotpeen_qif.kept WHERE uuid = %s"
        said, held = connection.execute(query, [uuid("Length A")]).fetchone() or ({}, {})

    assert store.read("nominal", said["nominal"]) == Decimal(long)
    assert held["nominalValue"] == "25.4"


def test_the_document_that_is_referred_to_is_found_beside_the_file(
    mes: Mes, documents: tuple[Path, Path]
) -> None:
    assert counts(mes.load(documents[1], create=EVERYTHING)) == WHOLE


@pytest.mark.parametrize(
    "uri", ["../plan.qif", "http://localhost/plan.qif", "/etc/plan.qif", "file:plan.qif", ""]
)
def test_references_lead_nowhere_else(mes: Mes, tmp_path: Path, uri: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    PLANNED.write(tmp_path)

    report = mes.load(replace(INSPECTED, uri=uri).write(folder), partial=True, create=EVERYTHING)

    assert report.counts["QIFMeasurementResult"] == {"unmatched": 2}
    assert "QIFMeasurementPlan" not in report.counts


def test_a_link_out_of_the_folder_is_not_followed(mes: Mes, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "plan.qif").symlink_to(PLANNED.write(tmp_path))

    report = mes.load(INSPECTED.write(folder), create=EVERYTHING)

    assert "QIFMeasurementPlan" not in report.counts


def test_results_refer_to_a_plan_that_was_imported_before(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)
    later = tmp_path / "later"
    later.mkdir()

    report = mes.load(INSPECTED.write(later), create=EVERYTHING)

    assert counts(report)["QIFMeasurementResult"] == {"created": 2}


def test_one_uuid_for_two_measurements_is_a_conflict(mes: Mes, tmp_path: Path) -> None:
    PLANNED.write(tmp_path)
    first = INSPECTED.write(tmp_path)
    second = replace(INSPECTED, name="second", results=[Measured(0, "10.2", uuid=uuid("first"))]).write(
        tmp_path
    )

    report = mes.load(first, second, create=EVERYTHING)

    assert [(item.outcome, item.identifier) for item in report.items] == [("conflicting", uuid("first"))]
    assert "results.qif:" in report.items[0].message


def test_what_the_database_refuses_is_named_by_its_line(mes: Mes, tmp_path: Path) -> None:
    mes.execute('ALTER TABLE public."QIFCharacteristic" ADD CHECK ("nominalValue" < 20)')

    report = mes.load(PLANNED.write(tmp_path), partial=True, create=EVERYTHING)

    (item,) = report.items
    assert (item.outcome, item.identifier, item.where) == ("conflicting", "2 Length B", "plan.qif:16")
    assert mes.rows('SELECT "name" FROM public."QIFCharacteristic"') == [("Length A",)]


def test_a_file_that_is_no_qif_stops_the_import_unless_partial(mes: Mes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.qif"
    bad.write_text("<QIFDocument>", encoding="utf-8")
    good = PLANNED.write(tmp_path)

    with pytest.raises(DotpeenError, match=r"bad\.qif"):
        mes.load(good, bad, create=EVERYTHING)
    report = mes.load(good, bad, partial=True, create=EVERYTHING)

    assert [item.entity for item in report.items] == ["QIFDocument"]
    assert mes.count("QIFCharacteristic") == 2


def test_a_file_that_the_schemas_refuse_is_not_imported(
    template_database: TemplateDatabase, tmp_path: Path, standards: Path
) -> None:
    site = registry(settings=f'schema_dir = "{standards}/qif/xsd"')
    mes = Mes(template_database("qif_empty", build), site)
    file = tmp_path / "plan.qif"
    file.write_text(PLANNED.text.replace("<FileUnits>", "<NoUnits/><FileUnits>"), encoding="utf-8")

    with pytest.raises(DotpeenError, match=r"plan\.qif:\d+"):
        mes.load(file, create=EVERYTHING)


def test_documents_lead_to_their_part_and_records_to_their_documents(
    mes: Mes, documents: tuple[Path, Path]
) -> None:
    mes.load(*documents, create=EVERYTHING)

    with mes.session() as connection:
        assert [(one.entity, one.uuid) for one in store.parts(connection, PLANNED.qpid)] == [("Part", PART)]
        assert [(one.entity, one.uuid) for one in store.parts(connection, uuid("results of results"))] == [
            ("Part", PART)
        ]
        found = {name: store.documents(connection, name) for name in (PART, uuid("Length A"), uuid("first"))}
    assert [one.file_name for one in found[uuid("first")]] == ["results.qif"]
    assert {one.file_name for one in found[PART]} == {"plan.qif", "results.qif"}
    assert [one.qpid for one in found[uuid("Length A")]] == [PLANNED.qpid]


def test_an_unknown_option_or_entity_is_refused(mes: Mes, tmp_path: Path) -> None:
    file = PLANNED.write(tmp_path)
    with pytest.raises(ConfigurationError, match="colour"):
        mes.load(file, colour="blue")
    with pytest.raises(ConfigurationError, match="Supplier"):
        mes.load(file, create="Supplier")


def test_an_mes_without_uuids_is_refused(template_database: TemplateDatabase, tmp_path: Path) -> None:
    from dotpeen.database import connect
    from dotpeen.demo import sample

    def bare(url: str) -> None:
        with connect(url, purpose="test") as connection:
            sample.create_schema(connection)

    with pytest.raises(NotMigratedError):
        Mes(template_database("qif_bare", bare)).load(PLANNED.write(tmp_path))


def test_a_uuid_is_given_to_one_record_of_the_files(mes: Mes, tmp_path: Path) -> None:
    shared = uuid("shared")
    plan = replace(PLANNED, plan=shared)
    other = Doc("other", [Item("Length A", uuid=shared)], plan=uuid("other"), part=None)
    results = replace(
        INSPECTED,
        external=plan,
        results=[Measured(0, "10.1", uuid=uuid("first")), Measured(1, "25.2", uuid=shared)],
        serial_uuid=PART,
    )
    files = [document.write(tmp_path) for document in (plan, other, results)]

    report = mes.load(*files, partial=True, create=EVERYTHING)

    said = {(one.entity, one.message) for one in report.items if one.outcome == "conflicting"}
    for entity, start in (
        ("QIFMeasurementPlan", f"the UUID {shared} is that of QIFCharacteristic 1 Length A, too: other.qif:"),
        ("QIFCharacteristic", f"the UUID {shared} is that of QIFMeasurementPlan {shared}, too: plan.qif:"),
        ("Part", f"the UUID {PART} is that of SerializedPart SN-1, too: results.qif:"),
        ("SerializedPart", f"the UUID {PART} is that of Part PN-1, too: plan.qif:6"),
    ):
        assert any(message.startswith(start) for one, message in said if one == entity), (entity, said)
    assert all(not mes.count(entity) for entity in ("Part", "SerializedPart", "QIFMeasurementPlan"))


def test_a_uuid_of_an_entity_that_qif_has_no_place_for_is_not_given_again(mes: Mes, tmp_path: Path) -> None:
    taken = uuid("taken")
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)
    mes.execute(
        'INSERT INTO public."ECORequest" ("id", "ecoNumber", "partId", "title", "requestedAt", "updatedAt",'
        " \"persistentUuid\") SELECT 'c' || repeat('1', 24), 'E-1', \"id\", 'T', now(), now(), %s"
        ' FROM public."Part"',
        [taken],
    )
    results = [Measured(0, "10.1", uuid=taken), Measured(1, None, uuid=uuid("bare"))]

    report = mes.load(replace(INSPECTED, results=results).write(tmp_path), create=EVERYTHING)

    (item,) = report.items
    assert (item.outcome, item.entity, item.message) == (
        *("conflicting", "QIFMeasurementResult"),
        f"the UUID {taken} is that of a record of ECORequest",
    )


def test_a_measurement_does_not_get_a_uuid_that_was_issued(mes: Mes, documents: tuple[Path, Path]) -> None:
    mes.execute(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) VALUES ('ECORequest', 'c1', %s, false)",
        [uuid("first")],
    )

    report = mes.load(*documents, create=EVERYTHING)

    assert [item.message for item in report.items] == [
        f"the UUID {uuid('first')} was issued to a record of ECORequest"
    ]


def test_what_no_column_holds_is_left_out_with_its_line(mes: Mes, tmp_path: Path) -> None:
    mes.execute('ALTER TABLE public."QIFMeasurementResult" ALTER "measuredValue" TYPE numeric(6, 3)')
    mes.execute('ALTER TABLE public."QIFCharacteristic" ALTER "name" TYPE varchar(10)')
    items = [*PLANNED.items, Item("A name that is too long", designator="3")]
    plan = replace(PLANNED, items=items)
    results = replace(
        INSPECTED,
        external=plan,
        results=[*INSPECTED.results, Measured(0, "123456.7", "FAIL", uuid=uuid("third"))],
    )

    report = mes.load(plan.write(tmp_path), results.write(tmp_path), partial=True, create=EVERYTHING)

    long, large = report.items
    assert (long.outcome, long.identifier, (long.where or "").split(":")[0]) == (
        *("conflicting", "3 A name that is too long"),
        "plan.qif",
    )
    assert "too long" in long.message
    assert (large.outcome, large.identifier) == ("conflicting", uuid("third"))
    assert "overflow" in large.message
    assert (large.where or "").startswith("results.qif:")
    assert mes.rows('SELECT "name" FROM public."QIFCharacteristic" ORDER BY 1') == [
        ("Length A",),
        ("Length B",),
    ]
    assert mes.count("QIFMeasurementResult") == 2


def test_no_message_shows_a_key(mes: Mes, documents: tuple[Path, Path]) -> None:
    mes.execute('ALTER TABLE public."QIFCharacteristic" ADD CHECK ("nominalValue" < 20)')

    report = mes.load(*documents, partial=True, create=EVERYTHING)

    keys = [key for (key,) in mes.rows('SELECT "id" FROM public."Part"')]
    assert report.items
    assert not any("Failing row" in item.message or keys[0] in item.message for item in report.items)


@pytest.mark.parametrize("column", ["numeric(8, 3)", "real"])
def test_a_number_that_the_column_rounds_is_kept(mes: Mes, tmp_path: Path, column: str) -> None:
    mes.execute(f'ALTER TABLE public."QIFMeasurementResult" ALTER "measuredValue" TYPE {column}')
    files = [PLANNED.write(tmp_path)]
    results = [Measured(0, "10.12345678", uuid=uuid("first")), Measured(1, "25.2", uuid=uuid("second"))]
    files.append(replace(INSPECTED, results=results).write(tmp_path))

    report = mes.load(*files, create=EVERYTHING)
    again = mes.load(*files, create=EVERYTHING)

    assert report.clean
    assert counts(again)["QIFMeasurementResult"] == {"unchanged": 2}
    assert b"<Value>10.12345678</Value>" in mes.export("Part", PART)


def test_two_imports_of_one_file_at_once_make_its_records_once(
    mes: Mes, documents: tuple[Path, Path]
) -> None:
    reports: list[ImportReport] = []
    other = Thread(target=lambda: reports.append(mes.load(*documents, create=EVERYTHING)))
    with mes.session() as connection:
        connection.execute("SELECT 1")  # begins the transaction that is still open after the import
        request = ImportRequest(mes.registry, connection, documents, options={"create": EVERYTHING})
        first = read(request, mes.settings)
        other.start()
        other.join(0.3)
        assert other.is_alive()
        connection.commit()
    other.join(30)

    assert counts(first) == WHOLE
    (second,) = reports
    assert counts(second) == {entity: {"unchanged": number["created"]} for entity, number in WHOLE.items()}


def test_a_document_that_nobody_has_is_named_once(mes: Mes, tmp_path: Path) -> None:
    many = [Measured(0, "10.1", uuid=uuid(f"measured {n}")) for n in range(200)]

    report = mes.load(replace(INSPECTED, results=many).write(tmp_path), create=EVERYTHING, part="PN-1")

    missing, folded = report.items
    assert (missing.outcome, missing.identifier) == ("unmatched", "results.qif")
    assert missing.message == (
        f"refers to plan.qif (QPId {PLANNED.qpid}), which is not among the files, not beside it,"
        " was never imported, and is no plan that would be exported now"
    )
    assert folded.message.endswith("; and 199 more")
    assert report.counts["QIFMeasurementResult"] == {"unmatched": 200}


def test_what_depends_on_a_part_that_is_left_out_says_so(mes: Mes, tmp_path: Path) -> None:
    part(mes)

    report = mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    assert [item.message for item in report.items][1:3] == ["its part is left out", "its plan is left out"]


def test_results_that_repeat_a_plan_otherwise_name_both_values(mes: Mes, tmp_path: Path) -> None:
    mes.load(PLANNED.write(tmp_path), create=EVERYTHING)
    whole = replace(
        PLANNED, name="whole", items=[Item("Length A", nominal="10.2")], results=[Measured(0, "10.1")]
    )

    report = mes.load(whole.write(tmp_path), create=EVERYTHING)

    assert report.items[0].identifier == "1 Length A"
    assert report.items[0].message.endswith(": nominalValue is 10.2 in the file and 10 in the MES")


def test_hints_name_the_option_that_helps(mes: Mes, tmp_path: Path) -> None:
    PLANNED.write(tmp_path)
    nameless = mes.load(replace(INSPECTED, serial=None).write(tmp_path), create=EVERYTHING)
    partless = mes.load(replace(PLANNED, part=None, number=None).write(tmp_path), create=EVERYTHING)

    assert "the file has no value for serialNumber; --option unnamed=yes gives it its UUID for one" in [
        item.message for item in nameless.items
    ]
    assert partless.items[0].message == (
        "the file names no part that it belongs to; --option part=NUMBER says which"
    )


def test_a_dry_run_lists_what_would_become_of_what(mes: Mes, documents: tuple[Path, Path]) -> None:
    mes.load(*documents, create=EVERYTHING)
    plan, results = documents
    changed = replace(PLANNED, items=[Item("Length A", nominal="11", upper="0.6"), PLANNED.items[1]])
    again = replace(INSPECTED, results=[Measured(0, "10.2", uuid=uuid("first")), INSPECTED.results[1]])

    planned = mes.load(changed.write(plan.parent), dry_run=True)
    PLANNED.write(plan.parent)
    inspected = mes.load(again.write(results.parent), dry_run=True)

    assert [(one.outcome, one.identifier, one.where, one.message) for one in planned.changes] == [
        ("updated", "1 Length A", "plan.qif:15", "nominalValue: 10 → 11, toleranceUpper: 0.5 → 0.6")
    ]
    assert [(one.entity, one.identifier, one.message) for one in inspected.changes] == [
        ("QIFMeasurementResult", uuid("first"), "measuredValue: 10.1 → 10.2, deviation: 0.1 → 0.2")
    ]
    assert (planned.clean, inspected.clean) == (True, True)


@pytest.mark.parametrize("kind", ["varchar(3)", "char(3)", "char(8)"])
def test_blanks_that_a_column_has_no_room_for_are_no_change(
    template_database: TemplateDatabase, tmp_path: Path, kind: str
) -> None:
    mes = Mes(template_database("qif_empty", build))
    mes.execute(f'ALTER TABLE public."QIFMeasurementResult" ALTER "operatorBadge" TYPE {kind}')
    file = tmp_path / "whole.qif"
    whole = replace(PLANNED, results=[Measured(0, "10.1", uuid=uuid("first"))])
    file.write_text(
        whole.text.replace(
            '<AttributeQPId name="persistentUuid">',
            '<AttributeStr name="operator" value="Ann  "/><AttributeQPId name="persistentUuid">',
        ).replace('<Attributes n="1"><AttributeStr', '<Attributes n="2"><AttributeStr'),
        encoding="utf-8",
    )

    assert mes.load(file, create=EVERYTHING).clean
    before = mes.versions()
    assert counts(mes.load(file))["QIFMeasurementResult"] == {"unchanged": 1}
    assert mes.versions() == before
    assert mes.rows('SELECT rtrim("operatorBadge"::text) FROM public."QIFMeasurementResult"') == [("Ann",)]


def test_a_missing_time_names_the_option_that_gives_one(mes: Mes, tmp_path: Path) -> None:
    file = replace(PLANNED, at=None, results=[Measured(0, "10.1")]).write(tmp_path)

    refused = mes.load(file, create=EVERYTHING)
    taken = mes.load(file, create=EVERYTHING, at="2026-03-01T08:00:00")

    assert refused.items[0].message == (
        "the file has no value for measuredAt; --option at=2026-03-01T08:00:00 says when for all"
    )
    assert taken.clean
    assert mes.rows('SELECT "measuredAt"::text FROM public."QIFMeasurementResult"') == [
        ("2026-03-01 08:00:00",)
    ]


def test_a_column_without_a_value_names_the_setting_that_gives_one(
    template_database: TemplateDatabase, tmp_path: Path
) -> None:
    url = template_database("qif_empty", build)
    file = replace(PLANNED, order="WO-1", results=[Measured(0, "10.1")]).write(tmp_path)

    refused = Mes(url, registry("")).load(file, create=EVERYTHING)
    taken = Mes(url, registry()).load(file, create=EVERYTHING)

    assert refused.items[0].message == (
        "the file has no value for quantity; [plugins.qif.imports.fill.WorkOrder] can have one for new records"
    )
    assert taken.clean


def test_beside_the_tables_a_uuid_that_another_entity_has_is_a_conflict(
    sidecar_mes: Mes, tmp_path: Path
) -> None:
    known = sidecar_part(sidecar_mes, "PN-2")

    planned = sidecar_mes.load(replace(PLANNED, plan=known).write(tmp_path), create=EVERYTHING)
    measured = replace(PLANNED, results=[Measured(0, "10.1", uuid=known)])
    inspected = sidecar_mes.load(measured.write(tmp_path), create=EVERYTHING)

    message = f"the UUID {known} is that of a record of Part"
    assert (planned.items[0].entity, planned.items[0].message) == ("QIFMeasurementPlan", message)
    assert [(one.entity, one.message) for one in inspected.items] == [("QIFMeasurementResult", message)]


def test_beside_the_tables_a_uuid_that_was_issued_is_a_conflict(sidecar_mes: Mes, tmp_path: Path) -> None:
    sidecar_mes.execute(
        "INSERT INTO dotpeen.issued (entity, key, uuid, current) VALUES ('MaterialLot', 'c1', %s, false)",
        [PLAN],
    )

    report = sidecar_mes.load(PLANNED.write(tmp_path), create=EVERYTHING)

    assert report.items[0].message == f"the UUID {PLAN} was issued to a record of MaterialLot"


def test_beside_the_tables_a_uuid_of_two_kinds_of_records_is_a_conflict(
    sidecar_mes: Mes, tmp_path: Path
) -> None:
    report = sidecar_mes.load(
        replace(PLANNED, plan=PLAN, items=[Item("Length A", uuid=PART)]).write(tmp_path), create=EVERYTHING
    )

    assert report.items[0].outcome == "conflicting"
    assert PART in report.items[0].message
    assert sidecar_mes.count("Part") == 0


def sidecar_part(mes: Mes, number: str) -> str:
    """A part that the MES has by itself; returns its UUID."""
    mes.execute(
        'INSERT INTO public."Part" ("id", "partNumber", "updatedAt") VALUES (%s, %s, now())',
        [f"c{uuid(number).replace('-', '')[:24]}", number],
    )
    return str(
        mes.rows(
            "SELECT i.uuid FROM public.\"Part\" AS t JOIN dotpeen.identity AS i ON i.entity = 'Part'"
            ' AND i.key = t."id" WHERE t."partNumber" = %s',
            [number],
        )[0][0]
    )
