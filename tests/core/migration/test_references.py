"""External references: what plugins declare gets a place in the entity's table, and its values are never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from dotpeen.errors import ConfigurationError, DotpeenError, PreflightError
from dotpeen.migration import Stage, references
from dotpeen.migration.stages.references import capture, remove
from dotpeen.migration.status import read_references
from dotpeen.plugins import load_plugins

from .plant import PART, Plant
from .test_partitions import build

if TYPE_CHECKING:
    from conftest import TemplateDatabase

PLUGINS = "[plugins.erp]\n[plugins.step]\n"
SIDECAR = "[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }\n"
CAD = "550e8400-e29b-41d4-a716-446655440000"
ERP, STEP = '"erpPartId"', '"stepAp242Uuid"'


@pytest.fixture
def linked(parts: Plant) -> Plant:
    """300 parts, and two plugins that call them something else; not migrated."""
    parts.declare(PLUGINS + PART)
    return parts


@pytest.fixture
def named(template_database: TemplateDatabase) -> Iterator[Plant]:
    """The same, migrated; ten parts have a number in the ERP and one a UUID in the CAD system."""

    def values_of(plant: Plant) -> None:
        plant.execute(f"UPDATE part SET {ERP} = '47' || id WHERE id <= 10")
        plant.execute(f"UPDATE part SET {STEP} = %s WHERE id = 1", [CAD])

    yield from _migrated(template_database, "references_named", PLUGINS + PART, values_of)


@pytest.fixture
def aside(template_database: TemplateDatabase) -> Iterator[Plant]:
    """300 parts whose table may not be altered; migrated, and three have a number in the ERP."""

    def values_of(plant: Plant) -> None:
        plant.execute(
            "INSERT INTO dotpeen.external_value (entity, name, key, value)"
            " SELECT 'Part', 'erpPartId', n::text, '47' || n FROM generate_series(1, 3) AS n"
        )

    yield from _migrated(template_database, "references_aside", PLUGINS + SIDECAR, values_of)


def _migrated(
    template_database: TemplateDatabase, name: str, registry: str, values_of: Callable[[Plant], None]
) -> Iterator[Plant]:
    def build(url: str) -> None:
        plant = Plant(url)
        plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text NOT NULL UNIQUE)")
        plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 300) AS n")
        plant.declare(registry)
        plant.up()
        values_of(plant)
        plant.close()

    plant = Plant(template_database(name, build))
    plant.declare(registry)
    yield plant
    plant.close()


def values(plant: Plant, column: str = ERP) -> dict[Any, Any]:
    return dict(plant.execute(f"SELECT id, {column} FROM part WHERE {column} IS NOT NULL ORDER BY id"))


def beside(plant: Plant) -> dict[str, str]:
    return dict(plant.execute("SELECT key, value FROM dotpeen.external_value ORDER BY length(key), key"))


def index_definition(plant: Plant, name: str) -> str:
    return str(plant.value("SELECT pg_get_indexdef(%s::regclass)", [f'public."{name}"']))


def test_plan_has_their_steps(linked: Plant) -> None:
    steps = [step for step in linked.plan().steps if step.references]
    assert [(step.stage, step.name, step.lock, step.mode, step.done) for step in steps] == [
        ("expand", "erpPartId and stepAp242Uuid: columns", "ACCESS EXCLUSIVE", "transaction", False),
        (
            "index",
            "unique index of erpPartId on part",
            "SHARE UPDATE EXCLUSIVE",
            "autocommit",
            False,
        ),
        (
            "index",
            "unique index of stepAp242Uuid on part",
            "SHARE UPDATE EXCLUSIVE",
            "autocommit",
            False,
        ),
    ]
    assert steps[0].sql == (
        'ALTER TABLE "public"."part" ADD COLUMN "erpPartId" text',
        'ALTER TABLE "public"."part" ADD COLUMN "stepAp242Uuid" uuid',
    )
    assert steps[0].undo == (
        'ALTER TABLE "public"."part" DROP COLUMN "stepAp242Uuid"',
        'ALTER TABLE "public"."part" DROP COLUMN "erpPartId"',
    )
    (create,) = steps[1].sql
    assert create == (
        'CREATE UNIQUE INDEX CONCURRENTLY "part_erpPartId_key" ON "public"."part" ("erpPartId")'
        ' WHERE "erpPartId" IS NOT NULL'
    )


def test_up_makes_them_and_again_does_nothing(linked: Plant) -> None:
    assert [check for check in linked.up() if check.outcome == "failed"] == []
    assert "WHERE" in index_definition(linked, "part_stepAp242Uuid_key")
    linked.execute(f"UPDATE part SET {ERP} = '4711' WHERE id = 1")
    with pytest.raises(psycopg.errors.UniqueViolation):
        linked.execute(f"UPDATE part SET {ERP} = '4711' WHERE id = 2")
    assert linked.plan().pending == ()
    schema = linked.schema()
    linked.up()
    assert linked.schema() == schema
    checks = linked.verify()
    assert checks["erpPartId well formed, never twice"] == ("ok", "1 records have one")
    assert checks["erpPartId index valid and used"][0] == "ok"
    assert "part_erpPartId_key" in checks["erpPartId index valid and used"][1]


def test_a_plugin_switched_on_later_needs_no_more_than_its_own_steps(parts: Plant) -> None:
    parts.up()
    parts.declare(PLUGINS + PART)
    assert all(step.references for step in parts.plan().pending if step.stage != Stage.VERIFY)
    uuids = parts.uuids()
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    assert parts.uuids() == uuids


def test_status_tells_how_far_each_is(linked: Plant) -> None:
    def states() -> dict[str, str]:
        contributed = load_plugins(linked.registry).external_references()
        with linked.runner() as runner:
            found = read_references(runner.connection, linked.registry, runner.entities, contributed)
        return found["Part"]

    assert states() == {"erpPartId": "not migrated", "stepAp242Uuid": "not migrated"}
    linked.up(to=Stage.EXPAND)
    assert states() == {"erpPartId": "no index", "stepAp242Uuid": "no index"}
    linked.up()
    assert states() == {"erpPartId": "ready", "stepAp242Uuid": "ready"}


def test_down_keeps_the_values_and_up_gives_them_back(named: Plant) -> None:
    before, schema = values(named), named.schema()
    named.down()
    assert {row[1] for row in named.schema()["columns"]} == {"id", "number"}
    assert named.schema()["triggers"] == []
    assert named.value("SELECT count(*) FROM dotpeen.external_kept WHERE current") == 11
    named.up()
    assert (values(named), values(named, STEP)) == (before, {1: UUID(CAD)})
    assert named.schema()["indexes"] == schema["indexes"]
    assert named.value("SELECT count(*) FROM dotpeen.external_kept WHERE current") == 0


@pytest.mark.slow
def test_values_are_rolled_back_also_when_the_plugin_is_off(named: Plant) -> None:
    before = values(named)
    named.declare(PART)
    named.up()
    assert values(named) == before  # switched off: the columns stay
    named.down()
    named.up()
    assert "erpPartId" not in {row[1] for row in named.schema()["columns"]}
    named.declare(PLUGINS + PART)
    named.up()
    assert values(named) == before


@pytest.mark.slow
def test_what_changes_while_values_are_copied_is_kept_as_it_is_then(named: Plant) -> None:
    with named.runner() as runner:
        part = named.registry.entities["Part"]
        for step in capture(runner.target(part)):
            runner.execute(step)
        references.keep(runner.connection, runner.target(part), lambda event: None)
        named.execute(f"UPDATE part SET {ERP} = 'new' WHERE id = 1")
        named.execute(f"UPDATE part SET {ERP} = NULL WHERE id = 2")
        named.execute("DELETE FROM part WHERE id = 3")
        named.execute("UPDATE part SET id = 1000 WHERE id = 4")
        named.execute(f"INSERT INTO part (id, number, {ERP}) VALUES (301, 'P301', 'late')")
        named.execute("UPDATE part SET number = 'touched' WHERE id = 5")
    before = values(named)
    named.down()  # goes on where that was left
    named.up()
    assert values(named) == before
    assert before[1] == "new"
    assert 2 not in before
    assert (before[1000], before[301], before[5]) == ("474", "late", "475")


def test_a_rollback_that_is_given_up_leaves_nothing_behind(named: Plant) -> None:
    schema = named.schema()
    with named.runner() as runner:
        for step in capture(runner.target(named.registry.entities["Part"])):
            runner.execute(step)
    named.up()
    assert named.schema() == schema


@pytest.mark.slow
def test_a_value_that_was_set_meanwhile_wins_over_the_kept_one(named: Plant) -> None:
    named.down()
    with named.runner() as runner:
        runner.up(to=Stage.EXPAND)
    named.down()
    named.execute(f"ALTER TABLE part ADD {ERP} text")
    named.execute(f"UPDATE part SET {ERP} = 'typed in' WHERE id = 1")
    named.up()
    assert values(named)[1] == "typed in"
    assert values(named)[2] == "472"


@pytest.mark.slow
def test_a_column_that_was_there_is_adopted_and_never_dropped(linked: Plant) -> None:
    linked.execute(f"ALTER TABLE part ADD {ERP} varchar(20) UNIQUE")
    linked.execute(f"UPDATE part SET {ERP} = 'E' || id")
    assert [check for check in linked.up() if check.outcome == "failed"] == []
    indexes = [row for row in linked.schema()["indexes"] if "erpPartId" in row[2]]
    assert len(indexes) == 1
    linked.down()
    assert len(values(linked)) == 300
    assert [row for row in linked.schema()["indexes"] if "erpPartId" in row[2]] == indexes


@pytest.mark.slow
def test_an_adopted_column_gets_its_index_and_loses_it_again(linked: Plant) -> None:
    linked.execute(f"ALTER TABLE part ADD {ERP} text")
    schema = linked.schema()
    linked.up()
    assert "WHERE" in index_definition(linked, "part_erpPartId_key")
    linked.down()
    assert linked.schema() == schema


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"ALTER TABLE part ADD {ERP} int", "part.erpPartId is of type integer, plugin erp declares text"),
        (
            f"ALTER TABLE part ADD {STEP} text",
            "part.stepAp242Uuid is of type text, plugin step declares uuid",
        ),
        (
            f"ALTER TABLE part ADD {ERP} text; UPDATE part SET {ERP} = 'same' WHERE id IN (7, 8)",
            "'same' stands in 2 rows of part, with keys 7, 8",
        ),
        (
            f"ALTER TABLE part ADD {ERP} text; UPDATE part SET {ERP} = ' 47' WHERE id = 9",
            "the row of part with key 9 holds ' 47', blank or with blanks around",
        ),
        (
            f"ALTER TABLE part ADD {ERP} text GENERATED ALWAYS AS (number || 'x') STORED",
            "part.erpPartId is a generated column",
        ),
        ('CREATE TABLE "part_erpPartId_key" (a int)', "part_erpPartId_key is something else"),
    ],
)
def test_what_can_not_be_adopted_is_said_before_anything_is_done(
    linked: Plant, sql: str, message: str
) -> None:
    linked.execute(sql)
    schema = linked.schema()
    with pytest.raises(PreflightError, match="the database is not ready") as caught:
        linked.up()
    assert message in caught.value.message
    assert linked.schema() == schema


@pytest.mark.slow
def test_a_build_that_died_is_done_again(linked: Plant) -> None:
    linked.up(to=Stage.BACKFILL)
    linked.execute(f"UPDATE part SET {ERP} = 'same' WHERE id <= 2")
    with pytest.raises(PreflightError, match="'same' stands in 2 rows"):
        linked.up()
    with pytest.raises(psycopg.errors.UniqueViolation):
        linked.execute(
            f'CREATE UNIQUE INDEX CONCURRENTLY "part_erpPartId_key" ON part ({ERP}) WHERE {ERP} IS NOT NULL'
        )
    assert linked.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 1
    linked.execute(f"UPDATE part SET {ERP} = NULL WHERE id = 2")
    assert [check for check in linked.up() if check.outcome == "failed"] == []
    assert linked.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


def test_verify_finds_what_went_wrong_since(named: Plant) -> None:
    named.execute('DROP INDEX "part_erpPartId_key"')
    named.execute(f"UPDATE part SET {ERP} = 'same' WHERE id IN (1, 2)")
    # The plugins' own checks have names that begin with theirs.
    assert {name: said for name, said in named.failed().items() if not name.startswith("step: ")} == {
        "erpPartId well formed, never twice": "'same' in 2 rows",
        "erpPartId index valid and used": "open: unique index of erpPartId on part: run `dotpeen migrate up`",
    }
    named.execute(f"UPDATE part SET {ERP} = id || ' ' WHERE id = 2")
    assert named.failed()["erpPartId well formed, never twice"] == "malformed: '2 '"


def test_what_depends_on_a_column_is_named(named: Plant) -> None:
    named.execute(f"CREATE VIEW numbers AS SELECT {ERP} FROM part")
    with pytest.raises(DotpeenError, match="numbers depends on column"):
        named.down()
    named.execute("DROP VIEW numbers")
    named.down()


def test_a_plugin_that_means_another_column_now_is_refused(named: Plant) -> None:
    named.execute("UPDATE dotpeen.external_reference SET column_name = 'erp_no' WHERE name = 'erpPartId'")
    with pytest.raises(ConfigurationError, match="was migrated as column erp_no"):
        named.up()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["range", "list", "two levels"])
def test_partitioned_tables(plant: Plant, kind: str) -> None:
    build(plant, kind, "column")
    entity = plant.registry.entities["Part"]
    key = ", ".join(repr(column) for column in entity.primary_key)
    plant.declare(f"{PLUGINS}[entities.Part]\ntable = 'part'\nprimary_key = [{key}]\nuuid.column = 'uuid'\n")
    schema = plant.schema()
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    assert plant.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
    plant.execute(f"UPDATE part SET {ERP} = 'E' || id WHERE id % 7 = 0")
    before = values(plant)
    assert plant.failed() == {}
    assert plant.plan().pending == ()
    plant.down()
    assert plant.schema() == schema
    plant.up()
    assert values(plant) == before


@pytest.mark.slow
def test_a_partition_that_comes_while_values_are_copied_is_copied_too(plant: Plant) -> None:
    plant.execute(
        "CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id);"
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)"
    )
    plant.declare(PLUGINS + PART)
    plant.up()
    plant.execute(f"INSERT INTO part (id, {ERP}) VALUES (1, 'E1')")
    with plant.runner() as runner:
        target = runner.target(plant.registry.entities["Part"])
        plant.execute("CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200)")
        drop = remove(target)[0]
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="a partition that is new"):
            runner.execute(drop)
    plant.execute(f"INSERT INTO part (id, {ERP}) VALUES (101, 'E101')")
    plant.down()
    plant.up()
    assert values(plant) == {1: "E1", 101: "E101"}


def test_beside_a_table_that_may_not_be_altered(parts: Plant) -> None:
    schema = parts.schema()
    parts.declare(PLUGINS + SIDECAR)
    steps = [step for step in parts.plan().steps if step.references]
    assert [(str(step.table), step.name, step.lock) for step in steps] == [
        (
            "dotpeen.identity_Part",
            "erpPartId and stepAp242Uuid: values follow their records",
            "SHARE ROW EXCLUSIVE",
        )
    ]
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    after = parts.schema()
    assert [after[subject] for subject in ("columns", "indexes", "constraints")] == [
        schema[subject] for subject in ("columns", "indexes", "constraints")
    ]
    assert parts.plan().pending == ()


def test_values_beside_a_table_follow_their_records(aside: Plant) -> None:
    aside.execute("UPDATE part SET id = 5000 WHERE id = 1")
    aside.execute("DELETE FROM part WHERE id = 2")
    assert beside(aside) == {"3": "473", "5000": "471"}
    assert aside.failed() == {}
    aside.execute("TRUNCATE part")
    assert beside(aside) == {}


def test_values_beside_a_table_outlive_a_rollback(aside: Plant) -> None:
    aside.down()
    assert beside(aside) == {"1": "471", "2": "472", "3": "473"}
    aside.execute("DELETE FROM part WHERE id = 2")  # nobody is there to see it
    assert [check for check in aside.up() if check.outcome == "failed"] == []
    assert beside(aside) == {"1": "471", "3": "473"}


def test_verify_finds_malformed_values_beside_a_table(aside: Plant) -> None:
    aside.execute(
        "INSERT INTO dotpeen.external_value (entity, name, key, value) VALUES"
        " ('Part', 'stepAp242Uuid', '1', 'no uuid'), ('Part', 'erpPartId', '999', 'orphan')"
    )
    assert aside.failed() == {
        "erpPartId well formed, never twice": "of records that are gone: orphan: run `dotpeen migrate up`",
        "stepAp242Uuid well formed, never twice": "malformed: 'no uuid'",
    }


def test_a_column_of_a_table_that_may_not_be_altered_is_used_as_it_is(parts: Plant) -> None:
    parts.execute(f"ALTER TABLE part ADD {ERP} text")
    parts.declare(PLUGINS + SIDECAR)
    schema = parts.schema()
    assert [
        finding.message for finding in parts.plan().findings if finding.subject == "external reference"
    ] == ["erpPartId: no unique index over erpPartId of part, which may not be altered"]
    parts.up()
    parts.down()
    assert parts.schema() == schema
