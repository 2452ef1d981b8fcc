"""The SQL of every question about records: names quoted, values as parameters, the text the same at every call.

Statements that answer with records have the columns UUID, key and the record as JSON text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from psycopg import sql

from dotpeen.records.expressions import (
    AND,
    COMMA,
    ROW,
    body,
    compared,
    found_by_uuid,
    identified,
    link_pairs,
    parameters_of,
    select,
    settled,
    table,
    uuid_equals,
    uuid_in,
    uuid_is,
    uuid_text,
)
from dotpeen.records.fields import Audience, Beside, Identifier, Incoming, Link
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wire import Name, Text, row_key, text

__all__ = [
    "RELATED",
    "by_asked",
    "by_identifier",
    "by_key",
    "by_uuids",
    "clear_beside",
    "insert",
    "keyed_by_uuids",
    "linked",
    "parameters_of",
    "related",
    "resolve",
    "set_beside",
    "update",
]

RELATED: Final = 100
"""Related records of one link that `related` answers with."""


@lru_cache(maxsize=1024)
def by_uuids(shape: Shape, audience: Audience, fields: tuple[str, ...] | None) -> sql.Composed:
    """Rows of UUID and JSON, no more; the parameter is an array of UUIDs. `fields` None: all that is seen."""
    uuid = uuid_text(shape, by_uuid=True)
    return settled(
        sql.SQL("SELECT {}, {} FROM {} WHERE {}").format(
            uuid, body(shape, audience, fields, uuid=uuid), found_by_uuid(shape.place), uuid_in(shape.place)
        )
    )


@lru_cache(maxsize=1024)
def by_asked(shape: Shape, audience: Audience, fields: tuple[str, ...] | None) -> sql.Composed:
    """The JSON of the one record whose UUID is `asked.uuid`, a column of the statement that this stands in.

    The limit keeps it one search of the index for each, whatever the planner thinks of the table.
    """
    return settled(
        sql.SQL("SELECT {} FROM {} WHERE {} LIMIT 1").format(
            body(shape, audience, fields, uuid=uuid_text(shape, by_uuid=True)),
            found_by_uuid(shape.place),
            uuid_equals(shape.place, sql.SQL("asked.uuid")),
        )
    )


@lru_cache(maxsize=1024)
def keyed_by_uuids(
    shape: Shape, audience: Audience, fields: tuple[str, ...] | None, *, lock: bool = False
) -> sql.Composed:
    """As `by_uuids`, with the key. `lock`: nobody else changes the records meanwhile."""
    query = sql.SQL("{} FROM {} WHERE {}").format(
        select(shape, audience, fields, by_uuid=True), found_by_uuid(shape.place), uuid_in(shape.place)
    )
    return settled(sql.SQL("{} FOR NO KEY UPDATE OF t").format(query) if lock else query)


@lru_cache(maxsize=1024)
def by_key(
    shape: Shape, audience: Audience, fields: tuple[str, ...] | None, *, lock: bool = False
) -> sql.Composed:
    """The record of a primary key, one parameter for each of its columns."""
    query = sql.SQL("{} FROM {} WHERE {}").format(
        select(shape, audience, fields), table(shape), AND.join(compared(part, "=") for part in shape.key)
    )
    return settled(sql.SQL("{} FOR NO KEY UPDATE OF t").format(query) if lock else query)


@lru_cache(maxsize=1024)
def by_identifier(
    shape: Shape, audience: Audience, fields: tuple[str, ...] | None, identifiers: tuple[Identifier, ...]
) -> sql.Composed:
    """Ask each identifier by its index: rows of its name, UUID, key and JSON, no more than two of each.

    Parameters are those of each identifier's parts in order (`parameters_of`).
    """
    branches = []
    for identifier in identifiers:
        by_uuid = identifier.kind == "uuid"
        source = found_by_uuid(shape.place) if by_uuid else table(shape)
        conditions = AND.join(condition for part in identifier.parts for condition in identified(part))
        branches.append(
            sql.SQL("(SELECT {}::text, r.* FROM ({} FROM {} WHERE {} LIMIT 2) AS r(uuid, key, body))").format(
                Text(identifier.name), select(shape, audience, fields, by_uuid=by_uuid), source, conditions
            )
        )
    return settled(sql.SQL(" UNION ALL ").join(branches))


@lru_cache(maxsize=64)
def resolve(shapes: Shapes, names: tuple[str, ...], audience: Audience) -> sql.Composed:
    """Rows of entity, UUID, key and JSON; the parameter is a UUID, once for each of the entities named."""
    return settled(
        sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}::text, r.* FROM ({} FROM {} WHERE {}) AS r(uuid, key, body)").format(
                Text(name),
                select(shapes[name], audience, None, by_uuid=True),
                found_by_uuid(shapes[name].place),
                uuid_is(shapes[name].place),
            )
            for name in names
        )
    )


@lru_cache(maxsize=256)
def related(shape: Shape, shapes: Shapes) -> sql.Composed:
    """A record by its primary key, with what it is linked to, for internal callers.

    Columns: UUID, key, JSON; for each of `shape.links` the other record; for each of `shape.incoming` an array of up
    to 100 records, and whether there are more.
    """
    outgoing = [_outgoing(link, shapes[link.entity]) for link in shape.links.values()]
    incoming = [part for one in shape.incoming for part in _incoming(one, shapes[one.entity])]
    return settled(
        # The row has two names: that of the others inside is `t`, too.
        sql.SQL("{} FROM {} CROSS JOIN LATERAL (SELECT t.*) AS s WHERE {}").format(
            COMMA.join([select(shape, "internal", None), *outgoing, *incoming]),
            table(shape),
            AND.join(compared(part, "=") for part in shape.key),
        )
    )


@lru_cache(maxsize=256)
def insert(shape: Shape, columns: tuple[str, ...]) -> sql.Composed:
    """Make a record; answers with the text of each column of its primary key."""
    values: sql.Composable = sql.SQL("DEFAULT VALUES")
    if columns:
        values = sql.SQL("({}) VALUES ({})").format(
            COMMA.join(Name(column) for column in columns), COMMA.join(sql.SQL("%s") for _ in columns)
        )
    key = COMMA.join(text(part, ROW) for part in shape.key)
    return settled(sql.SQL("INSERT INTO {} {} RETURNING {}").format(table(shape), values, key))


@lru_cache(maxsize=256)
def update(shape: Shape, columns: tuple[str, ...]) -> sql.Composed:
    """Change a record: one parameter for each column, then those of its primary key; answers with the key's texts."""
    return settled(
        sql.SQL("UPDATE {} SET {} WHERE {} RETURNING {}").format(
            table(shape),
            COMMA.join(sql.SQL("{} = %s").format(Name(column)) for column in columns),
            AND.join(compared(part, "=") for part in shape.key),
            COMMA.join(text(part, ROW) for part in shape.key),
        )
    )


