"""STEP files: `uv run python benchmarks/step.py [--size 200]`.

Inspecting against reading the same file with Open CASCADE and with steputils; stamping against copying it. All in one
run, methods taking turns, each run in a fresh process which tells its own time and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import step_files
from step_peers import ABOUT, PEERS, FailedError, Run, run, versions

READERS: Final = ("inspect", *PEERS)
WRITERS: Final = ("stamp", "copy", "stamp-unsynced", "copy-unsynced")
OCC_RATIO: Final = 8.0
STEPUTILS_RATIO: Final = 10.0
SPEED: Final = 20.0
PEAK_MB: Final = 100.0
STAMP_RATIO: Final = 2.0


@dataclass
class Claim:
    """What is claimed, what was measured, and whether it holds; None where it could not be measured."""

    text: str
    value: str
    needed: str
    ok: bool | None


@dataclass
class Measured:
    """Everything that was done with one file."""

    name: str
    size: int
    runs: dict[str, list[Run]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, method: str, what: str = "seconds") -> float | None:
        runs = self.runs.get(method)
        return statistics.median(getattr(one, what) for one in runs) if runs else None

    def ratios(self, method: str, yardstick: str, what: str = "seconds") -> list[float]:
        """How many times as long the first took, round by round."""
        pairs = zip(self.runs.get(method, ()), self.runs.get(yardstick, ()), strict=False)
        return [getattr(one, what) / getattr(other, what) for one, other in pairs]


def measure(file: Path, methods: tuple[str, ...], options: argparse.Namespace) -> Measured:
    measured = Measured(file.name, file.stat().st_size)
    for turn in range(options.repeat):
        # Every round begins with another, so that none is always the first after the others.
        start = turn % len(methods)
        for method in (*methods[start:], *methods[:start]):
            if method in measured.failed:
                continue
            try:
                done = run(method, file, timeout=options.timeout)
            except FailedError as error:
                measured.failed[method] = str(error)
                print(f"{file.name}: {ABOUT[method]}: {error}", flush=True)
                continue
            measured.runs.setdefault(method, []).append(done)
            print(f"{file.name}: {ABOUT[method]}: {done.seconds:.3f} s, {done.peak:.0f} MB", flush=True)
    return measured


def claims(measured: list[Measured]) -> Iterator[Claim]:
    for one in measured:
        for yardstick, needed in (
            ("occ-read", OCC_RATIO),
            ("occ-open", OCC_RATIO),
            ("steputils", STEPUTILS_RATIO),
        ):
            ratios = one.ratios(yardstick, "inspect")
            if ratios:
                yield _at_least(f"{one.name}: {ABOUT[yardstick]} / inspect, time", ratios, needed)
            ratios = one.ratios(yardstick, "inspect", "process")
            if ratios and yardstick != "steputils":
                yield _at_least(f"{one.name}: {ABOUT[yardstick]} / inspect, whole process", ratios, needed)
    for one in measured:
        seconds, peak = one.median("inspect"), one.median("inspect", "peak")
        if seconds is None or peak is None:
            continue
        rate = one.size / 1e6 / seconds
        yield Claim(f"{one.name}: inspect, MB/s", f"{rate:.1f}", f">= {SPEED:g}", rate >= SPEED)
        yield Claim(f"{one.name}: inspect, MB of memory", f"{peak:.0f}", f"< {PEAK_MB:g}", peak < PEAK_MB)
    for one in measured:
        for synced in ("", "-unsynced"):
            ratios = one.ratios(f"stamp{synced}", f"copy{synced}")
            if ratios:
                text = f"{one.name}: {ABOUT[f'stamp{synced}']} / {ABOUT[f'copy{synced}']}, time"
                ok = statistics.median(ratios) <= STAMP_RATIO
                yield Claim(text, _spread(ratios), f"<= {STAMP_RATIO:g}", ok)


def _at_least(text: str, ratios: list[float], needed: float) -> Claim:
    return Claim(text, _spread(ratios), f">= {needed:g}", statistics.median(ratios) >= needed)


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def report(options: argparse.Namespace, measured: list[Measured], load: tuple[float, float, float]) -> str:
    lines = []
    for one in measured:
        for method in (*READERS, *WRITERS):
            seconds, process, cpu, peak = (
                one.median(method, what) for what in ("seconds", "process", "cpu", "peak")
            )
            if seconds is None or process is None or cpu is None or peak is None:
                if method in one.failed:
                    lines.append(
                        [one.name, f"{one.size / 1e6:.1f}", ABOUT[method], one.failed[method], *"-----"]
                    )
                continue
            rate = one.size / 1e6 / seconds
            times = (f"{seconds:.3f}", _range(one, method), f"{rate:,.1f}", f"{process:.2f}", f"{cpu:.2f}")
            lines.append([one.name, f"{one.size / 1e6:.1f}", ABOUT[method], *times, f"{peak:,.0f}"])
    headings = [
        "file",
        "MB",
        "with",
        "seconds",
        "min-max",
        "MB/s",
        "whole process, seconds",
        "its CPU",
        "memory, MB",
    ]
    software = ", ".join(f"{name} {version}" for name, version in versions().items())
    conditions = (
        f"{options.repeat} rounds; {os.cpu_count()} cores, {platform.machine()};"
        f" load average before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}. With {software}."
    )
    held = [
        [one.text, one.value, one.needed, {True: "yes", False: "NO", None: "-"}[one.ok]]
        for one in claims(measured)
    ]
    return "\n\n".join(
        [conditions, _table(headings, lines), _table(["claim", "measured", "needed", "holds"], held)]
    )


def _range(one: Measured, method: str) -> str:
    seconds = [done.seconds for done in one.runs[method]]
    return f"{min(seconds):.3f}-{max(seconds):.3f}"


def _table(headings: list[str], lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    rows = [headings, ["-" * width for width in widths], *lines]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def write(options: argparse.Namespace, measured: list[Measured], load: tuple[float, float, float]) -> None:
    document: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load_before": load,
        "software": versions(),
        "claims": [asdict(claim) for claim in claims(measured)],
        "files": [asdict(one) for one in measured],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(report(options, measured, load) + "\n", encoding="utf-8")


def samples(folder: Path, count: int) -> list[Path]:
    """Return the largest real files, where the folder of standards is at hand."""
    found = [*folder.glob("step/samples/*.stp")]
    return sorted(found, key=lambda file: -file.stat().st_size)[:count]


def arguments() -> argparse.Namespace:
    standards = os.environ.get("DOTPEEN_STANDARDS", str(Path(__file__).parents[2] / "shared" / "standards"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=200, metavar="MB", help="of the generated file")
    parser.add_argument(
        "--small",
        type=float,
        default=20,
        metavar="MB",
        help="of the generated file that steputils reads, too",
    )
    parser.add_argument("--samples", type=int, default=2, help="how many of the largest real files")
    parser.add_argument("--standards", type=Path, default=Path(standards), metavar="DIR")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="of each run")
    parser.add_argument("--directory", type=Path, help="where the files are made")
    parser.add_argument("--only", nargs="+", choices=[*READERS, *WRITERS], default=[*READERS, *WRITERS])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything here, and a .md beside it"
    )
    return parser.parse_args()


def main() -> int:
    options, load = arguments(), os.getloadavg()
    chosen = [method for method in (*READERS, *WRITERS) if method in options.only]
    measured = []
    with tempfile.TemporaryDirectory(prefix="dotpeen-step-", dir=options.directory) as temporary:
        small, large = Path(temporary) / "small.stp", Path(temporary) / "large.stp"
        step_files.write(small, int(options.small * 1e6))
        step_files.write(large, int(options.size * 1e6))
        for file in samples(options.standards, options.samples):
            reading = tuple(method for method in chosen if method in READERS)
            measured.append(measure(file, reading, options))
        measured.append(measure(small, tuple(chosen), options))
        # It takes 45 times the file in memory.
        rest = tuple(method for method in chosen if method != "steputils")
        measured.append(measure(large, rest, options))
    if options.json:
        write(options, measured, load)
    print("\n" + report(options, measured, load))
    return 1 if any(claim.ok is False for claim in claims(measured)) else 0


if __name__ == "__main__":
    raise SystemExit(main())
