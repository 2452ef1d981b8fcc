"""The join of STEP and QIF: a characteristic of the MES refers to its dimension in the part's CAD model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from lxml import etree
from psycopg import sql
from typer.testing import CliRunner

from dotpeen import Records
from dotpeen.cli.app import app
from dotpeen.database import connect
from dotpeen.demo import sample
from dotpeen.demo.run import registry_text
from dotpeen.exchange import choose_exporter, models_of, open_export, reading_session
from dotpeen.hooks import Audience, DigitalModel, ModelEntity
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry, parse_registry
from dotpeen_qif.validate import validate
from dotpeen_step.inspection import inspect
from dotpeen_step.linking.link import Choice, link_file, link_uuid
from dotpeen_step.linking.unlink import unlink

if TYPE_CHECKING:
    from conftest import TemplateDatabase

QIF = "{http://qifstandards.org/xsd/qif3}"
NUMBER = "NX_Plate_w_Hole_UUIDS_Rev_0.0"
HOLE = "814e27a0-acee-5455-a393-2e493d372f4e"
TOLERANCE = "GEOMETRIC_TOLERANCE+GEOMETRIC_TOLERANCE_WITH_DATUM_REFERENCE"
FRAME = "df69d739-ee5e-560e-8670-8822cca41d0b"
REVISIONS = {"0.0": "d0f498a0-2641-5226-abb5-7f3e16b1fb7e", "0.1": "7004f19d-e6e5-5c34-a5f6-d15bc31cef8b"}


def site() -> Registry:
    return parse_registry(registry_text())


def build(url: str) -> None:
    """A part with a plan of three characteristics, one of which is called as its dimension in CAD is."""
    registry = site()
    with connect(url, purpose="test") as connection:
        sample.create_schema(connection)
        for statement in (
            """INSERT INTO public."Part" ("id", "partNumber", "description", "updatedAt")
               VALUES ('p1', 'NX_Plate_w_Hole_UUIDS_Rev_0.0', 'Plate', now()), ('p2', 'Other', 'Other', now())""",
            """INSERT INTO public."QIFMeasurementPlan" ("id", "partId", "planNumber",
               "version", "name", "updatedAt") VALUES ('q1', 'p1', 'MP-1', '1', 'Plate', now())""",
            """INSERT INTO public."QIFCharacteristic" ("id", "planId", "characteristicNumber", "name",
               "characteristicType", "nominalValue", "toleranceUpper", "toleranceLower", "unit", "updatedAt")
               SELECT 'c' || n, 'q1', n, (ARRAY['Hole_Diameter', 'hole_diameter', 'Width'])[n], 'DIAMETER', 19,
               0.05, -0.05, 'mm', now() FROM pg_catalog.generate_series(1, 3) AS n""",
        ):
            connection.execute(statement.encode())
    with Runner(url, registry, registry.select(phase=1), plugins=load_plugins(registry)) as runner:
        runner.up()


class Plant:
    def __init__(self, url: str, samples: Path) -> None:
        self.url = url
        self.samples = samples
        self.registry = site()
        self.plugins = load_plugins(self.registry)
        with psycopg.connect(url) as connection:
            row = connection.execute(
                sql.SQL('SELECT "persistentUuid"::text FROM public."Part" WHERE "id" = {}').format("p1")
            ).fetchone()
        assert row is not None
        self.part: str = row[0]

    def link(self, name: str, part: str = NUMBER, **choice: str) -> None:
        with Records(self.registry, self.url, plugins=self.plugins) as records:
            link_file(
                records,
                inspect(self.samples / f"{name}.stp"),
                part,
                column="partNumber",
                by="tests",
                choice=Choice(**choice),
            )

    def known(self) -> list[tuple[str, DigitalModel]]:
        with reading_session(self.url) as connection:
            return list(self.plugins.digital_models(connection, self.registry.entities["Part"], self.part))

    def export(self, kind: str = "qif", audience: Audience = "internal") -> bytes:
        plugin, exporter = choose_exporter(self.plugins, "Part", kind)
        with reading_session(self.url) as connection:
            document = open_export(
                plugin,
                exporter,
                connection,
                self.registry,
                self.registry.entities["Part"],
                self.part,
                audience=audience,
                models=models_of(self.plugins, self.url),
            )
            return b"".join(document.chunks)


@pytest.fixture
def plant(template_database: TemplateDatabase, samples: Path) -> Plant:
    return Plant(template_database("step_in_qif", build), samples)


def test_a_linked_file_joins_the_characteristic_that_is_called_as_its_dimension(
    plant: Plant, tmp_path: Path, standards: Path
) -> None:
    before = plant.export()
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    document = plant.export()
    root = etree.fromstring(document)
    model = root.find(f".//{QIF}DefinitionExternal/{QIF}DigitalModel")
    assert model is not None
    assert model.findtext(f"{QIF}File/{QIF}Name") == "NX_Plate_w_Hole_UUIDS_Rev_0.0.stp"
    assert model.findtext(f"{QIF}File/{QIF}Format/{QIF}DigitalModelFormatEnum") == "STEPAP242"
    assert model.findtext(f"{QIF}File/{QIF}Version") == REVISIONS["0.0"]
    (entity,) = model.findall(f"{QIF}Entities/{QIF}Entity")
    assert (entity.findtext(f"{QIF}EntityId"), entity.findtext(f"{QIF}Name")) == (HOLE, "Hole_Diameter")
    nominals = root.findall(f".//{QIF}CharacteristicNominals/*")
    assert [
        [one.text for one in nominal.findall(f"{QIF}EntityExternalIds/{QIF}Id")] for nominal in nominals
    ] == [[entity.get("id")], [], []]
    file = tmp_path / "plate.qif"
    file.write_bytes(document)
    assert validate(file, schema_dir=standards / "qif" / "xsd").findings == []
    assert plant.export() == document
    with Records(plant.registry, plant.url, plugins=plant.plugins) as records:
        unlink(records, NUMBER, column="partNumber", by="tests")
    assert plant.export() == before, "without the link it is the document that it was"


def test_the_command_line_asks_plugins_too(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.toml").write_text(registry_text())
    done = CliRunner().invoke(
        app, ["--database-url", plant.url, "export", "Part", NUMBER, "--format", "qif", "-o", "plate.qif"]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "plate.qif").read_bytes() == plant.export()


def test_the_current_revision_is_the_model(plant: Plant) -> None:
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.1", product="NX_Plate_w_Hole_UUIDS_Rev_0.1")
    ((plugin, model),) = plant.known()
    assert (plugin, model.uuid, model.name) == (
        "step",
        REVISIONS["0.1"],
        "NX_Plate_w_Hole_UUIDS_Rev_0.1",
    )
    assert set(model.entities) == {
        ModelEntity(HOLE, "pmi", "Hole_Diameter", "DIMENSIONAL_SIZE"),
        ModelEntity(FRAME, "pmi", "Feature Control Frame (2)", f"{TOLERANCE}+POSITION_TOLERANCE"),
    }
    assert REVISIONS["0.1"].encode() in plant.export()


def test_a_revision_that_is_known_by_its_uuid_alone_has_no_model(plant: Plant) -> None:
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    with Records(plant.registry, plant.url, plugins=plant.plugins) as records:
        link_uuid(records, NUMBER, "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f0001", column="partNumber", by="tests")
    assert plant.known() == []


@pytest.mark.parametrize(
    ("protocol", "edition", "format_"),
    [
        ("AP203", 1, "STEPAP203"),
        ("AP203", 2, "STEPAP203E2"),
        ("AP214", None, "STEPAP214"),
        (None, None, "STEP"),
    ],
)
def test_a_model_is_handed_on_as_others_can_bear_it(
    plant: Plant, protocol: str | None, edition: int | None, format_: str
) -> None:
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    with psycopg.connect(plant.url) as connection:
        connection.execute(
            "UPDATE dotpeen_step.file SET name = 'C:\\cad\\plate.stp', protocol = %s, edition = %s",
            [protocol, edition],
        )
        # As long as a name may be where it is kept: more of it may have been cut.
        connection.execute("UPDATE dotpeen_step.item SET name = repeat('x', 200) WHERE uuid = %s", [HOLE])
    ((_, model),) = plant.known()
    assert (model.file_name, model.format) == ("plate.stp", format_)
    assert ModelEntity(HOLE, "pmi", "", "DIMENSIONAL_SIZE") in model.entities
    assert plant.plugins.failed == {}


def test_partners_see_uuids_and_no_names_of_files(plant: Plant) -> None:
    plant.link("NX_Plate_w_Hole_UUIDS_Rev_0.0")
    document = plant.export(audience="external")
    assert HOLE.encode() in document
    assert f"urn:uuid:{REVISIONS['0.0']}".encode() in document
    assert b".stp" not in document


def test_a_part_without_links_has_no_model(plant: Plant) -> None:
    assert plant.known() == []
    assert plant.plugins.failed == {}
