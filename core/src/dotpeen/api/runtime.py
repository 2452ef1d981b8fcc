"""What one server process holds: pools, the shapes of the entities, partners, limits, the audit trail."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine

import psycopg
from psycopg_pool import PoolTimeout

from dotpeen.api.exports import Exports
from dotpeen.api.external import External
from dotpeen.api.failures import as_problem
from dotpeen.api.gate import Gate
from dotpeen.api.internal import Internal
from dotpeen.api.plugin_routes import PluginRoutes, mount
from dotpeen.api.reading import Reading
from dotpeen.api.routing import Routes
from dotpeen.api.thread import DigitalThread
from dotpeen.database import connect
from dotpeen.database.pool import make_pool
from dotpeen.partners import AuditLog, Directory, RateLimit, RateLimiter, Refusals
from dotpeen.plugins import Plugins
from dotpeen.records import Records, Shapes, load_shapes
from dotpeen.records.pool import new_pool
from dotpeen.registry import Registry
from dotpeen.registry.settings import secret

WATCH_SECONDS = 1.0
"""How often a process asks the database whether partners, the switch or the entities have changed."""
ROUTE_SESSIONS = 4
"""Sessions for what plugins' routes do with records."""
OWN_SESSIONS = 3
"""Sessions for partners, limits and the audit trail, beside those that records are read over."""
_STAGES = (
    # With when it was verified: an external reference can come to an entity whose stages were all complete.
    b"SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', name, stage, verified_at), ','"
    b" ORDER BY name), '') FROM dotpeen.entity"
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
        # No statement outlives the request that waits for it.
        patience = self.timeout / 2
        self.pool = make_pool(url, purpose="serve", size=settings.pool_size, statement_timeout=patience)
        # A table that somebody has locked can take all of the others.
        self.own_pool = make_pool(url, purpose="serve", size=OWN_SESSIONS, statement_timeout=patience)
        # Opened by the first route of a plugin that asks for something.
        self.route_pool = new_pool(url, size=ROUTE_SESSIONS)
        self.directory = Directory(self.own_pool, default_limit=RateLimit.parse(settings.rate_limit))
        self.limiter = RateLimiter(self.own_pool)
        self.audit = AuditLog(self.own_pool, patience=patience)
        self.refusals = Refusals(self.audit)
        token = None
        if settings.internal_token:
            token = secret(settings.internal_token, key="[api] internal_token")
        self.gate = Gate(self.directory, self.limiter, internal_token=token)
        self.reading: Reading | None = None
        self.routes = Routes([])
        self.thread = DigitalThread(url, plugins)
        self.exports: Exports | None = None
        self.plugin_routes: PluginRoutes | None = None
        self._looking = False
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
        try:
            await self._start()
        except BaseException:
            # A pool that is left open goes on connecting, whoever cancels it: the process would not end.
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        await self.own_pool.open(wait=True, timeout=30)
        await self.pool.open(wait=True, timeout=30)
        await self.directory.refresh()
        self._stages = await self._read_stages()
        if self.plugins is not None:
            await asyncio.to_thread(self._ask_plugins, self.plugins)
        await self.reload()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.limiter.run())]

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.reading is not None:
            await self.reading.close()
        if self.exports is not None:
            await self.exports.close()
        if self.plugin_routes is not None:
            self.plugin_routes.close()
        await asyncio.to_thread(self.route_pool.close, timeout=5)
        await self.thread.close()
        await self.refusals.close()
        await self.audit.close()
        await self.pool.close(timeout=5)
        await self.own_pool.close(timeout=5)

    async def reload(self) -> None:
        """Read the entities anew and make the routes."""
        self._adopt(await asyncio.to_thread(self._load))

    def look_again(self) -> None:
        """Read the entities anew, soon: a statement met a table that is not what it was."""
        if not self._looking:
            self._looking = True
            self.later(self._look())

    async def _look(self) -> None:
        try:
            await self.reload()
        finally:
            self._looking = False

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Do something that nobody waits for; what goes wrong with it is logged."""
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        task.add_done_callback(_log_failure)

    def _load(self) -> Shapes:
        with connect(self.url, purpose="serve") as connection:
            return load_shapes(connection, self.registry, self.plugins)

    def _ask_plugins(self, plugins: Plugins) -> None:
        settings = self.registry.api
        self.exports = Exports(
            self.url,
            self.registry,
            plugins,
            at_once=settings.max_exports,
            limit=settings.export_timeout.total_seconds(),
        )
        self.plugin_routes = PluginRoutes(
            mount(plugins.api_routers()),
            patience=self.timeout,
            records=lambda shapes: Records(self.registry, self.route_pool, shapes=shapes, plugins=plugins),
        )

    def _adopt(self, shapes: Shapes) -> None:
        before = self.reading
        self.reading = Reading(
            self.pool,
            shapes,
            timeout=self.timeout,
            failed=as_problem,
            stale=self.look_again,
            thread=self.thread,
            changed=self.plugins.record_changed if self.plugins is not None else None,
        )
        ours = [*External(self.reading).routes(), *Internal(self.reading).routes()]
        if self.exports is not None:
            ours += self.exports.routes(shapes)
        foreign = self.plugin_routes.routes(shapes, Routes(ours)) if self.plugin_routes is not None else []
        self.routes = Routes(ours, foreign)
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
        async with self.own_pool.connection(timeout=self.timeout / 2) as connection:
            row = await (await connection.execute(_STAGES, prepare=True)).fetchone()
        return str(row[0]) if row else ""


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("something that nobody waits for failed", exc_info=error)
