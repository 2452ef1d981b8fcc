"""The sample MES: complete, consistent, and the same for everyone who asks for the same rows and seed."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dotpeen.demo.sample import SHARES, TABLES, create_schema, distribute, fill, new_cuid

CUID = re.compile(r"c[a-z0-9]{24}")
ROWS = 2000


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def plant(server: Any) -> Iterator[psycopg.Connection]:
    """A connection to a filled sample that all tests share: they leave it as it is."""
    url = server.create()
    with psycopg.connect(url, autocommit=True) as connection:
        create_schema(connection)
        fill(connection, ROWS)
        yield connection
    server.drop(url)


def number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def checksums(connection: psycopg.Connection, schema: str) -> dict[str, str]:
    query = 'SELECT md5(string_agg(t::text, chr(10) ORDER BY "id" COLLATE "C")) FROM {} AS t'
    return {
        table: connection.execute(sql.SQL(query).format(sql.Identifier(schema, table))).fetchone()[0]
        for table in TABLES
    }


def indexes_and_keys(connection: psycopg.Connection) -> list[tuple[str, ...]]:
    return connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    ).fetchall()


@pytest.mark.parametrize("rows", [13, 14, 100, 999, 20_000, 1_000_000, 12_345_678])
def test_the_tables_share_exactly_the_rows_asked_for(rows: int) -> None:
    counts = distribute(rows)
    assert (sum(counts.values()), min(counts.values()) >= 1) == (rows, True)


def test_shares_make_up_the_whole_and_results_are_the_majority() -> None:
    assert (sum(SHARES.values()), SHARES["QIFMeasurementResult"] > 5000) == (10_000, True)


def test_fewer_rows_than_tables_are_refused(connection: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="12 rows are too few"):
        fill(connection, 12)


def test_each_table_has_the_number_of_rows_that_fill_returns(connection: psycopg.Connection) -> None:
    create_schema(connection)
    counts = fill(connection, ROWS)
    counted = {table: number(connection, f'SELECT count(*) FROM "{table}"') for table in TABLES}
    assert counts == counted


@pytest.mark.parametrize("rows", [13, 20, 57])
def test_the_smallest_samples_are_complete_too(connection: psycopg.Connection, rows: int) -> None:
    create_schema(connection)
    fill(connection, rows)
    assert sum(number(connection, f'SELECT count(*) FROM "{table}"') for table in TABLES) == rows


def test_same_rows_and_seed_give_the_same_bytes_in_any_schema(connection: psycopg.Connection) -> None:
    for schema, seed, zone in (("public", 7, "UTC"), ("Plant 2", 7, "Asia/Kolkata"), ("other", 8, "UTC")):
        connection.execute("SELECT set_config('timezone', %s, false)", [zone])
        create_schema(connection, schema=schema)
        fill(connection, ROWS, seed=seed, schema=schema)
    first, again, other = (checksums(connection, schema) for schema in ("public", "Plant 2", "other"))
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_batches_leave_no_trace(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for schema, batch in (("public", 250_000), ("other", 701)):
        monkeypatch.setattr("dotpeen.demo.sample.BATCH", batch)
        create_schema(connection, schema=schema)
        fill(connection, ROWS, schema=schema)
    assert checksums(connection, "public") == checksums(connection, "other")


def test_filling_leaves_indexes_keys_and_search_path_as_they_were(connection: psycopg.Connection) -> None:
    create_schema(connection)
    before = (indexes_and_keys(connection), connection.execute("SHOW search_path").fetchone())
    fill(connection, ROWS)
    assert (indexes_and_keys(connection), connection.execute("SHOW search_path").fetchone()) == before


def test_names_are_those_that_prisma_gives(plant: psycopg.Connection) -> None:
    names = {name for name, _ in indexes_and_keys(plant)}
    assert names >= {
        "Part_pkey",
        "Part_partNumber_key",
        "SerializedPart_partId_idx",
        "SerializedPart_partId_fkey",
        "SerializedPart_serialNumber_partId_key",
        "QIFMeasurementPlan_planNumber_version_key",
        "QIFCharacteristic_planId_characteristicNumber_key",
    }


def test_every_id_is_a_cuid_and_no_column_is_a_uuid(plant: psycopg.Connection) -> None:
    ids = [row[0] for table in TABLES for row in plant.execute(f'SELECT "id" FROM "{table}"')]
    uuids = number(
        plant,
        "SELECT count(*) FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'uuid'",
    )
    assert (len(set(ids)), [i for i in ids if not CUID.fullmatch(i)], uuids) == (ROWS, [], 0)


def test_ids_grow_with_time(plant: psycopg.Connection) -> None:
    for table in TABLES:
        rows = plant.execute(f'SELECT "id" FROM "{table}" ORDER BY "createdAt"').fetchall()
        assert rows == sorted(rows)


def test_foreign_keys_are_valid_and_restrict_deletion(plant: psycopg.Connection) -> None:
    assert number(plant, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated") == 12
    with pytest.raises(psycopg.IntegrityError, match="_fkey"):
        plant.execute('DELETE FROM "Part"')


def test_results_pass_exactly_within_tolerance(plant: psycopg.Connection) -> None:
    wrong = number(
        plant,
        """SELECT count(*) FROM "QIFMeasurementResult" AS r
             JOIN "QIFCharacteristic" AS c ON c."id" = r."characteristicId"
            WHERE (r."status" = 'PASS')
                  <> (r."measuredValue"::numeric - c."nominalValue"::numeric
                      BETWEEN c."toleranceLower"::numeric AND c."toleranceUpper"::numeric)
               OR r."measuredValue"::numeric - c."nominalValue"::numeric <> r."deviation"::numeric""",
    )
    failed = number(plant, """SELECT count(*) FROM "QIFMeasurementResult" WHERE "status" = 'FAIL'""")
    total = number(plant, 'SELECT count(*) FROM "QIFMeasurementResult"')
    assert (wrong, 0.001 < failed / total < 0.05) == (0, True)


def test_a_result_concerns_one_part_throughout(plant: psycopg.Connection) -> None:
    assert (
        number(
            plant,
            """SELECT count(*) FROM "QIFMeasurementResult" AS r
                 JOIN "SerializedPart" AS s ON s."id" = r."serializedPartId"
                 JOIN "QIFCharacteristic" AS c ON c."id" = r."characteristicId"
                 JOIN "QIFMeasurementPlan" AS p ON p."id" = c."planId"
                 LEFT JOIN "WorkOrder" AS w ON w."id" = r."workOrderId"
                WHERE s."partId" <> p."partId" OR w."partId" <> p."partId" """,
        )
        == 0
    )


def test_work_orders_complete_no_more_than_ordered(plant: psycopg.Connection) -> None:
    assert number(plant, 'SELECT count(*) FROM "WorkOrder" WHERE "quantityCompleted" > "quantity"') == 0


def test_serialized_parts_name_lots_that_exist(plant: psycopg.Connection) -> None:
    query = """SELECT count(*) FROM "SerializedPart"
                WHERE "lotNumber" NOT IN (SELECT "lotNumber" FROM "MaterialLot")"""
    assert number(plant, query) == 0


def test_business_numbers_look_like_a_plants(plant: psycopg.Connection) -> None:
    forms = {
        ("Part", "partNumber"): r"[A-Z]{3}-\d{5}-[A-D]",
        ("SerializedPart", "serialNumber"): r"SN\d{4}-\d{7}",
        ("WorkOrder", "workOrderNumber"): r"WO-\d{4}-\d{6}",
        ("MaterialLot", "heatNumber"): r"H\d{6}",
    }
    for (table, column), form in forms.items():
        values = [row[0] for row in plant.execute(f'SELECT "{column}" FROM "{table}"')]
        assert [value for value in values if not re.fullmatch(form, value)] == []


def test_some_plan_has_two_versions(plant: psycopg.Connection) -> None:
    assert number(plant, """SELECT count(*) FROM "QIFMeasurementPlan" WHERE "version" = '2.0'""") > 0


def test_filling_twice_is_refused_and_changes_nothing(plant: psycopg.Connection) -> None:
    before = checksums(plant, "public")
    with pytest.raises(ValueError, match="has rows already"):
        fill(plant, ROWS)
    assert checksums(plant, "public") == before


def test_progress_ends_at_each_tables_count(connection: psycopg.Connection) -> None:
    create_schema(connection)
    seen: dict[str, int] = {}
    counts = fill(connection, ROWS, progress=seen.__setitem__)
    assert seen == counts


def test_an_interrupted_fill_leaves_empty_tables(connection: psycopg.Connection) -> None:
    def interrupt(table: str, rows: int) -> None:
        if table == "WorkOrder":
            raise KeyboardInterrupt

    create_schema(connection)
    with pytest.raises(KeyboardInterrupt):
        fill(connection, ROWS, progress=interrupt)
    assert (number(connection, 'SELECT count(*) FROM "Part"'), len(indexes_and_keys(connection)) > 50) == (
        0,
        True,
    )


def test_new_cuids_are_cuids_and_differ() -> None:
    made = [new_cuid() for _ in range(1000)]
    assert (len(set(made)), [i for i in made if not CUID.fullmatch(i)]) == (1000, [])
