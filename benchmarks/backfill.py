"""How fast rows get their UUIDs, beside a single UPDATE of the whole table: `uv run python benchmarks/backfill.py`.

Every figure is a ratio of two measurements of the same run, on identical fresh copies of one table, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import gauges
from plant import COLUMN, Keys, Server, Storage, build, server

HERE: Final = Path(__file__).parent
QUIET_SECONDS: Final = 20.0
FIXED_BATCH: Final = 10_000
QUIET_CORES: Final = 0.25
"""More than this used by others, and a run says that it was contended."""
_PHASE_FIGURES: Final = ("writes_per_second", "p50_ms", "p95_ms", "p99_ms", "max_ms", "failed")
PUBLISHED: Final = {
    "pgroll, 10 k rows of two columns": 53_000,
    "pgroll, 300 k rows of two columns": 9_400,
    "Sentry, batches of 1 k": 75_000,
    "Hydra, 108 M rows": 4_000,
    "Airflow": 3_700,
}
"""Rows per second as their makers published them, on their machines: beside ours, not against ours."""


@dataclass
class Measurement:
    """One method on one copy of the table."""

    method: str
    rows: int
    seconds: float
    gauges: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    @property
    def contention(self) -> float:
        """CPU seconds that other processes and the host took, per second: 0 on a quiet machine."""
        g = self.gauges
        foreign = g["cpu_machine"] - g["cpu_server"] - g["cpu_client"] + g["cpu_steal"]
        return max(foreign, 0.0) / float(self.details["span"])


@dataclass(frozen=True)
class Method:
    """One way to fill the column."""

    name: str
    about: str
    run: Callable[[Server, str, int, Keys], tuple[int, float, dict[str, Any]]]
    storage: Storage | None = None
    """What our own expand stage prepares; None: a bare column."""


def single_update(target: Server, url: str, rows: int, keys: Keys) -> tuple[int, float, dict[str, Any]]:
    with target.connect(url) as connection:
        started = time.monotonic()
        done = connection.execute(
            f'UPDATE "Measurement" SET "{COLUMN}" = gen_random_uuid()'.encode()
        ).rowcount
        return done, time.monotonic() - started, {}


def keyset(target: Server, url: str, rows: int, keys: Keys) -> tuple[int, float, dict[str, Any]]:
    bound = 'SELECT "id" FROM "Measurement" WHERE {} ORDER BY "id" OFFSET %s LIMIT 1'
    update = f'UPDATE "Measurement" SET "{COLUMN}" = gen_random_uuid() WHERE {{}} AND "{COLUMN}" IS NULL'
    done = 0
    last: Any = None
    with target.connect(url) as connection:
        connection.execute("SET plan_cache_mode = force_custom_plan")
        started = time.monotonic()
        while True:
            above = "true" if last is None else '"id" > %s'
            low: list[Any] = [] if last is None else [last]
            row = connection.execute(bound.format(above).encode(), [*low, FIXED_BATCH - 1]).fetchone()
            if row is None:
                done += connection.execute(update.format(above).encode(), low).rowcount
                return done, time.monotonic() - started, {}
            within = f'{above} AND "id" <= %s'
            done += connection.execute(update.format(within).encode(), [*low, row[0]]).rowcount
            last = row[0]


def row_by_row(target: Server, url: str, rows: int, keys: Keys) -> tuple[int, float, dict[str, Any]]:
    subset = max(rows // 100, 5_000)
    with target.connect(url) as connection:
        keys_found = connection.execute(
            f'SELECT "id" FROM "Measurement" WHERE "{COLUMN}" IS NULL LIMIT %s'.encode(), [subset]
        ).fetchall()
        statement = f'UPDATE "Measurement" SET "{COLUMN}" = %s WHERE "id" = %s'.encode()
        started = time.monotonic()
        for (key,) in keys_found:
            connection.execute(statement, [uuid4(), key])
        return len(keys_found), time.monotonic() - started, {}


def ours(
    *, workers: int, processes: int = 1, storage: Storage = "column"
) -> Callable[[Server, str, int, Keys], tuple[int, float, dict[str, Any]]]:
    def run(target: Server, url: str, rows: int, keys: Keys) -> tuple[int, float, dict[str, Any]]:
        return run_engine(target.url(url), storage=storage, workers=workers, processes=processes)

    return run


def under_load(target: Server, url: str, rows: int, keys: Keys) -> tuple[int, float, dict[str, Any]]:
    plant = subprocess.Popen(
        [sys.executable, str(HERE / "writers.py"), target.url(url), keys],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert plant.stdin is not None
    assert plant.stdout is not None
    try:
        plant.stdout.readline()
        time.sleep(QUIET_SECONDS)
        plant.stdin.write("during\n")
        plant.stdin.flush()
        done, seconds, details = run_engine(target.url(url), storage="column", workers=1)
        plant.stdin.write("after\n")
        plant.stdin.flush()
        time.sleep(QUIET_SECONDS / 2)
        plant.stdin.close()
        details["phases"] = json.loads(plant.stdout.readline())
        plant.wait(30)
    finally:
        if plant.poll() is None:
            plant.terminate()
            plant.wait(30)
    return done, seconds, details


METHODS: Final = (
    Method("update", "one UPDATE of the whole table (yardstick)", single_update),
    Method("ours1", "ours, one worker", ours(workers=1), "column"),
    Method("ours2", "ours, two workers", ours(workers=2), "column"),
    Method("ours1x2", "ours, two processes of one worker", ours(workers=1, processes=2), "column"),
    Method("keyset", f"keyset batches of {FIXED_BATCH:,}", keyset),
    Method("sidecar", "ours, sidecar storage, one worker", ours(workers=1, storage="sidecar"), "sidecar"),
    Method("rowwise", "a script's way: one UPDATE per row", row_by_row),
    Method("load", "ours, one worker, 80 writes/s meanwhile", under_load, "column"),
)


def run_engine(
    url: str, *, storage: Storage, workers: int, processes: int = 1
) -> tuple[int, float, dict[str, Any]]:
    command = [sys.executable, str(HERE / "engine.py"), url, storage, str(workers)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("the engine failed")
    if workers == 0:
        return 0, 0.0, {}
    figures = [json.loads(output) for output in outputs]
    # A process that came too late to find anything to do saw no end.
    seconds = max(f["ended"] or 0.0 for f in figures) - min(f["began"] for f in figures)
    return sum(f["rows"] for f in figures), seconds, {"engine": figures}


def measure(target: Server, method: Method, rows: int, keys: Keys) -> Measurement:
    name = "bench_copy"
    with target.copy(name) as url:
        if method.storage is None:
            with target.connect(name) as connection:
                connection.execute(f'ALTER TABLE "Measurement" ADD COLUMN "{COLUMN}" uuid'.encode())
        else:
            run_engine(url, storage=method.storage, workers=0)
        with target.connect(name) as connection:
            connection.execute("CHECKPOINT")
            load = os.getloadavg()[0]
            before, since = gauges.read(target, connection), time.monotonic()
            done, seconds, details = method.run(target, name, rows, keys)
            connection.execute("SELECT pg_stat_force_next_flush()")
            time.sleep(1.2)
            after = gauges.read(target, connection)
            span = time.monotonic() - since
            details |= {"span": round(span, 2), "load_before": load, "load_after": os.getloadavg()[0]}
            if method.name != "rowwise":
                details["left"] = _left(connection, method.storage)
    return Measurement(method.name, done, seconds, after.since(before), details)


def _left(connection: Any, storage: Storage | None) -> int:
    query = f'SELECT count(*) FROM "Measurement" WHERE "{COLUMN}" IS NULL'
    if storage == "sidecar":
        query = (
            'SELECT count(*) FROM "Measurement" AS t WHERE NOT EXISTS'
            " (SELECT FROM dotpeen.identity AS i WHERE i.entity = 'Measurement' AND i.key = t.\"id\"::text)"
        )
    return int(connection.execute(query.encode()).fetchone()[0])


@dataclass(frozen=True)
class Claim:
    """Something that must hold."""

    text: str
    value: str
    needed: str
    ok: bool


def claims(results: dict[str, list[Measurement]]) -> list[Claim]:
    found: list[Claim] = []

    def ratio(text: str, method: str, against: str, needed: float | None) -> None:
        if method not in results or against not in results:
            return
        pairs = [a.rate / b.rate for a, b in zip(results[method], results[against], strict=False)]
        value = statistics.median(pairs)
        spread = f"{value:.2f} ({min(pairs):.2f}-{max(pairs):.2f})"
        found.append(
            Claim(
                text,
                spread,
                f">= {needed}" if needed else "for comparison",
                ok=needed is None or value >= needed,
            )
        )

    ratio("one worker / single UPDATE", "ours1", "update", 0.9)
    ratio("two workers / single UPDATE", "ours2", "update", 1.6)
    ratio("two processes / single UPDATE", "ours1x2", "update", 1.6)
    ratio("one worker / one UPDATE per row", "ours1", "rowwise", 8)
    ratio("sidecar / single UPDATE", "sidecar", "update", 2)
    ratio(f"keyset batches of {FIXED_BATCH:,} / single UPDATE", "keyset", "update", None)
    ratio("one worker with 80 writes/s / single UPDATE", "load", "update", None)
    for name in ("ours1", "keyset", "sidecar"):
        if name in results and "update" in results:
            pairs = [_cpu(b) / _cpu(a) for a, b in zip(results[name], results["update"], strict=False)]
            about = next(method.about for method in METHODS if method.name == name)
            text = f"rows per second of server CPU: {about} / single UPDATE"
            found.append(Claim(text, f"{statistics.median(pairs):.2f}", "for comparison", ok=True))
    left = sum(m.details.get("left", 0) for runs in results.values() for m in runs)
    found.append(Claim("rows left without a UUID", str(left), "0", ok=left == 0))
    if "load" in results:
        phases = [m.details["phases"] for m in results["load"]]
        during = statistics.median(p["during"]["p99_ms"] for p in phases)
        before = statistics.median(p["before"]["p99_ms"] for p in phases)
        times = statistics.median(p["during"]["p99_ms"] / p["before"]["p99_ms"] for p in phases)
        failed = sum(phase["failed"] for p in phases for phase in p.values())
        found.append(Claim("the writers' p99 during", f"{during:.1f} ms", "< 100 ms", ok=during < 100))
        found.append(
            Claim(
                f"the writers' p99 during / before ({before:.1f} ms)", f"{times:.2f}", "<= 3", ok=times <= 3
            )
        )
        found.append(Claim("the writers' failed statements", str(failed), "0", ok=failed == 0))
    return found


def _cpu(run: Measurement) -> float:
    return run.gauges["cpu_server"] / run.rows


def summary(results: dict[str, list[Measurement]]) -> list[list[str]]:
    """One line per method; of several measurements the median."""
    lines = []
    for method in METHODS:
        runs = results.get(method.name)
        if not runs:
            continue

        def middle(value: Callable[[Measurement], float], runs: list[Measurement] = runs) -> float:
            return statistics.median(value(run) for run in runs)

        rates = [run.rate for run in runs]
        lines.append(
            [
                method.about,
                f"{statistics.median(rates):,.0f}",
                f"{min(rates):,.0f}-{max(rates):,.0f}",
                f"{middle(lambda m: 1e6 * m.gauges['cpu_server'] / m.rows):.0f}",
                f"{middle(lambda m: m.gauges['wal_bytes'] / m.rows):.0f}",
                f"{middle(lambda m: 1000 * m.gauges['wal_fpi'] / m.rows):.0f}",
                f"{middle(lambda m: 100 * m.gauges['hot_updates'] / max(m.gauges['updates'], 1)):.0f} %",
                f"{middle(lambda m: m.gauges['heap_bytes'] / 1e6):+.0f}",
                f"{middle(lambda m: m.gauges['index_bytes'] / 1e6):+.0f}",
                f"{middle(lambda m: m.gauges.get('checkpoints', 0)):.0f}",
                f"{middle(lambda m: m.contention):.2f}",
            ]
        )
    return lines


HEADINGS: Final = [
    "method",
    "rows/s",
    "min-max",
    "server CPU µs/row",
    "WAL bytes/row",
    "page images/1000 rows",
    "HOT",
    "heap MB",
    "indexes MB",
    "checkpoints",
    "others' CPU",
]


def table(headings: list[str], lines: list[list[str]]) -> str:
    widths = [max(len(line[n]) for line in [headings, *lines]) for n in range(len(headings))]
    rendered = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [headings, ["-" * width for width in widths], *lines]
    ]
    return "\n".join(rendered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keys", choices=["cuid", "bigint", "random"], default="cuid")
    parser.add_argument("--postgres", type=Path, metavar="BINDIR", help="another server's programs")
    parser.add_argument("--directory", type=Path, help="where the server's temporary directory is made")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a server setting")
    parser.add_argument("--only", help="methods, comma-separated: " + ", ".join(m.name for m in METHODS))
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything here, and a .md beside it"
    )
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [method.name for method in METHODS]
    chosen = [method for method in METHODS if method.name in wanted]
    settings = dict(pair.split("=", 1) for pair in options.set)
    results: dict[str, list[Measurement]] = {}
    load_before = os.getloadavg()
    with server(options.postgres, options.directory, settings) as target:
        build(target, options.rows, options.keys, say)
        for repetition in range(1, options.repeat + 1):
            for method in chosen:
                result = measure(target, method, options.rows, options.keys)
                results.setdefault(method.name, []).append(result)
                say(_progress(repetition, result))
                if options.json:
                    _write(options, target.version, results, load_before)
    found = claims(results)
    print("\n" + _report(options, target.version, results, found, load_before))
    return 0 if all(claim.ok for claim in found) else 1


def _progress(repetition: int, result: Measurement) -> str:
    g = result.gauges
    return (
        f"{repetition}  {result.method:8} {result.rate:>9,.0f} rows/s {result.seconds:6.1f} s"
        f"  server CPU {g['cpu_server']:.1f} s  WAL {g['wal_bytes'] / result.rows:.0f} B/row"
        f"  HOT {100 * g['hot_updates'] / max(g['updates'], 1):.0f} %"
        f"  others' CPU {result.contention:.2f}  load {result.details['load_after']:.1f}"
    )


def _report(
    options: argparse.Namespace,
    version: int,
    results: dict[str, list[Measurement]],
    found: list[Claim],
    load_before: tuple[float, float, float],
) -> str:
    repeats = max(len(runs) for runs in results.values())
    busy = statistics.median(run.contention for runs in results.values() for run in runs)
    conditions = (
        f"{options.rows:,} rows x 20 columns, key {options.keys}, 4 secondary indexes;"
        f" PostgreSQL {version // 10000}.{version % 10000}; {os.cpu_count()} cores, {platform.machine()};"
        f" {repeats} repetitions; load average before {load_before[0]:.1f}, after {os.getloadavg()[0]:.1f};"
        f" others used {busy:.2f} cores meanwhile" + (" (contended)" if busy > QUIET_CORES else "")
    )
    parts = [conditions, table(HEADINGS, summary(results))]
    if "load" in results:
        lines = [
            [name, *(str(phase[key]) for key in _PHASE_FIGURES)]
            for name, phase in results["load"][-1].details["phases"].items()
        ]
        parts.append(table(["writers, last run", *_PHASE_FIGURES], lines))
    published = [[name, f"{rate:,}"] for name, rate in PUBLISHED.items()]
    parts.append(table(["published elsewhere, not measured here", "rows/s"], published))
    parts.append(
        table(
            ["claim", "ratio", "needed", "ok"],
            [[c.text, c.value, c.needed, "yes" if c.ok else "NO"] for c in found],
        )
    )
    return "\n\n".join(parts) + "\n"


def _write(
    options: argparse.Namespace,
    version: int,
    results: dict[str, list[Measurement]],
    load_before: tuple[float, float, float],
) -> None:
    found = claims(results)
    document = {
        "rows": options.rows,
        "keys": options.keys,
        "server_version": version,
        "settings": options.set,
        "cores": os.cpu_count(),
        "load_before": load_before,
        "claims": [asdict(claim) for claim in found],
        "measurements": [
            asdict(run) | {"rate": round(run.rate, 1), "contention": round(run.contention, 3)}
            for runs in results.values()
            for run in runs
        ],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    report = _report(options, version, results, found, load_before)
    options.json.with_suffix(".md").write_text(report, encoding="utf-8")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
