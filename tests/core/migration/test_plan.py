"""The plan: registry and catalog in, steps out, without a database; and what a plan says after the fact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dotpeen.database import Column, Index, Table
from dotpeen.migration.model import EntityState, Lock, Stage, Step, Target
from dotpeen.migration.plan import steps_for
from dotpeen.registry import Entity, TableName

PART = TableName("public", "Part")
KEY = Index(
    "Part_pkey",
    ("id",),
    unique=True,
    primary=True,
    valid=True,
    partial=False,
    bytes=0,
    constraint="Part_pkey",
)
TABLE = Table(
    name=PART,
    oid=1,
    kind="table",
    columns={"id": Column("id", "integer", not_null=True)},
    primary_key=("id",),
    indexes=(KEY,),
    estimated_rows=3_000_000,
)


def part(**uuid: Any) -> Entity:
    return Entity.model_validate({"name": "Part", "table": "Part", "uuid": {"column": "uuid"} | uuid})


def target(server: int = 180000, **uuid: Any) -> Target:
    return Target(part(**uuid), TABLE, server)


def sql_of(target: Target, stage: Stage) -> list[str]:
    return [statement for step in steps_for(target) if step.stage is stage for statement in step.sql]


def test_plain_column_is_planned_step_by_step() -> None:
    assert [
        (s.stage, s.name, s.lock, s.mode, s.long, s.done, s.rows, s.seconds) for s in steps_for(target())
    ] == [
        ("expand", "fill function", Lock.NONE, "transaction", False, False, None, None),
        (
            "expand",
            "column, default, fill trigger, guard trigger",
            Lock.ACCESS_EXCLUSIVE,
            "transaction",
            False,
            False,
            None,
            None,
        ),
        ("backfill", "fill rows in batches", Lock.ROW_EXCLUSIVE, "rows", True, False, 3_000_000, 150.0),
        (
            "index",
            "unique index on Part",
            Lock.SHARE_UPDATE_EXCLUSIVE,
            "autocommit",
            True,
            False,
            None,
            6.0,
        ),
        (
            "enforce",
            "constraints, not yet validated",
            Lock.ACCESS_EXCLUSIVE,
            "transaction",
            False,
            False,
            None,
            None,
        ),
        (
            "enforce",
            "validate Part_uuid_not_null",
            Lock.SHARE_UPDATE_EXCLUSIVE,
            "autocommit",
            True,
            False,
            None,
            1.0,
        ),
        (
            "enforce",
            "NOT NULL and unique constraint",
            Lock.ACCESS_EXCLUSIVE,
            "transaction",
            False,
            False,
            None,
            None,
        ),
        (
            "verify",
            "counts, nulls, duplicates, form, keys, index, lookups",
            Lock.NONE,
            "check",
            True,
            False,
            None,
            3.0,
        ),
    ]


def test_expand_is_one_transaction_with_its_undo() -> None:
    _, step = (step for step in steps_for(target()) if step.stage is Stage.EXPAND)
    assert step.sql == (
        'ALTER TABLE "public"."Part" ADD COLUMN "uuid" uuid',
        'ALTER TABLE "public"."Part" ALTER COLUMN "uuid" SET DEFAULT pg_catalog.gen_random_uuid()',
        (
            'CREATE TRIGGER "zz_dotpeen_fill" BEFORE INSERT ON "public"."Part" FOR EACH ROW'
            ' WHEN (NEW."uuid" IS NULL) EXECUTE FUNCTION "dotpeen"."fill_Part"()'
        ),
        'ALTER TABLE "public"."Part" ENABLE ALWAYS TRIGGER "zz_dotpeen_fill"',
        (
            'CREATE TRIGGER "zz_dotpeen_guard" AFTER UPDATE ON "public"."Part" FOR EACH ROW'
            ' WHEN (OLD."uuid" IS NOT NULL AND NEW."uuid" IS DISTINCT FROM OLD."uuid")'
            " EXECUTE FUNCTION dotpeen.refuse_uuid_change('Part', 'uuid')"
        ),
        'ALTER TABLE "public"."Part" ENABLE ALWAYS TRIGGER "zz_dotpeen_guard"',
    )
    assert step.undo == (
        'DROP TRIGGER "zz_dotpeen_guard" ON "public"."Part"',
        'DROP TRIGGER "zz_dotpeen_fill" ON "public"."Part"',
        'ALTER TABLE "public"."Part" DROP COLUMN "uuid"',
    )


def test_not_null_of_version_18_needs_no_check() -> None:
    assert sql_of(target(180000), Stage.ENFORCE) == [
        'ALTER TABLE "public"."Part" ADD CONSTRAINT "Part_uuid_not_null" NOT NULL "uuid" NOT VALID',
        'ALTER TABLE "public"."Part" VALIDATE CONSTRAINT "Part_uuid_not_null"',
        'ALTER TABLE "public"."Part" ADD CONSTRAINT "Part_uuid_key" UNIQUE USING INDEX "Part_uuid_key"',
    ]


def test_not_null_before_version_18_goes_by_a_check() -> None:
    assert sql_of(target(150000), Stage.ENFORCE) == [
        'ALTER TABLE "public"."Part" ADD CONSTRAINT "Part_uuid_not_null" CHECK ("uuid" IS NOT NULL) NOT VALID',
        'ALTER TABLE "public"."Part" VALIDATE CONSTRAINT "Part_uuid_not_null"',
        'ALTER TABLE "public"."Part" ALTER COLUMN "uuid" SET NOT NULL',
        'ALTER TABLE "public"."Part" DROP CONSTRAINT "Part_uuid_not_null"',
        'ALTER TABLE "public"."Part" ADD CONSTRAINT "Part_uuid_key" UNIQUE USING INDEX "Part_uuid_key"',
    ]


def test_text_column_has_no_default_and_a_check_of_its_form() -> None:
    text = target(type="text")
    assert not any("DEFAULT" in statement for statement in sql_of(text, Stage.EXPAND))
    assert sql_of(text, Stage.ENFORCE)[1] == (
        'ALTER TABLE "public"."Part" ADD CONSTRAINT "Part_uuid_uuid" CHECK'
        """ ("uuid" ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$') NOT VALID"""
    )


