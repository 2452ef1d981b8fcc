"""Preflight: what a DBA would look at before starting, looked at by the machine."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from dotpeen.database import Catalog, Connection
from dotpeen.database.schema import is_installed
from dotpeen.identifiers import CANONICAL_UUID_SQL
from dotpeen.migration.model import Finding, Stage, Target
from dotpeen.migration.preflight_references import references
from dotpeen.migration.preflight_server import published, server, space
from dotpeen.migration.sql import GUARD_TRIGGER, EntitySql, table_identifier
from dotpeen.migration.stages.index import WantedIndex, unique_columns, wanted_indexes
from dotpeen.registry import TableName

_LISTED = 5


def preflight(connection: Connection, catalog: Catalog, targets: dict[str, Target]) -> list[Finding]:
    """Look at the tables and the server; the levels say what stops the migration."""
    pending = not targets or any(not target.completed_all for target in targets.values())
    findings = list(server(connection, catalog, pending=pending))
    for target in targets.values():
        findings += _column_gone(target)
        findings += references(connection, target)
        if target.completed_all:
            if target.new_columns:
                # A plugin that was switched on since.
                findings += _prepared_statements(target)
                findings += published(connection, target)
            for wanted in wanted_indexes(target):
                if wanted.reference is not None:
                    findings += _index_name(connection, target, wanted)
            continue
        findings += _other_entity(connection, target)
        findings += _values(connection, target)
        findings += _index_names(connection, target)
        findings += _reused_business_id(target)
        findings += _prepared_statements(target)
        findings += published(connection, target)
        findings += _triggers(target)
        findings += _unseen_changes(connection, target)
        findings += _rules(connection, target)
        findings += _unchecked_rows(connection, target)
    findings += space(connection, targets)
    return findings


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


def _other_entity(connection: Connection, target: Target) -> Iterator[Finding]:
    if not is_installed(connection):
        return
    entity, name = target.entity, target.table.name
    rows = connection.execute(
        "SELECT name FROM dotpeen.entity WHERE table_schema = %s AND table_name = %s AND name <> %s ORDER BY name",
        [name.schema, name.name, entity.name],
    ).fetchall()
    for (other,) in rows:
        yield Finding(
            "error",
            entity.name,
            "other entity",
            f"{name} was already migrated as entity {other}: its records would get a second UUID",
            f"name the entity {other} again; or give its UUIDs up: dotpeen migrate down {other}",
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
    for wanted in wanted_indexes(target):
        yield from _index_name(connection, target, wanted)


def _index_name(connection: Connection, target: Target, wanted: WantedIndex) -> Iterator[Finding]:
    entity, names = target.entity, EntitySql(target)
    columns, unique = unique_columns(target, wanted.column)
    for table in (target.table, *target.parts.values()):
        name = names.index_name_for(table.name.name, wanted.column)
        index = next((index for index in table.indexes if index.name == name), None)
        if index is not None:
            # That of an external reference may be there from before, and total.
            partial = index.partial and wanted.reference is None
            wrong = index.columns != tuple(columns) or index.unique != unique or partial
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


def _reused_business_id(target: Target) -> Iterator[Finding]:
    entity = target.entity
    if entity.uuid.version == 5:
        yield Finding(
            "warning",
            entity.name,
            "version 5",
            f"{target.table.name}: when {_keys(entity.business_id)} of a record is changed and a new record takes"
            " the old value, both have the same UUID and the INSERT is refused",
            "use version 4 or 7, unless business identifiers are never given to another record",
        )


def _prepared_statements(target: Target) -> Iterator[Finding]:
    entity, table = target.entity, target.table
    if target.new_columns:
        yield Finding(
            "note",
            entity.name,
            "prepared statements",
            f"{table.name}: a prepared SELECT * or RETURNING * fails once with 'cached plan must not change result"
            f" type' after column {' and '.join(target.new_columns)} is added",
            "most drivers prepare it again by themselves; else let the application reconnect,"
            ' or leave the table as it is: uuid = { storage = "sidecar" }',
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


_UNSEEN = """
SELECT n.nspname::text, c.relname::text, t.tgname::text, t.tgfoid::pg_catalog.regproc::text, (t.tgtype & 4) = 4
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
 WHERE t.tgrelid = ANY (%(tables)s::oid[]) AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'D'
   AND (t.tgtype & 1) = 1 AND (t.tgtype & 2) = 2 AND NOT pg_catalog.starts_with(t.tgname::text, 'zz_dotpeen_')
   AND ((t.tgtype & 4) = 4 OR ((t.tgtype & 16) = 16 AND t.tgname > %(guard)s))
   AND NOT (l.lanname = 'plpgsql' AND pg_catalog.strpos(lower(p.prosrc), lower(%(column)s)) = 0
            AND pg_catalog.regexp_replace(p.prosrc, '\\mreturn\\s+new\\s*;|\\mnew\\s*\\.', '', 'gi')
                !~* '\\mnew\\M|\\mreturn\\M(?!\\s+(old|null)\\s*;)')
 ORDER BY t.tgrelid <> %(table)s::oid, 1, 2, 3
