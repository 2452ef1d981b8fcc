"""Sidecar storage: the table keeps its shape, and every record has its UUID beside it, whatever is done to the rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from acceptance.plant import wait_until
from dotpeen.migration import Stage
from dotpeen.migration.events import Waiting
from dotpeen.migration.plan import REMOVE

from .plant import PART, Plant

SIDECAR = "[entities.Part]\ntable = 'part'\nuuid = { storage = 'sidecar' }\n"


@pytest.fixture
def aside(parts: Plant) -> Plant:
    """300 parts with their UUIDs in the sidecar."""
    parts.declare(SIDECAR)
    parts.up()
    return parts


def test_table_keeps_its_shape(parts: Plant) -> None:
    before = parts.schema()
    parts.declare(SIDECAR)
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    after = parts.schema()
    assert (after["columns"], after["indexes"], after["constraints"]) == (
        before["columns"],
        before["indexes"],
        before["constraints"],
    )
    assert sorted(parts.identities(), key=int) == [str(n) for n in range(1, 301)]
    assert parts.plan().pending == ()


def test_identities_follow_their_rows(aside: Plant) -> None:
    issued = aside.identities()
    aside.execute("INSERT INTO part SELECT n, 'P' || n FROM generate_series(301, 400) AS n")
    aside.execute("INSERT INTO part VALUES (1, 'P1') ON CONFLICT (id) DO UPDATE SET number = 'upsert'")
    with aside.connection.cursor().copy("COPY part FROM STDIN") as copy:
        copy.write_row((401, "copy"))
    aside.execute("UPDATE part SET id = id + 5000, number = 'rekeyed' || id WHERE id BETWEEN 10 AND 12")
    aside.execute("DELETE FROM part WHERE id BETWEEN 20 AND 29")
    now = aside.identities()
    assert len(now) == len(set(now.values())) == 391
    assert {key: now[key] for key in ("1", "300")} == {key: issued[key] for key in ("1", "300")}
    assert [now[str(5000 + n)] for n in (10, 11, 12)] == [issued[str(n)] for n in (10, 11, 12)]
    assert aside.issued() == {issued[str(n)]: (str(n), False) for n in range(20, 30)}
    assert aside.failed() == {}


def test_keys_that_move_over_each_other_keep_their_uuids(aside: Plant) -> None:
    issued = aside.identities()
    aside.execute("UPDATE part SET id = id - 1")
    assert aside.identities() == {str(int(key) - 1): uuid for key, uuid in issued.items()}


@pytest.mark.slow
def test_rollback_killed_halfway_leaves_no_identity_without_a_row(aside: Plant) -> None:
    """What the plant does between the drop of the triggers and the drop of the sidecar, nobody follows."""
    issued = aside.identities()
    with aside.runner() as runner:
        drop = REMOVE[Stage.EXPAND](runner.target(aside.registry.entities["Part"]))[0]
        assert drop.name == "drop triggers"
        runner.execute(drop)
    aside.execute("UPDATE dotpeen.entity SET stage = NULL")
    aside.execute("DELETE FROM part WHERE id <= 5")
    aside.execute("UPDATE part SET id = id + 1000, number = 'moved' || id WHERE id IN (10, 11)")
    aside.execute("INSERT INTO part VALUES (301, 'P301')")
    aside.up()
    assert aside.failed() == {}
    gone = [1, 2, 3, 4, 5, 10, 11]
    assert aside.issued() == {issued[str(key)]: (str(key), False) for key in gone}
    kept = {str(n) for n in range(1, 301) if n not in gone}
    now = aside.identities()
    assert {key: now[key] for key in kept} == {key: issued[key] for key in kept}
    assert now.keys() == kept | {"1010", "1011", "301"}


def test_orphans_are_retired_only_when_writers_that_met_them_have_ended(aside: Plant) -> None:
    """A key inserted again while its old identity still stands finds it there, and must not stay without one."""
    aside.execute("ALTER TABLE part DISABLE TRIGGER zz_dotpeen_retire")
    aside.execute("DELETE FROM part WHERE id = 7")
    aside.execute("ALTER TABLE part ENABLE ALWAYS TRIGGER zz_dotpeen_retire")
    with aside.connect() as writer, ThreadPoolExecutor(1) as pool:
        writer.execute("INSERT INTO part VALUES (7, 'again')")
        waits: list[str | None] = []
        again = pool.submit(
            aside.up, notify=lambda event: waits.append(event.reason) if isinstance(event, Waiting) else None
        )
        wait_until(lambda: any("waiting for writers" in (reason or "") for reason in waits), "it waits")
        writer.commit()
        assert [check.name for check in again.result(60) if check.outcome == "failed"] == []
    assert "7" in aside.identities()


def test_key_used_again_gets_a_fresh_uuid(aside: Plant) -> None:
    first = aside.identities()["7"]
    aside.execute("DELETE FROM part WHERE id = 7")
    aside.execute("INSERT INTO part VALUES (7, 'again')")
    second = aside.identities()["7"]
    assert second != first
    aside.down()
    assert aside.issued()[first] == ("7", False)
    assert aside.issued()[second] == ("7", True)
    aside.up()
    assert aside.identities()["7"] == second


def test_truncate_retires_all(aside: Plant) -> None:
    issued = aside.identities()
    aside.execute("TRUNCATE part")
    assert aside.identities() == {}
    assert aside.issued() == {uuid: (key, False) for key, uuid in issued.items()}
    aside.execute("INSERT INTO part VALUES (1, 'new')")
    assert aside.identities()["1"] not in issued.values()


def test_rolled_back_statement_leaves_no_trace(aside: Plant) -> None:
    issued = aside.identities()
    with pytest.raises(psycopg.errors.UniqueViolation):
        aside.execute("INSERT INTO part VALUES (1001, 'a'), (1, 'P1')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        aside.execute("UPDATE part SET id = CASE id WHEN 2 THEN 1002 ELSE 1 END WHERE id IN (2, 3)")
    assert aside.identities() == issued


def test_role_without_rights_in_our_schema(aside: Plant) -> None:
    role = f"clerk_{aside.connection.info.dbname}"
    aside.execute(f"CREATE ROLE {role}")
    try:
        aside.execute(f"GRANT ALL ON part TO {role}")
        aside.execute(f"SET ROLE {role}")
        aside.execute("INSERT INTO part VALUES (1001, 'a'), (1002, 'b')")
        aside.execute("UPDATE part SET id = 1003 WHERE id = 1002")
        aside.execute("DELETE FROM part WHERE id = 1001")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            aside.execute("SELECT * FROM dotpeen.identity")
        aside.execute("RESET ROLE")
        assert [key for key in aside.identities() if int(key) > 1000] == ["1003"]
        aside.execute(f"SET ROLE {role}")
        aside.execute("TRUNCATE part")
        aside.execute("RESET ROLE")
        assert aside.identities() == {}
    finally:
        aside.execute("RESET ROLE")
        aside.execute(f"DROP OWNED BY {role}")
        aside.execute(f"DROP ROLE {role}")


def test_verification_finds_what_went_past_the_triggers(aside: Plant) -> None:
    aside.execute("ALTER TABLE part DISABLE TRIGGER USER")
    aside.execute("DELETE FROM part WHERE id = 5")
    aside.execute("INSERT INTO part VALUES (1001, 'a')")
    assert aside.failed() == {
        "every row has a UUID": "without a UUID: 1001",
        "no UUID without a row": "the sidecar names rows that are gone: 5: run `dotpeen migrate up`",
        "new rows get one": "trigger zz_dotpeen_issue is missing or off",
    }


def test_row_inserted_past_the_triggers_is_filled_by_the_next_run(aside: Plant) -> None:
    issued = aside.identities()
    aside.execute("ALTER TABLE part DISABLE TRIGGER zz_dotpeen_issue")
    aside.execute("INSERT INTO part VALUES (1001, 'a')")
    aside.execute("ALTER TABLE part ENABLE ALWAYS TRIGGER zz_dotpeen_issue")
    assert [check for check in aside.up() if check.outcome == "failed"] == []
    now = aside.identities()
    assert now.pop("1001") is not None
    assert now == issued


def test_down_keeps_and_up_restores(aside: Plant) -> None:
    issued = aside.identities()
    before = aside.schema()
    assert aside.down() == {"Part": 300}
    assert aside.schema()["triggers"] == []
    assert aside.execute("SELECT * FROM dotpeen.identity") == []
    aside.execute("DELETE FROM part WHERE id = 3")
    aside.execute("INSERT INTO part VALUES (1001, 'while it was down')")
    assert [check for check in aside.up() if check.outcome == "failed"] == []
    now = aside.identities()
    assert now.pop("1001") not in issued.values()
    assert now == {key: uuid for key, uuid in issued.items() if key != "3"}
    assert aside.schema() == before


def test_switch_between_column_and_sidecar_keeps_the_uuids(parts: Plant) -> None:
    parts.up()
    issued = {str(key): uuid for key, uuid in parts.uuids().items()}
    parts.down()
    parts.declare(SIDECAR)
    parts.up()
    assert parts.identities() == issued
    parts.execute("UPDATE part SET id = 5000 WHERE id = 5")
    parts.execute("DELETE FROM part WHERE id = 6")
    parts.down()
    parts.declare(PART)
    parts.execute("INSERT INTO part VALUES (6, 'another')")
    parts.up()
    now = {str(key): uuid for key, uuid in parts.uuids().items()}
    assert now["5000"] == issued["5"]
    assert now.pop("6") not in issued.values()
    assert now == {key: uuid for key, uuid in issued.items() if key not in ("5", "6")} | {"5000": issued["5"]}
    assert parts.failed() == {}


def test_rows_written_between_the_stages(parts: Plant) -> None:
    parts.declare(SIDECAR)
    parts.up(to=Stage.EXPAND)
    parts.execute("INSERT INTO part VALUES (1001, 'a')")
    parts.execute("UPDATE part SET id = 5001 WHERE id = 1")
    parts.execute("DELETE FROM part WHERE id = 2")
    assert list(parts.identities()) == ["1001"]
    assert [check for check in parts.up() if check.outcome == "failed"] == []
    assert set(parts.identities()) == {"1001", "5001", *map(str, range(3, 301))}


@pytest.mark.parametrize("collation", ['"POSIX"', "plain_icu", "no_case"])
def test_keys_of_any_collation(plant: Plant, collation: str) -> None:
    """The sidecar compares byte by byte: also where the table takes `a` and `A` for the same."""
    try:
        if collation == "plain_icu":
            plant.execute("CREATE COLLATION plain_icu (provider = icu, locale = 'und')")
        elif collation == "no_case":
            level = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
            plant.execute(f"CREATE COLLATION no_case ({level})")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU")
    plant.execute(f"CREATE TABLE part (id text COLLATE {collation} PRIMARY KEY)")
    plant.execute("INSERT INTO part SELECT 'p' || n FROM generate_series(1, 50) AS n")
    plant.declare(SIDECAR)
    assert [check for check in plant.up() if check.outcome == "failed"] == []
    issued = plant.identities()
    plant.execute("UPDATE part SET id = upper(id) WHERE id = 'p7'")
    assert plant.identities() == {("P7" if key == "p7" else key): uuid for key, uuid in issued.items()}
    plant.down()
    plant.up()
    assert plant.identities()["P7"] == issued["p7"]
