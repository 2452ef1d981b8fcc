"""Parameters of the routes: identifiers, fields, filters, sorting, pages, conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dotpeen.api.external import BATCH
from dotpeen.api.openapi import examples
from dotpeen.api.openapi.schemas import UUID, Schema, ref
from dotpeen.api.problems import EXAMPLE_UUID
from dotpeen.records import Audience, Field, Shape, wire
from dotpeen.records.fields import Member, member_name
from dotpeen.records.query import DEFAULT_LIMIT, MAX_SORT, MAX_VALUES

Parameter = dict[str, Any]

_MOMENT: Final[Schema] = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}],
    "examples": [examples.TIMESTAMP, examples.TIMESTAMP[:10]],
}
_RANGES: Final = {"gte": "at least", "lte": "at most", "gt": "more than", "lt": "less than"}

SHARED: Final[Mapping[str, Parameter]] = {
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of what the client has: answered with 304 and no body while it is the same.",
        "schema": {"type": "string", "examples": [examples.ETAG]},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of what the client has seen: refused with 412 if it has changed since.",
        "schema": {"type": "string", "examples": [examples.ETAG]},
    },
    "Limit": {
        "name": "limit",
        "in": "query",
        "description": "Records on a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": BATCH, "default": DEFAULT_LIMIT},
    },
    "Cursor": {
        "name": "cursor",
        "in": "query",
        "description": "The `nextCursor` of the page before, sent with the same filters and the same `sort`. "
        "However many pages there are, each takes the same time.",
        "schema": {"type": "string", "format": "cursor"},
    },
    "Offset": {
        "name": "offset",
        "in": "query",
        "description": "Records to pass over. Not together with `cursor`.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    },
}
"""Parameters that are the same everywhere; referred to by `shared`."""


def shared(name: str) -> Parameter:
    """A reference to one of `SHARED`."""
    return {"$ref": f"#/components/parameters/{name}"}


def in_path(name: str, schema: Schema, *, description: str, example: Any) -> Parameter:
    """An open part of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


def uuid_in_path(what: str) -> Parameter:
    """The UUID of a record."""
    schema = {"type": "string", "format": "uuid"}
    return in_path("uuid", schema, description=f"The UUID of {what}.", example=EXAMPLE_UUID)


def value(shape: Shape, member: Member) -> Schema:
    """What may be asked for as the value of a member, as it stands in a URL."""
    if not isinstance(member, Field):
        return {key: part for key, part in UUID.items() if key != "examples"}
    if member.kind in ("timestamp", "timestamptz"):
        return dict(_MOMENT)
    if member.kind == "enum":
        return {"type": "string", "enum": list(member.labels)}
    if member.kind in ("text", "other", "float"):
        return {"type": "string"} if member.kind != "float" else {"type": "number"}
    found = wire.schema(member)
    if isinstance(found.get("type"), list):
        found["type"] = found["type"][0]
    return found


def filled(schema: Schema) -> Schema:
    """The schema without the empty text, which can't stand in a path."""
    return schema | ({"minLength": 1} if schema.get("type") == "string" and "format" not in schema else {})


def fields(schema: str) -> Parameter:
    """`fields=`: which members to answer with."""
    return {
        "name": "fields",
        "in": "query",
        "description": "Only these members of the record, separated by commas; without it all.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": ref(schema), "minItems": 1},
    }


def field_names(shape: Shape, audience: Audience) -> Schema:
    """What `fields` can name."""
    names = list(shape.selectable(audience))
    return {"type": "string", "description": "A member of the record.", "enum": names}


def order(shape: Shape, audience: Audience) -> Schema:
    """What `sort` can name."""
    names = list(shape.sortable(audience))
    found: Schema = {
        "type": "string",
        "description": "A member of the record; `-` before it: downward.",
        "enum": [*names, *(f"-{name}" for name in names)],
    }
    # What generators call the values, which are no names of a language.
    called = [*map(_constant, names), *(f"{_constant(name)}_DESCENDING" for name in names)]
    return found | ({"x-enum-varnames": called} if len(set(called)) == len(called) else {})


def page(shape: Shape, audience: Audience, *, selection: str | None, sorting: str | None) -> list[Parameter]:
    """Everything that a list is asked for with; `selection` and `sorting` name the schemas of what can be named."""
    found = [part for member in shape.narrowed[audience].values() for part in _filter(shape, member)]
    if sorting:
        found.append(_sort(sorting))
    if selection:
        found.append(fields(selection))
    return [*found, *(shared(name) for name in ("Limit", "Cursor", "Offset", "IfNoneMatch"))]


def parts(shape: Shape, members: Iterable[Member], *, required: bool) -> list[Parameter]:
    """The parts of a composite identifier, each a parameter of the query."""
    return [
        {
            "name": member_name(member),
            "in": "query",
            "required": required,
            "schema": value(shape, member),
            "example": examples.value(shape, member),
        }
        for member in members
    ]


def _filter(shape: Shape, member: Member) -> list[Parameter]:
    name, schema = member_name(member), value(shape, member)
    found: list[Parameter] = [
        {
            "name": name,
            "in": "query",
            "description": f"Only records whose `{name}` is this; repeated, up to {MAX_VALUES} times: any of these.",
            "style": "form",
            "explode": True,
            "schema": {"type": "array", "items": schema, "minItems": 1},
        }
    ]
    if isinstance(member, Field) and member.ordered and member.kind != "boolean":
        found += [
            {
                "name": f"{name}.{operator}",
                "in": "query",
                "description": f"Only records whose `{name}` is {words} this.",
                "schema": schema,
            }
            for operator, words in _RANGES.items()
        ]
    return found


def _sort(schema: str) -> Parameter:
    return {
        "name": "sort",
        "in": "query",
        "description": "By what to sort, the most important first, separated by commas; `-` before it: downward. "
        "Records that are equal in all of it are in the order of their UUIDs.",
        "style": "form",
        "explode": False,
        "schema": {
            "type": "array",
            "items": ref(schema),
            "minItems": 1,
            "maxItems": MAX_SORT,
            "uniqueItems": True,
        },
    }


def _constant(name: str) -> str:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return "_".join(["FIELD" if not words or words[0].isdigit() else "", *words]).strip("_").upper()
