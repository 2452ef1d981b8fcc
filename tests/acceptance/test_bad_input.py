"""Bad input as a user would meet it: a clear message, the right exit code, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from acceptance.plant import fingerprint

PLANT = """
CREATE TABLE "Part" (id int PRIMARY KEY, number text NOT NULL, "persistentUuid" uuid);
CREATE TABLE "Lot" (id int PRIMARY KEY, "uuid" text, "legacyUuid" int);
CREATE TABLE "Log" (at timestamptz NOT NULL, line text);
CREATE TABLE "Order" (id int PRIMARY KEY, "persistentUuid" uuid DEFAULT '00000000-0000-4000-8000-000000000000');
INSERT INTO "Part" VALUES (1, 'A-1', '11111111-1111-4111-8111-111111111111'),
                          (2, 'A-2', '11111111-1111-4111-8111-111111111111');
INSERT INTO "Lot" VALUES (7, 'not-a-uuid', 1);
INSERT INTO "Order" VALUES (1);
"""


@dataclass(frozen=True)
class Bad:
    """What is wrong, how the command ends, and words that the message must hold."""

    registry: str
    code: int
    words: tuple[str, ...]


CASES = {
    "unknown table": Bad('[entities.Part]\ntable = "Parts"', 1, ("Parts", "Part")),
    "unknown key column": Bad('[entities.Part]\nprimary_key = "partId"', 1, ("partId", "Part")),
    "unknown business identifier": Bad('[entities.Part]\nbusiness_id = "nmber"', 1, ("nmber", "number")),
    "no primary key": Bad('[entities.Log]\nprimary_key = "at"', 1, ("Log", "unique")),
    "wrong type": Bad('[entities.Lot]\nuuid = { column = "legacyUuid" }', 1, ("legacyUuid", "integer")),
    "duplicate UUIDs": Bad("[entities.Part]", 1, ("11111111-1111-4111-8111-111111111111", "1, 2")),
    "malformed UUID": Bad(
        '[entities.Lot]\nuuid = { column = "uuid", type = "text" }', 1, ("not-a-uuid", "row with id 7")
    ),
    "TOML syntax error": Bad('[entities.Part\ntable = "Part"', 2, ("registry.toml:1",)),
    "unknown setting": Bad(
        "[migration]\nlock_timout = 1\n[entities.Part]", 2, ("registry.toml:2", "lock_timout")
    ),
    "two entities on one table": Bad(
        '[entities.Part]\n[entities.Piece]\ntable = "Part"', 2, ("Part", "Piece")
    ),
    "unknown entity": Bad("[entities.Part]", 2, ("no entity 'Prat'", "Part")),
}


@pytest.fixture
def plant(template_database: Any) -> str:
    def build(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(PLANT)

    return str(template_database("bad_input", build))


@pytest.fixture
def unchanged(plant: str) -> Iterator[None]:
    """Everything in the database is afterwards as it was."""

    def content() -> tuple[object, ...]:
        with psycopg.connect(plant) as connection:
            rows = [
                connection.execute(f'SELECT to_jsonb(t) FROM "{table}" AS t ORDER BY 1').fetchall()
                for table in ("Part", "Lot", "Log", "Order")
            ]
            schema = connection.execute("SELECT to_regnamespace('dotpeen')::text").fetchone()
            return fingerprint(connection), rows, schema

    before = content()
    yield
    assert content() == before


@pytest.fixture
def refused(run_dotpeen: Any) -> Callable[..., str]:
    """`refused(registry, url, *arguments, code=…)` runs a command that must fail, and returns what it said."""

    def run(registry: str, url: str, *arguments: str, code: int) -> str:
        (run_dotpeen.folder / "registry.toml").write_text(registry, encoding="utf-8")
        done = run_dotpeen("--database-url", url, *arguments)
        said = str(done.stdout + done.stderr)
        assert done.returncode == code, said
        assert "Traceback" not in said
        assert "unexpected" not in said
        return said

    return run


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.usefixtures("unchanged")
def test_migrate_refuses(case: Bad, plant: str, refused: Callable[..., str]) -> None:
    entity = ("--entity", "Prat") if "no entity 'Prat'" in case.words else ()
    said = refused(case.registry, plant, "migrate", "up", *entity, code=case.code)
    missing = [word for word in case.words if word not in said]
    assert missing == [], said


@pytest.mark.usefixtures("unchanged")
def test_a_role_without_privileges(plant: str, refused: Callable[..., str]) -> None:
    role = f"guest_{uuid4().hex[:12]}"
    parts = urlsplit(plant)
    with psycopg.connect(plant, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{role}" LOGIN')
        connection.execute(f'GRANT SELECT ON "Lot" TO "{role}"')
    try:
        guest = parts._replace(netloc=f"{role}@").geturl()
        said = refused("[entities.Lot]", guest, "migrate", "up", code=1)
        assert role in said
        assert "GRANT" in said or "owner" in said
    finally:
        with psycopg.connect(plant, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "{role}"')
            connection.execute(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("command", [("migrate", "up"), ("migrate", "status"), ("check",)], ids=" ".join)
def test_unreachable_database(command: tuple[str, ...], refused: Callable[..., str]) -> None:
    said = refused("[entities.Part]", "postgresql://nobody:secret@127.0.0.1:1/plant", *command, code=2)
    assert "can't connect to database plant on 127.0.0.1:1" in said
    assert "secret" not in said


def test_a_url_that_is_none(refused: Callable[..., str]) -> None:
    said = refused("[entities.Part]", "postgresql//plant", "migrate", "up", code=2)
    assert "postgresql://user@host:5432/database" in said


@pytest.mark.usefixtures("unchanged")
def test_nothing_to_verify_or_roll_back(plant: str, refused: Callable[..., str]) -> None:
    for command in (("verify",), ("down", "--yes"), ("pause",), ("stop",)):
        said = refused("[entities.Part]", plant, "migrate", *command, code=1)
        assert "nothing was migrated in this database yet" in said


def test_no_registry(run_dotpeen: Any, plant: str) -> None:
    done = run_dotpeen("--database-url", plant, "migrate", "up")
    assert done.returncode == 2
    assert "registry.toml" in done.stderr
    assert "dotpeen init" in done.stderr


STEP_FILE = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('','',(''),(''),'','','');
FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));
ENDSEC;
DATA;
#1=PRODUCT('PN-1','','',());
ENDSEC;
END-ISO-10303-21;
"""


@pytest.fixture
def step_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a registry that has a plugin with commands on, and a file for them."""
    (tmp_path / "registry.toml").write_text("[plugins.step]\n", encoding="utf-8")
    (tmp_path / "part.stp").write_text(STEP_FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("step_site")
@pytest.mark.parametrize(
    "arguments",
    [
        ["plugins"],
        ["plugins", "--json"],
        ["step", "inspect", "part.stp"],
        ["step", "inspect", "part.stp", "--json"],
    ],
)
def test_a_reader_that_has_enough_ends_a_command_as_the_signal_would(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", "from dotpeen.cli import main; main()", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device without room")
@pytest.mark.usefixtures("step_site")
@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["plugin", "--help"], ["plugins", "--json"]),
        *(["step", "inspect", "part.stp"], ["step", "inspect", "part.stp", "--json"]),
    ],
)
def test_a_full_disk_behind_standard_output_is_named(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from dotpeen.cli import main; main()", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "Error: the output can't be written: No space left on device\n",
    )
