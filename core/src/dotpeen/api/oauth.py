"""The token endpoint of OAuth 2 client credentials (RFC 6749 4.4)."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from dotpeen.api.problems import Problem
from dotpeen.api.runtime import Runtime
from dotpeen.errors import AuthenticationError, PartnerError, ScopeError
from dotpeen.partners import AuditEntry, Grant, RateLimit
from dotpeen.partners.attempts import Attempts
from dotpeen.partners.tokens import read_client

PATH: Final = "/oauth/token"
ISSUED: Final = RateLimit(60, 60)
"""Access tokens for one client; each lasts for an hour."""
FAILED: Final = RateLimit(30, 60)
"""Attempts of one address with credentials that are no good."""
_MAX_BYTES = 4096
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_Credentials: TypeAlias = tuple[str, str]


class _Refused(Exception):  # noqa: N818 - a response, on its way out
    """The request is answered with an error (RFC 6749 5.2)."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.response = _json(status, {"error": error, "error_description": description}, headers)


def router(runtime: Runtime) -> APIRouter:
    """Return the route."""
    found = APIRouter()
    endpoint = _Endpoint(runtime)

    @found.post(PATH)
    async def token(request: Request) -> Response:
        """Exchange a client id and secret for an access token."""
        try:
            return await endpoint.answer(request)
        except _Refused as refused:
            return refused.response

    return found


class _Endpoint:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._issued = Attempts(ISSUED)
        self._failed = Attempts(FAILED)

    async def answer(self, request: Request) -> Response:
        """Give out a token. Raises `_Refused`."""
        began = time.perf_counter()
        state = self._runtime.directory.state
        if not state.enabled:
            raise _Refused(
                "temporarily_unavailable",
                state.reason or "the site has switched external access off for now",
                status=503,
                headers={"retry-after": str(state.retry_after_seconds)},
            )
        form = await _form(request)
        credentials = _credentials(request, form)
        grant = await self._client(credentials, request.client.host if request.client else "")
        try:
            self._count(grant)
            response = await self._issue(credentials, form)
        except _Refused as refused:
            response = refused.response
        # A token whose entry can't be written is never handed out.
        await self._record(request, grant, response.status_code, began)
        return response

    async def _client(self, credentials: _Credentials | None, address: str) -> Grant:
        """Tell who asks. Raises `_Refused`."""
        directory = self._runtime.directory
        wait = self._failed.wait(address)
        try:
            if credentials is None:
                raise AuthenticationError("missing")
            if wait is None:
                return await directory.authenticate_client(*credentials)
            # Others of the same address may be good clients: those known here get on.
            known = directory.known(read_client(*credentials))
            if known is not None:
                return known
        except AuthenticationError:
            self._failed.count(address)
        if wait is not None:
            raise _too_many(wait, "too many attempts with credentials that are no good")
        raise _Refused(
            "invalid_client",
            "the client is not known, or its secret is wrong",
            status=401,
            headers={"www-authenticate": 'Basic realm="dotpeen"'},
        )

    def _count(self, grant: Grant) -> None:
        """Count the request against the limits of its partner and its client. Raises `_Refused`."""
        try:
            self._runtime.gate.count(grant)
        except Problem as problem:
            raise _too_many(int(problem.headers.get("retry-after", "1")), problem.detail) from None
        wait = self._issued.wait(grant.token_id)
        if wait is not None:
            raise _too_many(wait, f"a client gets {ISSUED}: keep the access token, it lasts for an hour")
        self._issued.count(grant.token_id)

    async def _issue(self, credentials: _Credentials | None, form: Mapping[str, str]) -> Response:
        scopes = form.get("scope", "").split() or None
        try:
            issued = await self._runtime.directory.issue_access_token(
                *(credentials or ("", "")), scopes=scopes
            )
        except AuthenticationError:
            raise _Refused("invalid_client", "the client was revoked, or has expired", status=401) from None
        except (ScopeError, PartnerError) as error:
            raise _Refused("invalid_scope", error.message) from None
        return _json(
            200,
            {
                "access_token": issued.token,
                "token_type": "Bearer",
                "expires_in": issued.expires_in,
                "scope": " ".join(sorted(str(scope) for scope in issued.scopes)),
            },
        )

    async def _record(self, request: Request, grant: Grant, status: int, began: float) -> None:
        entry = AuditEntry(
            at=datetime.now(UTC),
            partner=grant.name,
            token_id=grant.token_id,
            method="POST",
            route=PATH,
            entity=None,
            uuid=None,
            records=0,
            status=status,
            request_id=request.scope.get("state", {}).get("request_id"),
            remote=request.client.host if request.client else "",
            milliseconds=(time.perf_counter() - began) * 1000,
        )
        await (self._runtime.refusals if status == 429 else self._runtime.audit).write(entry)


async def _form(request: Request) -> dict[str, str]:
    """The parameters. Raises `_Refused`."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise _Refused("invalid_request", "send the body as it is, without Content-Encoding", status=415)
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_BYTES:
                raise _Refused("invalid_request", f"a token request has up to {_MAX_BYTES} bytes", status=413)
    except ClientDisconnect:
        raise _Refused("invalid_request", "the client went away before the body was complete") from None
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise _Refused("invalid_request", "send the parameters as application/x-www-form-urlencoded")
    try:
        form = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        raise _Refused("invalid_request", "the body can't be read") from None
    if any(len(values) > 1 for values in form.values()):
        raise _Refused("invalid_request", "a parameter stands twice")
    parameters = {name: values[0] for name, values in form.items()}
    if not parameters.get("grant_type"):
        raise _Refused("invalid_request", "grant_type is missing")
    if parameters["grant_type"] != "client_credentials":
        raise _Refused("unsupported_grant_type", "grant_type must be client_credentials")
    return parameters


def _credentials(request: Request, form: Mapping[str, str]) -> _Credentials | None:
    """The client id and secret; None where there are none that can be read. Raises `_Refused`."""
    headers = request.headers.getlist("authorization")
    if len(headers) > 1 or (headers and "client_secret" in form):
        raise _Refused("invalid_request", "credentials in the header or in the body, once")
    if headers:
        return _basic(headers[0])
    if "client_id" not in form or "client_secret" not in form:
        return None
    return form["client_id"], form["client_secret"]


def _basic(header: str) -> _Credentials | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, separator, secret = text.partition(":")
    return (unquote(name), unquote(secret)) if separator else None


def _too_many(wait: int, description: str) -> _Refused:
    return _Refused("slow_down", description, status=429, headers={"retry-after": str(wait)})


def _json(status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(document), status, _NO_STORE | dict(headers or {}), media_type="application/json"
    )