"""
"""Triggers that write a row after the BEFORE guard has seen it. A function in PL/pgSQL that neither names the column
nor deals with the new row as a whole can't change its UUID."""


def unseen_changes(connection: Connection, target: Target) -> list[tuple[str, str]]:
    """Name triggers that could change the UUID of a row while it moves to another partition, each with its remedy.

    The move is a DELETE and an INSERT to PostgreSQL: no AFTER UPDATE trigger fires, and no trigger sees both rows. So
    what a BEFORE trigger does after our own can't be noticed.
    """
    names = EntitySql(target)
    if len(names.guards) == 1:
        return []
    table = target.table
    rows = connection.execute(
        _UNSEEN,
        {
            "table": table.oid,
            "tables": [table.oid, *(part.oid for part in target.parts.values())],
            "guard": GUARD_TRIGGER,
            "column": target.entity.uuid.column,
        },
    ).fetchall()
    found = []
    for schema, relation, trigger, function, on_insert in rows:
        on = TableName(schema, relation)
        rename = sql.SQL("ALTER TRIGGER {} ON {} RENAME TO …, a name that sorts before {}").format(
            sql.Identifier(trigger), table_identifier(on), sql.SQL(GUARD_TRIGGER)
        )
        found.append(
            (
                f"{on}: trigger {trigger} ({function})",
                f"make sure that {function} leaves {target.entity.uuid.column} alone where it is not null"
                if on_insert
                else rename.as_string(),
            )
        )
    return found


def _unseen_changes(connection: Connection, target: Target) -> Iterator[Finding]:
    for trigger, remedy in unseen_changes(connection, target):
        yield Finding(
            "warning",
            target.entity.name,
            "moved rows",
            f"{trigger} could change the UUID of a row that moves to another partition, unseen by the guard",
            remedy,
        )


def _rules(connection: Connection, target: Target) -> Iterator[Finding]:
    if target.entity.uuid.storage == "sidecar":
        return
    tables = {table.oid: table.name for table in (target.table, *target.parts.values())}
    rows = connection.execute(
        "SELECT ev_class::bigint, rulename::text, CASE ev_type WHEN '2' THEN 'UPDATE' ELSE 'INSERT' END"
        " FROM pg_catalog.pg_rewrite WHERE ev_class = ANY (%s::oid[]) AND ev_type IN ('2', '3')"
        " AND rulename <> '_RETURN' AND ev_enabled IN ('O', 'A') ORDER BY 1, 2",
        [list(tables)],
    ).fetchall()
    for oid, rule, event in rows:
        yield Finding(
            "warning",
            target.entity.name,
            "rule",
            f"{tables[oid]}: rule {rule} rewrites every {event}, "
            + (
                "those that fill UUIDs included"
                if event == "UPDATE"
                else "and new rows may get no UUID or two"
            ),
            "replace it by a trigger, or look closely at what it does with the UUID column",
        )


def _unchecked_rows(connection: Connection, target: Target) -> Iterator[Finding]:
    """Rows that a CHECK ... NOT VALID let stand: no UPDATE of them succeeds, whichever column it sets."""
    if target.entity.uuid.storage == "sidecar" or target.backfilled:
        return
    names = EntitySql(target)
    tables = {table.oid: table.name for table in (target.table, *target.parts.values())}
    enforced = "AND conenforced" if target.server_version >= 180000 else ""
    told = {names.not_null_name, names.format_name}
    for oid, constraint, expression in connection.execute(
        sql.SQL(
            "SELECT conrelid::bigint, conname::text, pg_catalog.pg_get_expr(conbin, conrelid)"
            " FROM pg_catalog.pg_constraint WHERE conrelid = ANY (%s::oid[]) AND contype = 'c'"
            " AND NOT convalidated {enforced} ORDER BY conrelid <> %s::oid, conrelid, conname"
        ).format(enforced=sql.SQL(enforced)),
        [list(tables), target.table.oid],
    ).fetchall():
        if constraint in told:
            continue
        # No alias but its own name: the expression may speak of the whole row by it.
        name = tables[oid].name
        query = sql.SQL("SELECT {key} FROM {table} AS {alias} WHERE NOT ({expression}) LIMIT 1").format(
            key=names.key(name),
            table=table_identifier(tables[oid]),
            alias=sql.Identifier(name),
            expression=sql.SQL(expression),
        )
        try:
            with connection.transaction():
                row = connection.execute(query).fetchone()
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.InternalError) as error:
            yield Finding(
                "warning",
                target.entity.name,
                "unchecked rows",
                f"{tables[oid]}: CHECK {constraint} (NOT VALID) can't be evaluated: {error.diag.message_primary}",
                "where it fails, no UUID can be written to the row: VALIDATE it, or drop it",
            )
            continue
        if row:
            told.add(constraint)
            yield Finding(
                "error",
                target.entity.name,
                "unchecked rows",
                f"{tables[oid]}: the row with {_keys(target.entity.primary_key)} {row[0]}, and maybe others, violates"
                f" CHECK {constraint} (NOT VALID): no UUID can be written to it",
                'correct such rows, drop the constraint, or use uuid = { storage = "sidecar" }',
            )


def _keys(columns: tuple[str, ...]) -> str:
    return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
