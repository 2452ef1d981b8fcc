"""An issued UUID cannot be changed or cleared by anyone; turning that off is a deliberate, journalled act."""

from __future__ import annotations

import psycopg
import pytest

from dotpeen.errors import ConfigurationError
from dotpeen.migration import Stage, journal

from .plant import Plant

OTHER = "12345678-1234-4234-8234-123456789abc"
GUARDS = ("zz_dotpeen_guard", "zz_dotpeen_guard_after")
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
    assert detail.startswith("on; it was turned off once, last at ")
    with migrated.runner() as runner:
        entries = journal.read(runner.connection, entity="Part")
    switched = [(e.action, e.outcome, e.detail) for e in entries if e.action.startswith("guard")]
    assert switched == [
        ("guard off", "noted", {"reason": "a test"}),
        ("guard on", "noted", {"reason": "a test"}),
    ]


def test_guard_that_is_off_already_is_not_turned_off_again(migrated: Plant) -> None:
    assert [migrated.guard("Part", on=on) for on in (True, False, False, True, True)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    outcome, detail = migrated.verify()["issued UUIDs are guarded"]
    assert (outcome, detail.split(",")[0]) == ("note", "on; it was turned off once")
    switched = "SELECT action FROM dotpeen.journal WHERE action LIKE 'guard%' ORDER BY id"
    assert migrated.execute(switched) == [("guard off",), ("guard on",)]


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


@pytest.fixture
def partitioned(plant: Plant) -> Plant:
    """200 parts in two partitions, not yet migrated."""
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id)")
    plant.execute("CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (1) TO (100)")
    plant.execute("CREATE TABLE part_high PARTITION OF part DEFAULT")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 200) AS n")
    return plant


def test_guard_of_partitions(partitioned: Plant) -> None:
    plant = partitioned
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
    for guard in GUARDS:
        for partition in ("part_low", "part_high"):
            plant.execute(f"ALTER TABLE {partition} DISABLE TRIGGER {guard}")
            told = f"the guard trigger of partition {partition} is off: `dotpeen migrate guard on`"
            assert plant.failed() == {"issued UUIDs are guarded": told}
            plant.guard("Part", on=True)
            assert plant.failed() == {}
    plant.guard("Part", on=False)
    plant.execute(f"UPDATE part SET uuid = '{OTHER}' WHERE id = 1")


def spoil(plant: Plant, events: str, *, name: str = "zzz", on: str = "part") -> None:
    """A trigger of the application that puts another UUID into every row."""
    plant.execute(
        "CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.uuid := gen_random_uuid(); RETURN NEW; END'"
    )
    plant.execute(f"CREATE TRIGGER {name} BEFORE {events} ON {on} FOR EACH ROW EXECUTE FUNCTION spoil()")


