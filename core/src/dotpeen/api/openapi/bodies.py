"""What is sent to create and change records: the members that can be written, and what they can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dotpeen.api.openapi import examples, schemas
from dotpeen.records import Field, Link, Shape, wire

_DECIMAL: Final = r"^(-?[0-9]{1,1000}(\.[0-9]{1,1000})?|NaN|-?Infinity)$"


def creation(shape: Shape) -> schemas.Schema:
    """What a new record is made of."""
    members = _internal(shape, keys=True)
    required = [
        name for name, member in members.items() if isinstance(member, Field) and _needed(shape, member)
    ]
    found = _of(members, f"A new {shape.entity.name}. What is left out gets its default, or is null.")
    return found | ({"required": required} if required else {})


def update(shape: Shape) -> schemas.Schema:
    """What the site's own applications can change of a record."""
    return _of(_internal(shape), "The members to change, and what to; the others stay as they are.")


def change(shape: Shape) -> schemas.Schema:
    """What partners can change of a record."""
    return _of(changeable(shape), "The members to change, and what to; the others stay as they are.")


def changeable(shape: Shape) -> dict[str, Field | Link]:
    """The members of a record that the registry lets partners change."""
    linked = _linked(shape)
    own = {**shape.fields, **shape.references}
    fields = {name: field for name, field in own.items() if field.writable and field.column not in linked}
    return fields | {name: link for name, link in shape.links.items() if link.writable and link.ready}


def example(shape: Shape, schema: schemas.Schema) -> dict[str, Any]:
    """A body that such a schema describes. Where a link can be given in two ways: by its column."""
    names = [
        name
        for name in schema["properties"]
        if name in shape.fields or name in shape.references or not _internal_link(shape, schema, name)
    ]
    members: dict[str, Field | Link] = {**shape.links, **shape.fields, **shape.references}
    return {name: examples.value(shape, members[name]) for name in names}


def written(member: Field | Link) -> schemas.Schema:
    """What may be sent for a member."""
    if isinstance(member, Link):
        return schemas.member(member)
    schema = wire.schema(member)
    if member.kind == "numeric":
        # As a string no digit is lost on the way.
        schema |= {"type": ["string", "number", *(["null"] if member.nullable else [])], "pattern": _DECIMAL}
    return schema


def _internal(shape: Shape, *, keys: bool = False) -> dict[str, Field | Link]:
    fields: dict[str, Field | Link] = {
        name: field
        for name, field in {**shape.fields, **shape.references}.items()
        if not field.generated
        and not (shape.place.sidecar is None and field.column == shape.place.name)
        and (not field.primary or (keys and _made_by_caller(shape, field)))
    }
    columns = {field.column for field in fields.values() if isinstance(field, Field)}
    links = {
        name: link
        for name, link in shape.links.items()
        if link.ready and name not in fields and {field.column for field in link.columns} <= columns
    }
    return fields | links


def _of(members: Mapping[str, Field | Link], description: str) -> schemas.Schema:
    return {
        "type": "object",
        "description": description,
        "properties": {name: written(member) for name, member in members.items()},
        "additionalProperties": False,
    }


def _needed(shape: Shape, field: Field) -> bool:
    """Whether a record can't be made without it; what a link's UUID can stand for is not needed by itself."""
    made = field.default or field.column == shape.entity.updated_at
    return not (field.nullable or made or field.column in _linked(shape, ready=True))


def _made_by_caller(shape: Shape, field: Field) -> bool:
    return not field.default and shape.key_form not in ("cuid", "cuid2")


def _linked(shape: Shape, *, ready: bool = False) -> set[str]:
    return {
        field.column for link in shape.links.values() if link.ready or not ready for field in link.columns
    }


def _internal_link(shape: Shape, schema: schemas.Schema, name: str) -> bool:
    """Whether a link stands in a body beside its own columns."""
    return any(field.name in schema["properties"] for field in shape.links[name].columns)
