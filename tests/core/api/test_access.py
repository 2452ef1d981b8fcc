"""Who gets in, how far, and what is written down about it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from dotpeen.api import oauth
from dotpeen.database import connect
from dotpeen.partners import RateLimit, Scope, store
from dotpeen.partners.state import disable_external, enable_external
from dotpeen.partners.trail import AuditFilter, AuditRecord, query
from dotpeen.registry import Registry

from .conftest import Api, build, plant_registry, serving
from .witness import EXTERNAL, Witness

if TYPE_CHECKING:
    from conftest import Dotpeen
    from postgres import Server

pytestmark = pytest.mark.slow

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
PARTS = f"{EXTERNAL}/parts"


def soon(condition: Callable[[], bool], *, seconds: float = 2.0) -> float:
    """Wait until something holds and return how long it took; `seconds` is what was promised."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 20, "it never happened"
        time.sleep(0.05)
    taken = time.monotonic() - began
    # Machines that are busy with something else get a little more.
    assert taken < seconds + 1.5
    return taken


def add(api: Api, name: str, *scopes: str, **options: Any) -> store.Issued:
    with connect(api.database, purpose="test") as connection:
        return store.add(connection, name, {Scope.parse(scope) for scope in scopes}, by="t", **options)


def ask(api: Api, path: str, token: str | None, method: str = "GET", **options: Any) -> httpx.Response:
    headers = options.pop("headers", {})
    if token is not None:
        headers = {"authorization": f"Bearer {token}"} | headers
    return api.client.request(method, api.url + path, headers=headers, **options)


def trail(api: Api, partner: str) -> list[AuditRecord]:
    with connect(api.database, purpose="test") as connection:
        return list(query(connection, AuditFilter(partner=partner)))[::-1]


def refused(answer: httpx.Response, status: int, kind: str) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"/problems/{kind}", status)
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert problem["error"]
    return problem


