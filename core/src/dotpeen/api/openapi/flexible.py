"""The flexible routes: the site's own applications find records by whatever identifier is at hand."""

from __future__ import annotations

from typing import Any

from dotpeen.api.openapi import examples, parameters, schemas
from dotpeen.api.openapi.names import both, camel, plural
from dotpeen.api.openapi.operations import (
    INTERNAL,
    Draft,
    composite,
    one,
    segment,
    several,
    simple,
    tag,
)
from dotpeen.api.openapi.responses import (
    Response,
    not_modified,
    problems,
    success,
)
from dotpeen.records import Shape
from dotpeen.records.fields import Member, member_name

_ALWAYS = ("Unauthorized", "InternalError", "Unavailable")


def add(draft: Draft) -> None:
    """Add the flexible routes of every entity, and the schemas of whole records."""
    for shape in draft.shapes.values():
        _schemas(draft, shape)
    for shape in draft.shapes.values():
        _list(draft, shape)
        _find(draft, shape)
        _by(draft, shape)


def _schemas(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    record = draft.schema(
        shape,
        name,
        schemas.record(
            shape,
            shape.selectable("internal").values(),
            description=f"A {name}, whole. Members that end in Uuid stand for linked records; `fields` asks for them.",
        ),
    )
    draft.schema(shape, f"{name}Field", parameters.field_names(shape, "internal"))
    draft.schema(shape, f"{name}Order", parameters.order(shape, "internal"))
    draft.schema(shape, f"{name}Answer", schemas.answer(record, "FlexibleMetadata"))
    draft.schema(shape, f"{name}Page", schemas.page(record))


def _list(draft: Draft, shape: Shape) -> None:
    schema = draft.names.of(shape.entity, f"{shape.entity.name}Page")
    page = success("A page.", schema, several(whole(shape)), external=False)
    draft.add(
        "get",
        f"/api/{shape.entity.path}",
        identifier=draft.names.of(shape.entity, f"listAll{plural(shape.entity)}"),
        tag=tag(shape),
        summary=f"List {plural(shape.entity)}, whole",
        parameters=parameters.page(
            shape,
            "internal",
            selection=_selection(draft, shape),
            sorting=draft.names.of(shape.entity, f"{shape.entity.name}Order"),
        ),
        responses={
            "200": page,
            "304": not_modified(external=False),
            **problems("InvalidQuery", *_ALWAYS),
        },
        security=INTERNAL,
    )


def _find(draft: Draft, shape: Shape) -> None:
    name = shape.entity.name
    known = both([f"`{found.name}`" for found in shape.identifiers])
    draft.add(
        "get",
        f"/api/{shape.entity.path}/{{identifier}}",
        identifier=draft.names.of(shape.entity, f"find{name}"),
        tag=tag(shape),
        summary=f"Find a {name} by whatever identifier is at hand",
        description=f"It answers to {known}. Parts of a composite one are joined by `:`, with `%3A` for a `:` and "
        "`%25` for a `%` inside a part. `matchedBy` says which it was.",
        parameters=[
            parameters.in_path(
                "identifier",
                {"type": "string", "minLength": 1},
                description="Any of them.",
                example=_identifier(shape),
            ),
            parameters.fields(_selection(draft, shape)),
            parameters.shared("IfNoneMatch"),
        ],
        responses=_found(draft, shape, "InvalidQuery", "Ambiguous"),
        security=INTERNAL,
    )


def _by(draft: Draft, shape: Shape) -> None:
    name, path = shape.entity.name, f"/api/{shape.entity.path}/by"
    common = [parameters.fields(_selection(draft, shape)), parameters.shared("IfNoneMatch")]
    for field, member in simple(shape, "internal").items():
        draft.add(
            "get",
            f"{path}/{segment(field)}/{{value}}",
            identifier=draft.names.of(shape.entity, f"find{name}By{camel(field)}"),
            tag=tag(shape),
            summary=f"Find a {name} by its {field}",
            description="Compared exactly.",
            parameters=[
                parameters.in_path(
                    "value",
                    parameters.filled(parameters.value(shape, member)),
                    description=f"The `{field}`.",
                    example=examples.value(shape, member),
                ),
                *common,
            ],
            responses=_found(draft, shape, "InvalidQuery", "Ambiguous"),
            security=INTERNAL,
        )
    several_parts = composite(shape, "internal")
    if not several_parts:
        return
    names = [both([member_name(part) for part in parts]) for parts in several_parts]
    by = "Or".join("And".join(camel(member_name(part)) for part in parts) for parts in several_parts)
    asked: dict[str, Member] = {member_name(part): part for parts in several_parts for part in parts}
    draft.add(
        "get",
        path,
        identifier=draft.names.of(shape.entity, f"find{name}By{by}"),
        tag=tag(shape),
        summary=f"Find a {name} by its {', or its '.join(names)}",
        description="Compared exactly.",
        parameters=[*parameters.parts(shape, asked.values(), required=len(several_parts) == 1), *common],
        responses=_found(draft, shape, "InvalidQuery", "Ambiguous"),
        security=INTERNAL,
    )


def _found(draft: Draft, shape: Shape, *refusals: str) -> dict[str, Response]:
    return {
        "200": success("The record.", *answer(draft, shape), external=False),
        "304": not_modified(external=False),
        **problems(*refusals, "NotFound", *_ALWAYS),
    }


def answer(draft: Draft, shape: Shape) -> tuple[str, dict[str, Any]]:
    """The schema of the envelope of a whole record, and an example."""
    first = shape.identifiers[0]
    metadata = {"requestedIdentifier": _identifier(shape), "matchedBy": first.name}
    return draft.names.of(shape.entity, f"{shape.entity.name}Answer"), one(whole(shape), metadata)


def _identifier(shape: Shape) -> str:
    return ":".join(str(examples.value(shape, part)) for part in shape.identifiers[0].parts)


def _selection(draft: Draft, shape: Shape) -> str:
    return draft.names.of(shape.entity, f"{shape.entity.name}Field")


def whole(shape: Shape) -> dict[str, Any]:
    """An example of a record as the site's own applications see it."""
    return examples.record(shape, shape.members["internal"].values())
