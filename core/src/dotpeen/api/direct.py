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
from typing import Any, Final, Protocol

from dotpeen.api.answers import PRIVATE, entity_tag
from dotpeen.api.call import JSON, Header
from dotpeen.api.external import unknown
from dotpeen.api.failures import as_problem
from dotpeen.api.heads import Head
from dotpeen.api.lookups import Asker, Question
from dotpeen.api.observation import Observation
from dotpeen.api.reading import Reading, told
from dotpeen.api.routing import Route
from dotpeen.api.runtime import Runtime
from dotpeen.api.surface import COMPRESSED_BYTES, failed
from dotpeen.errors import AuthenticationError
from dotpeen.partners import AuditEntry, Decision, Grant
from dotpeen.partners.recording import Access, parameters, recorded
from dotpeen.records import Shape, statements

_UUID: Final = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RESERVED: Final = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_FOUND: Final = b"HTTP/1.1 200 OK\r\n"
_CONTENT: Final = b"".join([b"%s: %s\r\n" % JSON, b"%s: %s\r\n" % PRIVATE, b"etag: "])
_VARY: Final = b"vary: accept-encoding\r\n"


class Connection(Protocol):
    """Where an answer goes."""

    remote: str

    def answer(self, status: int, body: bytes, headers: Sequence[Header]) -> None:
        """Send an answer."""

    def send(self, pieces: list[bytes]) -> None:
        """Send an answer that is written already, up to its default headers and from behind them."""


class _Lookup:
    """One entity's records by UUID."""

    __slots__ = ("entity", "question", "route", "shape")

    def __init__(self, route: Route, shape: Shape, direct: Direct) -> None:
        self.route = route
        self.shape = shape
        self.entity = shape.entity.name
        lookup = statements.by_uuids(shape, "external", None).as_string()
        self.question = Question(
            recorded(lookup, route=route.template, entity=self.entity),
            direct.parameters,
            told(shape, as_problem, direct._runtime.look_again),
        )


@dataclass(slots=True, eq=False)
class _Asking:
    """One request on its way."""

    direct: Direct
    connection: Connection
    lookup: _Lookup
    uuid: str
    head: Head
    grant: Grant
    decision: Decision
    state: dict[str, Any]
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
        self._second = (0, "")

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
        state = self._observation.identify(head.request_id, head.traceparent)
        state["route"] = lookup.route
        asking = _Asking(
            self,
            connection,
            lookup,
            uuid,
            head,
            grant,
            decision,
            state,
            time.perf_counter(),
            time.time_ns() // 1000,
        )
        self._figures.under_way[id(state)] = state
        assert self._reading is not None  # noqa: S101 - learnt above
        self._reading.lookups.ask(lookup.question, asking)
        return True

    def parameters(self, askers: Sequence[Asker]) -> list[bytes]:
        """Return the parameters of a lookup that is recorded."""
        bits, now = self._bits, time.perf_counter()
        accesses = [self._access(one, now) for one in askers if isinstance(one, _Asking)]
        return parameters(accesses, [bits(62) for _ in accesses])

    def _access(self, one: _Asking, now: float) -> Access:
        grant = one.grant
        return Access(
            one.micros,
            grant.name,
            grant.token_id,
            one.uuid,
            one.state["request_id"],
            self._address(one),
            (now - one.began) * 1000,
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
        whole = b'{"data":%s,"metadata":{"requestedUuid":"%s","timestamp":"%s"}}' % (
            body,
            one.uuid.encode(),
            self._timestamp(now),
        )
        pieces = [_FOUND, b"", _CONTENT, entity_tag(body), b"\r\n"]
        if one.decision.limit is not None:
            pieces.append(self._limits(one.decision))
        if len(whole) >= COMPRESSED_BYTES:
            pieces.append(_VARY)
            if one.head.gzip:
                whole = gzip.compress(whole, compresslevel=5)
                pieces.append(b"content-encoding: gzip\r\n")
        pieces += [
            b"content-length: %d\r\nx-request-id: %s\r\n\r\n"
            % (len(whole), one.state["request_id"].encode()),
            whole,
        ]
        # Last: what fails before is answered with a problem, and nothing is answered twice.
        self._finish(one, 200)
        one.connection.send(pieces)

    def refuse(self, one: _Asking, error: BaseException) -> None:
        """Send a problem, and record that the record was not given."""
        problem = as_problem(error)
        self._runtime.later(self._record(one, problem.status))
        self._fail(one, problem)

    def _fail(self, one: _Asking, problem: Any) -> None:
        request_id = one.state["request_id"]
        answer = failed(problem, request_id)
        headers = [*answer.headers, *one.decision.headers()]
        headers += [(b"content-length", b"%d" % len(answer.body)), (b"x-request-id", request_id.encode())]
        one.connection.answer(answer.status, answer.body, headers)
        self._finish(one, answer.status)

    def _finish(self, one: _Asking, status: int) -> None:
        state = one.state
        self._figures.under_way.pop(id(state), None)
        self._observation.finish(
            "GET",
            one.lookup.route.template,
            one.lookup.entity,
            status,
            time.perf_counter() - one.began,
            state,
            lambda: self._address(one),
        )

    async def _record(self, one: _Asking, status: int) -> None:
        await self._runtime.audit.write(
            AuditEntry(
                at=datetime.fromtimestamp(one.micros / 1_000_000, UTC),
                partner=one.grant.name,
                token_id=one.grant.token_id,
                method="GET",
                route=one.lookup.route.template,
                entity=one.lookup.entity,
                uuid=None,
                records=0,
                status=status,
                request_id=one.state["request_id"],
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
        # As `answers.now` writes it; the part up to the second is the same for all that are answered in it.
        second, micros = divmod(int(now * 1_000_000), 1_000_000)
        if second != self._second[0]:
            self._second = (second, datetime.fromtimestamp(second, UTC).isoformat()[:19])
        return b"%s.%06dZ" % (self._second[1].encode(), micros)

    def _learn(self) -> None:
        """Take the routes as they are now."""
        self._reading = self._runtime.reading
        self._lookups = {
            route.template.removesuffix("/{uuid}").encode(): _Lookup(route, route.shape, self)
            for route in self._runtime.routes.all
            if route.direct and route.shape is not None and route.shape.ready is None
        }


_CONSTANT: Final = (b"ratelimit-limit", b"ratelimit-policy")
