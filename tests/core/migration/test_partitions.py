"""Partitioned tables: every kind of partitioning, partitions that come and go, down and up again."""

from __future__ import annotations

from typing import Any

import pytest

from dotpeen.errors import DotpeenError
from dotpeen.migration import Stage, ledger

from .plant import PART, Plant

SIDECAR = "[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }\n"
KINDS = {
    "range": """
        CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY RANGE (id);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (MINVALUE) TO (100);
        CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (250);
        CREATE TABLE part_rest PARTITION OF part DEFAULT""",
    "list": """
        CREATE SCHEMA archive;
        CREATE TABLE part (id int, number text, plant text, PRIMARY KEY (id, plant)) PARTITION BY LIST (plant);
        CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
        CREATE TABLE archive.part_b PARTITION OF part FOR VALUES IN ('b', 'c');
        CREATE TABLE archive.part_a PARTITION OF part DEFAULT""",
    "hash": """
        CREATE TABLE part (id int PRIMARY KEY, number text) PARTITION BY HASH (id);
        CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1)""",
    "two levels": """
        CREATE TABLE part (id int, number text, plant text, PRIMARY KEY (id, plant)) PARTITION BY LIST (plant);
        CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a') PARTITION BY RANGE (id);
        CREATE TABLE part_a_1 PARTITION OF part_a FOR VALUES FROM (0) TO (200);
        CREATE TABLE part_a_2 PARTITION OF part_a DEFAULT;
        CREATE TABLE part_rest PARTITION OF part DEFAULT""",
}


def _has_plant(plant: Plant) -> bool:
    return bool(
        plant.value(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'part'::regclass AND attname = 'plant'"
        )
    )


def fill(plant: Plant, first: int, last: int) -> None:
    values = ["n", "'P' || n", "(ARRAY['a', 'b', 'c', 'd'])[1 + n % 4]"][: 3 if _has_plant(plant) else 2]
    plant.execute(f"INSERT INTO part SELECT {', '.join(values)} FROM generate_series({first}, {last}) AS n")


def build(plant: Plant, kind: str, storage: str) -> None:
    plant.execute(KINDS[kind])
    fill(plant, 1, 300)
    key = "primary_key = ['id', 'plant']\n" if _has_plant(plant) else ""
    plant.declare((PART if storage == "column" else SIDECAR).replace("uuid =", f"{key}uuid =", 1))


def values(plant: Plant, storage: str) -> dict[str, str]:
    if storage == "column":
        return {str(key): str(uuid) for key, uuid in plant.uuids().items()}
    return {key.strip("[").split(",")[0].strip('"'): str(uuid) for key, uuid in plant.identities().items()}


@pytest.mark.parametrize(
    ("kind", "storage"),
    [*((kind, "column") for kind in KINDS), ("list", "sidecar"), ("two levels", "sidecar")],
)
def test_every_kind_up_down_and_up(plant: Plant, kind: str, storage: str) -> None:
    build(plant, kind, storage)
    before = plant.schema()
    assert [check for check in plant.up(workers=2) if check.outcome == "failed"] == []
    fill(plant, 301, 400)
    issued = values(plant, storage)
    assert len(issued) == len(set(issued.values()) - {"None"}) == 400
    assert plant.plan().pending == ()
    assert plant.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
    assert plant.down() == {"Part": 400}
    assert plant.schema() == before
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    assert values(plant, storage) == issued


def test_index_is_unique_with_the_partition_key(plant: Plant) -> None:
    build(plant, "two levels", "column")
    plant.up()
    assert plant.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'part_a_1'::regclass AND NOT indisprimary"
    ) == [
        (
            "part_a_1_uuid_key",
            "CREATE UNIQUE INDEX part_a_1_uuid_key ON public.part_a_1 USING btree (uuid, plant, id)",
        )
    ]


def test_expression_in_the_partition_key_leaves_no_key(plant: Plant) -> None:
    plant.execute("CREATE TABLE part (id int NOT NULL, number text) PARTITION BY RANGE ((id % 10))")
    for low, high in ((0, 5), (5, 10)):
        plant.execute(f"CREATE TABLE part_{low} PARTITION OF part FOR VALUES FROM ({low}) TO ({high})")
        plant.execute(f"ALTER TABLE part_{low} ADD PRIMARY KEY (id)")
    # No key is unique in all of such a table, so nothing could tell its records apart.
    assert [finding.message for finding in plant.plan().findings if finding.level == "error"] == [
        "id does not identify a row: no unique, never-null index over it"
    ]


