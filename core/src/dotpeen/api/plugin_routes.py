"""Routes that plugins add: FastAPI routers behind the same gate, limits and audit trail as everything else."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from dotpeen.api.call import Answer, Call, decode
from dotpeen.api.failures import as_problem
from dotpeen.api.plugin_host import UNFORESEEN, Host, failed
from dotpeen.api.problems import MEDIA_TYPE, PROBLEMS, Problem
from dotpeen.api.routing import Foreign, Route, Routes
from dotpeen.api.uploads import Upload
from dotpeen.contributions import ApiRouter, Audience
from dotpeen.errors import (
    AmbiguousIdentifierError,
    DatabaseUnreachableError,
    InvalidQueryError,
    InvalidValueError,
    NotMigratedError,
    RecordChangedError,
    RecordNotFoundError,
)
from dotpeen.identifiers import InvalidUuidError, canonical_uuid
from dotpeen.records import Records, Shapes

BELOW: Final[dict[Audience, str]] = {"external": "/api/v1/external", "internal": "/api"}
"""Where the routers of each audience begin."""
_SECRET: Final = (b"authorization", b"cookie", b"proxy-authorization")
"""Headers that no plugin sees: who it is, the gate has said."""
_KINDS: Final = {
    400: "invalid-query",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    412: "precondition-failed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-value",
}
_MEANT: Final[tuple[type[Exception], ...]] = (
    AmbiguousIdentifierError,
    DatabaseUnreachableError,
    InvalidQueryError,
    InvalidUuidError,
    InvalidValueError,
    NotMigratedError,
    RecordChangedError,
    RecordNotFoundError,
    PoolTimeout,
    psycopg.OperationalError,
)
"""What a route may leave to the server to say: of a conflict it may name a record that the client does not see."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mounted:
    """One contributed router with the application that it is served by."""

    plugin: str
    contributed: ApiRouter
    application: FastAPI
    paths: tuple[tuple[str, frozenset[str]], ...]
    """Every path, as OpenAPI writes it but for its convertors, with its methods."""


def mount(contributed: Iterable[tuple[str, ApiRouter]]) -> tuple[Mounted, ...]:
    """Make an application of each router; one that can't be served is logged by its plugin's name and left out."""
    found = []
    for plugin, one in contributed:
        try:
            found.append(_mounted(plugin, one))
        except Exception as error:
            _log.error("plugin %s: its routes can't be served: %s: %s", plugin, type(error).__name__, error)
    return tuple(found)


@dataclass
class PluginRoutes:
    """What the server needs of the plugins' routers."""

    mounted: Sequence[Mounted]
    patience: float
    records: Callable[[Shapes], Records]
    """Makes what routes find in `request.state.records`."""
    _hosts: dict[str, Host] = field(default_factory=dict)

    def routes(self, shapes: Shapes, ours: Routes) -> list[Foreign]:
        """Every route, to be looked for after `ours`."""
        found = []
        records = self.records(shapes)
        for one in self.mounted:
            shape = shapes.get(one.contributed.entity)
            if shape is None:
                _log.warning(
                    "plugin %s: its routes for %s are not served: the entity has no table",
                    *(one.plugin, one.contributed.entity),
                )
                continue
            host = self._hosts.setdefault(one.plugin, Host(one.plugin, patience=self.patience))
            for path, methods in one.paths:
                pattern, template, _ = compile_path(path)
                for method in sorted(methods):
                    if is_taken(ours, method, template):
                        _log.warning(
                            "plugin %s: %s %s is hidden by a route of ours", one.plugin, method, template
                        )
                        continue
                    handler = _Handler(one, host, f"{method} {template}", records)
                    verb = "read" if method in ("GET", "HEAD") else "write"
                    surface = one.contributed.surface
                    route = Route(method, template, surface, verb, handler.answer, shape)  # type: ignore[arg-type]
                    found.append(Foreign(pattern, route))
        return found

    def close(self) -> None:
        """End the plugins' threads."""
        for host in self._hosts.values():
            host.close()


