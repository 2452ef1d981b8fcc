"""Characteristics refer to the entities of CAD models that they are: what plugins know of models, in documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from conftest import TemplateDatabase
from core.api.conftest import serving
from core.foreign import install
from dotpeen.exchange import choose_exporter, models_of, open_export, reading_session
from dotpeen.hooks import Audience, DigitalModel, ModelEntity
from dotpeen.plugins import Plugins, load_plugins
from dotpeen.registry import Registry
from dotpeen_qif.exporting.models import write_models
from dotpeen_qif.model import Characteristic, Product
from dotpeen_qif.validate import validate

from .documents import PART, Doc, Item, uuid
from .mes import EVERYTHING, FILL, Mes, build, registry

CAD = """
import json
import time
from pathlib import Path

from pydantic import BaseModel

from dotpeen.hooks import DigitalModel, ModelEntity, hookimpl
from dotpeen.registry import plugin_settings


class Settings(BaseModel):
    models: Path


@hookimpl
def dotpeen_digital_models(registry, connection, entity, uuid):
    known = json.loads(plugin_settings(registry, "cad", Settings).models.read_text())
    if known == "raise":
        raise KeyError("no licence")
    if known == "hang":
        time.sleep(2)
    row = connection.execute('SELECT "persistentUuid"::text FROM public."Part"').fetchone()
    if entity.name != "Part" or row != (uuid,):
        return []
    return [
        DigitalModel(name, file, format, revision, tuple(ModelEntity(*entity) for entity in entities))
        for name, file, format, revision, entities in known
    ]
