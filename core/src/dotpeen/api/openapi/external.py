"""The external routes: what partners can do."""

from __future__ import annotations

from typing import Any

from dotpeen.api.external import BASE
from dotpeen.api.openapi import bodies, examples, parameters, schemas
from dotpeen.api.openapi.names import both, camel, plural
from dotpeen.api.openapi.operations import (
    TAGS,
    Draft,
    composite,
    one,
    partner,
    segment,
    several,
    simple,
    tag,
    unavailable,
)
from dotpeen.api.openapi.responses import Response, json_body, not_modified, problems, success
from dotpeen.api.problems import EXAMPLE_UUID
from dotpeen.records import Shape
from dotpeen.records.fields import Member, UuidPlace, member_name

_ALWAYS = ("Unauthorized", "RateLimited", "InternalError", "ExternalUnavailable")


def add(draft: Draft) -> None:
    """Add the external routes of every entity."""
    records = {}
    for shape in draft.shapes.values():
        records[shape.entity.name] = _schemas(draft, shape)
        _lists(draft, shape)
        _one(draft, shape)
        _by(draft, shape)
        if bodies.changeable(shape):
            _change(draft, shape)
    _resolve(draft, records)


def members(shape: Shape) -> list[Member]:
    """What partners see of a record; the UUID at least, which an entity gets with its migration."""
    seen = shape.members["external"]
    return list(seen.values()) if seen else [shape.place]


def _schemas(draft: Draft, shape: Shape) -> str:
    name = shape.entity.name
    record = draft.schema(
        shape,
        f"{name}External",
        schemas.record(
            shape, members(shape), description=f"A {name} as partners see it. {_parts(shape)}".strip()
        ),
    )
    if shape.members["external"]:
        draft.schema(shape, f"{name}ExternalField", parameters.field_names(shape, "external"))
        draft.schema(shape, f"{name}ExternalOrder", parameters.order(shape, "external"))
    draft.schema(shape, f"{name}ExternalAnswer", schemas.answer(record, "Metadata"))
    draft.schema(shape, f"{name}ExternalPage", schemas.page(record))
    draft.schema(shape, f"{name}ExternalBatch", schemas.batch(record))
    return record


def _parts(shape: Shape) -> str:
    return "Without `fields` every member is there." if len(members(shape)) > 1 else ""


def _lists(draft: Draft, shape: Shape) -> None:
    name, path = shape.entity.name, f"{BASE}/{shape.entity.path}"
    example = examples.record(shape, members(shape))
    schema = draft.names.of(shape.entity, f"{name}ExternalPage")
    page = success("A page.", schema, several(example), external=True)
    draft.add(
        "get",
        path,
        identifier=draft.names.of(shape.entity, f"list{plural(shape.entity)}"),
        tag=tag(shape),
        summary=f"List {plural(shape.entity)}",
        description=unavailable(shape),
        parameters=parameters.page(
            shape,
            "external",
            selection=_named(draft, shape, "ExternalField"),
            sorting=_named(draft, shape, "ExternalOrder"),
        ),
        responses={
            "200": page,
            "304": not_modified(external=True),
            **problems("InvalidQuery", "Forbidden", *_ALWAYS),
        },
        security=partner(shape, "read"),
    )
    draft.add(
        "post",
        f"{path}/batch",
        identifier=draft.names.of(shape.entity, f"batch{plural(shape.entity)}"),
        tag=tag(shape),
        summary=f"Look up many {plural(shape.entity)} by UUID",
        description=unavailable(shape),
        parameters=_fields(draft, shape),
        body={"application/json": {"schema": schemas.ref("UuidBatch"), "example": _batch_request()}},
        responses={
            "200": success(
                "What was found and what was not.",
                draft.names.of(shape.entity, f"{name}ExternalBatch"),
                {
                    "data": [example],
                    "notFoundUuids": [examples.UNKNOWN_UUID],
                    "metadata": {"timestamp": examples.TIMESTAMP},
                },
                external=True,
                tagged=False,
            ),
            **problems("InvalidBatch", "Forbidden", "BodyTooLarge", "UnsupportedMediaType", *_ALWAYS),
        },
        security=partner(shape, "read"),
    )


