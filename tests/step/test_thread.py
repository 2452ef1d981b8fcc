"""What links say to others: the digital thread, UUIDs of anything in a linked file, verification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import TemplateDatabase
from dotpeen.hooks import RecordReference, ThreadEntry
from step.files import AP242_E4, part21
from step.plant import Plant, build, build_sidecar, model, registry

A = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
B = "8560fe4c-4a0e-5f8c-ae9d-fd8fccf4f9ab"
FACE = "11111111-93a0-4c55-8b05-6f4f8a8f3c01"
SIZE = "22222222-93a0-4c55-8b05-6f4f8a8f3c01"
ELSEWHERE = "33333333-93a0-4c55-8b05-6f4f8a8f3c01"


@pytest.fixture
def plant(template_database: TemplateDatabase) -> Iterator[Plant]:
    found = Plant(template_database("step", build))
    yield found
    found.close()


def asked(plant: Plant, hook: str, **arguments: Any) -> Sequence[Any]:
    """What the plugin answers to a hook."""
    with plant.session() as connection:
        if "entity" in arguments:
            arguments["entity"] = plant.registry.entities[arguments["entity"]]
        answers = dict(plant.plugins.call(hook, connection=connection, **arguments))
    assert plant.plugins.failed == {}
    return list(answers["step"])


def resolved(plant: Plant, uuid: str) -> list[RecordReference]:
    return list(asked(plant, "dotpeen_resolve_uuid", uuid=uuid))


def test_before_anything_is_linked_there_is_nothing(plant: Plant) -> None:
    assert asked(plant, "dotpeen_thread_entries", entity="Part", uuid=plant.uuid()) == []
    assert resolved(plant, A) == []


def test_the_thread_of_a_part_has_its_revisions_and_no_name_of_a_file(plant: Plant, tmp_path: Path) -> None:
    file = tmp_path / "the secret project.stp"
    file.write_bytes(model(("PN-1001", A), system="CAD 7"))
    first = plant.link(file).link
    second = plant.link_uuid(B).link
    assert first.file is not None
    assert asked(plant, "dotpeen_thread_entries", entity="Part", uuid=plant.uuid()) == [
        ThreadEntry("cad-revision", B, second.linked_at, {"current": True}),
        ThreadEntry(
            "cad-revision",
            A,
            first.linked_at,
            {
                "product": "PN-1001",
                "revision": "A",
                "sha256": first.file.sha256,
                "protocol": "AP242",
                "edition": 4,
                "originatingSystem": "CAD 7",
                "writtenAt": "2026-01-02T03:04:05",
                "current": False,
            },
        ),
    ]
    assert asked(plant, "dotpeen_thread_entries", entity="WorkOrder", uuid=plant.uuid()) == []
    plant.unlink(every=True)
    assert asked(plant, "dotpeen_thread_entries", entity="Part", uuid=plant.uuid()) == []


def test_a_revision_without_a_uuid_is_named_by_its_content(plant: Plant, tmp_path: Path) -> None:
    file = tmp_path / "plate.stp"
    file.write_bytes(model(("PN-1001", None)))
    made = plant.link(file).link
    assert made.file is not None
    (entry,) = asked(plant, "dotpeen_thread_entries", entity="Part", uuid=plant.uuid())
    assert entry.value == f"sha256:{made.file.sha256}"


def test_any_uuid_of_a_linked_file_leads_to_the_part(plant: Plant, tmp_path: Path) -> None:
    size = (
        "#900=DIMENSIONAL_SIZE(#901,'diameter');\n#901=SHAPE_ASPECT('','',#13,.T.);\n"
        f"#902=V5_UUID_ATTRIBUTE('{SIZE}',((#900)));\n"
    )
    (tmp_path / "plate.stp").write_bytes(model(("PN-1001", A), faces=[FACE], more=size))
    plant.link(tmp_path / "plate.stp")
    part = plant.uuid()
    assert resolved(plant, A) == [RecordReference("Part", part, "cad-revision")]
    assert resolved(plant, FACE) == [RecordReference("Part", part, "cad-topology")]
    assert resolved(plant, SIZE) == [RecordReference("Part", part, "cad-pmi")]
    assert resolved(plant, B) == []
    plant.unlink()
    assert (resolved(plant, A), resolved(plant, FACE)) == ([], [])


def test_a_uuid_of_several_parts_leads_to_all_of_them(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "a.stp").write_bytes(model(("PN-1001", A), faces=[FACE]))
    (tmp_path / "b.stp").write_bytes(model(("PN-1002", B), faces=[FACE]))
    plant.link(tmp_path / "a.stp", "PN-1001")
    plant.link(tmp_path / "b.stp", "PN-1002")
    parts = sorted(plant.uuid(number) for number in ("PN-1001", "PN-1002"))
    assert resolved(plant, FACE) == [RecordReference("Part", part, "cad-topology") for part in parts]


def test_what_belongs_to_another_product_of_the_file_does_not_lead_to_the_part(
    plant: Plant, tmp_path: Path
) -> None:
    (tmp_path / "a.stp").write_bytes(model(("PN-1001", A), ("X-7", B)))
    plant.link(tmp_path / "a.stp")
    assert resolved(plant, B) == []


def test_what_is_a_uuid_and_no_identity_leads_nowhere(plant: Plant, tmp_path: Path) -> None:
    mere = (
        "#900=PROPERTY_DEFINITION('Order of the customer','user defined attribute',#12);\n"
        f"#903=DESCRIPTIVE_REPRESENTATION_ITEM('Order of the customer','{ELSEWHERE}');\n"
        "#904=REPRESENTATION('',(#903),$);\n#905=PROPERTY_DEFINITION_REPRESENTATION(#900,#904);\n"
    )
    (tmp_path / "a.stp").write_bytes(model(("PN-1001", A), more=mere))
    plant.link(tmp_path / "a.stp")
    assert plant.rows("SELECT carrier FROM dotpeen_step.item WHERE uuid = %s", [ELSEWHERE]) == [("property",)]
    assert resolved(plant, ELSEWHERE) == []


def test_resolving_asks_indexes_alone(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "a.stp").write_bytes(model(("PN-1001", A), faces=[FACE]))
    plant.link(tmp_path / "a.stp")
    with plant.session() as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT l.part FROM dotpeen_step.item AS i JOIN dotpeen_step.link AS l ON l.file = i.file"
            " WHERE i.uuid = %s AND l.unlinked_at IS NULL",
            [FACE],
        ).fetchall()
    assert not any("Seq Scan" in line for (line,) in plan)


def found_wrong(plant: Plant) -> dict[str, list[str]]:
    entity = plant.registry.entities["Part"]
    ((_, checks),) = [
        one for one in plant.plugins.call("dotpeen_verification_checks", entity=entity) if one[0] == "step"
    ]
    with plant.session() as connection:
        return {check.name: list(check.run(connection)) for check in checks}


def test_all_is_well_when_everything_was_linked(plant: Plant, tmp_path: Path) -> None:
    well: dict[str, list[str]] = {"stepAp242Uuid has its history": [], "linked parts are there": []}
    assert found_wrong(plant) == well
    (tmp_path / "a.stp").write_bytes(model(("PN-1001", A)))
    plant.link(tmp_path / "a.stp")
    assert found_wrong(plant) == well


def out_of_step(plant: Plant) -> None:
    part, other = plant.uuid(), plant.uuid("PN-1002")
    plant.records.update("Part", "PN-1001", {"stepAp242Uuid": A})
    command = f"dotpeen step link {part} --uuid {A}"
    missing = f"Part PN-1001 has stepAp242Uuid {A} and no link with it: {command} makes one"
    assert found_wrong(plant)["stepAp242Uuid has its history"] == [missing]
    plant.link_uuid(B, "PN-1002")
    assert found_wrong(plant)["stepAp242Uuid has its history"] == [missing]
    plant.link_uuid(A)
    with plant.session() as connection:
        connection.execute('DELETE FROM public."Part" WHERE "partNumber" = \'PN-1002\'')
    assert found_wrong(plant) == {
        "stepAp242Uuid has its history": [],
        "linked parts are there": [f"Part {other} is gone, and 1 of its CAD revisions are linked"],
    }


def test_what_is_out_of_step_is_named(plant: Plant) -> None:
    out_of_step(plant)


def test_what_is_out_of_step_is_named_beside_the_table_too(template_database: TemplateDatabase) -> None:
    beside = Plant(template_database("step_sidecar", build_sidecar), registry(sidecar=True))
    assert found_wrong(beside)["linked parts are there"] == []
    out_of_step(beside)
    beside.close()


def test_many_findings_are_counted(plant: Plant) -> None:
    with plant.session() as connection:
        connection.execute(
            'INSERT INTO public."Part" ("id", "partNumber", "description", "updatedAt", "stepAp242Uuid")'
            " SELECT 'c' || n, 'N' || n, '', pg_catalog.now(), pg_catalog.gen_random_uuid()"
            " FROM pg_catalog.generate_series(1, 30) AS n"
        )
    lines = found_wrong(plant)["stepAp242Uuid has its history"]
    assert (len(lines), lines[-1]) == (21, "and 10 more")


def test_an_anchor_leads_to_the_part(plant: Plant, tmp_path: Path) -> None:
    data = "#1=APPLICATION_CONTEXT('');\n#2=PRODUCT_CONTEXT('',#1,'');\n#3=PRODUCT('PN-1001','','',(#2));\n"
    anchors = f"ANCHOR;\n<{A}>=#3;\nENDSEC;\n"
    (tmp_path / "a.stp").write_bytes(part21(data, schema=AP242_E4, level="4;1", sections=anchors))
    assert plant.link(tmp_path / "a.stp").link.revision_uuid == A
    assert resolved(plant, A) == [RecordReference("Part", plant.uuid(), "cad-revision")]
