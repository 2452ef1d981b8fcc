"""`/health/live` and `/health/ready`: whether the process turns, and whether it can answer."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from dotpeen.api.figures import Figures
from dotpeen.api.problems import Problem
from dotpeen.api.runtime import Runtime
from dotpeen.database.schema.upgrade import HEAD
from dotpeen.partners.reconnect import ask
from dotpeen.plugins import Plugins

PATIENCE_SECONDS: Final = 1.0
"""How long the database has to answer."""
FRESH_SECONDS: Final = 1.0
"""However often somebody asks, the database is asked once in this time."""
PLUGINS_SECONDS: Final = 10.0
"""The same for plugins, whose hooks may do more."""

_REVISION: Final = b"SELECT version_num FROM dotpeen.alembic_version"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatabaseHealth:
    """Whether the database answered, in which time, and the revision of schema `dotpeen` in it."""

    ok: bool
    milliseconds: float | None = None
    revision: str | None = None
    error: str | None = None


class Health:
    """Looks after what a process needs to answer."""

    def __init__(self, runtime: Runtime, figures: Figures) -> None:
        self._runtime = runtime
        self._figures = figures
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._database = DatabaseHealth(ok=False)
        self._plugins = PluginsHealth(runtime.plugins) if runtime.plugins is not None else None

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Tell whether requests can be answered, and each check by itself.

        The external switch and plugins don't count: neither is healed by sending requests elsewhere.
        """
        database = await self._ask()
        # A newer one is what the nodes see that are updated last.
        current = database.revision is not None and database.revision >= HEAD
        shapes = self._runtime.shapes
        waiting = {name: shape.ready for name, shape in shapes.items() if shape.ready is not None}
        waiting |= shapes.missing
        ready = [name for name in shapes if name not in waiting]
        state = self._runtime.directory.state
        checks: dict[str, Any] = {
            "process": {"ok": not self._figures.draining},
            "database": {name: value for name, value in asdict(database).items() if value is not None},
            "schema": {"ok": current, "revision": database.revision, "needed": HEAD},
            "entities": {"ok": bool(ready) or not waiting, "ready": ready, "notReady": waiting},
            "external": {"enabled": state.enabled, "reason": state.reason},
        }
        counted = ("process", "database", "schema", "entities")
        if self._plugins is not None:
            checks["plugins"] = await self._plugins.ask()
        return all(checks[name]["ok"] for name in counted), checks

    async def _ask(self) -> DatabaseHealth:
        async with self._asking:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                self._database = await self._ask_database()
                self._asked = time.monotonic()
            return self._database

    async def _ask_database(self) -> DatabaseHealth:
        began = time.perf_counter()
        try:
            row = await ask(self._runtime.pool, _read_revision, patience=PATIENCE_SECONDS)
        except (PoolTimeout, TimeoutError):
            return DatabaseHealth(ok=False, error="no answer within a second")
        except psycopg.errors.UndefinedTable:
            return DatabaseHealth(ok=True, error="schema dotpeen is not there")
        except (psycopg.Error, OSError) as error:
            return DatabaseHealth(ok=False, error=f"unreachable ({type(error).__name__})")
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        return DatabaseHealth(ok=True, milliseconds=milliseconds, revision=str(row[0]) if row else None)


async def _read_revision(connection: AsyncConnection[Any]) -> tuple[Any, ...] | None:
    return await (await connection.execute(_REVISION, prepare=True)).fetchone()


class PluginsHealth:
    """What the plugins' hook `dotpeen_health` says; they are foreign code and may take their time."""

    def __init__(self, plugins: Plugins, *, patience: float = PATIENCE_SECONDS) -> None:
        self._plugins = plugins
        self._patience = patience
        self._asked = float("-inf")
        self._running: asyncio.Task[dict[str, Any]] | None = None
        self._known: dict[str, Any] = {}

    async def ask(self) -> dict[str, Any]:
        """Return each enabled plugin's state; one that doesn't answer in time is named with that."""
        if self._running is None and time.monotonic() - self._asked >= PLUGINS_SECONDS:
            self._running = asyncio.create_task(asyncio.to_thread(self._call))
        if self._running is not None:
            # A thread can't be ended: it is left alone, and there is never more than one.
            done, _ = await asyncio.wait([self._running], timeout=self._patience)
            if not done:
                late = {"ok": False, "message": "a plugin's health hook takes longer than it may"}
                return {name: self._known.get(name, late) | {"late": True} for name in self._plugins.enabled}
            task, self._running = self._running, None
            if task is not None:
                self._known = task.result()
                self._asked = time.monotonic()
        return self._known

    def _call(self) -> dict[str, Any]:
        try:
            answers = dict(self._plugins.call("dotpeen_health", registry=self._plugins.registry))
        except Exception:
            _log.exception("the plugins can't be asked how they are")
            return {name: {"ok": False, "message": "can't be asked"} for name in self._plugins.enabled}
        found: dict[str, Any] = {}
        for name in self._plugins.enabled:
            if name in answers:
                found[name] = {"ok": answers[name].ok, "message": answers[name].message}
            elif name in self._plugins.failed:
                found[name] = {"ok": False, "message": self._plugins.failed[name].message}
        return found


def router(runtime: Runtime, figures: Figures, *, trusted: bool) -> APIRouter:
    """Return the routes. Who is not of the site learns yes or no, and nothing more."""
    found = APIRouter()
    health = Health(runtime, figures)
    never_kept = {"cache-control": "no-store"}

    @found.api_route("/health/live", methods=["GET", "HEAD"])
    async def live() -> JSONResponse:
        return JSONResponse({"status": "live"}, headers=never_kept)

    @found.api_route("/health/ready", methods=["GET", "HEAD"])
    async def ready(request: Request) -> JSONResponse:
        ok, checks = await health.ready()
        document: dict[str, Any] = {"status": "ready" if ok else "not ready"}
        try:
            runtime.gate.application(dict(request.headers.raw), trusted=trusted)
        except Problem:
            pass
        else:
            document["checks"] = checks
        return JSONResponse(document, 200 if ok else 503, headers=never_kept)

    return found
