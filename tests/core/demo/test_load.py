"""The plant's load: it works at its rate, counts every failure, comes back, and stops when told."""

import time
from collections.abc import Callable

import psycopg
import pytest

from dotpeen.demo.load import APPLICATION_NAME, Histogram, Writers
from dotpeen.demo.sample import create_schema, fill


def build(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        create_schema(connection)
        fill(connection, 1000)


@pytest.fixture
def plant(template_database: Callable[[str, Callable[[str], None]], str]) -> str:
    """The URL of a filled sample."""
    return template_database("demo_load", build)


def wait_until(happened: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it didn't happen in time"
        time.sleep(0.02)


def total(url: str) -> int:
    tables = ("Part", "SerializedPart", "WorkOrder", "QIFMeasurementResult")
    with psycopg.connect(url) as connection:
        return sum(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables)


def test_phases_are_reported_apart_and_in_order(plant: str) -> None:
    rows = total(plant)
    with Writers(plant, writes_per_second=200) as writers:
        for phase in ("during", "after"):
            time.sleep(0.25)
            writers.mark(phase)
        time.sleep(0.25)
    report = writers.report()
    assert list(report) == ["before", "during", "after"]
    for phase in report.values():
        assert (phase.failed, phase.errors) == (0, ())
        assert phase.statements >= phase.writes > 0
        assert 0 < phase.p50 <= phase.p95 <= phase.p99 <= phase.max
    assert total(plant) > rows


def test_the_rate_is_kept(plant: str) -> None:
    with Writers(plant, writes_per_second=100) as writers:
        time.sleep(1)
    before = writers.report()["before"]
    assert 50 < before.writes / before.seconds < 130


def test_failing_statements_are_counted_with_their_error(plant: str) -> None:
    with Writers(plant, writes_per_second=200) as writers, psycopg.connect(plant, autocommit=True) as other:
        writers.mark("during")
        wait_until(lambda: writers.report()["during"].statements > 20)
        other.execute('ALTER TABLE "Part" RENAME COLUMN "status" TO "state"')
        wait_until(lambda: writers.report()["during"].failed >= 3)
        other.execute('ALTER TABLE "Part" RENAME COLUMN "state" TO "status"')
    report = writers.report()
    assert report["before"].failed == 0
    assert report["during"].errors[0].startswith('UndefinedColumn: column "status"')


def test_a_lost_connection_is_a_failure_and_work_goes_on(plant: str) -> None:
    with Writers(plant, writes_per_second=200) as writers, psycopg.connect(plant, autocommit=True) as other:
        wait_until(lambda: writers.report()["before"].statements > 20)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            [APPLICATION_NAME],
        )
        wait_until(lambda: writers.report()["before"].failed > 0)
        time.sleep(0.3)
        writers.mark("after")
        wait_until(lambda: writers.report()["after"].statements > 20)
    assert writers.report()["after"].failed == 0


def test_waiting_for_a_lock_shows_as_latency_of_the_phase_of_the_lock(plant: str) -> None:
    with Writers(plant, writes_per_second=200) as writers, psycopg.connect(plant) as other:
        writers.mark("during")
        other.execute('LOCK TABLE "Part" IN ACCESS EXCLUSIVE MODE')
        time.sleep(0.6)
        writers.mark("after")
        other.commit()
        time.sleep(0.4)
    during = writers.report()["during"]
    assert (during.max > 0.4, during.p95 > 0.1, during.failed) == (True, True, 0)


def test_leaving_is_prompt_even_when_a_lock_is_held(plant: str) -> None:
    with psycopg.connect(plant) as other:
        with Writers(plant, writes_per_second=200) as writers:
            other.execute('LOCK TABLE "Part" IN ACCESS EXCLUSIVE MODE')
            time.sleep(0.3)
            left = time.monotonic()
        assert time.monotonic() - left < 4
        assert "QueryCanceled" in writers.report()["before"].errors[0]


def test_no_connection_stays_behind(plant: str) -> None:
    with Writers(plant):
        time.sleep(0.2)
    with psycopg.connect(plant, autocommit=True) as connection:
        query = (
            "SELECT count(*) = 0 FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()"
        )
        wait_until(lambda: connection.execute(query, [APPLICATION_NAME]).fetchone() == (True,))


def test_an_empty_plant_is_refused(database: str) -> None:
    with psycopg.connect(database) as connection:
        create_schema(connection)
    with pytest.raises(ValueError, match="fill them before"), Writers(database):
        pass


def test_another_schema_is_found_by_its_name(database: str) -> None:
    with psycopg.connect(database) as connection:
        create_schema(connection, schema="Plant 2")
        fill(connection, 200, schema="Plant 2")
    with Writers(database, schema="Plant 2") as writers:
        wait_until(lambda: writers.report()["before"].statements > 5)
    assert writers.report()["before"].errors == ()


def test_a_phase_cannot_begin_twice(plant: str) -> None:
    with Writers(plant) as writers, pytest.raises(ValueError, match="'before' has been already"):
        writers.mark("before")


def test_percentiles_are_at_most_two_percent_too_high() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 1001):
        histogram.add(milliseconds / 1000)
    found = [histogram.percentile(percent) for percent in (50, 95, 99, 100)]
    assert found == pytest.approx([0.5, 0.95, 0.99, 1.0], rel=0.021)
    assert (histogram.max, Histogram().percentile(99)) == (1.0, 0.0)
