"""What `Records` answers with: records with native Python values."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import UUID

from dotpeen.errors import RecordNotFoundError
from dotpeen.identifiers import parse_uuid
from dotpeen.records import change, lookup, values
from dotpeen.records.fields import Field
from dotpeen.records.query import DEFAULT_LIMIT, PageQuery
from dotpeen.records.question import Question, WireRow
from dotpeen.records.shape import Shape, Shapes

Filters: TypeAlias = Mapping[str, object]
"""Field to value, or to several of which it may be any; `field.gte`, `.gt`, `.lte`, `.lt` for a range."""


@dataclass(frozen=True)
class Record:
    """One record as the site's own applications see it."""

    entity: str
    uuid: UUID | None
    """None where the entity has no UUIDs."""
    key: str
    """The primary key as text; parts of a composite one are joined by `:` (`join_composite`)."""
    values: Mapping[str, Any]
    """Native values by column; moments are aware datetimes in UTC, text where Python's calendar ends."""
    matched_by: str | None = None
    """The identifier that it answered to, where several were asked."""


@dataclass(frozen=True)
class Page:
    """Some records of a list, and where it goes on."""

    records: tuple[Record, ...]
    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True)
class Batch:
    """The records that were found, in the order asked, and the UUIDs that no record has."""

    records: tuple[Record, ...]
    not_found: tuple[UUID, ...]


@dataclass(frozen=True)
class Resolution:
    """What has a UUID."""

    entity: str
    record: Record


def find(shape: Shape, identifier: str) -> Question[Record]:
    """The one record that answers to an identifier of any kind."""
    match = yield from lookup.find(shape, identifier, audience="internal", fields=None)
    return read(shape, match.row, matched_by=match.matched_by)


def find_by_uuid(shape: Shape, uuid: UUID | str) -> Question[Record]:
    """The record with a UUID."""
    row = yield from lookup.by_uuid(shape, str(uuid), audience="internal", fields=None)
    if row is None:
        raise RecordNotFoundError(shape.entity.name, str(uuid))
    return read(shape, row, matched_by=shape.place.name)


def find_by(shape: Shape, field: str | Sequence[str], value: object) -> Question[Record]:
    """The record that has a value of one declared identifier."""
    several = isinstance(value, list | tuple)
    given = [values.as_text(one) for one in value] if several else values.as_text(value)  # type: ignore[attr-defined]
    match = yield from lookup.by(shape, field, given, audience="internal", fields=None)
    return read(shape, match.row, matched_by=match.matched_by)


def uuid_of(shape: Shape, identifier: str) -> Question[UUID]:
    """The UUID of the record that answers to an identifier."""
    shape.require_ready()
    match = yield from lookup.find(shape, identifier, audience="internal", fields=(shape.place.name,))
    if match.row.uuid is None:
        raise RecordNotFoundError(shape.entity.name, identifier)
    return UUID(match.row.uuid)


def create(shape: Shape, given: Mapping[str, object]) -> Question[Record]:
    """A new record."""
    row = yield from change.create(shape, given)
    return read(shape, row)


def update(
    shape: Shape, identifier: str, given: Mapping[str, object], only: Collection[str] | None
) -> Question[Record]:
    """A record as it is after a change."""
    match = yield from lookup.find(shape, identifier, audience="internal", fields=())
    row = yield from change.update(shape, match.row.key, given, audience="internal", only=only)
    if row is None:
        raise RecordNotFoundError(shape.entity.name, identifier)
    return read(shape, row, matched_by=match.matched_by)


def page(
    shape: Shape,
    *,
    filters: Filters | None = None,
    sort: Sequence[str] = (),
    fields: Sequence[str] | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    offset: int | None = None,
) -> Question[Page]:
    """A page of a list."""
    query = PageQuery.build(
        shape,
        "internal",
        filters=list(_pairs(filters or {})),
        sort=sort,
        fields=fields,
        limit=limit,
        cursor=cursor,
        offset=offset,
    )
    found = yield from lookup.page(shape, query, audience="internal")
    return Page(
        records=tuple(read(shape, row) for row in found.records),
        total=found.total,
        limit=found.limit,
        offset=found.offset,
        has_more=found.has_more,
        next_cursor=found.next_cursor,
    )


def batch(shape: Shape, uuids: Iterable[UUID | str]) -> Question[Batch]:
    """Records by UUID."""
    wanted = list(dict.fromkeys(parse_uuid(str(uuid)) for uuid in uuids))
    rows = yield from lookup.by_uuids(shape, [str(one) for one in wanted], audience="internal", fields=None)
    records = tuple(read(shape, row) for row in rows)
    found = {record.uuid for record in records}
    return Batch(records, tuple(uuid for uuid in wanted if uuid not in found))


def resolve(shapes: Shapes, uuid: UUID | str) -> Question[Resolution]:
    """The record of any entity."""
    found = yield from lookup.resolve(shapes, str(uuid), audience="internal")
    if found is None:
        raise RecordNotFoundError("", str(uuid))
    shape, row = found
    return Resolution(shape.entity.name, read(shape, row, matched_by=shape.place.name))


def read(shape: Shape, row: WireRow, *, matched_by: str | None = None) -> Record:
    """Turn a row of the wire format into a record."""
    members = shape.selectable("internal")
    native = {}
    for name, value in json.loads(row.body).items():
        member = members[name]
        if isinstance(member, Field):
            native[name] = values.decode(member, value)
        else:
            native[name] = UUID(value) if isinstance(value, str) else None
    uuid = UUID(row.uuid) if row.uuid else None
    return Record(shape.entity.name, uuid, row.key, MappingProxyType(native), matched_by)


def _pairs(filters: Filters) -> Iterable[tuple[str, str]]:
    for name, value in filters.items():
        several = isinstance(value, list | tuple | set | frozenset)
        for one in value if several else [value]:  # type: ignore[attr-defined]
            yield name, values.as_text(one)
