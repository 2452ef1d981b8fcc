"""Open CASCADE reads what the plugin writes: the same shapes, no new errors, and the UUID as an attribute."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from dotpeen_step.exporting.contents import Contents
from dotpeen_step.exporting.part import Site, write_part
from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.carriers import Carrier
from dotpeen_step.stamping import Wanted, stamp
from dotpeen_step.stamping.user_defined import ATTRIBUTE

pytestmark = pytest.mark.slow
ON: Final = True

UUID: Final = "550e8400-e29b-41d4-a716-446655440000"
PART: Final = Contents(UUID, "PN-1'Ω", "Plate", "B", "A plate", (("materialType", "STEEL"),))
SYNTAX: Final = "Incorrect Syntax : Fails Count : 1"
FILES: Final = {
    "NX_Plate_w_Hole_UUIDS_Rev_0.0.stp": "#567",
    "V56R2022_plate_w_hole_UUIDS_Rev_0.1.stp": "#5",
    "as1-oc-214.stp": "plate",
    "box-guid.stp": "#28",
    "nist_ctc_01_asme1_ct5210_rd-V5R29.stp": "#5",
    "ap242_assembly.p21": "CHILD",
}


@dataclass(frozen=True)
class Reading:
    """What Open CASCADE makes of a file."""

    shapes: int
    """Faces, edges and vertices of all products."""
    products: int
    errors: int
    attributes: list[str]
    """The values of the attribute with our name."""


class Occ:
    """Open CASCADE, by its own names."""

    def __init__(self) -> None:
        caf = importlib.import_module("OCP.STEPCAFControl")
        self.Reader, self.Writer = caf.STEPCAFControl_Reader, caf.STEPCAFControl_Writer
        xcaf = importlib.import_module("OCP.XCAFDoc")
        self.DocumentTool, self.ShapeTool = xcaf.XCAFDoc_DocumentTool, xcaf.XCAFDoc_ShapeTool
        self.Application = importlib.import_module("OCP.XCAFApp").XCAFApp_Application.GetApplication_s()
        self.Document = importlib.import_module("OCP.TDocStd").TDocStd_Document
        self.Text = importlib.import_module("OCP.TCollection").TCollection_ExtendedString
        self.NamedData = importlib.import_module("OCP.TDataStd").TDataStd_NamedData
        self.Labels = importlib.import_module("OCP.collections").Sequence_TDF_Label
        self.Explorer = importlib.import_module("OCP.TopExp").TopExp_Explorer
        self.ShapeEnum = importlib.import_module("OCP.TopAbs").TopAbs_ShapeEnum

    def load(self, file: Path) -> tuple[Any, Any]:
        """Read and transfer a file; fails where Open CASCADE does."""
        reader = self.Reader()
        reader.SetMetaMode(ON)
        reader.SetNameMode(ON)
        assert reader.ReadFile(str(file)).name == "IFSelect_RetDone"
        document = self.Document(self.Text("XmlOcaf"))
        self.Application.InitDocument(document)
        assert reader.Transfer(document)
        return reader, document

    def read(self, file: Path) -> Reading:
        reader, document = self.load(file)
        model = reader.Reader().StepModel()
        errors = sum(model.Check(number, ON).NbFails() for number in range(1, model.NbEntities() + 1))
        labels = self.Labels()
        self.DocumentTool.ShapeTool_s(document.Main()).GetShapes(labels)
        products = [labels.Value(number) for number in range(1, labels.Length() + 1)]
        return Reading(
            shapes=sum(map(self.shapes, products)),
            products=len(products),
            errors=errors,
            attributes=[value for label in products if (value := self.attribute(label)) is not None],
        )

    def shapes(self, label: Any) -> int:
        count = 0
        for kind in ("TopAbs_FACE", "TopAbs_EDGE", "TopAbs_VERTEX"):
            explorer = self.Explorer(self.ShapeTool.GetShape_s(label), getattr(self.ShapeEnum, kind))
            while explorer.More():
                count += 1
                explorer.Next()
        return count

    def attribute(self, label: Any) -> str | None:
        data = self.NamedData()
        if not label.FindAttribute(self.NamedData.GetID_s(), data):
            return None
        data.LoadDeferredData()
        name = self.Text(ATTRIBUTE)
        return str(data.GetString(name).ToExtString()) if data.HasString(name) else None

    def rewrite(self, source: Path, target: Path) -> None:
        """Read a file and write it again, as a system does that knows nothing of us."""
        _, document = self.load(source)
        writer = self.Writer()
        writer.SetMetadataMode(ON)
        assert writer.Transfer(document)
        assert writer.Write(str(target)).name == "IFSelect_RetDone"


@pytest.fixture(scope="module")
def occ() -> Occ:
    try:
        return Occ()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "OCP":
            raise
        pytest.skip("Open CASCADE is not installed: uv sync --group cad")


@pytest.fixture
def stamped(samples: Path, tmp_path: Path) -> Callable[[str, Carrier], Path]:
    """`stamped(name, carrier)` is a stamped copy of a real file."""

    def make(name: str, carrier: Carrier) -> Path:
        target = tmp_path / f"stamped-{name}"
        stamp(samples / name, [Wanted("PN-1", UUID, None, FILES[name])], target, carrier=carrier)
        return target

    return make


@pytest.mark.parametrize("name", FILES)
def test_a_stamped_file_has_the_same_shapes_and_the_attribute(
    occ: Occ,
    samples: Path,
    stamped: Callable[[str, Carrier], Path],
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = occ.read(samples / name)
    printed = capfd.readouterr().out.count("ERR")
    after = occ.read(stamped(name, Carrier.USER_DEFINED))
    assert capfd.readouterr().out.count("ERR") == printed
    assert (after.shapes, after.products, after.errors) == (before.shapes, before.products, before.errors)
    assert after.attributes == [UUID]
    assert before.attributes == []


@pytest.mark.parametrize("name", FILES)
def test_the_attribute_is_still_there_when_open_cascade_has_written_the_file(
    occ: Occ, stamped: Callable[[str, Carrier], Path], tmp_path: Path, name: str
) -> None:
    rewritten = tmp_path / "rewritten.stp"
    occ.rewrite(stamped(name, Carrier.USER_DEFINED), rewritten)
    ours = [one for one in inspect(rewritten).uuids if one.label == ATTRIBUTE]
    assert [(one.uuid, one.kind) for one in ours] == [(UUID, "product")]
    again = stamp(rewritten, [Wanted("PN-1", UUID, None)], None)
    assert [(one.outcome, one.match.by) for one in again.plan.stamps] == [("unchanged", "uuid")]


@pytest.mark.parametrize("name", FILES)
def test_an_anchor_costs_one_syntax_error_and_no_shape(
    occ: Occ,
    samples: Path,
    stamped: Callable[[str, Carrier], Path],
    name: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = occ.read(samples / name)
    assert SYNTAX not in capfd.readouterr().out
    after = occ.read(stamped(name, Carrier.ANCHOR))
    assert SYNTAX in capfd.readouterr().out
    assert (after.shapes, after.products, after.errors) == (before.shapes, before.products, before.errors)


def test_an_exported_part_is_opened_with_its_uuid(
    occ: Occ, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "exported.stp"
    file.write_bytes(write_part(PART, Site("MachShop", "0.1.0"), file_name="PN-1.stp"))
    assert occ.read(file) == Reading(shapes=0, products=1, errors=0, attributes=[UUID])
    assert "ERR" not in capfd.readouterr().out


def test_a_part_with_a_uuid_attribute_is_opened(occ: Occ, tmp_path: Path) -> None:
    file = tmp_path / "exported.stp"
    carriers = (Carrier.USER_DEFINED, Carrier.UUID_ATTRIBUTE)
    file.write_bytes(write_part(PART, Site("MachShop", "0.1.0"), file_name="PN-1.stp", carriers=carriers))
    found = occ.read(file)
    assert (found.products, found.attributes) == (1, [UUID])
