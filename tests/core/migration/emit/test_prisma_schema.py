"""Fields in a team's own Prisma schema: odd names, line ends, fields that are there."""

from __future__ import annotations

from typing import Any

import pytest

from dotpeen.database import Column, Index, Table
from dotpeen.errors import ConfigurationError
from dotpeen.migration.emit.prisma_schema import with_uuids
from dotpeen.migration.model import Target
from dotpeen.registry import TableName, parse_registry


def targets(settings: str = "", *, table: str = "part", **columns: Column) -> dict[str, Target]:
    registry = parse_registry(f"[entities.Part]\ntable = '{table}'\n{settings}")
    key = Column("id", "text", not_null=True)
    index = Index("part_pkey", ("id",), unique=True, primary=True, valid=True, partial=False, bytes=0)
    found = Table(TableName.parse(table), 1, "table", {"id": key, **columns}, ("id",), (index,))
    return {"Part": Target(registry.entities["Part"], found, 180000)}


def added(before: str, after: str) -> list[str]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    extra = [line for line in new if line not in old]
    assert [line for line in new if line in old] == old
    return extra


def test_mapped_names_get_a_camel_case_field_and_a_map() -> None:
    schema = 'model Part {\r\n  id String @id\r\n  no String @map("part_no")\r\n\r\n  @@map("part")\r\n}\r\n'
    changed = with_uuids(schema, targets('uuid = { column = "persistent_uuid", type = "text" }'))
    assert added(schema, changed) == [
        '  persistentUuid String @unique @default(uuid()) @map("persistent_uuid")\r\n'
    ]


def test_the_schema_of_the_table_decides_between_models_of_one_name() -> None:
    schema = (
        'model A {\n  id String @id\n  @@map("part")\n  @@schema("public")\n}\n'
        'model B {\n  id Int @id\n  @@map("part")\n  @@schema("stock")\n}\n'
    )
    changed = with_uuids(schema, targets(table="stock.part"))
    assert changed.index("persistentUuid") > changed.index("model B")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            '  u String? @map("persistentUuid") // old\n',
            '  u String @map("persistentUuid") @unique @default(dbgenerated("gen_random_uuid()")) @db.Uuid // old\n',
        ),
        (
            '  persistentUuid String @unique @default(dbgenerated("gen_random_uuid()")) @db.Uuid\n',
            '  persistentUuid String @unique @default(dbgenerated("gen_random_uuid()")) @db.Uuid\n',
        ),
    ],
)
def test_a_field_that_is_there_is_completed(line: str, wanted: str) -> None:
    schema = f"model part {{\n  id String @id\n{line}}}\n"
    assert with_uuids(schema, targets()) == schema.replace(line, wanted)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("model Other {\n  id Int @id\n}\n", "no model for table part"),
        ("model part {\n  id Int @id\n  persistentUuid Int\n}\n", "is no String"),
        ('model part {\n  id Int @id\n  persistentUuid String @map("x")\n}\n', "for another column"),
    ],
)
def test_what_does_not_fit_is_an_error(schema: str, said: Any) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_uuids(schema, targets())
