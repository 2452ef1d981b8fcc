"""The external routes: partners ask by UUID, and see what the registry exposes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import AsyncConnection

from dotpeen.api import answers
from dotpeen.api.call import JSON, Answer, Call
from dotpeen.api.failures import shortened
from dotpeen.api.gate import require
from dotpeen.api.problems import EXAMPLE_UUID, Problem
from dotpeen.api.reading import Reading
from dotpeen.api.routing import Route
from dotpeen.errors import RecordNotFoundError
from dotpeen.identifiers import InvalidUuidError, canonical_uuid, canonical_uuids
from dotpeen.records import PageQuery, Shape, WireRow

BATCH: Final = 500
"""UUIDs in one batch, and records on one page."""
BASE: Final = "/api/v1/external"
_BATCH: Final = b'{"data":[%b],"notFoundUuids":[%b],"metadata":{"timestamp":"%b"}}'


class External:
    """Handlers of the external routes."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def routes(self) -> list[Route]:
        """The routes of every entity, and `resolve`, which is for all of them."""
        found = [Route("GET", f"{BASE}/resolve/{{uuid}}", "external", "read", self.resolve)]
        for shape in self._reading.shapes.values():
            path = f"{BASE}/{shape.entity.path}"
            found += [
                Route("GET", path, "external", "read", self.page, shape),
                Route("GET", f"{path}/{{uuid}}", "external", "read", self.one, shape, direct=True),
                Route("POST", f"{path}/batch", "external", "read", self.batch, shape),
                Route("GET", f"{path}/by/{{field}}/{{value}}", "external", "read", self.by, shape),
                Route("GET", f"{path}/by", "external", "read", self.by_fields, shape),
            ]
            if shape.entity.writable:
                found.append(Route("PATCH", f"{path}/{{uuid}}", "external", "write", self.update, shape))
        return found

    async def one(self, call: Call) -> Answer:
        """One record by its UUID."""
        shape = _shape(call)
        uuid = _uuid(shape, call.values[0])
        if call.query:
            fields = self._fields(call, shape)
            row = await self._reading.wire.one(shape, uuid, fields=fields)
            body = row.body if row else None
        else:
            body = await self._reading.lookup(shape, uuid)
        if body is None:
            raise unknown(shape, uuid)
        return answers.record(call, body, requested={"requestedUuid": uuid}, uuid=uuid)

    async def page(self, call: Call) -> Answer:
        """A page of records."""
        shape = _shape(call)
        query = PageQuery.parse(shape, "external", call.parameters())
        return answers.page(call, await self._reading.wire.page(shape, query, audience="external"))

    async def by(self, call: Call) -> Answer:
        """One record by one declared identifier, exactly."""
        shape = _shape(call)
        field, value = call.values
        return await self._by(call, shape, field, value, call.parameters())

    async def by_fields(self, call: Call) -> Answer:
        """One record by a composite identifier, its parts as query parameters."""
        shape = _shape(call)
        parts = [(name, value) for name, value in call.parameters() if name != "fields"]
        others = [(name, value) for name, value in call.parameters() if name == "fields"]
        names, values = tuple(name for name, _ in parts), tuple(value for _, value in parts)
        return await self._by(call, shape, names, values, others)

    async def _by(
        self,
        call: Call,
        shape: Shape,
        field: str | tuple[str, ...],
        value: str | tuple[str, ...],
        parameters: list[tuple[str, str]],
    ) -> Answer:
        fields = self._reading.fields(shape, parameters, audience="external")
        try:
            row = await self._reading.wire.by(shape, field, value, audience="external", fields=fields)
        except RecordNotFoundError:
            text = value if isinstance(value, str) else ":".join(value)
            raise Problem(
                "not-found",
                f"no {shape.entity.name} has this {field if isinstance(field, str) else ' and '.join(field)}",
                error=f"{shape.entity.name} not found",
                identifier=shortened(text),
            ) from None
        return answers.record(call, row.body, requested={"requestedUuid": row.uuid or ""}, uuid=row.uuid)

    async def batch(self, call: Call) -> Answer:
        """Up to 500 records by UUID, in the order asked, and the UUIDs that no record has."""
        shape = _shape(call)
        document = await call.json()
        asked = document.get("uuids")
        if (
            not isinstance(asked, list)
            or not all(isinstance(one, str) for one in asked)
            or len(document) != 1
        ):
            raise Problem(
                "malformed-json",
                "the body is an object with one member, `uuids`, an array of texts",
                example={"uuids": [EXAMPLE_UUID]},
            )
        if len(asked) > BATCH:
            raise Problem("too-many-uuids", f"{len(asked)} UUIDs, and a batch has up to {BATCH}", limit=BATCH)
        uuids = list(dict.fromkeys(_uuids(shape, asked)))
        if call.query or call.access is None or call.route is None:
            return await self._some_of(call, shape, uuids)
        found = await self._reading.batch(shape, uuids, call.access(), route=call.route)
        body = _BATCH % (found.records, found.missing, answers.now().encode())
        return Answer(200, body, [JSON, answers.PRIVATE], recorded=True)

    async def _some_of(self, call: Call, shape: Shape, uuids: list[str]) -> Answer:
        """Answer a batch of which some columns are asked for."""
        rows = await self._reading.wire.batch(shape, uuids, fields=self._fields(call, shape))
        given = tuple(row.uuid for row in rows if row.uuid is not None)
        found = set(given)
        missing = ",".join([f'"{uuid}"' for uuid in uuids if uuid not in found])
        records = b",".join([row.body for row in rows])
        body = _BATCH % (records, missing.encode(), answers.now().encode())
        return Answer(200, body, [JSON, answers.PRIVATE], records=len(rows), uuids=given)

    async def resolve(self, call: Call) -> Answer:
        """Which record has this UUID, and everything else that carries its identity."""
        uuid = _uuid(None, call.values[0])
        grant = call.grant

        def allowed(entity: str) -> bool:
            return grant is not None and grant.allows(entity, "read")

        found = await self._reading.resolve(uuid, allowed=allowed)
        # What a partner may not read is to them what does not exist.
        if found is None:
            raise Problem("not-found", "no record has this UUID", error="Record not found", uuid=uuid)
        entity = found.shape.entity
        head: dict[str, Any] = {"entity": entity.name, "url": f"{BASE}/{entity.path}/{found.uuid}"}
        if found.via is not None:
            head["via"] = found.via
        written = json.dumps(head, ensure_ascii=False)[:-1].encode()
        body = b'%s,"record":%s,"thread":%s}' % (written, found.body, found.thread)
        answer = answers.record(call, body, requested={"requestedUuid": uuid}, uuid=found.uuid)
        answer.entity = entity.name
        return answer

    async def update(self, call: Call) -> Answer:
        """Change the columns of a record that the registry lets partners write."""
        shape = _shape(call)
        uuid = _uuid(shape, call.values[0])
        values = await call.json()
        _require_linked(call, shape, values)
        changed = tuple(sorted(values))
        answer = Answer(204, b"", uuid=uuid, records=1, changed=changed)

        async def record(connection: AsyncConnection[Any], row: WireRow) -> None:
            nonlocal answer
            # Who may only write is shown nothing.
            if call.grant is not None and call.grant.allows(shape.entity.name, "read"):
                answer = answers.record(call, row.body, requested={"requestedUuid": uuid}, uuid=uuid)
                answer.changed = changed
            if call.record is not None:
                await call.record(connection, answer)

        row = await self._reading.update(
            shape,
            uuid,
            values,
            audience="external",
            if_match=call.headers.get(b"if-match"),
            within=record,
        )
        if row is None:
            raise unknown(shape, uuid)
        return answer

    def _fields(self, call: Call, shape: Shape) -> tuple[str, ...] | None:
        return self._reading.fields(shape, call.parameters(), audience="external")


