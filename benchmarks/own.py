"""What is measured of this project's server alone: batches, kinds of identifiers, size of the table, memory."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psutil
from load import Load, write_requests, wrk
from parts import INTERNAL_TOKEN, Parts
from peers import ROUTE, MissingError, Running, ours, running, verify

INTERNAL_ROUTE: Final = "/api/parts"
INTERNAL_HEADERS: Final = {"Authorization": f"Bearer {INTERNAL_TOKEN}"}
"""What an internal caller sends along."""
CONCURRENCY: Final = 16
"""Of the measurements that take one only."""
BATCH: Final = 500
BATCHES: Final = 200
TOLERANCE: Final = 0.10
"""Differences up to this are noise, or up to what the same measurement differs from itself, if that is more."""
TOO_NOISY: Final = 0.30
"""A measurement that differs from itself by more than this tells nothing."""
LISTING_LIMIT_MB: Final = 8.0
"""What the resident memory may grow by after the first tenth of a listing."""
_SAMPLES: Final = 40


@dataclass(frozen=True)
class Claim:
    """Something that must hold; `ok` is None when it was not measured, or amid too much noise."""

    text: str
    value: str
    needed: str
    ok: bool | None


@dataclass
class Findings:
    """Lines of a table, and what they say about the claims."""

    title: str
    headings: list[str]
    lines: list[list[str]]
    claims: list[Claim]
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Range:
    """How a measurement is made: on which parts, how long, how often."""

    parts: Parts
    folder: Path
    seconds: float
    warm_up: float
    repeat: int
    say: Callable[[str], None]

    @contextmanager
    def server(self, parts: Parts | None = None) -> Iterator[Running]:
        """Run this project's server on the parts, checked and warm."""
        parts = parts or self.parts
        with running(ours(parts), self.folder, f"{ROUTE}/{parts.samples[0].uuid}") as server:
            verify(server, parts.samples[:10])
            self.load(server, singles(parts), CONCURRENCY, seconds=self.warm_up)
            yield server

    def load(
        self,
        server: Running,
        lines: Sequence[str],
        concurrency: int,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        seconds: float | None = None,
        skip: int = 0,
    ) -> Load:
        headers = {**server.service.headers, **(headers or {})}
        return wrk(
            server.port,
            write_requests(self.folder / "requests", lines, method=method, headers=headers),
            concurrency=concurrency,
            seconds=seconds or self.seconds,
            skip=skip,
            pid=server.pid,
            postmaster=self.parts.server.postmaster,
        )


def singles(parts: Parts) -> list[str]:
    return [f"{ROUTE}/{part.uuid}" for part in parts.samples]


def batch(run: Range, concurrencies: Sequence[int]) -> Findings:
    """Records per second of batches of 500 against single lookups, by turns."""
    found = Findings(
        f"batch of {BATCH}", ["concurrency", "single records/s", "batch records/s", "ratio", "p99 ms"], [], []
    )
    uuids = [part.uuid for part in run.parts.samples]
    bodies = [
        [uuids[(start * BATCH + n) % len(uuids)] for n in range(min(BATCH, len(uuids)))]
        for start in range(BATCHES)
    ]
    lines = [f"{ROUTE}/batch\t{json.dumps({'uuids': body})}" for body in bodies]
    headers = {"Content-Type": "application/json"}
    with run.server() as server:
        status, answer = server.request(
            "POST", f"{ROUTE}/batch", body=json.dumps({"uuids": bodies[0]}), headers=headers
        )
        assert status == 200, answer
        numbers = [record["partNumber"] for record in json.loads(answer)["data"]]
        assert numbers == [part.number for part in run.parts.samples[: len(bodies[0])]], numbers[:3]
        for concurrency in concurrencies:
            ratios, single_rates, batch_rates, slowest = [], [], [], []
            for turn in range(run.repeat):
                single = run.load(server, singles(run.parts), concurrency, skip=turn * 997)
                many = run.load(server, lines, concurrency, method="POST", headers=headers)
                _require_success(single, many)
                single_rates.append(single.rate)
                batch_rates.append(many.rate * len(bodies[0]))
                ratios.append(batch_rates[-1] / single_rates[-1])
                slowest.append(many.latencies["p99"])
            ratio = statistics.median(ratios)
            run.say(f"batch  c={concurrency:<3} {ratio:.1f} times the records/s of single lookups")
            found.lines.append(
                [
                    str(concurrency),
                    f"{statistics.median(single_rates):,.0f}",
                    f"{statistics.median(batch_rates):,.0f}",
                    spread(ratios),
                    f"{statistics.median(slowest):.1f}",
                ]
            )
            if concurrency == 1:
                # Where many ask at once, single lookups go to the database together, too.
                text = f"batch of {BATCH} / single lookups, records/s, concurrency {concurrency}"
                found.claims.append(Claim(text, spread(ratios), ">= 20", ratio >= 20))
            found.figures[str(concurrency)] = {"single": single_rates, "batch": batch_rates}
    return found


