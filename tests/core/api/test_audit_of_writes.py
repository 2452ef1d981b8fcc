"""A partner's change and its audit entry: both are there, or neither is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from dotpeen.database import Connection, connect
from dotpeen.partners.trail import AuditFilter, query

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Witness

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

PARTS = f"{EXTERNAL}/parts"


@pytest.fixture(scope="module")
def hasty(server: Server) -> Iterator[Api]:
    """A server that waits for its database for two seconds; each test changes a record of its own."""
    url = server.create(server.template("api", build))
    registry = plant_registry()
    settings = registry.api.model_validate(registry.api.model_dump() | {"request_timeout": "4s"})
    with serving(url, registry.model_copy(update={"api": settings})) as running:
        yield running
    server.drop(url)


@contextmanager
def locked(api: Api, table: str) -> Iterator[None]:
    with connect(api.database, purpose="test") as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


def describe(api: Api, uuid: str, text: str) -> httpx.Response:
    return api.client.patch(f"{api.url}{PARTS}/{uuid}", json={"description": text}, headers=api.partner)


def description(connection: Connection, uuid: str) -> str | None:
    row = connection.execute(
        'SELECT description FROM public."Part" WHERE "persistentUuid" = %s', [uuid]
    ).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def part(api: Api, number: int) -> str:
    return str(Witness(api.database, api.registry).rows("Part")[number]["persistentUuid"])


def writes(api: Api, uuid: str) -> list[tuple[int, list[str] | None]]:
    with connect(api.database, purpose="test") as connection:
        return [
            (entry.status, entry.changed)
            for entry in query(connection, AuditFilter(uuid=uuid))
            if entry.method == "PATCH"
        ]


def test_a_change_that_can_not_be_recorded_is_not_made(hasty: Api) -> None:
    uuid = part(hasty, 1)
    with connect(hasty.database, purpose="test") as connection:
        before = description(connection, uuid)
        with locked(hasty, "dotpeen.audit"):
            answer = describe(hasty, uuid, "never recorded")
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert description(connection, uuid) == before
    assert writes(hasty, uuid) == []
    assert describe(hasty, uuid, "recorded").status_code == 200
    assert writes(hasty, uuid) == [(200, ["description"])]


def test_an_entry_that_the_trail_refuses_takes_the_change_back(hasty: Api) -> None:
    uuid = part(hasty, 2)
    with connect(hasty.database, purpose="test") as connection:
        before = description(connection, uuid)
        connection.execute(
            "ALTER TABLE dotpeen.audit ADD CONSTRAINT broken CHECK (method <> 'PATCH') NOT VALID"
        )
        try:
            assert describe(hasty, uuid, "never recorded").status_code >= 500
        finally:
            connection.execute("ALTER TABLE dotpeen.audit DROP CONSTRAINT broken")
        assert description(connection, uuid) == before
    assert describe(hasty, uuid, "recorded").status_code == 200
    assert writes(hasty, uuid) == [(200, ["description"])]


def test_a_change_that_the_database_refuses_is_recorded_as_that(hasty: Api) -> None:
    uuid = part(hasty, 3)
    answer = hasty.client.patch(f"{hasty.url}{PARTS}/{uuid}", json={"status": None}, headers=hasty.partner)
    assert answer.status_code == 422
    with connect(hasty.database, purpose="test") as connection:
        newest = next(iter(query(connection, AuditFilter(), limit=1)))
    assert (newest.method, newest.status, newest.changed) == ("PATCH", 422, None)


def test_one_locked_table_leaves_the_others_theirs(hasty: Api) -> None:
    witness = Witness(hasty.database, hasty.registry)
    lot = witness.rows("MaterialLot")[0]["persistentUuid"]
    statuses: list[int] = []

    def insist() -> None:
        with httpx.Client(timeout=30) as client:
            for _ in range(2):
                answer = client.get(f"{hasty.url}{PARTS}?limit=1", headers=hasty.partner)
                statuses.append(answer.status_code)

    with locked(hasty, 'public."Part"'):
        crowd = [threading.Thread(target=insist) for _ in range(24)]
        for one in crowd:
            one.start()
        others = [
            hasty.get(f"{EXTERNAL}/material-lots?fields=lotNumber&limit=1").status_code for _ in range(10)
        ]
        others += [
            hasty.get(f"{EXTERNAL}/material-lots/{lot}?fields=lotNumber").status_code for _ in range(10)
        ]
        with connect(hasty.database, purpose="test") as connection:
            (sessions,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dotpeen serve'"
                " AND datname = current_database()"
            ).fetchone() or (0,)
        for one in crowd:
            one.join()
    assert set(others) == {200}
    assert set(statuses) == {503}
    # Eight for records, three of the interface's own, and those given up within the last half second.
    assert sessions <= 8 + 3 + 8
