"""What the routes ask of the records: through shared lookups where many ask at once, else one by one."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import psycopg

from dotpeen.api import answers
from dotpeen.api.askers import Question, Waiting, uuid_array
from dotpeen.api.lookups import Lookups
from dotpeen.api.thread import DigitalThread
from dotpeen.database.pool import Pool
from dotpeen.errors import (
    AmbiguousIdentifierError,
    InvalidQueryError,
    NotMigratedError,
    RecordNotFoundError,
)
from dotpeen.partners.recording import FORMATS, Access, batch_parameters, recorded_batch
from dotpeen.records import Audience, Shape, Shapes, WireRecords, WireRow, statements
from dotpeen.records.question import refusal
from dotpeen.records.thread import references
from dotpeen.records.wire_records import Within
from dotpeen.registry import Entity

Changed: TypeAlias = Callable[[Entity, str, Literal["create", "update"], Sequence[str]], None]
"""Told of a write: the entity, the record's UUID, what was done, and which fields were set."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of several UUIDs as JSON with commas between, and likewise the UUIDs that no record has."""

    records: bytes
    missing: bytes


@dataclass(frozen=True)
class Resolved:
    """What carries a UUID: a record, and what plugins and its external references know of it."""

    shape: Shape
    body: bytes
    thread: bytes
    uuid: str
    """Of the record."""
    via: dict[str, str] | None = None
    """Which plugin led to it, and what it says that the UUID is of; None where it is the record's own."""


