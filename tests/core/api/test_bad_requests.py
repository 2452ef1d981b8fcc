"""What no client should send: each is answered with a problem document and the right status, and changes nothing."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from dotpeen.database import connect
from dotpeen.demo import sample
from dotpeen.registry import Entity

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Raw, Witness, refused, request, segment

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

ENTITIES = tuple(plant_registry().entities.values())
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
PARTS = f"{EXTERNAL}/parts"
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
JSON = {"content-type": "application/json"}
INJECTIONS = (
    "' OR '1'='1",
    '\'; DROP TABLE "Part"; --',
    "1; SELECT pg_sleep(30)",
    'x" OR ""="',
    'x\') UNION SELECT id, id FROM "Part" --',
    '\\\'; DELETE FROM "Part"; --',
    '$$; TRUNCATE "Part"; $$',
    "%s %(a)s %% {0} {a}",
    f"{UNKNOWN}' OR true --",
)


def fingerprint(url: str) -> list[Any]:
    """What must be the same before and after."""
    with connect(url, purpose="test") as connection:
        return [
            connection.execute(
                f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM public."{table}" AS t'
            ).fetchone()
            for table in sample.TABLES
        ]


@pytest.fixture(scope="module", autouse=True)
def unchanged(api: Api) -> Iterator[None]:
    before = fingerprint(api.database)
    yield
    assert fingerprint(api.database) == before


@pytest.fixture(scope="module")
def witness(api: Api) -> Witness:
    return Witness(api.database, api.registry)


def ask(api: Api, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Raw:
    """A request as a partner on the external routes, as the site's own application on the others."""
    opening = api.partner if path.startswith(EXTERNAL) else api.internal
    sent: bytes | None = body if isinstance(body, bytes) else None
    kind = {}
    if body is not None and sent is None:
        sent = json.dumps(body).encode()
    if sent is not None:
        kind = JSON
    return request(api.url, method, path, headers=opening | kind | (headers or {}), body=sent)