@dataclass(frozen=True)
class _Handler:
    mounted: Mounted
    host: Host
    name: str
    """What the log calls it: paths hold identifiers."""
    records: Records

    async def answer(self, call: Call) -> Answer:
        """Hand the request on as the plugin's application expects it."""
        contributed = self.mounted.contributed
        upload: Upload | None = None
        body: bytes | AsyncIterator[bytes] = b""
        if call.method not in ("GET", "HEAD"):
            if contributed.max_body is not None:
                upload = Upload(call, contributed.max_body)
                body = upload.pieces()
            else:
                body = await call.read_body()
        path = call.path.encode("ascii", errors="replace")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET" if call.method == "HEAD" else call.method,
            "scheme": "http",
            "path": decode(path),
            "raw_path": path,
            "root_path": "",
            "query_string": call.query,
            "headers": [(name, value) for name, value in call.headers.items() if name not in _SECRET],
            "client": None,
            "server": None,
            "state": {
                "request_id": call.request_id,
                "partner": call.grant.name if call.grant is not None else None,
                "route_name": self.name,
                "records": self.records,
            },
        }
        answer = await self.host.ask(
            self.name, self.mounted.application, scope, body, patience=contributed.timeout
        )
        if upload is not None:
            await upload.end(answer)
        answer.changed = tuple(map(str, scope["state"].get("changed", ())))
        answer.uuid = _uuid(call)
        answer.records = int(answer.uuid is not None and answer.status < 300)
        if not any(name == b"cache-control" for name, _ in answer.headers):
            answer.headers.append((b"cache-control", b"private, no-cache"))
        if call.method == "HEAD" and answer.stream is not None:
            await answer.stream.close()
            answer.stream = None
        return answer


def _mounted(plugin: str, contributed: ApiRouter) -> Mounted:
    application = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    application.include_router(contributed.router, prefix=BELOW[contributed.surface])
    application.add_exception_handler(Problem, _problem)
    application.add_exception_handler(HTTPException, _http_problem)
    application.add_exception_handler(RequestValidationError, _invalid)
    for kind in _MEANT:
        application.add_exception_handler(kind, _meant)
    application.add_exception_handler(Exception, _unforeseen(plugin))
    paths = []
    for path, methods in _paths(application):
        if contributed.surface == "internal" and path.startswith(f"{BELOW['external']}/"):
            raise ValueError(f"{path} is a partner's path, and the router is for internal callers")
        paths.append((path, frozenset(methods)))
    if not paths:
        raise ValueError("the router has no route")
    return Mounted(plugin, contributed, application, tuple(paths))


def _paths(application: FastAPI) -> Iterator[tuple[str, set[str]]]:
    try:
        from fastapi.routing import iter_route_contexts
    except ImportError:  # before routers were included lazily the application had their routes itself
        contexts: Iterable[Any] = application.routes
    else:
        contexts = iter_route_contexts(application.routes)
    for context in contexts:
        path, methods = getattr(context, "path", None), getattr(context, "methods", None)
        if not path or not methods:
            raise ValueError(f"{path or context} is no route of HTTP")
        yield path, set(methods)


def is_taken(ours: Routes, method: str, template: str) -> bool:
    """Whether one of our own routes has this path already."""
    path = re.sub(r"\{[^}]*\}", "x", template)
    try:
        return ours.match(method, path.encode()) is not None
    except Problem:
        return True


def _uuid(call: Call) -> str | None:
    """The record that the path names, for the audit trail."""
    try:
        return canonical_uuid(call.values[0]) if call.values else None
    except InvalidUuidError:
        return None


def _response(request: Request, problem: Problem, status: int | None = None) -> Response:
    body = problem.body(str(request.scope.get("state", {}).get("request_id", "")))
    return Response(body, status or problem.status, problem.headers, media_type=MEDIA_TYPE.decode())


def _unforeseen(plugin: str) -> Callable[[Request, Exception], Response]:
    def respond(request: Request, error: Exception) -> Response:
        failed(plugin, str(request.scope.get("state", {}).get("route_name", "")), error)
        return _response(request, Problem("internal-error", UNFORESEEN))

    return respond


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
    return _response(request, error)


async def _meant(request: Request, error: Exception) -> Response:
    return _response(request, as_problem(error))


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    detail = error.detail if isinstance(error.detail, str) else str(error.detail)
    headers = dict(error.headers or {})
    kind = _KINDS.get(error.status_code)
    if kind == "invalid-query" and request.method not in ("GET", "HEAD"):
        kind = "bad-request"  # what such a request says is in its body
    if kind is not None and PROBLEMS[kind][0] == error.status_code:
        return _response(request, Problem(kind, detail, headers=headers))
    try:
        title = HTTPStatus(error.status_code).phrase
    except ValueError:
        title = "Error"
    problem = Problem("internal-error", detail, error=title, headers=headers)
    problem.members = {"type": "about:blank", "title": title, "status": error.status_code}
    return _response(request, problem, error.status_code)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    first = error.errors()[0] if error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])
    detail = (
        f"{where}: {first.get('msg', 'not what this takes')}" if where else str(first.get("msg", "wrong"))
    )
    return _response(request, Problem("invalid-value", detail, field=where))
