"""Preflight: what a DBA would look at before starting; errors stop everything, warnings are told."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from psycopg import conninfo

from dotpeen.errors import ConfigurationError, PreflightError
from dotpeen.migration import Finding, preflight

from .plant import PART, Plant


def found(plant: Plant, subject: str, url: str | None = None) -> list[Finding]:
    return [
        finding for finding in plant.plan(url=url).findings if subject in (finding.subject, finding.level)
    ]


@pytest.fixture
def fresh(database: str) -> Iterator[Plant]:
    """300 parts in a database that never heard of us."""
    plant = Plant(database)
    plant.execute("CREATE TABLE part (id int PRIMARY KEY, number text NOT NULL UNIQUE)")
    plant.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(1, 300) AS n")
    yield plant
    plant.close()


@pytest.fixture
def clerk(fresh: Plant) -> Iterator[str]:
    """URL of a role that can log in and may nothing."""
    role = f"clerk_{fresh.connection.info.dbname}"
    fresh.execute(f"CREATE ROLE {role} LOGIN")
    parts = conninfo.conninfo_to_dict(fresh.url)
    yield f"postgresql://{role}@/{parts['dbname']}?host={quote(str(parts['host']), safe='')}"
    fresh.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
    fresh.execute(f"DROP OWNED BY {role}")
    fresh.execute(f"DROP ROLE {role}")


def role_of(url: str) -> str:
    return str(conninfo.conninfo_to_dict(url)["user"])


def test_planning_changes_nothing(fresh: Plant) -> None:
    before = fresh.schema()
    plan = fresh.plan()
    assert len(plan.pending) == len(plan.steps) == 8
    assert fresh.value("SELECT to_regnamespace('dotpeen') IS NULL")
    assert fresh.schema() == before


def test_role_without_any_rights(fresh: Plant, clerk: str) -> None:
    role = role_of(clerk)
    before = fresh.schema()
    with pytest.raises(PreflightError) as caught:
        fresh.up(url=clerk)
    message = caught.value.message
    assert f"role {role} may not read part (GRANT SELECT ON " in message
    assert f"part belongs to postgres: role {role} can't add a column to it" in message
    assert f"role {role} may not create schema dotpeen (GRANT CREATE ON DATABASE " in message
    assert fresh.schema() == before
    assert fresh.value("SELECT to_regnamespace('dotpeen') IS NULL")


def test_owner_of_the_table_without_create_on_the_database(fresh: Plant, clerk: str) -> None:
    fresh.execute(f"ALTER TABLE part OWNER TO {role_of(clerk)}")
    with pytest.raises((PreflightError, ConfigurationError), match="may not create schema dotpeen"):
        fresh.up(url=clerk)


@pytest.mark.parametrize("storage", ["column", "sidecar"])
def test_ordinary_owner_needs_no_more_rights(fresh: Plant, clerk: str, storage: str) -> None:
    role = role_of(clerk)
    fresh.declare(f"[entities.Part]\ntable = 'part'\nuuid = {{ column = 'uuid', storage = '{storage}' }}")
    fresh.execute(f"ALTER TABLE part OWNER TO {role}")
    fresh.execute(f"GRANT CREATE ON DATABASE {fresh.connection.info.dbname} TO {role}")
    fresh.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    assert [check for check in fresh.up(url=clerk) if check.outcome == "failed"] == []
    assert fresh.value("SELECT tableowner FROM pg_tables WHERE tablename = 'journal'") == role


def test_table_without_primary_key(fresh: Plant) -> None:
    fresh.execute("ALTER TABLE part DROP CONSTRAINT part_pkey")
    before = fresh.schema()
    with pytest.raises(
        PreflightError, match="id does not identify a row: no unique, never-null index over it"
    ):
        fresh.up()
    assert fresh.schema() == before


def test_long_transaction_is_warned_of(fresh: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "LONG_TRANSACTION_SECONDS", 0)
    with fresh.connect("reporting") as other:
        other.execute("SELECT 1")
        pid = other.info.backend_pid
        (finding,) = found(fresh, "long transaction")
    assert finding.level == "warning"
    assert finding.message.startswith(
        f"pid {pid} (user postgres, reporting, idle in transaction) has a transaction"
    )


def test_triggers_that_would_fire_for_every_row_are_warned_of(fresh: Plant) -> None:
    fresh.execute("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    for name, event in {
        "every": "BEFORE UPDATE ON part FOR EACH ROW",
        "one_column": "BEFORE UPDATE OF number ON part FOR EACH ROW",
        "statement": "AFTER UPDATE ON part FOR EACH STATEMENT",
        "switched_off": "AFTER UPDATE ON part FOR EACH ROW",
    }.items():
        fresh.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION touch()")
    fresh.execute("ALTER TABLE part DISABLE TRIGGER switched_off")
    assert [finding.message for finding in found(fresh, "trigger")] == [
        "part: trigger every (public.touch) will fire for every row filled"
    ]
    fresh.up()
    assert found(fresh, "trigger") == []


def test_space_is_told(fresh: Plant) -> None:
    fresh.execute("ANALYZE part")
    (finding,) = found(fresh, "disk space")
    assert finding.level == "note"
    assert finding.message.startswith("up to 300.0 kB of new row versions and WAL for 300 rows, ")


def test_too_little_space_is_warned_of(fresh: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.execute("ANALYZE part")
    monkeypatch.setattr(preflight, "_free_space", lambda connection: 1000)
    (finding,) = found(fresh, "disk space")
    assert (finding.level, finding.message) == (
        "warning",
        "up to 300.0 kB of new row versions and WAL for 300 rows, 1.0 kB free",
    )


def test_inactive_replication_slot_is_warned_of(fresh: Plant) -> None:
    name = f"slot_{fresh.connection.info.dbname}"
    fresh.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
    try:
        (finding,) = [f for f in found(fresh, "replication slot") if f.message.startswith(name)]
    finally:
        fresh.execute("SELECT pg_drop_replication_slot(%s)", [name])
    assert finding.level == "warning"
    assert finding.message.startswith(f"{name} (inactive) keeps ")


def test_version_5_needs_a_business_identifier_of_every_row(fresh: Plant) -> None:
    fresh.execute("ALTER TABLE part ALTER COLUMN number DROP NOT NULL")
    fresh.execute("UPDATE part SET number = NULL WHERE id = 7")
    fresh.declare(PART.replace("'uuid' }", "'uuid', version = 5 }\nbusiness_id = 'number'"))
    with pytest.raises(PreflightError) as caught:
        fresh.up()
    assert "number may be null: such a row has nothing to derive its UUID from" in caught.value.message


def test_version_5_needs_a_unique_business_identifier(fresh: Plant) -> None:
    fresh.execute("ALTER TABLE part DROP CONSTRAINT part_number_key")
    fresh.execute("UPDATE part SET number = 'P8' WHERE id = 7")
    fresh.declare(PART.replace("'uuid' }", "'uuid', version = 5 }\nbusiness_id = 'number'"))
    with pytest.raises(PreflightError) as caught:
        fresh.up()
    assert "number is not unique in the database: two rows of the same value" in caught.value.message
