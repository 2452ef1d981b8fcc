"""Preflight: what a DBA would look at before starting, looked at by the machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from rich.filesize import decimal

from dotpeen.database import Catalog, Connection
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration.model import Finding, Stage, Target
from dotpeen.migration.sql import EntitySql
from dotpeen.migration.stages.index import unique_columns
from dotpeen.registry import TableName

LONG_TRANSACTION_SECONDS = 60
BYTES_PER_ROW = 1000
"""WAL and new row versions that an in-place fill costs at most, measured: about 940 bytes a row without stripes."""
_LISTED = 5


def preflight(connection: Connection, catalog: Catalog, targets: dict[str, Target]) -> list[Finding]:
    """Look at the tables and the server; the levels say what stops the migration."""
    findings = list(_server(connection, catalog))
    for target in targets.values():
        findings += _column_gone(target)
        if target.completed_all:
            continue
        findings += _values(connection, target)
        findings += _index_names(connection, target)
        findings += _triggers(target)
    findings += _space(connection, targets)
    return findings


def _server(connection: Connection, catalog: Catalog) -> Iterator[Finding]:
    if not catalog.may_create_schema:
        row = connection.execute("SELECT pg_catalog.to_regnamespace('dotpeen') IS NULL").fetchone()
        if row and row[0]:
            yield Finding(
                "error",
                "",
                "privileges",
                f"role {catalog.role} may not create schema dotpeen",
                f"GRANT CREATE ON DATABASE {catalog.database} TO {catalog.role}",
            )
    old = connection.execute(
        "SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), state,"
        " extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8"
        " FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database()"
        " AND pid <> pg_catalog.pg_backend_pid()"
        " AND xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %s) ORDER BY xact_start",
        [LONG_TRANSACTION_SECONDS],
    ).fetchall()
    for pid, user, application, state, seconds in old:
        yield Finding(
            "warning",
            "",
            "long transaction",
            f"pid {pid} (user {user}, {application or 'no application name'}, {state}) has a transaction open for"
            f" {seconds:.0f} s",
            "it delays every lock, the concurrent index build and vacuum: end it, or start when it is done",
        )
    for name, active, kept in connection.execute(
        "SELECT slot_name::text, active,"
        " pg_catalog.pg_size_pretty(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()"
        " THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn))"
        " FROM pg_catalog.pg_replication_slots WHERE restart_lsn IS NOT NULL"
    ).fetchall():
        yield Finding(
            "note" if active else "warning",
            "",
            "replication slot",
            f"{name} ({'active' if active else 'inactive'}) keeps {kept} of WAL",
            None
            if active
            else "an inactive slot keeps all WAL of the backfill: drop it or bring its reader back",
        )


def _column_gone(target: Target) -> Iterator[Finding]:
    entity, table = target.entity, target.table
    if (
        entity.uuid.storage == "column"
        and target.completed(Stage.EXPAND)
        and entity.uuid.column not in table.columns
    ):
        yield Finding(
            "error",
            entity.name,
            "column gone",
            f"{table.name} was migrated, but its column {entity.uuid.column} is gone, and the UUIDs with it",
            "restore it from a backup; to give every record another UUID: dotpeen migrate down, then up",
        )


def _values(connection: Connection, target: Target) -> Iterator[Finding]:
    """Existing values that can't be adopted: malformed or not unique."""
    entity, table = target.entity, target.table
    column = table.columns.get(entity.uuid.column)
    if entity.uuid.storage == "sidecar" or column is None or column.type not in ("uuid", "text"):
        return
    if target.created_column or (
        column.type == "uuid" and any(index.covers_exactly([column.name]) for index in table.indexes)
    ):
        return
    names = EntitySql(target)
    key, name, source = names.key("t"), names.column, names.table
    duplicates = connection.execute(
        sql.SQL(
            "SELECT lower(t.{name}::text) AS uuid, count(*), (array_agg({key} ORDER BY {key}))[1:5] FROM {source} AS t"
            " WHERE t.{name} IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
        ).format(name=name, key=key, source=source, limit=sql.Literal(_LISTED + 1)),
    ).fetchall()
    for value, count, keys in duplicates[:_LISTED]:
        yield Finding(
            "error",
            entity.name,
            "duplicate UUID",
            f"{table.name}.{column.name}: {value} stands in {count} rows, {_keys(entity.primary_key)}"
            f" {', '.join(keys)}{', …' if count > len(keys) else ''}",
            "decide which record keeps it and set the column of the others to NULL",
        )
    if len(duplicates) > _LISTED:
        yield Finding("error", entity.name, "duplicate UUID", f"{table.name}.{column.name}: and more")
    if column.type == "text":
        yield from _malformed(connection, target, names)


