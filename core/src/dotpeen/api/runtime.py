"""What one server process holds: pools, the shapes of the entities, partners, limits, the audit trail."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import psycopg
from psycopg_pool import PoolTimeout

from dotpeen.api.external import External
from dotpeen.api.failures import as_problem
from dotpeen.api.gate import Gate
from dotpeen.api.internal import Internal
from dotpeen.api.reading import Reading
from dotpeen.api.routing import Routes
from dotpeen.database import connect
from dotpeen.database.pool import make_pool
from dotpeen.partners import AuditLog, Directory, RateLimit, RateLimiter
from dotpeen.plugins import Plugins
from dotpeen.records import Shapes, load_shapes
from dotpeen.registry import Registry
from dotpeen.registry.settings import secret

WATCH_SECONDS = 1.0
"""How often a process asks the database whether partners, the switch or the entities have changed."""
_STAGES = (
    b"SELECT coalesce(pg_catalog.string_agg(name || ' ' || coalesce(stage, ''), ',' ORDER BY name), '')"
    b" FROM dotpeen.entity"
)
_log = logging.getLogger(__name__)


class Runtime:
    """Everything that requests share. An asynchronous context manager; start it inside the server's loop."""

    def __init__(self, url: str, registry: Registry, plugins: Plugins | None = None) -> None:
        self.url = url
        self.registry = registry
        self.plugins = plugins
        settings = registry.api
        self.timeout = settings.request_timeout.total_seconds()
        self.pool = make_pool(url, purpose="serve", size=settings.pool_size, statement_timeout=self.timeout)
        self.directory = Directory(self.pool, default_limit=RateLimit.parse(settings.rate_limit))
        self.limiter = RateLimiter(self.pool)
        self.audit = AuditLog(self.pool, patience=self.timeout / 2)
        token = secret(settings.internal_token) if settings.internal_token else None
        self.gate = Gate(self.directory, self.limiter, internal_token=token)
        self.reading: Reading | None = None
        self.routes = Routes([])
        self._stages = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.on_reload: list[Callable[[], None]] = []
        """Called when the shapes were read anew."""

    @property
    def shapes(self) -> Shapes:
        """The entities as they are in the database now."""
        if self.reading is None:
            raise RuntimeError("the runtime has not been started")
        return self.reading.shapes

    async def __aenter__(self) -> Runtime:
        await self.pool.open(wait=True, timeout=30)
        await self.directory.refresh()
        self._stages = await self._read_stages()
        await self.reload()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.limiter.run())]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.reading is not None:
            await self.reading.close()
        await self.audit.close()
        await self.pool.close(timeout=5)

    async def reload(self) -> None:
        """Read the entities anew and make the routes."""
        self._adopt(await asyncio.to_thread(self._load))

    def _load(self) -> Shapes:
        with connect(self.url, purpose="serve") as connection:
            return load_shapes(connection, self.registry, self.plugins)

    def _adopt(self, shapes: Shapes) -> None:
        before = self.reading
        self.reading = Reading(
            self.pool, shapes, timeout=self.timeout, failed=as_problem, plugins=self.plugins
        )
        self.routes = Routes([*External(self.reading).routes(), *Internal(self.reading).routes()])
        if before is not None:
            # Requests under way still use it.
            task = asyncio.create_task(before.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        for tell in self.on_reload:
            tell()

    async def _watch(self) -> None:
        while True:
            # Processes that were started together need not ask together.
            await asyncio.sleep(WATCH_SECONDS * random.uniform(0.8, 1.0))  # noqa: S311
            try:
                await self.directory.refresh()
                stages = await self._read_stages()
                if stages != self._stages:
                    await self.reload()
                    self._stages = stages
            except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
                _log.warning("the database can't be asked for changes: %s", type(error).__name__)
            except Exception:
                _log.exception("the watch over the database failed")

    async def _read_stages(self) -> str:
        async with self.pool.connection(timeout=self.timeout / 2) as connection:
            row = await (await connection.execute(_STAGES, prepare=True)).fetchone()
        return str(row[0]) if row else ""
