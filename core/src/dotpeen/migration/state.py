"""What the database remembers of the migration: the entity's stage and its table as it was before."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.types.json import Jsonb

from dotpeen.database import Catalog, Connection, Table, read_catalog
from dotpeen.database.references import remembered_references
from dotpeen.database.schema import is_installed
from dotpeen.errors import ConfigurationError
from dotpeen.migration.model import EntityState, Stage, Target
from dotpeen.migration.references import Contributed, kept_references, references_of
from dotpeen.migration.sql import SCHEMA
from dotpeen.registry import Entity, Registry, TableName


def load_targets(
    connection: Connection,
    registry: Registry,
    entities: Iterable[Entity],
    references: Contributed = (),
) -> tuple[Catalog, dict[str, Target | None]]:
    """Hold each entity against its table; None for an entity without a table.

    `references` are those that enabled plugins contribute; others that were migrated once are known all the same.
    """
    wanted = list(entities)
    names = [entity.table for entity in wanted]
    sidecars = [TableName(SCHEMA, f"identity_{entity.name}") for entity in wanted]
    catalog = read_catalog(connection, [*names, *sidecars])
    parts = {part.name for table in catalog.tables.values() for part in table.partitions}
    part_tables = read_catalog(connection, parts).tables if parts else {}
    installed = is_installed(connection)
    functions: dict[str, str] = dict(
        connection.execute(
            "SELECT p.proname::text, p.prosrc FROM pg_catalog.pg_proc p"
            " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %s",
            [SCHEMA],
        ).fetchall()
    )
    remembered = remembered_references(connection)
    targets: dict[str, Target | None] = {}
    for entity in wanted:
        table = catalog.table(entity.table)
        if table is None:
            targets[entity.name] = None
            continue
        targets[entity.name] = Target(
            entity=entity,
            table=table,
            server_version=catalog.server_version,
            namespace=registry.site.namespace,
            state=read_state(connection, entity) if installed else None,
            sidecar=catalog.table(TableName(SCHEMA, f"identity_{entity.name}")),
            restore=installed and _has_issued(connection, entity),
            functions=functions,
            parts={
                part.name: part_tables[part.name] for part in table.partitions if part.name in part_tables
            },
            backfilled=installed and _backfilled(connection, entity),
            verified=installed and _verified(connection, entity),
            references=references_of(
                entity, table, references, remembered, kept_references(connection, entity, references)
            ),
        )
    return catalog, targets


def read_state(connection: Connection, entity: Entity) -> EntityState | None:
    """Return what is remembered.

    Raises `ConfigurationError` when the entity was migrated on another table, column or storage than it has now.
    """
    row = connection.execute(
        "SELECT table_schema, table_name, column_name, storage, stage, before, rows_before FROM dotpeen.entity"
        " WHERE name = %s",
        [entity.name],
    ).fetchone()
    if row is None:
        return None
    schema, name, column, storage, stage, before, rows_before = row
    then = (TableName(schema, name), column if storage == "column" else None, storage)
    now = (entity.table, entity.uuid.column if entity.uuid.storage == "column" else None, entity.uuid.storage)
    if then != now:
        raise ConfigurationError(
            f"entity {entity.name} was migrated as table {then[0]}, column {column}, storage {storage}; the registry"
            f" now says table {entity.table}, column {entity.uuid.column}, storage {entity.uuid.storage}",
            hint="put the registry back as it was, roll back with `dotpeen migrate down`, then change it",
        )
    return EntityState(entity.name, Stage(stage) if stage else None, before, rows_before)


def register(connection: Connection, target: Target) -> None:
    """Remember the table as it is now, before the first step; a second call changes nothing."""
    entity, table = target.entity, target.table
    counters = connection.execute(
        "SELECT coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(c)), 0)::bigint,"
        " coalesce(sum(pg_catalog.pg_stat_get_tuples_deleted(c)), 0)::bigint"
        " FROM unnest(%s::oid[]) AS c",
        [[part.oid for part in target.parts.values()] or [table.oid]],
    ).fetchone()
    connection.execute(
        "INSERT INTO dotpeen.entity (name, table_schema, table_name, column_name, storage, before,"
        " inserted_before, deleted_before) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING",
        [
            entity.name,
            table.name.schema,
            table.name.name,
            entity.uuid.column,
            entity.uuid.storage,
            Jsonb(_before(entity, table)),
            *(counters or (0, 0)),
        ],
    )


def set_stage(connection: Connection, entity: str, stage: Stage | None) -> None:
    """Remember the last stage completed."""
    connection.execute("UPDATE dotpeen.entity SET stage = %s WHERE name = %s", [stage, entity])


def complete(connection: Connection, entity: str, stage: Stage) -> None:
    """Remember that a stage was completed, unless a later one was already."""
    connection.execute(
        "UPDATE dotpeen.entity SET stage = %(stage)s WHERE name = %(entity)s"
        " AND coalesce(pg_catalog.array_position(%(stages)s::text[], stage), 0)"
        " < pg_catalog.array_position(%(stages)s::text[], %(stage)s)",
        {"stage": str(stage), "entity": entity, "stages": [str(each) for each in Stage]},
    )


def forget(connection: Connection, entity: str) -> None:
    """Forget an entity that was rolled back; its issued UUIDs stay in `dotpeen.issued`."""
    connection.execute("DELETE FROM dotpeen.worker WHERE entity = %s", [entity])
    connection.execute("DELETE FROM dotpeen.entity WHERE name = %s", [entity])


def _before(entity: Entity, table: Table) -> dict[str, object]:
    if entity.uuid.storage == "sidecar":
        return {"column": True}
    column = table.columns.get(entity.uuid.column)
    return {
        "column": column is not None,
        "default": column.default if column else None,
        "not_null": bool(column and column.not_null),
        "unique": any(index.covers_exactly([entity.uuid.column]) for index in table.indexes),
    }


def _has_issued(connection: Connection, entity: Entity) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM dotpeen.issued WHERE entity = %s AND current)", [entity.name]
    ).fetchone()
    return bool(row and row[0])


def _backfilled(connection: Connection, entity: Entity) -> bool:
    row = connection.execute(
        "SELECT coalesce(bool_and(finished_at IS NOT NULL), false) FROM dotpeen.backfill WHERE entity = %s",
        [entity.name],
    ).fetchone()
    return bool(row and row[0])


def _verified(connection: Connection, entity: Entity) -> bool:
    row = connection.execute(
        "SELECT verified_at IS NOT NULL FROM dotpeen.entity WHERE name = %s", [entity.name]
    ).fetchone()
    return bool(row and row[0])
