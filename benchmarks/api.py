"""How fast a part is found by its UUID over HTTP, beside other servers: `uv run python benchmarks/api.py`.

Every figure is a ratio of two measurements of the same run: the same database, the same UUIDs, one server process
each, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import own
from backfill import QUIET_CORES, say, table
from load import Load, pgbench, prepare_pgbench, require_wrk, write_requests, wrk
from own import Claim, Findings, Range, spread
from parts import Parts, build
from peers import PEERS, MissingError, Service, free_port, ours, running, verify, versions
from plant import Server, server

from dotpeen.database import embedded
from dotpeen.errors import DotpeenError

ABOUT: Final = {
    "fastapi-sqlmodel": "FastAPI + SQLModel on uvicorn",
    "express-prisma": "Express + Prisma 7 with its pg adapter",
    "express-pg": "Express + node-postgres",
    "pgbench": "PostgreSQL alone, the same prepared select",
    "dotpeen": "dotpeen serve",
}
ALONE: Final = ("batch", "identifiers")
TARGETS: Final[tuple[tuple[str, tuple[int, ...], float], ...]] = (
    ("fastapi-sqlmodel", (16, 64), 15),
    ("express-prisma", (16, 64), 10),
    ("express-pg", (16, 64), 2.5),
    ("pgbench", (16, 64), 0.4),
    ("express-pg", (1,), 1),
)
"""What dotpeen's requests/s divided by those of another must reach, and at which concurrency."""
HEADINGS: Final = [
    "concurrency",
    "server",
    "requests/s",
    "min-max",
    "dotpeen is",
    "p50 ms",
    "p99 ms",
    "server CPU µs/request",
    "PostgreSQL CPU µs/request",
    "others' CPU",
]


@dataclass
class Results:
    """Everything measured so far."""

    loads: dict[tuple[str, int], list[Load]] = field(default_factory=dict)
    """By server and concurrency, one for each round."""
    alone: list[Findings] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def ratios(self, name: str, concurrency: int) -> list[float]:
        """dotpeen's rate divided by the other's, round by round."""
        ours = self.loads.get(("dotpeen", concurrency), [])
        others = self.loads.get((name, concurrency), [])
        return [a.rate / b.rate for a, b in zip(ours, others, strict=False)]

    def claims(self) -> list[Claim]:
        found = []
        for name, concurrencies, needed in TARGETS:
            for concurrency in concurrencies:
                ratios = self.ratios(name, concurrency)
                text = f"dotpeen / {ABOUT[name]}, requests/s, concurrency {concurrency}"
                if ratios:
                    ok = statistics.median(ratios) >= needed
                    found.append(Claim(text, spread(ratios), f">= {needed:g}", ok))
                else:
                    found.append(Claim(text, "not measured", f">= {needed:g}", None))
        for findings in self.alone:
            found += findings.claims
        failed = sum(sum(load.failures.values()) for loads in self.loads.values() for load in loads)
        found.append(Claim("failed requests", str(failed), "0", failed == 0))
        return found


def compare(options: argparse.Namespace, parts: Parts, folder: Path, results: Results) -> None:
    """Measure every chosen server, round by round."""
    services: dict[str, Service] = {}
    for name in (name for name in PEERS if name in options.only):
        say(f"preparing {name}")
        try:
            services[name] = PEERS[name](parts)
        except MissingError as reason:
            _skip(name, reason, results)
    script = prepare_pgbench(parts, folder) if "pgbench" in options.only else None
    program = _pgbench_program(options.postgres)
    if script and program is None:
        _skip("pgbench", MissingError("there is no program pgbench"), results)
    for turn in range(options.repeat):
        # Every round begins with another, so that none is always the first after the others.
        names = [name for name in ABOUT if name in services or (name == "pgbench" and script and program)]
        names = names[turn % max(len(names), 1) :] + names[: turn % max(len(names), 1)]
        for name in names:
            if name == "pgbench":
                assert script is not None
                assert program is not None
                for concurrency in options.concurrency:
                    load = pgbench(program, parts, script, concurrency=concurrency, seconds=options.seconds)
                    _keep(results, turn, name, concurrency, load)
            else:
                _measure(options, parts, folder, results, services[name], turn)