@lru_cache(maxsize=256)
def set_beside(shape: Shape, beside: Beside) -> sql.Composed:
    """Write an external reference that is no column: the value, then the columns of the record's primary key."""
    return settled(
        sql.SQL(
            "INSERT INTO dotpeen.external_value (entity, name, key, value) SELECT {}, {}, {}, %s FROM {} WHERE {}"
            " ON CONFLICT (entity, key, name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at"
            " WHERE external_value.value <> excluded.value"
        ).format(
            Text(beside.entity),
            Text(beside.reference),
            row_key(beside.key, ROW),
            table(shape),
            AND.join(compared(part, "=") for part in shape.key),
        )
    )


@lru_cache(maxsize=256)
def clear_beside(shape: Shape, beside: Beside) -> sql.Composed:
    """Take such a reference away, from the record of a primary key."""
    return settled(
        sql.SQL(
            "DELETE FROM dotpeen.external_value AS x USING {} WHERE x.entity = {} AND x.name = {} AND x.key = {} AND {}"
        ).format(
            table(shape),
            Text(beside.entity),
            Text(beside.reference),
            row_key(beside.key, ROW),
            AND.join(compared(part, "=") for part in shape.key),
        )
    )


@lru_cache(maxsize=256)
def linked(link: Link) -> sql.Composed:
    """The columns that a link refers to, as text, of the record with a UUID."""
    return settled(
        sql.SQL("SELECT {} FROM {} WHERE {}").format(
            COMMA.join(sql.SQL("{}::text").format(Name("o", column)) for column in link.references),
            found_by_uuid(link.place, "o"),
            uuid_is(link.place, "o"),
        )
    )


def _outgoing(link: Link, other: Shape) -> sql.Composed:
    return sql.SQL("(SELECT {} FROM {} WHERE {})").format(
        body(other, "internal", None, uuid=uuid_text(other)),
        table(other),
        link_pairs(link, here="s", there="t"),
    )


def _incoming(one: Incoming, other: Shape) -> list[sql.Composable]:
    key = COMMA.join(Name("t", field.column) for field in other.key)
    pairs = AND.join(
        sql.SQL("{} = {}").format(Name("t", field.column), Name("s", column))
        for column, field in zip(one.link.references, one.link.columns, strict=True)
    )
    # Which 100 of many is left to the index of the foreign key: sorting all of them first could take minutes.
    some = sql.SQL("(SELECT t.* FROM {} WHERE {} LIMIT {})").format(
        table(other), pairs, sql.Literal(RELATED + 1)
    )
    rows = sql.SQL(
        "(SELECT '[' || coalesce(pg_catalog.string_agg(f.body, ',' ORDER BY f.n), '') || ']' FROM"
        " (SELECT {} AS body, pg_catalog.row_number() OVER (ORDER BY {}) AS n FROM {} AS t ORDER BY n LIMIT {}) AS f)"
    ).format(body(other, "internal", None, uuid=uuid_text(other)), key, some, sql.Literal(RELATED))
    return [
        rows,
        sql.SQL("(SELECT pg_catalog.count(*) > {} FROM {} AS f)").format(sql.Literal(RELATED), some),
    ]