@pytest.mark.parametrize("on", ["part", "part_low"])
def test_trigger_that_comes_after_the_first_guard_of_a_partition_is_seen_too(
    partitioned: Plant, on: str
) -> None:
    partitioned.up()
    before = partitioned.uuids()
    spoil(partitioned, "UPDATE", on=on)
    for mode in ("origin", "replica"):
        partitioned.execute(f"SET session_replication_role = {mode}")
        partitioned.execute(f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER zzz")
        for table in ("part", "part_low"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is permanent"):
                partitioned.execute(f"UPDATE {table} SET number = 'new' WHERE id = 1")
    assert partitioned.uuids() == before


def test_trigger_that_comes_before_the_guards_is_seen_when_a_row_moves(partitioned: Plant) -> None:
    partitioned.up()
    spoil(partitioned, "UPDATE", name="touch")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is permanent"):
        partitioned.execute("UPDATE part SET id = 1001 WHERE id = 1")
    assert partitioned.failed() == {}
    assert partitioned.verify()["issued UUIDs are guarded"] == ("ok", "on, never turned off")


@pytest.mark.parametrize(
    ("events", "on", "remedy"),
    [
        (
            "UPDATE",
            "part_low",
            'ALTER TRIGGER "zzz" ON "public"."part_low" RENAME TO …, a name that sorts before zz_dotpeen_guard',
        ),
        ("INSERT", "part_high", "make sure that public.spoil leaves uuid alone where it is not null"),
        ("INSERT OR UPDATE", "part", "make sure that public.spoil leaves uuid alone where it is not null"),
    ],
)
def test_trigger_that_no_guard_can_see_when_a_row_moves_is_named(
    partitioned: Plant, events: str, on: str, remedy: str
) -> None:
    spoil(partitioned, events, on=on)
    changes = (
        f"{on}: trigger zzz (public.spoil) could change the UUID of a row that moves to another partition"
    )
    (finding,) = [finding for finding in partitioned.plan().findings if finding.subject == "moved rows"]
    assert (finding.level, finding.message, finding.hint) == (
        "warning",
        f"{changes}, unseen by the guard",
        remedy,
    )
    partitioned.execute(f"ALTER TABLE {on} DISABLE TRIGGER zzz")
    partitioned.up()
    partitioned.execute(f"ALTER TABLE {on} ENABLE TRIGGER zzz")
    assert partitioned.verify()["issued UUIDs are guarded"] == ("note", f"on; {changes}: {remedy}")
    # That is what is meant: were it caught, the note would be needless.
    before = partitioned.uuids()
    partitioned.execute("UPDATE part SET id = 1001 WHERE id = 1")
    assert partitioned.uuids()[1001] != before[1]


HARMLESS = {
    "stamps": "NEW.number := upper(NEW.number); RETURN NEW;",
    "refuses": "IF NEW.id < 0 THEN RETURN NULL; END IF; RETURN new;",
}
SUSPECT = {
    "by name": "NEW.UUID := gen_random_uuid(); RETURN NEW;",
    "whole row": "NEW := jsonb_populate_record(NEW, '{\"u\": 1}'); RETURN NEW;",
    "dynamic": "EXECUTE 'SELECT $1' INTO NEW USING NEW; RETURN NEW;",
    "another row": "DECLARE r part; BEGIN r := NEW; RETURN r; END;",
    "an expression": "RETURN (SELECT p FROM part AS p LIMIT 1);",
}


@pytest.mark.parametrize("body", [*HARMLESS, *SUSPECT])
def test_trigger_that_can_not_reach_the_uuid_is_not_named(partitioned: Plant, body: str) -> None:
    source = HARMLESS.get(body) or SUSPECT[body]
    partitioned.execute(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {source} END $$")
    partitioned.execute("CREATE TRIGGER zzz BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION f()")
    named = [finding for finding in partitioned.plan().findings if finding.subject == "moved rows"]
    assert len(named) == (body in SUSPECT)


def test_second_guard_comes_to_what_was_migrated_with_one(partitioned: Plant) -> None:
    partitioned.up()
    complete = partitioned.schema()
    partitioned.execute("DROP TRIGGER zz_dotpeen_guard_after ON part")
    assert partitioned.failed() == {
        "issued UUIDs are guarded": "the guard trigger zz_dotpeen_guard_after is missing: `dotpeen migrate up`"
    }
    # The one that is there can be switched meanwhile.
    assert partitioned.guard("Part", on=False)
    assert partitioned.guard("Part", on=True)
    (step,) = [step for step in partitioned.plan().pending if step.stage is not Stage.VERIFY]
    assert (step.stage, step.name) == (Stage.EXPAND, "guard after trigger")
    assert [check for check in partitioned.up() if check.outcome == "failed"] == []
    assert partitioned.schema() == complete
    assert partitioned.plan().pending == ()


def test_partition_that_comes_later_has_both_guards(partitioned: Plant) -> None:
    partitioned.up()
    partitioned.execute("ALTER TABLE part DETACH PARTITION part_low")
    assert partitioned.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'part_low'::regclass") == []
    partitioned.execute("ALTER TABLE part ATTACH PARTITION part_low FOR VALUES FROM (1) TO (100)")
    assert partitioned.execute(
        "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'part_low'::regclass"
        " AND tgname LIKE '%guard%' ORDER BY 1"
    ) == [(guard, "A") for guard in GUARDS]
    assert partitioned.failed() == {}