def _malformed(connection: Connection, target: Target, names: EntitySql) -> Iterator[Finding]:
    entity, table = target.entity, target.table
    rows = connection.execute(
        sql.SQL(
            "SELECT {key}, t.{name}, count(*) OVER (), lower(t.{name}) ~ {form} FROM {source} AS t"
            " WHERE t.{name} IS NOT NULL AND t.{name} !~ {form} ORDER BY 1 LIMIT {limit}"
        ).format(
            key=names.key("t"),
            name=names.column,
            source=names.table,
            form=sql.Literal(CANONICAL_UUID_SQL),
            limit=sql.Literal(_LISTED),
        )
    ).fetchall()
    for key, value, count, only_case in rows:
        more = f" (one of {count} such rows)" if count > 1 else ""
        yield Finding(
            "error",
            entity.name,
            "malformed UUID",
            f"{table.name}.{entity.uuid.column}: row with {_keys(entity.primary_key)} {key} holds {value!r}{more}",
            "UUIDs are kept in lower case: UPDATE … SET column = lower(column)"
            if only_case
            else "correct it, or set it to NULL to have one issued",
        )


def _index_names(connection: Connection, target: Target) -> Iterator[Finding]:
    """A relation that has the name of an index to build, and is something else."""
    entity = target.entity
    if entity.uuid.storage == "sidecar":
        return
    names = EntitySql(target)
    columns, unique = unique_columns(target)
    for table in (target.table, *target.parts.values()):
        name = names.index_name_for(table.name.name)
        index = next((index for index in table.indexes if index.name == name), None)
        if index is not None:
            wrong = index.columns != tuple(columns) or index.unique != unique or index.partial
        else:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s)",
                [table.name.schema, name],
            ).fetchone()
            wrong = bool(row and row[0])
        if wrong:
            yield Finding(
                "error",
                entity.name,
                "index name",
                f"{TableName(table.name.schema, name)} is something else than the unique index over"
                f" {', '.join(columns)} that is to have this name",
                "rename it: ALTER INDEX … RENAME TO …",
            )


def _triggers(target: Target) -> Iterator[Finding]:
    if target.entity.uuid.storage == "sidecar" or target.backfilled:
        return
    for trigger in target.table.triggers:
        if trigger.on_update_row and trigger.enabled in "OA" and not trigger.name.startswith("zz_dotpeen_"):
            yield Finding(
                "warning",
                target.entity.name,
                "trigger",
                f"{target.table.name}: trigger {trigger.name} ({trigger.function}) will fire for every row filled",
                "make it skip updates of the UUID alone (CREATE TRIGGER … WHEN), or expect its work"
                f" {target.table.estimated_rows:,} times",
            )


def _space(connection: Connection, targets: dict[str, Target]) -> Iterator[Finding]:
    rows = sum(
        target.table.estimated_rows
        for target in targets.values()
        if not target.backfilled and target.entity.uuid.storage == "column"
    )
    need = rows * BYTES_PER_ROW
    if need == 0:
        return
    text = f"up to {decimal(need)} of new row versions and WAL for {rows:,} rows"
    free = _free_space(connection)
    if free is None:
        yield Finding("note", "", "disk space", f"{text}; the server's free space can't be seen from here")
    elif free < need:
        yield Finding(
            "warning",
            "",
            "disk space",
            f"{text}, {decimal(free)} free",
            "make room, or migrate table by table",
        )
    else:
        yield Finding("note", "", "disk space", f"{text}, {decimal(free)} free")


def _free_space(connection: Connection) -> int | None:
    """Only a server on this machine shows its disk, and only to roles that may read its settings."""
    if not connection.info.host.startswith("/"):
        return None
    try:
        row = connection.execute("SELECT pg_catalog.current_setting('data_directory')").fetchone()
        return shutil.disk_usage(Path(row[0])).free if row else None
    except (psycopg.Error, OSError):
        return None


def _keys(columns: tuple[str, ...]) -> str:
    return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
