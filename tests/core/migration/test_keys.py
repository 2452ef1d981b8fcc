"""Primary keys as they come: composite, of awkward types, with awkward values, under awkward settings, in odd names."""

from __future__ import annotations

import json

import pytest

from .plant import Plant

STORAGES = ("column", "sidecar")
TABLES = {
    # entity: columns, key, rows that are there, rows inserted later
    "Moment": (
        "at timestamptz, day date, stamp timestamp",
        "at, day, stamp",
        [
            "('2024-03-31 01:30:00.123456+00', '2024-12-31', '2024-02-29 23:59:59.999999')",
            "('2024-03-31 01:30:00.123457+00', 'infinity', '-infinity')",
            "('infinity', '0001-01-01', '12345-01-01')",
        ],
        [
            "('-infinity', 'infinity', 'infinity')",
            "('1999-12-31 23:59:59-11', '2024-01-02', '2024-01-02 03:04:05')",
        ],
    ),
    "Raw": (
        "data bytea, code char(6), size numeric",
        "data, code, size",
        [r"('\x00ff', 'ab', 1.50)", r"('\x', 'a b', 1e20)", "(convert_to('\\', 'UTF8'), '', -0.00001)"],
        [r"('\xdeadbeef', 'zz', 'NaN')", r"('\x00', '%s', 1.500001)"],
    ),
    "Chosen": (
        "mood mood, ref uuid, flag bool, span interval",
        "mood, ref, flag, span",
        [
            "('sad', '00000000-0000-0000-0000-000000000001', true, '1 day 02:03:04')",
            "('it''s \"ok\"', 'ffffffff-ffff-ffff-ffff-ffffffffffff', false, '-1 mon')",
        ],
        ["('it''s \"ok\"', '00000000-0000-0000-0000-000000000001', true, '3 years 00:00:01.5')"],
    ),
    "Floating": ("f float8, r real", "f, r", ["(0.1, 0.1)", "(1e300, 3)"], ["(0.30000000000000004, 1e-10)"]),
    "Worded": (
        "word text, other varchar(40)",
        "word, other",
        [
            "('it''s', '\"quoted\"')",
            r"('back\slash', '100%')",
            "('%s %(x)s', '{}')",
            "('Größe Ω 🙂', '')",
            "('', 'tab\tnew\nline')",
        ],
        ["('[\"a\", \"b\"]', ':%3A')", "('ß', 'ẞ')"],
    ),
}


def declare(plant: Plant, storage: str) -> None:
    entities = []
    for entity, (_, key, _, _) in TABLES.items():
        names = json.dumps(key.split(", "))
        entities.append(
            f"[entities.{entity}]\ntable = '{entity.lower()}'\nprimary_key = {names}\n"
            f"uuid = {{ column = 'uuid', storage = '{storage}' }}"
        )
    plant.declare("\n".join(entities), batch_min=1)


def everything(plant: Plant, storage: str) -> dict[str, list[str]]:
    """Each row's UUID as text, by entity; sidecars are joined by the order of arrival."""
    if storage == "sidecar":
        return {entity: sorted(str(uuid) for uuid in plant.identities(entity).values()) for entity in TABLES}
    return {
        entity: sorted(
            str(row[0]) for row in plant.execute(f"SELECT uuid FROM {entity} WHERE uuid IS NOT NULL")
        )
        for entity in TABLES
    }


