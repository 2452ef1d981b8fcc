"""Reading what the registered entities look like in a database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from psycopg import sql

from dotpeen.database import Connection, Table, read_catalog
from dotpeen.database.references import remembered_references
from dotpeen.identifiers import is_cuid, is_cuid2
from dotpeen.plugins import Plugins
from dotpeen.records import values
from dotpeen.records.fields import Field, Incoming, Link, UuidPlace, read_fields
from dotpeen.records.links import links_of
from dotpeen.records.references import contributed_references, hidden_columns, reference_field
from dotpeen.records.shape import KeyForm, Shape, Shapes
from dotpeen.records.visibility import Visibility
from dotpeen.registry import Entity, Registry, TableName
from dotpeen.registry.models import default_path

_SAMPLE: Final = 20
"""Keys looked at to learn their form."""


def load_shapes(connection: Connection, registry: Registry, plugins: Plugins | None = None) -> Shapes:
    """Read what the registered entities look like in this database; takes no lock that anybody waits for.

    An entity without its table, or without its primary key's columns, is left out, and said so in `missing`.
    """
    entities = list(registry.entities.values())
    sidecars = {entity.name: TableName("dotpeen", f"identity_{entity.name}") for entity in entities}
    with connection.transaction():
        # Names of types are written with their schema then.
        connection.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)")
        catalog = read_catalog(connection, [*(entity.table for entity in entities), *sidecars.values()])
        there, missing = _present(entities, catalog.tables)
        fields = read_fields(connection, there)
        remembered = remembered_references(connection)
        forms = {entity.name: _key_form(connection, entity, table, fields) for entity, table in there}
    contributed = contributed_references(plugins)
    if plugins is not None:
        for entity, _ in there:
            for column in hidden_columns(entity, contributed, remembered):
                fields[entity.name].pop(column, None)
    tables = {entity.name: table for entity, table in there}
    places = {entity.name: _place(entity, fields[entity.name], sidecars[entity.name]) for entity, _ in there}
    reasons = {
        entity.name: _not_ready(entity, table, catalog.tables.get(sidecars[entity.name]))
        for entity, table in there
    }
    links = {entity.name: links_of(registry, entity, tables, fields, places, reasons) for entity, _ in there}
    shapes = []
    for entity, table in there:
        own, name = fields[entity.name], entity.name
        references = [
            (plugin, one, reference_field(entity, one, own, remembered))
            for plugin, one in contributed.get(name, ())
        ]
        placed = [(plugin, one) for plugin, _, one in references if one is not None]
        parts = Visibility(entity, table, own, places[name], links[name], placed, reasons[name])
        visible = {one.name: one for _, one in parts.referenced()}
        shapes.append(
            Shape(
                entity=entity,
                table=table.name,
                place=places[name],
                fields=own,
                links={link.external_name: link for link in links[name]},
                incoming=_incoming(name, links),
                members={"external": parts.external(), "internal": parts.internal()},
                narrowed={"external": parts.external_filters(), "internal": parts.internal_filters()},
                identifiers_of={
                    "external": parts.identifiers("external"),
                    "internal": parts.identifiers("internal"),
                },
                key=tuple(own[column] for column in entity.primary_key),
                ready=reasons[name],
                key_form=forms[name],
                unique={
                    **{one.name: one.columns for one in table.constraints if one.columns},
                    **{
                        index.name: tuple(column for column in index.columns if column is not None)
                        for index in table.indexes
                    },
                    **{key.name: key.columns for key in table.foreign_keys},
                    **_unique_beside(visible.values()),
                },
                references=visible,
            )
        )
    return Shapes(shapes, missing=missing)


def _present(
    entities: Sequence[Entity], tables: Mapping[TableName, Table]
) -> tuple[list[tuple[Entity, Table]], dict[str, str]]:
    there, missing = [], {}
    for entity in entities:
        table = tables.get(entity.table)
        if table is None:
            missing[entity.name] = f"no table {entity.table}"
            continue
        absent = [column for column in entity.primary_key if column not in table.columns]
        if absent:
            missing[entity.name] = f"{entity.table} has no column {absent[0]!r}"
            continue
        there.append((entity, table))
    return there, missing


def _place(entity: Entity, fields: Mapping[str, Field], sidecar: TableName) -> UuidPlace:
    return UuidPlace(
        name=entity.uuid.column,
        entity=entity.name,
        table=entity.table,
        key=tuple(fields[column] for column in entity.primary_key),
        text=entity.uuid.type == "text",
        sidecar=sidecar if entity.uuid.storage == "sidecar" else None,
    )


def _not_ready(entity: Entity, table: Table, sidecar: Table | None) -> str | None:
    """Why not every record is certain to have a UUID that can be asked for by an index."""
    if entity.uuid.storage == "sidecar":
        # The index is built once every record has its UUID.
        done = sidecar is not None and any(
            index.valid and index.unique and index.columns == ("uuid",) for index in sidecar.indexes
        )
        return None if done else f"not migrated: the sidecar of {entity.name} is not complete"
    column = table.columns.get(entity.uuid.column)
    if column is None:
        return f"not migrated: {table.name} has no column {entity.uuid.column}"
    if column.type != entity.uuid.type:
        return f"not migrated: {column.name} of {table.name} is of type {column.type}"
    partitioned = table.kind == "partitioned"
    if not any(
        index.covers_exactly([column.name])
        or (partitioned and index.valid and not index.partial and index.columns[0] == column.name)
        for index in table.indexes
    ):
        return f"migration not finished: no unique index over {column.name} of {table.name}"
    if not column.not_null:
        return f"migration not finished: {column.name} of {table.name} may be null"
    return None


def _key_form(
    connection: Connection, entity: Entity, table: Table, fields: Mapping[str, Mapping[str, Field]]
) -> KeyForm | None:
    key = [fields[entity.name][column] for column in entity.primary_key]
    if len(key) != 1 or key[0].kind != "text" or key[0].default or not table.may_select:
        return None
    query = sql.SQL("SELECT {}::text FROM {} LIMIT {}").format(
        sql.Identifier(key[0].column), sql.Identifier(*entity.table), sql.Literal(_SAMPLE)
    )
    keys = [text for (text,) in connection.execute(query).fetchall()]
    forms: dict[KeyForm, Callable[[str], bool]] = {"cuid": is_cuid, "cuid2": is_cuid2, "uuid": values.is_uuid}
    return next((form for form, fits in forms.items() if keys and all(map(fits, keys))), None)


def _unique_beside(references: Iterable[Field]) -> dict[str, tuple[str, ...]]:
    """The constraint of `dotpeen.external_value`, which all references of an entity share."""
    beside = [one.name for one in references if one.beside is not None]
    return {"external_value_once": tuple(beside)} if len(beside) == 1 else {}


def _incoming(name: str, links: Mapping[str, Sequence[Link]]) -> tuple[Incoming, ...]:
    found: list[Incoming] = []
    taken: set[str] = set()
    for entity, own in links.items():
        to_this = [link for link in own if link.entity == name]
        plural = re.sub(r"-(\w)", lambda match: match[1].upper(), default_path(entity))
        for link in to_this:
            called = plural if len(to_this) == 1 else f"{plural}By{link.name[0].upper()}{link.name[1:]}"
            while called in taken:
                called += "_"
            taken.add(called)
            found.append(Incoming(called, entity, link))
    return tuple(found)
