"""Primary keys stay inside: every external answer of every entity, searched for every key of the database."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dotpeen.database import connect
from dotpeen.partners import RateLimit, Scope, store
from dotpeen.partners.state import disable_external
from dotpeen.plugins import load_plugins
from dotpeen.registry import Entity, Registry

from .conftest import Api, build_site, serving, whole_registry
from .witness import EXTERNAL, Witness, joined, segment

if TYPE_CHECKING:
    from postgres import Server

ENTITIES = tuple(whole_registry().entities.values())
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
JSON = {"content-type": "application/json"}
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
INVENTED = "cl00000000000000000000000"


@pytest.fixture(scope="module")
def witness(site: Api) -> Witness:
    return Witness(site.database, site.registry)


def everything(answer: httpx.Response) -> str:
    """All that a client can read in an answer: headers, body, and what its cursors are made of."""
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    text = f"{headers}\n{answer.text}"
    for token in re.findall(r"[A-Za-z0-9_-]{20,}", text):
        try:
            text += "\n" + base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        except ValueError:
            continue
    return text


def leaked(witness: Witness, answer: httpx.Response) -> set[str]:
    text = everything(answer)
    return {key for key in witness.keys if key in text}


def pages(site: Api, path: str, **parameters: str) -> Iterator[httpx.Response]:
    """Every page of a list by its cursors."""
    cursor: str | None = ""
    while cursor is not None:
        answer = site.get(path, params=parameters | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        yield answer
        cursor = answer.json()["pagination"]["nextCursor"]


def test_there_is_something_to_look_for(witness: Witness) -> None:
    assert len(witness.keys) >= 600
    assert all(re.fullmatch("c[a-z0-9]{24}", key) for key in witness.keys)


@each_entity
def test_lists_have_every_record_and_no_key(site: Api, witness: Witness, entity: Entity) -> None:
    rows = {str(row["persistentUuid"]): row for row in witness.rows(entity.table.name)}
    step = str(max(3, len(rows) // 8))
    shown: list[str] = []
    for answer in pages(site, f"{EXTERNAL}/{entity.path}", limit=step):
        assert leaked(witness, answer) == set()
        for record in answer.json()["data"]:
            assert record == witness.external(entity, rows[record["persistentUuid"]])
            shown.append(record["persistentUuid"])
    assert shown == sorted(rows)


@each_entity
def test_cursors_of_sorted_lists_have_no_key(site: Api, witness: Witness, entity: Entity) -> None:
    columns = [witness.outside(entity, column) for column in (*entity.business_id, *entity.expose)]
    for name in [name for name in columns if name and not name.endswith("Uuid")]:
        answer = site.get(f"{EXTERNAL}/{entity.path}", params={"sort": f"-{name}", "limit": "1"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["pagination"]["hasMore"] == (len(witness.rows(entity.table.name)) > 1)
        assert leaked(witness, answer) == set()


@each_entity
def test_lists_can_not_be_sorted_or_narrowed_by_a_key(site: Api, witness: Witness, entity: Entity) -> None:
    row = witness.row(entity)
    for column in ("id", *witness.links[entity.table.name]):
        for parameters in ({"sort": column}, {column: INVENTED}, {"fields": column}, {f"{column}.gte": "a"}):
            answer = site.get(f"{EXTERNAL}/{entity.path}", params=parameters)
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-query"), parameters
            assert leaked(witness, answer) == set()
    single = site.get(f"{EXTERNAL}/{entity.path}/{row['persistentUuid']}?fields=id")
    assert single.status_code == 400


@pytest.mark.slow
@each_entity
def test_single_records_have_no_key(site: Api, witness: Witness, entity: Entity) -> None:
    for row in witness.rows(entity.table.name)[:20]:
        uuid = str(row["persistentUuid"])
        paths = [f"{EXTERNAL}/{entity.path}/{uuid}", f"{EXTERNAL}/resolve/{uuid}"]
        paths.append(f"{EXTERNAL}/{entity.path}/{uuid}?fields=persistentUuid")
        for parts in witness.identifiers(entity, row, external=True):
            name = segment(":".join(name for name, _ in parts))
            value = parts[0][1] if len(parts) == 1 else joined([value for _, value in parts])
            paths.append(f"{EXTERNAL}/{entity.path}/by/{name}/{segment(value)}")
        for path in paths:
            answer = site.get(path)
            assert answer.status_code == 200, answer.text
            assert leaked(witness, answer) == set(), path
            head = site.client.head(site.url + path, headers=site.partner)
            assert leaked(witness, head) == set(), path


@each_entity
def test_batches_have_no_key(site: Api, witness: Witness, entity: Entity) -> None:
    uuids = [str(row["persistentUuid"]) for row in witness.rows(entity.table.name)][:500]
    answer = site.client.post(
        f"{site.url}{EXTERNAL}/{entity.path}/batch",
        headers=site.partner,
        json={"uuids": [*uuids[1:], UNKNOWN]},
    )
    assert len(answer.json()["data"]) == len(uuids) - 1
    assert leaked(witness, answer) == set()


@each_entity
def test_foreign_keys_are_the_uuids_of_the_other_records(site: Api, witness: Witness, entity: Entity) -> None:
    links = witness.links[entity.table.name]
    named = {column: witness.outside(entity, column) for column in links}
    exposed = {
        column: name
        for column, name in named.items()
        if name and column in (*entity.business_id, *entity.expose)
    }
    for row in witness.rows(entity.table.name)[:10]:
        record = site.get(f"{EXTERNAL}/{entity.path}/{row['persistentUuid']}").json()["data"]
        for column, name in exposed.items():
            if row[column] is None:
                assert record[name] is None
                continue
            other = witness.entity_of(links[column])
            assert other is not None
            target = next(one for one in witness.rows(links[column]) if one["id"] == row[column])
            assert record[name] == str(target["persistentUuid"])
            linked = site.get(f"{EXTERNAL}/{other.path}/{record[name]}").json()["data"]
            assert linked == witness.external(other, target)


@each_entity
def test_a_real_key_is_answered_like_an_invented_one(site: Api, witness: Witness, entity: Entity) -> None:
    """Nobody can tell from a refusal whether there is a record with this key."""
    key = witness.row(entity)["id"]
    paths = [
        f"{EXTERNAL}/{entity.path}/{{}}",
        f"{EXTERNAL}/resolve/{{}}",
        f"{EXTERNAL}/{entity.path}/by/id/{{}}",
    ]
    paths += [f"{EXTERNAL}/{entity.path}?cursor={{}}", f"{EXTERNAL}/{entity.path}?id={{}}"]
    if len(entity.business_id) == 1:
        paths.append(f"{EXTERNAL}/{entity.path}/by/{entity.business_id[0]}/{{}}")
    for path in paths:
        real, invented = site.get(path.format(key)), site.get(path.format(INVENTED))
        assert real.status_code == invented.status_code
        assert real.status_code in (400, 404)
        said: list[dict[str, Any]] = []
        for answer, sent in ((real, key), (invented, INVENTED)):
            document = json.loads(answer.text.replace(sent, "…"))
            del document["requestId"]
            said.append(document)
        assert said[0] == said[1]
        # What a client sent may come back to it, and no other key does.
        assert leaked(witness, real) <= {key}


def test_the_document_of_the_interface_has_no_key(site: Api, witness: Witness) -> None:
    for path in ("/openapi.json", "/docs"):
        answer = site.client.get(site.url + path)
        assert answer.status_code == 200
        assert leaked(witness, answer) == set()
    document = site.client.get(f"{site.url}/openapi.json").json()
    columns = {column for links in witness.links.values() for column in links}
    schemas = json.dumps(document)
    assert not [column for column in columns if f'"{column}"' in schemas]


@pytest.fixture(scope="module")
def strict(server: Server) -> Iterator[tuple[Api, Registry]]:
    """A server whose partners may change identifiers and links, so that the database has something to refuse."""
    url = server.create(server.template("site", build_site))
    with connect(url, purpose="test") as connection:
        connection.execute(
            "ALTER TABLE public.\"Part\" ADD CONSTRAINT no_zero CHECK (status <> 'ZERO'),"
            ' DROP CONSTRAINT "Part_erpPartId_key"'
        )
        connection.execute('UPDATE public."Part" SET "erpPartId" = \'ERP-SAME\'')
    registry = whole_registry()
    entities = {
        name: entity.model_copy(update={"writable": (*entity.business_id, *entity.expose)})
        for name, entity in registry.entities.items()
    }
    registry = registry.model_copy(update={"entities": entities})
    with serving(url, registry, plugins=load_plugins(registry)) as running:
        yield running, registry
    server.drop(url)


def test_problems_of_every_kind_have_no_key(strict: tuple[Api, Registry]) -> None:
    site, registry = strict
    witness = Witness(site.database, registry)
    parts, serials = registry.entities["Part"], registry.entities["SerializedPart"]
    first, second = witness.rows("Part")[:2]
    part = f"{EXTERNAL}/{parts.path}/{first['persistentUuid']}"
    serial = f"{EXTERNAL}/{serials.path}/{witness.row(serials)['persistentUuid']}"
    with connect(site.database, purpose="test") as connection:
        slow = store.add(
            connection, "Slow", [Scope("*", "read")], by="t", limit=RateLimit.parse("1/d")
        ).token.text
        other = store.add(connection, "Other", [Scope("WorkOrder", "read")], by="t").token.text

    def ask(method: str, path: str, token: str = site.token, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} | options.pop("headers", {})
        return site.client.request(method, site.url + path, headers=headers, **options)

    asked = [
        (400, ask("GET", f"{EXTERNAL}/{parts.path}/nothing")),
        (400, ask("GET", f"{EXTERNAL}/{parts.path}?limit=many")),
        (400, ask("GET", f"{EXTERNAL}/{parts.path}?cursor=nonsense")),
        (400, ask("POST", f"{EXTERNAL}/{parts.path}/batch", content=b"{", headers=JSON)),
        (400, ask("POST", f"{EXTERNAL}/{parts.path}/batch", json={"uuids": [UNKNOWN] * 501})),
        (401, ask("GET", part, token="dp_wrong")),
        (403, ask("GET", part, token=other)),
        (404, ask("GET", f"{EXTERNAL}/{parts.path}/{UNKNOWN}")),
        (404, ask("GET", f"{EXTERNAL}/resolve/{UNKNOWN}")),
        (404, ask("GET", f"{EXTERNAL}/resolve/{first['persistentUuid']}", token=other)),
        (405, ask("DELETE", part)),
        (409, ask("GET", f"{EXTERNAL}/{parts.path}/by/erpPartId/ERP-SAME")),
        (409, ask("PATCH", part, json={"partNumber": second["partNumber"]})),
        (412, ask("PATCH", part, json={"status": "ACTIVE"}, headers={"if-match": '"other"'})),
        (413, ask("PATCH", part, json={"description": "x" * 2_000_000})),
        (415, ask("PATCH", part, content=b"a=b", headers={"content-type": "text/plain"})),
        (422, ask("PATCH", part, json={"status": "ZERO"})),
        (422, ask("PATCH", part, json={"status": None})),
        (422, ask("PATCH", part, json={"id": "x"})),
        (422, ask("PATCH", serial, json={"partUuid": UNKNOWN})),
        (422, ask("PATCH", serial, json={"partId": "x"})),
        (422, ask("PATCH", serial, json={"partUuid": None})),
        (200, ask("GET", part, token=slow)),
        (429, ask("GET", part, token=slow)),
    ]  # fmt: skip
    for status, answer in asked:
        assert answer.status_code == status, (answer.request.url, answer.text)
        assert leaked(witness, answer) == set(), answer.request.url
    ambiguous = next(answer for status, answer in asked if status == 409)
    candidates = ambiguous.json()["candidates"]
    assert len(candidates) >= 2
    uuids = {str(row["persistentUuid"]) for row in witness.rows("Part")}
    assert all(one["field"] == "erpPartId" and one["uuid"] in uuids for one in candidates)
    with connect(site.database, purpose="test") as connection:
        disable_external(connection, by="t", reason="inventory")
    for _ in range(40):
        answer = ask("GET", part)
        if answer.status_code == 503:
            break
        time.sleep(0.1)
    assert answer.status_code == 503
    assert leaked(witness, answer) == set()
