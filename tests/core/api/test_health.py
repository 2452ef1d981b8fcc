"""Whether it turns, whether it can answer, and who is told what."""

from __future__ import annotations

import asyncio
import time
from types import ModuleType
from typing import Any

import httpx
import psycopg
import pytest

from acceptance.serving import wait_for
from core.api.conftest import Api, plant_registry
from dotpeen.api.health import PluginsHealth
from dotpeen.hooks import Health, hookimpl
from dotpeen.plugins import Plugins

pytestmark = pytest.mark.slow


def test_live_says_so_to_everybody(api: Api) -> None:
    answer = httpx.get(f"{api.url}/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert answer.headers["cache-control"] == "no-store"
    assert httpx.head(f"{api.url}/health/live").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer guessed"}, "partner"])
def test_who_is_not_of_the_site_learns_yes_or_no(api: Api, headers: Any) -> None:
    answer = httpx.get(f"{api.url}/health/ready", headers=api.partner if headers == "partner" else headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_the_site_learns_all(api: Api) -> None:
    answer = api.get("/health/ready", internal=True)
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    checks = answer.json()["checks"]
    assert checks["process"] == {"ok": True}
    assert 0 < checks["database"].pop("milliseconds") < 1000
    assert checks["database"] == {"ok": True, "revision": checks["schema"]["needed"]}
    assert checks["schema"]["ok"]
    assert checks["entities"] == {"ok": True, "ready": list(api.registry.entities), "notReady": {}}
    assert checks["external"] == {"enabled": True, "reason": None}


def test_an_entity_that_is_not_migrated_is_named_and_does_no_harm(own_api: Api) -> None:
    with psycopg.connect(own_api.database, autocommit=True) as connection:
        connection.execute('ALTER TABLE "WorkOrder" DROP COLUMN "persistentUuid" CASCADE')
        connection.execute("UPDATE dotpeen.entity SET stage = NULL WHERE name = 'WorkOrder'")

    def entities() -> dict[str, Any]:
        answer = own_api.get("/health/ready", internal=True)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()["checks"]["entities"]
        return found

    wait_for(lambda: "WorkOrder" in entities()["notReady"], "it is seen")
    assert "WorkOrder" not in entities()["ready"]
    assert "Part" in entities()["ready"]


def test_the_switch_is_told_and_does_not_count(own_api: Api) -> None:
    with psycopg.connect(own_api.database, autocommit=True) as connection:
        connection.execute("UPDATE dotpeen.api_state SET external_enabled = false, reason = 'stocktaking'")

    def switch() -> Any:
        answer = own_api.get("/health/ready", internal=True)
        assert answer.status_code == 200
        return answer.json()["checks"]["external"]

    wait_for(lambda: switch() == {"enabled": False, "reason": "stocktaking"}, "it is seen")


@pytest.mark.parametrize(
    ("statement", "ok"),
    [
        ("UPDATE dotpeen.alembic_version SET version_num = '0001'", False),
        ("UPDATE dotpeen.alembic_version SET version_num = '9999'", True),
        ("DROP TABLE dotpeen.alembic_version", False),
    ],
)
def test_the_schema_must_be_as_new_as_the_program(own_api: Api, statement: str, ok: bool) -> None:  # noqa: FBT001
    with psycopg.connect(own_api.database, autocommit=True) as connection:
        connection.execute(statement)
    answer = own_api.get("/health/ready", internal=True)
    assert (answer.status_code, answer.json()["checks"]["schema"]["ok"]) == (200 if ok else 503, ok)


def test_however_often_it_is_asked_the_database_is_asked_once(own_api: Api) -> None:
    query = "SELECT calls FROM pg_stat_user_tables, LATERAL (SELECT seq_scan + coalesce(idx_scan, 0) AS calls) AS c"
    query += " WHERE schemaname = 'dotpeen' AND relname = 'alembic_version'"

    def scans() -> int:
        time.sleep(1.5)  # statistics are written when a session was idle for a second
        with psycopg.connect(own_api.database) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    before = scans()
    began = time.monotonic()
    for _ in range(50):
        httpx.get(f"{own_api.url}/health/ready")
    took = time.monotonic() - began
    assert scans() - before <= took + 2


def plugins(**hooks: Any) -> Plugins:
    """Plugins whose health hook is the function given."""
    found = Plugins(plant_registry())
    for name, hook in hooks.items():
        module = ModuleType(name)
        module.dotpeen_health = hookimpl(hook)  # type: ignore[attr-defined]
        found._manager.register(module, name)
    return found


def test_plugins_say_how_they_are_and_a_late_one_is_not_waited_for() -> None:
    asked = []

    def well(registry: Any) -> Health:
        return Health(ok=True, message="fine")

    def failing(registry: Any) -> Health:
        raise RuntimeError("no connection")

    def late(registry: Any) -> Health:
        asked.append(time.monotonic())
        time.sleep(0.8)
        return Health(ok=True)

    async def ask() -> tuple[dict[str, Any], float, dict[str, Any], dict[str, Any]]:
        health = PluginsHealth(
            plugins(qif=well, erp=failing, step=late),
            patience=0.1,
        )
        began = time.monotonic()
        first = await health.ask()
        took = time.monotonic() - began
        second = await health.ask()
        await asyncio.sleep(1.5)
        return first, took, second, await health.ask()

    first, took, second, last = asyncio.run(ask())
    assert first["qif"] == {
        "ok": False,
        "message": "a plugin's health hook takes longer than it may",
        "late": True,
    }
    assert took < 0.7
    assert second == first
    assert len(asked) == 1, "one that doesn't come back is not asked again"
    assert last["qif"] == {"ok": True, "message": "fine"}
    assert last["erp"]["ok"] is False
    assert "no connection" in last["erp"]["message"]
    assert last["step"] == {"ok": True, "message": ""}
