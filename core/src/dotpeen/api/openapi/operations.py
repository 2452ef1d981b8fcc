"""One operation of the document, and the collection that all of them go into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from dotpeen.api.openapi import examples
from dotpeen.api.openapi.names import Names
from dotpeen.api.openapi.parameters import Parameter
from dotpeen.api.openapi.responses import Response
from dotpeen.api.openapi.schemas import Schema
from dotpeen.records import Audience, Shape, Shapes
from dotpeen.records.fields import Member
from dotpeen.registry import Registry

Method: TypeAlias = Literal["get", "post", "patch"]
Security: TypeAlias = list[dict[str, list[str]]]

INTERNAL: Final[Security] = [{"internal": []}]
TAGS: Final = {"all": "All entities", "access": "Access"}
"""Names of the tags that belong to no entity."""


@dataclass
class Draft:
    """A document that is being written."""

    registry: Registry
    shapes: Shapes
    names: Names = field(default_factory=Names)
    paths: dict[str, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)

    def add(
        self,
        method: Method,
        path: str,
        *,
        identifier: str,
        tag: str,
        summary: str,
        responses: Mapping[str, Response],
        security: Security,
        description: str = "",
        parameters: Sequence[Parameter] = (),
        body: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an operation."""
        operation: dict[str, Any] = {"operationId": identifier, "tags": [tag], "summary": summary}
        if description:
            operation["description"] = description
        if parameters:
            operation["parameters"] = list(parameters)
        if body is not None:
            operation["requestBody"] = {"required": True, "content": body}
        operation["responses"] = dict(sorted(responses.items()))
        operation["security"] = security
        self.paths.setdefault(path, {})[method] = operation

    def schema(self, shape: Shape, name: str, schema: Schema) -> str:
        """Add a schema of an entity and return the name that it got."""
        found = self.names.of(shape.entity, name)
        self.schemas[found] = schema
        return found


def partner(shape: Shape, verb: Literal["read", "write"]) -> Security:
    """What a partner needs for this verb on this entity."""
    return [{"token": []}, {"oauth2": [f"{shape.entity.name}:{verb}"]}]


def tag(shape: Shape) -> str:
    """The tag of an entity."""
    return shape.entity.name


def segment(name: str) -> str:
    """A name as one part of a path; OpenAPI keeps braces for what is open."""
    return quote(name, safe="")


def pointer(*names: str) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def one(record: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """An example of the envelope of one record."""
    return {"data": record, "metadata": {**metadata, "timestamp": examples.TIMESTAMP}}


def several(record: dict[str, Any]) -> dict[str, Any]:
    """An example of a page."""
    return {
        "data": [record],
        "pagination": {"total": 240, "limit": 1, "offset": 0, "hasMore": True, "nextCursor": examples.CURSOR},
    }


def simple(shape: Shape, audience: Audience) -> dict[str, Member]:
    """The identifiers of one part, by name."""
    return {found.name: found.parts[0] for found in shape.identifiers_of[audience] if len(found.parts) == 1}


def composite(shape: Shape, audience: Audience) -> list[tuple[Member, ...]]:
    """The identifiers of several parts."""
    return [found.parts for found in shape.identifiers_of[audience] if len(found.parts) > 1]


def unavailable(shape: Shape) -> str:
    """What to say of an entity whose records can't be asked for by UUID."""
    return f"Not available yet, answered with 503: {shape.ready}." if shape.ready else ""
