"""Exported scripts and the values of external references: kept by the undo, given back by the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.slow

HEAD = "[plugins.erp]\n[plugins.step]\n[entities.Part]\ntable = 'part'\n"
TABLES = {
    "plain": "CREATE TABLE part (id int PRIMARY KEY, number text)",
    "adopted": 'CREATE TABLE part (id int PRIMARY KEY, number text, "erpPartId" text)',
    "partitioned": """
        CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (MINVALUE) TO (100);
        CREATE TABLE part_2 PARTITION OF part DEFAULT""",
    "sidecar": "CREATE TABLE part (id int PRIMARY KEY, number text)",
}
REFERENCE = """
SELECT id, "erpPartId" FROM part WHERE "erpPartId" IS NOT NULL ORDER BY id
"""
BESIDE = "SELECT key::int, value FROM dotpeen.external_value ORDER BY 1"


@pytest.fixture(params=list(TABLES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plant(database: str, kind: str) -> str:
    """A database of 300 parts in one table, of each kind."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLES[kind].encode())
        connection.execute(
            "INSERT INTO part (id, number) SELECT n, 'P' || n FROM generate_series(1, 300) AS n"
        )
    return database


@pytest.fixture
def registry_file(tmp_path: Path, kind: str) -> Path:
    file = tmp_path / "registry.toml"
    file.write_text(HEAD + ("uuid = { storage = 'sidecar' }\n" if kind == "sidecar" else ""))
    return file


def test_values_outlive_the_undo(
    export: Any, psql: Any, verified: Any, plant: str, kind: str, run_dotpeen: Any, registry_file: Path
) -> None:
    up, undo = export("sql", "-o", "out")
    psql(up)
    assert verified()
    with psycopg.connect(plant, autocommit=True) as connection:
        if kind == "sidecar":
            connection.execute(
                "INSERT INTO dotpeen.external_value (entity, name, key, value)"
                " SELECT 'Part', 'erpPartId', n::text, 'E' || n FROM generate_series(1, 9) AS n"
            )
        else:
            connection.execute("UPDATE part SET \"erpPartId\" = 'E' || id WHERE id % 30 = 0")
        query = (BESIDE if kind == "sidecar" else REFERENCE).encode()
        before = connection.execute(query).fetchall()
        assert len(before) in (9, 10)
        psql(undo)
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'part'::regclass AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
        assert [name for (name,) in columns] == [
            "id",
            "number",
            *(["erpPartId"] if kind == "adopted" else []),
        ]
        psql(undo)
        psql(up)
        assert connection.execute(query).fetchall() == before
        # The engine takes the same away, and gives it back.
        options = ("-r", registry_file, "--database-url", plant, "migrate")
        assert run_dotpeen(*options, "down", "--yes").returncode == 0
        assert run_dotpeen(*options, "up").returncode == 0
        assert connection.execute(query).fetchall() == before
        assert all(step["done"] for step in run_dotpeen(*options, "plan", "--json").json["steps"])
