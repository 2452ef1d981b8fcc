"""QIF out and in: `uv run python benchmarks/qif.py [--measurements 100000]`.

Export: a part with so many results, from the database to a file, against writing the same XML with lxml from objects
in memory. Import: the plugin's importer against bare parses of the same file: lxml's tree, which holds all
of it in memory, and its stream (`iterparse`, elements cleared), which doesn't. All in one run, taking turns.
Memory is that of a fresh process which does nothing but export.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lxml import etree

from dotpeen.database import connect, embedded
from dotpeen.demo.run import demo_registry
from dotpeen.demo.sample import create_schema
from dotpeen.exchange import choose_exporter, choose_importer, open_export, reading_session
from dotpeen.hooks import ImportRequest
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins

PER_SERIAL: Final = 20
EXPORT_RATIO: Final = 0.5
IMPORT_RATIO: Final = 0.3
PEAK_MB: Final = 150.0


def build(url: str, measurements: int) -> None:
    """One part, a plan of twenty characteristics, all of which were measured on each serial number."""
    with connect(url, purpose="benchmark") as connection:
        create_schema(connection)
        for statement in (
            """INSERT INTO public."Part" ("id", "partNumber", "updatedAt") VALUES ('p', 'PN-1', now())""",
            """INSERT INTO public."QIFMeasurementPlan" ("id", "planNumber", "version", "partId", "name", "updatedAt")
               VALUES ('q', 'MP-1', '1.0', 'p', 'Final inspection', now())""",
            f"""INSERT INTO public."QIFCharacteristic" ("id", "planId", "characteristicNumber", "name",
               "characteristicType", "balloonNumber", "nominalValue", "toleranceUpper", "toleranceLower", "updatedAt")
               SELECT 'c' || n, 'q', n, 'Bore ' || n, 'DIAMETER', n::text, 10 + n, 0.1, -0.1, now()
                 FROM generate_series(1, {PER_SERIAL}) AS n""",
            f"""INSERT INTO public."SerializedPart" ("id", "serialNumber", "partId", "updatedAt")
               SELECT 's' || n, 'SN-' || n, 'p', now() FROM generate_series(1, {measurements // PER_SERIAL}) AS n""",
            f"""INSERT INTO public."QIFMeasurementResult" ("id", "characteristicId", "serializedPartId",
               "measuredValue", "deviation", "status", "deviceName", "measuredAt", "updatedAt")
               SELECT 'r' || s || '-' || n, 'c' || n, 's' || s, 10 + n + (s % 1000) / 10000.0, (s % 1000) / 10000.0,
                      'PASS', 'CMM-' || s % 5, timestamp '2025-01-01' + s * interval '1 minute', now()
                 FROM generate_series(1, {measurements // PER_SERIAL}) AS s, generate_series(1, {PER_SERIAL}) AS n""",
        ):
            connection.execute(statement.encode())
    registry = demo_registry()
    with Runner(url, registry, registry.select(phase=1)) as runner:
        runner.up()
    with connect(url, purpose="benchmark") as connection:
        connection.execute("VACUUM ANALYZE")


def export(url: str, file: Path) -> int:
    """Export the part as `dotpeen export` does; returns the bytes."""
    registry = demo_registry()
    part = registry.entities["Part"]
    plugin, exporter = choose_exporter(load_plugins(registry), "Part", "qif")
    with reading_session(url) as connection, file.open("wb") as out:
        row = connection.execute('SELECT "persistentUuid"::text FROM public."Part"').fetchone()
        assert row is not None
        document = open_export(plugin, exporter, connection, registry, part, row[0], audience="internal")
        return sum(out.write(chunk) for chunk in document.chunks)


def elements(file: Path) -> list[Any]:
    """The measurements of a document as plain objects: name, attributes, text, children."""

    def plain(element: Any) -> tuple[str, dict[str, str], str | None, list[Any]]:
        return (element.tag, dict(element.attrib), element.text, [plain(child) for child in element])

    tree = etree.parse(str(file))
    return [plain(one) for one in tree.iterfind(".//{*}CharacteristicMeasurements/*")]


def write_with_lxml(measurements: list[Any], file: Path) -> None:
    """Write them as somebody would who has them in memory."""

    def built(said: tuple[str, dict[str, str], str | None, list[Any]]) -> Any:
        tag, attributes, text, children = said
        element = etree.Element(tag, attributes)
        element.text = text
        for child in children:
            element.append(built(child))
        return element

    with etree.xmlfile(str(file), encoding="utf-8") as out, out.element("CharacteristicMeasurements"):
        for one in measurements:
            out.write(built(one))


def import_again(url: str, file: Path) -> None:
    """Import the document into the database that it came from: everything is compared, nothing changes."""
    registry = demo_registry()
    _, importer = choose_importer(load_plugins(registry), [file], "qif")
    with connect(url, purpose="benchmark", autocommit=False) as connection:
        importer.read(ImportRequest(registry, connection, (file,), dry_run=True))
        connection.rollback()


@contextmanager
def timed(seconds: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - started)


def own_peak() -> float:
    """MB that this process had at most. Linux counts in `ru_maxrss` what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak(url: str, file: Path) -> float:
    """MB that a process has at most which exports the part."""
    answer = subprocess.run(
        [sys.executable, __file__, "--peak", url, str(file)], check=True, capture_output=True, text=True
    )
    return float(answer.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-import", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("URL", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        export(arguments.peak[0], Path(arguments.peak[1]))
        print(own_peak())
        return 0
    with tempfile.TemporaryDirectory(prefix="dotpeen-qif-") as name:
        folder = Path(name)
        url = embedded.start(folder / "postgres")
        try:
            return measure(url, folder, arguments)
        finally:
            embedded.stop(folder / "postgres")


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> int:
    build(url, arguments.measurements)
    file, other = folder / "part.qif", folder / "lxml.xml"
    size = export(url, file)
    measurements = elements(file)
    times: dict[str, list[float]] = {"export": [], "lxml write": [], "import": []}
    times |= {"lxml parse": [], "lxml iterparse": []}
    for _ in range(arguments.repeat):
        with timed(times["export"]):
            export(url, file)
        with timed(times["lxml write"]):
            write_with_lxml(measurements, other)
        with timed(times["lxml parse"]):
            etree.parse(str(file))
        with timed(times["lxml iterparse"]):
            for _, element in etree.iterparse(str(file)):
                element.clear()
        if not arguments.no_import:
            with timed(times["import"]):
                import_again(url, file)
    del measurements
    medians = {name: statistics.median(values) for name, values in times.items() if values}
    claims = {
        "export / lxml write": (medians["lxml write"] / medians["export"], EXPORT_RATIO),
        "MB at most": (peak(url, file), PEAK_MB),
    }
    if "import" in medians:
        for parse in ("lxml iterparse", "lxml parse"):
            claims[f"import / {parse}"] = (medians[parse] / medians["import"], IMPORT_RATIO)
    print(f"{arguments.measurements:,} measurements, {size / 1e6:.1f} MB")
    for what, seconds in medians.items():
        print(f"  {what:<22} {seconds:8.2f} s  {arguments.measurements / seconds:10,.0f} measurements/s")
    met = True
    for claim, (value, needed) in claims.items():
        fine = value <= needed if claim == "MB at most" else value >= needed
        met &= fine
        print(f"  {claim:<22} {value:8.2f}    needed {needed}  {'met' if fine else 'MISSED'}")
    if arguments.json:
        report = {"measurements": arguments.measurements, "bytes": size, "seconds": times}
        arguments.json.write_text(json.dumps({**report, "claims": claims}, indent=2) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
