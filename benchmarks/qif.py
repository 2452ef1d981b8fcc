"""QIF out and in: `uv run python benchmarks/qif.py [--measurements 100000] [--schemas FOLDER]`.

Export: a part with so many results, from the database to a file, against writing the same XML with lxml from objects
in memory. Import: the plugin's importer, into an empty MES and into the one that has it all, against bare parses of the
same file: lxml's tree, which holds all of it in memory, and its stream (`iterparse`, elements cleared), which doesn't.
`bare inserts` is what no importer can do without: COPY of the finished rows into the MES' table of results, with its
keys and indexes, and nothing else. All in one run, taking turns; ratios are those of one turn, and their median counts.
Memory is that of fresh processes which do nothing but export, or import.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import gauges
import psycopg
from lxml import etree
from psycopg.conninfo import make_conninfo

from dotpeen.contributions import Importer
from dotpeen.database import connect, embedded
from dotpeen.demo.run import demo_registry, registry_text
from dotpeen.demo.sample import create_schema
from dotpeen.exchange import choose_exporter, choose_importer, open_export, reading_session
from dotpeen.hooks import ImportRequest
from dotpeen.migration import Runner
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry, parse_registry

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
    migrate(url)
    with connect(url, purpose="benchmark") as connection:
        connection.execute("VACUUM ANALYZE")


def build_empty(url: str) -> str:
    """The same MES without a row, in a database of its own; returns its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE nothing")
    empty = make_conninfo(url, dbname="nothing")
    with connect(empty, purpose="benchmark") as connection:
        create_schema(connection)
    migrate(empty)
    return empty


