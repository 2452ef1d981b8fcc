"""The short way of lookups by UUID: it can't be told from the long one but by its speed."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from dotpeen.api.direct import Direct
from dotpeen.api.figures import Figures
from dotpeen.database import connect
from dotpeen.partners import Scope, store

from .conftest import Api, plant_registry
from .witness import EXTERNAL, Raw, Witness, request

ENTITIES = tuple(plant_registry().entities.values())
UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
LONG_WAY = {"x-no-field-of-ours": "1"}
"""A field that the short way doesn't know."""


@pytest.fixture(scope="module")
def witness(api: Api) -> Witness:
    return Witness(api.database, api.registry)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """What became of each request that the short way was offered."""
    found: list[bool] = []
    take = Direct.take

    def counted(self: Direct, *arguments: Any) -> bool:
        found.append(take(self, *arguments))
        return found[-1]

    monkeypatch.setattr(Direct, "take", counted)
    return found


def without_moments(answer: Raw) -> tuple[int, dict[str, str], Any]:
    """An answer without what differs from one request to the next."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    for name in ("date", "x-request-id", "content-length"):
        assert name in headers
        del headers[name]
    headers.pop("ratelimit-remaining", None)
    headers.pop("ratelimit-reset", None)
    body = json.loads(answer.body)
    body.pop("requestId", None)
    if "metadata" in body:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["metadata"].pop("timestamp"))
    return answer.status, headers, body


def audited(api: Api, partner: str) -> list[tuple[Any, ...]]:
    """The audit trail of a partner, without what differs from one request to the next."""
    with connect(api.database, purpose="test") as connection:
        return connection.execute(
            "SELECT method, route, entity, uuid::text, records, status, remote, token_id, changed FROM dotpeen.audit"
            " WHERE partner = %s AND entity IS NOT NULL ORDER BY id",
            [partner],
        ).fetchall()


def add(api: Api, name: str, *scopes: str, **options: Any) -> dict[str, str]:
    """Add a partner and return the headers of its requests; the server knows its token."""
    with connect(api.database, purpose="test") as connection:
        issued = store.add(connection, name, {Scope.parse(scope) for scope in scopes}, by="tests", **options)
    return introduced(api, {"authorization": f"Bearer {issued.token.text}"})


def introduced(api: Api, headers: dict[str, str]) -> dict[str, str]:
    """Let the server get to know a token: of an unknown one the short way leaves the asking to the long one."""
    request(api.url, "GET", f"{EXTERNAL}/resolve/{UNKNOWN}", headers=headers | LONG_WAY)
    return headers


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.name)
def test_both_ways_answer_and_record_the_same(
    api: Api, witness: Witness, taken: list[bool], entity: Any
) -> None:
    name = f"Both ways {entity.name}"
    partner = add(api, name, "*:read")
    uuid = str(witness.row(entity)[entity.uuid.column])
    for path in (uuid, uuid.upper(), UNKNOWN):
        url = f"{EXTERNAL}/{entity.path}/{path}"
        short = request(api.url, "GET", url, headers=partner)
        assert taken == [True]
        long = request(api.url, "GET", url, headers=partner | LONG_WAY)
        assert taken == [True]
        assert without_moments(short) == without_moments(long)
        taken.clear()
    entries = audited(api, name)
    assert len(entries) == 6
    assert entries[0::2] == entries[1::2]
    assert [entry[4:6] for entry in entries[0::2]] == [(1, 200), (1, 200), (0, 404)]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"method": "HEAD"}, 200),
        ({"path": "?fields=partNumber"}, 200),
        ({"path": "?nonsense=1"}, 400),
        ({"path": "/"}, 200),
        ({"headers": {"if-none-match": "*"}}, 304),
        ({"headers": {"origin": "https://elsewhere.example"}}, 200),
        ({"headers": {"accept": "a\tb"}}, 200),
        ({"headers": {"connection": "close"}}, 200),
        ({"headers": {"content-length": "0"}}, 200),
        ({"headers": {"authorization": "Bearer dp_0000000000000000_" + "x" * 43}}, 401),
        ({"headers": {"authorization": "Basic eDp5"}}, 401),
    ],
)
def test_whatever_is_not_plain_takes_the_long_way(
    api: Api, witness: Witness, taken: list[bool], change: dict[str, Any], status: int
) -> None:
    entity = api.registry.entities["Part"]
    path = f"{EXTERNAL}/parts/{witness.row(entity)[entity.uuid.column]}"
    answer = request(
        api.url,
        change.get("method", "GET"),
        path + change.get("path", ""),
        headers=api.partner | change.get("headers", {}),
    )
    assert answer.status == status
    assert not any(taken)


def test_scopes_limits_and_the_switch_hold_on_a_connection_that_stays(
    own_api: Api, taken: list[bool]
) -> None:
    witness = Witness(own_api.database, own_api.registry)
    entity = own_api.registry.entities["Part"]
    part = f"{EXTERNAL}/parts/{witness.row(entity)[entity.uuid.column]}"
    lots = own_api.registry.entities["MaterialLot"]
    lot = f"{EXTERNAL}/material-lots/{witness.row(lots)[lots.uuid.column]}"
    headers = add(own_api, "Narrow", "Part:read")
    place = urlsplit(own_api.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)

    def status(path: str) -> int:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert [status(part), status(lot), status(part)] == [200, 403, 200]
    assert taken == [True, False, True]
    with connect(own_api.database, purpose="test") as session:
        store.revoke(session, "Narrow", by="tests")
    deadline = time.monotonic() + 10
    while status(part) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status(part) == 401
    connection.close()


def test_a_record_whose_reading_can_not_be_recorded_is_not_given(own_api: Api, taken: list[bool]) -> None:
    witness = Witness(own_api.database, own_api.registry)
    entity = own_api.registry.entities["Part"]
    path = f"{EXTERNAL}/parts/{witness.row(entity)[entity.uuid.column]}"
    headers = add(own_api, "Unseen", "*:read")
    assert request(own_api.url, "GET", path, headers=headers).status == 200
    with connect(own_api.database, purpose="test") as session:
        session.execute("ALTER TABLE dotpeen.audit ADD CONSTRAINT shut CHECK (partner <> 'Unseen') NOT VALID")
    answer = request(own_api.url, "GET", path, headers=headers)
    assert taken == [True, True]
    assert answer.status >= 500
    assert set(json.loads(answer.body)) == {"type", "title", "status", "detail", "error", "requestId"}
    with connect(own_api.database, purpose="test") as session:
        session.execute("ALTER TABLE dotpeen.audit DROP CONSTRAINT shut")
    assert request(own_api.url, "GET", path, headers=headers).status == 200


class Wire:
    """A connection of which every byte is the test's own."""

    def __init__(self, api: Api) -> None:
        place = urlsplit(api.url)
        self.socket = socket.create_connection((place.hostname or "", place.port or 0), timeout=30)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answers(self, count: int) -> list[tuple[int, bytes]]:
        """Status and body of so many answers."""
        found = []
        while len(found) < count:
            head, _, rest = self._read.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length is None or len(rest) < int(length[1]):
                more = self.socket.recv(1 << 20)
                assert more, f"the connection ended after {len(found)} answers of {count}"
                self._read += more
                continue
            body, self._read = rest[: int(length[1])], rest[int(length[1]) :]
            found.append((int(head[9:12]), body))
        return found