class Reading:
    """The records as the interface needs them, for one state of the catalog."""

    def __init__(
        self,
        pool: Pool,
        shapes: Shapes,
        *,
        timeout: float,
        failed: Callable[[BaseException], BaseException],
        stale: Callable[[], None] = lambda: None,
        thread: DigitalThread | None = None,
        changed: Changed | None = None,
    ) -> None:
        """`stale` is called when a table is not what its shape says, `changed` after each write."""
        self.shapes = shapes
        self.wire = WireRecords(pool, shapes, patience=timeout / 2, stale=stale)
        self.stale = stale
        self._digital_thread = thread
        self._changed = changed
        self.lookups = Lookups(pool, timeout=timeout / 2)
        self._questions = {
            name: Question(
                statements.by_uuids(shape, "external", None).as_string(),
                uuid_array,
                told(shape, failed, stale),
            )
            for name, shape in shapes.items()
            if shape.ready is None
        }

    async def batch(self, shape: Shape, uuids: Sequence[str], access: Access, *, route: str) -> Batch:
        """Return the records of different UUIDs, in that order; what was given is in the audit trail by then."""
        found = await self.wire.fetch(
            shape, _recorded_batch(shape, route), batch_parameters(uuids, access), formats=FORMATS
        )
        return Batch(found.get_value(0, 0) or b"", found.get_value(0, 1) or b"")

    def lookup(self, shape: Shape, uuid: str) -> asyncio.Future[bytes | None]:
        """The exposed columns of a record as JSON, None where no record has the UUID."""
        try:
            question = self._questions[shape.entity.name]
        except KeyError:
            raise NotMigratedError(shape.entity.name, shape.ready or "not migrated") from None
        waiting = Waiting(uuid)
        self.lookups.ask(question, waiting)
        return waiting.body

    async def resolve(self, uuid: str, *, allowed: Callable[[str], bool]) -> Resolved | None:
        """Find the record of any entity that a UUID leads to, and the digital thread that it is the start of.

        `allowed` tells of which entities the records may be seen; others are as if they were not there. Raises
        `NotMigratedError` where no entity has UUIDs, `AmbiguousIdentifierError` where several records answer.
        """
        if all(shape.ready is not None for shape in self.shapes.values()):
            raise NotMigratedError("the site", "nothing is migrated")
        # What a partner may not read is not asked for either: it could be told by how long it takes.
        own = await self.wire.resolve(uuid, only=allowed)
        if own is not None:
            shape, row = own
            via = None
        else:
            found = await self._referenced(uuid, allowed)
            if found is None:
                self._require_whole(allowed)
                return None
            shape, row, via = found
        thread = json.dumps(await self._thread(shape, row), ensure_ascii=False).encode()
        return Resolved(shape, row.body, thread, row.uuid or uuid, via)

    def _require_whole(self, allowed: Callable[[str], bool]) -> None:
        """Raise `NotMigratedError` where an entity could not be asked: nothing was found may not be said then."""
        for name, shape in self.shapes.items():
            if shape.ready is not None and allowed(name):
                raise NotMigratedError(name, shape.ready)

    async def _referenced(
        self, uuid: str, allowed: Callable[[str], bool]
    ) -> tuple[Shape, WireRow, dict[str, str]] | None:
        """The record that plugins say a UUID leads to."""
        if self._digital_thread is None:
            return None
        found: dict[tuple[str, str], tuple[Shape, WireRow, dict[str, str]]] = {}
        for plugin, reference in await self._digital_thread.references(uuid):
            shape = self.shapes.get(reference.entity)
            if shape is None or shape.ready is not None or not allowed(reference.entity):
                continue
            row = await self.wire.one(shape, reference.uuid)
            if row is not None and row.uuid is not None:
                via = {"source": plugin, "kind": reference.kind}
                found.setdefault((reference.entity, row.uuid), (shape, row, via))
        if len(found) > 1:
            raise AmbiguousIdentifierError("", uuid, list(found))
        return next(iter(found.values()), None)

    async def create(self, shape: Shape, values: Mapping[str, Any]) -> WireRow:
        """Make a record."""
        row = await self.wire.create(shape, values)
        self._tell(shape, row, "create", values)
        return row

    async def update(
        self,
        shape: Shape,
        identifier: str,
        values: Mapping[str, Any],
        *,
        audience: Audience,
        if_match: bytes | None,
        within: Within | None = None,
    ) -> WireRow | None:
        """Change a record. With `if_match` only the version that the client has seen (RFC 9110 13.1.1).

        `within` is awaited with the changed record before the change is committed.
        """
        condition: Callable[[bytes], bool] | None = None
        if if_match is not None:
            detail = await self._detail_of(shape, identifier, if_match) if audience == "internal" else b""

            def condition(body: bytes) -> bool:
                return answers.matches(if_match, answers.entity_tag(body)) or (
                    detail.startswith(body[:-1] + b',"related":')
                )

        row = await self.wire.update(
            shape, identifier, values, audience=audience, condition=condition, within=within
        )
        if row is not None and values:
            self._tell(shape, row, "update", values)
        return row

    def _tell(
        self, shape: Shape, row: WireRow, operation: Literal["create", "update"], values: Mapping[str, Any]
    ) -> None:
        if self._changed is not None and row.uuid is not None:
            self._changed(shape.entity, row.uuid, operation, sorted(values))

    async def _detail_of(self, shape: Shape, key: str, tag: bytes) -> bytes:
        """The record with its related ones, as GET on the path of a key gives it, where that is what `tag` names."""
        try:
            body = (await self.wire.detail(shape, key)).body
        except RecordNotFoundError:
            return b""
        return body if answers.matches(tag, answers.entity_tag(body)) else b""

    def fields(
        self, shape: Shape, parameters: Sequence[tuple[str, str]], *, audience: Audience
    ) -> tuple[str, ...] | None:
        """The columns that `fields=` asks for; None for all. Any other parameter is refused."""
        chosen: list[str] = []
        for name, value in parameters:
            if name != "fields":
                raise InvalidQueryError(name, f"this route has no parameter {name!r}; it has `fields`")
            chosen += [field.strip() for field in value.split(",") if field.strip()]
        if not chosen:
            return None
        return shape.chosen(chosen, audience=audience)

    async def close(self) -> None:
        """Wait for the lookups under way."""
        await self.lookups.close()

    async def _thread(self, shape: Shape, row: WireRow) -> list[dict[str, Any]]:
        names = [one.name for one in shape.identifiers if one.kind == "external"]
        entries = references(shape, await self._values(shape, row, names))
        if self._digital_thread is not None and row.uuid is not None:
            entries += await self._digital_thread.entries(shape.entity, row.uuid)
        return entries

    async def _values(self, shape: Shape, row: WireRow, names: Sequence[str]) -> dict[str, Any]:
        """Some values of a record that partners see."""
        if not names:
            return {}
        try:
            return dict(json.loads(row.body))
        except (ValueError, RecursionError):
            # Another column has JSON that PostgreSQL holds and Python does not: a number of 5,000 digits.
            seen = [name for name in names if name in shape.members["external"]]
            chosen = await self.wire.one(
                shape, row.uuid or "", fields=shape.chosen(seen, audience="external")
            )
            return dict(json.loads(chosen.body)) if chosen is not None else {}


@functools.lru_cache(maxsize=256)
def _recorded_batch(shape: Shape, route: str) -> str:
    lookup = statements.by_asked(shape, "external", None).as_string()
    return recorded_batch(lookup, route=route, entity=shape.entity.name)


def told(
    shape: Shape,
    failed: Callable[[BaseException], BaseException],
    stale: Callable[[], None] = lambda: None,
) -> Callable[[BaseException], BaseException]:
    """As `failed`, for one entity: a column that was rolled back since is no accident."""

    def tell(error: BaseException) -> BaseException:
        known = refusal(error, shape) if isinstance(error, psycopg.Error) else None
        if isinstance(known, NotMigratedError):
            stale()
        return failed(known or error)

    return tell
