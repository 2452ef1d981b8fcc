"""What the routes ask of the records: through shared lookups where many ask at once, else one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dotpeen.api import answers
from dotpeen.api.lookups import Lookups, Pool
from dotpeen.errors import InvalidQueryError, NotMigratedError
from dotpeen.plugins import Plugins
from dotpeen.records import Audience, Shape, Shapes, WireRecords, WireRow, statements


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
        self.wire = WireRecords(pool, shapes)
        self._plugins = plugins
        self._lookups = {
            name: Lookups(
                pool, statements.by_uuids(shape, "external", None), timeout=timeout / 2, failed=failed
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
            condition = lambda body: answers.matches(if_match, answers.entity_tag(body))  # noqa: E731
        return await self.wire.update(shape, identifier, values, audience=audience, condition=condition)

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
