"""Stages one by one; each idempotent, each putting right what was broken since, or saying why it can't."""

from __future__ import annotations

import re

import psycopg
import pytest

from dotpeen.errors import ConfigurationError, DotpeenError, PreflightError
from dotpeen.migration import Stage

from .plant import PART, Plant


def ddl(plant: Plant) -> int:
    return int(plant.value("SELECT count(*) FROM dotpeen.journal WHERE sql IS NOT NULL"))


def test_stages_one_by_one_each_twice(parts: Plant) -> None:
    for stage in Stage:
        parts.up(to=stage)
        assert parts.value("SELECT stage FROM dotpeen.entity") == stage
        assert [step for step in parts.plan().pending if step.stage.position <= stage.position] == []
        ran, schema, uuids = ddl(parts), parts.schema(), parts.uuids()
        parts.up(to=stage)
        assert (ddl(parts), parts.schema(), parts.uuids()) == (ran, schema, uuids)
    assert parts.failed() == {}


def test_journal_tells_all_that_ran(parts: Plant) -> None:
    parts.up()
    rows = parts.execute("SELECT entity, stage, action, outcome, rows FROM dotpeen.journal ORDER BY id")
    assert [row[1:] for row in rows if row[0] == "Part"] == [
        ("expand", "fill function", "done", None),
        ("expand", "column, default, fill trigger, guard trigger", "done", None),
        ("backfill", "backfill", "done", 300),
        ("index", "unique index on part", "done", None),
        ("enforce", "constraints, not yet validated", "done", None),
        ("enforce", "validate part_uuid_not_null", "done", None),
        ("enforce", "NOT NULL and unique constraint", "done", None),
        ("verify", "verify", "done", None),
    ]
    held = parts.execute(
        "SELECT attempts, lock_wait_seconds, lock_held_seconds FROM dotpeen.journal WHERE lock = 'ACCESS EXCLUSIVE'"
    )
    assert len(held) == 3
    assert all(attempts == 1 and 0 <= wait < 1 and 0 < hold < 1 for attempts, wait, hold in held)


def test_empty_table(plant: Plant) -> None:
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text)")
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    plant.execute("INSERT INTO part VALUES (1, 'first')")
    assert plant.failed() == {}
    assert plant.down() == {"Part": 1}


@pytest.mark.parametrize("trigger", ["zz_dotpeen_fill", "zz_dotpeen_guard"])
def test_dropped_trigger_is_made_again(parts: Plant, trigger: str) -> None:
    parts.up()
    schema = parts.schema()
    parts.execute(f"DROP TRIGGER {trigger} ON part")
    assert len(parts.failed()) == 1
    parts.up()
    assert parts.schema() == schema


def test_dropped_default_is_set_again(parts: Plant) -> None:
    parts.up()
    schema = parts.schema()
    parts.execute("ALTER TABLE part ALTER COLUMN uuid DROP DEFAULT")
    assert parts.failed() == {"new rows get one": "the column has no default"}
    parts.up()
    assert parts.schema() == schema


def test_dropped_constraints_are_made_again(parts: Plant) -> None:
    parts.up()
    schema = parts.schema()
    parts.execute("ALTER TABLE part DROP CONSTRAINT part_uuid_key, ALTER COLUMN uuid DROP NOT NULL")
    assert parts.plan().pending != ()
    parts.up()
    assert parts.schema() == schema


def test_rows_emptied_by_force_are_filled_again(parts: Plant) -> None:
    parts.up()
    issued = parts.uuids()
    parts.guard("Part", on=False)
    parts.execute("ALTER TABLE part ALTER COLUMN uuid DROP NOT NULL")
    parts.execute("UPDATE part SET uuid = NULL WHERE id IN (5, 6)")
    parts.guard("Part", on=True)
    assert parts.failed()["every row has a UUID"] == "without a UUID: 5, 6"
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    now = parts.uuids()
    assert len(set(now.values()) - {None}) == 300
    assert {k: v for k, v in now.items() if k not in (5, 6)} == {
        k: v for k, v in issued.items() if k not in (5, 6)
    }


