"""New rows have their UUID from the moment the column exists, however they come in."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from dotpeen.migration import Stage

from .plant import Plant

FORMS = {
    "v4": "version = 4",
    "v5": "version = 5",
    "v7": "version = 7",
    "text": "type = 'text'",
    "text v5": "type = 'text', version = 5",
    "text v7": "type = 'text', version = 7",
}
GIVEN = "12345678-1234-4234-8234-123456789abc"


@pytest.fixture(params=FORMS)
def expanded(parts: Plant, request: pytest.FixtureRequest) -> Plant:
    """300 parts whose column was only just added."""
    form = FORMS[request.param]
    parts.declare(
        f"[entities.Part]\ntable = 'part'\nbusiness_id = 'number'\nuuid = {{ column = 'uuid', {form} }}"
    )
    parts.up(to=Stage.EXPAND)
    return parts


def test_every_way_in_gives_a_uuid(expanded: Plant) -> None:
    execute = expanded.execute
    execute("INSERT INTO part (id, number) VALUES (1001, 'default')")
    execute("INSERT INTO part (id, number, uuid) VALUES (1002, 'explicit null', NULL)")
    execute(
        "INSERT INTO part (id, number, uuid) SELECT n, 'select' || n, NULL FROM generate_series(1003, 1004) AS n"
    )
    execute(
        "INSERT INTO part (id, number) VALUES (1005, 'upsert'), (1, 'P1')"
        " ON CONFLICT (id) DO UPDATE SET number = excluded.number || '+'"
    )
    with expanded.connection.cursor().copy("COPY part (id, number) FROM STDIN") as copy:
        copy.write_row((1006, "copy"))
    with expanded.connection.cursor().copy("COPY part (id, number, uuid) FROM STDIN") as copy:
        copy.write_row((1007, "copy null", None))
    execute("SET session_replication_role = replica")
    execute("INSERT INTO part (id, number, uuid) VALUES (1008, 'replica', NULL)")
    execute("RESET session_replication_role")
    execute("SET search_path = pg_temp")
    execute("INSERT INTO public.part (id, number) VALUES (1009, 'path')")
    execute("RESET search_path")
    found = {key: uuid for key, uuid in expanded.uuids().items() if key > 1000}
    assert sorted(found) == list(range(1001, 1010))
    assert len({str(UUID(str(uuid))) for uuid in found.values()}) == 9
    # The row that was there and only updated waits for the backfill.
    assert expanded.value("SELECT uuid FROM part WHERE id = 1") is None
    assert [check for check in expanded.up() if check.outcome == "failed"] == []
    assert {key: uuid for key, uuid in expanded.uuids().items() if key > 1000} == found


def test_role_without_rights_in_our_schema_can_insert(expanded: Plant) -> None:
    role = f"clerk_{expanded.connection.info.dbname}"
    expanded.execute(f"CREATE ROLE {role}")
    try:
        expanded.execute(f"GRANT SELECT, INSERT, UPDATE ON part TO {role}")
        expanded.execute(f"SET ROLE {role}")
        expanded.execute("INSERT INTO part (id, number) VALUES (1001, 'a')")
        expanded.execute("INSERT INTO part (id, number, uuid) VALUES (1002, 'b', NULL)")
        expanded.execute("UPDATE part SET number = 'c' WHERE id = 1001")
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="permanent"):
            expanded.execute("UPDATE part SET uuid = gen_random_uuid() WHERE id = 1001")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            expanded.execute("SELECT * FROM dotpeen.issued")
        assert expanded.value("SELECT count(DISTINCT uuid) FROM part WHERE id > 1000") == 2
    finally:
        expanded.execute("RESET ROLE")
        expanded.execute(f"DROP OWNED BY {role}")
        expanded.execute(f"DROP ROLE {role}")


def test_uuid_that_the_application_gives_is_kept(expanded: Plant) -> None:
    expanded.execute("INSERT INTO part VALUES (1001, 'own', %s)", [GIVEN])
    expanded.up()
    assert str(expanded.uuids()[1001]) == GIVEN
    expanded.down()
    expanded.up()
    assert str(expanded.uuids()[1001]) == GIVEN


def test_row_given_a_uuid_by_hand_before_the_backfill_keeps_it(parts: Plant) -> None:
    parts.up(to=Stage.EXPAND)
    parts.execute("UPDATE part SET uuid = %s WHERE id = 7", [GIVEN])
    parts.up()
    assert str(parts.uuids()[7]) == GIVEN


def test_triggers_of_the_application_run_before_ours(parts: Plant) -> None:
    """A BEFORE trigger that empties the column does not get a row in without a UUID."""
    parts.up(to=Stage.EXPAND)
    parts.execute(
        "CREATE FUNCTION empty() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.uuid := NULL; RETURN NEW; END'"
    )
    parts.execute("CREATE TRIGGER yy BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION empty()")
    parts.execute("INSERT INTO part VALUES (1001, 'a')")
    assert parts.uuids()[1001] is not None
