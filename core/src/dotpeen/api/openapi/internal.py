"""The internal routes: records by primary key with what is linked to them, new records, changes."""

from __future__ import annotations

from typing import Any

from dotpeen.api.openapi import bodies, examples, parameters, schemas
from dotpeen.api.openapi.flexible import answer, whole
from dotpeen.api.openapi.operations import INTERNAL, Draft, one, pointer, tag
from dotpeen.api.openapi.responses import header, json_body, leads_to, not_modified, problems, success
from dotpeen.identifiers import UUID_PATTERN
from dotpeen.records import Shape

_ALWAYS = ("Unauthorized", "InternalError", "Unavailable")
_WRITES = ("Conflict", "BodyTooLarge", "UnsupportedMediaType", "InvalidValue", *_ALWAYS)


def add(draft: Draft) -> None:
    """Add the internal routes of every entity; the schemas of whole records are there."""
    for shape in draft.shapes.values():
        _detail(draft, shape)
        _create(draft, shape)
        _update(draft, shape)


def _detail(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    detail = draft.schema(shape, f"{name}Detail", _detail_schema(draft, shape))
    envelope = draft.schema(shape, f"{name}DetailAnswer", schemas.answer(detail, "FlexibleMetadata"))
    draft.add(
        "get",
        f"/api/internal/{shape.entity.path}/{{id}}",
        identifier=draft.names.of(shape.entity, f"get{name}Details"),
        tag=tag(shape),
        summary=f"Get a {name} with its related records, by its primary key",
        parameters=[_key(shape), parameters.shared("IfNoneMatch")],
        responses={
            "200": success(
                "The record and what is linked to it.",
                envelope,
                one(_detail_example(draft, shape), {"requestedIdentifier": _key_example(shape)}),
                external=False,
            ),
            "304": not_modified(external=False),
            **problems("InvalidKey", "NotFound", *_ALWAYS),
        },
        security=INTERNAL,
    )


def _detail_schema(draft: Draft, shape: Shape) -> schemas.Schema:
    own = schemas.record(shape, shape.members["internal"].values(), description="")
    related: dict[str, schemas.Schema] = {}
    for link in shape.links.values():
        other = schemas.ref(draft.names.of(draft.shapes[link.entity].entity, link.entity))
        related[link.name] = {"anyOf": [other, {"type": "null"}]}
    for incoming in shape.incoming:
        other = schemas.ref(draft.names.of(draft.shapes[incoming.entity].entity, incoming.entity))
        related[incoming.name] = schemas.object_of(
            {"records": {"type": "array", "items": other}, "hasMore": {"type": "boolean"}},
            description="Up to 100 of them.",
        )
    return schemas.object_of(
        own["properties"]
        | {"related": schemas.object_of(related, description="Linked records by their names.")},
        description=f"A {shape.entity.name} with its related records.",
    )


def _detail_example(draft: Draft, shape: Shape) -> dict[str, Any]:
    related: dict[str, Any] = {}
    for link in shape.links.values():
        other = draft.shapes[link.entity]
        related[link.name] = examples.record(other, other.members["internal"].values())
    related |= {incoming.name: {"records": [], "hasMore": False} for incoming in shape.incoming}
    return whole(shape) | {"related": related}


def _create(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    body = draft.schema(shape, f"{name}Create", bodies.creation(shape))
    created = success("The new record.", *answer(draft, shape), external=False)
    created["headers"]["Location"] = header("Location")
    if len(shape.key) == 1:
        where = pointer("data", shape.key[0].name)
        created["links"] = {
            "details": leads_to(
                draft.names.of(shape.entity, f"get{name}Details"), "id", where, "The new record."
            ),
            "update": leads_to(
                draft.names.of(shape.entity, f"update{name}ById"), "id", where, "Change the new record."
            ),
        }
    draft.add(
        "post",
        f"/api/internal/{shape.entity.path}",
        identifier=draft.names.of(shape.entity, f"create{name}"),
        tag=tag(shape),
        summary=f"Create a {name}",
        description="Its UUID comes from the database.",
        body=json_body(body, bodies.example(shape, draft.schemas[body])),
        responses={"201": created, **problems("InvalidBody", *_WRITES)},
        security=INTERNAL,
    )


def _update(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    body = draft.schema(shape, f"{name}Update", bodies.update(shape))
    draft.add(
        "patch",
        f"/api/internal/{shape.entity.path}/{{id}}",
        identifier=draft.names.of(shape.entity, f"update{name}ById"),
        tag=tag(shape),
        summary=f"Change a {name} by its primary key",
        parameters=[_key(shape), parameters.shared("IfMatch")],
        body=json_body(body, bodies.example(shape, draft.schemas[body])),
        responses={
            "200": success("The record as it is now.", *answer(draft, shape), external=False),
            **problems("InvalidBody", "NotFound", "PreconditionFailed", *_WRITES),
        },
        security=INTERNAL,
    )


def _key(shape: Shape) -> parameters.Parameter:
    if len(shape.key) == 1:
        schema = parameters.value(shape, shape.key[0])
        if shape.key_form in ("cuid", "cuid2"):
            schema["not"] = {"pattern": f"^{UUID_PATTERN.pattern}$"}
        example = examples.value(shape, shape.key[0])
        return parameters.in_path(
            "id", parameters.filled(schema), description="The primary key.", example=example
        )
    return parameters.in_path(
        "id",
        {"type": "string", "minLength": 1},
        description="The primary key, its parts joined by `:`.",
        example=_key_example(shape),
    )


def _key_example(shape: Shape) -> str:
    return ":".join(str(examples.value(shape, part)) for part in shape.key)
