"""The OpenAPI document of the REST interface, from the entities as they are in the database."""

from __future__ import annotations

from typing import Any

from dotpeen import __version__
from dotpeen.api.openapi import access, exports, external, flexible
from dotpeen.api.openapi import internal as internals
from dotpeen.api.openapi import plugins as foreign
from dotpeen.api.openapi.operations import TAGS, Draft
from dotpeen.api.openapi.parameters import SHARED as PARAMETERS
from dotpeen.api.openapi.responses import HEADERS, components
from dotpeen.api.openapi.schemas import SHARED as SCHEMAS
from dotpeen.api.plugin_routes import mount
from dotpeen.plugins import Plugins
from dotpeen.records import Shapes
from dotpeen.registry import Registry

_EXTERNAL = """\
Records of {site} by their permanent UUIDs.

Send a token with each request: `Authorization: Bearer …`. Errors are problem documents (RFC 9457): decide by their
`type`. Answers to `GET` have an `ETag`: send it as `If-None-Match`, and what hasn't changed is not sent again.
Times are UTC with microseconds; decimal numbers are strings, so that none of their digits is lost.
"""
_INTERNAL = """\

Routes under `/api/` without `v1/external` are for the site's own applications: by whatever identifier is at hand, and
with internal keys.
"""


def document(
    registry: Registry, shapes: Shapes, *, internal: bool, plugins: Plugins | None = None
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document: what partners can ask, and with `internal` all the rest. The same each time."""
    draft = Draft(registry, shapes)
    external.add(draft)
    if internal:
        flexible.add(draft)
        internals.add(draft)
    if plugins is not None:
        exports.add(draft, plugins.exporters(), internal=internal)
        foreign.add(draft, mount(plugins.api_routers()), internal=internal)
    access.add(draft)
    description = _EXTERNAL.format(site=registry.site.name) + (_INTERNAL if internal else "")
    body = {"paths": draft.paths, "schemas": draft.schemas}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{registry.site.name}: records by UUID",
            "version": __version__,
            "summary": "Made by Dotpeen from the site's registry.",
            "description": description,
        },
        "servers": [{"url": "/", "description": "Where this document comes from."}],
        "tags": _tags(draft),
        "paths": draft.paths,
        "components": _components(draft, body, internal=internal),
    }


def _tags(draft: Draft) -> list[dict[str, str]]:
    entities = [
        {"name": shape.entity.name, "description": f"Records of {shape.entity.name}."}
        for shape in draft.shapes.values()
    ]
    return [
        *entities,
        {"name": TAGS["all"], "description": "From a UUID to its record, whatever it is."},
        {"name": TAGS["access"], "description": "From credentials to a token."},
    ]


def _components(draft: Draft, body: dict[str, Any], *, internal: bool) -> dict[str, Any]:
    """What the paths refer to, and what that refers to; nothing else."""
    referred = _references(body, "responses")
    responses = components(referred)
    parameters = {name: PARAMETERS[name] for name in sorted(_references(body, "parameters"))}
    headers = {name: HEADERS[name] for name in sorted(_references([body, responses], "headers"))}
    schemas = dict(draft.schemas)
    wanted = _references([body, responses], "schemas") - schemas.keys()
    while wanted:
        schemas |= {name: SCHEMAS[name] for name in wanted}
        wanted = _references(schemas, "schemas") - schemas.keys()
    return {
        "schemas": dict(sorted(schemas.items())),
        "responses": responses,
        "parameters": parameters,
        "headers": headers,
        "securitySchemes": dict(access.schemes(draft, internal=internal)),
    }


def _references(document: Any, kind: str) -> set[str]:
    prefix = f"#/components/{kind}/"
    found: set[str] = set()
    todo = [document]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            target = part.get("$ref")
            if isinstance(target, str) and target.startswith(prefix):
                found.add(target.removeprefix(prefix))
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    return found
