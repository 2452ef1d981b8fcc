"""Columns that exist already, half filled: adopted, or refused where they can't be; given back on the way down."""

from __future__ import annotations

from uuid import UUID

import pytest

from dotpeen.errors import PreflightError
from dotpeen.migration import Stage

from .plant import PART, Plant

TEXT = PART.replace("'uuid' }", "'uuid', type = 'text' }")


def given(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def half_fill(plant: Plant, definition: str) -> None:
    """300 parts with the column; every third has a UUID."""
    plant.execute(f"CREATE TABLE part (id int PRIMARY KEY, number text NOT NULL UNIQUE, uuid {definition})")
    cast = "" if definition.startswith("text") else "::uuid"
    plant.execute(
        "INSERT INTO part SELECT n, 'P' || n, CASE n % 3 WHEN 0 THEN"
        f" ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0')){cast} END FROM generate_series(1, 300) AS n"
    )


@pytest.mark.parametrize(
    ("definition", "extra"),
    [
        ("uuid", ""),
        ("uuid DEFAULT gen_random_uuid()", ""),
        ("uuid", 'CREATE UNIQUE INDEX "part_uuid_key" ON part (uuid)'),
        ("uuid UNIQUE", ""),
        ("uuid", "CREATE INDEX part_uuid_idx ON part (uuid)"),
        ("uuid", "ALTER TABLE part ADD CHECK (uuid <> '00000000-0000-0000-0000-000000000000')"),
        ("text", ""),
        ("text UNIQUE", ""),
        ("text DEFAULT gen_random_uuid()::text", ""),
    ],
)
def test_half_filled_column_is_adopted_and_given_back(plant: Plant, definition: str, extra: str) -> None:
    half_fill(plant, definition)
    if extra:
        plant.execute(extra)
    plant.declare(TEXT if definition.startswith("text") else PART)
    before = plant.schema()
    for stage in (Stage.EXPAND, None):
        assert [check for check in plant.up() if check.outcome == "failed"] == []
        found = {key: str(uuid) for key, uuid in plant.uuids().items()}
        assert all(found[n] == given(n) for n in range(3, 301, 3))
        assert len(set(found.values()) - {"None"}) == 300
        plant.down(to=stage)
        assert {key: str(uuid) for key, uuid in plant.uuids().items()} == found
    assert plant.schema() == before
    plant.up()
    assert {key: str(uuid) for key, uuid in plant.uuids().items()} == found


def test_column_that_was_complete_keeps_all_it_had(plant: Plant) -> None:
    plant.execute(
        "CREATE TABLE part (id int PRIMARY KEY, uuid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid())"
    )
    plant.execute("INSERT INTO part SELECT FROM generate_series(1, 0)")
    plant.execute("INSERT INTO part (id) SELECT * FROM generate_series(1, 50)")
    before = plant.schema(), plant.uuids()
    plant.up()
    plant.down()
    assert (plant.schema(), plant.uuids()) == before


def refused(plant: Plant) -> str:
    """What `up` says when it refuses; asserts that nothing was changed."""
    before = plant.schema(), plant.execute("SELECT * FROM part ORDER BY 1")
    with pytest.raises(PreflightError) as caught:
        plant.up()
    assert (plant.schema(), plant.execute("SELECT * FROM part ORDER BY 1")) == before
    assert plant.execute("SELECT * FROM dotpeen.entity") == []
    assert caught.value.message.startswith("the database is not ready; nothing was changed:\n")
    return caught.value.message.partition("\n")[2]


def test_duplicates_are_listed_with_their_keys(plant: Plant) -> None:
    half_fill(plant, "uuid")
    plant.execute("UPDATE part SET uuid = %s WHERE id IN (1, 2)", [given(3)])
    plant.execute("UPDATE part SET uuid = %s WHERE id IN (10, 11, 13, 14, 16, 17, 19)", [given(9)])
    assert refused(plant) == (
        f"  - Part: part.uuid: {given(9)} stands in 8 rows, id 10, 11, 13, 14, 16, …"
        " (decide which record keeps it and set the column of the others to NULL)\n"
        f"  - Part: part.uuid: {given(3)} stands in 3 rows, id 1, 2, 3"
        " (decide which record keeps it and set the column of the others to NULL)"
    )
    plant.execute("UPDATE part SET uuid = NULL WHERE id % 3 > 0")
    assert [check for check in plant.up() if check.outcome == "failed"] == []


def test_duplicates_beyond_the_first_few_are_announced(plant: Plant) -> None:
    half_fill(plant, "uuid")
    plant.execute("UPDATE part SET uuid = lpad(to_hex(id / 2), 32, '0')::uuid")
    assert refused(plant).splitlines()[-1] == "  - Part: part.uuid: and more"


def test_malformed_texts_are_listed_with_their_keys(plant: Plant) -> None:
    half_fill(plant, "text")
    plant.declare(TEXT)
    plant.execute("UPDATE part SET uuid = 'none' WHERE id = 1")
    plant.execute("UPDATE part SET uuid = '' WHERE id = 2")
    plant.execute("UPDATE part SET uuid = upper('abcdef00-0000-4000-8000-000000000001') WHERE id = 4")
    plant.execute("UPDATE part SET uuid = %s WHERE id = 5", [f"{{{given(5)}}}"])
    plant.execute("UPDATE part SET uuid = %s WHERE id = 7", [given(7) + "\n"])
    more = "(one of 5 such rows)"
    correct = "(correct it, or set it to NULL to have one issued)"
    assert refused(plant).splitlines() == [
        f"  - Part: part.uuid: row with id 1 holds 'none' {more} {correct}",
        f"  - Part: part.uuid: row with id 2 holds '' {more} {correct}",
        (
            f"  - Part: part.uuid: row with id 4 holds 'ABCDEF00-0000-4000-8000-000000000001' {more}"
            " (UUIDs are kept in lower case: UPDATE … SET column = lower(column))"
        ),
        f"  - Part: part.uuid: row with id 5 holds '{{{given(5)}}}' {more} {correct}",
        f"  - Part: part.uuid: row with id 7 holds '{given(7)}\\n' {more} {correct}",
    ]


def test_texts_that_differ_only_in_case_are_duplicates(plant: Plant) -> None:
    half_fill(plant, "text UNIQUE")
    plant.declare(TEXT)
    plant.execute("UPDATE part SET uuid = 'abcdef00-0000-4000-8000-000000000001' WHERE id = 1")
    plant.execute("UPDATE part SET uuid = 'ABCDEF00-0000-4000-8000-000000000001' WHERE id = 2")
    assert "abcdef00-0000-4000-8000-000000000001 stands in 2 rows, id 1, 2 (" in refused(plant)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("uuid DEFAULT '00000000-0000-4000-8000-000000000000'", "has the default '00000000"),
        ("text", "uuid exists as text, the registry says uuid"),
        ("varchar(36)", "uuid exists as character varying(36), the registry says uuid"),
        ("int", "uuid exists as integer, the registry says uuid"),
        (
            "uuid GENERATED ALWAYS AS ('00000000-0000-4000-8000-000000000001'::uuid) STORED",
            "is a generated column",
        ),
    ],
)
def test_column_that_can_not_be_adopted_is_refused(plant: Plant, definition: str, said: str) -> None:
    plant.execute(f"CREATE TABLE part (id int PRIMARY KEY, uuid {definition})")
    plant.execute("INSERT INTO part (id) VALUES (1)")
    assert said in refused(plant)


def test_default_that_fills_the_column_with_another_version_is_refused(plant: Plant) -> None:
    half_fill(plant, "uuid DEFAULT gen_random_uuid()")
    plant.declare(PART.replace("'uuid' }", "'uuid', version = 7 }"))
    assert "has the default gen_random_uuid(): version 7 wants" in refused(plant)


def test_duplicate_that_a_writer_adds_after_preflight_is_named(plant: Plant) -> None:
    half_fill(plant, "uuid")
    plant.up(to=Stage.BACKFILL)
    plant.execute("INSERT INTO part VALUES (1001, 'twin', %s)", [given(3)])
    with pytest.raises(Exception, match=rf"{given(3)}.*(duplicated|stands in 2 rows)"):
        plant.up()
    plant.execute("DELETE FROM part WHERE id = 1001")
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    assert UUID(str(plant.uuids()[3])) == UUID(given(3))
