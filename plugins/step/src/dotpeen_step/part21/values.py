"""Values of parameters as ISO 10303-21 writes them; lists are tuples, numbers and strings are Python's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Reference:
    """`#12`: the name of an entity instance."""

    id: int


@dataclass(frozen=True, slots=True)
class OccurrenceName:
    """An occurrence name of edition 3 that is no entity instance's, as written: `@12`, `#PI`, `@PI`."""

    text: str


@dataclass(frozen=True, slots=True)
class Enumeration:
    """`.STEEL.`; `name` is without the dots, in capitals. `.T.`, `.F.` and `.U.` are enumerations too."""

    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    """`"0F"`; `text` is what stands between the quotation marks, the first digit counting the unused bits."""

    text: str


@dataclass(frozen=True, slots=True)
class Resource:
    """`<part.stp#anchor>` of edition 3: a reference to something by URI, or to an anchor of this file."""

    uri: str


class Absent(Enum):
    """What stands in place of a value."""

    OMITTED = "$"
    DERIVED = "*"

    def __repr__(self) -> str:
        return self.name


OMITTED: Final[Literal[Absent.OMITTED]] = Absent.OMITTED
"""`$`: an optional attribute has no value."""

DERIVED: Final[Literal[Absent.DERIVED]] = Absent.DERIVED
"""`*`: a subtype derives the attribute."""


@dataclass(frozen=True, slots=True)
class Typed:
    """`LENGTH_MEASURE(2.5)`: a typed parameter, or one part of an instance. The keyword is in capitals."""

    keyword: str
    parameters: tuple[Value, ...]


Value: TypeAlias = (
    "str | int | float | Reference | Enumeration | Typed | Binary | Resource | OccurrenceName | Absent"
    " | tuple[Value, ...]"
)
