"""Names of schemas and operations: what generated clients call their types and functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dotpeen.registry import Entity

_SHARED: Final = (
    "BatchMetadata",
    "Candidate",
    "ETag",
    "FlexibleMetadata",
    "Metadata",
    "Pagination",
    "Problem",
    "ResolutionAnswer",
    "ResolutionVia",
    "ThreadEntry",
    "Token",
    "TokenError",
    "TokenRequest",
    "UuidBatch",
)
"""Schemas that belong to no entity; an entity that is called like one of them gives way."""


class Names:
    """Gives each thing a name of its own, and the same one each time it is asked for."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._taken = {_folded(name) for name in _SHARED}

    def of(self, entity: Entity, wanted: str) -> str:
        """Return the name that a thing of this entity goes by: the one wanted if it is free."""
        key = (entity.name, wanted)
        if key not in self._names:
            name, number = wanted, 2
            while _folded(name) in self._taken:
                name, number = f"{wanted}{number}", number + 1
            self._taken.add(_folded(name))
            self._names[key] = name
        return self._names[key]


def plural(entity: Entity) -> str:
    """The entity's name for several records; the registry's path tells what has no plural."""
    name = entity.name
    if _folded(entity.path) == _folded(name):
        return name
    if re.search(r"[^aeiouAEIOU]y$", name):
        return f"{name[:-1]}ies"
    return name + ("es" if re.search(r"(s|x|z|ch|sh)$", name) else "s")


def camel(*words: str) -> str:
    """Join names, each with a capital: `planUuid`, `characteristic_number` → `PlanUuidCharacteristicNumber`."""
    parts = [part for word in words for part in re.split(r"[^A-Za-z0-9]+", word) if part]
    return "".join(part[0].upper() + part[1:] for part in parts) or "Value"


def both(names: Sequence[str]) -> str:
    """Several names in a sentence: `planUuid and characteristicNumber`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _folded(name: str) -> str:
    # Generators turn names into files and into other cases.
    return re.sub(r"[^a-z0-9]", "", name.lower())
