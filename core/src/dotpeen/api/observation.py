"""What surrounds every request: its id, its trace, the count of it, and a line in the log where one is due."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import structlog

from dotpeen.api import logs
from dotpeen.api.failures import as_problem
from dotpeen.api.figures import Figures
from dotpeen.api.problems import MEDIA_TYPE
from dotpeen.api.streaming import StreamCutError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

SLOW_SECONDS: Final = 1.0
"""A request that takes longer stands in the log."""
GONE: Final = 499
"""Counted as the status of a request whose client went away; nobody is sent it."""
_IDS: Final = 64
"""Made at a time: alone, each would cost ten times as much."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


class Observation:
    """The outermost layer of a listener's application."""

    def __init__(
        self, application: Application, figures: Figures, *, listener: str, access_log: bool = False
    ) -> None:
        self._application = application
        self.figures = figures
        self._listener = listener
        self.longest = -1.0 if access_log else SLOW_SECONDS
        """Seconds: a request that takes more stands in the log, as one that the server failed to answer does."""
        # Ids must differ, not be unguessable; a generator of its own differs in every process that was forked.
        self._random = random.Random(secrets.randbits(256))  # noqa: S311
        self._ids: list[str] = []
        self._log = structlog.get_logger("dotpeen.request")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began = time.perf_counter()
        state = self._begin(scope)
        request_id = (b"x-request-id", state["request_id"].encode())
        status = 0
        complete = False

        def observed(message: Message) -> Awaitable[None]:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), request_id]
            elif not message.get("more_body"):
                complete = True
            return send(message)

        key = id(state)
        under_way = self.figures.under_way
        under_way[key] = state
        try:
            await self._application(scope, receive, observed)
        except asyncio.CancelledError:
            status = status or GONE
            raise
        except StreamCutError:
            raise  # who cut it off has said why
        except Exception as error:
            if complete:
                return  # FastAPI raises again what it has answered
            problem = as_problem(error)
            if status:
                raise  # the server cuts the answer off, so that nobody takes it for whole
            body = problem.body(state["request_id"])
            headers = [(b"content-type", MEDIA_TYPE), (b"content-length", str(len(body)).encode())]
            await observed({"type": "http.response.start", "status": problem.status, "headers": headers})
            await observed({"type": "http.response.body", "body": body})
        finally:
            under_way.pop(key, None)
            seconds = time.perf_counter() - began
            route = state.get("route")
            if route is not None:
                template = route.template
                entity = route.shape.entity.name if route.shape is not None else ""
            else:
                template, entity = getattr(scope.get("route"), "path", ""), ""
            self.finish(
                scope["method"], template, entity, status or GONE, seconds, state, lambda: _client(scope)
            )

    def finish(
        self,
        method: str,
        template: str,
        entity: str,
        status: int,
        seconds: float,
        state: dict[str, Any],
        client: Callable[[], str | None],
    ) -> None:
        """Count a request that was answered, and log it where one is due."""
        self.figures.finished(method, template, entity, status, seconds)
        if status >= 500 or seconds > self.longest:
            self.log(method, template, entity, status, seconds, state, client())

    def log(
        self,
        method: str,
        template: str,
        entity: str,
        status: int,
        seconds: float,
        state: dict[str, Any],
        client: str | None,
    ) -> None:
        """Write a request's line."""
        # The path and the query hold identifiers and values; the audit trail has the record, under the same id.
        fields = {
            "listener": self._listener,
            "method": method,
            "route": template or None,
            "entity": entity or None,
            "status": status,
            "milliseconds": round(seconds * 1000, 3),
            "client": client,
        }
        token = logs.request.set(state)
        if status >= 500 and status != 503:
            self._log.error("request", **fields)
        elif status == 503 or seconds > SLOW_SECONDS:
            self._log.warning("request", **fields)
        else:
            self._log.info("request", **fields)
        logs.request.reset(token)

    def identify(self, given: bytes | None, parent: bytes | None) -> dict[str, Any]:
        """Give a request its ids, from its X-Request-ID and traceparent where they are good."""
        trace_id = request_id = self.new_id()
        if parent is not None:
            match = _TRACEPARENT.fullmatch(parent)
            # Version 00 has these four fields; later ones may have more.
            if match is not None and (match[3] is None or match[1] != b"00"):
                trace_id = match[2].decode()
        if given is not None and _REQUEST_ID.fullmatch(given):
            request_id = given.decode()
        return {"request_id": request_id, "trace_id": trace_id, "span_id": self.new_id()[:16]}

    def request_id(self, given: bytes) -> str:
        """Return the request id that a client gave, or another one where that is no good."""
        return given.decode() if _REQUEST_ID.fullmatch(given) else self.new_id()

    def new_id(self) -> str:
        """Return 32 random hexadecimal digits."""
        if not self._ids:
            digits = self._random.randbytes(16 * _IDS).hex()
            self._ids = [digits[start : start + 32] for start in range(0, len(digits), 32)]
        return self._ids.pop()

    def _begin(self, scope: Message) -> dict[str, Any]:
        given = parent = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"traceparent":
                # Two of them say nothing.
                parent = value if parent is None else b""
        state: dict[str, Any] | None = scope.get("state")
        if state is None:
            state = scope["state"] = {}
        state.update(self.identify(given, parent))
        # Not reset: every request has a task of its own, and its context ends with it.
        logs.request.set(state)
        return state


def _client(scope: Message) -> str | None:
    client = scope.get("client")
    return client[0] if client else None
