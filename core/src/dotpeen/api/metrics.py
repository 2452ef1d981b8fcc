"""`/metrics`: what Prometheus reads, for all processes of the server at once."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from dotpeen import __version__
from dotpeen.api.figures import BOUNDS, IN_FLIGHT, REQUESTS, RESTARTS, SECONDS, Figures, Series
from dotpeen.api.runtime import Runtime
from dotpeen.partners.reconnect import ask

PATIENCE_SECONDS: Final = 1.0
"""How long a scrape waits for the database."""
FRESH_SECONDS: Final = 5.0
"""How long the progress of the migration is not asked for again."""
PUBLISH_SECONDS: Final = 1.0
"""How often a process lets the others know what is at hand in it."""

_PROGRESS: Final = (
    b"SELECT entity, stage, rows_todo, rows_done, workers FROM dotpeen.progress ORDER BY entity"
)
_GAUGES: Final = {
    "process": ("dotpeen_processes", "Processes that answer requests."),
    "pool size": ("dotpeen_pool_connections", "Database sessions of all processes."),
    "pool idle": ("dotpeen_pool_connections_idle", "Of these, sessions that nobody uses."),
    "pool max": ("dotpeen_pool_connections_max", "Database sessions there may be."),
    "pool waiting": ("dotpeen_pool_requests_waiting", "Requests that wait for a database session."),
    "audit waiting": (
        "dotpeen_audit_entries_waiting",
        "Entries of the audit trail that are not written yet.",
    ),
}


class Metrics:
    """Answers scrapes."""

    def __init__(self, runtime: Runtime, figures: Figures) -> None:
        self._runtime = runtime
        self._figures = figures
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._progress: list[tuple[Any, ...]] | None = None

    def publish(self) -> None:
        """Write down what is at hand in this process."""
        pool = self._runtime.pool.get_stats()
        self._figures.publish(
            {
                "process": 1.0,
                "pool size": pool.get("pool_size", 0),
                "pool idle": pool.get("pool_available", 0),
                "pool max": pool.get("pool_max", 0),
                "pool waiting": pool.get("requests_waiting", 0),
                "audit waiting": self._runtime.audit.waiting,
            }
        )

    async def publish_forever(self) -> None:
        """Do so once a second, where other processes may be asked."""
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that the client asks for, and its media type."""
        await self._ask()
        self.publish()
        registry = CollectorRegistry()
        registry.register(_Families(self._families()))
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type

    async def _ask(self) -> None:
        async with self._asking:
            if time.monotonic() - self._asked < FRESH_SECONDS and self._progress is not None:
                return
            try:
                self._progress = await ask(self._runtime.pool, _read_progress, patience=PATIENCE_SECONDS)
            except (psycopg.Error, PoolTimeout, OSError, TimeoutError):
                self._progress = None
            self._asked = time.monotonic()

    def _families(self) -> Iterator[Metric]:
        totals = self._figures.board.totals()
        yield from _requests(totals)
        for kind, (name, text) in _GAUGES.items():
            value = totals.get((f"gauge {kind}",), [0.0])[0]
            yield GaugeMetricFamily(name, text, value=value)
        restarts = CounterMetricFamily(
            "dotpeen_process_restarts", "Processes that died and were started again."
        )
        restarts.add_metric([], totals.get((RESTARTS,), [0.0])[0])
        yield restarts
        yield from self._site()
        yield from _migration(self._progress)
        build = GaugeMetricFamily("dotpeen_build_info", "What runs here.", labels=["version", "python"])
        build.add_metric([__version__, platform.python_version()], 1)
        yield build

    def _site(self) -> Iterator[Metric]:
        # Of this process's own knowledge, which is at most a second older than that of the others.
        state = self._runtime.directory.state
        yield GaugeMetricFamily(
            "dotpeen_external_enabled", "1 while partners are answered.", value=float(state.enabled)
        )
        ready = GaugeMetricFamily(
            "dotpeen_entity_ready", "1 where every record has a UUID.", labels=["entity"]
        )
        for name, shape in self._runtime.shapes.items():
            ready.add_metric([name], float(shape.ready is None))
        for name in self._runtime.shapes.missing:
            ready.add_metric([name], 0.0)
        yield ready
        yield GaugeMetricFamily(
            "dotpeen_database_up",
            "1 where the database answered when it was last asked, a few seconds ago at most.",
            value=float(self._progress is not None),
        )


def _requests(totals: dict[Series, list[float]]) -> Iterator[Metric]:
    labels = ["method", "route", "entity"]
    count = CounterMetricFamily("dotpeen_http_requests", "Requests answered.", labels=[*labels, "status"])
    seconds = HistogramMetricFamily(
        "dotpeen_http_request_duration_seconds", "From the request's head to the answer's end.", labels=labels
    )
    in_flight = GaugeMetricFamily(
        "dotpeen_http_requests_in_flight", "Requests being answered.", labels=["route", "entity"]
    )
    for (kind, *values), cells in sorted(totals.items()):
        if kind == REQUESTS:
            count.add_metric(values, cells[0])
        elif kind == SECONDS:
            *counts, total = cells
            buckets, passed = [], 0.0
            for bound, inside in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
                passed += inside
                buckets.append((bound, passed))
            seconds.add_metric(values, buckets, total)
        elif kind == IN_FLIGHT:
            in_flight.add_metric(values, cells[0])
    yield from (count, seconds, in_flight)


def _migration(progress: Iterable[tuple[Any, ...]] | None) -> Iterator[Metric]:
    if progress is None:
        return  # not known; a number that stands still would say that it is
    stage = GaugeMetricFamily(
        "dotpeen_migration_stage", "1 for the last stage that is complete.", labels=["entity", "stage"]
    )
    todo = GaugeMetricFamily(
        "dotpeen_migration_rows", "Rows that the backfill has to fill.", labels=["entity"]
    )
    done = GaugeMetricFamily(
        "dotpeen_migration_rows_done", "Of these, rows it has filled.", labels=["entity"]
    )
    workers = GaugeMetricFamily("dotpeen_migration_workers", "Workers of the backfill.", labels=["entity"])
    for entity, reached, rows, filled, busy in progress:
        stage.add_metric([entity, reached], 1)
        workers.add_metric([entity], busy)
        if rows is not None:
            todo.add_metric([entity], float(rows))
            done.add_metric([entity], float(filled or 0))
    yield from (stage, todo, done, workers)


async def _read_progress(connection: AsyncConnection[Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_PROGRESS, prepare=True)).fetchall()


class _Families:
    """What prometheus_client takes for a collector."""

    def __init__(self, families: Iterator[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families


def router(runtime: Runtime, figures: Figures, *, trusted: bool) -> APIRouter:
    """Return the route of `/metrics`: open on the internal listener, elsewhere for who brings the internal token."""
    found = APIRouter()
    metrics = Metrics(runtime, figures)

    @found.get("/metrics")
    async def scrape(request: Request) -> Response:
        runtime.gate.application(dict(request.headers.raw), trusted=trusted)
        body, media_type = await metrics.scrape(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    return found
