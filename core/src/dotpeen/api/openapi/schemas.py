"""JSON Schemas of what goes over the wire: the records of each entity, and the envelopes around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dotpeen.api.external import BATCH
from dotpeen.api.openapi import examples
from dotpeen.api.problems import EXAMPLE_UUID, PROBLEMS
from dotpeen.records import Field, Link, Shape, wire
from dotpeen.records.fields import Member, member_name

Schema = dict[str, Any]

UUID: Final[Schema] = {"type": "string", "format": "uuid", "examples": [EXAMPLE_UUID]}
TIMESTAMP: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "description": "UTC, with microseconds.",
    "examples": [examples.TIMESTAMP],
}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def member(one: Member) -> Schema:
    """What stands under one name in a record."""
    if isinstance(one, Field):
        return wire.schema(one)
    if isinstance(one, Link):
        return {
            "type": ["string", "null"] if one.nullable else "string",
            "format": "uuid",
            "description": f"UUID of the {one.entity}.",
        }
    return {"type": "string", "format": "uuid", "description": "Permanent, the same everywhere."}


def record(shape: Shape, members: Iterable[Member], *, description: str) -> Schema:
    """A record. `fields=` may leave out any member, so that none is required."""
    chosen = list(members)
    return {
        "type": "object",
        "description": description,
        "properties": {member_name(one): member(one) for one in chosen},
        "additionalProperties": False,
        "examples": [examples.record(shape, chosen)],
    }


def object_of(properties: Mapping[str, Schema], *, description: str, optional: Iterable[str] = ()) -> Schema:
    """An object that has these members and no others."""
    without = set(optional)
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [name for name in properties if name not in without],
        "additionalProperties": False,
    }


def answer(data: str, metadata: str) -> Schema:
    """The envelope of one record."""
    return object_of({"data": ref(data), "metadata": ref(metadata)}, description="One record.")


def page(data: str) -> Schema:
    """The envelope of a page."""
    return object_of(
        {"data": {"type": "array", "items": ref(data), "maxItems": BATCH}, "pagination": ref("Pagination")},
        description="A page of records.",
    )


def batch(data: str) -> Schema:
    """What a batch of lookups gives."""
    return object_of(
        {
            "data": {
                "type": "array",
                "items": ref(data),
                "maxItems": BATCH,
                "description": "The records found, in the order asked.",
            },
            "notFoundUuids": {
                "type": "array",
                "items": UUID,
                "maxItems": BATCH,
                "description": "The UUIDs that no record has.",
            },
            "metadata": ref("BatchMetadata"),
        },
        description="Records by UUID.",
    )


SHARED: Final[dict[str, Schema]] = {
    "Metadata": object_of(
        {"requestedUuid": UUID, "timestamp": TIMESTAMP},
        description="What was asked for, and when it was answered.",
    ),
    "FlexibleMetadata": object_of(
        {
            "requestedIdentifier": {"type": "string", "description": "As it was asked for."},
            "matchedBy": {"type": "string", "description": "The identifier that it is."},
            "timestamp": TIMESTAMP,
        },
        description="What was asked for, what it matched, and when it was answered.",
        optional=("requestedIdentifier", "matchedBy"),
    ),
    "BatchMetadata": object_of({"timestamp": TIMESTAMP}, description="When it was answered."),
    "Pagination": object_of(
        {
            "total": {"type": "integer", "minimum": 0, "description": "Records on all pages."},
            "limit": {"type": "integer", "minimum": 1, "maximum": BATCH},
            "offset": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Records before this page; null where it was asked for by cursor.",
            },
            "hasMore": {"type": "boolean", "description": "There is a next page."},
            "nextCursor": {
                "type": ["string", "null"],
                "description": "Send it as `cursor` to get the next page; null on the last.",
            },
        },
        description="Where a page stands.",
    ),
    "UuidBatch": object_of(
        {
            "uuids": {
                "type": "array",
                "items": UUID,
                "maxItems": BATCH,
                "description": "One that stands there twice is looked up once.",
            }
        },
        description="Which records.",
    ),
    "ThreadEntry": object_of(
        {
            "source": {"type": "string", "description": "The plugin that knows it."},
            "kind": {"type": "string"},
            "value": {"description": "What the record is called there."},
            "at": {"type": "string", "format": "date-time", "description": "Since when, or of when it is."},
            "details": {"type": "object", "description": "What else the plugin knows of it."},
        },
        description="What else carries this identity.",
        optional=("at", "details"),
    )
    | {"additionalProperties": True},
    "ResolutionVia": object_of(
        {
            "source": {"type": "string", "description": "The plugin that knows it."},
            "kind": {"type": "string", "description": "What it is the UUID of."},
        },
        description="How a UUID that is no record's own leads to the record.",
    ),
    "Candidate": object_of(
        {
            "field": {"type": "string", "description": "The identifier that it answers by."},
            "uuid": {"type": ["string", "null"], "format": "uuid"},
        },
        description="A record that answers to an identifier.",
    ),
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": {
                "type": "string",
                "format": "uri-reference",
                "enum": [f"/problems/{kind}" for kind in PROBLEMS],
                "description": "Which problem it is: decide by this. What it points to explains it.",
            },
            "title": {"type": "string"},
            "status": {"type": "integer", "enum": sorted({status for status, _ in PROBLEMS.values()})},
            "detail": {"type": "string", "description": "For people; its words may change."},
            "error": {"type": "string", "description": "Such as `Part not found`."},
            "requestId": {"type": "string", "description": "What the server's log calls this request."},
            "identifier": {"type": "string", "description": "What was asked for."},
            "uuid": {"type": "string", "description": "The UUID that was asked for."},
            "provided": {"type": "string", "description": "What was sent and is no such identifier."},
            "example": {"description": "What would be right."},
            "parameter": {"type": "string", "description": "The parameter that is wrong."},
            "field": {"type": "string", "description": "The member of the body that is wrong."},
            "fields": {"type": "array", "items": {"type": "string"}, "description": "What is in conflict."},
            "limit": {"type": "integer", "description": "How many there may be."},
            "candidates": {"type": "array", "items": ref("Candidate")},
        },
        "required": ["type", "title", "status", "detail", "error", "requestId"],
    },
    "Token": object_of(
        {
            "access_token": {"type": "string"},
            "token_type": {"type": "string", "enum": ["Bearer"]},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "scope": {"type": "string", "description": "Separated by blanks."},
        },
        description="An access token (RFC 6749 5.1).",
    ),
    "TokenRequest": object_of(
        {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string"},
        },
        description="Client credentials (RFC 6749 4.4), unless they are in the header.",
        optional=("client_id", "client_secret"),
    )
    | {"additionalProperties": True},
    "TokenError": object_of(
        {"error": {"type": "string"}, "error_description": {"type": "string"}},
        description="Why there is no token (RFC 6749 5.2).",
    ),
}
"""Schemas that belong to no entity."""
