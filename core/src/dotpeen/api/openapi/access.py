"""How callers are let in: the token endpoint and the security schemes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dotpeen.api.openapi.operations import TAGS, Draft
from dotpeen.api.openapi.responses import json_body
from dotpeen.api.openapi.schemas import ref

TOKEN_URL = "/oauth/token"  # noqa: S105 - a path


def add(draft: Draft) -> None:
    """Add the token endpoint."""
    error = {
        "error": "invalid_client",
        "error_description": "the client is not known, or its secret is wrong",
    }
    request = {"error": "invalid_request", "error_description": "a parameter stands twice"}
    draft.add(
        "post",
        TOKEN_URL,
        identifier="getToken",
        tag=TAGS["access"],
        summary="Exchange a client id and secret for an access token",
        description="OAuth 2 client credentials (RFC 6749 4.4). A partner's token `dp_ID_SECRET` works by itself, "
        "too: its id and secret are those of the client.",
        body={
            "application/x-www-form-urlencoded": {
                "schema": ref("TokenRequest"),
                "example": {"grant_type": "client_credentials", "client_id": "…", "client_secret": "…"},
            }
        },
        responses={
            "200": {
                "description": "The token.",
                "content": json_body(
                    "Token",
                    {
                        "access_token": "dpa_…",
                        "token_type": "Bearer",
                        "expires_in": 3600,
                        "scope": "Part:read",
                    },
                ),
            },
            "400": {"description": "The request is wrong.", "content": json_body("TokenError", request)},
            "401": {"description": "No such client.", "content": json_body("TokenError", error)},
            "413": {"description": "The request is too large.", "content": json_body("TokenError", request)},
        },
        security=[{"client": []}, {}],
    )


def schemes(draft: Draft, *, internal: bool) -> Mapping[str, Any]:
    """The security schemes."""
    scopes = {"*:read": "Read every entity."}
    for shape in draft.shapes.values():
        scopes[f"{shape.entity.name}:read"] = f"Read {shape.entity.name}."
        if shape.entity.writable:
            scopes[f"{shape.entity.name}:write"] = f"Change {shape.entity.name}."
    found: dict[str, Any] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A partner's token, as the site handed it out.",
        },
        "oauth2": {
            "type": "oauth2",
            "description": "An access token for a client id and secret.",
            "flows": {"clientCredentials": {"tokenUrl": TOKEN_URL, "scopes": scopes}},
        },
        "client": {"type": "http", "scheme": "basic", "description": "Client id and secret."},
    }
    if internal:
        found["internal"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "The site's internal token. The internal listener needs none.",
        }
    return found
