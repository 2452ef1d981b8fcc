"""Whatever stands in the MES' columns, the documents are valid."""

from __future__ import annotations

import gc
import math
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree
from psycopg import IsolationLevel

from dotpeen.database import connect
from dotpeen.demo.sample import create_schema
from dotpeen.hooks import ExportRequest
from dotpeen.migration import Runner
from dotpeen_qif.exporting.exporters import open_document
from dotpeen_qif.settings import Settings
from dotpeen_qif.validate import validate
from qif.test_export import QIF, site

PART = "11111111-1111-4111-8111-111111111111"

# PostgreSQL has no NUL, and its UTF-8 no surrogates.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
numbers = st.one_of(
    st.floats(),
    st.floats(-100, 100),
    st.sampled_from(
        [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1, 1e21, 1e-7]
    ),
)
kinds = st.one_of(
    st.sampled_from(
        [
            *("LENGTH", "DIAMETER", "RADIUS", "ANGLE", "POSITION", "FLATNESS", "STRAIGHTNESS", "CIRCULARITY"),
            *(
                "CYLINDRICITY",
                "PARALLELISM",
                "PERPENDICULARITY",
                "ANGULARITY",
                "PROFILE",
                "RUNOUT",
                "TOTAL_RUNOUT",
            ),
            *(
                "SYMMETRY",
                "CONCENTRICITY",
                "COAXIALITY",
                "DISTANCE",
                "LINEAR_COORDINATE",
                "ROUGHNESS",
                "VISUAL",
            ),
            *("ANGLE_BETWEEN", "WIDTH", "SPHERICITY", "POINT_PROFILE", "USER_DEFINED_UNIT"),
        ]
    ),
    texts,
)
units = st.one_of(
    st.sampled_from(["mm", "in", "deg", "rad", "kg", "N", "MPa", "C", "", "RZ", "mm2", "s"]), texts
)
statuses = st.one_of(st.sampled_from(["PASS", "FAIL", "REWORK", "pending"]), texts)
characteristics = st.tuples(texts, kinds, st.none() | texts, numbers, numbers, numbers, units)
results = st.tuples(
    numbers,
    statuses,
    st.none() | texts,
    st.none() | texts,
    st.sampled_from(
        [
            "2024-02-29 12:00:00.5",
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "10000-01-01",
            "1999-12-31 23:59:59.999",
        ]
    ),
)


