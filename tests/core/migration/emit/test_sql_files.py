"""The psql scripts, run by psql."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dotpeen.database import connect, embedded, read_catalog
from dotpeen.database.schema import upgrade
from dotpeen.migration.emit.script import schema_block

pytestmark = pytest.mark.slow


def test_after_the_script_migrate_up_finds_nothing_to_do(
    export: Any, psql: Any, verified: Any, run_dotpeen: Any, plant: str, registry_file: Path
) -> None:
    up, _ = export("sql", "-o", "out")
    psql(up)
    assert verified()
    options = ("-r", registry_file, "--database-url", plant)
    before = _journal(plant)
    done = run_dotpeen(*options, "migrate", "up")
    assert (done.returncode, done.stdout.splitlines()[-1].startswith("All ")) == (0, True)
    new = [entry for entry in _journal(plant)[len(before) :] if entry != "verify"]
    assert new == []
    assert all(step["done"] for step in run_dotpeen(*options, "migrate", "plan", "--json").json["steps"])


def test_the_script_and_the_engine_make_the_same_tables(
    export: Any, psql: Any, plant: str, run_dotpeen: Any, registry_file: Path, server: Any
) -> None:
    up, _ = export("sql", "-o", "out")
    psql(up)
    with connect(plant, purpose="test") as connection:
        by_script = _shapes(connection)
        by_script_state = _state(connection)
    run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "down", "--yes")
    done = run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "up")
    assert done.returncode == 0, done.stderr
    with connect(plant, purpose="test") as connection:
        assert by_script == _shapes(connection)
        assert by_script_state == _state(connection)


def test_a_second_run_changes_nothing(export: Any, psql: Any, uuids: Any, plant: str) -> None:
    up, _ = export("sql", "-o", "out")
    psql(up)
    issued, entries = uuids(), _journal(plant)
    psql(up)
    assert (uuids(), _journal(plant)) == (issued, entries)


def test_undo_keeps_every_uuid_and_the_next_run_gives_it_back(
    export: Any, psql: Any, uuids: Any, verified: Any, plant: str
) -> None:
    with connect(plant, purpose="test") as connection:
        before = _shapes(connection)
    up, undo = export("sql", "-o", "out")
    psql(up)
    issued = uuids()
    psql(undo)
    with connect(plant, purpose="test") as connection:
        assert _shapes(connection) == before
        assert connection.execute("SELECT count(*) FROM dotpeen.entity").fetchone() == (0,)
    psql(undo)
    psql(up)
    assert uuids() == issued
    assert verified()


def test_undo_takes_back_what_the_engine_did(
    export: Any, psql: Any, run_dotpeen: Any, plant: str, registry_file: Path
) -> None:
    with connect(plant, purpose="test") as connection:
        before = _shapes(connection)
    _, undo = export("sql", "-o", "out")
    assert run_dotpeen("-r", registry_file, "--database-url", plant, "migrate", "up").returncode == 0
    psql(undo)
    with connect(plant, purpose="test") as connection:
        assert _shapes(connection) == before


def test_undo_keeps_what_is_truncated_while_it_runs(export: Any, psql: Any, uuids: Any, plant: str) -> None:
    up, undo = export("sql", "-o", "out")
    psql(up)
    issued = uuids()
    text = undo.read_text(encoding="utf-8")
    for entity, table in (("Part", 'public."Part"'), ("Result", "public.result_2024")):
        # Between the copy and the drop of the column.
        marker = f"-- {entity}: drop NOT NULL\n"
        assert text.count(marker) == 1
        text = text.replace(marker, f"TRUNCATE {table};\n{marker}")
    undo.write_text(text, encoding="utf-8")
    psql(undo)
    with psycopg.connect(plant) as connection:
        ledger = connection.execute(
            "SELECT entity, key, uuid::text, current FROM dotpeen.issued WHERE entity IN ('Part', 'Result')"
        ).fetchall()
        assert {uuid for _, _, uuid, _ in ledger} == {
            u for entity, _, u in issued if entity in ("Part", "Result")
        }
        current = {entity for entity, _, _, current in ledger if current}
        assert current == {"Result"}
        kept = {uuid for _, _, uuid, current in ledger if current}
        connection.execute(
            "INSERT INTO \"Part\" SELECT 'c' || i, 'Q-' || i FROM generate_series(1, 4000) AS i"
        )
    psql(up)
    now = {uuid for entity, _, uuid in uuids() if entity in ("Part", "Result")}
    assert now & {uuid for _, _, uuid in issued} == kept


def test_undo_made_before_a_partition_came_takes_nothing_of_it(
    export: Any, psql: Any, uuids: Any, verified: Any, plant: str
) -> None:
    up, undo = export("sql", "-o", "out", "--entity", "Result")
    psql(up)
    with psycopg.connect(plant) as connection:
        connection.execute(
            "CREATE TABLE result_2026 PARTITION OF result FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)"
        )
        connection.execute(
            "INSERT INTO result SELECT i, '2026-01-01', i FROM generate_series(5000, 5010) AS i"
        )
        before = connection.execute('SELECT id, "persistentUuid" FROM result ORDER BY id').fetchall()
    failed = psql(undo, expected=3)
    assert "the UUIDs of a partition that is new were not kept: public.result_2026" in failed.stderr
    with psycopg.connect(plant) as connection:
        assert connection.execute('SELECT id, "persistentUuid" FROM result ORDER BY id').fetchall() == before
    _, undo = export("sql", "-o", "again", "--entity", "Result")
    psql(undo)
    up, _ = export("sql", "-o", "and_again", "--entity", "Result")
    psql(up)
    with psycopg.connect(plant) as connection:
        assert connection.execute('SELECT id, "persistentUuid" FROM result ORDER BY id').fetchall() == before


def test_undo_of_what_was_only_begun_leaves_nothing(export: Any, psql: Any, plant: str) -> None:
    with connect(plant, purpose="test") as connection:
        before = _shapes(connection)
    up, undo = export("sql", "-o", "out")
    psql(up)
    psql(undo)
    begun, undo = export("sql", "-o", "begun", "--to", "expand")
    psql(begun)
    psql(undo)
    with connect(plant, purpose="test") as connection:
        assert _shapes(connection) == before
        functions = "SELECT proname FROM pg_proc WHERE proname ~ '^(fill|carry|capture|emptied)_'"
        assert connection.execute(functions).fetchall() == []


def test_script_gives_a_partitioned_table_both_guards(export: Any, psql: Any, plant: str) -> None:
    up, _ = export("sql", "-o", "out", "--entity", "Result", "--entity", "Part")
    psql(up)
    guards = (
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname ~ 'guard' AND tgenabled = 'A'"
        " AND tgrelid::regclass::text !~ 'dotpeen' ORDER BY 1, 2"
    )
    both = ("zz_dotpeen_guard", "zz_dotpeen_guard_after")
    with psycopg.connect(plant, autocommit=True) as connection:
        made = connection.execute(guards).fetchall()
        assert made == [
            ('"Part"', "zz_dotpeen_guard"),
            *((table, name) for table in ("result", "result_2024", "result_2025") for name in both),
        ]
        connection.execute("DROP TRIGGER zz_dotpeen_guard_after ON result")
        # What was migrated with one guard alone gets the other from a script made now.
        up, _ = export("sql", "-o", "second", "--entity", "Result")
        psql(up)
        assert connection.execute(guards).fetchall() == made


def test_a_killed_run_goes_on_where_it_was(
    export: Any, psql: Any, uuids: Any, verified: Any, plant: str
) -> None:
    up, _ = export("sql", "-o", "out")
    slow = up.with_name("slow.sql")
    text = up.read_text(encoding="utf-8").replace("batch_pause = '0 ms'", "batch_pause = '1 s'")
    slow.write_text(text.replace("batch_max = '50000'", "batch_max = '1000'"), encoding="utf-8")
    process = subprocess.Popen(
        [embedded.program("psql"), "-X", "-f", slow, plant],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with psycopg.connect(plant, autocommit=True) as connection:
        filled = 0
        deadline = time.monotonic() + 60
        while not 0 < filled < 4000 and time.monotonic() < deadline:
            time.sleep(0.05)
            if connection.execute("SELECT to_regclass('dotpeen.progress') IS NOT NULL").fetchone() == (True,):
                row = connection.execute(
                    "SELECT rows_done FROM dotpeen.progress WHERE entity = 'Part'"
                ).fetchone()
                filled = int(row[0] or 0) if row else 0
        process.kill()
        process.wait()
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'psql'"
            " AND datname = current_database()"
        )
        first = connection.execute(
            'SELECT id, "persistentUuid"::text FROM "Part" WHERE "persistentUuid" IS NOT NULL'
        ).fetchall()
    assert 0 < len(first) < 4000
    psql(up)
    assert verified()
    assert set(first) <= {(key, uuid) for entity, key, uuid in uuids() if entity == "Part"}


def test_an_invalid_index_left_behind_is_built_anew(
    export: Any, psql: Any, verified: Any, plant: str
) -> None:
    up, _ = export("sql", "-o", "out", "--to", "backfill")
    whole, _ = export("sql", "-o", "whole.sql")
    psql(up)
    with psycopg.connect(plant, autocommit=True) as connection:
        connection.execute('CREATE UNIQUE INDEX "Part_persistentUuid_key" ON "Part" ("persistentUuid")')
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Part_persistentUuid_key\"'::regclass"
        )
    psql(whole)
    assert verified()


def test_a_locked_table_is_waited_for_and_its_holder_named(export: Any, psql: Any, plant: str) -> None:
    up, _ = export("sql", "-o", "out", "--entity", "Part")
    impatient = up.with_name("impatient.sql")
    text = up.read_text(encoding="utf-8").replace("lock_patience = '600000 ms'", "lock_patience = '1 s'")
    impatient.write_text(text, encoding="utf-8")
    with psycopg.connect(plant) as connection:
        connection.execute('LOCK TABLE "Part" IN ACCESS SHARE MODE')
        failed = psql(impatient, expected=3)
        assert f"held by pid {connection.info.backend_pid} " in failed.stderr
    psql(impatient)


def test_rows_locked_by_others_do_not_stop_the_backfill(
    export: Any, psql: Any, plant: str, verified: Any
) -> None:
    expand, _ = export("sql", "-o", "expand.sql", "--to", "expand")
    up, _ = export("sql", "-o", "up.sql")
    psql(expand)
    with psycopg.connect(plant) as connection:
        connection.execute("SELECT FROM seven WHERE id = 7 FOR UPDATE")
        process = subprocess.Popen(
            [embedded.program("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", up, plant],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with psycopg.connect(plant, autocommit=True) as watcher:
            deadline = time.monotonic() + 60
            filled = 0
            while filled < 699 and time.monotonic() < deadline:
                time.sleep(0.1)
                row = watcher.execute("SELECT count(persistent_uuid) FROM seven").fetchone()
                filled = int(row[0]) if row else 0
        assert filled == 699
    assert process.wait(timeout=120) == 0
    assert verified()


def test_the_schema_in_the_script_is_what_the_engine_makes(server: Any) -> None:
    described = []
    for build in ("script", "engine"):
        url = server.create()
        try:
            if build == "engine":
                upgrade(url)
            with psycopg.connect(url, autocommit=True) as connection:
                if build == "script":
                    connection.execute("SET search_path = pg_catalog")
                    (statement,) = schema_block().statements
                    connection.execute(statement.encode())
                    connection.execute(statement.encode())
                described.append(
                    connection.execute(
                        "SELECT 'column', c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),"
                        " a.attnotnull::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                        " WHERE c.relnamespace = 'dotpeen'::regnamespace AND a.attnum > 0"
                        " UNION ALL SELECT 'function', proname, pg_get_functiondef(oid), '', '' FROM pg_proc"
                        " WHERE pronamespace = 'dotpeen'::regnamespace"
                        " UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint"
                        " WHERE connamespace = 'dotpeen'::regnamespace"
                        " UNION ALL SELECT 'revision', version_num, '', '', '' FROM dotpeen.alembic_version"
                        " ORDER BY 1, 2, 3"
                    ).fetchall()
                )
        finally:
            server.drop(url)
    assert described[0] == described[1]


def test_equal_input_gives_equal_files_and_none_is_overwritten(
    export: Any, run_dotpeen: Any, plant: str
) -> None:
    first = [file.read_bytes() for file in export("sql", "-o", "one")]
    again = [file.read_bytes() for file in export("sql", "-o", "two")]
    assert first == again
    refused = run_dotpeen("--database-url", plant, "migrate", "export", "-f", "sql", "-o", "one")
    assert (refused.returncode, "exists already" in refused.stderr, "--force" in refused.stderr) == (
        2,
        True,
        True,
    )
    assert [file.read_bytes() for file in export("sql", "-o", "one", "--force")] == first


def _journal(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT action FROM dotpeen.journal ORDER BY id")]


def _state(connection: Any) -> list[Any]:
    return list(
        connection.execute(
            "SELECT name, table_schema, table_name, column_name, storage, before, rows_before FROM dotpeen.entity"
            " ORDER BY name"
        ).fetchall()
    )


def _shapes(connection: Any) -> dict[str, Any]:
    tables = read_catalog(connection).tables
    return {
        str(name): (
            dict(table.columns),
            sorted((i.name, i.columns, i.unique, i.valid, i.constraint) for i in table.indexes),
            sorted((c.name, c.kind, c.definition, c.validated) for c in table.constraints),
            sorted((t.name, t.enabled, t.definition) for t in table.triggers),
        )
        for name, table in tables.items()
    }
