"""`dotpeen step stamp` as a user runs it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from conftest import Dotpeen
from dotpeen.cli.app import app
from dotpeen.demo.run import registry_text
from dotpeen.errors import DotpeenError
from dotpeen_step.inspection import inspect
from step.files import AP242_E4
from step.plant import Plant, build, model

A = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
Stamp = Callable[..., Result]


@pytest.fixture(scope="module")
def plant(server: Any) -> Iterator[Plant]:
    """An MES that the tests of this module share: they leave it as it is."""
    url = server.create(server.template("step", build))
    found = Plant(url)
    yield found
    found.close()
    server.drop(url)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a registry, and a file with the products PN-1001 and BOLT."""
    (tmp_path / "registry.toml").write_text(registry_text(), encoding="utf-8")
    (tmp_path / "plate.stp").write_bytes(model(("PN-1001", None), ("BOLT", None)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stamp(plant: Plant, folder: Path) -> Stamp:
    """`stamp("plate.stp", "PN-1001", …)` runs `dotpeen step stamp plate.stp PN-1001 …` in the folder."""
    return lambda *arguments: CliRunner().invoke(
        app, ["--database-url", plant.url, "step", "stamp", *map(str, arguments)]
    )


def stamped(file: Path) -> list[tuple[str, str]]:
    return [(one.uuid, one.carrier.value) for one in inspect(file).uuids]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.suffix in (".stp", ".part"))


def test_a_part_is_stamped_and_a_second_time_unchanged(stamp: Stamp, plant: Plant, folder: Path) -> None:
    before = (folder / "plate.stp").read_bytes()
    made = stamp("plate.stp", "PN-1001", "-o", "out.stp")
    where = "PRODUCT #10 'PN-1001' (Plate 0), user-defined attribute on #12"
    said = f"PN-1001: stamped: {plant.uuid()} on {where} (its id is the part number)\n"
    assert (made.exit_code, made.stdout) == (0, said)
    assert made.stderr.startswith("Wrote out.stp (")
    assert stamped(folder / "out.stp") == [(plant.uuid(), "user-defined")]
    assert (folder / "plate.stp").read_bytes() == before
    again = stamp("out.stp", plant.uuid().upper(), "-o", "copy.stp")
    assert (again.exit_code, "unchanged" in again.stdout, "it carries the UUID" in again.stdout) == (
        0,
        True,
        True,
    )
    assert "unchanged, a copy" in again.stderr
    assert (folder / "copy.stp").read_bytes() == (folder / "out.stp").read_bytes()


def test_several_parts_and_a_choice(stamp: Stamp, plant: Plant, folder: Path) -> None:
    made = stamp("plate.stp", "PN-1001", "PN-1002=BOLT", "--in-place", "--anchor")
    assert made.exit_code == 0, made.output
    assert "implementation level '2;1' becomes '4;1'" in made.stdout
    assert "docs/step.md" in made.stderr
    assert set(stamped(folder / "plate.stp")) == {
        (plant.uuid(), "anchor"),
        (plant.uuid("PN-1002"), "anchor"),
    }
    assert stamp("plate.stp", "PN-1001", "PN-1002", "--in-place", "--anchor").stderr == (
        "plate.stp: unchanged, nothing was written.\n"
    )


def test_a_part_whose_number_has_an_equals_sign(stamp: Stamp, plant: Plant, folder: Path) -> None:
    plant.records.update("Part", "PN-1003", {"partNumber": "A=BOLT"})
    report = json.loads(stamp("plate.stp", "A=BOLT=#10", "-o", "out.stp", "--json").stdout)
    assert [(one["part"], one["product"]["ref"]) for one in report["parts"]] == [("A=BOLT", 10)]


def test_uuid_attribute(stamp: Stamp, plant: Plant, folder: Path) -> None:
    assert AP242_E4.encode() in (folder / "plate.stp").read_bytes()
    assert stamp("plate.stp", "PN-1001", "--uuid-attribute", "-o", "out.stp").exit_code == 0
    assert stamped(folder / "out.stp") == [(plant.uuid(), "v4-uuid-attribute")]


def test_json_says_what_was_done(stamp: Stamp, plant: Plant, folder: Path) -> None:
    report: Any = json.loads(stamp("plate.stp", "PN-1001", "-o", "out.stp", "--json").stdout)
    (edit,) = report.pop("edits")
    assert report == {
        "file": "plate.stp",
        "output": "out.stp",
        "carrier": "user-defined",
        "dryRun": False,
        "changed": True,
        "bytes": (folder / "out.stp").stat().st_size,
        "implementationLevel": None,
        "parts": [
            {
                "part": "PN-1001",
                "uuid": plant.uuid(),
                "outcome": "stamped",
                "matchedBy": "number",
                "product": {"ref": 10, "id": "PN-1001", "name": "Plate 0"},
                "definition": 12,
                "target": 12,
            }
        ],
    }
    before = (folder / "plate.stp").read_bytes()
    assert (folder / "out.stp").read_bytes() == before[: edit["byte"]] + edit["text"].encode() + before[
        edit["byte"] :
    ]


def test_a_dry_run_needs_no_output_and_writes_nothing(stamp: Stamp, folder: Path) -> None:
    made = stamp("plate.stp", "PN-1001", "--dry-run")
    assert (made.exit_code, made.stderr) == (0, "Dry run: nothing was written.\n")
    assert made.stdout.startswith("PN-1001: would be stamped: ")
    raised = stamp("plate.stp", "PN-1001", "--dry-run", "--anchor").stdout
    assert "implementation level '2;1' would become '4;1'" in raised
    assert names(folder) == ["plate.stp"]


def test_a_folder_gets_a_file_of_the_same_name(stamp: Stamp, folder: Path) -> None:
    (folder / "out").mkdir()
    assert stamp("plate.stp", "PN-1001", "-o", "out").exit_code == 0
    assert (folder / "out" / "plate.stp").is_file()


def test_a_file_that_is_there_is_overwritten_only_with_yes(stamp: Stamp, folder: Path) -> None:
    (folder / "out.stp").write_bytes(b"precious")
    refused = stamp("plate.stp", "PN-1001", "-o", "out.stp")
    assert (refused.exit_code, (folder / "out.stp").read_bytes()) == (2, b"precious")
    assert "out.stp is there already" in refused.stderr
    assert stamp("plate.stp", "PN-1001", "-o", "out.stp", "--yes").exit_code == 0
    assert stamp("out.stp", "PN-1001", "-o", "out.stp", "--yes").stderr == (
        "out.stp: unchanged, nothing was written.\n"
    )


@pytest.mark.parametrize(
    "where",
    [["--in-place"], ["-o", "plate.stp", "--yes"], ["-o", "other.stp", "--yes"], ["-o", "link.stp", "--yes"]],
)
def test_a_write_protected_file_is_left_as_it_is(stamp: Stamp, folder: Path, where: list[str]) -> None:
    (folder / "other.stp").write_bytes(b"checked in")
    (folder / "link.stp").symlink_to("other.stp")
    before = {name: (folder / name).read_bytes() for name in ("plate.stp", "other.stp")}
    for name in before:
        (folder / name).chmod(0o444)
    error = stamp("plate.stp", "PN-1001", *where).exception
    assert isinstance(error, DotpeenError)
    assert (error.exit_code, "is write-protected: it was left as it is" in error.message) == (2, True)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert names(folder) == ["link.stp", "other.stp", "plate.stp"]


def test_a_write_protected_file_that_has_the_uuid_is_unchanged(stamp: Stamp, folder: Path) -> None:
    assert stamp("plate.stp", "PN-1001", "--in-place").exit_code == 0
    (folder / "plate.stp").chmod(0o444)
    assert (
        stamp("plate.stp", "PN-1001", "--in-place").stderr == "plate.stp: unchanged, nothing was written.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plate.stp", "PN-1001"], 2, "name a file with -o, or give --in-place"),
        (["plate.stp", "PN-1001", "-o", "x.stp", "--in-place"], 2, "two different things"),
        (["plate.stp", "PN-1001", "-o", "x.stp", "--anchor", "--uuid-attribute"], 2, "two different things"),
        (["plate.stp", "PN-9", "-o", "x.stp"], 1, "no Part 'PN-9'"),
        (["plate.stp", "PN-9=#10", "-o", "x.stp"], 1, "no Part 'PN-9'"),
        (
            ["plate.stp", "PN-1002", "-o", "x.stp"],
            1,
            "no product has the id 'PN-1002'; the file has PRODUCT #10",
        ),
        (["plate.stp", "PN-1002=NUT", "-o", "x.stp"], 1, "no product has the id 'NUT'"),
        (["plate.stp", "PN-1001", "PN-1001", "-o", "x.stp"], 2, "Part PN-1001 is named twice (name it once)"),
        (
            ["plate.stp", "PN-1001", "PN-1001=BOLT", "-o", "x.stp"],
            2,
            "Part PN-1001 is named twice, as PN-1001 and as PN-1001=BOLT",
        ),
        (["plate.stp", "PN-1002=PN-1001", "PN-1001", "-o", "x.stp"], 1, "which PN-1002 has already"),
        (["PN-1001", "plate.stp", "-o", "x.stp"], 2, "there is no file PN-1001 (FILE comes first"),
        (["registry.toml", "plate.stp", "-o", "x.stp"], 1, "no Part 'plate.stp' (FILE comes first"),
        (["plate.stp", "PN-1001", "-o", "-"], 2, "not written to standard output (name a file with -o)"),
        (["missing.stp", "PN-1001", "-o", "x.stp"], 2, "missing.stp"),
        (["registry.toml", "PN-1001", "-o", "x.stp"], 2, "no STEP file"),
        (["plate.stp", "PN-1001", "-o", "no/x.stp"], 2, "no/x.stp can't be written: there is no folder no"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    stamp: Stamp, folder: Path, arguments: list[str], code: int, message: str
) -> None:
    refused = stamp(*arguments)
    error = refused.exception
    assert isinstance(error, DotpeenError)
    assert message in f"{error.message} ({error.hint})"
    assert error.exit_code == code
    assert names(folder) == ["plate.stp"]


@pytest.mark.slow
def test_a_killed_stamp_leaves_the_older_file_or_the_new_one(
    run_dotpeen: Dotpeen, plant: Plant, tmp_path: Path
) -> None:
    (tmp_path / "registry.toml").write_text(registry_text(), encoding="utf-8")
    content = model(("PN-1001", None))
    points = b"".join(b"#%d=CARTESIAN_POINT('',(0.,1.,%d.));\n" % (n, n) for n in range(1000, 250_000))
    (tmp_path / "plate.stp").write_bytes(content.replace(b"ENDSEC;\nEND-", points + b"ENDSEC;\nEND-"))
    options = ("--database-url", plant.url, "step", "stamp", "plate.stp", "PN-1001", "-o", "out.stp", "--yes")
    done = run_dotpeen(*options)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    whole = (tmp_path / "out.stp").read_bytes()
    killed = 0
    for delay in range(6):
        (tmp_path / "out.stp").write_bytes(b"older")
        process = run_dotpeen.start(*options)
        while not any(tmp_path.glob(".out.stp.*.part")) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(delay / 50)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert (tmp_path / "out.stp").read_bytes() in (b"older", whole)
        for part in tmp_path.glob(".out.stp.*.part"):
            part.unlink()
    assert killed