def _shape(call: Call) -> Shape:
    if call.shape is None:
        raise RuntimeError("the route has no entity")
    if call.shape.ready is not None and call.path.startswith(BASE):
        call.shape.require_ready()
    return call.shape


def _require_linked(call: Call, shape: Shape, values: Mapping[str, object]) -> None:
    """Refuse links to what the partner may not read: whether one can be set would tell whether a record is there."""
    for name, value in values.items():
        link = shape.links.get(name)
        if link is not None and link.writable and value is not None and call.grant is not None:
            require(call.grant, link.entity, "read")


def _uuid(shape: Shape | None, text: str) -> str:
    try:
        return canonical_uuid(text)
    except InvalidUuidError as error:
        raise _no_uuid(shape, error) from None


def _uuids(shape: Shape, texts: Sequence[str]) -> list[str]:
    try:
        return canonical_uuids(texts)
    except InvalidUuidError as error:
        raise _no_uuid(shape, error) from None


def _no_uuid(shape: Shape | None, error: InvalidUuidError) -> Problem:
    hint = ""
    if shape is not None:
        hint = f"; a {shape.entity.name} by another identifier: {BASE}/{shape.entity.path}/by/{{field}}/{{value}}"
    return Problem(
        "invalid-uuid", f"{error.message}{hint}", provided=shortened(error.value), example=EXAMPLE_UUID
    )


def unknown(shape: Shape, uuid: str) -> Problem:
    """What a client is told whose UUID no record has."""
    name = shape.entity.name
    return Problem("not-found", f"no {name} has this UUID", error=f"{name} not found", uuid=uuid)
