"""The application: the registry's routes in front, FastAPI with everything else behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from dotpeen import __version__
from dotpeen.api import documentation, health, metrics, oauth
from dotpeen.api.cors import sharing
from dotpeen.api.failures import as_problem
from dotpeen.api.figures import Figures
from dotpeen.api.hosts import own_names
from dotpeen.api.observation import Observation
from dotpeen.api.openapi import document
from dotpeen.api.problems import MEDIA_TYPE, PROBLEMS, Problem
from dotpeen.api.runtime import Runtime
from dotpeen.api.surface import Application, Surface
from dotpeen.plugins import Plugins
from dotpeen.registry import Registry


def create_app(
    url: str,
    registry: Registry,
    plugins: Plugins | None = None,
    *,
    runtime: Runtime | None = None,
    figures: Figures | None = None,
    trusted: bool = False,
) -> Observation:
    """Make the ASGI application of one listener.

    `trusted`: its callers need no token on the internal and flexible routes. Two listeners of one process share a
    `runtime`, which then is started and ended by whoever made it, and the `figures` that are counted.
    """
    shared = runtime
    running = runtime or Runtime(url, registry, plugins)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if shared is not None:
            yield
            return
        async with running:
            yield

    app = FastAPI(
        title=registry.site.name,
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = running
    counted = figures or Figures()
    app.include_router(health.router(running, counted, trusted=trusted))
    app.include_router(metrics.router(running, counted, trusted=trusted))
    app.include_router(oauth.router(running))
    app.include_router(
        documentation.router(
            lambda: document(running.registry, running.shapes, internal=trusted, plugins=running.plugins),
            state=lambda: running.shapes,
        )
    )
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Exception, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    surface: Application = Surface(
        routes=lambda: running.routes,
        gate=running.gate,
        audit=running.audit,
        refusals=running.refusals,
        beyond=app,
        max_body=registry.api.max_body,
        trusted=trusted,
    )
    settings = registry.api
    if trusted:
        surface = own_names(surface, (settings.internal_host, *settings.internal_names))
    elif settings.cors_origins:
        surface = sharing(surface, settings.cors_origins)
    listener = "internal" if trusted else "external"
    return Observation(surface, counted, listener=listener, access_log=settings.access_log)


async def _problem(request: Request, error: Exception) -> Response:
    problem = as_problem(error)
    body = problem.body(_request_id(request))
    return Response(body, problem.status, dict(problem.headers), media_type=MEDIA_TYPE.decode())


_KINDS = {404: "not-found", 405: "method-not-allowed"}


async def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status in _KINDS:
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return await _problem(request, Problem(_KINDS[status], "there is no such resource", headers=headers))
    return Response(
        json.dumps({"type": "about:blank", "title": "Bad request", "status": status, "error": "Bad request"}),
        status,
        media_type=MEDIA_TYPE.decode(),
    )


def _request_id(request: Request) -> str:
    state: dict[str, Any] = request.scope.get("state", {})
    return str(state.get("request_id", ""))


__all__ = ["PROBLEMS", "create_app"]
