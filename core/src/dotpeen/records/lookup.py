"""Find records: form proposes, the database decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from dotpeen.errors import (
    AmbiguousIdentifierError,
    InvalidQueryError,
    NotMigratedError,
    RecordNotFoundError,
)
from dotpeen.identifiers import parse_uuid, split_composite
from dotpeen.records import pages, statements, values
from dotpeen.records.fields import Audience, Field, Identifier
from dotpeen.records.query import PageQuery
from dotpeen.records.question import Ask, Match, Question, Row, WireRow, wire_row
from dotpeen.records.shape import Shape, Shapes
from dotpeen.records.wirepage import WirePage

Fields = tuple[str, ...] | None


def by_uuid(shape: Shape, uuid: str, *, audience: Audience, fields: Fields) -> Question[WireRow | None]:
    """The record with a UUID. Raises `NotMigratedError`."""
    rows = yield from by_uuids(shape, [uuid], audience=audience, fields=fields)
    return rows[0] if rows else None


def by_uuids(
    shape: Shape, uuids: Sequence[str], *, audience: Audience, fields: Fields
) -> Question[list[WireRow]]:
    """The records that are there, each once and in the order asked. Raises `NotMigratedError`."""
    shape.require_ready()
    wanted = list(dict.fromkeys(str(parse_uuid(uuid)) for uuid in uuids))
    rows = yield Ask(
        statements.keyed_by_uuids(shape, audience, fields), ["{" + ",".join(wanted) + "}"], prepare=True
    )
    found = {row.uuid: row for row in map(wire_row, rows)}
    return [found[uuid] for uuid in wanted if uuid in found]


def by_key(shape: Shape, key: str, *, audience: Audience, fields: Fields) -> Question[WireRow | None]:
    """The record with a primary key."""
    parameters = key_parameters(shape, key)
    if parameters is None:
        return None
    rows = yield Ask(statements.by_key(shape, audience, fields), parameters, prepare=True)
    return wire_row(rows[0]) if rows else None


def key_parameters(shape: Shape, key: str) -> list[str] | None:
    """A primary key's text as parameters; None where no key can look like it."""
    primary = Identifier("", shape.key, "primary")
    return _fitting(primary, key)


def find(shape: Shape, identifier: str, *, audience: Audience, fields: Fields) -> Question[Match]:
    """The one record that answers to an identifier of any kind.

    Raises `RecordNotFoundError`, and `AmbiguousIdentifierError` when different records answer.
    """
    if audience == "external":
        shape.require_ready()
    asked: list[Identifier] = []
    parameters: list[str] = []
    for one in shape.identifiers_of[audience]:
        fitting = _fitting(one, identifier)
        if fitting is not None:
            asked.append(one)
            parameters += fitting
    rows: list[Row] = []
    if asked:
        query = statements.by_identifier(shape, audience, fields, tuple(asked))
        rows = yield Ask(query, parameters, prepare=True)
    if not rows:
        if shape.ready is not None and values.is_uuid(identifier):
            raise NotMigratedError(shape.entity.name, shape.ready)
        raise RecordNotFoundError(shape.entity.name, identifier)
    return _only(shape, identifier, rows, [one.name for one in asked])


def by(
    shape: Shape,
    name: str | Sequence[str],
    value: str | Sequence[str],
    *,
    audience: Audience,
    fields: Fields,
) -> Question[Match]:
    """The one record that has a value of one declared identifier, exactly.

    `name` is the identifier's, or the names of its parts with as many values. Raises `InvalidQueryError` for an
    identifier that isn't declared and a value that it can't have, and what `find` raises.
    """
    if audience == "external":
        shape.require_ready()
    label = name if isinstance(name, str) else ":".join(name)
    identifier = shape.identifier(name, audience=audience)
    if identifier is None:
        known = ", ".join(one.name for one in shape.identifiers_of[audience])
        raise InvalidQueryError(label, f"no identifier of {shape.entity.name}; there are {known}")
    parts = _parts(identifier, name, value, label)
    parameters: list[str] = []
    for part, text in zip(identifier.parts, parts, strict=True):
        try:
            read = values.parse(part, text) if isinstance(part, Field) else str(parse_uuid(text))
        except ValueError as error:
            raise InvalidQueryError(label, str(error)) from None
        parameters += statements.parameters_of(part, read)
    query = statements.by_identifier(shape, audience, fields, (identifier,))
    rows = yield Ask(query, parameters, prepare=True)
    text = value if isinstance(value, str) else ":".join(value)
    if not rows:
        raise RecordNotFoundError(shape.entity.name, text)
    return _only(shape, text, rows, [identifier.name])