class TestInjection:
    @each_entity
    def test_in_paths(self, api: Api, entity: Entity) -> None:
        external, internal = f"{EXTERNAL}/{entity.path}", f"/api/internal/{entity.path}"
        for text in INJECTIONS:
            part = segment(text)
            assert refused(ask(api, "GET", f"{external}/{part}"), 400, sent=text)["provided"] == text
            refused(ask(api, "GET", f"{EXTERNAL}/resolve/{part}"), 400, sent=text)
            refused(ask(api, "GET", f"{external}/by/{part}/x"), 400, sent=text)
            refused(ask(api, "GET", f"/api/{entity.path}/by/{part}/x"), 400, sent=text)
            refused(ask(api, "GET", f"/api/{entity.path}/{part}"), 404, sent=text)
            refused(ask(api, "GET", f"{internal}/{part}"), 400, 404, sent=text)
            refused(ask(api, "PATCH", f"{internal}/{part}", {"status": "x"}), 400, 404, 422, sent=text)
            if entity.business_id:
                name = entity.business_id[0] if len(entity.business_id) == 1 else ":".join(entity.business_id)
                refused(ask(api, "GET", f"/api/{entity.path}/by/{name}/{part}"), 400, 404, sent=text)

    @each_entity
    def test_in_parameters_of_lists(self, api: Api, entity: Entity) -> None:
        for base in (f"{EXTERNAL}/{entity.path}", f"/api/{entity.path}"):
            for text in INJECTIONS:
                for name in ("sort", "fields", "limit", "offset", "cursor", "nothing", text):
                    refused(ask(api, "GET", f"{base}?{urlencode({name: text})}"), 400, sent=text)
                for column in (*entity.filters, *entity.business_id):
                    name = (
                        column
                        if base.startswith("/api/") and EXTERNAL not in base
                        else column.replace("Id", "Uuid")
                    )
                    answer = ask(api, "GET", f"{base}?{urlencode({name: text})}")
                    if answer.status == 200:
                        assert answer.json()["data"] == []
                    else:
                        refused(answer, 400, sent=text)
                    refused(ask(api, "GET", f"{base}?{urlencode({name + '.' + text: 'x'})}"), 400, sent=text)
                    refused(ask(api, "GET", f"{base}/by?{urlencode({name: text})}"), 400, 404, sent=text)

    @each_entity
    def test_in_parameters_of_records(self, api: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        paths = [f"{EXTERNAL}/{entity.path}/{row['persistentUuid']}", f"/api/{entity.path}/{row['id']}"]
        for path in paths:
            for text in INJECTIONS:
                refused(ask(api, "GET", f"{path}?{urlencode({'fields': text})}"), 400, sent=text)
                refused(ask(api, "GET", f"{path}?{urlencode({text: 'x'})}"), 400, sent=text)

    @each_entity
    def test_in_bodies(self, api: Api, witness: Witness, entity: Entity) -> None:
        row = witness.row(entity)
        external, internal = f"{EXTERNAL}/{entity.path}", f"/api/internal/{entity.path}"
        numbers = [name for name, value in row.items() if isinstance(value, int | float)]
        for text in INJECTIONS:
            problem = refused(ask(api, "POST", f"{external}/batch", {"uuids": [text]}), 400, sent=text)
            assert (problem["provided"], problem["example"]) == (text, UNKNOWN)
            refused(ask(api, "POST", f"{external}/batch", {text: []}), 400, sent=text)
            refused(ask(api, "POST", internal, {text: "x"}), 422, sent=text)
            refused(ask(api, "PATCH", f"{internal}/{row['id']}", {text: "x"}), 422, sent=text)
            for name in numbers:
                refused(ask(api, "PATCH", f"{internal}/{row['id']}", {name: text}), 422, sent=text)
        if entity.name == "Part":
            for text in INJECTIONS:
                path = f"{external}/{row['persistentUuid']}"
                refused(ask(api, "PATCH", path, {text: "x"}), 422, sent=text)
                refused(ask(api, "PATCH", path, {"status": text}, headers={"if-match": f'"{UNKNOWN}"'}), 412)


class TestLargeBodies:
    LARGE = b'{"uuids": ["' + b"x" * 10_000_000 + b'"]}'
    ROUTES = (("POST", f"{PARTS}/batch"), ("PATCH", f"{PARTS}/{UNKNOWN}"), ("POST", "/api/internal/parts"))

    @pytest.mark.parametrize(("method", "path"), ROUTES)
    @pytest.mark.parametrize("way", ["with its length", "in chunks"])
    def test_ten_megabytes_are_refused(self, api: Api, method: str, path: str, way: str) -> None:
        headers = (api.partner if path.startswith(EXTERNAL) else api.internal) | JSON
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: dotpeen",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if way == "in chunks":
            pieces = [self.LARGE[start : start + 65_536] for start in range(0, len(self.LARGE), 65_536)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            lines.append("transfer-encoding: chunked")
        else:
            body = self.LARGE
            lines.append(f"content-length: {len(body)}")
        answer = send(api, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        refused(answer, 413)
        assert api.get(PARTS).status_code == 200

    def test_a_length_alone_is_enough_to_refuse_it(self, api: Api) -> None:
        head = (
            f"POST {PARTS}/batch HTTP/1.1\r\nhost: dotpeen\r\nauthorization: {api.partner['authorization']}\r\n"
            "content-type: application/json\r\ncontent-length: 10000000\r\n\r\n"
        )
        refused(send(api, head.encode() + b'{"uuids'), 413)

    def test_a_packed_body_is_not_unpacked(self, api: Api) -> None:
        body = gzip.compress(self.LARGE)
        answer = ask(api, "POST", f"{PARTS}/batch", body, headers={"content-encoding": "gzip"})
        refused(answer, 400, 415)

    def test_the_largest_batch_fits(self, api: Api) -> None:
        uuids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 501)]
        answer = ask(api, "POST", f"{PARTS}/batch", {"uuids": uuids})
        assert (answer.status, answer.json()["notFoundUuids"]) == (200, uuids)


def send(api: Api, data: bytes) -> Raw:
    """Send bytes as they are, as far as the server takes them, and read its answer."""
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        with suppress(OSError):  # it had read enough
            connection.sendall(data)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
                head, separator, body = received.partition(b"\r\n\r\n")
                headers = dict(
                    line.split(": ", 1)
                    for line in head.decode("latin-1").lower().split("\r\n")[1:]
                    if ": " in line
                )
                if separator and len(body) >= int(headers.get("content-length", "0")):
                    break
        except ConnectionResetError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    assert head, "the server said nothing"
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Raw(int(first.split()[1]), headers, body)


class TestBatch:
    def test_of_501_is_refused(self, api: Api) -> None:
        uuids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 502)]
        problem = refused(ask(api, "POST", f"{PARTS}/batch", {"uuids": uuids}), 400)
        assert (problem["type"], problem["limit"]) == ("/problems/too-many-uuids", 500)

    @each_entity
    def test_of_none_has_none(self, api: Api, entity: Entity) -> None:
        answer = ask(api, "POST", f"{EXTERNAL}/{entity.path}/batch", {"uuids": []})
        assert (answer.status, answer.json()["data"], answer.json()["notFoundUuids"]) == (200, [], [])

    def test_has_what_was_asked_twice_once(self, api: Api, witness: Witness) -> None:
        first, second = (str(row["persistentUuid"]) for row in witness.rows("Part")[:2])
        asked = [second, UNKNOWN, first, second.upper(), UNKNOWN, first]
        answer = ask(api, "POST", f"{PARTS}/batch", {"uuids": asked})
        assert [one["persistentUuid"] for one in answer.json()["data"]] == [second, first]
        assert answer.json()["notFoundUuids"] == [UNKNOWN]

    @pytest.mark.parametrize(
        "body",
        [[], "x", 7, None, {}, {"uuids": None}, {"uuids": "x"}, {"uuids": {}}, {"uuids": [1]}, {"uuids": [None]},
         {"uuids": [[UNKNOWN]]}, {"uuid": [UNKNOWN]}, {"uuids": [UNKNOWN], "more": 1}],
    )  # fmt: skip
    def test_of_another_form_is_refused_with_an_example(self, api: Api, body: Any) -> None:
        problem = refused(ask(api, "POST", f"{PARTS}/batch", json.dumps(body).encode()), 400)
        assert problem["type"] == "/problems/malformed-json"
        if isinstance(body, dict):
            assert problem["example"] == {"uuids": [UNKNOWN]}

    @pytest.mark.parametrize(
        "text", ["", "x", "cl00000000000000000000000", UNKNOWN + " ", "\ud800", "\u0000", "ü" * 999]
    )
    def test_of_what_is_no_uuid_says_which(self, api: Api, text: str) -> None:
        problem = refused(ask(api, "POST", f"{PARTS}/batch", {"uuids": [UNKNOWN, text]}), 400)
        assert problem["type"] == "/problems/invalid-uuid"
        assert problem["example"] == UNKNOWN
        assert len(problem["provided"]) <= 201


