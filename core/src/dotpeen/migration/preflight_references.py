"""Preflight of external references: columns that are there already, and whether their values can stay."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.migration.model import Finding, Reference, Target
from dotpeen.migration.sql import EntitySql
from dotpeen.migration.stages.index import WantedIndex

_LISTED = 5
_TYPES = {"uuid": ("uuid",), "text": ("text", "character varying", "citext")}
"""What a column that is there already may be, by the type that the plugin declares."""


def references(connection: Connection, target: Target) -> Iterator[Finding]:
    """Look at each reference that an enabled plugin declares."""
    for one in target.declared:
        wrong = list(_place(target, one))
        yield from wrong
        if not wrong and one.column in target.table.columns:
            yield from _values(connection, target, one)


def blank(column: sql.Composable) -> sql.Composed:
    """A condition: a text that is no identifier, since nobody can see or say it."""
    return sql.SQL("({c}::text = '' OR {c}::text <> pg_catalog.btrim({c}::text, E' \\t\\r\\n'))").format(
        c=column
    )


def _place(target: Target, one: Reference) -> Iterator[Finding]:
    entity, table = target.entity, target.table
    own = {*entity.primary_key, *entity.business_id}
    if entity.uuid.storage == "column":
        own.add(entity.uuid.column)
    if one.column in own:
        yield _error(
            target,
            one,
            f"column {one.column} of {table.name} is the entity's own identifier",
            f"give the reference another column in plugin {one.plugin}",
        )
        return
    if one.name != one.column and one.name in {*table.columns, entity.uuid.column}:
        yield _error(
            target,
            one,
            f"{table.name} has another column of this name",
            f"give the reference another name in plugin {one.plugin}",
        )
    column = table.columns.get(one.column)
    if column is not None and column.type.split("(")[0] not in _TYPES[one.type]:
        yield _error(
            target,
            one,
            f"{table.name}.{one.column} is of type {column.type}, plugin {one.plugin} declares {one.type}",
            "rename the column that is there, change its type, or switch the plugin off",
        )
    elif column is not None and column.generated:
        yield _error(
            target,
            one,
            f"{table.name}.{one.column} is a generated column: nobody can write to it",
            "rename the column that is there, or switch the plugin off",
        )


def _values(connection: Connection, target: Target, one: Reference) -> Iterator[Finding]:
    """Existing values that can't be adopted: blank, or not unique."""
    names, table = EntitySql(target), target.table
    index_name = names.index_name_for(table.name.name, one.column)
    if one.before is None and one.type == "text":
        yield from _blank(connection, target, one)
    if any(WantedIndex(one.column, one.name).serves(index, index_name) for index in table.indexes):
        return
    if target.entity.uuid.storage == "sidecar":
        yield Finding(
            "warning",
            target.entity.name,
            "external reference",
            f"{one.name}: no unique index over {one.column} of {table.name}, which may not be altered",
            "a lookup by it reads the whole table: ask the table's owner for one",
        )
    rows = connection.execute(
        sql.SQL(
            "SELECT t.{column}::text, count(*), (array_agg({key} ORDER BY {key}))[1:5] FROM {source} AS t"
            " WHERE t.{column} IS NOT NULL GROUP BY t.{column} HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
        ).format(
            column=sql.Identifier(one.column),
            key=names.key("t"),
            source=names.table,
            limit=sql.Literal(_LISTED + 1),
        )
    ).fetchall()
    for value, count, keys in rows[:_LISTED]:
        yield _error(
            target,
            one,
            f"{value!r} stands in {count} rows of {table.name}, with keys {', '.join(keys)}"
            + (", …" if count > len(keys) else ""),
            "decide which record keeps it and set the column of the others to NULL",
        )
    if len(rows) > _LISTED:
        yield _error(target, one, "and more", "")


def _blank(connection: Connection, target: Target, one: Reference) -> Iterator[Finding]:
    names = EntitySql(target)
    column = sql.Identifier("t", one.column)
    rows = connection.execute(
        sql.SQL("SELECT {}, {}::text, count(*) OVER () FROM {} AS t WHERE {} ORDER BY 1 LIMIT {}").format(
            names.key("t"), column, names.table, blank(column), sql.Literal(_LISTED)
        )
    ).fetchall()
    for key, value, count in rows:
        more = f" (one of {count} such rows)" if count > 1 else ""
        yield _error(
            target,
            one,
            f"the row of {target.table.name} with key {key} holds {value!r}, blank or with blanks around{more}",
            "correct it, or set it to NULL",
        )


def _error(target: Target, one: Reference, message: str, hint: str) -> Finding:
    return Finding("error", target.entity.name, "external reference", f"{one.name}: {message}", hint or None)
