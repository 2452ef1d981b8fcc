"""The Prisma migration: held against the migrated database, and read by Prisma's own parser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dotpeen.database import connect, read_catalog
from dotpeen.demo import sample

PARSER = "@prisma/prisma-schema-wasm@8.1.0-2.59be4fda12412a79eeb9c2ae727b6aa723593323"
READ = """
const prisma = require('@prisma/prisma-schema-wasm')
const schema = require('fs').readFileSync(0, 'utf8')
const parameters = JSON.stringify({ prismaSchema: [['schema.prisma', schema]], noColor: true })
prisma.validate(parameters)
const { models } = JSON.parse(prisma.get_dmmf(parameters)).datamodel
console.log(JSON.stringify(models))
"""
DATASOURCE = 'datasource db {\n  provider = "postgresql"\n}\n\n'
SCHEMAS = DATASOURCE.replace("\n}", '\n  schemas  = ["public", "stock"]\n}')
OWN_SCHEMA = (
    DATASOURCE
    + """\
// The plant's records.
model Part {
  id          String   @id @default(cuid())
  partNumber  String   @unique
  description String?  // "free text" // with a } brace
  status      String   @default("ACTIVE")
  createdAt   DateTime @default(now())
  updatedAt   DateTime @updatedAt
  serials     SerializedPart[]
}

/* model WorkOrder {
} */
model SerializedPart {
\tid           String @id
\tserialNumber String @unique
\tpartId       String
\tpart         Part   @relation(fields: [partId], references: [id])
}
"""
)


@pytest.fixture
def mes(template_database: Any) -> str:
    """The sample MES, with rows, not migrated."""

    def build(url: str) -> None:
        with psycopg.connect(url) as connection:
            sample.create_schema(connection)
            sample.fill(connection, 600)

    return str(template_database("emit_mes", build))


@pytest.fixture
def export_prisma(run_dotpeen: Any, repository: Path) -> Callable[..., list[Path]]:
    """`export_prisma(url, ...)` exports the default site's phase 1 and returns the files."""

    def run(url: str, *options: str | Path, registry: Path | None = None) -> list[Path]:
        arguments = (
            "-r",
            registry or repository / "registry.toml",
            "--database-url",
            url,
            "migrate",
            "export",
        )
        stamp = ("--timestamp", "20251107000000", "--json")
        done = run_dotpeen(*arguments, "-f", "prisma", *stamp, *options)
        assert done.returncode == 0, done.stderr
        return [run_dotpeen.folder / file for file in done.json["files"]]

    return run