MALFORMED = {
    "nothing": b"",
    "blanks": b"  \n",
    "half": b'{"uuids": [',
    "NaN": b'{"uuids": NaN}',
    "Infinity": b'{"uuids": [-Infinity]}',
    "a name twice": b'{"uuids": [], "uuids": []}',
    "a name twice within": b'{"uuids": [{"a": 1, "a": 2}]}',
    "depth": b"[" * 200_000,
    "depth of objects": b'{"a":' * 100_000,
    "closed depth": b'{"uuids":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not UTF-8": b'{"uuids": ["\xff\xfe"]}',
    "Latin-1": '{"uuids": ["ü"]}'.encode("latin-1"),
    "UTF-16": '{"uuids": []}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"uuids": []}',
    "a huge integer": b'{"uuids": [' + b"9" * 10_000 + b"]}",
    "a huge exponent": b'{"uuids": [1e999999]}',
    "single quotes": b"{'uuids': []}",
    "a comma too many": b'{"uuids": [],}',
    "a comment": b'{"uuids": [] /* all */}',
    "two documents": b'{"uuids": []} {"uuids": []}',
    "NUL": b'{"uuids": ["\x00"]}',
    "a control character": b'{"uuids": ["\x01"]}',
    "XML": b"<uuids/>",
    "a form": b"uuids=1",
}


