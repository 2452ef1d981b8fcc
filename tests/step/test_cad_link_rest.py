"""`…/cad-link`: partners link parts over REST."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from openapi_spec_validator import validate

from core.api.conftest import Api, serving
from dotpeen.database import connect
from dotpeen.partners import Scope, store
from dotpeen.registry import Registry
from step.plant import Plant, build, model, registry

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

A = "5b0d5d1b-7b4d-513a-97c6-ade139c0c379"
B = "8560fe4c-4a0e-5f8c-ae9d-fd8fccf4f9ab"
C = "0e8a1b6e-93a0-4c55-8b05-6f4f8a8f3c01"
FACE = "11111111-93a0-4c55-8b05-6f4f8a8f3c01"
STEP = {"content-type": "model/step"}
LIMIT = 3_000_000


def site(settings: str, uploads: Path) -> Registry:
    found = registry(f'max_upload = {LIMIT}\nupload_dir = "{uploads}"\n{settings}')
    return found.model_copy(update={"api": found.api.model_copy(update={"rate_limit": "0"})})


class Cad:
    """A running server, its database, and how it is asked."""

    def __init__(self, api: Api, uploads: Path) -> None:
        self.api = api
        self.uploads = uploads
        self.plant = Plant(api.database, api.registry)

    def path(self, number: str = "PN-1001") -> str:
        return f"{self.api.url}/api/v1/external/parts/{self.plant.uuid(number)}"

    def post(
        self,
        content: bytes | Iterator[bytes] | None = None,
        number: str = "PN-1001",
        query: str = "",
        **more: Any,
    ) -> httpx.Response:
        headers = self.api.partner | STEP | more.pop("headers", {})
        if content is None:
            headers.pop("content-type")
        url = f"{self.path(number)}/cad-link{query}"
        return httpx.post(url, headers=headers, content=content, timeout=60, **more)

    def links(self, query: str = "", number: str = "PN-1001") -> dict[str, Any]:
        answer = httpx.get(f"{self.path(number)}/cad-links{query}", headers=self.api.partner)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def delete(self, which: str, number: str = "PN-1001") -> httpx.Response:
        return httpx.delete(f"{self.path(number)}/cad-link/{which}", headers=self.api.partner)


@pytest.fixture(scope="module")
def served(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cad]:
    uploads = tmp_path_factory.mktemp("uploads")
    url = server.create(server.template("step", build))
    found = site("", uploads)
    plugins = Plant(url, found).plugins
    with serving(url, found, plugins=plugins) as api:
        yield Cad(api, uploads)
    server.drop(url)


@pytest.fixture
def cad(served: Cad) -> Cad:
    """The server, with nothing linked."""
    for number in ("PN-1001", "PN-1002"):
        for one in served.plant.rows("SELECT pg_catalog.to_regclass('dotpeen_step.link') IS NOT NULL"):
            if one[0] and served.links(number=number)["data"]:
                served.plant.unlink(number, every=True)
    return served


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["detail"]


def test_by_uuid(cad: Cad) -> None:
    made = cad.post(json={"uuid": A.upper()})
    assert made.status_code == 201, made.text
    data, metadata = made.json()["data"], made.json()["metadata"]
    assert {**data, "linkedAt": ""} == {
        "stepUuid": A,
        "current": True,
        "matchedBy": "said",
        "linkedAt": "",
        "product": None,
        "file": None,
    }
    assert (metadata["requestedUuid"], metadata["outcome"]) == (cad.plant.uuid(), "linked")
    assert cad.plant.reference() == A
    again = cad.post(json={"uuid": A})
    assert (again.status_code, again.json()["metadata"]["outcome"]) == (200, "unchanged")
    assert cad.plant.rows("SELECT DISTINCT linked_by FROM dotpeen_step.link WHERE unlinked_at IS NULL") == [
        ("partner Acme",)
    ]


@pytest.mark.parametrize("media_type", ["model/step", "application/step", "application/octet-stream"])
def test_by_file(cad: Cad, media_type: str) -> None:
    content = model(("PN-1001", A), faces=[FACE])
    made = cad.post(content, headers={"content-type": media_type})
    assert made.status_code == 201, made.text
    data = made.json()["data"]
    assert (data["stepUuid"], data["matchedBy"]) == (A, "part-number")
    assert data["product"] == {"id": "PN-1001", "name": "Plate 0", "revision": "A"}
    assert data["file"] == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "protocol": "AP242",
        "edition": 4,
        "originatingSystem": "CAD 1",
        "writtenAt": "2026-01-02T03:04:05",
    }
    assert cad.post(content).status_code == 200
    assert list(cad.uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "disposition", "name"),
    [
        ("?fileName=plate%20b.stp", "", "plate b.stp"),
        ("", 'attachment; filename="plate.stp"', "plate.stp"),
        ("", "attachment; filename=\"x.stp\"; filename*=UTF-8''Pl%C3%A4tte.stp", "Plätte.stp"),
        ("", "attachment; filename=../../etc/passwd", "passwd"),
        ("?fileName=C:%5Ccad%5Cplate.stp", "", "plate.stp"),
        ("?fileName=..", "", "upload.stp"),
        ("", "", "upload.stp"),
    ],
)
def test_what_the_file_is_called(cad: Cad, query: str, disposition: str, name: str) -> None:
    # Each time another content: a file keeps the name that it was first linked by.
    content = model(
        ("PN-1001", A), system=f"{name} {query} {disposition!r}".replace("'", "").replace("\\", "")
    )
    headers = {"content-disposition": disposition} if disposition else {}
    made = cad.post(content, query=query, headers=headers)
    assert made.status_code == 201, made.text
    assert name not in made.text.replace("originatingSystem", "") or name in content.decode()
    digest = hashlib.sha256(content).digest()
    assert cad.plant.rows("SELECT name FROM dotpeen_step.file WHERE sha256 = %s", [digest]) == [(name,)]


def test_links_are_listed_in_pages_and_no_name_leaks(cad: Cad) -> None:
    assert cad.links() == {
        "data": [],
        "pagination": {"total": 0, "limit": 100, "offset": 0, "hasMore": False, "nextCursor": None},
    }
    uuids = [f"{number:08x}-1111-4000-8000-000000000000" for number in range(5)]
    for uuid in uuids:
        assert cad.post(model(("PN-1001", uuid)), query="?fileName=secret.stp").status_code == 201
    whole = cad.links()
    assert [one["stepUuid"] for one in whole["data"]] == uuids[::-1]
    assert [one["current"] for one in whole["data"]] == [True, False, False, False, False]
    assert "secret" not in str(whole)
    assert "Acme" not in str(whole)
    seen, cursor = [], ""
    while True:
        page = cad.links(f"?limit=2{cursor}")
        seen += page["data"]
        assert page["pagination"]["total"] == 5
        if not page["pagination"]["hasMore"]:
            break
        cursor = f"&cursor={page['pagination']['nextCursor']}"
    assert seen == whole["data"]
    assert cad.links("?offset=4&limit=2")["data"] == whole["data"][4:]
    assert cad.links(number="PN-1002")["data"] == []


@pytest.mark.parametrize("query", ["?limit=0", "?limit=501", "?offset=-1", "?limit=x"])
def test_a_wrong_parameter_of_a_list(cad: Cad, query: str) -> None:
    answer = httpx.get(f"{cad.path()}/cad-links{query}", headers=cad.api.partner)
    assert problem(answer)[0] == 422
    answer = httpx.get(f"{cad.path()}/cad-links?cursor=abc", headers=cad.api.partner)
    assert problem(answer) == (400, "cursor: this is none of ours")


def test_unlinking(cad: Cad) -> None:
    content = model(("PN-1001", B))
    cad.post(json={"uuid": A})
    cad.post(content)
    gone = cad.delete(B)
    assert (gone.status_code, gone.content, cad.plant.reference()) == (204, b"", A)
    assert "connection" not in gone.headers
    assert problem(cad.delete(B)) == (404, "the part has no such link")
    cad.post(content)
    assert cad.delete(hashlib.sha256(content).hexdigest()).status_code == 204
    assert cad.delete(A.upper()).status_code == 204
    assert cad.plant.reference() is None
    assert problem(cad.delete("abc")) == (
        400,
        "a link is named by the UUID of the revision, or by all 64 hexadecimal digits of the file's SHA-256",
    )


def test_what_is_no_part(cad: Cad) -> None:
    nobody = f"{cad.api.url}/api/v1/external/parts/{C}"
    refused = httpx.post(f"{nobody}/cad-link", headers=cad.api.partner, json={"uuid": A})
    assert problem(refused) == (404, "no Part has this identifier")
    refused = httpx.post(f"{nobody}/cad-link", headers=cad.api.partner | STEP, content=model(("PN-1001", A)))
    assert problem(refused)[0] == 404
    assert problem(httpx.get(f"{nobody}/cad-links", headers=cad.api.partner))[0] == 404
    for number in ("PN-1001", "cl0000000000000000000000"):
        wrong = f"{cad.api.url}/api/v1/external/parts/{number}/cad-links"
        answer = httpx.get(wrong, headers=cad.api.partner)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-uuid")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"[]", 422, "body: "),
        (b"{}", 422, "uuid: Field required"),
        (b'{"uuid": "PN-1001"}', 400, "'PN-1001' is no UUID"),
        (b'{"uuid": "00000000-0000-0000-0000-000000000000"}', 400, "identify nothing"),
        (b'{"uuid": 12}', 422, "uuid: "),
        (b'{"uuid": "' + A.encode() + b'", "part": "x"}', 422, "part: Extra inputs are not permitted"),
        (b"[" * 60_000, 400, "the body is no JSON"),
        (b" " * 100_000, 413, "such a body may have 65536 bytes"),
        (b"\xff", 400, "the body is no JSON"),
    ],
)
def test_a_wrong_body_of_json(cad: Cad, body: bytes, status: int, said: str) -> None:
    found = problem(cad.post(body, headers={"content-type": "application/json"}))
    assert (found[0], said in found[1]) == (status, True), found


def test_other_media_types_are_refused(cad: Cad) -> None:
    files = {"file": ("plate.stp", model(("PN-1001", A)))}
    for answer in (
        cad.post(b"x", headers={"content-type": "text/plain"}),
        httpx.post(f"{cad.path()}/cad-link", headers=cad.api.partner, files=files),
        httpx.post(f"{cad.path()}/cad-link", headers=cad.api.partner, content=b"x"),
    ):
        status, detail = problem(answer)
        assert (status, "application/json" in detail, "model/step" in detail) == (415, True, True)


def test_a_file_that_is_too_large(cad: Cad) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(8):
            yield bytes(1_000_000)

    for content in (bytes(LIMIT + 1), pieces()):
        assert problem(cad.post(content)) == (413, f"a body may have {LIMIT} bytes")
    assert list(cad.uploads.iterdir()) == []


def test_a_file_that_is_none(cad: Cad) -> None:
    status, detail = problem(cad.post(b"no STEP at all"))
    assert (status, detail.startswith("this is no STEP file that can be read: line 1: ")) == (400, True)
    status, detail = problem(cad.post(model(("PN-1001", A))[:-60]))
    assert (status, "byte" in detail) == (400, True)
    assert str(cad.uploads) not in detail
    assert "dotpeen-" not in detail
    assert problem(cad.post(b"")) == (400, "the body is empty: send the file itself")
    assert cad.post(b"").json()["title"] == "Bad request"
    assert list(cad.uploads.iterdir()) == []


def test_a_file_that_is_not_clear(cad: Cad) -> None:
    content = model(("X-7", A), ("X-8", B))
    status, detail = problem(cad.post(content, query="?fileName=plate.stp"))
    assert status == 422
    assert "no product of plate.stp is certainly Part PN-1001; it has: 'X-7'" in detail
    assert "say which: product " in detail
    assert cad.post(content, query="?product=X-8").json()["data"]["stepUuid"] == B
    several = model(("PN-1001", A), more=f"#900=V5_UUID_ATTRIBUTE('{C}',((#13)));\n")
    called = "'PN-1001' (Plate 0) revision A"
    said = f"product {called} has several UUIDs: {A}, {C} (say which: stepUuid UUID)"
    assert problem(cad.post(several)) == (422, said)
    assert cad.post(several, query=f"?stepUuid={C}").json()["data"]["stepUuid"] == C
    assert problem(cad.post(several, query=f"?stepUuid={A}"))[0] == 409


def test_a_uuid_of_another_part_names_nobody(cad: Cad) -> None:
    cad.post(json={"uuid": A}, number="PN-1002")
    other = cad.plant.uuid("PN-1002")
    for uuid in (A, other):
        refused = cad.post(json={"uuid": uuid})
        assert problem(refused) == (409, "this UUID is another record's already")
        assert "PN-1002" not in refused.text
        assert uuid == other or other not in refused.text


def test_who_may(cad: Cad) -> None:
    assert httpx.post(f"{cad.path()}/cad-link", json={"uuid": A}).status_code == 401
    with connect(cad.api.database, purpose="test") as connection:
        reader = store.add(connection, "Reader", {Scope("Part", "read")}, by="tests", limit=None).token
    headers = {"authorization": f"Bearer {reader.text}"}
    assert httpx.get(f"{cad.path()}/cad-links", headers=headers).status_code == 200
    refused = httpx.post(f"{cad.path()}/cad-link", headers=headers, json={"uuid": A})
    assert problem(refused) == (403, "the token does not carry the scope Part:write")
    assert httpx.delete(f"{cad.path()}/cad-link/{A}", headers=headers).status_code == 403


def test_changes_are_in_the_audit_trail(cad: Cad) -> None:
    cad.post(model(("PN-1001", A)), headers={"x-request-id": "link-of-the-test"})
    with psycopg.connect(cad.api.database) as connection:
        rows = connection.execute(
            "SELECT partner, method, route, uuid::text, status, changed FROM dotpeen.audit"
            " WHERE request_id = 'link-of-the-test'"
        ).fetchall()
    route = "/api/v1/external/parts/{uuid}/cad-link"
    assert rows == [("Acme", "POST", route, cad.plant.uuid(), 201, ["stepAp242Uuid"])]


def test_resolve_leads_from_a_face_to_the_part_with_its_thread(cad: Cad) -> None:
    cad.post(model(("PN-1001", A), faces=[FACE]))
    for uuid, kind in ((FACE, "cad-topology"),):
        found = cad.api.get(f"/api/v1/external/resolve/{uuid}").json()["data"]
        assert (found["entity"], found["record"]["partNumber"]) == ("Part", "PN-1001")
        assert found["via"] == {"source": "step", "kind": kind}
    thread = cad.api.get(f"/api/v1/external/resolve/{cad.plant.uuid()}").json()["data"]["thread"]
    assert [(one["kind"], one["value"]) for one in thread] == [("stepAp242Uuid", A), ("cad-revision", A)]


def test_one_file_from_many_at_once(cad: Cad) -> None:
    content = model(("PN-1001", A), faces=[FACE])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: cad.post(content), range(16)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 503}
    assert cad.plant.rows("SELECT count(*) FROM dotpeen_step.link WHERE unlinked_at IS NULL") == [(1,)]
    assert list(cad.uploads.iterdir()) == []


def test_others_are_answered_while_a_large_file_is_read(cad: Cad) -> None:
    faces = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(15_000)]
    content = model(("PN-1001", A), faces=faces)
    longest: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30) as client:
            while not ended.is_set():
                answer = client.get(cad.path(), headers=cad.api.partner)
                assert answer.status_code == 200
                longest.append(answer.elapsed.total_seconds())

    asking = threading.Thread(target=ask)
    asking.start()
    made = cad.post(content)
    ended.set()
    asking.join()
    assert made.status_code == 201, made.text
    assert max(longest) < 1.5


def test_they_are_documented(cad: Cad) -> None:
    found = cad.api.get("/openapi.json").json()
    validate(found)
    paths = found["paths"]
    link = paths["/api/v1/external/parts/{uuid}/cad-link"]["post"]
    assert set(link["requestBody"]["content"]) == {
        *("application/json", "model/step", "application/step", "application/octet-stream"),
    }
    assert {"200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "503"} <= set(
        link["responses"]
    )
    for status in ("400", "409", "413", "415", "422"):
        assert list(link["responses"][status]["content"]) == ["application/problem+json"]
    assert link["security"] == [{"token": []}, {"oauth2": ["Part:write"]}]
    assert {one["name"] for one in link["parameters"]} == {"uuid", "product", "stepUuid", "fileName"}
    assert set(paths["/api/v1/external/parts/{uuid}/cad-link/{step_uuid}"]) == {"delete"}
    assert set(paths["/api/v1/external/parts/{uuid}/cad-links"]) == {"get"}


def test_a_site_may_keep_links_to_itself(server: Server, tmp_path: Path) -> None:
    url = server.create(server.template("step", build))
    found = site("partner_links = false", tmp_path)
    with serving(url, found, plugins=Plant(url, found).plugins) as api:
        closed = Cad(api, tmp_path)
        said = "links are made and taken away by the site alone"
        assert problem(closed.post(json={"uuid": A})) == (403, said)
        assert problem(closed.delete(A)) == (403, said)
        assert closed.links()["data"] == []
    server.drop(url)


def test_what_is_the_sites_to_mend_is_logged_and_not_told(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.create(server.template("step", build))
    found = site("", tmp_path)
    with serving(url, found, plugins=Plant(url, found).plugins) as api:
        newer = Cad(api, tmp_path)
        assert newer.post(json={"uuid": A}).status_code == 201
        with connect(url, purpose="test") as connection:
            connection.execute("UPDATE dotpeen_step.revision SET version = 99")
        said = "links can't be made or read right now; why was logged"
        assert problem(newer.post(json={"uuid": B})) == (503, said)
        assert "schema dotpeen_step is of version 99, and this plugin knows 1" in caplog.text
    server.drop(url)


def test_before_the_reference_is_migrated(server: Server, tmp_path: Path) -> None:
    url = server.create(server.template("step", build))
    with connect(url, purpose="test") as connection:
        connection.execute('ALTER TABLE public."Part" DROP COLUMN "stepAp242Uuid"')
    found = site("", tmp_path)
    with serving(url, found, plugins=Plant(url, found).plugins) as api:
        answer = Cad(api, tmp_path).post(json={"uuid": A})
        assert problem(answer) == (503, "parts have no place for links yet")
        assert answer.headers["retry-after"] == "60"
    server.drop(url)
