"""`dotpeen lookup`: any identifier, any entity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import REGISTRY
from .site import Site

pytestmark = pytest.mark.slow

MakeSite = Callable[[str, str], Site]


def test_any_identifier_of_any_entity(run_dotpeen: Any, mes: Site) -> None:
    def lookup(*arguments: str) -> Any:
        return run_dotpeen("-r", REGISTRY, "--database-url", mes.url, "lookup", *arguments)

    plan = mes.records.list("QIFMeasurementPlan", limit=1).records[0]
    number = f"{plan.values['planNumber']}:{plan.values['version']}"
    done = lookup(number, "--json")
    (match,) = done.json["matches"]
    assert (done.returncode, match["entity"], match["uuid"], match["matchedBy"], match["key"]) == (
        0, "QIFMeasurementPlan", str(plan.uuid), "planNumber:version", plan.key,
    )  # fmt: skip
    assert "partId" not in match["exposed"]
    assert match["internal"]["partId"] == plan.values["partId"]
    assert match["exposed"]["partUuid"] == str(mes.records.uuid_of("Part", plan.values["partId"]))
    people = lookup(f"{{{str(plan.uuid).upper()}}}")
    assert people.returncode == 0
    assert people.stdout.startswith(f"QIFMeasurementPlan {plan.uuid}  by persistentUuid")
    assert all(text in people.stdout for text in ("partUuid", plan.key, plan.values["planNumber"]))
    nothing = lookup("nothing", "--json", "--entity", "Part")
    assert (nothing.returncode, nothing.json["matches"]) == (1, [])
    assert "no record answers to 'nothing'" in nothing.stderr
    assert lookup("x", "--entity", "Nothing").returncode == 2


def test_several_records(run_dotpeen: Any, make_site: MakeSite) -> None:
    registry = "".join(
        f"[entities.{name}]\ntable = '{name.lower()}'\nbusiness_id = 'number'\n" for name in ("Part", "Lot")
    )
    site = make_site(
        "CREATE TABLE part (id text PRIMARY KEY, number text); INSERT INTO part VALUES ('a', 'A'), ('b', 'a');"
        "CREATE TABLE lot (id int PRIMARY KEY, number text UNIQUE); INSERT INTO lot VALUES (1, 'A')",
        registry,
    )
    (run_dotpeen.folder / "registry.toml").write_text(registry + "[entities.Gone]\n", encoding="utf-8")

    def lookup(*arguments: str) -> Any:
        return run_dotpeen("--database-url", site.url, "lookup", *arguments)

    uuids = dict(site.execute('SELECT id, "persistentUuid"::text FROM part'))
    both = lookup("A", "--json")
    assert (both.returncode, [one["entity"] for one in both.json["matches"]]) == (1, ["Part", "Lot"])
    assert both.json["notAsked"] == {"Gone": "no table Gone"}
    assert "names records of several entities" in both.stderr
    one = lookup("A", "--entity", "Lot")
    assert (one.returncode, one.stderr) == (0, "")
    ambiguous = lookup("a", "--json")
    assert (ambiguous.returncode, ambiguous.json["matches"]) == (1, [])
    assert ambiguous.json["ambiguous"] == [
        {
            "entity": "Part",
            "candidates": [{"field": "id", "uuid": uuids["a"]}, {"field": "number", "uuid": uuids["b"]}],
        }
    ]
    assert all(uuid in lookup("a").stderr for uuid in uuids.values())
    assert lookup("A", "--entity", "Gone").returncode == 2


def test_without_uuids(run_dotpeen: Any, database: str) -> None:
    registry = "[entities.Part]\ntable = 'part'\n"
    site = Site(database, registry)
    site.execute("CREATE TABLE part (id int PRIMARY KEY); INSERT INTO part VALUES (1)")
    site.close()
    (run_dotpeen.folder / "registry.toml").write_text(registry, encoding="utf-8")
    found = run_dotpeen("--database-url", database, "lookup", "1")
    assert (found.returncode, found.stdout.splitlines()[0]) == (0, "Part no UUID yet  by id")
    by_uuid = run_dotpeen("--database-url", database, "lookup", "550e8400-e29b-41d4-a716-446655440000")
    assert by_uuid.returncode == 1
    assert "Part was not asked: Part has no UUIDs to ask by: not migrated" in by_uuid.stderr
