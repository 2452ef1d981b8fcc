"""Verification: each broken thing makes its check fail, and says what is wrong."""

from __future__ import annotations

import threading

import psycopg
import pytest

from dotpeen.migration import Stage

from .plant import PART, Plant

UUID_1 = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def migrated(parts: Plant) -> Plant:
    """300 parts with their UUIDs, and what keeps them right taken away."""
    parts.execute("CREATE TABLE machine (id int PRIMARY KEY)")
    parts.execute("INSERT INTO machine VALUES (1)")
    parts.execute("ALTER TABLE part ADD machine int REFERENCES machine")
    parts.execute("UPDATE part SET machine = 1 WHERE id = 1")
    parts.up()
    return parts


@pytest.fixture
def unguarded(migrated: Plant) -> Plant:
    """300 parts with their UUIDs, and what keeps them right taken away."""
    migrated.guard("Part", on=False)
    migrated.execute("ALTER TABLE part DROP CONSTRAINT part_uuid_key, ALTER COLUMN uuid DROP NOT NULL")
    return migrated


def test_checks_of_a_sound_migration(migrated: Plant) -> None:
    checks = migrated.verify()
    assert {name: outcome for name, (outcome, _) in checks.items()} == dict.fromkeys(
        [
            "column",
            "every row has a UUID",
            "no UUID twice",
            "no row lost",
            "foreign keys intact",
            "new rows get one",
            "issued UUIDs are guarded",
            "unique and not null enforced",
            "index valid and used",
            "lookups",
        ],
        "ok",
    )
    assert checks["no row lost"][1] == "300 before, 300 now"
    assert checks["foreign keys intact"][1] == "1 checked"
    assert checks["index valid and used"][1].startswith("Index Scan using part_uuid_key on part")


def test_before_the_migration_all_fails_and_nothing_breaks(parts: Plant) -> None:
    failed = parts.failed()
    assert failed["column"] == "part has no column uuid: run `dotpeen migrate up`"
    assert failed["every row has a UUID"].startswith("not migrated: ")


def test_row_without(unguarded: Plant) -> None:
    unguarded.execute("UPDATE part SET uuid = NULL WHERE id IN (3, 4)")
    failed = unguarded.failed()
    assert failed["every row has a UUID"] == "without a UUID: 3, 4"
    assert failed["unique and not null enforced"].startswith("open: unique index on part")
    assert failed["issued UUIDs are guarded"].startswith("the guard trigger is off")
    assert failed["index valid and used"].startswith(
        "a lookup by UUID reads the whole table: Seq Scan on part"
    )


def test_uuid_twice(unguarded: Plant) -> None:
    unguarded.execute("UPDATE part SET uuid = %s WHERE id IN (3, 4)", [UUID_1])
    failed = unguarded.failed()
    assert failed["no UUID twice"] == f"{UUID_1} in 2 rows"


def test_text_out_of_form(parts: Plant) -> None:
    parts.declare(
        PART.replace("'uuid' }", "'uuid', type = 'text' }")
        + "\n[entities.Other]\ntable = 'other'\nuuid = { column = 'uuid' }"
    )
    parts.execute("CREATE TABLE other (id int PRIMARY KEY)")
    parts.up()
    assert parts.verify()["canonical form"] == ("ok", "lower case with hyphens")
    parts.guard("Part", on=False)
    parts.execute("ALTER TABLE part DROP CONSTRAINT part_uuid_uuid")
    parts.execute("UPDATE part SET uuid = 'none' WHERE id = 9")
    failed = parts.failed()
    assert failed["canonical form"] == "row 9: 'none'"
    assert "no UUID in two entities" not in failed


