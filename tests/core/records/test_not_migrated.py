"""Entities without UUIDs: what was rolled back, never migrated, or changed meanwhile still answers where it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dotpeen.database import connect
from dotpeen.errors import NotMigratedError, RecordNotFoundError
from dotpeen.migration import Runner, down
from dotpeen.records import PageQuery, WireRecords, load_shapes
from dotpeen.registry import parse_registry

from .site import Site

pytestmark = pytest.mark.slow

MakeSite = Callable[[str, str], Site]
UUID = "550e8400-e29b-41d4-a716-446655440000"
TABLES = """
CREATE TABLE part (id int PRIMARY KEY, number text NOT NULL UNIQUE, up int REFERENCES part);
INSERT INTO part VALUES (1, 'A', NULL), (2, 'B', 1);
CREATE TABLE lot (id int PRIMARY KEY, part int REFERENCES part); INSERT INTO lot VALUES (1, 1);
"""
REGISTRY = """
[entities.Part]
table = 'part'
business_id = 'number'
expose = ['up']
{uuid}
[entities.Lot]
table = 'lot'
expose = ['part']
"""


@pytest.fixture(params=["", "uuid = { storage = 'sidecar' }"])
def rolled_back(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    site = make_site(TABLES, REGISTRY.replace("{uuid}", request.param))
    with Runner(site.url, site.registry, site.registry.select(names=("Part",))) as runner:
        down(runner)
    return site


def test_the_sites_own_applications_go_on(rolled_back: Site) -> None:
    records = rolled_back.records
    part = records.find("Part", "B")
    assert (part.uuid, part.key, part.values["number"], part.matched_by) == (None, "2", "B", "number")
    assert records.find("Part", "2").matched_by == "id"
    assert records.find_by("Part", "id", 2).key == "2"
    assert [one.key for one in rolled_back.all("Part", limit=1)] == ["1", "2"]
    assert [
        one.key for one in records.list("Part", sort=["-number"], filters={"number": ["A", "B"]}).records
    ] == ["2", "1"]
    assert records.create("Part", {"id": 3, "number": "C"}).uuid is None
    assert records.update("Part", "C", {"number": "D"}).values["number"] == "D"
    with pytest.raises(RecordNotFoundError):
        records.find("Part", "nothing")

    async def detail(wire: WireRecords) -> bytes:
        return (await wire.detail(wire.shapes["Part"], "1")).body

    assert b'"lots":{"records":[' in rolled_back.wire(detail)


def test_partners_and_questions_by_uuid_are_told_why(rolled_back: Site) -> None:
    records, shapes = rolled_back.records, rolled_back.shapes()
    shape = shapes["Part"]
    assert shape.ready is not None
    assert shape.exposed == shape.filters == ()

    async def one(wire: WireRecords) -> object:
        return await wire.one(shape, UUID)

    async def batch(wire: WireRecords) -> object:
        return await wire.batch(shape, [UUID])

    async def by(wire: WireRecords) -> object:
        return await wire.by(shape, "number", "A", audience="external")

    async def find(wire: WireRecords) -> object:
        return await wire.find(shape, "A", audience="external")

    async def update(wire: WireRecords) -> object:
        return await wire.update(shape, UUID, {}, audience="external")

    asks: list[Callable[[], object]] = [
        lambda: records.find_by_uuid("Part", UUID),
        lambda: records.find("Part", UUID),
        lambda: records.uuid_of("Part", "A"),
        lambda: records.batch("Part", [UUID]),
        lambda: PageQuery.parse(shape, "external", []),
        *(lambda ask=ask: rolled_back.wire(ask) for ask in (one, batch, by, find, update)),
    ]
    for ask in asks:
        with pytest.raises(NotMigratedError, match="not migrated") as caught:
            ask()
        assert (caught.value.entity, caught.value.reason) == ("Part", shape.ready)


def test_links_to_it_are_left_out(rolled_back: Site) -> None:
    lot = rolled_back.shapes()["Lot"]
    assert lot.ready is None
    assert lot.exposed == ("persistentUuid",)
    record = rolled_back.records.find("Lot", "1")
    assert rolled_back.records.resolve(str(record.uuid)).entity == "Lot"


def test_nothing_has_a_uuid(make_site: MakeSite) -> None:
    site = make_site(TABLES, REGISTRY.replace("{uuid}", ""))
    with Runner(site.url, site.registry, site.registry.select()) as runner:
        down(runner)
    with pytest.raises(RecordNotFoundError):
        site.records.resolve(UUID)


def test_half_a_migration_is_not_one(make_site: MakeSite) -> None:
    site = make_site(TABLES, REGISTRY.replace("{uuid}", ""))
    column = '"persistentUuid"'
    site.execute("ALTER TABLE part ADD COLUMN half uuid; ALTER TABLE part ADD COLUMN wrong text")

    def reason(registry: str) -> str | None:
        with connect(site.url, purpose="test") as connection:
            return load_shapes(connection, parse_registry(registry))["Part"].ready

    base = "[entities.Part]\ntable = 'part'\n"
    assert reason(base) is None
    assert reason(f"{base}uuid = {{ column = 'none' }}") == "not migrated: part has no column none"
    assert reason(f"{base}uuid = {{ column = 'wrong' }}") == "not migrated: wrong of part is of type text"
    assert str(reason(f"{base}uuid = {{ column = 'half' }}")).startswith(
        "migration not finished: no unique index"
    )
    site.execute(f"ALTER TABLE part ALTER COLUMN {column} DROP NOT NULL")
    assert str(reason(base)).endswith("persistentUuid of part may be null")


def test_a_partitioned_table_is_migrated_with_a_wider_index(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE log (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
        " CREATE TABLE log_1 PARTITION OF log DEFAULT; INSERT INTO log VALUES (1, '2026-01-31')",
        "[entities.Log]\ntable = 'log'\nprimary_key = ['id', 'day']",
    )
    assert site.shapes()["Log"].ready is None
    found = site.records.find("Log", "1:2026-01-31")
    assert site.records.find_by_uuid("Log", str(found.uuid)).key == "1:2026-01-31"


def test_a_column_that_vanishes_is_said_so(make_site: MakeSite) -> None:
    site = make_site(TABLES, REGISTRY.replace("{uuid}", ""))
    records = site.records
    part, lot = records.find("Part", "A"), records.find("Lot", "1")
    site.execute('ALTER TABLE part DROP COLUMN "persistentUuid" CASCADE')
    asks: list[Callable[[], Any]] = [
        lambda: records.find("Part", "A"),
        lambda: records.find_by_uuid("Part", str(part.uuid)),
        lambda: records.list("Part"),
        lambda: records.update("Part", "A", {"number": "B"}),
        lambda: records.create("Part", {"id": 9, "number": "Z"}),
        lambda: site.wire(lambda wire: wire.one(records.shapes["Part"], str(part.uuid))),
        lambda: site.wire(
            lambda wire: wire.update(records.shapes["Part"], "1", {"number": "Z"}, audience="internal")
        ),
    ]
    for ask in asks:
        with pytest.raises(NotMigratedError) as caught:
            ask()
        assert caught.value.entity == "Part"
    # The other entities still answer, whatever the question is.
    assert records.resolve(str(lot.uuid)).entity == "Lot"
    with pytest.raises(RecordNotFoundError):
        records.resolve(str(part.uuid))
    records.refresh()
    assert records.find("Part", "A").uuid is None
