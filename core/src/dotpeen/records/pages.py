"""The SQL of a page of a list: by keyset, so that the thousandth page costs what the first did."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from psycopg import sql

from dotpeen.records.expressions import (
    AND,
    COMMA,
    ROW,
    any_of,
    compared,
    link_in,
    link_is,
    operand,
    parameters_of,
    select,
    settled,
    table,
    with_uuid,
)
from dotpeen.records.fields import Audience, Field, Link, Member, UuidPlace
from dotpeen.records.query import Filter, PageQuery, Sort
from dotpeen.records.shape import Shape
from dotpeen.records.wire import text

_Condition = tuple[Member, str, bool]
"""Field, operator, and whether there are several values: what the text of a statement depends on."""


def page(shape: Shape, query: PageQuery, audience: Audience) -> tuple[sql.Composed, list[str]]:
    """Rows of UUID, key, JSON and the position's texts, one more than the limit; and the parameters."""
    parameters = _values(query.filters)
    nulls: tuple[bool, ...] | None = None
    if query.cursor is not None:
        nulls = tuple(value is None for value in query.cursor.position)
        parameters += _position_values(query.sort, query.cursor.position)
    statement = _page(
        shape, audience, query.fields, _conditions(query.filters), query.sort, nulls, query.cursor is None
    )
    parameters.append(str(query.limit + 1))
    if query.cursor is None:
        parameters.append(str(query.offset))
    return statement, parameters


def count(shape: Shape, query: PageQuery) -> tuple[sql.Composed, list[str]]:
    """The number of records that the filters leave, and the parameters."""
    return _count(shape, _conditions(query.filters)), _values(query.filters)


@lru_cache(maxsize=512)
def _page(
    shape: Shape,
    audience: Audience,
    fields: tuple[str, ...] | None,
    conditions: tuple[_Condition, ...],
    order: tuple[Sort, ...],
    nulls: tuple[bool, ...] | None,
    skip: bool,  # noqa: FBT001 - a cache is asked by position
) -> sql.Composed:
    positions = [
        text(one.member, ROW)
        if isinstance(one.member, Field)
        else sql.SQL("{}::text").format(operand(one.member))
        for one in order
    ]
    where = [_condition(one) for one in conditions]
    if nulls is not None:
        where += _after(order, nulls)
    return settled(
        sql.SQL("{} FROM {}{} ORDER BY {} LIMIT %s{}").format(
            COMMA.join([select(shape, audience, fields, by_uuid=True), *positions]),
            with_uuid(shape),
            sql.SQL(" WHERE {}").format(AND.join(where)) if where else sql.SQL(""),
            COMMA.join(_direction(one) for one in order),
            sql.SQL(" OFFSET %s" if skip else ""),
        )
    )


@lru_cache(maxsize=512)
def _count(shape: Shape, conditions: tuple[_Condition, ...]) -> sql.Composed:
    asks_uuid = any(isinstance(member, UuidPlace) for member, _, _ in conditions)
    source = with_uuid(shape) if asks_uuid else table(shape)
    where = AND.join(_condition(one) for one in conditions)
    query = sql.SQL("SELECT pg_catalog.count(*)::text FROM {}").format(source)
    return settled(sql.SQL("{} WHERE {}").format(query, where) if conditions else query)


def _conditions(filters: Sequence[Filter]) -> tuple[_Condition, ...]:
    return tuple((one.member, one.operator, len(one.values) > 1) for one in filters)


def _condition(one: _Condition) -> sql.Composable:
    member, operator, several = one
    if isinstance(member, Link):
        return link_in(member) if several else AND.join(link_is(member))
    if several:
        return any_of(member)
    return compared(member, operator)  # type: ignore[arg-type]


def _values(filters: Sequence[Filter]) -> list[str]:
    found = []
    for one in filters:
        found += [array(one.values)] if len(one.values) > 1 else parameters_of(one.member, one.values[0])
    return found


def array(items: Sequence[str]) -> str:
    """An array as PostgreSQL reads it."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"


def _direction(one: Sort) -> sql.Composable:
    return sql.SQL("{} DESC" if one.descending else "{}").format(operand(one.member))


def _nullable(one: Sort) -> bool:
    return isinstance(one.member, Field) and one.member.nullable


def _after(order: Sequence[Sort], nulls: Sequence[bool]) -> list[sql.Composable]:
    """What comes after a position: greater in the first field, or equal there and greater in the next, and so on.

    The parameters are `_position_values`.
    """
    alternatives = []
    for number, (one, null) in enumerate(zip(order, nulls, strict=True)):
        further = _further(one, null=null)
        if further is None:
            continue
        same = [
            sql.SQL("{} IS NULL").format(operand(before.member))
            if nulls[place]
            else compared(before.member, "=")
            for place, before in enumerate(order[:number])
        ]
        alternatives.append(sql.SQL("({})").format(AND.join([*same, further])))
    conditions: list[sql.Composable] = []
    if _bounded(order[0], null=nulls[0]) and len(order) > 1:
        # Says nothing new, and lets an index begin where the page does.
        conditions.append(compared(order[0].member, "<=" if order[0].descending else ">="))
    if alternatives:
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join(alternatives)))
    else:
        conditions.append(sql.SQL("false"))
    return conditions


def _further(one: Sort, *, null: bool) -> sql.Composable | None:
    """What comes after a value of one field; None where nothing does. NULLs are last, and first when descending."""
    column = operand(one.member)
    if null:
        return sql.SQL("{} IS NOT NULL").format(column) if one.descending else None
    if one.descending:
        return compared(one.member, "<")
    beyond = compared(one.member, ">")
    return sql.SQL("({} OR {} IS NULL)").format(beyond, column) if _nullable(one) else beyond


def _bounded(one: Sort, *, null: bool) -> bool:
    return not null and (one.descending or not _nullable(one))


def _position_values(order: Sequence[Sort], position: Sequence[str | None]) -> list[str]:
    found: list[str] = []
    if position[0] is not None and _bounded(order[0], null=False) and len(order) > 1:
        found.append(position[0])
    for number, (one, value) in enumerate(zip(order, position, strict=True)):
        if _further(one, null=value is None) is None:
            continue
        found += [before for before in position[:number] if before is not None]
        if value is not None:
            found.append(value)
    return found
