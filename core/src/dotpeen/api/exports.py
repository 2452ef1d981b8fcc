"""The routes that export records as documents: each export in a thread of its own, sent while it is made.

A bounded number at a time, each in one transaction that only reads and for a bounded time: a client that takes its
document slowly must not hold up vacuum, or keep the others' sessions.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dotpeen.api.call import Answer, Call, accepts_gzip
from dotpeen.api.export_job import Job, Opened
from dotpeen.api.external import BASE
from dotpeen.api.failures import shortened
from dotpeen.api.problems import EXAMPLE_UUID, Problem
from dotpeen.api.routing import Route
from dotpeen.api.streaming import Stream, gone_away
from dotpeen.contributions import Audience, Exporter
from dotpeen.exchange import models_of
from dotpeen.identifiers import InvalidUuidError, canonical_uuid
from dotpeen.plugins import Plugins
from dotpeen.records import Shape, Shapes
from dotpeen.registry import Registry

BUSY_SECONDS: Final = 5
"""When somebody who found all places taken is told to try again."""
_log = logging.getLogger(__name__)


class Exports:
    """Handlers of the export routes of one process."""

    def __init__(
        self,
        url: str,
        registry: Registry,
        plugins: Plugins,
        *,
        at_once: int,
        limit: float,
    ) -> None:
        """`limit`: seconds from the request to the end of its document."""
        self._url = url
        self._registry = registry
        self._exporters = plugins.exporters()
        self._models = models_of(plugins, url)
        self._at_once = at_once
        self._limit = limit
        self._running: Counter[int | None] = Counter()
        """Exports under way, by partner."""
        self._streams: set[Stream] = set()

    def routes(self, shapes: Shapes) -> list[Route]:
        """The routes of every entity and format, and one that tells which formats there are."""
        found: list[Route] = []
        for shape in shapes.values():
            mine = [one for one in self._exporters if shape.entity.name in one[1].entities]
            external = f"{BASE}/{shape.entity.path}/{{uuid}}/export"
            internal = f"/api/{shape.entity.path}/{{identifier}}/export"
            for plugin, exporter in mine:
                route = _ExportRoute(self, plugin, exporter)
                found += [
                    Route("GET", f"{external}/{exporter.format}", "external", "read", route.external, shape),
                    Route("GET", f"{internal}/{exporter.format}", "internal", "read", route.internal, shape),
                ]
            if mine:
                known = _Known(shape, tuple(sorted(exporter.format for _, exporter in mine)))
                found += [
                    Route("GET", f"{external}/{{format}}", "external", "read", known.refuse, shape),
                    Route("GET", f"{internal}/{{format}}", "internal", "read", known.refuse, shape),
                ]
        return found

    async def answer(self, job: Job, call: Call) -> Answer:
        """Open the document and answer with it, once there is a place. Raises `Problem` and what opening raises."""
        partner = call.grant.partner_id if call.grant is not None else None
        self._take_place(partner)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limit
        job.opened = loop.create_future()
        job.stream = Stream(on_close=job.interrupt, deadline=deadline)

        def ended() -> None:
            self._running[partner] -= 1

        def work() -> None:
            try:
                job.work(self._url, self._registry, self._limit, loop, self._models)
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(ended)

        threading.Thread(target=work, name=f"dotpeen export {job.exporter.format}", daemon=True).start()
        try:
            opened = await self._opened(job, call, deadline)
        except BaseException:
            await job.stream.close()
            raise
        answer = Answer(opened.status, b"", opened.headers, uuid=opened.uuid, records=1)
        if opened.streamed:
            self._streams = {stream for stream in self._streams if not stream.closed} | {job.stream}
            answer.stream = job.stream
        return answer

    async def close(self) -> None:
        """End the exports under way."""
        for stream in self._streams:
            await stream.close()

    def _take_place(self, partner: int | None) -> None:
        # One partner that takes its documents slowly must not keep the others out.
        share = self._at_once if partner is None else max(1, self._at_once // 2)
        if self._running.total() >= self._at_once or self._running[partner] >= share:
            raise Problem(
                "busy",
                "as many exports are under way as there may be at a time",
                headers={"retry-after": str(BUSY_SECONDS)},
            )
        self._running[partner] += 1

    async def _opened(self, job: Job, call: Call, deadline: float) -> Opened:
        gone = asyncio.ensure_future(gone_away(call.receive)) if call.receive is not None else None
        try:
            waiting: set[asyncio.Future[object]] = {job.opened, gone} if gone else {job.opened}  # type: ignore[arg-type]
            left = deadline - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if gone is not None:
                gone.cancel()
        if job.opened in done:
            return job.opened.result()
        if not done:
            _log.warning("%s: no document within %.0f s", job.name, self._limit)
        raise Problem(
            "timeout", "the document took too long to open", headers={"retry-after": str(BUSY_SECONDS)}
        )


@dataclass(frozen=True)
class _ExportRoute:
    """The routes of one format."""

    exports: Exports
    plugin: str
    exporter: Exporter

    async def external(self, call: Call) -> Answer:
        """A document of a record by its UUID, for partners that may read all of it."""
        shape = _shape(call)
        shape.require_ready()
        grant = call.grant
        missing = [
            f"{entity}:read"
            for entity in self.exporter.reads
            if grant is None or not grant.allows(entity, "read")
        ]
        if missing:
            needed = " ".join(missing)
            raise Problem(
                "forbidden",
                f"the token does not carry the scope{'s' * (len(missing) > 1)} {', '.join(missing)}",
                headers={
                    "www-authenticate": f'Bearer realm="dotpeen", error="insufficient_scope", scope="{needed}"'
                },
            )
        try:
            uuid = canonical_uuid(call.values[0])
        except InvalidUuidError as error:
            raise Problem(
                "invalid-uuid", error.message, provided=shortened(call.values[0]), example=EXAMPLE_UUID
            ) from None
        return await self.exports.answer(self._job(call, shape, "external", uuid), call)

    async def internal(self, call: Call) -> Answer:
        """A document of a record by any identifier, for the site's own applications."""
        shape = _shape(call)
        return await self.exports.answer(self._job(call, shape, "internal", call.values[0]), call)

    def _job(self, call: Call, shape: Shape, audience: Audience, identifier: str) -> Job:
        return Job(
            plugin=self.plugin,
            exporter=self.exporter,
            shape=shape,
            audience=audience,
            identifier=identifier,
            options=_options(call),
            if_none_match=call.headers.get(b"if-none-match"),
            head=call.method == "HEAD",
            compressed=accepts_gzip(call.headers.get(b"accept-encoding", b"")),
        )


@dataclass(frozen=True)
class _Known:
    """The formats of an entity, for who asks for another."""

    shape: Shape
    formats: tuple[str, ...]

    async def refuse(self, call: Call) -> Answer:
        """Say which formats there are."""
        raise Problem(
            "not-found",
            f"{self.shape.entity.name} is not exported in this format; there are {', '.join(self.formats)}",
            error="Format not found",
            formats=list(self.formats),
        )


def _options(call: Call) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.parameters():
        if name in found:
            raise Problem("invalid-query", f"{name} stands in the query twice", parameter=name)
        found[name] = value
    return found


def _shape(call: Call) -> Shape:
    if call.shape is None:
        raise RuntimeError("the route has no entity")
    return call.shape
