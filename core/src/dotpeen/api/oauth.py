"""The token endpoint of OAuth 2 client credentials (RFC 6749 4.4)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs, unquote

from fastapi import APIRouter, Request, Response

from dotpeen.api.runtime import Runtime
from dotpeen.errors import AuthenticationError, PartnerError, ScopeError

router = APIRouter()
_MAX_BYTES = 4096
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


@router.post("/oauth/token")
async def token(request: Request) -> Response:
    """Exchange a client id and secret for an access token."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BYTES:
            return _refused("invalid_request", f"a token request has up to {_MAX_BYTES} bytes", status=413)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        return _refused("invalid_request", "send the parameters as application/x-www-form-urlencoded")
    try:
        form = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        return _refused("invalid_request", "the body can't be read")
    if any(len(values) > 1 for values in form.values()):
        return _refused("invalid_request", "a parameter stands twice")
    if not form.get("grant_type", [""])[0]:
        return _refused("invalid_request", "grant_type is missing")
    if form.get("grant_type") != ["client_credentials"]:
        return _refused("unsupported_grant_type", "grant_type must be client_credentials")
    basic = request.headers.get("authorization")
    if basic is not None and "client_secret" in form:
        return _refused("invalid_request", "credentials in the header or in the body, not both")
    credentials = _basic(basic) if basic is not None else _posted(form)
    if credentials is None:
        return _unknown_client()
    runtime: Runtime = request.app.state.runtime
    scopes = form["scope"][0].split() if form.get("scope", [""])[0].strip() else None
    try:
        issued = await runtime.directory.issue_access_token(*credentials, scopes=scopes)
    except AuthenticationError:
        return _unknown_client()
    except (ScopeError, PartnerError) as error:
        return _refused("invalid_scope", error.message)
    return _json(
        200,
        {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(sorted(str(scope) for scope in issued.scopes)),
        },
    )


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, separator, secret = text.partition(":")
    return (unquote(name), unquote(secret)) if separator else None


def _posted(form: dict[str, list[str]]) -> tuple[str, str] | None:
    if "client_id" not in form or "client_secret" not in form:
        return None
    return form["client_id"][0], form["client_secret"][0]


def _unknown_client() -> Response:
    return _json(
        401,
        {"error": "invalid_client", "error_description": "the client is not known, or its secret is wrong"},
        {"www-authenticate": 'Basic realm="dotpeen"'},
    )


def _refused(error: str, description: str, *, status: int = 400) -> Response:
    return _json(status, {"error": error, "error_description": description})


def _json(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(document), status, _NO_STORE | (headers or {}), media_type="application/json")
