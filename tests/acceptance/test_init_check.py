"""`dotpeen init` and `dotpeen check`, as a user runs them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dotpeen.registry import load_registry, parse_registry

PLANT = """
CREATE TABLE "Part" (id text PRIMARY KEY, "partNumber" text NOT NULL UNIQUE, description text);
CREATE TABLE stock_lot (id bigserial PRIMARY KEY, number text NOT NULL, part text NOT NULL REFERENCES "Part");
CREATE TABLE "odd.name" (a int, b text, note text, guid uuid, PRIMARY KEY (a, b));
CREATE TABLE log (at timestamptz, what text);
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
CREATE SCHEMA quality;
CREATE TABLE quality.part (id int PRIMARY KEY);
"""


@pytest.fixture
def plant(database: str) -> str:
    """A database of a few tables of every sort."""
    with psycopg.connect(database) as connection:
        connection.execute(PLANT)
    return database


def test_init_prints_a_registry_that_parses(run_dotpeen: Any, plant: str) -> None:
    done = run_dotpeen("init", "--database-url", plant)
    assert (done.returncode, done.stderr) == (0, "")
    found = parse_registry(done.stdout).entities
    assert {name: str(entity.table) for name, entity in found.items()} == {
        "OddName": '"odd.name"',
        "Part": "Part",
        "StockLot": "stock_lot",
        "QualityPart": "quality.part",
    }
    assert found["Part"].uuid.column == "persistentUuid"
    assert found["StockLot"].uuid.column == "persistent_uuid"
    assert found["OddName"].uuid.column == "guid"
    assert "#   log" in done.stdout
    assert "# [entities.AlembicVersion]" in done.stdout


def test_what_init_writes_passes_check(run_dotpeen: Any, plant: str) -> None:
    written = run_dotpeen("--database-url", plant, "init", "-o", "plant.toml")
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr.splitlines()[0] == (
        "Wrote plant.toml. Entities proposed: 4; written as comments: 1; tables left out: 1."
    )
    assert "dotpeen -r plant.toml check" in written.stderr
    checked = run_dotpeen("-r", "plant.toml", "--database-url", plant, "check", "--json")
    assert (checked.returncode, checked.json["ok"]) == (0, True)
    assert [one for one in checked.json["findings"] if one["level"] != "note"] == []


def test_init_never_overwrites_unasked(run_dotpeen: Any, plant: str) -> None:
    file = run_dotpeen.folder / "registry.toml"
    file.write_text("mine", encoding="utf-8")
    refused = run_dotpeen("init", "--database-url", plant, "-o", file)
    assert (refused.returncode, file.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force" in refused.stderr
    file.chmod(0o640)
    assert run_dotpeen("init", "--database-url", plant, "-o", file, "--force").returncode == 0
    assert set(load_registry(file).entities) == {"OddName", "Part", "StockLot", "QualityPart"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [left.name for left in run_dotpeen.folder.iterdir()] == ["registry.toml"]
    pipe = run_dotpeen.folder / "pipe"
    os.mkfifo(pipe)
    refused = run_dotpeen("init", "--database-url", plant, "-o", pipe, "--force")
    assert (refused.returncode, "pipe is no regular file" in refused.stderr, pipe.is_fifo()) == (
        2,
        True,
        True,
    )


def test_init_of_chosen_schemas_as_json(run_dotpeen: Any, plant: str) -> None:
    done = run_dotpeen("init", "--database-url", plant, "--schema", "quality", "--json")
    assert done.returncode == 0
    assert list(parse_registry(done.json.pop("toml")).entities) == ["Part"]
    assert done.json["entities"] == [
        {
            "name": "Part",
            "table": "quality.part",
            "primaryKey": ["id"],
            "businessId": [],
            "uuid": {
                "column": "persistent_uuid",
                "type": "uuid",
                "version": 4,
                "storage": "column",
                "exists": False,
            },
        }
    ]


def test_init_needs_no_registry_and_ignores_a_broken_one(run_dotpeen: Any, plant: str) -> None:
    (run_dotpeen.folder / "registry.toml").write_text("= broken", encoding="utf-8")
    done = run_dotpeen("init", env={"DOTPEEN_DATABASE_URL": plant})
    assert done.returncode == 0
    assert "[entities.Part]" in done.stdout


def test_init_says_what_is_wrong(run_dotpeen: Any, plant: str, database: str) -> None:
    schema = run_dotpeen("init", "--database-url", plant, "--schema", "nowhere")
    assert (schema.returncode, "schemas with tables: public, quality" in schema.stderr) == (2, True)
    folder = run_dotpeen("init", "--database-url", plant, "-o", Path("no") / "such.toml")
    assert (folder.returncode, "no: no such folder" in folder.stderr) == (2, True)
    unreachable = run_dotpeen("init", "--database-url", "postgresql://nobody@127.0.0.1:1/nothing")
    assert unreachable.returncode == 2
    with psycopg.connect(database) as connection:
        connection.execute(
            'DROP SCHEMA quality CASCADE; DROP TABLE "Part", stock_lot, "odd.name", log, alembic_version'
        )
    empty = run_dotpeen("init", "--database-url", database)
    assert (empty.returncode, "has no tables" in empty.stderr) == (1, True)


def test_init_without_url_reads_the_embedded_server(run_dotpeen: Any) -> None:
    done = run_dotpeen("init")
    assert done.returncode == 1
    assert "has no tables" in done.stderr
    assert "dotpeen demo" in done.stderr


def test_init_as_a_role_that_owns_nothing_proposes_sidecars(run_dotpeen: Any, plant: str) -> None:
    with psycopg.connect(plant, autocommit=True) as connection:
        connection.execute("CREATE ROLE init_reader LOGIN")
    try:
        reader = plant.replace("postgres:@", "postgres@").replace("//postgres@", "//init_reader@")
        done = run_dotpeen("init", "--database-url", reader)
        assert done.returncode == 0, done.stderr
        assert {entity.uuid.storage for entity in parse_registry(done.stdout).entities.values()} == {
            "sidecar"
        }
    finally:
        with psycopg.connect(plant, autocommit=True) as connection:
            connection.execute("DROP ROLE init_reader")


def check(run_dotpeen: Any, plant: str, registry: str, *options: str) -> Any:
    (run_dotpeen.folder / "registry.toml").write_text(registry, encoding="utf-8")
    return run_dotpeen("--database-url", plant, "check", *options)


def test_check_names_file_key_and_remedy(run_dotpeen: Any, plant: str) -> None:
    done = check(
        run_dotpeen, plant, '[entities.Part]\nbusiness_id = "partnumber"\n[entities.Lot]\nphase = 2\n'
    )
    assert done.returncode == 1
    assert "registry.toml: entities.Part.business_id" in done.stdout
    assert "did you mean 'partNumber'?" in done.stdout
    assert "registry.toml: entities.Lot.table" in done.stdout
    assert "2 errors" in done.stderr


def test_check_of_a_phase_or_an_entity(run_dotpeen: Any, plant: str) -> None:
    registry = "[entities.Part]\n[entities.Lot]\nphase = 2\n"
    assert check(run_dotpeen, plant, registry, "--phase", "1").returncode == 0
    assert check(run_dotpeen, plant, registry, "--entity", "Part").returncode == 0
    assert check(run_dotpeen, plant, registry, "--entity", "Lot").returncode == 1
    assert check(run_dotpeen, plant, registry, "--entity", "Nothing").returncode == 2


def test_check_passes_with_warnings(run_dotpeen: Any, plant: str) -> None:
    done = check(run_dotpeen, plant, '[entities.Lot]\ntable = "stock_lot"\nbusiness_id = "number"\n')
    assert done.returncode == 0
    assert "number is not unique in the database" in done.stdout
    assert "the business identifier is free text" in done.stdout
    assert "nothing wrong, 2 to know of" in done.stdout


def test_check_json(run_dotpeen: Any, plant: str) -> None:
    done = check(run_dotpeen, plant, '[entities.Part]\nexpose = ["descriptio"]\n', "--json")
    assert done.returncode == 1
    assert done.json["findings"] == [
        {
            "level": "error",
            "entity": "Part",
            "key": "entities.Part.expose",
            "message": "Part has no column 'descriptio'",
            "hint": "did you mean 'description'?",
        }
    ]


def test_check_of_a_wrong_registry(run_dotpeen: Any, plant: str) -> None:
    done = check(run_dotpeen, plant, "[entities.Part]\nfase = 1\n")
    assert (done.returncode, "did you mean 'phase'?" in done.stderr) == (2, True)
    assert run_dotpeen("-r", "nowhere.toml", "check").returncode == 2