class TestTokens:
    @pytest.mark.parametrize(
        "path", [PARTS, f"{PARTS}/{UNKNOWN}", f"{PARTS}/by/partNumber/x", f"{EXTERNAL}/resolve/{UNKNOWN}"]
    )
    def test_every_external_route_needs_one(self, api: Api, path: str) -> None:
        answer = ask(api, path, None)
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="dotpeen"'

    @pytest.mark.parametrize(
        ("method", "path"), [("POST", f"{PARTS}/batch"), ("PATCH", f"{PARTS}/{UNKNOWN}")]
    )
    def test_also_those_with_a_body(self, api: Api, method: str, path: str) -> None:
        refused(ask(api, path, None, method, json={}), 401, "unauthorized")

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Basic QWxhZGRpbjpvcGVu",
            "Token x",
            "Bearer \u00e4".encode().decode("latin-1"),
        ],
    )
    def test_a_header_without_one_is_refused(self, api: Api, header: str) -> None:
        answer = ask(api, PARTS, None, headers={"authorization": header.encode("latin-1")})
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="dotpeen"'

    def test_an_unknown_one_is_refused(self, api: Api) -> None:
        cut = api.token[:-1] + ("a" if api.token[-1] != "a" else "b")
        for token in (cut, "dp_0000000000000000_" + "0" * 43):
            answer = ask(api, PARTS, token)
            refused(answer, 401, "unauthorized")
            assert token not in answer.text

    def test_an_unknown_one_says_so_in_the_header(self, api: Api) -> None:
        known = api.token.rsplit("_", 1)
        answer = ask(api, PARTS, f"{known[0]}_{known[1][::-1]}")
        refused(answer, 401, "unauthorized")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_an_expired_one_is_refused(self, api: Api) -> None:
        token = add(api, "Ephemeral", "*:read", expires_in=timedelta(seconds=1.5)).token.text
        assert ask(api, PARTS, token).status_code == 200
        time.sleep(1.6)
        answer = ask(api, PARTS, token)
        assert "expired" in refused(answer, 401, "unauthorized")["detail"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_a_revoked_one_is_refused_within_two_seconds(self, api: Api) -> None:
        token = add(api, "Former", "*:read").token.text
        assert ask(api, PARTS, token).status_code == 200
        with connect(api.database, purpose="test") as connection:
            store.revoke(connection, "Former", by="t")
        soon(lambda: ask(api, PARTS, token).status_code == 401)
        answer = ask(api, PARTS, token)
        assert "revoked" in refused(answer, 401, "unauthorized")["detail"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    def test_a_rotated_one_goes_on_during_the_overlap_and_not_after(self, api: Api) -> None:
        old = add(api, "Rotating", "*:read").token.text
        assert ask(api, PARTS, old).status_code == 200
        with connect(api.database, purpose="test") as connection:
            new = store.rotate(connection, "Rotating", by="t", overlap=timedelta(hours=1)).token.text
        assert [ask(api, PARTS, token).status_code for token in (old, new)] == [200, 200]
        with connect(api.database, purpose="test") as connection:
            newest = store.rotate(connection, "Rotating", by="t", overlap=timedelta(0)).token.text
        soon(lambda: ask(api, PARTS, old).status_code == 401)
        assert [ask(api, PARTS, token).status_code for token in (old, new, newest)] == [401, 401, 200]

    def test_the_internal_token_opens_nothing_external(self, api: Api) -> None:
        refused(ask(api, PARTS, api.internal_token), 401, "unauthorized")


class TestScopes:
    def test_a_token_opens_the_entities_of_its_scopes_only(self, api: Api) -> None:
        token = add(api, "Narrow", "Part:read").token.text
        assert ask(api, PARTS, token).status_code == 200
        for path in (f"{EXTERNAL}/work-orders", f"{EXTERNAL}/work-orders/{UNKNOWN}"):
            answer = ask(api, path, token)
            assert "WorkOrder:read" in refused(answer, 403, "forbidden")["detail"]
            assert answer.headers["www-authenticate"] == (
                'Bearer realm="dotpeen", error="insufficient_scope", scope="WorkOrder:read"'
            )
        refused(
            ask(api, f"{EXTERNAL}/work-orders/batch", token, "POST", json={"uuids": []}), 403, "forbidden"
        )

    def test_reading_is_not_writing(self, api: Api) -> None:
        token = add(api, "Reader", "*:read").token.text
        answer = ask(api, f"{PARTS}/{UNKNOWN}", token, "PATCH", json={"status": "X"})
        assert "Part:write" in refused(answer, 403, "forbidden")["detail"]

    def test_writing_is_not_reading(self, api: Api) -> None:
        token = add(api, "Writer", "Part:write").token.text
        refused(ask(api, f"{PARTS}/{UNKNOWN}", token), 403, "forbidden")
        assert ask(api, f"{PARTS}/{UNKNOWN}", token, "PATCH", json={"status": "X"}).status_code == 404

    def test_what_may_not_be_read_does_not_resolve(self, api: Api) -> None:
        witness = Witness(api.database, api.registry)
        token = add(api, "Resolver", "Part:read").token.text
        part, order = (
            witness.rows("Part")[0]["persistentUuid"],
            witness.rows("WorkOrder")[0]["persistentUuid"],
        )
        assert ask(api, f"{EXTERNAL}/resolve/{part}", token).status_code == 200
        hidden = refused(ask(api, f"{EXTERNAL}/resolve/{order}", token), 404, "not-found")
        absent = refused(ask(api, f"{EXTERNAL}/resolve/{UNKNOWN}", token), 404, "not-found")
        assert {**hidden, "requestId": "", "uuid": ""} == {**absent, "requestId": "", "uuid": ""}


class TestRateLimit:
    def test_more_than_the_limit_is_refused_and_says_when_to_come_back(self, api: Api) -> None:
        token = add(api, "Eager", "*:read", limit=RateLimit.parse("3/h")).token.text
        answers = [ask(api, PARTS, token) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        for answer in answers:
            assert answer.headers["ratelimit-limit"] == "3"
            assert answer.headers["ratelimit-policy"] == "3;w=3600"
            assert 0 < int(answer.headers["ratelimit-reset"]) <= 3600
        refused(answers[4], 429, "rate-limited")
        assert answers[4].headers.get_list("retry-after") == [answers[4].headers["ratelimit-reset"]]
        assert answers[4].headers.get_list("ratelimit-limit") == ["3"]
        assert "retry-after" not in answers[0].headers

    def test_whatever_is_asked_for_counts(self, api: Api) -> None:
        token = add(api, "Clumsy", "Part:read", limit=RateLimit.parse("7/h")).token.text
        asked = [
            ask(api, f"{EXTERNAL}/work-orders", token),
            ask(api, f"{PARTS}/nothing", token),
            ask(api, f"{PARTS}/{UNKNOWN}", token),
            ask(api, f"{EXTERNAL}/nothing/at/all", token),
            ask(api, f"{PARTS}/{UNKNOWN}", token, "DELETE"),
            ask(api, f"{PARTS}/%ff", token),
            ask(api, f"{PARTS}/{UNKNOWN}", token, headers={"if-match": "x"}),
            ask(api, PARTS, token),
        ]
        assert [(one.status_code, one.headers["ratelimit-remaining"]) for one in asked] == [
            (403, "6"), (400, "5"), (404, "4"), (404, "3"), (405, "2"), (400, "1"), (404, "0"), (429, "0"),
        ]  # fmt: skip
        assert asked[4].headers["allow"] == "GET, HEAD, PATCH"
        entries = trail(api, "Clumsy")
        assert [entry.status for entry in entries] == [403, 400, 404, 404, 405, 400, 404, 429]
        assert [entry.route for entry in entries[3:6]] == [f"{EXTERNAL}/*"] * 3

    def test_one_partner_does_not_use_up_what_another_has(self, api: Api) -> None:
        first = add(api, "First", "*:read", limit=RateLimit.parse("1/h")).token.text
        second = add(api, "Second", "*:read", limit=RateLimit.parse("1/h")).token.text
        assert [ask(api, PARTS, token).status_code for token in (first, first, second)] == [200, 429, 200]

    def test_without_a_limit_nothing_is_said_about_one(self, api: Api) -> None:
        assert not [name for name in api.get(PARTS).headers if name.startswith("ratelimit")]


def credentials(issued: store.Issued) -> tuple[str, str]:
    """The client id and secret of a partner."""
    return issued.token.id, issued.token.text.removeprefix(f"dp_{issued.token.id}_")


class TestClientCredentials:
    """OAuth 2 as RFC 6749 has it: 4.4 the grant, 5.1 the answer, 5.2 the errors."""

    def token(self, api: Api, auth: tuple[str, str] | None = None, **form: str) -> httpx.Response:
        extra: dict[str, Any] = {"auth": auth} if auth else {}
        return api.client.post(f"{api.url}/oauth/token", data=form, **extra)

    @pytest.mark.parametrize("way", ["form", "basic"])
    def test_id_and_secret_give_a_token_that_opens_the_interface(self, api: Api, way: str) -> None:
        client, secret = credentials(add(api, f"OAuth {way}", "Part:read", "WorkOrder:read"))
        if way == "form":
            answer = self.token(api, grant_type="client_credentials", client_id=client, client_secret=secret)
        else:
            answer = self.token(api, (client, secret), grant_type="client_credentials")
        assert answer.status_code == 200, answer.text
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
        document = answer.json()
        assert document["token_type"].lower() == "bearer"
        assert 0 < document["expires_in"] <= 3600
        assert document["scope"].split() == ["Part:read", "WorkOrder:read"]
        assert ask(api, PARTS, document["access_token"]).status_code == 200
        assert ask(api, f"{EXTERNAL}/material-lots", document["access_token"]).status_code == 403
        assert trail(api, f"OAuth {way}")[0].status == 200

    def test_the_scope_can_be_narrowed_and_not_widened(self, api: Api) -> None:
        client = credentials(add(api, "OAuth scope", "*:read"))
        answer = self.token(api, client, grant_type="client_credentials", scope="Part:read")
        assert answer.json()["scope"] == "Part:read"
        token = answer.json()["access_token"]
        assert ask(api, PARTS, token).status_code == 200
        refused(ask(api, f"{EXTERNAL}/work-orders", token), 403, "forbidden")
        for scope in ("Part:write", "Part:read WorkOrder:write", "nonsense", "Part:fly"):
            wider = self.token(api, client, grant_type="client_credentials", scope=scope)
            assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")

    def test_wrong_credentials_are_an_invalid_client(self, api: Api) -> None:
        client, secret = credentials(add(api, "OAuth wrong", "*:read"))
        wrong: list[dict[str, str]] = [
            {"client_id": client, "client_secret": secret[::-1]},
            {"client_id": "nobody", "client_secret": secret},
            {"client_id": client, "client_secret": ""},
            {"client_id": client},
            {},
        ]
        for form in wrong:
            answer = self.token(api, grant_type="client_credentials", **form)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert answer.headers["cache-control"] == "no-store"
        answer = self.token(api, (client, "x"), grant_type="client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_wrong_requests_are_named_as_the_rfc_has_it(self, api: Api) -> None:
        client = credentials(add(api, "OAuth requests", "*:read"))
        url = f"{api.url}/oauth/token"
        form = {"content-type": "application/x-www-form-urlencoded"}
        sent = {
            "no grant type": (api.client.post(url, auth=client, data={"scope": "Part:read"}), "invalid_request"),
            "another grant": (
                api.client.post(url, auth=client, data={"grant_type": "password"}), "unsupported_grant_type",
            ),
            "twice": (
                api.client.post(
                    url, auth=client, headers=form,
                    content="grant_type=client_credentials&grant_type=client_credentials",
                ),
                "invalid_request",
            ),
            "both ways": (
                api.client.post(
                    url, auth=client, data={"grant_type": "client_credentials", "client_secret": client[1]}
                ),
                "invalid_request",
            ),
            "JSON": (api.client.post(url, auth=client, json={"grant_type": "client_credentials"}), "invalid_request"),
            "not UTF-8": (api.client.post(url, auth=client, headers=form, content=b"grant_type=\xff"), None),
        }  # fmt: skip
        for what, (answer, error) in sent.items():
            assert answer.status_code == 400, what
            assert answer.headers["content-type"].startswith("application/json")
            assert error is None or answer.json()["error"] == error, what
        large = api.client.post(url, auth=client, headers=form, content=b"x" * 10_000)
        assert large.status_code in (400, 413)

    def test_every_attempt_of_a_client_is_counted_and_recorded(self, api: Api) -> None:
        client = credentials(add(api, "OAuth greedy", "*:read", limit=RateLimit.parse("2/h")))
        answers = [self.token(api, client, grant_type="client_credentials") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 0 < int(answers[2].headers["retry-after"]) <= 3600
        assert [(entry.route, entry.method, entry.status) for entry in trail(api, "OAuth greedy")] == [
            ("/oauth/token", "POST", status) for status in (200, 200, 429)
        ]
        token = answers[0].json()["access_token"]
        refused(ask(api, PARTS, token), 429, "rate-limited")

    def test_a_client_gets_so_many_tokens_and_who_guesses_so_many_tries(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(oauth, "ISSUED", RateLimit(3, 3600))
        monkeypatch.setattr(oauth, "FAILED", RateLimit(2, 3600))
        with serving(api.database, api.registry) as own:
            client = credentials(add(own, "OAuth eager", "*:read"))
            other = credentials(add(own, "OAuth calm", "*:read"))
            assert self.token(own, other, grant_type="client_credentials").status_code == 200
            statuses = [
                self.token(own, client, grant_type="client_credentials").status_code for _ in range(4)
            ]
            assert statuses == [200, 200, 200, 429]
            guesses = [
                self.token(own, ("nobody", str(number)), grant_type="client_credentials")
                for number in range(4)
            ]
            assert [answer.status_code for answer in guesses] == [401, 401, 429, 429]
            assert self.token(own, other, grant_type="client_credentials").status_code == 200

    def test_a_client_that_goes_away_is_no_fault_of_ours(
        self, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        host, port = api.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant"
            )
            time.sleep(0.1)
        time.sleep(0.3)
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    def test_a_token_ends_with_its_partner(self, api: Api) -> None:
        client = credentials(add(api, "OAuth former", "*:read"))
        token = self.token(api, client, grant_type="client_credentials").json()["access_token"]
        assert ask(api, PARTS, token).status_code == 200
        with connect(api.database, purpose="test") as connection:
            store.revoke(connection, "OAuth former", by="t")
        soon(lambda: ask(api, PARTS, token).status_code == 401)
        answer = self.token(api, client, grant_type="client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_an_access_token_is_no_client_secret(self, api: Api) -> None:
        client = credentials(add(api, "OAuth again", "*:read"))
        token = self.token(api, client, grant_type="client_credentials").json()["access_token"]
        name, _, secret = token.removeprefix("dp_").partition("_")
        again = self.token(api, (name, secret), grant_type="client_credentials")
        assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def without_internal_token() -> Registry:
    registry = plant_registry()
    settings = registry.api.model_copy(update={"internal_token": None})
    return registry.model_copy(update={"api": settings})


class TestInternalRoutes:
    PATHS = ("/api/parts", "/api/parts/x", "/api/parts/by/partNumber/x", "/api/internal/parts/x")

    def test_are_as_if_not_there_where_no_token_is_set(self, api: Api) -> None:
        with serving(api.database, without_internal_token()) as closed:
            for path in self.PATHS:
                for token in (None, api.internal_token, api.token):
                    absent = ask(closed, "/api/nothing/x", token)
                    problem = refused(ask(closed, path, token), 404, "not-found")
                    assert {**problem, "requestId": ""} == {**absent.json(), "requestId": ""}
            assert ask(closed, "/api/internal/parts", None, "POST", json={}).status_code == 404

    def test_open_with_the_token_and_with_no_other(self, api: Api) -> None:
        key = Witness(api.database, api.registry).rows("Part")[0]["id"]
        for path in self.PATHS:
            for token in (None, "wrong", api.token, api.internal_token + "x", api.internal_token[:-1]):
                answer = ask(api, path, token)
                refused(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"].startswith("Bearer")
        assert ask(api, f"/api/internal/parts/{key}", api.internal_token).status_code == 200
        assert ask(api, f"/api/parts/{key}", api.internal_token).status_code == 200

    def test_open_to_everybody_on_the_listener_of_their_own(self, api: Api) -> None:
        key = Witness(api.database, api.registry).rows("Part")[0]["id"]
        with serving(api.database, without_internal_token(), trusted=True) as trusted:
            assert ask(trusted, f"/api/internal/parts/{key}", None).status_code == 200
            assert ask(trusted, f"/api/parts/{key}", None).status_code == 200
            # Partners' routes need a partner's token there, too.
            refused(ask(trusted, PARTS, None), 401, "unauthorized")


class TestSwitch:
    def test_external_access_goes_off_and_on_while_requests_run(
        self, own_api: Api, run_dotpeen: Dotpeen
    ) -> None:
        api, seen, stop = own_api, list[tuple[float, int]](), threading.Event()
        uuid = Witness(api.database, api.registry).rows("Part")[0]["persistentUuid"]
        path = f"{PARTS}/{uuid}"

        def work() -> None:
            with httpx.Client(timeout=30) as client:
                while not stop.is_set():
                    status = client.get(api.url + path, headers=api.partner).status_code
                    seen.append((time.monotonic(), status))
                    time.sleep(0.005)

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        try:
            time.sleep(0.3)
            arguments = ("--reason", "stocktaking until noon", "--retry-after", "30min")
            done = run_dotpeen("--database-url", api.database, "api", "disable", "external", *arguments)
            assert done.returncode == 0, done.stderr
            soon(lambda: api.get(path).status_code == 503)
            answer = api.get(path)
            assert refused(answer, 503, "external-disabled")["detail"] == "stocktaking until noon"
            assert answer.headers["retry-after"] == "1800"
            # Applications of the site notice nothing, and nobody gets to know whether a token is good.
            assert api.get(f"/api/parts/{uuid}", internal=True).status_code == 200
            assert ask(api, path, "dp_wrong").status_code == 503
            with serving(api.database, api.registry) as restarted:
                assert restarted.get(path).status_code == 503
            done = run_dotpeen("--database-url", api.database, "api", "enable", "external")
            assert done.returncode == 0, done.stderr
            soon(lambda: api.get(path).status_code == 200)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        assert {status for _, status in seen} == {200, 503}
        # Off is off for everybody at once: no answer goes through between two refusals.
        off = [moment for moment, status in seen if status == 503]
        assert not [
            moment for moment, status in seen if status == 200 and off[0] + 0.5 < moment < off[-1] - 0.5
        ]

    def test_is_off_for_what_else_partners_ask(self, own_api: Api) -> None:
        with connect(own_api.database, purpose="test") as connection:
            disable_external(connection, by="t")
        soon(lambda: own_api.get(PARTS).status_code == 503)
        for method, path in [
            ("GET", PARTS), ("GET", f"{EXTERNAL}/resolve/{UNKNOWN}"), ("POST", f"{PARTS}/batch"),
            ("PATCH", f"{PARTS}/{UNKNOWN}"), ("HEAD", PARTS),
        ]:  # fmt: skip
            answer = ask(own_api, path, own_api.token, method, json={})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        answer = own_api.client.post(
            f"{own_api.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("x", "y")
        )
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert answer.json()["error"] == "temporarily_unavailable"
        with connect(own_api.database, purpose="test") as connection:
            enable_external(connection, by="t")
        soon(lambda: own_api.get(PARTS).status_code == 200)


class TestAuditTrail:
    def test_has_exactly_the_requests_of_the_partner(self, api: Api) -> None:
        witness = Witness(api.database, api.registry)
        part, order = witness.rows("Part")[0], witness.rows("WorkOrder")[0]
        token = add(api, "Audited", "Part:read", limit=RateLimit.parse("10/h")).token
        uuid = str(part["persistentUuid"])
        batch = {"uuids": [str(row["persistentUuid"]) for row in witness.rows("Part")[:3]] + [UNKNOWN]}
        one, found = f"{PARTS}/{{uuid}}", UUID(uuid)
        tag = ask(api, f"{PARTS}/{uuid}", api.token).headers["etag"]
        wanted: list[tuple[Any, ...]] = [
            # method, path, options; route, entity, uuid, records, status
            ("GET", f"{PARTS}/{uuid}", {}, one, "Part", found, 1, 200),
            ("GET", f"{PARTS}/{uuid}", {"headers": {"if-none-match": tag}}, one, "Part", found, 1, 304),
            ("HEAD", f"{PARTS}/{uuid}", {}, one, "Part", found, 1, 200),
            ("GET", f"{PARTS}?limit=2", {}, PARTS, "Part", None, 2, 200),
            ("GET", f"{PARTS}/by/partNumber/{part['partNumber']}", {},
             f"{PARTS}/by/{{field}}/{{value}}", "Part", found, 1, 200),
            ("POST", f"{PARTS}/batch", {"json": batch}, f"{PARTS}/batch", "Part", None, 3, 200),
            ("GET", f"{EXTERNAL}/resolve/{uuid}", {}, f"{EXTERNAL}/resolve/{{uuid}}", "Part", found, 1, 200),
            ("GET", f"{PARTS}/{UNKNOWN}", {}, one, "Part", None, 0, 404),
            ("GET", f"{PARTS}/nothing", {}, one, "Part", None, 0, 400),
            ("GET", f"{EXTERNAL}/work-orders/{order['persistentUuid']}", {},
             f"{EXTERNAL}/work-orders/{{uuid}}", "WorkOrder", None, 0, 403),
            ("GET", f"{PARTS}/{uuid}", {}, one, "Part", None, 0, 429),
        ]  # fmt: skip
        ids = []
        for method, path, options, *_, status in wanted:
            answer = ask(api, path, token.text, method, **options)
            assert answer.status_code == status, answer.text
            ids.append(answer.headers["x-request-id"])
        # Nobody who did not show who they are stands in anybody's trail.
        assert ask(api, f"{PARTS}/{uuid}", None).status_code == 401
        entries = trail(api, "Audited")
        assert [
            (entry.method, entry.route, entry.entity, entry.uuid, entry.records, entry.status)
            for entry in entries
        ] == [(method, *rest) for method, _, _, *rest in wanted]
        assert [entry.request_id for entry in entries] == ids
        assert {entry.token_id for entry in entries} == {token.id}
        assert {entry.remote for entry in entries} == {"127.0.0.1"}
        assert all(entry.milliseconds > 0 and entry.changed is None for entry in entries)

    def test_names_every_record_that_a_page_or_a_batch_gave_away(self, api: Api) -> None:
        token = add(api, "Collector", "Part:read").token.text
        uuids = [row["persistentUuid"] for row in Witness(api.database, api.registry).rows("Part")[:3]]
        asked = [*map(str, uuids), UNKNOWN]
        given = ask(api, f"{PARTS}/batch", token, "POST", json={"uuids": asked})
        page = ask(api, f"{PARTS}?limit=5&fields=status", token)
        tag = page.headers["etag"]
        again = ask(api, f"{PARTS}?limit=5&fields=status", token, headers={"if-none-match": tag})
        assert (given.status_code, page.status_code, again.status_code) == (200, 200, 304)
        batch, listed, unchanged = trail(api, "Collector")
        assert batch.uuids == uuids
        assert listed.uuids is not None
        assert (len(listed.uuids), listed.uuids) == (5, unchanged.uuids)
        assert UNKNOWN not in str(batch)
        with connect(api.database, purpose="test") as connection:
            for uuid, entry in ((uuids[2], batch), (listed.uuids[4], listed)):
                found = list(query(connection, AuditFilter(partner="Collector", uuid=str(uuid))))
                assert entry in found
            assert not list(query(connection, AuditFilter(uuid=UNKNOWN)))

    def test_refusals_that_come_fast_are_summed_up(self, api: Api) -> None:
        token = add(api, "Stubborn", "Part:read", limit=RateLimit.parse("1/h")).token.text
        for _ in range(40):
            ask(api, PARTS, token)
        soon(lambda: sum(entry.requests for entry in trail(api, "Stubborn")) == 40)
        entries = trail(api, "Stubborn")
        assert [(entry.status, entry.requests) for entry in entries[:2]] == [(200, 1), (429, 1)]
        assert len(entries) < 10

    def test_an_entry_is_there_before_the_answer_is(self, api: Api) -> None:
        token = add(api, "Prompt", "*:read").token.text
        for number in range(1, 11):
            ask(api, PARTS, token)
            assert len(trail(api, "Prompt")) == number

    def test_has_every_one_of_many_requests_at_once(self, api: Api) -> None:
        token = add(api, "Busy", "*:read").token.text
        uuid = Witness(api.database, api.registry).rows("Part")[0]["persistentUuid"]
        ids: list[str] = []

        def work() -> None:
            with httpx.Client(timeout=60) as client:
                for _ in range(25):
                    answer = client.get(
                        f"{api.url}{PARTS}/{uuid}", headers={"authorization": f"Bearer {token}"}
                    )
                    assert answer.status_code == 200
                    ids.append(answer.headers["x-request-id"])

        workers = [threading.Thread(target=work) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(ids) == 200
        assert sorted(entry.request_id or "" for entry in trail(api, "Busy")) == sorted(ids)

    def test_the_clients_own_request_id_is_kept(self, api: Api) -> None:
        token = add(api, "Named", "*:read").token.text
        answer = ask(api, PARTS, token, headers={"x-request-id": "order-4711"})
        assert answer.headers.get_list("x-request-id") == ["order-4711"]
        assert [entry.request_id for entry in trail(api, "Named")] == ["order-4711"]

    def test_internal_callers_are_no_partners(self, api: Api) -> None:
        def entries() -> int:
            with connect(api.database, purpose="test") as connection:
                return len(list(query(connection, AuditFilter())))

        before = entries()
        api.get("/api/parts", internal=True)
        assert entries() == before


class TestCors:
    ORIGIN = "https://portal.example.com"

    def preflight(self, api: Api, origin: str) -> httpx.Response:
        return api.client.options(
            f"{api.url}{PARTS}",
            headers={
                "origin": origin,
                "access-control-request-method": "GET",
                "access-control-request-headers": "authorization",
            },
        )

    def test_is_off_by_default(self, api: Api) -> None:
        for answer in (
            self.preflight(api, self.ORIGIN),
            ask(api, PARTS, api.token, headers={"origin": self.ORIGIN}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_is_on_for_the_origins_named_only(self, portal: Api) -> None:
        allowed = self.preflight(portal, self.ORIGIN)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == self.ORIGIN
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        answer = ask(portal, PARTS, portal.token, headers={"origin": self.ORIGIN})
        assert answer.headers["access-control-allow-origin"] == self.ORIGIN
        assert "etag" in answer.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        for origin in (
            "https://evil.example.com",
            "http://portal.example.com",
            "null",
            f"{self.ORIGIN}.evil.com",
        ):
            other = self.preflight(portal, origin)
            assert "access-control-allow-origin" not in other.headers
            answer = ask(portal, PARTS, portal.token, headers={"origin": origin})
            assert "access-control-allow-origin" not in answer.headers

    def test_nothing_but_the_external_routes_is_shared(self, portal: Api) -> None:
        for path in ("/health/live", "/api/parts", "/openapi.json", "/docs"):
            answer = portal.client.get(portal.url + path, headers={"origin": self.ORIGIN})
            assert "access-control-allow-origin" not in answer.headers

    def test_the_internal_listener_shares_nothing_and_answers_to_its_own_names(self, portal: Api) -> None:
        with serving(portal.database, portal.registry, trusted=True) as inside:
            answer = inside.client.get(f"{inside.url}/api/parts?limit=1", headers={"origin": self.ORIGIN})
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("access-control")]
            port = inside.url.rpartition(":")[2]
            for name in ("localhost", f"127.0.0.1:{port}", "[::1]:80", "10.1.2.3", socket.gethostname()):
                answer = inside.client.get(f"{inside.url}/api/parts?limit=1", headers={"host": name})
                assert answer.status_code == 200, name
            for name in ("rebound.example.com", f"localhost.example.com:{port}", "127.0.0.1.example.com"):
                answer = inside.client.get(f"{inside.url}/api/parts?limit=1", headers={"host": name})
                refused(answer, 421, "misdirected")
        settings = portal.registry.api.model_copy(update={"internal_names": ("mes.example.com",)})
        named = portal.registry.model_copy(update={"api": settings})
        with serving(portal.database, named, trusted=True) as inside:
            answer = inside.client.get(f"{inside.url}/health/live", headers={"host": "MES.example.com:8001"})
            assert answer.status_code == 200

    def test_refusals_can_be_read_by_a_script_too(self, portal: Api) -> None:
        answer = ask(portal, PARTS, "dp_wrong", headers={"origin": self.ORIGIN})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, self.ORIGIN)


@pytest.fixture(scope="module")
def portal(server: Server) -> Iterator[Api]:
    url = server.create(server.template("api", build))
    registry = plant_registry()
    settings = registry.api.model_copy(update={"cors_origins": (TestCors.ORIGIN,)})
    with serving(url, registry.model_copy(update={"api": settings})) as running:
        yield running
    server.drop(url)