def clear(url: str) -> None:
    """Take away what was rolled back: rows that nobody sees, with the same keys, make the next ones slow."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('TRUNCATE public."Part", public."WorkOrder" CASCADE')


def migrate(url: str) -> None:
    """Give every table its UUIDs."""
    registry = demo_registry()
    with Runner(url, registry, registry.select(phase=1)) as runner:
        runner.up()


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


def site(schemas: Path | None) -> Registry:
    """The registry of the demo, with the folder of the schemas that files are checked against."""
    if schemas is None:
        return demo_registry()
    text = registry_text().replace(
        "[plugins.qif]\n", f'[plugins.qif]\nschema_dir = "{schemas.resolve()}"\n', 1
    )
    return parse_registry(text, file="registry.toml")


def import_into(url: str, file: Path, schemas: Path | None) -> None:
    """Import the document, as far as the commit: nothing remains of it."""
    registry = site(schemas)
    found: tuple[str, Importer] = choose_importer(load_plugins(registry), [file], "qif")
    with connect(url, purpose="benchmark", autocommit=False) as connection:
        options = {"create": "Part,SerializedPart,WorkOrder"}
        report = found[1].read(ImportRequest(registry, connection, (file,), dry_run=True, options=options))
        assert report.clean, report.items[:3]
        connection.rollback()


@dataclass(frozen=True)
class Spent:
    """What something took. CPU seconds hardly depend on who else is busy on the machine."""

    seconds: float
    own: float
    """CPU seconds of the process that did it."""
    others: float
    """CPU seconds of processes that it began."""
    server: float
    """CPU seconds of PostgreSQL."""

    @property
    def cpu(self) -> float:
        """All CPU seconds."""
        return self.own + self.others + self.server


class Clock:
    """Takes down what things take, and says so while they do."""

    def __init__(self, data_dir: Path) -> None:
        self._postmaster = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        self.spent: dict[str, list[Spent]] = {}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        started, cpu = time.perf_counter(), self._cpu()
        yield
        seconds = time.perf_counter() - started
        own, others, server = (after - before for before, after in zip(cpu, self._cpu(), strict=True))
        self.spent.setdefault(what, []).append(Spent(seconds, own, others, server))
        print(f"{what}: {seconds:.2f} s, {own + others + server:.2f} s of CPU", file=sys.stderr, flush=True)

    def _cpu(self) -> tuple[float, float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        server = gauges.cpu(self._postmaster)["cpu_server"]
        return time.process_time(), children.ru_utime + children.ru_stime, server


class Rows:
    """The rows of the MES as COPY has them: the results, and what they refer to."""

    REFERRED: Final = ("Part", "QIFMeasurementPlan", "QIFCharacteristic", "SerializedPart")
    RESULTS: Final = "QIFMeasurementResult"

    def __init__(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            self._rows = {name: self._read(connection, name) for name in (*self.REFERRED, self.RESULTS)}

    @staticmethod
    def _read(connection: psycopg.Connection[Any], name: str) -> list[bytes]:
        with connection.cursor().copy(f'COPY public."{name}" TO STDOUT'.encode()) as rows:
            return [bytes(row) for row in rows]

    def insert(self, url: str, clock: Clock) -> None:
        """Put them into an empty MES; what is timed are the results."""
        with psycopg.connect(url) as connection:
            for name in self.REFERRED:
                self._write(connection, name)
            with clock("bare inserts"):
                self._write(connection, self.RESULTS)
            connection.rollback()

    def _write(self, connection: psycopg.Connection[Any], name: str) -> None:
        with connection.cursor().copy(f'COPY public."{name}" FROM STDIN'.encode()) as rows:
            for row in self._rows[name]:
                rows.write(row)


def own_peak() -> float:
    """MB that this process had at most. Linux counts in `ru_maxrss` what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peaks(kind: str, url: str, file: Path, schemas: Path | None) -> list[float]:
    """MB that a process has at most which exports the part, or imports it; and those that it begins."""
    more = [] if schemas is None else ["--schemas", str(schemas)]
    answer = subprocess.run(
        [sys.executable, __file__, "--peak", kind, url, str(file), *more],
        check=True,
        capture_output=True,
        text=True,
    )
    return [float(word) for word in answer.stdout.split()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-import", action="store_true")
    parser.add_argument(
        "--schemas", type=Path, help="folder of the QIF schemas, to check imported files against"
    )
    parser.add_argument("--json", type=Path, help="write the figures there, and as Markdown beside it")
    parser.add_argument("--peak", nargs=3, metavar=("KIND", "URL", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        kind, url, file = arguments.peak
        if kind == "export":
            export(url, Path(file))
        else:
            import_into(url, Path(file), arguments.schemas)
        print(own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
        return 0
    with tempfile.TemporaryDirectory(prefix="dotpeen-qif-") as name:
        folder = Path(name)
        url = embedded.start(folder / "postgres")
        try:
            return measure(url, folder, arguments)
        finally:
            embedded.stop(folder / "postgres")


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> int:
    load = os.getloadavg()[0]
    build(url, arguments.measurements)
    file, other = folder / "part.qif", folder / "lxml.xml"
    size = export(url, file)
    clock = Clock(folder / "postgres")
    memory = {"export": peaks("export", url, folder / "peak.qif", None)[0]}
    if not arguments.no_import:
        empty, rows = build_empty(url), Rows(url)
        own, check = peaks("import", empty, file, arguments.schemas)
        memory |= {"import": own, "its check": check}
    print(memory, file=sys.stderr, flush=True)
    for _ in range(arguments.repeat):
        with clock("export"):
            export(url, file)
        with clock("lxml parse"):
            etree.parse(str(file))
        with clock("lxml iterparse"):
            for _, element in etree.iterparse(str(file)):
                element.clear()
        if not arguments.no_import:
            clear(empty)
            with clock("import first"):
                import_into(empty, file, arguments.schemas)
            with clock("import again"):
                import_into(url, file, arguments.schemas)
            clear(empty)
            rows.insert(empty, clock)
        measurements = elements(file)
        with clock("lxml write"):
            write_with_lxml(measurements, other)
        del measurements
    return tell(arguments, size, clock.spent, memory, load)


def tell(
    arguments: argparse.Namespace,
    size: int,
    spent: dict[str, list[Spent]],
    memory: dict[str, float],
    load: float,
) -> int:
    """Print the figures, write them, and return whether the claims hold."""
    pairs = {"export / lxml write": ("lxml write", "export")}
    if "import first" in spent:
        for what in ("import first", "import again", "bare inserts"):
            for parse in ("lxml iterparse", "lxml parse"):
                pairs[f"{what} / {parse}"] = (parse, what)
    checked = "against the schemas" if arguments.schemas else "without the schemas"
    about = (
        f"{arguments.measurements:,} measurements, {size / 1e6:.1f} MB, imports checked {checked};"
        f" {arguments.repeat} rounds; {os.cpu_count()} cores, {platform.machine()}, Python"
        f" {platform.python_version()}, shared with PostgreSQL; load average before {load:.1f},"
        f" after {os.getloadavg()[0]:.1f}"
    )
    lines = [
        about,
        "",
        "| what | s, median | min-max | measurements/s | CPU s: own | begun | PostgreSQL |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for what, rounds in spent.items():
        seconds = [one.seconds for one in rounds]
        middle = statistics.median(seconds)
        cpu = [statistics.median(getattr(one, of) for one in rounds) for of in ("own", "others", "server")]
        lines.append(
            f"| {what} | {middle:.2f} | {min(seconds):.2f}-{max(seconds):.2f} | {arguments.measurements / middle:,.0f}"
            f" | {cpu[0]:.2f} | {cpu[1]:.2f} | {cpu[2]:.2f} |"
        )
    lines += ["", "| claim | measured | needed | holds | by CPU |", "| --- | --- | --- | --- | --- |"]
    met = True
    claims: dict[str, dict[str, Any]] = {}
    for claim, (to, of) in pairs.items():
        values = [a.seconds / b.seconds for a, b in zip(spent[to], spent[of], strict=True)]
        by_cpu = statistics.median(a.cpu / b.cpu for a, b in zip(spent[to], spent[of], strict=True))
        needed = {"export": EXPORT_RATIO, "import": IMPORT_RATIO}.get(of.split()[0])
        value = statistics.median(values)
        fine = needed is None or value >= needed
        met &= fine
        wanted = "for comparison" if needed is None else f">= {needed:g}"
        spread = f"{value:.2f} ({min(values):.2f}-{max(values):.2f})"
        lines.append(f"| {claim} | {spread} | {wanted} | {'yes' if fine else 'NO'} | {by_cpu:.2f} |")
        claims[claim] = {"ratios": values, "by CPU": by_cpu, "needed": needed}
    for what, peak in memory.items():
        met &= peak <= PEAK_MB
        holds = "yes" if peak <= PEAK_MB else "NO"
        lines.append(f"| MB at most, {what} | {peak:.0f} | <= {PEAK_MB:g} | {holds} | |")
    print("\n".join(lines))
    if arguments.json:
        report = {
            "measurements": arguments.measurements,
            "bytes": size,
            "schemas": arguments.schemas is not None,
            "spent": {what: [asdict(one) for one in rounds] for what, rounds in spent.items()},
            "megabytes": memory,
            "claims": claims,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
        arguments.json.with_suffix(".md").write_text("\n".join(lines) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
