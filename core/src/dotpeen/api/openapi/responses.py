"""Responses: what each route answers with, and every problem that it may answer with instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dotpeen.api.openapi import examples
from dotpeen.api.openapi.schemas import ref
from dotpeen.api.problems import EXAMPLE_UUID, MEDIA_TYPE, PROBLEMS, Problem

Response = dict[str, Any]

HEADERS: Final[Mapping[str, dict[str, Any]]] = {
    "ETag": {
        "description": "The version of the content; for `If-None-Match` and `If-Match`.",
        "schema": {"type": "string", "examples": [examples.ETAG]},
    },
    "ContentDisposition": {
        "description": "The name that the file has by itself (RFC 6266).",
        "schema": {"type": "string", "examples": ['attachment; filename="PN-1001.txt"']},
    },
    "CacheControl": {
        "description": "What is kept is for the client alone, and to be asked about each time.",
        "schema": {"type": "string"},
    },
    "RateLimitLimit": {
        "description": "Requests that the partner has in the present window.",
        "schema": {"type": "integer", "minimum": 0, "examples": [6000]},
    },
    "RateLimitRemaining": {
        "description": "Requests that are left of them.",
        "schema": {"type": "integer", "minimum": 0, "examples": [5999]},
    },
    "RateLimitReset": {
        "description": "Seconds until they are all there again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [42]},
    },
    "RetryAfter": {
        "description": "Seconds after which it is worth to try again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [2]},
    },
    "WWWAuthenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Location": {
        "description": "Where the new record is.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
}
_LIMITS: Final = {
    "RateLimit-Limit": "RateLimitLimit",
    "RateLimit-Remaining": "RateLimitRemaining",
    "RateLimit-Reset": "RateLimitReset",
}


@dataclass(frozen=True)
class Failure:
    """A response that is a problem, of one of these kinds."""

    status: int
    description: str
    kinds: tuple[str, ...]
    headers: Mapping[str, str]


def _failure(description: str, *kinds: str, **headers: str) -> Failure:
    statuses = {PROBLEMS[kind][0] for kind in kinds}
    if len(statuses) != 1:
        raise ValueError(f"{kinds} don't have one status")
    return Failure(
        statuses.pop(),
        description,
        kinds,
        {name.replace("_", "-"): header for name, header in headers.items()},
    )


FAILURES: Final[Mapping[str, Failure]] = {
    "InvalidUuid": _failure(
        "The UUID or a parameter is wrong.", "invalid-uuid", "invalid-query", "invalid-path"
    ),
    "InvalidQuery": _failure("A parameter is wrong.", "invalid-query", "invalid-path"),
    "InvalidKey": _failure(
        "This can't be a primary key, or a parameter is wrong.",
        "invalid-internal-id",
        "invalid-query",
        "invalid-path",
    ),
    "InvalidBatch": _failure(
        "The body, one of its UUIDs or a parameter is wrong.",
        "malformed-json",
        "too-many-uuids",
        "invalid-uuid",
        "invalid-query",
    ),
    "InvalidChange": _failure(
        "The UUID is wrong, or the body no JSON object.", "malformed-json", "invalid-uuid", "invalid-path"
    ),
    "InvalidBody": _failure(
        "The body is no JSON object.", "malformed-json", "invalid-internal-id", "invalid-path"
    ),
    "Unauthorized": _failure(
        "No token, or none that holds.", "unauthorized", WWW_Authenticate="WWWAuthenticate"
    ),
    "Forbidden": _failure(
        "The token's scopes don't reach this far.", "forbidden", WWW_Authenticate="WWWAuthenticate"
    ),
    "NotFound": _failure("There is no such record.", "not-found"),
    "Ambiguous": _failure("Several records answer to this identifier.", "ambiguous-identifier"),
    "Conflict": _failure("The database refuses it because of what it holds.", "conflict"),
    "PreconditionFailed": _failure("The record has changed since.", "precondition-failed"),
    "BodyTooLarge": _failure("The body is too large.", "body-too-large"),
    "UnsupportedMediaType": _failure("The body is not JSON by its own account.", "unsupported-media-type"),
    "InvalidValue": _failure("A value can't be written.", "invalid-value"),
    "RateLimited": _failure("Too many requests.", "rate-limited", Retry_After="RetryAfter", **_LIMITS),
    "InternalError": _failure("Something went wrong here.", "internal-error"),
    "ExternalUnavailable": _failure(
        "Not now: try again after the time of `Retry-After`.",
        "database-unavailable",
        "timeout",
        "external-disabled",
        "not-migrated",
        Retry_After="RetryAfter",
    ),
    "ExternalBusy": _failure(
        "Not now: try again after the time of `Retry-After`.",
        "busy",
        "database-unavailable",
        "timeout",
        "external-disabled",
        "not-migrated",
        Retry_After="RetryAfter",
    ),
    "InternalBusy": _failure(
        "Not now: try again after the time of `Retry-After`.",
        "busy",
        "database-unavailable",
        "timeout",
        "not-migrated",
        Retry_After="RetryAfter",
    ),
    "Unavailable": _failure(
        "Not now: try again after the time of `Retry-After`.",
        "database-unavailable",
        "timeout",
        "not-migrated",
        Retry_After="RetryAfter",
    ),
}
"""Every problem response by its name in the document."""

_DETAILS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "invalid-path": ("the path is not percent-encoded UTF-8", {}),
    "invalid-query": ("expected 1 to 500", {"parameter": "limit"}),
    "invalid-uuid": (
        "'PN-1001' is no UUID: the form is wrong",
        {"provided": "PN-1001", "example": EXAMPLE_UUID},
    ),
    "invalid-internal-id": ("this can't be a primary key", {"provided": EXAMPLE_UUID}),
    "invalid-value": ("status: must have a value", {"field": "status"}),
    "malformed-json": ("the body is no JSON: Expecting value at line 1, column 1", {}),
    "too-many-uuids": ("501 UUIDs, and a batch has up to 500", {"limit": 500}),
    "unauthorized": ("send a token as `Authorization: Bearer …`", {}),
    "forbidden": ("the token does not carry the scope Part:read", {}),
    "not-found": ("no record has this UUID", {"uuid": EXAMPLE_UUID}),
    "ambiguous-identifier": (
        "2 records answer to this identifier; ask by UUID or by field",
        {
            "identifier": "1001",
            "candidates": [
                {"field": "serialNumber", "uuid": EXAMPLE_UUID},
                {"field": "erpId", "uuid": examples.LINKED_UUID},
            ],
        },
    ),
    "conflict": ("another record has this value", {"fields": ["partNumber"]}),
    "precondition-failed": ("the record has changed since it was read", {}),
    "body-too-large": ("a body may have 1048576 bytes", {}),
    "unsupported-media-type": ("send the body as application/json", {}),
    "rate-limited": ("more than 6000 requests in a minute; go on in 42 s", {}),
    "internal-error": ("something went wrong here; it was logged under this request's id", {}),
    "busy": ("as many exports are under way as there may be at a time", {}),
    "database-unavailable": ("the database can't be reached right now", {}),
    "external-disabled": ("the site has switched external access off for now", {}),
    "not-migrated": ("the records have no UUIDs yet", {}),
    "timeout": ("the database took too long", {}),
}


def problems(*names: str) -> dict[str, Response]:
    """References to responses of `FAILURES`, by status."""
    return {str(FAILURES[name].status): {"$ref": f"#/components/responses/{name}"} for name in names}


def components(names: set[str]) -> dict[str, Response]:
    """The responses of `FAILURES` that are referred to."""
    return {name: _component(FAILURES[name]) for name in FAILURES if name in names}


def json_body(schema: str, example: Any) -> dict[str, Any]:
    """`content` of a JSON body."""
    return {"application/json": {"schema": ref(schema), "example": example}}


def success(description: str, schema: str, example: Any, *, external: bool, tagged: bool = True) -> Response:
    """A response with a JSON body; `tagged`: with an entity tag."""
    return {
        "description": description,
        "headers": _headers(external=external, tagged=tagged),
        "content": json_body(schema, example),
    }


def leads_to(operation: str, parameter: str, pointer: str, description: str) -> dict[str, Any]:
    """A link: what of an answer is a parameter of which operation."""
    return {
        "operationId": operation,
        "parameters": {parameter: f"$response.body#{pointer}"},
        "description": description,
    }


def not_modified(*, external: bool) -> Response:
    """304."""
    return {
        "description": "What the client has is still right.",
        "headers": _headers(external=external, tagged=True),
    }


def _headers(*, external: bool, tagged: bool) -> dict[str, Any]:
    names = {"ETag": "ETag"} if tagged else {}
    names |= {"Cache-Control": "CacheControl"} | (_LIMITS if external else {})
    return {name: header(component) for name, component in names.items()}


def header(name: str) -> dict[str, str]:
    """A reference to one of `HEADERS`."""
    return {"$ref": f"#/components/headers/{name}"}


def _component(failure: Failure) -> Response:
    found: Response = {"description": failure.description}
    if failure.headers:
        found["headers"] = {name: header(component) for name, component in failure.headers.items()}
    found["content"] = {
        MEDIA_TYPE.decode(): {
            "schema": ref("Problem"),
            "examples": {
                kind: {"summary": PROBLEMS[kind][1], "value": _example(kind)} for kind in failure.kinds
            },
        }
    }
    return found


def _example(kind: str) -> dict[str, Any]:
    detail, members = _DETAILS[kind]
    error = "Part not found" if kind == "not-found" else None
    return Problem(kind, detail, error=error, **members).document(examples.REQUEST_ID)
