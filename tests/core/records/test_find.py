"""Form proposes, the database decides: what answers to which identifier, over every kind of storage and key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from dotpeen.errors import (
    AmbiguousIdentifierError,
    InvalidQueryError,
    RecordNotFoundError,
)
from dotpeen.identifiers import InvalidUuidError, join_composite
from dotpeen.records import Shape, WireRecords, statements
from dotpeen.records.lookup import find

from .site import Site

pytestmark = pytest.mark.slow

MakeSite = Callable[[str, str], Site]
ENTITIES = (
    "Part", "SerializedPart", "MaterialLot", "WorkOrder", "QIFMeasurementPlan", "QIFCharacteristic",
    "QIFMeasurementResult", "ECORequest",
)  # fmt: skip


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_entity_by_every_identifier(mes: Site, entity: str) -> None:
    records, shape = mes.records, mes.shapes()[entity]
    record = records.list(entity, limit=1).records[0]
    for identifier in shape.identifiers:
        text = join_composite([str(record.values[column]) for column in identifier.columns])
        found = records.find(entity, text)
        assert (found.values, found.matched_by) == (record.values, identifier.name)
        assert records.find_by(entity, identifier.name, text).key == record.key
        assert records.uuid_of(entity, text) == record.uuid
    assert record.uuid is not None
    assert records.find_by_uuid(entity, record.uuid).key == record.key
    assert records.find_by_uuid(entity, str(record.uuid).upper()).key == record.key
    assert records.resolve(record.uuid).entity == entity
    assert records.batch(entity, [record.uuid]).records == (records.list(entity, limit=1).records[0],)


@pytest.mark.parametrize("entity", ENTITIES)
def test_nothing_internal_goes_out(mes: Site, entity: str) -> None:
    """The same record for partners has no key in it, and none of the records that it refers to."""
    shapes = mes.shapes()
    shape = shapes[entity]
    keys = {
        key for other in shapes.values() for (key,) in mes.execute(f'SELECT id FROM "{other.table.name}"')
    }
    record = mes.records.list(entity, limit=1).records[0]

    async def ask(records: WireRecords) -> bytes:
        row = await records.one(shape, str(record.uuid))
        found = await records.find(shape, str(record.uuid), audience="external")
        resolved = await records.resolve(str(record.uuid))
        assert row is not None
        assert row == found.row == (resolved and resolved[1])
        return row.body

    body = mes.wire(ask)
    assert tuple(json.loads(body)) == shape.exposed
    assert not any(key.encode() in body for key in keys)
    for link in shape.links.values():
        there = json.loads(body).get(link.external_name)
        if there is not None:
            key = record.values[link.columns[0].column]
            assert mes.records.find_by_uuid(link.entity, there).key == key


@dataclass
class Kind:
    """A kind of table with two records, the second referring to the first."""

    tables: str
    entity: str
    keys: tuple[str, str]


KINDS = {
    "integer key": Kind(
        "CREATE TABLE part (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text NOT NULL UNIQUE,"
        " up int REFERENCES part); INSERT INTO part (number, up) VALUES ('A', NULL), ('B', 1)",
        "table = 'part'",
        ("1", "2"),
    ),
    "composite key": Kind(
        "CREATE TABLE part (plant text, at timestamptz, number text NOT NULL UNIQUE, up_plant text, up_at timestamptz,"
        " PRIMARY KEY (plant, at), FOREIGN KEY (up_plant, up_at) REFERENCES part);"
        " INSERT INTO part VALUES ('x:%', '2026-01-31 12:00+02', 'A', NULL, NULL),"
        " ('y', 'infinity', 'B', 'x:%', '2026-01-31 10:00Z')",
        "table = 'part'\nprimary_key = ['plant', 'at']",
        ("x%3A%25:2026-01-31T10%3A00%3A00.000000Z", "y:infinity"),
    ),
    "text UUIDs": Kind(
        "CREATE TABLE part (id varchar(30) COLLATE \"C\" PRIMARY KEY, number text COLLATE \"C\" NOT NULL UNIQUE,"
        " up varchar(30) REFERENCES part); INSERT INTO part VALUES ('a', 'A', NULL), ('b', 'B', 'a')",
        "table = 'part'\nuuid = { column = 'uuid', type = 'text' }",
        ("a", "b"),
    ),
    "odd names": Kind(
        'CREATE SCHEMA "odd % schema"; CREATE TABLE "odd % schema"."the ""part"" {0} %s"'
        ' ("the id %" char(5) PRIMARY KEY, "num""ber %(x)s" text NOT NULL UNIQUE,'
        ' "up {}" char(5) REFERENCES "odd % schema"."the ""part"" {0} %s");'
        " INSERT INTO \"odd % schema\".\"the \"\"part\"\" {0} %s\" VALUES ('a', 'A', NULL), ('b', 'B', 'a')",
        "table = '\"odd % schema\".\"the \"\"part\"\" {0} %s\"'\nprimary_key = 'the id %'\nuuid = { column = 'u \"%' }",
        ("a", "b"),
    ),
    "number key": Kind(
        "CREATE TABLE part (id numeric PRIMARY KEY, number text NOT NULL UNIQUE, up numeric REFERENCES part);"
        " INSERT INTO part VALUES (1.50, 'A', NULL), (-2, 'B', 1.5)",
        "table = 'part'",
        ("1.50", "-2"),
    ),
    "bytes key": Kind(
        "CREATE TABLE part (id bytea PRIMARY KEY, number text NOT NULL UNIQUE, up bytea REFERENCES part);"
        " INSERT INTO part VALUES ('\\x00ff', 'A', NULL), ('\\x01', 'B', '\\x00ff')",
        "table = 'part'",
        ("AP8=", "AQ=="),
    ),
    "enum and date key": Kind(
        "CREATE TYPE \"Line\" AS ENUM ('a', 'b'); CREATE TABLE part (line \"Line\", day date, number text NOT NULL"
        " UNIQUE, up_line \"Line\", up_day date, PRIMARY KEY (line, day),"
        " FOREIGN KEY (up_line, up_day) REFERENCES part);"
        " INSERT INTO part VALUES ('a', '2026-01-31', 'A', NULL, NULL), ('b', '2026-02-01', 'B', 'a', '2026-01-31')",
        "table = 'part'\nprimary_key = ['line', 'day']",
        ("a:2026-01-31", "b:2026-02-01"),
    ),
}  # fmt: skip
STORAGES = {"column": "", "sidecar": "uuid = { storage = 'sidecar' }"}


@pytest.fixture(params=[(kind, storage) for kind in KINDS for storage in STORAGES], ids=lambda p: "-".join(p))
def kind_site(request: pytest.FixtureRequest, make_site: MakeSite) -> tuple[Site, Kind]:
    kind, storage = KINDS[request.param[0]], STORAGES[request.param[1]]
    settings = "\n".join(
        line for line in kind.entity.splitlines() if not (storage and line.startswith("uuid"))
    )
    number = 'num"ber %(x)s' if "odd" in kind.tables else "number"
    registry = f"[entities.Part]\n{settings}\n{storage}\nbusiness_id = '{number}'\nexpose = ["
    column = next(name for name in ("up {}", "up_plant", "up_line", "up") if name in kind.tables)
    return make_site(kind.tables, f"{registry}'{column}']"), kind


def for_each_asked(shape: Shape) -> sql.Composed:
    """The statement for one who is asked for in another one, in one that asks for several."""
    return sql.SQL(
        "SELECT asked.uuid, record.body FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (uuid, n)"
        " LEFT JOIN LATERAL ({}) AS record (body) ON true ORDER BY n"
    ).format(statements.by_asked(shape, "external", None))


def test_every_kind_of_key_and_storage(kind_site: tuple[Site, Kind]) -> None:
    site, kind = kind_site
    records, shape = site.records, site.shapes()["Part"]
    number = shape.entity.business_id[0]
    first, second = (records.find_by("Part", number, name) for name in "AB")
    assert (first.key, second.key) == kind.keys
    assert first.uuid is not None
    assert second.uuid is not None
    for record in (first, second):
        assert records.find("Part", str(record.uuid)).key == record.key
        assert records.find("Part", record.key).uuid == record.uuid
        assert records.find("Part", record.values[number]).uuid == record.uuid
        assert records.resolve(str(record.uuid)).record.key == record.key
        assert shape.not_a_key(record.key) is None
    assert [one.key for one in records.batch("Part", [second.uuid, uuid4(), first.uuid]).records] == [
        second.key,
        first.key,
    ]
    unknown = uuid4()
    rows = site.connection.execute(for_each_asked(shape), [[second.uuid, unknown, first.uuid]]).fetchall()
    assert [(uuid, body and json.loads(body)[number]) for uuid, body in rows] == [
        (second.uuid, "B"), (unknown, None), (first.uuid, "A")
    ]  # fmt: skip
    (link,) = shape.links.values()
    assert shape.exposed == (shape.place.name, number, link.external_name)

    async def ask(wire: WireRecords) -> list[Any]:
        row = await wire.one(shape, str(second.uuid))
        assert row is not None
        detail = await wire.detail(shape, second.key)
        related = json.loads(detail.body)["related"]
        back = json.loads((await wire.detail(shape, first.key)).body)["related"]
        (incoming,) = shape.incoming
        return [
            json.loads(row.body)[link.external_name],
            related[link.name][number],
            [one[number] for one in back[incoming.name]["records"]],
            back[incoming.name]["hasMore"],
        ]

    assert site.wire(ask) == [str(first.uuid), "A", ["B"], False]
    linked = records.list("Part", filters={link.external_name: first.uuid})
    assert [one.key for one in linked.records] == [second.key]
    assert records.list("Part", filters={link.external_name: [first.uuid, second.uuid]}).total == 1
    assert [one.key for one in site.all("Part", limit=1, sort=[f"-{number}"])] == [second.key, first.key]
    assert {one.uuid for one in site.all("Part", limit=1)} == {first.uuid, second.uuid}
    moved = records.update("Part", second.key, {link.external_name: second.uuid})
    assert moved.uuid == second.uuid
    assert records.list("Part", filters={link.external_name: second.uuid}).total == 1


LONG = "x" * 300
STRANGE = [
    "AB/12", "a b", " a ", "50%", "%41", "a:b", "Ø25 ∅ 日本", LONG, "'; DROP TABLE part; --", '"', "\\", "{}", "%s",
    "%(x)s", "cl9ebqhxk00008eqf0c2y6u2d", "tz4a98xxat96iws9zmbrgj3a", "550e8400-e29b-41d4-a716-446655440000", "",
    "NULL", "1", "true", "2026-01-31", "a\nb\tc", "\U0001f529",
]  # fmt: skip


@pytest.fixture(scope="module")
def strange(server: Any) -> Iterator[Site]:
    """Parts with text keys and numbers of every shape."""
    from dotpeen.database.schema import upgrade

    url = server.create(server.template("dotpeen", upgrade))
    site = Site(url, "[entities.Part]\ntable = 'part'\nbusiness_id = 'number'")
    site.execute("CREATE TABLE part (id text PRIMARY KEY, number text NOT NULL UNIQUE)")
    for place, number in enumerate(STRANGE):
        site.execute("INSERT INTO part VALUES (%s, %s)", [f"key {place}", number])
    site.migrate()
    yield site
    site.close()
    server.drop(url)


@pytest.mark.parametrize("number", STRANGE)
def test_business_identifiers_of_every_shape(strange: Site, number: str) -> None:
    found = strange.records.find("Part", number)
    assert (found.values["number"], found.matched_by) == (number, "number")
    assert strange.records.find_by("Part", "number", number).key == found.key


def test_text_that_nothing_can_hold_is_not_found(strange: Site) -> None:
    for text in ("a\0b", "\ud800", "nothing"):
        with pytest.raises(RecordNotFoundError):
            strange.records.find("Part", text)
    with pytest.raises(InvalidQueryError, match="NUL"):
        strange.records.find_by("Part", "number", "a\0b")


def test_two_records_that_answer_are_both_named(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE part (id text PRIMARY KEY, number text NOT NULL)",
        "[entities.Part]\ntable = 'part'\nbusiness_id = 'number'",
    )
    cuid = "cl9ebqhxk00008eqf0c2y6u2d"
    site.execute(
        "INSERT INTO part VALUES (%s, 'A'), ('b', %s), ('c', 'C'), ('d', 'C'), ('e', 'e')", [cuid, cuid]
    )
    uuids = dict(site.execute('SELECT id, "persistentUuid"::text FROM part'))
    site.execute("INSERT INTO part VALUES ('f', %s)", [uuids["c"]])
    uuids = dict(site.execute('SELECT id, "persistentUuid"::text FROM part'))
    records = site.records

    def candidates(ask: Callable[[], object]) -> list[tuple[str, str | None]]:
        with pytest.raises(AmbiguousIdentifierError) as caught:
            ask()
        assert caught.value.entity == "Part"
        assert all(str(uuid) in str(caught.value) for _, uuid in caught.value.candidates)
        return sorted(caught.value.candidates)

    assert candidates(lambda: records.find("Part", cuid)) == [("id", uuids[cuid]), ("number", uuids["b"])]
    assert candidates(lambda: records.find("Part", uuids["c"])) == [
        ("number", uuids["f"]),
        ("persistentUuid", uuids["c"]),
    ]
    assert candidates(lambda: records.find("Part", "C")) == sorted(
        [("number", uuids["c"]), ("number", uuids["d"])]
    )
    assert candidates(lambda: records.find_by("Part", "number", "C")) == candidates(
        lambda: records.find("Part", "C")
    )
    # By one field there is no doubt; and one record that answers twice is one record.
    assert records.find_by("Part", "number", cuid).key == "b"
    assert records.find_by("Part", "id", cuid).key == cuid
    assert records.find_by("Part", "persistentUuid", uuids["c"]).key == "c"
    assert records.find_by("Part", "number", uuids["c"]).key == "f"
    assert (records.find("Part", "e").key, records.find("Part", "e").matched_by) == ("e", "id")

    async def outside(wire: WireRecords) -> object:
        # Partners ask by UUID and number only: the key that looks the same is none of their business.
        return await wire.find(wire.shapes["Part"], cuid, audience="external")

    match = site.wire(outside)
    assert match.row.uuid == uuids["b"]  # type: ignore[attr-defined]


def test_an_uuid_of_two_entities_is_reported(make_site: MakeSite) -> None:
    site = make_site(
        "CREATE TABLE a (id int PRIMARY KEY, uuid uuid NOT NULL UNIQUE); CREATE TABLE b (LIKE a INCLUDING ALL);"
        " INSERT INTO a VALUES (1, '550e8400-e29b-41d4-a716-446655440000');"
        " INSERT INTO b VALUES (2, '550e8400-e29b-41d4-a716-446655440001')",
        "[entities.A]\ntable = 'a'\nuuid = { column = 'uuid' }\n[entities.B]\ntable = 'b'\nuuid = { column = 'uuid' }",
    )
    uuid = "550e8400-e29b-41d4-a716-446655440000"
    assert site.records.resolve(uuid).entity == "A"
    site.execute("INSERT INTO b VALUES (3, %s)", [uuid])
    with pytest.raises(AmbiguousIdentifierError) as caught:
        site.records.resolve(uuid)
    assert sorted(caught.value.candidates) == [("A", uuid), ("B", uuid)]


def test_by_the_parts_of_a_composite_identifier(mes: Site) -> None:
    plan = mes.records.list("QIFMeasurementPlan", limit=1).records[0]
    number, version = plan.values["planNumber"], plan.values["version"]
    by = mes.records.find_by
    assert by("QIFMeasurementPlan", "planNumber:version", f"{number}:{version}").key == plan.key
    assert by("QIFMeasurementPlan", "planNumber:version", [number, version]).key == plan.key
    assert by("QIFMeasurementPlan", ["version", "planNumber"], [version, number]).key == plan.key
    characteristic = mes.records.list("QIFCharacteristic", limit=1).records[0]
    uuid = mes.records.uuid_of("QIFMeasurementPlan", characteristic.values["planId"])
    place = characteristic.values["characteristicNumber"]

    async def outside(wire: WireRecords) -> list[str | None]:
        shape = wire.shapes["QIFCharacteristic"]
        return [
            (await wire.find(shape, f"{uuid}:{place}", audience="external")).row.uuid,
            (
                await wire.by(shape, "planUuid:characteristicNumber", f"{uuid}:{place}", audience="external")
            ).uuid,
            (
                await wire.by(
                    shape, ("characteristicNumber", "planUuid"), (str(place), str(uuid)), audience="external"
                )
            ).uuid,
        ]

    assert mes.wire(outside) == [str(characteristic.uuid)] * 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "planNumber",
            "x",
            "no identifier of QIFMeasurementPlan; there are persistentUuid, id, planNumber:version",
        ),
        ("planNumber:version", "x", "has 2 parts, joined by ':'"),
        ("planNumber:version", "50%:1", "neither %25 nor %3A"),
        ("planNumber:version", ["x"], "has 2 parts"),
        (["planNumber", "version"], "x:1", "give each part of the identifier once"),
        (["planNumber", "version"], ["x"], "give each part of the identifier once"),
        ("persistentUuid", "x", "no UUID"),
        ("persistentUuid", "0" * 32, "no UUID"),
    ],
)
def test_wrong_questions_by_a_field(mes: Site, name: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        mes.records.find_by("QIFMeasurementPlan", name, value)


def test_what_is_not_there(mes: Site) -> None:
    records, nobody = mes.records, uuid4()
    for ask in (
        lambda: records.find("Part", "nothing"),
        lambda: records.find("Part", str(nobody)),
        lambda: records.find_by_uuid("Part", nobody),
        lambda: records.find_by("Part", "partNumber", "nothing"),
        lambda: records.uuid_of("Part", "nothing"),
        lambda: records.resolve(nobody),
        lambda: records.update("Part", "nothing", {"status": "X"}),
        lambda: mes.wire(lambda wire: wire.detail(wire.shapes["Part"], "nothing")),
    ):
        with pytest.raises(RecordNotFoundError) as caught:
            ask()
        assert caught.value.identifier in ("nothing", str(nobody))
    assert records.batch("Part", [nobody, nobody]).not_found == (nobody,)
    assert records.batch("Part", []).records == ()
    for text in ("x", "550e8400_e29b_41d4_a716_446655440000", "0x" + "0" * 34):
        with pytest.raises(InvalidUuidError):
            records.find_by_uuid("Part", text)
        with pytest.raises(InvalidUuidError):
            records.resolve(text)


@pytest.mark.parametrize("collation", ['"C"', '"en_US"', '"POSIX"', '"pg_c_utf8"', '"default"'])
@pytest.mark.parametrize("storage", ["column", "sidecar"])
def test_every_lookup_uses_its_index(
    make_site: MakeSite, server_url: str, collation: str, storage: str
) -> None:
    with psycopg.connect(server_url) as connection:
        found = connection.execute("SELECT FROM pg_collation WHERE collname = %s", [collation.strip('"')])
        if not found.rowcount:
            pytest.skip(f"this server has no collation {collation}")
    site = make_site(
        f"CREATE TABLE part (id text COLLATE {collation} PRIMARY KEY, number text COLLATE {collation} NOT NULL UNIQUE,"
        f" up text COLLATE {collation} REFERENCES part);"
        " INSERT INTO part SELECT 'c' || md5(n::text), 'P' || n FROM generate_series(1, 3000) AS n; ANALYZE part",
        f"[entities.Part]\ntable = 'part'\nbusiness_id = 'number'\nexpose = ['up']\n"
        f"uuid = {{ column = 'uuid', storage = '{storage}' }}",
    )
    site.execute("ANALYZE")
    shape = site.shapes()["Part"]
    uuid = str(site.records.find_by("Part", "number", "P7").uuid)
    question = find(shape, uuid, audience="internal", fields=None)
    asks = [
        (next(question).query, [uuid] * 3),
        (statements.by_uuids(shape, "external", None), ["{" + uuid + "}"]),
    ]
    asks.append((statements.keyed_by_uuids(shape, "external", None, lock=True), ["{" + uuid + "}"]))
    asks.append((for_each_asked(shape), ["{" + uuid + "}"]))
    asks.append((statements.by_key(shape, "internal", ("uuid", "up_uuid")), ["x"]))
    for query, parameters in asks:
        plan = "\n".join(
            line for (line,) in site.connection.execute(b"EXPLAIN " + query.as_bytes(), parameters)
        )
        assert "Seq Scan" not in plan, plan
        assert "Index" in plan


def test_the_text_of_a_statement_is_always_the_same(mes: Site) -> None:
    shape = mes.shapes()["Part"]
    seen = set()
    for text in ("a part", "another", "Ø", str(uuid4()), str(UUID(int=5))):
        question = find(shape, text, audience="internal", fields=None)
        ask = next(question)
        assert text not in ask.query.as_string()
        seen.add(ask.query.as_bytes())
    assert len(seen) == 2  # with and without the UUID
    other = mes.shapes()["Part"]
    assert statements.by_uuids(shape, "external", None).as_bytes() == (
        statements.by_uuids(other, "external", None).as_bytes()
    )
