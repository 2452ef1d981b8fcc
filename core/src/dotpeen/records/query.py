"""What a list is asked for: filters, order, fields, and where to go on. Everything is checked before it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from dotpeen.errors import InvalidQueryError
from dotpeen.identifiers import parse_uuid
from dotpeen.records import values
from dotpeen.records.cursor import Cursor, read_cursor
from dotpeen.records.fields import Audience, Field, Member, UuidPlace, member_name
from dotpeen.records.shape import Shape

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
MAX_VALUES: Final = 500
"""Values that one field may be any of."""
MAX_SORT: Final = 8
_MAX_OFFSET: Final = 2**31 - 1
_OWN: Final = frozenset({"sort", "fields", "limit", "cursor", "offset"})
_OPERATORS: Final[dict[str, Literal["=", ">=", ">", "<=", "<"]]] = {
    "eq": "=",
    "gte": ">=",
    "gt": ">",
    "lte": "<=",
    "lt": "<",
}


@dataclass(frozen=True)
class Filter:
    """A condition on one field; several values of `=` mean any of them."""

    member: Member
    operator: Literal["=", ">=", ">", "<=", "<"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Sort:
    """One field of the order. NULL is larger than everything, as PostgreSQL's indexes have it."""

    member: Field | UuidPlace
    descending: bool = False


@dataclass(frozen=True)
class PageQuery:
    """A page that was asked for; made by `parse` or `build`."""

    filters: tuple[Filter, ...] = ()
    sort: tuple[Sort, ...] = ()
    """As asked, then what makes it one order: the UUID, or the key where there are no UUIDs."""
    fields: tuple[str, ...] | None = None
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    cursor: Cursor | None = None
    digest: str = ""
    """Of entity, audience, filters and sort: a cursor is good for no other query."""

    @classmethod
    def parse(cls, shape: Shape, audience: Audience, params: Sequence[tuple[str, str]]) -> PageQuery:
        """Read the parameters of a URL.

        Raises `InvalidQueryError` for every one that is unknown or wrong.
        """
        own: dict[str, list[str]] = {}
        conditions: list[tuple[str, str]] = []
        for name, value in params:
            if name in _OWN:
                own.setdefault(name, []).append(value)
            else:
                conditions.append((name, value))
        for name in ("limit", "cursor", "offset"):
            if len(own.get(name, ())) > 1:
                raise InvalidQueryError(name, "given more than once")
        limit = _number("limit", own, DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
        return cls.build(
            shape,
            audience,
            filters=conditions,
            sort=_listed(own.get("sort", ())),
            fields=_listed(own.get("fields", ())) or None,
            limit=limit,
            offset=_number("offset", own, 0, least=0, most=_MAX_OFFSET) if "offset" in own else None,
            cursor=own["cursor"][0] if "cursor" in own else None,
        )

    @classmethod
    def build(
        cls,
        shape: Shape,
        audience: Audience,
        *,
        filters: Sequence[tuple[str, str]] = (),
        sort: Sequence[str] = (),
        fields: Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> PageQuery:
        """Put a query together. Raises `InvalidQueryError`."""
        if audience == "external":
            shape.require_ready()
        conditions = _filters(shape, audience, filters)
        order = _order(shape, audience, sort)
        digest = _digest(shape, audience, conditions, order)
        position = None
        if cursor is not None:
            if offset is not None:
                raise InvalidQueryError("offset", "a cursor knows where to go on: give one of the two")
            position = read_cursor(cursor, digest, [one.member for one in order])
        return cls(
            filters=conditions,
            sort=order,
            fields=None if fields is None else shape.chosen(fields, audience=audience),
            limit=limit,
            offset=position.offset if position else offset or 0,
            cursor=position,
            digest=digest,
        )


def _listed(texts: Sequence[str]) -> list[str]:
    return [part for text in texts for part in (one.strip() for one in text.split(",")) if part]


def _number(name: str, own: Mapping[str, list[str]], default: int, *, least: int, most: int) -> int:
    if name not in own:
        return default
    text = own[name][0]
    if re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) is None or not least <= int(text) <= most:
        raise InvalidQueryError(name, f"expected a whole number from {least} to {most}")
    return int(text)


def _filters(shape: Shape, audience: Audience, given: Sequence[tuple[str, str]]) -> tuple[Filter, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    members = shape.narrowed[audience]
    for parameter, text in given:
        name, operator = parameter, "eq"
        if name not in members and "." in parameter:
            name, operator = parameter.rsplit(".", 1)
        if name in members and operator not in _OPERATORS:
            suffixes = ", ".join(f".{one}" for one in _OPERATORS if one != "eq")
            raise InvalidQueryError(
                parameter, f"no comparison {operator!r}: {name} alone, or with {suffixes}"
            )
        if name not in members:
            known = ", ".join(members) or "no field"
            raise InvalidQueryError(parameter, f"lists of {shape.entity.name} can be narrowed by {known}")
        member = members[name]
        if operator != "eq" and not (isinstance(member, Field) and member.ordered):
            raise InvalidQueryError(parameter, "has no order: ask for one value or several")
        checked = found.setdefault((name, operator), [])
        if operator != "eq" and checked:
            raise InvalidQueryError(parameter, "given more than once")
        value = check(member, text, parameter)
        if value not in checked:
            checked.append(value)
        if len(checked) > MAX_VALUES:
            raise InvalidQueryError(parameter, f"no more than {MAX_VALUES} values")
    return tuple(
        Filter(members[name], _OPERATORS[operator], tuple(checked))
        for (name, operator), checked in found.items()
    )


def check(member: Member, text: str, parameter: str) -> str:
    """Return a value as PostgreSQL reads it. Raises `InvalidQueryError`."""
    try:
        return values.parse(member, text) if isinstance(member, Field) else str(parse_uuid(text))
    except ValueError as error:
        raise InvalidQueryError(parameter, str(error)) from None


def _order(shape: Shape, audience: Audience, names: Sequence[str]) -> tuple[Sort, ...]:
    sortable = shape.sortable(audience)
    found: dict[str, Sort] = {}
    for given in names:
        name = given.removeprefix("-")
        if name not in sortable:
            raise InvalidQueryError("sort", f"no field {name!r} to sort by; there are {', '.join(sortable)}")
        if name in found:
            raise InvalidQueryError("sort", f"names {name} twice")
        found[name] = Sort(sortable[name], descending=given.startswith("-"))
    if len(found) > MAX_SORT:
        raise InvalidQueryError("sort", f"no more than {MAX_SORT} fields")
    last: tuple[Field | UuidPlace, ...] = (shape.place,) if shape.ready is None else shape.key
    for member in last:
        found.setdefault(member.name, Sort(member))
    return tuple(found.values())


def _digest(shape: Shape, audience: Audience, filters: Sequence[Filter], order: Sequence[Sort]) -> str:
    document = [
        shape.entity.name,
        audience,
        [(member_name(one.member), one.operator, sorted(one.values)) for one in filters],
        [(one.member.name, one.descending) for one in order],
    ]
    return sha256(json.dumps(document).encode()).hexdigest()[:16]
