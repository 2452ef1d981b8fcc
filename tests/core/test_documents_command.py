"""`dotpeen export` and `dotpeen import`, with the formats of a plugin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.api.conftest import build
from core.foreign import foreign
from dotpeen.demo.run import registry_text

if TYPE_CHECKING:
    from conftest import Dotpeen, Finished, TemplateDatabase

__all__ = ["foreign"]

pytestmark = pytest.mark.slow

Command = Callable[..., "Finished"]


class Plant:
    """A migrated sample MES with the plugin `crane`, and the command line for it."""

    def __init__(self, dotpeen: Dotpeen, url: str, plugins: Path) -> None:
        self.url = url
        self.folder = dotpeen.folder
        self._dotpeen = dotpeen
        self._env = {"PYTHONPATH": str(plugins)}
        start = registry_text().index("[plugins.qif]")
        end = registry_text().index("[entities.")
        text = registry_text()[:start] + "[plugins.crane]\n" + registry_text()[end:]
        (self.folder / "registry.toml").write_text(text, encoding="utf-8")

    def __call__(self, *arguments: str | Path, **options: Any) -> Finished:
        return self._dotpeen("--database-url", self.url, *arguments, env=self._env, **options)

    def shell(self, script: str, *arguments: str) -> Finished:
        """Run a script of the shell, in which "$@" is the command line for the plant."""
        from conftest import Finished

        command = [sys.executable, "-m", "dotpeen", "--database-url", self.url, *arguments]
        env = os.environ | self._env | {"NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *command],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str | Path) -> Any:
        return self._dotpeen.start("--database-url", self.url, *arguments, env=self._env)

    def parts(self) -> dict[str, tuple[str, str]]:
        """Number to UUID and description."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                'SELECT "partNumber", "persistentUuid"::text, "description" FROM "Part" ORDER BY 1 LIMIT 3'
            ).fetchall()
        return {number: (uuid, description) for number, uuid, description in rows}


@pytest.fixture
def plant(run_dotpeen: Dotpeen, template_database: TemplateDatabase, foreign: Path) -> Plant:
    return Plant(run_dotpeen, template_database("api", build), foreign)


def test_export_writes_the_documents_file(plant: Plant) -> None:
    number, (uuid, description) = next(iter(plant.parts().items()))
    content = f"{number}\n{description}\ninternal\n"
    piped = plant("export", "Part", number, "--format", "card")
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, content, "")
    for identifier in (uuid, f"urn:uuid:{uuid.upper()}"):
        assert plant("export", "Part", identifier, "-f", "card", "-o", "-").stdout == content
    done = plant("export", "Part", number, "-f", "card", "-o", ".", "--option", "name=a/b:\u202e\n.txt")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Wrote a_b_.txt ({len(content)} bytes, card)\n"
    assert (plant.folder / "a_b_.txt").read_text(encoding="utf-8") == content
    again = plant("export", "Part", number, "-f", "card", "-o", "a_b_.txt")
    assert (again.returncode, "pass --yes" in again.stderr) == (2, True)
    assert plant("export", "Part", number, "-f", "card", "-o", "a_b_.txt", "--yes").returncode == 0
    only = plant("export", "MaterialLot", "--option", "megabytes=1", _lot(plant))
    assert (only.returncode, len(only.stdout)) == (0, 1 << 20), "the only format needs no name"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("Part", "@"), 2, "Part can be exported in several formats"),
        (("Part", "@", "-f", "qif"), 2, "Part can't be exported as 'qif'"),
        (("WorkOrder", "@"), 2, "there is no format to export WorkOrder in"),
        (("Wheel", "@"), 2, "Wheel"),
        (("Part", "nothing", "-f", "card"), 1, "no Part 'nothing'"),
        (("Part", "@", "-f", "card", "--option", "colour=red"), 2, "the format has no option 'colour'"),
        (("Part", "@", "-f", "card", "--option", "size"), 2, "--option 'size' is no NAME=VALUE"),
        (("Part", "@", "-f", "card", "--option", "size=-1"), 2, "size: is not negative"),
        (("Part", "@", "-f", "card", "--option", "size=none"), 1, "this part has no card"),
        (("Part", "@", "-f", "rubbish"), 1, "plugin crane: format rubbish gave no ExportDocument"),
        (("Part", "@", "-f", "broken"), 1, "plugin crane: format broken failed: KeyError"),
        (("Part", "@", "-f", "card", "-o", "no/such/folder"), 2, "no/such/folder can't be written"),
    ],
)
def test_a_refused_export_says_why_and_leaves_nothing(
    plant: Plant, arguments: tuple[str, ...], code: int, message: str
) -> None:
    number = next(iter(plant.parts()))
    given = [number if argument == "@" else argument for argument in arguments]
    output = () if "-o" in given else ("-o", "target")
    before = sorted(plant.folder.iterdir())
    done = plant("export", *given, *output)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(plant.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ('ulimit -f 8; "$@" > full', 2, "Error: standard output can't be written: File too large\n"),
        ('"$@" >&-', 2, "Error: standard output is closed\n  → name a file: -o FILE\n"),
        ('("$@"; echo $? > code) | head -c 5 > /dev/null; exit $(cat code)', 1, ""),
    ],
)
def test_standard_output_that_takes_no_more_is_named(
    plant: Plant, script: str, code: int, message: str
) -> None:
    number = next(iter(plant.parts()))
    done = plant.shell(script, "export", "Part", number, "-f", "large", "-o", "-")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", message)