@pytest.mark.parametrize("storage", ["column", "sidecar"])
def test_partition_added_after_the_migration_has_it_all(plant: Plant, storage: str) -> None:
    build(plant, "range", storage)
    plant.up()
    plant.execute("DROP TABLE part_rest")
    plant.execute(
        "CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id)"
    )
    plant.execute("CREATE TABLE part_3_1 PARTITION OF part_3 FOR VALUES FROM (1000) TO (2000)")
    fill(plant, 1000, 1010)
    plant.execute("INSERT INTO part_3_1 VALUES (1011, 'straight in')")
    new = {key: uuid for key, uuid in values(plant, storage).items() if int(key) >= 1000}
    assert len(set(new.values()) - {"None"}) == 12
    # A partition that is dropped fires no trigger.
    assert list(plant.failed()) == ([] if storage == "column" else ["no UUID without a row"])
    assert [step for step in plant.plan().pending if step.stage is not Stage.VERIFY] == []
    assert [check for check in plant.up() if check.outcome == "failed"] == []


@pytest.mark.parametrize("stage", list(Stage)[:4])
def test_partitions_added_between_stages(plant: Plant, stage: Stage) -> None:
    build(plant, "range", "column")
    plant.up(to=stage)
    plant.execute("ALTER TABLE part DETACH PARTITION part_rest")
    plant.execute("CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (1000) TO (2000)")
    fill(plant, 1000, 1100)
    plant.execute("CREATE TABLE part_4 (LIKE part INCLUDING DEFAULTS)")
    plant.execute("INSERT INTO part_4 (id, number) SELECT n, 'P' || n FROM generate_series(2000, 2100) AS n")
    plant.execute("ALTER TABLE part_4 ADD PRIMARY KEY (id)")
    plant.execute("ALTER TABLE part ATTACH PARTITION part_4 FOR VALUES FROM (2000) TO (3000)")
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    found = values(plant, "column")
    assert len(set(found.values()) - {"None"}) == len(found) == 249 + 101 + 101
    assert plant.plan().pending == ()
    assert plant.down() == {"Part": 249 + 101 + 101}
    assert (
        plant.execute(
            "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%uuid%' AND schemaname = 'public'"
            " AND tablename <> 'part_rest'"
        )
        == []
    )


def test_partition_attached_with_rows_that_have_none(plant: Plant) -> None:
    """Before NOT NULL is enforced such rows can come in after the backfill; running up again fills them."""
    build(plant, "range", "column")
    plant.up(to=Stage.BACKFILL)
    plant.execute("ALTER TABLE part DETACH PARTITION part_rest")
    plant.execute("CREATE TABLE part_4 (id int PRIMARY KEY, number text, uuid uuid)")
    plant.execute("INSERT INTO part_4 SELECT n, 'P' || n FROM generate_series(2000, 2100) AS n")
    plant.execute("ALTER TABLE part ATTACH PARTITION part_4 FOR VALUES FROM (2000) TO (3000)")
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    assert plant.value("SELECT count(DISTINCT uuid) FROM part") == 249 + 101


def test_index_made_between_the_root_and_its_parts_is_used(plant: Plant) -> None:
    """A build that died after the root's index, and a partition that came then: it has that index already."""
    build(plant, "range", "column")
    plant.up(to=Stage.BACKFILL)
    plant.execute("CREATE UNIQUE INDEX part_uuid_key ON ONLY part (uuid, id)")
    plant.execute("ALTER TABLE part DETACH PARTITION part_rest")
    plant.execute("CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (1000) TO (2000)")
    fill(plant, 1000, 1010)
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    assert plant.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
    assert (
        plant.value("SELECT count(*) FROM pg_index WHERE indrelid = 'part_3'::regclass AND NOT indisprimary")
        == 1
    )


def test_rollback_of_a_half_built_index_leaves_nothing(plant: Plant) -> None:
    plant.execute(KINDS["two levels"].replace("number text", "number text, uuid uuid"))
    plant.execute(
        "INSERT INTO part SELECT n, 'P' || n, gen_random_uuid(), 'a' FROM generate_series(1, 300) AS n"
    )
    plant.declare(PART.replace("uuid =", "primary_key = ['id', 'plant']\nuuid =", 1))
    before = plant.schema()
    plant.up(to=Stage.BACKFILL)
    # What a build that was killed leaves.
    plant.execute("CREATE UNIQUE INDEX part_uuid_key ON ONLY part (uuid, plant, id)")
    plant.execute("CREATE UNIQUE INDEX part_a_uuid_key ON ONLY part_a (uuid, plant, id)")
    plant.execute("CREATE UNIQUE INDEX part_a_1_uuid_key ON part_a_1 (uuid, plant, id)")
    plant.execute("ALTER INDEX part_a_uuid_key ATTACH PARTITION part_a_1_uuid_key")
    plant.execute("CREATE UNIQUE INDEX part_rest_uuid_key ON part_rest (uuid, plant, id)")
    plant.down()
    assert plant.schema() == before


