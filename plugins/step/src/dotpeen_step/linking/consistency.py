"""Where the links and the MES are out of step: what `dotpeen migrate verify` is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from dotpeen.database import Connection
from dotpeen.registry import Entity
from dotpeen_step.linking.installation import SCHEMA
from dotpeen_step.linking.parts import ENTITY, REFERENCE

_LINES: Final = 20
"""Findings that are named; the rest is counted."""
_COLUMNS: Final = (
    "SELECT count(*) FROM pg_catalog.pg_attribute"
    " WHERE attrelid = pg_catalog.to_regclass(%s) AND attname = ANY(%s) AND NOT attisdropped"
)
_BESIDE: Final = sql.SQL(
    "SELECT i.uuid::text AS part, x.value FROM dotpeen.external_value AS x"
    " JOIN dotpeen.identity AS i ON i.entity = x.entity AND i.key = x.key WHERE x.entity = {} AND x.name = {}"
)
_UUIDS: Final = sql.SQL(" WHERE r.value ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'")
"""What is none, in a column of texts, is another check's to say."""
_HISTORY: Final = sql.SQL(
    " AND NOT EXISTS (SELECT FROM dotpeen_step.link AS l WHERE l.part::text = pg_catalog.lower(r.part)"
    " AND l.revision_uuid::text = pg_catalog.lower(r.value) AND l.unlinked_at IS NULL)"
)


def without_history(connection: Connection, entity: Entity) -> Sequence[str]:
    """Name parts whose external reference is no revision that they are linked to."""
    references = _references(connection, entity)
    if references is None:
        return ()
    known = _HISTORY if SCHEMA.installed(connection) else sql.SQL("")
    query = sql.SQL("SELECT r.part, r.value, count(*) OVER () FROM ({}) AS r{}{} ORDER BY 1 LIMIT {}").format(
        references, _UUIDS, known, _LINES
    )
    rows = connection.execute(query).fetchall()
    numbers = _numbers(connection, entity, [part for part, _, _ in rows])
    return [
        f"{ENTITY} {numbers.get(part, part)} has {REFERENCE} {value} and no link with it:"
        f" dotpeen step link {part} --uuid {value} makes one"
        for part, value, _ in rows
    ] + _more(rows)


def without_part(connection: Connection, entity: Entity) -> Sequence[str]:
    """Name links whose part is gone."""
    there = _there(connection, entity)
    if there is None or not SCHEMA.installed(connection):
        return ()
    query = sql.SQL(
        "SELECT l.part::text, count(*), count(*) OVER () FROM dotpeen_step.link AS l"
        " WHERE l.unlinked_at IS NULL AND NOT EXISTS ({}) GROUP BY 1 ORDER BY 1 LIMIT {}"
    ).format(there, _LINES)
    rows = connection.execute(query).fetchall()
    return [
        f"{ENTITY} {part} is gone, and {number} of its CAD revisions are linked" for part, number, _ in rows
    ] + _more(rows)


def _more(rows: Sequence[tuple[object, ...]]) -> list[str]:
    count = int(str(rows[0][2])) if rows else 0
    return [f"and {count - len(rows):,} more"] if count > len(rows) else []


def _references(connection: Connection, entity: Entity) -> sql.Composable | None:
    """Every part with its external reference; None where there is no place for it."""
    if entity.uuid.storage == "sidecar":
        if not _has(connection, "dotpeen.external_value", "value"):
            return None
        return _BESIDE.format(entity.name, REFERENCE)
    table = sql.Identifier(*entity.table)
    if not _has(connection, table.as_string(connection), entity.uuid.column, REFERENCE):
        return None
    return sql.SQL(
        "SELECT {uuid}::text AS part, {value}::text AS value FROM {table} WHERE {value} IS NOT NULL"
    ).format(uuid=sql.Identifier(entity.uuid.column), value=sql.Identifier(REFERENCE), table=table)


def _numbers(connection: Connection, entity: Entity, parts: Sequence[str]) -> Mapping[str, str]:
    """Return the business identifiers of some parts, where that is one column."""
    table = sql.Identifier(*entity.table)
    if len(entity.business_id) != 1:
        return {}
    (number,) = entity.business_id
    if entity.uuid.storage != "sidecar":
        query = sql.SQL(
            "SELECT {uuid}::text, {number}::text FROM {table} WHERE {uuid} = ANY({parts})"
        ).format(
            uuid=sql.Identifier(entity.uuid.column),
            number=sql.Identifier(number),
            table=table,
            parts=sql.SQL("%s::text[]" if entity.uuid.type == "text" else "%s::uuid[]"),
        )
        needed: Sequence[str] = (entity.uuid.column, number)
        parameters: list[object] = [list(parts)]
    elif len(entity.primary_key) == 1:
        query = sql.SQL(
            "SELECT i.uuid::text, p.{number}::text FROM dotpeen.identity AS i"
            " JOIN {table} AS p ON p.{key}::text = i.key"
            " WHERE i.entity = %s AND i.uuid = ANY(%s::uuid[])"
        ).format(number=sql.Identifier(number), table=table, key=sql.Identifier(entity.primary_key[0]))
        needed = (entity.primary_key[0], number)
        parameters = [entity.name, list(parts)]
    else:
        return {}
    if not parts or not _has(connection, table.as_string(connection), *dict.fromkeys(needed)):
        return {}
    rows = connection.execute(query, parameters)
    return {part: found for part, found in rows if found is not None}


def _there(connection: Connection, entity: Entity) -> sql.Composable | None:
    """The part of a link `l`; None where parts have no UUIDs."""
    if entity.uuid.storage == "sidecar":
        if not _has(connection, "dotpeen.identity", "uuid"):
            return None
        return sql.SQL("SELECT FROM dotpeen.identity AS i WHERE i.uuid = l.part AND i.entity = {}").format(
            entity.name
        )
    table = sql.Identifier(*entity.table)
    if not _has(connection, table.as_string(connection), entity.uuid.column):
        return None
    part = sql.SQL("l.part::text" if entity.uuid.type == "text" else "l.part")
    return sql.SQL("SELECT FROM {} AS p WHERE p.{} = {}").format(
        table, sql.Identifier(entity.uuid.column), part
    )


def _has(connection: Connection, table: str, *columns: str) -> bool:
    row = connection.execute(_COLUMNS, [table, list(columns)]).fetchone()
    return row is not None and int(row[0]) == len(columns)
