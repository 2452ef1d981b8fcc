"""The UUID attributes of AP242 edition 4, on the product's shape."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final
from uuid import UUID

from dotpeen.errors import ConfigurationError
from dotpeen_step.inspection.carriers import UUID_ATTRIBUTES
from dotpeen_step.part21.file import Part21File
from dotpeen_step.part21.values import Reference, Typed, Value

ENTITIES: Final = {4: "V4_UUID_ATTRIBUTE", 5: "V5_UUID_ATTRIBUTE"}
"""By the version of the UUID (RFC 9562, 4.2)."""
_SET: Final = "UUID_SET_ITEM"
_KEYWORDS: Final = frozenset(UUID_ATTRIBUTES)


def require_entity(uuid: str) -> str:
    """Return the entity for a UUID. Raises `ConfigurationError` for versions that edition 4 has none for."""
    entity = ENTITIES.get(UUID(uuid).version or 0)
    if entity is None:
        raise ConfigurationError(
            f"{uuid} can't be a UUID attribute: AP242 edition 4 has them for versions 4 and 5 only",
            hint="the user-defined attribute and the anchor take every UUID",
        )
    return entity


def identified(shape: Reference, *, typed: bool) -> Value:
    """Return what the attribute identifies. `typed`: as the published schema has it, else as the prototypes.

    Files of the prototypes (schema 4.0757) have `((#562))`.
    """
    return Typed(_SET, ((shape,),)) if typed else ((shape,),)


def read_attributes(file: Part21File, targets: Collection[int]) -> Iterator[tuple[int, str]]:
    """Yield the instance that each UUID attribute on some instances is on, and its text. Raises `Part21Error`."""
    for instance in file.find(_KEYWORDS):
        on = [ref for ref in instance.references() if ref in targets]
        for part in instance.parts if on else ():
            if part.keyword in _KEYWORDS and part.parameters and isinstance(part.parameters[0], str):
                yield from ((ref, part.parameters[0]) for ref in on)


def is_typed(file: Part21File, *, prototype: bool) -> bool:
    """Tell how a file writes what a UUID attribute identifies: as those that it has, else as its schema has it."""
    for instance in file.find(_KEYWORDS):
        return any(isinstance(value, Typed) for part in instance.parts for value in part.parameters)
    return not prototype
