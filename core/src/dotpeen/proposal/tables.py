"""Which tables are records of the plant, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from dotpeen.database.catalog import Catalog, Table
from dotpeen.registry.models import TableName

_FRAMEWORKS: Final = (
    ("Alembic", r"alembic_version\w*"),
    ("Prisma", r"_prisma_\w+"),
    ("Django", r"(django|auth|authtoken|account_email)_\w+"),
    ("Rails", r"schema_migrations|ar_internal_metadata|active_storage_\w+"),
    ("Flyway", r"flyway_\w+|schema_version"),
    ("Liquibase", r"databasechangelog(lock)?"),
    ("Entity Framework", r"__efmigrationshistory"),
    (
        "a migration tool",
        r"migrations?|knex_migrations\w*|_?sqlx_migrations|goose_db_version|sequelizemeta|\w+_migrations",
    ),
    ("PostGIS", r"spatial_ref_sys|(geometry|geography|raster)_columns"),
    ("a job queue", r"procrastinate_\w+|oban_\w+|celery_\w+|kombu_\w+|delayed_jobs|good_jobs|que_jobs"),
    ("Tryton or Odoo", r"(ir|res)_\w.*|bus_bus|mail_\w+"),
    ("a session store", r"sessions?|session_store"),
)
_FRAMEWORK_SCHEMAS: Final = re.compile(
    r"_?(hdb_catalog|pgboss|drizzle|graphile_\w+|cron|topology|tiger\w*|timescaledb\w*|partman)"
)
AUDIT: Final = re.compile(
    r"(created|updated|modified|deleted|inserted|write|create|last_?(updated|modified))"
    r"(_?(at|on|by|uid|user|user_?id|by_?id|date|time|ts))?|x?version|row_?version|position|sort_?order|ordinal",
    re.IGNORECASE,
)
"""Columns that say who wrote a row, when, and in which order rows are shown; not what it is."""

_UPDATED: Final = re.compile(r"updated_?at", re.IGNORECASE)
"""What Prisma (`@updatedAt`) and others call a column that the application sets at every change."""


def row_key(table: Table) -> tuple[str, ...]:
    """Return the columns that identify a row: the primary key, or a unique index without nullable ones."""
    if table.primary_key:
        return table.primary_key
    keys = [
        tuple(name for name in index.columns if name is not None)
        for index in table.indexes
        if None not in index.columns
        and index.columns
        and index.covers_exactly(name for name in index.columns if name is not None)
        and all(
            name in table.columns and table.columns[name].not_null
            for name in index.columns
            if name is not None
        )
    ]
    return min(keys, key=lambda key: (len(key), key), default=())


def unusable(table: Table) -> str | None:
    """Tell why a table can't be an entity, or None when it can."""
    if table.kind == "foreign":
        return "a foreign table: its rows are in another server"
    if table.kind not in ("table", "partitioned"):
        return "no table but a view or the like"
    if table.inherits:
        return "table inheritance: a key of the parent says nothing about its children's rows"
    if any(partition.foreign for partition in table.partitions):
        return "some partitions are foreign tables: their rows are in another server"
    if not row_key(table):
        return "no primary key, nor a unique index over columns that are never null"
    return None


def framework(table: TableName) -> str | None:
    """Tell which framework a table looks like the internals of, or None."""
    if _FRAMEWORK_SCHEMAS.fullmatch(table.schema.lower()):
        return f"schema {table.schema}"
    name = table.name.lower()
    return next((owner for owner, pattern in _FRAMEWORKS if re.fullmatch(pattern, name, re.DOTALL)), None)


def referenced(catalog: Catalog) -> frozenset[TableName]:
    """Return the tables that some other table's foreign key points to."""
    return frozenset(
        key.references
        for table in catalog.tables.values()
        for key in table.foreign_keys
        if key.references != table.name
    )


def is_link(table: Table) -> bool:
    """Tell whether a table holds nothing but foreign keys: rows that connect records and are none."""
    linking = {name for key in table.foreign_keys for name in key.columns if not AUDIT.fullmatch(name)}
    surrogate = set(table.primary_key) if len(table.primary_key) == 1 else set()
    others = [name for name in table.columns if name not in linking | surrogate and not AUDIT.fullmatch(name)]
    keys = [
        key for key in table.foreign_keys if not set(key.columns) <= set(filter(AUDIT.fullmatch, key.columns))
    ]
    return len(keys) >= 2 and not others


def updated_at(table: Table) -> str | None:
    """Return the column that the application sets at every change: nothing else would give it a value."""
    for column in table.columns.values():
        filled = column.default is not None or column.generated or not column.not_null
        if _UPDATED.fullmatch(column.name) and column.type.startswith("timestamp") and not filled:
            return column.name
    return None


def foreign_key_columns(table: Table) -> frozenset[str]:
    """Return every column that takes part in a foreign key."""
    return frozenset(name for key in table.foreign_keys for name in key.columns)


def public_first(names: Iterable[TableName]) -> list[TableName]:
    """Sort tables: those of `public` first, so that they get the plain names."""
    return sorted(names, key=lambda name: (name.schema != "public", name))
