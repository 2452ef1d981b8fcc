"""Linking a part to revisions of its CAD model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

from conftest import TemplateDatabase
from dotpeen import Records
from dotpeen.database import connect
from dotpeen.errors import ConfigurationError, DotpeenError, RecordNotFoundError
from dotpeen_step.linking.link import Choice, linked_before
from dotpeen_step.linking.matching import UnclearProductError, UnclearRevisionError
from dotpeen_step.linking.parts import ReferenceNotReadyError, RevisionTakenError
from dotpeen_step.linking.unlink import to_unlink
from step.plant import BY, Plant, build, build_sidecar, model, registry

A = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
B = "8560fe4c-4a0e-5f8c-ae9d-fd8fccf4f9ab"
C = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
FACES = ("11111111-93a0-4c55-8b05-6f4f8a8f3c01", "22222222-93a0-4c55-8b05-6f4f8a8f3c01")


@pytest.fixture
def plant(template_database: TemplateDatabase) -> Iterator[Plant]:
    found = Plant(template_database("step", build))
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, content: bytes, name: str = "plate.stp") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def test_a_part_is_linked_by_its_number(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), faces=FACES))
    made = plant.link(file)
    assert (made.outcome, made.current, made.link.revision_uuid) == ("linked", True, A)
    assert plant.reference() == A
    link = made.link
    assert (link.part, link.matched_by, link.linked_by) == (plant.uuid(), "part-number", BY)
    assert link.file is not None
    assert (link.file.name, link.file.size) == ("plate.stp", file.stat().st_size)
    assert link.file.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (link.file.protocol, link.file.edition) == ("AP242", 4)
    assert (link.file.originating_system, link.file.written_at) == ("CAD 1", "2026-01-02T03:04:05")
    assert link.product is not None
    assert (link.product.id, link.product.name, link.product.revision) == ("PN-1001", "Plate 0", "A")
    items = plant.rows("SELECT uuid::text, kind, keyword, name, carrier FROM dotpeen_step.item ORDER BY 1")
    assert items == [
        (FACES[0], "topology", "ADVANCED_FACE", "face 0", "v5-uuid-attribute"),
        (FACES[1], "topology", "ADVANCED_FACE", "face 1", "v5-uuid-attribute"),
        (A, "product", "PRODUCT_DEFINITION_SHAPE", "Plate 0", "v5-uuid-attribute"),
    ]


def test_the_same_again_changes_nothing(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), faces=FACES))
    plant.link(file)
    before = plant.state()
    again = plant.link(file)
    renamed = plant.link(put(folder, file.read_bytes(), "other name.stp"))
    assert (again.outcome, renamed.outcome, again.current) == ("unchanged", "unchanged", True)
    assert plant.state() == before


def test_a_part_has_many_revisions_and_the_latest_linked_is_current(plant: Plant, folder: Path) -> None:
    first = put(folder, model(("PN-1001", A)), "a.stp")
    plant.link(first)
    plant.link(put(folder, model(("PN-1001", B)), "b.stp"))
    assert plant.reference() == B
    old = plant.link(first)
    assert (old.outcome, old.current, plant.reference()) == ("unchanged", False, B)
    assert plant.rows("SELECT count(*) FROM dotpeen_step.link") == [(2,)]


def test_a_file_has_many_parts(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), ("PN-1002", B), faces=FACES))
    plant.link(file, "PN-1001")
    plant.link(file, "PN-1002")
    assert (plant.reference("PN-1001"), plant.reference("PN-1002")) == (A, B)
    assert plant.rows("SELECT count(*) FROM dotpeen_step.file") == [(1,)]
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(4,)]


def test_the_parts_own_uuid_in_the_file_goes_before_its_number(plant: Plant, folder: Path) -> None:
    own = plant.uuid()
    stamp = (
        "#900=GENERAL_PROPERTY('','UUID','user defined attribute');\n"
        "#901=PROPERTY_DEFINITION('UUID','user defined attribute',#22);\n"
        "#902=GENERAL_PROPERTY_ASSOCIATION('','',#900,#901);\n"
        f"#903=DESCRIPTIVE_REPRESENTATION_ITEM('UUID','{own}');\n"
        "#904=REPRESENTATION('',(#903),$);\n#905=PROPERTY_DEFINITION_REPRESENTATION(#901,#904);\n"
    )
    made = plant.link(put(folder, model(("PN-1001", A), ("X-7", B), more=stamp)))
    assert (made.link.matched_by, made.link.revision_uuid) == ("persistent-uuid", B)
    assert [one.product.id for one in made.others] == ["PN-1001"]


def test_the_parts_own_uuid_alone_is_its_revisions(plant: Plant, folder: Path) -> None:
    made = plant.link(put(folder, model(("X-7", plant.uuid().upper()))))
    assert (made.link.matched_by, made.link.revision_uuid) == ("persistent-uuid", plant.uuid())
    assert plant.reference() == plant.uuid()


def test_a_uuid_that_is_linked_to_the_part_finds_it_again(plant: Plant, folder: Path) -> None:
    plant.link_uuid(A)
    made = plant.link(put(folder, model(("X-7", A), ("X-8", B))))
    assert (made.link.matched_by, made.link.product and made.link.product.id) == ("linked-uuid", "X-7")


def test_without_certainty_the_products_are_named(plant: Plant, folder: Path) -> None:
    before = plant.state()
    with pytest.raises(UnclearProductError) as refused:
        plant.link(put(folder, model(("X-7", A), ("X-8", B))))
    assert refused.value.message == (
        "no product of plate.stp is certainly Part PN-1001; it has:"
        f" 'X-7' (Plate 0) revision A, {A}; 'X-8' (Plate 1) revision A, {B}"
    )
    assert refused.value.hint == "say which: --product ID, NAME, UUID or #INSTANCE"
    with pytest.raises(
        UnclearProductError, match=r"2 products of plate.stp could be Part PN-1001 \(by part-number\)"
    ):
        plant.link(put(folder, model(("PN-1001", A), ("PN-1001", B))))
    with pytest.raises(UnclearProductError, match=r"no product of plate\.stp is certainly"):
        plant.link(put(folder, model(("pn-1001", A))))
    assert plant.state() == before


def test_what_it_has_in_common_with_a_linked_revision_is_told_and_not_believed(
    plant: Plant, folder: Path
) -> None:
    plant.link(put(folder, model(("PN-1001", A), faces=FACES), "a.stp"))
    with pytest.raises(UnclearProductError) as refused:
        plant.link(put(folder, model(("X-7", B), faces=FACES), "b.stp"))
    assert "2 UUIDs in common with revisions that are linked already" in str(refused.value.hint)


@pytest.mark.parametrize("said", ["X-8", "Plate 1", B, f"urn:uuid:{B.upper()}", "#20"])
def test_a_person_says_which_product(plant: Plant, folder: Path, said: str) -> None:
    made = plant.link(put(folder, model(("X-7", A), ("X-8", B))), product=said)
    assert (made.link.matched_by, made.link.revision_uuid, plant.reference()) == ("said", B, B)


def test_a_product_that_is_not_there_is_refused(plant: Plant, folder: Path) -> None:
    with pytest.raises(UnclearProductError, match=r"plate.stp has no product 'X-9'; it has: 'X-7'"):
        plant.link(put(folder, model(("X-7", A))), product="X-9")
    with pytest.raises(UnclearProductError, match=r"2 products of plate\.stp are called 'X-7'"):
        plant.link(put(folder, model(("X-7", A), ("X-7", B))), product="X-7")
    with pytest.raises(UnclearProductError, match=r"has no product$"):
        plant.link(put(folder, model()))


def test_several_uuids_of_a_revision_are_named(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), more=f"#900=V5_UUID_ATTRIBUTE('{B}',((#13)));\n"))
    with pytest.raises(UnclearRevisionError) as refused:
        plant.link(file)
    assert refused.value.uuids == (A, B)
    with pytest.raises(UnclearProductError, match=f"{C} is no UUID of the product"):
        plant.link(file, uuid=C)
    assert plant.link(file, uuid=B).link.revision_uuid == B
    with pytest.raises(DotpeenError, match="is linked to this file already") as otherwise:
        plant.link(file, uuid=A)
    assert otherwise.value.hint == "unlink it first: dotpeen step unlink"


def test_a_file_without_uuids_is_kept_and_the_reference_stays(plant: Plant, folder: Path) -> None:
    plant.link_uuid(A)
    made = plant.link(put(folder, model(("PN-1001", None))))
    assert (made.link.revision_uuid, made.current, plant.reference()) == (None, False, A)
    assert plant.link(put(folder, model(("PN-1001", None)))).outcome == "unchanged"


def test_by_uuid_alone(plant: Plant) -> None:
    made = plant.link_uuid(A)
    assert (made.outcome, made.current, made.link.file, made.link.matched_by) == (
        "linked",
        True,
        None,
        "said",
    )
    assert plant.reference() == A
    before = plant.state()
    assert plant.link_uuid(A).outcome == "unchanged"
    assert plant.state() == before


def test_a_uuid_of_something_else_is_refused(plant: Plant, folder: Path) -> None:
    plant.link_uuid(A, "PN-1002")
    plant.link_uuid(B, "PN-1002")
    other = plant.uuid("PN-1002")
    before = plant.state()
    for uuid in (A, B):
        with pytest.raises(
            RevisionTakenError, match=rf"{uuid} is linked to another Part: PN-1002 \({other}\)"
        ) as taken:
            plant.link(put(folder, model(("PN-1001", uuid))))
        assert f"dotpeen step unlink PN-1002 --uuid {uuid}" in str(taken.value.hint)
    with pytest.raises(RevisionTakenError, match=rf"it is the UUID of a record, Part PN-1002 \({other}\)"):
        plant.link_uuid(other)
    assert plant.state() == before


def test_a_uuid_that_somebody_gave_to_another_part_is_refused(plant: Plant) -> None:
    plant.records.update("Part", "PN-1002", {"stepAp242Uuid": A})
    with pytest.raises(
        RevisionTakenError, match=f"another record has the same stepAp242Uuid: {plant.uuid('PN-1002')}"
    ):
        plant.link_uuid(A)
    assert plant.rows("SELECT pg_catalog.to_regnamespace('dotpeen_step')::text") == [(None,)]


def test_an_older_file_is_not_made_current_by_a_scan(plant: Plant, folder: Path) -> None:
    plant.link(put(folder, model(("PN-1001", A), written="2026-03-01T10:00:00+01:00"), "a.stp"))
    old = put(folder, model(("PN-1001", B), written="2026-03-01T08:59:59"), "b.stp")
    new = put(folder, model(("PN-1001", C), written="2026-03-01T09:00:01Z"), "c.stp")
    assert (plant.link(old, newest_only=True).current, plant.reference()) == (False, A)
    assert (plant.link(new, newest_only=True).current, plant.reference()) == (True, C)


def test_unlinking_brings_the_revision_before_back(plant: Plant, folder: Path) -> None:
    first = put(folder, model(("PN-1001", A), faces=FACES), "a.stp")
    plant.link(first)
    plant.link(put(folder, model(("PN-1001", B)), "b.stp"))
    done = plant.unlink(uuid=B)
    assert ([one.revision_uuid for one in done.links], plant.reference()) == ([B], A)
    assert plant.unlink(sha256=hashlib.sha256(first.read_bytes()).hexdigest()[:12]).current is None
    assert plant.reference() is None
    history = (
        "SELECT revision_uuid::text, unlinked_by, unlinked_at IS NOT NULL FROM dotpeen_step.link ORDER BY id"
    )
    assert plant.rows(history) == [(A, BY, True), (B, BY, True)]
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(0,)]
    assert plant.link(first).outcome == "linked"
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(3,)]


def test_what_is_to_be_unlinked_has_to_be_said(plant: Plant, folder: Path) -> None:
    with pytest.raises(DotpeenError, match="Part PN-1001 has no link to unlink"):
        plant.unlink()
    plant.link_uuid(A)
    plant.link_uuid(B)
    with pytest.raises(ConfigurationError, match=f"has 2 links: {B}, {A}"):
        plant.unlink()
    with pytest.raises(DotpeenError, match="has no such link"):
        plant.unlink(uuid=C)
    file = put(folder, model(("PN-1001", None)))
    plant.link(file)
    digits = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    with pytest.raises(ConfigurationError, match=rf"has 3 links: SHA-256 {digits} \(plate\.stp\), {B}, {A}"):
        plant.unlink()
    assert len(plant.unlink(sha256=digits).links) == 1
    assert len(plant.unlink(every=True).links) == 2
    assert plant.reference() is None


def test_only_what_was_agreed_on_is_unlinked(plant: Plant) -> None:
    plant.link_uuid(A)
    part, agreed = to_unlink(plant.records, "PN-1001", column=plant.column, every=True)
    assert (part.number, [one.revision_uuid for one in agreed]) == ("PN-1001", [A])
    plant.link_uuid(B)
    with pytest.raises(DotpeenError, match="the links of Part PN-1001 have changed meanwhile"):
        plant.unlink(every=True, agreed=agreed)
    assert plant.reference() == B
    (ended,) = plant.unlink(uuid=A, agreed=agreed).links
    assert (ended.unlinked_by, ended.unlinked_at is not None) == (BY, True)


def test_unlinking_leaves_a_reference_that_somebody_else_set(plant: Plant) -> None:
    plant.link_uuid(A)
    plant.records.update("Part", "PN-1001", {"stepAp242Uuid": C})
    plant.unlink()
    assert plant.reference() == C


def test_unlinking_one_of_a_files_parts_keeps_its_uuids_for_the_other(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), ("PN-1002", B)))
    plant.link(file, "PN-1001")
    plant.link(file, "PN-1002")
    plant.unlink("PN-1001")
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(2,)]


def test_parts_are_found_by_whatever_identifier(plant: Plant) -> None:
    for identifier in (plant.uuid().upper(), f"urn:uuid:{plant.uuid()}", f"{{{plant.uuid()}}}"):
        assert plant.link_uuid(A, identifier).link.part == plant.uuid()
    with pytest.raises(RecordNotFoundError, match="no Part 'PN-9'"):
        plant.link_uuid(A, "PN-9")


def test_plugins_are_told_of_the_reference_once_it_is_committed(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        plant.plugins,
        "record_changed",
        lambda entity, *rest: told.append((entity.name, *rest, plant.reference())),
    )
    plant.link_uuid(A)
    assert told == [("Part", plant.uuid(), "update", ["stepAp242Uuid"], A)]
    with pytest.raises(RevisionTakenError):
        plant.link_uuid(plant.uuid("PN-1002"))
    assert len(told) == 1


def test_before_the_reference_is_migrated_the_command_is_named(template_database: TemplateDatabase) -> None:
    url = template_database("step", build)
    with connect(url, purpose="test") as connection:
        connection.execute('ALTER TABLE public."Part" DROP COLUMN "stepAp242Uuid"')
    unready = Plant(url)
    with pytest.raises(ReferenceNotReadyError) as refused:
        unready.link_uuid(A)
    assert (refused.value.message, refused.value.hint) == (
        "Part has no stepAp242Uuid yet",
        "run: dotpeen migrate up --entity Part",
    )
    unready.close()


def test_references_beside_their_table(template_database: TemplateDatabase, folder: Path) -> None:
    beside = Plant(template_database("step_sidecar", build_sidecar), registry(sidecar=True))
    beside.link(put(folder, model(("PN-1001", A))))
    assert beside.reference() == A
    beside.unlink()
    assert beside.reference() is None
    beside.close()


def test_a_role_without_rights_is_told_which(plant: Plant) -> None:
    with plant.session() as connection:
        connection.execute("DROP ROLE IF EXISTS step_reader")
        connection.execute("CREATE ROLE step_reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA public, dotpeen TO step_reader")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public, dotpeen TO step_reader")
    url = make_conninfo(plant.url, user="step_reader")
    reader = Records(plant.registry, url, plugins=plant.plugins)
    poor = Plant(plant.url)
    poor.records.close()
    poor.records = reader
    with pytest.raises(
        ConfigurationError, match="the first link makes schema dotpeen_step, and step_reader may not"
    ):
        poor.link_uuid(A)
    plant.link_uuid(B)
    with pytest.raises(
        ConfigurationError, match="step_reader may not write to schema dotpeen_step"
    ) as refused:
        poor.link_uuid(A)
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dotpeen_step" in str(
        refused.value.hint
    )
    poor.close()
    with plant.session() as connection:
        connection.execute("DROP OWNED BY step_reader; DROP ROLE step_reader")


def test_two_at_once_link_as_one_after_the_other_would(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A), ("PN-1002", B), faces=FACES))

    def link(number: str) -> str:
        return plant.link(file, number).outcome

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(link, ["PN-1001", "PN-1002"] * 6))
    assert sorted(outcomes) == ["linked"] * 2 + ["unchanged"] * 10
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(4,)]


def test_one_uuid_for_two_parts_at_once_goes_to_one(plant: Plant) -> None:
    def link(number: str) -> str:
        try:
            return plant.link_uuid(uuid, number).outcome
        except RevisionTakenError:
            return "refused"

    for _ in range(10):
        uuid = str(uuid4())
        with ThreadPoolExecutor(3) as threads:
            outcomes = sorted(threads.map(link, ["PN-1001", "PN-1002", "PN-1003"]))
        assert outcomes == ["linked", "refused", "refused"]


def test_an_error_in_the_middle_leaves_nothing(
    plant: Plant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.link_uuid(A)
    before = plant.state()

    def broken(*_: object) -> None:
        raise DotpeenError("the disk is full")

    monkeypatch.setattr("dotpeen_step.linking.link.set_reference", broken)
    with pytest.raises(DotpeenError, match="the disk is full"):
        plant.link(put(folder, model(("PN-1001", B), faces=FACES)))
    assert plant.state() == before


def test_names_that_postgresql_can_not_hold(plant: Plant, folder: Path) -> None:
    face = "#900=ADVANCED_FACE('\\X2\\0000D800\\X0\\face',(),$,.T.);\n"
    file = put(folder, model(("PN-1001", A), more=f"{face}#901=V5_UUID_ATTRIBUTE('{B}',((#900)));\n"))
    assert plant.link(file).outcome == "linked"


@pytest.mark.parametrize(
    ("name", "protocol", "edition"),
    [("NX_Plate_w_Hole_UUIDS_Rev_0.0.stp", "AP242", 4), ("as1-oc-214.stp", "AP214", None)],
)
def test_real_files(plant: Plant, samples: Path, name: str, protocol: str, edition: int | None) -> None:
    (file,) = samples.rglob(name)
    with pytest.raises(UnclearProductError) as refused:
        plant.link(file)
    first = refused.value.candidates[0].product
    made = plant.link(file, product=f"#{first.product_ref}")
    assert made.link.file is not None
    assert (made.link.file.protocol, made.link.file.edition) == (protocol, edition)
    assert plant.reference() == made.link.revision_uuid


def test_texts_without_end_are_cut(plant: Plant, folder: Path) -> None:
    made = plant.link(put(folder, model((f"X{'x' * 5000}", A))), product=A)
    assert made.link.product is not None
    assert len(made.link.product.id) == 500
    with pytest.raises(UnclearProductError) as refused:
        plant.link(
            put(folder, model(*((f"{number}{'y' * 5000}", None) for number in range(30)))), product="z"
        )
    assert len(refused.value.message) < 2500
    assert refused.value.message.endswith("; and 20 more")


def test_a_file_that_was_linked_is_not_read_again(plant: Plant, folder: Path) -> None:
    file = put(folder, model(("PN-1001", A)))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    def before(**choice: str) -> str | None:
        found = linked_before(plant.records, "PN-1001", digest, column="partNumber", choice=Choice(**choice))
        return None if found is None else found.outcome

    assert before() is None
    plant.link(file)
    assert (before(), before(uuid=A)) == ("unchanged", "unchanged")
    assert (before(uuid=B), before(product="PN-1001")) == (None, None), "only the file can tell"
    plant.unlink()
    assert before() is None
