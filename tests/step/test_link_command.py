"""`dotpeen step link`, `unlink`, `links` and `link --scan` as a user runs them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from conftest import Dotpeen, Finished, TemplateDatabase
from dotpeen.cli.app import app
from dotpeen.demo.run import registry_text
from dotpeen.errors import DotpeenError
from step.plant import Plant, build, model

if TYPE_CHECKING:
    from collections.abc import Callable

A = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
B = "8560fe4c-4a0e-5f8c-ae9d-fd8fccf4f9ab"
C = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"


@pytest.fixture
def plant(template_database: TemplateDatabase) -> Iterator[Plant]:
    found = Plant(template_database("step", build))
    yield found
    found.close()


@pytest.fixture
def step(run_dotpeen: Dotpeen, plant: Plant) -> Callable[..., Finished]:
    """`step("link", …)` runs `dotpeen step link …` for the plant."""
    (run_dotpeen.folder / "registry.toml").write_text(registry_text(), encoding="utf-8")
    return lambda *arguments: run_dotpeen("--database-url", plant.url, "step", *arguments)


@pytest.mark.slow
def test_link_list_and_unlink(step: Callable[..., Finished], plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "plate.stp").write_bytes(model(("PN-1001", A)))
    made = step("link", "PN-1001", "plate.stp")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [
        "Part PN-1001 is linked to plate.stp",
        "  product 'PN-1001' (Plate 0) revision A, found by the part number",
        f"  stepAp242Uuid is {A}",
    ]
    assert step("link", "PN-1001", "--uuid", f"urn:uuid:{B}", "--json").json["outcome"] == "linked"
    listed = step("links", "PN-1001", "--json").json["links"]
    assert [(one["stepUuid"], one["current"]) for one in listed] == [(B, True), (A, False)]
    assert listed[1]["file"]["name"] == "plate.stp"
    assert listed[1]["linkedBy"].startswith("user ")
    table = step("links").stdout
    assert "plate.stp" in table
    assert "AP242 edition 4" in table
    refused = step("unlink", "PN-1001", "--uuid", B)
    assert (refused.returncode, plant.reference()) == (2, B)
    assert f"Take 1 link of Part PN-1001 away (UUID {B})?" in refused.stderr
    taken = step("unlink", "PN-1001", "--uuid", B, "--yes")
    assert taken.stdout.splitlines() == ["Part PN-1001: 1 link taken away", f"  the current revision is {A}"]
    gone = step("links", "--history", "--json").json["links"]
    assert [one["unlinkedAt"] is None for one in gone] == [False, True]


@pytest.mark.slow
def test_what_is_not_certain_is_named_and_nothing_is_written(
    step: Callable[..., Finished], plant: Plant, tmp_path: Path
) -> None:
    (tmp_path / "plate.stp").write_bytes(model(("X-7", A), ("X-8", B)))
    refused = step("link", "PN-1001", "plate.stp")
    assert refused.returncode == 1
    assert "'X-7' (Plate 0) revision A" in refused.stderr
    assert "say which: --product" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert plant.reference() is None
    assert step("link", "PN-1001", "plate.stp", "--product", "X-8").returncode == 0
    assert plant.reference() == B


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["link", "PN-1001"], "name the part and its file"),
        (["link"], "name the part and its file"),
        (["link", "PN-1001", "--uuid", "12"], "is no UUID"),
        (["link", "PN-1001", "--uuid", A, "--product", "X"], "name the file, too"),
        (["link", "PN-1001", "--uuid", A, "--apply"], "--apply goes with --scan"),
        (["link", "PN-1001", "--scan", "."], "--scan finds parts and files by itself"),
        (["link", "--scan", "nowhere"], "nowhere is no folder"),
        (["link", "PN-1001", "nowhere.stp"], "nowhere.stp"),
        (["link", "PN-1001", "broken.stp"], "broken.stp:1"),
        (["link", "broken.stp", "PN-1001"], "there is no file PN-1001 (PART comes first"),
        (["unlink", "PN-1001", "--sha256", "xyz", "--yes"], "not hexadecimal digits"),
    ],
)
def test_wrong_usage_ends_with_2(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.toml").write_text(registry_text(), encoding="utf-8")
    (tmp_path / "broken.stp").write_text("no STEP")
    environment = {"COLUMNS": "160", "TERM": "dumb"}
    refused = CliRunner().invoke(app, ["--database-url", plant.url, "step", *arguments], env=environment)
    error = refused.exception
    message = f"{error} ({error.hint})" if isinstance(error, DotpeenError) else refused.output
    code = refused.exception.exit_code if isinstance(refused.exception, DotpeenError) else refused.exit_code
    assert (code, said in message) == (2, True), message


@pytest.mark.slow
def test_an_unknown_part_ends_with_1(step: Callable[..., Finished]) -> None:
    refused = step("link", "PN-9", "--uuid", A)
    assert (refused.returncode, "no Part 'PN-9'" in refused.stderr) == (1, True)


@pytest.fixture
def cad(tmp_path: Path) -> Path:
    """A folder as they are: revisions, an assembly, things that are not clear, things that are broken."""
    folder = tmp_path / "cad"
    (folder / "old").mkdir(parents=True)
    (folder / "plate b.STEP").write_bytes(model(("PN-1001", B), written="2026-03-01T00:00:00"))
    (folder / "old" / "plate a.stp").write_bytes(model(("PN-1001", A), written="2026-02-01T00:00:00"))
    (folder / "assembly.stp").write_bytes(model(("PN-1002", C), ("M8x20", None)))
    (folder / "twice.stp").write_bytes(model(("PN-1003", None), ("PN-1003", None)))
    (folder / "broken.stp").write_bytes(model(("PN-1003", None))[:-40])
    (folder / "empty.stp").write_bytes(b"")
    (folder / "notes.txt").write_text("PN-1003")
    (folder / "gone.stp").symlink_to(folder / "nowhere.stp")
    (folder / "old" / "round").symlink_to(folder, target_is_directory=True)
    return folder


def statuses(document: dict[str, list[dict[str, str]]], folder: Path) -> list[tuple[str, str, str]]:
    return [
        (str(Path(one["file"]).relative_to(folder)), one["product"]["id"], one["status"])  # type: ignore[index]
        for one in document["proposals"]
    ]


@pytest.mark.slow
def test_a_folder_is_proposed_and_nothing_is_written(
    step: Callable[..., Finished], plant: Plant, cad: Path
) -> None:
    before = plant.state()
    scanned = step("link", "--scan", cad, "--json")
    assert scanned.returncode == 1, "something is not clear"
    document = scanned.json
    assert statuses(document, cad) == [
        ("assembly.stp", "PN-1002", "certain"),
        ("assembly.stp", "M8x20", "unmatched"),
        ("old/plate a.stp", "PN-1001", "certain"),
        ("plate b.STEP", "PN-1001", "certain"),
        ("twice.stp", "PN-1003", "ambiguous"),
        ("twice.stp", "PN-1003", "ambiguous"),
    ]
    assert {Path(one["file"]).name for one in document["skipped"]} == {
        *("broken.stp", "empty.stp", "gone.stp", "round"),
    }
    assert (document["files"], document["counts"]["certain"], document["apply"]) == (6, 3, False)
    assert plant.state() == before
    shown = step("link", "--scan", cad)
    assert "Nothing was written. --apply links what is certain." in shown.stdout
    assert "broken.stp: left out: " in shown.stderr


@pytest.mark.slow
def test_what_is_certain_is_applied_once(step: Callable[..., Finished], plant: Plant, cad: Path) -> None:
    applied = step("link", "--scan", cad, "--apply", "--json")
    assert applied.returncode == 1
    assert applied.json["counts"]["applied"] == 3
    assert (plant.reference("PN-1001"), plant.reference("PN-1002")) == (B, C), "the newest file is current"
    assert plant.reference("PN-1003") is None
    assert plant.rows("SELECT DISTINCT matched_by FROM dotpeen_step.link") == [("part-number",)]
    before = plant.state()
    again = step("link", "--scan", cad, "--apply", "--json")
    assert (again.json["counts"]["linked"], again.json["counts"]["applied"]) == (3, 0)
    assert plant.state() == before


@pytest.mark.slow
def test_a_folder_where_all_is_clear_ends_with_0(step: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / "cad").mkdir()
    (tmp_path / "cad" / "a.stp").write_bytes(model(("PN-1001", A)))
    (tmp_path / "cad" / "screw.stp").write_bytes(model(("M8x20", None)))
    assert step("link", "--scan", tmp_path / "cad").returncode == 0


@pytest.mark.slow
def test_evidence_for_two_parts_is_ambiguous(
    step: Callable[..., Finished], plant: Plant, tmp_path: Path
) -> None:
    (tmp_path / "cad").mkdir()
    plant.link_uuid(A, "PN-1002")
    (tmp_path / "cad" / "a.stp").write_bytes(model(("PN-1001", A)))
    (proposal,) = step("link", "--scan", tmp_path / "cad", "--json").json["proposals"]
    assert (proposal["status"], proposal["part"]) == ("ambiguous", None)
    assert {one["number"] for one in proposal["candidates"]} == {"PN-1001", "PN-1002"}
    assert proposal["reason"] == "it could be Part PN-1002 by linked-uuid, Part PN-1001 by part-number"


@pytest.mark.slow
def test_a_link_that_the_database_refuses_fails_alone(
    step: Callable[..., Finished], plant: Plant, tmp_path: Path
) -> None:
    folder = tmp_path / "cad"
    folder.mkdir()
    plant.records.update("Part", "PN-1003", {"stepAp242Uuid": A})
    (folder / "a.stp").write_bytes(model(("PN-1001", A)))
    (folder / "b.stp").write_bytes(model(("PN-1002", B)))
    applied = step("link", "--scan", folder, "--apply", "--json")
    assert applied.returncode == 1
    assert [one["status"] for one in applied.json["proposals"]] == ["failed", "applied"]
    assert "another record has the same stepAp242Uuid" in applied.json["proposals"][0]["reason"]
    assert (plant.reference("PN-1001"), plant.reference("PN-1002")) == (None, B)


@pytest.mark.slow
def test_a_scan_that_is_killed_goes_on_where_it_was(
    run_dotpeen: Dotpeen, step: Callable[..., Finished], plant: Plant, tmp_path: Path
) -> None:
    folder = tmp_path / "cad"
    folder.mkdir()
    for number in range(60):
        faces = [f"{number:08x}-0000-4000-8000-{face:012x}" for face in range(300)]
        uuid = f"{number:08x}-1111-4000-8000-000000000000"
        (folder / f"{number:03}.stp").write_bytes(
            model(("PN-1001", uuid), faces=faces, written=f"2026-01-01T00:00:{number:02}")
        )
    kills = 0
    for wait in (1.2, 1.4, 1.6, 1.8):
        process = run_dotpeen.start(
            "--database-url", plant.url, "step", "link", "--scan", str(folder), "--apply"
        )
        time.sleep(wait)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        whole = (
            plant.rows(
                "SELECT count(*) FROM dotpeen_step.file AS f WHERE items <>"
                " (SELECT count(*) FROM dotpeen_step.item AS i WHERE i.file = f.id)"
                " OR NOT EXISTS (SELECT FROM dotpeen_step.link AS l WHERE l.file = f.id)"
            )
            if plant.rows("SELECT pg_catalog.to_regclass('dotpeen_step.file') IS NOT NULL")[0][0]
            else [(0,)]
        )
        assert whole == [(0,)]
    assert kills
    assert step("link", "--scan", folder, "--apply").returncode == 0
    assert plant.rows("SELECT count(*) FROM dotpeen_step.link") == [(60,)]
    assert plant.rows("SELECT count(*) FROM dotpeen_step.item") == [(60 * 301,)]
    assert plant.reference() == f"{59:08x}-1111-4000-8000-000000000000"


@pytest.fixture
def command(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`command("links", …)` runs `dotpeen step links …` in this process, in a folder of its own."""
    (tmp_path / "registry.toml").write_text(registry_text(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environment = {"COLUMNS": "200", "TERM": "dumb"}
    return lambda *arguments: CliRunner().invoke(
        app, ["--database-url", plant.url, "step", *map(str, arguments)], env=environment
    )


def folder_of(tmp_path: Path, **files: bytes) -> Path:
    folder = tmp_path / "cad"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.stp").write_bytes(content)
    return folder


def proposed(scanned: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(scanned.stdout)["proposals"]
    return found


def test_another_product_of_a_linked_file_is_not_linked(
    command: Callable[..., Result], plant: Plant, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, plate=model(("PN-1001", A), ("BLANK", B)))
    plant.link(folder / "plate.stp", product="BLANK")
    scanned = command("link", "--scan", folder, "--apply", "--json")
    first, second = proposed(scanned)
    assert (scanned.exit_code, first["status"], second["status"]) == (1, "ambiguous", "linked")
    assert first["reason"] == "Part PN-1001 is linked to 'BLANK' (Plate 1) revision A of this file"
    assert (second["part"]["number"], second["stepUuid"], second["matchedBy"]) == ("PN-1001", B, "said")


def test_what_was_unlinked_by_hand_is_not_linked_by_a_scan(
    command: Callable[..., Result], plant: Plant, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, plate=model(("PN-1001", A)))
    assert [one["status"] for one in proposed(command("link", "--scan", folder, "--apply", "--json"))] == [
        "applied"
    ]
    plant.unlink(every=True)
    scanned = command("link", "--scan", folder, "--apply", "--json")
    (one,) = proposed(scanned)
    assert (scanned.exit_code, one["status"], plant.reference()) == (0, "unlinked", None)
    assert re.fullmatch(r"it was unlinked \d{4}-\d\d-\d\d \d\d:\d\d by user tester", one["reason"])
    assert "1 file, 1 product: 1 unlinked" in command("link", "--scan", folder).stdout
    assert command("link", "PN-1001", folder / "plate.stp").exit_code == 0
    assert plant.reference() == A
    assert [one["status"] for one in proposed(command("link", "--scan", folder, "--json"))] == ["linked"]


def test_a_product_without_an_id_is_called_by_its_name(
    command: Callable[..., Result], plant: Plant, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, box=model(("", None)))
    refused = command("link", "PN-1001", folder / "box.stp").exception
    assert "'' (Plate 0) revision A, no UUID" in str(refused)
    made = command("link", "PN-1001", folder / "box.stp", "--product", "Plate 0")
    assert "  product '' (Plate 0) revision A, as you said" in made.stdout
    assert "'' (Plate 0) revision A" in command("link", "--scan", folder).stdout
    listed = command("links", "PN-1001").stdout
    digits = hashlib.sha256((folder / "box.stp").read_bytes()).hexdigest()[:12]
    assert f"  no UUID, SHA-256 {digits}  box.stp" in listed
    assert "    '' (Plate 0) revision A, AP242 edition 4" in listed


def test_products_of_one_name_are_told_apart_by_instance(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    twice = model(("PN-1003", None), ("PN-1003", None)).replace(b"Plate 1", b"Plate 0")
    shown = command("link", "--scan", folder_of(tmp_path, twice=twice, plate=model(("PN-1001", A)))).stdout
    assert "'PN-1003' (Plate 0) revision A #10 " in shown
    assert "'PN-1003' (Plate 0) revision A #20 " in shown
    assert "'PN-1001' (Plate 0) revision A  " in shown
    assert "2 files, 3 products: 2 ambiguous, 1 certain" in shown


def test_before_unlinking_what_there_is_is_looked_up(
    command: Callable[..., Result], plant: Plant, tmp_path: Path
) -> None:
    unknown = command("unlink", "PN-9", "--all")
    assert (str(unknown.exception), "?" in unknown.stderr) == ("no Part 'PN-9'", False)
    assert "has no link to unlink" in str(command("unlink", "PN-1001", "--all").exception)
    folder = folder_of(tmp_path, plate=model(("PN-1001", A)))
    plant.link(folder / "plate.stp")
    plant.link_uuid(B)
    asked = command("unlink", "PN-1001", "--all")
    assert f"Take 2 links of Part PN-1001 away (UUID {B}, plate.stp)?" in asked.stderr.replace("\n", " ")
    assert (asked.exit_code, plant.reference()) == (2, B)
    (ended,) = json.loads(command("unlink", "PN-1001", "--uuid", A, "--yes", "--json").stdout)["unlinked"]
    assert ended["unlinkedBy"].startswith("user ")
    assert ended["unlinkedAt"] is not None


def test_a_file_in_the_place_of_the_part_is_told(command: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "plate.stp").write_bytes(model(("PN-1001", A)))
    refused = command("link", "plate.stp", "plate.stp").exception
    assert isinstance(refused, DotpeenError)
    assert (refused.message, refused.hint) == (
        "no Part 'plate.stp'",
        "PART comes first: dotpeen step link PN-1001 plate.stp",
    )


def test_what_a_file_calls_its_products_moves_no_cursor(
    command: Callable[..., Result], tmp_path: Path
) -> None:
    hostile = rb"Pl\X\1B[2J\X\0A\X\9B\X2\202E\X0\te"
    folder = folder_of(tmp_path, **{"plate\x1b[1m": model(("PN-1001", A)).replace(b"Plate 0", hostile)})
    file = str(next(folder.iterdir()))
    for arguments in (
        ["link", "--scan", str(folder)],
        ["link", "PN-1001", file],
        ["links"],
        ["diff", file, file],
    ):
        said = command(*arguments)
        assert said.exit_code == 0
        assert "Pl\ufffd[2J\ufffd\ufffd\ufffdte" in said.output or arguments[0] == "diff"
        assert not {"\x1b", "\x9b", "\u202e"}.intersection(said.output)


def test_a_keyword_of_any_length_is_kept_in_little(
    command: Callable[..., Result], plant: Plant, tmp_path: Path
) -> None:
    parts = b"".join(b"A%d()" % number for number in range(1000))
    item = b"#900=(" + parts + b");#901=V5_UUID_ATTRIBUTE('" + B.encode() + b"',((#900)));ENDSEC;END-"
    folder = folder_of(tmp_path, plate=model(("PN-1001", A)).replace(b"ENDSEC;\nEND-", item))
    assert command("link", "PN-1001", str(next(folder.iterdir()))).exit_code == 0
    longest = plant.rows("SELECT pg_catalog.max(pg_catalog.length(keyword)) FROM dotpeen_step.item")
    assert longest == [(200,)]