class TestMalformedJson:
    @pytest.mark.parametrize("name", MALFORMED)
    def test_is_refused_on_every_route_with_a_body(self, api: Api, witness: Witness, name: str) -> None:
        row = witness.rows("Part")[0]
        for method, path in (
            ("POST", f"{PARTS}/batch"),
            ("PATCH", f"{PARTS}/{row['persistentUuid']}"),
            ("POST", "/api/internal/parts"),
            ("PATCH", f"/api/internal/parts/{row['id']}"),
        ):
            answer = ask(api, method, path, MALFORMED[name])
            # As a record's values, some of these are JSON with a member that no record has.
            problem = refused(answer, 400, 422)
            if path.endswith("/batch"):
                assert problem["type"] in ("/problems/malformed-json", "/problems/invalid-uuid")

    @pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b"true"])
    def test_so_is_what_is_no_object(self, api: Api, witness: Witness, body: bytes) -> None:
        row = witness.rows("Part")[0]
        for method, path in (("PATCH", f"{PARTS}/{row['persistentUuid']}"), ("POST", "/api/internal/parts")):
            assert refused(ask(api, method, path, body), 400)["type"] == "/problems/malformed-json"

    @pytest.mark.parametrize(
        "kind", ["", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded",
                 "multipart/form-data; boundary=x", "application/jsonp", "*/*"],
    )  # fmt: skip
    def test_another_type_of_content_is_refused(self, api: Api, kind: str) -> None:
        for method, path in TestLargeBodies.ROUTES:
            answer = ask(api, method, path, b'{"uuids": []}', headers={"content-type": kind})
            refused(answer, 415)

    def test_parameters_of_the_type_and_capitals_do_no_harm(self, api: Api) -> None:
        for kind in ("application/json; charset=utf-8", "Application/JSON"):
            answer = ask(api, "POST", f"{PARTS}/batch", b'{"uuids": []}', headers={"content-type": kind})
            assert answer.status == 200


class TestCursors:
    def cursor(self, api: Api, path: str = f"{PARTS}?limit=1") -> str:
        return str(api.get(path).json()["pagination"]["nextCursor"])

    @pytest.mark.parametrize(
        "text", ["", "x", "=", "a b", "Ww", "e30", "bnVsbA", "!!!", "ü", "A" * 20_000, "_-_-"]
    )
    def test_nonsense_is_refused(self, api: Api, text: str) -> None:
        for base in (PARTS, "/api/parts"):
            problem = refused(ask(api, "GET", f"{base}?{urlencode({'cursor': text})}"), 400)
            assert problem["parameter"] == "cursor"

    @pytest.mark.parametrize("place", range(5))
    @pytest.mark.parametrize(
        "value",
        [None, True, -1, 2**63, 1.5, "1e999", "NaN", [], {}, "'; DROP TABLE \"Part\"; --", [None], ["x"], [UNKNOWN] * 2,
         [{"a": 1}], [["x"]], "\u0000", [UNKNOWN + "\u0000"], [UNKNOWN.replace("-", "")]],
    )  # fmt: skip
    def test_one_that_was_tampered_with_is_refused(self, api: Api, place: int, value: object) -> None:
        text = self.cursor(api)
        document = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if place < len(document):
            document[place] = value
        else:
            document.append(value)
        tampered = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
        refused(ask(api, "GET", f"{PARTS}?limit=1&cursor={tampered}"), 400)

    def test_one_of_another_list_is_refused(self, api: Api) -> None:
        text = self.cursor(api)
        for path in (
            f"{EXTERNAL}/work-orders?cursor={text}",
            f"{PARTS}?status=ACTIVE&cursor={text}",
            f"{PARTS}?sort=partNumber&cursor={text}",
            f"/api/parts?cursor={text}",
            f"{PARTS}?offset=1&cursor={text}",
            f"{PARTS}?cursor={text}&cursor={text}",
        ):
            refused(ask(api, "GET", path), 400)

    def test_a_piece_of_one_is_refused(self, api: Api) -> None:
        text = self.cursor(api)
        for piece in (text[:-1], text[1:], text[: len(text) // 2], text + "A", text[::-1], text.lower()):
            refused(ask(api, "GET", f"{PARTS}?cursor={piece}"), 400)


class TestParameters:
    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=-1", "limit=501", "limit=1.5", "limit=", "limit=1e2", "limit=%EF%BC%91", "limit=%2B1",
         "limit=+1", "limit=" + "9" * 100, "limit=1&limit=2", "limit=0x10", "offset=-1", "offset=2147483648",
         "offset=99999999999999999999", "offset=1&offset=2", "sort=nothing", "sort=--status", "sort=status,status",
         "sort=status,-status", "sort=-", "fields=nothing", "fields=status,id", "nothing=1", "status.gte.lte=x",
         "status.=x", ".status=x", "status.like=x", "=", "=x", "&&=&", "status=%00", "status=a%00b",
         "fields=%00", "sort=%00", "limit=%00", "cursor=%00", "status=%ED%A0%80", "STATUS=x", "status[]=x"],
    )  # fmt: skip
    def test_what_no_list_can_answer_is_refused(self, api: Api, query: str) -> None:
        problem = refused(ask(api, "GET", f"{PARTS}?{query}"), 400)
        assert problem["type"] == "/problems/invalid-query"

    @pytest.mark.parametrize(
        ("path", "name", "value"),
        [
            (path, name, value)
            for path, names, values in [
                ("material-lots", ("receivedAt", "receivedAt.gte"),
                 ("yesterday", "2026-13-01", "2026-02-30T00:00:00Z", "1", "", "now", "2026-01-01T25:00:00Z",
                  "99999999-01-01", "2026-01-01T00:00:00+99:00", "epoch", "today")),
                ("qif-characteristics", ("planUuid", "characteristicNumber"),
                 ("x", "", "1.5", "1e3", "99999999999999999999", "--1", " 1", "٣", "cl00000000000000000000000")),
                ("work-orders", ("dueDate.lt", "partUuid"), ("x", "", "00000000-0000-0000-0000-000000000000")),
                ("work-orders", ("partUuid.gte", "partUuid.lt"), (UNKNOWN,)),
            ]
            for name in names
            for value in values
        ],
    )  # fmt: skip
    def test_values_that_a_column_can_not_have_are_refused(
        self, api: Api, path: str, name: str, value: str
    ) -> None:
        answer = ask(api, "GET", f"{EXTERNAL}/{path}?{urlencode({name: value})}")
        assert refused(answer, 400, sent=value)["parameter"] == name

    def test_more_fields_than_anybody_needs_are_refused(self, api: Api) -> None:
        for path in (PARTS, "/api/parts", f"{PARTS}/{UNKNOWN}", f"{PARTS}/by"):
            refused(ask(api, "GET", f"{path}?{'&'.join(['status=x'] * 1001)}"), 400)

    def test_an_overlong_query_is_refused(self, api: Api) -> None:
        for length in (30_000, 60_000, 200_000):
            answer = ask(api, "GET", f"{PARTS}?cursor={'A' * length}")
            refused(answer, 400, 414, 431)

    def test_an_overlong_header_is_refused(self, api: Api) -> None:
        refused(ask(api, "GET", PARTS, headers={"if-none-match": "x" * 200_000}), 431)


