"""Rolled back and not yet restored: a UUID stays its record's, whatever happens in between."""

from __future__ import annotations

import psycopg
import pytest

from dotpeen.migration import Runner, Stage, down
from dotpeen.registry import parse_registry

STORAGES = ["column", "sidecar"]


def site(url: str, storage: str) -> Runner:
    registry = parse_registry(
        f'[entities.Part]\ntable = "part"\nuuid = {{ column = "uuid", storage = "{storage}" }}\n'
    )
    return Runner(url, registry, registry.select())


def plant(url: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE part (id int PRIMARY KEY, name text NOT NULL)")
    connection.execute("INSERT INTO part SELECT n, 'record ' || n FROM generate_series(1, 20) AS n")
    return connection


def identities(connection: psycopg.Connection[tuple[object, ...]], storage: str) -> dict[object, object]:
    """Each record's UUID, by its name, which no test changes."""
    source = (
        "SELECT name, uuid FROM public.part"
        if storage == "column"
        else "SELECT name, uuid FROM public.part LEFT JOIN dotpeen.identity ON key = id::text"
    )
    return dict(connection.execute(source).fetchall())  # type: ignore[arg-type]


@pytest.mark.parametrize("storage", STORAGES)
def test_rollback_of_an_unfinished_restore_loses_nothing(database: str, storage: str) -> None:
    with plant(database) as connection, site(database, storage) as runner:
        runner.up()
        before = identities(connection, storage)
        down(runner)
        runner.up(to=Stage.EXPAND)  # and then it was stopped
        down(runner)
        runner.up()
        assert identities(connection, storage) == before


@pytest.mark.parametrize("storage", STORAGES)
def test_keys_that_change_before_the_restore_take_their_uuid_along(database: str, storage: str) -> None:
    with plant(database) as connection, site(database, storage) as runner:
        runner.up()
        before = identities(connection, storage)
        down(runner)
        runner.up(to=Stage.EXPAND)
        for change in ("id + 100 WHERE id <= 2", "1 WHERE id = 102", "2 WHERE id = 101"):
            connection.execute(f"UPDATE part SET id = {change}".encode())
        runner.up()
        assert identities(connection, storage) == before


@pytest.mark.parametrize("storage", STORAGES)
def test_nothing_of_a_restore_is_left_on_the_table(database: str, storage: str) -> None:
    with plant(database) as connection, site(database, storage) as runner:
        runner.up()
        down(runner)
        runner.up()
        names = {row[0] for row in connection.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")}
        assert "zz_dotpeen_carry" not in names
        assert "zz_dotpeen_capture" not in names


def test_functions_with_our_rights_are_nobody_elses_triggers(database: str) -> None:
    with plant(database) as connection, site(database, "sidecar") as runner:
        runner.up()
        connection.execute("CREATE ROLE mallory_restored LOGIN")
        try:
            connection.execute("SET ROLE mallory_restored")
            connection.execute("CREATE TEMP TABLE mine (id int)")
            for purpose in ("issue", "rekey", "retire", "truncate"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(
                        f'CREATE TRIGGER t AFTER INSERT ON mine EXECUTE FUNCTION dotpeen."{purpose}_Part"()'.encode()
                    )
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP TABLE IF EXISTS pg_temp.mine")
            connection.execute("DROP ROLE mallory_restored")


def test_a_temporary_type_can_not_take_the_place_of_a_system_type(database: str) -> None:
    with plant(database) as connection, site(database, "sidecar") as runner:
        runner.up()
        connection.execute(
            "CREATE FUNCTION pg_temp.refuse(value anyelement) RETURNS boolean LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'ran with the rights of %', current_user; END $$"
        )
        connection.execute("CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.refuse(value))")
        connection.execute("INSERT INTO part VALUES (1001, 'new')")
        assert None not in identities(runner.connection, "sidecar").values()
