"""What surrounds a request: its id, its trace, its line in the log; and what a line never holds."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dotpeen.api import logs
from dotpeen.api.figures import Figures
from dotpeen.api.observation import GONE, Observation

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Listener:
    """One listener's application, asked without a network."""

    def __init__(self, application: Any = None, *, access_log: bool = False) -> None:
        self.figures = Figures()
        self.state: dict[str, Any] = {}
        self.application = application or self.well
        self.observation = Observation(
            self.application, self.figures, listener="external", access_log=access_log
        )

    async def well(self, scope: Any, receive: Any, send: Any) -> None:
        self.state = scope["state"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b"x")]})
        await send({"type": "http.response.body", "body": b"{}"})

    def ask(self, *headers: tuple[bytes, bytes], **more: Any) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/x",
            "headers": list(headers),
            "client": ("10.0.0.7", 5),
        }
        asyncio.run(self.observation(scope | more, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one["body"] for one in sent[1:])

    @property
    def counted(self) -> dict[str, float]:
        totals = self.figures.board.totals()
        return {series[-1]: cells[0] for series, cells in totals.items() if series[0] == "requests"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, with everything set as it was afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("uvicorn.error").level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("uvicorn.error").setLevel(before[2])
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_id_is_taken_over_and_given_back() -> None:
    listener = Listener()
    _, headers, _ = listener.ask((b"x-request-id", b"Order.47-11_a"))
    assert headers[b"x-request-id"] == b"Order.47-11_a"
    assert listener.state["request_id"] == "Order.47-11_a"
    assert headers[b"etag"] == b"x"


@pytest.mark.parametrize(
    "given_id", [b"", b"a" * 65, b"a b", b"a\tb", "\u0661".encode(), b"a/b", b'a"b', b"a\x00", b"a\n"]
)
def test_one_that_is_none_is_replaced(given_id: bytes) -> None:
    _, headers, _ = Listener().ask((b"x-request-id", given_id))
    assert re.fullmatch(rb"[0-9a-f]{32}", headers[b"x-request-id"])


def test_ids_differ() -> None:
    first, second = Listener(), Listener()
    made = [listener.ask()[1][b"x-request-id"] for listener in (first, second) * 500]
    assert len(set(made)) == 1000


def test_a_trace_goes_on_under_a_span_of_its_own() -> None:
    listener = Listener()
    listener.ask((b"traceparent", PARENT.encode()))
    assert listener.state["trace_id"] == TRACE
    assert re.fullmatch(r"[0-9a-f]{16}", listener.state["span_id"])
    assert listener.state["span_id"] != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "-00",
        PARENT + " ",
        PARENT[:-1],
        PARENT.replace("00-", "ff-", 1),
        PARENT.replace("00-", "0-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE[:-1]}g-00f067aa0ba902b7-01",
        f"cc-{TRACE}-00f067aa0ba902b7-01.what",
    ],
)
def test_a_malformed_trace_is_replaced(parent: str) -> None:
    listener = Listener()
    listener.ask((b"traceparent", parent.encode()))
    assert re.fullmatch(r"[0-9a-f]{32}", listener.state["trace_id"])
    assert listener.state["trace_id"] != TRACE


@pytest.mark.parametrize(
    "parent", [PARENT.replace("00-", "cc-", 1), f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes"]
)
def test_a_later_version_of_the_standard_is_read(parent: str) -> None:
    listener = Listener()
    listener.ask((b"traceparent", parent.encode()))
    assert listener.state["trace_id"] == TRACE


def test_two_traces_are_none() -> None:
    listener = Listener()
    listener.ask((b"traceparent", PARENT.encode()), (b"traceparent", PARENT.encode()))
    assert listener.state["trace_id"] != TRACE


@given(st.binary(max_size=80))
def test_whatever_comes_the_ids_are_well_formed(value: bytes) -> None:
    listener = Listener()
    _, headers, _ = listener.ask((b"x-request-id", value), (b"traceparent", value))
    assert re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", headers[b"x-request-id"])
    assert re.fullmatch(r"[0-9a-f]{32}", listener.state["trace_id"])


def test_an_answer_in_time_is_not_logged_unless_asked_for(log: io.StringIO) -> None:
    Listener().ask()
    assert log.getvalue() == ""
    Listener(access_log=True).ask((b"x-request-id", b"one"), path="/api/SECRET", query_string=b"q=SECRET")
    (line,) = lines(log)
    assert {
        name: line[name] for name in ("event", "level", "requestId", "method", "route", "status", "client")
    } == {
        "event": "request",
        "level": "info",
        "requestId": "one",
        "method": "GET",
        "route": None,
        "status": 200,
        "client": "10.0.0.7",
    }
    assert "SECRET" not in log.getvalue()


def test_a_slow_answer_is_logged(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.5, 2.0, 2.9])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    listener = Listener()
    listener.ask()
    listener.ask()
    assert [(line["level"], line["milliseconds"]) for line in lines(log)] == [("warning", 1500.0)]


@pytest.mark.parametrize(("status", "level"), [(500, "error"), (502, "error"), (503, "warning")])
def test_a_failure_is_logged(log: io.StringIO, status: int, level: str) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    Listener(failing).ask()
    assert [(line["level"], line["status"]) for line in lines(log)] == [(level, status)]


def test_an_error_becomes_a_problem_and_two_lines_of_the_same_request(log: io.StringIO) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no such colour: 'SECRET'")

    listener = Listener(failing)
    status, headers, body = listener.ask((b"x-request-id", b"one"))
    assert (status, headers[b"content-type"]) == (500, b"application/problem+json")
    assert json.loads(body)["requestId"] == "one"
    first, second = lines(log)
    assert first["exception"]["type"] == "builtins.ValueError"
    assert first["exception"]["message"] == "no such colour: '…'"
    assert any("failing" in frame for frame in first["exception"]["frames"])
    assert second["status"] == 500
    assert {line["requestId"] for line in (first, second)} == {"one"}
    assert "SECRET" not in log.getvalue() + body.decode()
    assert listener.counted == {"500": 1.0}


def test_an_error_in_the_middle_of_an_answer_cuts_it_off(log: io.StringIO) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        Listener(failing).ask()


def test_an_error_after_the_answer_changes_nothing(log: io.StringIO) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"gone"})
        raise ValueError

    listener = Listener(failing)
    assert listener.ask()[0] == 404
    assert listener.counted == {"404": 1.0}


