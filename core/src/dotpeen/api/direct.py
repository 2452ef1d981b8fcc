"""The shortest way for what is asked most: a partner's GET of one record by its UUID.

Recognised in the bytes that came, answered from the database with its audit entry written by the same statement, and
sent: no ASGI scope, no task. What is answered, recorded and counted is the same as on the long way, and all that is
not plainly such a request takes the long way: another method, a query, a condition, a token that is unknown, without
the scope or over its limit, an interface that is switched off.
"""

from __future__ import annotations

import gzip
import random
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from dotpeen.api.answers import PRIVATE, entity_tag, written
from dotpeen.api.askers import Asker, Question
from dotpeen.api.call import JSON, Header
from dotpeen.api.external import unknown
from dotpeen.api.failures import as_problem
from dotpeen.api.heads import Head
from dotpeen.api.observation import Observation
from dotpeen.api.reading import Reading, told
from dotpeen.api.routing import Route
from dotpeen.api.runtime import Runtime
from dotpeen.api.surface import COMPRESSED_BYTES, failed
from dotpeen.errors import AuthenticationError
from dotpeen.partners import AuditEntry, Decision, Grant
from dotpeen.partners.recording import FORMATS, Access, one_parameters, parameters, recorded
from dotpeen.records import Shape, statements

_UUID: Final = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RESERVED: Final = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_FOUND: Final = b"HTTP/1.1 200 OK\r\n"
_ANSWER: Final = (
    b"".join([b"%b: %b\r\n" % header for header in (JSON, PRIVATE)])
    + b"etag: %b\r\n%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b"
)
_VARY: Final = b"vary: accept-encoding\r\n"


class Connection(Protocol):
    """Where an answer goes."""

    remote: str

    def answer(self, status: int, body: bytes, headers: Sequence[Header]) -> None:
        """Send an answer."""

    def send(self, status: bytes, rest: bytes) -> None:
        """Send an answer that is written already: its status line, and what comes behind the default headers."""


class _Lookup:
    """One entity's records by UUID."""

    __slots__ = ("entity", "question", "shape", "state", "template")

    def __init__(self, route: Route, shape: Shape, direct: Direct) -> None:
        self.template = route.template
        self.state: dict[str, Any] = {"route": route}
        """What is told of each request under way."""
        self.shape = shape
        self.entity = shape.entity.name
        lookup = statements.by_asked(shape, "external", None).as_string()
        self.question = Question(
            recorded(lookup, route=route.template, entity=self.entity),
            direct.parameters,
            told(shape, as_problem, direct._runtime.look_again),
            FORMATS,
            (recorded(lookup, route=route.template, entity=self.entity, alone=True), direct.one_parameters),
        )


@dataclass(slots=True, eq=False)
class _Asking:
    """One request on its way."""

    direct: Direct
    connection: Connection
    lookup: _Lookup
    uuid: str
    key: bytes
    """The UUID's bytes."""
    head: Head
    grant: Grant
    decision: Decision
    request_id: str
    began: float
    micros: int
    """When it came: Unix time."""

    def answered(self, body: bytes | None, now: float) -> None:
        """Send the record, or that there is none."""
        self.direct.found(self, body, now)

    def refused(self, error: BaseException) -> None:
        """Send the problem, and record it."""
        self.direct.refuse(self, error)


