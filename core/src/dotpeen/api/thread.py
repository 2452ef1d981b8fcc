"""The digital thread: what plugins know of a record, and which record a UUID of another system leads to.

Plugins are foreign code and may take their time: all of them together have two seconds, and what is not there by
then is left out of the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from dotpeen.contributions import RecordReference
from dotpeen.database import Connection
from dotpeen.plugins import Plugins
from dotpeen.records.pool import SyncPool, open_pool
from dotpeen.records.thread import entry
from dotpeen.registry import Entity

T = TypeVar("T")

ALL_SECONDS: Final = 2.0
"""What somebody who resolves a UUID waits for plugins, at most."""
ONE_SECONDS: Final = 1.0
"""What one plugin may take of it."""
AT_ONCE: Final = 4
"""Sessions, and threads that ask plugins."""
_log = logging.getLogger(__name__)


class DigitalThread:
    """Asks plugins, over sessions of its own."""

    def __init__(self, url: str, plugins: Plugins | None) -> None:
        self._url = url
        self._plugins = plugins
        self._pool: SyncPool | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def entries(self, entity: Entity, uuid: str) -> list[dict[str, Any]]:
        """Return what plugins know of a record, as JSON has it."""
        plugins = self._plugins
        if plugins is None or not plugins.implements("dotpeen_thread_entries"):
            return []

        def ask(connection: Connection) -> list[dict[str, Any]]:
            answers = plugins.call(
                "dotpeen_thread_entries", timeout=ONE_SECONDS, connection=connection, entity=entity, uuid=uuid
            )
            return [entry(plugin, one) for plugin, found in answers for one in found]

        return await self._ask(ask) or []

    async def references(self, uuid: str) -> list[tuple[str, RecordReference]]:
        """Return the records that a UUID leads to which is no record's own, each with the plugin that says so."""
        plugins = self._plugins
        if plugins is None or not plugins.implements("dotpeen_resolve_uuid"):
            return []

        def ask(connection: Connection) -> list[tuple[str, RecordReference]]:
            answers = plugins.call(
                "dotpeen_resolve_uuid", timeout=ONE_SECONDS, connection=connection, uuid=uuid
            )
            return [(plugin, one) for plugin, found in answers for one in found]

        return await self._ask(ask) or []

    async def close(self) -> None:
        """Give the sessions back; a plugin that hangs is not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            await asyncio.to_thread(self._pool.close, 1)

    async def _ask(self, question: Callable[[Connection], T]) -> T | None:
        if self._pool is None or self._threads is None:
            self._pool = open_pool(self._url, size=AT_ONCE)
            self._threads = ThreadPoolExecutor(AT_ONCE, "dotpeen-thread")
        pool = self._pool

        def ask() -> T | None:
            try:
                with pool.connection(timeout=ONE_SECONDS) as connection:
                    return question(connection)
            except (psycopg.Error, PoolTimeout) as error:
                _log.warning("plugins were not asked for the digital thread: %s", type(error).__name__)
                return None

        try:
            async with asyncio.timeout(ALL_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except TimeoutError:
            _log.warning("plugins took longer than %g s for the digital thread", ALL_SECONDS)
            return None
