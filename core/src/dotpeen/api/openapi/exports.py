"""The routes that export records as documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dotpeen.api.external import BASE
from dotpeen.api.openapi import parameters
from dotpeen.api.openapi.names import camel
from dotpeen.api.openapi.operations import INTERNAL, Draft, partner, tag, unavailable
from dotpeen.api.openapi.parameters import Parameter
from dotpeen.api.openapi.responses import Response, header, not_modified, problems
from dotpeen.api.problems import EXAMPLE_UUID
from dotpeen.contributions import Exporter
from dotpeen.records import Shape

_ALWAYS = ("Unauthorized", "NotFound", "InternalError")


def add(draft: Draft, exporters: Iterable[tuple[str, Exporter]], *, internal: bool) -> None:
    """Add the routes of every entity and format."""
    for _, exporter in exporters:
        for shape in draft.shapes.values():
            if shape.entity.name in exporter.entities:
                _external(draft, shape, exporter)
                if internal:
                    _internal(draft, shape, exporter)


def _external(draft: Draft, shape: Shape, exporter: Exporter) -> None:
    name = shape.entity.name
    needed = [f"{name}:read", *(f"{entity}:read" for entity in exporter.reads)]
    security = partner(shape, "read")
    security[1] = {"oauth2": list(dict.fromkeys(needed))}
    draft.add(
        "get",
        f"{BASE}/{shape.entity.path}/{{uuid}}/export/{exporter.format}",
        identifier=draft.names.of(shape.entity, f"export{name}As{camel(exporter.format)}"),
        tag=tag(shape),
        summary=f"Export a {name} as {exporter.format}",
        description=f"{exporter.summary} {unavailable(shape)}".strip(),
        parameters=[parameters.uuid_in_path(f"the {name}"), *_query(exporter)],
        responses={
            "200": _document(exporter, external=True),
            "304": not_modified(external=True),
            **problems("InvalidUuid", "Forbidden", "RateLimited", "ExternalBusy", *_ALWAYS),
        },
        security=security,
    )


def _internal(draft: Draft, shape: Shape, exporter: Exporter) -> None:
    name = shape.entity.name
    draft.add(
        "get",
        f"/api/{shape.entity.path}/{{identifier}}/export/{exporter.format}",
        identifier=draft.names.of(shape.entity, f"findAndExport{name}As{camel(exporter.format)}"),
        tag=tag(shape),
        summary=f"Export a {name} as {exporter.format}, by any identifier",
        description=exporter.summary,
        parameters=[
            parameters.in_path(
                "identifier",
                {"type": "string", "minLength": 1},
                description="Any identifier of the record.",
                example=EXAMPLE_UUID,
            ),
            *_query(exporter),
        ],
        responses={
            "200": _document(exporter, external=False),
            "304": not_modified(external=False),
            **problems("InvalidQuery", "Ambiguous", "InternalBusy", *_ALWAYS),
        },
        security=INTERNAL,
    )


def _query(exporter: Exporter) -> list[Parameter]:
    options: list[Parameter] = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in exporter.options.items()
    ]
    return [*options, parameters.shared("IfNoneMatch")]


def _document(exporter: Exporter, *, external: bool) -> Response:
    kept: dict[str, Any] = not_modified(external=external)["headers"]
    return {
        "description": "The document, sent while it is made: whole only if the answer ends as HTTP says it does.",
        "headers": kept | {"Content-Disposition": header("ContentDisposition")},
        "content": {exporter.media_type: {"schema": {"type": "string", "format": "binary"}}},
    }
