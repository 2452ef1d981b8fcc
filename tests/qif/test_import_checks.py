"""Large files are checked by a process of their own while they are staged: nothing else about them is different."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import TemplateDatabase
from dotpeen.errors import ConfigurationError, DotpeenError
from dotpeen_qif.importing import checking
from dotpeen_qif.validate import validate
from dotpeen_qif.validate.aside import FormCheck

from .documents import Doc, Item, Measured, uuid
from .mes import EVERYTHING, Mes, build, counts

WHOLE = Doc("whole", [Item("Length A")], results=[Measured(0, "10.1", uuid=uuid("first"))])
TWICE = replace(WHOLE, name="twice", results=[Measured(0, "10.1", uuid=uuid("one"))] * 2)
"""Two measurements with one UUID."""


@pytest.fixture
def mes(template_database: TemplateDatabase, monkeypatch: pytest.MonkeyPatch) -> Mes:
    """An MES without a row, for which every file is large and two cores are there."""
    monkeypatch.setattr(checking, "LARGE", 0)
    monkeypatch.setattr(checking, "_cores", lambda: 2)
    return Mes(template_database("qif_empty", build))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FormCheck]:
    """The processes that an import began."""
    found: list[FormCheck] = []

    class Noted(FormCheck):
        def __init__(self, path: Path, schema_dir: Path | None) -> None:
            super().__init__(path, schema_dir)
            found.append(self)

    monkeypatch.setattr(checking, "FormCheck", Noted)
    return found


def test_a_file_that_is_right_is_imported(mes: Mes, begun: list[FormCheck], tmp_path: Path) -> None:
    report = mes.load(WHOLE.write(tmp_path), create=EVERYTHING)

    assert len(begun) == 1
    assert not begun[0].running
    assert counts(report)["QIFMeasurementResult"] == {"created": 1}


def test_a_file_that_is_wrong_is_refused_and_leaves_nothing(
    mes: Mes, begun: list[FormCheck], tmp_path: Path
) -> None:
    file = TWICE.write(tmp_path)

    with pytest.raises(DotpeenError) as refused:
        mes.load(file, create=EVERYTHING)

    assert "the UUID of the measurement is that of the one in line" in refused.value.message
    assert refused.value.hint == f"dotpeen qif validate {file} lists them"
    assert mes.count("QIFMeasurementResult") == 0
    assert not begun[0].running


def test_what_cannot_be_read_is_refused_with_its_line(mes: Mes, tmp_path: Path) -> None:
    file = tmp_path / "cut.qif"
    file.write_text(WHOLE.text.replace("</Status><CharacteristicItemId>", "<CharacteristicItemId>"), "utf-8")

    with pytest.raises(DotpeenError, match=r"cut\.qif:\d+: not well-formed"):
        mes.load(file, create=EVERYTHING)


def test_partial_leaves_out_a_wrong_file_and_imports_the_others(mes: Mes, tmp_path: Path) -> None:
    other = replace(
        TWICE,
        items=[Item("Length C")],
        plan=uuid("another plan"),
        part=uuid("another part"),
        number="PN-2",
        serial="SN-2",
    )

    report = mes.load(WHOLE.write(tmp_path), other.write(tmp_path), partial=True, create=EVERYTHING)

    assert counts(report)["QIFMeasurementResult"] == {"created": 1}
    assert counts(report)["QIFDocument"] == {"unmatched": 1}
    assert mes.rows('SELECT "partNumber" FROM public."Part"') == [("PN-1",)]


def test_a_killed_process_is_replaced(
    mes: Mes, begun: list[FormCheck], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = FormCheck.__init__

    def killed(self: FormCheck, path: Path, schema_dir: Path | None) -> None:
        original(self, path, schema_dir)
        self._process.kill()

    monkeypatch.setattr(FormCheck, "__init__", killed)

    assert mes.load(WHOLE.write(tmp_path), create=EVERYTHING).clean
    with pytest.raises(DotpeenError, match="the UUID of the measurement"):
        mes.load(TWICE.write(tmp_path), create=EVERYTHING)


def test_missing_schemas_are_told_by_the_process_as_by_validate(tmp_path: Path) -> None:
    check = FormCheck(WHOLE.write(tmp_path), tmp_path)

    with pytest.raises(ConfigurationError, match="no QIF schemas"):
        check.report()


def test_a_process_finds_what_validate_finds(tmp_path: Path) -> None:
    file = TWICE.write(tmp_path)
    check = FormCheck(file, None)
    try:
        found = check.report().findings
    finally:
        check.stop()

    assert found == [one for one in validate(file).findings if one.check == "uuid"]
