"""Routes that plugins add: behind everything that stands before ours, and unable to do the others harm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from openapi_spec_validator import validate

from core.foreign import foreign
from dotpeen.api.openapi import document
from dotpeen.database import connect
from dotpeen.partners import RateLimit, Scope, store
from dotpeen.plugins import load_plugins
from dotpeen.records import load_shapes

from .conftest import Api, build, serving
from .contract import Contract
from .test_exports import crane_registry

if TYPE_CHECKING:
    from postgres import Server

__all__ = ["foreign"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crane(server: Server, foreign: Path) -> Iterator[Api]:
    """The sample MES with the plugin `crane`, whose routes have a second."""
    url = server.create(server.template("api", build))
    registry = crane_registry(request_timeout=timedelta(seconds=1))
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)


@pytest.fixture(scope="module")
def parts(crane: Api) -> str:
    """Where a part is, externally."""
    with psycopg.connect(crane.database) as connection:
        row = connection.execute('SELECT "persistentUuid"::text FROM "Part" LIMIT 1').fetchone()
    assert row is not None
    return f"/api/v1/external/parts/{row[0]}"


def token(api: Api, name: str, *scopes: Scope, limit: RateLimit | None = None) -> dict[str, str]:
    with connect(api.database, purpose="test") as connection:
        made = store.add(connection, name, set(scopes), by="tests", limit=limit).token
    return {"authorization": f"Bearer {made.text}"}


def test_a_partner_is_answered(crane: Api, parts: str) -> None:
    answer = crane.get(f"{parts}/load?factor=2")
    assert (answer.status_code, answer.json()) == (200, {"tonnes": 7.0, "crane": "Acme"})
    assert answer.headers["cache-control"] == "private, no-cache"
    head = crane.client.head(f"{crane.url}{parts}/load", headers=crane.partner)
    assert (head.status_code, head.content) == (200, b"")
    body = {"tonnes": 2, "crane": "north"}
    lifted = crane.client.post(f"{crane.url}{parts}/load", headers=crane.partner, json=body)
    assert (lifted.status_code, lifted.json()) == (201, {"lifted": 2.0})
    file = crane.get(f"{parts}/files/a/b.txt")
    assert file.text == "a/b.txt" * 40_000


def test_the_site_has_its_own(crane: Api) -> None:
    assert crane.get("/api/cranes", internal=True).json() == ["north", "south"]
    assert crane.get("/api/cranes").status_code == 401


def test_who_may_not_read_the_entity_may_not_use_its_routes(crane: Api, parts: str) -> None:
    assert httpx.get(f"{crane.url}{parts}/load").status_code == 401
    lots = token(crane, "Lots", Scope("MaterialLot", "read"))
    refused = httpx.get(f"{crane.url}{parts}/load", headers=lots)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "the token does not carry the scope Part:read",
    )
    reader = token(crane, "Reader", Scope("Part", "read"))
    assert httpx.get(f"{crane.url}{parts}/load", headers=reader).status_code == 200
    body = {"tonnes": 2, "crane": "north"}
    refused = httpx.post(f"{crane.url}{parts}/load", headers=reader, json=body)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "the token does not carry the scope Part:write",
    )


def test_requests_are_limited_and_recorded(crane: Api, parts: str) -> None:
    few = token(crane, "Few", Scope("Part", "read"), limit=RateLimit(2, 3600))
    headers = few | {"x-request-id": "route-of-the-audit-test"}
    answers = [httpx.get(f"{crane.url}{parts}/load", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-remaining"] == "1"
    with psycopg.connect(crane.database) as connection:
        rows = connection.execute(
            "SELECT partner, route, entity, uuid::text, status FROM dotpeen.audit"
            " WHERE request_id = 'route-of-the-audit-test' ORDER BY id"
        ).fetchall()
    route, uuid = "/api/v1/external/parts/{uuid}/load", parts.rpartition("/")[2]
    assert rows == [
        ("Few", route, "Part", uuid if status == 200 else None, status) for status in (200, 200, 429)
    ]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("raises", 500, "/problems/internal-error"),
        ("hangs", 503, "/problems/timeout"),
        ("refuses/400", 400, "/problems/invalid-query"),
        ("refuses/404", 404, "/problems/not-found"),
        ("refuses/418", 418, "about:blank"),
        ("refuses/x", 422, "/problems/invalid-value"),
        ("load/none", 404, "/problems/not-found"),
    ],
)
def test_what_goes_wrong_is_a_problem(
    crane: Api, parts: str, caplog: pytest.LogCaptureFixture, path: str, status: int, kind: str
) -> None:
    began = time.monotonic()
    answer = crane.get(f"{parts}/{path}")
    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert time.monotonic() - began < 3
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    if status >= 500:
        assert any(
            text.startswith(f"plugin crane: GET /api/v1/external/parts/{{uuid}}/{path} ") for text in logged
        )


def test_a_method_that_a_route_has_not_is_told(crane: Api, parts: str) -> None:
    answer = crane.client.delete(f"{crane.url}{parts}/load", headers=crane.partner)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_an_error_on_the_way_cuts_the_answer_off(crane: Api, parts: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        crane.get(f"{parts}/files-broken")


def test_a_route_that_blocks_its_loop_holds_up_nobody_else(crane: Api, parts: str) -> None:
    thread = threading.Thread(target=lambda: httpx.get(f"{crane.url}{parts}/blocks", headers=crane.partner))
    thread.start()
    time.sleep(0.2)
    longest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert crane.get(parts).status_code == 200
        longest = max(longest, time.monotonic() - began)
    assert longest < 0.5
    late = crane.get(f"{parts}/load")
    assert (late.status_code, late.json()["type"]) == (503, "/problems/timeout")
    thread.join()
    time.sleep(2)
    assert crane.get(f"{parts}/load").status_code == 200, "it has come back"


def test_a_route_that_hangs_in_threads_is_not_given_ever_more_of_them(crane: Api, parts: str) -> None:
    before = threading.active_count()

    def ask() -> None:
        answer = httpx.get(f"{crane.url}{parts}/waits", headers=crane.partner)
        answers.append(answer.json()["type"])

    answers: list[str] = []
    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    time.sleep(0.8)
    assert threading.active_count() - before - sum(thread.is_alive() for thread in threads) < 25
    for thread in threads:
        thread.join()
    assert set(answers) == {"/problems/timeout", "/problems/busy"}
    time.sleep(3)
    assert crane.get(f"{parts}/load").status_code == 200


def test_a_route_of_ours_is_never_replaced(crane: Api, parts: str) -> None:
    assert crane.get(parts).json()["data"]["persistentUuid"] == parts.rpartition("/")[2]


def test_they_are_documented_with_what_stands_before_them(crane: Api) -> None:
    plugins = load_plugins(crane.registry)
    with connect(crane.database, purpose="test") as connection:
        shapes = load_shapes(connection, crane.registry)
    external, internal = (
        document(crane.registry, shapes, internal=internal, plugins=plugins) for internal in (False, True)
    )
    validate(external)
    validate(internal)
    assert crane.get("/openapi.json").json() == external
    load = external["paths"]["/api/v1/external/parts/{uuid}/load"]["get"]
    assert (load["tags"], load["summary"]) == (["Part"], "How heavy a part is")
    assert load["security"] == [{"token": []}, {"oauth2": ["Part:read"]}]
    assert {"200", "401", "403", "422", "429", "500", "503"} <= load["responses"].keys()
    schema = load["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert "tonnes" in Contract(external).resolved({"$ref": schema})["properties"]
    card = external["paths"]["/api/v1/external/parts/{uuid}/export/card"]["get"]
    assert [one.get("name") for one in card["parameters"]] == ["uuid", "size", "name", None]
    assert list(card["responses"]["200"]["content"]) == ["text/plain; charset=utf-8"]
    assert ("/api/cranes" in external["paths"], "/api/cranes" in internal["paths"]) == (False, True)
    assert "/api/parts/{identifier}/export/card" in internal["paths"]
    assert not any("hidden" in str(operation) for operation in external["paths"].values())
    without = document(crane.registry, shapes, internal=True)
    assert not any("load" in path or "export" in path for path in without["paths"])
