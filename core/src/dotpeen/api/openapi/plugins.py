"""The routes that plugins add, as FastAPI describes them and with what stands before them here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from dotpeen.api.openapi.names import camel
from dotpeen.api.openapi.operations import INTERNAL, Draft, partner, tag
from dotpeen.api.openapi.responses import problems
from dotpeen.api.openapi.schemas import ref
from dotpeen.api.plugin_routes import Mounted
from dotpeen.api.problems import MEDIA_TYPE
from dotpeen.records import Shape

_SCHEMAS: Final = "#/components/schemas/"
_THEIRS: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own words for what is a problem document here."""
_EXTERNAL: Final = ("Unauthorized", "Forbidden", "NotFound", "RateLimited", "InternalError", "ExternalBusy")
_INTERNAL: Final = ("Unauthorized", "NotFound", "InternalError", "InternalBusy")


def add(draft: Draft, mounted: Iterable[Mounted], *, internal: bool) -> None:
    """Add the routes; a path that is one of ours stays ours."""
    for one in mounted:
        shape = draft.shapes.get(one.contributed.entity)
        if shape is not None and (internal or one.contributed.surface == "external"):
            _add(draft, one, shape)


def _add(draft: Draft, one: Mounted, shape: Shape) -> None:
    found = get_openapi(title=one.plugin, version="0", routes=one.application.routes)
    schemas = found.get("components", {}).get("schemas", {})
    names = {
        name: draft.names.of(shape.entity, camel(one.plugin, name)) for name in schemas if name not in _THEIRS
    }
    for name, called in names.items():
        draft.schemas[called] = _renamed(schemas[name], names)
    for path, item in found.get("paths", {}).items():
        for method, operation in item.items():
            there = draft.paths.setdefault(path, {})
            if method not in there:
                there[method] = _operation(draft, one, shape, method, _renamed(operation, names))


def _operation(
    draft: Draft, one: Mounted, shape: Shape, method: str, found: dict[str, Any]
) -> dict[str, Any]:
    called = camel(one.plugin, found.get("operationId", "route"))
    external = one.contributed.surface == "external"
    responses = {
        status: _problem(response) if status >= "400" and not response.get("content") else response
        for status, response in found.get("responses", {}).items()
        if not _is_theirs(response)
    }
    if len(responses) < len(found.get("responses", {})):
        responses |= problems("InvalidValue")
    ours = problems(*(_EXTERNAL if external else _INTERNAL))
    kept = {key: part for key, part in found.items() if key not in ("security", "tags")}
    return kept | {
        "operationId": draft.names.of(shape.entity, called[0].lower() + called[1:]),
        "tags": [tag(shape)],
        "responses": dict(sorted((ours | responses).items())),
        "security": partner(shape, "read" if method == "get" else "write") if external else INTERNAL,
    }


def _problem(response: Mapping[str, Any]) -> dict[str, Any]:
    return {**response, "content": {MEDIA_TYPE.decode(): {"schema": ref("Problem")}}}


def _is_theirs(response: Mapping[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("$ref") in [_SCHEMAS + name for name in _THEIRS]


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, list):
        return [_renamed(one, names) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: _renamed(value, names) for key, value in part.items()}
    target = found.get("$ref")
    if isinstance(target, str) and target.startswith(_SCHEMAS):
        found["$ref"] = _SCHEMAS + names.get(target.removeprefix(_SCHEMAS), target.removeprefix(_SCHEMAS))
    return found
