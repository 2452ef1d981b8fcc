"""The flexible and internal routes: the site's own applications find a record by whatever identifier is at hand."""

from __future__ import annotations

from dotpeen.api import answers
from dotpeen.api.call import Answer, Call
from dotpeen.api.failures import shortened
from dotpeen.api.problems import Problem
from dotpeen.api.reading import Reading
from dotpeen.api.routing import Route
from dotpeen.errors import RecordNotFoundError
from dotpeen.records import PageQuery, Shape, WireRow


class Internal:
    """Handlers of the flexible and internal routes."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def routes(self) -> list[Route]:
        """The routes of every entity."""
        found: list[Route] = []
        for shape in self._reading.shapes.values():
            flexible, internal = f"/api/{shape.entity.path}", f"/api/internal/{shape.entity.path}"
            found += [
                Route("GET", flexible, "internal", "read", self.page, shape),
                Route("GET", f"{flexible}/{{identifier}}", "internal", "read", self.find, shape),
                Route("GET", f"{flexible}/by/{{field}}/{{value}}", "internal", "read", self.by, shape),
                Route("GET", f"{flexible}/by", "internal", "read", self.by_fields, shape),
                Route("GET", f"{internal}/{{id}}", "internal", "read", self.detail, shape),
                Route("POST", internal, "internal", "write", self.create, shape),
                Route("PATCH", f"{internal}/{{id}}", "internal", "write", self.update, shape),
            ]
        return found

    async def find(self, call: Call) -> Answer:
        """One record by any identifier."""
        shape, identifier = _shape(call), call.values[0]
        fields = self._reading.fields(shape, call.parameters(), audience="internal")
        match = await self._reading.wire.find(shape, identifier, audience="internal", fields=fields)
        return _record(call, match.row, identifier, matchedBy=match.matched_by)

    async def by(self, call: Call) -> Answer:
        """One record by one declared identifier, exactly."""
        shape, (field, value) = _shape(call), call.values
        fields = self._reading.fields(shape, call.parameters(), audience="internal")
        row = await self._reading.wire.by(shape, field, value, audience="internal", fields=fields)
        return _record(call, row, value, matchedBy=field)

    async def by_fields(self, call: Call) -> Answer:
        """One record by a composite identifier, its parts as query parameters."""
        shape = _shape(call)
        parts = [(name, value) for name, value in call.parameters() if name != "fields"]
        chosen = [(name, value) for name, value in call.parameters() if name == "fields"]
        names, values = tuple(name for name, _ in parts), tuple(value for _, value in parts)
        row = await self._reading.wire.by(
            shape,
            names,
            values,
            audience="internal",
            fields=self._reading.fields(shape, chosen, audience="internal"),
        )
        return _record(call, row, ":".join(values), matchedBy=":".join(names))

    async def page(self, call: Call) -> Answer:
        """A page of records."""
        shape = _shape(call)
        query = PageQuery.parse(shape, "internal", call.parameters())
        return answers.page(call, await self._reading.wire.page(shape, query, audience="internal"))

    async def detail(self, call: Call) -> Answer:
        """One record by its primary key, with its related records."""
        shape, key = _shape(call), call.values[0]
        _require_key(shape, key)
        row = await self._reading.wire.detail(shape, key)
        return _record(call, row, key)

    async def create(self, call: Call) -> Answer:
        """Make a record; the database gives it its UUID."""
        shape = _shape(call)
        row = await self._reading.create(shape, await call.json())
        answer = _record(call, row, None, status=201)
        answer.headers.append((b"location", f"/api/internal/{shape.entity.path}/{row.quoted_key}".encode()))
        return answer

    async def update(self, call: Call) -> Answer:
        """Change a record by its primary key."""
        shape, key = _shape(call), call.values[0]
        _require_key(shape, key)
        row = await self._reading.update(
            shape, key, await call.json(), audience="internal", if_match=call.headers.get(b"if-match")
        )
        if row is None:
            raise RecordNotFoundError(shape.entity.name, key)
        return _record(call, row, key)


def _shape(call: Call) -> Shape:
    if call.shape is None:
        raise RuntimeError("the route has no entity")
    return call.shape


def _require_key(shape: Shape, text: str) -> None:
    """Refuse what can't be a primary key of this entity, and what can only be a UUID that is none."""
    reason = shape.not_a_key(text)
    if reason is not None:
        raise Problem(
            "invalid-internal-id",
            f"{reason}; by any identifier: /api/{shape.entity.path}/{{identifier}}",
            provided=shortened(text),
        )


def _record(
    call: Call, row: WireRow, identifier: str | None, *, status: int = 200, **metadata: str
) -> Answer:
    requested = {"requestedIdentifier": identifier} if identifier is not None else {}
    return answers.record(call, row.body, requested=requested | metadata, uuid=row.uuid, status=status)