_BATCH = f"POST {PARTS}/batch HTTP/1.1\r\nhost: x\r\n".encode()


class TestPaths:
    @pytest.mark.parametrize("part", ["%", "%z", "%zz", "%1", "%u00e4", "a%", "%%"])
    def test_a_percent_sign_that_encodes_nothing_is_refused_or_itself(self, api: Api, part: str) -> None:
        refused(ask(api, "GET", f"{PARTS}/{part}"), 400)
        refused(ask(api, "GET", f"{PARTS}/by/partNumber/{part}"), 400, 404)
        refused(ask(api, "GET", f"/api/parts/{part}"), 400, 404)
        refused(ask(api, "GET", f"{PARTS}?status.{part}=x"), 400)

    @pytest.mark.parametrize("part", ["%ff", "%c3%28", "%ed%a0%80", "%f8%88%80%80%80", "%c0%af", "a%80"])
    def test_what_is_not_utf_8_is_refused(self, api: Api, part: str) -> None:
        for path in (
            f"{PARTS}/{part}",
            f"{PARTS}/by/partNumber/{part}",
            f"/api/parts/{part}",
            f"{PARTS}/by/{part}/x",
        ):
            assert refused(ask(api, "GET", path), 400)["type"] == "/problems/invalid-path"
        assert refused(ask(api, "GET", f"{PARTS}?status={part}"), 400)["type"] == "/problems/invalid-query"

    @pytest.mark.parametrize("part", ["%00", "a%00b", "%00%00"])
    def test_nul_is_refused(self, api: Api, part: str) -> None:
        for path in (
            f"{PARTS}/{part}",
            f"{PARTS}/by/partNumber/{part}",
            f"/api/parts/{part}",
            f"{PARTS}/by/{part}/x",
        ):
            refused(ask(api, "GET", path), 400)
        for query in (f"partNumber={part}", f"{part}=x"):
            refused(ask(api, "GET", f"{PARTS}/by?{query}"), 400)

    @pytest.mark.parametrize(
        "path",
        [f"{EXTERNAL}/", EXTERNAL, f"{EXTERNAL}//{UNKNOWN}", f"{PARTS}//", f"{PARTS}/{UNKNOWN}/more",
         f"{EXTERNAL}/resolve", f"{EXTERNAL}/Parts", f"{EXTERNAL}/nothing", "/api", "/api/", "/api/v1",
         "/api/v2/external/parts", "/api/internal", f"{PARTS}/by/partNumber/", f"{PARTS}/by/partNumber/a/b",
         "/nothing", f"{EXTERNAL}/../internal/parts"],
    )  # fmt: skip
    def test_what_is_not_there_is_not_found(self, api: Api, path: str) -> None:
        refused(ask(api, "GET", path), 404, 405)

    def test_bytes_that_a_client_should_have_encoded_do_no_harm(self, api: Api) -> None:
        for part in ("ü".encode(), b"\xff", b'<>"{}|^`', b"a\\b"):
            line = b"GET " + PARTS.encode() + b"/" + part + b" HTTP/1.1\r\nhost: x\r\nauthorization: "
            answer = send(api, line + api.partner["authorization"].encode() + b"\r\n\r\n")
            refused(answer, 400, 404)

    @pytest.mark.parametrize(
        "data",
        [b"\r\n\r\n\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00",
         b"GET / HTTP/1.1\r\nbad header\r\n\r\n", _BATCH + b"content-length: -1\r\n\r\n",
         _BATCH + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx",
         _BATCH + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    )  # fmt: skip
    def test_what_is_no_http_is_a_problem_too(self, api: Api, data: bytes) -> None:
        refused(send(api, data), 400, 401)
        assert api.get(PARTS).status_code == 200


class TestMethods:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "PROPFIND", "PATCH", "POST"])
    def test_one_that_a_path_does_not_have_is_refused_with_those_it_has(self, api: Api, method: str) -> None:
        paths = {
            f"{EXTERNAL}/work-orders": {"GET", "HEAD"},
            f"{EXTERNAL}/work-orders/{UNKNOWN}": {"GET", "HEAD"},
            f"{PARTS}/{UNKNOWN}": {"GET", "HEAD", "PATCH"},
            f"{PARTS}/batch": {"POST"},
            f"{PARTS}/by/partNumber/x": {"GET", "HEAD"},
            f"{EXTERNAL}/resolve/{UNKNOWN}": {"GET", "HEAD"},
            "/api/parts": {"GET", "HEAD"},
            "/api/parts/x": {"GET", "HEAD"},
            "/api/internal/parts": {"POST"},
            "/api/internal/parts/x": {"GET", "HEAD", "PATCH"},
        }
        for path, methods in paths.items():
            if method in methods:
                continue
            answer = ask(api, method, path, {})
            refused(answer, 405)
            allowed = {one.strip() for one in answer.headers["allow"].split(",")}
            assert allowed == methods, path

    def test_a_method_that_is_refused_is_not_among_those_allowed(self, api: Api) -> None:
        for method in ("OPTIONS", "DELETE"):
            answer = ask(api, method, PARTS)
            refused(answer, 405)
            assert answer.headers["allow"] == "GET, HEAD"

    def test_get_on_a_batch_is_no_record_called_batch(self, api: Api) -> None:
        assert refused(ask(api, "GET", f"{PARTS}/batch"), 405)
        assert ask(api, "GET", f"{PARTS}/by").status == 400