"""
QIF = "{http://qifstandards.org/xsd/qif3}"
REVISION = uuid("revision")
BORE, FLAT, FACE = uuid("bore"), uuid("flat"), uuid("face")
ITEMS = (
    Item("Bore", designator="10"),
    Item("Width", designator="20"),
    Item("Length", designator="30", uuid=FLAT),
)
PLATE = (
    *("PLATE", "plate b.stp", "STEPAP242", REVISION),
    [[BORE, "pmi", "Bore"], [FLAT, "pmi", "Flatness.1"], [FACE, "topology", "20"]],
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("cad")
    install(folder, "cad", CAD)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


class Cad(Mes):
    """An MES with a plan of three lengths, and a plugin that knows the CAD models of parts."""

    def __init__(self, url: str, folder: Path) -> None:
        self._models = folder / "models.json"
        self.told = registry(f"[plugins.cad]\nmodels = '{self._models}'\n{FILL}")
        super().__init__(url)
        self.know()

    def know(self, *models: Sequence[Any]) -> None:
        """Let the plugin know these models of the part."""
        self._models.write_text(json.dumps(models))

    def fail(self, how: str) -> None:
        self._models.write_text(json.dumps(how))

    def document(
        self,
        kind: str = "qif-plan",
        entity: str = "Part",
        of: str = PART,
        *,
        audience: Audience = "internal",
        site: Registry | None = None,
        plugins: Plugins | None = None,
    ) -> bytes:
        """Export as `dotpeen export` does."""
        site = site or self.told
        plugins = plugins or load_plugins(site)
        plugin, exporter = choose_exporter(plugins, entity, kind)
        with reading_session(self.url) as connection:
            export = open_export(
                plugin,
                exporter,
                connection,
                site,
                site.entities[entity],
                of,
                audience=audience,
                models=models_of(plugins, self.url),
            )
            return b"".join(export.chunks)

    @property
    def without(self) -> Registry:
        """The same site, where nothing knows of CAD."""
        return self.registry


@pytest.fixture
def cad(template_database: TemplateDatabase, tmp_path: Path, installed: None) -> Cad:
    mes = Cad(template_database("qif_empty", build), tmp_path)
    report = mes.load(Doc("plan", ITEMS).write(tmp_path), create=EVERYTHING)
    assert report.clean
    return mes


@pytest.fixture
def schemas(standards: Path) -> Path:
    return standards / "qif" / "xsd"


def joined(document: bytes) -> dict[str, list[tuple[str, str | None]]]:
    """By the names of characteristics, the UUID and name of each entity that they refer to."""
    root = etree.fromstring(document)
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    found = {}
    for item in root.iterfind(f"{QIF}Characteristics/{QIF}CharacteristicItems/*"):
        nominal = by_id[item.findtext(f"{QIF}CharacteristicNominalId")]
        entities = [by_id[one.text] for one in nominal.iterfind(f"{QIF}EntityExternalIds/{QIF}Id")]
        name = item.findtext(f"{QIF}Name") or item.findtext(f"{QIF}CharacteristicDesignator/{QIF}Designator")
        found[name] = [
            (one.findtext(f"{QIF}EntityId"), one.findtext(f"{QIF}Name"))
            for one in entities
            if one.tag == f"{QIF}Entity"
        ]
    return found


def models(document: bytes) -> list[tuple[str | None, ...]]:
    """Name, file, version and format of each model, and its number of entities."""
    paths = ("Name", "File/Name", "File/Version", "File/Format/*")

    def texts(model: Any) -> Iterator[str | None]:
        for path in paths:
            found = model.find("/".join(step if step == "*" else QIF + step for step in path.split("/")))
            if found is not None:
                yield found.text
        yield str(len(model.findall(f"{QIF}Entities/{QIF}Entity")))

    found = etree.fromstring(document).iterfind(f".//{QIF}DefinitionExternal/{QIF}DigitalModel")
    return [tuple(texts(model)) for model in found]


def is_valid(document: bytes, folder: Path, schemas: Path) -> bool:
    file = folder / "exported.qif"
    file.write_bytes(document)
    assert [str(one) for one in validate(file, schema_dir=schemas).findings] == []
    root = etree.fromstring(document)
    ids = [int(element.get("id")) for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert int(root.get("idMax")) == max(ids)
    return True


def test_a_characteristic_is_joined_by_the_uuid_of_its_designator_or_else_by_its_exact_name(
    cad: Cad, tmp_path: Path, schemas: Path
) -> None:
    cad.know(PLATE)
    document = cad.document()
    assert joined(document) == {"Bore": [(BORE, "Bore")], "Width": [], "Length": [(FLAT, "Flatness.1")]}
    assert models(document) == [("PLATE", "plate b.stp", REVISION, "STEPAP242", "2")]
    assert is_valid(document, tmp_path, schemas)
    assert cad.document() == document


@pytest.mark.parametrize("kind", ["qif", "qif-plan", "qif-results"])
def test_every_document_with_the_plan_has_the_models(
    cad: Cad, tmp_path: Path, schemas: Path, kind: str
) -> None:
    cad.know(PLATE)
    document = cad.document(kind)
    assert len(models(document)) == (0 if kind == "qif-results" else 1)
    assert is_valid(document, tmp_path, schemas)


def test_a_plans_own_document_has_the_models_of_its_part(cad: Cad) -> None:
    cad.know(PLATE)
    ((plan,),) = cad.rows('SELECT "persistentUuid"::text FROM public."QIFMeasurementPlan"')
    assert len(models(cad.document("qif-plan", "QIFMeasurementPlan", plan))) == 1


def test_without_models_the_bytes_are_what_they_are_without_the_plugin(cad: Cad) -> None:
    before = {kind: cad.document(kind, site=cad.without) for kind in ("qif", "qif-plan", "qif-results")}
    assert {kind: cad.document(kind) for kind in before} == before


def test_a_model_that_no_characteristic_is_joined_to_is_named_all_the_same(
    cad: Cad, tmp_path: Path, schemas: Path
) -> None:
    cad.know(("Plate", "plate.dwg", "DWG", None, []))
    document = cad.document()
    assert models(document) == [("Plate", "plate.dwg", "DWG", "0")]
    assert is_valid(document, tmp_path, schemas)


def test_a_designator_is_a_name_too(cad: Cad) -> None:
    cad.know(("PLATE", "p.stp", "STEPAP242", REVISION, [[BORE, "dimension", "20"]]))
    assert joined(cad.document())["Width"] == [(BORE, "20")]


@pytest.mark.parametrize(
    "entities",
    [
        [[BORE, "pmi", "bore"]],
        [[BORE, "pmi", "Bore "]],
        [[BORE, "pmi", ""]],
        [[BORE, "pmi", "Bore"], [FLAT[:-1] + "0", "pmi", "Bore"]],
        [[BORE, "pmi", "Bore"], [FACE, "pmi", "10"]],
        [[BORE, "pmi", "Bore"], [BORE, "pmi", "Rim"]],
        [[BORE, "topology", "Bore"]],
    ],
    ids=["case", "blank", "nameless", "two of a name", "name and designator differ", "faulty file", "face"],
)
def test_what_is_not_certain_is_not_joined(cad: Cad, entities: list[list[str]]) -> None:
    cad.know(("PLATE", "p.stp", "STEPAP242", REVISION, entities))
    assert joined(cad.document()) == {"Bore": [], "Width": [], "Length": []}


SIZE, RUNOUT = "DIMENSIONAL_SIZE", "CIRCULAR_RUNOUT_TOLERANCE"
POSITION = "GEOMETRIC_TOLERANCE+GEOMETRIC_TOLERANCE_WITH_DATUM_REFERENCE+POSITION_TOLERANCE"


@pytest.mark.parametrize(
    ("kind", "keyword", "is_joined"),
    [
        *(("Diameter", SIZE, True), ("Diameter", RUNOUT, False), ("Length", POSITION, False)),
        *(("Angle", "ANGULARITY_TOLERANCE", False), ("Angle", "ANGULAR_LOCATION", True)),
        *(("CircularRunout", RUNOUT, True), ("CircularRunout", SIZE, False), ("Position", POSITION, True)),
        *(("Position", "DIRECTED_DIMENSIONAL_LOCATION", False), ("Diameter", "PLUS_MINUS_TOLERANCE", True)),
        *(("UserDefinedLinear", RUNOUT, True), ("Diameter", "", True), ("CircularRunout", "DATUM", True)),
    ],
)
def test_a_name_doesnt_make_a_dimension_of_a_geometric_tolerance(
    kind: str, keyword: str, *, is_joined: bool
) -> None:
    model = DigitalModel("P", "p.stp", "STEPAP242", entities=(ModelEntity(BORE, "pmi", "Bore", keyword),))
    product, named = Product(uuid=None), Characteristic(uuid=None, kind=kind, name="Bore")
    identified = Characteristic(uuid=BORE, kind=kind, name="Bore")
    for one, expected in ((named, is_joined), (identified, True)):
        written = write_models([model], [one], product, audience="internal", first_id=1)
        assert (list(written.entities) == [0]) is expected


def test_an_entity_of_two_models_is_referred_to_in_both(cad: Cad, tmp_path: Path, schemas: Path) -> None:
    cad.know(PLATE, ("PLATE", "plate c.stp", "STEPAP242", uuid("revision c"), [[BORE, "pmi", "Bore"]]))
    document = cad.document()
    assert joined(document)["Bore"] == [(BORE, "Bore")] * 2
    assert len(models(document)) == 2
    assert is_valid(document, tmp_path, schemas)
    cad.know(PLATE, PLATE)
    assert len(models(cad.document())) == 1, "two plugins may know the same"


def test_partners_are_not_told_names_of_files_nor_names_that_the_registry_hides(
    cad: Cad, tmp_path: Path, schemas: Path
) -> None:
    cad.know((*PLATE[:4], [*PLATE[4], [uuid("Width"), "pmi", "SECRET"]]))
    document = cad.document(audience="external")
    assert is_valid(document, tmp_path, schemas)
    assert models(document) == [("PN-1", f"urn:uuid:{REVISION}", REVISION, "STEPAP242", "3")]
    assert joined(document)["Bore"] == [(BORE, "Bore")]
    assert joined(document)["Width"] == [(uuid("Width"), None)]
    for hidden in (b"plate b", b"PLATE", b"SECRET", b"Flatness"):
        assert hidden not in document


@pytest.mark.parametrize(("how", "said"), [("raise", "KeyError: 'no licence'"), ("hang", "no answer within")])
def test_a_plugin_that_fails_takes_nothing_down(cad: Cad, how: str, said: str) -> None:
    cad.fail(how)
    plugins = load_plugins(cad.told)
    plugins.timeout = 0.2
    assert cad.document("qif", plugins=plugins) == cad.document("qif", site=cad.without)
    assert said in str(plugins.failed["cad"])


def test_names_that_xml_has_no_room_for_are_replaced_and_told_of(
    cad: Cad, tmp_path: Path, schemas: Path
) -> None:
    cad.know(("PLATE\x07", "<&\">'.stp", "STEPAP242", REVISION, []))
    document = cad.document()
    assert models(document)[0][:2] == ("PLATE\u2407", "<&\">'.stp")
    assert b'name="replacedCharacters" value="DigitalModel"' in document
    assert is_valid(document, tmp_path, schemas)


def test_a_document_with_entities_is_imported_as_before_and_exported_with_what_is_known_now(
    cad: Cad, tmp_path: Path, schemas: Path
) -> None:
    cad.know(PLATE)
    file = tmp_path / "back.qif"
    file.write_bytes(cad.document())
    report = cad.load(file)
    assert report.clean
    assert {outcome for counted in report.counts.values() for outcome in counted} == {"unchanged"}
    assert cad.document() == file.read_bytes()
    cad.know()
    assert models(cad.document()) == []


def test_an_imported_documents_own_models_do_not_mix_with_those_that_are_known(
    template_database: TemplateDatabase, tmp_path: Path, standards: Path, installed: None
) -> None:
    mes = Cad(template_database("qif_empty", build), tmp_path)
    example = standards / "qif" / "examples" / "plan_with_step_entity.qif"
    report = mes.load(example, create=EVERYTHING)
    assert report.clean, report.items
    ((part,),) = mes.rows('SELECT "persistentUuid"::text FROM public."Part"')
    bore = "0b0c7f4e-6a55-4f57-9d2b-0a7a3b6f0008"
    mes.know(("PN-1001", "pn-1001.stp", "STEPAP242", None, [[BORE, "pmi", "Length A"], [bore, "pmi", "D10"]]))
    document = mes.document(of=part)
    assert joined(document) == {"Length A": [(BORE, "Length A")], "Bore": [(bore, "D10")]}
    assert is_valid(document, tmp_path, standards / "qif" / "xsd")


def test_the_server_asks_plugins_too(cad: Cad) -> None:
    cad.know(PLATE)
    with serving(cad.url, cad.told, plugins=load_plugins(cad.told)) as api:
        document = api.get(f"/api/v1/external/parts/{PART}/export/qif-plan")
        assert document.status_code == 200, document.text
        assert joined(document.content)["Bore"] == [(BORE, "Bore")]
        assert document.content == cad.document(audience="external")
        tag = document.headers["etag"]
        cad.know(("PLATE", "p.stp", "STEPAP242", None, []))
        other = api.get(f"/api/v1/external/parts/{PART}/export/qif-plan")
        assert other.headers["etag"] != tag, "with other models it is another document"


NAMES = st.text(st.sampled_from('ab1 <&"\x07\n'), max_size=3)
UUIDS = st.integers(1, 6).map(lambda number: f"00000000-0000-4000-8000-{number:012d}")
ENTITIES = st.builds(ModelEntity, UUIDS, st.sampled_from(["pmi", "topology", "dimension"]), NAMES)
MODELS = st.builds(
    DigitalModel,
    NAMES.map(lambda name: name or "m"),
    NAMES.map(lambda name: name or "f"),
    st.sampled_from(["STEPAP242", "DWG"]),
    st.none() | UUIDS,
    st.lists(ENTITIES, max_size=5).map(tuple),
)
SAID = st.builds(
    Characteristic, st.none() | UUIDS, st.just("Length"), st.none() | NAMES, designator=st.none() | NAMES
)


@given(st.lists(MODELS, max_size=3), st.lists(SAID, max_size=5), st.sampled_from(["external", "internal"]))
def test_ids_are_consecutive_and_only_what_is_certain_is_joined(
    known: list[DigitalModel], characteristics: list[Characteristic], audience: Audience
) -> None:
    product = Product(PART, "PN-1")
    found = write_models(known, characteristics, product, audience=audience, first_id=100)
    again = write_models(known[::-1], characteristics, product, audience=audience, first_id=100)
    assert found == again, "the order in which plugins answer says nothing"
    if not known:
        assert (found.markup, found.ids) == ("", 0)
        return
    root = etree.fromstring(found.markup)
    ids = [int(element.get("id")) for element in root.iter() if element.get("id")]
    assert ids == list(range(100, 100 + found.ids))
    assert root.get("n") == str(len(root))
    uuids = {int(one.get("id")): one.findtext("EntityId") for one in root.iter("Entity")}
    assert set(uuids) == {number for numbers in found.entities.values() for number in numbers}
    for position, numbers in found.entities.items():
        (of,) = {uuids[number] for number in numbers}
        said = characteristics[position]
        names = {one.name for model in known for one in model.entities if one.uuid == of}
        assert of == said.uuid or names & ({said.name, said.designator} - {None, ""})
