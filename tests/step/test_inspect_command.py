"""`dotpeen step inspect`: what it prints, its JSON document, and how it ends."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dotpeen.cli.app import app
from dotpeen.errors import DotpeenError
from step.files import AP242_E4, part21

A = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
PART = (
    "#3=PRODUCT('PN-1','Bracket','',());#4=PRODUCT_DEFINITION_FORMATION('A','',#3);"
    "#5=PRODUCT_DEFINITION('','',#4,$);#6=PRODUCT_DEFINITION_SHAPE('','',#5);\n"
)
SHAPE = f"#20=V4_UUID_ATTRIBUTE('{A}',((#6)));\n"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a registry that switches the plugin on."""
    (tmp_path / "registry.toml").write_text("[plugins.step]\n[entities.Part]\nbusiness_id = 'partNumber'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> Ended:
    result = CliRunner().invoke(app, ["step", "inspect", *arguments], env={"COLUMNS": "160", "TERM": "dumb"})
    error = result.exception
    if isinstance(error, DotpeenError):
        return Ended(error.exit_code, result.stdout, error.message)
    assert error is None or isinstance(error, SystemExit), error
    return Ended(result.exit_code, result.stdout, result.stderr)


def run(site: Path, data: str | bytes, *options: str, **header: str) -> Ended:
    """Inspect a file with these instances, or these bytes."""
    file = site / "part.stp"
    file.write_bytes(data if isinstance(data, bytes) else part21(data, **{"schema": AP242_E4, **header}))
    return command("part.stp", *options)


def document(site: Path, data: str, **header: str) -> dict[str, Any]:
    result = run(site, data, "--json", **header)
    assert result.code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_prints_the_part_its_uuids_and_what_is_wrong(site: Path) -> None:
    result = run(site, PART + SHAPE)
    assert result.code == 0
    assert "AP242 edition 4" in result.stdout
    assert f"PN-1  Bracket  rev A  {A}" in result.stdout
    assert "#6 PRODUCT_DEFINITION_SHAPE Bracket" in result.stdout
    assert "0 errors, 0 warnings" in result.stdout


def test_names_line_rule_and_what_to_do(site: Path) -> None:
    result = run(site, f"{PART}{SHAPE}#21=V4_UUID_ATTRIBUTE('?',((#6)));")
    assert result.code == 0
    assert "part.stp:10: error: #21 V4_UUID_ATTRIBUTE: '?' is no UUID" in result.stdout
    assert "[uuid-malformed, byte " in result.stdout


def test_the_document(site: Path) -> None:
    found = document(site, PART + SHAPE)
    assert list(found) == [
        "file", "size", "sha256", "originatingSystem", "schemas", "part21", "header", "products", "usages", "roots",
        "uuids", "pmi", "findings", "leftOut", "errors", "warnings",
    ]  # fmt: skip
    assert found["schemas"][0]["edition"] == 4
    assert found["products"] == [
        {
            "id": "PN-1",
            "name": "Bracket",
            "description": "",
            "revision": "A",
            "isDocument": False,
            "productRef": 3,
            "formationRef": 4,
            "definitionRef": 5,
            "shapeRefs": [6],
        }
    ]
    assert found["uuids"] == [
        {
            "uuid": A,
            "text": A,
            "carrier": "v4-uuid-attribute",
            "carrierRef": 20,
            "offset": part21(PART + SHAPE, schema=AP242_E4).index(b"#20="),
            "label": "",
            "targetRef": 6,
            "targetKeyword": "PRODUCT_DEFINITION_SHAPE",
            "targetName": "Bracket",
            "kind": "product",
            "productRef": 3,
        }
    ]
    assert (found["roots"], found["findings"], found["errors"]) == ([5], [], 0)


def test_lists_of_any_length_are_in_the_document(site: Path) -> None:
    faces = "".join(
        f"#{ref}=ADVANCED_FACE('f{ref}',(),$,.T.);#{ref + 1}=V4_UUID_ATTRIBUTE('{ref:08x}{A[8:]}',((#{ref})));"
        for ref in range(1000, 4000, 2)
    )
    found = document(site, PART + faces)
    assert [one["targetName"] for one in found["uuids"]] == [f"f{ref}" for ref in range(1000, 4000, 2)]


def test_only_the_first_rows_are_printed_unless_all_are_asked_for(site: Path) -> None:
    faces = "".join(
        f"#{ref}=ADVANCED_FACE('f{ref}',(),$,.T.);#{ref + 1}=V4_UUID_ATTRIBUTE('{ref:08x}{A[8:]}',((#{ref})));"
        for ref in range(1000, 1100, 2)
    )
    few = run(site, PART + SHAPE + faces).stdout
    assert "… and 26 more: --all or --json shows them" in few
    assert "f1098" not in few
    every = run(site, PART + SHAPE + faces, "--all").stdout
    assert "f1098" in every
    assert "more:" not in every


def test_the_assembly_is_a_tree(site: Path) -> None:
    def part(ref: int, number: str) -> str:
        return (
            f"#{ref}=PRODUCT('{number}','','',());#{ref + 1}=PRODUCT_DEFINITION_FORMATION('','',#{ref});"
            f"#{ref + 2}=PRODUCT_DEFINITION('','',#{ref + 1},$);"
        )

    usages = "".join(
        f"#{ref}=NEXT_ASSEMBLY_USAGE_OCCURRENCE('{ref}','','',#{parent},#{child},$);"
        for ref, parent, child in ((60, 12, 22), (61, 12, 22), (62, 12, 32), (63, 22, 42), (64, 32, 22))
    )
    result = run(site, part(10, "ROOT") + part(20, "ARM") + part(30, "LEG") + part(40, "BOLT") + usages)
    tree = result.stdout.split("4 products, 5 usages\n")[1].split("\n\n")[0]
    assert [line.rstrip() for line in tree.splitlines()] == [
        "ROOT",
        "├── ARM  2 times",
        "│   └── BOLT",
        "└── LEG",
        "    └── ARM  (components above)",
    ]


def test_strict_ends_with_1_where_there_is_an_error(site: Path) -> None:
    wrong = f"{PART}#21=V4_UUID_ATTRIBUTE('?',((#6)));"
    assert run(site, wrong).code == 0
    assert run(site, wrong, "--strict").code == 1
    assert run(site, PART, "--strict").code == 0, "a warning is no error"
    assert run(site, wrong, "--strict", "--json").code == 1


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"ISO-10303-21;\nHEADER;\n", b"\x00" * 100])
def test_what_is_no_step_file_ends_with_2(site: Path, data: bytes) -> None:
    result = run(site, data)
    assert result.code == 2
    assert result.stdout == ""
    assert "part.stp" in result.stderr