@pytest.fixture(scope="session")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """`parser(schema)` is what Prisma's published parser makes of a schema; fails where it finds a mistake."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no node and npm on this machine: Prisma's parser can't be run")
    folder = tmp_path_factory.mktemp("prisma")
    (folder / "package.json").write_text("{}", encoding="utf-8")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", PARSER],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if installed.returncode != 0:
        pytest.skip(f"npm can't install {PARSER}: {installed.stderr.strip()[-300:]}")

    def read(schema: str) -> Any:
        done = subprocess.run(
            [node, "-e", READ], input=schema, cwd=folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return {model["dbName"] or model["name"]: model for model in json.loads(done.stdout)}

    return read


def test_migration_sql_makes_what_the_engine_makes(
    mes: str, export_prisma: Any, run_dotpeen: Any, repository: Path, database: str
) -> None:
    script, readme, _ = export_prisma(mes)
    assert script.parent.name == "20251107000000_add_uuids_phase1"
    assert "npx prisma migrate resolve --applied 20251107000000_add_uuids_phase1" in readme.read_text("utf-8")
    done = run_dotpeen("-r", repository / "registry.toml", "--database-url", mes, "migrate", "up")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(database) as connection:
        sample.create_schema(connection)
        connection.execute(script.read_bytes())
    assert _columns_and_indexes(database) == _columns_and_indexes(mes)


def test_migration_sql_makes_every_kind_of_uuid(
    plant: str, registry_file: Path, export_prisma: Any, run_dotpeen: Any, server: Any
) -> None:
    copy = server.create(psycopg.conninfo.conninfo_to_dict(plant)["dbname"])
    try:
        script, readme, _ = export_prisma(plant, registry=registry_file)
        assert "Vendor: the UUIDs are kept beside the table" in readme.read_text("utf-8")
        with psycopg.connect(copy) as connection:
            connection.execute(script.read_bytes())
            connection.execute("INSERT INTO stock.lot (lot_number, version) VALUES ('new', 1)")
        done = run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "up")
        assert done.returncode == 0, done.stderr
        assert _columns_and_indexes(copy) == _columns_and_indexes(plant)
    finally:
        server.drop(copy)


def test_the_files_are_the_same_before_and_after_the_migration(
    plant: str, registry_file: Path, export_prisma: Any, run_dotpeen: Any
) -> None:
    before = [file.read_bytes() for file in export_prisma(plant, "-o", "before", registry=registry_file)]
    assert run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "up").returncode == 0
    after = [file.read_bytes() for file in export_prisma(plant, "-o", "after", registry=registry_file)]
    assert after == before


def test_only_the_fields_are_added_to_an_own_schema(mes: str, export_prisma: Any, tmp_path: Path) -> None:
    schema = tmp_path / "own" / "schema.prisma"
    schema.parent.mkdir()
    schema.write_bytes(OWN_SCHEMA.encode())
    chosen = ("--schema-prisma", schema, "-e", "Part", "-e", "SerializedPart")
    *_, changed = export_prisma(mes, *chosen)
    assert schema.read_bytes() == OWN_SCHEMA.encode()
    added = [line for line in changed.read_text("utf-8").splitlines() if "persistentUuid" in line]
    assert added == [
        '  persistentUuid String @unique @default(dbgenerated("gen_random_uuid()")) @db.Uuid',
        '\tpersistentUuid String @unique @default(dbgenerated("gen_random_uuid()")) @db.Uuid',
    ]
    ours = ("persistentUuid", "erpPartId", "stepAp242Uuid")
    references = [
        line for line in changed.read_text("utf-8").splitlines() if line.split()[:1] in ([ours[1]], [ours[2]])
    ]
    assert references == ["  erpPartId   String?", "  stepAp242Uuid String? @db.Uuid"]
    kept = [
        line for line in changed.read_text("utf-8").splitlines() if not any(name in line for name in ours)
    ]
    assert kept == OWN_SCHEMA.splitlines()


@pytest.mark.slow
def test_prisma_reads_an_own_schema_with_the_fields(
    mes: str, export_prisma: Any, tmp_path: Path, parser: Callable[[str], Any]
) -> None:
    schema = tmp_path / "own.prisma"
    schema.write_bytes(OWN_SCHEMA.encode())
    *_, changed = export_prisma(mes, "--schema-prisma", schema, "-e", "Part", "-e", "SerializedPart")
    models = parser(changed.read_text("utf-8"))
    assert {name: _uuid_of(models[name], "persistentUuid") for name in ("Part", "SerializedPart")} == {
        name: (True, True, {"name": "dbgenerated", "args": ["gen_random_uuid()"]}, ["Uuid", []])
        for name in ("Part", "SerializedPart")
    }


@pytest.mark.slow
def test_prisma_reads_the_models_made_from_the_catalog(
    plant: str, mes: str, registry_file: Path, export_prisma: Any, parser: Callable[[str], Any], server: Any
) -> None:
    *_, phase_1 = export_prisma(mes, "-o", "mes")
    assert len(parser(DATASOURCE + phase_1.read_text("utf-8"))) == 8
    *_, every = export_prisma(plant, "-o", "plant", registry=registry_file)
    models = parser(SCHEMAS + every.read_text("utf-8"))
    assert "vendor" not in models
    assert _uuid_of(models['Odd "Name'], "the_Uuid") == (True, True, {"name": "uuid", "args": [4]}, None)
    assert _uuid_of(models["lot"], "persistent_uuid")[2] == {"name": "dbgenerated", "args": []}
    assert _uuid_of(models["seven"], "persistent_uuid")[2]["name"] == "dbgenerated"
    assert models["result"]["uniqueFields"] == [["persistentUuid", "at"]]


def _uuid_of(model: Any, name: str) -> tuple[Any, ...]:
    (field,) = (field for field in model["fields"] if field["name"] == name)
    return field["isUnique"], field["isRequired"], field["default"], field.get("nativeType")


def _columns_and_indexes(url: str) -> dict[str, Any]:
    with connect(url, purpose="test") as connection:
        tables = read_catalog(connection).tables
    return {
        str(name): (
            dict(table.columns),
            sorted((i.name, i.columns, i.unique, i.valid, i.constraint) for i in table.indexes),
            sorted((c.name, c.kind, c.definition) for c in table.constraints),
        )
        for name, table in tables.items()
    }
