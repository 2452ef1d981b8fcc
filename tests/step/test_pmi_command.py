"""`dotpeen step pmi`: what people see of a file's dimensions and tolerances, and what scripts get."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from dotpeen.cli.app import app
from dotpeen_step.inspection import inspect
from dotpeen_step.inspection.pmi.report import print_pmi
from dotpeen_step.part21.errors import Part21Error

from .files import part21

UUID = "c7875252-8986-4cc5-a2d4-bd8e78ed1752"
PLATE = f"""#1=PRODUCT('PN-1','Plate','',(#90));
#2=PRODUCT_DEFINITION_FORMATION('B','',#1);
#3=PRODUCT_DEFINITION('design','',#2,#91);
#4=PRODUCT_DEFINITION_SHAPE('','',#3);
#5=SHAPE_ASPECT('[bold]Bore\\X\\1B[31m','',#4,.T.);
#6=DIMENSIONAL_SIZE(#5,'diameter');
#7=DIMENSIONAL_CHARACTERISTIC_REPRESENTATION(#6,#8);
#8=SHAPE_DIMENSION_REPRESENTATION('',(#9),#99);
#9=MEASURE_REPRESENTATION_ITEM('nominal value',LENGTH_MEASURE(19.),#10);
#10=(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.));
#11=PLUS_MINUS_TOLERANCE(#12,#6);
#12=TOLERANCE_VALUE(#13,#14);
#13=MEASURE_WITH_UNIT(LENGTH_MEASURE(-0.1),#10);
#14=MEASURE_WITH_UNIT(LENGTH_MEASURE(0.2),#10);
#15=V4_UUID_ATTRIBUTE('{UUID}',((#6)));
#16=FLATNESS_TOLERANCE('Flat','',#14,#5);
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `dotpeen step pmi` on a file with these bytes."""
    registry = tmp_path / "registry.toml"
    registry.write_text("[plugins.step]\n[entities.Part]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(data: bytes, *options: str) -> Result:
        (tmp_path / "plate.stp").write_bytes(data)
        return CliRunner().invoke(app, ["-r", str(registry), "step", "pmi", "plate.stp", *options])

    return run


def test_shows_each_with_value_tolerance_and_uuid(run) -> None:  # noqa: ANN001
    done = run(part21(PLATE))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["Kind", "Name", "Value", "Tolerance", "Datums", "UUID"]
    assert lines[1].split() == [
        "diameter",
        "[bold]Bore\ufffd[31m",
        "⌀",
        "19",
        "mm",
        "+0.2/-0.1",
        UUID,
    ]
    assert lines[2].split() == ["flatness", "Flat", "0.2", "mm"]
    assert lines[3:] == ["plate.stp: 1 dimension, 1 tolerance, no datum; 1 with a UUID"]


def test_of_several_products_each_is_named(run) -> None:  # noqa: ANN001
    other = """#21=PRODUCT('PN-2','','',());
#22=PRODUCT_DEFINITION_FORMATION('','',#21);
#23=PRODUCT_DEFINITION('','',#22,#91);
#24=PRODUCT_DEFINITION_SHAPE('','',#23);
#25=DATUM('','',#24,.F.,'A');
"""
    lines = run(part21(PLATE + other)).stdout.splitlines()
    assert [line.split()[-1] for line in lines[:4]] == ["UUID", UUID, "PN-1", "PN-2"]
    assert lines[0].split()[-2] == "Product"


def test_json_has_every_key_of_every_item(run) -> None:  # noqa: ANN001
    done = run(part21(PLATE), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["counts"] == {"dimension": 1, "tolerance": 1, "datum": 0, "withUuid": 1}
    bore, flat = document["pmi"]
    assert bore == {
        "ref": 6,
        "keyword": "DIMENSIONAL_SIZE",
        "kind": "dimension",
        "type": "diameter",
        "name": "[bold]Bore\x1b[31m",
        "value": 19.0,
        "upper": 0.2,
        "lower": -0.1,
        "limits": False,
        "unit": "mm",
        "fit": "",
        "modifiers": [],
        "datums": [],
        "letter": "",
        "uuid": UUID,
        "uuids": [UUID],
        "productRef": 1,
        "productId": "PN-1",
    }
    assert bore.keys() == flat.keys()
    assert (flat["uuid"], flat["value"]) == (None, 0.2)


def test_a_file_without_pmi_has_none(run) -> None:  # noqa: ANN001
    done = run(part21("#1=PRODUCT('PN-1','','',());"))
    assert (done.exit_code, done.stdout) == (
        0,
        "plate.stp: no dimension, no tolerance, no datum; none with a UUID\n",
    )
    assert json.loads(run(part21("#1=PRODUCT('PN-1','','',());"), "--json").stdout)["pmi"] == []


def test_many_are_cut_for_people_and_never_for_scripts(run) -> None:  # noqa: ANN001
    data = part21("".join(f"#{n}=DATUM('','',$,.F.,'D{n}');\n" for n in range(1, 302)))
    assert "… and 101 more; --all shows them" in run(data).stdout
    assert "more" not in run(data, "--all").stdout
    assert len(json.loads(run(data, "--json").stdout)["pmi"]) == 301


@pytest.mark.parametrize("data", [b"", b"ISO-10303-21;\nHEADER;\n", part21(PLATE)[:-60] + b"'"])
def test_a_broken_file_is_an_error_with_its_place(run, data: bytes) -> None:  # noqa: ANN001
    done = run(data)
    assert isinstance(done.exception, Part21Error)
    assert (done.exception.exit_code, done.stdout) == (2, "")
    assert done.exception.message.startswith("plate.stp")


def test_half_a_character_is_no_reason_to_fail(run) -> None:  # noqa: ANN001
    data = part21(PLATE.replace("'Flat'", "'\\X2\\D800\\X0\\'"))
    assert run(data).exit_code == 0
    done = run(data, "--json")
    assert done.exit_code == 0
    assert len(json.loads(done.stdout)["pmi"]) == 2


def test_names_and_uuids_stand_on_one_line_where_no_terminal_bounds_them(
    run,  # noqa: ANN001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "Hole_Diameter_of_the_large_bore_on_the_upper_side"
    done = run(part21(PLATE.replace("[bold]Bore\\X\\1B[31m", name)))
    assert done.stdout.splitlines()[1].split() == ["diameter", name, "⌀", "19", "mm", "+0.2/-0.1", UUID]


def test_on_a_terminal_that_is_narrow_nothing_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "plate.stp"
    for name in ("Hole_Diameter", "Hole_Diameter_of_the_large_bore"):
        file.write_bytes(part21(PLATE.replace("[bold]Bore\\X\\1B[31m", name)))
        found = inspect(file)
        printed = StringIO()
        screen = Console(file=printed, force_terminal=True, width=80, color_system=None)
        print_pmi(found.pmi, {one.product_ref: one for one in found.products}, screen)
        shown = printed.getvalue()
        assert UUID in shown
        assert "…" not in shown
        assert name[:16] in shown
        columns = [
            line[shown.splitlines()[1].index("Name") :][:16].strip() for line in shown.splitlines()[2:]
        ]
        assert "".join(columns).startswith(name)


@pytest.mark.parametrize("command", [["inspect", "-"], ["pmi", "-"], ["diff", "-", "plate.stp"]])
def test_standard_input_is_not_read(run, command: list[str]) -> None:  # noqa: ANN001
    run(part21(PLATE))
    done = CliRunner().invoke(app, ["-r", "registry.toml", "step", *command])
    assert done.exit_code == 2
    assert "standard input is not read: name a file" in done.stderr
