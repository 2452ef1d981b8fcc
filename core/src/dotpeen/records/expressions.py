"""The parts that statements about records are put together from: a row `t` of an entity's table, and its UUID."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from psycopg import sql

from dotpeen.records.fields import Audience, Beside, Field, Link, Member, UuidPlace
from dotpeen.records.shape import Shape
from dotpeen.records.wire import Name, Text, column, expression, row_key, text, trusted

COMMA: Final = sql.SQL(", ")
AND: Final = sql.SQL(" AND ")
ROW: Final = "t"
_ARGUMENTS: Final = 90
"""A function takes 100 (FUNC_MAX_ARGS)."""
_SIDECAR_UUID: Final = sql.SQL("i.uuid::text")

Operator = Literal["=", "<", ">", "<=", ">="]


def select(
    shape: Shape, audience: Audience, fields: Sequence[str] | None, *, by_uuid: bool = False
) -> sql.Composed:
    """`SELECT` UUID, key and record as JSON. `by_uuid`: from `found_by_uuid`."""
    uuid = uuid_text(shape, by_uuid=by_uuid)
    return sql.SQL("SELECT {}, {}, {}").format(
        uuid, key_text(shape), body(shape, audience, fields, uuid=uuid)
    )


def body(
    shape: Shape, audience: Audience, fields: Sequence[str] | None, *, uuid: sql.Composable
) -> sql.Composable:
    """A record as JSON text: an explicit list, written with one `concat` (no slower than any of PostgreSQL's own)."""
    seen = shape.members[audience]
    members = seen if fields is None else {name: shape.selectable(audience)[name] for name in fields}
    parts: list[sql.Composable] = []
    for number, (name, member) in enumerate(members.items()):
        label = ("," if number else "{") + json.dumps(name, ensure_ascii=False) + ":"
        parts += [Text(label), _value(member, uuid)]
    return _concatenated([*parts, Text("}" if parts else "{}")])


def uuid_text(shape: Shape, *, by_uuid: bool = False) -> sql.Composable:
    """The UUID of the row `t` as text; NULL where the entity has none."""
    place = shape.place
    if shape.ready is not None:
        return sql.SQL("NULL::text")
    if place.sidecar is None:
        return sql.SQL("{}::text").format(Name(ROW, place.name))
    if by_uuid:
        return _SIDECAR_UUID
    return sql.SQL("(SELECT i.uuid::text FROM {} AS i WHERE {})").format(Name(*place.sidecar), of_row(place))


def key_text(shape: Shape) -> sql.Composable:
    """The primary key of the row `t` as one text, as `join_composite` writes it."""
    texts = [text(part, ROW) for part in shape.key]
    if len(texts) == 1:
        return texts[0]
    escaped = [
        sql.SQL("pg_catalog.replace(pg_catalog.replace({}, '%%', '%%25'), ':', '%%3A')").format(one)
        for one in texts
    ]
    return sql.SQL(" || ':' || ").join(escaped)


def table(shape: Shape) -> sql.Composed:
    """The entity's table as `t`."""
    return sql.SQL("{} AS t").format(Name(*shape.table))


def found_by_uuid(place: UuidPlace, row: str = ROW) -> sql.Composed:
    """What to select from by UUID: the table, or the sidecar as `i` and then the table."""
    alias = sql.Identifier(row)
    if place.sidecar is None:
        return sql.SQL("{} AS {}").format(Name(*place.table), alias)
    return sql.SQL("{} AS i JOIN {} AS {} ON {}").format(
        Name(*place.sidecar), Name(*place.table), alias, _joined(place, row)
    )


def with_uuid(shape: Shape) -> sql.Composed:
    """All rows with their UUIDs: the sidecar can be reached from either side."""
    place = shape.place
    if place.sidecar is None or shape.ready is not None:
        return table(shape)
    return sql.SQL("{} AS t JOIN {} AS i ON {} AND {}").format(
        Name(*place.table), Name(*place.sidecar), of_row(place), _joined(place, ROW)
    )


def uuid_is(place: UuidPlace, row: str = ROW) -> sql.Composed:
    """The UUID is the parameter."""
    if place.sidecar is None:
        return sql.SQL("{} = %s").format(Name(row, place.name))
    return sql.SQL("i.uuid = %s AND i.entity = {}").format(Text(place.entity))


def uuid_in(place: UuidPlace, row: str = ROW) -> sql.Composed:
    """The UUID is one of the parameter, an array of UUIDs."""
    if place.sidecar is not None:
        return sql.SQL("i.uuid = ANY(%s::uuid[]) AND i.entity = {}").format(Text(place.entity))
    array = sql.SQL("%s::uuid[]::text[]" if place.text else "%s::uuid[]")
    return sql.SQL("{} = ANY({})").format(Name(row, place.name), array)


def uuid_equals(place: UuidPlace, value: sql.Composable, row: str = ROW) -> sql.Composed:
    """The UUID is a value of type uuid, such as a column of another row."""
    if place.sidecar is not None:
        return sql.SQL("i.uuid = {} AND i.entity = {}").format(value, Text(place.entity))
    return sql.SQL("{} = {}{}").format(Name(row, place.name), value, sql.SQL("::text" if place.text else ""))


def of_row(place: UuidPlace, row: str = ROW) -> sql.Composed:
    """The sidecar's row `i` that belongs to a row of the table, by the sidecar's primary key."""
    return sql.SQL("i.entity = {} AND i.key = {}").format(Text(place.entity), row_key(place.key, row))


def compared(member: Field | UuidPlace, operator: Operator) -> sql.Composed:
    """A column of `t`, or the UUID, and a parameter: of no declared type, so that an index over the column serves."""
    if isinstance(member, Field) and member.beside is not None and operator == "=":
        return _has_beside(member.beside, sql.SQL("x.value = %s"))
    return sql.SQL("{} {} %s").format(operand(member), operator_of(operator, member))


def any_of(member: Field | UuidPlace) -> sql.Composed:
    """The same for any of an array."""
    if isinstance(member, Field) and member.beside is not None:
        return _has_beside(member.beside, sql.SQL("x.value = ANY(%s)"))
    return sql.SQL("{} {} ANY(%s)").format(operand(member), operator_of("=", member))


def operand(member: Field | UuidPlace) -> sql.Composable:
    """What is compared and sorted by."""
    if isinstance(member, UuidPlace):
        return Name(ROW, member.name) if member.sidecar is None else sql.SQL("i.uuid")
    value = column(member, ROW)
    return sql.SQL("{}::text").format(value) if member.kind == "other" else value


def operator_of(operator: Operator, member: Field | UuidPlace) -> sql.Composable:
    """The operator of the column's own type, whatever the session's search path."""
    if isinstance(member, UuidPlace) or member.operators is None:
        return trusted(operator)
    return sql.SQL("OPERATOR({}.{})").format(trusted(member.operators), trusted(operator))


def identified(part: Member) -> Iterable[sql.Composable]:
    """Conditions for a part of an identifier; a link's by UUID takes the parameter once for each column."""
    if isinstance(part, Link):
        return link_is(part)
    if isinstance(part, UuidPlace):
        return [uuid_is(part)]
    return [compared(part, "=")]


def parameters_of(part: Member, value: str) -> list[str]:
    """The parameters that `identified` takes for a value."""
    return [value] * (len(part.columns) if isinstance(part, Link) else 1)


def link_is(link: Link) -> list[sql.Composable]:
    """Conditions for the record that a link points to, by its UUID: one parameter for each column."""
    found = sql.SQL("FROM {} WHERE {}").format(found_by_uuid(link.place, "o"), uuid_is(link.place, "o"))
    return [
        sql.SQL("{} {} (SELECT {} {})").format(
            Name(ROW, field.column), operator_of("=", field), Name("o", column), found
        )
        for field, column in zip(link.columns, link.references, strict=True)
    ]


def link_in(link: Link) -> sql.Composed:
    """Condition for any of several records that a link points to; the parameter is an array of UUIDs."""
    return sql.SQL("({}) IN (SELECT {} FROM {} WHERE {})").format(
        COMMA.join(Name(ROW, field.column) for field in link.columns),
        COMMA.join(Name("o", column) for column in link.references),
        found_by_uuid(link.place, "o"),
        uuid_in(link.place, "o"),
    )


def link_pairs(link: Link, *, here: str, there: str) -> sql.Composed:
    """The columns of both sides of a link are equal; `here` and `there` name the rows."""
    return AND.join(
        sql.SQL("{} {} {}").format(Name(there, column), operator_of("=", field), Name(here, field.column))
        for column, field in zip(link.references, link.columns, strict=True)
    )


def settled(query: sql.Composable) -> sql.Composed:
    """Compose once: the text of a statement is looked up, not put together, at each call."""
    return sql.Composed([sql.SQL(query.as_string())])


def _value(member: Member, uuid: sql.Composable) -> sql.Composable:
    if isinstance(member, Field):
        return expression(member, ROW)
    value = uuid if isinstance(member, UuidPlace) else _linked_uuid(member)
    return sql.SQL("coalesce('\"' || {} || '\"', 'null')").format(value)


def _linked_uuid(link: Link) -> sql.Composed:
    place = link.place
    condition = link_pairs(link, here=ROW, there="o")
    if place.sidecar is None:
        return sql.SQL("(SELECT {}::text FROM {} AS o WHERE {})").format(
            Name("o", place.name), Name(*place.table), condition
        )
    return sql.SQL("(SELECT i.uuid::text FROM {} AS o JOIN {} AS i ON {} WHERE {})").format(
        Name(*place.table), Name(*place.sidecar), of_row(place, "o"), condition
    )


def _has_beside(beside: Beside, condition: sql.Composable) -> sql.Composed:
    """The row `t` has a value beside it: from the value to the row, by the index of either."""
    return sql.SQL(
        "EXISTS (SELECT FROM dotpeen.external_value AS x WHERE x.entity = {} AND x.name = {} AND {} AND {})"
    ).format(
        Text(beside.entity),
        Text(beside.reference),
        condition,
        _keyed(beside.key, ROW, sql.SQL("x.key")),
    )


def _joined(place: UuidPlace, row: str) -> sql.Composed:
    """The row of the table that belongs to the sidecar's row `i`, by the table's primary key."""
    return _keyed(place.key, row, sql.SQL("i.key"))


def _keyed(columns: Sequence[Field], row: str, text_: sql.Composable) -> sql.Composed:
    """The row whose primary key a text of `key_expression` is."""
    pairs = []
    for number, field in enumerate(columns):
        key = text_
        if len(columns) > 1:
            key = sql.SQL("({}::jsonb ->> {})").format(text_, sql.Literal(number))
        pairs.append(
            sql.SQL("{} {} {}").format(Name(row, field.column), operator_of("=", field), _typed(field, key))
        )
    return AND.join(pairs)


def _typed(field: Field, value: sql.Composable) -> sql.Composable:
    """A text of `key_expression` in the type of the column it came from."""
    if field.kind == "bytea":
        return sql.SQL("pg_catalog.decode({}, 'hex')").format(value)
    if field.kind != "text":
        # Without its precision: rounded, a key would be another one.
        precise = field.kind in ("numeric", "timestamp", "timestamptz")
        return sql.SQL("({})::{}").format(
            value, trusted(re.sub(r"\(.*?\)", "", field.type) if precise else field.type)
        )
    # The sidecar's keys have a collation of their own, which an index of the table may not be made for.
    cast = sql.SQL("({})::{}").format(value, trusted(field.type) if field.operators else sql.SQL("text"))
    return sql.SQL("{} COLLATE {}").format(cast, Name(*(field.collation or ("pg_catalog", "default"))))


def _concatenated(parts: list[sql.Composable]) -> sql.Composable:
    while True:
        parts = [
            sql.SQL("pg_catalog.concat({})").format(COMMA.join(parts[first : first + _ARGUMENTS]))
            for first in range(0, len(parts), _ARGUMENTS)
        ]
        if len(parts) == 1:
            return parts[0]