def test_rows_lost(migrated: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dotpeen.migration.verification.STATISTICS_DELAY_SECONDS", 0)
    migrated.execute("DELETE FROM part WHERE id <= 10")
    assert migrated.verify()["no row lost"] == ("ok", "300 before, 290 now, 10 deleted by the plant")
    migrated.execute("TRUNCATE part")
    assert migrated.failed()["no row lost"] == "0 rows and 10 deleted by the plant, but 300 before"


def test_deletes_not_yet_reported_are_waited_for(migrated: Plant) -> None:
    """A session in a transaction tells how many rows it deleted only some time after."""
    with migrated.connect() as other:
        other.execute("DELETE FROM part WHERE id <= 10")
        other.commit()
        # A session that does something else reports within a second, an idle one within ten.
        timer = threading.Timer(1.5, lambda: (other.execute("SELECT 1"), other.commit()))
        timer.start()
        assert migrated.verify()["no row lost"] == ("ok", "300 before, 290 now, 10 deleted by the plant")
        timer.join()


def test_foreign_key_not_validated(migrated: Plant) -> None:
    migrated.execute("ALTER TABLE part DROP CONSTRAINT part_machine_fkey")
    migrated.execute("UPDATE part SET machine = 2 WHERE id = 2")
    migrated.execute(
        "ALTER TABLE part ADD CONSTRAINT to_machine FOREIGN KEY (machine) REFERENCES machine NOT VALID"
    )
    assert migrated.failed() == {"foreign keys intact": "to_machine is not validated"}


def test_foreign_key_broken_past_its_triggers(migrated: Plant) -> None:
    migrated.execute("SET session_replication_role = replica")
    migrated.execute("UPDATE part SET machine = 2 WHERE id IN (2, 3)")
    assert migrated.failed() == {"foreign keys intact": "part_machine_fkey: 2 rows point nowhere"}


def test_missing_index(migrated: Plant) -> None:
    migrated.execute("ALTER TABLE part DROP CONSTRAINT part_uuid_key")
    failed = migrated.failed()
    assert sorted(failed) == ["index valid and used", "unique and not null enforced"]


def test_index_that_waits_for_older_transactions(parts: Plant, server_url: str) -> None:
    # With room on its pages each row is updated in place, which such an index does not cover for older eyes.
    parts.execute("DELETE FROM part WHERE id > 100")
    parts.execute("VACUUM FULL part")
    parts.up(to=Stage.EXPAND)
    with psycopg.connect(server_url) as elsewhere, parts.connect() as report:
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM part")
        parts.up(to=Stage.BACKFILL)
        elsewhere.execute("SELECT pg_current_xact_id()")
        parts.execute("CREATE UNIQUE INDEX part_uuid_key ON part (uuid)")
        report.rollback()
        assert [check for check in parts.up() if check.outcome == "failed"] == []
        waits = "SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'part_uuid_key'::regclass"
        if not parts.value(waits):
            pytest.skip("the server found no row that such an index does not cover")
        assert parts.verify()["index valid and used"] == (
            "note",
            "public.part_uuid_key will be used once the transactions end that are older than it",
        )
    assert parts.verify()["index valid and used"][0] == "ok"


def test_trigger_switched_off(migrated: Plant) -> None:
    for trigger, name in {
        "zz_dotpeen_guard": "issued UUIDs are guarded",
        "zz_dotpeen_fill": "new rows get one",
    }.items():
        for how in ("DISABLE", "ENABLE", "ENABLE REPLICA"):
            migrated.execute(f"ALTER TABLE part {how} TRIGGER {trigger}")
            assert list(migrated.failed()) == [name]
        migrated.execute(f"ALTER TABLE part ENABLE ALWAYS TRIGGER {trigger}")


def test_uuid_in_two_entities(parts: Plant) -> None:
    parts.execute("CREATE TABLE lot (id int PRIMARY KEY)")
    parts.execute("INSERT INTO lot VALUES (1)")
    parts.execute("CREATE TABLE tool (id int PRIMARY KEY)")
    parts.declare(
        PART + "\n[entities.Lot]\ntable = 'lot'\nuuid = { column = 'uuid', type = 'text' }"
        "\n[entities.Tool]\ntable = 'tool'\nuuid = { storage = 'sidecar' }"
    )
    parts.up()
    assert parts.verify()["no UUID in two entities"] == ("ok", "3 entities held against each other")
    uuid = str(parts.uuids()[5])
    parts.execute("INSERT INTO lot VALUES (2, %s)", [uuid])
    assert parts.failed() == {"no UUID in two entities": f"{uuid} in Lot, Part"}


def test_verification_is_remembered(parts: Plant) -> None:
    parts.up(to=Stage.ENFORCE)
    assert parts.value("SELECT verified_at FROM dotpeen.entity") is None
    assert parts.failed() == {}
    assert parts.value("SELECT verified_at IS NOT NULL AND stage = 'verify' FROM dotpeen.entity")
    assert parts.plan().pending == ()
