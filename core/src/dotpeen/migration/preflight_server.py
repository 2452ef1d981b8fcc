"""The server's side of preflight: its role, its sessions, its settings, its replication and its disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from rich.filesize import decimal

from dotpeen.database import Catalog, Connection
from dotpeen.migration.model import Finding, Target
from dotpeen.migration.sql import table_identifier

LONG_TRANSACTION_SECONDS = 60
BYTES_PER_ROW = 1000
"""WAL and new row versions that an in-place fill costs at most, measured: about 940 bytes a row without stripes."""


def server(connection: Connection, catalog: Catalog, *, pending: bool) -> Iterator[Finding]:
    """Look at the server, its sessions and its settings; `pending` when there is something left to do."""
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row and row[0]:
        yield Finding(
            "error",
            "",
            "standby",
            "the server is a standby (in recovery): nothing can be written to it",
            "connect to the primary: target_session_attrs=read-write in the URL finds it among several hosts",
        )
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
    if pending:
        yield from _visibility(connection, catalog)
        yield from _isolation(connection)
    yield from _long_transactions(connection)
    yield from _prepared_transactions(connection)
    yield from _slots(connection)


def _long_transactions(connection: Connection) -> Iterator[Finding]:
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


def _slots(connection: Connection) -> Iterator[Finding]:
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


def _visibility(connection: Connection, catalog: Catalog) -> Iterator[Finding]:
    row = connection.execute(
        "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
    ).fetchone()
    if not catalog.superuser and row and not row[0]:
        yield Finding(
            "warning",
            "",
            "privileges",
            f"role {catalog.role} can't see other sessions: long transactions go unnoticed,"
            " and the throttle can't tell when it is in the way",
            f"GRANT pg_monitor TO {sql.Identifier(catalog.role).as_string()}",
        )


def _isolation(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT coalesce(nullif(concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname), ''), 'all roles'),"
        " v.value"
        " FROM pg_catalog.pg_db_role_setting s"
        " CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)"
        " CROSS JOIN LATERAL (SELECT lower(split_part(c.setting, '=', 2)) AS value) AS v"
        " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
        " WHERE (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())"
        " AND split_part(c.setting, '=', 1) = 'default_transaction_isolation'"
        " AND v.value IN ('repeatable read', 'serializable')"
        " UNION ALL SELECT 'the server', setting FROM pg_catalog.pg_settings"
        " WHERE name = 'default_transaction_isolation' AND setting IN ('repeatable read', 'serializable')"
        " AND source NOT IN ('default', 'database', 'user', 'database user', 'client', 'session') ORDER BY 1"
    ).fetchall()
    for where, level in rows:
        yield Finding(
            "warning",
            "",
            "isolation",
            f"default_transaction_isolation of {where} is {level}: such writers can meet serialization failures"
            " with the backfill, as with any other writer",
            "make sure that the application retries on SQLSTATE 40001, or migrate in a quiet hour",
        )


def _prepared_transactions(connection: Connection) -> Iterator[Finding]:
    for gid, seconds in connection.execute(
        "SELECT gid, extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::float8"
        " FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY prepared, gid"
    ).fetchall():
        yield Finding(
            "warning",
            "",
            "prepared transaction",
            f"{gid!r} was prepared {seconds:.0f} s ago and is neither committed nor rolled back",
            "it keeps its locks and holds up the concurrent index build, even across restarts:"
            " COMMIT PREPARED or ROLLBACK PREPARED it",
        )


def published(connection: Connection, target: Target) -> Iterator[Finding]:
    """Logical replication: subscribers without the column stop, tables without an identity refuse the UPDATE."""
    uuid, table, coming = target.entity.uuid, target.table, target.new_columns
    if uuid.storage == "sidecar" or (target.backfilled and not coming):
        return
    tables = [table, *target.parts.values()]
    if coming:
        names = ", ".join(
            name
            for (name,) in connection.execute(
                sql.SQL(
                    "SELECT DISTINCT v.pubname::text FROM pg_catalog.pg_publication_tables v"
                    " JOIN pg_catalog.pg_namespace n ON n.nspname = v.schemaname"
                    " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = v.tablename"
                    " WHERE c.oid = ANY (%s::oid[]) {listed} ORDER BY 1"
                ).format(listed=sql.SQL(_NO_COLUMN_LIST if target.server_version >= 150000 else "")),
                [[one.oid for one in tables]],
            ).fetchall()
        )
        if names:
            added = sql.SQL("ALTER TABLE {} {}").format(
                table_identifier(table.name),
                sql.SQL(", ").join(
                    sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(name), sql.SQL(type_))
                    for name, type_ in coming.items()
                ),
            )
            yield Finding(
                "warning",
                target.entity.name,
                "publication",
                f"{table.name} is published with all its columns ({names}): a subscriber stops at the first change"
                f" when its table has no column {' or '.join(coming)}",
                f"on every subscriber, first: {added.as_string()}",
            )
    if target.backfilled:
        return
    leaves = {one.oid: one.name for one in tables if one.kind == "table"}
    for oid, name in connection.execute(_NO_IDENTITY, [list(leaves)]).fetchall():
        yield Finding(
            "error",
            target.entity.name,
            "replica identity",
            f"{leaves[oid]} is published for updates ({name}) but has no replica identity: PostgreSQL refuses"
            " to UPDATE it",
            f"ALTER TABLE {table_identifier(leaves[oid]).as_string()} REPLICA IDENTITY USING INDEX …"
            " (or FULL), or take it out of the publication",
        )


_NO_COLUMN_LIST = (
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel l JOIN pg_catalog.pg_publication p ON p.oid = l.prpubid"
    " WHERE p.pubname = v.pubname AND l.prrelid = c.oid AND l.prattrs IS NOT NULL)"
)
# A partition is published by itself or, with publish_via_partition_root, as one of its ancestors.
_NO_IDENTITY = """
SELECT c.oid::bigint, string_agg(DISTINCT p.pubname::text, ', ')
  FROM pg_catalog.pg_class c
 CROSS JOIN LATERAL (SELECT c.oid AS oid
                      UNION SELECT a.relid FROM pg_catalog.pg_partition_ancestors(c.oid) AS a(relid)) s
  JOIN pg_catalog.pg_class t ON t.oid = s.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_catalog.pg_publication_tables v ON v.schemaname = n.nspname AND v.tablename = t.relname
  JOIN pg_catalog.pg_publication p ON p.pubname = v.pubname AND p.pubupdate
 WHERE c.oid = ANY (%s::oid[]) AND c.relreplident <> 'f'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
                      AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident))
 GROUP BY c.oid
 ORDER BY c.oid
"""


def space(connection: Connection, targets: dict[str, Target]) -> Iterator[Finding]:
    """Hold what the fills write against the free disk."""
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
