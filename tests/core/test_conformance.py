"""`dotpeen.conformance`: a registry held against the database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dotpeen.conformance import Finding, conformance, overlaps
from dotpeen.database import Catalog, Column, Index, Partition, Table
from dotpeen.registry import TableName, parse_registry


def column(
    name: str, type_: str = "text", *, null: bool = False, default: str | None = None, **facts: Any
) -> Column:
    return Column(name, type_, not_null=not null, default=default, **facts)


def unique(*columns: str, primary: bool = False) -> Index:
    return Index(
        "_".join(columns) + "_key", columns, unique=True, primary=primary, valid=True, partial=False, bytes=0
    )


def table(name: str, *columns: Column, indexes: tuple[Index, ...] = (), **facts: Any) -> Table:
    held = (column("id", "integer"), *columns)
    given: dict[str, Any] = {"kind": "table", "oid": 1, "primary_key": ("id",)} | facts
    return Table(
        name=TableName.parse(name),
        columns={one.name: one for one in held},
        indexes=(unique("id", primary=True), *indexes),
        **given,
    )


PART = table("Part", column("partNumber"), column("status"), indexes=(unique("partNumber"),))
REGISTRY = """
[site]
namespace = "6f7a3cf0-7a0e-4f6c-8f7e-7c1f5c1d0b1a"
[entities.Part]
business_id = "partNumber"
"""


def findings(text: str, *tables: Table, role: str = "app") -> list[Finding]:
    registry = parse_registry(text)
    catalog = Catalog(
        180004, "plant", role, superuser=False, may_create_schema=True, tables={t.name: t for t in tables}
    )
    return conformance(registry, catalog, registry.select())


def one(text: str, *tables: Table) -> Finding:
    (finding,) = findings(text, *tables)
    return finding


def said(finding: Finding) -> tuple[str, str, str]:
    return finding.level, finding.key.removeprefix("entities.Part."), finding.message


def test_a_registry_that_fits_has_no_findings() -> None:
    assert findings(REGISTRY, PART) == []


def test_finding_names_entity_key_and_remedy() -> None:
    assert one(REGISTRY, table("part")) == Finding(
        level="error",
        entity="Part",
        key="entities.Part.table",
        message="no table Part",
        hint="there is part: case and schema count",
    )


@pytest.mark.parametrize(
    ("there", "hint"),
    [
        (["part", "sales.PART"], "there is part, sales.PART: case and schema count"),
        (["Parts"], "did you mean Parts?"),
        (["invoice"], "see what there is: dotpeen init"),
        ([], "see what there is: dotpeen init"),
    ],
)
def test_missing_table(there: list[str], hint: str) -> None:
    assert one(REGISTRY, *map(table, there)).hint == hint


@pytest.mark.parametrize(
    ("kind", "what"), [("view", "a view"), ("foreign", "a foreign table"), ("other", "no ordinary table")]
)
def test_not_a_table(kind: str, what: str) -> None:
    assert said(one(REGISTRY, table("Part", kind=kind))) == ("error", "table", f"Part is {what}")


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ('primary_key = "Id"', "primary_key"),
        ('expose = ["Status"]', "expose"),
        ('filters = ["stat_us"]', "filters"),
        ('relations.next = { entity = "Part", columns = "Id" }', "relations.next.columns"),
        (
            'relations.next = { entity = "Part", columns = "id", references = "Id" }',
            "relations.next.references",
        ),
    ],
)
def test_missing_column(setting: str, field: str) -> None:
    finding = one(REGISTRY + setting, PART)
    assert (finding.level, finding.key) == ("error", f"entities.Part.{field}")
    assert finding.hint is not None
    assert finding.hint.startswith("did you mean '")


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (None, "Part has no column 'updatedAt'"),
        (column("updatedAt"), "updatedAt is text: it can't hold the time of a change"),
        (column("updatedAt", "timestamp(3)", generated=True), "updatedAt is made by the database"),
        (column("updatedAt", "timestamp(3) without time zone"), None),
    ],
)
def test_updated_at_is_a_timestamp(there: Column | None, message: str | None) -> None:
    columns = (column("partNumber"), *([there] if there else []))
    part = table("Part", *columns, indexes=(unique("partNumber"),))
    found = findings(REGISTRY + 'updated_at = "updatedAt"', part)
    assert [said(each) for each in found] == ([("error", "updated_at", message)] if message else [])


def test_missing_business_id() -> None:
    finding = one(REGISTRY.replace("partNumber", "part_number"), PART)
    assert said(finding) == ("error", "business_id", "Part has no column 'part_number'")
    assert finding.hint == "did you mean 'partNumber'?"


def test_primary_key_that_is_none() -> None:
    finding = one(REGISTRY + 'primary_key = "status"', PART)
    assert said(finding) == (
        "error",
        "primary_key",
        "status does not identify a row: no unique, never-null index over it",
    )
    assert finding.hint == "the table's primary key is id"


def test_table_without_primary_key() -> None:
    keyless = replace(PART, indexes=(unique("partNumber"),), primary_key=())
    (finding,) = findings(REGISTRY, keyless)
    assert finding.hint is not None
    assert finding.hint.startswith("the table has no primary key")
    assert findings(REGISTRY + 'primary_key = "partNumber"', keyless) == []


def test_business_id_that_is_not_unique() -> None:
    finding = one(REGISTRY.replace("partNumber", "status"), PART)
    assert said(finding) == ("warning", "business_id", "status is not unique in the database")


def test_version_5_needs_a_unique_filled_business_id() -> None:
    nullable = replace(PART, columns=PART.columns | {"status": column("status", null=True)})
    found = findings(REGISTRY.replace("partNumber", "status") + "uuid = { version = 5 }", nullable)
    assert [said(finding)[:2] for finding in found] == [("error", "business_id"), ("error", "business_id")]
    assert [finding.message.split(": ")[0] for finding in found] == [
        "status is not unique in the database",
        "status may be null",
    ]


TO_TEXT = 'ALTER TABLE "public"."Part" ALTER COLUMN "u" TYPE text'

# Declared type and version, the column there, and what is wrong with it.
COLUMNS = {
    "uuid": ("uuid", 4, column("u", "uuid"), None),
    "uuid, filled by PostgreSQL": ("uuid", 4, column("u", "uuid", default="gen_random_uuid()"), None),
    "uuid, filled by pgcrypto": ("uuid", 4, column("u", "uuid", default="public.gen_random_uuid()"), None),
    "version 7": ("uuid", 7, column("u", "uuid", default="uuidv7()"), None),
    "version 7 by Dotpeen": ("uuid", 7, column("u", "uuid", default="dotpeen.uuid_v7()"), None),
    "text": ("text", 4, column("u", "text"), None),
    "text, filled": ("text", 4, column("u", "text", default="(gen_random_uuid())::text"), None),
    "uuid for text": ("text", 4, column("u", "uuid"), 'write uuid = { column = "u", type = "uuid" }'),
    "text for uuid": ("uuid", 4, column("u", "text"), 'write uuid = { column = "u", type = "text" }'),
    "varchar": (
        "text",
        4,
        column("u", "character varying(36)"),
        TO_TEXT + ' (a brief lock, nothing is rewritten), and type = "text"',
    ),
    "char": (
        "text",
        4,
        column("u", "character(36)"),
        TO_TEXT + ' in a quiet hour (the table is rewritten), and type = "text"; or name another column',
    ),
    "number": ("uuid", 4, column("u", "integer"), "name another column"),
    "generated": ("uuid", 4, column("u", "uuid", generated=True), "name another column"),
    "7 for 4": (
        "uuid",
        4,
        column("u", "uuid", default="uuidv7()"),
        'write version = 7, or ALTER TABLE "public"."Part" ALTER COLUMN "u" DROP DEFAULT',
    ),
    "4 for 7": (
        "uuid",
        7,
        column("u", "uuid", default="gen_random_uuid()"),
        'write version = 4, or ALTER TABLE "public"."Part" ALTER COLUMN "u" DROP DEFAULT',
    ),
    "a constant": (
        "text",
        4,
        column("u", "text", default="''::text"),
        'ALTER TABLE "public"."Part" ALTER COLUMN "u" DROP DEFAULT',
    ),
    "random for 5": (
        "uuid",
        5,
        column("u", "uuid", default="gen_random_uuid()"),
        'ALTER TABLE "public"."Part" ALTER COLUMN "u" DROP DEFAULT',
    ),
}


@pytest.mark.parametrize(("type_", "version", "there", "hint"), COLUMNS.values(), ids=COLUMNS)
def test_existing_uuid_column(type_: str, version: int, there: Column, hint: str | None) -> None:
    text = REGISTRY + f'uuid = {{ column = "u", type = "{type_}", version = {version} }}'
    found = findings(text, replace(PART, columns=PART.columns | {"u": there}))
    assert [(finding.level, finding.hint) for finding in found] == ([] if hint is None else [("error", hint)])


RIGHTS = {
    "row security": (
        {"row_security": True},
        "table",
        "connect as the table's owner or a role with BYPASSRLS",
    ),
    "no ownership": (
        {"owned": False, "owner": "vendor"},
        "uuid.storage",
        'run as vendor, or keep the UUIDs apart: uuid = { storage = "sidecar" }',
    ),
    "no SELECT": ({"may_select": False}, "table", 'GRANT SELECT ON "public"."Part" TO "app"'),
    "no UPDATE": ({"may_update": False}, "table", 'GRANT UPDATE ON "public"."Part" TO "app"'),
    "no TRIGGER": ({"may_trigger": False}, "table", 'GRANT TRIGGER ON "public"."Part" TO "app"'),
}


@pytest.mark.parametrize(("facts", "field", "hint"), RIGHTS.values(), ids=RIGHTS)
def test_rights_for_a_column(facts: dict[str, Any], field: str, hint: str) -> None:
    finding = one(REGISTRY, replace(PART, **facts))
    assert (finding.level, finding.key, finding.hint) == ("error", f"entities.Part.{field}", hint)


def test_rights_for_a_sidecar() -> None:
    text = REGISTRY + 'uuid = { storage = "sidecar" }'
    vendor = replace(PART, owned=False, owner="vendor", may_update=False)
    assert findings(text, vendor) == []
    assert one(text, replace(vendor, may_trigger=False)).hint == 'GRANT TRIGGER ON "public"."Part" TO "app"'


def test_sidecar_needs_a_key_that_is_checked_at_once() -> None:
    text = REGISTRY + 'uuid = { storage = "sidecar" }'
    late = replace(PART, indexes=(replace(PART.indexes[0], immediate=False), *PART.indexes[1:]))
    assert findings(REGISTRY, late) == []
    finding = one(text, late)
    assert said(finding)[:2] == ("error", "primary_key")
    assert finding.message.startswith("id is a DEFERRABLE key: ")
    assert findings(text, replace(late, indexes=(*late.indexes, unique("id")))) == []


def test_partition_is_not_registered_by_itself() -> None:
    finding = one(REGISTRY, replace(PART, is_partition=True))
    assert said(finding)[:2] == ("error", "table")
    assert finding.message.startswith("Part is a partition: ")


def test_kinds_of_tables() -> None:
    remote = Partition(TableName.parse("Part_old"), PART.name, leaf=True, foreign=True)
    assert [said(one(REGISTRY, replace(PART, **facts)))[:2] for facts in (
        {"inherits": True},
        {"kind": "partitioned", "partitions": (remote,)},
        {"persistence": "u"},
    )] == [("error", "table"), ("error", "table"), ("warning", "table")]  # fmt: skip


def test_long_names_are_noted() -> None:
    long = "a_table_whose_name_alone_takes_most_of_what_there_is"
    text = REGISTRY + f'table = "{long}"'
    assert said(one(text, replace(PART, name=TableName.parse(long))))[:2] == ("note", "uuid.column")


LINES = table("line", column("part", "bigint"), column("code", "character varying(20)"))


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        ('columns = "part"', None),
        ('columns = "code", references = "partNumber"', None),
        (
            'columns = "part", references = "partNumber"',
            "part is bigint, Part.partNumber is text: they are never equal",
        ),
        ('columns = ["part", "code"]', "(part, code) can't point to id of Part"),
    ],
)
def test_relations(relation: str, message: str | None) -> None:
    text = REGISTRY + f'[entities.Line]\ntable = "line"\nrelations.part = {{ entity = "Part", {relation} }}'
    assert [finding.message for finding in findings(text, PART, LINES)] == (
        [] if message is None else [message]
    )


def test_errors_come_first() -> None:
    text = REGISTRY.replace("partNumber", "status") + 'expose = ["nothing"]'
    assert [finding.level for finding in findings(text, replace(PART, persistence="u"))] == [
        "error",
        "warning",
        "warning",
    ]


@pytest.mark.parametrize("field", ["expose", "filters", "writable"])
def test_partners_never_see_the_primary_key(field: str) -> None:
    finding = one(f'{REGISTRY}{field} = ["status", "id"]', PART)
    assert said(finding) == ("error", field, "id is the primary key: partners never see internal ids")
    assert finding.hint == "leave it out; the UUID is there without being named, partNumber too"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Status", "Part has no column 'Status'"),
        ("area", "area is made by the database"),
        ("persistentUuid", "persistentUuid is the UUID, which never changes"),
    ],
)
def test_what_partners_can_not_write(name: str, message: str) -> None:
    columns = (
        column("partNumber"),
        column("status"),
        column("area", generated=True),
        column("persistentUuid", "uuid"),
    )
    there = table("Part", *columns, indexes=(unique("partNumber"),))
    assert said(one(f'{REGISTRY}writable = ["{name}"]', there)) == ("error", "writable", message)


def overlapping(business: str, *tables: Table) -> list[tuple[str, str, str]]:
    registry = parse_registry(
        f'[entities.Part]\nbusiness_id = {business}\n[entities.Other]\ntable = "nothing"\n'
    )
    catalog = Catalog(
        180004, "plant", "app", superuser=False, may_create_schema=True, tables={t.name: t for t in tables}
    )
    return [said(found) for found in overlaps(catalog, registry.select())]


def test_warns_where_a_business_identifier_looks_like_a_key() -> None:
    numbers = table("Part", column("number", "bigint"), column("moment", "date"), column("name"))
    assert overlapping('"number"', numbers) == [
        (
            "warning",
            "business_id",
            (
                "number and the primary key id look the same: a lookup by any identifier is refused where"
                " two records answer"
            ),
        )
    ]
    ((level, key, message),) = overlapping('"name"', numbers)
    assert (level, key) == ("note", "entities")
    assert message.startswith("Part: the business identifier is free text")
    assert (
        overlapping('"moment"', numbers)
        == overlapping('["number", "name"]', numbers)
        == overlapping("[]", numbers)
    )
    assert overlapping('"id"', numbers) == []