def test_version_7_is_native_from_18_on() -> None:
    assert "DEFAULT pg_catalog.uuidv7()" in sql_of(target(180000, version=7), Stage.EXPAND)[2]
    assert "DEFAULT dotpeen.uuid_v7()" in sql_of(target(170000, version=7), Stage.EXPAND)[2]


def test_only_table_locks_of_milliseconds_are_exclusive() -> None:
    for uuid in ({}, {"type": "text"}, {"storage": "sidecar"}):
        for step in steps_for(target(**uuid)):
            assert not (step.long and step.lock in (Lock.ACCESS_EXCLUSIVE, Lock.SHARE_ROW_EXCLUSIVE)), step


def test_invalid_index_is_dropped_before_it_is_built() -> None:
    broken = Index(
        "Part_uuid_key", ("uuid",), unique=True, primary=False, valid=False, partial=False, bytes=0
    )
    table = replace(TABLE, indexes=(KEY, broken))
    assert sql_of(replace(target(), table=table), Stage.INDEX) == [
        'DROP INDEX CONCURRENTLY IF EXISTS "public"."Part_uuid_key"',
        'CREATE UNIQUE INDEX CONCURRENTLY "Part_uuid_key" ON "public"."Part" ("uuid")',
    ]


def test_unique_index_that_was_there_stays_what_it_was() -> None:
    """Prisma's `@unique` makes an index of the very name that ours would have, and no constraint."""
    there = Index("Part_uuid_key", ("uuid",), unique=True, primary=False, valid=True, partial=False, bytes=0)
    columns = {**TABLE.columns, "uuid": Column("uuid", "uuid", not_null=False)}
    before = replace(target(), table=replace(TABLE, columns=columns, indexes=(KEY, there)))
    state = EntityState(
        "Part", Stage.EXPAND, {"column": True, "unique": True, "not_null": False, "default": None}
    )
    for adopted in (before, replace(before, state=state)):
        assert sql_of(adopted, Stage.INDEX) == []
        assert not any("USING INDEX" in statement for statement in sql_of(adopted, Stage.ENFORCE))


def test_names_that_are_cut_to_63_bytes_stay_apart() -> None:
    names = set()
    for number in range(3):
        table = replace(TABLE, name=TableName("public", f"{'x' * 60}_{number}"))
        (statement,) = sql_of(replace(target(), table=table), Stage.INDEX)
        names.add(statement.split('"')[1])
    assert len(names) == 3
    assert all(len(name.encode()) <= 63 for name in names)


@pytest.mark.parametrize("storage", ["column", "sidecar"])
def test_every_schema_change_can_be_undone(storage: str) -> None:
    def changes(step: Step) -> bool:
        # NOT NULL is undone in the last step of its stage.
        if step.name == "constraints, not yet validated":
            return False
        return step.mode in ("transaction", "autocommit") and not step.name.startswith(("validate", "attach"))

    for step in steps_for(target(storage=storage)):
        assert step.undo or not changes(step), step.name
