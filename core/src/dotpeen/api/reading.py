"""What the routes ask of the records: through shared lookups where many ask at once, else one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from dotpeen.api import answers
from dotpeen.api.lookups import Lookups
from dotpeen.database.pool import Pool
from dotpeen.errors import InvalidQueryError, NotMigratedError, RecordNotFoundError
from dotpeen.plugins import Plugins
from dotpeen.records import Audience, Shape, Shapes, WireRecords, WireRow, statements
from dotpeen.records.question import refusal


@dataclass(frozen=True)
class Resolved:
    """What carries a UUID: a record, and what plugins and its external references know of it."""

    shape: Shape
    body: bytes
    thread: bytes


class Reading:
    """The records as the interface needs them, for one state of the catalog."""

    def __init__(
        self,
        pool: Pool,
        shapes: Shapes,
        *,
        timeout: float,
        failed: Callable[[BaseException], BaseException],
        plugins: Plugins | None = None,
    ) -> None:
        self.shapes = shapes
        self.wire = WireRecords(pool, shapes, patience=timeout / 2)
        self._plugins = plugins
        self._lookups = {
            name: Lookups(
                pool,
                statements.by_uuids(shape, "external", None),
                timeout=timeout / 2,
                failed=_told(shape, failed),
            )
            for name, shape in shapes.items()
            if shape.ready is None
        }

    def lookup(self, shape: Shape, uuid: str) -> asyncio.Future[bytes | None]:
        """The exposed columns of a record as JSON, None where no record has the UUID."""
        try:
            return self._lookups[shape.entity.name].find(uuid)
        except KeyError:
            raise NotMigratedError(shape.entity.name, shape.ready or "not migrated") from None

    async def resolve(self, uuid: str) -> Resolved | None:
        """Find the record of any entity, and the digital thread that its UUID is the start of."""
        found = await self.wire.resolve(uuid)
        if found is None:
            return None
        shape, row = found
        return Resolved(
            shape, row.body, json.dumps(await self._thread(shape, row), ensure_ascii=False).encode()
        )

    async def update(
        self,
        shape: Shape,
        identifier: str,
        values: Mapping[str, Any],
        *,
        audience: Audience,
        if_match: bytes | None,
    ) -> WireRow | None:
        """Change a record. With `if_match` only the version that the client has seen (RFC 9110 13.1.1)."""
        condition: Callable[[bytes], bool] | None = None
        if if_match is not None:
            detail = await self._detail_of(shape, identifier, if_match) if audience == "internal" else b""

            def condition(body: bytes) -> bool:
                return answers.matches(if_match, answers.entity_tag(body)) or (
                    detail.startswith(body[:-1] + b',"related":')
                )

        return await self.wire.update(shape, identifier, values, audience=audience, condition=condition)

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
        await asyncio.gather(*(lookups.close() for lookups in self._lookups.values()))

    async def _thread(self, shape: Shape, row: WireRow) -> list[dict[str, Any]]:
        record = json.loads(row.body)
        entries: list[dict[str, Any]] = [
            {"source": identifier.source, "kind": identifier.name, "value": record[identifier.name]}
            for identifier in shape.identifiers
            if identifier.kind == "external" and record.get(identifier.name) is not None
        ]
        return entries


def _told(
    shape: Shape, failed: Callable[[BaseException], BaseException]
) -> Callable[[BaseException], BaseException]:
    """As `failed`, for one entity: a column that was rolled back since is no accident."""

    def tell(error: BaseException) -> BaseException:
        known = refusal(error, shape) if isinstance(error, psycopg.Error) else None
        return failed(known or error)

    return tell
