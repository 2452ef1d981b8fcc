"""Business identifiers that look like other identifiers, or like a piece of a URL: each stays reachable."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from dotpeen.database import connect
from dotpeen.identifiers import new_cuid, new_cuid2

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Raw, Witness, joined, request, segment

if TYPE_CHECKING:
    from postgres import Server

pytestmark = pytest.mark.slow

NUMBERS = {
    "a UUID": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
    "a UUID in capitals": "7D444840-9DC0-41D1-B245-5FFDCE74FAD3",
    "the nil UUID": "00000000-0000-0000-0000-000000000000",
    "a UUID without hyphens": "7d4448409dc041d1b2455ffdce74fad2",
    "a CUID": "cjld2cjxh0000qzrmn831i7rn",
    "a CUID2": "tz4a98xxat96iws9zmbrgj3a",
    "a word that is a CUID2": "bracketbracketbracketbra",
    "a number": "42",
    "a slash": "BRK/100/A",
    "a slash at both ends": "/BRK/",
    "two slashes": "A//B",
    "a backslash": "A\\B",
    "an encoded slash": "A%2FB",
    "a space": "BRK 100",
    "spaces around": " BRK ",
    "a plus": "A+B",
    "a percent sign": "100%",
    "a percent sign and digits": "5%20off",
    "an encoded NUL": "A%00B",
    "a question mark": "A?fields=id",
    "a fragment": "A#B",
    "an ampersand": "A&partNumber=B",
    "a semicolon": "A;B=C",
    "a colon": "A:B",
    "a comma": "A,B",
    "quotes": "7\" pipe, 5' long",
    "SQL": '\'; DROP TABLE "Part"; --',
    "a LIKE pattern": "%_%",
    "braces": "{uuid}",
    "the name of a route": "by",
    "the name of another": "batch",
    "a name in capitals": "abc-1",
    "the same in capitals": "ABC-1",
    "one dot": ".",
    "two dots": "..",
    "dots within": "../../internal/parts",
    "an umlaut": unicodedata.normalize("NFC", "Gehäuse"),
    "a combining umlaut": unicodedata.normalize("NFD", "Gehäuse"),
    "Japanese": "ブラケット-100",
    "an emoji": "🔩-M8",
    "an emoji of several": "👩🏽‍🏭",
    "right to left": "مسمار-٨",
    "full-width digits": "\uff11\uff10\uff10",
    "a line break": "A\nB",
    "a tab": "A\tB",
    "a control character": "A\u0001B",
    "300 characters": "N" * 300,
    "300 that are not ASCII": "ß" * 300,
}
each_number = pytest.mark.parametrize("name", NUMBERS)


class Parts:
    """A server whose parts have these numbers, and UUIDs that are known."""

    def __init__(self, site: Api, parts: dict[str, dict[str, Any]]) -> None:
        self.site = site
        self.parts = parts

    def ask(self, path: str, *, internal: bool = False) -> Raw:
        headers = self.site.internal if internal else self.site.partner
        return request(self.site.url, "GET", path, headers=headers)


def add_part(
    connection: Any, number: str, *, uuid: str | None = None, key: str | None = None
) -> dict[str, str]:
    part = {"id": key or new_cuid(), "persistentUuid": uuid or str(uuid4()), "partNumber": number}
    connection.execute(
        'INSERT INTO public."Part" (id, "persistentUuid", "partNumber", "updatedAt") VALUES'
        " (%(id)s, %(persistentUuid)s, %(partNumber)s, now())",
        part,
    )
    return part


@pytest.fixture(scope="module")
def parts(server: Server) -> Iterator[Parts]:
    url = server.create(server.template("api", build))
    with connect(url, purpose="test") as connection:
        made = {name: add_part(connection, number) for name, number in NUMBERS.items()}
        victim = made["the victim"] = add_part(connection, "VICTIM")
        made["the number of a UUID"] = add_part(connection, victim["persistentUuid"])
        made["the number of a key"] = add_part(connection, victim["id"])
        capitals = made["another victim"] = add_part(connection, "VICTIM-2")
        made["the number of a UUID in capitals"] = add_part(connection, capitals["persistentUuid"].upper())
        key, uuid = new_cuid(), str(uuid4())
        made["its own key"] = add_part(connection, key, key=key)
        made["its own UUID"] = add_part(connection, uuid, uuid=uuid)
        key2 = new_cuid2()
        made["a CUID2 that is a key"] = add_part(connection, "VICTIM-3", key=key2)
        made["the number of a CUID2"] = add_part(connection, key2)
    with serving(url, plant_registry()) as site:
        yield Parts(site, made)
    server.drop(url)


def found(answer: Raw) -> Any:
    assert answer.status == 200, answer.body
    return answer.json()["data"]


@each_number
def test_is_reachable_by_its_field(parts: Parts, name: str) -> None:
    number, uuid = NUMBERS[name], parts.parts[name]["persistentUuid"]
    path = f"{EXTERNAL}/parts/by/partNumber/{segment(number)}"
    assert found(parts.ask(path)) | {"partNumber": number, "persistentUuid": uuid} == found(parts.ask(path))
    assert parts.ask(path).json()["metadata"]["requestedUuid"] == uuid
    inside = parts.ask(f"/api/parts/by/partNumber/{segment(number)}", internal=True)
    assert found(inside)["id"] == parts.parts[name]["id"]


@each_number
def test_is_reachable_by_its_field_as_a_parameter(parts: Parts, name: str) -> None:
    query = urlencode({"partNumber": NUMBERS[name]})
    assert (
        found(parts.ask(f"{EXTERNAL}/parts/by?{query}"))["persistentUuid"]
        == parts.parts[name]["persistentUuid"]
    )
    assert found(parts.ask(f"/api/parts/by?{query}", internal=True))["id"] == parts.parts[name]["id"]
    (record,) = found(parts.ask(f"{EXTERNAL}/parts?{query}"))
    assert record["partNumber"] == NUMBERS[name]


@pytest.mark.parametrize("name", [name for name in NUMBERS if NUMBERS[name] not in ("by",)])
def test_is_reachable_by_the_flexible_route(parts: Parts, name: str) -> None:
    answer = parts.ask(f"/api/parts/{segment(NUMBERS[name])}", internal=True)
    assert found(answer)["id"] == parts.parts[name]["id"]
    assert answer.json()["metadata"]["matchedBy"] == "partNumber"
    assert answer.json()["metadata"]["requestedIdentifier"] == NUMBERS[name]


@each_number
def test_is_given_back_as_it_is(parts: Parts, name: str) -> None:
    record = found(parts.ask(f"{EXTERNAL}/parts/{parts.parts[name]['persistentUuid']}"))
    assert record["partNumber"] == NUMBERS[name]


def test_two_records_that_answer_to_a_uuid_are_named_both(parts: Parts) -> None:
    victim, other = parts.parts["the victim"], parts.parts["the number of a UUID"]
    answer = parts.ask(f"/api/parts/{victim['persistentUuid']}", internal=True)
    assert answer.status == 409
    problem = answer.json()
    assert (problem["type"], problem["identifier"]) == (
        "/problems/ambiguous-identifier", victim["persistentUuid"],
    )  # fmt: skip
    assert problem["candidates"] == [
        {"field": "persistentUuid", "uuid": victim["persistentUuid"]},
        {"field": "partNumber", "uuid": other["persistentUuid"]},
    ]
    # Each of the two is reached by what only it has.
    by_number = parts.ask(f"/api/parts/by/partNumber/{victim['persistentUuid']}", internal=True)
    by_uuid = parts.ask(f"/api/parts/by/persistentUuid/{victim['persistentUuid']}", internal=True)
    assert (found(by_number)["id"], found(by_uuid)["id"]) == (other["id"], victim["id"])
    # The external route takes UUIDs and nothing else: nothing to confuse.
    outside = parts.ask(f"{EXTERNAL}/parts/{victim['persistentUuid']}")
    assert found(outside)["partNumber"] == "VICTIM"


@pytest.mark.parametrize(
    ("first", "second"),
    [("the victim", "the number of a key"), ("a CUID2 that is a key", "the number of a CUID2")],
)
def test_two_records_that_answer_to_a_key_are_named_both(parts: Parts, first: str, second: str) -> None:
    victim, other = parts.parts[first], parts.parts[second]
    answer = parts.ask(f"/api/parts/{victim['id']}", internal=True)
    assert answer.status == 409
    assert answer.json()["candidates"] == [
        {"field": "id", "uuid": victim["persistentUuid"]},
        {"field": "partNumber", "uuid": other["persistentUuid"]},
    ]
    by_key = parts.ask(f"/api/internal/parts/{victim['id']}", internal=True)
    assert found(by_key)["partNumber"] == victim["partNumber"]


def test_a_uuid_in_capitals_is_compared_as_a_uuid_and_exactly_as_a_number(parts: Parts) -> None:
    victim, other = parts.parts["another victim"], parts.parts["the number of a UUID in capitals"]
    both = parts.ask(f"/api/parts/{victim['persistentUuid'].upper()}", internal=True)
    assert both.status == 409
    assert [one["uuid"] for one in both.json()["candidates"]] == [
        victim["persistentUuid"], other["persistentUuid"],
    ]  # fmt: skip
    one = parts.ask(f"/api/parts/{victim['persistentUuid']}", internal=True)
    assert found(one)["id"] == victim["id"]


@pytest.mark.parametrize("name", ["its own key", "its own UUID"])
def test_one_record_that_answers_twice_is_not_ambiguous(parts: Parts, name: str) -> None:
    part = parts.parts[name]
    answer = parts.ask(f"/api/parts/{part['partNumber']}", internal=True)
    assert found(answer)["id"] == part["id"]
    # The first of the identifiers in their order says what it was found by.
    assert answer.json()["metadata"]["matchedBy"] == ("id" if name == "its own key" else "persistentUuid")


@pytest.mark.parametrize(
    ("number", "version"),
    [("A:B", "1"), ("A", "B:1"), ("A%3AB", "1"), ("100%", "50%"), ("", "1"), ("A/B", "ü:ü"), (":", ":")],
)
def test_parts_of_a_composite_identifier_may_contain_its_separator(
    composite: Parts, number: str, version: str
) -> None:
    text = segment(joined([number, version]))
    query = urlencode({"version": version, "planNumber": number})
    base = "qif-measurement-plans"
    answers = [
        composite.ask(f"{EXTERNAL}/{base}/by/planNumber%3Aversion/{text}"),
        composite.ask(f"{EXTERNAL}/{base}/by?{query}"),
        composite.ask(f"/api/{base}/by?{query}", internal=True),
    ]
    if text:
        answers.append(composite.ask(f"/api/{base}/{text}", internal=True))
    for answer in answers:
        record = found(answer)
        assert (record["planNumber"], record["version"]) == (number, version)


@pytest.fixture(scope="module")
def composite(parts: Parts) -> Parts:
    with connect(parts.site.database, purpose="test") as connection:
        for number, version in [
            ("A:B", "1"), ("A", "B:1"), ("A%3AB", "1"), ("100%", "50%"), ("", "1"), ("A/B", "ü:ü"), (":", ":"),
        ]:  # fmt: skip
            connection.execute(
                'INSERT INTO public."QIFMeasurementPlan" (id, "planNumber", version, "partId", name, "updatedAt")'
                " VALUES (%s, %s, %s, %s, 'x', now())",
                [new_cuid(), number, version, parts.parts["the victim"]["id"]],
            )
    return parts


def test_the_sample_has_no_ambiguous_identifier(api: Api) -> None:
    witness = Witness(api.database, api.registry)
    for entity in api.registry.entities.values():
        for row in witness.rows(entity.table.name)[:5]:
            assert api.get(f"/api/{entity.path}/{row['id']}", internal=True).status_code == 200