def identifiers(run: Range) -> Findings:
    """The same parts by UUID, CUID and part number through the internal route; by UUID twice, which shows the noise."""
    parts = run.parts.samples
    kinds = {
        "UUID": [f"{INTERNAL_ROUTE}/{part.uuid}" for part in parts],
        "CUID": [f"{INTERNAL_ROUTE}/{part.id}" for part in parts],
        "part number": [f"{INTERNAL_ROUTE}/{quote(part.number, safe='')}" for part in parts],
    }
    kinds["UUID again"] = kinds["UUID"]
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    latencies: dict[str, list[float]] = {kind: [] for kind in kinds}
    with run.server() as server:
        for lines in kinds.values():
            status, body = server.request("GET", lines[0], headers=INTERNAL_HEADERS)
            if status != 200:
                raise MissingError(
                    f"GET {INTERNAL_ROUTE}/… answers {status}: internal routes are closed, see SETTINGS in parts.py"
                    " and INTERNAL_HEADERS in own.py"
                )
            assert json.loads(body)["data"]["partNumber"] == parts[0].number, body
        for turn in range(run.repeat):
            for kind, lines in kinds.items():
                load = run.load(server, lines, CONCURRENCY, headers=INTERNAL_HEADERS, skip=turn * 997)
                _require_success(load)
                rates[kind].append(load.rate)
                latencies[kind].append(load.latencies["p99"])
                run.say(f"identifiers  {kind:<12} {load.rate:,.0f}/s")
    found = Findings(
        "kinds of identifiers", ["identifier", "requests/s", "p99 ms", "rate / by UUID"], [], [], rates
    )
    again = _ratios(rates["UUID again"], rates["UUID"])
    noise = _noise(again)
    for kind in kinds:
        ratios = _ratios(rates[kind], rates["UUID"])
        found.lines.append(
            [
                kind,
                f"{statistics.median(rates[kind]):,.0f}",
                f"{statistics.median(latencies[kind]):.2f}",
                spread(ratios),
            ]
        )
        if kind in ("CUID", "part number"):
            text = f"lookups/s by {kind} / by UUID"
            difference = abs(statistics.median(ratios) - 1)
            found.claims.append(Claim(text, spread(ratios), f"1 ± {noise:.2f}", _within(difference, noise)))
    return found


def scaling(run: Range, small: Parts, large: Parts) -> Findings:
    """p99 of single lookups in a large table and in a small one; the small one twice, which shows the noise."""
    turns = {"small": small, "large": large, "small again": small}
    p99: dict[str, list[float]] = {name: [] for name in turns}
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for turn in range(run.repeat):
        for name, parts in turns.items():
            with run.server(parts) as server:
                load = run.load(server, singles(parts), CONCURRENCY, skip=turn * 997)
            _require_success(load)
            p99[name].append(load.latencies["p99"])
            rates[name].append(load.rate)
            run.say(f"scaling  {parts.rows:>9,} rows  p99 {p99[name][-1]:.2f} ms  {load.rate:,.0f}/s")
    found = Findings(
        "size of the table",
        ["rows", "requests/s", "p99 ms", "p99 / small"],
        [],
        [],
        {"p99": p99, "rate": rates},
    )
    noise = _noise(_ratios(p99["small again"], p99["small"]))
    for name, parts in turns.items():
        found.lines.append(
            [
                f"{parts.rows:,}" + (" again" if "again" in name else ""),
                f"{statistics.median(rates[name]):,.0f}",
                f"{statistics.median(p99[name]):.2f}",
                spread(_ratios(p99[name], p99["small"])),
            ]
        )
    ratios = _ratios(p99["large"], p99["small"])
    text = f"p99 at {large.rows:,} rows / at {small.rows:,} rows"
    difference = statistics.median(ratios) - 1
    found.claims.append(Claim(text, spread(ratios), f"<= {1 + noise:.2f}", _within(difference, noise)))
    return found


def listing(run: Range, parts: Parts) -> Findings:
    """Resident memory of the server while one caller walks through all pages of 500."""
    found = Findings("listing", ["records read", "resident MB"], [], [])
    samples: list[tuple[int, float]] = []
    with run.server(parts) as server:
        path = f"{ROUTE}?limit=500"
        read, seen, started = 0, set[str](), time.monotonic()
        cursor: str | None = ""
        while cursor is not None:
            status, body = server.request("GET", path + (f"&cursor={quote(cursor)}" if cursor else ""))
            assert status == 200, body
            page = json.loads(body)
            read += len(page["data"])
            seen.update(record["persistentUuid"] for record in page["data"])
            cursor = page["pagination"]["nextCursor"]
            if read >= parts.rows * (len(samples) + 1) // _SAMPLES:
                samples.append((read, _resident_mb(server.pid)))
        seconds = time.monotonic() - started
    assert read == len(seen) == parts.rows, f"{read:,} records, {len(seen):,} of them different"
    run.say(f"listing  {read:,} records in {seconds:.0f} s")
    first = len(samples) // 10
    settled = samples[first][1]
    growth = max(value for _, value in samples[first:]) - settled
    found.lines = [[f"{records:,}", f"{value:.1f}"] for records, value in samples[:: _SAMPLES // 8]]
    found.figures = {"samples": samples, "seconds": round(seconds, 1)}
    text = f"memory while listing {read:,} records ({settled:.1f} MB)"
    ok = growth < LISTING_LIMIT_MB
    found.claims.append(Claim(text, f"{growth:+.1f} MB", f"< {LISTING_LIMIT_MB:g} MB", ok))
    return found


def spread(values: Sequence[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _ratios(values: Sequence[float], against: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, against, strict=True)]


def _noise(again: Sequence[float]) -> float:
    return max(TOLERANCE, *(abs(ratio - 1) for ratio in again))


def _within(difference: float, noise: float) -> bool | None:
    return None if noise > TOO_NOISY else difference <= noise


def _require_success(*loads: Load) -> None:
    for load in loads:
        assert not load.failures, load.failures


def _resident_mb(pid: int) -> float:
    """Resident memory of the server, its workers included."""
    total = 0
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total / 1e6