@pytest.fixture(scope="module")
def quoted(server: Server) -> Iterator[Api]:
    """A site whose own names have what SQL quotes with."""
    url = server.create(server.template("api", build))
    with connect(url, purpose="test") as connection:
        connection.execute("""ALTER TABLE public."Part" ADD "a'b""c%s" text DEFAULT 'x'""")
    registry = plant_registry()
    part = registry.entities["Part"]
    name = "a'b\"c%s"
    part = part.model_copy(update={"expose": (*part.expose, name), "filters": (*part.filters, name)})
    registry = registry.model_copy(update={"entities": {**registry.entities, "Part": part}})
    with serving(url, registry) as running:
        yield running
    server.drop(url)


def test_names_of_columns_are_quoted_wherever_they_stand(quoted: Api) -> None:
    name = "a'b\"c%s"
    for query in (
        {name: "x"},
        {"sort": name},
        {"sort": f"-{name}", "limit": "1"},
        {"fields": name},
        {f"{name}.gte": "a"},
    ):
        answer = quoted.get(f"{PARTS}?{urlencode(query, quote_via=quote)}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"][0][name] == "x"
    uuid = quoted.get(f"{PARTS}?limit=1").json()["data"][0]["persistentUuid"]
    assert quoted.get(f"{PARTS}/{uuid}").json()["data"][name] == "x"
    assert quoted.get(f"/api/parts/{uuid}", internal=True).json()["data"][name] == "x"
