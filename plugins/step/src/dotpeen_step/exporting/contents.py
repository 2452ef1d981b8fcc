"""What a file says of a part: its record, in the words of STEP, as far as its reader may see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from dotpeen.errors import ConfigurationError, RecordNotFoundError
from dotpeen.hooks import ExportRequest
from dotpeen.records import Field, Shape, load_shapes
from dotpeen.records.lookup import by_uuid
from dotpeen.records.records import answered
from dotpeen_step.exporting.columns import PartColumns

UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time stamp of files of records whose time of change isn't known, or isn't the reader's business."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A part."""

    uuid: str
    number: str
    name: str
    revision: str
    description: str
    attributes: tuple[tuple[str, str], ...]
    """Names and values, in the order of the settings; those without a value are left out."""
    updated: datetime = UNDATED


def read_contents(request: ExportRequest, columns: PartColumns, *, number: str | None) -> Contents:
    """Read the part. `number` is the column of the part number; None: the business identifier, where it is one column.

    Raises `RecordNotFoundError`, `NotMigratedError`, and `ConfigurationError` for columns that there are not, or for a
    number that partners may not see.
    """
    shape = load_shapes(request.connection, request.registry).entity(request.entity.name)
    row = answered(request.connection, by_uuid(shape, request.uuid, audience=request.audience, fields=None))
    if row is None:
        raise RecordNotFoundError(request.entity.name, request.uuid)
    seen = _Seen(shape, request, json.loads(row.body, parse_int=str, parse_float=str))
    for setting in columns.model_fields_set:
        named = getattr(columns, setting)
        for column in named if isinstance(named, tuple) else (named,):
            seen.require_there(f"part.{setting}", column)
    numbered = seen.number(number)
    return Contents(
        uuid=row.uuid or request.uuid,
        number=numbered,
        name=seen.text(columns.name) or numbered,
        revision=seen.text(columns.revision) or "",
        description=seen.text(columns.description) or "",
        attributes=tuple((one, value) for one in columns.attributes if (value := seen.text(one)) is not None),
        updated=_moment(seen.text(request.entity.updated_at)),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The record as its reader sees it."""

    shape: Shape
    request: ExportRequest
    values: Mapping[str, Any]

    def number(self, column: str | None) -> str:
        """The part number. Raises `ConfigurationError` where none is known, or the reader may not see it."""
        business_id = self.request.entity.business_id
        if column is None and len(business_id) != 1:
            raise ConfigurationError(
                f"{self._where}: the registry tells no part number of {self.shape.entity.name}",
                hint="set part_number in [plugins.step] to its column",
            )
        named = column or business_id[0]
        self.require_there("part_number", named)
        if not self.shows(named):
            raise ConfigurationError(
                f"{self._where}.part_number: {self.shape.entity.name} does not show partners what every file needs",
                hint=f"add {named!r} to [entities.{self.shape.entity.name}] expose",
            )
        return self.text(named) or ""

    def require_there(self, setting: str, column: str | None) -> None:
        """Raise `ConfigurationError` for a column that there is not."""
        if column is not None and column not in self.shape.fields:
            raise ConfigurationError(
                f"{self._where}.{setting}: {self.shape.table} has no column {column!r}",
                hint=f"its columns: {', '.join(self.shape.fields)}",
            )

    @property
    def _where(self) -> str:
        return f"{self.request.registry.file}: plugins.step"

    def shows(self, column: str) -> bool:
        """Tell whether the reader sees a column."""
        return any(
            isinstance(member, Field) and member.column == column
            for member in self.shape.members[self.request.audience].values()
        )

    def text(self, column: str | None) -> str | None:
        """A column's value; None where there is none, or the reader may not see it."""
        if column is None or not self.shows(column):
            return None
        value = self.values.get(self.shape.fields[column].name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _moment(text: str | None) -> datetime:
    """Read a time as records have it; a column without time zone is taken as UTC."""
    if text is None:
        return UNDATED
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # infinity, and years that Python's calendar doesn't have
        return UNDATED
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