def test_a_file_that_is_not_there_ends_with_2(site: Path) -> None:
    result = command("nothing.stp", "--json")
    assert (result.code, result.stdout) == (2, "")


def test_texts_of_the_file_are_no_markup_and_no_control_characters(site: Path) -> None:
    name = r"[bold red]x[/]\X\1B[2J\X2\202E\X0\evil"
    data = f"#3=PRODUCT('{name}','{name}','',());#4=ID_ATTRIBUTE('{A}',#3);"
    result = run(site, data, system="[/][link=http://x]s[/link]")
    assert result.code == 0
    assert "[bold red]x[/]\ufffd[2J\ufffdevil" in result.stdout
    assert "[/][link=http://x]s[/link]" in result.stdout
    assert not any(ord(character) < 32 and character != "\n" for character in result.stdout)


def test_half_a_surrogate_pair_is_no_obstacle(site: Path) -> None:
    data = rf"#3=PRODUCT('a\X2\D83D\X0\b','','',());#4=ID_ATTRIBUTE('{A}',#3);"
    assert run(site, data).code == 0
    assert document(site, data)["products"][0]["id"].startswith("a")


def test_the_docs_list_the_keys_of_the_document(site: Path, repository: Path) -> None:
    text = (repository / "docs" / "step.md").read_text().split("### The JSON document")[1].split("\n## ")[0]
    found = document(site, PART + SHAPE)
    listed = set(re.findall(r"`(\w+)`", text))
    keys = {
        *found,
        *found["products"][0],
        *found["uuids"][0],
        *found["schemas"][0],
        *found["part21"],
        *found["header"],
    }
    assert keys <= listed


def test_a_path_and_rows_are_not_folded_where_no_terminal_bounds_them(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site / ("a folder " * 12).strip() / "and one more of them below it"
    folder.mkdir(parents=True)
    name = "the bracket of the crane that lifts the lid of the vessel in the yard"
    part = PART.replace("PN-1", "PN-1-OF-THE-NORTHERN-WORKS").replace("Bracket", name)
    (folder / "part.stp").write_bytes(part21(part + SHAPE, schema=AP242_E4))
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["step", "inspect", str(folder / "part.stp")]).stdout
    assert f"File        {folder / 'part.stp'}\n" in shown
    assert f"PN-1-OF-THE-NORTHERN-WORKS  {name}  rev A  {A}\n" in shown


@pytest.mark.parametrize(
    ("number", "name", "shown"),
    [
        ("", "Box", "''  Box  rev A"),
        (" ", "Box", "' '  Box  rev A"),
        ("Box", "Box", "Box  rev A"),
        ("", "", "#3  rev A"),
    ],
)
def test_an_id_that_is_empty_is_not_taken_for_the_name(
    site: Path, number: str, name: str, shown: str
) -> None:
    part = PART.replace("'PN-1'", f"'{number}'").replace("'Bracket'", f"'{name}'")
    lines = [line.strip() for line in run(site, part).stdout.splitlines()]
    assert shown in lines