class Bench:
    """An MES with one part, whose rows a test chooses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.registry = site()

    def fill(self, part: str, plan: str, characteristics: list[Any], results: list[Any], serial: str) -> None:
        with connect(self.url, purpose="test") as connection, connection.transaction():
            connection.execute('TRUNCATE public."Part" CASCADE')
            connection.execute(
                'INSERT INTO public."Part" ("id", "partNumber", "description", "updatedAt", "persistentUuid")'
                " VALUES ('p', %s, %s, now(), %s)",
                [part, serial, PART],
            )
            connection.execute(
                'INSERT INTO public."QIFMeasurementPlan" ("id", "planNumber", "version", "partId", "name", "updatedAt")'
                " VALUES ('q', %s, %s, 'p', %s, now())",
                [plan, serial, part],
            )
            connection.cursor().executemany(
                'INSERT INTO public."QIFCharacteristic" ("id", "planId", "characteristicNumber", "name",'
                ' "characteristicType", "balloonNumber", "nominalValue", "toleranceUpper", "toleranceLower", "unit",'
                " \"updatedAt\") VALUES (%s, 'q', %s, %s, %s, %s, %s, %s, %s, %s, now())",
                [(f"c{n}", n, *row) for n, row in enumerate(characteristics)],
            )
            connection.execute(
                'INSERT INTO public."SerializedPart" ("id", "serialNumber", "partId", "lotNumber", "updatedAt")'
                " VALUES ('s', %s, 'p', %s, now())",
                [serial, plan],
            )
            if characteristics:
                connection.cursor().executemany(
                    'INSERT INTO public."QIFMeasurementResult" ("id", "characteristicId", "serializedPartId",'
                    ' "measuredValue", "deviation", "status", "deviceName", "operatorBadge", "measuredAt", "updatedAt")'
                    " VALUES (%s, %s, 's', %s, 0, %s, %s, %s, %s::timestamp, now())",
                    [(f"r{n}", f"c{n % len(characteristics)}", *row) for n, row in enumerate(results)],
                )

    def export(self, kind: Any) -> bytes:
        with connect(self.url, purpose="test") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                part = self.registry.entities["Part"]
                request = ExportRequest(self.registry, connection, part, PART, "internal")
                return b"".join(open_document(kind, Settings(), request).chunks)


@pytest.fixture(scope="module")
def bench(server: Any) -> Iterator[Bench]:
    def build(url: str) -> None:
        with connect(url, purpose="test") as connection:
            create_schema(connection)
        registry = site()
        with Runner(url, registry, registry.select(phase=1)) as runner:
            runner.up()

    url = server.create(server.template("qif_bench", build))
    yield Bench(url)
    server.drop(url)


@pytest.fixture(scope="module")
def schemas(standards: Path) -> Path:
    return standards / "qif" / "xsd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qif")


def errors(bench: Bench, kind: str, folder: Path, schemas: Path) -> list[str]:
    file = folder / f"{kind}.qif"
    file.write_bytes(bench.export(kind))
    report = validate(file, schema_dir=schemas)
    return [str(finding) for finding in report.findings if finding.severity == "error"]


ANY = {
    "part": texts,
    "plan": texts,
    "characteristics": st.lists(characteristics, max_size=5),
    "results": st.lists(results, max_size=6),
    "serial": texts,
}


def check(bench: Bench, folder: Path, schemas: Path, rows: dict[str, Any]) -> None:
    bench.fill(**rows)
    assert errors(bench, "qif", folder, schemas) == []
    assert errors(bench, "qif-results", folder, schemas) == []


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.fixed_dictionaries(ANY))
def test_any_data_give_valid_documents(
    bench: Bench, folder: Path, schemas: Path, rows: dict[str, Any]
) -> None:
    check(bench, folder, schemas, rows)


@pytest.mark.slow
@settings(
    max_examples=300,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.fixed_dictionaries(ANY))
def test_a_lot_of_any_data_give_valid_documents(
    bench: Bench, folder: Path, schemas: Path, rows: dict[str, Any]
) -> None:
    check(bench, folder, schemas, rows)


def test_a_part_without_anything_is_a_valid_document(bench: Bench, folder: Path, schemas: Path) -> None:
    bench.fill("PN-1", "MP-1", [], [], "SN-1")
    assert errors(bench, "qif", folder, schemas) == []
    assert errors(bench, "qif-plan", folder, schemas) == []
    assert errors(bench, "qif-results", folder, schemas) == []


def test_control_characters_are_replaced_and_said_so(bench: Bench) -> None:
    row = ("Bore\a", "DIAMETER", "1", 10.0, 0.1, -0.1, "mm")
    result = (10.0, "PASS", None, "B\x01", "2024-01-01")
    bench.fill("PN-1", "MP-1", [row], [result], "SN\r\x1b1")
    document = etree.fromstring(bench.export("qif"))
    assert document.findtext(f".//{QIF}DiameterCharacteristicItem/{QIF}Name") == "Bore\u2407"
    assert document.findtext(f".//{QIF}SerialNumber") == "SN\r\u241b1"
    note = document.find(f"{QIF}Attributes/{QIF}AttributeStr")
    assert note is not None
    assert note.attrib == {
        "name": "replacedCharacters",
        "value": "Part QIFCharacteristic QIFMeasurementPlan QIFMeasurementResult SerializedPart",
    }


def test_numbers_keep_their_digits_and_lose_their_exponents(bench: Bench) -> None:
    row = ("Bore", "DIAMETER", "1", 25.399999999999999, 1e-7, math.nan, "mm")
    values = [25.399999999999999, 1e-7, 1.5e21, math.nan, math.inf]
    bench.fill("PN", "MP", [row], [(v, "PASS", None, None, "2024-01-01") for v in values], "SN")
    document = etree.fromstring(bench.export("qif"))
    assert document.findtext(f".//{QIF}TargetValue") == "25.4"
    assert document.findtext(f".//{QIF}MaxValue") == "0.0000001"
    assert document.findtext(f".//{QIF}MinValue") is None
    measured = document.findall(f".//{QIF}DiameterCharacteristicMeasurement")
    found = [
        one.findtext(f"{QIF}Value") or one.find(f".//{QIF}AttributeStr[@name='measuredValue']").get("value")  # type: ignore[union-attr]
        for one in measured
    ]
    assert sorted(found) == ["0.0000001", "1500000000000000000000", "25.4", "Infinity", "NaN"]


def test_thousands_of_characteristics(bench: Bench, folder: Path, schemas: Path) -> None:
    rows = [(f"Hole {n}", "POSITION", str(n), 0.0, 0.05, 0.0, "mm") for n in range(1500)]
    bench.fill("PN", "MP", rows, [(0.01, "PASS", "CMM", None, "2024-01-01")], "SN")
    document = etree.fromstring(bench.export("qif-plan"))
    assert document.find(f".//{QIF}CharacteristicItems").get("n") == "1500"  # type: ignore[union-attr]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_results(bench: Bench) -> None:
    rows = [(f"Bore {n}", "DIAMETER", str(n), 10.0, 0.1, -0.1, "mm") for n in range(10)]
    bench.fill("PN", "MP", rows, [], "SN")
    peaks = []
    for serials in (500, 10_000):
        with connect(bench.url, purpose="test") as connection:
            connection.execute('TRUNCATE public."QIFMeasurementResult"')
            connection.execute('DELETE FROM public."SerializedPart"')
            connection.execute(
                'INSERT INTO public."SerializedPart" ("id", "serialNumber", "partId", "updatedAt")'
                " SELECT 's' || i, 'SN-' || i, 'p', now() FROM generate_series(1, %s) AS i",
                [serials],
            )
            connection.execute(
                'INSERT INTO public."QIFMeasurementResult" ("id", "characteristicId", "serializedPartId",'
                ' "measuredValue", "deviation", "status", "measuredAt", "updatedAt") SELECT \'r\' || s || \'-\' || c,'
                " 'c' || c, 's' || s, 10 + c / 1000.0, 0, 'PASS', now(), now()"
                " FROM generate_series(1, %s) AS s, generate_series(0, 9) AS c",
                [serials],
            )
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                part = bench.registry.entities["Part"]
                request = ExportRequest(bench.registry, connection, part, PART, "internal")
                gc.collect()
                tracemalloc.start()
                size = sum(len(chunk) for chunk in open_document("qif", Settings(), request).chunks)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
    assert size > 50_000_000
    # 20 times the results: the first peak is that of a batch, too.
    assert peaks[1] < peaks[0] + 4_000_000
    assert peaks[1] < 20_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 600 * 1024