class Direct:
    """Takes what it can answer; for the external listener."""

    def __init__(
        self, runtime: Runtime, observation: Observation, *, remote: Callable[[str, str], str]
    ) -> None:
        """`remote` tells who asks, from the address of the connection and an X-Forwarded-For."""
        self._runtime = runtime
        self._observation = observation
        self._figures = observation.figures
        self._remote = remote
        self._reading: Reading | None = None
        self._lookups: dict[bytes, _Lookup] = {}
        self._policies: dict[Any, bytes] = {}
        # Keys are no secrets; a generator of its own differs in every process that was forked.
        self._bits = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311
        self._moment = (0.0, b"")

    def take(self, connection: Connection, line: bytes, head: Head) -> bool:
        """Answer a request, now or later; False: it is none for here, and nothing was done.

        `line` is the request line, `head` what came behind it.
        """
        if line[:4] != b"GET " or line[-9:] != b" HTTP/1.1":
            return False
        prefix, _, last = line[4:-9].rpartition(b"/")
        runtime = self._runtime
        if runtime.reading is not self._reading:
            self._learn()
        lookup = self._lookups.get(prefix)
        if lookup is None or not _UUID.fullmatch(last) or not runtime.directory.state.enabled:
            return False
        uuid = last.decode().lower()
        try:
            grant = runtime.directory.known(head.token)
        except AuthenticationError:
            return False
        if grant is None or uuid in _RESERVED or not grant.allows(lookup.entity, "read"):
            return False
        decision = runtime.limiter.check(grant)
        if not decision.allowed:
            return False
        observation = self._observation
        asking = _Asking(
            self,
            connection,
            lookup,
            uuid,
            bytes.fromhex(uuid.replace("-", "")),
            head,
            grant,
            decision,
            observation.new_id() if head.request_id is None else observation.request_id(head.request_id),
            time.perf_counter(),
            time.time_ns() // 1000,
        )
        self._figures.under_way[id(asking)] = lookup.state
        assert self._reading is not None  # noqa: S101 - learnt above
        self._reading.lookups.ask(lookup.question, asking)
        return True

    def parameters(self, askers: Sequence[Asker]) -> list[bytes]:
        """Return the parameters of a lookup that is recorded."""
        now = time.perf_counter()
        asking = cast("Sequence[_Asking]", askers)
        grants, first = [one.grant for one in asking], self._bits(61)
        return parameters(
            [one.key for one in asking],
            [one.micros for one in asking],
            range(first, first + len(asking)),
            [grant.name for grant in grants],
            [grant.token_id for grant in grants],
            [one.request_id for one in asking],
            [one.connection.remote if one.head.forwarded is None else self._address(one) for one in asking],
            [(now - one.began) * 1000 for one in asking],
        )

    def one_parameters(self, asker: Asker) -> list[bytes]:
        """Return those for one who is alone."""
        one = cast("_Asking", asker)
        return one_parameters(
            one.key,
            Access(
                one.micros,
                self._bits(62),
                one.grant.name,
                one.grant.token_id,
                one.request_id,
                self._address(one),
                (time.perf_counter() - one.began) * 1000,
            ),
        )

    def _address(self, one: _Asking) -> str:
        forwarded = one.head.forwarded
        remote = one.connection.remote
        return remote if forwarded is None else self._remote(remote, forwarded)

    def found(self, one: _Asking, body: bytes | None, now: float) -> None:
        """Send what was found."""
        if body is None:
            self._fail(one, unknown(one.lookup.shape, one.uuid))
            return
        whole = b'{"data":%b,"metadata":{"requestedUuid":"%b","timestamp":"%b"}}' % (
            body,
            one.uuid.encode(),
            self._timestamp(now),
        )
        headers = b"" if one.decision.limit is None else self._limits(one.decision)
        if len(whole) >= COMPRESSED_BYTES:
            headers += _VARY
            if one.head.gzip:
                whole = gzip.compress(whole, compresslevel=5)
                headers += b"content-encoding: gzip\r\n"
        answer = _ANSWER % (entity_tag(body), headers, len(whole), one.request_id.encode(), whole)
        # Last: what fails before is answered with a problem, and nothing is answered twice.
        self._finish(one, 200)
        one.connection.send(_FOUND, answer)

    def refuse(self, one: _Asking, error: BaseException) -> None:
        """Send a problem, and record that the record was not given."""
        problem = as_problem(error)
        self._runtime.later(self._record(one, problem.status))
        self._fail(one, problem)

    def _fail(self, one: _Asking, problem: Any) -> None:
        request_id = one.request_id
        answer = failed(problem, request_id)
        headers = [*answer.headers, *one.decision.headers()]
        headers += [(b"content-length", b"%d" % len(answer.body)), (b"x-request-id", request_id.encode())]
        one.connection.answer(answer.status, answer.body, headers)
        self._finish(one, answer.status)

    def _finish(self, one: _Asking, status: int) -> None:
        self._figures.under_way.pop(id(one), None)
        seconds = time.perf_counter() - one.began
        template, entity = one.lookup.template, one.lookup.entity
        self._figures.finished("GET", template, entity, status, seconds)
        if status >= 500 or seconds > self._observation.longest:
            state = self._observation.identify(one.head.request_id, one.head.traceparent)
            if state["trace_id"] == state["request_id"]:
                state["trace_id"] = one.request_id
            state["request_id"] = one.request_id
            self._observation.log("GET", template, entity, status, seconds, state, self._address(one))

    async def _record(self, one: _Asking, status: int) -> None:
        await self._runtime.audit.write(
            AuditEntry(
                at=datetime.fromtimestamp(one.micros / 1_000_000, UTC),
                partner=one.grant.name,
                token_id=one.grant.token_id,
                method="GET",
                route=one.lookup.template,
                entity=one.lookup.entity,
                uuid=None,
                records=0,
                status=status,
                request_id=one.request_id,
                remote=self._address(one),
                milliseconds=(time.perf_counter() - one.began) * 1000,
            )
        )

    def _limits(self, decision: Decision) -> bytes:
        limit = decision.limit
        policy = self._policies.get(limit)
        if policy is None:
            policy = self._policies[limit] = b"".join(
                b"%s: %s\r\n" % header for header in decision.headers() if header[0] in _CONSTANT
            )
        return b"%sratelimit-remaining: %d\r\nratelimit-reset: %d\r\n" % (
            policy,
            decision.remaining,
            decision.reset_seconds,
        )

    def _timestamp(self, now: float) -> bytes:
        # Of all who are answered together it is the same.
        if now != self._moment[0]:
            self._moment = (now, written(datetime.fromtimestamp(now, UTC)).encode())
        return self._moment[1]

    def _learn(self) -> None:
        """Take the routes as they are now."""
        self._reading = self._runtime.reading
        self._lookups = {
            route.template.removesuffix("/{uuid}").encode(): _Lookup(route, route.shape, self)
            for route in self._runtime.routes.all
            if route.direct and route.shape is not None and route.shape.ready is None
        }


_CONSTANT: Final = (b"ratelimit-limit", b"ratelimit-policy")