def test_dropped_column_is_said_to_be_gone(parts: Plant) -> None:
    """Silently issuing every record another UUID would be the worst answer."""
    parts.up()
    parts.execute("ALTER TABLE part DROP COLUMN uuid CASCADE")
    assert "column" in parts.failed()
    with pytest.raises(PreflightError, match="its column uuid is gone, and the UUIDs with it"):
        parts.up()
    assert not any(column[1] == "uuid" for column in parts.schema()["columns"])
    parts.down()
    assert [check for check in parts.up() if check.outcome == "failed"] == []


def test_table_that_is_gone(parts: Plant) -> None:
    parts.up()
    parts.execute("ALTER TABLE part RENAME TO parts")
    with pytest.raises(PreflightError, match=r"no table part \(did you mean parts\?\)"):
        parts.up()


def test_invalid_index_is_built_anew(parts: Plant) -> None:
    parts.up(to=Stage.BACKFILL)
    with parts.connect() as other:
        # Its snapshot keeps the build waiting; cancelling the build leaves an invalid index.
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM part")
        parts.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            parts.execute("CREATE UNIQUE INDEX CONCURRENTLY part_uuid_key ON part (uuid)")
        parts.execute("RESET statement_timeout")
    assert (
        parts.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_uuid_key'::regclass") is False
    )
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    assert parts.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_uuid_key'::regclass") is True


def test_name_of_our_index_taken_by_something_else_is_an_error(parts: Plant) -> None:
    for taken in ("INDEX part_uuid_key ON part (number)", "TABLE part_uuid_key (n int)"):
        parts.execute(f"CREATE {taken}")
        with pytest.raises(
            PreflightError, match="part_uuid_key is something else than the unique index over uuid"
        ):
            parts.up()
        parts.execute(f"DROP {taken.partition('(')[0].partition(' ON ')[0]}")
    assert [check for check in parts.up() if check.outcome == "failed"] == []


def test_malformed_text_that_a_writer_adds_after_preflight_is_named(parts: Plant) -> None:
    parts.declare(PART.replace("'uuid' }", "'uuid', type = 'text' }"))
    parts.up(to=Stage.INDEX)
    parts.execute("INSERT INTO part VALUES (1001, 'a', 'ABCDEF00-0000-4000-8000-000000000001')")
    with pytest.raises(DotpeenError, match=r"(?s)1001.*ABCDEF00-0000-4000-8000-000000000001") as caught:
        parts.up()
    assert caught.value.hint
    parts.guard("Part", on=False)
    parts.execute("UPDATE part SET uuid = lower(uuid) WHERE id = 1001")
    parts.guard("Part", on=True)
    assert [check for check in parts.up() if check.outcome == "failed"] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (PART.replace("'part'", "'other'"), "the registry now says table other, column uuid, storage column"),
        (PART.replace("'uuid' }", "'uuid2' }"), "the registry now says table part, column uuid2"),
        ("[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }", "storage sidecar"),
    ],
)
def test_registry_that_says_something_else_than_what_was_migrated(
    parts: Plant, changed: str, said: str
) -> None:
    parts.execute("CREATE TABLE other (id int PRIMARY KEY)")
    parts.up(to=Stage.EXPAND)
    before = parts.schema()
    parts.declare(changed)
    for act in (parts.plan, parts.up, parts.down):
        with pytest.raises(ConfigurationError, match=re.escape(said)):
            act()  # type: ignore[operator]
    assert parts.schema() == before


def test_two_entities_one_of_which_is_not_sound(parts: Plant) -> None:
    """Nothing is begun with while anything stands against it."""
    parts.execute("CREATE TABLE heap (n int)")
    before = parts.schema()
    parts.declare(PART + "\n[entities.Heap]\ntable = 'heap'\nprimary_key = 'n'")
    with pytest.raises(PreflightError, match="Heap: n does not identify a row"):
        parts.up()
    assert parts.schema() == before
