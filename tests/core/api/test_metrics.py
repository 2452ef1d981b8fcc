"""`/metrics` says what happened, no more and no less."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.serving import samples, wait_for
from core.api.conftest import Api, build, plant_registry, serving
from dotpeen.api.figures import BOUNDS, REQUESTS, SECONDS, Board, Figures
from postgres import Server

pytestmark = pytest.mark.slow

RECORD = "/api/v1/external/parts/{uuid}"


def scrape(api: Api) -> dict[str, float]:
    answer = api.get("/metrics", internal=True)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


def label(route: str, *, entity: str = "Part", method: str = "GET", **more: str) -> str:
    labels = {"entity": entity, "method": method, "route": route} | more
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def of_parts(found: dict[str, float]) -> dict[str, float]:
    pattern = r'dotpeen_http_requests_total\{entity="Part",method="(\w+)",route="(.*)",status="(\d+)"\}'
    return {
        " ".join(match.groups()): value
        for name, value in found.items()
        if (match := re.fullmatch(pattern, name))
    }


def test_it_counts_every_request_once(own_api: Api) -> None:
    with psycopg.connect(own_api.database) as connection:
        uuids = [str(row[0]) for row in connection.execute('SELECT "persistentUuid" FROM "Part" LIMIT 5')]
    path = "/api/v1/external/parts"
    for uuid in uuids:
        assert own_api.get(f"{path}/{uuid}").status_code == 200
        assert httpx.get(f"{own_api.url}{path}/{uuid}").status_code == 401
    assert own_api.get(f"{path}/00000000-1111-4111-8111-111111111111").status_code == 404
    assert own_api.get(f"{path}/nonsense").status_code == 400
    assert own_api.get(f"{path}?limit=1").status_code == 200
    assert own_api.get(f"/api/parts/{uuids[0]}", internal=True).status_code == 200
    assert (
        httpx.post(f"{own_api.url}{path}/batch", headers=own_api.partner, json={"uuids": uuids}).status_code
        == 200
    )
    found = scrape(own_api)
    assert of_parts(found) == {
        f"GET {RECORD} 200": 5.0,
        f"GET {RECORD} 401": 5.0,
        f"GET {RECORD} 404": 1.0,
        f"GET {RECORD} 400": 1.0,
        f"GET {path} 200": 1.0,
        "GET /api/parts/{identifier} 200": 1.0,
        f"POST {path}/batch 200": 1.0,
    }
    seconds = "dotpeen_http_request_duration_seconds"
    assert found[f"{seconds}_count{label(RECORD)}"] == 12.0
    assert 0 < found[f"{seconds}_sum{label(RECORD)}"] < 60
    buckets = [found[f"{seconds}_bucket{label(RECORD, le=le)}"] for le in [*map(str, BOUNDS), "+Inf"]]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 12.0


def test_what_is_no_route_makes_no_series_of_its_own(own_api: Api) -> None:
    for path in ("/nothing", "/wp-admin", "/api/v1/external/nothing/1", "/api/%00"):
        httpx.get(own_api.url + path)
    httpx.request("PROPFIND", f"{own_api.url}/nothing")
    found = scrape(own_api)
    names = [name for name in found if name.startswith("dotpeen_http_requests_total")]
    assert not any("nothing" in name or "wp-admin" in name or "PROPFIND" in name for name in names)
    assert sum(found[name] for name in names if 'route=""' in name) == 5.0


def test_it_is_what_prometheus_reads(api: Api) -> None:
    answer = api.get("/metrics", internal=True)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert all(family.documentation for family in families.values())
    assert {name: family.type for name, family in families.items() if name.startswith("dotpeen_http")} == {
        "dotpeen_http_requests": "counter",
        "dotpeen_http_request_duration_seconds": "histogram",
        "dotpeen_http_requests_in_flight": "gauge",
    }
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    open_metrics = httpx.get(f"{api.url}/metrics", headers=api.internal | accept)
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


def test_it_tells_how_the_site_is(own_api: Api) -> None:
    found = scrape(own_api)
    assert found["dotpeen_database_up"] == 1.0
    assert found["dotpeen_external_enabled"] == 1.0
    assert found["dotpeen_processes"] == 1.0
    assert found["dotpeen_pool_connections_max"] == float(own_api.registry.api.pool_size)
    assert found["dotpeen_pool_connections"] >= 2.0
    assert found["dotpeen_pool_requests_waiting"] == found["dotpeen_audit_entries_waiting"] == 0.0
    ready = {name: value for name, value in found.items() if name.startswith("dotpeen_entity_ready")}
    assert len(ready) == len(own_api.registry.entities)
    assert ready['dotpeen_entity_ready{entity="Part"}'] == 1.0
    assert found['dotpeen_migration_stage{entity="Part",stage="verify"}'] == 1.0
    rows = found['dotpeen_migration_rows{entity="Part"}']
    assert found['dotpeen_migration_rows_done{entity="Part"}'] == rows > 0
    assert any(name.startswith("dotpeen_build_info{") and 'version="' in name for name in found)
    with psycopg.connect(own_api.database) as connection:
        connection.execute("UPDATE dotpeen.api_state SET external_enabled = false")
    wait_for(lambda: scrape(own_api)["dotpeen_external_enabled"] == 0.0, "the switch is seen")


def test_requests_under_way_are_in_flight(own_api: Api) -> None:
    import threading

    with psycopg.connect(own_api.database) as connection:
        connection.execute('LOCK TABLE "Part" IN ACCESS EXCLUSIVE MODE')
        path = f"{own_api.url}/api/parts?limit=1"
        threads = [
            threading.Thread(
                target=httpx.get, args=(path,), kwargs={"headers": own_api.internal, "timeout": 60}
            )
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        name = 'dotpeen_http_requests_in_flight{entity="Part",route="/api/parts"}'
        wait_for(lambda: scrape(own_api).get(name) == 3.0, "three are in flight")
    for thread in threads:
        thread.join()
    assert scrape(own_api)[name] == 0.0


def test_partners_and_strangers_have_no_metrics(api: Api) -> None:
    assert api.get("/metrics").status_code == 401
    strange = httpx.get(f"{api.url}/metrics")
    assert (strange.status_code, strange.headers["content-type"]) == (401, "application/problem+json")


@pytest.fixture
def inside(server: Server) -> Iterator[Api]:
    """The internal listener."""
    url = server.create(server.template("api", build))
    with serving(url, plant_registry(), trusted=True) as running:
        yield running
    server.drop(url)


def test_on_the_internal_listener_they_are_open(inside: Api) -> None:
    assert httpx.get(f"{inside.url}/metrics").status_code == 200


def test_processes_add_up() -> None:
    board = Board(2)
    first, second = Figures(board, slot=0), Figures(board, slot=1)
    for figures, times in ((first, 3), (second, 4)):
        for _ in range(times):
            figures.finished("GET", "/parts", "Part", 200, 0.004)
        figures.publish({"process": 1.0, "pool size": 8.0})
    totals = board.totals()
    assert totals[REQUESTS, "GET", "/parts", "Part", "200"] == [7.0]
    assert totals["gauge pool size",] == [16.0]
    histogram = totals[SECONDS, "GET", "/parts", "Part"]
    assert histogram[3] == 7.0
    assert histogram[-1] == pytest.approx(0.028)


def test_a_process_that_dies_leaves_its_counts_and_no_gauges() -> None:
    """A real process, killed with what it counted in memory; the next in its slot counts on."""
    board = Board(1)
    child = os.fork()
    if child == 0:
        figures = Figures(board)
        figures.finished("GET", "/parts", "Part", 200, 20.0)
        figures.publish({"process": 1.0})
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert board.totals()["gauge process",] == [1.0]
    board.slots[0].forget_gauges()
    after = Figures(board)
    after.finished("GET", "/parts", "Part", 200, 0.1)
    totals = board.totals()
    assert totals["gauge process",] == [0.0]
    assert totals[REQUESTS, "GET", "/parts", "Part", "200"] == [2.0]
    assert totals[SECONDS, "GET", "/parts", "Part"][len(BOUNDS)] == 1.0


def test_bounds_belong_to_the_bucket_below() -> None:
    figures = Figures()
    for seconds in (0.0, 0.0005, 0.00051, 10.0, 10.1):
        figures.finished("GET", "/", "", 200, seconds)
    cells = figures.board.totals()[SECONDS, "GET", "/", ""]
    assert cells[:2] == [2.0, 1.0]
    assert cells[len(BOUNDS) - 1 : len(BOUNDS) + 1] == [1.0, 1.0]


def test_there_is_room_for_a_large_site() -> None:
    figures = Figures()
    for entity in range(300):
        for route in range(13):
            figures.finished(
                "GET", f"/api/v1/external/entities-of-kind-{entity}/{route}", f"Entity{entity}", 200, 0.1
            )
    assert len(figures.board.totals()) == 300 * 13 * 2
