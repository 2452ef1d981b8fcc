"""Documents over REST: who gets them, what their headers say, and what happens when it goes wrong."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import psycopg
import pytest

from acceptance.serving import wait_for
from core.foreign import foreign
from dotpeen.api import streaming
from dotpeen.database import connect
from dotpeen.partners import Scope, store
from dotpeen.plugins import load_plugins
from dotpeen.registry import Registry

from .conftest import Api, build, plant_registry, serving

if TYPE_CHECKING:
    from postgres import Server

__all__ = ["foreign"]

pytestmark = pytest.mark.slow


def crane_registry(**api: Any) -> Registry:
    registry = plant_registry()
    crane = type(registry.plugins["qif"])(enabled=True)
    settings = registry.api.model_copy(update=api)
    return registry.model_copy(update={"plugins": {"crane": crane}, "api": settings})


@pytest.fixture(scope="module")
def crane(server: Server, foreign: Path) -> Iterator[Api]:
    """The sample MES with the plugin `crane`."""
    url = server.create(server.template("api", build))
    registry = crane_registry()
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)


@pytest.fixture(scope="module")
def part(crane: Api) -> tuple[str, str]:
    """A part's UUID and number."""
    with psycopg.connect(crane.database) as connection:
        row = connection.execute(
            'SELECT "persistentUuid"::text, "partNumber" FROM "Part" ORDER BY "partNumber" LIMIT 1'
        ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.fixture
def reader(crane: Api) -> Iterator[dict[str, str]]:
    """Headers of a partner that may read parts only."""
    with connect(crane.database, purpose="test") as connection:
        token = store.add(connection, "Reader", {Scope("Part", "read")}, by="tests").token
    yield {"authorization": f"Bearer {token.text}"}
    with psycopg.connect(crane.database, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM dotpeen.partner_token WHERE partner_id IN"
            " (SELECT id FROM dotpeen.partner WHERE name = 'Reader')"
        )
        connection.execute("DELETE FROM dotpeen.partner WHERE name = 'Reader'")


def exports_under_way(api: Api) -> int:
    with psycopg.connect(api.database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dotpeen export'"
            " AND datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def test_a_partner_gets_the_document(crane: Api, part: tuple[str, str]) -> None:
    uuid, number = part
    answer = crane.get(f"/api/v1/external/parts/{uuid}/export/card")
    assert answer.status_code == 200, answer.text
    assert answer.text.splitlines()[::2] == [number, "external"]
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{number}.txt"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"].startswith('W/"')


def test_the_site_gets_it_by_any_identifier(crane: Api, part: tuple[str, str]) -> None:
    uuid, number = part
    for identifier in (uuid, number):
        answer = crane.get(f"/api/parts/{identifier}/export/card", internal=True)
        assert (answer.status_code, answer.text.splitlines()[::2]) == (200, [number, "internal"])
    assert crane.get(f"/api/parts/{uuid}/export/card").status_code == 401


def test_who_has_it_is_not_sent_it_again(crane: Api, part: tuple[str, str]) -> None:
    path = f"/api/v1/external/parts/{part[0]}/export/card"
    first = crane.get(path)
    again = crane.client.get(
        crane.url + path, headers=crane.partner | {"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = crane.client.get(
        f"{crane.url}{path}?size=2", headers=crane.partner | {"if-none-match": first.headers["etag"]}
    )
    assert (other.status_code, len(other.content)) == (200, 2 * len(first.content))


def test_head_has_the_headers_and_no_body(crane: Api, part: tuple[str, str]) -> None:
    path = f"/api/v1/external/parts/{part[0]}/export/card"
    head = crane.client.head(crane.url + path, headers=crane.partner | {"accept-encoding": "identity"})
    get = crane.client.get(crane.url + path, headers=crane.partner | {"accept-encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-disposition"):
        assert head.headers[name] == get.headers[name]
    assert head.headers.get("content-length") is None, "nobody knows it before the document is made"
    assert "transfer-encoding" not in head.headers
    record = crane.client.head(f"{crane.url}/api/v1/external/parts/{part[0]}", headers=crane.partner)
    assert int(record.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("Größe 1.txt", "attachment; filename=\"Gr__e 1.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.txt"),
        ('a"; x="y\r\nset-cookie: a=b.txt', None),
        ("../../etc/passwd", None),
        ("", None),
    ],
)
def test_a_file_name_can_do_no_harm(crane: Api, part: tuple[str, str], name: str, header: str | None) -> None:
    answer = crane.get(f"/api/v1/external/parts/{part[0]}/export/card", params={"name": name})
    found = answer.headers["content-disposition"]
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "/" not in found
    assert found.count('"') == 2
    if header is not None:
        assert found == header
    if not name:
        assert found == f'attachment; filename="{part[0]}.txt"'


def test_it_is_compressed_for_who_accepts_that(crane: Api, part: tuple[str, str]) -> None:
    path = f"/api/v1/external/parts/{part[0]}/export/large?megabytes=3"
    packed = crane.client.get(crane.url + path, headers=crane.partner | {"accept-encoding": "gzip"})
    plain = crane.client.get(crane.url + path, headers=crane.partner | {"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.num_bytes_downloaded < 100_000
    assert packed.content == plain.content == bytes(3 << 20)
    assert "content-encoding" not in plain.headers


def test_the_audit_trail_has_it(crane: Api, part: tuple[str, str]) -> None:
    request_id = "export-of-the-audit-test"
    headers = crane.partner | {"x-request-id": request_id}
    crane.client.get(f"{crane.url}/api/v1/external/parts/{part[0]}/export/card", headers=headers)
    with psycopg.connect(crane.database) as connection:
        row = connection.execute(
            "SELECT partner, route, entity, uuid::text, records, status FROM dotpeen.audit WHERE request_id = %s",
            [request_id],
        ).fetchone()
    assert row == ("Acme", "/api/v1/external/parts/{uuid}/export/card", "Part", part[0], 1, 200)


@pytest.mark.parametrize(
    ("path", "status", "kind", "detail"),
    [
        ("parts/550e8400-e29b-41d4-a716-446655440000/export/card", 404, "not-found", "no Part has this UUID"),
        ("parts/@/export/none", 404, "not-found", "there are broken, card, deep, endless"),
        ("parts/PN-1/export/card", 400, "invalid-uuid", ""),
        ("parts/@/export/card?colour=red", 400, "invalid-query", "the format has no option 'colour'"),
        ("parts/@/export/card?size=1&size=2", 400, "invalid-query", "twice"),
        ("parts/@/export/card?size=-1", 400, "invalid-query", "size: is not negative"),
        ("parts/@/export/card?size=none", 404, "not-found", "this part has no card"),
        ("parts/@/export/rubbish", 500, "internal-error", ""),
        ("work-orders/@/export/card", 404, "not-found", "there is no such resource"),
    ],
)
def test_a_refusal_is_a_problem(
    crane: Api, part: tuple[str, str], path: str, status: int, kind: str, detail: str
) -> None:
    answer = crane.get(f"/api/v1/external/{path.replace('@', part[0])}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"/problems/{kind}"
    assert detail in answer.json()["detail"]
    assert "secret" not in answer.text


def test_every_entity_in_a_document_needs_its_scope(
    crane: Api, part: tuple[str, str], reader: dict[str, str]
) -> None:
    path = f"{crane.url}/api/v1/external/parts/{part[0]}/export"
    assert httpx.get(f"{path}/card", headers=reader).status_code == 200
    answer = httpx.get(f"{path}/deep", headers=reader)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert "WorkOrder:read, MaterialLot:read" in answer.json()["detail"]
    assert 'scope="WorkOrder:read MaterialLot:read"' in answer.headers["www-authenticate"]
    assert crane.get(f"/api/v1/external/parts/{part[0]}/export/deep").status_code == 200


@pytest.mark.parametrize("path", ["broken", "rubbish?chunks=1"])
def test_an_error_on_the_way_cuts_the_answer_off_and_is_logged_once(
    crane: Api, part: tuple[str, str], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        crane.get(f"/api/v1/external/parts/{part[0]}/export/{path}")
    name = path.partition("?")[0]
    assert [record.getMessage() for record in caplog.records if record.name != "httpx"] == [
        f"plugin crane: export of Part as {name} was cut off"
    ]
    assert crane.get(f"/api/v1/external/parts/{part[0]}").status_code == 200
    wait_for(lambda: exports_under_way(crane) == 0, "the session is closed")


def test_a_client_that_goes_away_ends_the_export(crane: Api, part: tuple[str, str]) -> None:
    path = f"{crane.url}/api/v1/external/parts/{part[0]}/export/endless"
    with httpx.stream("GET", path, headers=crane.partner | {"accept-encoding": "identity"}) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw(65536)
        assert all(next(pieces) for _ in range(20))
        assert exports_under_way(crane) == 1
    wait_for(lambda: exports_under_way(crane) == 0, "the export ends", 5)


def test_a_client_that_goes_away_before_the_first_byte_ends_it_too(crane: Api, part: tuple[str, str]) -> None:
    path = f"{crane.url}/api/v1/external/parts/{part[0]}/export/sleeping"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(path, headers=crane.partner, timeout=httpx.Timeout(5, read=0.7))
    wait_for(lambda: exports_under_way(crane) == 0, "the export ends", 5)


def test_so_many_at_a_time_and_others_are_answered(crane: Api, part: tuple[str, str]) -> None:
    path = f"{crane.url}/api/v1/external/parts/{part[0]}/export/endless"
    with (
        httpx.stream("GET", path, headers=crane.partner) as first,
        httpx.stream("GET", path, headers=crane.partner) as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        third = crane.get(f"/api/v1/external/parts/{part[0]}/export/card")
        assert (third.status_code, third.json()["type"]) == (503, "/problems/busy")
        assert third.headers["retry-after"] == "5"
        assert crane.get(f"/api/v1/external/parts/{part[0]}").status_code == 200
        inside = crane.get(f"/api/parts/{part[0]}/export/card", internal=True)
        assert inside.status_code == 200, "a partner has half of the places at most"
    wait_for(
        lambda: crane.get(f"/api/v1/external/parts/{part[0]}/export/card").status_code == 200,
        "they are free",
        5,
    )


def test_an_export_has_its_time(crane: Api, part: tuple[str, str], foreign: Path) -> None:
    registry = crane_registry(export_timeout=timedelta(seconds=1))
    with serving(crane.database, registry, plugins=load_plugins(registry)) as hurried:
        base = f"/api/v1/external/parts/{part[0]}/export"
        late = hurried.get(f"{base}/sleeping")
        assert (late.status_code, late.json()["type"]) == (503, "/problems/timeout")
        began = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            hurried.get(f"{base}/endless")
        assert time.monotonic() - began < 5
        wait_for(lambda: exports_under_way(hurried) == 0, "the export ends", 5)
    with connect(crane.database, purpose="test") as connection:
        crane.token = store.rotate(connection, "Acme", by="tests").token.text
    wait_for(lambda: crane.get(f"/api/v1/external/parts/{part[0]}").status_code == 200, "the token is known")


def test_a_client_that_takes_nothing_is_given_up(
    crane: Api, part: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.5)
    host, port = crane.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        request = f"GET /api/v1/external/parts/{part[0]}/export/large?megabytes=400 HTTP/1.1\r\n"
        request += f"host: x\r\nauthorization: {crane.partner['authorization']}\r\n\r\n"
        connection.sendall(request.encode())
        wait_for(lambda: exports_under_way(crane) == 1, "it begins", 5)
        wait_for(lambda: exports_under_way(crane) == 0, "it is given up", 5)


def test_memory_is_flat_however_large_the_document(crane: Api, part: tuple[str, str]) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    path = f"{crane.url}/api/v1/external/parts/{part[0]}/export/large?megabytes=400"
    most = size = 0
    headers = crane.partner | {"accept-encoding": "identity"}
    with httpx.stream("GET", path, headers=headers) as answer:
        for piece in answer.iter_raw(1 << 20):
            size += len(piece)
            most = max(most, process.memory_info().rss)
    assert size == 400 << 20
    assert most - before < 60 << 20


def test_without_the_plugin_there_is_nothing_of_it(crane: Api, part: tuple[str, str]) -> None:
    registry = plant_registry()
    with serving(crane.database, registry, plugins=load_plugins(registry)) as plain:
        assert plain.get(f"/api/v1/external/parts/{part[0]}/export/card").status_code == 404
        assert plain.get(f"/api/v1/external/parts/{part[0]}/load").status_code == 404
    with connect(crane.database, purpose="test") as connection:
        crane.token = store.rotate(connection, "Acme", by="tests").token.text
    wait_for(lambda: crane.get(f"/api/v1/external/parts/{part[0]}").status_code == 200, "the token is known")
