"""Requests that are meant to do harm, and a database that refuses: never a 500, never more than one may know."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from dotpeen.database import connect
from dotpeen.migration import Runner, down
from dotpeen.partners import Scope, store
from dotpeen.plugins import load_plugins

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Witness

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
PARTS = f"{EXTERNAL}/parts"
COLUMNS = {
    "facts": "jsonb",
    "exact": "numeric",
    "rough": "float8",
    "tag": "text",
    "sheet": "xml",
    "erpId": "text",
}


@pytest.fixture(scope="module")
def lab(server: Server) -> Iterator[Api]:
    """A server whose parts have columns of every kind, and partners may write them."""
    url = server.create(server.template("api", build))
    with connect(url, purpose="test") as connection:
        for name, kind in COLUMNS.items():
            connection.execute(f'ALTER TABLE public."Part" ADD "{name}" {kind}'.encode())
        connection.execute('CREATE INDEX part_tag ON public."Part" (tag)')
    registry = plant_registry()
    settings = registry.api.model_validate(registry.api.model_dump() | {"request_timeout": "6s"})
    part, serial = registry.entities["Part"], registry.entities["SerializedPart"]
    entities = registry.entities | {
        "Part": part.model_copy(
            update={"expose": (*part.expose, *COLUMNS), "writable": (*part.writable, *COLUMNS)}
        ),
        "SerializedPart": serial.model_copy(update={"writable": ("partId", "status")}),
    }
    registry = registry.model_copy(update={"api": settings, "entities": entities})
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running
    server.drop(url)


def part(api: Api, number: int, table: str = "Part") -> dict[str, Any]:
    rows = Witness(api.database, api.registry).rows(table)
    return rows[number % len(rows)]


def patch(api: Api, path: str, body: str, **headers: str) -> httpx.Response:
    kind = {"content-type": "application/json"}
    return api.client.patch(api.url + path, content=body, headers=api.partner | kind | headers)


def partner(api: Api, name: str, *scopes: str) -> dict[str, str]:
    with connect(api.database, purpose="test") as connection:
        issued = store.add(connection, name, {Scope.parse(scope) for scope in scopes}, by="t")
    return {"authorization": f"Bearer {issued.token.text}"}


def raw(api: Api, *pieces: bytes, seconds: float = 20.0) -> bytes:
    """What comes back to a client that sends everything before it reads."""
    split = urlsplit(api.url)
    with socket.create_connection((split.hostname or "", split.port or 0), timeout=seconds) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
        return answer


class TestBodies:
    def test_a_name_that_stands_twice_among_thousands_is_found_at_once(self, lab: Api) -> None:
        body = "{" + ",".join(f'"{number:06x}":0' for number in range(60_000)) + ',"00ea5f":1}'
        began = time.monotonic()
        answer = patch(lab, f"{PARTS}/{part(lab, 0)['persistentUuid']}", body)
        assert (answer.status_code, "'00ea5f'" in answer.json()["detail"]) == (400, True)
        assert time.monotonic() - began < 1

    def test_numbers_keep_all_their_digits(self, lab: Api) -> None:
        uuid = part(lab, 1)["persistentUuid"]
        body = (
            '{"exact": 25.3999999999999999999999, "facts": {"deviation": [-0.000000000000000000017, 1.10]}}'
        )
        answer = patch(lab, f"{PARTS}/{uuid}", body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["exact"] == "25.3999999999999999999999"
        assert '"deviation": [-0.000000000000000000017, 1.10]' in answer.text
        assert part(lab, 1)["exact"] == Decimal("25.3999999999999999999999")

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ('{"rough": 1e999}', 422),
            ('{"rough": -1e999}', 422),
            ('{"exact": 1e9999}', 422),
            ('{"facts": {"a": 1e999999}}', 422),
            ('{"rough": 1e99999999999999999999999}', 400),
            ('{"status": 1.0}', 422),
            ('{"sheet": "<a/>"}', 422),
        ],
    )
    def test_what_no_column_holds_is_refused(self, lab: Api, body: str, status: int) -> None:
        answer = patch(lab, f"{PARTS}/{part(lab, 2)['persistentUuid']}", body)
        assert answer.status_code == status, answer.text

    def test_what_an_index_can_not_hold_is_refused(self, lab: Api) -> None:
        # Not to be compressed: an entry of a B-tree has 2,704 bytes.
        text = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(6000))
        answer = patch(lab, f"{PARTS}/{part(lab, 3)['persistentUuid']}", f'{{"tag": "{text}"}}')
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-value")

    def test_a_number_too_long_for_python_is_resolved_all_the_same(self, lab: Api) -> None:
        uuid = part(lab, 4)["persistentUuid"]
        with connect(lab.database, purpose="test") as connection:
            connection.execute(
                """UPDATE public."Part" SET facts = ('{"n": ' || repeat('7', 5000) || '}')::jsonb"""
                ' WHERE "persistentUuid" = %s',
                [uuid],
            )
            answer = lab.get(f"{EXTERNAL}/resolve/{uuid}")
            connection.execute('UPDATE public."Part" SET facts = NULL')
        assert (answer.status_code, "7" * 5000 in answer.text) == (200, True)

    def test_a_compressed_one_is_refused(self, lab: Api) -> None:
        path = f"{PARTS}/{part(lab, 5)['persistentUuid']}"
        answer = patch(lab, path, "{}", **{"content-encoding": "gzip"})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
        assert patch(lab, path, "{}", **{"content-encoding": "identity"}).status_code == 200

    def test_one_that_is_too_large_is_answered_before_the_connection_ends(self, lab: Api) -> None:
        head = (
            f"POST {PARTS}/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lab.token}\r\n"
            "Content-Type: application/json\r\n"
        ).encode()
        sized = raw(lab, head, b"Content-Length: 8000000\r\n\r\n", b" " * 8_000_000)
        assert sized.startswith(b"HTTP/1.1 413 ")
        chunks = b"10000\r\n" + b" " * 65536 + b"\r\n"
        assert raw(
            lab, head, b"Transfer-Encoding: chunked\r\n\r\n", *[chunks] * 100, b"0\r\n\r\n"
        ).startswith(b"HTTP/1.1 413 ")

    def test_a_length_that_is_no_number_is_refused(self, lab: Api) -> None:
        for length in (b"0" * 5000 + b"2", b"9" * 5000):
            answer = raw(
                lab,
                f"POST {PARTS}/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lab.token}\r\n".encode(),
                b"Content-Type: application/json\r\nContent-Length: " + length + b"\r\n\r\n{}",
            )
            assert answer.startswith(b"HTTP/1.1 400 ")


class TestHeaders:
    @pytest.mark.parametrize("name", ["authorization", "if-match", "content-type"])
    def test_two_that_may_differ_are_refused(self, lab: Api, name: str) -> None:
        path = f"{PARTS}/{part(lab, 6)['persistentUuid']}"
        sent = lab.partner | {"content-type": "application/json", "if-match": "*"}
        lines = [*sent.items(), (name, sent[name])]
        answer = lab.client.patch(lab.url + path, content="{}", headers=lines)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-header")

    def test_lists_in_several_lines_are_one_list(self, lab: Api) -> None:
        path = f"{PARTS}/{part(lab, 6)['persistentUuid']}"
        tag = lab.get(path).headers["etag"]
        lines = [*lab.partner.items(), ("if-none-match", tag), ("if-none-match", 'W/"other"')]
        assert lab.client.get(lab.url + path, headers=lines).status_code == 304

    def test_a_slash_too_many_leads_nowhere(self, lab: Api) -> None:
        for path in ("/health/live/", "/docs/", "/oauth/token/"):
            answer = lab.client.get(lab.url + path, headers={"host": "evil.example"})
            assert (answer.status_code, answer.headers.get("location")) == (404, None)


class TestWhatMayNotBeRead:
    def test_resolve_does_not_ask_for_it(self, lab: Api) -> None:
        narrow = partner(lab, "Resolving", "Part:read")
        hidden = part(lab, 0, "WorkOrder")["persistentUuid"]
        with connect(lab.database, purpose="test") as connection, connection.transaction():
            # Whoever asked for it would wait.
            connection.execute('LOCK TABLE public."WorkOrder" IN ACCESS EXCLUSIVE MODE')
            for uuid in (hidden, UNKNOWN):
                answer = lab.client.get(f"{lab.url}{EXTERNAL}/resolve/{uuid}", headers=narrow)
                assert answer.status_code == 404

    def test_a_link_does_not_tell_whether_it_is_there(self, lab: Api) -> None:
        writer = partner(lab, "Linking", "SerializedPart:write")
        both = partner(lab, "Linking and reading", "SerializedPart:write", "Part:read")
        path = f"{lab.url}{EXTERNAL}/serialized-parts/{part(lab, 0, 'SerializedPart')['persistentUuid']}"
        there = str(part(lab, 0)["persistentUuid"])
        for uuid in (there, UNKNOWN):
            answer = lab.client.patch(path, json={"partUuid": uuid}, headers=writer)
            assert (answer.status_code, "Part:read" in answer.json()["detail"]) == (403, True)
        assert lab.client.patch(path, json={"status": "X"}, headers=writer).status_code == 204
        assert lab.client.patch(path, json={"partUuid": there}, headers=both).status_code == 204
        assert lab.client.patch(path, json={"partUuid": UNKNOWN}, headers=both).status_code == 422


class TestADatabaseThatRefuses:
    """Whatever passes is 503 with Retry-After, so that clients come again."""

    def test_a_deadlock(self, lab: Api) -> None:
        serial = part(lab, 1, "SerializedPart")
        other = next(one for one in (part(lab, 0), part(lab, 1)) if one["id"] != serial["partId"])
        statuses: list[int] = []

        def link() -> None:
            path = f"{EXTERNAL}/serialized-parts/{serial['persistentUuid']}"
            answer = patch(lab, path, f'{{"partUuid": "{other["persistentUuid"]}"}}')
            statuses.append(answer.status_code)

        with connect(lab.database, purpose="test") as connection:
            # The other one notices first.
            connection.execute("SET deadlock_timeout = '20s'")
            with connection.transaction():
                connection.execute('SELECT FROM public."Part" WHERE id = %s FOR UPDATE', [other["id"]])
                thread = threading.Thread(target=link)
                thread.start()
                waits_for_lock(lab)
                connection.execute(
                    'UPDATE public."SerializedPart" SET status = status WHERE id = %s', [serial["id"]]
                )
                thread.join()
        assert statuses == [503]

    def test_a_database_that_only_reads(self, lab: Api) -> None:
        uuid = part(lab, 8)["persistentUuid"]
        with connect(lab.database, purpose="test") as connection:
            name = connection.info.dbname
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
            try:
                replace_sessions(connection)
                answer = patch(lab, f"{PARTS}/{uuid}", '{"status": "X"}')
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            finally:
                connection.execute("SET default_transaction_read_only = off")
                connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())
                replace_sessions(connection)
        deadline = time.monotonic() + 10
        while patch(lab, f"{PARTS}/{uuid}", '{"status": "X"}').status_code != 200:
            assert time.monotonic() < deadline

    def test_a_right_that_is_missing(self, lab: Api, caplog: pytest.LogCaptureFixture) -> None:
        with connect(lab.database, purpose="test") as connection:
            # As for a role that was not granted it.
            connection.execute(
                "CREATE FUNCTION deny() RETURNS trigger LANGUAGE plpgsql AS"
                " $$BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied for table x'; END$$"
            )
            connection.execute(
                'CREATE TRIGGER deny BEFORE UPDATE ON public."Part" FOR EACH ROW EXECUTE FUNCTION deny()'
            )
            try:
                answer = patch(lab, f"{PARTS}/{part(lab, 9)['persistentUuid']}", '{"status": "X"}')
            finally:
                connection.execute('DROP TRIGGER deny ON public."Part"')
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert "permission denied for table x" in caplog.text
        assert "permission denied" not in answer.text

    def test_an_entity_that_was_taken_back_hides_nothing_as_not_found(self, server: Server) -> None:
        url = server.create(server.template("api", build))
        registry = plant_registry()
        try:
            with Runner(url, registry, registry.select(names=("MaterialLot",))) as runner:
                down(runner)
            with serving(url, registry) as running:
                some = partner(running, "Some", "Part:read")
                path = f"{running.url}{EXTERNAL}/resolve/{UNKNOWN}"
                assert running.get(f"{EXTERNAL}/resolve/{UNKNOWN}").json()["type"] == "/problems/not-migrated"
                assert running.client.get(path, headers=some).status_code == 404
        finally:
            server.drop(url)


def waits_for_lock(api: Api) -> None:
    deadline = time.monotonic() + 10
    with connect(api.database, purpose="test") as connection:
        while not connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def replace_sessions(connection: psycopg.Connection[Any]) -> None:
    """End the server's sessions, so that new ones have the database's new settings."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'dotpeen serve' AND datname = current_database()"
    )
    time.sleep(1.5)
