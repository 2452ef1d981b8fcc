"""The routes of the registry as an ASGI application: match, let pass, answer, write the audit trail.

FastAPI serves what is around (health, documentation, tokens, plugins' routers); what is asked thousands of times a
second does not pass through it: validation by models and dependency injection cost many times the lookup itself.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from psycopg import AsyncConnection

from dotpeen.api.body import read_body
from dotpeen.api.call import Answer, Call, Header, Record, accepts_gzip
from dotpeen.api.failures import as_problem
from dotpeen.api.gate import Gate, encoded, require
from dotpeen.api.problems import MEDIA_TYPE, Problem
from dotpeen.api.routing import Route, Routes
from dotpeen.api.streaming import send_stream
from dotpeen.partners import AuditEntry, AuditLog, Decision, Grant, Refusals
from dotpeen.partners.recording import Access

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

COMPRESSED_BYTES: Final = 1400
"""Smaller answers fit one packet anyway."""
LARGE_BYTES: Final = 131_072
"""Larger answers are compressed beside the loop."""
NO_ROUTE: Final = "/api/v1/external/*"
"""What the audit trail calls a path that is none of the interface's."""
EXTERNAL: Final = b"/api/v1/external/"
_REFUSED: Final = (403, 429)
_ONCE: Final = (b"authorization", b"content-encoding", b"content-type", b"if-match")
"""Headers whose second line would say something else."""


class Surface:
    """Answers what is a route of the registry, and hands the rest on."""

    def __init__(
        self,
        *,
        routes: Callable[[], Routes],
        gate: Gate,
        audit: AuditLog,
        refusals: Refusals,
        beyond: Application,
        max_body: int,
        trusted: bool = False,
    ) -> None:
        self._routes = routes
        self._gate = gate
        self._audit = audit
        self._refusals = refusals
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
        external = path.startswith(EXTERNAL)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        route: Route | None = None
        grant: Grant | None = None
        decision: Decision | None = None
        try:
            if len(headers) != len(scope["headers"]):
                headers = _joined(scope["headers"])
            matched = self._match(scope["method"], path)
            if isinstance(matched, tuple):
                state["route"] = route = matched[0]
            if external:
                # Whatever it asks for: who has no token learns nothing here, and who has one is counted.
                grant = await self._gate.partner(headers)
                decision = self._gate.count(grant)
                matched = matched or Problem("not-found", "there is no such resource")
            if isinstance(matched, Problem):
                raise matched
            if matched is None:
                await self._beyond(scope, receive, send)
                return
            route, values = matched
            call = Call(
                method=scope["method"],
                path=path.decode("ascii", errors="replace"),
                query=scope.get("query_string", b""),
                headers=headers,
                values=values,
                shape=route.shape,
                read_body=lambda: read_body(receive, headers, limit=self._max_body),
                request_id=request_id,
                receive=receive,
                route=route.template,
            )
            if route.surface == "external":
                if grant is None:  # a plugin's, by a path that is written in another way
                    grant = await self._gate.partner(headers)
                    decision = self._gate.count(grant)
                call.grant = grant
                call.access = functools.partial(self._access, scope, grant, request_id, began)
                if route.shape is not None:
                    require(grant, route.shape.entity.name, route.verb)
                if route.verb == "write":
                    call.record = self._recording(scope, route, grant, request_id, began)
            else:
                self._gate.application(headers, trusted=self._trusted)
            answer = await route.handler(call)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            answer = failed(as_problem(error), request_id)
        if grant is not None and decision is not None:
            answer.headers += decision.headers()
        if grant is not None and not answer.recorded:
            try:
                entry = _entry(scope, route, answer, grant, request_id, began)
                await (self._refusals if answer.status in _REFUSED else self._audit).write(entry)
            except Exception as error:
                # An access that can't be recorded is not given.
                if answer.stream is not None:
                    await answer.stream.close()
                answer = failed(as_problem(error), request_id)
        if answer.stream is not None:
            await send_stream(send, receive, answer.stream, status=answer.status, headers=answer.headers)
            return
        await _send(send, answer, headers, head=scope["method"] == "HEAD")

    def _match(self, method: str, path: bytes) -> tuple[Route, tuple[str, ...]] | Problem | None:
        try:
            return self._routes().match(method, path)
        except Problem as problem:
            return problem

    def _access(self, scope: Scope, grant: Grant, request_id: str, began: float) -> Access:
        return Access(
            micros=time.time_ns() // 1000,
            random_bits=self._audit.random_bits(),
            partner=grant.name,
            token_id=grant.token_id,
            request_id=request_id,
            remote=_remote(scope),
            milliseconds=(time.perf_counter() - began) * 1000,
        )

    def _recording(self, scope: Scope, route: Route, grant: Grant, request_id: str, began: float) -> Record:
        async def record(connection: AsyncConnection[Any], answer: Answer) -> None:
            entry = _entry(scope, route, answer, grant, request_id, began)
            await self._audit.write_within(connection, entry)
            answer.recorded = True

        return record


def failed(problem: Problem, request_id: str) -> Answer:
    """The answer that says what is wrong."""
    headers: list[Header] = [(b"content-type", MEDIA_TYPE), (b"cache-control", b"no-store")]
    headers += encoded(list(problem.headers.items()))
    return Answer(problem.status, problem.body(request_id), headers)


def _entry(
    scope: Scope,
    route: Route | None,
    answer: Answer,
    grant: Grant,
    request_id: str,
    began: float,
) -> AuditEntry:
    return AuditEntry(
        at=datetime.now(UTC),
        partner=grant.name,
        token_id=grant.token_id,
        method=scope["method"],
        route=route.template if route else NO_ROUTE,
        entity=answer.entity or (route.shape.entity.name if route and route.shape else None),
        uuid=answer.uuid,
        records=answer.records,
        status=answer.status,
        request_id=request_id,
        remote=_remote(scope),
        milliseconds=(time.perf_counter() - began) * 1000,
        changed=answer.changed or None,
        uuids=answer.uuids,
    )


def _remote(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _joined(lines: Iterable[Header]) -> dict[bytes, bytes]:
    """Return headers that come in several lines as one (RFC 9110 5.3). Raises `Problem` for those that may not."""
    found: dict[bytes, bytes] = {}
    for name, value in lines:
        if name in found and name in _ONCE:
            raise Problem("invalid-header", f"the header {name.decode()} stands twice")
        found[name] = found[name] + b", " + value if name in found else value
    return found


async def _send(send: Send, answer: Answer, asked: dict[bytes, bytes], *, head: bool) -> None:
    body, headers = answer.body, answer.headers
    if len(body) >= COMPRESSED_BYTES and not any(name == b"content-encoding" for name, _ in headers):
        headers.append((b"vary", b"accept-encoding"))
        if accepts_gzip(asked.get(b"accept-encoding", b"")):
            # A page of megabytes would hold up everybody else for as long as it takes.
            squeeze = functools.partial(gzip.compress, body, compresslevel=5)
            body = squeeze() if len(body) < LARGE_BYTES else await asyncio.to_thread(squeeze)
            headers.append((b"content-encoding", b"gzip"))
    # To HEAD, what was not made is not empty: its length is not known.
    if answer.status not in (204, 304) and not (head and not body):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head or answer.status in (204, 304) else body})