def test_a_pipe_in_the_place_of_a_file_is_written_to(plant: Plant) -> None:
    number, (_, description) = next(iter(plant.parts().items()))
    done = plant.shell(
        'mkfifo pipe; cat pipe & "$@"; wait', "export", "Part", number, "-f", "card", "-o", "pipe"
    )
    assert (done.returncode, done.stdout) == (0, f"{number}\n{description}\ninternal\n")
    assert (plant.folder / "pipe").is_fifo()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_export_that_is_ended_leaves_no_file_that_looks_whole(
    plant: Plant, number: signal.Signals
) -> None:
    target = plant.folder / "endless.txt"
    target.write_text("before", encoding="utf-8")
    part = plant.folder / "endless.txt.part"
    running = plant.start("export", "Part", next(iter(plant.parts())), "-f", "endless", "-o", target, "--yes")
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 1_000_000):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    running.wait(30)
    assert target.read_text(encoding="utf-8") == "before"
    assert part.exists() == (number is signal.SIGKILL)
    assert (
        plant("export", "Part", next(iter(plant.parts())), "-f", "card", "-o", target, "--yes").returncode
        == 0
    )
    assert target.read_bytes() != b"before"
    assert not (number is signal.SIGTERM and part.exists())


def test_an_import_reports_and_writes_all_or_nothing(plant: Plant) -> None:
    (first, (_, before)), (second, _), _ = plant.parts().items()
    good, bad = plant.folder / "good.card", plant.folder / "bad.card"
    good.write_text(f"{first}=heavy\n{second}=light\n", encoding="utf-8")
    bad.write_text(f"{first}=heavier\nPN-0=lost\n", encoding="utf-8")

    dry = plant("import", good, "--dry-run", "--json")
    assert dry.returncode == 0
    assert dry.json == {
        "format": "card",
        "files": [str(good)],
        "dryRun": True,
        "partial": False,
        "committed": False,
        "clean": True,
        "counts": {"Part": {"created": 0, "updated": 2, "unchanged": 0, "conflicting": 0, "unmatched": 0}},
        "changes": [],
        "items": [],
    }
    assert dry.stderr == "Dry run: nothing was written.\n"
    assert plant.parts()[first][1] == before

    unasked = plant("import", good)
    assert (unasked.returncode, "pass --yes" in unasked.stderr) == (2, True)
    assert plant.parts()[first][1] == before

    wrong = plant("import", good, bad, "--yes")
    assert (wrong.returncode, plant.parts()[first][1]) == (1, before)
    assert "bad.card:2: unmatched Part PN-0: no such part" in wrong.stdout
    assert wrong.stderr == "Nothing was written. Correct the files, or import the rest with --partial.\n"

    rest = plant("import", bad, "--yes", "--partial", "--json")
    assert (rest.returncode, rest.json["committed"], plant.parts()[first][1]) == (1, True, "heavier")
    assert rest.json["items"] == [
        {
            "outcome": "unmatched",
            "entity": "Part",
            "identifier": "PN-0",
            "where": "bad.card:2",
            "message": "no such part",
        }
    ]

    done = plant("import", good, "--yes")
    assert (done.returncode, done.stderr, plant.parts()[first][1]) == (0, "Imported.\n", "heavy")
    assert "Updated" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none.card",), 2, "none.card can't be read: there is no such file"),
        (("good.xml",), 2, "no one format has files like .xml"),
        (("good.card", "--format", "qif"), 2, "there is no format 'qif' to import from"),
        (("good.card", "--option", "colour=red"), 2, "the format has no option 'colour'"),
        (("crash.card",), 1, "plugin crane: format card failed: ValueError: no such thing"),
    ],
)
def test_a_refused_import_says_why(plant: Plant, arguments: tuple[str, ...], code: int, message: str) -> None:
    number, (_, before) = next(iter(plant.parts().items()))
    for name, content in (("good.card", ""), ("good.xml", ""), ("crash.card", f"{number}=x\ncrash=1\n")):
        (plant.folder / name).write_text(content, encoding="utf-8")
    done = plant("import", *arguments, "--yes")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert plant.parts()[number][1] == before


def _lot(plant: Plant) -> str:
    with psycopg.connect(plant.url) as connection:
        row = connection.execute('SELECT "persistentUuid"::text FROM "MaterialLot" LIMIT 1').fetchone()
    assert row is not None
    return str(row[0])