@pytest.mark.parametrize("storage", STORAGES)
def test_keys_of_every_type_survive_down_and_up(plant: Plant, storage: str) -> None:
    """A plant session with settings of its own writes the same key text as the engine does."""
    plant.execute("""CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"')""")
    for entity, (columns, key, before, _) in TABLES.items():
        plant.execute(f"CREATE TABLE {entity} ({columns}, PRIMARY KEY ({key}))")
        plant.execute(f"INSERT INTO {entity} VALUES {', '.join(before)}")
    declare(plant, storage)
    assert [check for check in plant.up() if check.outcome == "failed"] == []

    settings = ("timezone = 'Asia/Kolkata'", "datestyle = 'German'", "intervalstyle = 'iso_8601'")
    for setting in (
        *settings,
        "extra_float_digits = -3",
        "bytea_output = 'escape'",
        "search_path = pg_temp, public",
    ):
        plant.execute(f"SET {setting}")
    for entity, (_, _, _, later) in TABLES.items():
        for row in later:
            plant.execute(f"INSERT INTO public.{entity} VALUES {row}")
    counts = {entity: len(before) + len(later) for entity, (_, _, before, later) in TABLES.items()}
    issued = everything(plant, storage)
    assert {entity: len(set(uuids)) for entity, uuids in issued.items()} == counts
    assert plant.failed() == {}

    assert plant.down() == counts
    plant.up()
    assert everything(plant, storage) == issued
    # The sidecar finds each row's identity again to retire it, whatever the session's settings.
    for entity in TABLES:
        plant.execute(f"DELETE FROM public.{entity}")
    assert everything(plant, storage) == {entity: [] for entity in TABLES}
    assert plant.failed() == {}


@pytest.mark.parametrize("storage", STORAGES)
def test_names_are_quoted_everywhere(plant: Plant, storage: str) -> None:
    """Mixed case, keywords, quotes, dots, per cent, braces, unicode, and 63 bytes."""
    long = "t" * 59
    tables = {
        "Plain": ('public."Order"', "Order", "id", "user"),
        "Odd": ('"Odd.Sch""ema"."ta.b""le"', '"Odd.Sch""ema"."ta.b""le"', 'k%s"ey', "u%(u)s{}id"),
        "LongOne": (f"public.{long}_one", f"{long}_one", "i" * 63, "u" * 63),
        "LongTwo": (f"public.{long}_two", f"{long}_two", "i" * 63, "u" * 63),
        "Foreign": ('public."größe Ω"', "größe Ω", "schlüssel'", "kennung\\"),
    }
    plant.execute('CREATE SCHEMA "Odd.Sch""ema"')
    entities = []
    quoted = {}
    for entity, (table, name, key, column) in tables.items():
        key_name, column_name = (f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (key, column))
        quoted[entity] = (table, key_name, column_name)
        plant.execute(
            f"CREATE TABLE {table} ({key_name} int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int,"
            " twice int GENERATED ALWAYS AS (n * 2) STORED)"
        )
        plant.execute(f"INSERT INTO {table} (n) SELECT * FROM generate_series(1, 10)")
        entities.append(
            f"[entities.{entity}]\ntable = {json.dumps(name, ensure_ascii=False)}\n"
            f"primary_key = {json.dumps(key, ensure_ascii=False)}\n"
            f"uuid = {{ column = {json.dumps(column, ensure_ascii=False)}, storage = '{storage}' }}"
        )
    plant.declare("\n".join(entities))
    before = plant.schema()
    assert [check for check in plant.up(workers=2) if check.outcome == "failed"] == []
    issued = {}
    for entity, (table, key, column) in quoted.items():
        plant.execute(f"INSERT INTO {table} (n) VALUES (11)")
        found = plant.uuids(table, column, key) if storage == "column" else plant.identities(entity)
        assert len(set(found.values()) - {None}) == 11
        issued[entity] = found
    assert plant.plan().pending == ()
    assert plant.down() == dict.fromkeys(tables, 11)
    assert plant.schema() == before
    plant.up()
    for entity, (table, key, column) in quoted.items():
        found = plant.uuids(table, column, key) if storage == "column" else plant.identities(entity)
        assert found == issued[entity]


def test_key_whose_index_has_another_order(plant: Plant) -> None:
    plant.execute("CREATE TABLE part (a int, b int, c int, PRIMARY KEY (c, a, b))")
    plant.execute("INSERT INTO part SELECT n % 3, n, n % 7 FROM generate_series(1, 2000) AS n")
    plant.declare(
        "[entities.Part]\ntable = 'part'\nprimary_key = ['a', 'b', 'c']\nuuid = { column = 'uuid' }",
        batch_max=100,
    )
    plant.up()
    assert plant.value("SELECT count(DISTINCT uuid) FROM part") == 2000
    issued = plant.uuids(key="b")
    assert plant.down() == {"Part": 2000}
    plant.up()
    assert plant.uuids(key="b") == issued
