"""The part of a link as the MES has it: found by any identifier, with its number and its external reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dotpeen import Record, Records
from dotpeen.errors import (
    ConfigurationError,
    DotpeenError,
    NotMigratedError,
    RecordConflictError,
    RecordNotFoundError,
)
from dotpeen.identifiers import find_uuid
from dotpeen.registry import Registry
from dotpeen_step.settings import Settings

ENTITY: Final = "Part"
REFERENCE: Final = "stepAp242Uuid"
"""The external reference that holds the UUID of a part's current revision."""
_AT_ONCE: Final = 200
"""Parts that one query asks for."""


class ReferenceNotReadyError(ConfigurationError):
    """Parts have no place for the reference yet."""


class RevisionTakenError(DotpeenError):
    """The UUID of a revision is something else's already."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that can be linked."""

    uuid: str
    number: str | None
    reference: str | None
    """The value of its external reference."""

    def __str__(self) -> str:
        return f"{ENTITY} {self.number or self.uuid}"


def number_column(registry: Registry, settings: Settings) -> str | None:
    """Return the column that PRODUCT.id is compared with; None where the registry doesn't tell.

    Raises `ConfigurationError` where there are no parts.
    """
    entity = registry.entities.get(ENTITY)
    if entity is None:
        raise ConfigurationError(
            f"the registry has no entity {ENTITY}: there is nothing to link files to",
            hint=f"declare [entities.{ENTITY}], see docs/registry.md",
        )
    if settings.part_number is not None:
        return settings.part_number
    return entity.business_id[0] if len(entity.business_id) == 1 else None


def require_reference(records: Records) -> None:
    """Raise `ReferenceNotReadyError` where parts have no place for the reference, `ConfigurationError` for no parts."""
    if REFERENCE not in records.shapes.entity(ENTITY).references:
        raise ReferenceNotReadyError(
            f"{ENTITY} has no {REFERENCE} yet", hint=f"run: dotpeen migrate up --entity {ENTITY}"
        )


def find_part(records: Records, identifier: str, column: str | None) -> Part:
    """Return the part that answers to an identifier, written as people write it.

    Raises `RecordNotFoundError`, `AmbiguousIdentifierError`, `NotMigratedError` for a part without a UUID,
    `ReferenceNotReadyError`, and `ConfigurationError` for a column that isn't there.
    """
    return part_of(find_record(records, identifier), column)


def find_record(records: Records, identifier: str) -> Record:
    """Return the record of the part that answers to an identifier, also where a UUID is written as `{…}` or URN.

    Raises `RecordNotFoundError`, `AmbiguousIdentifierError`.
    """
    try:
        return records.find(ENTITY, identifier)
    except RecordNotFoundError:
        canonical = find_uuid(identifier)
        if canonical is None or canonical == identifier:
            raise
        return records.find(ENTITY, canonical)


def number_of(record: Record, column: str | None) -> str | None:
    """Return the part number of a record. Raises `ConfigurationError` for a column that isn't there."""
    if column is None:
        return None
    if column not in record.values:
        raise ConfigurationError(
            f"[plugins.step] part_number: {ENTITY} has no column {column!r}",
            hint="name the column of the part number, as the database has it",
        )
    number = record.values[column]
    return None if number is None else str(number)


def parts_by_uuid(records: Records, uuids: Iterable[str], column: str | None) -> Mapping[str, Part]:
    """Return those of the parts that are there, by UUID."""
    return {
        part.uuid: part
        for some in in_lots(uuids)
        for part in (part_of(record, column) for record in records.batch(ENTITY, some).records)
    }


def in_lots(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield different values, in order, as many at a time as one query asks for."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def lock_part(records: Records, part: Part, column: str | None) -> Part:
    """Return the part as it is now; nobody else changes it until the transaction that `records` is of has ended."""
    return part_of(records.update(ENTITY, part.uuid, {}), column)


def part_of(record: Record, column: str | None) -> Part:
    """Return a record as a part. Raises what `find_part` does."""
    if record.uuid is None:
        raise NotMigratedError(ENTITY, f"run `dotpeen migrate up --entity {ENTITY}` first")
    if REFERENCE not in record.values:
        raise ReferenceNotReadyError(
            f"{ENTITY} has no {REFERENCE} yet", hint=f"run: dotpeen migrate up --entity {ENTITY}"
        )
    reference = record.values[REFERENCE]
    return Part(str(record.uuid), number_of(record, column), None if reference is None else str(reference))


def set_reference(records: Records, part: Part, uuid: str | None) -> None:
    """Write the external reference of a part, so that guards and plugins see it. Raises `RevisionTakenError`."""
    try:
        records.update(ENTITY, part.uuid, {REFERENCE: uuid})
    except RecordConflictError as error:
        raise RevisionTakenError(f"{uuid} can't be the {REFERENCE} of {part}: {error.reason}") from None