def _measure(
    options: argparse.Namespace, parts: Parts, folder: Path, results: Results, service: Service, turn: int
) -> None:
    paths = own.singles(parts)
    requests = write_requests(folder / "requests", paths, headers=service.headers)
    with running(service, folder, paths[0]) as target:
        least = verify(target, parts.samples[:10])

        def load(concurrency: int, seconds: float, skip: int) -> Load:
            return wrk(
                target.port,
                requests,
                concurrency=concurrency,
                seconds=seconds,
                skip=skip,
                pid=target.pid,
                postmaster=parts.server.postmaster,
                least_bytes=0.9 * least,
            )

        load(max(options.concurrency), options.warm_up, 0)
        for place, concurrency in enumerate(options.concurrency):
            skip = (turn * len(options.concurrency) + place) * 997
            _keep(results, turn, service.name, concurrency, load(concurrency, options.seconds, skip))


def _keep(results: Results, turn: int, name: str, concurrency: int, load: Load) -> None:
    results.loads.setdefault((name, concurrency), []).append(load)
    say(
        f"{turn + 1}  {name:<16} c={concurrency:<3} {load.rate:>8,.0f}/s"
        f"  p50 {load.latencies['p50']:.2f} ms  p99 {load.latencies['p99']:.2f} ms"
        f"  others' CPU {load.contention:.2f}" + (f"  FAILED {load.failures}" if load.failures else "")
    )


def alone(options: argparse.Namespace, target: Server, parts: Parts, folder: Path, results: Results) -> None:
    """Measure what concerns this project's server only."""
    run = Range(parts, folder, options.seconds, options.warm_up, options.repeat, say)
    if "batch" in options.only:
        _unless_missing(
            "batch",
            results,
            lambda: results.alone.append(own.batch(run, options.concurrency)),
        )
    if "identifiers" in options.only:
        _unless_missing("identifiers", results, lambda: results.alone.append(own.identifiers(run)))
    if not (options.scaling or options.listing):
        return

    def large() -> None:
        ours(parts)  # or a million rows would be made for nothing
        many = build(target, "parts_large", options.large, folder, say)
        if options.scaling:
            few = build(target, "parts_small", options.large // 100, folder, say)
            results.alone.append(own.scaling(run, few, many))
        if options.listing:
            results.alone.append(own.listing(run, many))

    _unless_missing("scaling, listing", results, large)


def _unless_missing(name: str, results: Results, measure: Callable[[], object]) -> None:
    try:
        measure()
    except MissingError as reason:
        _skip(name, reason, results)


def _skip(name: str, reason: MissingError, results: Results) -> None:
    results.skipped[name] = str(reason)
    say(f"{name} skipped: {reason}")


def _pgbench_program(binaries: Path | None) -> Path | None:
    candidates = [binaries / "pgbench"] if binaries else []
    with suppress(DotpeenError):
        candidates.append(embedded.program("pgbench"))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)
    if found := shutil.which("pgbench"):
        candidates.append(Path(found))
    return next((program for program in candidates if program.exists()), None)


def summary(results: Results, concurrencies: Sequence[int]) -> list[list[str]]:
    """One line for each concurrency and server; of several rounds the median."""
    lines = []
    for concurrency in concurrencies:
        for name, about in ABOUT.items():
            loads = results.loads.get((name, concurrency))
            if not loads:
                continue

            def middle(value: Callable[[Load], float], loads: list[Load] = loads) -> float:
                return statistics.median(value(load) for load in loads)

            rates = [load.rate for load in loads]
            ratios = results.ratios(name, concurrency)
            lines.append(
                [
                    str(concurrency),
                    about,
                    f"{statistics.median(rates):,.0f}",
                    f"{min(rates):,.0f}-{max(rates):,.0f}",
                    f"{statistics.median(ratios):.2f} x" if ratios else "-",
                    f"{middle(lambda load: load.latencies['p50']):.2f}",
                    f"{middle(lambda load: load.latencies['p99']):.2f}",
                    "-"
                    if name == "pgbench"
                    else f"{middle(lambda load: 1e6 * load.cpu['server'] / load.requests):.0f}",
                    f"{middle(lambda load: 1e6 * load.cpu['postgres'] / load.requests):.0f}",
                    f"{middle(lambda load: load.contention):.2f}",
                ]
            )
    return lines


