"""The routes of the registry as an ASGI application: match, let pass, answer, write the audit trail.

FastAPI serves what is around (health, documentation, tokens, plugins' routers); what is asked thousands of times a
second does not pass through it: validation by models and dependency injection cost many times the lookup itself.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from dotpeen.api.call import Answer, Call, Header
from dotpeen.api.failures import as_problem
from dotpeen.api.gate import Gate, encoded
from dotpeen.api.problems import MEDIA_TYPE, Problem
from dotpeen.api.routing import Route, Routes
from dotpeen.partners import AuditEntry, AuditLog, Decision, Grant

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

COMPRESSED_BYTES: Final = 1400
"""Smaller answers fit one packet anyway."""
_log = logging.getLogger(__name__)


class Surface:
    """Answers what is a route of the registry, and hands the rest on."""

    def __init__(
        self,
        *,
        routes: Callable[[], Routes],
        gate: Gate,
        audit: AuditLog,
        beyond: Application,
        max_body: int,
        trusted: bool = False,
    ) -> None:
        self._routes = routes
        self._gate = gate
        self._audit = audit
        self._beyond = beyond
        self._max_body = max_body
        self._trusted = trusted
        """This is the internal listener."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._beyond(scope, receive, send)
            return
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if not path.startswith(b"/api/"):
            await self._beyond(scope, receive, send)
            return
        began = time.perf_counter()
        state = scope["state"] if "state" in scope else scope.setdefault("state", {})
        request_id: str = state.get("request_id", "")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        route: Route | None = None
        grant: Grant | None = None
        decision: Decision | None = None
        call: Call | None = None
        try:
            matched = self._routes().match(scope["method"], path)
            if matched is None:
                await self._beyond(scope, receive, send)
                return
            route, values = matched
            state["route"] = route
            call = Call(
                method=scope["method"],
                path=path.decode("ascii", errors="replace"),
                query=scope.get("query_string", b""),
                headers=headers,
                values=values,
                shape=route.shape,
                read_body=lambda: _read(receive, headers, self._max_body),
                request_id=request_id,
            )
            if route.surface == "external":
                grant = call.grant = await self._gate.partner(headers)
                decision = self._gate.admit(route, grant)
            else:
                self._gate.application(headers, trusted=self._trusted)
            answer = await route.handler(call)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            answer = _failed(as_problem(error), request_id)
        if grant is not None:
            if decision is not None:
                answer.headers += decision.headers()
            try:
                await self._audit.write(_entry(scope, call, route, answer, grant, request_id, began))
            except Exception as error:
                # An access that can't be recorded is not given.
                answer = _failed(as_problem(error), request_id)
        await _send(send, answer, headers, head=scope["method"] == "HEAD")


def _failed(problem: Problem, request_id: str) -> Answer:
    headers: list[Header] = [(b"content-type", MEDIA_TYPE), (b"cache-control", b"no-store")]
    headers += encoded(list(problem.headers.items()))
    return Answer(problem.status, problem.body(request_id), headers)


def _entry(
    scope: Scope,
    call: Call | None,
    route: Route | None,
    answer: Answer,
    grant: Grant,
    request_id: str,
    began: float,
) -> AuditEntry:
    client = scope.get("client")
    return AuditEntry(
        at=datetime.now(UTC),
        partner=grant.name,
        token_id=grant.token_id,
        method=scope["method"],
        route=route.template if route else "",
        entity=answer.entity or (route.shape.entity.name if route and route.shape else None),
        uuid=answer.uuid,
        records=answer.records,
        status=answer.status,
        request_id=request_id,
        remote=client[0] if client else "",
        milliseconds=(time.perf_counter() - began) * 1000,
        changed=answer.changed or None,
    )


async def _read(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("malformed-json", "the client went away before the body was complete")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(limit: int) -> Problem:
    return Problem("body-too-large", f"a body may have {limit} bytes", headers={"connection": "close"})


async def _send(send: Send, answer: Answer, asked: dict[bytes, bytes], *, head: bool) -> None:
    body, headers = answer.body, answer.headers
    if len(body) >= COMPRESSED_BYTES:
        headers.append((b"vary", b"accept-encoding"))
        if _accepts_gzip(asked.get(b"accept-encoding", b"")):
            body = gzip.compress(body, compresslevel=5)
            headers.append((b"content-encoding", b"gzip"))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or answer.status in (204, 304) else body})


def _accepts_gzip(value: bytes) -> bool:
    for part in value.lower().split(b","):
        name, _, parameters = part.partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
