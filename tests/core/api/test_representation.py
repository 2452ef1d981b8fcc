"""What a record looks like, and how little of it has to be sent again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dotpeen.database import connect
from dotpeen.identifiers import new_cuid
from dotpeen.migration import Runner
from dotpeen.registry import Entity, parse_registry

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Raw, Witness, request, segment

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

ENTITIES = tuple(plant_registry().entities.values())
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
PARTS = f"{EXTERNAL}/parts"


@pytest.fixture(scope="module")
def witness(api: Api) -> Witness:
    return Witness(api.database, api.registry)


def ask(api: Api, path: str, method: str = "GET", **headers: str) -> Raw:
    opening = api.partner if path.startswith(EXTERNAL) else api.internal
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(api.url, method, path, headers=opening | named)


class TestConditional:
    def paths(self, witness: Witness, entity: Entity) -> list[str]:
        row = witness.row(entity)
        uuid = row["persistentUuid"]
        return [
            f"{EXTERNAL}/{entity.path}/{uuid}", f"{EXTERNAL}/{entity.path}/{uuid}?fields=persistentUuid",
            f"{EXTERNAL}/{entity.path}?limit=3", f"{EXTERNAL}/resolve/{uuid}",
            f"{EXTERNAL}/{entity.path}/by/persistentUuid/{uuid}", f"/api/{entity.path}/{row['id']}",
            f"/api/{entity.path}?limit=3", f"/api/internal/{entity.path}/{row['id']}",
        ]  # fmt: skip

    @each_entity
    def test_what_the_client_has_is_not_sent_again(self, api: Api, witness: Witness, entity: Entity) -> None:
        for path in self.paths(witness, entity):
            first = ask(api, path)
            tag = first.headers["etag"]
            for condition in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
                again = ask(api, path, if_none_match=condition)
                assert (again.status, again.body) == (304, b""), path
                assert again.headers["etag"] == tag
                assert "content-length" not in again.headers
                assert "content-type" not in again.headers
            for condition in ('"other"', 'W/"x", "y"', tag[:-2] + 'x"', ""):
                assert ask(api, path, if_none_match=condition).status == 200, path

    def test_every_representation_has_a_tag_of_its_own(self, api: Api, witness: Witness) -> None:
        tags = [ask(api, path).headers["etag"] for path in self.paths(witness, ENTITIES[0])]
        # A record by UUID and by field is the same, and so is its representation.
        assert tags[0] == tags[4]
        assert len(set(tags)) == len(tags) - 1

    def test_answers_are_kept_by_the_client_alone(self, api: Api, witness: Witness) -> None:
        for path in self.paths(witness, ENTITIES[0]):
            assert ask(api, path).headers["cache-control"] == "private, no-cache"


class TestHead:
    @each_entity
    def test_has_the_headers_of_get_and_no_body(self, api: Api, witness: Witness, entity: Entity) -> None:
        for path in TestConditional().paths(witness, entity):
            got, head = ask(api, path), ask(api, path, "HEAD")
            assert (head.status, head.body) == (200, b"")
            for name in ("content-type", "content-length", "etag", "cache-control"):
                assert head.headers[name] == got.headers[name], path

    def test_of_what_is_not_there_has_no_body_either(self, api: Api) -> None:
        for path in (f"{PARTS}/x", f"{PARTS}/550e8400-e29b-41d4-a716-446655440000", "/nothing"):
            head = ask(api, path, "HEAD")
            assert (head.status, head.body) == (ask(api, path).status, b"")


class TestGzip:
    PATH = f"{PARTS}/../qif-characteristics".replace("parts/../", "")

    @pytest.mark.parametrize(
        "accepted",
        ["gzip", "GZIP", "gzip, deflate, br", "deflate, gzip;q=0.5", "*", "gzip;q=1.0", "br, *;q=0.1"],
    )
    def test_is_used_where_it_is_accepted(self, api: Api, accepted: str) -> None:
        plain, packed = ask(api, self.PATH), ask(api, self.PATH, accept_encoding=accepted)
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) == len(packed.body) < len(plain.body) / 2
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["vary"].lower() == plain.headers["vary"].lower() == "accept-encoding"
        # One tag: what a client has, it has, however it travelled.
        assert packed.headers["etag"] == plain.headers["etag"]

    @pytest.mark.parametrize(
        "accepted",
        ["identity", "", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "xgzip", "gzip;q=0, br"],
    )
    def test_is_not_used_where_it_is_not(self, api: Api, accepted: str) -> None:
        answer = ask(api, self.PATH, accept_encoding=accepted)
        assert "content-encoding" not in answer.headers
        assert answer.json()["data"]

    def test_small_answers_stay_as_they_are(self, api: Api, witness: Witness) -> None:
        uuid = witness.rows("Part")[0]["persistentUuid"]
        assert "content-encoding" not in ask(api, f"{PARTS}/{uuid}", accept_encoding="gzip").headers


class TestFields:
    @each_entity
    def test_has_what_was_asked_for_and_no_more(self, api: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        whole, inside = witness.external(entity, row), witness.internal(row)
        names = list(whole)
        for chosen in ([name] for name in names), [names[:2]], [names]:
            for wanted in chosen:
                text = ",".join(reversed(wanted))
                expected = {name: whole[name] for name in wanted}
                uuid = row["persistentUuid"]
                for path in (
                    f"{EXTERNAL}/{entity.path}/{uuid}",
                    f"{EXTERNAL}/{entity.path}/by/persistentUuid/{uuid}",
                ):
                    assert ask(api, f"{path}?fields={text}").json()["data"] == expected
                listed = ask(api, f"{EXTERNAL}/{entity.path}?fields={text}&limit=500").json()["data"]
                assert expected in listed
                assert {tuple(record) for record in listed} == {tuple(expected)}
        record = ask(api, f"/api/{entity.path}/{row['id']}?fields=id,createdAt").json()["data"]
        assert record == {name: inside[name] for name in ("id", "createdAt")}

    def test_given_twice_means_both(self, api: Api, witness: Witness) -> None:
        uuid = witness.rows("Part")[0]["persistentUuid"]
        record = ask(api, f"{PARTS}/{uuid}?fields=status&fields=partNumber,%20status").json()["data"]
        assert list(record) == ["partNumber", "status"]

    def test_order_is_that_of_the_record(self, api: Api, witness: Witness) -> None:
        uuid = witness.rows("Part")[0]["persistentUuid"]
        forth = ask(api, f"{PARTS}/{uuid}?fields=partNumber,status")
        back = ask(api, f"{PARTS}/{uuid}?fields=status,partNumber")
        assert forth.headers["etag"] == back.headers["etag"]

    @each_entity
    def test_metadata_stays_whole(self, api: Api, witness: Witness, entity: Entity) -> None:
        uuid = str(witness.row(entity)["persistentUuid"])
        name = list(witness.external(entity, witness.row(entity)))[-1]
        metadata = ask(api, f"{EXTERNAL}/{entity.path}/{uuid}?fields={name}").json()["metadata"]
        assert metadata["requestedUuid"] == uuid

    def test_a_batch_has_the_chosen_ones(self, api: Api, witness: Witness) -> None:
        uuids = [str(row["persistentUuid"]) for row in witness.rows("Part")[:2]]
        answer = api.client.post(
            f"{api.url}{PARTS}/batch?fields=status", headers=api.partner, json={"uuids": uuids}
        )
        assert [list(record) for record in answer.json()["data"]] == [["status"]] * 2


class TestLists:
    @each_entity
    def test_sorted_by_each_field_in_both_directions(
        self, api: Api, witness: Witness, entity: Entity
    ) -> None:
        rows = witness.rows(entity.table.name)
        for name in witness.external(entity, rows[0]):
            if name.endswith("Uuid") and name != "persistentUuid":
                continue
            for sign in ("", "-"):
                records = self.walk(api, f"{EXTERNAL}/{entity.path}?sort={sign}{name}&limit=17")
                assert len(records) == len(rows)
                values = [record[name] for record in records]
                texts = [value for value in values if value is not None]
                nulls = [value is None for value in values]
                assert nulls == sorted(nulls, reverse=bool(sign)), "NULL is larger than everything"
                if all(isinstance(value, int | float) for value in texts):
                    assert texts == sorted(texts, reverse=bool(sign)), name
                assert {record["persistentUuid"] for record in records} == {
                    str(row["persistentUuid"]) for row in rows
                }

    def walk(self, api: Api, path: str) -> list[dict[str, Any]]:
        """Everything of a list, page by page."""
        records: list[dict[str, Any]] = []
        cursor, offset = "", 0
        total = None
        while True:
            document = ask(api, f"{path}{cursor}").json()
            pagination = document["pagination"]
            records += document["data"]
            assert total in (None, pagination["total"])
            total = pagination["total"]
            assert pagination["offset"] == offset
            offset += len(document["data"])
            assert pagination["hasMore"] == (pagination["nextCursor"] is not None) == (offset < total)
            if pagination["nextCursor"] is None:
                return records
            cursor = f"&cursor={pagination['nextCursor']}"

    @each_entity
    @pytest.mark.parametrize("limit", [1, 7, 100, 500])
    def test_cursors_and_offsets_come_through_everything(
        self, api: Api, witness: Witness, entity: Entity, limit: int
    ) -> None:
        rows = witness.rows(entity.table.name)
        if limit == 1 and len(rows) > 50:
            limit = 13
        uuids = sorted(str(row["persistentUuid"]) for row in rows)
        for base in (f"{EXTERNAL}/{entity.path}", f"/api/{entity.path}"):
            records = self.walk(api, f"{base}?limit={limit}")
            assert [record["persistentUuid"] for record in records] == uuids
            by_offset: list[str] = []
            while True:
                document = ask(api, f"{base}?limit={limit}&offset={len(by_offset)}").json()
                assert document["pagination"]["total"] == len(rows)
                by_offset += [record["persistentUuid"] for record in document["data"]]
                if not document["pagination"]["hasMore"]:
                    break
            assert by_offset == uuids

    def test_beyond_the_end_is_an_empty_page(self, api: Api, witness: Witness) -> None:
        document = ask(api, f"{PARTS}?offset=1000000").json()
        assert document["data"] == []
        assert document["pagination"] == {
            "total": len(witness.rows("Part")), "limit": 100, "offset": 1_000_000, "hasMore": False, "nextCursor": None,
        }  # fmt: skip

    def test_several_fields_sort_one_after_another(self, api: Api, witness: Witness) -> None:
        rows = witness.rows("QIFCharacteristic")
        records = self.walk(
            api, f"{EXTERNAL}/qif-characteristics?sort=-characteristicNumber,nominalValue&limit=5"
        )
        keys = [(-record["characteristicNumber"], record["nominalValue"]) for record in records]
        assert keys == sorted(keys)
        assert len(keys) == len(rows)

    def test_ranges_have_what_lies_between(self, api: Api, witness: Witness) -> None:
        rows = sorted(witness.rows("MaterialLot"), key=lambda row: row["receivedAt"])
        first, last = (witness.internal(rows[place])["receivedAt"] for place in (3, -4))
        for query, expected in {
            f"receivedAt.gte={first}&receivedAt.lt={last}": rows[3:-4],
            f"receivedAt.gt={first}&receivedAt.lte={last}": rows[4:-3],
            f"receivedAt.gte={last}": rows[-4:],
            f"receivedAt.lt={first}": rows[:3],
            f"receivedAt={first}": rows[3:4],
            f"receivedAt={first}&receivedAt={last}": [rows[3], rows[-4]],
        }.items():
            records = self.walk(api, f"{EXTERNAL}/material-lots?limit=2&sort=receivedAt&{query}")
            assert [record["lotNumber"] for record in records] == [row["lotNumber"] for row in expected], (
                query
            )

    def test_filters_work_together_and_values_of_one_alternatively(self, api: Api, witness: Witness) -> None:
        rows = witness.rows("WorkOrder")
        states, priorities = (
            sorted({row["status"] for row in rows}),
            sorted({row["priority"] for row in rows}),
        )
        query = f"status={states[0]}&status={states[-1]}&priority={priorities[0]}"
        records = self.walk(api, f"{EXTERNAL}/work-orders?limit=3&{query}")
        expected = {
            str(row["persistentUuid"])
            for row in rows
            if row["status"] in (states[0], states[-1]) and row["priority"] == priorities[0]
        }
        assert {record["persistentUuid"] for record in records} == expected

    def test_records_that_are_added_meanwhile_disturb_no_walk(self, own_api: Api) -> None:
        before = Witness(own_api.database, own_api.registry).rows("SerializedPart")
        first = ask(own_api, f"{EXTERNAL}/serialized-parts?limit=20").json()
        with connect(own_api.database, purpose="test") as connection:
            for number in range(20):
                connection.execute(
                    'INSERT INTO public."SerializedPart" (id, "serialNumber", "partId", "updatedAt")'
                    " VALUES (%s, %s, %s, now())",
                    [new_cuid(), f"NEW-{number}", before[0]["partId"]],
                )
        shown = [record["persistentUuid"] for record in first["data"]]
        cursor = first["pagination"]["nextCursor"]
        while cursor:
            document = ask(own_api, f"{EXTERNAL}/serialized-parts?limit=20&cursor={cursor}").json()
            shown += [record["persistentUuid"] for record in document["data"]]
            cursor = document["pagination"]["nextCursor"]
        assert len(shown) == len(set(shown))
        assert {str(row["persistentUuid"]) for row in before} <= set(shown)


VALUES = """
CREATE TABLE public.gauge (
    id integer PRIMARY KEY, tag text NOT NULL UNIQUE, amount numeric(30, 10), free numeric, ratio double precision,
    small real, big bigint, flag boolean, at timestamp, seen timestamptz, day date, raw bytea, extra jsonb, tags text[],
    moments timestamptz[], token uuid
)
"""
INSERT = """
INSERT INTO public.gauge VALUES
    (1, 'exact', 12345678901234567890.0123456789, 25.4000, 0.1, 0.1, 9223372036854775807, true,
     '2026-01-31 12:00:00.123456', '2026-01-31 13:00:00.123456+01', '2026-01-31', '\\x00ff10', '{"a": [1.50, null]}',
     '{a,"b c",NULL}', '{2026-01-31 12:00:00+00}', '550E8400-E29B-41D4-A716-446655440000'),
    (2, 'edge', 0, 'NaN', 'Infinity', '-Infinity', -9223372036854775808, false, '2026-01-31 12:00:00', 'infinity',
     '-infinity', '', '"ü\\u20ac"', '{}', '{}', NULL),
    (3, 'empty', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
WIRE: dict[str, dict[str, Any]] = {
    "exact": {
        "amount": "12345678901234567890.0123456789", "free": "25.4000", "ratio": 0.1, "small": 0.1,
        "big": 9223372036854775807, "flag": True, "at": "2026-01-31T12:00:00.123456Z",
        "seen": "2026-01-31T12:00:00.123456Z", "day": "2026-01-31", "raw": "AP8Q", "extra": {"a": [1.5, None]},
        "tags": ["a", "b c", None], "moments": ["2026-01-31T12:00:00.000000Z"],
        "token": "550e8400-e29b-41d4-a716-446655440000",
    },
    "edge": {
        "amount": "0.0000000000", "free": "NaN", "ratio": "Infinity", "small": "-Infinity",
        "big": -9223372036854775808, "flag": False, "at": "2026-01-31T12:00:00.000000Z", "seen": "infinity",
        "day": "-infinity", "raw": "", "extra": "ü€", "tags": [], "moments": [], "token": None,
    },
    "empty": dict.fromkeys(
        ["amount", "free", "ratio", "small", "big", "flag", "at", "seen", "day", "raw", "extra", "tags", "moments",
         "token"]
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def gauges(server: Server) -> Iterator[Api]:
    """A table of every type."""
    url = server.create(server.template("api", build))
    with connect(url, purpose="test") as connection:
        connection.execute(VALUES)
        connection.execute(INSERT)
    registry = parse_registry(
        '[api]\ninternal_token = "env:DOTPEEN_TEST_INTERNAL_TOKEN"\n[entities.Gauge]\ntable = "gauge"\n'
        f'business_id = "tag"\nexpose = {json.dumps(list(WIRE["exact"]))}\n',
        file="registry.toml",
    )
    with Runner(url, registry, registry.select()) as runner:
        runner.up()
    with serving(url, registry) as running:
        yield running
    server.drop(url)


@pytest.mark.parametrize("tag", WIRE)
def test_values_are_exact_and_the_same_from_every_route(gauges: Api, tag: str) -> None:
    uuid = ask(gauges, f"{EXTERNAL}/gauges/by/tag/{tag}").json()["data"]["persistentUuid"]
    key = ask(gauges, f"/api/gauges/{tag}").json()["data"]["id"]
    batch = gauges.client.post(
        f"{gauges.url}{EXTERNAL}/gauges/batch", headers=gauges.partner, json={"uuids": [uuid]}
    ).text
    bodies = [
        ask(gauges, path).body.decode()
        for path in (
            f"{EXTERNAL}/gauges/{uuid}", f"{EXTERNAL}/gauges/by/tag/{tag}", f"{EXTERNAL}/gauges?tag={tag}",
            f"{EXTERNAL}/resolve/{uuid}", f"{EXTERNAL}/gauges/{uuid}?fields={','.join(WIRE[tag])}",
            f"/api/gauges/{tag}", f"/api/gauges/{key}", f"/api/gauges?tag={tag}", f"/api/internal/gauges/{key}",
        )
    ]  # fmt: skip
    written = None
    for body in (*bodies, batch):
        document = json.loads(body)["data"]
        record = document[0] if isinstance(document, list) else document.get("record", document)
        assert {name: record[name] for name in WIRE[tag]} == WIRE[tag]
        # Not only the same value: the same text.
        start = body.index('"amount":')
        text = body[start : body.index('"token":', start)]
        assert written in (None, text)
        written = text


def test_integer_keys_are_found_like_others(gauges: Api) -> None:
    assert ask(gauges, "/api/internal/gauges/2").json()["data"]["tag"] == "edge"
    for text in ("x", "2.0", "99999999999", "-0", "02", segment("٢")):
        assert ask(gauges, f"/api/internal/gauges/{text}").status == 400
    assert ask(gauges, "/api/internal/gauges/77").status == 404