def report(
    options: argparse.Namespace, parts: Parts, results: Results, load_before: tuple[float, float, float]
) -> str:
    version = parts.server.version
    loads = [load for several in results.loads.values() for load in several]
    busy = statistics.median(load.contention for load in loads) if loads else 0.0
    conditions = (
        f"{parts.rows:,} parts, GET of {len(parts.samples):,} of them by UUID in random order over TCP loopback;"
        f" {options.repeat} rounds of {options.seconds:g} s; PostgreSQL {version // 10000}.{version % 10000};"
        f" {os.cpu_count()} cores, {platform.machine()}, shared by the server, PostgreSQL and the load generator;"
        f" load average before {load_before[0]:.1f}, after {os.getloadavg()[0]:.1f};"
        + (f" others used {busy:.2f} cores meanwhile" if loads else "")
        + (" (contended)" if busy > QUIET_CORES else "")
    )
    software = ", ".join(f"{name} {version}" for name, version in _software().items())
    pieces = [conditions, f"With {software}.", table(HEADINGS, summary(results, options.concurrency))]
    pieces += [table([findings.title, *findings.headings[1:]], findings.lines) for findings in results.alone]
    pieces += [f"Skipped: {name}: {reason}." for name, reason in results.skipped.items()]
    lines = [
        [c.text, c.value, c.needed, {True: "yes", False: "NO", None: "-"}[c.ok]] for c in results.claims()
    ]
    pieces.append(table(["claim", "measured", "needed", "holds"], lines))
    return "\n\n".join(pieces) + "\n"


def write(
    options: argparse.Namespace, parts: Parts, results: Results, load_before: tuple[float, float, float]
) -> None:
    document: dict[str, Any] = {
        "rows": parts.rows,
        "server_version": parts.server.version,
        "seconds": options.seconds,
        "cores": os.cpu_count(),
        "load_before": load_before,
        "software": _software(),
        "skipped": results.skipped,
        "claims": [asdict(claim) for claim in results.claims()],
        "measurements": [
            {"server": name, "concurrency": concurrency, "round": turn, "rate": round(load.rate, 1)}
            | asdict(load)
            for (name, concurrency), loads in results.loads.items()
            for turn, load in enumerate(loads, start=1)
        ],
        "alone": [{"title": findings.title, **findings.figures} for findings in results.alone],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(report(options, parts, results, load_before), encoding="utf-8")


def _software() -> dict[str, str]:
    # It says its version and exits with 1.
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    return versions() | {"wrk": (said.stdout + said.stderr).split()[1]}


def arguments() -> argparse.Namespace:
    names = [*ABOUT, *ALONE]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=3, metavar="SECONDS", help="of each started server")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--scaling", action="store_true", help="p99 in a large table against a small one too")
    parser.add_argument("--listing", action="store_true", help="memory while listing the large table too")
    parser.add_argument("--large", type=int, default=1_000_000, help="rows of the large table")
    parser.add_argument("--postgres", type=Path, metavar="BINDIR", help="another server's programs")
    parser.add_argument("--directory", type=Path, help="where the server's temporary directory is made")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything here, and a .md beside it"
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    require_wrk()
    signal.signal(signal.SIGTERM, _end)
    results, load_before = Results(), os.getloadavg()
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "max_connections": "200"}
    with (
        tempfile.TemporaryDirectory(prefix="dotpeen-benchmark-api-") as temporary,
        server(options.postgres, options.directory, settings) as target,
    ):
        folder = Path(temporary)
        parts = build(target, "parts", options.rows, folder, say)
        compare(options, parts, folder, results)
        if options.json:
            write(options, parts, results, load_before)
        alone(options, target, parts, folder, results)
        if options.json:
            write(options, parts, results, load_before)
        print("\n" + report(options, parts, results, load_before))
    return 1 if any(claim.ok is False for claim in results.claims()) else 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # unwinds, so that every server is ended


if __name__ == "__main__":
    raise SystemExit(main())