def written(api: Api, path: str, more: str = "") -> bytes:
    """A request as the bytes of it."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: plant\r\nAuthorization: {api.partner['authorization']}\r\n{more}\r\n"
    ).encode()


@pytest.mark.parametrize("seed", range(20))
def test_requests_are_answered_in_order_however_their_bytes_arrive(
    api: Api, witness: Witness, seed: int
) -> None:
    chance = random.Random(seed)
    choices = [
        (chance.randrange(40), chance.choice(["", "X-Other: 1\r\n"])) for _ in range(chance.randint(1, 8))
    ]
    cuts = [chance.randrange(2000) for _ in range(chance.randrange(7))]
    pauses = seed % 2 == 1
    entity = api.registry.entities["Part"]
    rows = witness.rows("Part")
    uuids = [str(rows[number % len(rows)][entity.uuid.column]) for number, _ in choices]
    stream = b"".join(
        written(api, f"{EXTERNAL}/parts/{uuid}", more) for uuid, (_, more) in zip(uuids, choices, strict=True)
    )
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    with Wire(api) as wire:
        for start, end in itertools.pairwise(places):
            wire.send(stream[start:end])
            if pauses:
                time.sleep(0.002)
        answers = wire.answers(len(uuids))
    assert [status for status, _ in answers] == [200] * len(uuids)
    assert [json.loads(body)["data"]["persistentUuid"] for _, body in answers] == uuids


@pytest.mark.slow
def test_a_client_that_does_not_read_is_not_kept_answers_for(api: Api, witness: Witness) -> None:
    entity = api.registry.entities["Part"]
    uuid = str(witness.row(entity)[entity.uuid.column])
    one = written(api, f"{EXTERNAL}/parts/{uuid}")
    sent = 0
    # What the sockets' buffers hold is some megabytes; the server stops reading soon after they are full.
    with Wire(api) as wire, suppress(TimeoutError):
        wire.socket.settimeout(2)
        while sent < 400_000:
            wire.send(one * 200)
            sent += 200
    assert sent < 400_000, "the server goes on reading from a client that never reads"
    assert api.get(f"{EXTERNAL}/parts/{uuid}").status_code == 200


def test_two_ids_of_the_client_are_kept(api: Api, witness: Witness, taken: list[bool]) -> None:
    entity = api.registry.entities["Part"]
    path = f"{EXTERNAL}/parts/{witness.row(entity)[entity.uuid.column]}"
    partner = introduced(api, api.partner)
    good = request(api.url, "GET", path, headers=partner | {"x-request-id": "Night-shift.7"})
    bad = request(api.url, "GET", path, headers=partner | {"x-request-id": "what<is>this"})
    assert good.headers["x-request-id"] == "Night-shift.7"
    assert bad.headers["x-request-id"] != "what<is>this"
    assert taken == [True, True]


def test_a_request_is_answered_once_whatever_fails_behind_it(
    api: Api, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = api.registry.entities["Part"]
    path = f"{EXTERNAL}/parts/{witness.row(entity)[entity.uuid.column]}"
    introduced(api, api.partner)

    def full(*_: object) -> None:
        raise MemoryError("more routes than there is room to count them")

    with Wire(api) as wire:
        with monkeypatch.context() as patch:
            patch.setattr(Figures, "finished", full)
            wire.send(written(api, path))
            assert wire.answers(1)[0][0] == 500
            wire.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                wire.answers(1)
        wire.socket.settimeout(30)
        wire.send(written(api, path))
        assert wire.answers(1)[0][0] == 200