def _one(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    draft.add(
        "get",
        f"{BASE}/{shape.entity.path}/{{uuid}}",
        identifier=draft.names.of(shape.entity, f"get{name}"),
        tag=tag(shape),
        summary=f"Get a {name} by its UUID",
        description=unavailable(shape),
        parameters=[
            parameters.uuid_in_path(f"the {name}"),
            *_fields(draft, shape),
            parameters.shared("IfNoneMatch"),
        ],
        responses=_found(draft, shape, "InvalidUuid"),
        security=partner(shape, "read"),
    )


def _by(draft: Draft, shape: Shape) -> None:
    name, path = shape.entity.name, f"{BASE}/{shape.entity.path}/by"
    for field, member in simple(shape, "external").items():
        if isinstance(member, UuidPlace):
            continue  # this is what the route without `by` is for
        draft.add(
            "get",
            f"{path}/{segment(field)}/{{value}}",
            identifier=draft.names.of(shape.entity, f"get{name}By{camel(field)}"),
            tag=tag(shape),
            summary=f"Get a {name} by its {field}",
            description="Compared exactly.",
            parameters=[
                parameters.in_path(
                    "value",
                    parameters.filled(parameters.value(shape, member)),
                    description=f"The `{field}`.",
                    example=examples.value(shape, member),
                ),
                *_fields(draft, shape),
                parameters.shared("IfNoneMatch"),
            ],
            responses=_found(draft, shape, "InvalidQuery", "Ambiguous"),
            security=partner(shape, "read"),
        )
    for parts in composite(shape, "external")[:1]:
        names = [member_name(part) for part in parts]
        draft.add(
            "get",
            path,
            identifier=draft.names.of(shape.entity, f"get{name}By{'And'.join(camel(one) for one in names)}"),
            tag=tag(shape),
            summary=f"Get a {name} by its {both(names)}",
            description="Compared exactly.",
            parameters=[
                *parameters.parts(shape, parts, required=True),
                *_fields(draft, shape),
                parameters.shared("IfNoneMatch"),
            ],
            responses=_found(draft, shape, "InvalidQuery", "Ambiguous"),
            security=partner(shape, "read"),
        )


def _change(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    body = draft.schema(shape, f"{name}Change", bodies.change(shape))
    draft.add(
        "patch",
        f"{BASE}/{shape.entity.path}/{{uuid}}",
        identifier=draft.names.of(shape.entity, f"update{name}"),
        tag=tag(shape),
        summary=f"Change a {name}",
        description=unavailable(shape),
        parameters=[parameters.uuid_in_path(f"the {name}"), parameters.shared("IfMatch")],
        body=json_body(body, bodies.example(shape, draft.schemas[body])),
        responses={
            "200": success("The record as it is now.", *_answer(draft, shape), external=True),
            **problems(
                "InvalidChange",
                "Forbidden",
                "NotFound",
                "Conflict",
                "PreconditionFailed",
                "BodyTooLarge",
                "UnsupportedMediaType",
                "InvalidValue",
                *_ALWAYS,
            ),
        },
        security=partner(shape, "write"),
    )


def _resolve(draft: Draft, records: dict[str, str]) -> None:
    if not records:
        return
    choices = []
    for shape in draft.shapes.values():
        name = shape.entity.name
        schema = schemas.object_of(
            {
                "entity": {"type": "string", "const": name},
                "url": {"type": "string", "format": "uri-reference", "description": "Where the record is."},
                "via": schemas.ref("ResolutionVia"),
                "record": schemas.ref(records[name]),
                "thread": {"type": "array", "items": schemas.ref("ThreadEntry")},
            },
            description=f"The UUID is that of a {name}, or leads to one (`via`).",
            optional=("via",),
        )
        choices.append(draft.schema(shape, f"{name}Resolution", schema))
    draft.schemas["ResolutionAnswer"] = schemas.object_of(
        {"data": {"oneOf": [schemas.ref(choice) for choice in choices]}, "metadata": schemas.ref("Metadata")},
        description="Which record it is, and what else carries its identity.",
    )
    first = next(iter(draft.shapes.values()))
    example = {
        "entity": first.entity.name,
        "url": f"{BASE}/{first.entity.path}/{EXAMPLE_UUID}",
        "record": examples.record(first, members(first)),
        "thread": [{"source": "step", "kind": "stepAp242Uuid", "value": examples.LINKED_UUID}],
    }
    draft.add(
        "get",
        f"{BASE}/resolve/{{uuid}}",
        identifier="resolveUuid",
        tag=TAGS["all"],
        summary="Find out which record has a UUID",
        description="The record of any entity that the token's scopes let read, and everything else that carries "
        "this identity: the digital thread. A UUID of another system, such as that of a CAD revision, leads to its "
        "record where a plugin knows it.",
        parameters=[parameters.uuid_in_path("a record of any entity"), parameters.shared("IfNoneMatch")],
        responses={
            "200": success(
                "The record.",
                "ResolutionAnswer",
                one(example, {"requestedUuid": EXAMPLE_UUID}),
                external=True,
            ),
            "304": not_modified(external=True),
            **problems("InvalidUuid", "NotFound", "Ambiguous", *_ALWAYS),
        },
        security=[{"token": []}, {"oauth2": []}],
    )


def _found(draft: Draft, shape: Shape, *refusals: str) -> dict[str, Response]:
    return {
        "200": success("The record.", *_answer(draft, shape), external=True),
        "304": not_modified(external=True),
        **problems(*refusals, "Forbidden", "NotFound", *_ALWAYS),
    }


def _answer(draft: Draft, shape: Shape) -> tuple[str, dict[str, Any]]:
    example = one(examples.record(shape, members(shape)), {"requestedUuid": EXAMPLE_UUID})
    return draft.names.of(shape.entity, f"{shape.entity.name}ExternalAnswer"), example


def _fields(draft: Draft, shape: Shape) -> list[parameters.Parameter]:
    named = _named(draft, shape, "ExternalField")
    return [parameters.fields(named)] if named else []


def _named(draft: Draft, shape: Shape, kind: str) -> str | None:
    """The schema of this kind, unless the entity has no UUIDs and so nothing to show."""
    return draft.names.of(shape.entity, shape.entity.name + kind) if shape.members["external"] else None


def _batch_request() -> dict[str, Any]:
    return {"uuids": [EXAMPLE_UUID, examples.UNKNOWN_UUID]}
