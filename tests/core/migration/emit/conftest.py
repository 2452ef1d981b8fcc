"""A plant of every kind of table the exports have to deal with; two plugins refer to its parts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dotpeen.database import embedded

PLANT = """
CREATE TABLE "Part" (id text PRIMARY KEY, "partNumber" text NOT NULL UNIQUE, description text);
INSERT INTO "Part" SELECT 'c' || i, 'P-' || i, 'bracket' FROM generate_series(1, 4000) AS i;
CREATE TABLE "Odd ""Name" (a int, "B b" timestamptz, note text, PRIMARY KEY ("B b", a));
INSERT INTO "Odd ""Name" SELECT i, '2024-01-01'::timestamptz + i * interval '1 hour', 'n'
    FROM generate_series(1, 2500) AS i;
CREATE SCHEMA stock;
CREATE TABLE stock.lot (
    id bigserial PRIMARY KEY, lot_number text NOT NULL, version int NOT NULL, UNIQUE (lot_number, version));
INSERT INTO stock.lot (lot_number, version) SELECT 'L:' || i, i % 3 FROM generate_series(1, 300) AS i;
CREATE TABLE seven (id int PRIMARY KEY, x text);
INSERT INTO seven SELECT i, 'x' FROM generate_series(1, 700) AS i;
CREATE TABLE vendor (id int PRIMARY KEY, x text);
INSERT INTO vendor SELECT i, 'x' FROM generate_series(1, 900) AS i;
CREATE TABLE result (id int, at date NOT NULL, v float8, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE result_2024 PARTITION OF result FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE result_2025 PARTITION OF result FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO result SELECT i, '2024-01-01'::date + i % 700, i FROM generate_series(1, 1500) AS i;
CREATE TABLE half (id int PRIMARY KEY, guid uuid);
INSERT INTO half SELECT i, CASE WHEN i % 2 = 0 THEN gen_random_uuid() END FROM generate_series(1, 400) AS i;
CREATE TABLE empty (id int PRIMARY KEY);
"""
REGISTRY = """
[site]
namespace = "6f7a3cf0-7a0e-4f6c-8f7e-7c1f5c1d0b1a"
[plugins.erp]
[plugins.step]
[entities.Part]
business_id = "partNumber"
[entities.OddName]
table = '"Odd ""Name"'
primary_key = ["a", "B b"]
uuid = { column = "the Uuid", type = "text" }
[entities.Lot]
table = "stock.lot"
business_id = ["lot_number", "version"]
uuid = { column = "persistent_uuid", version = 5 }
[entities.Seven]
table = "seven"
uuid = { column = "persistent_uuid", version = 7 }
[entities.Vendor]
table = "vendor"
uuid = { storage = "sidecar" }
[entities.Result]
table = "result"
primary_key = ["id", "at"]
[entities.Half]
table = "half"
uuid = { column = "guid" }
[entities.Empty]
table = "empty"
"""
EVERY_UUID = """
SELECT * FROM (
    SELECT 'Part' AS entity, id AS key, "persistentUuid"::text AS uuid FROM "Part"
    UNION ALL SELECT 'OddName', a::text, "the Uuid" FROM "Odd ""Name"
    UNION ALL SELECT 'Lot', id::text, persistent_uuid::text FROM stock.lot
    UNION ALL SELECT 'Seven', id::text, persistent_uuid::text FROM seven
    UNION ALL SELECT 'Result', id::text, "persistentUuid"::text FROM result
    UNION ALL SELECT 'Half', id::text, guid::text FROM half
    UNION ALL SELECT 'Vendor', key, uuid::text FROM dotpeen.identity) AS every
ORDER BY 1, 2
"""

Export = Callable[..., list[Path]]


@pytest.fixture
def plant(template_database: Any) -> str:
    """A database of nine tables, none migrated; one has a column half filled."""

    def build(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(PLANT)

    return str(template_database("emit_plant", build))


@pytest.fixture
def registry_file(tmp_path: Path) -> Path:
    """The registry of the plant."""
    file = tmp_path / "registry.toml"
    file.write_text(REGISTRY, encoding="utf-8")
    return file


@pytest.fixture
def export(run_dotpeen: Any, plant: str, registry_file: Path) -> Export:
    """`export("sql", ...)` runs the command and returns the files it wrote."""

    def run(format_name: str, *options: str | Path) -> list[Path]:
        done = run_dotpeen(
            "-r",
            registry_file,
            "--database-url",
            plant,
            "migrate",
            "export",
            "-f",
            format_name,
            "--json",
            *options,
        )
        assert done.returncode == 0, done.stderr
        return [run_dotpeen.folder / file for file in done.json["files"]]

    return run


@pytest.fixture
def psql(plant: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`psql(file)` runs a script as its header says."""

    def run(file: Path, *, expected: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [embedded.program("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", file, plant],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expected, done.stderr[-2000:]
        return done

    return run


@pytest.fixture
def uuids(plant: str) -> Callable[[], list[tuple[Any, ...]]]:
    """`uuids()` is every record of the plant with its UUID."""

    def read() -> list[tuple[Any, ...]]:
        with psycopg.connect(plant) as connection:
            return connection.execute(EVERY_UUID).fetchall()

    return read


@pytest.fixture
def verified(run_dotpeen: Any, plant: str, registry_file: Path) -> Callable[[], bool]:
    """`verified()`: `dotpeen migrate verify` passes."""

    def check() -> bool:
        done = run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "verify", "--json")
        failed = [one for one in done.json["checks"] if one["outcome"] == "failed"]
        assert failed == []
        return bool(done.json["passed"])

    return check