def test_partition_that_was_dropped_is_no_loss(plant: Plant) -> None:
    build(plant, "range", "column")
    plant.up()
    plant.execute("DROP TABLE part_2")
    outcome, detail = plant.verify()["no row lost"]
    assert (outcome, detail) == ("ok", "150 before, 150 now, 150 in partitions that are gone")


def test_rows_that_move_between_partitions_keep_their_uuid(plant: Plant) -> None:
    for storage in ("column", "sidecar"):
        plant.execute("DROP TABLE IF EXISTS part")
        build(plant, "range", storage)
        plant.up()
        before = values(plant, storage)
        plant.execute("UPDATE part SET id = id + 1000 WHERE id BETWEEN 90 AND 110")
        moved = {str(int(key) + (1000 if 90 <= int(key) <= 110 else 0)): uuid for key, uuid in before.items()}
        assert values(plant, storage) == moved
        assert plant.failed() == {}
        plant.down()


def meanwhile(monkeypatch: pytest.MonkeyPatch, plant: Plant, *statements: str) -> None:
    """While rolling back: run these once, after UUIDs were copied and before their column goes."""
    copy = ledger.copy_column
    waiting = list(statements)

    def copy_column(*arguments: Any) -> int:
        rows = copy(*arguments)
        while waiting:
            plant.execute(waiting.pop(0))
        return rows

    monkeypatch.setattr(ledger, "copy_column", copy_column)


@pytest.mark.parametrize(
    ("kind", "table", "gone"),
    [
        ("range", "part_1", "id < 100"),
        ("range", "part", "true"),
        ("two levels", "part_a", "plant = 'a'"),
        ("two levels", "part_a_2", "plant = 'a' AND id >= 200"),
    ],
)
def test_partition_that_is_truncated_while_rolled_back(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, kind: str, table: str, gone: str
) -> None:
    build(plant, kind, "column")
    before = plant.schema()
    plant.up()
    issued = plant.uuids()
    lost = {uuid for (uuid,) in plant.execute(f"SELECT uuid FROM part WHERE {gone}")}
    plant.execute("CREATE TABLE copy AS TABLE part")
    plant.execute("ALTER TABLE copy DROP COLUMN uuid")
    meanwhile(monkeypatch, plant, f"TRUNCATE {table}")
    assert plant.down() == {"Part": 300}
    assert {uuid for uuid, (_, current) in plant.issued().items() if not current} == lost
    # The same keys again: other records.
    plant.execute(f"INSERT INTO part SELECT * FROM copy WHERE {gone}")
    plant.execute("DROP TABLE copy")
    assert plant.schema() == before
    plant.up()
    assert {key: uuid for key, uuid in plant.uuids().items() if uuid in issued.values()} == {
        key: uuid for key, uuid in issued.items() if uuid not in lost
    }
    assert plant.failed() == {}


def test_partition_that_comes_while_rolled_back_keeps_its_uuids_too(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(plant, "range", "column")
    plant.up()
    plant.execute("ALTER TABLE part DETACH PARTITION part_rest")
    plant.execute("CREATE TABLE part_4 (LIKE part INCLUDING ALL)")
    plant.execute("INSERT INTO part_4 SELECT n, 'P' || n FROM generate_series(2000, 2100) AS n")
    issued = plant.uuids() | plant.uuids("part_4")
    meanwhile(monkeypatch, plant, "ALTER TABLE part ATTACH PARTITION part_4 FOR VALUES FROM (2000) TO (3000)")
    assert plant.down() == {"Part": len(issued)}
    plant.up()
    assert plant.uuids() == issued


def test_partition_that_is_detached_while_rolled_back_keeps_nothing_of_ours(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(plant, "range", "column")
    plant.up()
    meanwhile(monkeypatch, plant, "ALTER TABLE part DETACH PARTITION part_rest")
    assert plant.down() == {"Part": 300}
    assert plant.schema()["triggers"] == []
    assert plant.execute("SELECT proname FROM pg_proc WHERE proname ~ '_Part$'") == []


def test_rollback_of_partitions_that_is_given_up_leaves_no_trace(plant: Plant) -> None:
    build(plant, "two levels", "column")
    plant.up()
    complete = plant.schema()
    plant.execute("CREATE VIEW labels AS SELECT id, uuid FROM part")
    with pytest.raises(DotpeenError, match="labels"):
        plant.down()
    assert complete["triggers"] != plant.schema()["triggers"]
    plant.execute("DROP VIEW labels")
    plant.up()
    assert plant.schema() == complete
    assert plant.execute("SELECT proname FROM pg_proc WHERE proname ~ '^(capture|emptied)_'") == []
