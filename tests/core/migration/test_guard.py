"""An issued UUID cannot be changed or cleared by anyone; turning that off is a deliberate, journalled act."""

from __future__ import annotations

import psycopg
import pytest

from dotpeen.errors import ConfigurationError
from dotpeen.migration import Stage, journal

from .plant import Plant

OTHER = "12345678-1234-4234-8234-123456789abc"
CHANGES = {
    "another value": f"UPDATE part SET uuid = '{OTHER}' WHERE id = 1",
    "null": "UPDATE part SET uuid = NULL WHERE id = 1",
    "default": "UPDATE part SET uuid = DEFAULT WHERE id = 1",
    "all rows": "UPDATE part SET uuid = gen_random_uuid()",
    "upsert": "INSERT INTO part (id, number) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET uuid = excluded.uuid",
    "from": f"UPDATE part SET uuid = '{OTHER}' FROM generate_series(1, 1) AS n WHERE id = n",
    "with the key": f"UPDATE part SET id = 5000, uuid = '{OTHER}' WHERE id = 1",
    "merge": f"MERGE INTO part USING (VALUES (1)) AS s (id) ON part.id = s.id"
    f" WHEN MATCHED THEN UPDATE SET uuid = '{OTHER}'",
}


@pytest.fixture
def migrated(parts: Plant) -> Plant:
    """300 parts with their UUIDs."""
    parts.up()
    return parts


def test_no_statement_changes_an_issued_uuid(migrated: Plant) -> None:
    before = migrated.uuids()
    for mode in ("origin", "replica"):
        migrated.execute(f"SET session_replication_role = {mode}")
        for name, statement in CHANGES.items():
            # PostgreSQL's own NOT NULL speaks before the guard does.
            said = "violates not-null" if name == "null" else "is permanent"
            with pytest.raises(psycopg.IntegrityError, match=said):
                migrated.execute(statement)
    assert migrated.uuids() == before


def test_refusal_says_which_column_and_what_to_do(migrated: Plant) -> None:
    uuid = migrated.uuids()[1]
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation) as caught:
        migrated.execute(CHANGES["another value"])
    said = caught.value.diag
    assert said.message_primary == f"the UUID of a Part record is permanent: {uuid} can not become {OTHER}"
    assert said.message_hint == (
        "Leave column uuid out of the UPDATE. Where a UUID really is wrong:"
        ' dotpeen migrate guard off Part --reason "..."'
    )
    assert (said.schema_name, said.table_name, said.column_name) == ("public", "part", "uuid")


def test_trigger_of_the_application_can_not_change_it_either(migrated: Plant) -> None:
    migrated.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.uuid := gen_random_uuid(); RETURN NEW; END'"
    )
    migrated.execute(
        "CREATE TRIGGER zzz BEFORE UPDATE OF number ON part FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="permanent"):
        migrated.execute("UPDATE part SET number = 'new' WHERE id = 1")
    assert migrated.value("SELECT number FROM part WHERE id = 1") == "P1"


def test_guard_is_there_before_the_backfill(parts: Plant) -> None:
    parts.up(to=Stage.EXPAND)
    parts.execute("INSERT INTO part VALUES (1001, 'a')")
    for value in ("NULL", f"'{OTHER}'"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is permanent"):
            parts.execute(f"UPDATE part SET uuid = {value} WHERE id = 1001")


def test_updates_that_leave_it_alone_pass(migrated: Plant) -> None:
    before = migrated.uuids()
    migrated.execute("UPDATE part SET uuid = uuid")
    migrated.execute("UPDATE part SET number = number || '+', uuid = (uuid::text)::uuid")
    migrated.execute(
        "MERGE INTO part USING (SELECT id, uuid FROM part) AS s ON part.id = s.id"
        " WHEN MATCHED THEN UPDATE SET uuid = s.uuid, number = part.number || '+'"
    )
    assert migrated.uuids() == before
    assert migrated.value("SELECT number FROM part WHERE id = 1") == "P1++"


def test_guard_off_is_a_journalled_act(migrated: Plant) -> None:
    migrated.guard("Part", on=False)
    assert migrated.failed() == {
        "issued UUIDs are guarded": "the guard trigger is off: `dotpeen migrate guard on`"
    }
    migrated.execute(CHANGES["another value"])
    assert str(migrated.uuids()[1]) == OTHER
    migrated.guard("Part", on=True)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        migrated.execute("UPDATE part SET uuid = gen_random_uuid() WHERE id = 1")
    outcome, detail = migrated.verify()["issued UUIDs are guarded"]
    assert outcome == "note"
    assert detail.startswith("on; it was turned off 1 times, last at ")
    with migrated.runner() as runner:
        entries = journal.read(runner.connection, entity="Part")
    switched = [(e.action, e.outcome, e.detail) for e in entries if e.action.startswith("guard")]
    assert switched == [
        ("guard off", "noted", {"reason": "a test"}),
        ("guard on", "noted", {"reason": "a test"}),
    ]


def test_guard_of_what_is_not_migrated_is_refused(parts: Plant) -> None:
    with pytest.raises(ConfigurationError, match="Part has no guard yet"):
        parts.guard("Part", on=False)


def test_guard_of_a_sidecar(parts: Plant) -> None:
    parts.declare("[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }")
    parts.up()
    before = parts.identities()
    for change in (
        f"UPDATE dotpeen.identity SET uuid = '{OTHER}' WHERE key = '1'",
        'UPDATE "dotpeen"."identity_Part" SET uuid = gen_random_uuid()',
    ):
        with pytest.raises(
            psycopg.errors.IntegrityConstraintViolation, match="UUID of a Part record is permanent"
        ):
            parts.execute(change)
    assert parts.identities() == before
    parts.guard("Part", on=False)
    parts.execute(f"UPDATE dotpeen.identity SET uuid = '{OTHER}' WHERE key = '1'")
    assert "issued UUIDs are guarded" in parts.failed()
    parts.guard("Part", on=True)
    assert parts.failed() == {}
    assert str(parts.identities()["1"]) == OTHER


def test_guard_of_partitions(plant: Plant) -> None:
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id)")
    plant.execute("CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (1) TO (100)")
    plant.execute("CREATE TABLE part_high PARTITION OF part DEFAULT")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 200) AS n")
    plant.up()
    before = plant.uuids()
    plant.execute("UPDATE part SET id = 1050 WHERE id = 50")
    assert plant.uuids()[1050] == before[50]
    for statement in (
        f"UPDATE part SET uuid = '{OTHER}' WHERE id = 1",
        f"UPDATE part_low SET uuid = '{OTHER}' WHERE id = 1",
        f"UPDATE part SET uuid = '{OTHER}', id = 1001 WHERE id = 1",
    ):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="permanent"):
            plant.execute(statement)
    plant.execute("ALTER TABLE part_low DISABLE TRIGGER zz_dotpeen_guard")
    assert plant.failed() == {
        "issued UUIDs are guarded": "the guard trigger of partition part_low is off: `dotpeen migrate guard on`"
    }
    plant.guard("Part", on=True)
    assert plant.failed() == {}
    plant.guard("Part", on=False)
    plant.execute(f"UPDATE part SET uuid = '{OTHER}' WHERE id = 1")