def page(shape: Shape, query: PageQuery, *, audience: Audience) -> Question[WirePage]:
    """A page of a list; the total is counted for the first page and travels in the cursor."""
    statement, parameters = pages.page(shape, query, audience)
    rows = yield Ask(statement, parameters)
    shown = rows[: query.limit]
    if query.cursor is not None:
        total = query.cursor.total
    elif len(rows) <= query.limit and (rows or not query.offset):
        total = query.offset + len(rows)
    else:
        statement, parameters = pages.count(shape, query)
        ((counted,),) = yield Ask(statement, parameters)
        total = int(counted or b"0")
    has_more = len(rows) > query.limit
    return WirePage.of(shown, query, total=total, has_more=has_more)


def resolve(
    shapes: Shapes,
    uuid: str,
    *,
    audience: Audience = "external",
    only: Callable[[str], bool] = lambda name: True,
) -> Question[tuple[Shape, WireRow] | None]:
    """The record of any entity, `only` those it tells to ask, that has a UUID.

    Raises `AmbiguousIdentifierError` if entities share it.
    """
    names = tuple(name for name, shape in shapes.items() if shape.ready is None and only(name))
    if not names:
        return None
    text = str(parse_uuid(uuid))
    try:
        rows = yield Ask(statements.resolve(shapes, names, audience), [text] * len(names), prepare=True)
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
        # One entity was rolled back since: the others still answer.
        rows = []
        gone = 0
        for name in names:
            try:
                rows += yield Ask(statements.resolve(shapes, (name,), audience), [text])
            except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
                gone += 1
                if gone == len(names):
                    raise  # nobody is left who could tell
    if len(rows) > 1:
        raise AmbiguousIdentifierError("", text, [((row[0] or b"").decode(), text) for row in rows])
    if not rows:
        return None
    return shapes[(rows[0][0] or b"").decode()], wire_row(rows[0][1:])


def _parts(
    identifier: Identifier, name: str | Sequence[str], value: str | Sequence[str], label: str
) -> Sequence[str]:
    if not isinstance(name, str):
        if isinstance(value, str) or len(value) != len(name):
            raise InvalidQueryError(label, "give each part of the identifier once")
        given = dict(zip(name, value, strict=True))
        return [given[column] for column in identifier.columns]
    if not isinstance(value, str):
        parts: Sequence[str] = value
    else:
        try:
            parts = (value,) if len(identifier.parts) == 1 else split_composite(value)
        except ValueError as error:
            raise InvalidQueryError(label, str(error)) from None
    if len(parts) != len(identifier.parts):
        raise InvalidQueryError(label, f"has {len(identifier.parts)} parts, joined by ':'")
    return parts


def _fitting(identifier: Identifier, text: str) -> list[str] | None:
    """The parameters for an identifier if a text has its form."""
    try:
        parts = (text,) if len(identifier.parts) == 1 else split_composite(text)
        if len(parts) != len(identifier.parts):
            return None
        parameters: list[str] = []
        for part, value in zip(identifier.parts, parts, strict=True):
            read = values.parse(part, value) if isinstance(part, Field) else str(parse_uuid(value))
            parameters += statements.parameters_of(part, read)
    except ValueError:
        return None
    return parameters


def _only(shape: Shape, identifier: str, rows: Sequence[Row], order: Sequence[str]) -> Match:
    matches = [Match(wire_row(row[1:]), (row[0] or b"").decode()) for row in rows]
    matches.sort(key=lambda match: order.index(match.matched_by))
    records = len({match.row.key for match in matches})
    if records > 1:
        candidates = list(
            dict.fromkeys((match.matched_by, match.row.uuid, match.row.key) for match in matches)
        )
        raise AmbiguousIdentifierError(
            shape.entity.name, identifier, [(field, uuid) for field, uuid, _ in candidates], records=records
        )
    return matches[0]
