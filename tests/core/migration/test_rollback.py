"""Rolling back: to any stage and all the way, while rows change, with things in the way; no issued UUID is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from dotpeen.errors import DotpeenError, IssuedUuidError
from dotpeen.migration import Stage, ledger

from .plant import PART, Plant


@pytest.fixture
def migrated(parts: Plant) -> Plant:
    """300 parts with their UUIDs."""
    parts.up()
    return parts


Meanwhile = Callable[..., None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """`meanwhile(work)`: the plant does this once, after UUIDs were copied and before their column goes.

    With `copied=False` it does it after the triggers are there and before anything is copied.
    """

    def arrange(work: Callable[[], object], *, copied: bool = True) -> None:
        copy = ledger.copy_column
        waiting = [work]

        def copy_column(*arguments: Any) -> int:
            if not copied and waiting:
                waiting.pop()()
            rows = copy(*arguments)
            if waiting:
                waiting.pop()()
            return rows

        monkeypatch.setattr(ledger, "copy_column", copy_column)

    return arrange


def test_issued_uuid_survives_rollback(parts: Plant) -> None:
    before = parts.schema()
    parts.up()
    issued = parts.uuids()
    for _ in range(2):
        assert parts.down() == {"Part": 300}
        assert parts.schema() == before
        assert parts.issued() == {uuid: (str(key), True) for key, uuid in issued.items()}
        assert parts.execute("SELECT * FROM dotpeen.entity") == []
        assert parts.execute("SELECT proname FROM pg_proc WHERE proname ~ '_Part$'") == []
        parts.execute("UPDATE part SET number = number || '+'")
        parts.up()
        assert parts.uuids() == issued


def test_down_to_each_stage_and_up_again(parts: Plant) -> None:
    parts.declare(PART.replace("'uuid' }", "'uuid', type = 'text' }"))
    schemas = {}
    for stage in Stage:
        parts.up(to=stage)
        schemas[stage] = parts.schema()
    issued = parts.uuids()
    for stage in reversed(Stage):
        parts.down(to=stage)
        # The unique constraint goes with its index, one stage further down.
        ignored = {"constraints"} if stage is Stage.INDEX else set()
        assert {k: v for k, v in parts.schema().items() if k not in ignored} == {
            k: v for k, v in schemas[stage].items() if k not in ignored
        }
        assert parts.value("SELECT stage FROM dotpeen.entity") == stage
        assert parts.uuids() == issued
        if stage is not Stage.VERIFY:
            parts.up()
            assert parts.schema() == schemas[Stage.VERIFY]
            assert parts.uuids() == issued


def test_rollback_of_what_never_began_does_nothing(parts: Plant) -> None:
    before = parts.schema()
    assert parts.down() == {}
    assert parts.schema() == before


def test_rollback_halfway_keeps_what_was_issued(parts: Plant) -> None:
    parts.up(to=Stage.EXPAND)
    parts.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(301, 310) AS n")
    issued = parts.uuids()
    assert parts.down() == {"Part": 10}
    parts.up()
    assert {key: uuid for key, uuid in parts.uuids().items() if key > 300} == {
        key: uuid for key, uuid in issued.items() if uuid is not None
    }


def test_rows_that_change_meanwhile_are_kept_too(parts: Plant) -> None:
    """Inserts, deletes and changed keys between the copy and the drop of the column are in the ledger."""
    parts.up()
    ended = threading.Event()
    seen: dict[str, int] = {}
    deleted: set[str] = set()

    def write() -> None:
        with psycopg.connect(parts.url, autocommit=True) as connection:
            number = 1000
            while not ended.is_set():
                try:
                    for statement in (
                        f"INSERT INTO part (id, number) VALUES ({number}, 'n{number}') RETURNING id, uuid",
                        f"UPDATE part SET id = id + 100000 WHERE id = {number - 5} RETURNING id, uuid",
                    ):
                        seen.update({str(uuid): key for key, uuid in connection.execute(statement)})
                    gone = connection.execute(f"DELETE FROM part WHERE id = {number - 990} RETURNING uuid")
                    deleted.update(str(uuid) for (uuid,) in gone)
                except psycopg.errors.UndefinedColumn:
                    return
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        parts.down()
    finally:
        ended.set()
        writer.join()
    ledger = {str(uuid): entry for uuid, entry in parts.issued().items()}
    assert {uuid for uuid in deleted if uuid in ledger and ledger[uuid][1]} == set()
    kept = {uuid: key for uuid, key in seen.items() if uuid not in deleted}
    assert {uuid: int(ledger[uuid][0]) for uuid in kept} == kept
    parts.up()
    now = {str(uuid): key for key, uuid in parts.uuids().items()}
    assert {uuid: now[uuid] for uuid in kept} == kept


def test_deleted_records_uuid_is_never_given_to_another(migrated: Plant) -> None:
    first = migrated.uuids()
    migrated.down()
    migrated.up()
    migrated.execute("DELETE FROM part WHERE id IN (1, 2)")
    migrated.execute("INSERT INTO part VALUES (1, 'another')")
    second = migrated.uuids()
    assert second[1] != first[1]
    migrated.down()
    ledger = migrated.issued()
    assert (ledger[first[1]], ledger[first[2]], ledger[second[1]]) == (
        ("1", False),
        ("2", False),
        ("1", True),
    )
    migrated.execute("INSERT INTO part VALUES (2, 'yet another')")
    migrated.up()
    now = migrated.uuids()
    assert now[1] == second[1]
    assert now[2] not in first.values()
    assert migrated.failed() == {}


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("mode", ["origin", "replica"])
def test_truncated_records_uuid_is_never_given_to_another(
    migrated: Plant, meanwhile: Meanwhile, *, copied: bool, mode: str
) -> None:
    issued = migrated.uuids()
    before = migrated.schema()
    migrated.execute(f"SET session_replication_role = {mode}")
    meanwhile(lambda: migrated.execute("TRUNCATE part"), copied=copied)
    assert migrated.down() == {"Part": 300}
    assert migrated.issued() == {uuid: (str(key), False) for key, uuid in issued.items()}
    migrated.execute("INSERT INTO part SELECT n, 'Q' || n FROM generate_series(1, 300) AS n")
    migrated.up()
    assert set(migrated.uuids().values()).isdisjoint(issued.values())
    assert migrated.failed() == {}
    assert migrated.schema() == before


def test_record_that_takes_a_truncated_key_at_once_keeps_its_own_uuid(
    migrated: Plant, meanwhile: Meanwhile
) -> None:
    issued, new = migrated.uuids(), {}

    def work() -> None:
        migrated.execute("TRUNCATE part")
        migrated.execute("INSERT INTO part VALUES (1, 'another')")
        new.update(migrated.uuids())

    meanwhile(work)
    assert migrated.down() == {"Part": 301}
    kept = migrated.issued()
    assert [kept[issued[1]], kept[new[1]]] == [("1", False), ("1", True)]
    migrated.up()
    assert migrated.uuids() == new


def test_truncate_that_is_taken_back_changes_nothing(migrated: Plant, meanwhile: Meanwhile) -> None:
    issued = migrated.uuids()

    def work() -> None:
        with migrated.connect() as other:
            other.execute("TRUNCATE part")
            other.rollback()

    meanwhile(work)
    migrated.down()
    assert migrated.issued() == {uuid: (str(key), True) for key, uuid in issued.items()}


def test_role_that_may_only_truncate_still_can(migrated: Plant, meanwhile: Meanwhile) -> None:
    role = f"cleaner_{migrated.connection.info.dbname}"
    migrated.execute(f"CREATE ROLE {role}")
    migrated.execute(f"GRANT TRUNCATE ON part TO {role}")

    def work() -> None:
        migrated.execute(f"SET ROLE {role}")
        migrated.execute("TRUNCATE part")
        migrated.execute("RESET ROLE")

    try:
        meanwhile(work)
        assert migrated.down() == {"Part": 300}
        assert {current for _, current in migrated.issued().values()} == {False}
    finally:
        migrated.execute(f"DROP OWNED BY {role}")
        migrated.execute(f"DROP ROLE {role}")


def test_no_value_in_the_column_keeps_the_plant_from_truncating(parts: Plant, meanwhile: Meanwhile) -> None:
    parts.declare(PART.replace("'uuid' }", "'uuid', type = 'text' }"))
    parts.up(to=Stage.EXPAND)
    twin = "6f7a3cf0-7a0e-4f6c-8f7e-7c1f5c1d0b1a"
    parts.execute(f"INSERT INTO part VALUES (301, 'a', '{twin}'), (302, 'b', '{twin}')")
    parts.execute("INSERT INTO part VALUES (303, 'c', 'none at all')")
    meanwhile(lambda: parts.execute("TRUNCATE part"), copied=False)
    assert parts.down() == {"Part": 1}
    ((uuid, (_, current)),) = parts.issued().items()
    assert (str(uuid), current) == (twin, False)


@pytest.mark.parametrize("gone", ["DELETE FROM part", "TRUNCATE part"])
def test_record_that_goes_before_it_was_restored_leaves_its_uuid_to_nobody(
    migrated: Plant, meanwhile: Meanwhile, gone: str
) -> None:
    issued = migrated.uuids()
    migrated.down()
    migrated.up(to=Stage.EXPAND)
    assert set(migrated.uuids().values()) == {None}
    meanwhile(lambda: migrated.execute(gone))
    migrated.down()
    assert migrated.issued() == {uuid: (str(key), False) for key, uuid in issued.items()}


def test_keys_that_changed_hands_are_kept_right(migrated: Plant) -> None:
    migrated.down()
    migrated.up()
    first = migrated.uuids()
    migrated.execute("UPDATE part SET id = 9999 WHERE id = 1")
    migrated.execute("UPDATE part SET id = 1 WHERE id = 300")
    migrated.execute("UPDATE part SET id = 300 WHERE id = 9999")
    swapped = first | {1: first[300], 300: first[1]}
    assert migrated.uuids() == swapped
    migrated.down()
    migrated.up()
    assert migrated.uuids() == swapped


@pytest.mark.parametrize(
    ("made", "dropped", "named"),
    [
        ("CREATE VIEW labels AS SELECT id, uuid FROM part", "DROP VIEW labels", "view public.labels"),
        (
            "CREATE TABLE label (part uuid REFERENCES part (uuid))",
            "DROP TABLE label",
            "label_part_fkey",
        ),
    ],
)
def test_what_depends_on_the_column_stops_the_rollback(
    migrated: Plant, made: str, dropped: str, named: str
) -> None:
    issued = migrated.uuids()
    migrated.execute(made)
    complete = migrated.schema()
    with pytest.raises(DotpeenError, match=named) as caught:
        migrated.down()
    assert caught.value.hint is not None
    assert "migrate down` again" in caught.value.hint
    assert migrated.uuids() == issued
    # Given up: going forward again leaves no trace of the attempt.
    migrated.up()
    assert migrated.schema() == complete
    assert migrated.uuids() == issued
    # Put right: going back works.
    with pytest.raises(DotpeenError, match=named):
        migrated.down()
    migrated.execute(dropped)
    assert migrated.down() == {"Part": 300}
    migrated.up()
    assert migrated.uuids() == issued


def test_two_rows_of_one_uuid_stop_the_rollback(parts: Plant) -> None:
    parts.up(to=Stage.EXPAND)
    parts.execute(
        "INSERT INTO part SELECT n, 'P' || n, md5('twin')::uuid FROM generate_series(301, 302) AS n"
    )
    with pytest.raises(IssuedUuidError, match="two rows of part have the same UUID"):
        parts.down()
    parts.execute("DELETE FROM part WHERE id = 302")
    assert parts.down() == {"Part": 1}


def test_row_locked_by_the_plant_only_delays_it(migrated: Plant) -> None:
    issued = migrated.uuids()
    with migrated.connect() as other:
        other.execute("SELECT * FROM part WHERE id = 7 FOR UPDATE")
        timer = threading.Timer(1.0, other.rollback)
        timer.start()
        assert migrated.down() == {"Part": 300}
        timer.join()
    migrated.up()
    assert migrated.uuids() == issued


def test_several_entities_go_last_to_first(parts: Plant) -> None:
    parts.execute("CREATE TABLE lot (id int PRIMARY KEY, part int REFERENCES part)")
    parts.execute("INSERT INTO lot SELECT n, n FROM generate_series(1, 10) AS n")
    parts.declare(PART + "\n[entities.Lot]\ntable = 'lot'\nuuid = { column = 'uuid' }")
    parts.up()
    assert list(parts.down().items()) == [("Lot", 10), ("Part", 300)]
    parts.up()
    assert parts.down("Lot") == {"Lot": 10}
    assert parts.failed("Part") == {}
