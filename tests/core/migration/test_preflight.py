"""Preflight: what a DBA would look at before starting; errors stop everything, warnings are told."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from psycopg import conninfo

from dotpeen.errors import ConfigurationError, PreflightError
from dotpeen.migration import Finding, preflight_server

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
    monkeypatch.setattr(preflight_server, "LONG_TRANSACTION_SECONDS", 0)
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
    monkeypatch.setattr(preflight_server, "_free_space", lambda connection: 1000)
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


def test_version_5_is_warned_of_reused_business_identifiers(fresh: Plant) -> None:
    assert found(fresh, "version 5") == []
    fresh.declare(PART.replace("'uuid' }", "'uuid', version = 5 }\nbusiness_id = 'number'"))
    (finding,) = found(fresh, "version 5")
    assert finding.level == "warning"
    assert finding.message.startswith("part: when number of a record is changed and a new record takes")


def test_table_of_another_entity(fresh: Plant) -> None:
    fresh.up()
    assert found(fresh, "error") == []
    fresh.declare(PART.replace("Part", "Item"))
    (finding,) = found(fresh, "error")
    assert finding.message.startswith("part was already migrated as entity Part: ")


def test_prepared_statements_are_noted_until_the_column_is_there(fresh: Plant) -> None:
    (finding,) = found(fresh, "prepared statements")
    assert finding.level == "note"
    fresh.execute("ALTER TABLE part ADD COLUMN uuid uuid")
    assert found(fresh, "prepared statements") == []


@pytest.mark.parametrize("what", ["TABLE part", "ALL TABLES", "TABLES IN SCHEMA public"])
def test_publication_is_warned_of_until_the_column_is_there(fresh: Plant, what: str) -> None:
    if what.startswith("TABLES IN") and fresh.version < 15:
        pytest.skip("publications of a schema came with PostgreSQL 15")
    fresh.execute(f"CREATE PUBLICATION everything FOR {what}")
    (finding,) = found(fresh, "publication")
    assert finding.level == "warning"
    assert finding.message.startswith("part is published with all its columns (everything): ")
    assert finding.hint == 'on every subscriber, first: ALTER TABLE "public"."part" ADD COLUMN "uuid" uuid'
    assert found(fresh, "error") == []
    fresh.execute("ALTER TABLE part ADD COLUMN uuid uuid")
    assert found(fresh, "publication") == []


def test_publication_with_a_column_list_is_none_of_our_business(fresh: Plant) -> None:
    if fresh.version < 15:
        pytest.skip("column lists came with PostgreSQL 15")
    fresh.execute("CREATE PUBLICATION narrow FOR TABLE part (id, number)")
    assert found(fresh, "publication") == []


@pytest.mark.parametrize("root", ["true", "false"])
def test_published_partition_without_replica_identity(fresh: Plant, root: str) -> None:
    fresh.execute("DROP TABLE part")
    fresh.execute("CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id)")
    fresh.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)")
    fresh.execute("CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20)")
    fresh.execute(f"CREATE PUBLICATION p FOR TABLE part WITH (publish_via_partition_root = {root})")
    assert len(found(fresh, "publication")) == 1
    assert found(fresh, "replica identity") == []
    fresh.execute("ALTER TABLE part_2 REPLICA IDENTITY NOTHING")
    (finding,) = found(fresh, "replica identity")
    assert (finding.level, finding.message.split(" (")[0]) == ("error", "part_2 is published for updates")
    fresh.execute("ALTER PUBLICATION p SET (publish = 'insert')")
    assert found(fresh, "replica identity") == []


def test_role_that_sees_no_other_sessions(fresh: Plant, clerk: str) -> None:
    assert found(fresh, "privileges") == []
    hint = f'GRANT pg_monitor TO "{role_of(clerk)}"'
    assert hint in [finding.hint for finding in found(fresh, "privileges", url=clerk)]
    fresh.execute(f"GRANT pg_monitor TO {role_of(clerk)}")
    assert hint not in [finding.hint for finding in found(fresh, "privileges", url=clerk)]


def test_rules_are_warned_of(fresh: Plant) -> None:
    fresh.execute("CREATE RULE kept AS ON UPDATE TO part DO INSTEAD NOTHING")
    fresh.execute("CREATE RULE told AS ON INSERT TO part DO ALSO NOTIFY told")
    fresh.execute("CREATE RULE gone AS ON DELETE TO part DO ALSO NOTIFY told")
    assert [(finding.level, finding.message.split(",")[0]) for finding in found(fresh, "rule")] == [
        ("warning", "part: rule kept rewrites every UPDATE"),
        ("warning", "part: rule told rewrites every INSERT"),
    ]


def test_isolation_of_database_and_roles_is_warned_of(fresh: Plant, clerk: str) -> None:
    name, role = fresh.connection.info.dbname, role_of(clerk)
    assert found(fresh, "isolation") == []
    fresh.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    fresh.execute(f"ALTER ROLE {role} IN DATABASE {name} SET default_transaction_isolation = serializable")
    assert [finding.message.split(":")[0] for finding in found(fresh, "isolation")] == [
        f"default_transaction_isolation of database {name} is repeatable read",
        f"default_transaction_isolation of role {role} in database {name} is serializable",
    ]


def test_rows_that_an_unvalidated_check_would_refuse(fresh: Plant) -> None:
    fresh.execute("ALTER TABLE part ADD CONSTRAINT fine CHECK (part.* IS NOT NULL) NOT VALID")
    assert found(fresh, "unchecked rows") == []
    fresh.execute("ALTER TABLE part ADD CONSTRAINT short CHECK (number NOT LIKE 'P29%') NOT VALID")
    fresh.execute("ALTER TABLE part ADD CONSTRAINT odd CHECK (10 / (id - 5) < 100) NOT VALID")
    assert [(finding.level, finding.message) for finding in found(fresh, "unchecked rows")] == [
        ("warning", "part: CHECK odd (NOT VALID) can't be evaluated: division by zero"),
        (
            "error",
            (
                "part: the row with id 29, and maybe others, violates CHECK short (NOT VALID):"
                " no UUID can be written to it"
            ),
        ),
    ]
    fresh.declare("[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }")
    assert found(fresh, "unchecked rows") == []


def test_prepared_transactions_are_warned_of(fresh: Plant) -> None:
    if fresh.value("SHOW max_prepared_transactions") == "0":
        pytest.skip("the server allows no prepared transactions")
    with fresh.connect() as other:
        other.execute("INSERT INTO part VALUES (1000, 'P1000')")
        other.execute("PREPARE TRANSACTION 'forgotten'")
    try:
        (finding,) = found(fresh, "prepared transaction")
    finally:
        fresh.execute("ROLLBACK PREPARED 'forgotten'")
    assert (finding.level, finding.message.split(" was ")[0]) == ("warning", "'forgotten'")
