"""Results whose plan is not beside them: it was imported before, or it is one that Dotpeen exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from conftest import TemplateDatabase

from .documents import PART, PLAN, Doc, Item, Measured
from .mes import EVERYTHING, Mes, build, counts

PLANNED = Doc("plan", [Item("Length A"), Item("Length B", nominal="25.4", designator="2")])
QIF = "{http://qifstandards.org/xsd/qif3}"


@pytest.fixture
def mes(template_database: TemplateDatabase) -> Mes:
    """An MES with a part and a plan of its own: no document was imported."""
    made = Mes(template_database("qif_empty", build))
    for statement in (
        f"""INSERT INTO public."Part" ("id", "partNumber", "updatedAt", "persistentUuid")
            VALUES ('p', 'PN-1', now(), '{PART}')""",
        f"""INSERT INTO public."QIFMeasurementPlan" ("id", "planNumber", "version", "partId", "name", "updatedAt",
            "persistentUuid") VALUES ('q', 'MP-1', '1.0', 'p', 'Final inspection', now(), '{PLAN}')""",
        *(
            f"""INSERT INTO public."QIFCharacteristic" ("id", "planId", "characteristicNumber", "name",
                "characteristicType", "balloonNumber", "nominalValue", "toleranceUpper", "toleranceLower", "updatedAt",
                "persistentUuid") VALUES ('c{n}', 'q', {n}, '{item.name}', 'LENGTH', '{n}', {item.nominal}, 0.5, -0.5,
                now(), '{item.given}')"""
            for n, item in enumerate(PLANNED.items, start=1)
        ),
    ):
        made.execute(statement)
    return made


def results_by(
    exported: bytes, folder: Path, *values: str, name: str = "results", cites: bool = True
) -> Path:
    """Results by a plan that Dotpeen exported, as software writes them that has read it."""
    document = etree.fromstring(exported)
    qpid = document.findtext(f"{QIF}QPId")
    items = [one.get("id") for one in document.find(f".//{QIF}CharacteristicItems")]
    doc = Doc(
        name,
        part=None,
        number=None,
        external=PLANNED,
        results=[Measured(n, value) for n, value in enumerate(values)],
    )
    text = doc.text.replace(PLANNED.qpid, str(qpid))
    for n, item in enumerate(items):
        text = text.replace(f'xId="{70 + n}"', f'xId="{item}"')
    if cites:
        cited = (
            "<PreInspectionTraceability><ReferencedQIFPlanInstance>"
            f"<ItemQPId>{PLAN}</ItemQPId><DocumentQPId>{qpid}</DocumentQPId></ReferencedQIFPlanInstance>"
            "<FormalStandardId>901</FormalStandardId></PreInspectionTraceability>"
        )
        text = text.replace("<FileUnits>", f"{cited}<FileUnits>")
    else:
        text = text.replace(
            "</FileUnits>",
            f'</FileUnits><Product><PartSet n="1"><Part id="1"><UUID>{PART}</UUID></Part></PartSet></Product>',
        )
    path = folder / f"{name}.qif"
    path.write_text(text, encoding="utf-8")
    return path


def measured(mes: Mes) -> list[tuple[Any, ...]]:
    return mes.rows(
        'SELECT c."name", r."measuredValue" FROM public."QIFMeasurementResult" AS r'
        ' JOIN public."QIFCharacteristic" AS c ON c."id" = r."characteristicId" ORDER BY 1'
    )


@pytest.mark.parametrize("audience", ["internal", "external"])
@pytest.mark.parametrize(
    ("entity", "record", "kind", "options"),
    [
        ("Part", PART, "qif-plan", {}),
        ("Part", PART, "qif-plan", {"plans": "all"}),
        ("QIFMeasurementPlan", PLAN, "qif-plan", {}),
        ("Part", PART, "qif", {}),
    ],
)
def test_a_plan_that_dotpeen_exported_is_recognized(
    mes: Mes, tmp_path: Path, entity: str, record: str, kind: str, audience: Any, options: dict[str, str]
) -> None:
    exported = mes.export(entity, record, kind=kind, audience=audience, **options)

    report = mes.load(results_by(exported, tmp_path, "10.1", "25.2"), create=EVERYTHING)

    assert (report.clean, report.items) == (True, [])
    assert measured(mes) == [("Length A", 10.1), ("Length B", 25.2)]


def test_it_is_recognized_by_the_part_where_the_plan_is_not_cited(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")

    assert mes.load(results_by(exported, tmp_path, "10.1", cites=False), create=EVERYTHING).clean
    assert measured(mes) == [("Length A", 10.1)]


def test_one_that_was_recognized_is_known_when_the_plan_has_changed(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")
    first = results_by(exported, tmp_path, "10.1")
    mes.load(first, create=EVERYTHING)
    mes.execute("""UPDATE public."QIFMeasurementPlan" SET "name" = 'Another name'""")

    again = mes.load(first, create=EVERYTHING)
    second = mes.load(results_by(exported, tmp_path, "10.2", "25.3", name="second"), create=EVERYTHING)

    assert counts(again)["QIFMeasurementResult"] == {"unchanged": 1}
    assert counts(second)["QIFMeasurementResult"] == {"created": 2}


def test_one_that_the_mes_would_write_differently_by_now_is_unmatched(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")
    mes.execute("""UPDATE public."QIFCharacteristic" SET "nominalValue" = 11 WHERE "id" = 'c1'""")

    report = mes.load(results_by(exported, tmp_path, "10.1"), create=EVERYTHING)

    assert not report.clean
    assert report.items[0].message.endswith("was never imported, and is no plan that would be exported now")
    assert measured(mes) == []


def test_results_that_dotpeen_exported_are_known_without_their_plan(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")
    mes.load(results_by(exported, tmp_path, "10.1", "25.2"), create=EVERYTHING)
    mes.execute("DROP SCHEMA dotpeen_qif CASCADE")
    results = tmp_path / "exported.results.qif"
    results.write_bytes(mes.export("Part", PART, kind="qif-results"))
    before = measured(mes)

    report = mes.load(results)

    assert counts(report)["QIFMeasurementResult"] == {"unchanged": 2}
    assert (report.clean, measured(mes)) == (True, before)


def test_a_dry_run_recognizes_and_remembers_nothing(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")

    report = mes.load(results_by(exported, tmp_path, "10.1"), dry_run=True, create=EVERYTHING)

    assert report.clean
    assert mes.rows("SELECT to_regclass('dotpeen_qif.document')") == [(None,)]


def test_the_exported_plan_itself_can_be_imported_afterwards(mes: Mes, tmp_path: Path) -> None:
    exported = mes.export("Part", PART, kind="qif-plan")
    mes.load(results_by(exported, tmp_path, "10.1"), create=EVERYTHING)
    plan = tmp_path / "exported.qif"
    plan.write_bytes(exported)

    report = mes.load(plan)

    assert report.clean
    assert counts(report)["QIFCharacteristic"] == {"unchanged": 2}


def test_measurements_without_uuids_are_the_same_with_and_without_the_plan_beside_them(
    template_database: TemplateDatabase, tmp_path: Path
) -> None:
    empty = Mes(template_database("qif_empty", build))
    results = Doc("results", part=None, number=None, external=PLANNED, results=[Measured(0, "10.1")])
    empty.load(PLANNED.write(tmp_path), results.write(tmp_path), create=EVERYTHING)
    alone = tmp_path / "elsewhere"
    alone.mkdir()

    report = empty.load(replace(results).write(alone), create=EVERYTHING)

    assert counts(report)["QIFMeasurementResult"] == {"unchanged": 1}
    assert empty.count("QIFMeasurementResult") == 1