def test_a_client_that_went_away_is_counted_as_such() -> None:
    async def abandoned(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    listener = Listener(abandoned)
    with pytest.raises(asyncio.CancelledError):
        listener.ask()
    assert listener.counted == {str(GONE): 1.0}
    assert listener.figures.under_way == {}


def test_other_protocols_pass(log: io.StringIO) -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    listener = Listener(application)
    asyncio.run(listener.observation({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert (seen, listener.counted) == (["lifespan"], {})


def test_libraries_log_as_json_without_values(log: io.StringIO) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved: KeyError('SECRET')")
    logging.getLogger("dotpeen.api.runtime").warning(
        "the database can't be asked for changes: %s", "PoolTimeout"
    )
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    first, second = lines(log)
    assert first["event"] == "Task exception was never retrieved: KeyError('…')"
    assert (second["event"], second["logger"], second["level"]) == (
        "the database can't be asked for changes: PoolTimeout",
        "dotpeen.api.runtime",
        "warning",
    )


def test_what_postgresql_says_of_values_is_left_out(log: io.StringIO, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t (number text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES ('SECRET')")
        with pytest.raises(psycopg.Error, match="SECRET") as caught:
            connection.execute("INSERT INTO t VALUES ('SECRET')")
    logging.getLogger("dotpeen.api.failures").error("request failed", exc_info=caught.value)
    (line,) = lines(log)
    assert line["exception"]["sqlstate"] == "23505"
    assert line["exception"]["constraint_name"] == "t_pkey"
    assert "SECRET" not in log.getvalue()


def test_whoever_looks_for_a_defect_can_see_it_all(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOTPEEN_DEBUG", "1")
    try:
        try:
            raise KeyError("value")
        except KeyError as error:
            raise RuntimeError("it is 'this'") from error
    except RuntimeError:
        logging.getLogger("dotpeen").exception("failed")
    (line,) = lines(log)
    assert line["exception"]["message"] == "it is 'this'"
    assert line["exception"]["cause"]["message"] == "'value'"
